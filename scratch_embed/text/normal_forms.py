r"""NFC in O(n log n), and the normalisation that byte-level tokenizers apply to a text.

    "e" + U+0301  ->  "é"        two code points of one character become one

Paper     The Unicode Standard, Annex 15, "Unicode Normalization Forms"
Equation  NFC = compose(sort(decompose(text))): each run of marks is sorted by combining class
Shapes    a text of n characters -> a text
Cost      O(n log m) for runs of m marks
Differs   from unicodedata.normalize("NFC") only in time: it sorts each run of m marks in O(m²).
          From the tokenizers library: its Unicode tables are older; a test lists the marks whose
          combining class it does not know
Read next text/byte_level.py, text/bpe.py

A mark with combining class 0 ends a run, and so does every character that is not a mark.  So the
text is decomposed character by character, its runs are sorted (stably), and unicodedata, which then
finds them sorted, composes them in O(n).
"""
import functools
import re
import sys
import unicodedata
from typing import NamedTuple

from scratch_embed.text.basic_tokenizer import WHITE_SPACE, Table

SPACES = re.compile(f"[{''.join(sorted(WHITE_SPACE))}]+")


def nfc(text: str) -> str:
    """The canonical composition (NFC) of a text: "e" + U+0301 -> "é"."""
    if text.isascii():
        return text
    decomposed = text.translate(_DECOMPOSED)
    return unicodedata.normalize("NFC", _runs().sub(_sorted_run, decomposed))


_DECOMPOSED = Table(lambda c: unicodedata.normalize("NFD", c))


@functools.cache
def _runs():
    """A pattern of two or more marks that have a combining class other than 0."""
    marks = [c for c in map(chr, range(128, sys.maxunicode + 1)) if unicodedata.combining(c)]
    return re.compile(f"[{''.join(marks)}]{{2,}}")


def _sorted_run(run):
    return "".join(sorted(run[0], key=unicodedata.combining))


class TextNormalizer(NamedTuple):
    """A normaliser: which steps are applied, in this order.  CLIP has all, Qwen2 nfc, GPT-2 none.

    >>> TextNormalizer(True, True, True)("Cafe\\u0301  \\n NOIR")
    'café noir'
    """

    nfc: bool = False
    join_spaces: bool = False      # each run of white space becomes one space
    lower_case: bool = False

    def __call__(self, text: str) -> str:
        if self.nfc:
            text = nfc(text)
        if self.join_spaces:
            text = SPACES.sub(" ", text)
        # lower() alone makes "Σ" at the end of a word "ς"; the library takes each letter by itself
        return text.replace("Σ", "σ").lower() if self.lower_case else text


AS_IT_IS = TextNormalizer()
CLIP_NORMALIZER = TextNormalizer(nfc=True, join_spaces=True, lower_case=True)

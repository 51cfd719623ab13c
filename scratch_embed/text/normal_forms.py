r"""NFC in O(n log n), and the normalisation that byte-level tokenizers apply to a text.

    "e" + U+0301  ->  "é"        two code points of one character become one

Paper     The Unicode Standard, Annex 15, "Unicode Normalization Forms"
Equation  NFC = compose(sort(decompose(text))): each run of marks is sorted by combining class
Shapes    a text of n characters -> a text
Cost      O(n log m) for runs of m marks
Differs   from unicodedata.normalize("NFC") only in time: it sorts each run of m marks in O(m²).
          From the tokenizers library: its Unicode tables are older; a test lists the marks whose
          combining class it does not know.  It also leaves some recent characters as they are,
          such as U+32FF in NFKC and U+1C89 in lower case
Read next text/byte_level.py, text/bpe.py

A mark with combining class 0 ends a run, and so does every character that is not a mark.  So the
text is decomposed character by character, its runs are sorted (stably), and unicodedata, which then
finds them sorted, composes them in O(n).
"""
import functools
import re
import sys
import unicodedata
from typing import Literal, NamedTuple, get_args

from scratch_embed.text.basic_tokenizer import WHITE_SPACE, Table

SPACES = re.compile(f"[{''.join(sorted(WHITE_SPACE))}]+")


def nfc(text: str) -> str:
    """The canonical composition (NFC) of a text: "e" + U+0301 -> "é"."""
    return normal_form("NFC", text)


Form = Literal["NFC", "NFD", "NFKC", "NFKD"]


def normal_form(form: Form, text: str) -> str:
    """A text in NFC, NFD, NFKC or NFKD; the last two replace "ﬁ" by "fi" and the like."""
    if text.isascii():
        return text
    decomposed = text.translate(_DECOMPOSED[form])
    return unicodedata.normalize(form, _runs().sub(_sorted_run, decomposed))


FORMS: tuple[Form, ...] = get_args(Form)
_CANONICAL = Table(lambda c: unicodedata.normalize("NFD", c))
_COMPATIBLE = Table(lambda c: unicodedata.normalize("NFKD", c))
_DECOMPOSED = dict(zip(FORMS, (_CANONICAL, _CANONICAL, _COMPATIBLE, _COMPATIBLE)))


def lower_case(text: str) -> str:
    """A text in lower case, each letter by itself, as in the tokenizers library.

    str.lower() alone makes "Σ" at the end of a word "ς".
    """
    return text.replace("Σ", "σ").lower()


@functools.cache
def _runs():
    """A pattern of two or more marks that have a combining class other than 0."""
    marks = [c for c in map(chr, range(128, sys.maxunicode + 1)) if unicodedata.combining(c)]
    return re.compile(f"[{''.join(marks)}]{{2,}}")


def _sorted_run(run):
    return "".join(sorted(run[0], key=unicodedata.combining))


class UnicodeForm(NamedTuple):
    """A normaliser: a Unicode normalization form, one of FORMS."""

    form: Form

    def __call__(self, text: str) -> str:
        return normal_form(self.form, text)


class Lowercase(NamedTuple):
    """A normaliser: lower case."""

    def __call__(self, text: str) -> str:
        return lower_case(text)


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
        return lower_case(text) if self.lower_case else text


AS_IT_IS = TextNormalizer()
CLIP_NORMALIZER = TextNormalizer(nfc=True, join_spaces=True, lower_case=True)

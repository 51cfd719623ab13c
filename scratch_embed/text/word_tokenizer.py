"""Word tokenizer: splits a text into words, for word vectors and for lexical search.

Kinds     words    runs of letters, digits, combining marks and _ of any script, with the
                   apostrophes inside them; lower-cased by default
          spaces   runs of characters other than white space (text/corpus.py), unchanged:
                   word2vec.c, GloVe and fastText split so, and expect a tokenized text
Cost      O(characters): two passes of a regular expression
Differs   from Unicode's word boundaries (UAX #29): Chinese, Japanese and Thai, which put no spaces
          between words, are not segmented; a number such as 3.14 becomes two words.
Read next text/reader.py (a corpus from a text), retrieve/bm25.py (search by words)

Why lower-case, and without punctuation?  A method on words sees different strings as different
words.  In a news text of 300 documents, "police", "Police", "police," and "police." would have four
vectors, each trained on a part of the occurrences, and a query for one would not find the others.

Why keep apostrophes?  "don't" is a word, and "don" and "t" are not.  But in French and Italian the
apostrophe separates two words (l'hiver, dell'arte): apostrophes="split" is right for them.

Why must a model remember its tokenizer?  A text that is split in another way than the training text
has words that the model does not know.  They are left out of the mean of a text's word vectors, and
nothing fails: the vectors are only worse.
"""
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from scratch_embed.numerics.json_files import Fields
from scratch_embed.text.corpus import split_words

KINDS = "words", "spaces"
APOSTROPHES = "keep", "split"
MARKS = "Mn", "Mc", "Me"           # Unicode's categories of combining marks
JOINERS = "\u200c\u200d"           # invisible, inside words of Persian and of Indian scripts
SAME = {0x2019: "'", 0x00AD: None}           # ’ is read as ', a soft hyphen is dropped
GLUED = re.compile(r"\w[.,;:!?]$")
SAMPLE = 10_000                    # words of a vocabulary that `deduced` inspects


class WordTokenizer(NamedTuple):
    """A rule that splits a text into words; call it: tokenizer(text) -> list of str.

    kind          "words" or "spaces"; the other two fields are for "words"
    lowercase     whether words are lower-cased
    apostrophes   "keep": don't is one word; "split": l'hiver is l and hiver

    >>> WordTokenizer()("L'Été, they don't say!")
    ["l'été", 'they', "don't", 'say']
    >>> WordTokenizer(lowercase=False, apostrophes="split")("L'Été, they don't say!")
    ['L', 'Été', 'they', 'don', 't', 'say']
    >>> WordTokenizer("spaces")("L'Été, they don't say!")
    ["L'Été,", 'they', "don't", 'say!']
    """

    kind: str = "words"
    lowercase: bool = True
    apostrophes: str = "keep"

    def __call__(self, text: str) -> list[str]:
        """The words of a text, in order."""
        return split_words(self.separated(text))

    def __str__(self) -> str:
        if self.kind == "spaces":
            return "split at white space"
        return (f"letters and digits, {'lower-cased' if self.lowercase else 'case kept'}, "
                f"apostrophes {'kept' if self.apostrophes == 'keep' else 'split'}")

    def separated(self, text: str) -> str:
        """The text with white space, and nothing else, between its words; lines stay lines."""
        if self.kind == "spaces":
            return text
        text = text.translate(SAME)
        text = unicodedata.normalize("NFC", text.lower() if self.lowercase else text)
        outer_apostrophes, separators = _patterns()
        if self.apostrophes == "split":
            return separators.sub(" ", text.replace("'", " "))
        return separators.sub(" ", outer_apostrophes.sub(" ", text))

    def separate_blocks(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """separated() of each block of a text in UTF-8, as read_blocks yields them."""
        for block in blocks:
            yield block if self.kind == "spaces" else self.separated(block.decode()).encode()


WORDS, SPACES = WordTokenizer(), WordTokenizer("spaces")


@lru_cache(maxsize=1)
def _patterns():
    """(an apostrophe that is not inside a word, what separates words but for " " and line ends)."""
    marks = "".join(filter(_is_mark, map(chr, chain(range(0x300, 0x20000),
                                                    range(0xE0100, 0xE01F0)))))
    letter = rf"\w{marks}{JOINERS}"
    # the ' first: re searches for a literal prefix twenty times as fast
    return (re.compile(rf"'(?:(?<![{letter}]')|(?![{letter}]))"),
            re.compile(rf"[^{letter}' \n]+"))


def _is_mark(character):
    return unicodedata.category(character) in MARKS


# ---- the tokenizer of a model ------------------------------------------------------------------

def checked(kind: str = "words", lowercase: bool = True, apostrophes: str = "keep"
            ) -> WordTokenizer:
    """A WordTokenizer with valid fields.  Raises ValueError for others."""
    for name, value, options in (("kind", kind, KINDS), ("lowercase", lowercase, (True, False)),
                                 ("apostrophes", apostrophes, APOSTROPHES)):
        if value not in options:
            raise ValueError(f"{name}: expected one of {', '.join(map(str, options))}, got "
                             f"{value!r}")
    return WordTokenizer(kind, bool(lowercase), apostrophes)


def from_fields(fields: Fields) -> WordTokenizer:
    """The WordTokenizer whose fields, those of _asdict(), a file has.  FormatError for others."""
    fields.no_others(WordTokenizer._fields)
    return WordTokenizer(fields.one_of("kind", KINDS), fields.flag("lowercase"),
                         fields.one_of("apostrophes", APOSTROPHES))


def deduced(words: Sequence[str]) -> WordTokenizer:
    """The tokenizer that a vocabulary seems to be made with, the most frequent words first.

    spaces        if more than a tenth of the words end in punctuation ("house,")
    case kept     if more than one word in a hundred changes when it is lower-cased
    apostrophes   kept if a word has one between two letters or digits

    Files of word vectors do not say how their text was split; this is a guess from SAMPLE words.
    """
    sample = list(words[:SAMPLE])
    many = max(1, len(sample))
    if sum(GLUED.search(word) is not None for word in sample) > many / 10:
        return SPACES
    lowercase = sum(word != word.lower() for word in sample) <= many / 100
    kept = any(re.search(r"\w['’]\w", word) for word in sample)
    return WordTokenizer("words", lowercase, "keep" if kept else "split")


def raw_share(words: Sequence[str], counts: Sequence[int]) -> float:
    """The share of a text's words that have a capital letter, or punctuation glued to them.

    words, counts: the text's vocabulary.  The share is small in a text that is already tokenized,
    and a third in a raw news text.
    """
    raw = sum(int(count) for word, count in zip(words, counts)
              if word != word.lower() or GLUED.search(word))
    return raw / max(1, int(sum(counts)))

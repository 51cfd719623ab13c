"""Before WordPiece: a text is cleaned, and parted into words and single punctuation marks.

Paper     Devlin, Chang, Lee & Toutanova 2019, "BERT: Pre-training of Deep Bidirectional
          Transformers"; the rules are those of its code, tokenization.py, class BasicTokenizer.
Equation  words = part(lower(strip(NFD(space(clean(text))))))
          clean    leave out U+FFFD and control, format and private characters; white space is " "
          space    an ideograph stands alone: "日本" is " 日  本 "
          strip    canonical decomposition (NFD), then every Mn (an accent above or below) goes
          lower    each character by itself
          part     at white space, which goes, and around punctuation (P*, all ASCII symbols)
Cost      O(1) a character; what becomes of a character is worked out when it is first met.
Differs   from Google's code, as the tokenizers library does: private characters go; "Σ" is "σ" at
          the end of a word too (Python's lower() makes it "ς" there); U+2B820 to U+2B91F are no
          ideographs (the library's table begins 256 too late).  Google's code cleans always, and
          strips accents if it lowers.  Special tokens are found before: see added_tokens.py.
          From the library: Unicode.  Its categories are of about version 8.0, Python's those of
          unicodedata.unidata_version.  Of the characters assigned in 14.0 the two differ on 504:
          13 of format, which it keeps, 386 accents, most of which it keeps, and 106 punctuation
          marks, which it does not part; one is both.  Nearly all came to Unicode after 2015
          (tests/golden/wordpiece.json lists them; a test finds no other).
Read next text/wordpiece.py, which cuts the words into pieces.

Characters whose rule is the same wherever they stand are what str.translate is for, so there is a
table for each step.  In a text that is ASCII alone the accents are no work.
"""
import functools
import re
import unicodedata
from typing import NamedTuple

WHITE_SPACE = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
                        "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000")
NOT_TEXT = frozenset(("Cc", "Cf", "Co", "Cs"))     # control, format, private use, half a pair
IDEOGRAPHS = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
              (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
ASCII_MARKS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
ASCII_WORD = re.compile(r"[!-/:-@\[-`{-~]|[^\t-\r !-/:-@\[-`{-~]+")


class Cleaning(NamedTuple):
    """Which steps are taken; the names are those of a tokenizer.json."""

    clean_text: bool = True
    handle_chinese_chars: bool = True
    strip_accents: bool | None = None              # None: if lower_case
    lower_case: bool = True


UNCASED, CASED = Cleaning(), Cleaning(lower_case=False)        # as BERT's two kinds of models


class Table(dict):
    """{code point: what takes its place}, for str.translate; filled as characters are met."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def __missing__(self, code):
        self[code] = found = self.rule(chr(code))
        return found


# ---- cleaning ---------------------------------------------------------------------------------

def normalise(text: str, cleaning: Cleaning = UNCASED) -> str:
    """The text without accents, capitals and what is no text: "\\tÉtude№ " -> " etude№ "."""
    if cleaning.clean_text or cleaning.handle_chinese_chars:
        text = text.translate(_cleaned(cleaning.clean_text, cleaning.handle_chinese_chars))
    strip = cleaning.lower_case if cleaning.strip_accents is None else cleaning.strip_accents
    if strip and not text.isascii():
        text = unicodedata.normalize("NFD", text).translate(_without_accents())
    if cleaning.lower_case:
        text = text.replace("Σ", "σ").lower()
    return text


@functools.cache
def _cleaned(clean, space):
    def rule(c):
        if clean and c in "\t\n\r":
            return " "
        if clean and (c == "\ufffd" or unicodedata.category(c) in NOT_TEXT):
            return None
        if clean and c in WHITE_SPACE:
            return " "
        return f" {c} " if space and is_ideograph(c) else c
    return Table(rule)


@functools.cache
def _without_accents():
    return Table(lambda c: None if unicodedata.category(c) == "Mn" else c)


def is_ideograph(c: str) -> bool:
    """Whether the character is of the CJK blocks; kana and Hangul are not, they have words."""
    return any(first <= ord(c) <= last for first, last in IDEOGRAPHS)


# ---- parting ----------------------------------------------------------------------------------

def split_words(text: str) -> list[str]:
    """Words and punctuation marks: "it's  5$" -> ["it", "'", "s", "5", "$"]."""
    if text.isascii():
        return ASCII_WORD.findall(text)
    return [word for word in text.translate(_parted()).split(" ") if word]


@functools.cache
def _parted():
    def rule(c):
        if c in WHITE_SPACE:
            return " "
        return f" {c} " if is_punctuation(c) else c
    return Table(rule)


def is_punctuation(c: str) -> bool:
    """Whether the character is a mark: Unicode's P*, and the ASCII symbols that it counts as S*."""
    return c in ASCII_MARKS or unicodedata.category(c)[0] == "P"

"""BERT's basic tokenizer: clean a text, then split it into words and single punctuation marks.

Paper     Devlin, Chang, Lee & Toutanova 2019, "BERT: Pre-training of Deep Bidirectional
          Transformers"; the rules are those of its code, tokenization.py, class BasicTokenizer
Equation  words = split(lower(strip(NFD(space(clean(text))))))
          clean    tab, line ends and spaces (Z*) become " "; drop U+FFFD and all other control,
                   format, private and surrogate characters (Cc, Cf, Co, Cs)
          space    put spaces around each ideograph: "日本" becomes " 日  本 "
          strip    after canonical decomposition (NFD), drop the accents (nonspacing marks, Mn)
          lower    each character by itself
          split    at white space; each punctuation mark (P* and all ASCII symbols) is a word
Cost      O(1) per character; a replacement is computed when its character first occurs
Differs   from Google's code, as the tokenizers library does: private characters are dropped; "Σ"
          becomes "σ" at the end of a word too (Python's lower() makes it "ς" there); U+2B820 to
          U+2B91F are not treated as ideographs (the library's table begins 256 code points late).
          Google's code always cleans, and strips accents exactly if it lower-cases; here these are
          settings.  Special tokens are found before this step: see added_tokens.py.
          From the library: the version of Unicode.  Its categories are those of about version 8.0;
          here they are Python's, of unicodedata.unidata_version.  With version 14.0 they differ for
          504 characters: 13 format characters that the library keeps; 386 marks, of which it keeps
          384 and drops 2; and 106 others: at 104 punctuation marks it does not split, and at 2
          characters only it splits.  One character is in two of these groups.  Nearly all are newer
          than 2015 (tests/golden/wordpiece.json lists them; a test finds no others).
Read next text/wordpiece.py, which splits the words into pieces

The steps clean, space, strip and split look at one character at a time, so each is a table for
str.translate.  ASCII text has no accents and skips NFD and strip.

Why not unicodedata.normalize("NFD")?  NFD also sorts each run of marks, and Python's takes O(m²)
for a run of m.  Nearly all of these marks are accents, which are dropped anyway, so strip_accents()
decomposes and drops character by character, and sorts only the few marks that are not Mn.
"""
import functools
import re
import unicodedata
from typing import NamedTuple

WHITE_SPACE = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
                        "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000")
NOT_TEXT = frozenset(("Cc", "Cf", "Co", "Cs"))     # control, format, private use, surrogates
IDEOGRAPHS = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
              (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))
ASCII_MARKS = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
ASCII_WORD = re.compile(r"[!-/:-@\[-`{-~]|[^\t-\r !-/:-@\[-`{-~]+")


class Normalizer(NamedTuple):
    """Which steps are applied.  Named as in tokenizer.json, where lower_case is "lowercase"."""

    clean_text: bool = True
    handle_chinese_chars: bool = True
    strip_accents: bool | None = None              # None: the same as lower_case
    lower_case: bool = True


UNCASED, CASED = Normalizer(), Normalizer(lower_case=False)        # BERT's two kinds of models


class Table(dict):
    """{code point: replacement}, for str.translate; filled as characters first occur."""

    def __init__(self, rule):
        super().__init__()
        self.rule = rule

    def __missing__(self, code):
        self[code] = found = self.rule(chr(code))
        return found


# ---- normalizer ---------------------------------------------------------------------------------

def normalise(text: str, normalizer: Normalizer = UNCASED) -> str:
    """Clean, strip accents and lower-case a text: "\\tÉtude№ " -> " etude№ "."""
    if normalizer.clean_text or normalizer.handle_chinese_chars:
        text = text.translate(_clean_table(normalizer.clean_text, normalizer.handle_chinese_chars))
    strip = normalizer.lower_case if normalizer.strip_accents is None else normalizer.strip_accents
    if strip and not text.isascii():
        text = strip_accents(text)
    if normalizer.lower_case:
        text = text.replace("Σ", "σ").lower()
    return text


@functools.cache
def _clean_table(clean, space):
    def rule(c):
        if clean and c in "\t\n\r":
            return " "
        if clean and (c == "\ufffd" or unicodedata.category(c) in NOT_TEXT):
            return None
        if clean and c in WHITE_SPACE:
            return " "
        return f" {c} " if space and is_ideograph(c) else c
    return Table(rule)


def strip_accents(text: str) -> str:
    """The canonical decomposition (NFD) of a text without its nonspacing marks, in O(n log n)."""
    table, marks = _accent_table(blocked=False)
    stripped = text.translate(table)
    if not any(mark in stripped for mark in marks):
        return stripped
    text = text.translate(_accent_table(blocked=True)[0])
    return re.sub(f"[{''.join(marks)}]{{2,}}", _sorted_run, text).translate(table)


def _sorted_run(run):
    return "".join(sorted(run[0], key=unicodedata.combining))


@functools.cache
def _accent_table(blocked):
    """(a table that decomposes a character and drops its accents, the marks that it has kept).

    blocked: it also keeps the few accents that NFD does not sort: a run of marks ends at them.
    """
    marks = []                     # kept so far, and sorted by NFD

    def rule(c):
        kept = [part for part in unicodedata.normalize("NFD", c)
                if unicodedata.category(part) != "Mn"
                or blocked and not unicodedata.combining(part)]
        marks.extend(part for part in kept if unicodedata.combining(part) and part not in marks)
        return "".join(kept)
    return Table(rule), marks


def is_ideograph(c: str) -> bool:
    """Whether the character is in a CJK block.  Kana and Hangul are not: they form words."""
    return any(first <= ord(c) <= last for first, last in IDEOGRAPHS)


# ---- splitting --------------------------------------------------------------------------------

def split_words(text: str) -> list[str]:
    """Split a text into words and punctuation marks: "it's  5$" -> ["it", "'", "s", "5", "$"]."""
    if text.isascii():
        return ASCII_WORD.findall(text)
    return [word for word in text.translate(_split_table()).split(" ") if word]


@functools.cache
def _split_table():
    def rule(c):
        if c in WHITE_SPACE:
            return " "
        return f" {c} " if is_punctuation(c) else c
    return Table(rule)


def is_punctuation(c: str) -> bool:
    """Whether a character is in a category P*, or an ASCII symbol such as "$" (category Sc)."""
    return c in ASCII_MARKS or unicodedata.category(c)[0] == "P"

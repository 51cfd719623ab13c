"""Tokens that are found in a text before anything else is done to it, such as [MASK].

    "a [MASK] b"  ->  "a ", [MASK], " b"

Of the tokens that begin at a place the longest is taken, and the search goes on behind it.
Those that are not `normalized` are sought in the text as it stands; the others, themselves
cleaned, in the cleaned text between them.

Paper     none: these are the added_tokens of the tokenizers library.
Cost      a regular expression of all spellings; nothing for a text where none can begin.
Differs   "a part of a word", for single_word, is asked of Python's Unicode tables.
Read next text/wordpiece.py
"""
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import NamedTuple

from scratch_embed.text.basic_tokenizer import WHITE_SPACE

WORD_CLASSES = frozenset(("Nd", "Nl", "Pc"))       # besides all letters L* and marks M*
JOINERS = "\u200c\u200d"
# symbols that Unicode calls alphabetic: letters in a circle or a square
ALPHABETIC_SYMBOLS = ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169),
                      (0x1F170, 0x1F189))


class AddedToken(NamedTuple):
    """A token with its flags; the names are those of a tokenizer.json."""

    content: str
    id: int
    special: bool = True           # left out when ids become text again
    normalized: bool = False       # sought in the cleaned text
    lstrip: bool = False           # takes the white space before it along
    rstrip: bool = False           # and behind it
    single_word: bool = False      # not inside a word


class Finder(NamedTuple):
    """What tokens look like in a text."""

    pattern: re.Pattern
    spelled: dict[str, AddedToken]


def make_finder(tokens: Iterable[AddedToken], spell: Callable[[str], str]) -> Finder | None:
    """A Finder of tokens, each in the spelling spell(content); None if there are no tokens.

    Raises ValueError if two are spelled alike, or one as nothing.
    """
    spelled = {}
    for token in tokens:
        spelling = spell(token.content)
        if not spelling or spelling in spelled:
            raise ValueError(f"the added token {token.content!r} reads as {spelling!r}, which "
                             + ("another does" if spelling else "is nowhere to be found"))
        spelled[spelling] = token
    if not spelled:
        return None
    longest_first = sorted(spelled, key=len, reverse=True)
    return Finder(re.compile("|".join(map(re.escape, longest_first))), spelled)


def split_at_tokens(text: str, finder: Finder | None) -> list[str | AddedToken]:
    """The text in its order, parted at the tokens in it: "a [MASK]" -> ["a ", AddedToken]."""
    if finder is None:
        return [text]
    parts, done = [], 0
    for match in finder.pattern.finditer(text):
        token, (begin, end) = finder.spelled[match.group()], match.span()
        if token.single_word and (in_word(text[begin - 1:begin]) or in_word(text[end:end + 1])):
            continue
        if token.lstrip:
            while begin > done and text[begin - 1] in WHITE_SPACE:
                begin -= 1
        if token.rstrip:
            while end < len(text) and text[end] in WHITE_SPACE:
                end += 1
        parts += [text[done:begin], token] if begin > done else [token]
        done = end
    return parts + [text[done:]] if done < len(text) else parts


def in_word(c: str) -> bool:
    r"""Whether a character (or none, "") is part of a word: \w of Unicode's rules."""
    if not c:
        return False
    kind = unicodedata.category(c)
    return (kind[0] in "LM" or kind in WORD_CLASSES or c in JOINERS
            or any(first <= ord(c) <= last for first, last in ALPHABETIC_SYMBOLS))

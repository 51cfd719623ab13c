"""Added tokens: strings such as [MASK] that become one token wherever they occur in a text.

    "a [MASK] b"  ->  "a ", [MASK], " b"

They are found before the text is tokenized.  If several tokens begin at the same character, the
longest is taken, and the search continues after it.  Tokens that are not `normalized` are found
first, in the raw text.  The text between them is then normalised, and the `normalized` tokens,
themselves normalised, are found in it.

Paper     none: these are the added_tokens of the tokenizers library
Shapes    a text of n characters -> a list of its parts: str or AddedToken
Cost      one regular expression for all k tokens: O(n·k) at most
Differs   from the library: whether a character is part of a word (single_word) is taken from
          Python's Unicode tables
Read next text/tokenizer.py, which calls this first
"""
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import NamedTuple

from scratch_embed.text.basic_tokenizer import WHITE_SPACE

WORD_CLASSES = frozenset(("Nd", "Nl", "Pc"))       # besides all letters L* and marks M*
JOINERS = "\u200c\u200d"             # zero-width non-joiner and joiner
# symbols that Unicode defines as alphabetic: letters in a circle or a square
ALPHABETIC_SYMBOLS = ((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169),
                      (0x1F170, 0x1F189))


class AddedToken(NamedTuple):
    """A token with its flags, named as in tokenizer.json."""

    content: str
    id: int
    special: bool = True           # dropped when ids are decoded
    normalized: bool = False       # searched for in the normalised text
    lstrip: bool = False           # includes the white space before it
    rstrip: bool = False           # includes the white space after it
    single_word: bool = False      # does not match inside a word


class Finder(NamedTuple):
    """A pattern that finds tokens, and the token for each spelling."""

    pattern: re.Pattern
    spelled: dict[str, AddedToken]


def make_finder(tokens: Iterable[AddedToken], spell: Callable[[str], str]) -> Finder | None:
    """A Finder of tokens, each with the spelling spell(content); None if there are no tokens.

    Raises ValueError if a spelling is empty, or if two tokens have the same spelling.
    """
    spelled = {}
    for token in tokens:
        spelling = spell(token.content)
        if not spelling or spelling in spelled:
            raise ValueError(f"the added token {token.content!r} is spelled {spelling!r}: "
                             + ("another token is too" if spelling else "expected a character"))
        spelled[spelling] = token
    if not spelled:
        return None
    longest_first = sorted(spelled, key=len, reverse=True)
    return Finder(re.compile("|".join(map(re.escape, longest_first))), spelled)


def split_at_tokens(text: str, finder: Finder | None) -> list[str | AddedToken]:
    """Split a text at the added tokens in it: "a [MASK]" -> ["a ", AddedToken]."""
    if finder is None:
        return [text]
    parts, done = [], 0
    for match in finder.pattern.finditer(text):
        token, (begin, end) = finder.spelled[match.group()], match.span()
        if token.single_word and (in_word(text[begin - 1:begin]) or in_word(text[end:end + 1])):
            continue
        if token.lstrip:
            if end <= done:                        # white space that the token before has taken
                continue
            begin = max(begin, done)
            while begin > done and text[begin - 1] in WHITE_SPACE:
                begin -= 1
        if token.rstrip:
            while end < len(text) and text[end] in WHITE_SPACE:
                end += 1
        parts += [text[done:begin], token] if begin > done else [token]
        done = end
    return parts + [text[done:]] if done < len(text) else parts


def in_word(c: str) -> bool:
    r"""Whether a character is part of a word: \w in Unicode's definition.  c may be ""."""
    if not c:
        return False
    kind = unicodedata.category(c)
    return (kind[0] in "LM" or kind in WORD_CLASSES or c in JOINERS
            or any(first <= ord(c) <= last for first, last in ALPHABETIC_SYMBOLS))

r"""Byte-level pre-tokenization: split a text into words by a pattern, write bytes as characters.

    "née!"  ->  bytes 6E C3 A9 65 21  ->  "nÃ©e!"         (Ã stands for C3, © for A9)
    "it's 3 cats"  ->  it 's ␣3 ␣cats  ->  it 's Ġ3 Ġcats            (Ġ stands for the space)

Paper     Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (GPT-2), §2.2;
          the table is bytes_to_unicode of its code, encoder.py, and the pattern its `pat`
Equation  bytes 33..126, 161..172 and 174..255 are written as the character with that number; the
          other 68, in ascending order, as the characters 256, 257, ...: the space (32) is Ġ (288)
Shapes    a text of n characters -> its words, which joined are the text (CLIP: without the spaces)
Cost      O(n); a character's class is computed when it first occurs
Differs   from GPT-2's code, nothing.  From the tokenizers library: classes are those of Python's
          unicodedata (version unicodedata.unidata_version); a letter of a newer version is a symbol
          here
Read next text/bpe.py (how the bytes of a word are merged)

Why bytes?  256 pieces spell every text, so there is no unknown token.  Why characters for them?
Vocabularies are stored as JSON and as lines of text, which cannot hold half of a character, and in
which a space or a line end separates pieces.  The table has a visible character for each byte.

How are the patterns matched?  They use \p{L} (letters), \p{N} (numerals) and \s, which Python's re
lacks or defines otherwise.  But of a character that is not ASCII they ask only its class.  So each
such character is replaced by an ASCII character of its class ("née 日" -> "nAe A").  The pattern is
matched there, with A-Za-z for \p{L} and 0-9 for \p{N}, and the text is cut at the same places.
"""
import functools
import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from scratch_embed.text.basic_tokenizer import WHITE_SPACE

SYMBOLS = r" ?[^\s\p{L}\p{N}]+"
SPACES = r"\s+(?!\S)|\s+"          # of several spaces, the last one belongs to the next word
GPT2 = rf"'s|'t|'re|'ve|'m|'ll|'d| ?\p{{L}}+| ?\p{{N}}+|{SYMBOLS}|{SPACES}"
CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
CLIP_TOKENS = r"<\|startoftext\|>|<\|endoftext\|>|" + CLIP         # as transformers writes it
ANY_CASE = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
LINES = rf"{SYMBOLS}[\r\n]*|\s*[\r\n]+|{SPACES}"
LLAMA3 = ANY_CASE + r"|\p{N}{1,3}|" + LINES
QWEN2 = ANY_CASE + r"|\p{N}|" + LINES
# {the pattern: whether its words, joined, are the whole text}.  No other pattern is accepted: it
# may ask something about a character that the stand-ins below do not preserve.
PATTERNS = {GPT2: True, CLIP: False, CLIP_TOKENS: False, LLAMA3: True, QWEN2: True}

# Stand-ins for classes of characters; no pattern contains one of them itself.  ſ has its own, since
# (?i:'s) matches "'ſ" as it does "'S".
LETTER, NUMERAL, SPACE, SYMBOL, LONG_S = "A", "0", "\t", "!", "S"


# ---- bytes and characters -----------------------------------------------------------------------

def _byte_characters():
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in visible]
    return dict(sorted([(byte, chr(byte)) for byte in visible]
                       + [(byte, chr(256 + n)) for n, byte in enumerate(others)]))


CHAR_OF_BYTE = _byte_characters()                  # {byte: character}, 256 of each
BYTE_OF_CHAR = {c: byte for byte, c in CHAR_OF_BYTE.items()}


def to_characters(data: bytes) -> str:
    """Write bytes as characters.

    >>> to_characters(" né".encode())
    'ĠnÃ©'
    """
    return data.decode("latin-1").translate(CHAR_OF_BYTE)


@functools.lru_cache(1 << 16)
def to_bytes(characters: str) -> bytes:
    """The bytes that characters stand for.

    Of a text with any other character, such as an added token may have, these are its UTF-8 bytes.

    >>> to_bytes("ĠnÃ©").decode(), to_bytes("Ġ日").decode()
    (' né', 'Ġ日')
    """
    try:
        return bytes([BYTE_OF_CHAR[c] for c in characters])
    except KeyError:
        return characters.encode()


# ---- words --------------------------------------------------------------------------------------

def split(text: str, pattern: str = GPT2) -> list[str]:
    """Split a text into words by one of PATTERNS.

    >>> split("It's  3 cats, née 1999!")
    ['It', "'s", ' ', ' 3', ' cats', ',', ' née', ' 1999', '!']
    >>> split("It's  3 cats, née 1999!", CLIP)
    ['It', "'s", '3', 'cats', ',', 'née', '1', '9', '9', '9', '!']
    """
    regex = _compiled(pattern)
    if text.isascii():
        return regex.findall(text)
    return [text[slice(*match.span())] for match in regex.finditer(character_classes(text))]


def split_by_all(text: str, patterns: Sequence[str]) -> list[str]:
    """Split a text by the first pattern, its words by the second ...  No pattern: one word."""
    words = [text] if text else []
    for pattern in patterns:
        words = [inner for word in words for inner in split(word, pattern)]
    return words


@functools.cache
def _compiled(pattern):
    r"""The pattern in ASCII: A-Za-z for \p{L}, 0-9 for \p{N}, put in brackets outside of [...]."""
    def bracketed(match):
        return match[0].replace(r"\p{L}", "A-Za-z").replace(r"\p{N}", "0-9")
    inner = re.sub(r"\[[^]]*\]", bracketed, pattern)
    return re.compile(inner.replace(r"\p{L}", "[A-Za-z]").replace(r"\p{N}", "[0-9]"), re.ASCII)


_CLASSES = np.zeros(0x110000, np.uint8)            # of each code point; 0: not computed so far


def character_classes(text: str) -> str:
    r"""Replace each character by an ASCII character of its class: "née 日" -> "nAe A"."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)       # (n,)
    found = _CLASSES[codes]
    if not found.all():
        for code in np.unique(codes[found == 0]):
            _CLASSES[code] = ord(_stand_in(chr(code)))
        found = _CLASSES[codes]
    return found.tobytes().decode("ascii")


def _stand_in(c):
    if c.isascii():
        return c if c != "\0" else SYMBOL          # 0 means: not computed
    if c == "ſ":
        return LONG_S
    if c in WHITE_SPACE:
        return SPACE
    return {"L": LETTER, "N": NUMERAL}.get(unicodedata.category(c)[0], SYMBOL)

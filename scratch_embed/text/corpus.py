"""Read text files as blocks of bytes that end between tokens, as lines, or as sentences.

A sentence is a line.  Its tokens are separated by white space.  All readers of this package mean by
white space the seven characters of fastText: space, tab, line feed, carriage return, vertical tab,
form feed and NUL.  Others, such as a no-break space or U+2028, are parts of a token, although
Python's str.split would split there.  A line of more than MAX_SENTENCE tokens is split into several
sentences; no token is dropped.

Differs   word2vec.c separates words at space, tab and newline only, and drops carriage returns.
Memory    one block of about 1 MiB, for lines of any length; more only for a token longer than that.
          read_sentences() also holds the tokens of a line in the block, read_lines() a whole line.
Read next text/vocab.py (from sentences to numbers), text/reader.py (the same, compiled)

A file is read in blocks that end after white space.  So no token is split, and no character either,
since a UTF-8 character of several bytes contains no byte of ASCII.
"""
import contextlib
import io
import os
import re
import warnings
from collections.abc import Iterable, Iterator

from scratch_embed.numerics.binary_kinds import HEAD, binary_kind
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import open_binary
from scratch_embed.numerics.wording import counted

MAX_SENTENCE = 1000                # tokens; word2vec.c's MAX_SENTENCE_LENGTH
READ_SIZE = 1 << 20                # bytes that are read at a time
SPACE = " \t\n\r\v\f\0"          # what separates words; the same as bytes:
WHITE_SPACE = tuple(character.encode() for character in SPACE)
TOKEN = re.compile(f"[^{SPACE}]+")
START = 64                         # bytes from which UTF-16 is recognised
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NOT_UTF_8 = ('this is not UTF-8 text; convert it, if it is Latin-1 with '
             '`iconv -f latin1 -t utf-8`, or choose errors="replace" or errors="ignore"')
REPAIRED = {"replace": "replaced by U+FFFD", "ignore": "left out"}       # what errors= did

File = str | os.PathLike | io.IOBase
FILE_TYPES = str, os.PathLike, io.IOBase     # a path or an open file
Source = File | Iterable[list[str]]


def split_words(text: str) -> list[str]:
    """The words of a text, separated by white space as defined above.

    >>> split_words(" new\\u00a0york\\tcity ") == ["new\\u00a0york", "city"]
    True
    """
    return TOKEN.findall(text)


def strip(text: str) -> str:
    """The text without white space, as defined above, at its ends."""
    return text.strip(SPACE)


# ---- blocks -----------------------------------------------------------------------------------

def read_blocks(source: File, errors: str = "strict") -> Iterator[bytes]:
    """Yield the text of a file as blocks of bytes, each of whole tokens in valid UTF-8.

    source    a path, plain or gzip (recognised by its first bytes); "-" for standard input; or an
              open binary file.  A byte order mark at its beginning is dropped, and NUL becomes a
              space.
    errors    what to do with bytes that are not UTF-8: "strict", "replace" or "ignore"; a warning
              at the end of the file says how many there were
    Raises    FormatError if the text is not UTF-8, with the line and the byte of that line, counted
              from 0; if it is a picture, an archive ...; or if a gzip file is truncated
    """
    with _open_text(source) as (file, name):
        line = before = wrong = 0                  # before: bytes of the line in earlier blocks
        for block in _split_after_white_space(file):
            text = _checked_text(block, errors, name, line, before)
            wrong += 0 if text is block else count_wrong(block)
            yield text.replace(b"\0", b" ")
            last = block.rfind(b"\n") + 1
            line += block.count(b"\n")
            before = len(block) - last if last else before + len(block)
        _warn_of_wrong(name, wrong, errors)


@contextlib.contextmanager
def _open_text(source):
    """Yield (file after its byte order mark, its name).  FormatError for a known binary file."""
    with open_binary(source) as (file, name):
        if file.peek(3)[:3] == BYTE_ORDER_MARK:
            file.read(3)
        start = file.peek(HEAD)
        if kind := binary_kind(start):
            raise FormatError(name, "its first bytes", f"expected a text, found {kind.name}"
                              + (kind.advice and f"; {kind.advice}"))
        start = start[:START]
        if len(start) >= START and start.count(b"\0") >= len(start) // 4:
            raise FormatError(name, "its first bytes", "expected text in UTF-8, found NUL in a "
                              "quarter or more of them, as in UTF-16 or a binary file; convert "
                              "UTF-16 with `iconv -f utf-16 -t utf-8`")
        yield file, name


def _split_after_white_space(file):
    held = []                                      # parts of a token that is not yet complete
    while block := file.read(READ_SIZE):
        cut = 1 + max(block.rfind(space) for space in WHITE_SPACE)
        if cut:
            yield b"".join([*held, block[:cut]])
            held = []
        held.append(block[cut:])
    if any(held):
        yield b"".join(held)


def _checked_text(block, errors, name, line, before):
    """`block` in valid UTF-8.  line, before: complete lines, and bytes of the next, before it."""
    try:
        block.decode("utf-8")
        return block
    except UnicodeDecodeError as error:
        if errors != "strict":
            return block.decode("utf-8", errors).encode("utf-8")
        earlier = block[:error.start].split(b"\n")
        line, bad = line + len(earlier), len(earlier[-1]) + (before if len(earlier) == 1 else 0)
    raise FormatError(name, f"line {line}, byte {bad} of it", NOT_UTF_8)


def count_wrong(text: bytes) -> int:
    """How many bytes of the text are not UTF-8.

    >>> count_wrong(b"caf\\xe9 \\xff")
    2
    """
    return len(text) - len(text.decode("utf-8", "ignore").encode("utf-8"))


def _warn_of_wrong(name, wrong, errors):
    if wrong and errors in REPAIRED:
        are = "is not UTF-8 and was" if wrong == 1 else "are not UTF-8 and were"
        # one place in the code, so that a file that is read twice is named once
        warnings.warn(f"{name}: {counted(wrong, 'byte')} {are} {REPAIRED[errors]}", stacklevel=1)


# ---- lines ------------------------------------------------------------------------------------

def read_lines(source: File, errors: str = "strict") -> Iterator[str]:
    """Yield the lines of a file without their line ends, blank lines included.

    source, errors, Raises: as for read_blocks.
    """
    with _open_text(source) as (file, name):
        wrong = 0
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                if errors == "strict":
                    raise FormatError(name, f"line {number}, byte {error.start} of it",
                                      NOT_UTF_8) from None
                text, wrong = line.decode("utf-8", errors), wrong + count_wrong(line)
            yield text.rstrip("\r\n")
        _warn_of_wrong(name, wrong, errors)


def slices_at_spaces(text: str, size: int = READ_SIZE) -> Iterable[str]:
    """The parts of a text, of about `size` characters each, which end after a space.

    So a text of 200 MB in one line is split into words part by part: a list of all its words would
    take ten times its memory.  A part without a space after `size` characters is longer.
    """
    return (text,) if len(text) <= size else _slices(text, size)


def _slices(text, size):
    start = 0
    while len(text) - start > size:
        end = text.find(" ", start + size) + 1
        if end == 0:
            break
        yield text[start:end]
        start = end
    yield text[start:] if start else text


# ---- sentences --------------------------------------------------------------------------------

def read_sentences(source: Source, errors: str = "strict") -> Iterator[list[str]]:
    """Yield the sentences of `source` as lists of str.

    source    a file, as for read_blocks; or an iterable of sentences, each a list of str
    errors    as for read_blocks
    Raises    as read_blocks; TypeError if a sentence is a string instead of a list of tokens
    """
    if isinstance(source, FILE_TYPES):
        yield from _sentences_of_blocks(read_blocks(source, errors))
    else:
        for number, sentence in enumerate(source):
            yield from _split_long(_checked(sentence, number))


def _sentences_of_blocks(blocks):
    tokens = []                                    # of the sentence that has not ended yet
    for block in blocks:
        lines = block.split(b"\n")
        for number, line in enumerate(lines, 1):
            tokens += [token.decode("utf-8") for token in line.split()]
            line_ends = number < len(lines)        # the last line continues in the next block
            ended = len(tokens) if line_ends else len(tokens) // MAX_SENTENCE * MAX_SENTENCE
            yield from _split_long(tokens[:ended])
            del tokens[:ended]
    yield from _split_long(tokens)


def _split_long(tokens):
    for start in range(0, len(tokens), MAX_SENTENCE):
        yield tokens[start:start + MAX_SENTENCE]


def _checked(sentence, number):
    if isinstance(sentence, (str, bytes)):
        raise TypeError(f"sentence {number}: expected a list of tokens, got the string "
                        f"{sentence[:40]!r}; split it, for example {sentence[:12]!r}.split()")
    return list(sentence)

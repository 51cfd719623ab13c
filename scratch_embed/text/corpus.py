"""Reading text: blocks of whole tokens, and the sentences in them.

A sentence is a line; tokens are what stands between ASCII white space (so a no-break space joins
two words here, where Python's str.split would part them).  A line of more than MAX_SENTENCE
tokens continues as a further sentence: nothing is dropped.

Differs   word2vec.c parts words at space, tab and newline only, and drops a carriage return.

A file is read in blocks that end behind white space.  So no token is cut, and no character either,
for no byte of a longer UTF-8 character is white space.

Memory    one block, about a mebibyte, however long a line is; more only for a longer token.
Read next text/vocab.py, which turns sentences into numbers; text/reader.py, the same compiled.
"""
import io
import os
from collections.abc import Iterable, Iterator

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import open_binary

MAX_SENTENCE = 1000            # tokens; word2vec.c's MAX_SENTENCE_LENGTH
PIECE = 1 << 20                # bytes that are read at a time
WHITE_SPACE = (b" ", b"\n", b"\r", b"\t", b"\v", b"\f")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NOT_UTF_8 = ('this is not UTF-8 text; convert the file, or choose errors="replace" or '
             'errors="ignore"')

File = str | os.PathLike | io.IOBase
FILE_TYPES = str, os.PathLike, io.IOBase     # of these is a file to open, or open already
Source = File | Iterable[list[str]]


# ---- blocks -----------------------------------------------------------------------------------

def read_blocks(source: File, errors: str = "strict") -> Iterator[bytes]:
    """Yield the text of a file as blocks of bytes: whole tokens, in UTF-8 without a fault.

    source    a path, plain or gzip (told by its first bytes); "-" for standard input; or an open
              binary file.  A byte order mark at its beginning is left out.
    errors    what to do with bytes that are not UTF-8: "strict", or "replace" / "ignore"
    Raises    FormatError with the line and the byte offset where the text is not UTF-8, or where a
              gzip file breaks off.
    """
    with open_binary(source) as (file, name):
        line, offset = 1, _skip_byte_order_mark(file)
        for block in _cut_behind_white_space(file):
            yield _checked_text(block, errors, name, line, offset)
            line, offset = line + block.count(b"\n"), offset + len(block)


def _skip_byte_order_mark(file):
    return len(file.read(3)) if file.peek(3)[:3] == BYTE_ORDER_MARK else 0


def _cut_behind_white_space(file):
    held = []                                      # pieces of a token whose end is not read yet
    while piece := file.read(PIECE):
        cut = 1 + max(piece.rfind(space) for space in WHITE_SPACE)
        if cut:
            yield b"".join([*held, piece[:cut]])
            held = []
        held.append(piece[cut:])
    if any(held):
        yield b"".join(held)


def _checked_text(block, errors, name, line, offset):
    """`block`, which begins in this line and at this byte of the file, as faultless UTF-8."""
    try:
        block.decode("utf-8")
        return block
    except UnicodeDecodeError as error:
        if errors != "strict":
            return block.decode("utf-8", errors).encode("utf-8")
        line, bad = line + block.count(b"\n", 0, error.start), offset + error.start
    raise FormatError(name, f"line {line}, byte {bad}", NOT_UTF_8)


# ---- lines ------------------------------------------------------------------------------------

def read_lines(source: File, errors: str = "strict") -> Iterator[str]:
    """Yield the lines of a file without their ends, blank ones too.

    source, errors, Raises: as for read_blocks.  A line is held in memory whole, however long.
    """
    with open_binary(source) as (file, name):
        for number, line in enumerate(file, 1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8", errors).rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise FormatError(name, f"line {number}, byte {error.start} of it",
                                  NOT_UTF_8) from None


# ---- sentences --------------------------------------------------------------------------------

def read_sentences(source: Source, errors: str = "strict") -> Iterator[list[str]]:
    """Yield the sentences of `source` as lists of str.

    source    a file, as for read_blocks; or an iterable of sentences that are lists of str already
    errors    as for read_blocks
    Raises    as read_blocks; TypeError for sentences that are strings, not lists of tokens.
    """
    if isinstance(source, FILE_TYPES):
        yield from _sentences_of_blocks(read_blocks(source, errors))
    else:
        for number, sentence in enumerate(source):
            yield from _split_long(_checked(sentence, number))


def _sentences_of_blocks(blocks):
    tokens = []                                    # of a sentence that has not ended yet
    for block in blocks:
        lines = block.split(b"\n")
        for number, line in enumerate(lines, 1):
            tokens += [token.decode("utf-8") for token in line.split()]
            line_ends = number < len(lines)        # the last piece goes on in the next block
            ended = len(tokens) if line_ends else len(tokens) // MAX_SENTENCE * MAX_SENTENCE
            yield from _split_long(tokens[:ended])
            del tokens[:ended]
    yield from _split_long(tokens)


def _split_long(tokens):
    for start in range(0, len(tokens), MAX_SENTENCE):
        yield tokens[start:start + MAX_SENTENCE]


def _checked(sentence, number):
    if isinstance(sentence, (str, bytes)):
        raise TypeError(f"sentence {number} is a string, {sentence[:40]!r}, which would be read "
                        f"letter by letter; give its tokens, for example {sentence[:12]!r}.split()")
    return list(sentence)

"""Reading text: a stream of sentences, each a list of tokens.

A sentence is a line; tokens are what stands between ASCII white space, as in the originals' C tools
(so a no-break space joins two words here, where Python's str.split would part them).  A line
of more than MAX_SENTENCE tokens continues as a further sentence: nothing is dropped.

Memory    one piece of a line, at most a mebibyte, however long the line is.
Read next text/vocab.py, which turns the stream into numbers.
"""
import io
import os

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import open_binary

MAX_SENTENCE = 1000            # tokens; word2vec.c's MAX_SENTENCE_LENGTH
PIECE = 1 << 20                # bytes of a line that are read at a time
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_sentences(source, errors="strict"):
    """Yield the sentences of `source` as lists of str.

    source    a path, plain or gzip (told by its first bytes); "-" for standard input; an open
              binary file; or an iterable of sentences that are lists of str already
    errors    what to do with bytes that are not UTF-8: "strict", or "replace" / "ignore"
    Raises    FormatError with the line and the byte offset where the text is not UTF-8, or where a
              gzip file breaks off; TypeError for sentences that are strings, not lists of tokens.
    """
    if isinstance(source, (str, os.PathLike, io.IOBase)):
        yield from _sentences_of_file(source, errors)
    else:
        for number, sentence in enumerate(source):
            yield from _split_long(_checked(sentence, number))


def _checked(sentence, number):
    if isinstance(sentence, (str, bytes)):
        raise TypeError(f"sentence {number} is a string, {sentence[:40]!r}, which would be read "
                        f"letter by letter; give its tokens, for example {sentence[:12]!r}.split()")
    return list(sentence)


def _split_long(tokens):
    for start in range(0, len(tokens), MAX_SENTENCE):
        yield tokens[start:start + MAX_SENTENCE]


def _sentences_of_file(source, errors):
    with open_binary(source) as (file, name):
        line, offset = 1, _skip_byte_order_mark(file)
        tokens, broken = [], b""                       # broken: a token that a piece's end cut
        while True:
            read = file.readline(PIECE)
            line_ends = not read or read.endswith(b"\n")
            piece, broken = (broken + read, b"") if line_ends else _cut_at_space(broken + read)
            tokens += _decode(piece, errors, name, line, offset)
            while len(tokens) > MAX_SENTENCE or (line_ends and tokens):
                yield tokens[:MAX_SENTENCE]
                del tokens[:MAX_SENTENCE]
            if not read:
                return
            offset, line = offset + len(piece), line + line_ends


def _skip_byte_order_mark(file):
    return len(file.read(3)) if file.peek(3)[:3] == BYTE_ORDER_MARK else 0


def _cut_at_space(data):
    """Part `data` behind its last white space."""
    cut = 1 + max(data.rfind(space) for space in (b" ", b"\t", b"\r", b"\v", b"\f"))
    return data[:cut], data[cut:]


def _decode(data, errors, name, line, offset):
    """The tokens of `data`, which begins at byte `offset` of the file."""
    try:
        return [token for token in (t.decode("utf-8", errors) for t in data.split()) if token]
    except UnicodeDecodeError:
        bad = offset + _first_bad_byte(data)
        raise FormatError(name, f"line {line}, byte {bad}", "this is not UTF-8 text; convert the "
                          'file, or choose errors="replace" or errors="ignore"') from None


def _first_bad_byte(data):
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return 0

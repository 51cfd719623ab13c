"""Word vector files: read and write the text and binary formats of word2vec, GloVe and fastText.

Bytes     word2vec text    "V D\\n", then V rows "word f f ... f\\n"
          fastText .vec    the same with 5 significant digits (read_word2vec_text reads it)
          word2vec binary  "V D\\n", then V times: the word, 0x20, D little-endian float32
          GloVe text       the rows of word2vec text without the header line; words may contain
                           spaces; a last row <unk>, if there is one, is a word like any other
Shapes    words: a list of V strings; vectors: (V, D) float32, in the order of the file
Cost      memory for one table and one row; for a second table if words are repeated
Differs   word2vec's C and fastText write a space before the \\n of a text row, and word2vec's C
          writes a \\n after a binary row; gensim and this module write neither.  Readers accept
          all of these.
Read next words/vectors.py (how to use the vectors)

Every reader accepts plain or gzip-compressed files under any name, and returns the whole table or
raises.  A truncated file must not be mistaken for a smaller table, hence two rules:

- A text file ends with \\n.  word2vec, fastText, GloVe and gensim all write this \\n; without it
  "0.25" could be the beginning of "0.2578125".
- In a binary file either every row ends with \\n or none does; the first row decides.

GloVe's text does not state its number of rows, so a truncation exactly between two rows is not
detected.  No format has a checksum: a changed digit or bit that leaves a valid table is not
detected either.  A byte order mark at the beginning of a file is dropped.

Numbers in text have nine significant digits, enough to read every float32 again unchanged.
`shortest_digits`, for output that people read, gives the fewest digits with this property.  Most
readers (Python's, NumPy's, gensim's) round twice, first to float64.  For 7.038531e-26 the fewest
digits are then not enough, so it is printed with nine.
"""
import contextlib
import io
import os
import re
from collections.abc import Sequence

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import GZIP_MAGIC, atomic_write, open_binary, rewind
from scratch_embed.numerics.safetensors import begins_like_safetensors
from scratch_embed.text.corpus import BYTE_ORDER_MARK
from scratch_embed.words.fasttext_header import begins_like_fasttext
from scratch_embed.words.tables import (
    KEEP,
    WordReader,
    check_table,
    keep_first,
    refuse_spaces,
    word_bytes,
)


def read_vectors(path: str | os.PathLike, errors: str = KEEP) -> tuple[list[str], np.ndarray]:
    """Read a file in any of these formats, recognised by its content.  -> words, vectors (V, D)

    A file without a header line is GloVe's text.  With a header it is word2vec's text if what
    follows the first space, however far it is, looks like numbers; else word2vec's binary format.
    errors: for words that are not UTF-8; see words/tables.py
    """
    with _plain_bytes(path) as (file, size):
        start = file.peek(128)[:128]               # enough for the header of a fastText model
        if kind := _other_kind(start):
            raise FormatError(path, "byte 0", f"this is {kind}")
        if not (sizes := _SIZES.fullmatch(file.readline(64))):
            return read_glove_text(path, errors)
        is_text = _looks_like_text(file, min(int(sizes[2]), size))
    return (read_word2vec_text if is_text else read_word2vec_binary)(path, errors)


def _other_kind(start):
    """What kind of other file begins with the bytes `start`; None: it may be vectors."""
    if begins_like_safetensors(start):
        return ("a safetensors file, whose words are in another file; words/vector_tensors.py "
                "reads both, and WordVectors.load does if the name ends in .safetensors")
    if start.startswith(b"\x80"):
        return ("a pickle, which can run any code and is never read; in gensim, write the vectors "
                "with save_word2vec_format")
    if begins_like_fasttext(start):
        return ("a fastText model, not a table of vectors; FastTextVectors.load reads it, or read "
                "the .vec file beside it")
    return None


def _looks_like_text(file, D):
    """Whether a first row continues as text: the numbers are printable, and one can be parsed.

    file: at the beginning of the row.  A binary row of one or two numbers can look so by chance;
    write_word2vec_binary refuses such a table.
    """
    _read_word(file)
    numbers = file.readline(32 * D).rstrip(b" \r\n")
    # D numbers have at least D digits and D - 1 spaces between them
    return (len(numbers) >= 2 * D - 1 and numbers.isascii() and numbers.decode().isprintable()
            and any(map(_is_number, numbers.split(b" "))))


# ---- word2vec, text --------------------------------------------------------

def read_word2vec_text(path: str | os.PathLike, errors: str = KEEP
                       ) -> tuple[list[str], np.ndarray]:
    """Read word2vec's text format, or fastText's .vec.  -> words, vectors (V, D)"""
    with _plain_bytes(path) as (file, size):
        V, D = _read_header(path, file, size, lambda D: 2 * D + 2)      # "w 0 0\n"
        words, vectors, reader = [], np.empty((V, D), np.float32), WordReader(path, errors)
        for row in range(V):
            where = f"line {row + 2}"
            line = _read_line(path, where, file)
            if line.count(b" ") != D:
                raise FormatError(path, where, f"expected a word and {D} numbers, found "
                                               f"{line.count(b' ')} fields after the word")
            word, *numbers = line.split(b" ")
            words.append(reader.not_empty(where, word))
            vectors[row] = _parse(path, where, numbers)
        _require_end(path, f"line {V + 2}", file, V)
    reader.warn()
    return keep_first(path, words, vectors)


def write_word2vec_text(path: str | os.PathLike, words: Sequence[str], vectors: np.ndarray
                        ) -> None:
    """Write word2vec's text format.  words: V strings without white space, vectors: (V, D)."""
    vectors = check_table(words, vectors)
    refuse_spaces(words)
    with atomic_write(path) as file:
        file.write(b"%d %d\n" % vectors.shape)
        _write_rows(file, words, vectors)


# ---- word2vec, binary ------------------------------------------------------

def read_word2vec_binary(path: str | os.PathLike, errors: str = KEEP
                         ) -> tuple[list[str], np.ndarray]:
    """Read word2vec's binary format, as its C or gensim writes it.  -> words, vectors (V, D)"""
    with _plain_bytes(path) as (file, size):
        V, D = _read_header(path, file, size, lambda D: 4 * D + 2)      # one letter, 0x20, D floats
        words, vectors, reader = [], np.empty((V, D), np.float32), WordReader(path, errors)
        row_ends_in_newline = False
        for row in range(V):
            start = file.tell()
            where = f"row {row + 1} (byte {start})"
            word, numbers = _read_word(file), file.read(4 * D)
            if len(numbers) < 4 * D:
                raise FormatError(path, where, f"expected a word, a space and {4 * D} bytes; the "
                                               f"file ends after {size - start} bytes")
            words.append(reader.not_empty(where, word))
            vectors[row] = np.frombuffer(numbers, "<f4")
            if not np.isfinite(vectors[row]).all():
                raise FormatError(path, where, "expected finite numbers, found nan or inf")
            if row == 0:
                row_ends_in_newline = file.peek(1)[:1] == b"\n"
            if row_ends_in_newline and file.read(1) != b"\n":
                raise FormatError(path, where, "expected a newline after it, as after row 1")
        _require_end(path, f"byte {file.tell()}", file, V)
    reader.warn()
    return keep_first(path, words, vectors)


def write_word2vec_binary(path: str | os.PathLike, words: Sequence[str], vectors: np.ndarray
                          ) -> None:
    """Write word2vec's binary format.  words: V strings without white space, vectors: (V, D)."""
    vectors = check_table(words, vectors).astype("<f4", copy=False)
    refuse_spaces(words)
    first = b"".join(map(_binary_row, words[:10], vectors[:10]))       # 32 * D bytes or more
    if _looks_like_text(io.BufferedReader(io.BytesIO(first)), vectors.shape[1]):
        raise ValueError("vectors: expected numbers whose bytes are not printable characters, got "
                         f"{vectors[0].tolist()} for {words[0]!r}, which would be read as text; "
                         "write another format, such as .vec")
    with atomic_write(path) as file:
        file.write(b"%d %d\n" % vectors.shape)
        for word, vector in zip(words, vectors):
            file.write(_binary_row(word, vector))


def _binary_row(word, vector):
    return word_bytes(word) + b" " + vector.tobytes()


# ---- GloVe, text -----------------------------------------------------------

def read_glove_text(path: str | os.PathLike, errors: str = KEEP) -> tuple[list[str], np.ndarray]:
    """Read GloVe's text format.  -> words, vectors (V, D)

    D is the number of fields at the end of the first row that are numbers.  Rows are split from the
    right.  A word whose last part is a number ("no 1") is an error, since it may be a vector's.
    """
    with _plain_bytes(path) as (file, _):
        start = file.tell()
        V = sum(1 for _ in file)
        file.seek(start)
        words, D, reader = [], None, WordReader(path, errors)
        for row in range(V):
            where = f"line {row + 1}"
            line = _read_line(path, where, file)
            if D is None:
                D = _numbers_at_the_end(line)
                if D < 2:
                    raise FormatError(path, where, "expected a word and at least two numbers; is "
                                                   "this a text? `train` learns vectors from it")
                vectors = np.empty((V, D), np.float32)
            word, *numbers = line.rsplit(b" ", D)
            if len(numbers) < D or (b" " in word and _is_number(word.rsplit(b" ", 1)[1])):
                raise FormatError(path, where, f"expected a word and {D} numbers, as on line 1; "
                                               f"found {_numbers_at_the_end(line)} numbers")
            words.append(reader.not_empty(where, word))
            vectors[row] = _parse(path, where, numbers)
    reader.warn()
    return keep_first(path, words, vectors)


def write_glove_text(path: str | os.PathLike, words: Sequence[str], vectors: np.ndarray
                     ) -> None:
    """Write GloVe's text format.  words: V strings, spaces inside allowed, vectors: (V, D >= 2).

    Raises ValueError for a table that would not be recognised when it is read: the format has no
    header.
    """
    vectors = check_table(words, vectors)
    if vectors.shape[1] < 2:
        raise ValueError("vectors: expected at least 2 dimensions for GloVe's text format, in "
                         "which a word with 1 number is not recognised as a vector, got 1; write "
                         "another format, such as .vec")
    for word in words:
        parts = word.split(" ")
        refuse_spaces(parts, word)
        if len(parts) > 1 and _is_number(parts[-1]):
            raise ValueError(f"cannot write the word {word!r}: its last part would be read as a "
                             "number of the vector")
    start = word_bytes(words[0])[:128].ljust(128, b" ")
    if start.startswith(GZIP_MAGIC) or _other_kind(start):
        raise ValueError(f"cannot write the word {words[0]!r} first: the file would not be "
                         "recognised as vectors; write another format, such as .vec")
    with atomic_write(path) as file:
        if start.startswith(BYTE_ORDER_MARK):      # that of the file is dropped, the word's stays
            file.write(BYTE_ORDER_MARK)
        _write_rows(file, words, vectors)


# ---- reading ---------------------------------------------------------------

_SIZES = re.compile(rb"([0-9]+) ([0-9]+) ?\r?\n")


@contextlib.contextmanager
def _plain_bytes(path):
    """Yield the decompressed file, after its byte order mark if it has one, and its size."""
    with open_binary(path) as (file, _):
        size = rewind(file, path)
        if size == 0:
            raise FormatError(path, "byte 0", "expected word vectors, found an empty file")
        if file.peek(3)[:3] == BYTE_ORDER_MARK:
            file.read(3)
        yield file, size


def _read_header(path, file, size, least_row):
    """Read V and D from line 1.  FormatError if the file is too short for V rows.

    least_row(D): the fewest bytes that a row can have
    """
    line = file.readline(64)
    sizes = _SIZES.fullmatch(line)
    V, D = (int(sizes[1]), int(sizes[2])) if sizes else (0, 0)
    if V < 1 or D < 1:
        raise FormatError(path, "line 1", 'expected the numbers of words and of dimensions, as in '
                                          f'"32481 100"; found {line!r}')
    need, rest = V * least_row(D), size - file.tell()
    if need > rest:
        raise FormatError(path, "line 1", f"{V} rows of {D} numbers take at least {need} bytes, "
                                          f"and {rest} follow: truncated, or a wrong first line")
    return V, D


def _read_word(file):
    """Read up to the next space, or to the end of the file.  -> the bytes before it"""
    word = bytearray()
    while ready := file.peek(1):
        end = ready.find(b" ")
        word += file.read(len(ready) if end < 0 else end + 1)
        if end >= 0:
            return bytes(word[:-1])
    return bytes(word)


def _require_end(path, where, file, V):
    if file.read(1):
        raise FormatError(path, where, f"expected the end after {V} rows, as the first line says; "
                                       "found more")


def _read_line(path, where, file):
    """Read the next row of a text.  -> the row without its line end"""
    line = file.readline()
    if not line.endswith(b"\n"):
        found = "the file ends within it" if line else "the file ends before it"
        raise FormatError(path, where, f"expected a row and its newline; {found}")
    return line.rstrip(b" \r\n")


def _parse(path, where, numbers):
    """Parse decimal numbers as float32.  numbers: D byte strings -> (D,)"""
    try:
        with np.errstate(over="ignore"):           # beyond float32 it is inf, an error below
            vector = np.array(numbers, np.float32)
    except ValueError:
        vector = None
    if vector is None or b"_" in b"".join(numbers):          # only Python accepts 1_000
        wrong = next(n for n in numbers if b"_" in n or not _is_number(n))
        raise FormatError(path, where, f"expected a number, found {wrong[:40]!r}")
    if not np.isfinite(vector).all():
        raise FormatError(path, where, "expected finite float32 numbers, found nan, inf or one "
                                       "beyond 3.4e38")
    return vector


def _is_number(field):
    """Whether Python reads the field as a float (which includes nan and inf)."""
    try:
        float(field)
    except ValueError:
        return False
    return True


def _numbers_at_the_end(line):
    """How many fields at the end of the row are numbers; the first field is the word."""
    fields = line.split(b" ")[1:]
    return next((n for n, field in enumerate(reversed(fields)) if not _is_number(field)),
                len(fields))


# ---- writing ---------------------------------------------------------------

def _write_rows(file, words, vectors):
    """Write rows "word f f ... f\\n", each number with nine digits.

    Nine are enough for every float32, and faster to find than the fewest digits.
    """
    digits = " ".join(["%.9g"] * vectors.shape[1])
    for word, vector in zip(words, vectors):
        file.write(b"%b %b\n" % (word_bytes(word), (digits % tuple(vector.tolist())).encode()))


def shortest_digits(vector: np.ndarray) -> list[str]:
    """Each float32 in the fewest digits from which it is read again.  (D,) -> D strings"""
    digits = list(map(str, vector))
    read = np.array(list(map(float, digits)))      # through float64, as most readers do
    if np.array_equal(read.astype(np.float32), vector):
        return digits
    return [f"{value:.9g}" for value in vector]

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
detected.

Numbers in text have nine significant digits, enough to read every float32 again unchanged.
`shortest_digits`, for output that people read, gives the fewest digits with this property.  Most
readers (Python's, NumPy's, gensim's) round twice, first to float64.  For 7.038531e-26 the fewest
digits are then not enough, so it is printed with nine.
"""
import contextlib
import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write, open_binary
from scratch_embed.numerics.safetensors import begins_like_safetensors

LONGEST_WORD = 10_000                          # bytes; a file with a longer one is refused

NOT_VECTORS = {                                # first bytes -> what the file is instead
    b"\x80": "a pickle, which can run any code and is never read; in gensim, write the vectors "
             "with save_word2vec_format",
    b"\xba\x16\x4f\x2f": "a fastText model, not a table of vectors; read the .vec file beside it",
}


def read_vectors(path: str | os.PathLike) -> tuple[list[str], np.ndarray]:
    """Read a file in any of these formats, recognised by its content.  -> words, vectors (V, D)

    A file without a header line is GloVe's text.  With a header it is word2vec's text if the
    numbers of the first row are printable characters, else word2vec's binary format.
    """
    with _plain_bytes(path) as (file, size):
        if begins_like_safetensors(file.read(9)):
            raise FormatError(path, "byte 0", "this is a safetensors file, whose words are in "
                              "another file; words/vector_tensors.py reads both, and "
                              "WordVectors.load does if the name ends in .safetensors")
        file.seek(0)
        header = file.readline(64)
        for start, kind in NOT_VECTORS.items():
            if header.startswith(start):
                raise FormatError(path, "byte 0", f"this is {kind}")
        if not (sizes := _SIZES.fullmatch(header)):
            return read_glove_text(path)
        D = int(sizes[2])
        _, _, numbers = file.readline(min(32 * D, size)).rstrip(b" \r\n").partition(b" ")
    # D numbers have at least D digits and D - 1 spaces between them
    if len(numbers) >= 2 * D - 1 and numbers.isascii() and numbers.decode().isprintable():
        return read_word2vec_text(path)
    return read_word2vec_binary(path)


# ---- word2vec, text --------------------------------------------------------

def read_word2vec_text(path: str | os.PathLike) -> tuple[list[str], np.ndarray]:
    """Read word2vec's text format, or fastText's .vec.  -> words, vectors (V, D)"""
    with _plain_bytes(path) as (file, size):
        V, D = _read_header(path, file, size, lambda D: 2 * D + 2)      # "w 0 0\n"
        words, vectors = [], np.empty((V, D), np.float32)
        for row in range(V):
            where = f"line {row + 2}"
            line = _read_line(path, where, file)
            if line.count(b" ") != D:
                raise FormatError(path, where, f"expected a word and {D} numbers, found "
                                               f"{line.count(b' ')} fields after the word")
            word, *numbers = line.split(b" ")
            words.append(decode_word(path, where, word))
            vectors[row] = _parse(path, where, numbers)
        _require_end(path, f"line {V + 2}", file, V)
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

def read_word2vec_binary(path: str | os.PathLike) -> tuple[list[str], np.ndarray]:
    """Read word2vec's binary format, as its C or gensim writes it.  -> words, vectors (V, D)"""
    with _plain_bytes(path) as (file, size):
        V, D = _read_header(path, file, size, lambda D: 4 * D + 2)      # one letter, 0x20, D floats
        words, vectors = [], np.empty((V, D), np.float32)
        row_ends_in_newline = False
        for row in range(V):
            start = file.tell()
            where = f"row {row + 1} (byte {start})"
            word, numbers = _read_word(path, where, file), file.read(4 * D)
            if len(numbers) < 4 * D:
                raise FormatError(path, where, f"expected a word, a space and {4 * D} bytes; the "
                                               f"file ends after {size - start} bytes")
            words.append(decode_word(path, where, word))
            vectors[row] = np.frombuffer(numbers, "<f4")
            if not np.isfinite(vectors[row]).all():
                raise FormatError(path, where, "expected finite numbers, found nan or inf")
            if row == 0:
                row_ends_in_newline = file.peek(1)[:1] == b"\n"
            if row_ends_in_newline and file.read(1) != b"\n":
                raise FormatError(path, where, "expected a newline after it, as after row 1")
        _require_end(path, f"byte {file.tell()}", file, V)
    return keep_first(path, words, vectors)


def write_word2vec_binary(path: str | os.PathLike, words: Sequence[str], vectors: np.ndarray
                          ) -> None:
    """Write word2vec's binary format.  words: V strings without white space, vectors: (V, D)."""
    vectors = check_table(words, vectors)
    refuse_spaces(words)
    with atomic_write(path) as file:
        file.write(b"%d %d\n" % vectors.shape)
        for word, vector in zip(words, vectors):
            file.write(word.encode() + b" " + vector.astype("<f4").tobytes())


# ---- GloVe, text -----------------------------------------------------------

def read_glove_text(path: str | os.PathLike) -> tuple[list[str], np.ndarray]:
    """Read GloVe's text format.  -> words, vectors (V, D)

    D is the number of fields at the end of the first row that are numbers.  Rows are split from the
    right.  A word whose last part is a number ("no 1") is an error, since it may be a vector's.
    """
    with _plain_bytes(path) as (file, size):
        V = sum(1 for _ in file)
        file.seek(0)
        words, D = [], None
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
            words.append(decode_word(path, where, word))
            vectors[row] = _parse(path, where, numbers)
    return keep_first(path, words, vectors)


def write_glove_text(path: str | os.PathLike, words: Sequence[str], vectors: np.ndarray
                     ) -> None:
    """Write GloVe's text format.  words: V strings, spaces inside allowed, vectors: (V, D)."""
    vectors = check_table(words, vectors)
    for word in words:
        parts = word.split(" ")
        refuse_spaces(parts, word)
        if len(parts) > 1 and _is_number(parts[-1]):
            raise ValueError(f"cannot write the word {word!r}: its last part would be read as a "
                             "number of the vector")
    with atomic_write(path) as file:
        _write_rows(file, words, vectors)


# ---- reading ---------------------------------------------------------------

_SIZES = re.compile(rb"([0-9]+) ([0-9]+) ?\r?\n")


@contextlib.contextmanager
def _plain_bytes(path):
    """Yield the file, decompressed if necessary, and its size when decompressed."""
    with open_binary(path) as (file, _):
        size = file.seek(0, os.SEEK_END)           # a damaged gzip file is detected here
        file.seek(0)
        if size == 0:
            raise FormatError(path, "byte 0", "expected word vectors, found an empty file")
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
    need, there = V * least_row(D), size - file.tell()
    if need > there:
        raise FormatError(path, "line 1", f"{V} rows of {D} numbers take at least {need} bytes, "
                                          f"and {there} follow: truncated, or a wrong first line")
    return V, D


def _read_word(path, where, file):
    """Read up to the next space, or to the end of the file.  -> the bytes before it"""
    word = bytearray()
    while (letter := file.read(1)) not in (b" ", b""):
        word += letter
        if len(word) > LONGEST_WORD:
            raise FormatError(path, where, f"expected a word and a space, found {LONGEST_WORD} "
                                           "bytes without any")
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


def decode_word(path: str | os.PathLike, where: str, word: bytes,
                empty: str = "none before the first space") -> str:
    """Decode a word.  FormatError if it is not UTF-8, or is empty (the message says `empty`)."""
    try:
        text = word.decode()
    except UnicodeDecodeError as error:
        raise FormatError(path, where, f"expected a word in UTF-8, found {word[:40]!r} "
                                       f"({error.reason} at its byte {error.start})") from None
    if not text:
        raise FormatError(path, where, f"expected a word, found {empty}")
    return text


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


def keep_first(path: str | os.PathLike, words: list[str], vectors: np.ndarray
               ) -> tuple[list[str], np.ndarray]:
    """Drop rows that repeat an earlier word, with a warning.  -> words, vectors (V, D)"""
    rows = {}
    for row, word in enumerate(words):
        rows.setdefault(word, row)
    if len(rows) < len(words):
        warnings.warn(f"{path}: {len(words) - len(rows)} of {len(words)} rows repeat an earlier "
                      "word and are dropped", stacklevel=3)
        words, vectors = list(rows), vectors[list(rows.values())]
    return words, vectors


# ---- writing ---------------------------------------------------------------

def check_table(words: Sequence[str], vectors: np.ndarray) -> np.ndarray:
    """Check a table.  -> vectors, (V, D) float32

    Raises ValueError unless there is a finite vector for each word, and the words are different.
    """
    with np.errstate(over="ignore"):
        vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) != len(words) or vectors.size == 0:
        raise ValueError(f"vectors: expected one for each of {len(words)} words, at least one, got "
                         f"shape {vectors.shape}")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise ValueError(f"vectors: expected finite float32 numbers, got nan or inf for "
                         f"{words[int(finite.argmin())]!r}")
    if len(set(words)) < len(words):
        word, times = Counter(words).most_common(1)[0]
        raise ValueError(f"words: expected different words, got {word!r} {times} times")
    return vectors


def refuse_spaces(parts, word=None):
    """ValueError for a part that is empty, contains ASCII white space or has no UTF-8 form.

    word: the word that the parts belong to, for the message; None: each part is a word
    """
    for part in parts:
        if not part or re.search(r"[ \t\n\v\f\r]", part):
            raise ValueError(f"cannot write the word {part if word is None else word!r}: white "
                             "space separates the fields of this format, and none may be empty")
        try:
            part.encode()
        except UnicodeEncodeError:
            raise ValueError(f"cannot write the word {part!r}: it has no UTF-8 form") from None


def _write_rows(file, words, vectors):
    """Write rows "word f f ... f\\n", each number with nine digits.

    Nine are enough for every float32, and faster to find than the fewest digits.
    """
    digits = " ".join(["%.9g"] * vectors.shape[1])
    for word, vector in zip(words, vectors):
        file.write(f"{word} {digits % tuple(vector.tolist())}\n".encode())


def shortest_digits(vector: np.ndarray) -> list[str]:
    """Each float32 in the fewest digits from which it is read again.  (D,) -> D strings"""
    digits = list(map(str, vector))
    read = np.array(list(map(float, digits)))      # through float64, as most readers do
    if np.array_equal(read.astype(np.float32), vector):
        return digits
    return [f"{value:.9g}" for value in vector]

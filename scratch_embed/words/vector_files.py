"""Word vectors as files: what word2vec, GloVe and fastText write is read, and they can read ours.

Bytes     word2vec text    "V D\\n", then V rows "word f f ... f\\n"
          fastText .vec    the same with 5 significant digits (read_word2vec_text reads it)
          word2vec binary  "V D\\n", then V times: the word, 0x20, D little-endian float32
          GloVe text       the rows of word2vec text without the header line; words may hold
                           spaces; a last row <unk>, if there is one, is a word like any other
Shapes    words: a list of V strings, vectors: (V, D) float32, in the file's order
Cost      one table in memory, and one row; a second table when words come twice
Differs   rows of word2vec's C and of fastText end in a space before the \\n, ours do not; in
          binary the C ends a row with \\n, gensim and we do not.  Both are read.
Read next words/vectors.py (what the vectors are asked)

Every reader takes plain or gzip-compressed bytes, whatever the file's name, and loads a whole
file or none of it.  A file that was cut short must not look like a smaller one, hence two rules:

- a text file ends with \\n.  All four tools write it, and without it "0.25" may be what is left
  of "0.2578125".
- in a binary file either every row ends with \\n or none does; the first row says which.

GloVe's text names no number of rows: a file cut exactly between two of them cannot be told.

Text holds the fewest digits from which the same float32 is read back, by way of float64 as well:
most readers (Python's, NumPy's, gensim's) round twice, first to float64.  There is one number,
7.038531e-26, whose fewest digits do not survive that, and it is written with nine.
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

LONGEST_WORD = 10_000                          # bytes; beyond, a binary file is something else

NOT_VECTORS = {                                # first bytes -> what the file is instead
    b"\x80": "a pickle, which can run any code and is never read; in gensim, write the vectors "
             "with save_word2vec_format",
    b"\xba\x16\x4f\x2f": "a fastText model, not a table of vectors; read the .vec file beside it",
}


def read_vectors(path: str | os.PathLike) -> tuple[list[str], np.ndarray]:
    """Words and vectors (V, D) of a file in any of these formats; its bytes say which.

    After a header comes word2vec's text if the first row's numbers are printable characters, and
    its binary form if not.  Without a header it is GloVe's text.
    """
    with _plain_bytes(path) as (file, size):
        if begins_like_safetensors(file.read(9)):
            raise FormatError(path, "byte 0", "this is a safetensors file, whose words are in a "
                              "file of their own; words/vector_tensors.py reads both, and "
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
    # D numbers take D digits and the D - 1 spaces between them, at the least
    if len(numbers) >= 2 * D - 1 and numbers.isascii() and numbers.decode().isprintable():
        return read_word2vec_text(path)
    return read_word2vec_binary(path)


# ---- word2vec, text --------------------------------------------------------

def read_word2vec_text(path: str | os.PathLike) -> tuple[list[str], np.ndarray]:
    """Words and vectors (V, D) of word2vec's text format, or fastText's .vec."""
    with _plain_bytes(path) as (file, size):
        V, D = _read_header(path, file, size, lambda D: 2 * D + 2)      # "w 0 0\n"
        words, vectors = [], np.empty((V, D), np.float32)
        for row in range(V):
            place = f"line {row + 2}"
            line = _read_line(path, place, file)
            if line.count(b" ") != D:
                raise FormatError(path, place, f"expected a word and {D} numbers, found "
                                               f"{line.count(b' ')} fields after the word")
            word, *numbers = line.split(b" ")
            words.append(decode_word(path, place, word))
            vectors[row] = _parse(path, place, numbers)
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
    """Words and vectors (V, D) of word2vec's binary format, as the C or gensim writes it."""
    with _plain_bytes(path) as (file, size):
        V, D = _read_header(path, file, size, lambda D: 4 * D + 2)      # one letter, 0x20, D x f4
        words, vectors = [], np.empty((V, D), np.float32)
        row_ends_in_newline = False
        for row in range(V):
            start = file.tell()
            place = f"row {row + 1} (byte {start})"
            word, numbers = _read_word(path, place, file), file.read(4 * D)
            if len(numbers) < 4 * D:
                raise FormatError(path, place, f"expected a word, a space and {4 * D} bytes; the "
                                               f"file ends after {size - start} bytes")
            words.append(decode_word(path, place, word))
            vectors[row] = np.frombuffer(numbers, "<f4")
            if not np.isfinite(vectors[row]).all():
                raise FormatError(path, place, "expected finite numbers, found nan or inf")
            if row == 0:
                row_ends_in_newline = file.peek(1)[:1] == b"\n"
            if row_ends_in_newline and file.read(1) != b"\n":
                raise FormatError(path, place, "expected a newline after it, as after row 1")
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
    """Words and vectors (V, D) of GloVe's text format.

    D is the number of numbers that end the first row.  Every row is split from the right; a word
    whose own last part is a number ("no 1") is refused, since its row may as well be too wide.
    """
    with _plain_bytes(path) as (file, size):
        V = sum(1 for _ in file)
        file.seek(0)
        words, D = [], None
        for row in range(V):
            place = f"line {row + 1}"
            line = _read_line(path, place, file)
            if D is None:
                D = _numbers_at_the_end(line)
                if D < 2:
                    raise FormatError(path, place, "expected a word and its numbers, two or more; "
                                                   "is this a text? `train` makes vectors of it")
                vectors = np.empty((V, D), np.float32)
            word, *numbers = line.rsplit(b" ", D)
            if len(numbers) < D or (b" " in word and _is_number(word.rsplit(b" ", 1)[1])):
                raise FormatError(path, place, f"expected a word and {D} numbers, as on line 1; "
                                               f"found {_numbers_at_the_end(line)} numbers")
            words.append(decode_word(path, place, word))
            vectors[row] = _parse(path, place, numbers)
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


# ---- what the readers share ------------------------------------------------

_SIZES = re.compile(rb"([0-9]+) ([0-9]+) ?\r?\n")


@contextlib.contextmanager
def _plain_bytes(path):
    """The file, unzipped if it is compressed, and the number of its plain bytes."""
    with open_binary(path) as (file, _):
        size = file.seek(0, os.SEEK_END)           # a damaged archive is found here, before use
        file.seek(0)
        if size == 0:
            raise FormatError(path, "byte 0", "expected word vectors, found an empty file")
        yield file, size


def _read_header(path, file, size, least_row):
    """V and D of the first line, refused when V rows of least_row(D) bytes exceed the file."""
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


def _read_word(path, place, file):
    """The bytes up to the next space, which is read too, or to the end of the file."""
    word = bytearray()
    while (letter := file.read(1)) not in (b" ", b""):
        word += letter
        if len(word) > LONGEST_WORD:
            raise FormatError(path, place, f"expected a word and a space, found {LONGEST_WORD} "
                                           "bytes without any")
    return bytes(word)


def _require_end(path, place, file, V):
    if file.read(1):
        raise FormatError(path, place, f"expected the end after {V} rows, as the first line says; "
                                       "found more")


def _read_line(path, place, file):
    """The next row of a text, without its end."""
    line = file.readline()
    if not line.endswith(b"\n"):
        found = "the file ends within it" if line else "the file ends before it"
        raise FormatError(path, place, f"expected a row and its newline; {found}")
    return line.rstrip(b" \r\n")


def _parse(path, place, numbers):
    """Decimal digits as float32.  numbers: D byte strings -> (D,)."""
    try:
        with np.errstate(over="ignore"):           # beyond float32 is inf, refused below
            vector = np.array(numbers, np.float32)
    except ValueError:
        vector = None
    if vector is None or b"_" in b"".join(numbers):          # Python takes 1_000, nobody else does
        wrong = next(n for n in numbers if b"_" in n or not _is_number(n))
        raise FormatError(path, place, f"expected a number, found {wrong[:40]!r}")
    if not np.isfinite(vector).all():
        raise FormatError(path, place, "expected finite float32 numbers, found nan, inf or one "
                                       "beyond 3.4e38")
    return vector


def decode_word(path: str | os.PathLike, place: str, word: bytes,
                empty: str = "none before the first space") -> str:
    """The word that these bytes are.  FormatError if they are not UTF-8, or `empty` if none."""
    try:
        text = word.decode()
    except UnicodeDecodeError as error:
        raise FormatError(path, place, f"expected a word in UTF-8, found {word[:40]!r} "
                                       f"({error.reason} at its byte {error.start})") from None
    if not text:
        raise FormatError(path, place, f"expected a word, found {empty}")
    return text


def _is_number(piece):
    """Would Python read it as a float?  (nan and inf are numbers here.)"""
    try:
        float(piece)
    except ValueError:
        return False
    return True


def _numbers_at_the_end(line):
    """How many pieces of the row, from the right, are numbers; the first piece is the word."""
    pieces = line.split(b" ")[1:]
    return next((n for n, piece in enumerate(reversed(pieces)) if not _is_number(piece)),
                len(pieces))


def keep_first(path: str | os.PathLike, words: list[str], vectors: np.ndarray
               ) -> tuple[list[str], np.ndarray]:
    """The table without the rows whose word came before: words, vectors (V, D); warns of them."""
    rows = {}
    for row, word in enumerate(words):
        rows.setdefault(word, row)
    if len(rows) < len(words):
        warnings.warn(f"{path}: {len(words) - len(rows)} of {len(words)} rows repeat an earlier "
                      "word and are left out", stacklevel=3)
        words, vectors = list(rows), vectors[list(rows.values())]
    return words, vectors


# ---- what the writers share ------------------------------------------------

def check_table(words: Sequence[str], vectors: np.ndarray) -> np.ndarray:
    """vectors as (V, D) float32; ValueError unless every word has one, finite and its own."""
    with np.errstate(over="ignore"):
        vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) != len(words) or vectors.size == 0:
        raise ValueError(f"expected one vector for each of {len(words)} words and at least one "
                         f"word; the vectors have shape {vectors.shape}")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        raise ValueError(f"the vector of {words[int(finite.argmin())]!r} is not finite in float32")
    if len(set(words)) < len(words):
        word, times = Counter(words).most_common(1)[0]
        raise ValueError(f"the word {word!r} comes {times} times; a word has one vector")
    return vectors


def refuse_spaces(parts, word=None):
    """ValueError for a part that is empty, holds ASCII white space or is not Unicode text."""
    for part in parts:
        if not part or re.search(r"[ \t\n\v\f\r]", part):
            raise ValueError(f"cannot write the word {part if word is None else word!r}: white "
                             "space separates the fields of this format, and none may be empty")
        try:
            part.encode()
        except UnicodeEncodeError:
            raise ValueError(f"cannot write the word {part!r}: it has no UTF-8 form") from None


def _write_rows(file, words, vectors):
    """Rows "word f f ... f\\n".  Nine digits give every float32 back, and take a fifth of the time
    that it would take to find the fewest.
    """
    digits = " ".join(["%.9g"] * vectors.shape[1])
    for word, vector in zip(words, vectors):
        file.write(f"{word} {digits % tuple(vector.tolist())}\n".encode())


def shortest_digits(vector: np.ndarray) -> list[str]:
    """Each float32 as the fewest digits that give it back, to be read.  (D,) -> D strings."""
    digits = list(map(str, vector))
    read = np.array(list(map(float, digits)))      # by way of float64, as most readers do
    if np.array_equal(read.astype(np.float32), vector):
        return digits
    return [f"{value:.9g}" for value in vector]

"""fastText's files: read and write a model (.bin), byte for byte, and write word vectors (.vec).

Bytes     .bin, version 12, little-endian (i1: int8, u1: uint8, i8: int64):
             0  the header: words/fasttext_header.py
            92  V + L entries: the word's bytes, 0x00, i8 its count, i1 0 for a word, 1 for a label;
                all words, then all labels, the most frequent first
                u1 0 (raw; 1: quantised), i8 V + buckets, i8 D, the input table, float32
                u1 0 (raw; 1: quantised), i8 V or L,      i8 D, the output table, float32
          .vec   "V D\\n", then V rows "word f f ... f \\n" of 5 significant digits
Shapes    input (V + buckets, D): a row for each word, then those that n-grams share; output
          (L, D) of a supervised model, (V, D) of others; with "hs" its last row is not used
Cost      memory for the tables and the words, and about 1 MiB more
Differs   the original checks little more than the first 8 bytes: it loads a truncated file without
          an error, or uses all memory in search of the end of a word.  Not supported here:
          quantised models (.ftz).  Older versions are read, and written as version 12.  Not in the
          file: the prefix of labels ("__label__") and the learning rate.
Read next words/fasttext_vectors.py (word vectors), words/subwords.py (their rows)

How damage is detected.  The header and the entries determine the exact size of the rest, so a file
that is too short or too long is refused before memory is allocated for the tables.  Their shapes
are in the file twice, and must agree.  A count must be at least 1 and at most the count before
it, the sum of the counts at most n_tokens, and each word or label must occur once.  The format has
no checksum, so damage that results in another valid model is not detected: a changed letter, a
slightly different count, a setting that does not affect the shapes, a number that stays finite.
"""
import io
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import finite
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write, open_binary, rewind
from scratch_embed.numerics.memory import require_memory
from scratch_embed.text.vocab import Vocab
from scratch_embed.words.fasttext_header import (
    HEADER,
    LOSSES,
    MAGIC,
    MODELS,
    SMALLEST_ENTRY,
    VERSION,
    Settings,
    read_header,
    wrong_setting,
    wrong_sizes,
)
from scratch_embed.words.tables import KEEP, WordReader, check_table, refuse_spaces, word_bytes

COUNT_AND_TYPE = struct.Struct("<qb")
TABLE_SIZES = struct.Struct("<B2q")                # 1 if quantised, rows, columns
OLD_TABLE_SIZES = struct.Struct("<2q")             # without a version; nothing was quantised yet
WORD, LABEL = 0, 1                                 # types of entries
BLOCK = 2**20                                      # bytes of a table read at a time


class BinModel(NamedTuple):
    """The content of a .bin: V words, L labels (L = 0 unless it is supervised), D = dim."""

    settings: Settings
    words: list[str]
    counts: np.ndarray             # (V,) int64, not increasing
    labels: list[str]              # including their prefix
    label_counts: np.ndarray       # (L,) int64, not increasing
    n_tokens: int                  # of the text, including words too rare for `words`
    input: np.ndarray              # (V + buckets, D) float32
    output: np.ndarray             # (L, D) if supervised, else (V, D); float32


def word_model(vocab: Vocab, W: np.ndarray, U: np.ndarray, settings: Settings) -> BinModel:
    """The BinModel of words/fasttext.train's result: W (V + buckets, D), U (V, D).

    settings: those of the training run, but dim and buckets come from W; n_tokens is Σ counts.
    """
    settings = settings._replace(dim=W.shape[1], buckets=len(W) - len(vocab))
    return BinModel(settings, vocab.words, vocab.counts, [], np.zeros(0, np.int64),
                    int(vocab.counts.sum()), W, U)


# ---- checks for reading and writing -----------------------------------------------------------

def _wrong_entry(word, count, most, seen):
    """What is wrong with a word or label and its count, or None.

    most: the count of the entry before; n_tokens for the first
    """
    if "\0" in word:
        return "expected no 0x00 in a word, which ends there"
    if word in seen:
        return "expected each word and label once; this one is repeated"
    if not 1 <= count <= most:
        return (f"expected a count from 1 to {most}, since the most frequent come first; "
                f"found {count}")
    return None


def _shapes(settings, V, L):
    """The shapes of the input and of the output table."""
    targets = L if settings.model == "supervised" else V
    return (V + settings.buckets, settings.dim), (targets, settings.dim)


# ---- reading a .bin --------------------------------------------------------------------------

def read_bin(source: str | os.PathLike | io.IOBase, errors: str = KEEP) -> BinModel:
    """Read a .bin, plain or gzip-compressed, from a path or a file open in mode "rb".

    errors: for words that are not UTF-8; see words/tables.py
    Raises a FormatError that names the byte if the file is damaged or of another version.
    """
    with open_binary(source) as (file, path):
        size = rewind(file, path)
        settings, V, L, n_tokens, version = read_header(path, file, size)
        seen, reader = set(), WordReader(path, errors)
        words, counts = _read_entries(path, file, V, WORD, n_tokens, reader, seen)
        labels, label_counts = _read_entries(path, file, L, LABEL, n_tokens, reader, seen)
        reader.warn()
        total = sum(counts.tolist()) + sum(label_counts.tolist())      # an int64 might overflow
        if total > n_tokens:
            raise FormatError(path, "byte 76", f"expected at least {total} tokens, the sum of the "
                                               f"counts; found {n_tokens}")
        input, output = _shapes(settings, V, L)
        sizes = TABLE_SIZES if version else OLD_TABLE_SIZES
        _check_rest(path, file, size, (input, output), sizes)
        return BinModel(settings, words, counts, labels, label_counts, n_tokens,
                        _read_table(path, file, "input", input, sizes),
                        _read_table(path, file, "output", output, sizes))


def _read_entries(path, file, n, kind, n_tokens, reader, seen):
    """Read n words (or labels) and their counts (n,).  seen: the names so far, updated"""
    words, counts, most, at = [], np.empty(n, np.int64), n_tokens, file.tell()
    for i in range(n):
        name, numbers = _read_to_zero(file), file.read(COUNT_AND_TYPE.size)
        if len(numbers) < COUNT_AND_TYPE.size:
            raise FormatError(path, f"byte {at}", "expected a word, 0x00 and 9 bytes; the file "
                                                  "ends within them")
        word = reader.decode(f"byte {at}", name)
        count, found = COUNT_AND_TYPE.unpack(numbers)
        problem = _wrong_entry(word, count, most, seen)
        if found != kind:
            problem = f"expected type {kind} (0: words, all before 1: labels), found {found}"
        if problem:
            raise FormatError(path, f"byte {at}", f"{word[:40]!r}: {problem}")
        words.append(word)
        seen.add(word)
        counts[i] = most = count
        at += len(name) + SMALLEST_ENTRY
    return words, counts


def _read_to_zero(file):
    """Read up to the next 0x00, or to the end.  -> the bytes before it"""
    word = bytearray()
    while ready := file.peek(1):
        end = ready.find(0)
        word += file.read(len(ready) if end < 0 else end + 1)
        if end >= 0:
            return bytes(word[:-1])
    return bytes(word)


def _check_rest(path, file, size, shapes, sizes):
    """FormatError unless the rest of the file has the size of two raw tables of these shapes."""
    at = file.tell()
    if sizes is TABLE_SIZES and file.peek(1)[:1] == b"\1":
        raise FormatError(path, f"byte {at}", "expected 0, found 1: a quantised model (.ftz), whose"
                          " numbers are rounded; use the .bin it was made from")
    need = sum(sizes.size + 4 * rows * columns for rows, columns in shapes)
    if size - at != need:
        problem = "truncated" if size - at < need else "more follows"
        raise FormatError(path, f"byte {at}", f"expected {need} bytes for tables of {shapes[0]} "
                                              f"and {shapes[1]}; found {size - at}: {problem}")
    require_memory(need, f"the model of {path}")


def _read_table(path, file, name, shape, sizes):
    """Read one raw table into an array.  FormatError for numbers that are not finite."""
    at, (rows, columns) = file.tell(), shape
    found = sizes.unpack(file.read(sizes.size).ljust(sizes.size, b"?"))  # if truncated meanwhile
    quantised, *found = found if sizes is TABLE_SIZES else (0, *found)
    if quantised or found != [rows, columns]:
        raise FormatError(path, f"byte {at}", f"expected 0 (raw), {rows} and {columns}, the shape "
                          f"of the {name} table; found {quantised}, {found[0]} and {found[1]}")
    table = np.empty((rows, columns), "<f4")
    n = max(1, BLOCK // (4 * columns))             # rows read at a time
    for start in range(0, rows, n):
        block = table[start:start + n]
        at = file.tell()
        if file.readinto(memoryview(block).cast("B")) < block.nbytes:
            raise FormatError(path, f"byte {at}", f"expected {block.nbytes} bytes of the {name} "
                                                  "table; the file was truncated while it was read")
        good = np.isfinite(block)
        if not good.all():
            first = int(good.argmin())
            raise FormatError(path, f"byte {at + 4 * first}", "expected finite numbers, found "
                              f"{block.flat[first]} in row {start + first // columns} of the "
                              f"{name} table")
    return table.astype(np.float32, copy=False)    # copies only on big-endian machines


# ---- writing a .bin --------------------------------------------------------------------------

def write_bin(path: str | os.PathLike, model: BinModel) -> None:
    """Write the model to `path`, byte for byte as the original would.

    Raises ValueError for a model that read_bin would refuse; an existing file is then kept.
    """
    input, output = _check_model(model)
    s = model.settings
    numbers = (s._asdict() | {"loss": LOSSES.index(s.loss) + 1, "model": MODELS.index(s.model) + 1}
               ).values()
    V, L = len(model.words), len(model.labels)
    with atomic_write(path) as file:
        file.write(HEADER.pack(MAGIC, VERSION, *numbers, V + L, V, L, model.n_tokens, -1))
        for kind, words, counts in ((WORD, model.words, model.counts),
                                    (LABEL, model.labels, model.label_counts)):
            for word, count in zip(words, counts):
                file.write(word_bytes(word) + b"\0" + COUNT_AND_TYPE.pack(count, kind))
        for table in input, output:
            file.write(TABLE_SIZES.pack(0, *table.shape))
            file.write(table.data)


def _check_model(model):
    """The two tables in the file's form.  ValueError for a model that read_bin would refuse."""
    settings, V, L = model.settings, len(model.words), len(model.labels)
    if wrong := wrong_setting(settings):
        raise ValueError(f"the setting {wrong[0]}: {wrong[1]}")
    if problem := wrong_sizes(settings, V, L):
        raise ValueError(problem)
    seen, total = set(), 0
    for words, counts in (model.words, model.counts), (model.labels, model.label_counts):
        if len(words) != len(counts):
            raise ValueError(f"counts: expected one for each of {len(words)} words or labels, got "
                             f"{len(counts)}")
        most = model.n_tokens
        for word, count in zip(words, counts):
            if problem := _wrong_entry(word, count, most, seen):
                raise ValueError(f"{word!r}: {problem}")
            seen.add(word)
            most, total = count, total + int(count)
    if not total <= model.n_tokens < 2**63:
        raise ValueError(f"n_tokens: expected at least {total}, the sum of the counts; "
                         f"found {model.n_tokens}")
    input, output = _shapes(settings, V, L)
    return _plain("input", model.input, input), _plain("output", model.output, output)


def _plain(name, table, shape):
    """The table as row-major little-endian float32, copied only if necessary.  Checks its shape."""
    if np.shape(table) != shape:
        raise ValueError(f"the {name} table: expected shape {shape}, got {np.shape(table)}")
    with np.errstate(over="ignore"):               # beyond float32 it is inf, an error below
        table = np.asarray(table, "<f4", order="C")
    if not finite(table):
        raise ValueError(f"the {name} table: expected finite float32 numbers, got nan or inf")
    return table


# ---- .vec ------------------------------------------------------------------------------------

def write_vec(path: str | os.PathLike, words: Sequence[str], vectors: np.ndarray) -> None:
    """Write fastText's .vec.  words: V strings without white space, vectors: (V, D).

    Numbers have 5 significant digits.  vector_files.read_vectors reads the file.
    """
    vectors = check_table(words, vectors)
    refuse_spaces(words)
    numbers = "%.5g " * vectors.shape[1]
    with atomic_write(path) as file:
        file.write(b"%d %d\n" % vectors.shape)
        for word, vector in zip(words, vectors):
            file.write(b"%b %b\n" % (word_bytes(word),
                                     (numbers % tuple(vector.tolist())).encode()))

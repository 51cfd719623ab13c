"""fastText's files: read and write a model (.bin), byte for byte, and write word vectors (.vec).

Bytes     .bin, version 12, little-endian (i4: int32, f8: float64, u1: uint8):
             0  i4 793712314 (marks the format), i4 12 (the version)
             8  12 × i4: Settings from dim to lr_update_rate; loss and model as
                numbers from 1 (LOSSES, MODELS)
            56  f8 sample
            64  i4 V + L, i4 V words, i4 L labels, i8 n_tokens, i8 −1 (0 or more: a pruned model)
            92  V + L entries: the word's bytes, 0x00, i8 its count, i1 0 for a word, 1 for a label;
                all words, then all labels, the most frequent first
                u1 0 (raw; 1: quantised), i8 V + buckets, i8 D, the input table, float32
                u1 0 (raw; 1: quantised), i8 V or L,      i8 D, the output table, float32
          .vec   "V D\\n", then V rows "word f f ... f \\n" of 5 significant digits
Shapes    input (V + buckets, D): a row for each word, then those that n-grams share; output
          (L, D) of a supervised model, (V, D) of others; with "hs" its last row is not used
Cost      memory for the tables and the words, and about 1 MiB more
Differs   the original checks little more than the first 8 bytes: it loads a truncated file without
          an error, or uses all memory in search of the end of a word.  Not supported here: version
          11, which has no character n-grams in supervised models, and quantised models (.ftz).
          Not in the file: the prefix of labels ("__label__") and the learning rate.
Read next words/fasttext_vectors.py (word vectors), words/subwords.py (their rows)

How damage is detected.  The header and the entries determine the exact size of the rest, so a file
that is too short or too long is refused before memory is allocated for the tables.  Their shapes
are in the file twice, and must agree.  A count must be at least 1 and at most the count before
it, the sum of the counts at most n_tokens, and each word or label must occur once.  The format has
no checksum, so damage that results in another valid model is not detected: a changed letter, a
slightly different count, a setting that does not affect the shapes, a number that stays finite.
"""
import io
import math
import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import finite
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write, open_binary
from scratch_embed.numerics.memory import require_memory
from scratch_embed.text.vocab import Vocab
from scratch_embed.words.subwords import to_bytes
from scratch_embed.words.vector_files import check_table, refuse_spaces

MAGIC, VERSION = 793712314, 12
LOSSES = ("hs", "ns", "softmax", "ova")            # 1, 2, 3, 4 in the file
MODELS = ("cbow", "skipgram", "supervised")        # 1, 2, 3
HEADER = struct.Struct("<2i12id3i2q")
COUNT_AND_TYPE = struct.Struct("<qb")
TABLE_SIZES = struct.Struct("<B2q")                # 1 if quantised, rows, columns
SMALLEST_ENTRY = 1 + 1 + COUNT_AND_TYPE.size       # one letter and 0x00
WORD, LABEL = 0, 1                                 # types of entries
BLOCK = 2**20                                      # bytes of a table read at a time


class Settings(NamedTuple):
    """The training settings, in the file's order.  The defaults are fastText's for word vectors."""

    dim: int = 100
    window: int = 5
    epochs: int = 5
    min_count: int = 5
    negatives: int = 5
    word_ngrams: int = 1           # the longest word n-grams of a supervised model
    loss: str = "ns"               # one of LOSSES
    model: str = "skipgram"        # one of MODELS
    buckets: int = 2_000_000
    min_n: int = 3
    max_n: int = 6
    lr_update_rate: int = 100      # words that a thread reads between updates of its learning rate
    sample: float = 1e-4


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

def _wrong_setting(settings):
    """(name, what is wrong) of the first setting out of range, or None."""
    for name, value in settings._asdict().items():
        if name in ("loss", "model"):
            if value not in (allowed := LOSSES if name == "loss" else MODELS):
                return name, f"expected one of {', '.join(allowed)}; found {value!r}"
        elif name == "sample":
            if not (math.isfinite(value) and value >= 0):
                return name, f"expected a finite number, 0 or more; found {value}"
        elif not (isinstance(value, (int, np.integer)) and (name == "dim") <= value < 2**31):
            return name, (f"expected a whole number from {int(name == 'dim')} to 2³¹ − 1; "
                          f"found {value!r}")
    s = settings
    if s.buckets == 0 and (s.max_n >= max(s.min_n, 1) or s.word_ngrams > 1):
        return "buckets", "expected at least 1, since there are n-grams; found 0"
    return None


def _wrong_sizes(settings, V, L):
    """What is wrong with V words and L labels under these settings, or None."""
    least = int(settings.model == "supervised")
    if V < 1 or L < least:
        return f"expected at least 1 word and {least} labels; found {V} and {L}"
    if max(V + L, V + settings.buckets) >= 2**31:
        return (f"{V} words, {L} labels and {settings.buckets} buckets are more than an int32 "
                "can number")
    return None


def _wrong_entry(word, count, most, seen):
    """What is wrong with a word or label and its count, or None.

    most: the count of the entry before; n_tokens for the first
    """
    if not word:
        return "expected a word, found none"
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

def read_bin(source: str | os.PathLike | io.IOBase, errors: str = "strict") -> BinModel:
    """Read a .bin, plain or gzip-compressed, from a path or a file open in mode "rb".

    errors: for words that are not UTF-8, which occur in published models; "surrogateescape" keeps
    their bytes (subwords.to_bytes and write_bin restore them).
    Raises a FormatError that names the byte if the file is damaged or not of version 12.
    """
    with open_binary(source) as (file, path):
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        settings, V, L, n_tokens = _read_header(path, file, size)
        seen = set()
        words, counts = _read_entries(path, file, V, WORD, n_tokens, errors, seen)
        labels, label_counts = _read_entries(path, file, L, LABEL, n_tokens, errors, seen)
        total = sum(counts.tolist()) + sum(label_counts.tolist())      # an int64 might overflow
        if total > n_tokens:
            raise FormatError(path, "byte 76", f"expected at least {total} tokens, the sum of the "
                                               f"counts; found {n_tokens}")
        input, output = _shapes(settings, V, L)
        _check_rest(path, file, size, (input, output))
        return BinModel(settings, words, counts, labels, label_counts, n_tokens,
                        _read_table(path, file, "input", *input),
                        _read_table(path, file, "output", *output))


def _read_header(path, file, size):
    """Settings, V, L and n_tokens."""
    header = file.read(HEADER.size)
    if header[:4] != struct.pack("<i", MAGIC):
        raise FormatError(path, "byte 0", f"expected {struct.pack('<i', MAGIC)!r}, with which a "
                                          f"fastText model begins; found {header[:4]!r}")
    if len(header) < HEADER.size:
        raise FormatError(path, f"byte {len(header)}", f"expected {HEADER.size} bytes of numbers; "
                                                       "the file ends within them")
    _, version, *numbers, sample, entries, V, L, n_tokens, pruned = HEADER.unpack(header)
    if version != VERSION:
        raise FormatError(path, "byte 4", f"expected version {VERSION}, found {version}; fastText "
                          "itself loads version 11, and saves it as 12")
    settings = Settings._make([*numbers, sample])
    settings = settings._replace(loss=_named(LOSSES, settings.loss),
                                 model=_named(MODELS, settings.model))
    if wrong := _wrong_setting(settings):
        name, problem = wrong
        raise FormatError(path, f"byte {8 + 4 * Settings._fields.index(name)}",
                          f"{name}: {problem}")
    if pruned != -1:
        raise FormatError(path, "byte 84", f"expected −1, found {pruned}: a pruned model (.ftz), "
                          "which lacks rows; use the .bin it was made from")
    if problem := _wrong_sizes(settings, V, L):
        raise FormatError(path, "byte 68", problem)
    if entries != V + L:
        raise FormatError(path, "byte 64", f"expected {V} words + {L} labels = {V + L} entries; "
                                           f"found {entries}")
    if entries * SMALLEST_ENTRY > size - HEADER.size:
        raise FormatError(path, "byte 64", f"{entries} words take at least "
                          f"{entries * SMALLEST_ENTRY} bytes, and {size - HEADER.size} follow: "
                          "truncated, or a damaged header")
    return settings, V, L, n_tokens


def _named(names, number):
    """The name with this number, counted from 1; or the number itself, which is refused later."""
    return names[number - 1] if 1 <= number <= len(names) else number


def _read_entries(path, file, n, kind, n_tokens, errors, seen):
    """Read n words (or labels) and their counts (n,).  seen: the names so far, updated"""
    words, counts, most, at = [], np.empty(n, np.int64), n_tokens, file.tell()
    for i in range(n):
        name, numbers = _read_to_zero(file), file.read(COUNT_AND_TYPE.size)
        if len(numbers) < COUNT_AND_TYPE.size:
            raise FormatError(path, f"byte {at}", "expected a word, 0x00 and 9 bytes; the file "
                                                  "ends within them")
        try:
            word = name.decode("utf-8", errors)
        except UnicodeDecodeError as error:
            raise FormatError(path, f"byte {at}", f"expected a word in UTF-8, found {name[:40]} "
                              f"({error.reason} at its byte {error.start}); "
                              'errors="surrogateescape" takes it as it is') from None
        count, found = COUNT_AND_TYPE.unpack(numbers)
        problem = _wrong_entry(word, count, most, seen)
        if found != kind:
            problem = f"expected type {kind} (0: words, all before 1: labels), found {found}"
        if problem:
            raise FormatError(path, f"byte {at}", f"{word[:40]!r}: {problem}")
        words.append(word)
        seen.add(word)
        counts[i] = most = count
        at += len(name) + SMALLEST_ENTRY - 1
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


def _check_rest(path, file, size, shapes):
    """FormatError unless the rest of the file has the size of two raw tables of these shapes."""
    at = file.tell()
    if file.peek(1)[:1] == b"\1":
        raise FormatError(path, f"byte {at}", "expected 0, found 1: a quantised model (.ftz), whose"
                          " numbers are rounded; use the .bin it was made from")
    need = sum(TABLE_SIZES.size + 4 * rows * columns for rows, columns in shapes)
    if size - at != need:
        problem = "truncated" if size - at < need else "more follows"
        raise FormatError(path, f"byte {at}", f"expected {need} bytes for tables of {shapes[0]} "
                                              f"and {shapes[1]}; found {size - at}: {problem}")
    require_memory(need, f"the model of {path}")


def _read_table(path, file, name, rows, columns):
    """Read one raw table into an array.  FormatError for numbers that are not finite."""
    at = file.tell()
    sizes = file.read(TABLE_SIZES.size).ljust(TABLE_SIZES.size, b"?")     # if truncated meanwhile
    quantised, *found = TABLE_SIZES.unpack(sizes)
    if quantised or found != [rows, columns]:
        raise FormatError(path, f"byte {at}", f"expected 0 (raw), {rows} and {columns}, the shape "
                          f"of the {name} table; found {quantised}, {found[0]} and {found[1]}")
    table = np.empty((rows, columns), "<f4")
    step = max(1, BLOCK // (4 * columns))
    for start in range(0, rows, step):
        block = table[start:start + step]
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
                file.write(to_bytes(word) + b"\0" + COUNT_AND_TYPE.pack(count, kind))
        for table in input, output:
            file.write(TABLE_SIZES.pack(0, *table.shape))
            file.write(table.data)


def _check_model(model):
    """The two tables in the file's form.  ValueError for a model that read_bin would refuse."""
    settings, V, L = model.settings, len(model.words), len(model.labels)
    if wrong := _wrong_setting(settings):
        raise ValueError(f"the setting {wrong[0]}: {wrong[1]}")
    if problem := _wrong_sizes(settings, V, L):
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
            file.write(f"{word} {numbers % tuple(vector.tolist())}\n".encode())

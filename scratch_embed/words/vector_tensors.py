"""Word vectors as safetensors: the table in one file, its words in another, checked to match.

Bytes     x.safetensors  the tensor "vectors" (V, D) float32, and the metadata
                         {"vocabulary_size": V, "vocabulary_sha256": SHA-256 of x.vocab.txt,
                         "tokenizer": how the training text was split, as JSON, if it is known}
          x.vocab.txt    V words in UTF-8, each followed by \\n; word i belongs to row i
Shapes    words: a list of V strings, vectors: (V, D) float32
Cost      memory for one table and the words, and for a second table while float64, float16 or
          bfloat16 is converted; other tensors of the file are not read
Read next numerics/safetensors.py (the format), words/vector_files.py (words and numbers together)

Why the digest?  A row does not contain its word.  With a wrong vocabulary of the right length the
table would load without an error, and every result would be wrong.  So such a pair is refused.

Two files cannot be replaced in one step.  Both are written under temporary names before either is
renamed, so a full disk or an error leaves the old pair.  If the process is killed between the two
renames, the new table is beside the old words.  They do not match its digest, so this pair is
refused; the new words are then in a file x.vocab.txt.*.  The table is renamed first: what is left
under a temporary name is deleted by the next save, and words are easier to make again than a
trained table.  If the words do not change, as when a model is saved repeatedly, the pair
is always valid.

A table written by another program (such as a checkpoint's embedding, with its vocab.txt) has no
digest; then only the number of words is checked.
"""
import codecs
import hashlib
import json
import os
from collections.abc import Sequence

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.interrupt import held_interrupt
from scratch_embed.numerics.json_files import Fields, parse
from scratch_embed.numerics.safetensors import read_header, read_safetensors, write_safetensors
from scratch_embed.text.word_tokenizer import WordTokenizer, from_fields
from scratch_embed.words.tables import (
    KEEP,
    WordReader,
    check_table,
    finite_table,
    keep_first,
    word_bytes,
)

FLOATS = ("F64", "F32", "F16", "BF16")


def vocabulary_beside(path: str | os.PathLike) -> str:
    """The path of the words of x.safetensors or x.npy: x.vocab.txt in the same folder."""
    stem, suffix = os.path.splitext(path)
    own = suffix.lower() in (".safetensors", ".npy")
    return (stem if own else os.fspath(path)) + ".vocab.txt"


# ---- writing ---------------------------------------------------------------

def write_vectors_safetensors(path: str | os.PathLike, words: Sequence[str], vectors: np.ndarray,
                              tokenizer: WordTokenizer | None = None) -> None:
    """Write the table to `path` and the words to vocabulary_beside(path).

    words: V different strings, not empty, without line ends; spaces are allowed.
    vectors: (V, D), finite in float32.  tokenizer: read_tokenizer reads it.
    """
    vectors = check_table(words, vectors)
    listed = b"".join(map(vocabulary_line, words))
    refuse_to_replace_words(path, listed)
    with held_interrupt(), atomic_write(vocabulary_beside(path)) as file:
        file.write(listed)
        file.flush()
        os.fsync(file.fileno())                    # raises if the disk is full, before the renames
        write_safetensors(path, {"vectors": vectors}, {
            "vocabulary_size": str(len(words)),
            "vocabulary_sha256": hashlib.sha256(listed).hexdigest(),
            **({} if tokenizer is None else {"tokenizer": json.dumps(tokenizer._asdict())})},
                          checksum=True)


def refuse_to_replace_words(path: str | os.PathLike, listed: bytes) -> None:
    """ValueError if the words of a new table would replace those of another table.

    path: the new table, x.npy or x.safetensors; the other is x.safetensors or x.npy, if it exists.
    Both have their words in x.vocab.txt.  listed: the bytes of this file for the new table
    """
    vocab_path = vocabulary_beside(path)
    stem, suffix = os.path.splitext(path)
    other = stem + {".npy": ".safetensors", ".safetensors": ".npy"}.get(suffix.lower(), ".?")
    if os.path.exists(other) and os.path.exists(vocab_path):
        with open(vocab_path, "rb") as file:
            if file.read() != listed:
                raise ValueError(f"cannot write {path}: its words would replace those of {other} "
                                 f"in {vocab_path}; choose another name")


def vocabulary_line(word: str) -> bytes:
    """A word and its \\n, in bytes.  ValueError for an empty word or one with a line end."""
    if not word or "\n" in word or "\r" in word:
        raise ValueError(f"cannot write the word {word!r}: the vocabulary has one word per line, "
                         "so a word must not be empty or contain a line end")
    return word_bytes(word) + b"\n"


# ---- reading ---------------------------------------------------------------

def read_vectors_safetensors(path: str | os.PathLike, vocab_path: str | os.PathLike | None = None,
                             name: str | None = None, errors: str = KEEP
                             ) -> tuple[list[str], np.ndarray]:
    """Read a safetensors file and its vocabulary.  -> words, vectors (V, D) float32

    vocab_path  the vocabulary, one word per line; default: vocabulary_beside(path)
    name        the name of the tensor, if the file has several tables (2-d floating point)
    errors      for words that are not UTF-8; see words/tables.py
    Raises      FormatError if a file is damaged or the two do not match, FileNotFoundError if one
                is missing, ValueError that lists the tables if `name` does not select one
    """
    vocab_path = vocabulary_beside(path) if vocab_path is None else os.fspath(vocab_path)
    listed = read_vocabulary(path, vocab_path)    # first, since it is small and may be missing
    name = _choose_table(path, name)
    tensors, metadata = read_safetensors(path, [name])
    words = split_words(path, vocab_path, listed, metadata.get("vocabulary_sha256"),
                        errors)
    vectors = tensors[name]
    where = f"tensor {name!r}"
    count = metadata.get("vocabulary_size", str(len(vectors)))
    if count != str(len(vectors)):
        raise FormatError(path, where, f"expected {count} rows, as the metadata say, found "
                                       f"{len(vectors)}")
    if len(words) != len(vectors):
        raise FormatError(path, where, f"expected a row for each of the {len(words)} words of "
                                       f"{vocab_path}, found {len(vectors)} rows")
    if vectors.size == 0:
        raise FormatError(path, where, f"expected at least one row and one column, found shape "
                                       f"{vectors.shape}")
    return keep_first(path, words, finite_table(path, where, words, vectors))


def read_tokenizer(path: str | os.PathLike) -> WordTokenizer | None:
    """The tokenizer that a safetensors file stores, or None.  FormatError for a damaged one."""
    _, metadata = read_header(path)
    if "tokenizer" not in metadata:
        return None
    place = "its tokenizer"
    return from_fields(Fields(path, parse(path, place, metadata["tokenizer"].encode()), place))


def _choose_table(path, name):
    """The name of the tensor to read: `name`, or that of the only table."""
    entries, _ = read_header(path)
    tables = {key: entry.shape for key, entry in entries.items()
              if len(entry.shape) == 2 and entry.dtype in FLOATS}
    listed = ", ".join(f"{key!r} {shape}" for key, shape in tables.items()) or "none"
    if name is None and len(tables) == 1:
        return next(iter(tables))
    if name is None:
        raise ValueError(f"{path}: expected one table of vectors (V, D), found {len(tables)}: "
                         f"{listed}" + ("; choose one by its name" if tables else ""))
    if name not in tables:
        raise ValueError(f"{path}: expected the name of a table, got {name!r}; the tables are: "
                         f"{listed}")
    return name


def read_vocabulary(path: str | os.PathLike, vocab_path: str | os.PathLike) -> bytes:
    """Read the file of words.  -> its bytes"""
    try:
        with open(vocab_path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: its file of words is missing, there is no "
                                f"{vocab_path}; give another with vocab_path") from None


def split_words(path: str | os.PathLike, vocab_path: str | os.PathLike, data: bytes,
                digest: str | None = None, errors: str = KEEP) -> list[str]:
    """Split a vocabulary into words.  FormatError if it is damaged or `digest` is not its own."""
    found = hashlib.sha256(data).hexdigest()
    if digest is None:                             # other programs may write a byte order mark
        data = data.removeprefix(codecs.BOM_UTF8)
    elif found != digest:
        raise FormatError(vocab_path, "its SHA-256", f"expected {digest}, as {path} says, found "
                          f"{found}: these are not the words of that table; if saving was "
                          f"interrupted, they may be in a file {os.path.basename(vocab_path)}.*")
    *lines, rest = data.split(b"\n")
    if rest:
        raise FormatError(vocab_path, f"line {len(lines) + 1}", "expected a newline after the "
                          "word; the file is truncated, or its last line lacks it")
    reader = WordReader(vocab_path, errors)
    words = [reader.not_empty(f"line {row + 1}", line.removesuffix(b"\r"), "an empty line")
             for row, line in enumerate(lines)]
    reader.warn()
    return words

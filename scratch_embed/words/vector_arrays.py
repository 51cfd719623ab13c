"""Word vectors as a NumPy array: the table in x.npy, its words in x.vocab.txt.

Bytes     x.npy        (V, D) float32, as numpy.save writes it
          x.vocab.txt  V words in UTF-8, each followed by \\n; word i belongs to row i
Shapes    words: a list of V strings, vectors: (V, D)
Cost      memory for one table and the words
Read next words/vector_tensors.py (the same with a digest that detects the wrong words)

NumPy, faiss, scikit-learn and PyTorch read the array as it is; gensim does not.  An array does not
say which words are its rows, so only their number is checked: prefer .safetensors, which stores a
digest of the words, where you have the choice.
"""
import os
from collections.abc import Sequence

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.npy import write_npy
from scratch_embed.words.tables import KEEP, check_table, finite_table, keep_first
from scratch_embed.words.vector_tensors import (
    read_vocabulary,
    refuse_to_replace_words,
    split_words,
    vocabulary_beside,
    vocabulary_line,
)


def write_vectors_npy(path: str | os.PathLike, words: Sequence[str], vectors: np.ndarray) -> None:
    """Write the table to `path` and the words to vocabulary_beside(path).

    words: V different strings, not empty, without line ends; vectors: (V, D), finite in float32.
    Raises ValueError if x.vocab.txt has the words of another table, x.safetensors.
    """
    vectors = check_table(words, vectors)
    listed = b"".join(map(vocabulary_line, words))
    refuse_to_replace_words(path, listed)
    with atomic_write(vocabulary_beside(path)) as file:
        file.write(listed)
        write_npy(path, vectors)


def read_vectors_npy(path: str | os.PathLike, errors: str = KEEP
                     ) -> tuple[list[str], np.ndarray]:
    """Read an array and its vocabulary.  -> words, vectors (V, D) float32

    errors: for words that are not UTF-8; see words/tables.py
    Raises FormatError if a file is damaged or the two do not match, FileNotFoundError if one is
    missing.
    """
    vocab_path = vocabulary_beside(path)
    listed = read_vocabulary(path, vocab_path)
    try:                                               # mapped, so that the size is checked first
        vectors = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise FormatError(path, "its array", f"expected what numpy.save writes, found damage "
                                             f"({error})") from None
    words = split_words(path, vocab_path, listed, errors=errors)
    if vectors.ndim != 2 or vectors.dtype.kind != "f" or vectors.size == 0:
        raise FormatError(path, "its array", "expected floating-point numbers of shape (V, D), "
                          f"found {vectors.dtype} {vectors.shape}")
    if len(words) != len(vectors):
        raise FormatError(path, "its array", f"expected a row for each of the {len(words)} words "
                          f"of {vocab_path}, found {len(vectors)} rows")
    return keep_first(path, words, finite_table(path, "its array", words, np.array(vectors)))

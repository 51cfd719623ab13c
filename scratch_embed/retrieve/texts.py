"""A searchable file of texts: the lines, their vectors, and a description of the model.

Shapes    n lines, numbered from 1 as in an editor; blank lines are counted but not indexed.
          vectors (M, D) of the M indexed lines; a search returns line numbers and scores (Q, k)
Bytes     one safetensors file: that of an Index whose ids are the line numbers (Index.load reads
          it too), with the tensors line_text and line_ends and the metadata `lines` and `made_by`
Cost      that of retrieve/index.py and retrieve/bm25.py; bm25_search() builds a new BM25 index at
          each call
Read next retrieve/index.py (vectors), retrieve/bm25.py (words), retrieve/hybrid.py (both)

Why store `made_by`?  An index outlives the program that made it, and a query must be encoded by the
same model as the lines.  A query encoded by another model, or by the same model after more
training, also gets scores, but they mean nothing.  This file does not depend on a model: the caller
chooses `made_by`, and compares it after loading.

A query without a known word has the zero vector, whose cosine with every line is 0.  Its list is
empty: the first k lines, if returned, would seem to have been found.
"""
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from scratch_embed.numerics.checks import require_unicode
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import parse
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.index_files import strings_as_tensors, strings_from_tensors
from scratch_embed.retrieve.lists import NO_ID

BATCH_SIZE = 10_000                     # lines per call of encode

Encode = Callable[[list[str]], np.ndarray]
Lists = tuple[np.ndarray, np.ndarray]


class TextIndex:
    """Lines of text with their vectors.

    texts     {line number: text}, in ascending order
    lines     how many lines were read, blank ones included
    made_by   a description of the model, a dict that can be written as JSON

    >>> def encode(texts): return np.array([[t.count("a"), t.count("b")] for t in texts])
    >>> index = TextIndex(2, made_by={"model": "letters"})
    >>> index.add(["abba", "", "bob"], encode)
    2
    >>> lines, cosines = index.search(encode(["bib"]), k=1)
    >>> index.texts[lines[0, 0]]
    'bob'
    """

    def __init__(self, dim: int, made_by: Mapping[str, str | float | None], index: Any = None
                 ) -> None:
        """index: an empty M3Index, for vectors of three kinds (sentences/bge_m3_index.py); it is
        searched by its own search(), which like Index returns line numbers.  None: an Index
        """
        self.index, self.made_by = Index(dim) if index is None else index, dict(made_by)
        self.texts: dict[int, str] = {}
        self.lines = 0

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"TextIndex({len(self):,} lines x {self.index.dim} dimensions)"

    def add(self, lines: Iterable[str], encode: Encode, batch_size: int = BATCH_SIZE) -> int:
        """Add lines, whose numbers continue those of the index.  -> how many were not blank.

        encode: n texts -> (n, D), called with n ≤ batch_size.  If a batch fails, the batches before
        it have been added.  Raises ValueError for a text with a lone surrogate.
        """
        before, lines = len(self), iter(lines)
        while batch := list(itertools.islice(lines, batch_size)):
            new = {number: text for number, text in enumerate(batch, self.lines + 1)
                   if require_unicode(f"line {number}", text).strip()}
            if new:
                self.index.add(new, encode(list(new.values())))
            self.texts |= new
            self.lines += len(batch)
        return len(self) - before

    # ---- searching -----------------------------------------------------------

    def search(self, vectors: np.ndarray, k: int) -> Lists:
        """The k lines nearest to each query: numbers (Q, k), cosines (Q, k).  vectors: (Q, D).

        A zero vector has an empty list.  If len(self) < k, there are only len(self) columns.
        """
        return nearest_or_none(self.index, vectors, k)

    def bm25_search(self, split: Callable[[str], Sequence[str]]
                    ) -> Callable[[Sequence[str], int], Lists]:
        """A BM25 search of the lines: a function (queries, k) -> numbers (Q, k), scores (Q, k).

        split: text -> words.  Raises ValueError if no line has a word.
        """
        number = np.array([*self.texts, NO_ID])              # number[−1] is −1
        bm25 = BM25([split(text) for text in self.texts.values()])

        def search(queries, k):
            ids, scores = bm25.search([split(query) for query in queries], k)
            return number[ids], scores
        return search

    # ---- files ---------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write one safetensors file, atomically."""
        tensors, metadata = self.index.as_tensors()
        write_safetensors(path, {**tensors, **strings_as_tensors("line", list(self.texts.values()))
                                 }, {**metadata, "lines": str(self.lines),
                                     "made_by": json.dumps(self.made_by)}, checksum=True)

    @classmethod
    def load(cls, path: str | os.PathLike, read: Callable = Index.from_tensors) -> "TextIndex":
        """Read a file written by save().  Raises FormatError for any other file.

        read: (path, tensors, metadata) -> the index of the vectors
        """
        tensors, metadata = read_safetensors(path)
        index = read(path, tensors, metadata)
        if "made_by" not in metadata:
            raise FormatError(path, "its metadata", "expected `made_by`, found none: this index "
                                                    "has vectors without their texts")
        texts = strings_from_tensors(path, "line", tensors)
        numbers = tensors["ids"].tolist() if "ids" in tensors else []
        lines = metadata.get("lines", "")
        lines = int(lines) if lines.isascii() and lines.isdigit() and len(lines) < 19 else -1
        if len(numbers) != len(texts) or numbers != sorted(numbers) or not (
                0 <= lines and all(0 < n <= lines for n in numbers)):
            raise FormatError(path, "its lines", f"expected a number for each of {len(texts)} "
                              f"texts, ascending, up to {metadata.get('lines')!r}, found "
                              f"{len(numbers)} numbers")
        found = cls(index.dim, parse(path, "its `made_by`", metadata["made_by"].encode()), index)
        found.texts, found.lines = dict(zip(numbers, texts)), lines
        return found


def nearest_or_none(index: Index, vectors: np.ndarray, k: int) -> Lists:
    """Index.search for an index with integer ids, but with an empty list for a zero vector.

    vectors: (Q, D) -> ids (Q, k), scores (Q, k); −1 and −inf in the row of a zero vector.
    """
    vectors = np.asarray(vectors)
    ids, scores = index.search(vectors, k)
    zero = ~vectors.any(axis=1)
    ids[zero], scores[zero] = NO_ID, -np.inf
    return ids, scores

"""Exact dense retrieval: compare the query with every row of the index and return the top k.

Equation  search(q) = the k ids with the highest q·x over the rows x; for rows of norm 1, the
          highest cosine
Shapes    rows (M, D) float32 with M different ids; queries (N, D) -> ids (N, k), scores (N, k)
Cost      O(N·M·D) for a search, nearly all of it matrix products; O(D) per row for adding
Memory    4·M·D bytes of rows; after many small additions, up to half as many again in reserve; a
          Python list and dict of the ids.  A search needs a few arrays of `block` numbers per
          worker.
Differs   faiss's IndexFlatIP is the same search; its ids are row numbers, and it does not
          check for nan.  Rows cannot be deleted here: build a new index without them.
Read next space/neighbours.py (the search), space/hamming.py (binary codes of 1/32 the size),
          retrieve/bm25.py (words instead of vectors), retrieve/texts.py (rows that are lines)

Why exact search?  It is the baseline of approximate search, whose recall is the share of the exact
neighbours that it finds.  And it is fast enough for many collections: a query costs one pass over
the rows, and the queries of a batch share that pass.

The index does not depend on a model.  Vectors come from any encode(texts) -> (N, D):

    index = Index.from_texts(documents, encoder.encode)
    ids, scores = index.search(encoder.encode(queries), k=10)
"""
import os
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.memory import require_memory
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.ids import list_of_ids, require_new, row_of_each
from scratch_embed.retrieve.index_files import first_not_finite, index_as_tensors, read_index
from scratch_embed.space.heaps import merge_heaps
from scratch_embed.space.neighbours import BLOCK, nearest


class Index:
    """An exact index: a table of M rows (M, D), each with a different id, an integer or a string.

    normalise: scale rows and queries to norm 1, so that scores are cosines (0 with a zero row);
    if False, scores are dot products of the vectors as they are.

    >>> index = Index.from_vectors([[3.0, 4.0], [0.0, 2.0]], ids=["a", "b"])
    >>> index.add(["c"], [[-1.0, 0.0]])
    >>> index
    Index(3 rows x 2 dimensions, cosine)
    >>> ids, scores = index.search([[0.0, 5.0]], k=2)
    >>> ids.tolist(), scores
    ([['b', 'a']], array([[1. , 0.8]], dtype=float32))
    """

    def __init__(self, dim: int, normalise: bool = True) -> None:
        self.dim, self.normalise = require_whole("dim", dim, 1), bool(normalise)
        self._rows = np.empty((0, self.dim), np.float32)     # the first len(self) are in use
        self._ids, self._row_of = [], {}

    @classmethod
    def from_vectors(cls, vectors: np.ndarray, ids: Iterable[int] | Iterable[str] | None = None,
                     normalise: bool = True) -> "Index":
        """An index of the rows of a table (M, D).  ids: M of them; None: 0 to M − 1.

        Raises ValueError as add() does.
        """
        vectors = np.asarray(vectors)
        if vectors.ndim != 2:
            raise ValueError(f"vectors: expected (M, D), got shape {vectors.shape}")
        index = cls(vectors.shape[1], normalise)
        index.add(range(len(vectors)) if ids is None else ids, vectors)
        return index

    @classmethod
    def from_texts(cls, texts: Iterable[str], encode: Callable[[list[str]], np.ndarray],
                   ids: Iterable[int] | Iterable[str] | None = None) -> "Index":
        """An index of M texts.  encode: texts -> (M, D); ids: as in from_vectors.

        The caller encodes queries with the same encoder: index.search(encode(queries), k).

        >>> def encode(texts): return np.array([[t.count("a"), t.count("b")] for t in texts])
        >>> texts = ["abba", "bob", "anna"]
        >>> ids, _ = Index.from_texts(texts, encode).search(encode(["banana"]), k=1)
        >>> texts[ids[0, 0]]
        'anna'
        """
        if isinstance(texts, str):
            raise ValueError(f"texts: expected a list of texts, got one str, {texts!r:.40}")
        return cls.from_vectors(encode(list(texts)), ids)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id: int | str) -> bool:
        return id in self._row_of

    def __getitem__(self, id: int | str) -> np.ndarray:
        """A copy of the row (D,) as it is stored.  KeyError for an id that is not in the index."""
        return self._rows[self._row_of[id]].copy()

    def __repr__(self) -> str:
        score = "cosine" if self.normalise else "dot product"
        return f"Index({len(self):,} rows x {self.dim} dimensions, {score})"

    def add(self, ids: Iterable[int] | Iterable[str], vectors: np.ndarray) -> None:
        """Add rows.  ids: M new ones, vectors: (M, D).  After an error, no row has been added.

        Raises ValueError for vectors of another dimension, or not finite in float32; for an id that
        is repeated, is already in the index, or has another type than those in the index.
        """
        ids, vectors = list_of_ids(ids), np.asarray(vectors)
        if vectors.shape != (len(ids), self.dim):
            raise ValueError(f"vectors: expected a row of {self.dim} numbers for each of "
                             f"{len(ids)} ids, got shape {vectors.shape}")
        row_of = row_of_each(ids, len(self))
        require_new(ids, self._ids, self._row_of)
        self._make_room(len(ids))
        self._fill(ids, vectors)                             # beyond len(self): not yet in use
        self._ids += ids
        self._row_of |= row_of

    def _make_room(self, count):
        """Make room for `count` more rows.  The table grows by at least half: few copies."""
        need = len(self) + count
        if need > len(self._rows):
            size = need if len(self) == 0 else max(need, len(self) * 3 // 2)
            require_memory(4 * self.dim * size, f"an index of {size:,} rows")
            rows = np.empty((size, self.dim), np.float32)
            rows[:len(self)] = self._rows[:len(self)]
            self._rows = rows

    def _fill(self, ids, vectors):
        """Write the vectors after the rows in use, a block at a time."""
        step = max(1, BLOCK // self.dim)
        for i in range(0, len(ids), step):
            part = vectors[i:i + step]
            self._rows[len(self) + i:len(self) + i + len(part)] = self._prepared(
                part, lambda row, i=i: f"the vector of {ids[i + row]!r}")

    def _prepared(self, vectors, name):
        """Vectors in float32, of norm 1 if `normalise`; name(row): for error messages."""
        with np.errstate(over="ignore", invalid="ignore"):   # checked below
            rows = (l2_normalize(vectors)[0] if self.normalise else vectors).astype(
                np.float32, casting="same_kind", copy=False)
        broken = first_not_finite(rows)
        if broken is not None:
            raise ValueError(f"{name(broken)}: expected finite float32 numbers, got nan, inf or "
                             f"one beyond 3.4e38")
        return rows

    def search(self, queries: np.ndarray, k: int, workers: int = 1, block: int = BLOCK
               ) -> tuple[np.ndarray, np.ndarray]:
        """The k ids with the highest scores, best first; ties go to the id that was added first.

        queries: (N, D) -> ids (N, k), an array of int64 or of str objects, scores (N, k) float32,
        with at most len(self) columns.  workers, block: as in neighbours.nearest.
        """
        queries = np.asarray(queries)
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise ValueError(f"queries: expected (N, {self.dim}), got shape {queries.shape}"
                             + ("; for one query pass queries[None]" if queries.ndim == 1 else ""))
        queries = self._prepared(queries, lambda row: f"query {row}")
        rows, scores = nearest(queries, self._rows[:len(self)], k, block=block, workers=workers,
                               merge=merge_heaps)
        if self.normalise:
            scores = np.clip(scores, -1, 1)                  # rounding can exceed 1
        ids = np.empty(rows.size, object if self._ids and type(self._ids[0]) is str else np.int64)
        ids[:] = [self._ids[row] for row in rows.ravel()]
        return ids.reshape(rows.shape), scores

    # ---- files -------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write one safetensors file with the rows, the ids and `normalise`, atomically."""
        write_safetensors(path, *self.as_tensors(), checksum=True)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Index":
        """Read a file written by save().  Raises FormatError for any other file."""
        return cls.from_tensors(path, *read_safetensors(path))

    def as_tensors(self) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """The tensors and the metadata that save() writes, for files with further tensors."""
        return index_as_tensors(self._rows[:len(self)], self._ids, self.normalise)

    @classmethod
    def from_tensors(cls, path: str | os.PathLike, tensors: Mapping[str, np.ndarray],
                     metadata: Mapping[str, str]) -> "Index":
        """The inverse of as_tensors(); other tensors are ignored.  path: for error messages."""
        rows, row_of, normalise = read_index(path, tensors, metadata)
        index = cls(rows.shape[1], normalise)
        index._rows, index._ids, index._row_of = rows, list(row_of), row_of
        return index

"""Search by token vectors: every query token takes its best match in each document (MaxSim).

Paper     Khattab & Zaharia 2020 (ColBERT); Chen et al. 2024, "BGE M3-Embedding", section 3.2.
Equation  score(q, d) = 1/|q| Σ_{i in q} max_{j in d} q_i·d_j
Shapes    documents (U, E) with offsets (N+1,), queries (T, E) with offsets (Q+1,)
          -> ids (Q, k) int64, scores (Q, k)
Cost      O(T U E) for an exact search: each token of the queries with each of all documents; with
          candidates, only with theirs.  Memory: 4 E bytes per token
Differs   ColBERT's own index compresses the vectors and finds candidates by their nearest clusters;
          here a search is exact, or reranks the candidates of another search
Read next space/max_sim.py (the sum), sentences/bge_m3_index.py (candidates from two other searches)

Why candidates?  A document with 16 token vectors costs 16 times as much as with one dense vector,
in memory and in time.  The dense and the sparse search find candidates cheaply, and the token
vectors of only these are compared; a document that neither of them finds is lost.
"""
import os
from collections.abc import Mapping

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.index_files import first_not_finite
from scratch_embed.retrieve.lists import stack, top_k_of_query
from scratch_embed.space.max_sim import check_offsets, max_sim_matrix
from scratch_embed.text.packed import rows_of

KIND = "scratch_embed multi-vector index"


class MultiVectorIndex:
    """The token vectors of N documents; the id of a document is its position, from 0.

    >>> index = MultiVectorIndex(np.array([[1, 0], [0, 1], [0.6, 0.8]]), np.array([0, 2, 3]))
    >>> index
    MultiVectorIndex(2 documents, 3 tokens x 2 dimensions)
    >>> ids, scores = index.search(np.eye(2), np.array([0, 2]), k=2)
    >>> ids.tolist(), scores.round(4).tolist()                         # (1 + 1)/2, (0.6 + 0.8)/2
    ([[0, 1]], [[1.0, 0.7]])
    """

    def __init__(self, vectors: np.ndarray, offsets: np.ndarray) -> None:
        """vectors: (U, E), rows of norm 1; offsets: (N+1,), document n is offsets[n]:offsets[n+1].

        Raises ValueError for other shapes, vectors that are not finite, or an empty document.
        """
        vectors = np.asarray(vectors, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] == 0:
            raise ValueError(f"vectors: expected (U, E), got shape {vectors.shape}")
        self.offsets = check_offsets(offsets, len(vectors), "offsets").astype(np.int64)
        self.vectors = vectors
        empty = np.flatnonzero(np.diff(self.offsets) == 0)
        if len(empty):
            raise ValueError(f"document {empty[0]}: expected at least one token, got none")
        broken = first_not_finite(vectors)
        if broken is not None:
            raise ValueError(f"vectors: expected finite numbers, got nan or inf in row {broken}")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __repr__(self) -> str:
        U, E = self.vectors.shape
        return f"MultiVectorIndex({len(self):,} documents, {U:,} tokens x {E} dimensions)"

    def scores(self, query: np.ndarray, ids: np.ndarray | None = None) -> np.ndarray:
        """The scores of one query (t, E) with the documents of these ids (n,), or all.  -> (n,)"""
        X, offsets = self.vectors, self.offsets
        if ids is not None:
            rows, offsets = rows_of(offsets, ids)
            X = X[rows]
        sums = max_sim_matrix(np.asarray(query, np.float32), np.array([0, len(query)]), X, offsets)
        return sums[0] / max(1, len(query))

    def search(self, vectors: np.ndarray, offsets: np.ndarray, k: int
               ) -> tuple[np.ndarray, np.ndarray]:
        """The k best documents for each query: ids (Q, k), scores (Q, k); ties go to the lowest id.

        vectors: (T, E), the tokens of Q queries; offsets: (Q+1,).  If k > N, there are N columns.
        """
        k = min(require_whole("k", k, 1), len(self))
        offsets = check_offsets(offsets, len(vectors), "offsets")
        everything = np.arange(len(self))
        rows = [top_k_of_query(everything, self.scores(vectors[a:b]), k)
                for a, b in zip(offsets[:-1], offsets[1:])]
        return stack(rows, k)

    # ---- files -------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write one safetensors file, atomically."""
        write_safetensors(path, self.as_tensors(), {"kind": KIND}, checksum=True)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "MultiVectorIndex":
        """Read a file written by save().  Raises FormatError for any other file."""
        tensors, metadata = read_safetensors(path)
        if metadata.get("kind") != KIND:
            raise FormatError(path, "its metadata", f"expected the kind {KIND!r}, found {metadata}")
        return cls.from_tensors(path, tensors)

    def as_tensors(self) -> dict[str, np.ndarray]:
        """The vectors and offsets as tensors, for files with further tensors."""
        return {"token_vectors": self.vectors, "token_offsets": self.offsets}

    @classmethod
    def from_tensors(cls, path: str | os.PathLike, tensors: Mapping[str, np.ndarray]
                     ) -> "MultiVectorIndex":
        """The inverse of as_tensors(); other tensors are ignored.  path: for error messages."""
        vectors, offsets = tensors.get("token_vectors"), tensors.get("token_offsets")
        if vectors is None or offsets is None or (vectors.dtype, offsets.dtype) != (
                np.float32, np.int64):
            raise FormatError(path, "its tensors", "expected token_vectors float32 (U, E) and "
                              f"token_offsets int64 (N+1,), found {list(tensors)}")
        try:
            return cls(vectors, offsets)
        except ValueError as error:
            raise FormatError(path, "its token vectors", str(error)) from None

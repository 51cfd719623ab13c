"""Hybrid search with BGE-M3: candidates of the dense and the sparse search, ranked by all three.

Paper     Chen et al. 2024, "BGE M3-Embedding", section 3.2: s_rank = w₁ s_dense + w₂ s_lex +
          w₃ s_mul on the candidates of the single searches.
Equation  candidates(q) = the `depth` best by s_dense, and the `depth` best by s_sparse;
          s = (a s_dense + b s_sparse + c s_multi) / (a + b + c) on them
Shapes    N documents; Q queries -> ids (Q, k) int64, scores (Q, k)
Cost      per query: a pass over N dense vectors, the postings of its tokens, and max-sim with at
          most 2 depth documents.  Memory: see sentences/bge_m3.py, nearly all for token vectors
Differs   from retrieve/hybrid.py, which fuses ranked lists of searches that know nothing of each
          other: here every candidate has all three scores, on scales that training has balanced,
          so they are added as they are
Read next sentences/bge_m3.py (the vectors), retrieve/sparse.py, retrieve/multi_vector.py

Why no candidates of the token vectors?  They would cost a product of every token of the query with
every token of the collection.  The price: a document that is among the first `depth` of neither
the dense nor the sparse search is not found, however well its tokens match.  The search is exact
with weights (0, 0, 1), and with a weight of the dense score above 0 and depth = N.
"""
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.index_files import KIND as DENSE
from scratch_embed.retrieve.lists import NO_ID, stack, top_k_of_query
from scratch_embed.retrieve.multi_vector import MultiVectorIndex
from scratch_embed.retrieve.sparse import SparseIndex
from scratch_embed.sentences.bge_m3 import WEIGHTS, M3Vectors, all_kinds, check_weights

KIND = "scratch_embed M3 index"
DEPTH = 100                        # candidates of each search


class M3Query(NamedTuple):
    """The vectors of one query."""

    dense: np.ndarray              # (D,)
    tokens: np.ndarray             # (P,), with a weight each
    weights: np.ndarray            # (P,)
    vectors: np.ndarray            # (t, E)


class M3Index:
    """N documents with their dense, sparse and token vectors; an id is a position, from 0.

        index = M3Index(m3.encode(documents, return_sparse=True, return_multi_vector=True))
        ids, scores = index.search(m3.encode(queries, return_sparse=True, return_multi_vector=True),
                                   k=10)

    dense, sparse, multi: the three indexes, each with a search of its own.
    """

    def __init__(self, documents: M3Vectors) -> None:
        """documents: vectors of all three kinds.  Raises ValueError for others."""
        dense, sparse, multi = all_kinds(documents, "documents")
        self.dense, self.sparse = Index.from_vectors(dense), SparseIndex(sparse)
        self.multi = MultiVectorIndex(*multi)
        self._check_sizes()

    def _check_sizes(self):
        """Raise ValueError unless the three parts have the same number of documents."""
        sizes = len(self.dense), len(self.sparse), len(self.multi)
        if len({*sizes}) > 1:
            raise ValueError(f"documents: expected vectors of as many texts in each kind, got "
                             f"{sizes[0]} dense, {sizes[1]} sparse and {sizes[2]} multi-vector")

    def __len__(self) -> int:
        return len(self.dense)

    def __repr__(self) -> str:
        return (f"M3Index({len(self):,} documents: {self.dense.dim} dimensions, "
                f"{len(self.sparse.postings.weights):,} weights, "
                f"{len(self.multi.vectors):,} token vectors)")

    def search(self, queries: M3Vectors, k: int, weights: Sequence[float] = WEIGHTS,
               depth: int = DEPTH) -> tuple[np.ndarray, np.ndarray]:
        """The k best documents for each query: ids (Q, k), scores (Q, k); ties go to the lowest id.

        weights   of the dense, the sparse and the multi-vector score; a search with weight 0 gives
                  no candidates
        depth     candidates of each search; a list has at most as many entries as a query has
                  candidates, and is filled with id −1 and score −inf
        """
        dense, sparse, multi = all_kinds(queries, "queries")
        weights = check_weights(weights)
        k, depth = min(require_whole("k", k, 1), len(self)), require_whole("depth", depth, 1)
        lists = [self.dense.search(dense, depth)[0]] if weights[0] else []
        lists += [self.sparse.search(sparse, depth)[0]] if weights[1] else []
        rows = []
        for n in range(len(dense)):
            ids = (np.unique(np.concatenate([found[n] for found in lists])) if lists
                   else np.arange(len(self)))
            ids = ids[ids != NO_ID]
            tokens = slice(*sparse.offsets[n:n + 2])
            scores = self.scores(M3Query(
                dense[n], sparse.tokens[tokens], sparse.weights[tokens],
                multi.vectors[slice(*multi.offsets[n:n + 2])]), ids, weights)
            rows.append(top_k_of_query(ids, scores, k))
        return stack(rows, k)

    def scores(self, query: M3Query, ids: np.ndarray, weights: Sequence[float] = WEIGHTS
               ) -> np.ndarray:
        """The weighted means of the three scores of one query with these documents (n,) -> (n,)"""
        total = np.zeros(len(ids))
        a, b, c = check_weights(weights)
        if a and len(ids):
            total += a * (np.stack([self.dense[id] for id in ids.tolist()]) @ query.dense)
        if b:
            total += b * self.sparse.scores(query.tokens, query.weights)[ids]
        if c and len(ids):
            total += c * self.multi.scores(query.vectors, ids)
        return total / (a + b + c)

    # ---- files -------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write one safetensors file with all three parts, atomically."""
        tensors, metadata = self.dense.as_tensors()
        write_safetensors(path, {**tensors, **self.sparse.as_tensors(), **self.multi.as_tensors()},
                          {**metadata, "kind": KIND}, checksum=True)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "M3Index":
        """Read a file written by save().  Raises FormatError for any other file."""
        tensors, metadata = read_safetensors(path)
        if metadata.get("kind") != KIND:
            raise FormatError(path, "its metadata", f"expected the kind {KIND!r}, found {metadata}")
        index = cls.__new__(cls)
        index.dense = Index.from_tensors(path, tensors, {**metadata, "kind": DENSE})
        index.sparse = SparseIndex.from_tensors(path, tensors)
        index.multi = MultiVectorIndex.from_tensors(path, tensors)
        try:
            index._check_sizes()
        except ValueError as error:
            raise FormatError(path, "its tensors", str(error)) from None
        if not all(id in index.dense for id in range(len(index))):
            raise FormatError(path, "its ids", f"expected 0 to {len(index) - 1}, found others")
        return index

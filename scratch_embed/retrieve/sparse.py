"""Search by sparse vectors: an inverted index of learned token weights.

Paper     Chen et al. 2024, "BGE M3-Embedding", section 3.2; Zobel & Moffat 2006, "Inverted Files
          for Text Search Engines" (the index).
Equation  score(q, d) = Σ_{t in q and in d} q_t d_t
Shapes    documents, queries: SparseVectors of N and Q texts -> ids (Q, k) int64, scores (Q, k)
Cost      O(P log P) to build, for P weights; O(N + p) per query whose tokens occur in p documents.
          Memory: 8 bytes per weight
Differs   from BM25 (retrieve/bm25.py), whose weights are computed from counts, and whose queries
          have counts in place of weights; the postings, their sum and the k best are the same code
Read next space/sparse.py (the vectors), sentences/bge_m3.py (a model that makes them)

Why can it find what BM25 cannot?  The weight of a token depends on its context: the model gives a
product code a large weight and "the" none, without counting documents.  Like BM25 it matches tokens
exactly, so synonyms stay unrelated; SPLADE, which is not here, also gives weights to tokens that a
text does not contain.
"""
import os
from collections.abc import Mapping

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.bm25 import Postings, add_rows, top_k_positive
from scratch_embed.retrieve.lists import stack
from scratch_embed.space.sparse import SparseVectors, require_sparse

KIND = "scratch_embed sparse index"


class SparseIndex:
    """An inverted index of N sparse vectors; the id of a document is its position, from 0.

    >>> from scratch_embed.space.sparse import from_dicts
    >>> index = SparseIndex(from_dicts([{7: 0.5, 2: 1.0}, {2: 0.25}, {9: 1.0}]))
    >>> index
    SparseIndex(3 documents, 4 weights)
    >>> ids, scores = index.search(from_dicts([{2: 2.0, 7: 1.0}]), k=3)
    >>> ids.tolist(), scores.tolist()               # document 2 has no token of the query, so −1
    ([[0, 1, -1]], [[2.5, 0.5, -inf]])
    """

    def __init__(self, documents: SparseVectors) -> None:
        """documents: with weights above 0.  Raises ValueError for others."""
        offsets, tokens, weights = require_sparse(documents, "documents")
        require_positive(weights, "documents")
        self.documents = len(offsets) - 1
        number = np.repeat(np.arange(self.documents, dtype=np.int32), np.diff(offsets))
        order = np.argsort(tokens, kind="stable")                # by token, then by document
        self.tokens, counts = np.unique(tokens, return_counts=True)
        self.postings = Postings(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
                                 number[order], np.asarray(weights, np.float32)[order])

    def __len__(self) -> int:
        return self.documents

    def __repr__(self) -> str:
        return f"SparseIndex({len(self):,} documents, {len(self.postings.weights):,} weights)"

    def scores(self, tokens: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The score of every document with one query, tokens and weights (P,).  -> (N,) float32"""
        rows = np.searchsorted(self.tokens, tokens)
        known = np.flatnonzero(rows < len(self.tokens))
        known = known[self.tokens[rows[known]] == tokens[known]]
        scores = np.zeros(len(self), np.float32)
        add_rows(self.postings, rows[known], np.asarray(weights, np.float32)[known], scores)
        return scores

    def search(self, queries: SparseVectors, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best documents for each query: ids (Q, k), scores (Q, k); ties go to the lowest id.

        If k > N, there are N columns.  Only documents with a token of the query are listed; the
        rest of a row is filled with id −1 and score −inf.
        Raises ValueError for queries that are not SparseVectors with weights above 0.
        """
        k = min(require_whole("k", k, 1), len(self))
        offsets, tokens, weights = require_sparse(queries, "queries")
        require_positive(weights, "queries")
        rows = [top_k_positive(self.scores(tokens[a:b], weights[a:b]), k)
                for a, b in zip(offsets[:-1], offsets[1:])]
        return stack(rows, k, np.float32)

    def vectors(self) -> SparseVectors:
        """The vectors of the documents, in float32."""
        start, documents, weights = self.postings
        tokens = np.repeat(self.tokens, np.diff(start))
        order = np.argsort(documents, kind="stable")             # by document, then by token
        ends = np.cumsum(np.bincount(documents, minlength=len(self)))
        return SparseVectors(np.concatenate([[0], ends]).astype(np.int64),
                             tokens[order].astype(np.int32), weights[order])

    # ---- files -------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write one safetensors file, atomically."""
        write_safetensors(path, self.as_tensors(), {"kind": KIND}, checksum=True)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "SparseIndex":
        """Read a file written by save().  Raises FormatError for any other file."""
        tensors, metadata = read_safetensors(path)
        if metadata.get("kind") != KIND:
            raise FormatError(path, "its metadata", f"expected the kind {KIND!r}, found {metadata}")
        return cls.from_tensors(path, tensors)

    def as_tensors(self) -> dict[str, np.ndarray]:
        """The vectors of the documents as tensors, for files with further tensors."""
        return {f"sparse_{name}": part for name, part in self.vectors()._asdict().items()}

    @classmethod
    def from_tensors(cls, path: str | os.PathLike, tensors: Mapping[str, np.ndarray]
                     ) -> "SparseIndex":
        """The inverse of as_tensors(); other tensors are ignored.  path: for error messages."""
        kinds = {"sparse_offsets": np.int64, "sparse_tokens": np.int32,
                 "sparse_weights": np.float32}
        for name, dtype in kinds.items():
            if name not in tensors or tensors[name].dtype != dtype or tensors[name].ndim != 1:
                found = (f"{tensors[name].dtype} {tensors[name].shape}" if name in tensors
                         else "none")
                raise FormatError(path, f"tensor '{name}'", f"expected {np.dtype(dtype)} (n,), "
                                                            f"found {found}")
        try:
            return cls(SparseVectors(*(tensors[name] for name in kinds)))
        except ValueError as error:
            raise FormatError(path, "its sparse vectors", str(error)) from None


def require_positive(weights: np.ndarray, name: str) -> None:
    """Raise ValueError unless all weights are above 0."""
    if len(weights) and not weights.min() > 0:
        raise ValueError(f"{name}: expected weights above 0, got {weights.min()}; leave out tokens "
                         "without weight")

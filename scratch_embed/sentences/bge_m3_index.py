"""Hybrid search with BGE-M3: candidates of cheap searches, ranked by all three scores.

Paper     Chen et al. 2024, "BGE M3-Embedding", section 3.2: s_rank = w₁ s_dense + w₂ s_lex +
          w₃ s_mul on the candidates of the single searches.
Equation  s = (a s_dense + b s_sparse + c s_multi) / (a + b + c) on the candidates:
          a > 0: the `depth` best by s_dense and, if b > 0, the `depth` best by s_sparse
          a = 0, c = 0: the `depth` best by s_sparse;    a = 0, c > 0: all documents
Shapes    N documents; Q queries -> ids (Q, k) int64, scores (Q, k)
Cost      per query: a pass over N dense vectors, the postings of its tokens, and max-sim with at
          most 2 depth documents.  Memory: see sentences/bge_m3.py, nearly all for token vectors
Differs   from retrieve/hybrid.py, which fuses ranked lists of searches that know nothing of each
          other: here every candidate has all three scores, on scales that training has balanced,
          so they are added as they are
Read next sentences/bge_m3_scores.py (the scores), retrieve/sparse.py, retrieve/multi_vector.py

Why no candidates of the token vectors?  They would cost a product of every token of the query with
every token of the collection.  The price: a document that is among the first `depth` of neither
the dense nor the sparse search is not found, however well its tokens match (retrieve/README.md says
how often).  Without a dense score there is no cheap search that finds synonyms, so with weights
such as (0, b, c) all documents are compared, and the search is exact.
"""
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.bm25 import top_k_positive
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.index_files import KIND as DENSE
from scratch_embed.retrieve.lists import NO_ID, stack, top_k_of_query
from scratch_embed.retrieve.multi_vector import MultiVectorIndex
from scratch_embed.retrieve.sparse import SparseIndex, require_positive
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.sentences.bge_m3_scores import (
    WEIGHTS,
    M3Vectors,
    check_counts,
    check_weights,
    checked_parts,
)
from scratch_embed.space.sparse import concatenated, require_sparse

KIND = "scratch_embed M3 index"
DEPTH = 100                        # candidates of each search
ALL_KINDS = ",".join(M3Vectors._fields)


class M3Index:
    """N documents with their dense, sparse and token vectors.

        index = M3Index(m3.encode(documents, return_sparse=True, return_multi_vector=True))
        ids, scores = index.search(m3.encode(queries, return_sparse=True, return_multi_vector=True),
                                   k=10)

    dense, sparse, multi  the three indexes, each with a search of its own; the ids of sparse and
                          multi are positions, 0 to N − 1.  sparse or multi is None if it is left
                          out; then its weight in a search must be 0.
    ids                   (N,) whole numbers, ascending
    """

    def __init__(self, documents: M3Vectors, ids: Iterable[int] | None = None) -> None:
        """documents: vectors with a dense part; ids: N of them; None: 0 to N − 1.

        Raises ValueError for parts of unequal numbers of documents, or ids that do not ascend.
        """
        N, dense, sparse, multi = checked_parts(documents, "documents", (1, 0, 0))
        self.ids = ascending(range(N) if ids is None else ids, N, -1)
        self.dense = Index.from_vectors(dense, self.ids.tolist())
        self.sparse: Any = None if sparse is None else SparseIndex(sparse)
        self.multi: Any = None if multi is None else MultiVectorIndex(*multi)

    def __len__(self) -> int:
        return len(self.dense)

    def __repr__(self) -> str:
        parts = [f"{self.dense.dim} dimensions"]
        parts += [f"{len(self.sparse.postings.weights):,} weights"] if self.sparse else []
        parts += [f"{len(self.multi.vectors):,} token vectors"] if self.multi else []
        return f"M3Index({len(self):,} documents: {', '.join(parts)})"

    @property
    def dim(self) -> int:
        """D, the dimension of the dense vectors."""
        return self.dense.dim

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which of "dense", "sparse" and "multi" it has."""
        return tuple(kind for kind in M3Vectors._fields if getattr(self, kind) is not None)

    def add(self, ids: Iterable[int], documents: M3Vectors) -> None:
        """Add documents; their ids ascend, from above the largest of the index.

        The sparse and the multi-vector part are copied.  After an error, nothing has been added.
        Raises ValueError as the constructor does, and for other kinds than those of the index.
        """
        given = tuple(kind for kind, part in documents._asdict().items() if part is not None)
        if given != self.kinds:
            raise ValueError(f"documents: expected the kinds {', '.join(self.kinds)} of the index, "
                             f"got {', '.join(given) or 'none'}")
        N, dense, sparse, multi = checked_parts(documents, "documents", (1, 0, 0))
        new, old = ascending(ids, N, self.ids.max(initial=-1)), self.multi
        if sparse is not None:
            sparse = SparseIndex(concatenated([self.sparse.vectors(), sparse]))
        if multi is not None:
            multi = MultiVectorIndex(np.concatenate([old.vectors, multi.vectors]), np.concatenate(
                [old.offsets, old.offsets[-1] + multi.offsets[1:]]))
        self.dense.add(new.tolist(), dense)
        self.ids, self.sparse, self.multi = np.concatenate([self.ids, new]), sparse, multi

    # ---- searching ---------------------------------------------------------

    def search(self, queries: M3Vectors, k: int, weights: Sequence[float] = WEIGHTS,
               depth: int = DEPTH) -> tuple[np.ndarray, np.ndarray]:
        """The k best documents for each query: ids (Q, k), scores (Q, k); ties go to the lowest id.

        queries   vectors of the kinds whose weight is above 0
        weights   of the dense, the sparse and the multi-vector score
        depth     candidates of the dense and of the sparse search; a list has at most as many
                  entries as a query has candidates, and is filled with id −1 and score −inf
        Raises    ValueError for a weight above 0 of a kind that the queries or the index lack, and
                  for parts of unequal numbers of queries
        """
        a, b, c = weights = check_weights(weights)
        Q, dense, sparse, multi = checked_parts(queries, "queries", weights)
        for kind, weight in zip(M3Vectors._fields, weights):
            if weight and kind not in self.kinds:
                raise ValueError(f"weights: expected 0 for the {kind} score, because the index has "
                                 f"only {', '.join(self.kinds)}; got {list(weights)}")
        k, depth = min(require_whole("k", k, 1), len(self)), require_whole("depth", depth, 1)
        if b:
            require_positive(require_sparse(sparse, "queries").weights, "queries")
        near = (np.searchsorted(self.ids, self.dense.search(dense, depth)[0]) if a
                else np.empty((Q, 0), np.int64))             # positions (Q, depth)
        rows = []
        for n in range(Q):
            matches = np.zeros(len(self), np.float32)        # sparse scores of all documents
            if b:
                part = slice(*sparse.offsets[n:n + 2])
                matches = self.sparse.scores(sparse.tokens[part], sparse.weights[part])
            at = (np.arange(len(self)) if c and not a
                  else union(near[n], top_k_positive(matches, depth)[0]))
            total = b * matches[at].astype(np.float64)
            if a:
                total += a * (self._dense_rows(at) @ dense[n])
            if c and len(at):
                tokens = slice(*multi.offsets[n:n + 2])
                total += c * self.multi.scores(multi.vectors[tokens], at)
            rows.append(top_k_of_query(self.ids[at], total / (a + b + c), k))
        return stack(rows, k)

    def _dense_rows(self, at):
        """The dense vectors of the documents at these positions.  (n,) -> (n, D)"""
        return np.array([self.dense[id] for id in self.ids[at].tolist()]).reshape(-1, self.dim)

    # ---- files -------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write one safetensors file with all parts, atomically."""
        tensors, metadata = self.as_tensors()
        write_safetensors(path, tensors, metadata, checksum=True)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "M3Index":
        """Read a file written by save().  Raises FormatError for any other file."""
        return cls.from_tensors(path, *read_safetensors(path))

    def as_tensors(self) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """The tensors and the metadata of a file; retrieve/texts.py adds lines of text to them."""
        tensors, metadata = self.dense.as_tensors()
        for part in (self.sparse, self.multi):
            tensors |= {} if part is None else part.as_tensors()
        return tensors, {**metadata, "kind": KIND, "kinds": ",".join(self.kinds)}

    @classmethod
    def from_tensors(cls, path: str | os.PathLike, tensors: Mapping[str, np.ndarray],
                     metadata: Mapping[str, str]) -> "M3Index":
        """The inverse of as_tensors(); other tensors are ignored.  path: for error messages."""
        kinds = metadata.get("kinds", ALL_KINDS).split(",")
        if metadata.get("kind") != KIND or kinds[0] != "dense" or {*kinds} - {*M3Vectors._fields}:
            raise FormatError(path, "its metadata", f"expected the kind {KIND!r} and kinds among "
                              f"{ALL_KINDS}, found {metadata}")
        index = cls.__new__(cls)
        index.dense = Index.from_tensors(path, tensors, {**metadata, "kind": DENSE})
        index.sparse = SparseIndex.from_tensors(path, tensors) if "sparse" in kinds else None
        index.multi = MultiVectorIndex.from_tensors(path, tensors) if "multi" in kinds else None
        N = len(index.dense)
        try:
            check_counts("documents", {kind: len(getattr(index, kind)) for kind in index.kinds})
            index.ids = ascending(tensors.get("ids", ()), N, -1)
        except ValueError as error:
            raise FormatError(path, "its tensors", str(error)) from None
        return index


def load_text_index(path: str | os.PathLike) -> TextIndex:
    """Read a TextIndex whose vectors are dense, or of BGE-M3's kinds."""
    def read(path, tensors, metadata):
        kind = M3Index if metadata.get("kind") == KIND else Index
        return kind.from_tensors(path, tensors, metadata)
    return TextIndex.load(path, read)


def union(*positions: np.ndarray) -> np.ndarray:
    """The positions that one of the lists has, ascending, without the −1 that fills them up."""
    found = np.unique(np.concatenate(positions))
    return found[found != NO_ID]


def ascending(ids: Iterable[int], N: int, above: int) -> np.ndarray:
    """The ids as an array.  Raises ValueError unless they are N numbers that rise from `above`."""
    found = np.asarray(list(ids))
    whole = found.shape == (N,) and (N == 0 or found.dtype.kind in "iu")
    if not whole or (np.diff(found.astype(np.int64), prepend=above) <= 0).any():
        raise ValueError(f"ids: expected {N} whole numbers that ascend from above {above}, got "
                         f"{found[:3]} ... of shape {found.shape}")
    return found.astype(np.int64)

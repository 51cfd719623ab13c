"""Sparse vectors: the few dimensions of each vector that are not 0, and dot products of them.

Equation  score(q, x) = Σ_{t in q and in x} q_t x_t
Shapes    N vectors in CSR form: offsets (N+1,), tokens (P,), weights (P,); vector n has
          weights[a:b] in the dimensions tokens[a:b], a, b = offsets[n], offsets[n+1]; scores (N, M)
Cost      of all scores: O(N M U), U the number of different tokens in the queries: a product of
          tables (N, U) and (U, M)
Gradient  of a dot product: dq_t = ds x_t where x has the token t, else 0
Read next retrieve/sparse.py (a search by an inverted index), sentences/bge_m3.py (where such
          vectors come from)

Why CSR?  A vector has a dimension for each of V tokens, of which a text has few.  As a table, a
thousand texts of BGE-M3's 250,002 tokens would need a gigabyte in float32; here they need 8 bytes
for each token of each text.
"""
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np


class SparseVectors(NamedTuple):
    """N sparse vectors in CSR form; SciPy's names are indptr, indices and data."""

    offsets: np.ndarray            # (N+1,) int64
    tokens: np.ndarray             # (P,) int32, ascending within each vector
    weights: np.ndarray            # (P,) float32

    @property
    def N(self) -> int:
        """The number of vectors."""
        return len(self.offsets) - 1

    def dicts(self) -> list[dict[int, float]]:
        """{token: weight} of each vector."""
        pairs = list(zip(self.tokens.tolist(), self.weights.tolist()))
        return [dict(pairs[a:b]) for a, b in zip(self.offsets.tolist(),
                                                 self.offsets[1:].tolist())]


def from_dicts(dicts: Iterable[Mapping[int, float]]) -> SparseVectors:
    """The SparseVectors of {token: weight} for each vector; the inverse of dicts().

    >>> vectors = from_dicts([{7: 0.5, 2: 1.0}, {}, {2: 2.0}])
    >>> vectors.offsets.tolist(), vectors.tokens.tolist(), vectors.weights.tolist()
    ([0, 2, 2, 3], [2, 7, 2], [1.0, 0.5, 2.0])
    """
    rows = [sorted(each.items()) for each in dicts]
    tokens, weights = zip(*(pair for row in rows for pair in row)) if any(rows) else ((), ())
    return SparseVectors(np.concatenate([[0], np.cumsum([len(row) for row in rows], dtype=np.int64)]
                                        ).astype(np.int64),
                         np.array(tokens, np.int32), np.array(weights, np.float32))


def from_parts(tokens: list[np.ndarray], weights: list[np.ndarray]) -> SparseVectors:
    """The SparseVectors of N vectors, given one by one."""
    lengths = [len(part) for part in tokens]
    return SparseVectors(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
                         np.concatenate([np.empty(0, np.int32), *tokens]).astype(np.int32),
                         np.concatenate([np.empty(0, np.float32), *weights]).astype(np.float32))


def concatenated(parts: Sequence[SparseVectors]) -> SparseVectors:
    """The vectors of several SparseVectors, in order."""
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return SparseVectors(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
                         np.concatenate([part.tokens for part in parts]),
                         np.concatenate([part.weights for part in parts]))


def sparse_scores(Q: SparseVectors, X: SparseVectors) -> tuple[np.ndarray, Callable]:
    """The dot product of each of N vectors with each of M.  -> s (N, M), backward(ds) -> dq, dx

    dq, dx: the gradients of Q.weights and of X.weights.

    >>> Q, X = from_dicts([{2: 1.0, 7: 0.5}]), from_dicts([{7: 4.0}, {1: 9.0, 2: 3.0}])
    >>> s, backward = sparse_scores(Q, X)
    >>> s.tolist(), [d.tolist() for d in backward(np.array([[1.0, 0.0]]))]
    ([[2.0, 3.0]], [[0.0, 4.0], [0.5, 0.0, 0.0]])
    """
    columns = np.unique(Q.tokens)            # in every other dimension Q has only zeros
    A, back_A = table(Q, columns)                                 # (N, U)
    B, back_B = table(X, columns)                                 # (M, U)
    return A @ B.T, lambda ds: (back_A(ds @ B), back_B(ds.T @ A))


def table(X: SparseVectors, columns: np.ndarray) -> tuple[np.ndarray, Callable]:
    """The vectors as a table of these dimensions, which ascend.  columns: (U,) -> (N, U), backward
    """
    at = np.searchsorted(columns, X.tokens)
    found = np.flatnonzero(at < len(columns))
    found = found[columns[at[found]] == X.tokens[found]]
    row, column = np.repeat(np.arange(X.N), np.diff(X.offsets))[found], at[found]
    values = np.zeros((X.N, len(columns)), X.weights.dtype)
    values[row, column] = X.weights[found]

    def backward(dvalues):
        dweights = np.zeros(len(X.weights), dvalues.dtype)
        dweights[found] = dvalues[row, column]
        return dweights
    return values, backward


def require_sparse(vectors: SparseVectors, name: str) -> SparseVectors:
    """The vectors.  Raises ValueError unless they are in CSR form, with finite weights.

    name: of the argument, for the message
    """
    offsets, tokens, weights = map(np.asarray, vectors)
    P = len(tokens)
    if offsets.ndim != 1 or len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != P or (
            np.diff(offsets) < 0).any() or tokens.shape != weights.shape or tokens.ndim != 1:
        raise ValueError(f"{name}: expected offsets that rise from 0 to the number of tokens, and "
                         f"a weight for each; got offsets {offsets[:3]} ... {offsets[-1:]}, "
                         f"{tokens.shape} tokens and {weights.shape} weights")
    inside = np.ones(P, bool)
    inside[offsets[:-1][offsets[:-1] < P]] = False                # not the first of its vector
    if P and (tokens.dtype.kind not in "iu" or tokens.min() < 0
              or (np.diff(tokens.astype(np.int64), prepend=-1)[inside] <= 0).any()):
        raise ValueError(f"{name}: expected token ids of 0 or more that ascend in each vector")
    if not np.isfinite(weights).all():
        raise ValueError(f"{name}: expected finite weights, got nan or inf")
    return vectors

"""Whom is it most like: the k best scores, and the k nearest rows of a table.

Equation  nearest(q) = the k rows x of X with the largest q·x; for unit rows, the largest cosine
Shapes    scores (..., M) -> ids and values (..., k); Q (N, D), X (M, D) -> (N, k)
Order     highest first; ties to the lowest id; nan last.  What a stable full sort gives.
Cost      O(M) for each row of scores, plus sorting the k and whatever ties with the last of them;
          nearest O(NMD), nearly all of it matrix products: BLAS owns them, hence no kernel here.
          Over long tables the selection can cost more than the products: there pass merge_heaps.
Memory    beyond the inputs and the result, a few arrays of `block` numbers for each worker,
          whatever N and M.
Differs   this is exact search.  Approximate indexes look at a part of the table and are faster.
Read next space/analogy.py (a neighbour of a sum), space/heaps.py (when there are many)

Selection.  A partition finds the k-th best score in O(M).  All that is not worse than it is a
candidate: k of them, and more only where scores tie at the cut.  Only candidates are sorted.

Blocks.  For a block of queries the table passes by in pieces, and the k best so far are kept, the
worst of them first.  A score enters only if it beats that one: the more rows have been seen the
rarer that is, so most of a piece costs a comparison and no more.  A tie with what is kept loses,
and that is right: what is kept has the lower id.

Workers.  Each takes a range of the columns, so that one query is shared too; the k best of every
range hold the k best of all.

Does the block size change the result?  Not the selection, but BLAS sums a product's D terms in
an order that depends on the shapes.  A score may move by 2γ(D) ‖q‖ ‖x‖, so two rows may change
places if their scores are closer than that.  Where the products are exact, nothing changes.
"""
import contextlib
import math
from collections.abc import Callable
from functools import partial

import numpy as np

from scratch_embed.numerics.blas import one_blas_thread
from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.workers import imap_unordered
from scratch_embed.space.similarity import dot_matrix, require_tables

BLOCK = 1 << 20


def top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k highest along the last axis.  scores: (..., M) -> ids (..., k) int64, values (..., k).

    Highest first, ties to the lowest id, nan last; all M where k is larger than M.
    Raises ValueError for k < 1.

    >>> ids, values = top_k([0.5, 0.9, 0.5, 0.1], k=2)
    >>> ids.tolist(), values.tolist()
    ([1, 0], [0.9, 0.5])
    """
    scores = np.asarray(scores)
    if scores.ndim == 0:
        raise ValueError("expected scores along a last axis, found a single number")
    *lead, M = scores.shape
    k = min(require_whole("k", k, 1), M)
    rows = scores.reshape(math.prod(lead), M)
    key = -rows if rows.dtype.kind == "f" else ~rows         # ~x = −x − 1 cannot overflow

    kth = np.partition(key, k - 1, axis=1)[:, k - 1:k]
    row, column = np.nonzero(~(key > kth))                   # in order; a nan is not > anything
    order = np.lexsort((key[row, column], row))              # by row, then key, and stable
    first = np.searchsorted(row, np.arange(len(rows)))       # each row has k candidates or more
    ids = column[order[first[:, None] + np.arange(k)]].astype(np.int64)
    ids = ids.reshape(*lead, k)
    return ids, np.take_along_axis(scores, ids, axis=-1)


def merge_sorted(scores: np.ndarray, start: int, ids: np.ndarray, values: np.ndarray) -> None:
    """Let the columns start, start + 1 ... enter ids, values (N, k), in place.

    scores: (N, width), of columns later than all that were kept; each row is kept worst first.
    """
    k = ids.shape[1]
    gain = np.flatnonzero(~(scores <= values[:, :1]).all(axis=1))         # nan <= x is false
    if len(gain) == 0:
        return
    place, best = top_k(scores[gain], k)
    new_ids, new = _best_first(_side_by_side([ids[gain], place + start]),
                               _side_by_side([values[gain], best]), k)
    ids[gain], values[gain] = new_ids[:, ::-1], new[:, ::-1]


def nearest(Q: np.ndarray, X: np.ndarray, k: int, exclude: np.ndarray | None = None,
            block: int = BLOCK, workers: int = 1, merge: Callable = merge_sorted
            ) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of X with the highest dot product, for each row of Q; pass unit rows for cosine.

    Q: (N, D), X: (M, D) -> ids (N, k) int64, scores (N, k).
    exclude: (N,) or (N, E) ids that may not be returned, row by row; -1 stands for none.
    workers, merge: as in top_k_in_blocks.
    There are min(k, M − E) columns.  Raises ValueError for wrong shapes and k < 1.

    >>> X = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    >>> ids, scores = nearest(X[:1], X, k=2, exclude=np.array([0]))          # not row 0 itself
    >>> ids.tolist(), scores.tolist()
    ([[1, 2]], [[0.6, 0.0]])
    """
    Q, X = np.asarray(Q), np.asarray(X)
    require_tables(Q, X)

    def score(rows, columns):
        return dot_matrix(Q[rows], X[columns])
    return top_k_in_blocks(score, len(Q), len(X), Q.shape[1], k, exclude, block, workers, merge)


def top_k_in_blocks(score: Callable[[slice, slice], np.ndarray], N: int, M: int, D: int, k: int,
                   exclude: np.ndarray | None = None, block: int = BLOCK, workers: int = 1,
                   merge: Callable = merge_sorted) -> tuple[np.ndarray, np.ndarray]:
    """The k best of M columns for each of N rows -> ids (N, k) int64, values (N, k).

    score(rows, columns) returns that part of the (N, M) scores for two slices, from tables of
    width D.  No piece of scores and no slice of a table has more than `block` numbers, unless k
    rows have; k, exclude and order as in nearest().
    workers: threads that call score side by side, each with a range of the columns; BLAS then
    takes one thread, and with one worker as many as it likes.
    merge: merge_sorted, or heaps.merge_heaps: compiled, and worth loading for many scores.
    """
    k, workers = require_whole("k", k, 1), require_whole("workers", workers, 1)
    exclude = _excluded(exclude, N)
    E = exclude.shape[1]
    wanted = k + E                                           # so many that k are left at least
    height = max(1, min(N, math.isqrt(block), block // max(1, D)))
    width = max(1, block // max(height, D), wanted)
    share = max(width, -(-M // workers))
    ranges = [(low, min(low + share, M)) for low in range(0, max(1, M), share)]
    found = []
    with one_blas_thread() if len(ranges) > 1 else contextlib.nullcontext():
        for start in range(0, max(1, N), height):            # once for N = 0: it gives the type
            rows = slice(start, start + height)
            rank = partial(_rank, score, rows, wanted, width, merge)
            parts = imap_unordered(rank, ranges, len(ranges))
            every_ids, every_value = map(_side_by_side, zip(*parts))
            ids, values = _best_first(every_ids, every_value, wanted)
            found.append(_remove_excluded(ids, values, exclude[rows], min(k, max(0, M - E))))
    ids, values = zip(*found)
    return np.concatenate(ids), np.concatenate(values)


def _rank(score, rows, k, width, merge, ends):
    """The k best of the columns between two ends, worst first; `width` ≥ k columns at a time."""
    low, high = ends
    ids, values = top_k(score(rows, slice(low, min(low + width, high))), k)
    ids, values = ids[:, ::-1] + low, values[:, ::-1].copy()       # worst first: that is a heap
    for start in range(low + width, high, width):
        merge(score(rows, slice(start, min(start + width, high))), start, ids, values)
    return ids, values


def _side_by_side(tables):
    return np.concatenate(tables, axis=1)


def _best_first(ids, values, k):
    """The k best of candidates in any order; ties to the lowest id."""
    order = np.argsort(ids, axis=1)
    place, values = top_k(np.take_along_axis(values, order, axis=1), k)
    return np.take_along_axis(ids, np.take_along_axis(order, place, axis=1), axis=1), values


def _remove_excluded(ids, values, exclude, k):
    """Remove each row's excluded ids and keep the first k of the others, in their order."""
    struck = np.zeros(ids.shape, bool)
    for column in exclude.T:
        struck |= ids == column[:, None]
    keep = np.argsort(struck, axis=1, kind="stable")[:, :k]               # False before True
    return np.take_along_axis(ids, keep, axis=1), np.take_along_axis(values, keep, axis=1)


def _excluded(exclude, N):
    """exclude as (N, E) integers; E = 0 for None."""
    if exclude is None:
        return np.zeros((N, 0), np.int64)
    exclude = np.asarray(exclude)
    if exclude.dtype.kind not in "iu" or exclude.ndim not in (1, 2) or len(exclude) != N:
        raise ValueError(f"exclude: expected integer ids, ({N},) or ({N}, E), one row for each "
                         f"query; found {exclude.dtype} of shape {exclude.shape}")
    return exclude if exclude.ndim == 2 else exclude[:, None]

"""Exact nearest neighbours: the top-k scores over a table.

Equation  nearest(q) = the k rows x of X with the largest q·x; for rows of norm 1, the largest
          cosine
Shapes    scores (..., M) -> ids and values (..., k); Q (N, D), X (M, D) -> (N, k)
Order     highest first; ties go to the lowest id; nan comes last: the order of a stable full
          sort
Cost      selection: O(M) for each row of scores, plus sorting the k best and the scores that tie
          with the last of them.  nearest: O(NMD), nearly all of it matrix products, which BLAS
          computes, so there is no kernel here.  For long tables selection can cost more than the
          products: pass merge=merge_heaps (space/heaps.py) there.
Memory    beyond the inputs and the result, a few arrays of `block` numbers for each worker,
          whatever N and M are
Differs   from approximate indexes (HNSW, IVF), which compare a query with a part of the table only:
          they are faster, and miss some neighbours
Read next space/analogy.py (the neighbours of a sum), space/heaps.py (selection for long tables)

Selection.  np.partition finds the k-th best score in O(M).  Every score that is not worse than it
is a candidate: k of them, or more if scores tie with the k-th.  Only the candidates are sorted.

Blocks.  The (N, M) scores are computed block by block, and only the k best so far are kept, the
worst of them first.  A new score replaces the worst one only if it is higher.  This becomes rarer
as more columns are read, so most scores cost one comparison.  On a tie the kept score stays,
because it has the lower id.

Workers.  Each worker searches a range of the columns, so the workers share even a single query.
The k best of all columns are among the k best of the ranges.

Does the block size change the result?  Selection does not depend on it, but BLAS adds up the D
terms of a product in an order that depends on the shapes.  A score may change by 2γ(D) ‖q‖ ‖x‖,
with γ(n) = n u / (1 − n u), so two rows whose scores are nearly equal may swap ranks.  If the
products are exact, nothing changes.
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
    """The k highest scores along the last axis, and where they are.

    scores: (..., M) -> ids (..., k) int64, values (..., k), with k = M if k is larger than M.
    Highest first; ties go to the lowest id; nan comes last.  Raises ValueError for k < 1.

    >>> ids, values = top_k([0.5, 0.9, 0.5, 0.1], k=2)
    >>> ids.tolist(), values.tolist()
    ([1, 0], [0.9, 0.5])
    """
    scores = np.asarray(scores)
    if scores.ndim == 0:
        raise ValueError("scores: expected an array (..., M), got a single number")
    *lead, M = scores.shape
    k = min(require_whole("k", k, 1), M)
    rows = scores.reshape(math.prod(lead), M)
    key = -rows if rows.dtype.kind == "f" else ~rows         # integers: ~x = −x − 1 cannot overflow

    kth = np.partition(key, k - 1, axis=1)[:, k - 1:k]
    row, column = np.nonzero(~(key > kth))                   # candidates; nan > kth is false
    order = np.lexsort((key[row, column], row))              # stable: by row, then by key
    first = np.searchsorted(row, np.arange(len(rows)))       # each row has at least k candidates
    ids = column[order[first[:, None] + np.arange(k)]].astype(np.int64)
    ids = ids.reshape(*lead, k)
    return ids, np.take_along_axis(scores, ids, axis=-1)


def merge_sorted(scores: np.ndarray, start: int, ids: np.ndarray, values: np.ndarray) -> None:
    """Merge the scores of the columns start, start + 1, ... into the k best so far, in place.

    scores: (N, width); ids, values: (N, k), the best of the columns before `start`, each row from
    the worst to the best.
    """
    k = ids.shape[1]
    better = np.flatnonzero(~(scores <= values[:, :1]).all(axis=1))       # nan <= x is false
    if len(better) == 0:
        return
    column, best = top_k(scores[better], k)
    new_ids, new = _best_first(_side_by_side([ids[better], column + start]),
                               _side_by_side([values[better], best]), k)
    ids[better], values[better] = new_ids[:, ::-1], new[:, ::-1]


def nearest(Q: np.ndarray, X: np.ndarray, k: int, exclude: np.ndarray | None = None,
            block: int = BLOCK, workers: int = 1, merge: Callable = merge_sorted
            ) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of X with the highest dot product, for each row of Q.

    Q: (N, D), X: (M, D) -> ids (N, k) int64, scores (N, k).  Pass rows of norm 1 to rank by cosine.
    exclude: (N,) or (N, E), for each query E ids that are not returned; −1 excludes nothing.  The
    results have M − E columns if k is larger than M − E.
    workers, merge: as in top_k_in_blocks.
    Raises ValueError for wrong shapes and k < 1.

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
    """The k best of M columns for each of N rows, computed a block of scores at a time.

    score(rows, columns): a function of two slices that returns this part of the (N, M) scores,
    computed from rows of tables (N, D) and (M, D)
    -> ids (N, k) int64, values (N, k); k, exclude and the order are those of nearest().
    block: the maximum size of a block of scores, and of a slice of a table, in numbers.  A block of
    a single row, or of k + E columns, may be larger.
    workers: the number of threads that call score, each for a range of the columns.  With several
    ranges BLAS uses one thread, with a single range its own number of threads.
    merge: merge_sorted, or heaps.merge_heaps, which is compiled and faster for long tables.
    """
    k, workers = require_whole("k", k, 1), require_whole("workers", workers, 1)
    exclude = _excluded(exclude, N)
    E = exclude.shape[1]
    wanted = k + E                                           # k are left when E are removed
    height = max(1, min(N, math.isqrt(block), block // max(1, D)))
    width = max(1, block // max(height, D), wanted)
    share = max(width, -(-M // workers))
    ranges = [(low, min(low + share, M)) for low in range(0, max(1, M), share)]
    found = []
    with one_blas_thread() if len(ranges) > 1 else contextlib.nullcontext():
        for start in range(0, max(1, N), height):            # also once for N = 0, for the dtype
            rows = slice(start, start + height)
            search = partial(_search_range, score, rows, wanted, width, merge)
            parts = imap_unordered(search, ranges, len(ranges))
            all_ids, all_values = map(_side_by_side, zip(*parts))
            ids, values = _best_first(all_ids, all_values, wanted)
            found.append(_remove_excluded(ids, values, exclude[rows], min(k, max(0, M - E))))
    ids, values = zip(*found)
    return np.concatenate(ids), np.concatenate(values)


def _search_range(score, rows, k, width, merge, bounds):
    """The k best of the columns low..high − 1, worst first, read `width` ≥ k columns at a time."""
    low, high = bounds
    ids, values = top_k(score(rows, slice(low, min(low + width, high))), k)
    ids, values = ids[:, ::-1] + low, values[:, ::-1].copy()       # a sorted row is a heap
    for start in range(low + width, high, width):
        merge(score(rows, slice(start, min(start + width, high))), start, ids, values)
    return ids, values


def _side_by_side(tables):
    return np.concatenate(tables, axis=1)


def _best_first(ids, values, k):
    """The k best candidates of each row, given in any order; ties go to the lowest id."""
    order = np.argsort(ids, axis=1)
    column, values = top_k(np.take_along_axis(values, order, axis=1), k)
    return np.take_along_axis(ids, np.take_along_axis(order, column, axis=1), axis=1), values


def _remove_excluded(ids, values, exclude, k):
    """Remove each row's excluded ids and keep the first k of the others, in their order."""
    excluded = np.zeros(ids.shape, bool)
    for column in exclude.T:
        excluded |= ids == column[:, None]
    keep = np.argsort(excluded, axis=1, kind="stable")[:, :k]             # False before True
    return np.take_along_axis(ids, keep, axis=1), np.take_along_axis(values, keep, axis=1)


def _excluded(exclude, N):
    """exclude as (N, E) integers; E = 0 for None."""
    if exclude is None:
        return np.zeros((N, 0), np.int64)
    exclude = np.asarray(exclude)
    if exclude.dtype.kind not in "iu" or exclude.ndim not in (1, 2) or len(exclude) != N:
        raise ValueError(f"exclude: expected integer ids, ({N},) or ({N}, E), one row for each "
                         f"query; got {exclude.dtype} of shape {exclude.shape}")
    return exclude if exclude.ndim == 2 else exclude[:, None]

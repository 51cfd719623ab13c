"""Bootstrap intervals of Pearson's r and Spearman's ρ: how far they would move with other pairs.

Paper     Efron 1979, "Bootstrap Methods: Another Look at the Jackknife"
Equation  the quantiles (1 ± level)/2 of ρ(x*, y*), where (x*, y*) are N pairs drawn with
          replacement
Shapes    x, y: (N,) -> Interval
Cost      O(draws · N), a block of draws at a time; NumPy does the work, so there is no kernel
Read next evaluate/correlation.py, evaluate/significance.py (the interval of a mean)

Why counts?  A draw is described by how often it has each pair, c (N,), and r is a sum weighted by
c.  Ranks need no sorting of each draw either: the values are sorted once, and the mean rank of a
tie follows from the sums of c up to it.  (Drawn pairs repeat, so a draw has many ties.)
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.correlation import centred, pearson, spearman
from scratch_embed.numerics.checks import require_whole

BLOCK = 1 << 21                    # counts that are held at a time


class Interval(NamedTuple):
    """A correlation and its confidence interval; nan if x or y is constant."""

    value: float
    low: float
    high: float


class CorrelationIntervals(NamedTuple):
    """Both correlations of one set of pairs."""

    spearman: Interval
    pearson: Interval


def correlation_intervals(x: np.ndarray, y: np.ndarray, level: float = 0.95, draws: int = 2000,
                          seed: int = 0) -> CorrelationIntervals:
    """Spearman's ρ and Pearson's r with percentile bootstrap intervals.  x, y: (N,).

    Draws in which a side is constant are left out.
    Raises ValueError as pearson() does, and for a level that is not between 0 and 1.

    >>> found = correlation_intervals([1, 2, 3, 4, 5], [1, 2, 3, 5, 4])
    >>> round(found.spearman.value, 2), found.spearman.high
    (0.9, 1.0)
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    values = spearman(x, y), pearson(x, y)             # raise ValueError for wrong input
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, such as 0.95, got {level}")
    rng, N = np.random.default_rng(seed), len(x)
    defined = not np.isnan(values).any()
    x, y = (centred(x), centred(y)) if defined else (x, y)          # so that no square overflows
    step, left = max(1, BLOCK // max(N, 1)), require_whole("draws", draws, 1)
    by_rank, by_value = [], []
    while left > 0 and defined:
        counts = rng.multinomial(N, np.full(N, 1 / N), min(step, left)).astype(np.float64)
        by_rank.append(weighted_pearson(drawn_ranks(x, counts), drawn_ranks(y, counts), counts))
        by_value.append(weighted_pearson(x[None], y[None], counts))
        left -= len(counts)
    return CorrelationIntervals(*(_interval(value, drawn, level)
                                  for value, drawn in zip(values, (by_rank, by_value))))


def _interval(value, drawn, level):
    found = np.concatenate(drawn) if drawn else np.empty(0)
    found = found[np.isfinite(found)]
    if not len(found):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def drawn_ranks(x: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The mean rank of each x_i in each draw.  x: (N,), counts: (B, N) -> (B, N).

    Where x_i is not drawn the number has no meaning, and weight 0.
    """
    values, group = np.unique(x, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(values)))
    size = np.add.reduceat(counts[:, order], starts, axis=1)           # (B, groups)
    last = np.cumsum(size, axis=1)
    return (last - (size - 1) / 2)[:, group]


def weighted_pearson(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """r of each row.  x, y: (B, N) or (1, N), weights (B, N) -> (B,); nan if a side is constant."""
    total = weights.sum(axis=1, keepdims=True)
    x = x - (weights * x).sum(axis=1, keepdims=True) / total
    y = y - (weights * y).sum(axis=1, keepdims=True) / total
    xx, yy = (weights * x * x).sum(axis=1), (weights * y * y).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.clip((weights * x * y).sum(axis=1) / np.sqrt(xx * yy), -1, 1)
    r[_constant(x, weights) | _constant(y, weights)] = np.nan       # rounding can hide it in xx
    return r


def _constant(x, weights):
    """Whether all numbers with a weight above 0 are equal, row by row.  -> (B,) bool"""
    drawn = weights > 0
    return (np.where(drawn, x, np.inf).min(axis=1) == np.where(drawn, x, -np.inf).max(axis=1))

"""Would other queries say the same?  A bootstrap interval, and a paired test of two systems.

Paper     Efron 1979, "Bootstrap Methods: Another Look at the Jackknife"; Sakai 2006, "Evaluating
          Evaluation Metrics based on the Bootstrap".  Fisher 1935, "The Design of Experiments",
          section 21; Smucker, Allan & Carterette 2007, "A Comparison of Statistical Significance
          Tests for Information Retrieval Evaluation".
Equation  interval: the quantiles (1 ± level)/2 of mean(x*), x* n scores drawn from x with repeats
          p = the share of the 2ⁿ signs ±1 with |Σ ±d_i| ≥ |Σ d_i|,   d_i = a_i − b_i
Shapes    scores, a, b: (n,), one number a query; a and b of the same queries in the same order
Cost      O(draws · n); the test is exact where 2ⁿ ≤ draws, and costs O(2ⁿ).  NumPy
          sums all draws of a block at once: no kernel.
Differs   where signs are drawn p = (1 + count)/(1 + draws), so that it is never 0 and the test
          holds its level (Davison & Hinkley 1997, section 4.2).
Read next evaluate/ranking.py (the scores); why/effects.py (over seeds, not queries: Student's t)

Queries differ far more than systems do: an easy one is easy for both.  So the two are compared
query by query.  If neither were better, which of two scores is a's and which is b's would be the
toss of a coin.  The test tosses all coins, in every way or in many, and asks how often the
difference is as large as the one that was seen.  It supposes nothing else: no normal
distribution, no random sample of queries, and any measure.  Smucker et al. found that it agrees
with Student's t and with the bootstrap, and that the sign test and Wilcoxon's do not, for they
look at other things than the difference of the means; so this test is the one here.

The bootstrap answers something else: how far would the mean move with other queries like these?
It takes the queries that there are for all there could be.  With few of them (below 20, say) its
intervals are too narrow.  And of twenty comparisons one has p < 0.05 by chance.
"""
import math
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.ranking import Evaluation
from scratch_embed.numerics.checks import require_whole

BLOCK = 1 << 20                    # numbers that are drawn at a time


class BootstrapInterval(NamedTuple):
    """A mean, and between what it lies, at the level that was asked for."""

    mean: float
    low: float
    high: float


class PairedTest(NamedTuple):
    """mean(a − b), and how often chance alone makes it that large."""

    difference: float
    p: float
    exact: bool                    # all signs were tried


class Comparison(NamedTuple):
    """Two systems on one measure: their means, the interval of a − b, and p."""

    a: float
    b: float
    difference: BootstrapInterval
    test: PairedTest


def compare(a: Evaluation, b: Evaluation, measure: str, seed: int = 0) -> Comparison:
    """Two runs, judged by the same qrels, on a measure of both.

    Raises ValueError where they have not the same queries in the same order.
    """
    if a.queries != b.queries:
        raise ValueError(f"the two were judged on different queries ({len(a.queries)} and "
                         f"{len(b.queries)}): judge both by the same qrels with complete=True")
    for system in a, b:
        if measure not in system.scores:
            raise ValueError(f"no measure {measure!r}; there are {', '.join(system.scores)}")
    x, y = a.scores[measure], b.scores[measure]
    return Comparison(a.mean[measure], b.mean[measure],
                      bootstrap_interval(x - y, seed=seed), permutation_test(x, y, seed=seed))


def bootstrap_interval(scores: np.ndarray, level: float = 0.95, draws: int = 10_000, seed: int = 0
                       ) -> BootstrapInterval:
    """Between what does the mean of (n,) scores lie?  The percentile interval.

    For two systems pass the differences, query by query.  Raises ValueError for fewer than two
    scores, nan, or a level outside 0..1.
    """
    x = _numbers(scores)
    if len(x) < 2:
        raise ValueError("expected at least 2 scores: a single one says nothing of others")
    if not 0 < level < 1:
        raise ValueError(f"level={level}: expected a number between 0 and 1, such as 0.95")
    rng, means = np.random.default_rng(seed), np.empty(require_whole("draws", draws, 1))
    step = max(1, BLOCK // len(x))
    for start in range(0, draws, step):
        part = means[start:start + step]
        part[:] = x[rng.integers(0, len(x), (len(part), len(x)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return BootstrapInterval(_mean(x), float(low), float(high))


def permutation_test(a: np.ndarray, b: np.ndarray, draws: int = 100_000, seed: int = 0
                     ) -> PairedTest:
    """Is a − b luck?  a, b: (n,) scores of the same queries -> PairedTest, two-sided.

    Exact if the 2ⁿ signs of n unequal pairs are no more than `draws`: up to n = 16 by default.
    Raises ValueError for nan, no query, or lists of different lengths.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"expected scores of the same queries, found shapes {a.shape} and "
                         f"{b.shape}")
    d = _numbers(a - b)
    if not len(d):
        raise ValueError("expected at least 1 query")
    difference, d = _mean(d), d[d != 0]                      # the sign of 0 changes nothing
    # sums that are equal on paper differ by their rounding, in one order of terms and another
    seen = abs(d.sum()) - 2 * len(d) * 2.0**-53 * np.abs(d).sum()
    if len(d) < require_whole("draws", draws, 1).bit_length():           # 2ⁿ ≤ draws
        return PairedTest(difference, float((np.abs(_all_sums(d)) >= seen).mean()), True)
    count = int((np.abs(_drawn_sums(d, draws, seed)) >= seen).sum())
    return PairedTest(difference, (1 + count) / (1 + draws), False)


# ---- inside -----------------------------------------------------------------------------------

def _all_sums(d):
    """Σ ±d_i for all signs.  (n,) -> (2ⁿ,)."""
    sums = np.zeros(1)
    for x in d:
        sums = np.concatenate([sums + x, sums - x])
    return sums


def _drawn_sums(d, draws, seed):
    """Σ ±d_i for random signs, eight of them in one draw from their 256 sums.  (n,) -> (draws,)"""
    rng, sums = np.random.default_rng(seed), np.zeros(draws)
    for start in range(0, len(d), 8):
        part = _all_sums(d[start:start + 8])
        sums += part[rng.integers(0, len(part), draws, np.uint8)]
    return sums


def _numbers(x):
    """Sorted, so that the order of the queries does not matter."""
    x = np.asarray(x, np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError(f"expected a list of finite numbers, one a query, found shape {x.shape}"
                         + (" with nan or inf" if x.ndim == 1 else ""))
    return np.sort(x)


def _mean(x):
    return math.fsum(x) / len(x)

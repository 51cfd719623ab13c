"""Statistical significance over queries: a bootstrap interval and a paired permutation test.

Paper     Efron 1979, "Bootstrap Methods: Another Look at the Jackknife"; Sakai 2006, "Evaluating
          Evaluation Metrics based on the Bootstrap".  Fisher 1935, "The Design of Experiments",
          section 21; Smucker, Allan & Carterette 2007, "A Comparison of Statistical Significance
          Tests for Information Retrieval Evaluation".
Equation  interval: the quantiles (1 ± level)/2 of mean(x*), x* n draws from x with replacement
          p = the share of the 2ⁿ choices of signs with |Σ ±d_i| ≥ |Σ d_i|,   d_i = a_i − b_i
Shapes    scores, a, b: (n,), one number per query; a and b of the same queries in the same order
Cost      O(draws · n); the test is exact if 2ⁿ ≤ draws, and then costs O(2ⁿ).  NumPy sums a whole
          block of draws at once, so there is no kernel.
Differs   if signs are drawn at random, p = (1 + count)/(1 + draws), so that p is never 0 and the
          test stays valid: P(p ≤ α) ≤ α for equal systems (Davison & Hinkley 1997, section 4.2)
Read next evaluate/ranking.py (the scores); why/effects.py (over seeds, not queries: Student's t)

A difference is called significant if p is small, usually below 0.05: if the two systems were
equally good, a difference this large would be rare.

Why paired?  Queries usually differ more than systems do: an easy query is easy for both.  So the
systems are compared query by query.  If neither system were better, both signs of each d_i would be
equally likely.  The test tries all 2ⁿ choices of signs, or many random ones, and counts how often
|Σ ±d_i| is at least as large as observed.  It assumes neither a normal distribution nor a random
sample of queries, and works for any measure.  Smucker et al. found that it agrees with Student's t
and with the bootstrap, while the sign test and Wilcoxon's do not, because they test something other
than the difference of the means.

The bootstrap estimates how far the mean would move with other queries of the same kind.  It uses
the given queries in place of all possible ones, so with few of them (fewer than about 20) its
intervals are too narrow.

Of twenty comparisons of equal systems, about one has p < 0.05 by chance.
"""
import math
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.ranking import Evaluation
from scratch_embed.numerics.checks import require_whole

BLOCK = 1 << 20                    # how many numbers are drawn at a time


class BootstrapInterval(NamedTuple):
    """A mean and its confidence interval."""

    mean: float
    low: float
    high: float


class PairedTest(NamedTuple):
    """mean(a − b), and p: the share of sign choices with |mean| at least as large."""

    difference: float
    p: float
    exact: bool                    # whether all 2ⁿ choices of signs were tried


class Comparison(NamedTuple):
    """Two systems on one measure: their means, the interval of mean(a − b), and the test."""

    a: float
    b: float
    difference: BootstrapInterval
    test: PairedTest


def compare(a: Evaluation, b: Evaluation, measure: str, seed: int = 0) -> Comparison:
    """Compare two runs, evaluated with the same qrels, on one measure.

    Raises ValueError unless both have the measure, and the same queries in the same order.
    """
    if a.queries != b.queries:
        raise ValueError(f"a, b: expected the same queries, got different ones ({len(a.queries)} "
                         f"and {len(b.queries)}); evaluate both with the same qrels and "
                         "complete=True")
    for system in a, b:
        if measure not in system.scores:
            raise ValueError(f"measure: expected one of {', '.join(system.scores)}, got "
                             f"{measure!r}")
    x, y = a.scores[measure], b.scores[measure]
    return Comparison(a.mean[measure], b.mean[measure],
                      bootstrap_interval(x - y, seed=seed), permutation_test(x, y, seed=seed))


def bootstrap_interval(scores: np.ndarray, level: float = 0.95, draws: int = 10_000, seed: int = 0
                       ) -> BootstrapInterval:
    """The percentile bootstrap interval of the mean of (n,) scores.

    For two systems pass the differences, query by query.  Raises ValueError for fewer than two
    scores, nan or inf, or a level that is not between 0 and 1.
    """
    x = _numbers(scores)
    if len(x) < 2:
        raise ValueError(f"scores: expected at least 2, got {len(x)}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, such as 0.95, got {level}")
    rng, means = np.random.default_rng(seed), np.empty(require_whole("draws", draws, 1))
    step = max(1, BLOCK // len(x))
    for start in range(0, draws, step):
        part = means[start:start + step]
        part[:] = x[rng.integers(0, len(x), (len(part), len(x)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return BootstrapInterval(_mean(x), float(low), float(high))


def permutation_test(a: np.ndarray, b: np.ndarray, draws: int = 100_000, seed: int = 0
                     ) -> PairedTest:
    """Test whether mean(a − b) is significant, two-sided.  a, b: (n,), of the same queries.

    -> PairedTest, exact if 2ⁿ ≤ draws, where n counts the queries with unequal scores: up to n = 16
    by default.  Raises ValueError for nan or inf, no query, or lists of different lengths.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"expected scores of the same queries, got shapes {a.shape} and "
                         f"{b.shape}")
    d = _numbers(a - b)
    if not len(d):
        raise ValueError("expected at least 1 query, got none")
    difference, d = _mean(d), d[d != 0]                      # the sign of 0 changes nothing
    # rounding can make equal sums differ, so the limit is lowered by a bound on the rounding error
    limit = abs(d.sum()) - 2 * len(d) * 2.0**-53 * np.abs(d).sum()
    if len(d) < require_whole("draws", draws, 1).bit_length():           # 2ⁿ ≤ draws
        return PairedTest(difference, float((np.abs(_all_sums(d)) >= limit).mean()), True)
    count = int((np.abs(_drawn_sums(d, draws, seed)) >= limit).sum())
    return PairedTest(difference, (1 + count) / (1 + draws), False)


# ---- helpers ----------------------------------------------------------------------------------

def _all_sums(d):
    """Σ ±d_i for all signs.  (n,) -> (2ⁿ,)."""
    sums = np.zeros(1)
    for x in d:
        sums = np.concatenate([sums + x, sums - x])
    return sums


def _drawn_sums(d, draws, seed):
    """Σ ±d_i for random signs: one random byte chooses eight signs.  (n,) -> (draws,)"""
    rng, sums = np.random.default_rng(seed), np.zeros(draws)
    for start in range(0, len(d), 8):
        part = _all_sums(d[start:start + 8])
        sums += part[rng.integers(0, len(part), draws, np.uint8)]
    return sums


def _numbers(x):
    """x sorted, so that the order of the queries has no effect.  ValueError for nan or inf."""
    x = np.asarray(x, np.float64)
    if x.ndim != 1 or not np.isfinite(x).all():
        raise ValueError(f"expected a list of finite numbers, one per query, got shape {x.shape}"
                         + (" with nan or inf" if x.ndim == 1 else ""))
    return np.sort(x)


def _mean(x):
    return math.fsum(x) / len(x)

"""Is a difference significant?  The 95% interval of a paired difference over several seeds.

Paper     Student 1908, "The Probable Error of a Mean".
Equation  mean(x) ± t · s / √n,   s² = Σ (x − mean x)² / (n − 1),   where t is the 97.5% quantile of
          Student's distribution with n − 1 degrees of freedom
Shapes    with_it, without: (n,) scores, one for each seed, in the same order
Differs   SciPy computes t; here it is a table.  Above 30 degrees of freedom its last value is used,
          which makes the interval slightly too wide.
Read next why/ablations.py (how scores are measured), why/word2vec.py (an example)

A seed affects both scores of a pair: on an easy text both are high.  The difference is therefore
taken for each seed, which removes what the two have in common (a paired comparison).

Significant means here that the interval of the paired difference excludes 0.  An interval that
contains 0 does not prove that there is no effect, only that n seeds do not show one.  And of 20
intervals at 95%, one is expected to miss the true value by chance.
"""
from typing import NamedTuple

import numpy as np

T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
               2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
               2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
HELPS, HURTS, NOT_SIGNIFICANT = "helps", "hurts", "not significant"


class Interval(NamedTuple):
    """A mean and the half-width of its 95% confidence interval, mean ± half."""

    mean: float
    half: float

    @property
    def verdict(self) -> str:
        """The verdict on a part, if this is the interval of the scores with it minus without."""
        if self.mean - self.half > 0:
            return HELPS
        return HURTS if self.mean + self.half < 0 else NOT_SIGNIFICANT


def interval(x: np.ndarray) -> Interval:
    """The 95% interval of the mean of x (n,), if x comes from a roughly normal distribution.

    Raises ValueError for fewer than two numbers, from which no variance can be estimated.
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 1 or len(x) < 2:
        raise ValueError(f"x: expected at least 2 numbers, got an array of shape {x.shape}; "
                         "a single seed has no variance: use more seeds")
    t = T_QUANTILES[min(len(x) - 1, len(T_QUANTILES)) - 1]
    return Interval(float(x.mean()), float(t * x.std(ddof=1) / np.sqrt(len(x))))


def paired_difference(with_it: np.ndarray, without: np.ndarray) -> Interval:
    """The 95% interval of with − without.

    with_it, without: (n,) scores of the same seeds in the same order.
    Raises ValueError for unequal shapes or fewer than two seeds.
    """
    with_it, without = np.asarray(with_it, np.float64), np.asarray(without, np.float64)
    if with_it.shape != without.shape:
        raise ValueError("expected the same seeds for both, got scores of shapes "
                         f"{with_it.shape} and {without.shape}")
    return interval(with_it - without)

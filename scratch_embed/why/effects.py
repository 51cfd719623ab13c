"""Does it matter, or was it luck?  A difference over several seeds, with its interval.

Paper     Student 1908, "The Probable Error of a Mean".
Equation  mean(x) ± t · s / √n,   s² = Σ (x − mean x)² / (n − 1),   t the 97.5% quantile, n − 1
Shapes    with_it, without: (n,) scores, the same seed at the same place
Differs   SciPy computes t; here is a table, and beyond its end its last value, which is cautious.
Read next why/word2vec.py

A seed changes both runs alike: an easy text is easy with the trick and without.  So the
differences are taken seed by seed, which leaves that out (a paired comparison).  An interval that
holds 0 does not prove that nothing happens, only that n seeds cannot show it.  And of 20 intervals
at 95%, one misses the truth by chance.
"""
from typing import NamedTuple

import numpy as np

T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
               2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
               2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)
HELPS, HURTS, NOT_SIGNIFICANT = "helps", "hurts", "not significant"


class Interval(NamedTuple):
    """A mean, and how far to either side the true one lies with 95% confidence."""

    mean: float
    half: float

    @property
    def verdict(self) -> str:
        """What a difference, with − without, says of the ablation."""
        if self.mean - self.half > 0:
            return HELPS
        return HURTS if self.mean + self.half < 0 else NOT_SIGNIFICANT


def interval(x: np.ndarray) -> Interval:
    """The 95% interval of the mean of x, (n,), if what it was drawn from is roughly normal.

    Raises ValueError for fewer than two numbers: one has no spread.
    """
    x = np.asarray(x, np.float64)
    if x.ndim != 1 or len(x) < 2:
        raise ValueError(f"expected at least 2 numbers, found an array of shape {x.shape}: "
                         "a single seed shows no spread")
    t = T_QUANTILES[min(len(x) - 1, len(T_QUANTILES)) - 1]
    return Interval(float(x.mean()), float(t * x.std(ddof=1) / np.sqrt(len(x))))


def paired_difference(with_it: np.ndarray, without: np.ndarray) -> Interval:
    """The 95% interval of with − without.  with_it, without: (n,), the same seeds in order."""
    with_it, without = np.asarray(with_it, np.float64), np.asarray(without, np.float64)
    if with_it.shape != without.shape:
        raise ValueError(f"expected the same seeds for both, found scores of shapes "
                         f"{with_it.shape} and {without.shape}")
    return interval(with_it - without)

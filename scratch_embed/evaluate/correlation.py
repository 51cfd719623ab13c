"""Correlation of two lists of numbers: in value (Pearson's r) or in rank (Spearman's ρ).

Paper     Spearman 1904, "The Proof and Measurement of Association between Two Things".
Equation  r(x, y) = Σ (x_i − x̄)(y_i − ȳ) / √( Σ (x_i − x̄)²  Σ (y_i − ȳ)² )
          ρ(x, y) = r(ranks of x, ranks of y)
Shapes    x, y: (N,) -> a number in [−1, 1]; ranks: (N,) -> (N,)
Cost      O(N), and O(N log N) to rank: a few array operations, so there is no kernel
Differs   for a constant list, or fewer than two numbers, r is 0/0: nan, without SciPy's warning.
          nan in the input is an error here; SciPy returns nan.
Read next evaluate/words.py

r is the cosine of the two lists after their means are subtracted.  As in space/similarity.py, each
list is first divided by a power of two: no square overflows, and only numbers that are negligible
beside the largest underflow.  All others keep their digits.

Why ρ for similarity?  A human rating from 0 to 10 need not be a linear function of the cosine, so
only the order is compared.  The short formula 1 − 6 Σ d² / (N³ − N), with d the differences of
ranks, is exact only without ties.
"""
from collections.abc import Sequence

import numpy as np


def pearson(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> float:
    """r(x, y) in [−1, 1]; nan if x or y is constant.  x, y: (N,) -> a number.

    Raises ValueError for nan, inf, or lists of different lengths.
    """
    x, y = _numbers(x), _numbers(y)
    if len(x) != len(y):
        raise ValueError(f"expected lists of equal length, got {len(x)} and {len(y)} numbers")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("expected finite numbers, got nan or inf; leave such pairs out")
    if _constant(x) or _constant(y):
        return float("nan")
    x, y = centred(x), centred(y)
    return float(np.clip((x @ y) / np.sqrt((x @ x) * (y @ y)), -1, 1))


def spearman(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> float:
    """ρ(x, y) in [−1, 1]; nan if x or y is constant.  x, y: (N,) -> a number.

    Raises ValueError for nan, or lists of different lengths.
    """
    return pearson(ranks(x), ranks(y))


def ranks(x: Sequence[float] | np.ndarray) -> np.ndarray:
    """1 for the smallest number, N for the largest; ties get their mean rank.  (N,) -> (N,)

    Raises ValueError for nan, which cannot be ranked.
    """
    x = _numbers(x)
    if np.isnan(x).any():
        raise ValueError("expected numbers that can be ranked, got nan; leave such pairs out")
    _, group, count = np.unique(x, return_inverse=True, return_counts=True)
    last = np.cumsum(count)                        # ranks of a tie: last − count + 1 .. last
    return (last - (count - 1) / 2)[group]


def _numbers(x):
    x = np.asarray(x, np.float64)
    if x.ndim != 1:
        raise ValueError(f"expected a list of numbers, got an array of shape {x.shape}")
    return x


def _constant(x):
    return len(x) < 2 or bool((x == x[0]).all())


def centred(x):
    """(x − x̄) / 2^e, whose largest |number| is between 2⁻⁵⁵ and 2: squares can be summed."""
    _, e = np.frexp(np.abs(x).max())
    x = np.ldexp(x, -e)                            # exact, up to underflow far below max |x|
    x = x - x.mean()
    return x - x.mean()                            # corrects the rounding of the first mean

"""Bounds on rounding errors.

The unit roundoff u of a floating-point type bounds the relative error of one operation, rounded to
nearest: 2⁻²⁴ in float32, 2⁻⁵³ in float64.  n roundings one after another change a number by at
most γ(n) = n u / (1 − n u) times its absolute value (Higham 2002, "Accuracy and Stability of
Numerical Algorithms", lemma 3.1).  So the error of a sum of n products, in any order, is at
most γ(n) times the sum of the products' absolute values.  All of this assumes that no result
overflows or underflows.
"""
import numpy as np

u32, u64 = 2.0**-24, 2.0**-53


def gamma(n: int, u: float) -> float:
    """γ(n) = n u / (1 − n u): a bound on the relative error of n roundings, n u < 1.

    >>> gamma(3, 0.125)
    0.6
    """
    return n * u / (1 - n * u)


def unit_roundoff(dtype: type | np.dtype) -> float:
    """Half the distance from 1 to the next number of this type.  float32 -> u32, float64 -> u64"""
    return float(np.finfo(dtype).eps) / 2

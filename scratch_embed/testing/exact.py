"""Dot product, cosine and distance in exact arithmetic, as the expected values of tests.

A finite floating-point number is a fraction, so a dot product is a fraction too.  A square root is
computed in integer arithmetic, with a relative error of at most 2⁻¹⁵⁰, far below any rounding error
of float64.
"""
import math
from collections.abc import Iterable
from fractions import Fraction


def exact_dot(a: Iterable[float], b: Iterable[float]) -> Fraction:
    """Σ_d a_d b_d, without a rounding error.

    >>> exact_dot([0.5, 2.0**-1000], [1.0, 0.0])
    Fraction(1, 2)
    """
    return sum((Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a, b)), Fraction(0))


def exact_root(q: Fraction) -> Fraction:
    """√q of a fraction, with a relative error of at most 2⁻¹⁵⁰."""
    return Fraction(math.isqrt(q.numerator * q.denominator << 300), q.denominator << 150)


def exact_cosine(a: Iterable[float], b: Iterable[float]) -> Fraction:
    """a·b / (‖a‖ ‖b‖); 0 if a or b is zero."""
    squares = exact_dot(a, a) * exact_dot(b, b)
    return exact_dot(a, b) / exact_root(squares) if squares else Fraction(0)


def exact_distance(a: Iterable[float], b: Iterable[float]) -> Fraction:
    """‖a − b‖"""
    difference = [Fraction(float(x)) - Fraction(float(y)) for x, y in zip(a, b)]
    return exact_root(sum((x * x for x in difference), Fraction(0)))

"""check_similarity: does a function compute the cosine of any two vectors, at every scale?

Equation  f(a, b) = cos(a, b) = a·b / (‖a‖ ‖b‖), and 0 if a or b is zero
Shapes    f(a, b) -> a number; a, b (D,) of one type, float32 or float64
Bounds    u is the unit roundoff of the vectors' type, γ as in rounding.py.  The error of the dot
          product is at most γ(D) ‖a‖ ‖b‖; the relative error of a norm is at most γ(D + 1).  So a
          cosine computed in the vectors' type has an error of at most 2γ(D + 2), and two such
          cosines differ by at most 4γ(D + 2).
Read next space/similarity.py (an implementation that satisfies all invariants)

The textbook formula squares the components.  In float32 the square of 1e-23 is 0 and that of 1e20
is inf, so the cosines of tiny and huge vectors become nan or inf, or are wrong.
"""
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from scratch_embed.testing.exact import exact_cosine
from scratch_embed.testing.invariants import Invariant, close, equal, named, require, run
from scratch_embed.testing.rounding import gamma, unit_roundoff
from scratch_embed.testing.strategies import pairs

Similarity = Callable[[np.ndarray, np.ndarray], Any]
ORDINARY = (-24, 0)                          # exponents of components that any code can square


def check_similarity(f: Similarity, *, without: Collection[str] = (),
                     max_examples: int | None = None, seed: int | None = 0) -> None:
    """Raise AssertionError unless f(a, b) satisfies SIMILARITY, the cosine's invariants.

    f(a, b) -> a number, for vectors a and b (D,) of one type, float32 or float64.
    without: invariants to leave out; max_examples, seed: see scratch_embed/testing/README.md.

    >>> from scratch_embed.space.similarity import cosine
    >>> check_similarity(cosine)
    >>> def naive(a, b):
    ...     return a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-8)
    >>> check_similarity(naive, without=("range", "zero"))
    Traceback (most recent call last):
    AssertionError: check_similarity: the invariant 'power_of_two' is broken: ...
    """
    run("check_similarity", SIMILARITY, f, without, max_examples, seed)


def bound_of(a: np.ndarray) -> float:
    """2γ(D + 2) in a's type: a bound on the rounding error of a cosine."""
    return 2 * gamma(len(a) + 2, unit_roundoff(a.dtype))


# ---- the invariants -----------------------------------------------------------------------------

def inputs_unchanged(f, a, b):
    """f does not change a and b, and returns the same when called again.

    Bound: exact.
    """
    before, first = (a.copy(), b.copy()), float(f(a, b))
    equal("a after the call", a, before[0])
    equal("b after the call", b, before[1])
    equal("f(a, b) called again", float(f(a, b)), first)


def value(f, a, b):
    """f(a, b) is a·b / (‖a‖ ‖b‖) for components of ordinary size.

    Bound: 2γ(D + 2), for the rounding of a cosine; the expected value is computed in fractions.
    """
    close("f(a, b)", float(f(a, b)), float(exact_cosine(a, b)), bound_of(a))


def symmetric(f, a, b):
    """f(a, b) = f(b, a).

    Bound: exact; the products are the same, and their order can be the same.
    """
    equal("f(a, b)", float(f(a, b)), float(f(b, a)))


def opposite(f, a, b):
    """f(−a, b) = −f(a, b).

    Bound: exact; a sign changes no digit.
    """
    equal("f(-a, b)", float(f(-a, b)), -float(f(a, b)))


def itself(f, a):
    """f(a, a) = 1 for a ≠ 0.

    Bound: 2γ(D + 2).
    """
    close("f(a, a)", float(f(a, a)), 1.0, bound_of(a))


def range_(f, a, factor):
    """f lies in [−1, 1], even for parallel vectors, whose rounded quotient can exceed 1.

    Bound: exact; arccos of 1.0000001 is nan, so the result must be clipped.
    """
    b = (factor * a.astype(np.float64)).astype(a.dtype)
    found = float(f(a, b))
    require(-1 <= found <= 1, f"f(a, factor * a) = {found!r}", "a number in [-1, 1]")


def zero(f, a):
    """f(0, a) = 0: a zero vector is similar to nothing.

    Bound: exact.  The quotient 0/0 would be nan.
    """
    equal("f(0 * a, a)", float(f(np.zeros_like(a), a)), 0.0)
    equal("f(a, 0 * a)", float(f(a, np.zeros_like(a))), 0.0)


def axes(f, a, b, seed):
    """f does not change under one permutation and one choice of signs for both a and b.

    Bound: 4γ(D + 2), for the rounding of two cosines; the sums run in another order.
    """
    rng = np.random.default_rng(seed)
    order, sign = rng.permutation(len(a)), rng.choice([-1, 1], len(a)).astype(a.dtype)
    close("f(a', b')", float(f((sign * a)[order], (sign * b)[order])), float(f(a, b)),
          2 * bound_of(a))


def factor(f, a, b, factor):
    """f(factor · a, b) = f(a, b) for a factor > 0: the norm does not matter.

    Bound: 4γ(D + 2), for the rounding of two cosines; the products factor · a_d are rounded too.
    """
    scaled = (factor * a.astype(np.float64)).astype(a.dtype)
    close("f(factor * a, b)", float(f(scaled, b)), float(f(a, b)), 2 * bound_of(a))


def power_of_two(f, a, b, k):
    """f(2ᵏ a, b) = f(a, b) wherever 2ᵏ a is representable.

    Bound: exact; a power of two changes exponents only.
    """
    scaled = np.ldexp(a, k)
    assume(np.array_equal(np.ldexp(scaled, -k), a) and np.isfinite(scaled).all())
    equal("f(2^k a, b)", float(f(scaled, b)), float(f(a, b)))


def every_scale(f, a, b):
    """f(a, b) is a·b / (‖a‖ ‖b‖) over the type's whole range, from denormal numbers to the largest.

    Bound: 2γ(D + 2).  To reach it, divide each vector by a power of two first, which is exact.
    """
    value(f, a, b)


def nan(f, a):
    """A nan in a vector is not hidden: f gives nan, or raises ValueError.

    Bound: exact.  A clip or a maximum can turn nan into a number.
    """
    broken = a.copy()
    broken[-1] = np.nan
    try:
        found = float(f(broken, a))
    except ValueError:
        return
    require(np.isnan(found), f"f(a with a nan, a) = {found!r}", "nan, or a ValueError")


def _not_zero(pair):
    """The pair, with ones in place of a zero vector."""
    return tuple(x if x.any() else np.ones_like(x) for x in pair)


range_.__name__ = "range"                    # the name in messages; range() stays Python's
_ordinary = pairs(None, *ORDINARY).map(_not_zero)
_single = _ordinary.map(lambda pair: pair[:1])


def _with_value(examples, values):
    """Strategy of the examples, each with one more value drawn from `values`."""
    return st.tuples(examples, values).map(lambda x: (*x[0], x[1]))


SIMILARITY = named(
    Invariant(inputs_unchanged, _ordinary),
    Invariant(value, _ordinary),
    Invariant(symmetric, _ordinary),
    Invariant(opposite, _ordinary),
    Invariant(itself, _single),
    Invariant(range_, _with_value(_single, st.sampled_from([1, 3, -7, 0.1]))),
    Invariant(zero, _single),
    Invariant(axes, _with_value(_ordinary, st.integers(0, 1000))),
    Invariant(factor, _with_value(_ordinary, st.floats(1 / 64, 64))),
    Invariant(power_of_two, _with_value(_ordinary, st.integers(-140, 120)
                                        | st.integers(-1060, 1000))),
    Invariant(every_scale, pairs().map(_not_zero)),
    Invariant(nan, _single))

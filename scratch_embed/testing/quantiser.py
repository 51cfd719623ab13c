"""check_quantiser: are numbers restored from their codes to within half a step?

Equation  x̂ = dequantise(quantise(x)),   |x − x̂| ≤ step/2,   step_d = (high_d − low_d) / steps
Shapes    quantise(X) -> codes; dequantise(codes) -> X̂; X, X̂ (N, D) floats, codes N rows of integers
Bounds    step/2, and a rounding error: x − low, the quotient and the step are rounded once each,
          and so are the product and the sum of dequantise: 6u(|low| + |high|) in X's type.
Read next space/quantise.py (255 steps per dimension)

If quantise truncates and dequantise returns the lower end of a step, the error is up to a whole
step and always has the same sign, so dot products are biased.  Codes outside the range must be
clipped: a cast of 256 to a byte gives 0, so the largest number would be restored as the smallest.
"""
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from scratch_embed.testing.invariants import Invariant, close, equal, named, require, run
from scratch_embed.testing.rounding import unit_roundoff


class Quantiser(NamedTuple):
    """The subject of the check: two functions, and the range of each dimension."""

    quantise: Callable[[np.ndarray], Any]
    dequantise: Callable[[Any], Any]
    low: np.ndarray                          # (D,)
    high: np.ndarray                         # (D,)
    steps: int
    dtype: Any

    def in_range(self, fractions: np.ndarray) -> np.ndarray:
        """Numbers (N, D) at these fractions (N,) of the range; dimension d adds d/7 to them."""
        fractions = (fractions[:, None] + np.arange(len(self.low)) / 7) % 1.0000001  # 1 stays 1
        X = self.low + np.clip(fractions, 0, 1) * (self.high - self.low)
        low, high = self.low.astype(self.dtype), self.high.astype(self.dtype)
        return np.clip(X.astype(self.dtype), low, high)

    def codes(self, X: np.ndarray) -> np.ndarray:
        """quantise(X) as an array."""
        return np.asarray(self.quantise(X))

    def restored(self, X: np.ndarray) -> np.ndarray:
        """dequantise(quantise(X)) as float64."""
        return np.asarray(self.dequantise(self.quantise(X)), np.float64)

    @property
    def slack(self) -> np.ndarray:
        """The bound on rounding errors, 6u(|low| + |high|), (D,)."""
        return 6 * unit_roundoff(self.dtype) * (abs(self.low) + abs(self.high))

    @property
    def step(self) -> np.ndarray:
        """The width of a step, (D,)."""
        return (self.high - self.low) / self.steps


def check_quantiser(quantise: Callable[[np.ndarray], Any], dequantise: Callable[[Any], Any],
                    low: Any, high: Any, *, steps: int = 255, dtype: Any = np.float32,
                    without: Collection[str] = (), max_examples: int | None = None,
                    seed: int | None = 0) -> None:
    """Raise AssertionError unless the two functions satisfy QUANTISER's invariants.

    quantise(X (N, D)) -> codes of N rows; dequantise(codes) -> (N, D).
    low, high: (D,), the range of each dimension, to which quantise is calibrated.
    steps: the number of steps in a range; dtype: the type of X.
    without: invariants to leave out; max_examples, seed: see scratch_embed/testing/README.md.

    >>> from functools import partial
    >>> from scratch_embed.space.quantise import calibrate, dequantise, quantise
    >>> ranges = calibrate(np.float32([[-1, 0], [1, 5]]))
    >>> check_quantiser(partial(quantise, ranges=ranges), partial(dequantise, ranges=ranges),
    ...                 low=[-1, 0], high=[1, 5])
    """
    low, high = np.array(low, np.float64), np.array(high, np.float64)
    if low.ndim != 1 or low.shape != high.shape or not (low <= high).all():
        raise ValueError(f"expected ranges low ≤ high, (D,) each, got {low} and {high}")
    run("check_quantiser", QUANTISER, Quantiser(quantise, dequantise, low, high, steps, dtype),
        without, max_examples, seed)


# ---- the invariants -----------------------------------------------------------------------------

def inputs_unchanged(subject, fractions):
    """Neither function changes its input, and both return the same when called again.

    Bound: exact.
    """
    X = subject.in_range(fractions)
    before, codes = X.copy(), subject.codes(X)
    kept, back = codes.copy(), np.asarray(subject.dequantise(codes)).copy()
    equal("X after the call", X, before)
    equal("codes after the call", codes, kept)
    equal("quantise(X), called again", subject.codes(X), kept)
    equal("dequantise(codes), called again", np.asarray(subject.dequantise(codes)), back)


def error(subject, fractions):
    """A number within the range is restored to within half a step.

    Bound: step/2 + 6u(|low| + |high|).
    """
    X = subject.in_range(fractions)
    close(f"dequantise(quantise({X.tolist()}))", subject.restored(X), X,
          subject.step / 2 + subject.slack)


def monotone(subject, fractions):
    """x ≤ y implies x̂ ≤ ŷ: restored numbers keep their order, or become equal.

    Bound: exact.
    """
    X = subject.in_range(fractions)
    shifted = np.minimum(X + 0.75 * subject.step, subject.high)         # mostly in the next step
    shifted = shifted.astype(subject.dtype)
    X = np.sort(np.concatenate([X, shifted]), axis=0)
    back = subject.restored(X)
    require(bool((np.diff(back, axis=0) >= 0).all()),
            f"dequantise(quantise({X.tolist()})) = {back.tolist()}",
            "ascending in every dimension, like the numbers")


def idempotent(subject, fractions):
    """Quantising a restored number gives the same code again.

    Bound: exact; half a step is far more than the rounding.
    """
    codes = subject.codes(subject.in_range(fractions))
    again = subject.codes(np.asarray(subject.dequantise(codes)).astype(subject.dtype))
    equal("quantise(dequantise(codes))", again.tolist(), codes.tolist())


def outside(subject, far):
    """A number outside the range is restored as the nearer end, to within half a step.

    Bound: step/2 + 6u(|low| + |high|).  If codes wrap around, the largest number is restored as
    the smallest.
    """
    ends = np.array([subject.low, subject.high])
    width = np.maximum(subject.high - subject.low, 1)
    beyond = (ends + far * width * [[-1], [1]]).astype(subject.dtype)
    close(f"dequantise(quantise({beyond.tolist()}))", subject.restored(beyond), ends,
          subject.step / 2 + subject.slack)


def row_by_row(subject, fractions):
    """A row has the same codes alone as in a table.

    Bound: exact; the ranges are fixed.  A quantiser that computes them from each table breaks it.
    """
    X = subject.in_range(fractions)
    equal("quantise(X)", subject.codes(X).tolist(), [subject.codes(x[None])[0].tolist() for x in X])


def whole_codes(subject, fractions):
    """Codes are integers.

    Bound: exact.
    """
    codes = subject.codes(subject.in_range(fractions))
    require(codes.dtype.kind in "iu", f"codes of type {codes.dtype}", "an integer type")


_fractions = st.tuples(st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0])), min_size=1,
                             max_size=6).map(np.array))
QUANTISER = named(
    Invariant(inputs_unchanged, _fractions), Invariant(error, _fractions),
    Invariant(monotone, _fractions), Invariant(idempotent, _fractions),
    Invariant(outside, st.tuples(st.sampled_from([0.0, 0.001, 0.01, 1.0, 1000.0]))),
    Invariant(row_by_row, _fractions), Invariant(whole_codes, _fractions))

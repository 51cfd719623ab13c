"""check_quantiser: are numbers restored from their codes to within half a step?

Equation  x̂ = dequantise(quantise(x)),   |x − x̂| ≤ step/2,   step_d = (high_d − low_d) / steps
Shapes    quantise(X) -> codes; dequantise(codes) -> X̂; X, X̂ (N, D) floats, codes N rows of integers
Bounds    step/2, and a rounding error: x − low, the quotient and the step are rounded once each,
          and so are the product and the sum of dequantise: 6u(|low| + |high|) in X's type.
Read next space/quantise.py (255 steps per dimension)

If quantise truncates and dequantise returns the lower end of a step, the error is up to a whole
step, always in the same direction, which shifts every dot product.  Codes outside the range must be
clipped: a cast of 256 to a byte is 0, so the largest number would be restored as the smallest.
"""
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from scratch_embed.testing.invariants import Invariant, close, equal, named, require, run
from scratch_embed.testing.rounding import unit_roundoff


class Quantiser(NamedTuple):
    """What is checked: two functions, and the range of each dimension."""

    quantise: Callable[[np.ndarray], Any]
    dequantise: Callable[[Any], Any]
    low: np.ndarray                          # (D,)
    high: np.ndarray                         # (D,)
    steps: int
    dtype: Any

    def inside(self, shares: np.ndarray) -> np.ndarray:
        """Numbers (N, D) in the range, at shares (N,) of it in 0..1, shifted by dimension."""
        shares = (shares[:, None] + np.arange(len(self.low)) / 7) % 1.0000001
        X = self.low + np.clip(shares, 0, 1) * (self.high - self.low)
        low, high = self.low.astype(self.dtype), self.high.astype(self.dtype)
        return np.clip(X.astype(self.dtype), low, high)

    def codes(self, X: np.ndarray) -> np.ndarray:
        """quantise(X) as an array."""
        return np.asarray(self.quantise(X))

    def back(self, X: np.ndarray) -> np.ndarray:
        """dequantise(quantise(X)) as float64."""
        return np.asarray(self.dequantise(self.quantise(X)), np.float64)

    @property
    def slack(self) -> np.ndarray:
        """6u(|low| + |high|), (D,)."""
        return 6 * unit_roundoff(self.dtype) * (abs(self.low) + abs(self.high))

    @property
    def step(self) -> np.ndarray:
        """(D,)"""
        return (self.high - self.low) / self.steps


def check_quantiser(quantise: Callable[[np.ndarray], Any], dequantise: Callable[[Any], Any],
                    low: Any, high: Any, *, steps: int = 255, dtype: Any = np.float32,
                    without: Collection[str] = (), max_examples: int | None = None,
                    seed: int | None = 0) -> None:
    """Raise AssertionError unless the two functions satisfy QUANTISER's invariants.

    quantise(X (N, D)) -> codes of N rows; dequantise(codes) -> (N, D).
    low, high: (D,), the range of each dimension, to which they are calibrated; steps: the number of
    steps in a range; dtype: of X.
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

def inputs_unchanged(it, shares):
    """Neither function changes its input, and both return the same when called again.

    Bound: exact.
    """
    X = it.inside(shares)
    before, codes = X.copy(), it.codes(X)
    kept, back = codes.copy(), np.asarray(it.dequantise(codes)).copy()
    equal("X after the call", X, before)
    equal("codes after the call", codes, kept)
    equal("quantise(X), called again", it.codes(X), kept)
    equal("dequantise(codes), called again", np.asarray(it.dequantise(codes)), back)


def error(it, shares):
    """A number within the range is restored to within half a step.

    Bound: step/2 + 6u(|low| + |high|).
    """
    X = it.inside(shares)
    close(f"dequantise(quantise({X.tolist()}))", it.back(X), X, it.step / 2 + it.slack)


def monotone(it, shares):
    """The larger of two numbers has the larger code, or both have the same.

    Bound: exact.
    """
    X = it.inside(shares)
    near = np.minimum(X + 0.75 * it.step, it.high).astype(it.dtype)       # mostly the next step
    X = np.sort(np.concatenate([X, near]), axis=0)
    back = it.back(X)
    require(bool((np.diff(back, axis=0) >= 0).all()),
            f"dequantise(quantise({X.tolist()})) = {back.tolist()}",
            "ascending in every dimension, like the numbers")


def idempotent(it, shares):
    """A restored number has the code from which it was restored.

    Bound: exact; half a step is far more than the rounding.
    """
    codes = it.codes(it.inside(shares))
    again = it.codes(np.asarray(it.dequantise(codes)).astype(it.dtype))
    equal("quantise(dequantise(codes))", again.tolist(), codes.tolist())


def outside(it, far):
    """A number outside the range is restored as the nearer end, to within half a step.

    Bound: step/2 + 6u(|low| + |high|).  If codes wrap around, the largest number is restored as
    the smallest.
    """
    ends = np.array([it.low, it.high])
    beyond = (ends + far * np.maximum(it.high - it.low, 1) * [[-1], [1]]).astype(it.dtype)
    close(f"dequantise(quantise({beyond.tolist()}))", it.back(beyond), ends,
          it.step / 2 + it.slack)


def row_by_row(it, shares):
    """A row has the same codes alone as in a table.

    Bound: exact; the ranges are fixed.  A quantiser that computes them from each table breaks it.
    """
    X = it.inside(shares)
    equal("quantise(X)", it.codes(X).tolist(), [it.codes(x[None])[0].tolist() for x in X])


def whole_codes(it, shares):
    """Codes are integers.

    Bound: exact.
    """
    codes = it.codes(it.inside(shares))
    require(codes.dtype.kind in "iu", f"codes of type {codes.dtype}", "an integer type")


_shares = st.tuples(st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0])), min_size=1,
                             max_size=6).map(np.array))
QUANTISER = named(
    Invariant(inputs_unchanged, _shares), Invariant(error, _shares), Invariant(monotone, _shares),
    Invariant(idempotent, _shares),
    Invariant(outside, st.tuples(st.sampled_from([0.0, 0.001, 0.01, 1.0, 1000.0]))),
    Invariant(row_by_row, _shares), Invariant(whole_codes, _shares))

"""Scalar quantisation: one byte per number, the index of one of 255 equal steps of its dimension.

Equation  step = (max − min) / 255, for each dimension, over a sample
          c = ⌊(x − min) / step⌋ in 0..255; up to rounding, 255 only for x ≥ max
          x̂ = min + (c + ½) step
Error     for min ≤ x ≤ max:  |x − x̂| ≤ step/2, and so |q·x − q·x̂| ≤ Σ_d |q_d| step_d / 2.
          Rounding adds up to 6u (|min| + |max|) to |x − x̂|.
          A number outside the range is clipped to the nearer end; its distance from that end adds
          to the error.  So calibrate on a large sample of the documents themselves.
Shapes    X (..., D) float, codes (..., D) uint8 or int8, ranges: two arrays (D,)
Cost      O(D) per vector, elementwise, so there is no kernel; D bytes instead of 4D
Differs   The codes are those of sentence-transformers 6.2, bit for bit.  It reconstructs
          x̂ = min + c step, half a step lower, which changes no ranking.  Up to its 5.5, int8 codes
          were rounded towards zero after the shift by −128: everything between −1 and 1 became 0,
          lower codes were one too high, and numbers outside the range wrapped around.  Up to 6.0
          it rescored with raw codes.
Read next space/hamming.py (one bit per number, and rescoring), retrieve/index.py;
          bench/README.md, "Smaller vectors" (what each form costs in nDCG)

Why must raw codes not be multiplied?  A code is not the number at another scale: each dimension has
its own zero and its own step.  q·c = Σ q_d (x_d − min_d) / step_d (up to rounding) weights
dimension d by 1/step_d, so a dimension that hardly varies counts as much as one that varies much.
In the example of quantise() the second dimension, whose range is 200 times smaller, reverses the
ranking.  If the query is quantised too, the offsets min_d enter the product a second time.  So
dequantise before comparing.  This need not cost more than the raw product: q·x̂ =
Σ q_d step_d c_d + Σ q_d (min_d + step_d/2), where the last sum is the same for all documents, so
(q ∘ step)·c ranks exactly like q·x̂.
"""
from typing import NamedTuple

import numpy as np

STEPS = 255


class Ranges(NamedTuple):
    """The minimum of each dimension, and the size of its 255 steps."""
    low: np.ndarray          # (D,)
    step: np.ndarray         # (D,) ≥ 0


def calibrate(X: np.ndarray) -> Ranges:
    """The ranges of a sample of vectors.  X: (N, D), N ≥ 1 -> Ranges.

    The ranges are float32 if X is, else float64.

    Raises ValueError for nan or inf, or a range beyond the largest float.
    """
    X = _floats(X)
    if X.ndim != 2 or len(X) == 0:
        raise ValueError(f"X: expected a sample (N, D) with N ≥ 1, got shape {X.shape}")
    low = X.min(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):       # refused in the next line
        step = (X.max(axis=0) - low) / X.dtype.type(STEPS)
    broken = np.flatnonzero(~np.isfinite(step))
    if len(broken):
        raise ValueError(f"X: expected finite numbers and ranges, got nan, inf or a range beyond "
                         f"{np.finfo(X.dtype).max:.2g} on axis {broken[0]}")
    return Ranges(low, step)


def quantise(X: np.ndarray, ranges: Ranges) -> np.ndarray:
    """⌊(x − min) / step⌋, clipped to 0..255.  X: (..., D) -> (..., D) uint8.  Step 0 counts as 1.

    Raises ValueError for nan, which has no code, or if D is not the dimension of the ranges.

    >>> ranges = calibrate(np.array([[-1.0, 0.0], [1.0, 0.01]]))
    >>> X = np.array([[0.2, 0.0], [0.1, 0.01]])
    >>> codes = quantise(X, ranges)
    >>> codes.tolist()
    [[153, 0], [140, 255]]
    >>> q = np.array([1.0, 1.0])
    >>> (X @ q).round(2).tolist()                       # the first row is the better one
    [0.2, 0.11]
    >>> (codes @ q).tolist()                            # raw codes: the second seems better
    [153.0, 395.0]
    >>> (dequantise(codes, ranges) @ q).round(2).tolist()
    [0.2, 0.11]
    """
    X = _floats(X)
    _require_width(X, ranges)
    with np.errstate(over="ignore"):                         # inf far outside, then clipped
        steps = (X - ranges.low) / np.where(ranges.step == 0, 1, ranges.step)
    if np.isnan(steps).any():
        raise ValueError("X: expected numbers, got nan, which has no code")
    return np.clip(steps, 0, STEPS).astype(np.uint8)         # the cast rounds down: steps ≥ 0


def dequantise(codes: np.ndarray, ranges: Ranges) -> np.ndarray:
    """x̂ = min + (c + ½) step, the middle of a code's step.  codes: (..., D) uint8 -> (..., D)."""
    codes = np.asarray(codes)
    if codes.dtype != np.uint8:
        raise ValueError(f"codes: expected uint8, got {codes.dtype}"
                         + ("; unshift() them first" if codes.dtype == np.int8 else ""))
    _require_width(codes, ranges)
    return ranges.low + (codes + ranges.step.dtype.type(0.5)) * ranges.step


def shift(codes: np.ndarray) -> np.ndarray:
    """uint8 -> int8, c − 128, which keeps the order: −128 to 127.  Any shape; packed bits too."""
    return _flip_high_bit(codes, np.uint8, np.int8)


def unshift(codes: np.ndarray) -> np.ndarray:
    """int8 -> uint8, c + 128: the inverse of shift()."""
    return _flip_high_bit(codes, np.int8, np.uint8)


def _flip_high_bit(codes, old, new):
    """c ∓ 128, which in two's complement changes only the highest bit."""
    codes = np.asarray(codes)
    if codes.dtype != old:
        raise ValueError(f"codes: expected {np.dtype(old)}, got {codes.dtype}")
    return (codes.view(np.uint8) ^ np.uint8(128)).view(new)


def _floats(X):
    """float32 unchanged, any other type as float64."""
    X = np.asarray(X)
    return X.astype(np.float32 if X.dtype == np.float32 else np.float64,
                    casting="same_kind", copy=False)


def _require_width(X, ranges):
    if X.ndim == 0 or X.shape[-1:] != ranges.low.shape:
        raise ValueError(f"expected vectors of {len(ranges.low)} numbers, as many as the ranges "
                         f"have; got shape {X.shape}")

"""One byte a number: every axis is cut into 255 equal steps, and a number becomes its step's.

Equation  step = (max − min) / 255 of each axis over a sample;  c = ⌊(x − min) / step⌋ in 0..255
          x̂ = min + (c + ½) step
Error     |x − x̂| ≤ step/2, and a rounding of 6u (|min| + |max|), for min ≤ x ≤ max
          |q·x − q·x̂| ≤ Σ_d |q_d| step_d / 2
          Outside, x is first moved to the nearer end: the error is its distance to it, and ≤ step/2
          more.  So the sample must be large, and of the documents that will come.
Shapes    X (..., D) float, codes (..., D) uint8 or int8, ranges: two arrays (D,)
Cost      O(D) a vector, elementwise: no kernel; D bytes of 4D.
Differs   The codes are those of sentence-transformers 6.2, bit for bit; it takes x̂ = min + c step,
          half a step lower, which changes no ranking.  Up to its 5.5 int8 was rounded towards zero
          after the shift by −128, so that all of −1..1 became 0 and what lay below was one too
          high, and numbers outside the range wrapped around; up to 6.0 it rescored raw codes.
Read next space/hamming.py (a bit a number, and rescoring), retrieve/index.py

De-quantise before comparing.  Codes are not the vector at another scale: each axis has its own
zero and its own step.  q·c weighs an axis by 1/step, so one that hardly varies counts as much as
one that decides.  Undone is that by  q·x̂ = Σ q_d step_d c_d + Σ q_d (min_d + step_d/2),  where the
last sum is the same for all documents: (q ∘ step)·c ranks as q·x̂ does.
"""
from typing import NamedTuple

import numpy as np

STEPS = 255


class Ranges(NamedTuple):
    """Where each axis begins and how long one of its 255 steps is."""
    low: np.ndarray          # (D,)
    step: np.ndarray         # (D,) ≥ 0


def calibrate(X: np.ndarray) -> Ranges:
    """The ranges of a sample of the vectors to come.  X: (N, D), N ≥ 1 -> Ranges, in X's type.

    Raises ValueError for nan or inf, or a range beyond the largest float.
    """
    X = _floats(X)
    if X.ndim != 2 or len(X) == 0:
        raise ValueError(f"expected a sample (N, D) with N ≥ 1, found shape {X.shape}")
    low = X.min(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):       # refused in the next line
        step = (X.max(axis=0) - low) / X.dtype.type(STEPS)
    broken = np.flatnonzero(~np.isfinite(step))
    if len(broken):
        raise ValueError(f"expected finite numbers and ranges, found nan, inf or a range beyond "
                         f"{np.finfo(X.dtype).max:.2g} on axis {broken[0]}")
    return Ranges(low, step)


def quantise(X: np.ndarray, ranges: Ranges) -> np.ndarray:
    """⌊(x − min) / step⌋, clipped to 0..255.  X: (..., D) -> (..., D) uint8.

    Raises ValueError for nan, which has no code, and for another width than the ranges'.
    """
    X = _floats(X)
    _require_width(X, ranges)
    with np.errstate(over="ignore"):                         # far outside is inf, then clipped
        steps = (X - ranges.low) / np.where(ranges.step == 0, 1, ranges.step)
    if np.isnan(steps).any():
        raise ValueError("expected numbers, found nan, which has no code")
    return np.clip(steps, 0, STEPS).astype(np.uint8)         # the cast cuts off the fraction


def dequantise(codes: np.ndarray, ranges: Ranges) -> np.ndarray:
    """x̂ = min + (c + ½) step, the middle of a code's step.  codes: (..., D) uint8 -> (..., D)."""
    codes = np.asarray(codes)
    if codes.dtype != np.uint8:
        raise ValueError(f"expected uint8 codes, found {codes.dtype}"
                         + ("; unshift() them first" if codes.dtype == np.int8 else ""))
    _require_width(codes, ranges)
    return ranges.low + (codes + ranges.step.dtype.type(0.5)) * ranges.step


def shift(codes: np.ndarray) -> np.ndarray:
    """uint8 -> int8, c − 128: the same order, from −128 to 127.  Any shape; also for bits."""
    return _flip_high_bit(codes, np.uint8, np.int8)


def unshift(codes: np.ndarray) -> np.ndarray:
    """int8 -> uint8, c + 128: what shift() undoes."""
    return _flip_high_bit(codes, np.int8, np.uint8)


def _flip_high_bit(codes, old, new):
    """c ∓ 128, which in two's complement changes no bit but the highest."""
    codes = np.asarray(codes)
    if codes.dtype != old:
        raise ValueError(f"expected {np.dtype(old)} codes, found {codes.dtype}")
    return (codes.view(np.uint8) ^ np.uint8(128)).view(new)


def _floats(X):
    """float32 as it is, all else as float64."""
    X = np.asarray(X)
    return X.astype(np.float32 if X.dtype == np.float32 else np.float64,
                    casting="same_kind", copy=False)


def _require_width(X, ranges):
    if X.ndim == 0 or X.shape[-1:] != ranges.low.shape:
        raise ValueError(f"expected vectors of {len(ranges.low)} numbers, as those of the sample "
                         f"that gave the ranges; found shape {X.shape}")

"""Elementary functions: sigmoid, softplus and erf of arrays; exp and softmax inside kernels.

exp32 has a relative error of at most 2⁻²³ for |x| ≤ 87; beyond that it returns the value at ±87.
The error is relative also where e^x is tiny: σ(−40) computed with exp32 is 4e-18, not 0, so that a
loss −log σ stays finite.  softmax_row32 is the float32 kernel of softmax in nn/softmax.py.
"""
import math

import numpy as np

from scratch_embed.numerics.kernel import kernel

f32 = np.float32
ONE = f32(1)                                  # a bare 1 would promote everything to float64
EXP_LIMIT = f32(87)                           # e^±87 are normal float32; e^89 is not, nor is e^−89
ALL_BUT_SIGN = np.int32(0x7FFFFFFF)
LOG2_E = f32(1.4426950408889634)
# ln 2 = HEAD + TAIL; n · HEAD is exact, because the last bits of HEAD are zero
LN2_HEAD, LN2_TAIL = f32(0.693359375), f32(-2.1219444005469057e-4)
C2, C3, C4, C5, C6, C7 = (f32(1 / math.factorial(k)) for k in range(2, 8))


@kernel(keep_order=True)               # reordering would add the two parts of ln 2 first
def exp32(x):
    """e^x = 2ⁿ e^r with n = round(x / ln 2) and |r| ≤ ln 2 / 2, where 8 Taylor terms suffice."""
    if x != x:
        return x                              # nan stays nan
    x = min(max(x, -EXP_LIMIT), EXP_LIMIT)
    n = np.floor(x * LOG2_E + f32(0.5))
    r = x - n * LN2_HEAD - n * LN2_TAIL
    e_r = ONE + r * (ONE + r * (C2 + r * (C3 + r * (C4 + r * (C5 + r * (C6 + r * C7))))))
    exponent = np.int32(np.int32(n) + np.int32(127)) << np.int32(23)
    return e_r * np.int32(exponent).view(np.float32)      # the bits of 2ⁿ


@np.errstate(invalid="ignore")                # nan stays nan
def sigmoid(x: np.ndarray) -> np.ndarray:
    """σ(x) = 1 / (1 + e^−x), elementwise, without overflow at either end."""
    return np.exp(-np.logaddexp(0, -np.asarray(x)))


@np.errstate(invalid="ignore")
def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + e^x), elementwise.  −log σ(x) = softplus(−x)."""
    return np.logaddexp(0, np.asarray(x))


@kernel(inline=True)
def flip_if_negative(bits):
    """Integers in the order of the floats that have these bits; twice gives the bits again.

    The larger float has the larger bits, but among negative numbers the smaller ones; so all of
    their bits but the sign are flipped.
    """
    return np.int32(bits ^ (np.int32(bits >> np.int32(31)) & ALL_BUT_SIGN))


@kernel(inline=True)
def largest32(row):
    """The largest number of row (M,) float32, M ≥ 1.  Do not rely on the result if there is a nan.

    It compares integers, which the compiler does with vector instructions.  It does not for floats,
    because max(x, y) depends on the order of x and y if one of them is nan.
    """
    bits = row.view(np.int32)
    largest = flip_if_negative(bits[0])
    for j in range(len(bits)):
        largest = max(largest, flip_if_negative(bits[j]))
    return np.int32(flip_if_negative(largest)).view(np.float32)


@kernel(inline=True)
def softmax_row32(row, scale):
    """row ← softmax(scale · row), in place.  row: (M,) float32, M ≥ 1; scale > 0"""
    largest, total = largest32(row), f32(0)
    for j in range(len(row)):
        row[j] = exp32(scale * (row[j] - largest))
        total += row[j]
    inverse = ONE / total
    for j in range(len(row)):
        row[j] *= inverse


@kernel
def erf64(x):
    """erf(x) = 2/√π ∫₀ˣ e^(−t²) dt of every element of a float64 array; NumPy has no erf."""
    y = np.empty_like(x)
    for i in range(x.size):
        y.flat[i] = math.erf(x.flat[i])
    return y

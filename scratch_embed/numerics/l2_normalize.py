"""L2 normalisation: divide a vector by its Euclidean norm, without overflow; and its gradient.

Equation  u = x / ‖x‖;  a zero vector stays zero
Shapes    x, u (..., D); ‖x‖ is over the last axis
Types     float32 gives float32; other real types are converted to float64
Cost      O(D) per vector, a few passes over memory, so there is no Numba kernel
nan, inf  a vector with a nan gives nan in all components; an infinite component becomes nan, and
          the finite components beside it become 0
Read next losses/infonce.py, space/similarity.py

Why rescale?  In float32 the square of 1e-30 is 0 and the square of 1e30 is inf.  So each vector is
first divided by the power of two that brings its largest |x_d| into [½, 1).  This changes exponents
and no digits, except in components below 2⁻¹²⁵ times the largest, which underflow.

Gradient.  With r = ‖x‖, ∂u_i/∂x_j = (δ_ij − u_i u_j)/r, hence
    dx = (du − u (u·du)) / r.
This is the part of du that is orthogonal to x, divided by r: a step along x does not change u.
"""
import math
from collections.abc import Callable

import numpy as np

BLOCK = 1 << 20                    # most numbers in a temporary array


@np.errstate(invalid="ignore")                   # an infinite component gives inf / inf = nan
def l2_normalize(x: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """u = x / ‖x‖ over the last axis; a zero vector stays zero.

    x: (..., D) -> u (..., D), backward(du) -> dx.  Raises ValueError if x is a single number,
    TypeError if it is complex.

    >>> l2_normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))[0].tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    x = np.asarray(x)
    if x.ndim == 0:
        raise ValueError(f"expected vectors (..., D), got the single number {x}")
    x = x.astype(np.float32 if x.dtype == np.float32 else np.float64, order="C",
                 casting="same_kind", copy=False)
    x, power = rescale(x)
    norm = np.sqrt(sums_of_squares(x))
    norm[norm == 0] = 1
    u = np.divide(x, norm, out=x)

    def backward(du):
        return np.ldexp((du - u * (u * du).sum(-1, keepdims=True)) / norm, -power)
    return u, backward


def rescale(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x / 2^e, with the largest |x_d| / 2^e in [½, 1), and e.  (..., D) -> (..., D), (..., 1)

    A zero vector stays zero.
    """
    largest = np.maximum(x.max(-1, keepdims=True, initial=0), -x.min(-1, keepdims=True, initial=0))
    _, e = np.frexp(largest)
    # ldexp instead of x · 2.0**-e: for the smallest x, the factor 2.0**-e overflows
    return np.ldexp(x, -e), e


def sums_of_squares(x: np.ndarray) -> np.ndarray:
    """Σ_d x_d², block by block: x * x of all rows would need as much memory as x.

    (..., D) -> (..., 1)
    """
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    sums = np.empty((len(rows), 1), x.dtype)
    step = max(1, BLOCK // max(1, rows.shape[1]))
    for i in range(0, len(rows), step):
        block = rows[i:i + step]
        sums[i:i + step] = (block * block).sum(-1, keepdims=True)
    return sums.reshape(*x.shape[:-1], 1)

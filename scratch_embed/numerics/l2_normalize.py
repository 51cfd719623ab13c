"""L2 normalisation: a vector divided by its length, at every scale, and its gradient.

Equation  u = x / ‖x‖;  zero stays zero
Shapes    x, u (..., D), over the last axis
Types     float32 gives float32, float64 gives float64, everything else is taken as float64
Cost      O(D) a vector; NumPy's loops wait for memory as a kernel would, so there is none
nan, inf  nan in, nan out; inf has no direction: nan takes its place
Read next losses/infonce.py, space/similarity.py

‖x‖ must not overflow.  In float32 the square of 1e-30 is 0 and that of 1e30 inf.  So each vector
is first divided by a power of two that brings its largest component into [½, 1): that changes an
exponent and no digit, and what is lost below is under 2⁻¹⁴⁸ of the largest component.

The gradient.  With r = ‖x‖, ∂u_i/∂x_j = (δ_ij − u_i u_j)/r, hence
    dx = (du − u (u·du)) / r:
the part of du that is tangent to the sphere; a step along x changes no u.
"""
from collections.abc import Callable

import numpy as np


@np.errstate(invalid="ignore")                   # inf / inf is nan, as promised above
def l2_normalize(x: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """u = x / ‖x‖ over the last axis; a zero vector stays zero.

    x: (..., D) -> u (..., D), backward(du) -> dx.  Raises ValueError if x is a single number.

    >>> l2_normalize(np.array([[3.0, 4.0], [0.0, 0.0]]))[0].tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    x = np.asarray(x)
    if x.ndim == 0:
        raise ValueError(f"expected vectors (..., D), got the single number {x}")
    x = x.astype(np.float32 if x.dtype == np.float32 else np.float64, order="C", copy=False)
    largest = np.maximum(x.max(-1, keepdims=True, initial=0), -x.min(-1, keepdims=True, initial=0))
    _, power = np.frexp(largest)
    # ldexp and not x · 2.0**-power: the smallest numbers need a factor that is itself out of range
    x = np.ldexp(x, -power)
    norm = np.sqrt((x * x).sum(-1, keepdims=True))
    norm[norm == 0] = 1
    u = np.divide(x, norm, out=x)

    def backward(du):
        return np.ldexp((du - u * (u * du).sum(-1, keepdims=True)) / norm, -power)
    return u, backward

"""Rotary position embedding: queries and keys are rotated by angles that grow with their position.

Paper     Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", eq. 15.
Equation  (y_i, y_{i+d/2}) = R(m θ_i) (x_i, x_{i+d/2}),  R(a) = [cos a, −sin a; sin a, cos a],
          m the token's position, θ_i = theta^(−2i/d), i = 0 .. d/2 − 1, in each head of d numbers
Shapes    x, y (T, H·d); positions (T,), 0, 1, ... within each packed sequence
Cost      O(T H d); the cosines and sines, O(T d), are computed once for all layers
Differs   the paper rotates the pairs (x_2i, x_2i+1); Llama, Mistral and this file the pairs
          (x_i, x_{i+d/2}) ("rotate half").  Only the order of the rows of q's and k's weights
          differs.  transformers computes angles in float32, with an error of about 1e-4 at
          position 4,000; here they are float64.
Read next nn/attention.py

Why rotate?  R(a)ᵀ R(b) = R(b − a), so the score of a query at m and a key at n,
    (R(mθ) q) · (R(nθ) k) = q · R((n − m) θ) k,
depends only on n − m; and a rotation does not change norms.  Angles that grow slowly (large i)
distinguish far distances, angles that grow fast (small i) near distances, like a clock's hands.

Gradient.  The transpose of a rotation is its inverse: dx = R(−m θ) dy.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.contract import Backward
from scratch_embed.numerics.kernel import kernel


class Rotation(NamedTuple):
    """Cosines and sines of every token's angles, (T, d/2) each."""

    cos: np.ndarray
    sin: np.ndarray


def rotation(positions: np.ndarray, d: int, theta: float = 10_000.0, dtype: type = np.float32
             ) -> Rotation:
    """The cosines and sines of m θ_i for tokens at positions m.  positions: (T,); d per head.

    Raises ValueError unless d is even and at least 2.
    """
    if d < 2 or d % 2:
        raise ValueError(f"rotary: expected an even number of columns per head, got d={d}")
    angles = np.multiply.outer(positions, theta ** (-np.arange(0, d, 2) / d))  # (T, d/2) float64
    return Rotation(np.cos(angles).astype(dtype), np.sin(angles).astype(dtype))


def rotary(x: np.ndarray, by: Rotation) -> tuple[np.ndarray, Backward]:
    """Rotate all heads of each token by its position.  x, y: (T, H·d), by: (T, d/2) each.

    Raises ValueError for shapes that do not fit.
    """
    half = by.cos.shape[1]
    if len(x) != len(by.cos) or x.shape[1] % (2 * half):
        raise ValueError(f"rotary: expected x ({len(by.cos)}, H·{2 * half}), got {x.shape}")
    rotate = rotate_halves if x.dtype != np.float32 else rotate_halves_kernel
    back = Rotation(by.cos, -by.sin)
    return rotate(x, *by), lambda dy: rotate(dy, *back)


def rotate_halves(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """(a, b) -> (a cos − b sin, b cos + a sin), a and b the halves of each head.

    x: (T, H·d), cos, sin: (T, d/2) -> (T, H·d)
    """
    T, half = cos.shape
    a, b = np.moveaxis(x.reshape(T, x.shape[1] // (2 * half), 2, half), 2, 0)  # (T, H, d/2) each
    cos, sin = cos[:, None], sin[:, None]
    return np.stack([a * cos - b * sin, b * cos + a * sin], 2).reshape(x.shape)


@kernel
def rotate_halves_kernel(x, cos, sin):
    """rotate_halves for float32."""
    half, y = cos.shape[1], np.empty(x.shape, np.float32)
    for t in range(len(x)):
        for first in range(0, x.shape[1], 2 * half):           # a head: columns first:first + d
            a, b = x[t, first:first + half], x[t, first + half:first + 2 * half]
            for i in range(half):
                y[t, first + i] = a[i] * cos[t, i] - b[i] * sin[t, i]
                y[t, first + half + i] = b[i] * cos[t, i] + a[i] * sin[t, i]
    return y

"""Dropout: in training, a number is set to 0 with some probability, and the others are scaled up.

Paper     Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from
          Overfitting".
Equation  y = x m / (1 − p),  m = 0 with probability p, else 1
Shapes    x, y (...)
Cost      one hash per element, in each pass; in float32 no mask is stored
Differs   from drawing masks one after the other from a generator: m = 0 if a hash (hash32) of a key
          and the element's index is below a threshold.  So backward can compute m again, workers
          share no generator, and a step can be repeated.  The threshold rounds p to a multiple of
          2⁻³².
Read next nn/norms.py (add_norm, with dropout built in), sentences/simcse.py (where the mask is the
          only difference between two views of a sentence)

Why divide by 1 − p?  The expectation of m is 1 − p, so that of y is x: the next layer's inputs have
the same mean in training as at inference, where nothing is dropped.

Gradient.  y is linear in x:  dx = dy m / (1 − p), the same function with the same mask.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.contract import Backward
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import hash32, stream

f32, u32 = np.float32, np.uint32
ZERO = f32(0)


class Dropout(NamedTuple):
    """A dropout mask: the probability of a 0, and the key that decides which elements are 0."""

    probability: float = 0.0       # p
    key: int = 0                   # 64 bits

    def at(self, *numbers: int) -> "Dropout":
        """The mask with the key for these numbers, for example of a step, a layer and a worker.

        Other numbers give an independent mask.
        """
        if not self.probability:
            return self
        return Dropout(self.probability, int(stream(self.key, *numbers)))


NO_DROPOUT = Dropout()


class Mask(NamedTuple):
    """A mask for kernels: element i is kept, times scale, if hash32(i, key) ≥ threshold."""

    key: np.uint32
    threshold: np.uint32
    scale: np.float32


def mask(dropout: Dropout) -> Mask:
    """The Mask of a Dropout.  Raises ValueError unless 0 ≤ probability < 1."""
    p = dropout.probability
    if not 0 <= p < 1:
        raise ValueError(f"dropout: expected a probability of at least 0 and below 1, got {p}")
    key = (dropout.key ^ dropout.key >> 32) & 0xFFFFFFFF          # depends on all 64 bits
    return Mask(u32(key), u32(min(round(p * 2**32), 2**32 - 1)), f32(1 / (1 - p)))


def factors(shape: tuple[int, ...], dropout: Dropout) -> np.ndarray:
    """m / (1 − p) for every element of an array of this shape, in float64."""
    key, threshold, _ = mask(dropout)
    kept = np.empty(int(np.prod(shape)), np.bool_)
    keep(kept, key, threshold)
    return kept.reshape(shape) / (1 - dropout.probability)


@kernel
def keep(kept, key, threshold):
    """kept[i] ← whether element i is kept.  kept: (n,)"""
    for i in range(len(kept)):
        kept[i] = hash32(u32(i), key) >= threshold


def apply_dropout(x: np.ndarray, dropout: Dropout) -> tuple[np.ndarray, Backward]:
    """y = x m / (1 − p); x itself if p = 0.  x, y: (...)."""
    if not dropout.probability:
        return x, lambda dy: dy
    if x.dtype == np.float32:
        m = mask(dropout)
        return dropout_kernel(x.ravel(), m).reshape(x.shape), lambda dy: dropout_kernel(
            dy.ravel(), m).reshape(x.shape)
    m = factors(x.shape, dropout)
    return x * m, lambda dy: dy * m


@kernel
def dropout_kernel(x, m):
    """y = x m / (1 − p) of (n,) float32; dy in place of x gives dx."""
    y = np.empty_like(x)
    for i in range(len(x)):
        y[i] = x[i] * m.scale if hash32(u32(i), m.key) >= m.threshold else ZERO
    return y

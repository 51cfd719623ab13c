"""Dropout: in training each number is left out by chance, so that none is relied upon.

Paper     Srivastava et al. 2014, "Dropout: A Simple Way to Prevent Neural Networks from
          Overfitting".
Equation  y = x m / (1 − rate),  m = 0 with probability rate, else 1;  so E y = x
Shapes    x, y (...)
Cost      two multiplications and some shifts an element; no mask is kept.
Differs   Masks are not drawn one after the other but are a function of a key and of the entry's
          place (hash32): backward asks again instead of remembering, workers need no generator in
          common, and a step can be repeated.  rate is taken to the nearest multiple of 2⁻³².
Read next nn/layers.py (add_norm, which has it built in), sentences/simcse.py (where the mask is all
          that makes two views of a sentence)
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.contract import Backward
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import hash32, stream

f32, u32 = np.float32, np.uint32
ZERO = f32(0)


class Dropout(NamedTuple):
    """How much is dropped, and the name of the mask."""

    rate: float = 0.0
    key: int = 0                   # 64 bits

    def at(self, *place: int) -> "Dropout":
        """Another mask for each place: a layer's number, a step, a worker, a view of a batch."""
        return Dropout(self.rate, int(stream(self.key, *place))) if self.rate else self


NO_DROPOUT = Dropout()


class Mask(NamedTuple):
    """What kernels need: entry i is kept, times scale, if hash32(i, key) ≥ threshold."""

    key: np.uint32
    threshold: np.uint32
    scale: np.float32


def mask(drop: Dropout) -> Mask:
    """A Dropout as the kernels take it.  Raises ValueError unless 0 ≤ rate < 1."""
    if not 0 <= drop.rate < 1:
        raise ValueError(f"rate={drop.rate}: expected a number from 0 to below 1, such as 0.1")
    key = (drop.key ^ drop.key >> 32) & 0xFFFFFFFF                # every bit of it counts
    return Mask(u32(key), u32(min(round(drop.rate * 2**32), 2**32 - 1)),
                f32(1 / (1 - drop.rate)))


def factors(shape: tuple[int, ...], drop: Dropout) -> np.ndarray:
    """0 or 1/(1 − rate) for every entry, in float64."""
    key, threshold, _ = mask(drop)
    kept = np.empty(int(np.prod(shape)), np.bool_)
    keep(kept, key, threshold)
    return kept.reshape(shape) / (1 - drop.rate)


@kernel
def keep(kept, key, threshold):
    """Which of (n,) entries are kept."""
    for i in range(len(kept)):
        kept[i] = hash32(u32(i), key) >= threshold


def dropout(x: np.ndarray, drop: Dropout) -> tuple[np.ndarray, Backward]:
    """y = x m / (1 − rate).  Without a rate, x itself."""
    if not drop.rate:
        return x, lambda dy: dy
    if x.dtype == np.float32:
        m = mask(drop)
        return dropout_kernel(x.ravel(), m).reshape(x.shape), lambda dy: dropout_kernel(
            dy.ravel(), m).reshape(x.shape)
    m = factors(x.shape, drop)
    return x * m, lambda dy: dy * m


@kernel
def dropout_kernel(x, m):
    """The same for (n,) float32.  dx = dy m / (1 − rate): the same function again."""
    y = np.empty_like(x)
    for i in range(len(x)):
        y[i] = x[i] * m.scale if hash32(u32(i), m.key) >= m.threshold else ZERO
    return y

"""Pooling: one vector for a sentence from the vectors of its tokens.

Paper     Reimers & Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
          section 3 (cls, mean, max_); Muennighoff 2022, "SGPT" (weighted_mean).
Equation  y_n = Σ_i w_i x_i over the t tokens i = 1 … t of sentence n:
          cls            w_1 = 1            the first token, which training made for this
          last_token     w_t = 1            the only one that saw all, where attention is causal
          mean           w_i = 1/t
          mean_sqrt_len  w_i = 1/√t         longer sentences have longer vectors
          weighted_mean  w_i = i / Σ_j j    later tokens saw more, where attention is causal
          max_           y_nd = max_i x_id  no sum: every axis picks a token of its own
Shapes    x (T, D) packed, off (N+1,) -> y (N, D), backward(dy) -> dx (T, D)
          skip: leave out the first `skip` tokens of each sentence, a prompt; the rest keep their i
Cost      O(T D), less than a hundredth of the encoder's work: plain NumPy, no kernel.
Differs   Nothing is padded, so no mask can be forgotten.  A sentence without tokens is refused; in
          sentence-transformers it is zero, −inf, or what stands at its padding.
Read next transformer/bert.py (where x comes from), losses/infonce.py (where y goes)

The gradient of a weighted sum is ∂L/∂x_i = w_i ∂L/∂y: all tokens are told the same, each as loudly
as it weighs.  max_ tells only the token that won; of equals, the first.
"""
from collections.abc import Callable

import numpy as np

from scratch_embed.nn.contract import Backward
from scratch_embed.numerics.settings import saved_as
from scratch_embed.text.packed import positions

Pool = Callable[..., tuple[np.ndarray, Backward]]          # each of these: (x, off, skip=0) -> y


@saved_as("cls")
def cls(x: np.ndarray, off: np.ndarray, skip: int = 0) -> tuple[np.ndarray, Backward]:
    """The vector of the first token.  x: (T, D), off: (N+1,) -> (N, D).

    >>> x, off = np.array([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0]]), np.array([0, 2, 3])
    >>> cls(x, off)[0].tolist()
    [[1.0, 0.0], [5.0, 5.0]]
    """
    first, _ = starts(x, off, skip)
    return pick(x, first)


@saved_as("last_token")
def last_token(x: np.ndarray, off: np.ndarray, skip: int = 0) -> tuple[np.ndarray, Backward]:
    """The vector of the last token.  x: (T, D), off: (N+1,) -> (N, D)."""
    first, t = starts(x, off, skip)
    return pick(x, first + t - 1)


@saved_as("mean")
def mean(x: np.ndarray, off: np.ndarray, skip: int = 0) -> tuple[np.ndarray, Backward]:
    """The mean of the tokens.  x: (T, D), off: (N+1,) -> (N, D).

    >>> x, off = np.array([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0]]), np.array([0, 2, 3])
    >>> mean(x, off)[0].tolist()
    [[2.0, 1.0], [5.0, 5.0]]
    """
    _, t = starts(x, off, skip)
    return weighted_sum(x, off, (positions(off) >= skip) / spread(t, off))


@saved_as("mean_sqrt_len")
def mean_sqrt_len(x: np.ndarray, off: np.ndarray, skip: int = 0) -> tuple[np.ndarray, Backward]:
    """The sum of the tokens, divided by √t.  x: (T, D), off: (N+1,) -> (N, D)."""
    _, t = starts(x, off, skip)
    return weighted_sum(x, off, (positions(off) >= skip) / spread(np.sqrt(t), off))


@saved_as("weighted_mean")
def weighted_mean(x: np.ndarray, off: np.ndarray, skip: int = 0) -> tuple[np.ndarray, Backward]:
    """The mean of the tokens, the i-th weighing i.  x: (T, D), off: (N+1,) -> (N, D)."""
    _, t = starts(x, off, skip)
    i = np.where(positions(off) >= skip, positions(off) + 1, 0)
    return weighted_sum(x, off, i / spread(t * (t + 2 * skip + 1) / 2, off))    # Σ i, skip < i


@saved_as("max_")
def max_(x: np.ndarray, off: np.ndarray, skip: int = 0) -> tuple[np.ndarray, Backward]:
    """The largest number on every axis.  x: (T, D), off: (N+1,) -> (N, D)."""
    starts(x, off, skip)
    kept = np.where((positions(off) >= skip)[:, None], x, x.dtype.type(-np.inf))
    y = np.maximum.reduceat(kept, off[:-1])

    def backward(dy):
        lost = kept < spread(y, off)
        row = np.where(lost, len(x), np.arange(len(x))[:, None])
        dx = np.zeros_like(x)
        np.put_along_axis(dx, np.minimum.reduceat(row, off[:-1]), dy, axis=0)
        return dx
    return y, backward


def beside(*pools: Pool) -> Pool:
    """The pooling that sets the vectors of P poolings side by side, (N, P D)."""
    def pool(x, off, skip=0):
        ys, backs = zip(*(pool(x, off, skip) for pool in pools))

        def backward(dy):
            return sum(back(part) for back, part in zip(backs, np.split(dy, len(pools), axis=1)))
        return np.concatenate(ys, axis=1), backward
    return pool


# ---- what they share -----------------------------------------------------------------------------

def starts(x: np.ndarray, off: np.ndarray, skip: int) -> tuple[np.ndarray, np.ndarray]:
    """The row of each sentence's first token and how many there are, without those skipped."""
    t = np.diff(off) - skip
    if off[0] != 0 or off[-1] != len(x):
        raise ValueError(f"off goes from {off[0]} to {off[-1]}, and there are {len(x)} tokens")
    if len(t) and t.min() < 1:
        n = t.argmin()
        raise ValueError(f"sentence {n}: expected at least one token to pool, found {t[n] + skip}"
                         + (f", of which {skip} are to be skipped" if skip else ""))
    return off[:-1] + skip, t


def spread(y: np.ndarray, off: np.ndarray) -> np.ndarray:
    """What a sentence has, for each of its tokens.  (N, ...) -> (T, ...)"""
    return np.repeat(y, np.diff(off), axis=0)


def pick(x: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, Backward]:
    """Those rows, no two of them the same.  x: (T, D), rows: (N,) -> (N, D)."""
    def backward(dy):
        dx = np.zeros_like(x)
        dx[rows] = dy
        return dx
    return x[rows], backward


def weighted_sum(x: np.ndarray, off: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, Backward]:
    """y_n = Σ_i w_i x_i, token by token.  x: (T, D), w: (T,) -> (N, D)."""
    w = w.astype(x.dtype)[:, None]

    def backward(dy):
        return w * spread(dy, off)
    return np.add.reduceat(w * x, off[:-1]), backward

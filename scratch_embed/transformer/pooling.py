"""Pooling: one vector for a sentence from the vectors of its tokens.

Paper     Reimers & Gurevych 2019, "Sentence-BERT", section 3 (cls, mean, max).
          Muennighoff 2022, "SGPT", eq. 2 (weighted_mean).
Equation  y_n = Σ_i w_i x_i over the t tokens i = 1 … t of sentence n:
          cls            w_1 = 1                        the first token, made for this in training
          last_token     w_t = 1                        the only one that saw all, if attention is
                                                        causal
          mean           w_i = 1/t
          mean_sqrt_len  w_i = 1/√t                     keeps a trace of the length
          weighted_mean  w_i = i / Σ_j j                later tokens saw more, if causal
          max_           y_nd = max_i x_id              not a sum: each axis picks its own token
Shapes    x (T, D) packed, off (N+1,) -> y (N, D), in the type of x.
          skip: leave out the first `skip` tokens of each sentence (a prompt, for INSTRUCTOR); the
          others keep their numbers i.
Cost      O(T·D), a thousandth of the encoder's work: plain NumPy, no kernel.
Differs   nothing is padded, so there is no mask to forget; a sentence without tokens is refused,
          where sentence-transformers returns zeros or the padding's vector.
Read next transformer/encoder.py (where x comes from), losses/infonce.py (where y goes)

The gradient of a weighted sum is ∂L/∂x_i = w_i ∂L/∂y_n: every token is told the same, in proportion
to its weight.  max_ tells only the winner; of equals the first.
"""
import numpy as np


def cls(x: np.ndarray, off: np.ndarray, skip: int = 0):
    """The first token's vector.  x: (T, D), off: (N+1,) -> y: (N, D)."""
    first, _ = places(x, off, skip)
    return pick(x, first)


def last_token(x: np.ndarray, off: np.ndarray, skip: int = 0):
    """The last token's vector.  x: (T, D), off: (N+1,) -> y: (N, D)."""
    first, t = places(x, off, skip)
    return pick(x, first + t - 1)


def mean(x: np.ndarray, off: np.ndarray, skip: int = 0):
    """The mean over the tokens.  x: (T, D), off: (N+1,) -> y: (N, D)."""
    _, t = places(x, off, skip)
    return weighted_sum(x, off, (numbers(off) > skip) / np.repeat(t, np.diff(off)))


def mean_sqrt_len(x: np.ndarray, off: np.ndarray, skip: int = 0):
    """The sum over the tokens by √t.  x: (T, D), off: (N+1,) -> y: (N, D)."""
    _, t = places(x, off, skip)
    return weighted_sum(x, off, (numbers(off) > skip) / np.repeat(np.sqrt(t), np.diff(off)))


def weighted_mean(x: np.ndarray, off: np.ndarray, skip: int = 0):
    """The mean, token i weighing i.  x: (T, D), off: (N+1,) -> y: (N, D)."""
    places(x, off, skip)
    i = numbers(off) * (numbers(off) > skip)
    return weighted_sum(x, off, i / np.repeat(np.add.reduceat(i, off[:-1]), np.diff(off)))


def max_(x: np.ndarray, off: np.ndarray, skip: int = 0):
    """The largest value on each axis.  x: (T, D), off: (N+1,) -> y: (N, D)."""
    places(x, off, skip)
    kept = np.where((numbers(off) > skip)[:, None], x, x.dtype.type(-np.inf))
    y = np.maximum.reduceat(kept, off[:-1])

    def backward(dy):
        beaten = kept < np.repeat(y, np.diff(off), axis=0)
        row = np.where(beaten, len(x), np.arange(len(x))[:, None])
        winner = np.minimum.reduceat(row, off[:-1])                          # (N, D)
        dx = np.zeros_like(x)
        np.put_along_axis(dx, winner, dy, axis=0)
        return dx
    return y, backward


def concatenated(*pools):
    """The pooling that puts several beside each other.  P of them: y is (N, P·D)."""
    def pool(x, off, skip=0):
        ys, backs = zip(*(pool(x, off, skip) for pool in pools))

        def backward(dy):
            return sum(back(d) for back, d in zip(backs, np.split(dy, len(pools), axis=1)))
        return np.concatenate(ys, axis=1), backward
    return pool


# ---- what they share --------------------------------------------------------------------------

def places(x, off, skip):
    """The row of each sentence's first token and how many it has, skipped ones not counted."""
    off = np.asarray(off)
    t = np.diff(off) - skip
    if off[0] != 0 or off[-1] != len(x):
        raise ValueError(f"off runs from {off[0]} to {off[-1]}, and x has {len(x)} rows")
    if len(t) and t.min() < 1:
        n = int(t.argmin())
        raise ValueError(f"sentence {n} has {t[n] + skip} tokens, of which {skip} are skipped: "
                         "there is nothing to pool")
    return off[:-1] + skip, t


def numbers(off):
    """1 … t within each sentence.  (T,)"""
    return np.arange(1, off[-1] + 1) - np.repeat(off[:-1], np.diff(off))


def pick(x, rows):
    """Those rows, which are all different.  x: (T, D), rows: (N,) -> (N, D)."""
    def backward(dy):
        dx = np.zeros_like(x)
        dx[rows] = dy
        return dx
    return x[rows], backward


def weighted_sum(x, off, w):
    """y_n = Σ w_i x_i, summed token by token.  x: (T, D), w: (T,) -> y: (N, D)."""
    w = w.astype(x.dtype)[:, None]

    def backward(dy):
        return w * np.repeat(dy, np.diff(off), axis=0)
    return np.add.reduceat(w * x, off[:-1]), backward

"""Pooling: one vector for a sentence from the vectors of its tokens.

Paper     Reimers & Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
          section 3 (cls, mean, max_); Muennighoff 2022, "SGPT" (weighted_mean).
Equation  y_n = Σ_i w_i x_i over the t tokens i = 1 … t of sentence n:
          cls            w_1 = 1            the first token, [CLS]
          last_token     w_t = 1            with causal attention, only it attends to all tokens
          mean           w_i = 1/t
          mean_sqrt_len  w_i = 1/√t         longer sentences have larger norms
          weighted_mean  w_i = i / Σ_j j    with causal attention, later tokens attend to more
          max_           y_nd = max_i x_id  the maximum of each dimension, in place of a sum
Shapes    x (T, D) packed, offsets (N+1,) -> y (N, D), backward(dy) -> dx (T, D)
          skip: the first `skip` tokens of each sentence, a prompt, are left out; the rest keep i
Cost      O(T D), where one layer of the encoder costs O(T D²), so there is no kernel
Differs   Sequences are packed, so padding is never pooled.  A sentence without tokens is an error;
          in sentence-transformers its vector is zero, −inf, or that of a padding token.
Read next transformer/bert.py (which computes x), losses/infonce.py (a loss of y)

Why is [CLS] poor until a loss trains it?  Its token and position are the same in every text; only
attention can add what differs.  Untrained attention adds little: the mean cosine of two texts is
1.00, see below.  Masked LM does not train [CLS] either: it is never masked, so no prediction reads
its final vector.  (BERT's next-sentence loss reads it, for one yes-or-no question.)
`python bench/sentences/pooling.py` prints, over 5 seeds, ± one standard deviation:
                            untrained      masked LM     SimCSE, 300 steps
    nDCG@10, %      cls     9.2 ± 0.9      4.0 ± 0.4      5.5 ± 0.7      random vectors   3.9 ± 0.3
                    mean   14.1 ± 0.6      4.7 ± 0.6     16.9 ± 2.1      BM25            54.4 ± 0.7
    mean cosine     cls    1.00 ± 0.00    0.78 ± 0.07    0.19 ± 0.04     random vectors  0.00 ± 0.00
                    mean   0.97 ± 0.01    0.71 ± 0.06    0.51 ± 0.11
nDCG@10 measures the search for reports by questions; the mean cosine is over pairs of reports.
Here masked LM alone leaves either pooling near random vectors, and 300 contrastive steps improve
the mean far more than [CLS], which stays below the untrained network.  After masked
LM on English the mean is better too (STS-B: mean 58.0, [CLS] 26.8: bench/README.md).

Gradient.  For a weighted sum ∂L/∂x_i = w_i ∂L/∂y, the same direction for all tokens.  For max_ each
dimension of ∂L/∂y goes to the token with the maximum, on a tie to the first.
"""
from collections.abc import Callable

import numpy as np

from scratch_embed.nn.contract import Backward
from scratch_embed.numerics.settings import saved_as
from scratch_embed.text.packed import positions

Pool = Callable[..., tuple[np.ndarray, Backward]]          # (x, offsets, skip=0) -> y, backward


@saved_as("cls")
def cls(x: np.ndarray, offsets: np.ndarray, skip: int = 0) -> tuple[np.ndarray, Backward]:
    """The vector of the first token that is not skipped.  x: (T, D), offsets: (N+1,) -> (N, D).

    >>> x, offsets = np.array([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0]]), np.array([0, 2, 3])
    >>> cls(x, offsets)[0].tolist()
    [[1.0, 0.0], [5.0, 5.0]]
    """
    first, _ = starts(x, offsets, skip)
    return pick(x, first)


@saved_as("last_token")
def last_token(x: np.ndarray, offsets: np.ndarray, skip: int = 0) -> tuple[np.ndarray, Backward]:
    """The vector of the last token.  x: (T, D), offsets: (N+1,) -> (N, D)."""
    first, t = starts(x, offsets, skip)
    return pick(x, first + t - 1)


@saved_as("mean")
def mean(x: np.ndarray, offsets: np.ndarray, skip: int = 0) -> tuple[np.ndarray, Backward]:
    """The mean of the tokens.  x: (T, D), offsets: (N+1,) -> (N, D).

    >>> x, offsets = np.array([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0]]), np.array([0, 2, 3])
    >>> mean(x, offsets)[0].tolist()
    [[2.0, 1.0], [5.0, 5.0]]
    """
    _, t = starts(x, offsets, skip)
    return weighted_sum(x, offsets, (positions(offsets) >= skip) / repeat_per_token(t, offsets))


@saved_as("mean_sqrt_len")
def mean_sqrt_len(x: np.ndarray, offsets: np.ndarray, skip: int = 0) -> tuple[np.ndarray, Backward]:
    """The sum of the tokens, divided by √t.  x: (T, D), offsets: (N+1,) -> (N, D)."""
    _, t = starts(x, offsets, skip)
    w = (positions(offsets) >= skip) / repeat_per_token(np.sqrt(t), offsets)
    return weighted_sum(x, offsets, w)


@saved_as("weighted_mean")
def weighted_mean(x: np.ndarray, offsets: np.ndarray, skip: int = 0) -> tuple[np.ndarray, Backward]:
    """The weighted mean of the tokens, weights i = 1 … t.  x: (T, D), offsets: (N+1,) -> (N, D)."""
    _, t = starts(x, offsets, skip)
    i = np.where(positions(offsets) >= skip, positions(offsets) + 1, 0)
    total = t * (t + 2 * skip + 1) / 2                                   # Σ i over skip < i
    return weighted_sum(x, offsets, i / repeat_per_token(total, offsets))


@saved_as("max_")
def max_(x: np.ndarray, offsets: np.ndarray, skip: int = 0) -> tuple[np.ndarray, Backward]:
    """The maximum of each dimension over the tokens.  x: (T, D), offsets: (N+1,) -> (N, D)."""
    starts(x, offsets, skip)
    kept = np.where((positions(offsets) >= skip)[:, None], x, x.dtype.type(-np.inf))
    y = np.maximum.reduceat(kept, offsets[:-1])

    def backward(dy):
        below = kept < repeat_per_token(y, offsets)
        row = np.where(below, len(x), np.arange(len(x))[:, None])
        dx = np.zeros_like(x)
        np.put_along_axis(dx, np.minimum.reduceat(row, offsets[:-1]), dy, axis=0)
        return dx
    return y, backward


def concat_poolings(*pools: Pool) -> Pool:
    """The pooling that concatenates the vectors of P poolings: (N, P D)."""
    @saved_as("+".join(getattr(pool, "saved_as", pool.__name__) for pool in pools))
    def concatenated(x, offsets, skip=0):
        ys, backs = zip(*(pool(x, offsets, skip) for pool in pools))

        def backward(dy):
            return sum(back(part) for back, part in zip(backs, np.split(dy, len(pools), axis=1)))
        return np.concatenate(ys, axis=1), backward
    return concatenated


# ---- shared functions ----------------------------------------------------------------------------

def starts(x: np.ndarray, offsets: np.ndarray, skip: int) -> tuple[np.ndarray, np.ndarray]:
    """The row of each sentence's first pooled token, and t, the number of its pooled tokens."""
    t = np.diff(offsets) - skip
    if offsets[0] != 0 or offsets[-1] != len(x):
        raise ValueError(f"pooling: expected offsets from 0 to {len(x)}, the number of tokens, got "
                         f"{offsets[0]} to {offsets[-1]}")
    if len(t) and t.min() < 1:
        n = t.argmin()
        raise ValueError(f"sentence {n}: expected at least {skip + 1} tokens, of which {skip} are "
                         f"skipped, got {t[n] + skip}")
    return offsets[:-1] + skip, t


def repeat_per_token(y: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """A row per sentence, repeated for each of its tokens.  (N, ...) -> (T, ...)"""
    return np.repeat(y, np.diff(offsets), axis=0)


def pick(x: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, Backward]:
    """The given rows, which must be distinct.  x: (T, D), rows: (N,) -> (N, D)."""
    def backward(dy):
        dx = np.zeros_like(x)
        dx[rows] = dy
        return dx
    return x[rows], backward


def weighted_sum(x: np.ndarray, offsets: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, Backward]:
    """y_n = Σ_i w_i x_i over the tokens of sentence n.  x: (T, D), w: (T,) -> (N, D)."""
    w = w.astype(x.dtype)[:, None]

    def backward(dy):
        return w * repeat_per_token(dy, offsets)
    return np.add.reduceat(w * x, offsets[:-1]), backward

"""Scaled dot-product attention: each token's output is a weighted mean of its sequence's values.

Paper     Vaswani et al. 2017, "Attention Is All You Need", eq. 1.
          Ainslie et al. 2023, "GQA: Training Generalized Multi-Query Transformer Models".
          Jiang et al. 2023, "Mistral 7B", section 2 (the sliding window).
Equation  Y = dropout(P) V,   P = softmax(Q Kᵀ / √d + B),   in each of H heads
          causal: P_ij = 0 for j > i;  window w: P_ij = 0 for |i − j| > w
          B: an optional bias, for example of relative positions (nn/relative_bias.py)
Shapes    q, y (T, H·d), k, v (U, G·d): all sequences packed end to end; U = T in self-attention
          offsets (N+1,): sequence n is rows offsets[n]:offsets[n+1]; head h is columns
          h·d:(h+1)·d.  G divides H: H/G consecutive heads of q share one head of k and v
Cost      O(Σ t² H d) for sequences of t tokens; BLAS computes the products (in blocks,
          nn/matmul.py), and in float32 a kernel computes softmax and dropout
Differs   no padding: consecutive sequences of equal length are multiplied as one batch, so callers
          sort by length.  Dropout of P is from BERT.  For more than LONG keys, without a bias,
          nn/blockwise_attention.py computes the same in memory O(t), and a window in O(t w) time;
          for fewer keys, or with a bias, all t² scores are computed and stored.
Read next nn/blockwise_attention.py (long sequences), nn/rotary.py and nn/relative_bias.py
          (positions), transformer/bert.py

Why divide by √d?  A sum of d products of independent numbers of mean 0 and variance 1 has variance
d.  Without the division, the size of the scores grows with √d, so softmax saturates and its
gradient vanishes.

Why share keys and values?  A model that generates one token at a time reads k and v of all earlier
tokens for each new one: G heads instead of H need G/H of that memory, and quality hardly falls
(Ainslie et al., section 3).

Gradient.  Let S = Q Kᵀ / √d + B.  With dP = dropout(dY Vᵀ), dS = P ∘ (dP − rowsum(P ∘ dP)), and
    dQ = dS K / √d,   dK = dSᵀ Q / √d,   dV = dropout(P)ᵀ dY,   dB = Σ dS over all sequences.
dK and dV are summed over the heads of q that share K and V.
"""
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.blockwise_attention import blockwise_attention
from scratch_embed.nn.contract import Backward, BackwardEach
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, apply_dropout, mask
from scratch_embed.nn.softmax import softmax
from scratch_embed.numerics.functions import softmax_row32
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import hash32

f32, u32 = np.float32, np.uint32
ZERO = f32(0)
LONG = 128                         # keys above which blocks are faster, see bench/nn/attention.py


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, offsets: np.ndarray, heads: int,
              causal: bool = False, dropout: Dropout = NO_DROPOUT, *, window: int | None = None,
              bias: np.ndarray | None = None, key_offsets: np.ndarray | None = None,
              blocks_above: int = LONG) -> tuple[np.ndarray, BackwardEach]:
    """Multi-head attention within each packed sequence.

    q: (T, H·d), k, v: (U, G·d) -> y (T, H·d); backward(dy) -> dq, dk, dv and, for a bias, dbias

    heads        H
    window       token i attends to tokens i − window .. i + window, or i − window .. i if causal
                 (Mistral's sliding_window counts i itself: window = sliding_window − 1)
    bias         (H, t, u), added to Q Kᵀ / √d; shorter sequences use its first rows and columns.
                 Or (W, H, t, u) if all sequences have t queries and u keys: sequence n uses
                 bias[n mod W], and N is a multiple of W
    key_offsets  (N+1,), the offsets of k and v, by default those of q; needed for
                 cross-attention and cached keys.  For causal and window, a sequence's last query
                 and last key have the same position
    blocks_above with more keys and no bias, nn/blockwise_attention.py computes y, in less memory
    Raises ValueError for shapes that do not fit each other, the offsets or the heads, for a
    sequence without tokens, and as visible() does.

    >>> x = np.eye(4)
    >>> y, _ = attention(0 * x, x, x, np.array([0, 1, 4]), heads=1)  # equal scores: P is uniform
    >>> y[1].round(2).tolist()
    [0.0, 0.33, 0.33, 0.33]
    """
    key_offsets = offsets if key_offsets is None else key_offsets
    G, d = require_fitting(q, k, v, offsets, key_offsets, heads)
    groups = list(equal_length_groups(offsets, key_offsets))
    B = None if bias is None else require_bias(bias, groups, heads)
    many_biases = bias is not None and bias.ndim == 4

    def queries(x, group):                       # (n, G, H/G, t, d)
        return split_heads(x, group.row, group.n, group.t, G, d)

    def keys(x, group):                          # (n, G, 1, u, d)
        return split_heads(x, group.key_row, group.n, group.u, G, d)

    y, backs = np.empty_like(q), []
    for group in groups:
        QKV = queries(q, group), keys(k, group), keys(v, group)
        sees, drop = visible(group, causal, window), dropout.at(group.row)
        if group.u > blocks_above and B is None:
            queries(y, group)[:], back = blockwise_attention(*QKV, sees, drop)
        else:
            queries(y, group)[:], back = scaled_dot_product_attention(
                *QKV, sees, drop, None if B is None else B[..., :group.t, :group.u])
        backs.append(back)

    def backward(dy):
        dq, dk, dv = np.empty_like(q), np.empty_like(k), np.empty_like(v)
        dB = None if B is None else np.zeros_like(B)
        for group, back in zip(groups, backs):
            grads = back(queries(dy, group))
            queries(dq, group)[:], keys(dk, group)[:], keys(dv, group)[:] = grads[:3]
            if dB is not None:
                corner, dS = dB[..., :group.t, :group.u], grads[3]
                corner += dS.reshape(-1, *corner.shape).sum(0)
        return (dq, dk, dv) if dB is None else (dq, dk, dv, dB if many_biases else dB[0])
    return y, backward


def split_heads(x, first, n, t, G, d):
    """The rows of n sequences of t tokens as (n, G, H/G, t, d), a view: writing to it writes to x.
    """
    return x[first:first + n * t].reshape(n, t, G, -1, d).transpose(0, 2, 3, 1, 4)


def scaled_dot_product_attention(Q: np.ndarray, K: np.ndarray, V: np.ndarray,
                                 sees: tuple[int, int], dropout: Dropout = NO_DROPOUT,
                                 B: np.ndarray | None = None) -> tuple[np.ndarray, BackwardEach]:
    """Y = dropout(softmax(Q Kᵀ / √d + B)) V.

    Q, Y: (n, G, H/G, t, d), K, V: (n, G, 1, u, d), B: (W, H, t, u) with W a divisor of n
    sees: (back, ahead), query i attends to keys i − back .. i + ahead
    backward(dY) -> dQ, dK, dV, dS (n, G, H/G, t, u); with B, dS summed over sequences is dB
    """
    scale = Q.dtype.type(Q.shape[-1] ** -0.5)
    S = Q @ K.swapaxes(-1, -2)                                                 # (n, G, H/G, t, u)
    if B is not None:
        S = ((scale * S).reshape(-1, *B.shape) + B).reshape(S.shape)
    one = scale / scale                              # S is scaled if there is a B
    dropped, back_weights = attention_weights(S, scale if B is None else one, sees, dropout)

    def backward(dY):
        dS = back_weights(dY @ V.swapaxes(-1, -2))
        dS_scaled = dS if B is None else scale * dS      # without B, back_weights has scaled it
        return (dS_scaled @ K, sum_shared(dS_scaled.swapaxes(-1, -2) @ Q),
                sum_shared(dropped.swapaxes(-1, -2) @ dY), dS)
    return dropped @ V, backward


def sum_shared(dK):
    """The sum over the heads of q that share keys.  (n, G, H/G, u, d) -> (n, G, 1, u, d)"""
    return dK if dK.shape[2] == 1 else dK.sum(2, keepdims=True)


def attention_weights(S: np.ndarray, scale: float, sees: tuple[int, int], dropout: Dropout
                      ) -> tuple[np.ndarray, Backward]:
    """dropout(softmax(scale · S)) over the keys that each query attends to.  S: (..., t, u)

    sees: (back, ahead): query i attends to keys i − back .. i + ahead.
    In float32 it overwrites S, and its backward overwrites its argument: use temporary arrays.
    """
    back, ahead = sees
    t, u = S.shape[-2:]
    if S.dtype != np.float32:
        if back < t - 1 or ahead < u - 1:
            distance = np.arange(u) - np.arange(t)[:, None]                    # j − i
            S = np.where((-back <= distance) & (distance <= ahead), S, -np.inf)
        P, back_softmax = softmax(scale * S)
        dropped, back_drop = apply_dropout(P, dropout)
        return dropped, lambda dA: scale * back_softmax(back_drop(dA))

    m = mask(dropout)
    P = S.reshape(-1, u)
    dropped = np.empty_like(P) if m.threshold else P
    soft_drop_kernel(P, dropped, scale, t, back, ahead, m)

    def backward(dA):
        dS = dA.reshape(-1, u)                   # a copy if dA is not contiguous
        soft_drop_backward_kernel(dS, P, scale, m)
        return dS.reshape(dA.shape)
    return dropped.reshape(S.shape), backward


@kernel
def soft_drop_kernel(S, dropped, scale, t, back, ahead, m):
    """S ← softmax(scale · S), dropped ← dropout(S).  S: (R, u) float32, row r is query r mod t.

    dropped: (R, u), or S itself without dropout.
    """
    R, u = S.shape
    for r in range(R):
        row, i = S[r], r % t
        first, end = max(0, i - back), min(u, i + ahead + 1)
        row[:first] = ZERO                       # the query does not attend to these keys
        row[end:] = ZERO
        softmax_row32(row[first:end], scale)
        if m.threshold > u32(0):
            for j in range(u):
                kept = hash32(u32(r * u + j), m.key) >= m.threshold
                dropped[r, j] = m.scale * row[j] if kept else ZERO


@kernel
def soft_drop_backward_kernel(dA, P, scale, m):
    """dA ← scale · P (dP − Σ P dP),  dP = dropout(dA).  dA, P: (R, u) float32."""
    R, u = P.shape
    for r in range(R):
        row, grad, along = P[r], dA[r], ZERO
        if m.threshold > u32(0):
            for j in range(u):
                kept = hash32(u32(r * u + j), m.key) >= m.threshold
                grad[j] = m.scale * grad[j] if kept else ZERO
        for j in range(u):
            along += row[j] * grad[j]
        for j in range(u):
            grad[j] = scale * row[j] * (grad[j] - along)


# ---- groups of sequences, visible keys -----------------------------------------------------------

class Group(NamedTuple):
    """n consecutive sequences of t queries and u keys each."""

    row: int                       # the first row of the group in q
    key_row: int                   # the first row of the group in k and v
    n: int
    t: int
    u: int


def equal_length_groups(offsets: np.ndarray, key_offsets: np.ndarray) -> Iterator[Group]:
    """Yield the groups in order, as few as possible.  offsets, key_offsets: (N+1,)

    Raises ValueError for a sequence without queries or keys.
    """
    t, u = offsets[1:] - offsets[:-1], key_offsets[1:] - key_offsets[:-1]
    if len(t) and min(t.min(), u.min()) < 1:
        shortest = np.minimum(t, u)
        n = int((shortest < 1).argmax())
        raise ValueError(f"sequence {n}: expected at least 1 token, got {shortest[n]}")
    differs = (t[1:] != t[:-1]) | (u[1:] != u[:-1])                    # from the sequence before
    bounds = [0, *(np.flatnonzero(differs) + 1), len(t)] if len(t) else []
    for start, end in pairwise(bounds):                                # sequences start .. end − 1
        yield Group(int(offsets[start]), int(key_offsets[start]), int(end - start),
                    int(t[start]), int(u[start]))


def visible(group: Group, causal: bool, window: int | None) -> tuple[int, int]:
    """(back, ahead): query i attends to keys i − back .. i + ahead.

    The last query and the last key have the same position.  Raises ValueError for a negative
    window, or if causal or window is set and there are fewer keys than queries.
    """
    unlimited = max(group.t, group.u)
    if window is None and not causal:
        return unlimited, unlimited
    shift = group.u - group.t
    if shift < 0:
        raise ValueError(f"causal or window: expected at least as many keys as queries in each "
                         f"sequence, got {group.u} keys and {group.t} queries")
    if window is not None and window < 0:
        raise ValueError(f"window: expected a whole number of at least 0, got {window}")
    window = unlimited if window is None else window
    return window - shift, shift + (0 if causal else window)


def require_fitting(q, k, v, offsets, key_offsets, heads):
    """Return G and d, the dimension of a head.  Raises ValueError for shapes that do not fit."""
    T, U, d = offsets[-1], key_offsets[-1], q.shape[1] // heads
    G = k.shape[1] // d if d else 0
    if (offsets[0] != 0 or key_offsets[0] != 0 or len(offsets) != len(key_offsets)
            or len(q) != T or len(k) != U or k.shape != v.shape
            or q.shape[1] != heads * d or k.shape[1] != G * d or G == 0 or heads % G):
        raise ValueError(f"attention: expected q ({T}, H·d) with heads H={heads} and k, v "
                         f"({U}, G·d) with G a divisor of H, and rows as the offsets say; "
                         f"got {q.shape}, {k.shape} and {v.shape}")
    return G, d


def require_bias(bias, groups, heads):
    """Return the bias as (W, H, t, u).  Raises ValueError if it does not fit the sequences."""
    B = bias if bias.ndim == 4 else bias[None]
    t = max((group.t for group in groups), default=0)
    u = max((group.u for group in groups), default=0)
    fits = B.ndim == 4 and B.shape[1] == heads and B.shape[2] >= t and B.shape[3] >= u
    if fits and len(B) > 1:
        fits = len(groups) == 1 and groups[0].n % len(B) == 0 and B.shape[2:] == (t, u)
    if not fits:
        raise ValueError(f"bias: expected (H, t, u) with H={heads}, t ≥ {t} and u ≥ {u}, or "
                         f"(W, H, t, u) for sequences that all have t tokens and u keys, their "
                         f"number a multiple of W; got {bias.shape}")
    return B

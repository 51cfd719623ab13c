"""Attention: every token asks all tokens of its own sequence, and takes the answers' mean.

Paper     Vaswani et al. 2017, "Attention Is All You Need", eq. 1.
Equation  Y = dropout(P) V,  P = softmax(Q Kᵀ / √d), in each of H heads; causal: P_ij = 0 for j > i
Shapes    q, k, v, y (T, D): all sequences end to end; off (N+1,): sequence n is rows
          off[n]:off[n+1]; head h is columns h·d..(h+1)·d of them, d = D/H
Cost      Σ t² D over sequences of t tokens.  BLAS owns the products, a kernel the softmax.
Differs   Nothing is padded, so nothing is masked but the future: neighbours of equal length run as
          one batched product, which is why batches are sorted by length.  BERT drops entries of P,
          not of Y: a token sometimes does not hear another.
Read next transformer/bert.py

With d terms of variance 1 each, q·k has variance d; the root brings it back to 1, where softmax has
a slope.
"""
import numpy as np

from scratch_embed.nn.contract import Backward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, dropout, mask
from scratch_embed.nn.softmax import softmax
from scratch_embed.numerics.functions import soften32
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import hash32

f32, u32 = np.float32, np.uint32
ZERO = f32(0)


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, off: np.ndarray, H: int,
              causal: bool = False, drop: Dropout = NO_DROPOUT) -> tuple[np.ndarray, Backward]:
    """attend() inside each sequence.  q, k, v: (T, D) -> y: (T, D), backward(dy) -> dq, dk, dv.

    Raises ValueError where T is not what off ends at, or D no multiple of H.
    """
    T, D = q.shape
    if not q.shape == k.shape == v.shape or off[0] != 0 or off[-1] != T or D % H:
        raise ValueError(f"expected q, k, v of one shape (T, D), T={off[-1]} as off has it and D a "
                         f"multiple of H={H}; found {q.shape}, {k.shape} and {v.shape}")

    def heads(x, start, n, t):                       # a view: what is written to it is in x
        return x[start:start + n * t].reshape(n, t, H, D // H).swapaxes(1, 2)    # (n, H, t, d)

    y, backs, together = np.empty_like(v), [], runs(off)
    for run in together:
        mine, back = attend(*(heads(x, *run) for x in (q, k, v)), causal, drop.at(run[0]))
        heads(y, *run)[:] = mine
        backs.append(back)

    def backward(dy):
        dq, dk, dv = np.empty_like(q), np.empty_like(k), np.empty_like(v)
        for run, back in zip(together, backs):
            for dx, d in zip((dq, dk, dv), back(heads(dy, *run))):
                heads(dx, *run)[:] = d
        return dq, dk, dv
    return y, backward


def runs(off: np.ndarray) -> list[tuple[int, int, int]]:
    """(first row, sequences, length) of every run of equally long sequences.  off: (N+1,)."""
    lengths = np.diff(off)
    if (lengths < 1).any():
        raise ValueError(f"sequence {lengths.argmin()} has {lengths.min()} tokens: expected 1 or "
                         "more of each")
    first = np.flatnonzero(np.diff(lengths, prepend=-1))
    return [(int(off[a]), int(z - a), int(lengths[a]))
            for a, z in zip(first, [*first[1:], len(lengths)])]


def attend(Q: np.ndarray, K: np.ndarray, V: np.ndarray, causal: bool, drop: Dropout
           ) -> tuple[np.ndarray, Backward]:
    """dropout(softmax(Q Kᵀ/√d)) V.  Q, K, V: (n, H, t, d) -> (n, H, t, d)."""
    scale = Q.dtype.type(Q.shape[-1] ** -0.5)
    dropped, back_weights = weights(Q @ K.swapaxes(-1, -2), scale, causal, drop)  # (n, H, t, t)

    def backward(dY):
        dS = back_weights(dY @ V.swapaxes(-1, -2))
        return dS @ K, dS.swapaxes(-1, -2) @ Q, dropped.swapaxes(-1, -2) @ dY
    return dropped @ V, backward


def weights(S: np.ndarray, scale: float, causal: bool, drop: Dropout
            ) -> tuple[np.ndarray, Backward]:
    """dropout(softmax(scale · S)), the future masked where causal.  (n, H, t, t), as S.

    In float32 S is overwritten, and so is what backward is given: both are attend's own.
    """
    if S.dtype == np.float32:
        m, t = mask(drop), S.shape[-1]
        P = S.reshape(-1, t)
        dropped = np.empty_like(P) if m.threshold else P
        soft_drop_kernel(P, dropped, scale, causal, m)

        def backward(dA):
            dS = dA.reshape(-1, t)                   # a copy, where dA is laid out otherwise
            soft_drop_backward_kernel(dS, P, scale, m)
            return dS.reshape(dA.shape)
        return dropped.reshape(S.shape), backward

    if causal:
        S = np.where(np.tri(S.shape[-1], dtype=bool), S, -np.inf)
    P, back_softmax = softmax(scale * S)
    dropped, back_drop = dropout(P, drop)
    return dropped, lambda dA: scale * back_softmax(back_drop(dA))


@kernel
def soft_drop_kernel(S, dropped, scale, causal, m):
    """S ← softmax(scale · S), dropped ← dropout(S), of (R, t) float32; row r is token r mod t."""
    R, t = S.shape
    for r in range(R):
        row = S[r]
        seen = r % t + 1 if causal else t
        row[seen:] = ZERO
        soften32(row[:seen], scale)
        if m.threshold > u32(0):
            for j in range(t):
                kept = hash32(u32(r * t + j), m.key) >= m.threshold
                dropped[r, j] = m.scale * row[j] if kept else ZERO


@kernel
def soft_drop_backward_kernel(dA, P, scale, m):
    """dA ← dS = scale · P (dP − Σ P dP),  dP = dropout(dA)."""
    R, t = P.shape
    for r in range(R):
        row, grad, along = P[r], dA[r], ZERO
        if m.threshold > u32(0):
            for j in range(t):
                kept = hash32(u32(r * t + j), m.key) >= m.threshold
                grad[j] = m.scale * grad[j] if kept else ZERO
        for j in range(t):
            along += row[j] * grad[j]
        for j in range(t):
            grad[j] = scale * row[j] * (grad[j] - along)

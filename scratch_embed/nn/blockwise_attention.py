"""Attention in blocks with a running softmax: memory that grows with the length t, not with t².

Paper     Rabe & Staats 2021, "Self-attention Does Not Need O(n²) Memory".
          Dao, Fu, Ermon, Rudra & Ré 2022, "FlashAttention", algorithms 1 and 4 (the backward pass).
          Milakov & Gimelshein 2018, "Online normalizer calculation for softmax".
Equation  Y = dropout(P) V,  P = softmax(S),  S = Q Kᵀ / √d, as in nn/attention.py, without a bias
          after each block of keys, for each query, m = max s, l = Σ e^(s − m), y = Σ e^(s − m) v:
          m' = max(m, max s),  c = e^(m − m'),  l' = c l + Σ e^(s − m'),  y' = c y + Σ e^(s − m') v
          after the last block, Y = y / l
Shapes    Q, Y (n, G, H/G, t, d), K, V (n, G, 1, u, d); one head of keys: Q (h, t, d), K (u, d)
Cost      as nn/attention.py; with a window of w tokens O(t w H d) instead of O(t² H d), because
          blocks outside the window are skipped.  The backward pass computes the scores again: 5
          products instead of 4.  Memory: one block of scores per thread, and m, l of each query.
          nn/matmul.py computes the products
Differs   from FlashAttention: a block fits the processor's second cache, not a GPU's memory; P is
          computed again from m and l, e^(s − m) / l, not from m + log l, which rounds more.
Read next nn/attention.py (the same function with all scores at once, and its gradient)

Why does it work?  Softmax needs the largest score and the sum over all keys before it can divide.
But both sums, l and y, have the same factor e^(−m).  If a later block has a larger score, both are
multiplied by c = e^(m − m'), as if m' had been known from the start.

Gradient.  The formulas of nn/attention.py, block by block: dS = P ∘ (dP − δ),  δ = rowsum(P ∘ dP).
δ needs no scores: with dP = dropout(dY Vᵀ), δ_i = Σ_j P_ij dP_ij = dY_i · Σ_j dropout(P)_ij V_j =
dY_i · Y_i.  Dropout draws the mask of nn/attention.py, by the index of each score in (n, H, t, u).
"""
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.contract import BackwardEach
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, mask
from scratch_embed.nn.matmul import WORTH_A_THREAD, matmul
from scratch_embed.numerics.blas import blas_threads
from scratch_embed.numerics.functions import exp32, largest32
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import hash32
from scratch_embed.numerics.workers import parallel_map

f32, u32 = np.float32, np.uint32
ZERO, ONE = f32(0), f32(1)
QUERIES, KEYS = 512, 512           # of a block


class Block(NamedTuple):
    """Queries i .. i + QUERIES − 1 and keys j .. j + KEYS − 1, as far as they exist."""

    i: int
    j: int
    back: int                      # query i attends to keys i − back .. i + ahead
    ahead: int
    row: int                       # the index of the head's first query in (n, H, t)
    t: int
    u: int


def blocks(t: int, u: int, sees: tuple[int, int], row: int) -> Iterator[tuple[slice, list[Block]]]:
    """Yield each block of queries, and its blocks of keys without those that no query sees."""
    back, ahead = sees
    for i in range(0, t, QUERIES):
        end = min(i + QUERIES, t)
        first_key, end_key = max(0, i - back), min(u, end + ahead)
        yield slice(i, end), [Block(i, j, back, ahead, row, t, u)
                              for j in range(first_key, end_key, KEYS)]


def blockwise_attention(Q: np.ndarray, K: np.ndarray, V: np.ndarray, sees: tuple[int, int],
                        dropout: Dropout = NO_DROPOUT) -> tuple[np.ndarray, BackwardEach]:
    """Y = dropout(softmax(Q Kᵀ / √d)) V, equal to scaled_dot_product_attention up to rounding.

    Q, Y: (n, G, H/G, t, d), K, V: (n, G, 1, u, d); backward(dY) -> dQ, dK, dV
    sees: (back, ahead), query i attends to keys i − back .. i + ahead, at least one
    For many operations it uses as many threads as BLAS may, each for one head of keys at a time.
    """
    n, G, h, t, d = Q.shape
    heads = list(product(range(n), range(G)))
    operations = 4 * n * G * h * t * min(K.shape[3], sum(sees) + 1) * d
    most = min(len(heads), 1 + operations // WORTH_A_THREAD)
    largest, total = np.empty((2, *Q.shape[:-1]), Q.dtype)                      # (n, G, h, t)
    Y = np.empty(Q.shape, Q.dtype)

    def row(head):                               # of the head's first query in (n, H, t)
        return (head[0] * G + head[1]) * h * t

    def forward_head(head):
        forward(Q[head], K[head][0], V[head][0], sees, row(head), dropout, Y[head],
                largest[head], total[head])

    def backward(dY):
        dQ, dK, dV = (np.zeros(x.shape, x.dtype) for x in (Q, K, V))

        def backward_head(head):
            backward_blocks((Q[head], K[head][0], V[head][0]), dY[head], sees, row(head),
                            dropout, (Y[head], largest[head], total[head]),
                            (dQ[head], dK[head][0], dV[head][0]))
        with parallel_map(min(blas_threads() or 1, most)) as in_parallel:
            in_parallel(backward_head, heads)
        return dQ, dK, dV

    with parallel_map(min(blas_threads() or 1, most)) as in_parallel:
        in_parallel(forward_head, heads)
    return Y, backward


def forward(Q, K, V, sees, row, dropout, Y, largest, total):
    """Write Y, and for each query the largest entry of Q Kᵀ and l, for one head of keys.

    Q, Y: (h, t, d), K, V: (u, d), largest, total: (h, t), see running_softmax
    """
    (_, t, d), u, K, V = Q.shape, len(K), np.ascontiguousarray(K), np.ascontiguousarray(V)
    scale = Q.dtype.type(d ** -0.5)
    Y[...] = 0
    for queries, key_blocks in blocks(t, u, sees, row):
        q, y = np.ascontiguousarray(Q[:, queries]), Y[:, queries]     # (h, ≤ QUERIES, d)
        m, l = np.full(q.shape[:2], -np.inf, q.dtype), np.zeros(q.shape[:2], q.dtype)
        for b in key_blocks:
            keys = slice(b.j, b.j + KEYS)
            S = rows_times(q, K[keys].T)                              # (h, ≤ QUERIES, ≤ KEYS)
            A, c = running_softmax(S, m, l, scale, b, dropout)
            y *= c[..., None]
            y += rows_times(A, V[keys])
        y /= l[..., None]
        largest[:, queries], total[:, queries] = m, l


def backward_blocks(qkv, dY, sees, row, dropout, saved, grads):
    """Add to dQ (h, t, d), dK, dV (u, d) of one head of keys.  saved: Y, largest, total"""
    (Q, K, V), (Y, largest, total), (dQ, dK, dV) = qkv, saved, grads
    (_, t, d), u, K, V = Q.shape, len(K), np.ascontiguousarray(K), np.ascontiguousarray(V)
    scale = Q.dtype.type(d ** -0.5)
    delta = (dY * Y).sum(-1)                                          # (h, t), rowsum(P ∘ dP)
    for queries, key_blocks in blocks(t, u, sees, row):
        q, dy = np.ascontiguousarray(Q[:, queries]), np.ascontiguousarray(dY[:, queries])
        of_query = tuple(np.ascontiguousarray(x[:, queries]) for x in (largest, total, delta))
        for b in key_blocks:
            keys = slice(b.j, b.j + KEYS)
            A, dS = softmax_gradient(rows_times(q, K[keys].T), rows_times(dy, V[keys].T),
                                     of_query, scale, b, dropout)
            dQ[:, queries] += rows_times(dS, K[keys])
            dK[keys] += matmul(as_rows(q).T, as_rows(dS)).T           # the sum over the heads that
            dV[keys] += matmul(as_rows(dy).T, as_rows(A)).T           # share these keys, too


def as_rows(x):
    """The rows of all heads: (h, I, d) -> (h·I, d)."""
    return x.reshape(-1, x.shape[-1])


def rows_times(x, b):
    """x b in one product for the heads that share keys.  x: (h, I, d), b: (d, J) -> (h, I, J)"""
    return matmul(as_rows(x), b).reshape(*x.shape[:-1], -1)


# ---- one block of scores -------------------------------------------------------------------------

def running_softmax(S, largest, total, scale, b, dropout):
    """Update m and l of each query by a block.  S: (h, I, J), the entries of Q Kᵀ.

    s = scale · S and m = scale · largest: `largest` is a maximum of S, which is not scaled.
    largest, total: (h, I), written in place; total is l.  In float32 S is overwritten.
    -> A = dropout(e^(s − m')) (h, I, J),  c = e^(m − m') (h, I)
    """
    if S.dtype != np.float32:
        S = np.where(is_visible(S.shape, b), S, -np.inf)
        new = np.maximum(largest, S.max(-1))
        shift = np.where(new == -np.inf, 0, new)      # a query that has not seen any key yet
        A, c = np.exp(scale * (S - shift[..., None])), np.exp(scale * (largest - shift))
        largest[...], total[...] = new, c * total + A.sum(-1)
        return A * block_factors(S.shape, b, dropout), c
    c = np.empty(S.shape[:-1], np.float32)
    running_softmax_kernel(S, largest, total, c, scale, b, mask(dropout))
    return S, c


def softmax_gradient(S, dA, of_query, scale, b, dropout):
    """dS = scale · P (dP − δ),  dP = dropout(dA),  P = e^(s − m) / l, in one block.

    S = Q Kᵀ, dA = dY Vᵀ: (h, I, J); of_query: largest, total and δ (h, I) of all keys, see
    running_softmax.  In float32 S and dA are overwritten.  -> A = dropout(P), dS (h, I, J)
    """
    if S.dtype != np.float32:
        largest, total, delta = of_query
        S = np.where(is_visible(S.shape, b), S, -np.inf)
        P = np.exp(scale * (S - largest[..., None])) / total[..., None]
        kept = block_factors(S.shape, b, dropout)
        return P * kept, scale * P * (kept * dA - delta[..., None])
    softmax_gradient_kernel(S, dA, of_query, scale, b, mask(dropout))
    return S, dA


def is_visible(shape, b):
    """(I, J): whether each query of the block attends to each key."""
    distance = (b.j + np.arange(shape[-1])) - (b.i + np.arange(shape[-2]))[:, None]
    return (-b.back <= distance) & (distance <= b.ahead)


def block_factors(shape, b, dropout):
    """0 for each weight that dropout drops, 1 / (1 − p) for the others.  -> (h, I, J)"""
    if not dropout.probability:
        return 1.0
    kept = np.empty(shape, np.bool_)
    keep_block(kept, b, mask(dropout))
    return kept / (1 - dropout.probability)


@kernel(inline=True)
def first_weight(b, head, i):
    """The index in (n, H, t, u) of the weight of query i of the block and the block's first key."""
    return (b.row + head * b.t + b.i + i) * b.u + b.j


@kernel
def keep_block(kept, b, drop):
    """kept ← whether each weight of the block is kept.  kept: (h, I, J) bool"""
    for head, i in np.ndindex(kept.shape[:2]):
        first = first_weight(b, head, i)
        for j in range(kept.shape[2]):
            kept[head, i, j] = hash32(u32(first + j), drop.key) >= drop.threshold


@kernel(inline=True)
def visible_keys(b, i, J):
    """(first, end): query i of the block attends to its keys first .. end − 1, none if equal."""
    first = min(max(0, b.i + i - b.back - b.j), J)
    return first, min(max(first, b.i + i + b.ahead + 1 - b.j), J)


@kernel
def running_softmax_kernel(S, largest, total, c, scale, b, drop):
    """running_softmax in float32.  S ← A; largest, total: updated; c ← e^(m − m')."""
    h, I, J = S.shape
    for head, i in np.ndindex((h, I)):
        row = S[head, i]
        first, end = visible_keys(b, i, J)
        row[:first] = ZERO
        row[end:] = ZERO
        if first == end:                              # largest stays, perhaps −∞
            c[head, i] = ONE
            continue
        seen, old = row[first:end], largest[head, i]
        new, added = max(old, largest32(seen)), ZERO
        for j in range(len(seen)):
            seen[j] = exp32(scale * (seen[j] - new))
            added += seen[j]
        c[head, i] = exp32(scale * (old - new))       # for old = −∞ it multiplies zeros
        total[head, i] = c[head, i] * total[head, i] + added
        largest[head, i] = new
        if drop.threshold > u32(0):
            index = first_weight(b, head, i)
            for j in range(J):
                kept = hash32(u32(index + j), drop.key) >= drop.threshold
                row[j] = drop.scale * row[j] if kept else ZERO


@kernel
def softmax_gradient_kernel(S, dA, of_query, scale, b, drop):
    """softmax_gradient in float32.  S ← A, dA ← dS."""
    h, I, J = S.shape
    largest, total, delta = of_query
    for head, i in np.ndindex((h, I)):
        row, grad, index = S[head, i], dA[head, i], first_weight(b, head, i)
        first, end = visible_keys(b, i, J)
        highest, inverse, mean = largest[head, i], ONE / total[head, i], delta[head, i]
        row[:first], grad[:first] = ZERO, ZERO
        row[end:], grad[end:] = ZERO, ZERO
        P, dP = row[first:end], grad[first:end]
        for j in range(len(P)):
            P[j] = exp32(scale * (P[j] - highest)) * inverse
        if drop.threshold == u32(0):
            for j in range(len(P)):
                dP[j] = scale * P[j] * (dP[j] - mean)
            continue
        for j in range(len(P)):
            number = u32(index + first + j)
            kept = drop.scale if hash32(number, drop.key) >= drop.threshold else ZERO
            dP[j] = scale * P[j] * (kept * dP[j] - mean)
            P[j] *= kept

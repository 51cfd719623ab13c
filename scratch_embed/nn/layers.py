"""Linear layers, embeddings, and functions of single rows in blocks.

Equation  linear     y = x Wᵀ + b
          embedding  y_t = table[id_t]
Shapes    x (..., I): usually (T, I), tokens packed end to end; any leading axes are allowed.
          W (O, I) as in torch
Cost      nn/matmul.py or BLAS computes the products of `linear`
Differs   A bias that p does not name is not added; a tensor that g does not name gets no gradient.
Read next nn/contract.py (y, backward = f(x)), nn/norms.py, nn/attention.py, transformer/bert.py

The gradient of a linear layer.  y_to = Σ_i x_ti W_oi + b_o, so with dy = ∂L/∂y
    dx_ti = Σ_o dy_to W_oi,   dW_oi = Σ_t dy_to x_ti,   db_o = Σ_t dy_to,
or dx = dy W, dW = dyᵀ x: both are again products of matrices, so the backward pass costs twice as
much as the forward pass.
"""
from collections.abc import Callable
from typing import Any

import numpy as np

from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.low_rank import has_low_rank, low_rank
from scratch_embed.nn.matmul import matmul
from scratch_embed.nn.params import Params
from scratch_embed.numerics.blas import blas_threads
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.workers import parallel_map

ROWS = 256                         # of a block: 1.5 MB of MiniLM's (ROWS, F), in the second cache


def linear(x: np.ndarray, p: Params, name: str) -> tuple[np.ndarray, ParamBackward]:
    """y = x Wᵀ + b over the last axis; b is added if p has it, and so is LoRA's term s x Aᵀ Bᵀ.

    x: (..., I), W: (O, I), b: (O,) -> y: (..., O).  W may also be (O, C, P, P), the weight of a
    convolution over patches, with I = C·P·P: see patches() in nn/convolution.py.

    >>> p = Params({"f.weight": (1, 2), "f.bias": (1,)})
    >>> p["f.weight"][:], p["f.bias"][:] = [[3, 4]], 1
    >>> y, backward = linear(np.array([[1.0, 2.0]]), p, "f")
    >>> g = p.like()
    >>> y.tolist(), backward(np.array([[1.0]]), g).tolist(), g["f.weight"].tolist()
    ([[12.0]], [[3.0, 4.0]], [[1.0, 2.0]])
    """
    shape = p[name + ".weight"].shape
    W = p[name + ".weight"].reshape(shape[0], -1)                              # (O, I)
    rows = x.reshape(-1, x.shape[-1])
    y = matmul(rows, W.T, p.get(name + ".bias"))
    if has_low_rank(p, name):
        term, back_term = low_rank(rows, p, name)
        y += term

    def backward(dy, g):
        dy = dy.reshape(-1, len(W))
        if name + ".weight" in g:
            g[name + ".weight"] += matmul(dy.T, rows).reshape(shape)
        if name + ".bias" in g:
            g[name + ".bias"] += dy.sum(0)
        dx = matmul(dy, W)
        if has_low_rank(p, name):
            dx += back_term(dy, g)
        return dx.reshape(x.shape)
    return y.reshape(*x.shape[:-1], len(W)), backward


def in_row_blocks(f: Callable, x: np.ndarray, *arguments: Any) -> np.ndarray:
    """y of `y, backward = f(x, *arguments)`, computed for ROWS rows at a time.  x, y: (T, D)

    f treats each row by itself.  Its intermediate arrays have ROWS rows instead of T.  If there are
    several blocks, as many threads compute them as BLAS may use.

    >>> in_row_blocks(lambda x, a: (a * x, None), np.ones((3, 1)), 2.0).tolist()
    [[2.0], [2.0], [2.0]]
    """
    if len(x) <= ROWS:
        return f(x, *arguments)[0]
    y, starts = np.empty_like(x), range(0, len(x), ROWS)

    def compute(start):
        y[start:start + ROWS] = f(x[start:start + ROWS], *arguments)[0]
    with parallel_map(min(blas_threads() or 1, len(starts))) as in_parallel:
        in_parallel(compute, starts)
    return y


# ---- rows of a table -----------------------------------------------------------------------------

def embedding(ids: np.ndarray, p: Params, name: str) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Look up rows of a table.  ids: (...), table: (V, D) -> (..., D).  backward returns no dx.

    Raises ValueError for an id outside 0..V−1.  NumPy would count a negative id from the end.
    """
    table = p[name + ".weight"]
    if ids.size and not 0 <= ids.min() <= ids.max() < len(table):
        raise ValueError(f"{name}: ids must be in 0..{len(table) - 1}, got {ids.min()}.."
                         f"{ids.max()}")

    def backward(dy, g):
        if name + ".weight" not in g:
            return
        dy = dy.reshape(-1, table.shape[1])
        if dy.dtype != np.float32:
            np.add.at(g[name + ".weight"], ids.ravel(), dy)  # a row read twice gets both terms
        else:
            add_rows_kernel(g[name + ".weight"], ids.ravel(), dy)
    return table[ids], backward


@kernel
def add_rows_kernel(table, ids, rows):
    """table[ids_t] += rows_t for t = 0 .. T−1.  table: (V, D), ids: (T,), rows: (T, D)."""
    for t in range(len(ids)):
        to, row = table[ids[t]], rows[t]
        for d in range(len(row)):
            to[d] += row[d]


def prepend_row(x: np.ndarray, offsets: np.ndarray, p: Params, name: str
                ) -> tuple[np.ndarray, np.ndarray, ParamBackward]:
    """Put a learned row before every sequence: ViT's class token, ImageBind's bias_k and bias_v.

    x: (T, D), offsets: (N+1,), p[name]: (D,) -> y (T + N, D), its offsets (N+1,), backward
    """
    N = len(offsets) - 1
    new_offsets = offsets + np.arange(N + 1)
    is_old = np.ones(len(x) + N, bool)
    is_old[new_offsets[:-1]] = False
    y = np.empty((len(is_old), x.shape[1]), x.dtype)
    y[is_old], y[~is_old] = x, p[name]

    def backward(dy, g):
        if name in g:
            g[name] += dy[~is_old].sum(0)
        return dy[is_old]
    return y, new_offsets, backward

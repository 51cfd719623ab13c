"""The layers that have parameters, each with its backward beside it.

Paper     Ba, Kiros & Hinton 2016, "Layer Normalization", eqs. 3 and 4.
Shapes    x (T, D): rows are tokens, packed end to end.  W (O, I) as in checkpoints.
Cost      BLAS owns the products of `linear`.  What runs over rows waits for memory, so add_norm, of
          which a model has two a layer, does in one pass what would be four.
Differs   eps is inside the root, as everywhere; BERT's is 1e-12, most others' 1e-5.
Read next nn/contract.py (y, backward = f(x)), nn/attention.py, transformer/bert.py
"""
import math

import numpy as np

from scratch_embed.nn.contract import Backward, Learning
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, dropout, mask
from scratch_embed.nn.params import Params
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import hash32

f32, u32 = np.float32, np.uint32
ZERO, ONE = f32(0), f32(1)


def linear(x: np.ndarray, p: Params, name: str) -> tuple[np.ndarray, Learning]:
    """y = x Wᵀ + b.  x: (T, I), W: (O, I), b: (O,) -> y: (T, O)."""
    W, b = p[name + ".weight"], p[name + ".bias"]
    y = x @ W.T
    y += b

    def backward(dy, g):
        g[name + ".weight"] += dy.T @ x
        g[name + ".bias"] += dy.sum(0)
        return dy @ W
    return y, backward


def embedding(ids: np.ndarray, p: Params, name: str) -> tuple[np.ndarray, Learning]:
    """Rows of a table.  ids: (T,), table: (V, D) -> (T, D).  There is no dx: ids do not move.

    Raises ValueError for an id that has no row; NumPy would count a negative one from the end.
    """
    table = p[name + ".weight"]
    if len(ids) and not 0 <= ids.min() <= ids.max() < len(table):
        raise ValueError(f"{name} has rows 0 to {len(table) - 1}, asked for are {ids.min()} to "
                         f"{ids.max()}")

    def backward(dy, g):
        if dy.dtype == np.float32:
            add_rows_kernel(g[name + ".weight"], ids, dy)
        else:
            np.add.at(g[name + ".weight"], ids, dy)          # a row that is read twice learns twice
    return table[ids], backward


@kernel
def add_rows_kernel(table, ids, rows):
    """table[ids_t] += rows_t, (T, D) float32."""
    for t in range(len(ids)):
        to, row = table[ids[t]], rows[t]
        for d in range(len(row)):
            to[d] += row[d]


# ---- layer norm ----------------------------------------------------------------------------------

def layer_norm(x: np.ndarray, p: Params, name: str, eps: float = 1e-12
               ) -> tuple[np.ndarray, Learning]:
    """y = w · x̂ + b,  x̂ = (x − mean x) / √(var x + eps) over the last axis.  x, y: (T, D)."""
    w, b = p[name + ".weight"], p[name + ".bias"]
    if x.dtype == np.float32:
        y, xhat, rstd = norm_kernel(x, w, b, f32(eps))

        def backward(dy, g):
            return norm_backward_kernel(dy, xhat, rstd, w, g[name + ".weight"], g[name + ".bias"])
        return y, backward

    centred = x - x.mean(-1, keepdims=True)
    rstd = 1 / np.sqrt((centred * centred).mean(-1, keepdims=True) + eps)
    xhat = centred * rstd

    def backward(dy, g):
        g[name + ".weight"] += (dy * xhat).sum(0)
        g[name + ".bias"] += dy.sum(0)
        d = dy * w
        # take from d what shifting x (its mean) or stretching x (along x̂) would undo
        return rstd * (d - d.mean(-1, keepdims=True) - xhat * (d * xhat).mean(-1, keepdims=True))
    return w * xhat + b, backward


@kernel(inline=True)
def normalise(xhat, y, w, b, eps):
    """A row: xhat ← its x̂, y ← w · x̂ + b.  -> 1 / std.  Two passes: no cancellation."""
    D, total, squares = len(xhat), ZERO, ZERO
    for d in range(D):
        total += xhat[d]
    mean = total / f32(D)
    for d in range(D):
        centred = xhat[d] - mean
        squares += centred * centred
    rstd = ONE / math.sqrt(squares / f32(D) + eps)
    for d in range(D):
        xhat[d] = (xhat[d] - mean) * rstd
        y[d] = w[d] * xhat[d] + b[d]
    return rstd


@kernel
def norm_kernel(x, w, b, eps):
    """The same for (T, D) float32 -> y, x̂, 1/std."""
    y, xhat, rstd = np.empty_like(x), np.empty_like(x), np.empty(len(x), np.float32)
    for t in range(len(x)):
        for d in range(x.shape[1]):
            xhat[t, d] = x[t, d]
        rstd[t] = normalise(xhat[t], y[t], w, b, eps)
    return y, xhat, rstd


@kernel
def norm_backward_kernel(dy, xhat, rstd, w, dw, db):
    """dw += Σ dy x̂, db += Σ dy; dx = (d − mean d − x̂ mean(d x̂)) / std,  d = w dy."""
    T, D = dy.shape
    dx = np.empty_like(dy)
    for t in range(T):
        grad, hat, out, along, mean = dy[t], xhat[t], dx[t], ZERO, ZERO
        for i in range(D):
            dw[i] += grad[i] * hat[i]
            db[i] += grad[i]
            out[i] = w[i] * grad[i]
        for i in range(D):
            mean += out[i]
            along += out[i] * hat[i]
        mean, along = mean / f32(D), along / f32(D)
        for i in range(D):
            out[i] = rstd[t] * (out[i] - mean - hat[i] * along)
    return dx


def add_norm(x: np.ndarray, r: np.ndarray, p: Params, name: str, eps: float = 1e-12,
             drop: Dropout = NO_DROPOUT) -> tuple[np.ndarray, Learning]:
    """y = layer_norm(x + dropout(r)): what a layer found, r, is added to what it was asked, x.

    x, r, y: (T, D); backward(dy, g) -> dx, dr, which are one array where nothing is dropped.
    """
    if x.dtype == np.float32:
        w, b, m = p[name + ".weight"], p[name + ".bias"], mask(drop)
        y, xhat, rstd = drop_add_norm_kernel(x, r, w, b, f32(eps), m)

        def backward(dy, g):
            dx = norm_backward_kernel(dy, xhat, rstd, w, g[name + ".weight"], g[name + ".bias"])
            return dx, dropout(dx, drop)[0]                  # the same mask again
        return y, backward

    dropped, back_drop = dropout(r, drop)
    y, back_norm = layer_norm(x + dropped, p, name, eps)

    def backward(dy, g):
        dx = back_norm(dy, g)
        return dx, back_drop(dx)
    return y, backward


@kernel
def drop_add_norm_kernel(x, r, w, b, eps, m):
    """Dropout, sum and layer norm in one pass over (T, D) float32 -> y, x̂, 1/std."""
    T, D = x.shape
    y, xhat, rstd = np.empty_like(x), np.empty_like(x), np.empty(T, np.float32)
    for t in range(T):
        x_t, r_t, hat = x[t], r[t], xhat[t]
        if m.threshold > u32(0):
            for d in range(D):
                kept = hash32(u32(t * D + d), m.key) >= m.threshold
                hat[d] = x_t[d] + (m.scale * r_t[d] if kept else ZERO)
        else:
            for d in range(D):
                hat[d] = x_t[d] + r_t[d]
        rstd[t] = normalise(hat, y[t], w, b, eps)
    return y, xhat, rstd


# ---- to the sphere -------------------------------------------------------------------------------

def l2_normalize(x: np.ndarray) -> tuple[np.ndarray, Backward]:
    """u = x / ‖x‖ over the last axis; a zero row stays zero.  x, u: (..., D).

    x is first brought to [½, 1) by a power of two, or squares of 1e-30 would be 0 and of 1e30 inf.
    For a row a sentence: NumPy's loops serve.
    """
    _, power = np.frexp(np.abs(x).max(-1, keepdims=True, initial=0))
    x = np.ldexp(x, -power)                                  # exact
    norm = np.linalg.norm(x, axis=-1, keepdims=True)
    norm = np.where(norm > 0, norm, 1)
    u = x / norm

    def backward(du):                                        # only the part tangent to the sphere
        return np.ldexp((du - u * (u * du).sum(-1, keepdims=True)) / norm, -power)
    return u, backward

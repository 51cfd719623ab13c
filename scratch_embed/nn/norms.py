"""Layer norm, RMSNorm, and residual connections.

Papers    Ba, Kiros & Hinton 2016, "Layer Normalization", eqs. 3 and 4.
          Zhang & Sennrich 2019, "Root Mean Square Layer Normalization", eq. 4.
          Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture" (pre-norm).
Equation  layer norm  y = w x̂ + b,  x̂ = (x − mean x) / √(var x + eps)
          RMSNorm     y = w x̂,      x̂ = x / √(mean x² + eps)
          post-norm   y = norm(x + dropout(f(x)))          add_norm    (BERT)
          pre-norm    y = x + dropout(f(norm(x)))          residual    (GPT-2, Mistral, ViT)
Shapes    x (..., D): usually (T, D), tokens packed end to end; any leading axes are allowed, such
          as one vector for each head, (T, H, d)
Cost      little work per number that is read; so add_norm's kernel does dropout, sum and norm in
          one pass
Differs   from torch in layer norm's default eps, which is BERT's, 1e-12 (torch: 1e-5).  A bias
          that p does not name is not added; a tensor that g does not name gets no gradient.
Read next nn/attention.py, nn/blocks.py (post-norm layers), nn/pre_norm.py

Why normalise?  The sum of many layers' outputs grows with their number, and so do the gradients;
the norm gives all tokens the same scale again.  Post-norm (the order of 2017) also rescales the
path that skips the layer: the gradient along this path shrinks with depth, and training needs
warmup.  With pre-norm this path is a plain sum, dx = dy + ..., and deep models train without warmup
(Xiong et al.).  RMSNorm does not subtract the mean, which saves a pass over x.

The gradient of layer norm.  Let d = w dy, μ = mean x, σ² = var x, r = (σ² + eps)^(−½), so that
x̂ = r (x − μ).  Since ∂μ/∂x_j = 1/D and ∂σ²/∂x_j = 2 (x_j − μ)/D,
    ∂r/∂x_j = −½ r³ · 2 (x_j − μ)/D = −r² x̂_j/D,
    ∂x̂_i/∂x_j = r (δ_ij − 1/D) + (x_i − μ) ∂r/∂x_j = r (δ_ij − 1/D − x̂_i x̂_j/D),
    dx_j = Σ_i d_i ∂x̂_i/∂x_j,  or  dx = r (d − mean d − x̂ mean(d x̂));   dw = Σ dy x̂,  db = Σ dy.
This is exact for any eps, which occurs only in r.  RMSNorm has no μ, and so no term mean d.

The backward pass removes two directions from d.  It removes ones for any eps, Σ dx = 0, since a
shift of x does not change x̂.  It removes x̂ only at eps = 0, where a scaling of x − μ does not
change x̂.  In general mean x̂² = r² σ² = 1 − r² eps, so Σ x̂ dx = r (1 − mean x̂²) Σ d x̂ =
r³ eps Σ d x̂, which is small if eps ≪ σ².
"""
import math

import numpy as np

from scratch_embed.nn.contract import BackwardEach, ParamBackward, ParamBackwardEach
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, apply_dropout, mask
from scratch_embed.nn.params import Params
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import hash32

f32, u32 = np.float32, np.uint32
ZERO, ONE = f32(0), f32(1)
NEARLY_CONSTANT = f32(1e-4)        # var x < 1e-4 · (mean x)²: the rounding of the mean would show


def layer_norm(x: np.ndarray, p: Params, name: str, eps: float = 1e-12
               ) -> tuple[np.ndarray, ParamBackward]:
    """y = w · x̂ + b,  x̂ = (x − mean x) / √(var x + eps) over the last axis.  x, y: (..., D)."""
    w, b = p[name + ".weight"], bias_or_zeros(p, name)
    rows = x.reshape(-1, x.shape[-1])
    if x.dtype != np.float32:
        centred = rows - rows.mean(-1, keepdims=True)
        rstd = 1 / np.sqrt((centred * centred).mean(-1, keepdims=True) + eps)
        xhat = centred * rstd
        y = w * xhat + b

        def backward(dy, g):
            dy = dy.reshape(xhat.shape)
            add_to(g, name + ".weight", (dy * xhat).sum(0))
            add_to(g, name + ".bias", dy.sum(0))
            d = dy * w
            # dx_j = r Σ_i d_i (δ_ij − 1/D − x̂_i x̂_j/D)
            dx = rstd * (d - d.mean(-1, keepdims=True) - xhat * (d * xhat).mean(-1, keepdims=True))
            return dx.reshape(x.shape)
    else:
        y, xhat, rstd = norm_kernel(rows, w, b, f32(eps))

        def backward(dy, g):
            dx = norm_backward_kernel(dy.reshape(xhat.shape), xhat, rstd, w,
                                      or_scratch(g, name + ".weight", w),
                                      or_scratch(g, name + ".bias", b))
            return dx.reshape(x.shape)
    return y.reshape(x.shape), backward


def bias_or_zeros(p, name):
    """name.bias (D,), or zeros if p has no such tensor."""
    return p[name + ".bias"] if name + ".bias" in p else np.zeros_like(p[name + ".weight"])


def add_to(g, name, gradient):
    """g[name] += gradient, unless the tensor is frozen."""
    if name in g:
        g[name] += gradient


def or_scratch(g, name, like):
    """g[name] for a kernel to add to; for a frozen tensor, an array that is discarded."""
    return g[name] if name in g else np.zeros_like(like)


@kernel(inline=True)
def sum_of_squares(x, mean):
    """Σ (x − mean)²."""
    squares = ZERO
    for d in range(len(x)):
        centred = x[d] - mean
        squares += centred * centred
    return squares


@kernel(inline=True)
def normalise(xhat, y, w, b, eps):
    """Normalise one row, which xhat holds: xhat ← x̂, y ← w x̂ + b.  xhat, y, w, b: (D,).  -> rstd

    The mean has a pass of its own: var x as mean x² − (mean x)² would suffer from cancellation.
    """
    D, total = len(xhat), ZERO
    for d in range(D):
        total += xhat[d]
    mean = total / f32(D)
    squares = sum_of_squares(xhat, mean)
    if squares < NEARLY_CONSTANT * f32(D) * mean * mean:
        total = ZERO                                 # x − mean is exact here for D ≤ 2,500, and
        for d in range(D):                           # its mean is the rounding error of `mean`
            xhat[d] -= mean
            total += xhat[d]
        mean = total / f32(D)
        squares = sum_of_squares(xhat, mean)
    rstd = ONE / math.sqrt(squares / f32(D) + eps)
    for d in range(D):
        xhat[d] = (xhat[d] - mean) * rstd
        y[d] = w[d] * xhat[d] + b[d]
    return rstd


@kernel
def norm_kernel(x, w, b, eps):
    """layer_norm of (T, D) float32 -> y, x̂ (T, D), rstd (T,)."""
    y, xhat, rstd = np.empty_like(x), np.empty_like(x), np.empty(len(x), np.float32)
    for t in range(len(x)):
        for d in range(x.shape[1]):
            xhat[t, d] = x[t, d]
        rstd[t] = normalise(xhat[t], y[t], w, b, eps)
    return y, xhat, rstd


@kernel
def norm_backward_kernel(dy, xhat, rstd, w, dw, db):
    """dw += Σ dy x̂, db += Σ dy; dx = r (d − mean d − x̂ mean(d x̂)),  d = w dy."""
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


def rms_norm(x: np.ndarray, p: Params, name: str, eps: float = 1e-6
             ) -> tuple[np.ndarray, ParamBackward]:
    """y = w · x̂,  x̂ = x / √(mean x² + eps) over the last axis.  x, y: (..., D)."""
    w = p[name + ".weight"]
    rows = x.reshape(-1, x.shape[-1])
    if x.dtype != np.float32:
        rstd = 1 / np.sqrt((rows * rows).mean(-1, keepdims=True) + eps)
        xhat = rows * rstd
        y = w * xhat

        def backward(dy, g):
            dy = dy.reshape(xhat.shape)
            add_to(g, name + ".weight", (dy * xhat).sum(0))
            d = dy * w
            return (rstd * (d - xhat * (d * xhat).mean(-1, keepdims=True))).reshape(x.shape)
    else:
        y, xhat, rstd = rms_norm_kernel(rows, w, f32(eps))

        def backward(dy, g):
            return rms_norm_backward_kernel(dy.reshape(xhat.shape), xhat, rstd, w, or_scratch(
                g, name + ".weight", w)).reshape(x.shape)
    return y.reshape(x.shape), backward


@kernel
def rms_norm_kernel(x, w, eps):
    """rms_norm of (T, D) float32 -> y, x̂ (T, D), rstd = 1/√(mean x² + eps) (T,)."""
    T, D = x.shape
    y, xhat, rstd = np.empty_like(x), np.empty_like(x), np.empty(T, np.float32)
    for t in range(T):
        row, squares = x[t], ZERO
        for d in range(D):
            squares += row[d] * row[d]
        r = ONE / math.sqrt(squares / f32(D) + eps)
        for d in range(D):
            xhat[t, d] = row[d] * r
            y[t, d] = w[d] * xhat[t, d]
        rstd[t] = r
    return y, xhat, rstd


@kernel
def rms_norm_backward_kernel(dy, xhat, rstd, w, dw):
    """dw += Σ dy x̂; dx = r (d − x̂ mean(d x̂)),  d = w dy."""
    T, D = dy.shape
    dx = np.empty_like(dy)
    for t in range(T):
        grad, hat, out, along = dy[t], xhat[t], dx[t], ZERO
        for i in range(D):
            dw[i] += grad[i] * hat[i]
            out[i] = w[i] * grad[i]
            along += out[i] * hat[i]
        along /= f32(D)
        for i in range(D):
            out[i] = rstd[t] * (out[i] - hat[i] * along)
    return dx


# ---- residual connections ------------------------------------------------------------------------

def residual(x: np.ndarray, r: np.ndarray, dropout: Dropout = NO_DROPOUT
             ) -> tuple[np.ndarray, BackwardEach]:
    """Residual connection: adds a sublayer's output r to its input x.  y = x + dropout(r).

    x, r, y: (...); backward(dy) -> dx, dr.  Without dropout both are dy itself.
    """
    dropped, back_drop = apply_dropout(r, dropout)
    return x + dropped, lambda dy: (dy, back_drop(dy))


def add_norm(x: np.ndarray, r: np.ndarray, p: Params, name: str, eps: float = 1e-12,
             dropout: Dropout = NO_DROPOUT) -> tuple[np.ndarray, ParamBackwardEach]:
    """Residual connection and layer norm: y = layer_norm(x + dropout(r)), r a sublayer's output.

    x, r, y: (T, D); backward(dy, g) -> dx, dr
    """
    if x.dtype != np.float32:
        total, back_sum = residual(x, r, dropout)
        y, back_norm = layer_norm(total, p, name, eps)
        return y, lambda dy, g: back_sum(back_norm(dy, g))

    w, b = p[name + ".weight"], bias_or_zeros(p, name)
    y, xhat, rstd = drop_add_norm_kernel(x, r, w, b, f32(eps), mask(dropout))

    def backward(dy, g):
        dx = norm_backward_kernel(dy, xhat, rstd, w, or_scratch(g, name + ".weight", w),
                                  or_scratch(g, name + ".bias", b))
        return dx, apply_dropout(dx, dropout)[0]                      # the same mask again
    return y, backward


@kernel
def drop_add_norm_kernel(x, r, w, b, eps, m):
    """layer_norm(x + dropout(r)) of (T, D) float32, row by row -> y, x̂ (T, D), rstd (T,)."""
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

"""Swin Transformer: attention within windows of a grid of patches, which shift from layer to layer.

Paper     Liu et al. 2021, "Swin Transformer: Hierarchical Vision Transformer using Shifted
          Windows", eq. 3 (the layers), eq. 4 (the bias) and section 3.1 (merging).
Equation  a layer, biases omitted:  h = x + from_windows(Wₒ attention(W_q n, W_k n, W_v n; B)),
                                    n = to_windows(LN(x)),   y = h + W₂ f(W₁ LN(h)),
                   B = relative position bias + mask;  windows are shifted in every second layer
          merging  y = W LN([x at (0,0); (1,0); (0,1); (1,1)]), the patches of each 2 x 2 square
Shapes    x (N, h·w, D), the patches of each image row by row; a window has s·s = t patches;
          windows (N·W·t, D), packed sequences of equal length; merged (N, h·w/4, 2 D)
Cost      24 T D² + 4 T t D operations for one layer with F = 4 D and T patches in all; attention
          over whole images would need 4 T h w D for its second term.  BLAS computes the products
Differs   from the paper: none in the layers.  From its code: windows are an order of the patches,
          so cutting, shifting and padding are one indexing, and the way back is another one.  The
          mask is −100, not −∞, as in the original.  There is no stochastic depth.
Read next multimodal/htsat.py (CLAP's audio tower), nn/relative_bias.py, nn/attention.py

Why windows?  The number of pairs of patches grows with the square of their number: 4,096 patches,
those of ten seconds of sound, have 16.8 million pairs.  In windows of 64 patches there are 64 pairs
per patch, so the cost is linear in the size of the image.

Why shift them?  Without a shift, patches on both sides of a border never meet.  In every second
layer the borders lie s/2 further down and to the right.  Then the windows at the edges would be
smaller; instead the image is rolled, so that all windows are full.  A window may then hold patches
from opposite edges of the image, and the mask separates these.

Why merge?  As in a convolutional network, later stages have fewer and wider rows: neighbours that
are far apart at first share a window later, and the last stage sees the whole image.

Gradient.  to_windows copies each patch to one place and from_windows copies it back, so each is
the other's backward.  Padding patches are zeros, and their outputs are discarded; as keys they take
part in attention, as in the original.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.attention import attention
from scratch_embed.nn.contract import ParamBackward
from scratch_embed.nn.layers import linear
from scratch_embed.nn.norms import layer_norm, residual
from scratch_embed.nn.params import Init, Params, Tensor, linear_tensors, norm_tensors
from scratch_embed.nn.relative_bias import relative_bias

BETWEEN_REGIONS = -100.0           # added to scores of patches that are not neighbours in the image


# ---- parameters ----------------------------------------------------------------------------------

def layer_tensors(name: str, D: int, H: int, F: int, size: int, init: Init, bias: bool = True
                  ) -> dict[str, Tensor]:
    """The tensors of swin_layer.  name: their prefix; size: s; bias: of q, k and v.

    The bias table starts at zeros.  Raises ValueError unless H, the number of heads, divides D.
    """
    if D % H:
        raise ValueError(f"heads: expected a divisor of dim={D}, got {H}")
    declared = norm_tensors(name + "attn_norm", D)
    for part in ("q", "k", "v"):
        declared |= linear_tensors(f"{name}attn.{part}", D, D, init, bias)
    return {**declared, name + "attn.relative.weight": Tensor(((2 * size - 1) ** 2, H)),
            **linear_tensors(name + "attn.o", D, D, init), **norm_tensors(name + "mlp_norm", D),
            **linear_tensors(name + "mlp.up", F, D, init),
            **linear_tensors(name + "mlp.down", D, F, init)}


def merge_tensors(name: str, D: int, init: Init) -> dict[str, Tensor]:
    """The tensors of merge: a norm of 4 D numbers and a matrix (2 D, 4 D) without a bias."""
    return {**norm_tensors(name + "norm", 4 * D),
            **linear_tensors(name + "linear", 2 * D, 4 * D, init, bias=False)}


# ---- windows -------------------------------------------------------------------------------------

class Windows(NamedTuple):
    """Where each patch of a grid is in the windows.  padded: whether windows hold padding."""

    size: int                      # s
    order: np.ndarray              # (W·t,) the patch at each place; h·w is padding
    inverse: np.ndarray            # (h·w,) the place of each patch
    padded: bool
    mask: np.ndarray | None        # (W, 1, t, t), 0 or BETWEEN_REGIONS; None without a shift


def windows_of(height: int, width: int, size: int, shift: int) -> Windows:
    """The windows of a grid of patches, after it is rolled by `shift` rows and columns.

    A grid whose sides are not multiples of the size is padded below and on the right.

    >>> windows_of(2, 4, 2, 0).order.reshape(2, 4).tolist()
    [[0, 1, 4, 5], [2, 3, 6, 7]]
    """
    patch = np.arange(height * width).reshape(height, width)
    padded = np.pad(patch, ((0, -height % size), (0, -width % size)),
                    constant_values=height * width)
    order = cut(np.roll(padded, (-shift, -shift), (0, 1)), size)               # (W, t)
    mask = region_mask(padded.shape[0], padded.shape[1], size, shift) if shift else None
    return Windows(size, order.ravel(), order.ravel().argsort(kind="stable")[:height * width],
                   padded.size > patch.size, mask)


def cut(grid: np.ndarray, size: int) -> np.ndarray:
    """Cut a grid (h, w) into windows of size · size entries, row by row.  -> (W, t)"""
    h, w = grid.shape
    blocks = grid.reshape(h // size, size, w // size, size)
    return blocks.transpose(0, 2, 1, 3).reshape(-1, size * size)


def region_mask(height: int, width: int, size: int, shift: int) -> np.ndarray:
    """0 for patches of a window that are near in the image, else BETWEEN_REGIONS.  -> (W, 1, t, t)

    After the roll, the last `shift` rows and columns are those of the opposite edge.
    """
    def region(length):                              # of each row or column: 0, 1, or 2 if rolled
        place = np.arange(length)
        return (place >= length - size) + (place >= length - shift).astype(int)
    of_patch = cut(3 * region(height)[:, None] + region(width), size)          # (W, t)
    apart = of_patch[:, None, :, None] != of_patch[:, None, None, :]
    return np.where(apart, BETWEEN_REGIONS, 0.0)


def pair_index(size: int) -> np.ndarray:
    """The row of the bias table for each pair of patches of a window.  -> (t, t)

    A row for each difference of rows and of columns, both −s+1 .. s−1.

    >>> pair_index(2)[0].tolist()                    # the first patch with itself, right, below ...
    [4, 3, 1, 0]
    """
    row, column = np.divmod(np.arange(size * size), size)
    rows, columns = row[:, None] - row + size - 1, column[:, None] - column + size - 1
    return (2 * size - 1) * rows + columns


def to_windows(x: np.ndarray, windows: Windows) -> np.ndarray:
    """The patches in the order of the windows, padding as zeros.  (N, h·w, D) -> (N·W·t, D)"""
    N, _, D = x.shape
    if windows.padded:
        x = np.concatenate([x, np.zeros((N, 1, D), x.dtype)], 1)
    return x[:, windows.order].reshape(-1, D)


def from_windows(y: np.ndarray, windows: Windows) -> np.ndarray:
    """The patches in the order of the image, without padding.  (N·W·t, D) -> (N, h·w, D)"""
    return y.reshape(-1, len(windows.order), y.shape[1])[:, windows.inverse]


# ---- forward and backward ------------------------------------------------------------------------

def swin_layer(x: np.ndarray, p: Params, name: str, windows: Windows, heads: int,
               activation: Callable, eps: float) -> tuple[np.ndarray, ParamBackward]:
    """One layer.  x, y: (N, h·w, D); name: the prefix of its parameters."""
    t = windows.size ** 2
    n, back_n = layer_norm(x, p, name + "attn_norm", eps)
    rows = to_windows(n, windows)                                              # (N·W·t, D)
    q, back_q = linear(rows, p, name + "attn.q")
    k, back_k = linear(rows, p, name + "attn.k")
    v, back_v = linear(rows, p, name + "attn.v")
    B, back_B = relative_bias(pair_index(windows.size), p, name + "attn.relative")    # (H, t, t)
    a, back_a = attention(q, k, v, np.arange(0, len(rows) + 1, t), heads,
                          bias=B if windows.mask is None else B + windows.mask.astype(B.dtype))
    o, back_o = linear(a, p, name + "attn.o")
    h, back_h = residual(x, from_windows(o, windows))

    m, back_m = layer_norm(h, p, name + "mlp_norm", eps)
    u, back_u = linear(m, p, name + "mlp.up")                                  # (N, h·w, F)
    f, back_f = activation(u)
    w, back_w = linear(f, p, name + "mlp.down")
    y, back_y = residual(h, w)

    def backward(dy, g):
        dh, dw = back_y(dy)
        dh = dh + back_m(back_u(back_f(back_w(dw, g)), g), g)
        dx, dr = back_h(dh)
        dq, dk, dv, dB = back_a(back_o(to_windows(dr, windows), g))
        back_B(dB if windows.mask is None else dB.sum(0), g)      # every window uses the same table
        drows = back_q(dq, g) + back_k(dk, g) + back_v(dv, g)
        return dx + back_n(from_windows(drows, windows), g)
    return y, backward


def merge(x: np.ndarray, p: Params, name: str, height: int, width: int
          ) -> tuple[np.ndarray, ParamBackward]:
    """Each 2 x 2 square of patches becomes one.  x: (N, h·w, D) -> y: (N, h·w/4, 2 D).

    h and w are even.  eps is 1e-5, whatever that of the layers is.
    """
    N, _, D = x.shape
    h, w = height // 2, width // 2
    # axes: image, row of squares, row in the square, column of squares, column in the square, D
    squares = x.reshape(N, h, 2, w, 2, D).transpose(0, 1, 3, 4, 2, 5).reshape(N, h * w, 4 * D)
    n, back_n = layer_norm(squares, p, name + "norm", 1e-5)
    y, back_y = linear(n, p, name + "linear")

    def backward(dy, g):
        dsquares = back_n(back_y(dy, g), g).reshape(N, h, w, 2, 2, D)
        return dsquares.transpose(0, 1, 4, 2, 3, 5).reshape(x.shape)
    return y, backward

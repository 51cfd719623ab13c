"""Convolution in one dimension, and patches of images: both gather inputs for a matrix product.

Papers    Chellapilla, Puri & Simard 2006, "High Performance Convolutional Neural Networks for
          Document Processing" (im2col).  Radford et al. 2022 (Whisper's two convolutions);
          Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", eq. 1 (ViT's patches).
Equation  y_t = b + Σ_k W_k x_{s t + k − padding},  k = 0 .. K−1, s the stride,
          x zero outside its T frames
          patches: the P × P pixels of all channels at every s-th row and column, as one row
Shapes    sound x (N, T, I), W (O, I, K) as in torch -> y (N, T', O),
          T' = ⌊(T + 2·padding − K)/s⌋ + 1; images (N, C, H, W) -> (N, patches, C·P·P)
Cost      a copy of the inputs, about K/s (or P²/s²) times as large; in conv1d also one matrix
          product, of nn/layers.py's `linear`
Differs   torch's conv1d takes x (N, I, T); here rows are tokens, as everywhere in nn/.
          torch's conv2d with stride P equals patches() and then linear, which takes its weight
          (O, C, P, P) as it is
Read next nn/layers.py (`linear`, which embeds patches)

Why copy the inputs?  Each output is the product of the same matrix with another window of the
input.  If the windows are the rows of a matrix, the convolution is one matrix product.

Gradient.  An input is copied into every window that contains it, so its gradient is the sum over
these windows: dx_{s t + k − padding} += dcols_{t,k}, one shifted addition for each k.
"""
import numpy as np

from scratch_embed.nn.contract import Backward, ParamBackward
from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Params


def conv1d(x: np.ndarray, p: Params, name: str, stride: int = 1, padding: int = 0
           ) -> tuple[np.ndarray, ParamBackward]:
    """A linear layer over windows of K frames.  x: (N, T, I), W: (O, I, K) -> y: (N, T', O).

    The bias name.bias (O,) is added if p has it.  Raises ValueError if x does not have I columns,
    or if T + 2·padding < K.
    """
    _, I, K = p[name + ".weight"].shape
    N, T, _ = x.shape
    if x.shape[2] != I or T + 2 * padding < K:
        raise ValueError(f"conv1d {name}: expected x (N, T, {I}) with T + 2·{padding} at least "
                         f"{K}, got {x.shape}")
    padded = np.pad(x, ((0, 0), (padding, padding), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, K, axis=1)[:, ::stride]
    cols = windows.reshape(*windows.shape[:2], I * K)                          # a copy
    y, back_y = linear(cols, p, name)

    def backward(dy, g):
        dcols = back_y(dy, g).reshape(windows.shape)                           # (N, T', I, K)
        dpadded = np.zeros_like(padded)
        for k in range(K):
            last = k + stride * (y.shape[1] - 1)
            dpadded[:, k:last + 1:stride] += dcols[..., k]
        return dpadded[:, padding:padding + T]
    return y, backward


def patches(images: np.ndarray, size: int, stride: int | None = None
            ) -> tuple[np.ndarray, Backward]:
    """Squares of size × size pixels, row by row, `stride` pixels apart (default: size).

    images: (N, C, H, W) -> (N, patches, C·size·size); backward sums where patches overlap.
    Rows and columns at the end that do not fill a patch are ignored, as in torch's conv2d.  Raises
    ValueError for images smaller than a patch.
    """
    N, C, H, W = images.shape
    stride = stride or size
    if min(H, W) < size:
        raise ValueError(f"patches: expected images of at least {size} x {size} pixels, got {H} x "
                         f"{W}")
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(2, 3))
    squares = windows[:, :, ::stride, ::stride].transpose(0, 2, 3, 1, 4, 5)    # (N, h, w, C, P, P)
    _, h, w, _, _, _ = squares.shape

    def backward(dy):
        dsquares = dy.reshape(N, h, w, C, size, size).transpose(0, 3, 1, 2, 4, 5)
        dimages = np.zeros((N, C, H, W), dy.dtype)
        for i in range(size):
            rows = slice(i, i + stride * (h - 1) + 1, stride)
            for j in range(size):
                columns = slice(j, j + stride * (w - 1) + 1, stride)
                dimages[:, :, rows, columns] += dsquares[..., i, j]
        return dimages
    return squares.reshape(N, h * w, C * size * size), backward

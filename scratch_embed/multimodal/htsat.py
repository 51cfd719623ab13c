"""HTSAT: CLAP's audio tower, a Swin Transformer over a log-mel spectrogram folded to a square.

Papers    Chen et al. 2022, "HTS-AT: A Hierarchical Token-Semantic Audio Transformer for Sound
          Classification and Detection", section 2.1; Wu et al. 2023, "Large-scale Contrastive
          Language-Audio Pretraining with Feature Fusion and Keyword-to-Caption Augmentation".
Equation  m̂ = w (m − mean) / √(var + eps) + b, each mel bin alone;   the square = fold(R m̂);
          x = LN(W patches(square));  stages of Swin layers, with a merging after each but
          the last;   y = mean over patches of LN(x)
Shapes    mels (N, T, F): T frames of F mel bins; square (N, S, S), S = size; r = S / F;
          x (N, h·w, D), h = w = S / stride; y (N, 2^(stages−1) D)
Cost      as multimodal/swin.py; 4,096 patches at first, with S = 256 and stride 4, then a quarter
          of them in each stage
Differs   The mean and the variance of the mel bins are constants here.  In the original's training
          they are moving averages, and each batch is normalised by its own; after training they are
          constants there, too.  In transformers, as in the original, the pooling sorts the patches
          by frequency before it takes the mean; this is the mean.  Dropout and stochastic depth
          are left out.  Feature fusion, for sounds longer than ten seconds, is not supported.
Read next multimodal/swin.py (the layers), multimodal/audio.py (log-mel), multimodal/clap.py

Why fold?  Swin's windows are square, and a spectrogram of 1,024 frames x 64 bins is not.  The
frames are cut into r = 4 equal parts, which are stacked: part 0 is the first 64 rows of the square,
part 1 the next 64.  So a window holds patches that are near in time and in frequency, at the price
of r − 1 borders inside the image between the top bin of one part and the bottom bin of the next.

Why resize?  Ten seconds have 1,001 frames, and the square needs 1,024.  The frames are stretched by
bicubic interpolation, whose first and last frame are those of the sound ("aligned corners").

Why normalise each bin?  Log-mel values are decibels: most energy is in the low bins, and all are
far below 0.  With constant statistics a sound's vector does not depend on the others in its batch.

Gradient.  fold and R are linear, so dm̂ = Rᵀ fold⁻¹(dsquare); with x̂ = (m − mean) / √(var + eps),
dw = Σ dm̂ x̂ and db = Σ dm̂, over sounds and frames.  The mels are inputs and get no gradient.
"""
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.multimodal.image import keys_cubic
from scratch_embed.multimodal.swin import (
    layer_tensors,
    merge,
    merge_tensors,
    swin_layer,
    windows_of,
)
from scratch_embed.nn.activations import gelu
from scratch_embed.nn.contract import Backward, ParamOnlyBackward
from scratch_embed.nn.convolution import patches
from scratch_embed.nn.layers import linear
from scratch_embed.nn.norms import add_to, layer_norm
from scratch_embed.nn.params import ONES, Normal, Params, Tensor, norm_tensors

STATISTICS = ("audio.mel_norm.mean", "audio.mel_norm.var")     # constants, without a gradient
SLOPE = -0.75                      # of the bicubic filter at distance 1, as in torch; Pillow has −½
EPS = 1e-5                         # of all norms outside the layers


class Config(NamedTuple):
    """The sizes of an audio tower; the defaults are those of CLAP's HTSAT-tiny."""

    mels: int = 64                 # F, bins
    size: int = 256                # S, the side of the square, a multiple of F
    patch: int = 4                 # the side of a patch
    stride: int = 4                # of patches; less than `patch` if they overlap
    dim: int = 96                  # D in the first stage; it doubles from stage to stage
    depths: tuple[int, ...] = (2, 2, 6, 2)         # layers of each stage
    heads: tuple[int, ...] = (4, 8, 16, 32)        # H of each stage
    window: int = 8                # s, the side of a window
    ff_ratio: float = 4.0          # the feed-forward width of a layer over its D
    qkv_bias: bool = True
    eps: float = 1e-5              # of the layers' norms
    activation: Callable = gelu

    @property
    def width(self) -> int:
        """The dimension of the tower's output."""
        return self.dim * 2 ** (len(self.depths) - 1)

    @property
    def frames(self) -> int:
        """The number of frames to which mels are stretched, and the most that it accepts."""
        return self.size * (self.size // self.mels)

    def grid(self, stage: int) -> int:
        """The rows, and the columns, of patches in a stage."""
        return self.size // self.stride // 2 ** stage


def check(config: Config) -> None:
    """Raise ValueError for sizes that do not fit each other."""
    stages, last = len(config.depths), config.grid(len(config.depths) - 1)
    if not stages or len(config.heads) != stages:
        raise ValueError(f"heads: expected one number for each of {stages} stages, at least 1, got "
                         f"{config.heads}")
    if config.size % config.mels:
        raise ValueError(f"size: expected a multiple of mels={config.mels}, got {config.size}")
    if config.size % (config.stride * 2 ** (stages - 1)):
        raise ValueError(f"size: expected a multiple of stride · 2^(stages − 1) = "
                         f"{config.stride * 2 ** (stages - 1)}, so that every stage can be merged, "
                         f"got {config.size}")
    if last < max(config.window, config.size // config.mels):
        raise ValueError(f"window: expected at most the side of the last stage's grid, {last}, "
                         f"which must be size / mels = {config.size // config.mels} or more, got "
                         f"{config.window}")
    if config.patch < config.stride or (config.patch - config.stride) % 2:
        raise ValueError(f"patch: expected stride={config.stride} or more by an even number, got "
                         f"{config.patch}")


# ---- parameters ----------------------------------------------------------------------------------

def tensors(config: Config, std: float = 0.02) -> dict[str, Tensor]:
    """All tensors.  std: the standard deviation of the initial weights.  Raises as check() does."""
    check(config)
    D, init = config.dim, Normal(std)
    declared = {**norm_tensors("mel_norm", config.mels), "mel_norm.mean": Tensor((config.mels,)),
                "mel_norm.var": Tensor((config.mels,), ONES),
                "patches.weight": Tensor((D, 1, config.patch, config.patch), init, decay=True),
                "patches.bias": Tensor((D,)), **norm_tensors("patches_norm", D)}
    for i, (depth, H) in enumerate(zip(config.depths, config.heads)):
        D = config.dim * 2 ** i
        for n in range(depth):
            declared |= layer_tensors(f"stages.{i}.layers.{n}.", D, H, int(config.ff_ratio * D),
                                      config.window, init, config.qkv_bias)
        if i + 1 < len(config.depths):
            declared |= merge_tensors(f"stages.{i}.merge.", D, init)
    declared |= norm_tensors("norm", config.width)
    return {"audio." + name: tensor for name, tensor in declared.items()}


def freeze_statistics(p: Params, mels: np.ndarray | None = None) -> Params:
    """New Params in which the mean and variance of the mel bins are constants.

    mels: (N, T, F), the sounds from which to compute them; None: those that p has
    """
    frozen = {name: p[name].copy() for name in (*p.frozen, *STATISTICS)}
    if mels is not None:
        frozen["audio.mel_norm.mean"][...] = mels.mean((0, 1), dtype=np.float64)
        frozen["audio.mel_norm.var"][...] = mels.var((0, 1), dtype=np.float64)
    new = Params(p.tensors, p.flat.dtype, frozen)
    for name, view in new.trainable_views().items():
        view[...] = p[name]
    return new


# ---- from mels to a square -----------------------------------------------------------------------

def normalise_bins(mels: np.ndarray, p: Params, name: str) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Batch norm with constant statistics, of each mel bin.  mels, y: (N, T, F)."""
    xhat = (mels - p[name + ".mean"]) / np.sqrt(p[name + ".var"] + mels.dtype.type(EPS))

    def backward(dy, g):
        add_to(g, name + ".weight", (dy * xhat).sum((0, 1)))
        add_to(g, name + ".bias", dy.sum((0, 1)))
    return xhat * p[name + ".weight"] + p[name + ".bias"], backward


def to_square(mels: np.ndarray, config: Config) -> tuple[np.ndarray, Backward]:
    """Stretch the frames and fold them.  mels: (N, T, F) -> images (N, 1, S, S).

    Row c·F + f of a square is bin f of part c; there are r = S / F parts of S frames.
    """
    N, T, F = mels.shape
    S = config.size
    R = resize_matrix(T, config.frames).astype(mels.dtype)
    parts = (R @ mels).reshape(N, -1, S, F)                                    # (N, r, S, F)

    def backward(dsquare):
        dparts = dsquare.reshape(N, -1, F, S).swapaxes(2, 3)
        return R.T @ dparts.reshape(N, -1, F)
    return parts.swapaxes(2, 3).reshape(N, 1, S, S), backward


def resize_matrix(before: int, after: int) -> np.ndarray:
    """Bicubic interpolation of `before` numbers as a matrix (after, before), corners aligned.

    Output i is at i (before − 1)/(after − 1) among the inputs, the first and the last at the ends.
    Each is a weighted sum of the four inputs around it; beyond an end, the last one is repeated.

    >>> resize_matrix(2, 3).tolist()                 # the middle of two numbers is their mean
    [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
    """
    place = np.arange(after) * ((before - 1) / max(after - 1, 1))
    left = np.floor(place).astype(int)
    R = np.zeros((after, before))
    for tap in (-1, 0, 1, 2):
        column = np.clip(left + tap, 0, before - 1)
        np.add.at(R, (np.arange(after), column), keys_cubic(place - left - tap, SLOPE))
    return R


# ---- forward and backward ------------------------------------------------------------------------

def blocks(config: Config) -> list[Callable]:
    """The layers and mergings in order, as functions (x, p) -> (y, backward)."""
    found: list[Callable] = []
    for i, (depth, H) in enumerate(zip(config.depths, config.heads)):
        side = config.grid(i)
        for n in range(depth):
            shift = config.window // 2 if n % 2 and side > config.window else 0
            found.append(partial(
                swin_layer, name=f"audio.stages.{i}.layers.{n}.", heads=H, eps=config.eps,
                windows=windows_of(side, side, config.window, shift),
                activation=config.activation))
        if i + 1 < len(config.depths):
            found.append(partial(merge, name=f"audio.stages.{i}.merge.", height=side, width=side))
    return found


def embed(mels: np.ndarray, p: Params, config: Config) -> tuple[np.ndarray, ParamOnlyBackward]:
    """The patches of a spectrogram.  mels: (N, T, F) -> x (N, h·w, D), backward(dx, g).

    Raises ValueError for more frames than the square holds, or another number of bins.
    """
    if mels.ndim != 3 or not 1 <= mels.shape[1] <= config.frames or mels.shape[2] != config.mels:
        raise ValueError(f"mels: expected (N, 1 to {config.frames} frames, {config.mels} bins), "
                         f"got {mels.shape}; cut the sounds, or compute other mels")
    normal, back_normal = normalise_bins(mels, p, "audio.mel_norm")
    square, back_square = to_square(normal, config)
    width = (config.patch - config.stride) // 2      # of the zeros around it
    around = np.pad(square, [(0, 0), (0, 0), (width, width), (width, width)])
    rows, back_rows = patches(around, config.patch, config.stride)
    x, back_linear = linear(rows, p, "audio.patches")
    x, back_norm = layer_norm(x, p, "audio.patches_norm", EPS)

    def backward(dx, g):
        daround = back_rows(back_linear(back_norm(dx, g), g))
        inside = slice(width, width + config.size)
        back_normal(back_square(daround[:, :, inside, inside]), g)
    return x, backward


def encode(mels: np.ndarray, p: Params, config: Config) -> tuple[np.ndarray, ParamOnlyBackward]:
    """A vector for each sound.  mels: (N, T, F) -> y (N, width), backward(dy, g).

    T is at most config.frames.  Raises ValueError as embed() does.
    """
    x, back_embed = embed(mels, p, config)
    backs = []
    for block in blocks(config):
        x, back = block(x, p)
        backs.append(back)
    last, back_norm = layer_norm(x, p, "audio.norm", EPS)

    def backward(dy, g):
        n = last.shape[1]
        dx = back_norm(np.repeat(dy[:, None] / dy.dtype.type(n), n, 1), g)
        for back in reversed(backs):
            dx = back(dx, g)
        back_embed(dx, g)
    return last.mean(1), backward


def infer(mels: np.ndarray, p: Params, config: Config) -> np.ndarray:
    """encode() without backward; each layer's activations are freed before the next.  -> (N, W)"""
    x = embed(mels, p, config)[0]
    for block in blocks(config):
        x = block(x, p)[0]
    return layer_norm(x, p, "audio.norm", EPS)[0].mean(1)

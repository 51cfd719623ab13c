"""The vision transformer (ViT) of CLIP: an image is a sequence of patches, read by a transformer.

Papers    Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words: Transformers for Image
          Recognition at Scale", eqs. 1 to 4; Radford et al. 2021, "Learning Transferable Visual
          Models From Natural Language Supervision", section 2.4 (the norm before the layers).
Equation  x₀ = class,  x_i = E patch_i  for i = 1 .. n;   x ← LN(x + positions)
          x ← all layers of the trunk (nn/pre_norm.py);   y = LN(x₀)
Shapes    images (N, C, S, S) -> patches (N, n, C·P·P),  n = ⌊S/P⌋² -> x (N, n + 1, D) -> y (N, D)
Cost      the trunk's on N (n + 1) tokens: halving P makes it about four times as large
Differs   from Dosovitskiy's: CLIP normalises before the first layer too, E has no bias, the
          activation is QuickGELU.  All tokens lie end to end, as texts do.  Images of another size
          than S x S are refused; transformers can interpolate the positions on request.
          Initial values: class and positions N(0, 1/D), as OpenAI's; E is uniform up to 1/√(C·P·P),
          torch's default, which OpenAI keeps; the layers as in nn/pre_norm.py.
Read next nn/pre_norm.py (the layers), multimodal/clip.py (what the vectors are trained for)

Why patches?  Attention compares every token with every other: 16 x 16 pixels as 256 tokens would
need 256² scores per head, as 16 patches of 4 x 4 they need 16².  A patch is embedded by one matrix,
as a word is by a table; a convolution with stride P would compute the same.

Why positions?  Attention does not see the order of its inputs: without positions, an image and the
same image with its patches shuffled would have the same vector.  Nothing else tells the model that
two patches are neighbours; it learns this from data, whereas a convolution has it built in.

Why a class token?  It starts the same for every image, and each layer adds to it what its attention
selects from the patches: a learned pooling.  The outputs of the patches are not used.

Gradient.  The class token is the first row of every image, and position i is added to row i of
every image, so their gradients are sums over images.  Only the rows x₀ get a gradient from above.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.contract import ParamOnlyBackward
from scratch_embed.nn.convolution import patches
from scratch_embed.nn.layers import linear
from scratch_embed.nn.norms import add_to, layer_norm
from scratch_embed.nn.params import Normal, Params, Tensor, Uniform, norm_tensors
from scratch_embed.nn.pre_norm import Trunk, infer_trunk, run_trunk, trunk_tensors


class Config(NamedTuple):
    """The size of the images, and of the trunk.  CLIP's ViT-B/32: 224, 32, 3, Trunk(768 ...)."""

    pixels: int                    # S, the height and the width of an image
    patch: int                     # P
    channels: int                  # C
    trunk: Trunk

    @property
    def tokens(self) -> int:
        """n + 1, the patches of an image and the class token."""
        return (self.pixels // self.patch) ** 2 + 1


def tensors(config: Config, name: str = "image.") -> dict[str, Tensor]:
    """All tensors.  name: their prefix.  Raises ValueError for a patch larger than the image."""
    S, P, C, trunk = config
    if not 1 <= P <= S:
        raise ValueError(f"patch: expected 1 to {S} pixels, the size of the image, got {P}")
    D, spread = trunk.dim, Normal(trunk.dim ** -0.5)
    return {name + "class": Tensor((D,), spread),
            name + "patch.weight": Tensor((D, C, P, P), Uniform((C * P * P) ** -0.5), decay=True),
            name + "positions.weight": Tensor((config.tokens, D), spread, decay=True),
            **norm_tensors(name + "norm_before", D), **trunk_tensors(name, trunk),
            **norm_tensors(name + "norm", D)}


# ---- forward and backward ------------------------------------------------------------------------

def embed(images: np.ndarray, p: Params, config: Config, name: str = "image."
          ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Class token and patches with their positions, normalised.  -> x (N·(n+1), D)

    Raises ValueError for images that are not (N, C, S, S) of p's type.
    """
    require_images(images, config, p.flat.dtype)
    N, D = len(images), config.trunk.dim
    rows, _ = patches(images, config.patch)                                   # (N, n, C·P·P)
    of_patch, back_patch = linear(rows, p, name + "patch")                    # (N, n, D)
    x = np.empty((N, config.tokens, D), images.dtype)
    x[:, 0], x[:, 1:] = p[name + "class"], of_patch
    x += p[name + "positions.weight"]
    y, back_norm = layer_norm(x.reshape(-1, D), p, name + "norm_before", config.trunk.eps)

    def backward(dy, g):
        dx = back_norm(dy, g).reshape(N, -1, D)
        add_to(g, name + "positions.weight", dx.sum(0))
        add_to(g, name + "class", dx[:, 0].sum(0))
        back_patch(dx[:, 1:], g)                         # the images themselves get no gradient
    return y, backward


def encode(images: np.ndarray, p: Params, config: Config, name: str = "image."
           ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """One vector per image: the class token after all layers.  -> y (N, D), backward(dy, g)."""
    x, back_embed = embed(images, p, config, name)
    x, back_trunk = run_trunk(x, p, name, offsets(images, config), config.trunk)
    first = slice(None, None, config.tokens)
    y, back_norm = layer_norm(x[first], p, name + "norm", config.trunk.eps)

    def backward(dy, g):
        dx = np.zeros_like(x)
        dx[first] = back_norm(dy, g)
        back_embed(back_trunk(dx, g), g)
    return y, backward


def infer(images: np.ndarray, p: Params, config: Config, name: str = "image.") -> np.ndarray:
    """encode() without backward; each layer's activations are freed before the next.  -> (N, D)"""
    x = infer_tokens(images, p, config, name)
    return layer_norm(x[:, 0], p, name + "norm", config.trunk.eps)[0]


def infer_tokens(images: np.ndarray, p: Params, config: Config, name: str = "image."
                 ) -> np.ndarray:
    """The vectors of class token and patches after all layers, not normalised.  -> (N, n+1, D)"""
    x, _ = embed(images, p, config, name)
    x = infer_trunk(x, p, name, offsets(images, config), config.trunk)
    return x.reshape(len(images), config.tokens, -1)


def offsets(images: np.ndarray, config: Config) -> np.ndarray:
    """The first token of each image, and the end.  -> (N+1,)"""
    return config.tokens * np.arange(len(images) + 1)


def require_images(images: np.ndarray, config: Config, dtype: np.dtype) -> None:
    """Raise ValueError unless images are (N, C, S, S) of this type, N at least 1."""
    shape = (config.channels, config.pixels, config.pixels)
    if images.ndim != 4 or images.shape[1:] != shape or not len(images) or images.dtype != dtype:
        raise ValueError(f"images: expected (N, {', '.join(map(str, shape))}) of {dtype}, N at "
                         f"least 1, got {images.shape} of {images.dtype}; ImageProcessor in "
                         "multimodal/image_processor.py makes them")

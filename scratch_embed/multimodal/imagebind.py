"""ImageBind: a tower for each further sense, trained so that it agrees with images.

Paper     Girdhar et al. 2023, "ImageBind: One Embedding Space To Bind Them All", section 3.
Equation  cut the input into patches;  x₀ = class,  x_i = LN(E patch_i) for i = 1 .. n;
          x ← x + positions;  x ← all layers of the trunk (nn/pre_norm.py), in which every token
          attends to one learned key and value too;   y = P LN(x₀)
          L = ½ (InfoNCE(y, images) + InfoNCE(images, y)),  with a fixed temperature per sense
Shapes    a map (N, C, H, W), such as a depth image or a spectrogram, in squares of P x P, or a
          signal (N, C, T) in windows of P steps -> patches (N, n, C·P·P or C·P) -> y (N, E)
Cost      the trunk's on N (n + 1) tokens; the images' vectors are computed once, as they are frozen
Differs   L is half of the paper's sum of two losses.  The original regularises: it drops sublayers
          at random (up to 10 % for sound, 70 % for motion) and half of the numbers before the
          projection of motion; here nothing is dropped.  It repeats an image to a video of two
          frames, so its patches have two halves with weights of their own, which add up
          (imagebind_files.py).  Sound is a mel spectrogram here; there, Kaldi's filter banks.
          Initial values are those of nn/pre_norm.py and multimodal/vit.py; the original's matrices
          are Xavier-uniform.
Read next multimodal/clip.py (the towers of images and texts, trained before and then frozen),
          worlds/scene_bounds.py (what one sense can tell about another),
          multimodal/imagebind_verdict.py (whether senses that never met agree)

Why images?  There are no large sets of (sound, depth image) or (motion, text) pairs, but most
senses occur together with images: videos have sound, depth cameras have colour.  If y is near the
vector of its image, and a caption is near the vector of its image (CLIP), then y is near the
caption, although no caption of a sound was ever seen.  For S senses, S − 1 kinds of pairs do
instead of S (S − 1)/2.  The price: what an image does not show, such as motion, does not pass
through it.

Why frozen?  The images' vectors are where the others meet.  If they moved to suit one sense, those
trained before, and the captions, would no longer agree with them.  `train` can let them move; then
see imagebind_verdict.py for what is lost.

Why a fixed temperature?  A learned one falls as long as pairs are right (losses/infonce.py), most
for senses that an image determines well.  Many images fit a depth image, so many of its negatives
are false; a high temperature, τ = 1/5, penalises them less.  A sound has 1/20.

Why an extra key and value?  The softmax of attention sums to 1: without it, a token must attend to
some patch even where nothing is to be found.  The extra key can take the weight.

Gradient.  As in multimodal/vit.py, with two differences: the backward of the patches' norm comes
before that of E, and each sequence adds to the gradients of the extra key and value.
"""
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.infonce import symmetric_infonce
from scratch_embed.nn.activations import gelu
from scratch_embed.nn.contract import ParamOnlyBackward
from scratch_embed.nn.convolution import patches
from scratch_embed.nn.layers import linear
from scratch_embed.nn.norms import add_to, layer_norm
from scratch_embed.nn.optim import AdamW, Optim, linear_warmup_decay
from scratch_embed.nn.params import (
    Normal,
    Params,
    Tensor,
    Uniform,
    linear_tensors,
    norm_tensors,
)
from scratch_embed.nn.pre_norm import Trunk, infer_trunk, run_trunk, trunk_tensors
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.settings import digest
from scratch_embed.numerics.workers import serial_map
from scratch_embed.training.session import RunOptions, session
from scratch_embed.transformer.data_parallel import data_parallel

PATCH_EPS, EPS = 1e-5, 1e-6        # of the norm of the patches, and of all others
SCALE = {"audio": 20.0, "depth": 5.0, "thermal": 10.0, "imu": 5.0}             # 1/τ, the original's
BETAS = (0.9, 0.98)                # of AdamW, as in multimodal/clip.py


class Sense(NamedTuple):
    """The input of a sense, how it is cut, its tower and its temperature.

    ImageBind's sound: (1, 128, 204), 16, 10, trunk(768, 12, 12), 20.
    """

    shape: tuple[int, ...]         # (C, H, W) of a map, (C, T) of a signal
    patch: int                     # P
    stride: int                    # from the beginning of one patch to the next
    trunk: Trunk
    scale: float                   # 1/τ
    mean: float = 0.0              # of the input's numbers, which is subtracted from them
    std: float = 1.0               # and their standard deviation, by which they are divided

    @property
    def tokens(self) -> int:
        """n + 1, the patches of an input and the class token."""
        _, *sides = self.shape
        return int(np.prod([(side - self.patch) // self.stride + 1 for side in sides])) + 1


def trunk(dim: int, layers: int, heads: int) -> Trunk:
    """The Trunk of ImageBind's towers: GELU, F = 4 D, an extra key and value."""
    return Trunk(dim, layers, heads, 4 * dim, EPS, gelu, causal=False, extra_key=True)


# ---- parameters ----------------------------------------------------------------------------------

def tensors(senses: Mapping[str, Sense], E: int) -> dict[str, Tensor]:
    """All tensors of these towers.  E: the dimension of the images' vectors.

    Raises ValueError for a patch that is larger than its input.
    """
    declared: dict[str, Tensor] = {}
    for name, sense in senses.items():
        declared |= sense_tensors(sense, E, name + ".")
    return declared


def sense_tensors(sense: Sense, E: int, name: str) -> dict[str, Tensor]:
    """The tensors of one tower.  name: their prefix, "audio."."""
    C, *sides = sense.shape
    if not 1 <= sense.patch <= min(sides):
        raise ValueError(f"patch: expected 1 to {min(sides)}, the smaller side of {sense.shape}, "
                         f"got {sense.patch}")
    D, P, spread = sense.trunk.dim, sense.patch, Normal(sense.trunk.dim ** -0.5)
    each = (C,) + (P,) * len(sides)                                # the shape of a patch
    return {name + "class": Tensor((D,), spread),
            name + "patch.weight": Tensor((D, *each), Uniform(np.prod(each) ** -0.5), decay=True),
            **norm_tensors(name + "patch_norm", D),
            name + "positions.weight": Tensor((sense.tokens, D), spread, decay=True),
            **trunk_tensors(name, sense.trunk), **norm_tensors(name + "norm", D),
            **linear_tensors(name + "projection", E, D, spread, bias=False)}


# ---- forward and backward ------------------------------------------------------------------------

def cut(x: np.ndarray, sense: Sense) -> np.ndarray:
    """The patches of each input, channel by channel.  -> (N, n, C·P·P), of signals (N, n, C·P)

    Raises ValueError for inputs that do not have the shape (N, *sense.shape).
    """
    if x.ndim != len(sense.shape) + 1 or x.shape[1:] != sense.shape or not len(x):
        raise ValueError(f"input: expected (N, {', '.join(map(str, sense.shape))}), N at least 1, "
                         f"got {x.shape}")
    x = (x - x.dtype.type(sense.mean)) / x.dtype.type(sense.std)
    if x.ndim == 4:
        return patches(x, sense.patch, sense.stride)[0]
    windows = np.lib.stride_tricks.sliding_window_view(x, sense.patch, axis=2)
    windows = windows[:, :, ::sense.stride].transpose(0, 2, 1, 3)              # (N, n, C, P)
    return windows.reshape(*windows.shape[:2], -1)


def embed(x: np.ndarray, p: Params, sense: Sense, name: str
          ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Class token and patches with their positions.  -> h (N·(n+1), D), backward(dh, g)."""
    N, D = len(x), sense.trunk.dim
    u, back_patch = linear(cut(x, sense), p, name + "patch")                   # (N, n, D)
    of_patch, back_norm = layer_norm(u, p, name + "patch_norm", PATCH_EPS)
    h = np.empty((N, sense.tokens, D), of_patch.dtype)
    h[:, 0], h[:, 1:] = p[name + "class"], of_patch
    h += p[name + "positions.weight"]

    def backward(dh, g):
        dh = dh.reshape(N, -1, D)
        add_to(g, name + "positions.weight", dh.sum(0))
        add_to(g, name + "class", dh[:, 0].sum(0))
        back_patch(back_norm(dh[:, 1:], g), g)           # the input itself gets no gradient
    return h.reshape(-1, D), backward


def encode(x: np.ndarray, p: Params, sense: Sense, name: str
           ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """One vector per input, not yet of norm 1.  -> y (N, E), backward(dy, g).

    name: the prefix of the tower's parameters, "audio."
    """
    h, back_embed = embed(x, p, sense, name)
    h, back_trunk = run_trunk(h, p, name, offsets(x, sense), sense.trunk)
    first = slice(None, None, sense.tokens)
    n, back_norm = layer_norm(h[first], p, name + "norm", EPS)
    y, back_y = linear(n, p, name + "projection")

    def backward(dy, g):
        dh = np.zeros_like(h)
        dh[first] = back_norm(back_y(dy, g), g)
        back_embed(back_trunk(dh, g), g)
    return y, backward


def infer(x: np.ndarray, p: Params, sense: Sense, name: str) -> np.ndarray:
    """encode() without backward; each layer's activations are freed before the next.  -> (N, E)"""
    h = infer_trunk(embed(x, p, sense, name)[0], p, name, offsets(x, sense), sense.trunk)
    n, _ = layer_norm(h[::sense.tokens], p, name + "norm", EPS)
    return linear(n, p, name + "projection")[0]


def offsets(x: np.ndarray, sense: Sense) -> np.ndarray:
    """The first token of each input, and the end.  -> (N+1,)"""
    return sense.tokens * np.arange(len(x) + 1)


def add_vectors(*vectors: np.ndarray) -> np.ndarray:
    """Arithmetic across senses: the sum of unit vectors, at norm 1.  Each (N, E) -> (N, E).

    The sum of a sound's vector and of that of "a red thing" is near images of red things that make
    this sound.
    """
    return l2_normalize(np.sum([l2_normalize(x)[0] for x in vectors], axis=0))[0]


# ---- training ------------------------------------------------------------------------------------

# (rows, p) -> the vectors of these images, backward(dy, g)
Anchor = Callable[[np.ndarray, Params], tuple[np.ndarray, ParamOnlyBackward]]


def frozen(vectors: np.ndarray) -> Anchor:
    """The images' vectors (N, E), computed once: they get no gradient."""
    return lambda rows, p: (vectors[rows], lambda dy, g: None)


def batch_loss(x: np.ndarray, images: np.ndarray, p: Params, sense: Sense, name: str,
               workers: int = 1, map: Callable = serial_map) -> tuple[float, Callable]:
    """The loss of N pairs of an input and its image's vector.  -> L, backward(grads) -> dimages.

    images: (N, E).  grads: one Params for each worker, which encodes a share of the inputs.
    """
    def encode_part(rows, worker):
        return encode(x[rows], p, sense, name)

    y, back_y = data_parallel(encode_part, len(x), workers, map)
    loss, back_loss = symmetric_infonce(y, images, tau=1 / sense.scale)

    def backward(grads):
        dy, dimages, _ = back_loss()
        back_y(dy, grads)
        return dimages
    return loss, backward


class Trained(NamedTuple):
    """Trained parameters, and the loss of every step."""

    p: Params
    losses: list[float]


def train(x: np.ndarray, anchor: Anchor, p: Params, sense: Sense, name: str, steps: int = 500,
          batch_size: int = 128, optim: Optim = Optim(lr=1e-3, weight_decay=0.2),
          options: RunOptions = RunOptions()) -> Trained:
    """Train the tower of one sense on N pairs of an input and the vector of its image.

    x        (N, *sense.shape) float32
    anchor   frozen(vectors of the images); or a function that computes them with tensors of p,
             which are trained too if p has them unfrozen
    p        from init_params(sense_tensors(...), seed); it is not changed
    options  workers: each takes a share of every batch
    Raises   ValueError for fewer than 2 pairs in all or in a batch, because then there are no
             negatives; TrainingDiverged
    """
    if len(x) < 2 or batch_size < 2:
        raise ValueError(f"expected at least 2 inputs, and batch_size at least 2, got {len(x)} and "
                         f"{batch_size}")
    workers, seed, checkpoint, _ = options
    p = p.copy()
    optimizer = AdamW(p, BETAS, weight_decay=optim.weight_decay)
    grads = [p.like() for _ in range(workers)]
    settings = dict(steps=steps, batch_size=batch_size, **optim._asdict(), workers=workers,
                    seed=seed, sense=sense, x=x,
                    start=checkpoint and digest(anchor(np.arange(len(x)), p)[0], *p.values()))

    with session({**p.trainable_views(), **optimizer.state()}, settings, options, steps) as run:
        for step, rows in run.batches(len(x), batch_size, steps):
            for g in grads:
                g.flat[:] = 0
            images, back_images = anchor(rows, p)
            loss, backward = batch_loss(x[rows], images, p, sense, name, workers, run.map)
            back_images(backward(grads), grads[0])
            lr = linear_warmup_decay(step, steps, optim.lr, optim.warmup_ratio)
            optimizer.step(grads, lr, optim.max_grad_norm, run.map)
            run.record(loss, lr=lr)
    return Trained(p, run.losses)

"""Whisper's encoder: two convolutions over a log-mel spectrogram, then pre-norm layers.

Paper     Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision", section
          2.2; Vaswani et al. 2017, section 3.5 (sinusoids)
Equation  u = gelu(conv₁(y)),  x = gelu(conv₂(u)) + S,   conv₂ with stride 2;
          S_t = [sin(ω₀t) .. sin(ω_{D/2−1}t), cos(ω₀t) .. cos(ω_{D/2−1}t)],
          ω_i = 10000^(−i/(D/2−1));
          L layers of nn/pre_norm.py, whose key projection has no bias;  then x = LN(x);
          the vector of a sound: the mean of x over the frames that are sound, not padding
Shapes    spectrograms y (N, T, mels), T = 3000 for 30 s; x (N, T', D), T' = 1 + ⌊(T − 1)/2⌋
Cost      24 T' D² + 4 T'² D operations per layer and sound, for F = 4 D; BLAS computes the
          products.  In the released models the convolutions cost a quarter to a fifth of a layer.
Differs   The decoder, which turns these vectors into text, is not here: its tensors are ignored.
          Spectrograms may be shorter than the model's 30 s; the original refuses them.
Read next multimodal/audio.py (the spectrogram), multimodal/whisper_encoder.py (files, encode()),
          multimodal/whisper_training.py

Why convolutions?  A frame of 10 ms says little: neighbouring frames show whether a band rises or
falls.  Three frames enter conv₁, and the second convolution halves their number, which makes
attention four times cheaper.

Why no bias in the keys?  A bias c adds q·c to all scores of a query, and softmax does not change if
a constant is added to all scores.  So it would have no effect, and its gradient is 0.

Why mask the mean, and not attention?  The released models were trained on sounds padded to 30 s
without a mask, so they expect the padding.  But its vectors say nothing about the sound: in a mean
over all 1,500 frames, a word of half a second would have a share of 1/60.

Gradient.  Each backward undoes its forward line by line.  S is not learned: x = ... + S passes dx
on.  From the sum over a sound's n frames, each gets dv/n, and the padding gets 0.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.multimodal.audio import WhisperAudio
from scratch_embed.nn.activations import gelu
from scratch_embed.nn.contract import Backward, ParamBackward
from scratch_embed.nn.convolution import conv1d
from scratch_embed.nn.norms import layer_norm
from scratch_embed.nn.params import Params, Tensor, Uniform, init_params, norm_tensors
from scratch_embed.nn.pre_norm import Trunk, infer_trunk, pre_norm_layer, run_trunk, trunk_tensors
from scratch_embed.numerics.checks import require_whole

WIDTH, STRIDE = 3, 2               # frames in a window of a convolution; the second's stride
LONGEST_PERIOD = 10_000            # frames, divided by 2π, of the slowest sinusoid


class Config(NamedTuple):
    """The sizes of an encoder.  Whisper's base, in this order: 80, 512, 6, 8, 2048, 1500."""

    mels: int = 80
    dim: int = 64                  # D, even
    layers: int = 2                # L
    heads: int = 2                 # H, a divisor of D
    ff: int = 256                  # F
    positions: int = 1500          # frames after the second convolution
    eps: float = 1e-5              # of layer norms; no config.json changes it
    activation: Callable = gelu    # of the layers; the convolutions have gelu

    @property
    def trunk(self) -> Trunk:
        """The layers as nn/pre_norm.py describes them."""
        return Trunk(self.dim, self.layers, self.heads, self.ff, self.eps, self.activation)


# ---- parameters ----------------------------------------------------------------------------------

def tensors(config: Config) -> dict[str, Tensor]:
    """All tensors.  The convolutions start as torch's do: U(−b, b) with b = (3 I)^−½.

    Raises ValueError unless D is even and heads divides it.
    """
    M, D = config.mels, config.dim
    if D % 2 or D < 4:
        raise ValueError(f"dim: expected an even number of at least 4, for the sinusoids, got {D}")
    declared: dict[str, Tensor] = {}
    for name, inputs in (("conv1", M), ("conv2", D)):
        init = Uniform((WIDTH * inputs) ** -0.5)
        declared[name + ".weight"] = Tensor((D, inputs, WIDTH), init, decay=True)
        declared[name + ".bias"] = Tensor((D,), init)
    declared["positions.weight"] = Tensor((config.positions, D), sinusoids)
    declared |= trunk_tensors("", config.trunk)
    declared |= norm_tensors("norm", D)
    return {name: tensor for name, tensor in declared.items() if not name.endswith("attn.k.bias")}


def sinusoids(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """S (positions, D), float64.  Nothing is drawn from rng.

    >>> sinusoids(None, (2, 4)).round(4).tolist()
    [[0.0, 0.0, 1.0, 1.0], [0.8415, 0.0001, 0.5403, 1.0]]
    """
    positions, half = shape[0], shape[1] // 2
    frequencies = float(LONGEST_PERIOD) ** (-np.arange(half) / (half - 1))     # ω, (D/2,)
    angles = np.arange(positions)[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def new_params(config: Config, seed: int, dtype: type = np.float32) -> Params:
    """Random parameters; the sinusoids are frozen."""
    return init_params(tensors(config), seed, dtype).freeze(["positions.weight"])


# ---- forward and backward ------------------------------------------------------------------------

def embed(y: np.ndarray, p: Params) -> tuple[np.ndarray, ParamBackward]:
    """Convolutions and sinusoids.  y (N, T, mels) -> x (N·T', D); backward(dx, g) -> dy.

    Raises ValueError if T' exceeds the number of positions.
    """
    u, back_u = conv1d(y, p, "conv1", padding=WIDTH // 2)                      # (N, T, D)
    a, back_a = gelu(u)
    w, back_w = conv1d(a, p, "conv2", stride=STRIDE, padding=WIDTH // 2)       # (N, T', D)
    c, back_c = gelu(w)
    S = p["positions.weight"]
    N, frames, D = c.shape
    if frames > len(S):
        raise ValueError(f"spectrograms: expected at most {STRIDE * len(S)} frames, as the model "
                         f"has positions for, got {y.shape[1]}; cut the sounds")

    def backward(dx, g):
        dc = dx.reshape(c.shape)
        if "positions.weight" in g:
            g["positions.weight"][:frames] += dc.sum(0)
        return back_u(back_a(back_w(back_c(dc), g)), g)      # dy: under 1 % of a training step
    return (c + S[:frames]).reshape(-1, D), backward


def encode(y: np.ndarray, p: Params, config: Config) -> tuple[np.ndarray, ParamBackward]:
    """The vectors of all frames.  y (N, T, mels) -> x (N, T', D), backward(dx, g) -> dy."""
    x, back_embed = embed(y, p)
    x, back_trunk = run_trunk(x, p, "", _offsets(len(x), len(y)), config.trunk)
    x, back_norm = layer_norm(x, p, "norm", config.eps)

    def backward(dx, g):
        dx = back_norm(dx.reshape(x.shape), g)
        return back_embed(back_trunk(dx, g), g)
    return x.reshape(len(y), -1, config.dim), backward


def infer(y: np.ndarray, p: Params, config: Config, layer: int | None = None) -> np.ndarray:
    """encode() without backward, up to a layer.  y (N, T, mels) -> (N, T', D)

    layer: 0 is the input of the first layer, n the output of the n-th; L, the default, is the
    encoder's output, after the last norm.  These are the hidden_states of transformers.
    """
    layer = config.layers if layer is None else require_whole("layer", layer, 0, config.layers)
    x, _ = embed(y, p)
    x = infer_trunk(x, p, "", _offsets(len(x), len(y)), config.trunk._replace(layers=layer))
    if layer == config.layers:
        x, _ = layer_norm(x, p, "norm", config.eps)
    return x.reshape(len(y), -1, config.dim)


def hidden_states(y: np.ndarray, p: Params, config: Config) -> list[np.ndarray]:
    """infer() of the layers 0 .. L, in one pass.  -> L + 1 arrays (N, T', D)"""
    x, _ = embed(y, p)
    states, offsets = [x], _offsets(len(x), len(y))
    for n in range(config.layers):
        states.append(pre_norm_layer(states[-1], p, f"layers.{n}.", offsets, config.trunk)[0])
    states[-1] = layer_norm(states[-1], p, "norm", config.eps)[0]
    return [x.reshape(len(y), -1, config.dim) for x in states]


def _offsets(rows, N):
    """The bounds of N sequences of equal length, (N+1,)."""
    return np.arange(N + 1) * (rows // N if N else 0)


# ---- pooling -------------------------------------------------------------------------------------

def sound_frames(samples: int, audio: WhisperAudio) -> int:
    """How many of the encoder's frames are sound: frames whose centre is before the sound's end.

    Frame t of the encoder is centred on sample 2·hop·t.
    """
    return min(-(-samples // (STRIDE * audio.hop)), 1 + (audio.frames - 1) // STRIDE)


def masked_mean(x: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, Backward]:
    """The mean over each sound's first frames.  x (N, T', D), lengths (N,) >= 1 -> v (N, D)"""
    mask = (np.arange(x.shape[1]) < lengths[:, None]).astype(x.dtype)          # (N, T')
    weights = mask / lengths[:, None].astype(x.dtype)
    v = (weights[:, None] @ x)[:, 0]

    def backward(dv):
        return weights[:, :, None] * dv[:, None]
    return v, backward

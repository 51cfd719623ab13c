"""CLAP: an audio tower and a text tower, trained so that a sound is near its own caption.

Paper     Wu et al. 2023, "Large-scale Contrastive Language-Audio Pretraining with Feature Fusion
          and Keyword-to-Caption Augmentation", section 3.1 (LAION's CLAP).
Equation  a = f_a(htsat(mels)),  e = f_t(tanh(P x_<s> + d)),  x = roberta(caption), its token <s>;
          f(h) = W₂ relu(W₁ h + b₁) + b₂;   cos_ij = cos(a_i, e_j)
          L = ½ (CE(exp(s_a) cos) + CE(exp(s_t) cosᵀ)),  CE the mean cross-entropy of the rows, the
          target of row i is i;  s_a, s_t learned, from 0 to ln 100
Shapes    mels (N, T, F), texts packed: ids (T,), offsets (N+1,); a, e (N, E)
Cost      that of the two towers; the loss is one matrix product (N, N)
Bytes     a folder of transformers' ClapModel, see multimodal/clap_folder.py
Differs   The paper has one temperature.  LAION's code has two parameters and, in this loss, uses
          exp(s_a) in both directions.  transformers' ClapModel has exp(s_a) for rows of sounds and
          exp(s_t) for rows of texts, as here; but its loss transposes the first, so that both of
          its terms ask which sound fits a text, and none asks which text fits a sound:
          transformers_loss().  Folders are the same.  The statistics of the mel bins are constants
          (multimodal/htsat.py).  LAION starts from a trained RoBERTa and a trained HTSAT; train()
          starts from the parameters that it is given.  The learning rate falls linearly.
Read next losses/infonce.py (the loss, with one τ), multimodal/htsat.py (the audio tower),
          transformer/roberta.py (the text tower), multimodal/clap_encoder.py (texts and sounds ->
          vectors)

Why a log-mel spectrogram and not the wave?  Two sounds that a person cannot tell apart can have
waves without any similarity: a shift by half a period changes the sign of each sample.  The
energies of frequency bands in short windows do not change then.

Why two layers after each tower?  The towers were trained for other tasks, and their vectors can
differ in size (the paper's other audio tower has 2048, RoBERTa 768).  A linear layer can bring
them to one size; a second one with relu between can also discard what the pairs do not share.

Why cut and repeat?  The tower reads a square of fixed size.  A short sound is repeated, because a
square of mostly silence would be mostly the same for all sounds; of a long one, training reads
another random part each time.

Gradient.  With softmax rows P_a = softmax(exp(s_a) cos), P_t = softmax(exp(s_t) cosᵀ),
    G_a = (P_a − I) / 2N,  G_t = (P_t − I) / 2N,   dcos = exp(s_a) G_a + exp(s_t) G_tᵀ,
    ds_a = exp(s_a) Σ G_a ∘ cos,   ds_t = exp(s_t) Σ G_t ∘ cosᵀ;   then through cos as in InfoNCE.
"""
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.multimodal import htsat
from scratch_embed.multimodal.audio import ClapAudio, log_mel_clap
from scratch_embed.nn.activations import relu
from scratch_embed.nn.blocks import pooler
from scratch_embed.nn.contract import ParamBackward, ParamBackwardEach, ParamOnlyBackward
from scratch_embed.nn.layers import linear
from scratch_embed.nn.norms import add_to
from scratch_embed.nn.optim import AdamW, Optim, linear_warmup_decay
from scratch_embed.nn.params import Constant, Normal, Params, Tensor, linear_tensors
from scratch_embed.nn.softmax import cross_entropy_numpy
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.settings import digest, saved_as
from scratch_embed.numerics.workers import serial_map
from scratch_embed.text.packed import Packed, by_length, require_rows, take
from scratch_embed.training.session import RunOptions, session
from scratch_embed.transformer import roberta
from scratch_embed.transformer.data_parallel import data_parallel

FIRST_SCALE = math.log(1 / 0.07)   # s_a and s_t at the start
MOST_SCALE = math.log(100)         # and at most, in training
BETAS, EPS = (0.9, 0.999), 1e-8    # of AdamW


class Config(NamedTuple):
    """The two towers, and the dimension of the space in which they meet."""

    audio: htsat.Config
    text: roberta.Config
    dim: int = 512                 # E
    first_scale: float = FIRST_SCALE


# ---- parameters ----------------------------------------------------------------------------------

def tensors(config: Config, std: float = 0.02) -> dict[str, Tensor]:
    """All tensors of both towers, the projections, s_a and s_t.

    std: the standard deviation of the initial weights.  Raises ValueError for sizes that do not
    fit each other.
    """
    audio, text, E, first = config
    D, init = text.dim, Normal(std)
    return {**htsat.tensors(audio, std), **roberta.tensors(text, std),
            **linear_tensors("pooler", D, D, init),
            **projection_tensors("audio_projection.", E, audio.width, init),
            **projection_tensors("text_projection.", E, D, init),
            "log_scale.audio": Tensor((), Constant(first)),
            "log_scale.text": Tensor((), Constant(first))}


def projection_tensors(name: str, E: int, D: int, init: Normal) -> dict[str, Tensor]:
    """The tensors of project().  name: their prefix."""
    return linear_tensors(name + "up", E, D, init) | linear_tensors(name + "down", E, E, init)


# ---- forward and backward ------------------------------------------------------------------------

def project(h: np.ndarray, p: Params, name: str) -> tuple[np.ndarray, ParamBackward]:
    """W₂ relu(W₁ h + b₁) + b₂.  h: (N, D) -> (N, E)."""
    u, back_u = linear(h, p, name + "up")
    f, back_f = relu(u)
    y, back_y = linear(f, p, name + "down")
    return y, lambda dy, g: back_u(back_f(back_y(dy, g)), g)


def encode_sounds(mels: np.ndarray, p: Params, config: Config
                  ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """The sounds' vectors, not yet of norm 1.  mels (N, T, F) -> a (N, E), backward(da, g)."""
    h, back_h = htsat.encode(mels, p, config.audio)
    a, back_a = project(h, p, "audio_projection.")
    return a, lambda da, g: back_h(back_a(da, g), g)


def encode_texts(texts: Packed, p: Params, config: Config
                 ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """The texts' vectors, not yet of norm 1.  -> e (N, E), backward(de, g).

    Raises ValueError for ids or lengths for which the tower has no embedding.
    """
    require_rows(texts, config.text.vocab, config.text.max_length, config.text.types)
    order = by_length(texts)                             # attention batches equal lengths
    batch = take(texts, order)
    x, back_x = roberta.encode(batch, p, config.text)
    first = batch.offsets[:-1]                           # the rows of <s>
    h, back_h = pooler(x[first], p)
    sorted_e, back_e = project(h, p, "text_projection.")
    e = np.empty_like(sorted_e)
    e[order] = sorted_e

    def backward(de, g):
        dx = np.zeros_like(x)
        dx[first] = back_h(back_e(de[order], g), g)
        back_x(dx, g)
    return e, backward


def infer_sounds(mels: np.ndarray, p: Params, config: Config) -> np.ndarray:
    """encode_sounds() without backward.  -> (N, E)"""
    return project(htsat.infer(mels, p, config.audio), p, "audio_projection.")[0]


def infer_texts(texts: Packed, p: Params, config: Config) -> np.ndarray:
    """encode_texts() without backward; each layer's activations are freed before the next."""
    require_rows(texts, config.text.vocab, config.text.max_length, config.text.types)
    order = by_length(texts)
    batch = take(texts, order)
    x = roberta.infer(batch, p, config.text)
    e = np.empty((len(order), config.dim), x.dtype)
    e[order] = project(pooler(x[batch.offsets[:-1]], p)[0], p, "text_projection.")[0]
    return e


# ---- losses --------------------------------------------------------------------------------------

def scaled_cosines(a: np.ndarray, e: np.ndarray, p: Params
                   ) -> tuple[tuple[np.ndarray, np.ndarray], Callable]:
    """exp(s_a) cos(a_i, e_j) and exp(s_t) cos(e_i, a_j): (N, M), (M, N).

    a: (N, E), e: (M, E); backward((d_audio, d_text), g) -> da, de
    """
    u, back_u = l2_normalize(a)
    v, back_v = l2_normalize(e)
    cos = u @ v.T
    of_audio, of_text = (np.exp(p["log_scale." + name]) for name in ("audio", "text"))

    def backward(dlogits, g):
        d_audio, d_text = dlogits[0], dlogits[1].T
        add_to(g, "log_scale.audio", of_audio * (d_audio * cos).sum())
        add_to(g, "log_scale.text", of_text * (d_text * cos).sum())
        dcos = of_audio * d_audio + of_text * d_text
        return back_u(dcos @ v), back_v(dcos.T @ u)
    return (of_audio * cos, of_text * cos.T), backward


@saved_as("clap")
def clap_loss(a: np.ndarray, e: np.ndarray, p: Params) -> tuple[float, ParamBackwardEach]:
    """The mean of both directions: each sound's text, each text's sound.  a, e: (N, E).

    backward(dloss, g) -> da, de.  At N = 1 the loss and its gradients are 0.
    """
    (audio, text), back = scaled_cosines(a, e, p)
    targets = np.arange(len(a))
    loss_audio, back_audio = cross_entropy_numpy(audio, targets)
    loss_text, back_text = cross_entropy_numpy(text, targets)
    return (loss_audio + loss_text) / 2, lambda dloss, g: back(
        (back_audio(dloss / 2), back_text(dloss / 2)), g)


@saved_as("transformers")
def transformers_loss(a: np.ndarray, e: np.ndarray, p: Params) -> tuple[float, ParamBackwardEach]:
    """The loss of transformers' ClapModel: both terms are of rows of texts, see Differs.

    a, e: (N, E); backward(dloss, g) -> da, de
    """
    (audio, text), back = scaled_cosines(a, e, p)
    targets = np.arange(len(a))
    loss_audio, back_audio = cross_entropy_numpy(audio.T, targets)
    loss_text, back_text = cross_entropy_numpy(text, targets)
    return (loss_audio + loss_text) / 2, lambda dloss, g: back(
        (back_audio(dloss / 2).T, back_text(dloss / 2)), g)


# ---- training ------------------------------------------------------------------------------------

def batch_loss(mels: np.ndarray, texts: Packed, p: Params, config: Config,
               loss: Callable = clap_loss, workers: int = 1, map: Callable = serial_map
               ) -> tuple[float, Callable]:
    """The loss of N pairs.  -> loss, backward(grads); grads: one Params for each worker.

    Each worker encodes a share of the sounds and of the texts; the loss compares all of them.
    """
    def sounds_of(rows, worker):
        return encode_sounds(mels[rows], p, config)

    def texts_of(rows, worker):
        return encode_texts(take(texts, rows), p, config)

    a, back_a = data_parallel(sounds_of, len(mels), workers, map)
    e, back_e = data_parallel(texts_of, len(mels), workers, map)
    value, back_loss = loss(a, e, p)

    def backward(grads):
        da, de = back_loss(1.0, grads[0])
        back_a(da, grads)
        back_e(de, grads)
    return value, backward


def log_mels(sounds: np.ndarray | Sequence[np.ndarray], audio: ClapAudio, rng: np.random.Generator
             ) -> np.ndarray:
    """The spectrograms of sounds at audio.rate.  -> (N, T, F) float32"""
    M = audio.filters()
    return np.stack([log_mel_clap(x, rng, audio, M) for x in sounds])


class Trained(NamedTuple):
    """Trained parameters, and the loss of every step."""

    p: Params
    losses: list[float]


def train(sounds: np.ndarray | Sequence[np.ndarray], texts: Packed, p: Params, config: Config,
          audio: ClapAudio, steps: int = 300, batch_size: int = 64,
          optim: Optim = Optim(lr=1e-3, weight_decay=0.01), loss: Callable = clap_loss,
          options: RunOptions = RunOptions()) -> Trained:
    """Train both towers on N pairs of a sound and its caption.

    sounds   N arrays of samples at audio.rate; texts: their captions, in this order
    p        from start(); it is not changed.  Frozen tensors stay as they are
    audio    how a spectrogram is computed.  Each step cuts longer sounds anew
    options  workers: each takes a share of every batch.  The same seed and number of workers give
             the same bits
    Raises   ValueError unless there are as many sounds as texts and at least 2, or for fewer than 2
             pairs in a batch, because then there are no negatives; TrainingDiverged
    """
    N = len(sounds)
    if not 2 <= N == len(texts.offsets) - 1 or batch_size < 2:
        raise ValueError(f"expected as many sounds as texts, at least 2, and batch_size at least "
                         f"2, got {N} sounds, {len(texts.offsets) - 1} texts and {batch_size}")
    workers, seed, checkpoint, _ = options
    p = p.copy()
    optimizer = AdamW(p, BETAS, EPS, optim.weight_decay)
    grads = [p.like() for _ in range(workers)]
    settings = dict(steps=steps, batch_size=batch_size, **optim._asdict(), workers=workers,
                    seed=seed, loss=loss, config=config, audio=audio, texts=texts,
                    sounds=checkpoint and digest(*sounds),
                    start=checkpoint and digest(*p.values()))

    with session({**p.trainable_views(), **optimizer.state()}, settings, options, steps) as run:
        for step, numbers in run.batches(N, batch_size, steps):
            for g in grads:
                g.flat[:] = 0
            cuts = np.random.default_rng([seed, step])
            mels = log_mels([sounds[n] for n in numbers], audio, cuts)
            value, backward = batch_loss(mels, take(texts, numbers), p, config, loss, workers,
                                         run.map)
            backward(grads)
            lr = linear_warmup_decay(step, steps, optim.lr, optim.warmup_ratio)
            optimizer.step(grads, lr, optim.max_grad_norm, run.map)
            for name in ("log_scale.audio", "log_scale.text"):
                if name not in p.frozen:
                    np.clip(p[name], 0, MOST_SCALE, out=p[name])
            run.record(value, lr=lr)
    return Trained(p, run.losses)

"""CLIP: an image tower and a text tower, trained so that an image is near its own caption.

Paper     Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
          Supervision", section 2.3 and figure 3.
Equation  x = W_i vit(image),   y = W_t text(caption),   text = the end-of-text token's vector
          s_ij = exp(t) cos(x_i, y_j);   L = ½ (InfoNCE(images, texts) + InfoNCE(texts, images))
          zero-shot: a class's vector is the mean of the unit vectors of its prompts
Shapes    images (N, C, S, S), texts packed: ids (T,), offsets (N+1,); x, y (N, E)
Cost      that of the two trunks (nn/pre_norm.py); the loss is one matrix product (N, N)
Bytes     a folder of transformers' CLIPModel, see multimodal/clip_folder.py
Differs   OpenAI clamps t at ln 100 in training; transformers' CLIPModel has the same parameter,
          logit_scale, and never clamps it.  The learning rate falls linearly, OpenAI's by a cosine.
          A text without an end-of-text token is refused; transformers takes its first token.
          Initial values: token and position embeddings N(0, 0.02²) and N(0, 0.01²), W_i and W_t
          N(0, 1/D), as OpenAI's; the others: multimodal/vit.py, nn/pre_norm.py.
Read next losses/infonce.py (the loss, and what τ = exp(−t) does), multimodal/vit.py,
          multimodal/clip_encoder.py (texts and image files -> vectors), losses/sigmoid.py (SigLIP)

Why captions?  A classifier's labels name a fixed list of classes; captions name whatever people
write about, and any list of classes can be described by prompts afterwards (zero-shot).

Why contrast, not generate?  To predict a caption's words is harder than to recognise it among N
captions.  For the same zero-shot accuracy, contrast needs a quarter of the images that predicting
a bag of words needs, and a twelfth of those that a language model needs (the paper's figure 2).

Why is t learned?  cos lies in [−1, 1], so at t = 0 the softmax over N captions is almost uniform,
and even a perfect model has an L above log N − 1.  How large t should be depends on how well
captions can be distinguished.  Once all pairs are right, a larger t always lowers L, so t is
clamped.  exp keeps the scale positive, and equal steps of t change it by equal factors.

Why a causal text tower?  The authors kept the option of starting from, or adding, a language model.
With a causal mask only the last token, end-of-text, has seen the whole text, so it is pooled.

Gradient.  The loss gives dx, dy and dτ (losses/infonce.py); with τ = exp(−t), dt = −τ dτ.  In the
text tower, only the end-of-text tokens get a gradient from above.
"""
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.infonce import symmetric_infonce
from scratch_embed.losses.sigmoid import pairwise_sigmoid
from scratch_embed.multimodal import vit
from scratch_embed.nn.contract import ParamBackwardEach, ParamOnlyBackward
from scratch_embed.nn.layers import embedding, linear
from scratch_embed.nn.norms import add_to, layer_norm
from scratch_embed.nn.optim import AdamW, Optim, linear_warmup_decay
from scratch_embed.nn.params import (
    Constant,
    Normal,
    Params,
    Tensor,
    embedding_tensors,
    linear_tensors,
    norm_tensors,
)
from scratch_embed.nn.pre_norm import Trunk, infer_trunk, run_trunk, trunk_tensors
from scratch_embed.numerics.settings import digest, saved_as
from scratch_embed.numerics.workers import serial_map
from scratch_embed.text.packed import Packed, by_length, positions, require_rows, take
from scratch_embed.training.session import RunOptions, session
from scratch_embed.transformer.data_parallel import data_parallel

FIRST_SCALE = math.log(1 / 0.07)   # t at the start
MOST_SCALE = math.log(100)         # and at most
OLD_END = 2                        # in config.json: pool the token with the largest id
BETAS, EPS = (0.9, 0.98), 1e-6     # of AdamW, the paper's for vision transformers


class TextConfig(NamedTuple):
    """The vocabulary and the sizes of the text tower.  CLIP's: 49408, 77, Trunk(512, 12, 8 ...)."""

    vocab: int                     # V
    positions: int                 # the maximum number of tokens in a text
    end: int                       # the id of the end-of-text token; OLD_END: the largest id
    trunk: Trunk                   # causal


class Config(NamedTuple):
    """The two towers, and the dimension of the space in which they meet."""

    image: vit.Config
    text: TextConfig
    dim: int                       # E
    first_scale: float = FIRST_SCALE


# ---- parameters ----------------------------------------------------------------------------------

def tensors(config: Config) -> dict[str, Tensor]:
    """All tensors of both towers, the projections and t.

    Raises ValueError for a config whose sizes do not fit each other.
    """
    image, text, E, first = config
    D_image, D = image.trunk.dim, text.trunk.dim
    return {**vit.tensors(image, "image."),
            **embedding_tensors("text.tokens", text.vocab, D, Normal(0.02)),
            **embedding_tensors("text.positions", text.positions, D, Normal(0.01)),
            **trunk_tensors("text.", text.trunk), **norm_tensors("text.norm", D),
            **linear_tensors("image.projection", E, D_image, Normal(D_image ** -0.5), bias=False),
            **linear_tensors("text.projection", E, D, Normal(D ** -0.5), bias=False),
            "log_scale": Tensor((), Constant(first))}


# ---- forward and backward ------------------------------------------------------------------------

def encode_images(images: np.ndarray, p: Params, config: Config
                  ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """The images' vectors, not yet of norm 1.  (N, C, S, S) -> x (N, E), backward(dx, g)."""
    h, back_h = vit.encode(images, p, config.image, "image.")
    x, back_x = linear(h, p, "image.projection")
    return x, lambda dx, g: back_h(back_x(dx, g), g)


def encode_texts(texts: Packed, p: Params, config: Config
                 ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """The texts' vectors, not yet of norm 1.  -> y (N, E), backward(dy, g).

    Raises ValueError for ids or lengths beyond the tables, or a text without an end-of-text token.
    """
    order = by_length(texts)                             # attention batches equal lengths
    batch = take(texts, order)
    h, back_embed = embed_texts(batch, p, config.text)
    h, back_trunk = run_trunk(h, p, "text.", batch.offsets, config.text.trunk)
    ends = end_rows(batch, config.text.end)
    n, back_norm = layer_norm(h[ends], p, "text.norm", config.text.trunk.eps)
    sorted_y, back_y = linear(n, p, "text.projection")
    y = np.empty_like(sorted_y)
    y[order] = sorted_y

    def backward(dy, g):
        dh = np.zeros_like(h)
        dh[ends] = back_norm(back_y(dy[order], g), g)
        back_embed(back_trunk(dh, g), g)
    return y, backward


def embed_texts(batch: Packed, p: Params, config: TextConfig
                ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """The sum of token and position embeddings.  -> h (T, D), backward(dh, g)."""
    require_rows(batch, config.vocab, config.positions)
    of_token, back_token = embedding(batch.ids, p, "text.tokens")
    of_position, back_position = embedding(positions(batch.offsets), p, "text.positions")

    def backward(dh, g):
        back_token(dh, g)
        back_position(dh, g)
    return of_token + of_position, backward


def end_rows(batch: Packed, end: int) -> np.ndarray:
    """The row of each text's end-of-text token: the first with the id `end`.  -> (N,)

    end=2: the first with the largest id of its text.  Config files from before 2023 say 2 whatever
    the vocabulary is, and transformers reads them so.
    Raises ValueError for a text without such a token.
    """
    starts, T = batch.offsets[:-1], len(batch.ids)
    wanted = np.maximum.reduceat(batch.ids, starts) if end == OLD_END else np.full(len(starts), end)
    is_end = batch.ids == np.repeat(wanted, np.diff(batch.offsets))
    rows = np.minimum.reduceat(np.where(is_end, np.arange(T), T), starts)
    if (rows == T).any():
        raise ValueError(f"text {int((rows == T).argmax())}: expected the end-of-text token {end} "
                         "among its ids, got none; encode texts with CLIP's own tokenizer")
    return rows


def infer_images(images: np.ndarray, p: Params, config: Config) -> np.ndarray:
    """encode_images() without backward.  -> (N, E)"""
    return linear(vit.infer(images, p, config.image, "image."), p, "image.projection")[0]


def infer_texts(texts: Packed, p: Params, config: Config) -> np.ndarray:
    """encode_texts() without backward; each layer's activations are freed before the next."""
    order = by_length(texts)
    batch = take(texts, order)
    h, _ = embed_texts(batch, p, config.text)
    h = infer_trunk(h, p, "text.", batch.offsets, config.text.trunk)
    n, _ = layer_norm(h[end_rows(batch, config.text.end)], p, "text.norm", config.text.trunk.eps)
    y = np.empty((len(order), config.dim), h.dtype)
    y[order] = linear(n, p, "text.projection")[0]
    return y


# ---- losses --------------------------------------------------------------------------------------

@saved_as("clip")
def clip_loss(x: np.ndarray, y: np.ndarray, p: Params) -> tuple[float, ParamBackwardEach]:
    """Symmetric InfoNCE with the temperature exp(−t).  x, y: (N, E); backward(dloss, g) -> dx, dy.

    At N = 1 it is 0, and so are its gradients: there is nothing to be distinguished from.
    """
    tau = math.exp(-p["log_scale"])
    loss, back = symmetric_infonce(x, y, tau)

    def backward(dloss, g):
        dx, dy, dtau = back(dloss)
        add_to(g, "log_scale", -tau * dtau)
        return dx, dy
    return loss, backward


@saved_as("siglip")
def siglip_loss(x: np.ndarray, y: np.ndarray, p: Params) -> tuple[float, ParamBackwardEach]:
    """SigLIP's loss in CLIP's place: each pair is a yes-no question (losses/sigmoid.py).

    p needs siglip_tensors() in place of CLIP's log_scale.
    """
    loss, back = pairwise_sigmoid(x, y, float(p["log_scale"]), float(p["bias"]))

    def backward(dloss, g):
        dx, dy, dlog_scale, dbias = back(dloss)
        add_to(g, "log_scale", dlog_scale)
        add_to(g, "bias", dbias)
        return dx, dy
    return loss, backward


def siglip_tensors(config: Config) -> dict[str, Tensor]:
    """tensors() with SigLIP's initial scale, 10, and its bias, which starts at −10."""
    return tensors(config) | {"log_scale": Tensor((), Constant(math.log(10))),
                              "bias": Tensor((), Constant(-10.0))}


# ---- training ------------------------------------------------------------------------------------

def batch_loss(images: np.ndarray, texts: Packed, p: Params, config: Config,
               loss: Callable = clip_loss, workers: int = 1, map: Callable = serial_map
               ) -> tuple[float, Callable]:
    """The loss of N pairs.  -> loss, backward(grads); grads: one Params for each worker.

    Each worker encodes a share of the images and of the texts; the loss compares all of them.
    """
    def images_of(rows, worker):
        return encode_images(images[rows], p, config)

    def texts_of(rows, worker):
        return encode_texts(take(texts, rows), p, config)

    x, back_x = data_parallel(images_of, len(images), workers, map)
    y, back_y = data_parallel(texts_of, len(images), workers, map)
    value, back_loss = loss(x, y, p)

    def backward(grads):
        dx, dy = back_loss(1.0, grads[0])
        back_x(dx, grads)
        back_y(dy, grads)
    return value, backward


class Trained(NamedTuple):
    """Trained parameters, the loss of every step, and t after every step."""

    p: Params
    losses: list[float]
    log_scales: list[float]


def train(images: np.ndarray, texts: Packed, p: Params, config: Config, steps: int = 500,
          batch_size: int = 128, optim: Optim = Optim(lr=1e-3, weight_decay=0.2),
          loss: Callable = clip_loss, options: RunOptions = RunOptions()) -> Trained:
    """Train both towers on N pairs of an image and its caption.

    images   (N, C, S, S) float32, from an ImageProcessor; texts: their captions, in this order
    p        from init_params(tensors(config), seed); it is not changed.  Frozen tensors stay as
             they are: freeze log_scale for a fixed temperature
    loss     clip_loss or siglip_loss
    options  workers: each takes a share of every batch.  The same seed and number of workers give
             the same bits
    Raises   ValueError unless there are as many images as texts and at least 2, or for fewer than 2
             pairs in a batch, because then there are no negatives; TrainingDiverged
    """
    N = len(images)
    if not 2 <= N == len(texts.offsets) - 1 or batch_size < 2:
        raise ValueError(f"expected as many images as texts, at least 2, and batch_size at least "
                         f"2, got {N} images, {len(texts.offsets) - 1} texts and {batch_size}")
    workers, seed, checkpoint, _ = options
    p = p.copy()
    optimizer = AdamW(p, BETAS, EPS, optim.weight_decay)
    grads = [p.like() for _ in range(workers)]
    settings = dict(steps=steps, batch_size=batch_size, **optim._asdict(), workers=workers,
                    seed=seed, loss=loss, config=config, images=images, texts=texts,
                    start=checkpoint and digest(*p.values()))

    with session({**p.trainable_views(), **optimizer.state()}, settings, options, steps) as run:
        for step, numbers in run.batches(N, batch_size, steps):
            for g in grads:
                g.flat[:] = 0
            value, backward = batch_loss(images[numbers], take(texts, numbers), p, config, loss,
                                         workers, run.map)
            backward(grads)
            lr = linear_warmup_decay(step, steps, optim.lr, optim.warmup_ratio)
            optimizer.step(grads, lr, optim.max_grad_norm, run.map)
            if "log_scale" not in p.frozen:
                np.minimum(p["log_scale"], MOST_SCALE, out=p["log_scale"])
            run.rows.append([float(p["log_scale"])])
            run.record(value, lr=lr)
    return Trained(p, run.losses, [row[0] for row in run.rows])

"""SimCSE: contrastive training of sentence vectors; without labels a text is its own positive.

Paper     Gao, Yao & Chen 2021, "SimCSE: Simple Contrastive Learning of Sentence Embeddings", eqs. 4
          (unsupervised) and 5 (supervised, with hard negatives).
Equation  z(text, m) = tanh(W pool(encode(text, m)) + b),   m a dropout mask, (W, b) the head
          unsupervised   L = InfoNCE(z(text, m), z(text, m′)),  τ = 0.05
          supervised     L = InfoNCE(z(text), [z(entailed text); z(contradictory text)])
Shapes    a view is N packed texts -> z (N, D)
Cost      per step, the transformer runs on two views, or on three with hard negatives
Differs   After supervised training the authors keep the head, after unsupervised training they
          remove it; here vectors() ignores it unless keep_head is set.  They choose the best of
          many checkpoints on STS-B's development set; here train() returns the last step's model.
Read next transformer/bert.py, transformer/pooling.py, losses/infonce.py

Why does it work?  A masked LM's sentence vectors lie in a narrow cone: with mean pooling, the mean
cosine of any two is 0.71 in bench/sentences/pooling.py (0.97 before training).  The loss has two
effects: the two views of a sentence become similar (alignment), and different sentences become
dissimilar (uniformity).  Another dropout mask changes a vector a little, as another wording would,
so alignment makes vectors insensitive to such changes.  Without dropout both views are equal, and
the loss affects uniformity only.

Why a head?  A feature may distinguish a batch's sentences without being part of their meaning, or
be part of their meaning without distinguishing them.  The head can discard features that the loss
does not need, while the pooled vectors, which are used later, keep them.  In
`scratch-embed why simcse` its effect is not significant.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.infonce import infonce
from scratch_embed.nn.activations import tanh
from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.layers import linear
from scratch_embed.nn.optim import AdamW, Optim, linear_warmup_decay
from scratch_embed.nn.params import Normal, Params, Tensor, init_params, join, linear_tensors
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.random import stream
from scratch_embed.numerics.settings import digest
from scratch_embed.numerics.workers import serial_map
from scratch_embed.space.geometry import alignment, uniformity
from scratch_embed.text.packed import Packed, by_length, take, token_batches
from scratch_embed.training.session import RunOptions, session
from scratch_embed.transformer.data_parallel import data_parallel
from scratch_embed.transformer.model import Transformer
from scratch_embed.transformer.pooling import Pool, cls

HEAD = "head.weight"


def head_tensors(D: int, std: float = 0.02) -> dict[str, Tensor]:
    """The tensors of the head, with random streams named as in the authors' code (mlp.dense)."""
    return {name: tensor._replace(stream=name.replace("head", "mlp.dense"))
            for name, tensor in linear_tensors("head", D, D, Normal(std)).items()}


def embed(batch: Packed, model: Transformer, pool: Pool = cls, dropout: Dropout = NO_DROPOUT
          ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """The vectors of one view's texts, after the head if the model has one.

    -> z (N, D), backward(dz, g)
    """
    order = by_length(batch)                             # attention batches equal lengths
    batch = take(batch, order)
    x, back_x = model.encode(batch, dropout)
    y, back_y = pool(x, batch.offsets)
    h, back_h = head(y, model.p) if HEAD in model.p else (y, lambda dh, g: dh)
    z = np.empty_like(h)
    z[order] = h

    def backward(dz, g):
        back_x(back_y(back_h(dz[order], g)), g)
    return z, backward


def head(y: np.ndarray, p: Params) -> tuple[np.ndarray, ParamBackward]:
    """h = tanh(W y + b).  y, h: (N, D); backward(dh, g) -> dy."""
    u, back_u = linear(y, p, "head")
    h, back_h = tanh(u)
    return h, lambda dh, g: back_u(back_h(dh), g)


def contrast(z: list[np.ndarray], tau: float) -> tuple[float, Callable]:
    """InfoNCE of 2 or 3 views: z[1] holds the positives of z[0], z[2] hard negatives; (N, D) each.

    -> loss, backward() -> a gradient for each view
    """
    N = len(z[0])
    loss, back_loss = infonce(z[0], np.concatenate(z[1:]), tau)

    def backward():
        dq, dk, _ = back_loss()                      # τ is a constant here
        return [dq, *np.split(dk, np.arange(N, len(dk), N))]
    return loss, backward


def batch_loss(views: list[Packed], model: Transformer, pool: Pool, tau: float, dropout: Dropout,
               workers: int = 1, map: Callable = serial_map) -> tuple[float, Callable]:
    """The loss of one batch; each view has its own dropout mask.  -> loss, backward(grads)

    grads: one Params for each worker, to which the gradient of its share of the texts is added.
    map: map(f, items) -> [f(item)], in threads or one after the other.
    """
    N = len(views[0].offsets) - 1

    def encode_view(v):                              # -> z (N, D) of view v, from all workers
        def encode_share(rows, worker):
            return embed(take(views[v], rows), model, pool, dropout.at(v, worker))
        return data_parallel(encode_share, N, workers, map)

    z, backs = zip(*(encode_view(v) for v in range(len(views))))
    loss, back_loss = contrast(list(z), tau)

    def backward(grads):
        for back, dz in zip(backs, back_loss()):
            back(dz, grads)
    return loss, backward


# ---- training ------------------------------------------------------------------------------------

class HeldOut(NamedTuple):
    """N pairs of similar texts, usually held out, on which train() measures geometry()."""

    texts: Packed
    partners: Packed
    every: int = 50                # steps between two measurements


class Trained(NamedTuple):
    """A trained model, its losses and held-out measurements."""

    model: Transformer             # with the head, if it was trained with one
    losses: list[float]            # of every step
    curve: list[tuple[int, float, float]]      # (step, alignment, uniformity) of the held-out pairs


def train(views: list[Packed], model: Transformer, pool: Pool = cls, tau: float = 0.05,
          steps: int = 500, batch_size: int = 64,
          optim: Optim = Optim(lr=3e-4, weight_decay=0.0), dropout: float = 0.1,
          with_head: bool = True, held_out: HeldOut | None = None,
          options: RunOptions = RunOptions()) -> Trained:
    """Train a model with SimCSE on N texts.

    views      [texts]: each text is its own positive, with another dropout mask; or
               [texts, positives]; or [texts, positives, hard negatives].  Text n of each view
               belongs to text n of the others
    model      for example from transformer/masked_lm.py; its parameters are not changed
    dropout    the probability that an activation is set to 0
    with_head  False: the loss compares the pooled vectors themselves
    options    workers: each takes a share of every view.  The same seed and number of workers
               give the same bits
    Raises     ValueError for views with different numbers of texts, or for fewer than 2 texts in
               a batch, because then there are no negatives; TrainingDiverged
    """
    if not 1 <= len(views) <= 3 or len({len(view.offsets) for view in views}) != 1 \
            or len(views[0].offsets) < 3 or batch_size < 2:
        raise ValueError(f"expected 1 to 3 views of equally many texts, at least 2, and batch_size "
                         f"at least 2, got {[len(v.offsets) - 1 for v in views]} and {batch_size}")
    views = views * 2 if len(views) == 1 else views
    workers, seed, checkpoint, _ = options
    model = add_head(model, seed, width(pool, model)) if with_head else remove_head(model)
    p, masks = model.p, Dropout(dropout, int(stream(seed)))
    optimizer, grads = AdamW(p, weight_decay=optim.weight_decay), [p.like() for _ in range(workers)]
    settings = dict(pool=pool, tau=tau, steps=steps, batch_size=batch_size, **optim._asdict(),
                    dropout=dropout, workers=workers, seed=seed, headless=not with_head,
                    **model.config._asdict(), data=views, held_out=held_out,
                    start=checkpoint and digest(*p.values()))

    with session({**p.trainable_views(), **optimizer.state()}, settings, options, steps) as run:
        if checkpoint and not all(len(row) == 3 and np.isfinite(row).all() for row in run.rows):
            raise FormatError(checkpoint.path, "session/rows", "expected finite rows of step, "
                              "alignment and uniformity, found others")
        for step, numbers in run.batches(len(views[0].offsets) - 1, batch_size, steps):
            for g in grads:
                g.flat[:] = 0
            loss, backward = batch_loss([take(view, numbers) for view in views], model, pool, tau,
                                        masks.at(step), workers, run.map)
            backward(grads)
            lr = linear_warmup_decay(step, steps, optim.lr, optim.warmup_ratio)
            optimizer.step(grads, lr, optim.max_grad_norm, run.map)
            if held_out and step % held_out.every == 0 and np.isfinite(p.flat).all():
                run.rows.append([step, *geometry(held_out, model, pool)])
                run.note("step {:.0f}: alignment {:.4f}, uniformity {:.4f}".format(*run.rows[-1]))
            run.record(loss, lr=lr)
    return Trained(model, run.losses,
                   [(int(step), align, uniform) for step, align, uniform in run.rows])


def width(pool: Pool, model: Transformer) -> int:
    """The dimension of pooled vectors: D, or more if several poolings are concatenated."""
    t = model.max_length                                 # enough tokens, if some are not pooled
    return pool(np.zeros((t, model.dim), model.p.flat.dtype), np.array([0, t]))[0].shape[1]


def add_head(model: Transformer, seed: int, width: int | None = None) -> Transformer:
    """A copy of the model with its SimCSE head, or with a new head if it has none.

    The copy has no heads of pre-training.  width: of a new head; by default model.dim.
    """
    p = model.without_heads().p
    names = [name for name in p if name.startswith("head.")]
    head = p.only(names) if names else init_params(
        head_tensors(width or model.dim), seed, p.flat.dtype)
    return model.with_params(join(p.only(set(p) - set(names)), head))


def remove_head(model: Transformer) -> Transformer:
    """A copy of the model without SimCSE's head and without the heads of pre-training."""
    p = model.without_heads().p
    return model.with_params(p.only(name for name in p if not name.startswith("head.")))


# ---- inference -----------------------------------------------------------------------------------

def vectors(texts: Packed, model: Transformer, pool: Pool = cls, keep_head: bool = False
            ) -> np.ndarray:
    """The texts' vectors, without dropout and, by default, without the head.  -> (N, D)"""
    order, lengths = by_length(texts), np.diff(texts.offsets)
    y = np.empty((len(order), width(pool, model)), model.p.flat.dtype)
    for part in token_batches(lengths[order], 1024):
        batch = take(texts, order[part])
        y[order[part]], _ = pool(model.infer(batch), batch.offsets)
    return head(y, model.p)[0] if keep_head else y


def geometry(held_out: HeldOut, model: Transformer, pool: Pool) -> tuple[float, float]:
    """Alignment of the pairs and uniformity of all texts, on unit vectors; less is better."""
    X, Y = (l2_normalize(vectors(side, model, pool).astype(np.float64))[0]
            for side in (held_out.texts, held_out.partners))
    return alignment(X, Y), uniformity(np.concatenate([X, Y]))

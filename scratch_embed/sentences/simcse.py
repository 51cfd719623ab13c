"""SimCSE: the same sentence twice, under two dropout masks, is all the supervision there is.

Paper     Gao, Yao & Chen 2021, "SimCSE: Simple Contrastive Learning of Sentence Embeddings", eqs. 4
          (unsupervised) and 5 (supervised, with hard negatives).
Equation  z = tanh(W pool(encode(text, mask)) + b)                      the head, for training
          unsupervised   L = InfoNCE(z(text, m), z(text, m′)),  τ = 0.05
          supervised     L = InfoNCE(z(text), [z(entailed); z(contradicted)])
Shapes    a view: N texts packed -> z (N, D)
Cost      two passes of the encoder a step, three with hard negatives.
Differs   Its authors keep the head in the supervised form and drop it after unsupervised training;
          here `keep_head` says so.  Their best of many checkpoints is chosen by STS-B's dev set;
          here the last one is what comes out.
Read next transformer/encoder.py, transformer/pooling.py, losses/infonce.py: with this file the
          whole of it

Why it works.  A masked LM's sentence vectors lie in a cone, with cosines far above 0.  The loss
asks for two things: a sentence's two views be near (alignment), and all sentences be far from each
other (uniformity).  The mask moves a vector a little, as another wording would, so the first keeps
what a small change cannot change; the second opens the cone.  Without dropout both views are equal,
and only the second is left.

Why a head.  What tells one sentence of a batch from the others need not be what it means.  The head
can throw the rest away for the loss alone, and the vectors below it keep it.  What that is worth
here, `scratch-embed why simcse` measures.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.infonce import infonce
from scratch_embed.nn.activations import tanh
from scratch_embed.nn.contract import Learning
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.layers import linear
from scratch_embed.nn.optim import AdamW, warm_up_then_decay
from scratch_embed.nn.params import Params, initial
from scratch_embed.nn.run import Checkpoint, batches, follow
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.random import stream
from scratch_embed.numerics.workers import parallel_map, serial_map
from scratch_embed.space.geometry import alignment, uniformity
from scratch_embed.text.packed import Packed, by_length, take, token_batches
from scratch_embed.transformer.encoder import Config, encode, infer
from scratch_embed.transformer.parts import in_parts
from scratch_embed.transformer.pooling import Pool, cls

HEAD = "mlp.dense.weight"


def head_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """{name: shape} of the head."""
    return {HEAD: (config.dim, config.dim), "mlp.dense.bias": (config.dim,)}


def embed(batch: Packed, p: Params, config: Config, pool: Pool = cls, drop: Dropout = NO_DROPOUT
          ) -> tuple[np.ndarray, Learning]:
    """A vector for each text of one view, the head on top if p has one.  -> z (N, D), backward."""
    order = by_length(batch)                             # equal lengths together: see attention
    batch = take(batch, order)
    x, back_x = encode(batch, p, config, drop)
    y, back_y = pool(x, batch.off)
    h, back_h = head(y, p) if HEAD in p else (y, lambda dh, g: dh)
    z = np.empty_like(h)
    z[order] = h

    def backward(dz, g):
        back_x(back_y(back_h(dz[order], g)), g)
    return z, backward


def head(y: np.ndarray, p: Params) -> tuple[np.ndarray, Learning]:
    """tanh(W y + b).  y, h: (N, D)."""
    u, back_u = linear(y, p, "mlp.dense")
    h, back_h = tanh(u)
    return h, lambda dh, g: back_u(back_h(dh), g)


def contrast(z: list[np.ndarray], tau: float) -> tuple[float, Callable]:
    """z[0] should choose z[1]; a third view holds hard negatives.  (N, D) each.

    -> loss, backward() -> a gradient for each view.
    """
    N = len(z[0])
    loss, back_loss = infonce(z[0], np.concatenate(z[1:]), tau)

    def backward():
        dq, dk, _ = back_loss()                      # τ is a constant here
        return [dq, *np.split(dk, np.arange(N, len(dk), N))]
    return loss, backward


def batch_loss(views: list[Packed], p: Params, config: Config, pool: Pool, tau: float,
               drop: Dropout, workers: int = 1, each: Callable = serial_map
               ) -> tuple[float, Callable]:
    """The loss of one batch, each view under masks of its own.  -> loss, backward(grads).

    grads: one Params for each worker, who adds into it what its share of the texts teaches.
    each: what has the workers do something, of numerics/workers.parallel_map.
    """
    N = len(views[0].off) - 1

    def look(v):                                     # -> z (N, D) of view v, put together
        def share(rows, worker):
            return embed(take(views[v], rows), p, config, pool, drop.at(v, worker))
        return in_parts(share, N, workers, each)

    z, backs = zip(*(look(v) for v in range(len(views))))
    loss, back_loss = contrast(list(z), tau)

    def backward(grads):
        for back, dz in zip(backs, back_loss()):
            back(dz, grads)
    return loss, backward


# ---- training ------------------------------------------------------------------------------------

class Trained(NamedTuple):
    """A model, and how it came about."""

    p: Params
    losses: list[float]            # of every step
    curve: list[tuple[int, float, float]]      # (step, alignment, uniformity) of the held-out pairs


def train(views: list[Packed], p: Params, config: Config, pool: Pool = cls, tau: float = 0.05,
          steps: int = 500, batch: int = 64, lr: float = 3e-4, warm_up: float = 0.1,
          decay: float = 0.0, longest: float = 1.0, rate: float = 0.1, workers: int = 1,
          seed: int = 1, held_out: tuple[Packed, Packed] | None = None, every: int = 50,
          headless: bool = False, checkpoint: Checkpoint | None = None, progress: bool = False
          ) -> Trained:
    """Train on N texts.

    views      [texts]: each is its own partner, under another mask; [texts, partners], or with a
               third of hard negatives: row n of each belongs together
    p          the encoder's parameters, from transformer/bert.py for instance; they are not changed
    rate       of dropout; lr: its highest; longest: the gradient is clipped to this length
    workers    threads, a share of every view each.  The same seed and workers, the same bits.
    held_out   pairs of like meaning, to be looked at every so many steps
    headless   contrast what is pooled, and have no head at all
    Raises     ValueError for views of unequal length or a batch of one, which has nothing to tell
               apart; TrainingDiverged
    """
    if not 1 <= len(views) <= 3 or len({len(view.off) for view in views}) != 1 \
            or len(views[0].off) < 3 or batch < 2:
        raise ValueError(f"expected 1 to 3 views of at least 2 texts, row by row, and batches of 2 "
                         f"or more, found {[len(v.off) - 1 for v in views]} and {batch}")
    views = views * 2 if len(views) == 1 else views
    p = with_head(p, config, seed, headless)
    optimizer, grads = AdamW(p, decay=decay), [p.like() for _ in range(workers)]
    drop = Dropout(rate, int(stream(seed)))
    settings = dict(pool=pool, tau=tau, steps=steps, batch=batch, lr=lr, warm_up=warm_up,
                    decay=decay, longest=longest, rate=rate, workers=workers, seed=seed,
                    every=every, headless=headless, **config._asdict(), data=views,
                    held_out=held_out, start=p.flat)            # last: it differs with the others

    with follow(p, optimizer, steps, settings, checkpoint, progress) as run, \
            parallel_map(workers) as each:
        for step, numbers in batches(len(views[0].off) - 1, batch, steps, seed, run.step):
            for g in grads:
                g.flat[:] = 0
            loss, backward = batch_loss([take(view, numbers) for view in views], p, config, pool,
                                        tau, drop.at(step), workers, each)
            backward(grads)
            lr_now = warm_up_then_decay(step, steps, lr, warm_up)
            optimizer.step(grads, lr_now, longest, each)
            if held_out and step % every == 0 and np.isfinite(p.flat).all():
                run.seen.append([step, *geometry(held_out, p, config, pool)])
                run.note("step {:.0f}: alignment {:.4f}, uniformity {:.4f}".format(*run.seen[-1]))
            run.took(loss, lr_now)
    return Trained(p, run.losses, [(int(step), *numbers) for step, *numbers in run.seen])


def with_head(p: Params, config: Config, seed: int, headless: bool = False) -> Params:
    """The encoder's parameters in a buffer of their own, with the head that p has, or a new one.

    headless: with none.  What BERT's names call cls., the heads of its losses, is left behind.
    """
    body = {name: shape for name, shape in p.shapes.items()
            if not name.startswith(("cls.", "mlp."))}
    both = initial(body | ({} if headless else head_shapes(config)), seed, p.flat.dtype)
    for name in both.keys() & p.keys():
        both[name][...] = p[name]
    return both


# ---- what came of it -----------------------------------------------------------------------------

def vectors(texts: Packed, p: Params, config: Config, pool: Pool = cls, keep_head: bool = False
            ) -> np.ndarray:
    """The texts' vectors, without dropout and, by default, without the head.  -> (N, D)"""
    order, lengths = by_length(texts), np.diff(texts.off)
    y = np.empty((len(order), config.dim), p.flat.dtype)
    for some in token_batches(lengths[order], 1024):
        batch = take(texts, order[some])
        y[order[some]], _ = pool(infer(batch, p, config), batch.off)
    return head(y, p)[0] if keep_head else y


def geometry(pairs: tuple[Packed, Packed], p: Params, config: Config, pool: Pool
             ) -> tuple[float, float]:
    """Alignment of the pairs and uniformity of all, on unit vectors; smaller is better."""
    X, Y = (l2_normalize(vectors(side, p, config, pool).astype(np.float64))[0] for side in pairs)
    return alignment(X, Y), uniformity(np.concatenate([X, Y]))

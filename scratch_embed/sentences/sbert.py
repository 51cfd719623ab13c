"""Sentence-BERT: a bi-encoder, trained on pairs, triplets or scored pairs of texts.

Paper     Reimers & Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
          section 3.
Equation  y_v = recipe(transformer(text of view v)),  the same weights for all views;
          θ ← AdamW(∂L(y_1, y_2, …)/∂θ)
Shapes    V views of N texts each, such as queries, positives, hard negatives -> V vectors (N, E)
Cost      per step V passes of the transformer, forward and backward; a large batch in the memory of
          a small one, see losses/grad_cache.py
Read next sentences/objectives.py (the losses), losses/infonce.py, sentences/hard_negatives.py

Why two towers with the same weights?  A document's vector does not depend on the query, so a
million documents are encoded once, and a search is a matrix product.  What the vector cannot do is
compare words of the query with words of the document; sentences/cross_encoder.py does, at the cost
of one pass for every pair.
"""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.grad_cache import encode_in_sub_batches
from scratch_embed.nn.contract import ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.optim import AdamW, Optim, linear_warmup_decay
from scratch_embed.nn.params import Params, init_params, join
from scratch_embed.numerics.random import stream
from scratch_embed.numerics.settings import digest
from scratch_embed.numerics.workers import serial_map
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import RANKING, Objective
from scratch_embed.sentences.recipe import Recipe, sentence_vectors
from scratch_embed.text.packed import Packed, by_length, take
from scratch_embed.training.session import RunOptions, session
from scratch_embed.transformer.data_parallel import data_parallel
from scratch_embed.transformer.families import Model


class View(NamedTuple):
    """N texts as token ids, and how many tokens at the start of each are a prompt."""

    texts: Packed
    skip: int = 0                  # [CLS] included; not pooled unless recipe.include_prompt

    def take(self, rows: np.ndarray) -> "View":
        """The texts with these indices."""
        return View(take(self.texts, rows), self.skip)

    def __len__(self) -> int:
        return len(self.texts.offsets) - 1


def tokenize(encoder: SentenceEncoder, texts: Sequence[str], prompt: str = "") -> View:
    """The View of texts, each after the prompt, as encoder.encode(texts, prompt=prompt) has it."""
    return View(encoder.tokenize([prompt + text for text in texts]), encoder.prompt_tokens(prompt))


# ---- the towers ----------------------------------------------------------------------------------

def embed(view: View, model: Model, recipe: Recipe, dropout: Dropout = NO_DROPOUT
          ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """The vectors of a view's texts.  -> y (N, E), backward(dy, g)

    recipe.dense: views on tensors of model.p, as bind() makes them
    """
    order = by_length(view.texts)                        # attention batches equal lengths
    batch = take(view.texts, order)
    x, back_x = model.encode(batch, dropout)
    u, back_u = sentence_vectors(x, batch.offsets, recipe, view.skip)
    y = np.empty_like(u)
    y[order] = u

    def backward(dy, g):
        back_x(back_u(dy[order], [tensors_of(f"dense.{n}.", g) for n in range(len(recipe.dense))]),
               g)
    return y, backward


def batch_loss(views: Sequence[View], targets: np.ndarray | None, model: Model, recipe: Recipe,
               objective: Objective, dropout: Dropout = NO_DROPOUT, cache_batch: int | None = None,
               workers: int = 1, map: Callable = serial_map) -> tuple[float, Callable]:
    """The loss of a batch.  -> L, backward(grads), grads: one Params of gradients per worker.

    cache_batch: encode so many texts at a time, twice (losses/grad_cache.py); None: all at once.
    Each view, worker and sub-batch has its own dropout mask.
    """
    N = len(views[0])

    def encode_view(v):                                  # -> y (N, E) of view v, from all workers
        def encode_share(rows, worker):
            def encode(part, number):
                return embed(views[v].take(rows[part]), model, recipe,
                             dropout.at(v, worker, number))
            if cache_batch is None:
                return encode(slice(None), 0)
            return encode_in_sub_batches(encode, len(rows), cache_batch)
        return data_parallel(encode_share, N, workers, map)

    ys, backs = zip(*(encode_view(v) for v in range(len(views))))
    loss, back_loss = objective.loss(list(ys), targets, model.p)

    def backward(grads):
        for back, dy in zip(backs, back_loss(grads[0])):
            back(dy, grads)
    return loss, backward


# ---- training ------------------------------------------------------------------------------------

class Trained(NamedTuple):
    """A trained encoder and the losses of its steps."""

    encoder: SentenceEncoder
    losses: list[float]
    p: Params                      # with the tensors of the objective, if it has any


def train(views: Sequence[View], encoder: SentenceEncoder, objective: Objective = RANKING,
          targets: np.ndarray | None = None, steps: int = 500, batch_size: int = 64,
          optim: Optim = Optim(lr=3e-4, weight_decay=0.0), dropout: float = 0.1,
          cache_batch: int | None = None, options: RunOptions = RunOptions()) -> Trained:
    """Train a bi-encoder on N examples, each of one text per view.

    views        [queries, positives], [queries, positives, hard negatives], [first, second] ...,
                 see tokenize(); text n of each view belongs to example n
    encoder      the start: tokenizer, model and recipe; its numbers are not changed.  The recipe
                 is kept, and its Dense layers are trained too
    objective    see sentences/objectives.py
    targets      (N, ...) a row per example for the objective, such as scores
    cache_batch  texts of each view that a worker encodes at a time (GradCache); None: all
    options      workers: each takes a share of every view.  The same seed and number of workers
                 give the same bits
    Raises       ValueError for views or targets of different numbers of texts; TrainingDiverged
    """
    N = len(views[0])
    if len({len(view) for view in views}) != 1 or N < 1 or (
            targets is not None and len(targets) != N):
        raise ValueError(f"expected views of equally many texts, and as many targets, got "
                         f"{[len(view) for view in views]} texts and "
                         f"{None if targets is None else len(targets)} targets")
    workers, seed, checkpoint, _ = options
    model, recipe = trainable(encoder, objective, seed)
    p, masks = model.p, Dropout(dropout, int(stream(seed)))
    optimizer, grads = AdamW(p, weight_decay=optim.weight_decay), [p.like() for _ in range(workers)]
    settings = dict(loss=objective.loss, steps=steps, batch_size=batch_size, **optim._asdict(),
                    dropout=dropout, cache_batch=cache_batch, workers=workers, seed=seed,
                    **model.config._asdict(), data=list(views), targets=targets,
                    poolings=recipe.poolings, normalize=recipe.normalize,
                    include_prompt=recipe.include_prompt,
                    start=checkpoint and digest(*p.values()))

    with session({**p.trainable_views(), **optimizer.state()}, settings, options, steps) as run:
        for step, rows in run.batches(N, batch_size, steps):
            for g in grads:
                g.flat[:] = 0
            loss, backward = batch_loss(
                [view.take(rows) for view in views], None if targets is None else targets[rows],
                model, recipe, objective, masks.at(step), cache_batch, workers, run.map)
            backward(grads)
            lr = linear_warmup_decay(step, steps, optim.lr, optim.warmup_ratio)
            optimizer.step(grads, lr, optim.max_grad_norm, run.map)
            run.record(loss, lr=lr)
    return Trained(unbind(encoder, model, recipe), run.losses, p)


# ---- parameters ----------------------------------------------------------------------------------

def trainable(encoder: SentenceEncoder, objective: Objective, seed: int) -> tuple[Model, Recipe]:
    """A copy of the encoder's model and recipe whose numbers are all in one Params, model.p.

    model.p holds the model without pre-training heads, the recipe's Dense layers (as dense.0. ...)
    and new tensors of the objective.  The recipe's Dense layers are views on it.
    """
    model, recipe = encoder.model.without_heads(), encoder.recipe
    dtype = model.p.flat.dtype
    parts = [model.p]
    for n, dense in enumerate(recipe.dense):
        copy = Params({f"dense.{n}.{name}": tensor for name, tensor in dense.p.tensors.items()},
                      dtype)
        for name, value in dense.p.items():
            copy[f"dense.{n}.{name}"][...] = value
        parts.append(copy)
    if objective.tensors:
        parts.append(init_params(objective.tensors(encoder.dim), seed, dtype))
    model = model.with_params(join(*parts))
    return model, bind(recipe, model.p)


def bind(recipe: Recipe, p: Params) -> Recipe:
    """The recipe with Dense layers that are views on the tensors dense.0. ... of p."""
    return recipe._replace(dense=tuple(
        dense._replace(p=tensors_of(f"dense.{n}.", p)) for n, dense in enumerate(recipe.dense)))


def tensors_of(prefix: str, p: Params) -> dict[str, np.ndarray]:
    """{name without the prefix: tensor} of the tensors of p whose name begins with the prefix."""
    return {name[len(prefix):]: view for name, view in p.items() if name.startswith(prefix)}


def unbind(encoder: SentenceEncoder, model: Model, recipe: Recipe) -> SentenceEncoder:
    """A SentenceEncoder of trained numbers: its model and each Dense have a Params of their own."""
    dense = []
    for old, layer in zip(encoder.recipe.dense, recipe.dense):
        p = old.p.copy(model.p.flat.dtype)
        for name, view in layer.p.items():
            p[name][...] = view
        dense.append(old._replace(p=p))
    own = model.p.only(encoder.model.without_heads().p)
    return SentenceEncoder(encoder.tokenizer, model.with_params(own),
                           encoder.recipe._replace(dense=tuple(dense)))

"""Sentence-BERT: a bi-encoder, trained on pairs, triplets or scored pairs of texts.

Paper     Reimers & Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
          section 3.
Equation  y_v = recipe(transformer(text of view v)),  the same weights for all views;
          θ ← AdamW(∂L(y_1, y_2, …)/∂θ)
Shapes    V views of N texts each, such as queries, positives, hard negatives -> V vectors (N, E)
Cost      per step V forward and V backward passes of the transformer; losses/grad_cache.py trains
          large batches in the memory of small ones, with V forward passes more
Differs   from the paper, which has three losses; here any of sentences/objectives.py.
          From sentence-transformers' trainer: lr is above 0 in the first step of the warmup (there
          it is 0), and clipping divides by ‖g‖ (there by ‖g‖ + 1e-6)
Read next sentences/objectives.py (the losses), losses/infonce.py, losses/grad_cache.py,
          sentences/hard_negatives.py

Why a vector for each text?  A document's vector does not depend on the query, so a million
documents are encoded once, and a search is a matrix product.  But words of the query and words of
the document are never compared with each other.  A cross-encoder (sentences/cross_encoder.py)
compares them, at the cost of one pass of the transformer for each pair.

Why the same weights for all views?  Queries and documents are in the same language, so what a
model learns about words in one view holds in the other; and half as many weights are trained.
Where a query and a document with the same words should have different vectors, a prompt ("query: ")
distinguishes them (sentences/e5.py).

Why do pairs beat SimCSE?  A contrastive loss makes vectors insensitive to whatever distinguishes a
text from its positive.  SimCSE's positive is the same text under another dropout mask, with the
same words: the vectors become insensitive to dropout, and nothing teaches that two words have the
same meaning.  A question and its answer have different words in a different order, so a model that
gives them similar vectors has learned which words mean the same.  `scratch-embed why sbert` trains
both.

What does each kind of example teach?
pairs         (query, positive): which texts belong together.  The other positives of the batch are
              negatives, most of them easy: a large batch has more that are hard.
triplets      (query, positive, hard negative): also which small differences matter, such as the
              same words in other roles.
scored pairs  (first, second, score): how similar two texts are, in degrees.  The loss compares the
              cosine of a pair with its score or with the cosines of other pairs, and sees no
              other cosines: N in a batch of N pairs, where InfoNCE sees N².

Gradient.  The views share θ, so ∂L/∂θ = Σ_v (∂y_v/∂θ)ᵀ ∂L/∂y_v: every view has a backward of its
own, and all add into the same gradients (nn/contract.py).
"""
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.losses.grad_cache import encode_in_sub_batches
from scratch_embed.nn.contract import ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.optim import AdamW, Optim, linear_warmup_decay
from scratch_embed.nn.params import Params, init_params, join
from scratch_embed.numerics.checks import require_instance
from scratch_embed.numerics.random import stream
from scratch_embed.numerics.settings import digest
from scratch_embed.numerics.workers import serial_map
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import RANKING, Objective
from scratch_embed.sentences.recipe import Recipe, sentence_vectors
from scratch_embed.text.packed import Packed, by_length, take
from scratch_embed.training.session import RunOptions, session
from scratch_embed.transformer.data_parallel import data_parallel
from scratch_embed.transformer.model import Transformer


class View(NamedTuple):
    """N texts as token ids: one column of the training data, with one prompt for all or none."""

    texts: Packed
    skip: int = 0                  # tokens of the prompt, [CLS] included; 0 without a prompt

    @property
    def N(self) -> int:
        """The number of texts."""
        return len(self.texts.offsets) - 1

    def take(self, rows: np.ndarray) -> "View":
        """The texts with these indices."""
        return View(take(self.texts, rows), self.skip)


def tokenize(encoder: SentenceEncoder, texts: Sequence[str], prompt: str = "") -> View:
    """The View of the texts, each after the prompt, with the token ids of encoder.encode()."""
    return View(encoder.tokenize([prompt + text for text in texts]), encoder.prompt_tokens(prompt))


# ---- the towers ----------------------------------------------------------------------------------

def embed(view: View, model: Transformer, recipe: Recipe, dropout: Dropout = NO_DROPOUT
          ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """The vectors of a view's texts.  -> y (N, E), backward(dy, g)

    The Dense layers of recipe are views on the tensors dense.0. ... of model.p, see trainable().
    The prompt's tokens are pooled only if recipe.include_prompt is True.
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


def batch_loss(views: Sequence[View], targets: np.ndarray | None, model: Transformer,
               recipe: Recipe, objective: Objective, dropout: Dropout = NO_DROPOUT,
               cache_batch: int | None = None, workers: int = 1, map: Callable = serial_map
               ) -> tuple[float, Callable]:
    """The loss of a batch.  -> L, backward(grads)

    grads: a Params for each worker; the gradient of its share of the texts is added to it.
    cache_batch: how many texts of a view a worker encodes at a time (losses/grad_cache.py); None:
    all of its share.  Each view, worker and sub-batch has its own dropout mask.
    map: map(f, items) -> [f(item)], in threads or one after the other.
    """
    def encode_view(v):                                  # -> y (N, E) of view v, from all workers
        def encode_share(rows, worker):
            def encode(part, number):
                return embed(views[v].take(rows[part]), model, recipe,
                             dropout.at(v, worker, number))
            return encode_in_sub_batches(encode, len(rows), cache_batch or len(rows),
                                         recompute=cache_batch is not None)
        return data_parallel(encode_share, views[0].N, workers, map)

    ys, backs = zip(*(encode_view(v) for v in range(len(views))))
    loss, back_loss = objective.loss(list(ys), targets, model.p)

    def backward(grads):
        for back, dy in zip(backs, back_loss(grads[0])):
            back(dy, grads)
    return loss, backward


# ---- training ------------------------------------------------------------------------------------

class Trained(NamedTuple):
    """A trained encoder, the losses of all steps, and all trained parameters by name.

    p also contains the objective's own parameters, such as the classifier of the softmax loss.
    """

    encoder: SentenceEncoder
    losses: list[float]
    p: Params


def train(views: Sequence[View], encoder: SentenceEncoder, objective: Objective = RANKING,
          targets: np.ndarray | None = None, steps: int = 500, batch_size: int = 64,
          optim: Optim = Optim(lr=3e-4, weight_decay=0.0), dropout: float = 0.1,
          cache_batch: int | None = None, options: RunOptions = RunOptions()) -> Trained:
    """Train a bi-encoder on N examples, each with one text in each view.

    views        [queries, positives], [queries, positives, hard negatives], [first, second] ...,
                 see tokenize(); text n of each view belongs to example n
    encoder      the start, which is not changed.  The trained encoder has its tokenizer and its
                 recipe; Dense layers of the recipe are trained too
    objective    see sentences/objectives.py
    targets      (N, ...) a row for each example, such as scores, if the objective needs targets
    cache_batch  how many texts of a view a worker encodes at a time (GradCache); None: all
    options      each worker takes a share of every view.  The same seed and number of workers give
                 the same bits
    Raises       ValueError if views or targets differ in length; TypeError; TrainingDiverged
    """
    check(views, encoder, objective, targets, optim)
    N = views[0].N
    workers, seed, checkpoint, _ = options
    model, recipe = trainable(encoder, objective, seed)
    p, masks = model.p, Dropout(dropout, int(stream(seed)))
    optimizer, grads = AdamW(p, weight_decay=optim.weight_decay), [p.like() for _ in range(workers)]
    settings = dict(loss=objective.loss, steps=steps, batch_size=batch_size, **optim._asdict(),
                    dropout=dropout, cache_batch=cache_batch, workers=workers, seed=seed,
                    **model.config._asdict(), **recipe_settings(recipe), data=list(views),
                    targets=targets, start=checkpoint and digest(*p.values()))

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
    return Trained(with_trained(encoder, p), run.losses, p)


# ---- parameters ----------------------------------------------------------------------------------

def trainable(encoder: SentenceEncoder, objective: Objective, seed: int
              ) -> tuple[Transformer, Recipe]:
    """A copy of the encoder's model and recipe with all parameters in one Params, model.p.

    model.p has the tensors of the model without pre-training heads, of the recipe's Dense layers
    (dense.0. ...), which are views on it, and new ones of the objective.  Tensors that encode()
    does not use, such as BERT's pooler, are frozen: their gradient is 0, and weight decay would
    shrink them.
    """
    model = encoder.model.without_heads()
    dtype, unused = model.p.flat.dtype, model.p.keys() - model.encoder_tensors()
    parts = [model.p.freeze(unused)]
    for n, dense in enumerate(encoder.recipe.dense):
        q = dense.p.copy(dtype)
        parts.append(Params({f"dense.{n}.{name}": tensor for name, tensor in q.tensors.items()},
                            dtype, {f"dense.{n}.{name}": q[name] for name in q.frozen}))
        parts[-1].flat[:] = q.flat
    if objective.tensors:
        parts.append(init_params(objective.tensors(encoder.dim), seed, dtype))
    model = model.with_params(join(*parts))
    dense = tuple(dense._replace(p=tensors_of(f"dense.{n}.", model.p))
                  for n, dense in enumerate(encoder.recipe.dense))
    return model, encoder.recipe._replace(dense=dense)


def tensors_of(prefix: str, p: Params) -> Any:
    """{name without the prefix: tensor} of the tensors of p whose name begins with the prefix."""
    return {name[len(prefix):]: view for name, view in p.items() if name.startswith(prefix)}


def with_trained(encoder: SentenceEncoder, p: Params) -> SentenceEncoder:
    """A copy of the encoder, without pre-training heads, with the values of p, see trainable().

    Its model and each Dense have their own Params, with the encoder's frozen tensors frozen again.
    """
    own, dense = encoder.model.without_heads().p.copy(), []
    for name, view in own.trainable_views().items():
        view[...] = p[name]
    for n, layer in enumerate(encoder.recipe.dense):
        dense.append(layer._replace(p=layer.p.copy(p.flat.dtype)))
        for name, view in dense[-1].p.trainable_views().items():
            view[...] = p[f"dense.{n}.{name}"]
    return SentenceEncoder(encoder.tokenizer, encoder.model.with_params(own),
                           encoder.recipe._replace(dense=tuple(dense)))


def recipe_settings(recipe: Recipe) -> dict:
    """The settings of a recipe that a resumed run must have in common with its checkpoint.

    The length and the prompts are not among them: they act through the token ids, which the
    checkpoint has too.
    """
    return dict(poolings=recipe.poolings, normalize=recipe.normalize,
                include_prompt=recipe.include_prompt,
                dense=[layer.activation and layer.activation.__name__ for layer in recipe.dense])


def check(views: Sequence[View], encoder: SentenceEncoder, objective: Objective,
          targets: np.ndarray | None, optim: Optim) -> None:
    """Raise TypeError or ValueError for arguments that train() cannot use."""
    require_instance("encoder", encoder, SentenceEncoder, "SentenceEncoder.load(folder)")
    require_instance("objective", objective, Objective, "one of sentences/objectives.py, such as "
                     "ranking(tau=0.05)")
    require_instance("optim", optim, Optim, "Optim(lr=3e-4)")
    for v, view in enumerate(views):
        require_instance(f"views[{v}]", view, View, "sbert.tokenize(encoder, texts)")
    counts = [view.N for view in views]
    if len(counts) < 2:
        raise ValueError(f"views: expected at least 2, such as queries and positives, got "
                         f"{len(counts)}; simcse.train takes texts alone")
    if min(counts) < 1 or len({*counts}) > 1 or targets is not None and len(targets) != counts[0]:
        raise ValueError("expected views of equally many texts, at least 1, and targets with a row "
                         f"for each, got {counts} texts and "
                         f"{'no' if targets is None else len(targets)} targets")

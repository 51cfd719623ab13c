"""Causal language modelling: train a model to predict each next token of a text.

Papers    Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", eq. 1;
          Bengio et al. 2003, "A Neural Probabilistic Language Model".
Equation  L = −1/M Σ_n Σ_{i=1}^{t−1} log softmax(lm_head(x_i))[token i+1],   M = Σ_n (t_n − 1)
Shapes    x (T, D) token vectors; M of them have a next token in their sequence; logits (M, V)
Cost      the model's, and 6 M V D operations for the head, forward and backward.
Differs   transformers converts logits to float32 for the loss; here they keep the model's type.
          GPT-2 reads one stream of tokens in blocks of equal length, which begin anywhere in a
          text; here a sequence is a text, from its beginning.  The learning rate falls linearly;
          in the paper of 2018, along a cosine.
Read next transformer/gpt2.py and transformer/mistral.py (the models), transformer/masked_lm.py
          (BERT's loss, which predicts tokens within the text)

Why does this train a model of whole texts?  p(text) = Π_i p(token i | tokens before it) for any
distribution, so M L is the sum of −log p(text | its first token) over the texts.  e^L is the
perplexity: the model is as uncertain as a choice among e^L equally probable tokens.  One forward
pass gives all t − 1 predictions, because in a causal model vector i does not depend on token i + 1.
The first token is not predicted, because no vector precedes it.

Gradient.  ∂L/∂logits = (softmax(logits) − one-hot of the next token)/M (nn/softmax.py) in the M
rows; a sequence's last vector predicts nothing, so its ∂L/∂x is 0.
"""
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.optim import AdamW, Optim, linear_warmup_decay
from scratch_embed.nn.params import Params
from scratch_embed.nn.softmax import cross_entropy
from scratch_embed.numerics.random import stream
from scratch_embed.numerics.settings import digest
from scratch_embed.text.packed import (
    Packed,
    by_length,
    pack,
    require_rows,
    split_by_tokens,
    take,
)
from scratch_embed.training.session import RunOptions, session
from scratch_embed.transformer.model import CausalModel


def causal_lm(batch: Packed, model: CausalModel, dropout: Dropout = NO_DROPOUT,
              total: float | None = None) -> tuple[float, Callable[[Params], None]]:
    """The mean cross-entropy of all tokens but the first of each sequence.  -> loss, backward(g).

    total: M of the whole batch, if `batch` is one worker's share of it.
    Raises ValueError if no sequence has two tokens and no total is given.
    """
    rows, targets = next_tokens(batch)
    x, back_x = model.encode(batch, dropout)
    logits, back_logits = model.lm_head(x[rows])
    loss, back_loss = cross_entropy(logits, targets, total)

    def backward(g):
        dx = np.zeros_like(x)
        dx[rows] = back_logits(back_loss(), g)
        back_x(dx, g)
    return loss, backward


def next_tokens(batch: Packed) -> tuple[np.ndarray, np.ndarray]:
    """The rows that have a next token in their sequence, (M,), and the next tokens' ids, (M,).

    >>> from scratch_embed.text.packed import pack
    >>> next_tokens(pack([[7, 8, 9], [5], [4, 3]]))
    (array([0, 1, 4]), array([8, 9, 3], dtype=int32))
    """
    rows = np.delete(np.arange(len(batch.ids)), batch.offsets[1:] - 1)
    return rows, batch.ids[rows + 1]


# ---- training ------------------------------------------------------------------------------------

class Trained(NamedTuple):
    """A model, and the loss of every step."""

    model: Any                     # of the class of `start`
    losses: list[float]


def train(corpus: Packed, start: CausalModel, steps: int = 1000, batch_size: int = 32,
          optim: Optim = Optim(lr=1e-3), dropout: float = 0.1, options: RunOptions = RunOptions()
          ) -> Trained:
    """Train a model on a corpus of N sequences, from the parameters of `start`.

    start      a Gpt2, Mistral or Llama with its head; its parameters are not changed
    dropout    the probability that an activation is set to 0
    options    workers: each takes a share of the batch.  Equal seed and workers give equal bits.
    Raises     ValueError for ids or lengths for which the model has no row, or if no sequence has
               two tokens; TrainingDiverged
    """
    config, (workers, seed, checkpoint, _) = start.config, options
    require_rows(corpus, config.vocab, config.max_length)
    if np.diff(corpus.offsets).max() < 2:
        raise ValueError("corpus: expected a sequence of two tokens or more, got only one token "
                         "in each, so there is no next token to predict")
    model = start.with_params(start.p.copy())
    optimizer = AdamW(model.p, weight_decay=optim.weight_decay)
    grads = [model.p.like() for _ in range(workers)]
    masks = Dropout(dropout, int(stream(seed)))
    settings = dict(steps=steps, batch_size=batch_size, **optim._asdict(), dropout=dropout,
                    workers=workers, seed=seed, **config._asdict(), data=[corpus],
                    start=checkpoint and digest(*model.p.values()))

    state = {**model.p.trainable_views(), **optimizer.state()}
    with session(state, settings, options, steps) as run:
        for step, numbers in run.batches(len(corpus.offsets) - 1, batch_size, steps):
            batch = take(corpus, numbers[by_length(take(corpus, numbers))])
            loss = train_step(batch, model, [masks.at(step, w) for w in range(workers)], grads,
                              run.map)
            lr = linear_warmup_decay(step, steps, optim.lr, optim.warmup_ratio)
            optimizer.step(grads, lr, optim.max_grad_norm, run.map)
            run.record(loss, lr=lr)
    return Trained(model, run.losses)


def train_step(batch: Packed, model: CausalModel, dropouts: list[Dropout], grads: list[Params],
               map: Callable) -> float:
    """Compute the loss of a batch and its gradient; each worker takes a share of the sequences.

    dropouts, grads: one for each worker; grads are overwritten; their sum is the batch's gradient.
    map: map(f, items) -> [f(item)], in threads or one after the other.
    """
    M = max(1, len(batch.ids) - len(batch.offsets) + 1)       # 0 if each sequence has one token
    shares = split_by_tokens(batch.offsets, len(grads))

    def share_loss(worker):
        grads[worker].flat[:] = 0
        if worker >= len(shares):                             # fewer shares than workers
            return 0.0
        loss, backward = causal_lm(take(batch, shares[worker]), model, dropouts[worker], M)
        backward(grads[worker])
        return loss
    return sum(map(share_loss, range(len(grads))))


# ---- continuing a text ---------------------------------------------------------------------------

def continue_greedily(ids: Sequence[int], model: CausalModel, most: int, end: int | None = None
                      ) -> list[int]:
    """The ids of a text and of up to `most` next tokens, each the most probable one.

    end: the token after which it stops.  It also stops at the model's maximum length.
    Each token costs a pass over the whole text: there is no cache of keys and values.
    """
    found = list(ids)
    for _ in range(min(most, model.config.max_length - len(found))):
        x = model.infer(pack([found]))
        found.append(int(model.lm_head(x[-1:])[0].argmax()))
        if found[-1] == end:
            break
    return found

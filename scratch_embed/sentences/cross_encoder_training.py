"""Train a cross-encoder on pairs with labels, or on a query's candidates.

Papers    Nogueira & Cho 2019, "Passage Re-ranking with BERT", section 2.2 (pairs).
          Gao, Dai & Callan 2021, "Rethink Training of BERT Rerankers in Multi-Stage Retrieval
          Pipeline", eq. 3 (the candidates of a query together: "localized contrastive").
Equation  pairs       L = 1/N Σ_n loss(s(a_n, b_n), y_n):  binary_cross_entropy, mse
                      (one label), cross_entropy (several)
          candidates  L = −1/N Σ_n log(exp s(q_n, d_n0) / Σ_c exp s(q_n, d_nc)),  d_n0 the positive
Shapes    N examples of C pairs each, O labels -> scores (N, C · O);  targets (N, ...)
Cost      per step, forward and backward passes of batch_size · C pairs
Read next sentences/cross_encoder.py (the model), sentences/hard_negatives.py (the candidates)

Why candidates together?  Binary cross-entropy asks of every pair alone whether it is relevant, and
the scores of different queries must share one scale.  A ranking only needs that the positive has
the highest score among the candidates of its own query; the softmax asks exactly that.  What the
scores have in common, such as a query that is easy for all documents, cancels.
"""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.binary_cross_entropy import binary_cross_entropy
from scratch_embed.losses.mse import mse
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.optim import AdamW, Optim, linear_warmup_decay
from scratch_embed.nn.softmax import cross_entropy
from scratch_embed.numerics.checks import require_function, require_instance
from scratch_embed.numerics.random import stream
from scratch_embed.numerics.settings import digest, saved_as
from scratch_embed.numerics.workers import serial_map
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.text.packed import Packed, take
from scratch_embed.training.session import RunOptions, session
from scratch_embed.transformer.classification import scores
from scratch_embed.transformer.data_parallel import data_parallel
from scratch_embed.transformer.model import Transformer

PairLoss = Callable[[np.ndarray, np.ndarray], tuple[float, Callable]]    # (s, targets) -> L, back


def pair_loss(loss: Callable, **settings) -> PairLoss:
    """A loss of losses/ with settings, under a name that a checkpoint can store.

    loss(s, targets, **settings) -> L, backward() -> ds.

    >>> pair_loss(binary_cross_entropy, pos_weight=3.0)(np.zeros(1), np.ones(1))[0]     # 3 log 2
    2.0794415416798357
    """
    @saved_as(f"{loss.__name__} {settings}")
    def of_scores(s, targets):
        return loss(s, targets, **settings)
    return of_scores


LABELS = pair_loss(binary_cross_entropy)           # one label in 0..1 for each pair
SCORES = pair_loss(mse)                            # one number for each pair
CLASSES = pair_loss(cross_entropy)                 # a class of each pair, or a query's candidates


def batch_loss(pairs: Packed, targets: np.ndarray, model: Transformer, loss: PairLoss,
               dropout: Dropout = NO_DROPOUT, workers: int = 1, map: Callable = serial_map
               ) -> tuple[float, Callable]:
    """The loss of N examples of C pairs each.  -> L, backward(grads), grads: one per worker.

    pairs: N · C sequences, the C of an example after each other; targets: (N, ...)
    """
    N = len(targets)

    def score_share(rows, worker):
        return scores(take(pairs, rows), model, dropout.at(worker))
    s, back_s = data_parallel(score_share, len(pairs.offsets) - 1, workers, map)   # (N C, O)
    value, back_loss = loss(s.reshape(N, -1) if s.size > N else s.ravel(), targets)

    def backward(grads):
        back_s(back_loss().reshape(s.shape), grads)
    return value, backward


class Trained(NamedTuple):
    """A trained cross-encoder and the losses of its steps."""

    encoder: CrossEncoder
    losses: list[float]


def train(pairs: Packed, targets: np.ndarray, encoder: CrossEncoder,
          loss: PairLoss = LABELS, steps: int = 500, batch_size: int = 32,
          optim: Optim = Optim(lr=3e-4, weight_decay=0.0), dropout: float = 0.1,
          options: RunOptions = RunOptions()) -> Trained:
    """Train on N examples.

    pairs       encoder.tokenize(...): N pairs, or N · C: the C pairs of example n are rows
                n C … n C + C − 1, a query's positive and its negatives
    targets     (N, M) or (N,): a row for each example, for the loss
    encoder     the start, which is not changed
    loss        (s, targets) -> L, backward() -> ds; s is (N,) for one pair and one label, else
                (N, C · O).  LABELS and SCORES with targets of the shape of s; CLASSES with targets
                (N,), the class of a pair, or the place of the positive among the candidates
    batch_size  examples per step
    options     workers: each takes a share of the pairs.  The same seed and number of workers give
                the same bits
    Raises      ValueError for pairs that are not C for each example; TypeError; TrainingDiverged
    """
    require_instance("encoder", encoder, CrossEncoder, "CrossEncoder.warm_start(encoder)")
    require_instance("pairs", pairs, Packed, "encoder.tokenize(pairs)")
    require_instance("optim", optim, Optim, "Optim(lr=3e-4)")
    require_function("loss", loss, "LABELS or CLASSES")
    N, n = len(targets), len(pairs.offsets) - 1
    if N < 1 or n % N or n < N:
        raise ValueError(f"expected as many pairs as targets, or C times as many, got {n} pairs "
                         f"and {N} targets")
    C = n // N
    workers, seed, checkpoint, _ = options
    model = encoder.model.with_params(encoder.model.p.copy())
    p, masks = model.p, Dropout(dropout, int(stream(seed)))
    optimizer, grads = AdamW(p, weight_decay=optim.weight_decay), [p.like() for _ in range(workers)]
    settings = dict(loss=loss, steps=steps, batch_size=batch_size, **optim._asdict(),
                    dropout=dropout, workers=workers, seed=seed, **model.config._asdict(),
                    data=[pairs, targets], start=checkpoint and digest(*p.values()))

    with session({**p.trainable_views(), **optimizer.state()}, settings, options, steps) as run:
        for step, rows in run.batches(N, batch_size, steps):
            for g in grads:
                g.flat[:] = 0
            candidates = (rows[:, None] * C + np.arange(C)).ravel()
            value, backward = batch_loss(take(pairs, candidates), targets[rows], model, loss,
                                         masks.at(step), workers, run.map)
            backward(grads)
            lr = linear_warmup_decay(step, steps, optim.lr, optim.warmup_ratio)
            optimizer.step(grads, lr, optim.max_grad_norm, run.map)
            run.record(value, lr=lr)
    return Trained(CrossEncoder(encoder.tokenizer, model, encoder.settings), run.losses)


def random_negatives(queries: Sequence[str], positives: Sequence[str], count: int, seed: int
                     ) -> list[list[str]]:
    """For each of N queries, `count` different positives of other queries.  -> count lists of N

    A positive of the same query is never its negative, however often the query occurs.
    Raises ValueError if a query has fewer than `count` texts to draw from.

    >>> random_negatives(["a", "b", "a"], ["x", "y", "z"], count=1, seed=1)
    [['y', 'z', 'y']]
    """
    own: dict[str, set[str]] = {}
    for query, positive in zip(queries, positives):
        own.setdefault(query, set()).add(positive)
    texts, rng = list(dict.fromkeys(positives)), np.random.default_rng([seed, 5])
    left = len(texts) - max(map(len, own.values()), default=0)
    if left < count:
        raise ValueError(f"expected at most {left}, the positives of other queries, got {count}")
    rows = []
    for query in queries:
        drawn: dict[str, None] = {}
        while len(drawn) < count:
            text = texts[rng.integers(len(texts))]
            if text not in own[query]:
                drawn[text] = None
        rows.append([*drawn])
    return [list(column) for column in zip(*rows)]

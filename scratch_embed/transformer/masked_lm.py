"""BERT's pre-training: predict masked tokens, and whether one text follows another.

Paper     Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
          Understanding", section 3.1 and appendix A.2.
Equation  masked LM      L = −1/M Σ_{masked t} log softmax(mlm_head(x_t))[original token t]
          next sentence  L = −1/N Σ_n log softmax(next_sentence(x_[CLS]))[B follows A: 0, else: 1]
Shapes    x (T, D) token vectors; masked_positions (M,) rows of x; logits (M, V)
Cost      the encoder's, and 6 M V D operations for the head, which computes masked rows only
Differs   Masks are drawn anew in every step, as in RoBERTa; BERT's data has ten fixed masks.
          Sequences keep their lengths; BERT pads or cuts them to 128 or 512.  Clipping, decay and
          the form of the schedule are BERT's; bias correction, which BERT's code lacks, is on
          (nn/optim.py).
Read next transformer/pooling.py, sentences/simcse.py (from token vectors to sentence vectors)

Why 80/10/10?  A chosen token is replaced by [MASK] in 80 % of cases, by a random token in 10 %, and
kept in 10 %.  Texts that are encoded later contain no [MASK].  If every chosen token were [MASK],
the model would need good vectors at [MASK] only.  With 80/10/10 any visible token may be a chosen
one, so the model must build a vector that can predict at every token.

Why tie the decoder to the table?  Row w of E represents word w, and ŷ (bert.py) the missing word,
so E ŷ scores how well each word fits.  As input, only the rows of the batch's words get a gradient;
as output, all rows do.  `scratch-embed why bert` measures the effect.

Gradient.  ∂L/∂logits = (softmax(logits) − one-hot of the target)/M (nn/softmax.py) in the masked
rows; for masked LM, ∂L/∂x is 0 in all others.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.optim import AdamW, Optim, linear_warmup_decay
from scratch_embed.nn.params import Params, init_params
from scratch_embed.nn.softmax import cross_entropy
from scratch_embed.numerics.random import stream
from scratch_embed.numerics.settings import digest
from scratch_embed.text.packed import (
    Packed,
    by_length,
    positions,
    require_rows,
    split_by_tokens,
    take,
)
from scratch_embed.training.session import RunOptions, session
from scratch_embed.transformer.bert import (
    Bert,
    Config,
    encode,
    head_tensors,
    mlm_head,
    next_sentence,
    tensors,
)

# ---- the losses ----------------------------------------------------------------------------------

class Examples(NamedTuple):
    """A batch with masked tokens, and the labels of both losses."""

    batch: Packed                  # after masking
    masked_positions: np.ndarray   # (M,) rows of the batch, in increasing order
    targets: np.ndarray            # (M,) the original ids at these rows
    next_sentence_labels: np.ndarray | None = None   # (N,) 0 if the second part follows, else 1


def masked_lm(x: np.ndarray, masked_positions: np.ndarray, targets: np.ndarray, p: Params,
              config: Config, total: float | None = None
              ) -> tuple[float, Callable[[Params], np.ndarray]]:
    """The cross-entropy of the masked tokens.  x: (T, D) -> loss, backward(g) -> dx (T, D).

    total: the number of masked tokens in the whole batch, if x is one worker's share of it.
    """
    logits, back_logits = mlm_head(x[masked_positions], p, config)
    loss, back_loss = cross_entropy(logits, targets, total)

    def backward(g):
        dx = np.zeros_like(x)
        dx[masked_positions] = back_logits(back_loss(), g)
        return dx
    return loss, backward


def pretraining(examples: Examples, p: Params, config: Config, dropout: Dropout = NO_DROPOUT,
                masked_tokens: float | None = None, pairs: float | None = None
                ) -> tuple[float, Callable[[Params], None]]:
    """The sum of both losses; masked LM alone without next_sentence_labels.  -> loss, backward(g).

    masked_tokens, pairs: their numbers in the whole batch, if examples is one worker's share of it.
    """
    batch, masked_positions, targets, labels = examples
    x, back_x = encode(batch, p, config, dropout)
    loss, back_masked = masked_lm(x, masked_positions, targets, p, config, masked_tokens)
    if labels is not None:
        first = batch.offsets[:-1]
        logits, back_next = next_sentence(x[first], p)
        next_loss, back_loss = cross_entropy(logits, labels, pairs)
        loss += next_loss

    def backward(g):
        dx = back_masked(g)
        if labels is not None:
            dx[first] += back_next(back_loss(), g)
        back_x(dx, g)
    return loss, backward


# ---- masking -------------------------------------------------------------------------------------

class Masking(NamedTuple):
    """How many tokens are chosen for prediction, and what replaces them in the input."""

    mask: int                      # the id of [MASK]
    special: tuple[int, ...]       # ids that are never chosen: [CLS], [SEP] ...
    share: float = 0.15            # share of a sequence's tokens to choose, at least one
    masked: float = 0.8            # share of the chosen tokens to replace by [MASK]
    random: float = 0.1            # share to replace by a random token; the rest are kept


def mask_tokens(batch: Packed, masking: Masking, V: int, rng: np.random.Generator,
                next_sentence_labels: np.ndarray | None = None) -> Examples:
    """Choose max(1, round(share · length)) tokens of every sequence at random, and mask them.

    Special tokens count in the length, but are never chosen: if fewer other tokens are left, all of
    them are.  V: random tokens are drawn from all ids 0..V−1.
    """
    ids, offsets, types = batch
    T, lengths = len(ids), np.diff(offsets)
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    key = rng.random(T)
    key[np.isin(ids, masking.special)] = 2                    # sorted last, then left out
    order = np.lexsort((key, sequence))                       # within each sequence by its key
    wanted = np.maximum(1, np.round(masking.share * lengths))
    chosen = np.sort(order[(positions(offsets) < wanted[sequence]) & (key[order] < 2)])
    draw, inputs = rng.random(len(chosen)), ids.copy()
    masked = draw < masking.masked
    random = ~masked & (draw < masking.masked + masking.random)
    inputs[chosen[masked]] = masking.mask
    inputs[chosen[random]] = rng.integers(0, V, random.sum())
    return Examples(Packed(inputs, offsets, types), chosen, ids[chosen], next_sentence_labels)


# ---- training ------------------------------------------------------------------------------------

class Trained(NamedTuple):
    """A model, and the loss of every step."""

    model: Bert
    losses: list[float]


def train(corpus: Packed, config: Config, masking: Masking,
          next_sentence_labels: np.ndarray | None = None, steps: int = 1000, batch_size: int = 32,
          optim: Optim = Optim(lr=1e-3), dropout: float = 0.1, options: RunOptions = RunOptions(),
          p: Params | None = None) -> Trained:
    """Pre-train on a corpus of N sequences that include [CLS] and [SEP].

    next_sentence_labels  (N,) 0 if the second part of a sequence follows the first, 1 if not;
                          None: train without that loss; its head gets no gradient
    dropout    the probability that an activation is set to 0
    options    workers: each takes a share of the batch.  Equal seed and workers give equal bits.
    p          parameters to start from, which are not changed; None: new ones
    Raises     ValueError for ids or lengths for which the model has no row, or if all tokens are
               special; TrainingDiverged
    """
    require_rows(corpus, config.vocab, config.positions, config.types)
    if np.isin(corpus.ids, masking.special).all():
        raise ValueError("corpus: expected tokens to mask, got special tokens only")
    workers, seed, checkpoint, _ = options
    p = init_params(tensors(config) | head_tensors(config), seed) if p is None else p.copy()
    optimizer, grads = AdamW(p, weight_decay=optim.weight_decay), [p.like() for _ in range(workers)]
    masks = Dropout(dropout, int(stream(seed)))
    settings = dict(steps=steps, batch_size=batch_size, **optim._asdict(), dropout=dropout,
                    workers=workers, seed=seed, masking=masking, **config._asdict(),
                    data=[corpus, next_sentence_labels], start=checkpoint and digest(*p.values()))

    with session({**p.trainable_views(), **optimizer.state()}, settings, options, steps) as run:
        for step, numbers in run.batches(len(corpus.offsets) - 1, batch_size, steps):
            numbers = numbers[by_length(take(corpus, numbers))]
            labels = None if next_sentence_labels is None else next_sentence_labels[numbers]
            examples = mask_tokens(take(corpus, numbers), masking, config.vocab,
                                   np.random.default_rng([seed, 1, step]), labels)
            loss = train_step(examples, p, config, [masks.at(step, w) for w in range(workers)],
                              grads, run.map)
            lr = linear_warmup_decay(step, steps, optim.lr, optim.warmup_ratio)
            optimizer.step(grads, lr, optim.max_grad_norm, run.map)
            run.record(loss, lr=lr)
    return Trained(Bert(config, p), run.losses)


def train_step(examples: Examples, p: Params, config: Config, dropouts: list[Dropout],
               grads: list[Params], map: Callable) -> float:
    """Compute the loss of a batch and its gradient; each worker takes a share of the sequences.

    dropouts, grads: one for each worker; grads are overwritten; their sum is the batch's gradient.
    map: map(f, items) -> [f(item)], in threads or one after the other.
    """
    masked_tokens = max(1, len(examples.masked_positions))    # 0 in a batch of special tokens
    parts, pairs = split(examples, len(grads)), len(examples.batch.offsets) - 1

    def share_loss(worker):
        grads[worker].flat[:] = 0
        if worker >= len(parts):                              # fewer parts than workers
            return 0.0
        loss, backward = pretraining(parts[worker], p, config, dropouts[worker],
                                     masked_tokens, pairs)
        backward(grads[worker])
        return loss
    return sum(map(share_loss, range(len(grads))))


def split(examples: Examples, workers: int) -> list[Examples]:
    """Split the sequences among at most `workers` workers, with their labels."""
    batch, masked_positions, targets, labels = examples
    parts = []
    for rows in split_by_tokens(batch.offsets, workers):
        first, end = batch.offsets[rows[0]], batch.offsets[rows[-1] + 1]
        inside = (first <= masked_positions) & (masked_positions < end)
        parts.append(Examples(take(batch, rows), masked_positions[inside] - first, targets[inside],
                              None if labels is None else labels[rows]))
    return parts

"""BERT's pre-training: learn what words mean by filling gaps, and what follows what.

Paper     Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
          Understanding", section 3.1 and appendix A.2.
Equation  masked LM      L = −1/M Σ_{masked t} log softmax(mlm_head(x_t))[the token that was there]
          next sentence  L = −1/N Σ_n log softmax(next_sentence(x_[CLS]))[B follows A: 0, else: 1]
Shapes    x (T, D) token vectors; places (M,) rows of them; logits (M, V)
Cost      the encoder's, and 6 M V D for the head; only masked rows reach it.
Differs   Masks are drawn anew in every epoch (RoBERTa's way); BERT's data had ten fixed ones.
          Lengths are not padded to 128 or 512, so there are no batches of one length.  Clipping,
          AdamW and the schedule as BERT's; bias correction as in nn/optim.py.
Read next transformer/pooling.py, sentences/simcse.py (from token vectors to sentence vectors)

Why 80/10/10.  A masked token is [MASK] in eight cases of ten, any token in one, and itself in one.
[MASK] never stands in a text that is used later; if all gaps were [MASK], the model need know
nothing of the tokens that it sees.  So it must doubt, and keep a vector ready, for every token.

Why tied.  Row w of E says what w means; the gap's ŷ says what is missing.  E ŷ asks each word how
well it fits, and its gradient teaches E a second time: as input only the words of the batch learn,
as output all do.  `scratch-embed why bert` measures what that is worth.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.optim import AdamW, Optim, warm_up_then_decay
from scratch_embed.nn.params import Params, init_params
from scratch_embed.nn.softmax import cross_entropy
from scratch_embed.numerics.random import stream
from scratch_embed.numerics.settings import digest
from scratch_embed.text.packed import Packed, by_length, positions, split_by_tokens, take
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
    """What there is to learn from: a text with gaps, and what belongs there."""

    batch: Packed
    places: np.ndarray             # (M,) rows of the batch, each once
    targets: np.ndarray            # (M,) the ids that stood there
    follows: np.ndarray | None = None      # (N,) 0 where the second part follows the first, else 1


def masked_lm(x: np.ndarray, places: np.ndarray, targets: np.ndarray, p: Params, config: Config,
              total: float | None = None
              ) -> tuple[float, Callable[[Params], np.ndarray]]:
    """The loss of the gaps.  x: (T, D) -> loss, backward(g) -> dx (T, D).

    total: gaps of the whole batch, where x is a share of it.
    """
    logits, back_logits = mlm_head(x[places], p, config)
    loss, back_loss = cross_entropy(logits, targets, total)

    def backward(g):
        dx = np.zeros_like(x)
        dx[places] = back_logits(back_loss(), g)
        return dx
    return loss, backward


def pretraining(examples: Examples, p: Params, config: Config, drop: Dropout = NO_DROPOUT,
                gaps: float | None = None, pairs: float | None = None
                ) -> tuple[float, Callable[[Params], None]]:
    """The sum of both losses; the first alone where `follows` is None.  -> loss, backward(g).

    gaps, pairs: of the whole batch, where this is a worker's share.
    """
    batch, places, targets, follows = examples
    x, back_x = encode(batch, p, config, drop)
    loss, back_masked = masked_lm(x, places, targets, p, config, gaps)
    if follows is not None:
        first = batch.offsets[:-1]
        logits, back_next = next_sentence(x[first], p)
        next_loss, back_loss = cross_entropy(logits, follows, pairs)
        loss += next_loss

    def backward(g):
        dx = back_masked(g)
        if follows is not None:
            dx[first] += back_next(back_loss(), g)
        back_x(dx, g)
    return loss, backward


# ---- gaps ----------------------------------------------------------------------------------------

class Masking(NamedTuple):
    """How gaps are made."""

    mask: int                      # the id of [MASK]
    special: tuple[int, ...]       # ids that are never masked: [CLS], [SEP] ...
    share: float = 0.15            # of a sequence's tokens, at least one
    masked: float = 0.8            # of these become [MASK]
    random: float = 0.1            # become any token; the rest stay as they are


def with_gaps(batch: Packed, masking: Masking, V: int, rng: np.random.Generator,
              follows: np.ndarray | None = None) -> Examples:
    """Choose tokens of every sequence to be told.  max(1, round(share · length)) of each."""
    ids, offsets, types = batch
    T, lengths = len(ids), np.diff(offsets)
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    lot = rng.random(T)
    lot[np.isin(ids, masking.special)] = 2                    # drawn last, and then left out
    order = np.lexsort((lot, sequence))                       # within each sequence by lot
    wanted = np.maximum(1, np.round(masking.share * lengths))
    drawn = order[(positions(offsets) < wanted[sequence]) & (lot[order] < 2)]
    places = np.sort(drawn)
    fate, gaps = rng.random(len(places)), ids.copy()
    hidden = fate < masking.masked
    other = ~hidden & (fate < masking.masked + masking.random)
    gaps[places[hidden]] = masking.mask
    gaps[places[other]] = rng.integers(0, V, other.sum())
    return Examples(Packed(gaps, offsets, types), places, ids[places], follows)


# ---- training ------------------------------------------------------------------------------------

class Trained(NamedTuple):
    """A model, and the loss of every step."""

    model: Bert
    losses: list[float]


def train(corpus: Packed, config: Config, masking: Masking, follows: np.ndarray | None = None,
          steps: int = 1000, batch_size: int = 32, optim: Optim = Optim(lr=1e-3),
          dropout: float = 0.1, options: RunOptions = RunOptions(), p: Params | None = None
          ) -> Trained:
    """Pre-train on a corpus of N sequences, [CLS] and [SEP] in place.

    follows    (N,) 0 where the second part of a sequence follows the first, 1 where it does not;
               None: no such question is asked, and the pooler stays as it was
    dropout    the share of numbers that is left out by chance
    options    workers: a share of the batch each.  The same seed and workers, the same bits.
    p          go on from these parameters, which are not changed; None: begin anew
    Raises     ValueError for ids or lengths that the model has no row for, or where there is
               nothing to make a gap of; TrainingDiverged
    """
    check_ids(corpus, config)
    if np.isin(corpus.ids, masking.special).all():
        raise ValueError("the corpus holds special tokens alone: nothing to make a gap of")
    workers, seed, checkpoint, _ = options
    p = init_params(tensors(config) | head_tensors(config), seed) if p is None else p.copy()
    optimizer, grads = AdamW(p, weight_decay=optim.weight_decay), [p.like() for _ in range(workers)]
    drop = Dropout(dropout, int(stream(seed)))
    settings = dict(steps=steps, batch_size=batch_size, **optim._asdict(), dropout=dropout,
                    workers=workers, seed=seed, masking=masking, **config._asdict(),
                    data=[corpus, follows], start=checkpoint and digest(*p.values()))

    with session({**p.trainable_views(), **optimizer.state()}, settings, options, steps) as run:
        for step, numbers in run.batches(len(corpus.offsets) - 1, batch_size, steps):
            numbers = numbers[by_length(take(corpus, numbers))]
            examples = with_gaps(take(corpus, numbers), masking, config.vocab,
                                 np.random.default_rng([seed, 1, step]),
                                 None if follows is None else follows[numbers])
            loss = train_step(examples, p, config, [drop.at(step, w) for w in range(workers)],
                              grads, run.map)
            lr = warm_up_then_decay(step, steps, optim.lr, optim.warmup_ratio)
            optimizer.step(grads, lr, optim.max_grad_norm, run.map)
            run.record(loss, lr=lr)
    return Trained(Bert(config, p), run.losses)


def train_step(examples: Examples, p: Params, config: Config, drops: list[Dropout],
               grads: list[Params], each: Callable) -> float:
    """The loss of a batch, forward and back, a share of its sequences for each worker.

    drops, grads: one for each worker; grads are overwritten, and their sum is the batch's gradient.
    each: each(f, items) -> [f(item)], in threads or one after the other.
    """
    gaps = max(1, len(examples.places))                       # a batch of [UNK]s has none
    parts, pairs = split(examples, len(grads)), len(examples.batch.offsets) - 1

    def of_share(worker):
        grads[worker].flat[:] = 0
        if worker >= len(parts):                              # fewer sequences than workers
            return 0.0
        loss, backward = pretraining(parts[worker], p, config, drops[worker], gaps, pairs)
        backward(grads[worker])
        return loss
    return sum(each(of_share, range(len(grads))))


def split(examples: Examples, workers: int) -> list[Examples]:
    """A share of the sequences for each worker, with their gaps."""
    batch, places, targets, follows = examples
    parts = []
    for some in split_by_tokens(batch.offsets, workers):
        first, end = batch.offsets[some[0]], batch.offsets[some[-1] + 1]
        mine = (first <= places) & (places < end)
        parts.append(Examples(take(batch, some), places[mine] - first, targets[mine],
                              None if follows is None else follows[some]))
    return parts


def check_ids(corpus: Packed, config: Config) -> None:
    """Raise ValueError for ids, types or lengths for which the model has no row."""
    for what, numbers, rows in (("an id", corpus.ids, config.vocab),
                                ("a segment", corpus.types, config.types),
                                ("a position", np.diff(corpus.offsets) - 1, config.positions)):
        found = numbers.max(initial=0) if numbers.min(initial=0) >= 0 else numbers.min()
        if not 0 <= found < rows:
            raise ValueError(f"{what} of {found} in the corpus, and the model has rows for 0 to "
                             f"{rows - 1}: was it made for another vocabulary, or are sequences "
                             "to be cut shorter?")
    if len(corpus.offsets) < 2:
        raise ValueError("the corpus holds no sequence")

"""BERT: learn what words mean by filling gaps, and what sentences mean by what follows them.

Paper     Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
          Understanding", section 3.1 and appendix A.2.
Equation  masked LM      L = −1/M Σ_{masked t} log softmax(E ŷ_t + b)[the token that stood there]
                         ŷ = LN(gelu(W x + c)),  E the table of word embeddings: the head is tied
          next sentence  L = −1/N Σ_n log softmax(A tanh(P x_[CLS] + d))[B follows A: 0, or not: 1]
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

from scratch_embed.nn.activations import tanh
from scratch_embed.nn.contract import Backward, Learning
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.layers import layer_norm, linear
from scratch_embed.nn.optim import AdamW, warm_up_then_decay
from scratch_embed.nn.params import Params, initial
from scratch_embed.nn.run import Checkpoint, batches, follow
from scratch_embed.nn.softmax import cross_entropy
from scratch_embed.numerics.random import stream
from scratch_embed.numerics.workers import parallel_map
from scratch_embed.text.packed import Packed, by_length, positions, shares, take
from scratch_embed.transformer.encoder import Config, encode, shapes

TABLE, DECODER = "embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"


def head_shapes(config: Config, tied: bool = True) -> dict[str, tuple[int, ...]]:
    """{name: shape} of both heads.  tied=False: with a table of words of their own."""
    V, D = config.vocab, config.dim
    own = {} if tied else {DECODER: (V, D)}
    return {"cls.predictions.transform.dense.weight": (D, D),
            "cls.predictions.transform.dense.bias": (D,),
            "cls.predictions.transform.LayerNorm.weight": (D,),
            "cls.predictions.transform.LayerNorm.bias": (D,),
            "cls.predictions.bias": (V,), **own,
            "pooler.dense.weight": (D, D), "pooler.dense.bias": (D,),
            "cls.seq_relationship.weight": (2, D), "cls.seq_relationship.bias": (2,)}


# ---- the heads -----------------------------------------------------------------------------------

def predictions(x: np.ndarray, p: Params, config: Config) -> tuple[np.ndarray, Learning]:
    """Which token stands here?  x: (M, D) -> logits (M, V).  Untied where p has DECODER."""
    E = DECODER if DECODER in p else TABLE
    u, back_u = linear(x, p, "cls.predictions.transform.dense")
    f, back_f = config.activation(u)
    y, back_y = layer_norm(f, p, "cls.predictions.transform.LayerNorm", config.eps)
    logits = y @ p[E].T
    logits += p["cls.predictions.bias"]

    def backward(dlogits, g):
        g["cls.predictions.bias"] += dlogits.sum(0)
        g[E] += dlogits.T @ y                        # tied: the embeddings learn here too
        return back_u(back_f(back_y(dlogits @ p[E], g)), g)
    return logits, backward


def pooler(x: np.ndarray, p: Params) -> tuple[np.ndarray, Learning]:
    """tanh(P x + d), of the rows of [CLS].  x, y: (N, D)."""
    u, back_u = linear(x, p, "pooler.dense")
    y, back_y = tanh(u)
    return y, lambda dy, g: back_u(back_y(dy), g)


def next_sentence(x: np.ndarray, p: Params) -> tuple[np.ndarray, Learning]:
    """Does B follow A?  x: (N, D), the rows of [CLS] -> logits (N, 2): yes, no."""
    pooled, back_pooled = pooler(x, p)
    logits, back_logits = linear(pooled, p, "cls.seq_relationship")
    return logits, lambda dlogits, g: back_pooled(back_logits(dlogits, g), g)


# ---- the losses ----------------------------------------------------------------------------------

class Examples(NamedTuple):
    """What there is to learn from: a text with gaps, and what belongs there."""

    batch: Packed
    places: np.ndarray             # (M,) rows of the batch, each once
    targets: np.ndarray            # (M,) the ids that stood there
    follows: np.ndarray | None = None      # (N,) 0 where the second part follows the first, else 1


def masked_lm(x: np.ndarray, places: np.ndarray, targets: np.ndarray, p: Params, config: Config,
              total: float | None = None) -> tuple[float, Learning]:
    """The loss of the gaps.  x: (T, D) -> loss, backward(g) -> dx (T, D).

    total: gaps of the whole batch, where x is a share of it.
    """
    logits, back_logits = predictions(x[places], p, config)
    loss, back_loss = cross_entropy(logits, targets, total)

    def backward(g):
        dx = np.zeros_like(x)
        dx[places] = back_logits(back_loss(), g)
        return dx
    return loss, backward


def pretraining(examples: Examples, p: Params, config: Config, drop: Dropout = NO_DROPOUT,
                gaps: float | None = None, pairs: float | None = None
                ) -> tuple[float, Backward]:
    """The sum of both losses; the first alone where `follows` is None.  -> loss, backward(g).

    gaps, pairs: of the whole batch, where this is a worker's share.
    """
    batch, places, targets, follows = examples
    x, back_x = encode(batch, p, config, drop)
    loss, back_masked = masked_lm(x, places, targets, p, config, gaps)
    if follows is not None:
        first = batch.off[:-1]
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
    ids, off, types = batch
    T, lengths = len(ids), np.diff(off)
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    lot = rng.random(T)
    lot[np.isin(ids, masking.special)] = 2                    # drawn last, and then left out
    order = np.lexsort((lot, sequence))                       # within each sequence by lot
    wanted = np.maximum(1, np.round(masking.share * lengths))
    drawn = order[(positions(off) < wanted[sequence]) & (lot[order] < 2)]
    places = np.sort(drawn)
    fate, gaps = rng.random(len(places)), ids.copy()
    hidden = fate < masking.masked
    other = ~hidden & (fate < masking.masked + masking.random)
    gaps[places[hidden]] = masking.mask
    gaps[places[other]] = rng.integers(0, V, other.sum())
    return Examples(Packed(gaps, off, types), places, ids[places], follows)


# ---- training ------------------------------------------------------------------------------------

class Trained(NamedTuple):
    """A model, and the loss of every step."""

    p: Params
    losses: list[float]


def train(corpus: Packed, config: Config, masking: Masking, follows: np.ndarray | None = None,
          steps: int = 1000, batch: int = 32, lr: float = 1e-3, warm_up: float = 0.1,
          decay: float = 0.01, longest: float = 1.0, rate: float = 0.1, workers: int = 1,
          seed: int = 1, p: Params | None = None, checkpoint: Checkpoint | None = None,
          progress: bool = False) -> Trained:
    """Pre-train on a corpus of N sequences, [CLS] and [SEP] in place.

    follows    (N,) 0 where the second part of a sequence follows the first, 1 where it does not;
               None: no such question is asked, and the pooler stays as it was
    batch      sequences a step; lr: its highest, after warm_up · steps; it then falls to 0
    longest    the gradient is clipped to this length; decay: AdamW's; rate: of dropout
    workers    threads, a share of the batch each.  The same seed and workers, the same bits.
    p          go on from these parameters, which are not changed; None: begin anew
    Raises     ValueError for ids or lengths that the model has no row for, or where there is
               nothing to make a gap of; TrainingDiverged
    """
    check_ids(corpus, config)
    if np.isin(corpus.ids, masking.special).all():
        raise ValueError("the corpus holds special tokens alone: nothing to make a gap of")
    p = initial({**shapes(config), **head_shapes(config)}, seed) if p is None else p.copy()
    optimizer, grads = AdamW(p, decay=decay), [p.like() for _ in range(workers)]
    drop = Dropout(rate, int(stream(seed)))
    settings = dict(steps=steps, batch=batch, lr=lr, warm_up=warm_up, decay=decay, longest=longest,
                    rate=rate, workers=workers, seed=seed, masking=masking, **config._asdict(),
                    data=[corpus, follows], start=p.flat)       # last: it differs with the others

    with follow(p, optimizer, steps, settings, checkpoint, progress) as run, \
            parallel_map(workers) as each:
        for step, numbers in batches(len(corpus.off) - 1, batch, steps, seed, run.step):
            numbers = numbers[by_length(take(corpus, numbers))]
            examples = with_gaps(take(corpus, numbers), masking, config.vocab,
                                 np.random.default_rng([seed, 1, step]),
                                 None if follows is None else follows[numbers])
            loss = learn(examples, p, config, [drop.at(step, w) for w in range(workers)], grads,
                         each)
            lr_now = warm_up_then_decay(step, steps, lr, warm_up)
            optimizer.step(grads, lr_now, longest, each)
            run.took(loss, lr_now)
    return Trained(p, run.losses)


def learn(examples: Examples, p: Params, config: Config, drops: list[Dropout],
          grads: list[Params], each: Callable) -> float:
    """The loss of a batch, forward and back, a share of its sequences for each worker.

    drops, grads: one a worker; grads are overwritten, and their sum is the batch's gradient.
    """
    gaps = max(1, len(examples.places))                       # a batch of [UNK]s has none
    parts, pairs = split(examples, len(grads)), len(examples.batch.off) - 1

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
    for some in shares(batch.off, workers):
        first, end = batch.off[some[0]], batch.off[some[-1] + 1]
        mine = (first <= places) & (places < end)
        parts.append(Examples(take(batch, some), places[mine] - first, targets[mine],
                              None if follows is None else follows[some]))
    return parts


def check_ids(corpus: Packed, config: Config) -> None:
    """Raise ValueError for ids, types or lengths for which the model has no row."""
    for what, numbers, rows in (("an id", corpus.ids, config.vocab),
                                ("a segment", corpus.types, config.types),
                                ("a position", np.diff(corpus.off) - 1, config.positions)):
        found = numbers.max(initial=0) if numbers.min(initial=0) >= 0 else numbers.min()
        if not 0 <= found < rows:
            raise ValueError(f"{what} of {found} in the corpus, and the model has rows for 0 to "
                             f"{rows - 1}: was it made for another vocabulary, or are sequences "
                             "to be cut shorter?")
    if len(corpus.off) < 2:
        raise ValueError("the corpus holds no sequence")

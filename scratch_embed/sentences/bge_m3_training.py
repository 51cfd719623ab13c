"""Train BGE-M3: its three scores together, which teach each other.

Paper     Chen et al. 2024, "BGE M3-Embedding", section 3.3 (self-knowledge distillation).
Equation  θ ← AdamW(∂L/∂θ),  L of losses/m3.py on the scores of N queries with M = N (V − 1) texts:
          d = cos(y_q, y_k)/τ,   s = Σ_token w_q w_k / τ,   c = mean max-sim / τ,   τ = 0.02
Shapes    V views of N texts: queries, positives, hard negatives -> scores (N, M)
Cost      per step a forward and a backward pass for V N texts; the max-sim scores need a table with
          an entry for each token of the queries and each token of the other texts
Differs   from the paper, which first trains the dense score alone, on unlabelled pairs, and then
          all three on labelled and generated pairs with hard negatives; here is the second stage.
          From FlagEmbedding: in its training the padded tokens of a text count in max-sim as
          vectors of zeros (losses/max_sim.py); it may exchange negatives between machines, and its
          batches have texts of similar length.  A copy of a query's positive is not its negative
          if `texts` is given; there it is.
Read next losses/m3.py (the loss and why), losses/max_sim.py, sentences/sbert.py (one vector a text)

Why does one transformer serve three heads?  They ask for related things: a token's weight and its
vector come from the same state, and [CLS] attends to all states.  Each alone can be trained too
(sentences/sbert.py for the dense one), but a text then needs three passes.

Why no dropout by default?  A new [CLS] vector cannot learn with it: at the sizes of why/m3.py, in a
trial of one seed with 0.1, the loss of the dense score alone stayed at log 64, that of chance, for
400 steps; without dropout it fell to 0.45.  With a pre-trained start it may help: FlagEmbedding
trains with XLM-R's 0.1.

Gradient.  The three scores share θ, so the gradients of y, w and v are added at the token vectors
(heads() of bge_m3.py).  The transformer has two backward passes, one for the queries and one for
all other texts.
"""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.false_negatives import equal_texts
from scratch_embed.losses.infonce import cosine_logits
from scratch_embed.losses.m3 import m3_loss
from scratch_embed.losses.max_sim import mean_max_sim
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.optim import AdamW, Optim, linear_warmup_decay
from scratch_embed.nn.params import Params, join
from scratch_embed.numerics.checks import require_instance
from scratch_embed.numerics.random import stream
from scratch_embed.numerics.settings import digest
from scratch_embed.numerics.workers import serial_map
from scratch_embed.sentences.bge_m3 import BgeM3, heads, strongest, without_first
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.sbert import View
from scratch_embed.space.sparse import sparse_scores
from scratch_embed.text.packed import Packed, by_length, take
from scratch_embed.training.session import RunOptions, session
from scratch_embed.transformer.model import Transformer

TAU = 0.02


class Settings(NamedTuple):
    """The settings of the loss."""

    tau: float = TAU
    self_distillation: bool = True


DEFAULT = Settings()


# ---- the loss of a batch -------------------------------------------------------------------------

def scores(q, q_batch: Packed, k, k_batch: Packed, unweighted: np.ndarray, tau: float
           ) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], Callable]:
    """The three scores, divided by τ, of N queries with M texts.  -> (d, s, c) (N, M), backward

    q, k: (y, w, v) of heads().  backward(dd, ds, dc) -> gradients of q and of k, in the same form
    """
    (y_q, w_q, v_q), (y_k, w_k, v_k) = q, k
    d, back_d = cosine_logits(y_q, y_k, tau)
    q_sparse, back_q = strongest(w_q, q_batch, unweighted)
    k_sparse, back_k = strongest(w_k, k_batch, unweighted)
    s, back_s = sparse_scores(q_sparse, k_sparse)
    c, back_c = mean_max_sim(v_q, without_first(q_batch.offsets), v_k,
                             without_first(k_batch.offsets))
    scale = 1 / float(tau)

    def backward(dd, ds, dc):
        dy_q, dy_k, _ = back_d(dd)
        dq, dk = back_s(scale * ds)
        dv_q, dv_k = back_c(scale * dc)
        return (dy_q, back_q(dq), dv_q), (dy_k, back_k(dk), dv_k)
    return (d, scale * s, scale * c), backward


def batch_loss(queries: Packed, keys: Packed, targets: np.ndarray, model: Transformer,
               unweighted: np.ndarray, settings: Settings = DEFAULT,
               mask: np.ndarray | None = None, dropout: Dropout = NO_DROPOUT,
               map: Callable = serial_map) -> tuple[float, Callable]:
    """The loss of a batch.  -> L, backward(grads), grads: a Params for the queries and the keys.

    queries, keys  N and M texts; targets: (N,), the row in keys of each query's positive
    model          its p also has the tensors of the two heads
    mask           (N, M) bool, True if a text is not a negative of a query
    map            map(f, items) -> [f(item)], in threads or one after the other
    """
    q_order, k_order = by_length(queries), by_length(keys)   # attention batches equal lengths
    place = np.argsort(k_order)                              # of each key in the new order
    batches = [take(queries, q_order), take(keys, k_order)]

    def encode_view(n):
        x, back_x = model.encode(batches[n], dropout.at(n))
        parts, back_parts = heads(x, batches[n].offsets, model.p)
        return parts, lambda grads, g: back_x(back_parts(*grads, g), g)
    (q, back_q), (k, back_k) = map(encode_view, [0, 1])
    tables, back_tables = scores(q, batches[0], k, batches[1], unweighted, settings.tau)
    loss, back_loss = m3_loss(*tables, place[targets[q_order]], settings.self_distillation,
                              None if mask is None else mask[q_order][:, k_order])

    def backward(grads):
        dq, dk = back_tables(*back_loss())
        map(lambda job: job[0](*job[1:]), [(back_q, dq, grads[0]), (back_k, dk, grads[1])])
    return loss, backward


# ---- training ------------------------------------------------------------------------------------

class Trained(NamedTuple):
    """A trained model and the losses of its steps."""

    model: BgeM3
    losses: list[float]


def train(views: Sequence[View], start: BgeM3, steps: int = 500, batch_size: int = 32,
          optim: Optim = Optim(lr=3e-4, weight_decay=0.0), dropout: float = 0.0, tau: float = TAU,
          distil_from: int | None = 0, texts: np.ndarray | None = None,
          options: RunOptions = RunOptions()) -> Trained:
    """Train the transformer and the heads on N examples.

    views        [queries, positives], then any number of hard negatives: sbert.tokenize(m3.encoder,
                 texts) each; text n of each view belongs to example n
    start        the model before training, which is not changed
    distil_from  self-distillation begins after this many steps; None: it is left out
    texts        (N, V), text_numbers(queries, positives, ...) of losses/false_negatives.py: a copy
                 of a query's positive is not its negative; None: every other text is a negative
    options      two workers encode queries and other texts at the same time; the result is the same
    Raises       ValueError if views or texts differ in length; TypeError; TrainingDiverged
    """
    check(views, start, optim, texts)
    N, V = views[0].N, len(views)
    workers, seed, checkpoint, _ = options
    queries, keys = views[0].texts, concatenated([view.texts for view in views[1:]])
    model, masks = trainable(start), Dropout(dropout, int(stream(seed)))
    p = model.p
    optimizer, grads = AdamW(p, weight_decay=optim.weight_decay), [p.like(), p.like()]
    settings = dict(loss=m3_loss, steps=steps, batch_size=batch_size, **optim._asdict(),
                    dropout=dropout, tau=tau, distil_from=distil_from, seed=seed,
                    **model.config._asdict(), data=[*views, texts],
                    start=checkpoint and digest(*p.values()))

    with session({**p.trainable_views(), **optimizer.state()}, settings, options, steps) as run:
        for step, rows in run.batches(N, batch_size, steps):
            for g in grads:
                g.flat[:] = 0
            mask = None if texts is None else equal_texts(texts[rows, 0],
                                                          texts[rows, 1:].T.ravel())
            loss, backward = batch_loss(
                take(queries, rows), take(keys, (N * np.arange(V - 1)[:, None] + rows).ravel()),
                np.arange(len(rows)), model, start.unweighted,
                Settings(tau, distil_from is not None and step > distil_from), mask,
                masks.at(step), run.map)
            backward(grads)
            lr = linear_warmup_decay(step, steps, optim.lr, optim.warmup_ratio)
            optimizer.step(grads, lr, optim.max_grad_norm, run.map)
            run.record(loss, lr=lr)
    return Trained(with_trained(start, p), run.losses)


def concatenated(parts: Sequence[Packed]) -> Packed:
    """The sequences of several Packed, in order."""
    lengths = np.concatenate([np.diff(part.offsets) for part in parts])
    return Packed(np.concatenate([part.ids for part in parts]),
                  np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
                  np.concatenate([part.types for part in parts]))


# ---- parameters ----------------------------------------------------------------------------------

def trainable(start: BgeM3) -> Transformer:
    """A copy of the model whose p also has the tensors of the heads, and no pre-training head.

    Tensors that encode() does not use, such as BERT's pooler, are frozen.
    """
    model = start.encoder.model.without_heads()
    unused = model.p.keys() - model.encoder_tensors()
    return model.with_params(join(model.p.freeze(unused), start.heads.copy(model.p.flat.dtype)))


def with_trained(start: BgeM3, p: Params) -> BgeM3:
    """A copy of the model, without pre-training heads, with the values of p, see trainable()."""
    own, heads = start.encoder.model.without_heads().p.copy(), start.heads.copy(p.flat.dtype)
    for part in (own, heads):
        for name, view in part.trainable_views().items():
            view[...] = p[name]
    return BgeM3(SentenceEncoder(start.tokenizer, start.encoder.model.with_params(own),
                                 start.encoder.recipe), heads)


def check(views: Sequence[View], start: BgeM3, optim: Optim, texts: np.ndarray | None) -> None:
    """Raise TypeError or ValueError for arguments that train() cannot use."""
    require_instance("start", start, BgeM3, "BgeM3.new(encoder)")
    require_instance("optim", optim, Optim, "Optim(lr=3e-4)")
    for v, view in enumerate(views):
        require_instance(f"views[{v}]", view, View, "sbert.tokenize(m3.encoder, texts)")
    counts = [view.N for view in views]
    if len(counts) < 2 or min(counts) < 1 or len({*counts}) > 1:
        raise ValueError("views: expected at least 2 of equally many texts, queries and positives, "
                         f"got {counts} texts")
    if texts is not None and texts.shape != (counts[0], len(counts)):
        raise ValueError(f"texts: expected numbers ({counts[0]}, {len(counts)}), one for each text,"
                         f" got shape {texts.shape}")

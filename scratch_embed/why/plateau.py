"""A loss that stays at log N: all vectors of a batch have become one.

Equation  u_i = v_j = c for all i, j:   L = log N,   ∂L/∂u_i = Σ_j (p_ij − [i = j]) v_j / τ = 0
Shapes    a LossCurve is four numbers for each seed
Cost      a training takes two to four seconds on one core, the masked LM about ten
Read next losses/infonce.py (the gradient), why/learned.py (the starts), why/sbert.py (ablations)

"My loss stays at log N" is a common complaint about contrastive training.  If all vectors are
equal, every key has probability 1/N, so L = log N; and the gradient is zero, because the push
from the mean of the keys equals the pull of the positive.  This is a saddle point, not a minimum:
small differences ε_j of the keys give the gradient (mean ε − ε_i)/τ, so they grow, at first
exponentially.  The smaller they are, the longer that takes.

How does a model get there?  A start whose loss is far above log N ranks wrong keys above the right
one with confidence: here a masked LM, in whose vectors the frame of a sentence outweighs its words,
and a query has another frame than its report.  The fastest way down is to make all vectors equal,
which also removes what the words have contributed.  A start whose loss is near log N has nothing to
unlearn: its vectors are nearly equal, but their differences are those of the words.
"""
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import sbert
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import ranking
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import TABLE
from scratch_embed.why.learned import (
    BI_ENCODER,
    LABELLED,
    from_masked_lm,
    from_word_vectors,
    start,
)
from scratch_embed.why.sentences import Encoder, score
from scratch_embed.worlds.training_pairs import fact_triplets

STEPS, SMOOTH = 100, 10            # steps of a training; a loss is the mean of SMOOTH steps


class LossCurve(NamedTuple):
    """The loss of InfoNCE at three times, and the nDCG@10 in % at the end."""

    first: float                   # of the first step
    half: float                    # mean of the steps before the middle
    last: float                    # mean of the last steps
    ndcg: float


def token_embeddings(encoder: Encoder, scaled: bool) -> SentenceEncoder:
    """Initial weights, but the masked LM's token embeddings, at their scale or at the initial one.
    """
    before = start(encoder)
    table, x = before.model.p[TABLE], encoder.model.p[TABLE]
    table[...] = x * (table.std() / x.std()) if scaled else x
    return before


STARTS: dict[str, tuple[Callable[[Encoder], SentenceEncoder], int]] = {
    "initial weights": (start, STEPS),
    "word vectors": (from_word_vectors, STEPS),
    "masked LM": (from_masked_lm, STEPS),
    "masked LM, 4 x the steps": (from_masked_lm, 4 * STEPS),
    "its token embeddings": (partial(token_embeddings, scaled=False), STEPS),
    "the same, scaled down": (partial(token_embeddings, scaled=True), STEPS),
}


def loss_curve(encoder: Encoder, before: SentenceEncoder, steps: int = STEPS) -> LossCurve:
    """Train a bi-encoder from this start on the labelled pairs of the encoder's world."""
    views = fact_triplets(encoder.world, LABELLED, encoder.seed)[:2]
    after = sbert.train([sbert.tokenize(before, view) for view in views], before,
                        ranking(BI_ENCODER["tau"]), steps=steps,
                        batch_size=BI_ENCODER["batch_size"], dropout=BI_ENCODER["dropout"],
                        optim=Optim(BI_ENCODER["lr"], weight_decay=0.0),
                        options=RunOptions(seed=encoder.seed))
    losses, half = np.array(after.losses), max(steps // 2, 1)
    return LossCurve(losses[0], losses[max(half - SMOOTH, 0):half].mean(), losses[-SMOOTH:].mean(),
                  score(encoder, after.encoder.encode).ndcg)


def loss_curves(encoder: Encoder) -> dict[str, np.ndarray]:
    """{start: its LossCurve (4,)} for each of STARTS."""
    return {name: np.array(loss_curve(encoder, make(encoder), steps))
            for name, (make, steps) in STARTS.items()}

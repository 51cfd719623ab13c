"""Ablations of Sentence-BERT's training: the effect of changing each part, one at a time.

Papers    Reimers & Gurevych 2019 (pooling, loss); Gao, Yao & Chen 2021 (tau, the head);
          Karpukhin et al. 2020 (batch size, hard negatives); Gao et al. 2021 (GradCache).
Shapes    a score is two numbers: nDCG@10 and STS in % (why/sentences.py)
Cost      a training takes one to three seconds on one core, a masked LM about ten
Read next why/learned.py (the bi-encoder and its baselines), worlds/fact_pairs.py (the pairs),
          why/ablations.py (how effects are measured)

The base is the bi-encoder of why/learned.py with a third as many steps, so that its score leaves
room above.  Each ablation trains on the pairs that its part needs: with hard negatives, with
repeated texts, or with scores.  The predictions of ABLATIONS were written down before the
measurement; failed ones are kept.  Those of MEMORISING, of why/plateau.py and of the new words in
why/generalisation.py followed trials on one or two seeds: what five seeds test is whether these
trials were luck.
"""
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.cosent import cosent
from scratch_embed.losses.cosine_mse import cosine_mse
from scratch_embed.losses.false_negatives import text_numbers
from scratch_embed.losses.triplet import triplet
from scratch_embed.nn.params import Normal, init_params, linear_tensors
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.objectives import by_text, classified, objective, ranking
from scratch_embed.sentences.recipe import Dense
from scratch_embed.transformer.pooling import cls, max_
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT
from scratch_embed.why.learned import (
    BI_ENCODER,
    LABELLED,
    from_masked_lm,
    from_word_vectors,
    start,
    train_on,
)
from scratch_embed.why.sentences import Encode, Encoder, score
from scratch_embed.worlds.fact_pairs import repeated_answers, scored_pairs
from scratch_embed.worlds.facts import states_all, values_named
from scratch_embed.worlds.training_pairs import fact_triplets

STEPS, FEW = BI_ENCODER["steps"] // 3, 500    # steps of an ablation; pairs that are few


class Data(NamedTuple):
    """Texts to train on, and what the loss needs besides."""

    views: list[list[str]]
    targets: np.ndarray | None = None


# ---- data: a function of the world ---------------------------------------------------------------

def pairs(encoder: Encoder, n: int = LABELLED) -> Data:
    """Queries with relevant reports about n new facts."""
    return Data(list(fact_triplets(encoder.world, n, encoder.seed)[:2]))


def hard_negatives(encoder: Encoder) -> Data:
    """The same pairs, each with a report that is wrong in one slot of its query."""
    return Data(list(fact_triplets(encoder.world, LABELLED, encoder.seed)))


def repeated(encoder: Encoder) -> Data:
    """Queries with one of a hundred reports; the targets number the texts."""
    views = repeated_answers(encoder.world, 100, LABELLED, encoder.seed)
    return Data(list(views), text_numbers(*views))


def scored(encoder: Encoder) -> Data:
    """Queries with reports; the targets are the shares of the query's slots that match."""
    *views, matches = scored_pairs(encoder.world, LABELLED, encoder.seed)
    return Data(views, (matches / 3).astype(np.float32))


def matches(encoder: Encoder) -> Data:
    """The same pairs as scored(), with the number of matches as their class."""
    *views, matches = scored_pairs(encoder.world, LABELLED, encoder.seed)
    return Data(views, matches)


def with_truth(encoder: Encoder, n: int = FEW) -> Data:
    """The pairs of pairs(); the targets are the slots that the texts name, (N, 2, 5)."""
    views = pairs(encoder, n).views
    return Data(views, np.stack([values_named(view) for view in views], axis=1))


def by_truth(views, targets) -> np.ndarray:
    """The mask of all right answers in the batch, labelled or not.  targets: of with_truth"""
    return states_all(targets[:, 0], targets[:, 1])


# ---- the head ------------------------------------------------------------------------------------

def with_head(encoder: Encoder) -> SentenceEncoder:
    """The start, with a head after pooling: a dense layer and tanh."""
    before = start(encoder)
    D = before.dim
    head = Dense(init_params(linear_tensors("linear", D, D, Normal(0.02)), encoder.seed))
    return SentenceEncoder(before.tokenizer, before.model, before.recipe._replace(dense=(head,)))


def without_head(encoder: SentenceEncoder) -> SentenceEncoder:
    """The encoder up to its pooling."""
    return SentenceEncoder(encoder.tokenizer, encoder.model, encoder.recipe._replace(dense=()))


# ---- the ablations -------------------------------------------------------------------------------

TAU, LESS, MORE = BI_ENCODER["tau"], partial(pairs, n=200), partial(pairs, n=2 * STEPS * 128)
WIDE = partial(start, width=2)
INFONCE, MASKED = ranking(TAU), ranking(TAU, by_truth)
BASE = dict(data=pairs, start=start, loss=INFONCE, keep_head=True, steps=STEPS, batch_size=128,
            cache_batch=None, dropout=BI_ENCODER["dropout"], lr=BI_ENCODER["lr"])
CACHED = dict(BASE, cache_batch=16)
FAQ = dict(BASE, data=repeated, loss=ranking(TAU, by_text))
FEW_LABELS = dict(BASE, data=LESS)
LONG = dict(BASE, data=partial(pairs, n=FEW), steps=2 * STEPS)
NO_DROPOUT = dict(LONG, dropout=0.0)

ABLATIONS = [
    Ablation(
        "tau = 0.05",
        "At 1 all negatives push alike, and most of them are wrong in every slot, which is soon "
        "learned; at 0.01 only the hardest count, and in this world those are often unlabelled "
        "right answers.  0.2 lies between.",
        BASE, {"0.01": (dict(loss=ranking(0.01)), HELPS),
               "0.2": (dict(loss=ranking(0.2)), HELPS),
               "1": (dict(loss=ranking(1.0)), HELPS)}),
    Ablation(
        "128 pairs in a batch",
        "As many pairs in all, so that a small batch takes more steps.  A large batch has more "
        "negatives, a small one more steps: with few steps to spare, these win.",
        BASE, {"16, as many pairs": (dict(batch_size=16, steps=8 * STEPS), HURTS),
               "64, as many pairs": (dict(batch_size=64, steps=2 * STEPS), HURTS),
               "256, as many pairs": (dict(batch_size=256, steps=STEPS // 2), HELPS)}),
    Ablation(
        "128 pairs, 16 at a time (GradCache)",
        "The gradient is that of the whole batch; only the dropout masks differ.  Without the "
        "cache, the same memory holds a batch of 16, which has fewer negatives in each step.",
        CACHED, {"128 at once": (dict(cache_batch=None), NOT_SIGNIFICANT),
                 "a batch of 16": (dict(cache_batch=None, batch_size=16), HELPS)}),
    Ablation(
        "repeated texts masked",
        "The queries share a hundred reports, so that a batch of 128 has each about once more.  "
        "Without the mask, a query is pushed away from its own report.",
        FAQ, {"not masked": (dict(loss=INFONCE), HELPS)}),
    Ablation(
        "hard negatives",
        "A report that is wrong in one slot has a larger share of the gradient than random ones, "
        "which are wrong in most slots.",
        dict(BASE, data=hard_negatives), {"the pairs alone": (dict(data=pairs), HELPS)}),
    Ablation(
        "from initial weights, 4,000 pairs",
        "Both pre-trained starts know which words are used alike.  The pairs teach the same, and "
        "there are enough of them, but not enough steps.",
        BASE, {"from the masked LM": (dict(start=from_masked_lm), HURTS),
               "from word vectors": (dict(start=from_word_vectors), HURTS)}),
    Ablation(
        "from initial weights, 200 pairs",
        "200 pairs do not show every pair of synonyms, so what the text has taught counts more.",
        FEW_LABELS, {"from the masked LM": (dict(start=from_masked_lm), HURTS),
                     "from word vectors": (dict(start=from_word_vectors), HURTS)}),
    Ablation(
        "InfoNCE",
        "It compares each query with all reports of the batch, the other losses with one report, "
        "or two.  The softmax loss does not train cosines at all.",
        BASE, {"CoSENT, scored pairs": (dict(data=scored, loss=objective(cosent)), HELPS),
               "cosine MSE, scored pairs": (dict(data=scored, loss=objective(cosine_mse)), HELPS),
               "triplets, margin 0.5": (dict(data=hard_negatives,
                                             loss=objective(triplet, margin=0.5)), HELPS),
               "softmax, classes": (dict(data=matches, loss=classified(4)), HELPS)}),
    Ablation(
        "the mean of all tokens",
        "[CLS] must collect the words by attention, which is to be learned; the mean has them from "
        "the beginning.  The maximum lies between.",
        BASE, {"[CLS]": (dict(start=partial(start, pooling=cls)), HELPS),
               "max": (dict(start=partial(start, pooling=max_)), HELPS)}),
    Ablation(
        "no head",
        "A dense layer and tanh after the mean only distort what the loss compares.  If it is "
        "removed after training, the search uses vectors that the loss has not compared.",
        BASE, {"a head": (dict(start=with_head), NOT_SIGNIFICANT),
               "a head in training only": (dict(start=with_head, keep_head=False), HELPS)}),
]

# Why more training can make the search worse.
MEMORISING = [
    Ablation(
        "dropout 0.1, 32 dimensions",
        "500 pairs, each about 50 times: the model can memorise them.  What it memorises are the "
        "words of a text, not their meaning; dropout makes that harder, and a network twice as "
        "wide makes it easier.",
        LONG, {"no dropout": (dict(dropout=0.0), HELPS),
               "64": (dict(start=WIDE), HELPS),
               "64, no dropout": (dict(start=WIDE, dropout=0.0), HELPS)}),
    Ablation(
        "200 steps, no dropout",
        "Three times as many steps memorise more.",
        NO_DROPOUT, {"600": (dict(steps=6 * STEPS), HELPS)}),
    Ablation(
        "unlabelled right answers masked, no dropout",
        "Every query has right answers among the other reports of its batch.  To rank its own "
        "report above these, a model has to memorise which report belongs to which query; "
        "nothing else distinguishes them.  Without these false negatives, memorising is useless.",
        dict(NO_DROPOUT, data=with_truth, loss=MASKED),
        {"not masked": (dict(loss=INFONCE), HELPS)}),
    Ablation(
        "new pairs in every batch, no dropout",
        "There are as many false negatives, but none comes twice, so they cannot be memorised; "
        "over many batches their pushes cancel.",
        dict(NO_DROPOUT, data=MORE), {"500 pairs": (dict(data=NO_DROPOUT["data"]), HELPS)}),
]
OTHERS = ("STS",)                  # measured besides nDCG@10


def trained(settings: dict, encoder: Encoder) -> Encode:
    """The function texts -> vectors of a bi-encoder trained with settings such as BASE."""
    rest = dict(settings)
    before, (views, targets) = rest.pop("start")(encoder), rest.pop("data")(encoder)
    loss, keep_head = rest.pop("loss"), rest.pop("keep_head")
    after = train_on(views, before, encoder.seed, loss, targets, **rest)
    return (after if keep_head else without_head(after)).encode


def measures(encoder: Encoder, encode: Encode) -> np.ndarray:
    """nDCG@10 and STS.  -> (2,)"""
    return np.array(score(encoder, encode)[:2])

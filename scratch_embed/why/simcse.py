"""Ablations of SimCSE: the effect of removing each part, one at a time.

Paper     Gao, Yao & Chen 2021, tables D.1 (tau), 3 (dropout), D.2 (pooling and head), section 4.2
          (hard negatives), appendix A (batch size).
Shapes    a score is four numbers: nDCG@10 and STS in %, alignment, uniformity (why/sentences.py)
Cost      SimCSE takes about three seconds on one core, and one masked LM per seed about ten
Read next why/sentences.py (what is measured), why/ablations.py (how effects are measured)

All variants of a seed start from the same masked LM.  They train for the same number of steps; only
"16, as many sentences" has four times as many.  The base pools by the mean, as most sentence
encoders do; the paper's [CLS] is one of the variants.  The baseline is the masked LM without
SimCSE; why/simcse_tour.py also has the untrained model, BM25 and word2vec.  The predictions follow
from the paper; failed predictions are kept.
"""
import numpy as np

from scratch_embed.text.packed import Packed
from scratch_embed.transformer.pooling import cls, max_
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT
from scratch_embed.why.sentences import (
    SIMCSE,
    Encode,
    Encoder,
    encode_by,
    packed,
    score,
    train_simcse,
    unique_sentences,
)
from scratch_embed.worlds.training_pairs import fact_triplets

SUPERVISED = 4000                  # pairs of a query and a report


# ---- views --------------------------------------------------------------------------------------

def same_text(encoder: Encoder) -> list[Packed]:
    """Every sentence once.  Its positive is the same sentence with another dropout mask."""
    return [unique_sentences(encoder.text)]


def positives(encoder: Encoder) -> list[Packed]:
    """Queries and relevant reports, about newly drawn facts."""
    return with_hard_negatives(encoder)[:2]


def with_hard_negatives(encoder: Encoder) -> list[Packed]:
    """Queries, relevant reports, and hard negatives: wrong in one slot that the query names."""
    return [packed(encoder.tokenizer, [text.split() for text in view])
            for view in fact_triplets(encoder.world, SUPERVISED, encoder.seed)]


# ---- the ablations ------------------------------------------------------------------------------

BASE = dict(SIMCSE, views=same_text, with_head=True, keep_head=False)
LABELLED = dict(BASE, views=with_hard_negatives)

ABLATIONS = [
    Ablation(
        "tau = 0.05",
        "0.01 considers only the hardest negatives, and 1 weights all negatives alike; the paper's "
        "best value lies between, at 0.05, and the score falls on both sides.",
        BASE, {"0.01": (dict(tau=0.01), HELPS),
               "0.2": (dict(tau=0.2), HELPS),
               "1": (dict(tau=1.0), HELPS)}),
    Ablation(
        "dropout 0.1",
        "Without dropout both views are the same vector, so the loss only pushes negatives apart.  "
        "0.05 is nearly as good, 0.3 is too much noise.",
        BASE, {"none": (dict(dropout=0.0), HELPS),
               "0.05": (dict(dropout=0.05), NOT_SIGNIFICANT),
               "0.3": (dict(dropout=0.3), HELPS)}),
    Ablation(
        "a head, for training only",
        "The head may remove what the contrastive loss does not need, and the layer below keeps "
        "it.  The paper finds this best without labels.",
        BASE, {"no head": (dict(with_head=False), HELPS),
               "kept": (dict(keep_head=True), HELPS)}),
    Ablation(
        "the mean of all tokens",
        "The masked LM has no loss at [CLS], so its state must be learned from the beginning, in "
        "few steps.  A maximum over tokens is noisier than a mean.",
        BASE, {"[CLS]": (dict(pool=cls), HELPS),
               "max": (dict(pool=max_), HELPS)}),
    Ablation(
        "64 sentences in a batch",
        "A larger batch has more negatives; in the paper it hardly matters from 64 on.  A world of "
        "few words has many near duplicates, which a large batch uses as negatives.",
        BASE, {"16": (dict(batch_size=16), HELPS),
               "16, as many sentences": (dict(batch_size=16, steps=4 * SIMCSE["steps"]),
                                         NOT_SIGNIFICANT),
               "256": (dict(batch_size=256), NOT_SIGNIFICANT)}),
    Ablation(
        "labels: positives and hard negatives",
        "Two dropout masks cannot teach that a sailor is a seaman; queries with relevant reports "
        "can.  A report that is wrong in one slot forces the model to use all three slots.",
        LABELLED, {"positives alone": (dict(views=positives), HELPS),
                   "no labels": (dict(views=same_text), HELPS)}),
    Ablation(
        "labels: the head for training only",
        "With labels the paper keeps the head, which has learned the task that is evaluated.",
        LABELLED, {"kept": (dict(keep_head=True), HURTS)}),
]
OTHERS = ("STS", "alignment", "uniformity")        # measured besides nDCG@10


def trained(settings: dict, encoder: Encoder) -> Encode:
    """The encoder of texts that SimCSE trains with settings such as BASE."""
    rest = dict(settings)
    views, keep_head = rest.pop("views"), rest.pop("keep_head")
    model = train_simcse(encoder, views(encoder), **rest).model
    return encode_by(encoder, model, rest["pool"], keep_head)


def without_simcse(encoder: Encoder) -> Encode:
    """The baseline: the masked LM before SimCSE, with mean pooling."""
    return encode_by(encoder, encoder.model)


def measures(encoder: Encoder, encode: Encode) -> np.ndarray:
    """nDCG@10, STS, alignment, uniformity.  -> (4,)"""
    return np.array(score(encoder, encode)[:4])

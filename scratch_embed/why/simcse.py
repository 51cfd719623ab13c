"""What is each part of SimCSE worth?  Remove one at a time, and measure.

Paper     Gao, Yao & Chen 2021, tables D.1 (tau), 3 (dropout), D.2 (pooling and head), section 4.2
          (hard negatives), appendix A (batch size).
Shapes    a score is four numbers: nDCG@10 and STS in %, alignment, uniformity (why/sentences.py)
Cost      a training takes some three seconds of one core; the masked LM of each seed ten.
Read next why/sentences.py (what is measured), why/ablations.py (the measuring)

All begin with the same masked LM of a seed and take the same number of steps.  The base pools the
mean, as sentence encoders mostly do; the paper's [CLS] is one of the alternatives.  The predictions
are what the paper leads one to expect, and those that failed stay.
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
from scratch_embed.worlds.facts import draw_facts, name_three, question, report
from scratch_embed.worlds.toy_mteb import change

SUPERVISED = 4000                  # pairs of a question and a report


# ---- views --------------------------------------------------------------------------------------

def same_text(encoder: Encoder) -> list[Packed]:
    """Every sentence of the text, its own partner."""
    return [unique_sentences(encoder.text)]


def positives(encoder: Encoder) -> list[Packed]:
    """Questions and reports that answer them, of facts drawn for this."""
    return with_hard_negatives(encoder)[:2]


def with_hard_negatives(encoder: Encoder) -> list[Packed]:
    """The same, and a report of the fact with one of the slots changed that were asked."""
    rng, taken = np.random.default_rng([encoder.seed, 4]), set(encoder.search.queries.values())
    rows = []
    for fact in draw_facts(SUPERVISED, encoder.prototypes, 0.25, rng):
        asked = name_three(fact, rng)
        wrong = change(fact, [int(rng.choice(list(asked)))], rng)
        rows.append((question(asked, rng), report(fact, rng), report(wrong, rng)))
    kept = [row for row in rows if row[0] not in taken]
    return [packed(encoder.tokenizer, [text.split() for text in view]) for view in zip(*kept)]


# ---- the tricks ---------------------------------------------------------------------------------

BASE = dict(SIMCSE, views=same_text, with_head=True, keep_head=False)
LABELLED = dict(BASE, views=with_hard_negatives)

ABLATIONS = [
    Ablation(
        "tau = 0.05",
        "0.01 looks at the hardest negatives alone and 1 at all alike; the paper's best lies "
        "between, at 0.05, and falls off to both sides.",
        BASE, {"0.01": (dict(tau=0.01), HELPS),
               "0.2": (dict(tau=0.2), HELPS),
               "1": (dict(tau=1.0), HELPS)}),
    Ablation(
        "dropout 0.1",
        "Without a mask both views are the same vector: nothing holds the meaning together "
        "while all is spread.  0.05 is nearly as good, 0.3 too rough.",
        BASE, {"none": (dict(dropout=0.0), HELPS),
               "0.05": (dict(dropout=0.05), NOT_SIGNIFICANT),
               "0.3": (dict(dropout=0.3), HELPS)}),
    Ablation(
        "a head, for training only",
        "The head may throw away what contrast has no use for, and what is below keeps it.  The "
        "paper finds it best so without labels.",
        BASE, {"no head": (dict(with_head=False), HELPS),
               "kept": (dict(keep_head=True), HELPS)}),
    Ablation(
        "the mean of all tokens",
        "The masked LM was never asked for a [CLS]: it must be learned anew, in few steps.  The "
        "largest number on each axis is rougher than a mean.",
        BASE, {"[CLS]": (dict(pool=cls), HELPS),
               "max": (dict(pool=max_), HELPS)}),
    Ablation(
        "64 sentences in a batch",
        "More others are more to be told from; in the paper it hardly matters from 64 on.  A "
        "world of few words has many near copies, which a large batch takes for negatives.",
        BASE, {"16": (dict(batch_size=16), HELPS),
               "16, as many sentences": (dict(batch_size=16, steps=4 * SIMCSE["steps"]),
                                         NOT_SIGNIFICANT),
               "256": (dict(batch_size=256), NOT_SIGNIFICANT)}),
    Ablation(
        "labels: answers and hard negatives",
        "Two masks cannot teach that a sailor is a seaman; questions with their answers do.  A "
        "report that is wrong in one slot asks for each of the three.",
        LABELLED, {"answers alone": (dict(views=positives), HELPS),
                   "no labels": (dict(views=same_text), HELPS)}),
    Ablation(
        "labels: the head for training only",
        "With labels the paper keeps the head: what it has learned is what is asked.",
        LABELLED, {"kept": (dict(keep_head=True), HURTS)}),
]
OTHERS = ("STS", "alignment", "uniformity")        # measured beside nDCG@10


def trained(settings: dict, encoder: Encoder) -> Encode:
    """The encoder of texts that SimCSE makes with settings such as BASE."""
    rest = dict(settings)
    views, keep_head = rest.pop("views"), rest.pop("keep_head")
    model = train_simcse(encoder, views(encoder), **rest).model
    return encode_by(encoder, model, rest["pool"], keep_head)


def without_simcse(encoder: Encoder) -> Encode:
    """The masked LM as it was, its mean."""
    return encode_by(encoder, encoder.model)


def measures(encoder: Encoder, encode: Encode) -> np.ndarray:
    """(4,) nDCG@10, STS, alignment, uniformity."""
    return np.array(score(encoder, encode)[:4])

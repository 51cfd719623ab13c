"""Ablations of the cross-encoder: its start, its negatives, the loss, the segments.

Papers    Nogueira & Cho 2019, "Passage Re-ranking with BERT" (binary cross-entropy); Gao, Dai &
          Callan 2021, "Rethink Training of BERT Rerankers in Multi-Stage Retrieval Pipeline"
          (softmax over a query's candidates, negatives from the search that is reranked).
Shapes    a score is three numbers: nDCG@10 in % of the bi-encoder's first 50, 10 and 100, reranked
Cost      a training takes about 45 seconds on one core
Read next why/who_did_what.py (the task and the base), why/ablations.py (how effects are measured)

The verdict is about depth 50; the other two depths are printed below it.  At depth 10 only the
order of ten documents can change, so the recall of the bi-encoder bounds the score.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params, join
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.cross_encoder_training import CLASSES, LABELS
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer import masked_lm
from scratch_embed.transformer.bert import head_tensors
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.contexts import masking
from scratch_embed.why.effects import HELPS, NOT_SIGNIFICANT
from scratch_embed.why.who_did_what import (
    CROSS_ENCODER,
    Task,
    candidates,
    curve,
    draw_task,
    initial,
    train_bi,
    train_cross,
    with_matching,
)

SCORED = (50, 10, 100)             # depths; the first decides the verdict
OTHERS = tuple(f"depth {depth}" for depth in SCORED[1:])
MASKED_LM = dict(steps=800, batch_size=64, lr=3e-3)


class Experiment(NamedTuple):
    """A task and its bi-encoder, which finds the candidates of all variants."""

    task: Task
    bi: SentenceEncoder


def experiment(seed: int, **sizes) -> Experiment:
    """The Experiment of a seed.  sizes: of the task"""
    drawn = draw_task(seed, **sizes)
    return Experiment(drawn, train_bi(drawn))


# ---- starts -------------------------------------------------------------------------------------

def from_bi_encoder(given: Experiment) -> SentenceEncoder:
    """The bi-encoder's weights, with attention to similar tokens in the first layer."""
    return with_matching(given.bi, given.task.seed)


def bi_encoder_alone(given: Experiment) -> SentenceEncoder:
    """The bi-encoder's weights, all of them."""
    return given.bi


def from_scratch(given: Experiment) -> SentenceEncoder:
    """Initial weights, with attention to similar tokens in the first layer."""
    return with_matching(initial(given.task), given.task.seed)


def from_masked_lm(given: Experiment) -> SentenceEncoder:
    """A masked LM of the training texts, with attention to similar tokens in the first layer."""
    start, seed = initial(given.task), given.task.seed
    model = start.model
    heads = init_params({name: tensor for name, tensor in head_tensors(model.config).items()
                         if name.startswith("mlm.")}, seed)
    texts = [text for column in given.task.training[:2] for text in column]
    trained = masked_lm.train(
        start.tokenize(texts), model.config, masking(start.tokenizer), steps=MASKED_LM["steps"],
        batch_size=MASKED_LM["batch_size"], optim=Optim(MASKED_LM["lr"], weight_decay=0.0),
        dropout=0.0, options=RunOptions(seed=seed), p=join(model.p, heads)).model
    return with_matching(SentenceEncoder(start.tokenizer, trained.without_heads(), start.recipe),
                         seed)


def without_segments(given: Experiment) -> SentenceEncoder:
    """from_bi_encoder, but both texts of a pair have the same, constant segment embedding."""
    start = from_bi_encoder(given)
    types = "embed.types.weight"
    start.model.p[types][1:] = start.model.p[types][0]
    return SentenceEncoder(start.tokenizer, start.model.with_params(start.model.p.freeze([types])),
                           start.recipe)


# ---- the ablations ------------------------------------------------------------------------------

BASE = dict(CROSS_ENCODER, start=from_bi_encoder, loss=CLASSES,
            negatives=dict(group=2, mined=1, random=1))

ABLATIONS = [
    Ablation(
        "start: the bi-encoder, attention to similar tokens",
        "The bi-encoder knows which words mean the same; initial weights do not, and nor does a "
        "masked LM here, because the facts are drawn independently, so that all words of a slot "
        "have the same contexts.  Without this knowledge the cross-encoder stays near a random "
        "order.  The bi-encoder's own attention has never compared two texts, and learns it too "
        "slowly for these steps.",
        BASE, {"from scratch": (dict(start=from_scratch), HELPS),
               "masked LM": (dict(start=from_masked_lm), HELPS),
               "the bi-encoder alone": (dict(start=bi_encoder_alone), HELPS)}),
    Ablation(
        "negatives: two of the group, one mined, one random",
        "Random negatives lack a word of the query, so they do not teach word order.  In a group "
        "who and act always stay together, so its documents alone do not teach that the act "
        "matters: mined ones do.  Mined ones alone should be nearly as good as all.",
        BASE, {"four random": (dict(negatives=dict(group=0, mined=0, random=4)), HELPS),
               "two of the group, two random": (
                   dict(negatives=dict(group=2, mined=0, random=2)), HELPS),
               "four mined": (dict(negatives=dict(group=0, mined=4, random=0)), NOT_SIGNIFICANT)}),
    Ablation(
        "loss: cross-entropy over the candidates",
        "Both losses ask for the same; binary cross-entropy also asks for one scale of all queries "
        "and has one positive for four negatives, so it learns more slowly.",
        BASE, {"binary cross-entropy": (dict(loss=LABELS), HELPS)}),
    Ablation(
        "segments: the document's tokens have their own embedding",
        "[SEP] and the positions also tell where the document begins, and here all queries have "
        "the same length.",
        BASE, {"one segment": (dict(start=without_segments), NOT_SIGNIFICANT)}),
]


def trained(settings: dict, given: Experiment) -> CrossEncoder:
    """The cross-encoder that is trained with settings such as BASE."""
    rest = dict(settings)
    start: Callable = rest.pop("start")
    texts = candidates(given.task, given.bi, **rest.pop("negatives"))
    return train_cross(given.task, start(given), texts, **rest)


def measures(given: Experiment, cross: CrossEncoder) -> np.ndarray:
    """nDCG@10 in % at the depths SCORED.  -> (3,)"""
    points = curve(given.task, given.bi, cross, SCORED, timed=1)
    return np.array([points[depth].ndcg for depth in SCORED])

"""Ablations of E5's stage 2: hard negatives, margins, and a cross-encoder as teacher.

Papers    Wang et al. 2022 (E5); Karpukhin et al. 2020 (BM25 negatives); Xiong et al. 2021 (the
          model's own); Moreira et al. 2024 (margins).
Shapes    a score is two numbers in %: nDCG@10 and STS (why/sentences.py)
Cost      a training takes about two seconds on one core, a teacher ten
Read next sentences/hard_negatives.py, sentences/e5.py, why/learned.py (the bi-encoder),
          why/ablations.py (how effects are measured)

All variants of a seed start from the same bi-encoder (stage 1), which has been trained on pairs
alone, and train for as many steps on the same pairs.  Batches are small, because hard negatives are
for models whose batches have no hard ones by chance: of 128 reports, several are about the same
prototype as the query.

Known truth: which reports are right answers to a query.  Facts are copies of few prototypes, so
most queries have many right answers, and the pairs name one.  false_negatives() counts the others
among the negatives.
"""
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.distillation import distillation
from scratch_embed.nn.optim import Optim
from scratch_embed.retrieve.rerank import rerank
from scratch_embed.sentences import cross_encoder_training
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.cross_encoder_settings import identity
from scratch_embed.sentences.e5 import distilled_ranking, teacher_scores
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.hard_negatives import Mining, bm25, cosines, mine_hard_negatives
from scratch_embed.sentences.hard_negatives import at_random as draw_sample
from scratch_embed.sentences.objectives import distilled, ranking
from scratch_embed.sentences.recipe import Recipe
from scratch_embed.space.neighbours import nearest
from scratch_embed.training.session import RunOptions
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.contexts import untrained
from scratch_embed.why.effects import HELPS, NOT_SIGNIFICANT
from scratch_embed.why.learned import LABELLED, train_bi_encoder
from scratch_embed.why.searches import ndcg_percent, rank_all
from scratch_embed.why.sentences import Encode, Encoder, draw, score
from scratch_embed.worlds.facts import NOT_NAMED, values_named
from scratch_embed.worlds.training_pairs import Triplets, fact_triplets

STAGE_1 = dict(steps=40)                        # besides BI_ENCODER of why/learned.py
LONGER = dict(steps=100)                        # more, before the teacher's training
STAGE_2 = dict(steps=200, batch_size=16, lr=1e-3)
TEACHER = dict(steps=300, batch_size=32, lr=1e-3, dropout=0.0)
TAU = 0.05
FOR_PAIRS = dict(positions=48, types=2)         # of the transformer: the teacher reads two texts


class Start(NamedTuple):
    """A world, its triplets, the bi-encoder after stage 1, and a teacher."""

    encoder: Encoder
    triplets: Triplets             # with the hard negatives that the world draws
    first: SentenceEncoder
    teacher: CrossEncoder | None = None


def start(seed: int, documents: int = 2000, sentences: int = 12_000) -> Start:
    """Draw a world, and train stage 1 and the teacher."""
    encoder = draw(seed, documents, sentences)
    triplets = fact_triplets(encoder.world, LABELLED, seed)
    config = encoder.model.config._replace(**FOR_PAIRS)
    initial = SentenceEncoder(encoder.tokenizer, untrained(config, seed).without_heads(),
                              Recipe(max_seq_length=config.positions))
    made = Start(encoder, triplets, train_bi_encoder(encoder, initial, triplets[:2], **STAGE_1))
    return made._replace(teacher=train_teacher(made))


def train_teacher(start: Start) -> CrossEncoder:
    """A cross-encoder, trained to find the positive among the world's hard negative and 3 others.

    It is warm-started from a bi-encoder that has been trained for longer than stage 1.
    """
    longer = train_bi_encoder(start.encoder, start.first, start.triplets[:2], **LONGER)
    before = CrossEncoder.warm_start(longer, seed=start.encoder.seed)
    texts = [*at_random(start, Mining(3)), start.triplets.negatives]
    pairs = [(query, text) for query, *candidates in zip(*texts) for text in candidates]
    return cross_encoder_training.train(
        before.tokenize(pairs), np.zeros(len(start.triplets.queries), np.int64), before,
        cross_encoder_training.CLASSES, TEACHER["steps"], TEACHER["batch_size"],
        Optim(TEACHER["lr"], weight_decay=0.0), TEACHER["dropout"],
        RunOptions(seed=start.encoder.seed)).encoder


# ---- the texts of stage 2: [queries, positives, negatives ...] -----------------------------------

Texts = list[list[str]]


def in_batch(start: Start, mining: Mining) -> Texts:
    """No negatives but the other positives of the batch."""
    return list(start.triplets[:2])


def at_random(start: Start, mining: Mining) -> Texts:
    """Positives of other pairs: those that come so many pairs later, a random number."""
    rng, positives = np.random.default_rng([start.encoder.seed, 14]), start.triplets.positives
    later = 1 + rng.permutation(len(positives) - 1)[:mining.num_negatives]
    return [*start.triplets[:2], *(positives[n:] + positives[:n] for n in later)]


def wrong_in_one_slot(start: Start, mining: Mining) -> Texts:
    """The world's hard negatives: wrong in one of the three slots of the query."""
    return list(start.triplets)


def by_bm25(start: Start, mining: Mining) -> Texts:
    """Found with BM25 among all positives."""
    return mine_hard_negatives(*start.triplets[:2], bm25(), mining=mining).tuples()


def by_model(start: Start, mining: Mining) -> Texts:
    """Found with the bi-encoder among all positives."""
    return mine_hard_negatives(*start.triplets[:2], cosines(start.first.encode), mining=mining
                               ).tuples()


def sampled_by_model(start: Start, mining: Mining) -> Texts:
    """Found with the bi-encoder: a random sample of the range of ranks."""
    return by_model(start, mining._replace(sampling_strategy=draw_sample(start.encoder.seed)))


def false_negatives(texts: Texts) -> float:
    """The share of the negatives, in %, that are right answers: they match the whole query."""
    asked = values_named(texts[0])
    stated = np.stack([values_named(column) for column in texts[2:]])
    return 100 * float(((asked == stated) | (asked == NOT_NAMED)).all(axis=2).mean())


# ---- training -----------------------------------------------------------------------------------

BASE = dict(STAGE_2, negatives=by_model, mining=Mining(1, range_max=1000, relative_margin=0.2),
            objective=ranking(TAU), teacher=False)
NO_MARGIN = Mining(1)


def trained(settings: dict, start: Start) -> Encode:
    """The encoder of texts that stage 2 trains with settings such as BASE."""
    rest = dict(settings)
    texts = rest.pop("negatives")(start, rest.pop("mining"))
    targets = None
    if rest.pop("teacher"):
        logits = partial(start.teacher.predict, activation_fn=identity)
        targets = teacher_scores(logits, texts)
    return train_bi_encoder(start.encoder, start.first, texts, targets=targets, **rest).encode


def before(start: Start) -> Encode:
    """The baseline: stage 1 alone."""
    return start.first.encode


def measures(start: Start, encode: Encode) -> np.ndarray:
    """nDCG@10 and STS.  -> (2,)"""
    return np.array(score(start.encoder, encode)[:2])


def reranked(start: Start, depth: int = 50) -> np.ndarray:
    """nDCG@10 of the teacher, which reranks the best of stage 1, and no STS.  -> (2,)"""
    search = start.encoder.search
    queries, documents = (list(texts.values()) for texts in (search.queries, search.corpus))
    found, _ = nearest(*(start.first.encode(texts) for texts in (queries, documents)), depth)
    ids, scores = rerank(queries, documents, found, partial(start.teacher.predict,
                                                            activation_fn=identity), depth, 512)
    table = np.full((len(queries), len(documents)), -np.inf)
    np.put_along_axis(table, ids, scores, axis=1)
    return np.array([ndcg_percent(search, rank_all(search, table)), np.nan])


# ---- the ablations ------------------------------------------------------------------------------

SKIPPED = Mining(1, range_min=200)
NEGATIVES = {                      # name: how negatives are found, for the shares of false ones
    "random": (at_random, NO_MARGIN), "BM25": (by_bm25, NO_MARGIN),
    "the model, no margin": (by_model, NO_MARGIN),
    "margin 0.05": (by_model, BASE["mining"]._replace(relative_margin=0.05)),
    "margin 0.2": (by_model, BASE["mining"]),
    "margin 0.4": (by_model, BASE["mining"]._replace(relative_margin=0.4)),
    "no margin, 200 skipped": (by_model, SKIPPED)}
TAUGHT = dict(BASE, negatives=sampled_by_model, mining=Mining(6, range_max=400),
              objective=distilled_ranking(TAU), teacher=True)
INFONCE = dict(objective=ranking(TAU), teacher=False)

ABLATIONS = [
    Ablation(
        "a hard negative",
        "In a batch of 16, most reports are wrong in all slots of a query.  A report that the "
        "model ranks high, and that is wrong, has the largest share of the gradient.",
        BASE, {"none": (dict(negatives=in_batch), HELPS),
               "a random one": (dict(negatives=at_random), HELPS)}),
    Ablation(
        "one per pair",
        "The second and third are a little easier than the first, and every negative is one of all "
        "queries of the batch: a batch of 16 has 16 hard ones already.",
        BASE, {"3 per pair": (dict(mining=BASE["mining"]._replace(num_negatives=3)),
                              NOT_SIGNIFICANT),
               "7 per pair": (dict(mining=BASE["mining"]._replace(num_negatives=7)),
                              NOT_SIGNIFICANT)}),
    Ablation(
        "found by the model",
        "BM25 finds reports that have the query's words: many are right, and the model confuses "
        "others.  Those that the world draws are all wrong, in one slot, and as hard as any.",
        BASE, {"by BM25, no margin": (dict(negatives=by_bm25, mining=NO_MARGIN), HELPS),
               "wrong in one slot": (dict(negatives=wrong_in_one_slot), NOT_SIGNIFICANT)}),
    Ablation(
        "a margin of 0.2",
        "Without a margin, nearly all negatives are right answers that no pair names.  0.05, which "
        "NV-Retriever found best, leaves fewer, but in its data a query has fewer right answers.  "
        "If the first ranks are skipped, none is left either.",
        BASE, {"no margin": (dict(mining=NO_MARGIN), HELPS),
               "0.05": (dict(mining=NEGATIVES["margin 0.05"][1]), HELPS),
               "0.4": (dict(mining=NEGATIVES["margin 0.4"][1]), NOT_SIGNIFICANT),
               "no margin, 200 skipped": (dict(mining=SKIPPED), NOT_SIGNIFICANT)}),
    Ablation(
        "a teacher: KL + 0.2 InfoNCE",
        "Each query has 6 random candidates of the best 400.  A pair names one right answer; the "
        "teacher's scores also say which candidates are right, and which are nearly so.  Without "
        "InfoNCE, the student learns from the teacher alone, without labels.",
        TAUGHT, {"InfoNCE, same candidates": (INFONCE, HELPS),
                 "InfoNCE in the batch": (dict(INFONCE, negatives=in_batch), HELPS),
                 "KL, no InfoNCE": (dict(objective=distilled(distillation, TAU)), HELPS)}),
]
OTHERS = ("STS",)                  # measured besides nDCG@10

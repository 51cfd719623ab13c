"""How does contrastive learning train embedding models?  One part changed at a time, measured.

Paper     Wang & Isola 2020, "Understanding Contrastive Representation Learning through Alignment
          and Uniformity on the Hypersphere"; Wang & Liu 2021, "Understanding the Behaviour of
          Contrastive Loss"; Gao, Yao & Chen 2021 (SimCSE).
Equation  share of negative j in the push on query i:  exp(cos_ij/τ) / Σ_{k≠i} exp(cos_ik/τ)
          (losses/infonce.py)
Shapes    an Answer; a score of vectors is why/sentences.py's
Cost      eight trainings of a small transformer for each seed, a few seconds each
Read next losses/infonce.py (the loss and its gradient), sentences/sbert.py (the training),
          why/sbert.py (ablations)

All models start from the same initial weights and are measured on queries that are not in the
training pairs.  "Right answers" are known here, because the fact of every text is known: a report
that has every value that a query names.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.answers.answer import Answer, Claim, Paragraph, Table
from scratch_embed.answers.questions import CONTRASTIVE
from scratch_embed.losses.cosine_mse import cosine_mse
from scratch_embed.losses.infonce import cosine_logits
from scratch_embed.nn.softmax import softmax
from scratch_embed.sentences.objectives import objective, ranking
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.why.learned import BI_ENCODER, start, train_bi_encoder
from scratch_embed.why.sbert import by_truth
from scratch_embed.why.searches import lexical, ndcg_percent, sif
from scratch_embed.why.seeds import for_seeds, stack
from scratch_embed.why.sentences import Encode, Encoder, draw, encode_by, score, train_simcse
from scratch_embed.why.simcse_tour import word2vec_encode
from scratch_embed.worlds.facts import GAIN, states_all, values_named
from scratch_embed.worlds.training_pairs import fact_triplets

BM25, SIF, UNTRAINED = "BM25", "word2vec, SIF", "untrained"
MASKS, PAIRS = "two dropout masks", "pairs"
PULL, SHARP, FLAT = "no push", "tau 0.01", "tau 1"
FEW_STEPS, FEW_PAIRS = "batch 8, as many steps", "batch 8, as many pairs"
TRUE = "no false negatives"
TAU = BI_ENCODER["tau"]
SMALL = 8                          # pairs of a small batch
HARDEST = 10                       # negatives whose share of the push is printed
MEASURES = ("nDCG@10, %", "STS, %", "alignment", "uniformity", "mean cosine", "hardest 10, %")
NDCG, STS, ALIGNMENT, UNIFORMITY, COSINE, HARD = range(len(MEASURES))


class Cosines(NamedTuple):
    """Cosines of queries with right answers and with irrelevant reports, for each model."""

    right: dict[str, np.ndarray]
    wrong: dict[str, np.ndarray]


class Found(NamedTuple):
    """What is measured for a seed."""

    scores: dict[str, np.ndarray]  # {model: MEASURES}
    false_negatives: float         # right answers among the other keys of a query, in a batch
    batch: int                     # pairs of a batch
    cosines: Cosines


# ---- the answer ----------------------------------------------------------------------------------

def answer(seeds: Sequence[int], documents: int = CONTRASTIVE.documents,
           steps: int = CONTRASTIVE.steps, progress: bool = False) -> Answer:
    """Train by contrast, and with each part of it changed.  At least two seeds."""
    found = for_seeds(lambda seed: measure(seed, documents, steps), seeds, progress)
    rows, batch = stack([one.scores for one in found]), found[0].batch
    left = np.mean([one.false_negatives for one in found])
    about = (f"{documents:,} reports, and queries in other words.  Alignment: the mean squared "
             "distance of reports about the same fact; uniformity: how evenly all reports are "
             "spread; for both, lower is better.  'Two dropout masks' is SimCSE, without labels; "
             f"'pairs' is InfoNCE with tau {TAU} on {steps} batches of {batch} queries, each with "
             "a right answer.")
    changed = (f"'Pairs', with one part changed.  Hardest {HARDEST}: the share of the push on a "
               f"query that comes from its {HARDEST} nearest negatives in a batch of {batch}.")
    return Answer(CONTRASTIVE.text, seeds, [
        table(about, rows, (BM25, SIF, UNTRAINED, MASKS, PAIRS), (NDCG, STS, ALIGNMENT,
                                                                  UNIFORMITY)),
        table(changed, rows, (PAIRS, PULL, SHARP, FLAT, FEW_STEPS, FEW_PAIRS, TRUE),
              (NDCG, UNIFORMITY, COSINE, HARD))],
        paragraphs(rows, left, batch), found[0].cosines)


def table(title: str, rows: dict[str, np.ndarray], names: Sequence[str], columns: Sequence[int]
          ) -> Table:
    """The Table of some rows and some of the MEASURES."""
    return Table(title, tuple(MEASURES[column] for column in columns),
                 {name: rows[name][:, list(columns)] for name in names},
                 tuple(2 if column in (ALIGNMENT, UNIFORMITY, COSINE) else 1
                       for column in columns))


def paragraphs(rows: dict[str, np.ndarray], false_negatives: float, batch: int
               ) -> list[Paragraph]:
    """The answer in words.  rows: {model: (seeds, MEASURES)}; the others: see Found"""
    def above(clause, greater, less, measure=NDCG, digits=1):
        return Claim(clause, rows[greater][:, measure], rows[less][:, measure], digits)

    return [
        Paragraph(
            "A batch of N pairs is a classification: each query must choose its own answer among "
            "the N answers of the batch, and the scores are cosines divided by a temperature tau.  "
            "The gradient pulls a query towards its answer and pushes it away from the others, the "
            "negatives.",
            (above("training on pairs finds more than the same network untrained", PAIRS,
                   UNTRAINED),
             above("it finds more than BM25, which needs common words", PAIRS, BM25))),
        Paragraph(
            "Pull: texts that mean the same should be close (alignment).  Push: all texts should "
            "be far from each other (uniformity).  Each alone has a useless optimum; for the pull "
            "it is that all vectors are equal.",
            (above("without the push the vectors collapse: the mean cosine of two reports is "
                   "higher", PULL, PAIRS, COSINE, 2),
             above("with the push the search finds more", PAIRS, PULL))),
        Paragraph(
            "What counts as a pair decides what is learned.  Two dropout masks of one sentence "
            "(SimCSE) need no labels, but they cannot teach that a sailor is a seaman.",
            (above("SimCSE spreads the vectors: the untrained ones have a higher uniformity, "
                   "which is worse", UNTRAINED, MASKS, UNIFORMITY, 2),
             above("labelled pairs find more than dropout masks", PAIRS, MASKS))),
        Paragraph(
            "The push of a negative is proportional to exp(cosine/tau): a small tau concentrates "
            "it on the hardest negatives, those nearest to the query; a large one pushes all "
            "alike.",
            (above(f"the {HARDEST} hardest of {batch - 1} negatives have a larger share of the "
                   f"push at tau {TAU} than at tau 1, in %", PAIRS, FLAT, HARD),
             above(f"tau {TAU} finds more than tau 1", PAIRS, FLAT),
             above("it finds more than tau 0.01", PAIRS, SHARP))),
        Paragraph(
            f"The other answers of a batch are the negatives: {SMALL - 1} in a batch of {SMALL}, "
            f"{batch - 1} in a batch of {batch}.",
            (above(f"a batch of {batch} finds more than a batch of {SMALL} in as many steps",
                   PAIRS, FEW_STEPS),
             above("it finds more even if the small batches see as many pairs", PAIRS,
                   FEW_PAIRS))),
        Paragraph(
            f"Not every negative is wrong: here {false_negatives:.1f} of the {batch - 1} others "
            "are right answers too, and the loss pushes them away (false negatives).",
            (above("leaving them out of the loss finds more", TRUE, PAIRS),),
            "So remove at least duplicates from a batch (losses/false_negatives.py).")]


# ---- measure -------------------------------------------------------------------------------------

def measure(seed: int, documents: int, steps: int) -> Found:
    """Train and score every variant of one seed."""
    encoder = draw(seed, documents, 6 * documents)
    texts = fact_triplets(encoder.world, 2 * documents, seed)[:2]
    values = np.stack([values_named(view) for view in texts], axis=1)          # (N, 2, 5)
    N = min(int(BI_ENCODER["batch_size"]), len(values))
    before = start(encoder)

    def train(**changes):
        return train_bi_encoder(encoder, before, texts, **(dict(steps=steps) | changes)).encode

    models = {
        UNTRAINED: before.encode,
        MASKS: encode_by(encoder, train_simcse(encoder, steps=steps, batch_size=N).model),
        PAIRS: train(),
        PULL: train(objective=objective(cosine_mse), targets=np.ones(len(values), np.float32)),
        SHARP: train(tau=0.01), FLAT: train(tau=1.0),
        FEW_STEPS: train(batch_size=SMALL),
        FEW_PAIRS: train(batch_size=SMALL, steps=steps * N // SMALL),
        TRUE: train(objective=ranking(TAU, by_truth), targets=values)}
    queries, positives = (view[:N] for view in texts)
    taus = {SHARP: 0.01, FLAT: 1.0}
    scores = {name: np.array([*score(encoder, encode), 100 * push_of_hardest(
        encode(queries), encode(positives), taus.get(name, TAU))])
              for name, encode in models.items()}
    nothing = [np.nan] * len(MEASURES[1:])
    scores[BM25] = np.array([ndcg_percent(encoder.search, lexical(encoder.search)), *nothing])
    scores[SIF] = np.array([*score(encoder, word2vec_encode(encoder, sif)), np.nan])
    right = states_all(values[:N, 0], values[:N, 1]).sum() - N
    return Found(scores, right / N, N, cosines(encoder, {
        name: models[name] for name in (UNTRAINED, MASKS, PAIRS)}))


def push_of_hardest(q: np.ndarray, k: np.ndarray, tau: float, hardest: int = HARDEST) -> float:
    """The share of the push that comes from the most similar negatives, the mean over queries.

    q, k: (N, D), k[i] the positive of q[i].  The share would be hardest/(N − 1) if all were alike.
    """
    N = len(q)
    s, _ = cosine_logits(q, k, tau)
    negatives = s[~np.eye(N, dtype=bool)].reshape(N, N - 1)
    share = np.sort(softmax(negatives)[0], axis=1)[:, -hardest:]
    return float(share.sum(axis=1).mean())


def cosines(encoder: Encoder, models: dict[str, Encode]) -> Cosines:
    """The Cosines of each model, of all queries and reports."""
    gains, found = encoder.search.gains, Cosines({}, {})
    for name, encode in models.items():
        c = cosine_matrix(*(encode([*texts.values()])
                            for texts in (encoder.search.queries, encoder.search.corpus)))
        found.right[name], found.wrong[name] = c[gains == GAIN[-1]], c[gains == 0]
    return found

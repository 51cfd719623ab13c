"""Cross-encoder vs bi-encoder — when to use each?  Quality and cost, on who did what.

Papers    Reimers & Gurevych 2019 (Sentence-BERT); Nogueira & Cho 2019, "Passage Re-ranking with
          BERT".
Equation  passes of a transformer for Q queries and N documents:  bi-encoder Q + N,
          cross-encoder Q·N,  bi-encoder and then a cross-encoder on `depth` candidates
          Q + N + Q·depth
Shapes    an Answer; numbers are per seed, scores in %
Cost      for each seed a bi-encoder and a cross-encoder, half a minute
Read next sentences/cross_encoder.py, why/who_did_what.py (training and the curve),
          retrieve/rerank.py, worlds/bindings.py (the task)

The documents come in groups of three with the same words, so that only their order says who did
what.  That is the kind of task for which one vector per text is not enough.  Where word meanings
decide, as in answers/contrastive.py, a bi-encoder alone comes close to a perfect ranking.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.answers.answer import Answer, Claim, Paragraph, Table
from scratch_embed.answers.questions import CROSS_OR_BI
from scratch_embed.evaluate.ranking import ndcg
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.why.chunked_search import bm25
from scratch_embed.why.effects import paired_difference
from scratch_embed.why.searches import K
from scratch_embed.why.seeds import for_seeds, stack
from scratch_embed.why.who_did_what import (
    BI_ENCODER,
    GROUPS,
    Task,
    candidates,
    curve,
    draw_task,
    percent,
    ranking_of,
    train_bi,
    train_cross,
    with_matching,
)
from scratch_embed.worlds.bindings import synonyms_alone

DEPTHS = (3, 10, 20, 50, 100)      # candidates that are reranked, below the number of documents
BEST = 50
BI, BM25, SYNONYMS = "bi-encoder alone", "BM25", "synonyms without word order"
RECALL, NDCG, PASSES, MS = range(4)
COLUMNS = ("recall, %", "nDCG@10, %", "passes", "milliseconds")
TIMED = 10                         # queries that are timed, one by one
MANY = 1_000_000                   # documents of a larger collection


class Trained(NamedTuple):
    """The task of a seed and the models that are trained for it."""

    task: Task
    bi: SentenceEncoder
    cross: CrossEncoder


class Points(NamedTuple):
    """nDCG@10 in %, (seeds,), by the number of candidates; the last is all documents."""

    ndcg: dict[int, np.ndarray]
    baselines: dict[str, np.ndarray]       # {search: nDCG@10 in %}


# ---- measure -------------------------------------------------------------------------------------

def train(seed: int, documents: int, steps: int) -> Trained:
    """Train a bi-encoder, and from it a cross-encoder.

    documents: in groups of 3; steps: of the cross-encoder, those of the bi-encoder in proportion
    """
    groups = documents // 3
    task = draw_task(seed, groups, queries=groups,
                     training=GROUPS * documents // CROSS_OR_BI.documents)
    bi = train_bi(task, steps=max(1, BI_ENCODER["steps"] * steps // CROSS_OR_BI.steps))
    cross = train_cross(task, with_matching(bi, seed), candidates(task, bi), steps=steps)
    return Trained(task, bi, cross)


def measure(trained: Trained) -> dict[str, list[float]]:
    """{search: COLUMNS} by depth, and two searches without a transformer."""
    task, bi, cross = trained
    N = len(task.documents)
    points = curve(task, bi, cross, [*(depth for depth in DEPTHS if depth < N), N], TIMED)
    rows = {name_of(depth, N): list(point) for depth, point in points.items()}
    rows[name_of(N, N)][PASSES] = N                      # it needs no first search
    order = np.argsort(-bm25(task.queries, task.documents), axis=1, kind="stable")
    rows[BM25] = [np.nan, percent(ndcg(ranking_of(task, order), K)), 0, np.nan]
    rows[SYNONYMS] = [np.nan, 100 * synonyms_alone(task.world), np.nan, np.nan]
    return rows


def name_of(depth: int, documents: int) -> str:
    """What a depth is called in the table."""
    if depth == 0:
        return BI
    return f"cross-encoder on all {documents}" if depth == documents else f"reranked, top {depth}"


# ---- the answer ----------------------------------------------------------------------------------

def answer(seeds: Sequence[int], documents: int = CROSS_OR_BI.documents,
           steps: int = CROSS_OR_BI.steps, progress: bool = False) -> Answer:
    """Compare a bi-encoder, reranking at several depths, and a cross-encoder on all documents."""
    trained = for_seeds(lambda seed: train(seed, documents, steps), seeds, progress)
    rows = stack([measure(one) for one in trained])      # one at a time, for the milliseconds
    N = len(trained[0].task.documents)
    depths = [0, *(depth for depth in DEPTHS if depth < N), N]
    return Answer(CROSS_OR_BI.text, seeds, [table(rows, N, len(trained[0].task.queries))],
                  paragraphs(rows, N), Points(
                      {depth: rows[name_of(depth, N)][:, NDCG] for depth in depths},
                      {name: rows[name][:, NDCG] for name in (BM25, SYNONYMS)}))


def table(rows: dict[str, np.ndarray], N: int, Q: int) -> Table:
    """Quality and cost."""
    return Table(
        f"{N} documents in groups of three with the same words, and {Q} queries that name who did "
        "what to which thing.  Recall: of the candidates, and without reranking of the first 10; "
        "passes of a transformer and milliseconds are for one query, after the documents are "
        "encoded.  'Synonyms without word order': the most that a model can expect that knows all "
        "synonyms but ignores the order of words.",
        COLUMNS, {name: rows[name] for name in (BM25, SYNONYMS, *rows)}, (1, 1, 0, 1))


def paragraphs(rows: dict[str, np.ndarray], N: int) -> list[Paragraph]:
    """The answer in words.  rows: {search: (seeds, COLUMNS)}"""
    everything, best = name_of(N, N), name_of(min(BEST, N), N)

    def above(clause, greater, less, column=NDCG):
        return Claim(clause, rows[greater][:, column], rows[less][:, column])

    ms = {name: rows[name][:, MS].mean() for name in (BI, best, everything)}
    per_pass = ms[everything] / N
    beyond = paired_difference(rows[everything][:, NDCG], rows[best][:, NDCG])
    return [
        Paragraph(
            "A bi-encoder makes one vector for each text.  Documents are encoded once, in advance; "
            "a query costs one pass and a matrix product.  A cross-encoder reads query and "
            "document together, so that words of both attend to each other, but it needs a pass "
            "for every pair.",
            (above(f"a cross-encoder that reranks the bi-encoder's first {min(BEST, N)} candidates "
                   "raises nDCG@10", best, BI),
             above("it ranks better than synonyms without word order could", best, SYNONYMS))),
        Paragraph(
            f"The price is passes: for a query 1 by the bi-encoder, {min(BEST, N) + 1} with "
            f"reranking, {N} by a cross-encoder on all documents; for Q queries and N documents "
            "Q + N against Q·N.  Measured on this machine, a query takes "
            f"{ms[BI]:.1f}, {ms[best]:.1f} and {ms[everything]:.1f} ms.  For {MANY:,} documents it "
            f"would take {MANY * per_pass / 1000:,.0f} s by the cross-encoder alone, at "
            f"{per_pass:.2f} ms a pass; reranking stays at {min(BEST, N)} passes, however many "
            "documents there are."),
        Paragraph(
            "The depth matters, because reranking cannot find what the first search has missed.  "
            f"From {min(BEST, N)} candidates to all {N} nDCG@10 changes by {beyond.mean:+.1f} ± "
            f"{beyond.half:.1f}.",
            (above(f"{min(BEST, N)} candidates are better than 3", best, name_of(3, N)),
             above("their recall is higher", best, name_of(3, N), RECALL)),
            "So choose the depth on a curve of quality against depth, until it is flat or too "
            "slow."),
        Paragraph(
            "When to use each?  A bi-encoder alone where the meaning of words decides and queries "
            "must be cheap, or where vectors are needed for other ends: clusters, duplicates.  A "
            "cross-encoder alone for few pairs, such as a hundred candidates or labelled pairs of "
            "texts.  Both, a bi-encoder's candidates reranked, for a search in which relations "
            "between words decide.")]

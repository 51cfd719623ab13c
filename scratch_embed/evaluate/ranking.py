"""Ranking measures: precision, recall, hit rate, MRR, MAP and nDCG, as computed by trec_eval.

Paper     Järvelin & Kekäläinen 2002, "Cumulated Gain-Based Evaluation of IR Techniques" (nDCG);
          Burges et al. 2005, "Learning to Rank using Gradient Descent" (the gain 2^g − 1);
          Voorhees 1999, "The TREC-8 Question Answering Track Report" (MRR); Buckley & Voorhees
          2005, "Retrieval System Evaluation" (average precision).
Equation  for a query, g_i is the gain of the document at rank i, rel_i = 1 if g_i ≥ level, else 0,
          and R = Σ rel over all documents with a judgement:
          P@k       Σ_{i≤k} rel_i / k            Hit@k   1 if any rel_i is 1, i ≤ k, else 0
          Recall@k  Σ_{i≤k} rel_i / R            RR@k    1 / (the first i ≤ k with rel_i = 1), or 0
          AP@k      Σ_{i≤k} rel_i P@i / R        DCG@k   Σ_{i≤k} gain(g_i) / log₂(i + 1)
          nDCG@k    DCG@k / (DCG@k of all documents with a judgement, largest gain first)
          MRR and MAP are the means of RR and AP over the queries.
Shapes    qrels {query: {document: gain}}, run {query: {document: score}}; as arrays, one row
          per query: gains (Q, K) of its K results, judged (Q, M) of its M judged documents -> (Q,)
          numbers from 0 to 1
Cost      O(n log n) for n documents of a query, in Python's own sort; the measures are a few
          array operations, so there is no kernel
Differs   Scores are compared as float64, as in trec_eval 10.  trec_eval 9 (and pytrec_eval, BEIR
          and MTEB, which use it) rounds scores to float32 first and so has more ties: evaluating
          in_float32(run) gives its numbers.  Gains need not be whole numbers.  A nan score is an
          error.  The paper's DCG does not discount the first two ranks; the formula above is
          trec_eval's.
Read next evaluate/significance.py (is a difference significant?), evaluate/trec.py (the files)

Special cases.  A document without a judgement has gain 0; a negative gain counts as 0.  A list
shorter than k is filled up with irrelevant documents: P@k still divides by k, and AP@k by R, not by
min(k, R).  A query without a relevant document (for nDCG: without a positive gain) scores 0.

Ties.  Documents of equal score are ordered by name, the LAST in the alphabet first ("9" before
"10"), as in trec_eval.  A name tells nothing about relevance, while the order of the input often
does.  Candidates are usually listed with the relevant ones first; if ties kept that order, as in
BEIR's and MTEB's own MRR, a system that scores everything 0 would have MRR 1.

Which queries count?  By default all with a judgement; a query that is not in the run scores 0, as
in trec_eval -c.  With complete=False only queries in both qrels and run count, as in trec_eval
without -c, pytrec_eval, BEIR and MTEB.  This is meant for runs on a part of the queries, but it
also rewards a system that returns nothing for the difficult ones.
"""
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.memory import require_memory

Qrels = Mapping[str, Mapping[str, float]]
Run = Mapping[str, Mapping[str, float]]


class Ranking(NamedTuple):
    """What a measure needs: the gains of a ranking, one row per query, padded with 0."""

    gains: np.ndarray              # (Q, K), of the documents returned, best first
    judged: np.ndarray             # (Q, M), of all documents with a judgement, largest gain first


Measure = Callable[[Ranking], np.ndarray]


class Evaluation(NamedTuple):
    """The value of each measure for each query."""

    queries: list[str]
    scores: dict[str, np.ndarray]  # (Q,) each, in the order of queries

    @property
    def mean(self) -> dict[str, float]:
        """{measure: its mean over the queries}, summed exactly, so their order changes no digit."""
        return {name: math.fsum(values) / len(values) for name, values in self.scores.items()}


# ---- the measures -----------------------------------------------------------------------------

def precision(ranking: Ranking, k: int, level: float = 1) -> np.ndarray:
    """P@k: the share of the first k documents that are relevant.  -> (Q,)

    >>> ranking = rank_table([[0.9, 0.5, 0.1]], gains=[[0, 2, 1]], documents=["a", "b", "c"])
    >>> precision(ranking, k=2)                              # b, of a and b
    array([0.5])
    """
    return _relevant(ranking.gains, k, level).sum(axis=1) / k


def recall(ranking: Ranking, k: int, level: float = 1) -> np.ndarray:
    """Recall@k: the share of the relevant documents that are among the first k.  -> (Q,)

    >>> ranking = rank_table([[0.9, 0.5, 0.1]], gains=[[0, 2, 1]], documents=["a", "b", "c"])
    >>> recall(ranking, k=2)                                 # b, of b and c
    array([0.5])
    """
    return _ratio(_relevant(ranking.gains, k, level).sum(axis=1), _count_relevant(ranking, level))


def hit_rate(ranking: Ranking, k: int, level: float = 1) -> np.ndarray:
    """Hit@k: 1 if one of the first k documents is relevant, else 0 (trec_eval: success).  -> (Q,)

    >>> ranking = rank_table([[0.9, 0.5, 0.1]], gains=[[0, 2, 1]], documents=["a", "b", "c"])
    >>> hit_rate(ranking, k=1), hit_rate(ranking, k=2)
    (array([0.]), array([1.]))
    """
    return _relevant(ranking.gains, k, level).any(axis=1).astype(np.float64)


def reciprocal_rank(ranking: Ranking, k: int | None = None, level: float = 1) -> np.ndarray:
    """RR@k: 1 / the rank of the first relevant document, 0 if its rank is above k.  -> (Q,)

    >>> ranking = rank_table([[0.9, 0.5, 0.1]], gains=[[0, 2, 1]], documents=["a", "b", "c"])
    >>> reciprocal_rank(ranking)                             # b, at rank 2
    array([0.5])
    """
    relevant = _relevant(ranking.gains, k, level)
    before = (np.cumsum(relevant, axis=1) == 0).sum(axis=1)    # ranks before the first relevant
    return relevant.any(axis=1) / (1 + before)


def average_precision(ranking: Ranking, k: int | None = None, level: float = 1) -> np.ndarray:
    """AP@k: the sum of P@rank over the relevant documents among the first k, over R.  -> (Q,)

    >>> ranking = rank_table([[0.9, 0.5, 0.1]], gains=[[0, 2, 1]], documents=["a", "b", "c"])
    >>> average_precision(ranking)                           # (1/2 + 2/3) / 2
    array([0.58333333])
    """
    relevant = _relevant(ranking.gains, k, level)
    precisions = np.cumsum(relevant, axis=1) / np.arange(1, relevant.shape[1] + 1)
    return _ratio(_sum(relevant * precisions), _count_relevant(ranking, level))


def linear(gains: np.ndarray) -> np.ndarray:
    """The gain g itself, as in the paper and trec_eval."""
    return gains


def exponential(gains: np.ndarray) -> np.ndarray:
    """The gain 2^g − 1, which favours the best documents.  Equal to linear() for gains 0 and 1."""
    if (gains > 1000).any():
        raise ValueError(f"gains: expected at most 1000, got {gains.max():.6g}, whose 2^g can "
                         "overflow; use linear gains")
    return np.exp2(gains) - 1


def ndcg(ranking: Ranking, k: int | None = None,
         gain: Callable[[np.ndarray], np.ndarray] = linear) -> np.ndarray:
    """nDCG@k: the DCG@k, divided by the DCG@k of the ideal ranking.  -> (Q,)

    All gains count, also those below the `level` of the other measures.

    >>> ranking = rank_table([[0.9, 0.5, 0.1]], gains=[[0, 2, 1]], documents=["a", "b", "c"])
    >>> ndcg(ranking).round(4)                               # (2/log2 3 + 1/2) / (2 + 1/log2 3)
    array([0.6697])
    """
    return _ratio(_dcg(gain(_first(ranking.gains, k))), _dcg(gain(_first(ranking.judged, k))))


def measures_at(*cutoffs: int, level: float = 1) -> dict[str, Measure]:
    """{"P@10": ..., "Recall@10": ..., "Hit@10", "MRR@10", "MAP@10", "nDCG@10"} for each cutoff."""
    return {f"{name}@{k}": measure for k in cutoffs for name, measure in {
        "P": partial(precision, k=k, level=level), "Recall": partial(recall, k=k, level=level),
        "Hit": partial(hit_rate, k=k, level=level),
        "MRR": partial(reciprocal_rank, k=k, level=level),
        "MAP": partial(average_precision, k=k, level=level), "nDCG": partial(ndcg, k=k)}.items()}


# ---- from names to gains ------------------------------------------------------------------------

def evaluate(qrels: Qrels, run: Run, measures: Mapping[str, Measure] | None = None,
             complete: bool = True) -> Evaluation:
    """Evaluate a run against relevance judgements.

    qrels      {query: {document: gain}}; a query without judgements does not count
    run        {query: {document: score}}; queries without judgements are left out
    measures   {name: function of a Ranking}; None: measures_at(10)
    complete   True: a judged query that is not in the run scores 0; False: it is left out
    Raises     ValueError for a nan score, a gain that is not finite, or no query in common.

    >>> qrels = {"q1": {"a": 1}, "q2": {"b": 2, "c": 1}}
    >>> run = {"q1": {"a": 0.9, "b": 0.1}, "q2": {"a": 0.8, "b": 0.7}}
    >>> judged = evaluate(qrels, run, measures_at(1))
    >>> judged.queries, judged.scores["P@1"].tolist(), judged.mean["P@1"]
    (['q1', 'q2'], [1.0, 0.0], 0.5)
    """
    queries = [query for query, judged in qrels.items() if judged and (complete or query in run)]
    if not any(query in run for query in queries):
        raise ValueError(f"run: expected queries of the qrels, {_first_names(qrels)}, "
                         f"got {_first_names(run)}; are they of the same collection?")
    judged = [{document: _gain(gain, query, document) for document, gain in qrels[query].items()}
              for query in queries]
    ranking = Ranking(
        _padded_table([[gains.get(document, 0.0) for document in order(run.get(query, {}))]
                       for query, gains in zip(queries, judged)]),
        _padded_table([sorted(gains.values(), reverse=True) for gains in judged]))
    measures = measures_at(10) if measures is None else measures
    return Evaluation(queries, {name: measure(ranking) for name, measure in measures.items()})


def order(scores: Mapping[str, float]) -> list[str]:
    """Sort documents by descending score, ties by descending name.  Raises ValueError for nan.

    >>> order({"a": 0.2, "b": 0.7, "c": 0.2})
    ['b', 'c', 'a']
    """
    if any(map(math.isnan, scores.values())):
        document = next(document for document, score in scores.items() if math.isnan(score))
        raise ValueError(f"document {document!r}: expected a score that can be ranked, got nan; "
                         "leave the document out, or correct the system")
    documents = sorted(scores, reverse=True)
    return sorted(documents, key=scores.__getitem__, reverse=True)     # stable, also in reverse


def rank_table(scores: np.ndarray, gains: np.ndarray, documents: Sequence[str]) -> Ranking:
    """A Ranking from arrays, if every query scores every document.  Pass it to a measure.

    scores, gains: (Q, N), documents: N different names, which decide the order of ties.

    >>> rank_table([[0.1, 0.9, 0.5]], gains=[[2, 0, 1]], documents=["a", "b", "c"])
    Ranking(gains=array([[0., 1., 2.]]), judged=array([[2., 1., 0.]]))
    """
    scores, gains = np.asarray(scores, np.float64), np.asarray(gains, np.float64)
    if scores.ndim != 2 or scores.shape != gains.shape or scores.shape[1] != len(documents):
        raise ValueError(f"expected scores and gains of shape (Q, {len(documents)}), a column for "
                         f"each document, got {scores.shape} and {gains.shape}")
    if len(set(documents)) != len(documents):
        raise ValueError("documents: expected different names, got one twice")
    if np.isnan(scores).any() or not np.isfinite(gains).all():
        raise ValueError("expected scores and finite gains, got nan or an infinite gain")
    by_name = np.array(sorted(range(len(documents)), key=documents.__getitem__, reverse=True), int)
    scores, gains = scores[:, by_name], np.maximum(gains[:, by_name], 0)
    return rank_ids(np.argsort(-scores, axis=1, kind="stable"), gains)


def rank_ids(ids: np.ndarray, gains: np.ndarray) -> Ranking:
    """A Ranking from the results of a search.

    ids: (Q, K), numbers of documents, best first; gains: (Q, N) of all documents, at least 0

    >>> rank_ids(np.array([[2, 0]]), gains=np.array([[1.0, 0.0, 2.0]]))
    Ranking(gains=array([[2., 1.]]), judged=array([[2., 1., 0.]]))
    """
    return Ranking(np.take_along_axis(gains, ids, axis=1), -np.sort(-gains, axis=1))


def in_float32(run: Run) -> dict[str, dict[str, float]]:
    """The run with its scores rounded to float32, as trec_eval 9 and pytrec_eval compare them."""
    with np.errstate(over="ignore"):               # too large a score becomes inf, as in trec_eval
        return {query: {document: float(np.float32(score)) for document, score in scores.items()}
                for query, scores in run.items()}


# ---- helpers ----------------------------------------------------------------------------------

def _first(gains, k):
    """The first k columns; all if k is None."""
    return gains[:, :None if k is None else require_whole("k", k, 1)]


def _relevant(gains, k, level):
    if not level > 0:
        raise ValueError(f"level: expected a positive number, got {level}; documents without a "
                         "judgement have gain 0 and must not count as relevant")
    return _first(gains, k) >= level


def _count_relevant(ranking, level):
    return _relevant(ranking.judged, None, level).sum(axis=1)


def _dcg(gains):
    return _sum(gains / np.log2(np.arange(2, gains.shape[1] + 2)))


def _sum(x):
    """Sum each row from left to right, so that zeros at the end change no digit.  (Q, K) -> (Q,)"""
    return np.cumsum(x, axis=1)[:, -1] if x.shape[1] else np.zeros(len(x))


def _ratio(part, whole):
    """part / whole, and 0 where whole is 0."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _gain(gain, query, document):
    if not math.isfinite(gain):
        raise ValueError(f"query {query!r}, document {document!r}: expected a finite gain, got "
                         f"{gain}")
    return max(float(gain), 0.0)


def _padded_table(rows):
    """Lists of different lengths as the rows of a table, padded with 0."""
    width = max(map(len, rows))
    require_memory(8 * len(rows) * width, f"a table of {len(rows):,} queries by {width:,} gains")
    table = np.zeros((len(rows), width))
    for row, gains in zip(table, rows):
        row[:len(gains)] = gains
    return table


def _first_names(queries: Iterable[str]) -> str:
    names = [repr(query) for query, _ in zip(queries, range(3))]
    return ", ".join(names) + (" ..." if len(names) == 3 else "") if names else "none"

"""Ablations of retrieval: the effect of removing each part of a search, one at a time.

Paper     Arora, Liang & Ma 2017 (SIF); Robertson & Zaragoza 2009 (BM25); Cormack, Clarke &
          Büttcher 2009 (RRF); Levy, Goldberg & Dagan 2015 (the window).
Shapes    a score is the mean nDCG@10 of 300 queries (of 600 for hybrids), in %
Cost      four training runs per seed besides the base's, each under a second; a search 0.1 s.
Read next why/searches.py (what is measured), why/effects.py (intervals), why/compression.py

A seed determines the world (worlds/facts.py) as well as the initial weights.  Reports are short, of
nearly equal length, and repeat no informative word, so of BM25's three ideas only IDF matters here;
the saturation of counts and the normalisation by length have almost no effect.
why/retrieval_tour.py has the baselines: random vectors, untrained vectors, chance and upper bound.
The predictions follow from the papers and from the construction of the world.  They were written
before the first measurement, and failed predictions are kept.
"""
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.ranking import Ranking, ndcg, rank_ids, reciprocal_rank
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.retrieve.hybrid import reciprocal_rank_fusion, weighted_sum
from scratch_embed.space.similarity import cosine_matrix, dot_matrix, euclidean_matrix
from scratch_embed.why.ablations import Ablation
from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT, paired_difference
from scratch_embed.why.searches import (
    DEPTH,
    K,
    Search,
    dense,
    embed,
    equal_weights,
    hybrid,
    lexical,
    rank_all,
    sif,
    word2vec_words,
    word_scores,
)
from scratch_embed.words.vectors import WordVectors
from scratch_embed.words.word2vec import initial_weights
from scratch_embed.worlds.bounds import chance_reciprocal_rank
from scratch_embed.worlds.long_documents import filler_sentence


def found(settings: dict, search: Search) -> Ranking:
    """Run the search settings["by"], a function of why/searches.py, with the other settings."""
    rest = dict(settings)
    return rest.pop("by")(search, **rest)


# ---- variants of a part --------------------------------------------------------------------------

def negative_distance(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """−‖a − b‖.  (Q, D), (N, D) -> (Q, N)."""
    return -euclidean_matrix(A, B)


def negative_distance_of_units(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """−‖a/‖a‖ − b/‖b‖‖ = −√(2 − 2 cos(a, b)).  (Q, D), (N, D) -> (Q, N)."""
    return negative_distance(l2_normalize(A)[0], l2_normalize(B)[0])


def retrained(search: Search, **changes) -> WordVectors:
    """Word vectors of the same text, trained with other settings of word2vec."""
    return word2vec_words(search.vocab, search.text, search.seed, **changes)


def untrained(search: Search) -> WordVectors:
    """The initial word vectors of word2vec."""
    start = initial_weights(len(search.vocab), search.words.vectors.shape[1], search.seed)[0]
    return WordVectors(search.vocab.words, start)


def lengthen_half(search: Search) -> list[str]:
    """The documents, every second one followed by ten sentences of worlds/long_documents.py."""
    rng = np.random.default_rng(search.seed)
    return [" . ".join([text, *(filler_sentence(rng) for _ in range(10))]) if number % 2 else text
            for number, text in enumerate(search.corpus.values())]


def bm25_list(lists: list, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Instead of a fusion, the list of BM25."""
    return lists[0]


def vector_list(lists: list, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Instead of a fusion, the list of the vectors."""
    return lists[1]


def raw_sum(lists: list, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The sum of BM25 scores and cosines, without normalisation."""
    return weighted_sum(lists, [1, 1], k, normalise=np.asarray)


# ---- the ablations ------------------------------------------------------------------------------

VECTORS = dict(by=dense, compare=cosine_matrix, learn=None, weigh=sif, common=True,
               unit_words=False)
BM25 = dict(by=lexical, k1=1.2, b=0.75, documents=None)
HYBRID = dict(by=hybrid, fuse=reciprocal_rank_fusion, depth=DEPTH)

ABLATIONS = [
    Ablation(
        "vectors that are trained",
        "Untrained vectors of synonyms are unrelated, so only identical words match: two in nine.",
        VECTORS, {"untrained": (dict(learn=untrained), HELPS)}),
    Ablation(
        "SIF's weights, a = 0.001",
        "A third of all words are 'the' and the like, and carry no information; in an unweighted "
        "mean they dominate the others.  All words of the world are equally rare, so the exact a "
        "matters little.",
        VECTORS, {"all words weigh 1": (dict(weigh=equal_weights), HELPS),
                  "all 1, nothing removed": (dict(weigh=equal_weights, common=False), HELPS),
                  "a = 0.01": (dict(weigh=partial(sif, a=1e-2)), NOT_SIGNIFICANT),
                  "a = 0.0001": (dict(weigh=partial(sif, a=1e-4)), NOT_SIGNIFICANT)}),
    Ablation(
        "removal of the common direction",
        "The common direction raises every cosine and says nothing about the topic; removing it "
        "helps in the paper.",
        VECTORS, {"not removed": (dict(common=False), HELPS)}),
    Ablation(
        "cosine",
        "A dot product prefers vectors of large norm, Euclidean distance those of small norm; but "
        "the norm depends on how similar the words of a report are to each other, not on its "
        "relevance.  For vectors of norm 1 Euclidean distance gives the order of the cosine.",
        VECTORS, {"dot product": (dict(compare=dot_matrix), HELPS),
                  "dot, unit words": (dict(compare=dot_matrix, unit_words=True), HELPS),
                  "cosine, unit words": (dict(unit_words=True), NOT_SIGNIFICANT),
                  "Euclidean": (dict(compare=negative_distance), HELPS),
                  "Euclidean, at length 1": (dict(compare=negative_distance_of_units),
                                             NOT_SIGNIFICANT)}),
    Ablation(
        "a window of 10: the whole report",
        "Synonyms are recognised by the words of the other slots, which are some words away.",
        VECTORS, {"2": (dict(learn=partial(retrained, window=2)), HELPS),
                  "5": (dict(learn=partial(retrained, window=5)), NOT_SIGNIFICANT)}),
    Ablation(
        "64 dimensions",
        "The world has 20 prototypes and 5 slots of 8 values: 16 dimensions are too few for them, "
        "and 64 are enough.",
        VECTORS, {"16": (dict(learn=partial(retrained, dim=16)), HELPS),
                  "200": (dict(learn=partial(retrained, dim=200)), NOT_SIGNIFICANT)}),
    Ablation(
        "BM25: k1 = 1.2, b = 0.75",
        "k1 and b have no effect: no informative word occurs twice in a report, and the lengths of "
        "reports are nearly equal.",
        BM25, {"k1 = 0": (dict(k1=0), NOT_SIGNIFICANT),
               "k1 = 3": (dict(k1=3), NOT_SIGNIFICANT),
               "b = 0": (dict(b=0), NOT_SIGNIFICANT),
               "k1 = 0.9, b = 0.4": (dict(k1=0.9, b=0.4), NOT_SIGNIFICANT)}),
    Ablation(
        "BM25's b = 0.75, half of the reports in long documents",
        "A document that is long because it is also about other things gets a lower score, though "
        "it is as relevant: here b hurts.",
        dict(BM25, documents=lengthen_half), {"b = 0": (dict(b=0), HURTS),
                                                "b = 1": (dict(b=1), HELPS)}),
]

HYBRID_ABLATIONS = [
    Ablation(
        "RRF of BM25 and vectors, on codes and other queries",
        "BM25 finds the codes, vectors find the synonyms, and only the two together find both.",
        HYBRID, {"BM25 alone": (dict(fuse=bm25_list), HELPS),
                 "vectors alone": (dict(fuse=vector_list), HELPS)}),
    Ablation(
        "RRF's constant of 60",
        "The paper found 60 near the optimum, and the optimum flat: only extreme values are worse.",
        HYBRID, {"0": (dict(fuse=partial(reciprocal_rank_fusion, constant=0)), HELPS),
                 "10": (dict(fuse=partial(reciprocal_rank_fusion, constant=10)), NOT_SIGNIFICANT),
                 "1000": (dict(fuse=partial(reciprocal_rank_fusion, constant=1000)),
                          NOT_SIGNIFICANT)}),
    Ablation(
        "RRF: ranks, not scores",
        "In the paper ranks beat sums of scores whose weights were not tuned; and BM25's scores, "
        "being far larger than cosines, dominate them in a sum without normalisation.",
        HYBRID, {"min-max, half and half": (dict(fuse=partial(weighted_sum, weights=[1, 1])),
                                            HELPS),
                 "raw scores added": (dict(fuse=raw_sum), HELPS)}),
    Ablation(
        "RRF of the first 100 of each",
        "RRF favours documents that are in both lists; with ten of each hardly any document is.",
        HYBRID, {"of the first 10": (dict(depth=10), HELPS),
                 "of the first 1000": (dict(depth=1000), NOT_SIGNIFICANT)}),
]


# ---- ties ---------------------------------------------------------------------------------------

class Tied(NamedTuple):
    """(nDCG@10, MRR@10) in %, for three orders of the documents with equal scores."""

    shared: float                  # % of scores that another document of the query has too
    first: np.ndarray              # (2,) if the relevant documents are listed first
    last: np.ndarray               # (2,) if they are listed last
    by_id: np.ndarray              # (2,) if ties are ordered by document id


SCORERS = {
    "a constant": lambda search: np.zeros(search.gains.shape),
    "BM25": word_scores,
    "cosine, two decimals": lambda search: cosine_matrix(*embed(search)).round(2),
    "cosine, float32": lambda search: cosine_matrix(*embed(search)),
    "cosine, float64": lambda search: cosine_matrix(*(x.astype(np.float64)
                                                      for x in embed(search))),
}


def listed_by(scores: np.ndarray, gains: np.ndarray, tie_key: np.ndarray) -> Ranking:
    """The Ranking by descending score, where equal scores are ordered by descending tie_key.

    scores, gains, tie_key: (Q, N)
    """
    order = np.argsort(-tie_key, axis=1, kind="stable")
    scores, gains = (np.take_along_axis(x, order, axis=1) for x in (scores, gains))
    return rank_ids(np.argsort(-scores, axis=1, kind="stable"), gains)


def ties(search: Search, scorer: Callable[[Search], np.ndarray]) -> Tied:
    """Measure the effect of the order of equal scores.  scorer: a Search -> scores (Q, N)"""
    scores, gains = scorer(search), search.gains
    ascending = np.sort(scores, axis=1)
    same = ascending[:, 1:] == ascending[:, :-1]
    edge = np.zeros((len(scores), 1), bool)
    shared = (np.hstack([edge, same]) | np.hstack([same, edge])).mean()
    return Tied(100 * float(shared), *(
        np.array([100 * measure(ranking, K).mean() for measure in (ndcg, reciprocal_rank)])
        for ranking in (listed_by(scores, gains, gains), listed_by(scores, gains, -gains),
                        rank_all(search, scores))))


def chance_mrr(search: Search) -> float:
    """The expected MRR@10 of a random order, in %, exactly."""
    relevant = (search.gains > 0).sum(axis=1).tolist()
    return 100 * float(np.mean([chance_reciprocal_rank(R, search.gains.shape[1], K)
                                for R in relevant]))


CLAIMS = {
    "a constant has MRR 1 if the relevant documents are listed first, 0 if last":
        lambda found, chance: all(t.first[1] == 100 and t.last[1] == 0
                                  for t in found["a constant"]),
    "a constant with ties ordered by document id scores as chance":
        lambda found, chance: paired_difference([t.by_id[1] for t in found["a constant"]],
                                                chance).verdict == NOT_SIGNIFICANT,
    "the order of BM25's ties changes nDCG by more than 5 points":
        lambda found, chance: tie_effect(found["BM25"]) > 5,
    "the order of ties of cosines of two decimals changes nDCG by more than 5 points":
        lambda found, chance: tie_effect(found["cosine, two decimals"]) > 5,
    "the order of ties of float32 cosines changes nDCG by less than 1 point":
        lambda found, chance: tie_effect(found["cosine, float32"]) < 1,
    "float32 has more ties than float64":
        lambda found, chance: shared(found["cosine, float32"]) > shared(found["cosine, float64"]),
}


def tie_effect(found: list[Tied]) -> float:
    """The mean difference in nDCG between the best and the worst order of equal scores."""
    return float(np.mean([t.first[0] - t.last[0] for t in found]))


def shared(found: list[Tied]) -> float:
    """The mean % of tied scores."""
    return float(np.mean([t.shared for t in found]))

"""What is each part of a search worth?  Remove one at a time, and measure.

Paper     Arora, Liang & Ma 2017 (SIF); Robertson & Zaragoza 2009 (BM25); Cormack, Clarke &
          Büttcher 2009 (RRF); Bojanowski et al. 2017, section 5, on window and size.
Shapes    a score is the mean nDCG@10 of 300 questions (of 600 for hybrids), in %
Cost      three trainings more a seed than the base has, 1 s each; a search some tenths of one.
Read next why/searches.py (what is measured), why/effects.py (the intervals), why/compression.py

A seed is another world (worlds/facts.py) as well as other starting weights.  Reports are short, of
nearly equal length, and hardly repeat a word: two of BM25's three ideas have nothing to do there.
The predictions are what the papers lead one to expect and what the world's making says, written
down before the first measurement; those that failed stay.
"""
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.ranking import Ranking, ndcg, reciprocal_rank
from scratch_embed.retrieve.hybrid import reciprocal_rank_fusion, weighted_sum
from scratch_embed.space.similarity import (
    cosine_matrix,
    dot_matrix,
    euclidean_matrix,
    unit,
)
from scratch_embed.why.effects import HELPS, HURTS, UNCLEAR
from scratch_embed.why.searches import (
    K,
    Search,
    by_both,
    by_vectors,
    by_words,
    embed,
    judged,
    plain,
    sif,
    word2vec_words,
    word_scores,
)
from scratch_embed.why.tricks import Trick
from scratch_embed.words.vectors import WordVectors
from scratch_embed.words.word2vec import initial_weights
from scratch_embed.worlds.long_documents import nothing


def found(settings: dict, search: Search) -> Ranking:
    """What settings["by"], a function of why/searches.py, finds with all the other settings."""
    rest = dict(settings)
    return rest.pop("by")(search, **rest)


# ---- what may stand in the place of a part ------------------------------------------------------

def nearness(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """−‖a − b‖.  (Q, D), (N, D) -> (Q, N)."""
    return -euclidean_matrix(A, B)


def nearness_of_units(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """−‖a/‖a‖ − b/‖b‖‖ = −√(2 − 2 cos(a, b))."""
    return nearness(unit(A), unit(B))


def relearned(search: Search, **changes) -> WordVectors:
    """Word vectors of the same text with other settings of word2vec."""
    return word2vec_words(search.vocab, search.text, search.seed, **changes)


def untrained(search: Search) -> WordVectors:
    """What word2vec starts from."""
    start = initial_weights(len(search.vocab), search.words.vectors.shape[1], search.seed)[0]
    return WordVectors(search.vocab.words, start)


def half_lengthened(search: Search) -> list[str]:
    """The documents; ten sentences of nothing (worlds/long_documents.py) behind every second."""
    rng = np.random.default_rng(search.seed)
    return [" . ".join([text, *(nothing(rng) for _ in range(10))]) if number % 2 else text
            for number, text in enumerate(search.corpus.values())]


def raw_sum(lists: list, k: int) -> tuple[np.ndarray, np.ndarray]:
    """BM25's scores and cosines added as they are."""
    return weighted_sum(lists, [1, 1], k, normalise=np.asarray)


# ---- the tricks ---------------------------------------------------------------------------------

VECTORS = dict(by=by_vectors, compare=cosine_matrix, learn=None, weigh=sif, common=True,
               unit_words=False)
BM25 = dict(by=by_words, k1=1.2, b=0.75, documents=None)
HYBRID = dict(by=by_both, join=reciprocal_rank_fusion)

TRICKS = [
    Trick("vectors that are trained",
          "Untrained, synonyms are strangers: what is left are the words that both sides have, "
          "two in nine.",
          VECTORS, {"untrained": (dict(learn=untrained), HELPS)}),
    Trick("SIF's weights, a = 0.001",
          "A third of all words are 'the' and the like, and say nothing; in a plain mean they "
          "drown the others.  All words of the world are equally rare, so the exact a matters "
          "little.",
          VECTORS, {"all words weigh 1": (dict(weigh=plain), HELPS),
                    "all 1, nothing taken out": (dict(weigh=plain, common=False), HELPS),
                    "a = 0.01": (dict(weigh=partial(sif, a=1e-2)), UNCLEAR),
                    "a = 0.0001": (dict(weigh=partial(sif, a=1e-4)), UNCLEAR)}),
    Trick("the common direction taken out",
          "It lifts every cosine without a word about the topic: the paper gains by its removal.",
          VECTORS, {"left in": (dict(common=False), HELPS)}),
    Trick("cosine",
          "A dot product prefers long vectors, and length tells how many of a report's words "
          "agree, not whether they answer; so does Euclid's distance, which prefers short ones.  "
          "Of vectors of length 1 Euclid's distance has the cosine's order.",
          VECTORS, {"dot product": (dict(compare=dot_matrix), HELPS),
                    "dot, words at length 1": (dict(compare=dot_matrix, unit_words=True), HELPS),
                    "cosine, words at length 1": (dict(unit_words=True), UNCLEAR),
                    "Euclid": (dict(compare=nearness), HELPS),
                    "Euclid, at length 1": (dict(compare=nearness_of_units), UNCLEAR)}),
    Trick("a window of 10: the whole report",
          "Synonyms are known by the other slots' words, and those stand some words away.",
          VECTORS, {"2": (dict(learn=partial(relearned, window=2)), HELPS),
                    "5": (dict(learn=partial(relearned, window=5)), UNCLEAR)}),
    Trick("64 dimensions",
          "The world has 20 prototypes and 5 slots of 8 values: 16 dimensions are too few for "
          "them, and 64 enough.",
          VECTORS, {"16": (dict(learn=partial(relearned, dim=16)), HELPS),
                    "200": (dict(learn=partial(relearned, dim=200)), UNCLEAR)}),
    Trick("BM25: k1 = 1.2, b = 0.75",
          "Nothing: no word that matters stands twice in a report, and their lengths are nearly "
          "equal.",
          BM25, {"k1 = 0": (dict(k1=0), UNCLEAR),
                 "k1 = 3": (dict(k1=3), UNCLEAR),
                 "b = 0": (dict(b=0), UNCLEAR),
                 "k1 = 0.9, b = 0.4": (dict(k1=0.9, b=0.4), UNCLEAR)}),
    Trick("BM25's b = 0.75, half of the reports in long documents",
          "A document that is long because it speaks of other things too is marked down for it, "
          "though it answers as well: here b hurts.",
          dict(BM25, documents=half_lengthened), {"b = 0": (dict(b=0), HURTS),
                                                  "b = 1": (dict(b=1), HELPS)}),
]

HYBRIDS = [
    Trick("RRF of BM25 and vectors, on codes and questions",
          "BM25 finds the codes, vectors the other words, and only both together find both.",
          HYBRID, {"BM25 alone": (BM25, HELPS), "vectors alone": (VECTORS, HELPS)}),
    Trick("RRF's constant of 60",
          "The paper found it near the best, and the best flat: only the extremes are worse.",
          HYBRID, {"0": (dict(join=partial(reciprocal_rank_fusion, constant=0)), HELPS),
                   "10": (dict(join=partial(reciprocal_rank_fusion, constant=10)), UNCLEAR),
                   "1000": (dict(join=partial(reciprocal_rank_fusion, constant=1000)), UNCLEAR)}),
    Trick("RRF: places, not scores",
          "In the paper places beat sums of scores, whose weights nobody has tuned; and BM25's "
          "scores, being far larger than cosines, drown these where they are added raw.",
          HYBRID, {"min-max, half and half": (dict(join=partial(weighted_sum, weights=[1, 1])),
                                              HELPS),
                   "raw scores added": (dict(join=raw_sum), HELPS)}),
    Trick("RRF of the first 100 of each",
          "With ten of each hardly a document is in both lists, and to be in both is what counts.",
          HYBRID, {"of the first 10": (dict(listed=10), HELPS),
                   "of the first 1000": (dict(listed=1000), UNCLEAR)}),
]

"""Two searches are better than one: join ranked lists, by their places or by their scores.

Paper     Cormack, Clarke & Büttcher 2009, "Reciprocal Rank Fusion outperforms Condorcet and
          individual Rank Learning Methods".  Fox & Shaw 1994, "Combination of Multiple Searches"
          (CombSUM: the sum of scores).
Equation  RRF(d) = Σ_lists 1 / (60 + the place of d in the list), from 1 on
          sum(d) = Σ_lists weight · (s − min) / (max − min),  s the score of d in the list
          a list that lacks d adds 0
Shapes    each list ids (Q, k_i) and scores (Q, k_i), as retrieve/lists.py has them -> (Q, k)
Cost      O(n log n) a query for n entries of all its lists: no kernel.
Differs   in the paper all lists rank all documents; a search returns the first of them.
Read next retrieve/bm25.py and retrieve/index.py (words, and vectors), retrieve/rerank.py

BM25 finds the rare code that a vector blurs, a vector finds the synonym that BM25 cannot know.  But
their scores have nothing in common: one is a sum of logarithms, the other a cosine.  Places need no
unit, so RRF needs no tuning; 60 makes the first places nearly equal, and being in both lists worth
more than being first in one.  Places also forget by how much the first was better.  Scores, brought
to 0..1 within each list, remember it; their weights must be chosen, on other queries than those
that judge.  Min and max are of the documents that were returned, so they depend on how many that
were: the last of a list gets 0, as much as one that is not there.
"""
from collections.abc import Callable, Sequence

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.retrieve.lists import NO_ID, check_ids, stack, top_k_of_query

Lists = Sequence[tuple[np.ndarray, np.ndarray]]
LARGEST = np.iinfo(np.int64).max


def reciprocal_rank_fusion(lists: Lists, k: int, constant: float = 60
                           ) -> tuple[np.ndarray, np.ndarray]:
    """The k documents of highest RRF.  lists: (ids, scores) of each search -> ids, scores (Q, k).

    Scores are not looked at, only the order.  Raises ValueError for lists that do not fit.

    >>> words = np.array([[7, 3]]), np.array([[9.1, 2.5]])
    >>> vectors = np.array([[3, 4]]), np.array([[0.8, 0.7]])
    >>> ids, scores = reciprocal_rank_fusion([words, vectors], k=2)
    >>> ids.tolist(), scores.round(4).tolist()      # 1/62 + 1/61, and 1/61
    ([[3, 7]], [[0.0325, 0.0164]])
    """
    constant = require_number("constant", constant)
    votes = [1 / (constant + np.arange(1, ids.shape[1] + 1)) * np.ones((len(ids), 1))
             for ids, _ in _checked(lists)]
    return _sum_votes([ids for ids, _ in lists], votes, k)


def weighted_sum(lists: Lists, weights: Sequence[float], k: int,
                 normalise: Callable[[np.ndarray], np.ndarray] | None = None
                 ) -> tuple[np.ndarray, np.ndarray]:
    """The k documents whose weighted scores add up to most -> ids, scores (Q, k).

    lists      (ids, scores) of each search
    weights    one for each list, 0 or more
    normalise  of the scores of one list for one query, (n,) -> (n,); None: min_max.  np.asarray
               takes scores as they are: what a list lacks then still adds 0.
    Raises     ValueError for lists or weights that do not fit, or a score that is not finite.

    >>> words = np.array([[7, 3]]), np.array([[9.0, 2.0]])
    >>> vectors = np.array([[3, 4]]), np.array([[0.8, 0.6]])
    >>> ids, scores = weighted_sum([words, vectors], [0.25, 0.75], k=3)
    >>> ids.tolist(), scores.tolist()
    ([[3, 7, 4]], [[0.75, 0.25, 0.0]])
    """
    normalise = min_max if normalise is None else normalise
    weights = np.asarray(weights, np.float64)
    if weights.shape != (len(lists),) or not ((weights >= 0) & (weights < np.inf)).all():
        raise ValueError(f"expected {len(lists)} weights of 0 or more, one for each list, found "
                         f"{weights.tolist()}")
    votes = []
    for weight, (ids, scores) in zip(weights, _checked(lists)):
        vote = np.zeros(ids.shape)
        for row, found, values in zip(vote, ids != NO_ID, scores):
            if found.any():
                row[found] = weight * normalise(values[found])
        votes.append(vote)
    return _sum_votes([ids for ids, _ in lists], votes, k)


def min_max(scores: np.ndarray) -> np.ndarray:
    """(s − min) / (max − min), from 0 to 1; 1 for all if they are equal.  (n,) -> (n,)

    >>> min_max(np.array([1.0, 2.0, 5.0])).tolist()
    [0.0, 0.25, 1.0]
    """
    _, e = np.frexp(np.abs(scores).max())
    scores = np.ldexp(scores, -e)                  # a power of two: max − min cannot overflow
    low, high = scores.min(), scores.max()
    return np.ones(len(scores)) if low == high else (scores - low) / (high - low)


# ---- inside -----------------------------------------------------------------------------------

def _sum_votes(ids, votes, k):
    """Add up what the lists give each document, query by query."""
    ids, votes = np.concatenate(ids, axis=1), np.concatenate(votes, axis=1)
    k, rows = require_whole("k", k, 1), []
    for row, vote in zip(ids, votes):
        row, vote = row[row != NO_ID], vote[row != NO_ID]
        documents, which = np.unique(row, return_inverse=True)
        # summed from small to large: the same sum whichever list is named first, so ties are ties
        order = np.argsort(vote)
        rows.append(top_k_of_query(documents, np.bincount(which[order], vote[order], len(documents)), k))
    return stack(rows, k)


def _checked(lists):
    """The lists as arrays: ids without repeats, finite scores, the same queries in all."""
    if not lists:
        raise ValueError("expected at least one list")
    checked = [(check_ids(ids, LARGEST), np.asarray(scores, np.float64)) for ids, scores in lists]
    for ids, scores in checked:
        if ids.shape != scores.shape or len(ids) != len(checked[0][0]):
            raise ValueError(f"expected ids and scores of one shape, for {len(checked[0][0])} "
                             f"queries in every list, found {ids.shape} and {scores.shape}")
        if not np.isfinite(scores[ids != NO_ID]).all():
            raise ValueError("expected finite scores, found nan or inf")
    return checked

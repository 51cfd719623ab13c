"""Hybrid search: fuse ranked lists by rank (RRF) or by normalised score.

Paper     Cormack, Clarke & Büttcher 2009, "Reciprocal Rank Fusion outperforms Condorcet and
          individual Rank Learning Methods".  Fox & Shaw 1994, "Combination of Multiple Searches"
          (CombSUM: the sum of scores).
Equation  RRF(d) = Σ_lists 1 / (60 + rank of d in the list), ranks from 1
          sum(d) = Σ_lists weight · (s − min) / (max − min),  s the score of d in the list;
                   min and max are over the list.  In both, a list without d adds 0.
Shapes    each list ids (Q, k_i) and scores (Q, k_i), in the form of retrieve/lists.py -> (Q, k)
Cost      O(n log n) per query, for n entries in all its lists, so there is no kernel
Differs   in the paper every list ranks all documents; here a list has only the k_i best
Read next retrieve/bm25.py and retrieve/index.py (the two searches), retrieve/rerank.py

Why fuse?  BM25 finds a rare product code, which a dense vector hardly represents; a dense vector
finds a synonym, which BM25 cannot match.

Why ranks?  The two kinds of score are not comparable: one is a sum of idf weights, the other
a cosine.  Ranks have no scale, so RRF needs no tuning.  With 60 in the denominator the first ranks
count nearly the same, and a document at rank 61 or better in both lists scores more than a document
that is first in one list only.

Why scores, then?  Ranks do not show by how much the first document was better; scores that are
scaled to 0..1 within each list do.  But their weights must be chosen, on other queries than those
of the evaluation.  And min and max depend on k_i: the last document of a list gets 0, as if it were
not in the list.

Why 0.3 for the vectors?  With equal weights a document that only BM25 finds, by a rare word, loses
to documents that resemble the query a little.  With 0.3 little is lost where BM25 is right (queries
in the document's own words) and where the vectors are (queries in other words): change --weight in
`scratch-embed evaluate retrieval`, and see bench/retrieve/known_item.py.
"""
from collections.abc import Callable, Sequence

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.retrieve.lists import NO_ID, check_ids, stack, top_k_of_query

Lists = Sequence[tuple[np.ndarray, np.ndarray]]
DENSE_WEIGHT = 0.3                 # of the vectors, beside 0.7 of BM25
LARGEST = np.iinfo(np.int64).max                 # fused ids can be 0 .. LARGEST − 1


def reciprocal_rank_fusion(lists: Lists, k: int, constant: float = 60
                           ) -> tuple[np.ndarray, np.ndarray]:
    """The k documents with the highest RRF.  lists: (ids, scores) of each search -> (Q, k) each,
    with k at most the number of entries in a query's lists together.

    Only the order of a list counts, not its scores.  Raises ValueError if the lists differ in their
    number of queries, ids and scores in shape, a score is not finite, or an id is repeated.

    >>> words = np.array([[7, 3]]), np.array([[9.1, 2.5]])
    >>> vectors = np.array([[3, 4]]), np.array([[0.8, 0.7]])
    >>> ids, scores = reciprocal_rank_fusion([words, vectors], k=2)
    >>> ids.tolist(), scores.round(4).tolist()      # 3: 1/62 + 1/61; 7: 1/61
    ([[3, 7]], [[0.0325, 0.0164]])
    """
    constant = require_number("constant", constant)
    shares = [1 / (constant + np.arange(1, ids.shape[1] + 1)) * np.ones((len(ids), 1))
              for ids, _ in _checked_arrays(lists)]
    return _sum_contributions([ids for ids, _ in lists], shares, k)


def weighted_sum(lists: Lists, weights: Sequence[float], k: int,
                 normalise: Callable[[np.ndarray], np.ndarray] | None = None
                 ) -> tuple[np.ndarray, np.ndarray]:
    """The k documents with the highest weighted sum of normalised scores -> ids, scores (Q, k).

    lists      (ids, scores) of each search
    weights    one for each list, 0 or more
    normalise  applied to the scores of one list for one query, (n,) -> (n,); None: min_max.  Pass
               np.asarray to add the scores as they are.
    Raises     ValueError for lists or weights of the wrong shape, a score that is not finite, or
               a repeated id.

    >>> words = np.array([[7, 3]]), np.array([[9.0, 2.0]])
    >>> vectors = np.array([[3, 4]]), np.array([[0.8, 0.6]])
    >>> ids, scores = weighted_sum([words, vectors], [0.25, 0.75], k=3)
    >>> ids.tolist(), scores.tolist()
    ([[3, 7, 4]], [[0.75, 0.25, 0.0]])
    """
    normalise = min_max if normalise is None else normalise
    weights = np.asarray(weights, np.float64)
    if weights.shape != (len(lists),) or not ((weights >= 0) & (weights < np.inf)).all():
        raise ValueError(f"weights: expected {len(lists)} numbers of 0 or more, one for each list, "
                         f"got {weights.tolist()}")
    parts = []
    for weight, (ids, scores) in zip(weights, _checked_arrays(lists)):
        part = np.zeros(ids.shape)
        for row, found, values in zip(part, ids != NO_ID, scores):
            if found.any():
                row[found] = weight * normalise(values[found])
        parts.append(part)
    return _sum_contributions([ids for ids, _ in lists], parts, k)


def sum_of_scores(lists: Lists, k: int) -> tuple[np.ndarray, np.ndarray]:
    """weighted_sum of two lists: of dense search, with DENSE_WEIGHT, and of BM25, with the rest."""
    return weighted_sum(lists, [DENSE_WEIGHT, 1 - DENSE_WEIGHT], k)


def min_max(scores: np.ndarray) -> np.ndarray:
    """(s − min) / (max − min), from 0 to 1; if all scores are equal, 1.  (n,) -> (n,)

    >>> min_max(np.array([1.0, 2.0, 5.0])).tolist()
    [0.0, 0.25, 1.0]
    """
    _, e = np.frexp(np.abs(scores).max())
    scores = np.ldexp(scores, -e)                  # a power of two: max − min cannot overflow
    low, high = scores.min(), scores.max()
    return np.ones(len(scores)) if low == high else (scores - low) / (high - low)


# ---- helpers ----------------------------------------------------------------------------------

def _sum_contributions(ids, parts, k):
    """Add up the contributions of all lists to each document, query by query, and keep the k best.

    ids, parts: for each list (Q, k_i) -> ids (Q, k), sums (Q, k).
    """
    ids, parts = np.concatenate(ids, axis=1), np.concatenate(parts, axis=1)
    k, rows = min(require_whole("k", k, 1), ids.shape[1]), []
    for row, part in zip(ids, parts):
        row, part = row[row != NO_ID], part[row != NO_ID]
        documents, which = np.unique(row, return_inverse=True)
        # added in ascending order, so that the order of the lists cannot change a rounding or a tie
        order = np.argsort(part)
        sums = np.bincount(which[order], part[order], len(documents))
        rows.append(top_k_of_query(documents, sums, k))
    return stack(rows, k)


def _checked_arrays(lists):
    """The lists as arrays; ValueError for repeated ids, nan or inf, or unequal shapes."""
    if not lists:
        raise ValueError("lists: expected at least one, got none")
    checked = [(check_ids(ids, LARGEST), np.asarray(scores, np.float64)) for ids, scores in lists]
    for ids, scores in checked:
        if ids.shape != scores.shape or len(ids) != len(checked[0][0]):
            raise ValueError(f"lists: expected ids and scores of equal shape, for "
                             f"{len(checked[0][0])} queries in every list; got {ids.shape} and "
                             f"{scores.shape}")
        if not np.isfinite(scores[ids != NO_ID]).all():
            raise ValueError("lists: expected finite scores, got nan or inf")
    return checked

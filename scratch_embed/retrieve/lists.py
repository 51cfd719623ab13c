"""What a search returns: the ids of the k best and their scores, a row a query.

Shapes    ids (Q, k) int64, scores (Q, k) floats: best first, equal scores by rising id; where a
          list has ended its id is −1 and its score −inf
Cost      O(k log k) a query, or less: no kernel.
Read next retrieve/bm25.py makes such lists, retrieve/hybrid.py joins them, retrieve/rerank.py
          scores them anew; evaluate/ranking.py judges them, by the names that as_run gives them.

A list may end early: a search for words finds nothing more once every document that has one of
them is found.  To go on with the others, in whatever order, would say that they were found.
"""
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from scratch_embed.space.neighbours import top_k

NO_ID = -1                          # the id where a list has ended


def top_k_of_query(ids: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k highest of one query's scores.  ids: (n,) rising, scores: (n,) -> (k,), (k,)."""
    found = np.full(k, NO_ID, np.int64)
    values = np.full(k, -np.inf, np.result_type(scores, np.float32))
    if len(ids):
        places, highest = top_k(scores, k)                   # ties to the lowest place: lowest id
        found[:len(places)], values[:len(places)] = ids[places], highest
    return found, values


def stack(rows: Sequence[tuple[np.ndarray, np.ndarray]], k: int, dtype: DTypeLike = np.float64
          ) -> tuple[np.ndarray, np.ndarray]:
    """Lists of single queries as one pair of arrays, (Q, k) and (Q, k)."""
    ids, scores = np.empty((len(rows), k), np.int64), np.empty((len(rows), k), dtype)
    for row, (found, values) in enumerate(rows):
        ids[row], scores[row] = found, values
    return ids, scores


def as_run(ids: np.ndarray, scores: np.ndarray, queries: Sequence[str], documents: Sequence[str]
           ) -> dict[str, dict[str, float]]:
    """{query: {document: score}}.  ids, scores: (Q, k), names: Q and N of them.

    Raises ValueError for ids that are no list, or a name that stands for two queries.
    """
    ids, scores = check_ids(ids, len(documents)), np.asarray(scores)
    if ids.shape != scores.shape or len(ids) != len(queries):
        raise ValueError(f"expected a row for each of {len(queries)} queries, found ids of shape "
                         f"{ids.shape} and scores of shape {scores.shape}")
    if len(set(queries)) != len(queries) or len(set(documents)) != len(documents):
        raise ValueError("a name stands for two queries, or for two documents")
    return {query: {documents[i]: float(score) for i, score in zip(row, values) if i != NO_ID}
            for query, row, values in zip(queries, ids.tolist(), scores)}


def check_ids(ids: np.ndarray, N: int) -> np.ndarray:
    """ids as an array.  Raises ValueError unless (Q, k) integers, −1 or below N, none twice."""
    ids = np.asarray(ids)
    if ids.ndim != 2 or ids.dtype.kind not in "iu":
        raise ValueError(f"ids: expected integers of shape (Q, k), found {ids.dtype} of shape "
                         f"{ids.shape}")
    if ids.size and not NO_ID <= ids.min() <= ids.max() < N:
        raise ValueError(f"ids: expected numbers below {N}, or −1 where a list has ended, found "
                         f"{ids.min()} to {ids.max()}")
    in_order = np.sort(ids, axis=1)
    twice = ((in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] != NO_ID)).any(axis=1)
    if twice.any():
        raise ValueError(f"ids: row {twice.argmax()} holds a document twice")
    return ids

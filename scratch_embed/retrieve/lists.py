"""Ranked lists: for each query, the ids of the k best documents and their scores.

Shapes    ids (Q, k) int64, scores (Q, k) floats, one row per query: best first, ties by
          ascending id.  A row with fewer than k documents is filled up with id −1 and score −inf.
          If a search of M documents is called with k > M, it returns M columns.  In
          retrieve/index.py ids may also be str, and ties are ordered by row.
Cost      O(n + k log k) for the n scores of a query, if few are equal, so there is no kernel
Read next retrieve/bm25.py (returns such lists), retrieve/hybrid.py (fuses them),
          retrieve/rerank.py (scores them again), evaluate/ranking.py (evaluates a run, which as_run
          makes from them)

Why may a list have fewer than k documents?  BM25 finds only documents that contain a word of the
query.  If others were appended, in an arbitrary order, they would seem to have been found.
"""
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from scratch_embed.space.neighbours import top_k

NO_ID = -1                         # fills a row after its last document


def top_k_of_query(ids: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k highest scores of one query, filled up with NO_ID and −inf.

    ids: (n,) ascending, scores: (n,) -> ids (k,), scores (k,), best first, ties to the lowest id.
    """
    found = np.full(k, NO_ID, np.int64)
    values = np.full(k, -np.inf, np.result_type(scores, np.float32))
    if len(ids):
        order, highest = top_k(scores, k)
        found[:len(order)], values[:len(order)] = ids[order], highest
    return found, values


def stack(rows: Sequence[tuple[np.ndarray, np.ndarray]], k: int, dtype: DTypeLike = np.float64
          ) -> tuple[np.ndarray, np.ndarray]:
    """Stack the lists of Q queries, ids (k,) and scores (k,) each, into two arrays (Q, k)."""
    ids, scores = np.empty((len(rows), k), np.int64), np.empty((len(rows), k), dtype)
    for row, (found, values) in enumerate(rows):
        ids[row], scores[row] = found, values
    return ids, scores


def as_run(ids: np.ndarray, scores: np.ndarray, queries: Sequence[str], documents: Sequence[str]
           ) -> dict[str, dict[str, float]]:
    """Convert ranked lists to a run, {query: {document: score}}, for evaluate/ranking.py.

    ids, scores: (Q, k); queries: Q names; documents: N names; documents[i] has the id i.
    Raises ValueError for ids outside the documents, unequal shapes, or a repeated name.
    """
    ids, scores = check_ids(ids, len(documents)), np.asarray(scores)
    if ids.shape != scores.shape or len(ids) != len(queries):
        raise ValueError(f"expected a row for each of {len(queries)} queries, got ids of shape "
                         f"{ids.shape} and scores of shape {scores.shape}")
    if len(set(queries)) != len(queries) or len(set(documents)) != len(documents):
        raise ValueError("expected different names, got the same for two queries or documents")
    return {query: {documents[i]: float(score) for i, score in zip(row, values) if i != NO_ID}
            for query, row, values in zip(queries, ids.tolist(), scores)}


def check_ids(ids: np.ndarray, N: int) -> np.ndarray:
    """ids as an array.  ValueError unless (Q, k) integers in −1..N − 1, none twice but −1."""
    ids = np.asarray(ids)
    if ids.ndim != 2 or ids.dtype.kind not in "iu":
        raise ValueError(f"ids: expected integers of shape (Q, k), got {ids.dtype} of shape "
                         f"{ids.shape}")
    if ids.size and not NO_ID <= ids.min() <= ids.max() < N:
        raise ValueError(f"ids: expected 0..{N - 1}, or −1 after the last document, got "
                         f"{ids.min()}..{ids.max()}")
    ascending = np.sort(ids, axis=1)
    repeated = ((ascending[:, 1:] == ascending[:, :-1]) & (ascending[:, 1:] != NO_ID)).any(axis=1)
    if repeated.any():
        raise ValueError(f"ids: expected each document once in a row, got one twice in row "
                         f"{repeated.argmax()}")
    return ids

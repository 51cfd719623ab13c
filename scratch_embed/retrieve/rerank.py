"""Reranking: score the candidates of a fast search with a slower model that reads pairs.

Paper     Nogueira & Cho 2019, "Passage Re-ranking with BERT".
Equation  the k of a query's C candidates d with the largest score_pairs(q, d)
Shapes    candidates (Q, C) ids, in the form of retrieve/lists.py -> ids (Q, k), scores (Q, k)
Cost      Q·C passes of the model, one per pair; the rest is negligible, so no kernel.  A model that
          encodes queries and documents separately needs one pass per query, and one per document
          for all queries.
Differs   the scores of the first search are discarded; hybrid.weighted_sum can combine the two
          lists
Read next sentences/cross_encoder.py (the model), retrieve/hybrid.py, evaluate/ranking.py

Why two steps?  A cross-encoder reads query and document together, so it can compare them word by
word, which two separately computed vectors cannot.  But it is too slow to score every document, and
it cannot return what the first search has missed: the recall of the candidates is the upper bound
of its recall.  So evaluate both steps: Recall@C of the search, and nDCG of the result.

How deep?  `scratch-embed why rerank --seeds 3`, documents that differ only in who did what: nDCG@10
of the bi-encoder alone 35.3 % (36.0 is expected of a model that knows all synonyms, but no word
order); of its first 10, reranked, 63.8 (their recall is 57.5), of 20 92.2 (91.1), of 50 98.6 (100).
Each candidate is one more pass of a transformer, and from 50 to 100 nothing is gained.
"""
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.retrieve.lists import NO_ID, check_ids, stack, top_k_of_query

Query = TypeVar("Query")
Document = TypeVar("Document")
ScorePairs = Callable[[list[tuple[Query, Document]]], np.ndarray]


def rerank(queries: Sequence[Query], documents: Sequence[Document], candidates: np.ndarray,
           score_pairs: ScorePairs, k: int, batch_size: int = 32
           ) -> tuple[np.ndarray, np.ndarray]:
    """The k best of each query's candidates by score_pairs -> ids (Q, k), scores (Q, k).

    If k is more than C, there are C columns.

    queries      Q texts, or other values that score_pairs accepts; documents: N of them
    candidates   (Q, C) ids; −1 for no candidate.  Their order has no effect: ties go to the
                 lowest id.
    score_pairs  n pairs [(query, document), ...] -> n numbers; called with n ≤ batch_size
    Raises       ValueError for ids outside the documents or repeated, or for a score that is nan or
                 missing.
    """
    candidates, k = check_ids(candidates, len(documents)), require_whole("k", k, 1)
    k = min(k, candidates.shape[1])
    batch_size = require_whole("batch_size", batch_size, 1)
    if len(candidates) != len(queries):
        raise ValueError(f"candidates: expected {len(queries)} rows, one for each query, got shape "
                         f"{candidates.shape}")
    candidates = np.sort(candidates, axis=1)                 # ascending, for top_k_of_query
    pairs = ((queries[q], documents[i]) for q, row in enumerate(candidates.tolist())
             for i in row if i != NO_ID)
    scores = np.full(candidates.shape, -np.inf)
    scores[candidates != NO_ID] = list(_scores(pairs, score_pairs, batch_size))
    rows = [top_k_of_query(row[row != NO_ID], values[row != NO_ID], k)
            for row, values in zip(candidates, scores)]
    return stack(rows, k)


def _scores(pairs, score_pairs, batch_size) -> Iterator[float]:
    """The score of each pair, computed batch by batch."""
    while batch := list(islice(pairs, batch_size)):
        scores = np.asarray(score_pairs(batch), np.float64)
        if scores.shape != (len(batch),) or np.isnan(scores).any():
            raise ValueError(f"score_pairs: expected {len(batch)} numbers for as many pairs, got "
                             f"shape {scores.shape}"
                             + (" with nan" if np.isnan(scores).any() else ""))
        yield from scores

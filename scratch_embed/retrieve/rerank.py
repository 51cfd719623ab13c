"""Look again at the best: a slow judge of pairs puts the candidates of a fast search in order.

Paper     Nogueira & Cho 2019, "Passage Re-ranking with BERT".
Equation  the k of a query's C candidates d with the largest score_pairs(q, d)
Shapes    candidates (Q, C) ids, as retrieve/lists.py has them -> ids (Q, k), scores (Q, k)
Cost      Q · C pairs are scored, and that is nearly all of it: no kernel.  A model that encodes
          queries and documents apart makes Q + N passes, and the N only once.
Differs   the scores of the first search are forgotten; hybrid.weighted_sum can add them again.
Read next retrieve/hybrid.py, evaluate/ranking.py

A judge that reads query and document together sees what two vectors made apart cannot hold.  It
cannot be asked about every document, and it cannot find what the search before it has missed: the
recall of the candidates is the most that can be reached.  So judge both steps: Recall@C of the
search, and nDCG of the whole.
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
    """The k best of each query's candidates by score_pairs: ids, scores (Q, k).

    queries      Q of anything, texts or vectors; documents: N of them, as score_pairs takes them
    candidates   (Q, C) ids; −1 is none.  Their order is not seen: ties go to the lowest id.
    score_pairs  [(query, document), ...] -> as many numbers; called with batch_size or fewer pairs
    Raises       ValueError for candidates that are no list, or scores that are nan or too few.
    """
    candidates, k = check_ids(candidates, len(documents)), require_whole("k", k, 1)
    batch_size = require_whole("batch_size", batch_size, 1)
    if len(candidates) != len(queries):
        raise ValueError(f"expected candidates for {len(queries)} queries, a row each, found shape "
                         f"{candidates.shape}")
    candidates = np.sort(candidates, axis=1)                 # rising, as `best` takes them
    pairs = ((queries[q], documents[i]) for q, row in enumerate(candidates.tolist())
             for i in row if i != NO_ID)
    scores = np.full(candidates.shape, -np.inf)
    scores[candidates != NO_ID] = list(_scores(pairs, score_pairs, batch_size))
    rows = [top_k_of_query(row[row != NO_ID], values[row != NO_ID], k)
            for row, values in zip(candidates, scores)]
    return stack(rows, k)


def _scores(pairs, score_pairs, batch_size) -> Iterator[float]:
    """A number for each pair, a batch at a time."""
    while batch := list(islice(pairs, batch_size)):
        scores = np.asarray(score_pairs(batch), np.float64)
        if scores.shape != (len(batch),) or np.isnan(scores).any():
            raise ValueError(f"score_pairs: expected {len(batch)} numbers for as many pairs, found "
                             f"shape {scores.shape}"
                             + (" with nan" if np.isnan(scores).any() else ""))
        yield from scores

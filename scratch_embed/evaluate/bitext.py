"""Bitext mining: find each sentence's translation by nearest neighbour in the other language.

Paper     Artetxe & Schwenk 2019, "Margin-based Parallel Corpus Mining with Multilingual Sentence
          Embeddings", section 3 (the ratio); Muennighoff et al. 2022, "MTEB: Massive Text
          Embedding Benchmark", appendix (the protocol).
Equation  nearest(x) = argmax_y cos(x, y)
          margin(x, y) = cos(x, y) / ( Σ_{z ∈ NN_k(x)} cos(x, z)/2k + Σ_{z ∈ NN_k(y)} cos(y, z)/2k )
Shapes    A (N, D) of one language, B (M, D) of the other -> ids (N,) into B, scores (N,)
Cost      O(NMD): one matrix product, in blocks of bounded memory, or two for the margin.  BLAS
          computes them, so there is no kernel.
Protocol  MTEB's main score is the weighted F1 of nearest() over the N gold ids, in one direction
          only: from the first language to the second.  There is no threshold and no random draw.
Differs   ties go to the lowest id; torch's topk leaves them undefined.  The margin rescores
          the k nearest neighbours of each x (the paper's "forward" candidates); mteb has no margin.
Read next space/neighbours.py, evaluate/classes.py

Why F1 and not accuracy?  Each gold id y is a class with one true item: F1_y = 2 hit_y / (1 + the
number of x whose nearest is y).  A hub is a y that is nearest to many x: its F1 is low even if one
of these x is its translation.  If no y is nearest to two x, F1 equals the accuracy.

Why the margin?  A hub has a high cosine with many x.  The margin divides by the mean cosine of x
and of y with their nearest neighbours; for a hub this mean is high, so the margin is lower.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.classes import class_scores
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.neighbours import nearest
from scratch_embed.space.similarity import require_tables


class BitextScores(NamedTuple):
    """Means over the gold ids, weighted by their counts, all in [0, 1]; f1 is the main score."""
    f1: float
    precision: float
    recall: float
    accuracy: float


def mine(A: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of A (N, D), the row of B (M, D) with the highest cosine.

    -> ids (N,), cosines (N,).  Raises ValueError if B is empty.
    """
    A, B = _normalised(A, B)
    ids, cosines = nearest(A, B, 1)
    return ids[:, 0], cosines[:, 0]


def mine_by_margin(A: np.ndarray, B: np.ndarray, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """For each row of A, the row of B with the largest margin among its k nearest.

    A: (N, D), B: (M, D) -> ids (N,), margins (N,).  Ties go to the nearer row.  If M or N is less
    than k, all rows are neighbours.  A margin divides by a mean of cosines; if this mean is not
    positive, the margin is set to −inf.  If all k margins are −inf, the nearest row is returned.
    """
    A, B = _normalised(A, B)
    ids, cosines = nearest(A, B, k)                                      # (N, k)
    _, reverse_cosines = nearest(B, A, k)                                # (M, k)
    average = (cosines.mean(axis=1)[:, None] + reverse_cosines.mean(axis=1)[ids]) / 2
    margins = np.where(average > 0, cosines / np.where(average > 0, average, 1), -np.inf)
    best = margins.argmax(axis=1)[:, None]
    ids, margins = (np.take_along_axis(x, best, axis=1)[:, 0] for x in (ids, margins))
    return ids, margins


def bitext_scores(found: Sequence[int] | np.ndarray, gold: Sequence[int] | np.ndarray | None = None
                  ) -> BitextScores:
    """Compare the ids found with the gold ids.  found, gold: (N,); gold=None means 0 to N − 1."""
    scores = class_scores(np.arange(len(found)) if gold is None else gold, found)
    return BitextScores(scores.f1_weighted, scores.precision_weighted, scores.recall_weighted,
                        scores.accuracy)


def _normalised(A, B):
    A, B = np.asarray(A), np.asarray(B)
    require_tables(A, B)
    if not len(B):
        raise ValueError("B: expected at least one sentence, got none")
    return l2_normalize(A)[0], l2_normalize(B)[0]

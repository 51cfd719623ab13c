"""Bitext mining: is a sentence's translation its nearest neighbour in the other language?

Paper     Artetxe & Schwenk 2019, "Margin-based Parallel Corpus Mining with Multilingual Sentence
          Embeddings", section 3 (the ratio); Muennighoff et al. 2022, "MTEB: Massive Text
          Embedding Benchmark", appendix (the protocol).
Equation  nearest(x) = argmax_y cos(x, y)
          margin(x, y) = cos(x, y) / ( Σ_{z ∈ NN_k(x)} cos(x, z)/2k + Σ_{z ∈ NN_k(y)} cos(y, z)/2k )
Shapes    A (N, D) of one language, B (M, D) of the other -> ids (N,) into B, scores (N,)
Cost      O(NMD), a matrix product in blocks of bounded memory; the margin takes it twice:
          BLAS owns it.
Protocol  MTEB's main score is the weighted F1 of nearest() over the N gold ids, one direction only:
          from the first language to the second.  Nothing is drawn; no threshold is used.
Differs   ties go to the lowest id; torch's topk leaves them open.  The margin here rescores each
          x's own k neighbours (the paper's "forward" candidates); mteb has no margin.
Read next space/neighbours.py, evaluate/classes.py

F1 where each gold id is a class of its own: F1_y = 2 hit_y / (1 + number of x that chose y), so a
hub, a sentence that many choose, earns its one true partner little.  With no hub it is accuracy.

Hubs are why the margin helps: some y have a high cosine with everything.  The margin divides by
how near x and y are to their neighbours anyway, so that a hub must be nearer than usual.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.classes import class_scores
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.neighbours import nearest
from scratch_embed.space.similarity import require_tables


class BitextScores(NamedTuple):
    """Weighted by gold ids, all in [0, 1]; f1 is the one that is quoted."""
    f1: float
    precision: float
    recall: float
    accuracy: float


def mine(A: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The row of B with the highest cosine, for each row of A -> ids (N,), cosines (N,)."""
    A, B = _languages(A, B)
    ids, cosines = nearest(A, B, 1)
    return ids[:, 0], cosines[:, 0]


def mine_by_margin(A: np.ndarray, B: np.ndarray, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """The one with the largest margin among the k nearest -> ids (N,), margins (N,).

    Ties go to the nearer one.  Where M or N is less than k, all of them are neighbours.
    A margin divides by a mean of cosines, so it tells something only where these are positive:
    where that mean is not above 0 the margin is −inf, and the nearest one is returned.
    """
    A, B = _languages(A, B)
    ids, cosines = nearest(A, B, k)                                      # (N, k)
    _, back = nearest(B, A, k)                                           # (M, k)
    usual = (cosines.mean(axis=1)[:, None] + back.mean(axis=1)[ids]) / 2
    margins = np.where(usual > 0, cosines / np.where(usual > 0, usual, 1), -np.inf)
    best = margins.argmax(axis=1)[:, None]
    ids, margins = (np.take_along_axis(x, best, axis=1)[:, 0] for x in (ids, margins))
    return ids, margins


def bitext_scores(found: Sequence[int] | np.ndarray, gold: Sequence[int] | np.ndarray | None = None
                  ) -> BitextScores:
    """Judge the ids that were found.  found, gold: (N,); no gold: row i translates row i."""
    scores = class_scores(np.arange(len(found)) if gold is None else gold, found)
    return BitextScores(scores.f1_weighted, scores.precision_weighted, scores.recall_weighted,
                        scores.accuracy)


def _languages(A, B):
    A, B = np.asarray(A), np.asarray(B)
    require_tables(A, B)
    if not len(B):
        raise ValueError("expected sentences to choose from, found none in the second language")
    return l2_normalize(A)[0], l2_normalize(B)[0]

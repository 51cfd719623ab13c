"""Semantic textual similarity: are sentences close together where people call them alike?

Paper     Cer et al. 2017, "SemEval-2017 Task 1: Semantic Textual Similarity"; Reimers, Beyer &
          Gurevych 2016, "Task-Oriented Intrinsic Evaluation of Semantic Textual Similarity" (why
          Spearman); Muennighoff et al. 2022, "MTEB: Massive Text Embedding Benchmark", appendix.
Equation  ρ( sim(a_i, b_i), human score of pair i )      sim: cosine, a·b, −‖a − b‖₂ or −‖a − b‖₁
Shapes    A, B: (N, D), row i of A and of B are a pair; human: (N,) -> four pairs of correlations
Cost      O(ND), elementwise; no kernel.  Memory: a few float64 copies of the two tables.
Protocol  MTEB's main score is cosine.spearman.  Nothing is drawn, so it agrees with mteb up to the
          rounding of the similarities; mteb also reports the model's own similarity, which is
          one of these four for nearly every model, and has no dot product here.
Differs   similarities are computed in float64 whatever the vectors' type: mteb's are float32, where
          pairs that are nearly alike tie or change places.  A zero vector has cosine 0; scores
          need no normalising to [0, 1], since neither correlation sees scale or shift.
Read next evaluate/pairs.py (yes or no instead of 0 to 5), evaluate/summarisation.py

Pearson asks for a straight line between cosine and score, and a model may bend its cosines as it
likes: a temperature does.  So ρ is the score and r stands beside it.  On unit vectors all four
similarities put the pairs in one order, except Manhattan's: ‖a − b‖² = 2 − 2 a·b.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.correlation import pearson, spearman
from scratch_embed.space.similarity import cosine, dot, euclidean


class Similarities(NamedTuple):
    """Four answers to "how alike is pair i", each (N,); larger is more alike."""
    cosine: np.ndarray
    dot: np.ndarray
    euclidean: np.ndarray      # −‖a − b‖₂
    manhattan: np.ndarray      # −‖a − b‖₁


class Correlations(NamedTuple):
    """Agreement with people's scores, in [−1, 1]; nan where either side is constant."""
    spearman: float
    pearson: float


class STSScores(NamedTuple):
    """Correlations of each similarity; cosine.spearman is the one that is quoted."""
    cosine: Correlations
    dot: Correlations
    euclidean: Correlations
    manhattan: Correlations


def sts_scores(A: np.ndarray, B: np.ndarray, human: Sequence[float] | np.ndarray) -> STSScores:
    """Spearman and Pearson of the pairs' similarities and people's scores.

    A, B: (N, D), human: (N,).  Raises ValueError for unequal shapes or numbers, nan or inf.
    """
    found = similarities(A, B)
    if len(human) != len(found.cosine):
        raise ValueError(f"expected a human score for each of {len(found.cosine)} pairs, "
                         f"found {len(human)}")
    return STSScores(*(Correlations(spearman(s, human), pearson(s, human)) for s in found))


def similarities(A: np.ndarray, B: np.ndarray) -> Similarities:
    """Row i of A with row i of B, four ways, in float64.  A, B: (N, D) -> four times (N,)."""
    A, B = np.asarray(A, np.float64), np.asarray(B, np.float64)
    if A.ndim != 2 or A.shape != B.shape:
        raise ValueError(f"expected pairs row by row, two tables (N, D), found shapes "
                         f"{A.shape} and {B.shape}")
    for name, table in (("first", A), ("second", B)):
        broken = np.flatnonzero(~np.isfinite(table).all(axis=1))
        if len(broken):
            raise ValueError(f"expected finite vectors, found nan or inf in row {broken[0]} of "
                             f"the {name} table; leave such pairs out")
    return Similarities(cosine(A, B), dot(A, B), -euclidean(A, B), -np.abs(A - B).sum(axis=1))

"""Semantic textual similarity (STS): the correlation of sentence similarity with human scores.

Paper     Cer et al. 2017, "SemEval-2017 Task 1: Semantic Textual Similarity"; Reimers, Beyer &
          Gurevych 2016, "Task-Oriented Intrinsic Evaluation of Semantic Textual Similarity" (why
          Spearman); Muennighoff et al. 2022, "MTEB: Massive Text Embedding Benchmark", appendix.
Equation  ρ( sim(a_i, b_i), human score of pair i )      sim: cosine, a·b, −‖a − b‖₂ or −‖a − b‖₁
Shapes    A, B: (N, D), row i of A and row i of B are a pair; human: (N,) -> Spearman and
          Pearson for each of the four similarities
Cost      O(ND), elementwise; no kernel.  Memory: a few float64 copies of the two tables.
Protocol  MTEB's main score is cosine.spearman.  Nothing is random, so it agrees with mteb up to
          the rounding of the similarities.  mteb leaves out the dot product, and also reports the
          similarity that the model prescribes; for nearly every model this is one of the four.
Differs   similarities are computed in float64 for vectors of any type; mteb computes them in
          float32, where pairs of nearly equal similarity can tie or swap ranks.  The cosine with a
          zero vector is 0.  Scores need not be scaled to [0, 1]: neither correlation depends on
          scale or shift.
Read next evaluate/pairs.py (labels 0 and 1 instead of scores), evaluate/summarisation.py

Why Spearman?  Pearson's r measures how close cosine and score are to a straight line, but a model's
cosines may be any increasing function of similarity; its form depends on the temperature of the
loss.  So ρ is the main score, and r is reported with it.  For vectors of norm 1, all but Manhattan
distance rank the pairs alike, because ‖a − b‖² = 2 − 2 a·b.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.correlation import pearson, spearman
from scratch_embed.space.similarity import cosine, dot, euclidean


class Similarities(NamedTuple):
    """Four similarities of each pair, each (N,); larger is more similar."""
    cosine: np.ndarray
    dot: np.ndarray
    euclidean: np.ndarray      # −‖a − b‖₂
    manhattan: np.ndarray      # −‖a − b‖₁


class Correlations(NamedTuple):
    """Correlation with the human scores, in [−1, 1]; nan if either side is constant."""
    spearman: float
    pearson: float


class STSScores(NamedTuple):
    """The correlations of each similarity; cosine.spearman is MTEB's main score."""
    cosine: Correlations
    dot: Correlations
    euclidean: Correlations
    manhattan: Correlations


def sts_scores(A: np.ndarray, B: np.ndarray, human: Sequence[float] | np.ndarray) -> STSScores:
    """Spearman and Pearson correlation of the pairs' similarities with human scores.

    A, B: (N, D), human: (N,).  Raises ValueError for unequal shapes or lengths, nan or inf.
    """
    found = similarities(A, B)
    if len(human) != len(found.cosine):
        raise ValueError(f"human: expected a score for each of {len(found.cosine)} pairs, "
                         f"got {len(human)}")
    return STSScores(*(Correlations(spearman(s, human), pearson(s, human)) for s in found))


def similarities(A: np.ndarray, B: np.ndarray) -> Similarities:
    """Four similarities of row i of A and row i of B, in float64.  A, B: (N, D) -> (N,) each."""
    A, B = np.asarray(A, np.float64), np.asarray(B, np.float64)
    if A.ndim != 2 or A.shape != B.shape:
        raise ValueError(f"expected two tables (N, D) of equal shape, a pair in each row, got "
                         f"{A.shape} and {B.shape}")
    for name, table in (("first", A), ("second", B)):
        broken = np.flatnonzero(~np.isfinite(table).all(axis=1))
        if len(broken):
            raise ValueError(f"expected finite vectors, got nan or inf in row {broken[0]} of "
                             f"the {name} table; leave such pairs out")
    return Similarities(cosine(A, B), dot(A, B), -euclidean(A, B), -np.abs(A - B).sum(axis=1))

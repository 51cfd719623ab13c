"""Summarisation: the correlation of a summary's similarity to human summaries with its rating.

Paper     Fabbri et al. 2020, "SummEval: Re-evaluating Summarization Evaluation"; Muennighoff et
          al. 2022, "MTEB: Massive Text Embedding Benchmark", appendix (the protocol).
Equation  s_m = max_h sim(m, h)      score = mean over documents of ρ(s, ratings)
          m: a machine summary of the document, h: a human one; sim: cosine or dot product
Shapes    for each document: machine (M, D), human (H, D), ratings (M,) -> one number each
Cost      Σ M·H·D, a small matrix product for each document, so there is no kernel
Protocol  MTEB's main score is cosine.spearman.  A document with all ratings, all cosines or all
          dot products equal is left out, and counted in `skipped` here.  Nothing is random.
Differs   mteb's first evaluator, which the task SummEval still uses, takes the mean of SciPy's
          pairs (ρ, p-value), so its score is (mean ρ + mean p) / 2 (mteb's issue 1156).  Here, as
          in mteb's second evaluator, the score is the mean of ρ.  Similarities are in float64.
Read next evaluate/sts.py, evaluate/correlation.py

Why rank within a document?  All summaries of a difficult document may have lower cosines.  If all
documents were ranked together, these differences between documents would hide the differences
between the summaries of one document.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.correlation import pearson, spearman
from scratch_embed.evaluate.sts import Correlations
from scratch_embed.space.similarity import cosine_matrix, dot_matrix


class SummarisationScores(NamedTuple):
    """Means over `documents` documents; `skipped` others had all ratings or similarities equal."""
    cosine: Correlations
    dot: Correlations
    documents: int
    skipped: int


def summarisation_scores(machine: Sequence[np.ndarray], human: Sequence[np.ndarray],
                         ratings: Sequence[Sequence[float]]) -> SummarisationScores:
    """Correlate similarity and rating for each document, and take the mean over documents.

    For each document, machine: (M, D), human: (H, D), ratings: (M,); M and H may differ between
    documents.  The means are nan if every document was skipped.
    Raises ValueError for lists of unequal length, or a document without a human summary or with
    another number of ratings than machine summaries.
    """
    if not len(machine) == len(human) == len(ratings):
        raise ValueError(f"expected lists of equal length, got {len(machine)}, "
                         f"{len(human)} and {len(ratings)}")
    kept = []
    for number, (m, h, rating) in enumerate(zip(machine, human, ratings)):
        m, h = np.asarray(m, np.float64), np.asarray(h, np.float64)
        if len(m) != len(rating) or not len(h):
            raise ValueError(f"document {number}: expected one or more human summaries and a "
                             f"rating for each of {len(m)} machine summaries, got "
                             f"{len(h)} and {len(rating)}")
        by_cosine, by_dot = (matrix(m, h).max(axis=1) for matrix in (cosine_matrix, dot_matrix))
        if all(len(np.unique(x)) > 1 for x in (rating, by_cosine, by_dot)):
            kept.append([r(rating, s) for s in (by_cosine, by_dot) for r in (spearman, pearson)])
    mean = np.mean(kept, axis=0).tolist() if kept else [float("nan")] * 4
    return SummarisationScores(Correlations(*mean[:2]), Correlations(*mean[2:]),
                               len(kept), len(machine) - len(kept))

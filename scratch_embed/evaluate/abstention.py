"""Abstention: a question is answered only if its best score reaches a threshold.

Paper     Rajpurkar, Jia & Liang 2018, "Know What You Don't Know: Unanswerable Questions for SQuAD"
          (the threshold is chosen on a development set).
Equation  precision = answered and answerable / answered
          recall    = answered and answerable / answerable
          F1        = 2 · precision · recall / (precision + recall)
Shapes    scores (Q,): of each question's best chunk; answerable (Q,) bool
Cost      one sort to choose the threshold; no kernel
Read next evaluate/pairs.py (the best threshold; average precision, which needs none)

A search always returns something, also for a question that the collection cannot answer, and a
reader who trusts it invents an answer.  Whether the best score distinguishes the two kinds of
questions is a property of the embedding that no ranking measure shows: nDCG compares scores within
a question, a threshold compares them between questions.

Why two halves?  The best threshold of some questions is too good for these questions, the more so
the fewer they are.  So it is chosen on one half, the development half, and measured on the other.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.pairs import best_f1


class Abstention(NamedTuple):
    """What a threshold does to a set of questions; precision is nan if none is answered."""

    threshold: float
    answered: float                # the share of all questions
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall; 0 if no answerable question is answered."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both > 0 else 0.0


def at_threshold(scores: np.ndarray, answerable: np.ndarray, threshold: float) -> Abstention:
    """Answer the questions with a score ≥ threshold.  scores, answerable: (Q,)

    >>> at_threshold(np.array([0.9, 0.8, 0.3, 0.2]), np.array([1, 0, 1, 0]), 0.5)[1:]
    (0.5, 0.5, 0.5)
    """
    scores, answerable = np.asarray(scores), np.asarray(answerable, bool)
    if scores.ndim != 1 or scores.shape != answerable.shape or not answerable.any():
        raise ValueError("expected a score and a truth for each question, and an answerable one; "
                         f"got shapes {scores.shape} and {answerable.shape}, "
                         f"{int(answerable.sum())} answerable")
    answered = scores >= threshold
    right = (answered & answerable).sum()
    precision = right / answered.sum() if answered.any() else np.nan
    return Abstention(float(threshold), float(answered.mean()), float(precision),
                      float(right / answerable.sum()))


def choose_and_measure(scores: np.ndarray, answerable: np.ndarray, seed: int = 0
                       ) -> tuple[Abstention, Abstention]:
    """Choose the threshold of the best F1 on a random half of the questions, measure on the other.

    -> (on the development half, on the other half).  Each half has as many answerable questions as
    the other, and as many unanswerable ones, ±1.  Raises ValueError if a half has only one kind.
    """
    scores, answerable = np.asarray(scores), np.asarray(answerable, bool)
    rng = np.random.default_rng(seed)
    half = np.zeros(len(scores), bool)
    for kind in np.nonzero(answerable)[0], np.nonzero(~answerable)[0]:
        if len(kind) < 2:
            raise ValueError("answerable: expected at least 2 questions of each kind, got "
                             f"{int(answerable.sum())} of {len(answerable)}")
        half[rng.permutation(kind)[:len(kind) // 2]] = True
    threshold = best_f1(scores[half], answerable[half]).threshold
    if np.isnan(threshold):                                  # all scores are equal: answer all
        threshold = -np.inf
    return (at_threshold(scores[half], answerable[half], threshold),
            at_threshold(scores[~half], answerable[~half], threshold))

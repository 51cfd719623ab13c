"""Pair classification: a threshold on the similarity separates paraphrases from other pairs.

Paper     Xu, Callison-Burch & Dolan 2015, "SemEval-2015 Task 1: Paraphrase and Semantic
          Similarity in Twitter"; Muennighoff et al. 2022, "MTEB: Massive Text Embedding
          Benchmark", appendix (the protocol).
Equation  AP = Σ_t (R_t − R_{t−1}) P_t     over the different scores t, in descending order;
          P_t, R_t: precision and recall if pairs with a score ≥ t are predicted to be positive
          F1 = 2PR / (P + R)
Shapes    scores: (N,), positive: (N,) of 0 and 1, or bool
Cost      one sort, O(N log N); no kernel
Protocol  MTEB's main score is max_ap: the largest AP of cosine, dot product and negative Euclidean
          and Manhattan distance.  A threshold lies between two neighbouring scores, so at least
          one pair is on each side.  Nothing is random.
Differs   equal scores are always on the same side of a threshold, as in mteb 2.26.24.  Earlier
          versions of mteb could separate pairs of equal score, which no threshold can: a constant
          score had accuracy 1 if the positive pairs came first.  If there is no threshold (all
          scores are equal, or there is one pair) accuracy and F1 are nan, not 0.  Without a
          positive pair AP is 0/0, nan; scikit-learn returns 0, with a warning.
Read next evaluate/sts.py (the four similarities), evaluate/ranking.py (AP for each query)

Why AP?  Accuracy and F1 are measured on the same pairs on which their threshold is chosen, which
is optimistic; AP needs no threshold.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.sts import similarities


class BestAccuracy(NamedTuple):
    """The highest accuracy that a threshold reaches, and that threshold."""
    accuracy: float
    threshold: float


class BestF1(NamedTuple):
    """The highest F1 that a threshold reaches, its precision and recall, and that threshold."""
    f1: float
    precision: float
    recall: float
    threshold: float


class Separation(NamedTuple):
    """How well one similarity separates the positive pairs from the others."""
    ap: float
    accuracy: BestAccuracy
    f1: BestF1


class PairClassification(NamedTuple):
    """A Separation for each similarity; distances are negated, and so are their thresholds."""
    cosine: Separation
    dot: Separation
    euclidean: Separation
    manhattan: Separation

    @property
    def max_ap(self) -> float:
        """The largest of the four APs: MTEB's main score."""
        return max(separation.ap for separation in self)

    @property
    def max_accuracy(self) -> float:
        """The largest accuracy; nan only if no similarity has a threshold."""
        return float(np.fmax.reduce([separation.accuracy.accuracy for separation in self]))

    @property
    def max_f1(self) -> float:
        """The largest F1; nan only if no similarity has a threshold."""
        return float(np.fmax.reduce([separation.f1.f1 for separation in self]))


def pair_classification(A: np.ndarray, B: np.ndarray, positive: Sequence[int] | np.ndarray
                        ) -> PairClassification:
    """Evaluate the four similarities of sts.py.  A, B: (N, D), positive: (N,) of 0 and 1."""
    return PairClassification(*(Separation(average_precision(s, positive),
                                           best_accuracy(s, positive), best_f1(s, positive))
                                for s in similarities(A, B)))


def average_precision(scores: Sequence[float] | np.ndarray, positive: Sequence[int] | np.ndarray
                      ) -> float:
    """Σ_t (R_t − R_{t−1}) P_t, in (0, 1]; nan without a positive.  scores, positive: (N,).

    Equal scores count as one step t, so the order of the input has no effect.
    """
    _, hits, predicted = _counts_at_thresholds(scores, positive)
    if not hits.size or not hits[-1]:
        return float("nan")
    return float(np.sum(np.diff(hits, prepend=0) * (hits / predicted)) / hits[-1])


def best_accuracy(scores: Sequence[float] | np.ndarray, positive: Sequence[int] | np.ndarray
                  ) -> BestAccuracy:
    """The highest accuracy over all thresholds; on a tie, the highest threshold."""
    values, hits, predicted = _counts_at_thresholds(scores, positive)
    if len(values) < 2:
        return BestAccuracy(float("nan"), float("nan"))
    hits, predicted, positives, N = hits[:-1], predicted[:-1], hits[-1], predicted[-1]
    correct = hits + (N - predicted) - (positives - hits)      # positives above, negatives below
    best = int(correct.argmax())
    return BestAccuracy(float(correct[best] / N), _between(values, best))


def best_f1(scores: Sequence[float] | np.ndarray, positive: Sequence[int] | np.ndarray) -> BestF1:
    """The highest F1 over all thresholds; on a tie, the highest threshold."""
    values, hits, predicted = _counts_at_thresholds(scores, positive)
    if len(values) < 2:
        return BestF1(*[float("nan")] * 4)
    hits, predicted, positives = hits[:-1], predicted[:-1], hits[-1]
    best = int((2 * hits / (predicted + positives)).argmax())      # = 2PR / (P + R)
    hit, found = hits[best], predicted[best]
    return BestF1(float(2 * hit / (found + positives)), float(hit / found),
                  float(hit / positives) if positives else 0.0, _between(values, best))


def _counts_at_thresholds(scores, positive):
    """The T distinct scores, highest first, and how many positives and pairs are at or above each.

    scores, positive: (N,) -> values (T,), true positives (T,), predicted positives (T,).
    """
    scores, positive = np.asarray(scores), np.asarray(positive)
    if scores.ndim != 1 or scores.shape != positive.shape:
        raise ValueError(f"expected a label for each score, got shapes {positive.shape} and "
                         f"{scores.shape}")
    if not np.isin(positive, (0, 1)).all():
        wrong = positive[~np.isin(positive, (0, 1))][0]
        raise ValueError(f"expected labels 0 and 1 (or False and True), got {wrong}")
    if np.isnan(scores).any():
        raise ValueError("expected scores that can be ranked, got nan; leave such pairs out")
    values, group = np.unique(scores, return_inverse=True)
    predicted = np.bincount(group, minlength=len(values))[::-1].cumsum()
    hits = np.bincount(group[positive == 1], minlength=len(values))[::-1].cumsum()
    return values[::-1], hits, predicted


def _between(values, i):
    """The mean of values[i] and values[i + 1], without overflow."""
    return float(values[i] / 2 + values[i + 1] / 2)

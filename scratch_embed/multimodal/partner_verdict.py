"""Verdict on two senses in one space: does each input of one find its partner of the other?

Equation  MRR = 1/N Σ_n 1/rank(key of query n among all M keys, by cosine);  chance
          (1 + 1/2 + … + 1/M)/M;  better than before training if the mean difference of 1/rank is
          more than ERRORS of its standard errors, paired by query
Shapes    cosines (N, M) after and before training; own (N,), the column of each query's key
Cost      O(N M)
Read next sentences/verdict.py (the same for texts, beside a search by common tokens)

Several queries may have one key: a caption that occurs twice is one text, and finding it is right
for both of its images.  A key with the same cosine as the own one is ranked before it.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.training.verdict import ERRORS

MOST = 500                         # the most queries that are measured


class PartnerVerdict(NamedTuple):
    """The mean reciprocal rank after and before training, and chance.

    error    the standard error of trained − start
    spread   the standard error of trained

    >>> PartnerVerdict(0.5, 0.1, 0.07, 0.02, 0.02, queries=100, keys=50).learned
    True
    """

    trained: float
    start: float                   # before training
    chance: float
    error: float
    spread: float
    queries: int
    keys: int

    @property
    def learned(self) -> bool:
        """Whether it is significantly better than before training and than chance."""
        return bool(self.trained - self.start > ERRORS * self.error
                    and self.trained - self.chance > ERRORS * self.spread)

    def sentence(self, advice: str) -> str:
        """The verdict in words.  advice: what to try if nothing was learned"""
        figures = f"(MRR {self.trained:.3f} against {self.start:.3f}; chance {self.chance:.3f})"
        if self.learned:
            return f"verdict: better than before training {figures}"
        if self.start - self.trained > ERRORS * self.error:
            return f"verdict: worse than before training {figures}: train with a smaller --lr"
        return f"verdict: no better than before training {figures}: {advice}"


def reciprocal_ranks(cosines: np.ndarray, own: np.ndarray) -> np.ndarray:
    """1/rank of each query's own key.  (N, M), (N,) -> (N,)

    >>> reciprocal_ranks(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0, 0]))
    array([1. , 0.5])
    """
    scores = cosines[np.arange(len(cosines)), own]
    return 1 / (cosines >= scores[:, None]).sum(axis=1)


def of_partners(trained: np.ndarray, start: np.ndarray, own: np.ndarray) -> PartnerVerdict:
    """The verdict on cosines after and before training.  Each (N, M); own: (N,)"""
    after, before = reciprocal_ranks(trained, own), reciprocal_ranks(start, own)
    N, M = trained.shape
    root = np.sqrt(N)
    spread, error = (float(x.std(ddof=1) / root) if N > 1 else np.inf
                     for x in (after, after - before))
    return PartnerVerdict(float(after.mean()), float(before.mean()),
                          float((1 / np.arange(1, M + 1)).mean()), error, spread, N, M)

"""Verdict: whether a trained model is better than what frequencies alone would give.

Equation  of G groups of examples, with the sums L_g of the losses and the numbers n_g of examples:
              mean loss  ΣL_g / Σn_g
              gain       γ = Σ(B_g − L_g) / Σn_g,   B_g the same sums for the baseline
              its error  √( G/(G−1) · Σ(B_g − L_g − γ n_g)² ) / Σn_g   (a ratio of two sums,
                                                                        Cochran 1977, eq. 6.13)
Cost      that of the losses, which the trainers compute on a sample of the text
Read next words/verdict.py, transformer/verdict.py, sentences/verdict.py (the examples and the
          baselines of each trainer)

A loss says little by itself: 6.19 may be the loss of a good model with a vocabulary of 30,000
tokens, or of a model that predicts "the" everywhere.  So it is compared with two other losses: that
of the model before training, and the baseline's, which is that of the best prediction from the
frequencies of the answers alone.  A model that is not better than the baseline has learned at most
frequencies.  All three losses are computed on the same examples, with the same random draws: so the
difference of two losses usually has a much smaller standard error than either loss.  A difference
counts if it is larger than ERRORS standard errors, and than NOTHING of the loss.
"""
from typing import NamedTuple

import numpy as np

GROUPS = 50                        # of sentences, from which the error is computed
ERRORS = 3                         # a gain below 3 standard errors is not significant
NOTHING, LITTLE = 0.01, 0.1        # gain / baseline loss: up to 0.01 is nothing, below 0.1 little


class Verdict(NamedTuple):
    """Mean losses of the same examples: of the trained model, of frequencies, before training.

    error      the standard error of baseline − trained
    examples   their number
    change     the standard error of untrained − trained

    >>> Verdict(trained=2.3, baseline=3.0, untrained=4.2, error=0.01, examples=5000).learned
    True
    """

    trained: float
    baseline: float
    untrained: float
    error: float
    examples: int
    change: float = 0.0

    @property
    def learned(self) -> bool:
        """Whether the gain over frequencies is significant and above 1 % of their loss."""
        gain = self.baseline - self.trained
        return bool(gain > max(ERRORS * self.error, NOTHING * self.baseline))

    @property
    def worse(self) -> bool:
        """Whether the loss is higher than before training, significantly and by more than 1 %."""
        loss = self.trained - self.untrained
        return bool(loss > max(ERRORS * self.change, NOTHING * self.untrained))

    @property
    def little(self) -> bool:
        """Whether the model has learned, but the gain is below 10 % of the loss of frequencies."""
        return self.learned and self.baseline - self.trained < LITTLE * self.baseline

    def sentence(self, frequencies: str, advice: str) -> str:
        """The verdict in words.

        frequencies: what the baseline knows; advice: what to try if little was learned
        """
        how = "only a little" if self.little else "" if self.learned else "no"
        if self.worse:
            return (f"verdict: worse than before training (loss {self.trained:.3f} against "
                    f"{self.untrained:.3f}): train with a smaller --lr")
        figures = f"loss {self.trained:.3f} against {self.baseline:.3f}"
        return (f"verdict: {how} better than {frequencies} ({figures})".replace(":  ", ": ")
                + f": {advice}" * bool(how))


def compare(trained: np.ndarray, baseline: np.ndarray, untrained: np.ndarray, counts: np.ndarray
            ) -> Verdict:
    """The Verdict on G groups of examples.

    trained, baseline, untrained: (G,), the sum of each group's losses; counts: (G,), the number of
    its examples.  With one group, or no example, nothing is significant: the error is infinite.

    >>> compare(np.array([1.0, 2.0]), np.array([2.0, 3.2]), np.array([4.0, 4.0]), np.array([2, 2]))
    Verdict(trained=0.75, baseline=1.3, untrained=2.0, error=0.05..., examples=4, change=0.25)
    """
    n, G = int(counts.sum()), len(counts)
    of_trained, of_baseline, of_untrained = (
        float(sums.sum() / max(n, 1)) for sums in (trained, baseline, untrained))

    def error(gains):
        if n == 0 or G < 2:
            return np.inf
        return float(np.sqrt(G / (G - 1) * ((gains - gains.sum() / n * counts)**2).sum()) / n)
    return Verdict(of_trained, of_baseline, of_untrained, error(baseline - trained), n,
                   error(untrained - trained))


def sample_groups(offsets: np.ndarray, words: float, seed: int) -> list[np.ndarray]:
    """Sentences drawn at random, about `words` words, as up to GROUPS arrays of their numbers.

    offsets: (S+1,), sentence s has offsets[s+1] − offsets[s] words
    """
    order = np.random.default_rng([seed, 2]).permutation(len(offsets) - 1)
    ahead = np.cumsum(np.diff(offsets)[order])
    chosen = order[:1 + np.searchsorted(ahead, words)]
    return [group for group in np.array_split(np.sort(chosen), GROUPS) if len(group)]

"""BGE-M3's loss: cross-entropies of three kinds of scores and of their sum, the teacher of all.

Paper     Chen, Xiao, Zhang, Luo, Lian & Liu 2024, "BGE M3-Embedding: Multi-Lingual, Multi-
          Functionality, Multi-Granularity Text Embeddings Through Self-Knowledge Distillation",
          section 3.3.
Equation  e = d + 0.3 s + c                                  the ensemble of the three scores
          H(p, x) = −1/N Σ_n Σ_m p_nm log softmax(x_n)_m     a cross-entropy of score rows
          L₀ = (H(y, d) + H(y, e) + 0.1 H(y, s) + H(y, c)) / 4,   y one-hot: the positive
          with self-distillation, where t = softmax(e) is held constant,
          L  = (L₀ + (H(t, d) + 0.1 H(t, s) + H(t, c)) / 3) / 2
Shapes    d dense, s sparse, c multi-vector (ColBERT) scores, divided by τ, (N, M) each; targets
          (N,), the column of each positive
Cost      O(N M), beside the scores
Differs   from FlagEmbedding, which has no mask of false negatives.  All weights are the paper's and
          FlagEmbedding's.
Read next losses/distillation.py (H minus the teacher's entropy), sentences/bge_m3_training.py

Why can three weak scores teach each other?  They fail on different queries: the dense one on rare
words, which have no direction of their own, the sparse one on synonyms.  Where one of them is
unsure, its probabilities are flat and hardly change the softmax of the sum; where one is sure, it
decides.  So the ensemble is a better teacher than its weak parts, and than the one-hot label: it
also says which other texts are nearly right.  A part that is better than the ensemble learns
nothing from it; on the toy world this is the multi-vector score (why/README.md, BGE-M3).

Why is the teacher a constant?  If t had a gradient, H(t, s) could also be reduced by making the
ensemble as bad as the sparse score.

Why 0.1 and 0.3 for the sparse part?  The sparse head starts at random, and its weights, unlike
cosines, are not bounded: at first the sparse score is noise, which should not decide the ensemble.

Gradient.  Each H(p, x) is a cross-entropy, ∂H/∂x = (softmax(x) − p)/N, and e passes its own
gradient on to its parts:
    dd = ¼ (softmax d − y)/N + ¼ (softmax e − y)/N,
    ds = ¼·0.1 (softmax s − y)/N + 0.3 · ¼ (softmax e − y)/N,      dc as dd.
With self-distillation it is half of that, and in addition
    dd += ½·⅓ (softmax d − t)/N,      ds += ½·⅓·0.1 (softmax s − t)/N,      dc as dd.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.losses.distillation import distillation
from scratch_embed.nn.contract import LossBackwardEach
from scratch_embed.nn.softmax import cross_entropy_numpy, log_softmax
from scratch_embed.numerics.settings import saved_as


class ThreeScores(NamedTuple):
    """A weight for each of the three kinds of scores."""

    dense: float
    sparse: float
    multi: float


ENSEMBLE = ThreeScores(1.0, 0.3, 1.0)              # of the scores in the ensemble, in training
LOSSES = ThreeScores(1.0, 0.1, 1.0)                # of the three losses


@saved_as("m3")
def m3_loss(d: np.ndarray, s: np.ndarray, c: np.ndarray, targets: np.ndarray,
            self_distillation: bool = True, mask: np.ndarray | None = None
            ) -> tuple[float, LossBackwardEach]:
    """BGE-M3's loss of N score rows.  d, s, c: (N, M) -> L, backward() -> dd, ds, dc.

    targets  (N,), the column of each row's positive
    mask     (N, M) bool, True if text m is not a negative of query n (a duplicate); entries of
             positives are ignored
    Raises   ValueError for tables of unequal shapes, and for targets or a mask that do not fit

    >>> zeros = np.zeros((1, 2))
    >>> loss, _ = m3_loss(zeros, zeros, zeros, np.array([0]), self_distillation=False)
    >>> round(loss, 4)                                           # (1 + 1 + 0.1 + 1)/4 · log 2
    0.5372
    """
    if not (d.shape == s.shape == c.shape and d.ndim == 2):
        raise ValueError(f"m3_loss: expected three tables (N, M) of one shape, got {d.shape}, "
                         f"{s.shape} and {c.shape}")
    hidden = _hidden(mask, targets, d.shape)
    e = ENSEMBLE.dense * d + ENSEMBLE.sparse * s + ENSEMBLE.multi * c
    d, s, c, e = (np.where(hidden, x.dtype.type(-1e30), x) for x in (d, s, c, e))

    losses, backs = zip(*(cross_entropy_numpy(x, targets) for x in (d, s, c, e)))
    loss = (_weighted(LOSSES, losses[:3]) + losses[3]) / 4
    taught: tuple[Callable, ...] = ()
    if self_distillation:
        log_t, _ = log_softmax(e)
        entropy = -float((np.exp(log_t) * log_t).sum(dtype=np.float64)) / len(e)
        kls, taught = zip(*(distillation(x, e) for x in (d, s, c)))
        loss = (loss + _weighted(LOSSES, [kl + entropy for kl in kls]) / 3) / 2

    def backward(dloss=1.0):
        own = dloss / 8 if taught else dloss / 4
        de = backs[3](own)
        grads = [back(own * weight) + share * de
                 for back, weight, share in zip(backs, LOSSES, ENSEMBLE)]
        if taught:
            grads = [grad + back(dloss * weight / 6)
                     for grad, back, weight in zip(grads, taught, LOSSES)]
        return tuple(np.where(hidden, grad.dtype.type(0), grad) for grad in grads)
    return loss, backward


def _weighted(weights, values):
    return sum(weight * value for weight, value in zip(weights, values))


def _hidden(mask, targets, shape):
    """Which scores get probability 0.  A finite −1e30 in their place keeps 0 · log 0 equal to 0."""
    if mask is None:
        return np.zeros(shape, bool)
    if mask.shape != shape or mask.dtype != bool:
        raise ValueError(f"mask: expected {shape} of bool, True if a text is not a negative, got "
                         f"{mask.shape} of {mask.dtype}")
    return mask & (np.asarray(targets)[:, None] != np.arange(shape[1]))

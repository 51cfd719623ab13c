"""Contrastive loss of labelled pairs: similar pairs together, others at least a margin apart.

Paper     Hadsell, Chopra & LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping",
          eq. 4.
Equation  L = 1/2N Σ_i e_i²,   d_i = 1 − cos(u_i, v_i),
          e_i = d_i for a similar pair (y_i = 1),  −max(0, margin − d_i) for another (y_i = 0)
          online: L = Σ e_i² over the hard pairs only
Shapes    u, v (N, D) the vectors of N pairs, y (N,) their labels, 1 or 0
Cost      O(N·D), a few passes over memory, so there is no Numba kernel
Differs   From the paper: y = 1 means similar (there y = 0), and d is the cosine distance, in 0..2,
          with margin 0.5, both as in sentence-transformers (there the Euclidean distance).
          From sentence-transformers: other labels than 0 and 1 are an error; there ContrastiveLoss
          takes them as weights, and OnlineContrastiveLoss ignores such pairs.
Read next losses/triplet.py (which compares two distances), losses/infonce.py

Why a margin?  Without it two dissimilar texts would be pushed apart for ever, and pairs that are
already far apart would dominate the loss.  In the triplet loss the margin is on the difference of
two distances; here it is on one distance, so all pairs need distances on the same scale.

Why online?  Most pairs of a batch soon have a small loss.  A hard positive is farther apart than
the nearest negative pair of the batch, a hard negative nearer than the farthest positive pair: only
these pairs are in the wrong order.  Their loss is a sum, not a mean, so a batch with few hard pairs
has a small gradient.  If all pairs of a batch have the same label, the hard ones are the positives
that are farther, or the negatives that are nearer, than the mean.

Gradient.  e_i grows by 1 with d_i, except where the maximum is 0, and there e_i is 0 too.  So
    ∂L/∂d_i = e_i/N,   online 2 e_i for hard pairs and 0 for others;   dc_i = −dd_i,
and losses/cosine_mse.py continues from dc.  The square makes the gradient continuous at the margin.
Which pairs are hard is a constant.
"""
import numpy as np

from scratch_embed.losses.cosine_mse import paired_cosines, require_labels
from scratch_embed.nn.contract import LossBackwardEach


def contrastive(u: np.ndarray, v: np.ndarray, y: np.ndarray, margin: float = 0.5
                ) -> tuple[float, LossBackwardEach]:
    """Contrastive loss of N pairs.  u, v: (N, D), y: (N,) 0 or 1 -> L, backward() -> du, dv.

    Raises ValueError for shapes that do not match, and for other labels.

    >>> u, v = np.array([[1.0, 0.0]] * 2), np.array([[3.0, 4.0]] * 2)         # d = 0.4, twice
    >>> round(contrastive(u, v, np.array([1, 0]))[0], 4)                      # (0.4² + 0.1²)/4
    0.0425
    """
    similar = require_binary("contrastive", u, y)
    cosines, back_cosines = paired_cosines(u, v)
    e = distance_errors(1 - cosines, similar, margin)

    def backward(dloss=1.0):
        return back_cosines(-e * float(dloss / len(y)))
    return float(np.mean(e**2, dtype=np.float64) / 2), backward


def online_contrastive(u: np.ndarray, v: np.ndarray, y: np.ndarray, margin: float = 0.5
                       ) -> tuple[float, LossBackwardEach]:
    """Sum over the hard pairs.  u, v: (N, D), y: (N,) 0 or 1 -> L, backward() -> du, dv.

    Raises ValueError as contrastive does.

    >>> u, v = np.array([[1.0, 0.0]] * 2), np.array([[3.0, 4.0], [0.0, 1.0]])
    >>> online_contrastive(u, v, np.array([1, 0]))[0]          # d: 0.4 < 1, so no pair is hard
    0.0
    """
    similar = require_binary("online_contrastive", u, y)
    cosines, back_cosines = paired_cosines(u, v)
    distances = 1 - cosines
    e = np.where(hard_pairs(distances, similar), distance_errors(distances, similar, margin), 0)

    def backward(dloss=1.0):
        return back_cosines(-e * float(2 * dloss))
    return float((e**2).sum(dtype=np.float64)), backward


def distance_errors(distances: np.ndarray, similar: np.ndarray, margin: float) -> np.ndarray:
    """How much too far (> 0) or too near (< 0) each pair is.  (N,), (N,) bool -> (N,)"""
    too_near = np.maximum(distances.dtype.type(margin) - distances, 0)
    return np.where(similar, distances, -too_near)


def hard_pairs(distances: np.ndarray, similar: np.ndarray) -> np.ndarray:
    """Positives farther than the nearest negative, negatives nearer than the farthest positive.

    distances (N,), similar (N,) bool -> (N,) bool
    """
    positives, negatives = distances[similar], distances[~similar]
    too_far = negatives.min() if len(negatives) else positives.mean()
    too_near = positives.max() if len(positives) else negatives.mean()
    return np.where(similar, distances > too_far, distances < too_near)


def require_binary(name: str, u: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The labels as bool.  Raises ValueError unless there is a 0 or a 1 for each row of u."""
    require_labels(name, u, y)
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"{name}: expected labels 1 (similar) and 0 (not similar), got "
                         f"{np.unique(y)[:5].tolist()}")
    return y == 1

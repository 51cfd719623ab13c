"""Contrastive loss of labelled pairs: similar pairs together, others at least a margin apart.

Paper     Hadsell, Chopra & LeCun 2006, "Dimensionality Reduction by Learning an Invariant Mapping",
          eq. 4.
Equation  L = 1/2N Σ_i e_i²,   d_i = 1 − cos(u_i, v_i),
          e_i = d_i for a similar pair (y_i = 1),  −max(0, margin − d_i) for a dissimilar pair
          (y_i = 0);   online: L = Σ e_i² over the hard pairs only
Shapes    u, v (N, D) the vectors of N pairs, y (N,) their labels, 1 or 0
Cost      O(N·D), a few passes over memory, so there is no Numba kernel
Differs   from the paper, where y = 0 means similar and d is the Euclidean distance.  The cosine
          distance, in 0..2, and its margin 0.5 are those of sentence-transformers.
          From sentence-transformers: labels other than 0 and 1 are an error; there ContrastiveLoss
          takes them as weights, and OnlineContrastiveLoss ignores such pairs.
Read next losses/triplet.py (which compares two distances), losses/infonce.py

Why a margin?  With it, a dissimilar pair that is far enough apart has loss 0; without it, all
dissimilar pairs would be pushed towards opposite vectors, which more than two texts cannot have.
In the triplet loss the margin is on the difference of two distances; here it is on one distance,
so the same distance means "far enough" for all pairs.

Why online?  After some training most pairs have a small loss, and the few that are wrong should
count.  A similar pair is hard if it is farther apart than the nearest dissimilar pair of the batch;
a dissimilar pair is hard if it is nearer than the farthest similar pair.  So hard pairs are in the
wrong order.  Their loss is a sum, not a mean: the fewer hard pairs, the smaller the gradient.  If
all pairs of a batch have the same label, the mean distance takes the place of the missing bound.

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
    """e_i: how much too far apart (> 0) or too near (< 0) a pair is.  (N,), (N,) bool -> (N,)"""
    too_near = np.maximum(distances.dtype.type(margin) - distances, 0)
    return np.where(similar, distances, -too_near)


def hard_pairs(distances: np.ndarray, similar: np.ndarray) -> np.ndarray:
    """Which pairs are hard.  distances (N,), similar (N,) bool -> (N,) bool

    A similar pair: farther apart than the nearest dissimilar one; a dissimilar pair: nearer than
    the farthest similar one.
    """
    positives, negatives = distances[similar], distances[~similar]
    nearest_negative = negatives.min() if len(negatives) else positives.mean()
    farthest_positive = positives.max() if len(positives) else negatives.mean()
    return np.where(similar, distances > nearest_negative, distances < farthest_positive)


def require_binary(name: str, u: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The labels as bool.  Raises ValueError unless there is a 0 or a 1 for each row of u."""
    require_labels(name, u, y)
    if not np.isin(y, (0, 1)).all():
        raise ValueError(f"{name}: expected labels 1 (similar) and 0 (not similar), got "
                         f"{np.unique(y)[:5].tolist()}")
    return y == 1

"""CoSENT: of two pairs of texts, the pair with the higher score should have the higher cosine.

Paper     Huang et al. 2024, "CoSENT: Consistent Sentence Embedding via Similarity Ranking"
          (Su Jianlin published the loss in 2022).
Equation  L = log(1 + Σ_{i,j: y_i > y_j} exp((c_j − c_i) scale)),   c_i = cos(u_i, v_i)
Shapes    u, v (N, D) the vectors of N pairs, y (N,) their scores, on any scale
Cost      O(N² + N·D): the differences of all pairs of pairs
Differs   from sentence-transformers (CoSENTLoss), which sorts by score and computes the same value
          in O(N log N).  N is the size of a batch, so N² numbers are few.
Read next losses/infonce.py, evaluate/correlation.py (Spearman's ρ, which CoSENT's form suits)

Why only the order?  Benchmarks of semantic textual similarity (STS) are evaluated by Spearman's ρ,
which depends only on the order of the cosines.  Cosine regression (losses/cosine_mse.py) also
changes cosines whose order is right, because a rating is not a cosine.  CoSENT compares the cosines
of two pairs with each other, never a cosine with a score.

Why the logarithm of a sum?  With z = (c_j − c_i) scale, log(1 + Σ exp z) is a smooth maximum of 0
and all z: it is at least max(0, max z), and at most log(1 + number of terms) above that.  So pairs
in the wrong order dominate the loss, most of all the largest z.  The scale is 1/τ of InfoNCE: the
larger it is, the more the largest z dominates.  With y_i = 1 for one positive and y_j = 0 for all
other pairs, CoSENT is InfoNCE with s = c scale:  log(1 + Σ_j exp(s_j − s_i)) = −log softmax(s)_i.

Gradient.  p_ij = exp(z_ij − L) are the probabilities of a softmax over 0 and all z_ij, so
    ∂L/∂c_j = scale (Σ_i p_ij − Σ_k p_jk):
pairs with higher scores push c_j down, and pairs with lower scores push it up.  The sum over j is
0, because adding a number to all cosines does not change L.
"""
import numpy as np

from scratch_embed.losses.cosine_mse import paired_cosines, require_labels
from scratch_embed.nn.contract import LossBackwardEach


def cosent(u: np.ndarray, v: np.ndarray, y: np.ndarray, scale: float = 20.0
           ) -> tuple[float, LossBackwardEach]:
    """CoSENT of N scored pairs.  u, v: (N, D), y: (N,) -> L, backward() -> du, dv (N, D) each.

    A batch whose scores are all equal has loss 0 and gradient 0.
    Raises ValueError for shapes that do not match, and for a scale that is not above 0.

    >>> u, v = np.eye(2), np.array([[0.0, 1.0], [0.0, 1.0]])              # cosines 0 and 1
    >>> y = np.array([0.75, 0.25])                                        # in the wrong order
    >>> round(cosent(u, v, y, scale=1.0)[0], 4)                           # log(1 + e)
    1.3133
    """
    require_labels("cosent", u, y)
    if not scale > 0:
        raise ValueError(f"scale: expected a positive number, got {scale}")
    cosines, back_cosines = paired_cosines(u, v)
    s = float(scale) * cosines
    ordered = y[:, None] > y                                    # (N, N): y_i > y_j
    z = np.where(ordered, s - s[:, None], s.dtype.type(-np.inf))     # z_ij = s_j − s_i
    largest = max(z.max(), 0)
    log_sum = largest + np.log(np.exp(-largest) + np.exp(z - largest).sum(dtype=np.float64))
    p = np.exp(z - s.dtype.type(log_sum))

    def backward(dloss=1.0):
        return back_cosines((p.sum(0) - p.sum(1)) * float(scale * dloss))
    return float(log_sum), backward

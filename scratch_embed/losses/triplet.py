"""Triplet loss: an anchor should be nearer to its positive than to its negative, by a margin.

Papers    Schroff, Kalenichenko & Philbin 2015, "FaceNet", eq. 3 (squared distances).
          Reimers & Gurevych 2019, "Sentence-BERT", section 3 (distances, margin 1).
Equation  L = 1/N Σ_i max(0, ‖a_i − p_i‖ − ‖a_i − n_i‖ + margin)
Shapes    a anchors, p positives, n negatives: (N, D) each
Cost      O(N·D), a few passes over memory, so there is no Numba kernel
Differs   from FaceNet: distances are not squared, and vectors are not scaled to norm 1.
          From Sentence-BERT: the default margin is 5, as in sentence-transformers.
          From torch: torch adds 1e-6 to every difference, so that the gradient of a distance 0 is
          finite; here that gradient is 0.
Read next losses/infonce.py (the negatives are all other texts of the batch, instead of one)

Why a margin?  Without it L is 0 as soon as p is nearer than n by any amount, and also if all
vectors are equal.

Why hard negatives?  A triplet whose negative is far enough has loss 0 and gradient 0.  As training
continues, this becomes true of most triplets, so progress depends on negatives that are still near.

Gradient.  ∂‖a − p‖/∂a = (a − p)/‖a − p‖ = u, a vector of norm 1, and ∂‖a − p‖/∂p = −u.  In the
same way v = (a − n)/‖a − n‖.  A triplet with a positive loss has the gradients
    da = (u − v)/N,   dp = −u/N,   dn = v/N.
They sum to 0, because a shift of all three vectors changes no distance.
"""
import numpy as np

from scratch_embed.nn.contract import LossBackwardEach
from scratch_embed.numerics.l2_normalize import l2_normalize


def triplet(a: np.ndarray, p: np.ndarray, n: np.ndarray, margin: float = 5.0
            ) -> tuple[float, LossBackwardEach]:
    """Triplet loss of N triplets.  a, p, n: (N, D) -> L, backward() -> da, dp, dn (N, D) each.

    Raises ValueError unless all three have one shape (N, D), N ≥ 1.

    >>> a, p, n = np.zeros((1, 2)), np.array([[3.0, 4.0]]), np.array([[0.0, 7.0]])
    >>> triplet(a, p, n)[0]                                                    # 5 − 7 + 5
    3.0
    """
    if not a.shape == p.shape == n.shape or a.ndim != 2 or len(a) == 0:
        raise ValueError(f"triplet: expected anchors, positives and negatives of one shape (N, D), "
                         f"N ≥ 1, got {a.shape}, {p.shape} and {n.shape}")
    N = len(a)
    u, v = l2_normalize(a - p)[0], l2_normalize(a - n)[0]
    losses = (u * (a - p)).sum(-1) - (v * (a - n)).sum(-1) + a.dtype.type(margin)
    active = (losses > 0)[:, None]

    def backward(dloss=1.0):
        u_n, v_n = (np.where(active, x, 0) * float(dloss / N) for x in (u, v))
        return u_n - v_n, -u_n, v_n
    return float(np.maximum(losses, 0).sum(dtype=np.float64) / N), backward

"""InfoNCE: tell your own partner from everyone else's in the batch.

Paper     van den Oord, Li & Vinyals 2018, "Representation Learning with Contrastive Predictive
          Coding", eq. 4.  SimCSE (eq. 1), SBERT's multiple negatives, E5 and BGE use it one way
          round, CLIP (fig. 3) both ways round.
Equation  L = −1/N Σ_i log [ exp(s_ii) / Σ_j exp(s_ij) ],   s_ij = cos(q_i, k_j) / τ
Shapes    q (N, D) queries, k (M, D) keys, M ≥ N.  k[i] is the partner of q[i]; the rows of k from N
          on are hard negatives, nobody's partner
Cost      O(N·M·D): one product forward, two back.  BLAS does them, so there is no kernel here
Differs   CPC has exp(z·Wc) where here is exp(cos/τ), and one query for the N keys of a batch.
          CLIP learns log(1/τ), a parameter that cannot leave τ > 0: with τ = exp(−log_scale),
          dlog_scale = −τ dτ
Read next sentences/simcse.py (the partner is the same sentence under another dropout mask)

Row i is a classification: M classes, the right one is i, the logits are similarities.  So its
gradient is the classifier's, ∂L/∂s_ij = (p_ij − [i = j])/N, and since ∂s_ij/∂cos_ij = 1/τ, q_i is
pulled to k_i with force (1 − p_ii)/(N τ) and pushed off k_j with force p_ij/(N τ), in all as much
as it is pulled.  Only negatives that still look likely (the hard ones) push, and τ decides how
steeply "likely" falls off.  With gap_i = max_j cos_ij − cos_ii,
    mean gap/τ  ≤  L  ≤  mean gap/τ + log M.
So L → log M, guessing, as τ → ∞; and τL → mean gap as τ → 0, where only the hardest one counts.
∂s_ij/∂τ = −s_ij/τ, so ∂L/∂τ = −1/τ Σ_ij s_ij ∂L/∂s_ij: τ falls while partners are the nearest.

L ≥ 0.  All keys alike: L = log M.  One pair alone has nothing to be told from: L = 0, gradient 0.

The same text twice in a batch is a false negative.  If k_j = k_i, then p_ij = p_ii ≤ ½: these two
rows cannot cost less than log 2 each.  The pull to k_i and the push off k_j are along one line and
leave a pull of 1 − 2 p_ii: nothing is lost but the floor.  A paraphrase is worse, for q_i is pushed
off what it should be near.  So draw batches without duplicates, or name such pairs in `mask`: their
s_ij is −∞, they are no terms of the sum.
"""
import numpy as np

from scratch_embed.nn.contract import BackwardEach, LossBackwardEach
from scratch_embed.nn.softmax import cross_entropy_numpy
from scratch_embed.numerics.l2_normalize import l2_normalize


def infonce(q: np.ndarray, k: np.ndarray, tau: float = 0.05, mask: np.ndarray | None = None
            ) -> tuple[float, LossBackwardEach]:
    """q[i] should choose k[i].  q: (N, D), k: (M, D) -> the loss, backward() -> dq, dk, dtau.

    mask: (N, M) bool, True where k[j] is not a negative of q[i] (a duplicate, a paraphrase); the
    diagonal, where the partners are, always counts.

    >>> loss, backward = infonce(np.eye(2), np.eye(2), tau=1.0)
    >>> round(loss, 4)                                                         # log(1 + 1/e)
    0.3133
    """
    s, back_s = cosine_logits(q, k, tau)
    loss, back_loss = cross_entropy_numpy(negatives_only(s, mask), np.arange(len(q)))

    def backward(dloss=1.0):
        return back_s(back_loss(dloss))
    return loss, backward


def symmetric_infonce(q: np.ndarray, k: np.ndarray, tau: float, mask: np.ndarray | None = None
                      ) -> tuple[float, LossBackwardEach]:
    """CLIP: q[i] should choose k[i], and k[i] q[i].  q, k: (N, D) -> as infonce; mask: (N, N)."""
    if len(q) != len(k):
        raise ValueError(f"expected as many keys as queries, found {q.shape} and {k.shape}")
    s, back_s = cosine_logits(q, k, tau)
    logits, i = negatives_only(s, mask), np.arange(len(q))
    loss_q, back_q = cross_entropy_numpy(logits, i)
    loss_k, back_k = cross_entropy_numpy(logits.T, i)

    def backward(dloss=1.0):
        return back_s(back_q(dloss / 2) + back_k(dloss / 2).T)
    return (loss_q + loss_k) / 2, backward


def cosine_logits(q: np.ndarray, k: np.ndarray, tau: float) -> tuple[np.ndarray, BackwardEach]:
    """s_ij = cos(q_i, k_j) / τ.  q: (N, D), k: (M, D) -> s: (N, M), backward(ds) -> dq, dk, dtau.

    Raises ValueError for shapes that do not fit, or tau ≤ 0.
    """
    if q.ndim != 2 or k.ndim != 2 or q.shape[1] != k.shape[1] or not 1 <= len(q) <= len(k):
        raise ValueError(f"expected queries (N, D), N ≥ 1, and keys (M, D), M ≥ N: a partner for "
                         f"each, then hard negatives; found {q.shape} and {k.shape}")
    if not tau > 0:
        raise ValueError(f"tau={tau}: expected a positive number")
    u, back_u = l2_normalize(q)
    v, back_v = l2_normalize(k)
    cos, scale = u @ v.T, 1 / float(tau)

    def backward(ds):
        dcos = scale * ds
        return back_u(dcos @ v), back_v(dcos.T @ u), -scale * (dcos * cos).sum()
    return scale * cos, backward


def negatives_only(s: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """s with −∞ where mask is True, but for the partners on the diagonal.  s, mask: (N, M)."""
    if mask is None:
        return s
    if mask.shape != s.shape or mask.dtype != bool:
        raise ValueError(f"mask: expected {s.shape} of bool, True where a pair is not a negative, "
                         f"got {mask.shape} of {mask.dtype}")
    N, M = s.shape
    strangers = np.arange(N)[:, None] != np.arange(M)
    return np.where(mask & strangers, s.dtype.type(-np.inf), s)

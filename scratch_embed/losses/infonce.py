"""InfoNCE: contrastive loss in which each query must identify its positive among a batch of keys.

Paper     van den Oord, Li & Vinyals 2018, "Representation Learning with Contrastive Predictive
          Coding", eq. 4.  SimCSE (eq. 1), SBERT's multiple negatives, E5 and BGE use it in one
          direction (query to key), CLIP (fig. 3) in both.
Equation  L = −1/N Σ_i log [ exp(s_ii) / Σ_j exp(s_ij) ],   s_ij = cos(q_i, k_j) / τ
Shapes    q (N, D) queries, k (M, D) keys, M ≥ N.  k[i] is the positive of q[i]; the rows of k
          from N on are hard negatives, which are not the positive of any query
Cost      O(N·M·D): one matrix product forward, two backward; BLAS computes them, so there is no
          Numba kernel
Differs   CPC scores a key z for a context c by zᵀWc with a learned W, not by cos/τ, and has one
          query for the N keys of a batch.  CLIP learns log_scale = log(1/τ), so that τ stays
          positive; its gradient is dlog_scale = −τ dτ
Read next sentences/simcse.py (the positive is the same sentence under another dropout mask)

Gradient.  Row i is a softmax classifier with M classes, target i and logits s_ij, so
    ∂L/∂s_ij = (p_ij − [i = j])/N,   p_ij = exp(s_ij) / Σ_k exp(s_ik),   ∂s_ij/∂cos_ij = 1/τ.
q_i is pulled towards k_i with force (1 − p_ii)/(N τ) and pushed away from each other k_j with force
p_ij/(N τ).  The pushes sum to the pull: Σ_{j≠i} p_ij = 1 − p_ii.

Which negatives push?  The share of negative j in the push on q_i is
    p_ij/(1 − p_ii) = exp(cos_ij/τ) / Σ_{k≠i} exp(cos_ik/τ),
a softmax over the negatives alone: the positive cancels.  The shares of negatives j and k are in
the ratio exp((cos_ij − cos_ik)/τ).  A cosine that is higher by 0.1 gives 1.1 times the push at
τ = 1, 7.4 times at τ = 0.05 and 22,000 times at τ = 0.01.  For τ → ∞ all negatives have the same
share, 1/(M − 1); for τ → 0 the negative with the highest cosine has the whole push (Wang & Liu
2021, "Understanding the Behaviour of Contrastive Loss", section 3).

What τ does to L.  As τ → ∞, all s_ij → 0 and L → log M, the loss of equal probabilities.  For
every τ, with gap_i = max_j cos_ij − cos_ii ≥ 0,
    mean gap/τ  ≤  L  ≤  mean gap/τ + log M,   so τL → mean gap as τ → 0.
Because ∂s_ij/∂τ = −s_ij/τ,   ∂L/∂τ = −1/τ Σ_ij s_ij ∂L/∂s_ij = 1/(Nτ) Σ_i (s_ii − Σ_j p_ij s_ij).
If positives score higher than the p-weighted mean of their rows, this is positive: a learned τ
falls.

Special cases.  L ≥ 0.  All keys equal: L = log M.  A single pair, N = M = 1: L = 0, gradient 0.
The same text twice in a batch is a false negative: if k_j = k_i, then p_ij = p_ii ≤ ½, and each of
the two rows has a loss of at least log 2.  The pull of k_i and the push of k_j on q_i sum to a pull
of (1 − 2 p_ii)/(N τ) ≥ 0: q_i is not pushed away from its positive.  A paraphrase is worse: q_i is
pushed away from a text that it should be near.  So draw batches without duplicates, or set such
pairs in `mask`: their s_ij becomes −∞, which removes them from the sum over j.
"""
import numpy as np

from scratch_embed.nn.contract import BackwardEach, LossBackwardEach
from scratch_embed.nn.softmax import cross_entropy_numpy
from scratch_embed.numerics.l2_normalize import l2_normalize


def infonce(q: np.ndarray, k: np.ndarray, tau: float = 0.05, mask: np.ndarray | None = None
            ) -> tuple[float, LossBackwardEach]:
    """InfoNCE of the pairs (q[i], k[i]).  q: (N, D), k: (M, D) -> L, backward() -> dq, dk, dtau.

    mask: (N, M) bool, True if k[j] is not a negative of q[i] (a duplicate, a paraphrase).
    The diagonal of mask is ignored: it holds the positives.
    Raises ValueError for shapes that do not match, and for tau as cosine_logits does.

    >>> loss, backward = infonce(np.eye(2), np.eye(2), tau=1.0)
    >>> round(loss, 4)                                                         # log(1 + 1/e)
    0.3133
    """
    s, back_s = cosine_logits(q, k, tau)
    loss, back_loss = cross_entropy_numpy(mask_false_negatives(s, mask), np.arange(len(q)))

    def backward(dloss=1.0):
        return back_s(back_loss(dloss))
    return loss, backward


def symmetric_infonce(q: np.ndarray, k: np.ndarray, tau: float, mask: np.ndarray | None = None
                      ) -> tuple[float, LossBackwardEach]:
    """CLIP's loss: the mean of infonce(q, k) and infonce(k, q).  q, k: (N, D); mask: (N, N).

    -> L, backward() -> dq, dk, dtau.  Raises ValueError as infonce does, and unless q and k have
    the same number of rows.
    """
    if len(q) != len(k):
        raise ValueError(f"expected as many keys as queries, got {q.shape} and {k.shape}")
    s, back_s = cosine_logits(q, k, tau)
    logits, i = mask_false_negatives(s, mask), np.arange(len(q))
    loss_q, back_q = cross_entropy_numpy(logits, i)
    loss_k, back_k = cross_entropy_numpy(logits.T, i)

    def backward(dloss=1.0):
        return back_s(back_q(dloss / 2) + back_k(dloss / 2).T)
    return (loss_q + loss_k) / 2, backward


def cosine_logits(q: np.ndarray, k: np.ndarray, tau: float) -> tuple[np.ndarray, BackwardEach]:
    """s_ij = cos(q_i, k_j) / τ.  q: (N, D), k: (M, D) -> s: (N, M), backward(ds) -> dq, dk, dtau.

    Raises ValueError for shapes that do not match, and for a tau that is not above 0, or so small
    that dL/dτ, which is up to 2/τ², overflows (below about 1e-19 in float32).
    """
    if q.ndim != 2 or k.ndim != 2 or q.shape[1] != k.shape[1] or not 1 <= len(q) <= len(k):
        raise ValueError(f"expected queries (N, D), N ≥ 1, and keys (M, D), M ≥ N: a positive for "
                         f"each query, then hard negatives; got {q.shape} and {k.shape}")
    if not tau > 0:
        raise ValueError(f"tau: expected a positive number, got {tau}")
    if not 4 / float(tau) / float(tau) < float(np.finfo(q.dtype).max):
        raise ValueError(f"tau: expected a number whose 4/tau² is finite in {q.dtype}, got {tau}; "
                         "0.01 to 1 is usual")
    u, back_u = l2_normalize(q)
    v, back_v = l2_normalize(k)
    cos, scale = u @ v.T, 1 / float(tau)

    def backward(ds):
        dcos = scale * ds
        return back_u(dcos @ v), back_v(dcos.T @ u), -scale * (dcos * cos).sum()
    return scale * cos, backward


def mask_false_negatives(s: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """s with −∞ where mask is True, except on the diagonal (the positives).  s, mask: (N, M)."""
    if mask is None:
        return s
    if mask.shape != s.shape or mask.dtype != bool:
        raise ValueError(f"mask: expected {s.shape} of bool, True if a pair is not a negative, "
                         f"got {mask.shape} of {mask.dtype}")
    N, M = s.shape
    off_diagonal = np.arange(N)[:, None] != np.arange(M)
    return np.where(mask & off_diagonal, s.dtype.type(-np.inf), s)

"""InfoNCE: tell your own partner from everyone else's in the batch.

Paper     van den Oord, Li & Vinyals 2018, "Representation Learning with Contrastive Predictive
          Coding", eq. 4.  SimCSE (eq. 1), SBERT's multiple negatives, E5 and BGE use it one way
          round, CLIP (fig. 3) both ways round.
Equation  L = −1/N Σ_i log [ exp(s_ii) / Σ_j exp(s_ij) ],   s_ij = cos(q_i, k_j) / τ
Shapes    q (N, D) queries, k (M, D) keys, M ≥ N.  k[i] is the partner of q[i]; the rows of k from N
          on are hard negatives, nobody's partner.
Cost      O(N·M·D): one product forward, two back.  BLAS owns them, so there is no kernel here.
Differs   CPC has exp(z·Wc) where here is exp(cos/τ), and one query for the N keys of a batch.
Read next sentences/simcse.py (the partner is the same sentence under another dropout mask)

Row i is a classification: M classes, the right one is i, the logits are similarities.  So its
gradient is the classifier's, ∂L/∂s_ij = (p_ij − [i = j])/N: q_i is pulled to k_i with force
1 − p_ii and pushed off k_j with force p_ij, in all as much as it is pulled.  Only negatives that
still look likely (the hard ones) push, and τ decides how steeply "likely" falls off.  With
gap_i = max_j cos_ij − cos_ii,
    mean gap/τ  ≤  L  ≤  mean gap/τ + log M.
So L → log M, guessing, as τ → ∞; and τL → mean gap as τ → 0, where only the hardest one counts.

L ≥ 0.  All keys alike: L = log M.  One pair alone has nothing to be told from: L = 0, gradient 0.

The same text twice in a batch is a false negative.  If k_j = k_i, then p_ij = p_ii ≤ ½: these two
rows cannot cost less than log 2 each.  The pull to k_i and the push off k_j are along one line and
leave a pull of 1 − 2 p_ii: nothing is lost but the floor.  A paraphrase is worse, for q_i is pushed
off what it should be near.  So draw batches without duplicates.
"""
from collections.abc import Callable

import numpy as np

from scratch_embed.nn.layers import l2_normalize
from scratch_embed.nn.softmax import log_softmax

Loss = tuple[np.floating, Callable]        # the loss, and backward(dloss=1.0) -> its gradients


def cosine_logits(q: np.ndarray, k: np.ndarray, scale: float) -> tuple[np.ndarray, Callable]:
    """s_ij = scale · cos(q_i, k_j);  scale is 1/τ.  q: (N, D), k: (M, D) -> s: (N, M).

    backward(ds) -> (dq, dk, dscale).
    """
    if q.ndim != 2 or k.ndim != 2 or q.shape[1] != k.shape[1] or not 1 <= len(q) <= len(k):
        raise ValueError(f"expected queries (N, D), N ≥ 1, and keys (M, D), M ≥ N: a partner for "
                         f"each, then hard negatives; found {q.shape} and {k.shape}")
    u, back_u = l2_normalize(q)
    v, back_v = l2_normalize(k)
    cos = u @ v.T

    def backward(ds):
        dcos = scale * ds
        return back_u(dcos @ v), back_v(dcos.T @ u), (ds * cos).sum()
    return scale * cos, backward


def diagonal_cross_entropy(s: np.ndarray) -> Loss:
    """−mean_i log softmax(s_i)_i: row i should choose column i.  s: (N, M) -> a number.

    backward(dloss) -> ds.  The mean is taken in float64.
    """
    N = len(s)
    i = np.arange(N)
    log_p, _ = log_softmax(s)

    def backward(dloss=1.0):
        ds = np.exp(log_p)                       # p − 1_i: the classifier's gradient
        ds[i, i] -= 1
        return ds * float(dloss / N)
    return -log_p[i, i].mean(dtype=np.float64), backward


def infonce(q: np.ndarray, k: np.ndarray, tau: float = 0.05) -> Loss:
    """q[i] should choose k[i].  q: (N, D), k: (M, D) -> the loss and backward() -> (dq, dk)."""
    if not tau > 0:
        raise ValueError(f"tau={tau}: expected a positive number")
    s, back_s = cosine_logits(q, k, 1 / float(tau))
    loss, back_loss = diagonal_cross_entropy(s)

    def backward(dloss=1.0):
        dq, dk, _ = back_s(back_loss(dloss))     # τ is a constant here; CLIP learns it, below
        return dq, dk
    return loss, backward


def symmetric_infonce(q: np.ndarray, k: np.ndarray, log_scale: np.ndarray) -> Loss:
    """CLIP: q[i] should choose k[i], and k[i] q[i]; log(1/τ) is learned.  q, k: (N, D).

    backward() -> (dq, dk, dlog_scale).
    """
    if len(q) != len(k):
        raise ValueError(f"expected as many keys as queries, found {q.shape} and {k.shape}")
    scale = np.exp(log_scale)
    s, back_s = cosine_logits(q, k, scale)
    loss_q, back_q = diagonal_cross_entropy(s)
    loss_k, back_k = diagonal_cross_entropy(s.T)

    def backward(dloss=1.0):
        ds = back_q(dloss / 2) + back_k(dloss / 2).T
        dq, dk, dscale = back_s(ds)
        return dq, dk, dscale * scale            # ∂scale/∂log_scale = scale
    return (loss_q + loss_k) / 2, backward

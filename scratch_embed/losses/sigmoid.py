"""SigLIP's pairwise sigmoid loss: for every image and every text, do they belong together?

Paper     Zhai, Mustafa, Kolesnikov & Beyer 2023, "Sigmoid Loss for Language Image Pre-Training",
          section 3.2.
Equation  L = −1/N Σ_ij log σ(z_ij s_ij),   s_ij = exp(t) cos(q_i, k_j) + b,   z_ij = 1 if i = j,
          else −1
Shapes    q, k (N, D): k[i] belongs to q[i]
Cost      O(N²·D): one matrix product forward, two backward; BLAS computes them, so there is no
          Numba kernel
Differs   nothing: as in transformers' SiglipModel and in the authors' big_vision
Read next losses/infonce.py (which asks which text belongs to an image), multimodal/clip.py

Why not softmax?  InfoNCE divides by a sum over the batch, so every number of the (N, N) table
depends on all others.  Here each pair has a loss of its own, a binary cross-entropy: the table can
be computed in pieces on many devices, and small batches work better (the paper's figure 2).

Why the bias?  At the start all s_ij are about equal, and there are N − 1 times as many pairs with
z = −1.  At b = 0 they would dominate the first steps, which would do little but lower b.  At
b = −10 with scale 10 every pair is "no" already, σ(s) ≈ 5e-5, so the loss comes from the N
positives alone.

Gradient.  Since −d log σ(a)/da = −σ(−a),
    ds_ij = −z_ij σ(−z_ij s_ij)/N;   dt = Σ ds_ij exp(t) cos_ij,   db = Σ ds_ij.
A pair that is answered correctly and with confidence has a gradient near 0, whatever the others
are.
"""
import math

import numpy as np

from scratch_embed.losses.binary_cross_entropy import binary_cross_entropy
from scratch_embed.losses.infonce import cosine_logits
from scratch_embed.nn.contract import LossBackwardEach


def pairwise_sigmoid(q: np.ndarray, k: np.ndarray, log_scale: float, bias: float
                     ) -> tuple[float, LossBackwardEach]:
    """SigLIP's loss of the pairs (q[i], k[i]).  q, k: (N, D); log_scale: t, bias: b.

    -> L, backward() -> dq, dk, dlog_scale, dbias
    Raises ValueError unless q and k have the same shape, or if exp(log_scale) is too large.

    >>> loss, _ = pairwise_sigmoid(np.eye(2), np.eye(2), log_scale=0.0, bias=0.0)
    >>> round(loss, 4)                                      # log(1 + 1/e) + log 2
    1.0064
    """
    if q.shape != k.shape:
        raise ValueError(f"q, k: expected equal shapes (N, D), got {q.shape} and {k.shape}")
    N, tau = len(q), math.exp(-log_scale)
    scaled, back_scaled = cosine_logits(q, k, tau)                             # (N, N)
    mean, back_mean = binary_cross_entropy(scaled + q.dtype.type(bias), np.eye(N))

    def backward(dloss=1.0):
        ds = back_mean(N * dloss)                        # the mean is over N², L's 1/N is not
        dq, dk, dtau = back_scaled(ds)
        return dq, dk, -tau * dtau, ds.sum()
    return N * mean, backward

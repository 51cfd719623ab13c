"""Softmax over labels: the loss of one line, and one SGD step.

Paper     Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification", eq. 1 (fastText)
Equation  s = U h,   p = softmax(s),   L = −log p_y
Shapes    h (D,); U (L, D), a row for each label; s and p (L,); y, the index of the true label
Cost      O(L·D) per line: every label has a score, and every row of U is updated
Read next nn/softmax.py (the equation and its gradient); words/supervised.py, where it is one of
          four losses; words/huffman.py, a loss that costs O(D·log L)

Gradient.  With ∂L/∂s_l = p_l − 1 for l = y, else p_l, derived in nn/softmax.py,
    ∂L/∂U_l = ∂L/∂s_l · h   and   ∂L/∂h = Σ_l ∂L/∂s_l · U_l.
Every row of U is updated, those of unlikely labels only a little.  Hierarchical softmax updates
about log₂ L rows.
"""
import numpy as np

from scratch_embed.nn.softmax import cross_entropy, softmax
from scratch_embed.numerics.functions import exp32
from scratch_embed.numerics.kernel import kernel

ZERO, LOWEST = np.float32(0), np.float32(-np.inf)


def probabilities(S: np.ndarray) -> np.ndarray:
    """The probabilities of the labels from their scores.  S: (..., L) -> (..., L)"""
    return softmax(S)[0]


def softmax_loss_and_grad(h: np.ndarray, U: np.ndarray, label: int
                          ) -> tuple[float, np.ndarray, np.ndarray]:
    """The loss of one line, and its gradients.  h: (D,), U: (L, D) -> L, ∂L/∂h, ∂L/∂U"""
    loss, backward = cross_entropy((U @ h)[None], np.array([label]))
    ds = backward()[0]
    return loss, ds @ U, np.outer(ds, h)


@kernel
def softmax_step(h, U, label, lr, scores, dh):
    """One SGD step: U −= lr · ∂L/∂U in place, dh = −lr · ∂L/∂h.  -> L

    The float32 form of softmax_loss_and_grad; the caller adds dh to h.  scores (L,) is scratch.
    """
    top = LOWEST
    for l in range(len(U)):
        u, s = U[l], ZERO
        for d in range(len(h)):
            s += u[d] * h[d]
        scores[l] = s
        top = max(top, s)
    s_label, z = scores[label] - top, ZERO
    for l in range(len(U)):
        scores[l] = exp32(scores[l] - top)
        z += scores[l]
    scale = -lr / z
    dh[:] = ZERO
    for l in range(len(U)):
        u, step = U[l], scale * scores[l]        # −lr · ∂L/∂s
        if l == label:
            step += lr
        for d in range(len(h)):
            dh[d] += step * u[d]                 # u before its own update
            u[d] += step * h[d]
    return np.log(np.float64(z)) - np.float64(s_label)

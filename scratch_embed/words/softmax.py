"""Softmax over labels: from a score for each label to a step down the loss of one line.

Paper     Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification", eq. 1 (fastText).
Equation  s = U h,   p = softmax(s),   L = −log p_y
Shapes    h (D,), U (L, D) a row for each label, s and p (L,); y the number of the true label
Cost      O(L·D) a line: every label is scored, and every row steps
Read next nn/softmax.py (the equation and its gradient); words/supervised.py, where it is one of
          four losses; words/huffman.py, O(log L) instead

Gradient.  With ds = p − [l = y] of nn/softmax.py,
    ∂L/∂U_l = ds_l · h   and   ∂L/∂h = Σ_l ds_l · U_l:
every row moves, those of unlikely labels hardly; the tree of words/huffman.py moves log₂ L rows.
"""
import numpy as np

from scratch_embed.nn.softmax import cross_entropy, softmax
from scratch_embed.numerics.functions import exp32
from scratch_embed.numerics.kernel import kernel

ZERO, LOWEST = np.float32(0), np.float32(-np.inf)


def probabilities(S: np.ndarray) -> np.ndarray:
    """P of every label for each line's scores.  S, P: (..., L)."""
    return softmax(S)[0]


def softmax_loss_and_grad(h: np.ndarray, U: np.ndarray, label: int
                          ) -> tuple[float, np.ndarray, np.ndarray]:
    """h: (D,), U: (L, D) -> L, ∂L/∂h (D,), ∂L/∂U (L, D)."""
    loss, backward = cross_entropy((U @ h)[None], np.array([label]))
    ds = backward()[0]
    return loss, ds @ U, np.outer(ds, h)


@kernel
def softmax_step(h, U, label, lr, steps, dh):
    """A step down softmax_loss_and_grad: U −= lr · ∂U in place, dh = −lr · ∂h.  Return L.

    float32; steps (L,) is scratch.
    """
    top = LOWEST
    for l in range(len(U)):
        u, s = U[l], ZERO
        for d in range(len(h)):
            s += u[d] * h[d]
        steps[l] = s
        top = max(top, s)
    s_label, z = steps[label] - top, ZERO
    for l in range(len(U)):
        steps[l] = exp32(steps[l] - top)
        z += steps[l]
    share = -lr / z
    dh[:] = ZERO
    for l in range(len(U)):
        u, step = U[l], share * steps[l]         # −lr · ∂L/∂s
        if l == label:
            step += lr
        for d in range(len(h)):
            dh[d] += step * u[d]                 # u as it was before its own step
            u[d] += step * h[d]
    return np.log(np.float64(z)) - np.float64(s_label)

"""Softmax: from a score for each label to how likely each one is, and how to learn the scores.

Paper     Bridle 1990, "Probabilistic Interpretation of Feedforward Classification Network
          Outputs", where it has its name.
Equation  s = U h,   p_l = exp s_l / Σ_j exp s_j,   L = −log p_y = log Σ_j exp s_j − s_y
Shapes    h (D,), U (L, D) a row for each label, s and p (L,); y the number of the true label
Cost      O(L·D) a line: every label is scored, and every row steps.
Read next words/supervised.py, where it is one of four losses; words/huffman.py, O(log L) instead.

A number added to all scores changes no p: so the largest is made 0 first, and no exp overflows.

The gradient.  log Σ_j exp s_j has the derivative p_l by s_l, hence
    ∂L/∂s_l = p_l − [l = y]:   what the model believes, less what is so.
With it  ∂L/∂U_l = ∂L/∂s_l · h  and  ∂L/∂h = Σ_l ∂L/∂s_l · U_l.
"""
import numpy as np

from scratch_embed.numerics.functions import exp32
from scratch_embed.numerics.kernel import kernel

ZERO, LOWEST = np.float32(0), np.float32(-np.inf)


def softmax(S: np.ndarray) -> np.ndarray:
    """exp s_l / Σ exp s_j along the last axis, (..., L)."""
    e = np.exp(S - S.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_loss_and_grad(h: np.ndarray, U: np.ndarray, label: int
                          ) -> tuple[float, np.ndarray, np.ndarray]:
    """h: (D,), U: (L, D) -> L, ∂L/∂h (D,), ∂L/∂U (L, D)."""
    s = U @ h
    error = softmax(s)
    error[label] -= 1                            # p − [l = y]
    s = s - s.max()
    return np.log(np.exp(s).sum()) - s[label], error @ U, np.outer(error, h)


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

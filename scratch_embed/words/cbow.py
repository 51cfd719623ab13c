"""CBOW: guess the word in the middle from the mean of the words around it.

Paper     Mikolov et al. 2013a, "Efficient Estimation of Word Representations in Vector Space",
          section 3.1 and fig. 1; İrsoy, Benton & Stratos 2020, "Corrected CBOW Performs as well
          as Skip-gram", for the correction.
Equation  h = (1/n) Σ_{c in window} v_c;   L = −log σ(u_o · h) − Σ_k log σ(−u_k · h)
Shapes    W (V, D) the word vectors v; U (V, D) the output vectors u; h (D,)
Cost      O((n + K)·D) a word: one step a position, where skip-gram takes one a pair.
Differs   from the equation, in cbow_chunk only: h is a mean, so ∂L/∂v_c = (1/n) ∂L/∂h; but
          word2vec.c, gensim and fastText add the whole ∂L/∂h to each v_c.  cbow_chunk does as
          they do, since that is CBOW as its users know it; corrected_cbow_chunk follows the
          equation.  The usual learning rate is twice skip-gram's, 0.05.
Read next words/word2vec.py (`draw_targets`, `sgns_step`; train(..., method=cbow_chunk)).

With the whole gradient every context word takes an n times longer step than the equation says:
the output vectors learn at one rate, and the word vectors at n times that, which grows with the
window.
"""
import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.settings import saved_as
from scratch_embed.words.word2vec import (
    ONE,
    ZERO,
    buffers,
    draw_targets,
    draw_window,
    loss_and_grad,
    sgns_step,
    subsample,
)


def cbow_loss_and_grad(context: np.ndarray, U: np.ndarray, rows: np.ndarray, y: np.ndarray
                       ) -> tuple[float, np.ndarray, np.ndarray]:
    """The equation, in NumPy.  context: (n, D) the window's vectors; U, rows, y: loss_and_grad's.

    -> L, ∂L/∂context (n, D), ∂L/∂U[rows] (M, D)
    """
    loss, dh, dU = loss_and_grad(context.mean(axis=0), U, rows, y)
    return loss, np.broadcast_to(dh / len(context), context.shape), dU


@saved_as("CBOW")
@kernel
def cbow_chunk(corpus, sentences, plan, W, U, lr, state):
    """One step a position, every context word taking the whole error.  -> Σ L, positions"""
    return cbow_steps(corpus, sentences, plan, W, U, lr, state, True)


@saved_as("corrected CBOW")
@kernel
def corrected_cbow_chunk(corpus, sentences, plan, W, U, lr, state):
    """One step a position, every context word taking its share of the error.  -> Σ L, positions"""
    return cbow_steps(corpus, sentences, plan, W, U, lr, state, False)


@kernel
def cbow_steps(corpus, sentences, plan, W, U, lr, state, whole):
    """The pass over the text that both forms share."""
    kept, rows, y, scores, dh = buffers(corpus, sentences, plan, W.shape[1])
    h = np.empty(W.shape[1], np.float32)
    loss, positions = np.float64(0), 0
    for s in sentences:
        n, state = subsample(corpus, s, plan.keep, state, kept)
        for i in range(n):
            first, last, state = draw_window(plan, i, n, state)
            if last - first < 2:
                continue                               # a word without neighbours
            share = ONE / np.float32(last - first - 1)
            mean_without(W, kept, first, last, i, share, h)
            M, state = draw_targets(plan, kept[i], rows, y, state)
            loss += sgns_step(h, U, rows, y, M, lr, scores, dh)
            positions += 1
            if whole:
                share = ONE
            for j in range(first, last):
                if j != i:
                    v = W[kept[j]]
                    for d in range(len(v)):
                        v[d] += share * dh[d]
    return loss, positions


@kernel
def mean_without(W, kept, first, last, i, share, h):
    """h = share · Σ v over the words kept[first:last] except the one in the middle, i."""
    h[:] = ZERO
    for j in range(first, last):
        if j != i:
            v = W[kept[j]]
            for d in range(len(h)):
                h[d] += share * v[d]

"""CBOW: predict the word in the middle of a window from the mean of the other words' vectors.

Paper     Mikolov et al. 2013a, "Efficient Estimation of Word Representations in Vector Space",
          section 3.1 and fig. 1; İrsoy, Benton & Stratos 2020, "Corrected CBOW Performs as well
          as Skip-gram", for the correction
Equation  for a word o, the n other words c in its window, and K negatives k:
              h = (1/n) Σ_c v_c,   L = −log σ(u_o · h) − Σ_k log σ(−u_k · h)
Shapes    W (V, D) the word vectors v; U (V, D) the output vectors u; h (D,)
Cost      O((n + K)·D) per position; skip-gram costs O(n·K·D)
Differs   from the equation, in cbow_chunk only: h is a mean, so ∂L/∂v_c = (1/n) ∂L/∂h, but
          word2vec.c, gensim and fastText update each v_c by the full gradient ∂L/∂h.  cbow_chunk
          does the same; corrected_cbow_chunk follows the equation.  The usual learning rate is
          0.05, twice skip-gram's.  The other differences are those of words/word2vec.py.
Read next words/word2vec.py (`draw_targets`, `sgns_step`; train(..., method=cbow_chunk))

What does the full gradient change?  It would be right for a sum, h = Σ v_c, but h is a mean.  Each
context vector takes a step n times as long as the equation says: the effective learning rate of W
is n·lr, that of U is lr, and n grows with the window.  With the correction both rates are lr.
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
    """CBOW loss of one position, and its gradients.

    context: (n, D) the vectors of the other words; U, rows, y: as for word2vec.loss_and_grad
    -> L, ∂L/∂context (n, D), ∂L/∂U[rows] (M, D)
    """
    loss, dh, dU = loss_and_grad(context.mean(axis=0), U, rows, y)
    return loss, np.broadcast_to(dh / len(context), context.shape), dU


@saved_as("CBOW")
@kernel
def cbow_chunk(corpus, sentences, plan, W, U, lr, state):
    """One step per position; each v_c is updated by all of ∂L/∂h.  -> Σ L, number of positions"""
    return cbow_steps(corpus, sentences, plan, W, U, lr, state, True)


@saved_as("corrected CBOW")
@kernel
def corrected_cbow_chunk(corpus, sentences, plan, W, U, lr, state):
    """One step per position; each v_c is updated by (1/n) ∂L/∂h.  -> Σ L, number of positions"""
    return cbow_steps(corpus, sentences, plan, W, U, lr, state, False)


@kernel
def cbow_steps(corpus, sentences, plan, W, U, lr, state, full_gradient):
    """Take one SGD step for each position of the sentences, in either form of CBOW."""
    kept, rows, y, scores, dh = buffers(corpus, sentences, plan, W.shape[1])
    h = np.empty(W.shape[1], np.float32)
    loss, positions = np.float64(0), 0
    for s in sentences:
        n, state = subsample(corpus, s, plan.keep, state, kept)
        for i in range(n):
            first, last, state = draw_window(plan, i, n, state)
            if last - first < 2:
                continue                               # no other word in the window
            share = ONE / np.float32(last - first - 1)
            mean_without(W, kept, first, last, i, share, h)
            M, state = draw_targets(plan, kept[i], rows, y, state)
            loss += sgns_step(h, U, rows, y, M, lr, scores, dh)
            positions += 1
            if full_gradient:
                share = ONE                            # each v_c gets dh, not dh/n
            for j in range(first, last):
                if j != i:
                    v = W[kept[j]]
                    for d in range(len(v)):
                        v[d] += share * dh[d]
    return loss, positions


@kernel
def mean_without(W, kept, first, last, i, share, h):
    """h = share · Σ v of the n words at positions first..last−1 of `kept`, except i.  share: 1/n"""
    h[:] = ZERO
    for j in range(first, last):
        if j != i:
            v = W[kept[j]]
            for d in range(len(h)):
                h[d] += share * v[d]

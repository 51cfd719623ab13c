"""Skip-gram with shared negatives: all pairs of one position use the same negatives.

Paper     Ji, Satish, Li & Dubey 2016, "Parallelizing Word2Vec in Shared and Distributed Memory"
          (pWord2Vec), section 3
Equation  SGNS (words/word2vec.py); the K negatives are drawn once for the word in the middle, and
          used for every neighbour in its window
Shapes    block (K+1, D): the output vectors of the word and its negatives, copied from U (V, D)
Cost      the arithmetic of plain skip-gram, but less memory traffic: K + 1 rows are read once per
          position instead of once per pair, and stay in the first-level cache in between
Differs   from plain skip-gram: the pairs of a position share their negatives, so their gradients
          are correlated.  The expected gradient is the same, except that a word drawn twice for a
          position counts once.  From pWord2Vec: the neighbours of a position are processed
          one after the other, not as one matrix product.
Read next words/word2vec.py, train(..., method=shared_chunk)
"""
import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.settings import saved_as
from scratch_embed.words.word2vec import (
    ZERO,
    buffers,
    draw_targets,
    draw_window,
    logistic_grads,
    subsample,
)


@kernel(inline=True)
def block_step(v, block, y, M, lr, scores, dv):
    """word2vec.sgns_step for the contiguous rows block[:M], updated in place.  -> L

    It is faster than sgns_step, since it looks up no row indices.
    """
    for k in range(M):
        u, s = block[k], ZERO
        for d in range(len(v)):
            s += u[d] * v[d]
        scores[k] = s
    loss = logistic_grads(scores, y, M, lr)
    dv[:] = ZERO
    for k in range(M):
        u, g = block[k], scores[k]
        for d in range(len(v)):
            dv[d] += g * u[d]
            u[d] += g * v[d]
    return loss


@kernel
def without_repeats(rows, M):
    """Drop repeated negatives from rows[1:M], in place.  -> how many rows are left

    The labels y stay valid, since all negatives have label −1.
    """
    left = 1
    for k in range(1, M):
        repeated = False
        for j in range(1, left):
            repeated |= rows[j] == rows[k]
        if not repeated:
            rows[left] = rows[k]
            left += 1
    return left


@saved_as("skip-gram, shared negatives")
@kernel
def shared_chunk(corpus, sentences, plan, W, U, lr, state):
    """The same as skipgram_chunk, but negatives are drawn once per position.  -> Σ L, pairs"""
    kept, rows, y, scores, dv = buffers(corpus, sentences, plan, W.shape[1])
    D = W.shape[1]
    block = np.empty((plan.max_targets, D), np.float32)
    loss, pairs = np.float64(0), 0
    for s in sentences:
        n, state = subsample(corpus, s, plan.keep, state, kept)
        for i in range(n):
            first, last, state = draw_window(plan, i, n, state)
            M, state = draw_targets(plan, kept[i], rows, y, state)
            M = without_repeats(rows, M)
            for k in range(M):                             # copy the rows into the block
                u, b = U[rows[k]], block[k]
                for d in range(D):
                    b[d] = u[d]
            for j in range(first, last):
                if j != i:
                    v = W[kept[j]]
                    loss += block_step(v, block, y, M, lr, scores, dv)
                    for d in range(len(v)):
                        v[d] += dv[d]
                    pairs += 1
            for k in range(M):                             # copy them back
                u, b = U[rows[k]], block[k]
                for d in range(D):
                    u[d] = b[d]
    return loss, pairs

"""Skip-gram with shared negatives: one draw of noise serves all pairs of a position.

Paper     Ji, Satish, Li & Dubey 2016, "Parallelizing Word2Vec in Shared and Distributed Memory"
          (pWord2Vec), section 3.
Equation  SGNS (words/word2vec.py); the K noise words are drawn once for a word in the middle and
          serve every neighbour in its window.
Shapes    block (K+1, D): the output vectors of the word and its noise, copied out of U (V, D)
Cost      the same arithmetic as the exact form, a fraction of its memory traffic: K + 1 rows are
          fetched once a position and not once a pair, and between they stay in the first cache.
Differs   from the exact form, in its noise: the pairs of a position see the same K words, so their
          gradients are correlated; the mean is the same, but that a word drawn twice for a
          position is asked about once.  From pWord2Vec: a position is stepped neighbour by
          neighbour, not as one matrix product of old values.  Negative sampling only.
Read next words/word2vec.py, train(..., method=shared_chunk).
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
    """word2vec.sgns_step where the rows are block[:M], end to end: stepped in place.  -> L

    With no row numbers to look up it takes 7/8 of sgns_step's time.
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
    """Keep the first of equal numbers among rows[1:M], the negatives.  -> how many are left"""
    left = 1
    for k in range(1, M):
        repeated = False
        for j in range(1, left):
            repeated |= rows[j] == rows[k]
        if not repeated:
            rows[left] = rows[k]
            left += 1
    return left


@kernel
def copy_rows(source, source_rows, target, target_rows, M):
    """target[target_rows[k]] = source[source_rows[k]] for k < M."""
    for k in range(M):
        u, b = source[source_rows[k]], target[target_rows[k]]
        for d in range(len(u)):
            b[d] = u[d]


@saved_as("skip-gram, shared negatives")
@kernel
def shared_chunk(corpus, sentences, plan, W, U, lr, state):
    """skipgram_chunk, except that negatives are drawn once a position.  -> Σ L, pairs"""
    kept, rows, y, scores, dv = buffers(corpus, sentences, plan, W.shape[1])
    block, places = np.empty((len(rows), len(dv)), np.float32), np.arange(len(rows))
    loss, pairs = np.float64(0), 0
    for s in sentences:
        n, state = subsample(corpus, s, plan.keep, state, kept)
        for i in range(n):
            first, last, state = draw_window(plan, i, n, state)
            M, state = draw_targets(plan, kept[i], rows, y, state)
            M = without_repeats(rows, M)
            copy_rows(U, rows, block, places, M)
            for j in range(first, last):
                if j != i:
                    v = W[kept[j]]
                    loss += block_step(v, block, y, M, lr, scores, dv)
                    for d in range(len(v)):
                        v[d] += dv[d]
                    pairs += 1
            copy_rows(block, places, U, rows, M)
    return loss, pairs

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
Read next words/word2vec.py, train(..., chunk=shared_chunk).
"""
import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.words.word2vec import ZERO, draw_reach, grade, longest, pose, thin_out


@kernel(inline=True)
def answer_block(v, block, y, M, lr, steps, dv):
    """word2vec.answer where the rows are block[:M], end to end: a step for the block, in place.

    Returns L.  With no row numbers to look up it takes 7/8 of answer's time.
    """
    for k in range(M):
        u, s = block[k], ZERO
        for d in range(len(v)):
            s += u[d] * v[d]
        steps[k] = s
    loss = grade(steps, y, M, lr)
    dv[:] = ZERO
    for k in range(M):
        u, step = block[k], steps[k]
        for d in range(len(v)):
            dv[d] += step * u[d]
            u[d] += step * v[d]
    return loss


@kernel
def without_repeats(rows, M):
    """Keep the first of equal numbers among rows[1:M], the noise; return how many are left."""
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
def shared_chunk(corpus, sentences, plan, W, U, lr, state):
    """skipgram_chunk, but for the noise: drawn once a position.  Return Σ L, pairs."""
    D = W.shape[1]
    kept = np.empty(longest(corpus, sentences), np.int32)
    rows, y = np.empty(plan.questions, np.int64), np.empty(plan.questions, np.float32)
    block = np.empty((plan.questions, D), np.float32)
    steps, dv = np.empty(plan.questions, np.float32), np.empty(D, np.float32)
    loss, pairs = np.float64(0), 0
    for s in sentences:
        n, state = thin_out(corpus, s, plan.keep, state, kept)
        for i in range(n):
            reach, state = draw_reach(plan, state)
            M, state = pose(plan, kept[i], rows, y, state)
            M = without_repeats(rows, M)
            for k in range(M):
                u, b = U[rows[k]], block[k]
                for d in range(D):
                    b[d] = u[d]
            for j in range(max(0, i - reach), min(n, i + reach + 1)):
                if j != i:
                    v = W[kept[j]]
                    loss += answer_block(v, block, y, M, lr, steps, dv)
                    for d in range(D):
                        v[d] += dv[d]
                    pairs += 1
            for k in range(M):
                u, b = U[rows[k]], block[k]
                for d in range(D):
                    u[d] = b[d]
    return loss, pairs

"""Skip-gram with shared negatives: one draw of noise serves all pairs of a position.

Paper     Ji, Satish, Li & Dubey 2016, "Parallelizing Word2Vec in Shared and Distributed Memory"
          (pWord2Vec), section 3.
Equation  SGNS (words/word2vec.py); the K noise words are drawn once for a word in the middle and
          serve every neighbour in its window.
Shapes    block (K+1, D): the output vectors of the word and its noise, copied out of U (V, D)
Cost      the same arithmetic as the exact form, a fraction of its memory traffic: K + 1 rows are
          fetched once a position and not once a pair, and between they stay in the first cache.
Differs   from the exact form, in its noise: the pairs of a position see the same K words, so their
          gradients are correlated; the mean is the same.  From pWord2Vec: a position is stepped
          neighbour by neighbour, not as one matrix product of old values.  Negative sampling only.
Read next words/word2vec.py, train(..., chunk=shared_chunk).
"""
import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.words.word2vec import answer, draw_reach, longest, pose, thin_out


@kernel
def shared_chunk(corpus, sentences, plan, W, U, lr, state):
    """skipgram_chunk, but for the noise: drawn once a position.  Return Σ L, pairs."""
    D = W.shape[1]
    kept = np.empty(longest(corpus, sentences), np.int32)
    rows, y = np.empty(plan.questions, np.int64), np.empty(plan.questions, np.float32)
    block = np.empty((plan.questions, D), np.float32)
    before = np.empty((plan.questions, D), np.float32)
    every = np.arange(plan.questions)
    steps, dv = np.empty(plan.questions, np.float32), np.empty(D, np.float32)
    loss, pairs = np.float64(0), 0
    for s in sentences:
        n, state = thin_out(corpus, s, plan.keep, state, kept)
        for i in range(n):
            reach, state = draw_reach(plan, state)
            M, state = pose(plan, kept[i], rows, y, state)
            for k in range(M):
                u, b, o = U[rows[k]], block[k], before[k]
                for d in range(len(u)):
                    b[d] = u[d]
                    o[d] = u[d]
            for j in range(max(0, i - reach), min(n, i + reach + 1)):
                if j != i:
                    v = W[kept[j]]
                    loss += answer(v, block, every, y, M, lr, steps, dv)
                    for d in range(len(v)):
                        v[d] += dv[d]
                    pairs += 1
            for k in range(M):
                u, b, o = U[rows[k]], block[k], before[k]
                for d in range(len(u)):
                    u[d] += b[d] - o[d]
    return loss, pairs

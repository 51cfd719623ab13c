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

from scratch_embed.numerics.functions import exp32
from scratch_embed.numerics.kernel import kernel
from scratch_embed.words.word2vec import ONE, ZERO, draw_reach, longest, pose, thin_out


@kernel
def answer_block(v, block, y, M, lr, step, dv):
    """`answer` where no row comes twice: block −= lr · ∂L/∂block, v −= lr · ∂L/∂v.  Returns L.

    No step changes another row's score, so all scores come first: more of the work is side by
    side.  step (M,) and dv (D,) are scratch.
    """
    for k in range(M):
        u, s = block[k], ZERO
        for d in range(len(v)):
            s += u[d] * v[d]
        step[k] = s
    loss, probability = np.float64(0), np.float64(1)
    for k in range(M):
        e = exp32(-y[k] * step[k])
        right = ONE / (ONE + e)                  # σ(y s)
        step[k] = lr * y[k] * e * right          # −lr · ∂L/∂s
        probability *= right
        if probability < 1e-200:
            loss -= np.log(probability)
            probability = np.float64(1)
    dv[:] = ZERO
    for k in range(M):
        u, g = block[k], step[k]
        for d in range(len(v)):
            dv[d] += g * u[d]
            u[d] += g * v[d]
    for d in range(len(v)):
        v[d] += dv[d]
    return loss - np.log(probability)


@kernel
def shared_chunk(corpus, sentences, plan, W, U, lr, state):
    """skipgram_chunk, but for the noise: drawn once a position.  Return Σ L, pairs."""
    D = W.shape[1]
    kept = np.empty(longest(corpus, sentences), np.int32)
    rows, y = np.empty(plan.questions, np.int64), np.empty(plan.questions, np.float32)
    block = np.empty((plan.questions, D), np.float32)
    before = np.empty((plan.questions, D), np.float32)
    step, dv = np.empty(plan.questions, np.float32), np.empty(D, np.float32)
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
                    loss += answer_block(W[kept[j]], block, y, M, lr, step, dv)
                    pairs += 1
            for k in range(M):
                u, b, o = U[rows[k]], block[k], before[k]
                for d in range(len(u)):
                    u[d] += b[d] - o[d]
    return loss, pairs

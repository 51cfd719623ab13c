"""Word2vec: learn a vector for each word by predicting which words occur near it.

Paper     Mikolov et al. 2013b, "Distributed Representations of Words and Phrases and their
          Compositionality", eq. 4: skip-gram with negative sampling (SGNS).
Equation  for every pair of neighbours, an input word n and an output word m, with K negatives k:
              L = −log σ(u_m · v_n) − Σ_{k=1..K} log σ(−u_k · v_n)
Shapes    W (V, D) the input vectors v, the result; U (V, D) the output vectors u, used in training
          only
Cost      O(K·D) per pair; about window + 1 pairs per word
Differs   from the paper, like word2vec.c: another subsampling formula (text/vocab.py); the size
          of the window is drawn for each position; a negative that equals the output word is
          skipped; the output word is the one in the middle, and the input word its neighbour.
          From word2vec.c: σ is computed, not read from a table that ends at ±6; the K + 1 targets
          of a pair are updated together, not one by one (a difference only if a negative is drawn
          twice); sentences are read in random order; no word </s> ends a line.
Read next words/negative_sampling.py (where negatives come from), words/vectors.py (what to do with
          the result); then the other forms: words/cbow.py, words/huffman.py (hierarchical
          softmax), words/shared_negatives.py
Names     gensim's: sg (method), vector_size (dim), negative (negatives), alpha (lr), min_alpha
          (lr · details.min_lr_ratio), ns_exponent (details.power), shrink_windows (not
          details.fixed_window)

Gradient.  Each term is a logistic regression with input v and weights u: its label y is +1 for the
observed word and −1 for a negative.  With the score s = u · v,
    L = −log σ(y s),   ∂L/∂s = −y σ(−y s),   so   ∂L/∂u = ∂L/∂s · v   and   ∂L/∂v = Σ ∂L/∂s · u.
An observed pair pulls u and v together, more strongly the lower the probability that the model gave
it; a negative pushes them apart.

Why two tables?  A word hardly ever occurs next to itself, but v · v is never negative: with one
table the model could not give a word a probability below ½ of occurring next to itself.  Two tables
remove this constraint.  W is the result: words with similar neighbours get similar v.

Why is the size of the window random?  A pair at distance d is used if the drawn size is at least d,
with probability (window − d + 1)/window.  So near words, which are thought to say more about each
other, count more, without a weight in the equation.  A fixed window of the same size has up to
twice as many pairs and counts all distances alike.  `scratch-embed why word2vec` does not confirm
the idea: on the toy texts the random size solves 5.1 ± 2.0 percentage points fewer analogies than a
fixed window, and with as many pairs the difference is not significant (+1.0 ± 2.4).

Why subsample?  Frequent words such as "the" say little about the words near them.  Without most of
their occurrences, which are dropped before the windows are formed (keep_probability in
text/vocab.py), a window reaches further and an epoch is shorter: 26.0 ± 2.6 percentage points more
analogies on the toy texts (`scratch-embed why word2vec`).

What is the optimum?  If D is so large that every product u · v can take any value, the loss is
least at  u · v = log[ P(m, n) / (P(n) Pneg(m)) ] − log K:  the pointwise mutual information of the
words, with Pneg(m) in place of P(m), minus log K (Levy & Goldberg 2014).  P(m, n) is the fraction
of the training pairs that are (m, n), after subsampling and in windows of random size; Pneg is the
noise distribution, from which negatives are drawn.  Words in similar contexts have similar rows of
that matrix, and so similar vectors.  (The code skips negatives that equal the output word, which
moves the optimum a little; in a small vocabulary this is noticeable: words/ppmi.py.)
"""
from collections.abc import Callable

import numpy as np

from scratch_embed.numerics.checks import require_function
from scratch_embed.numerics.functions import exp32, sigmoid, softplus
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.memory import require_memory
from scratch_embed.numerics.random import GAMMA, below, mix, stream, uniform32
from scratch_embed.numerics.settings import saved_as
from scratch_embed.text.vocab import Corpus, Vocab
from scratch_embed.training.batches import BLOCK, chunks, linear_decay
from scratch_embed.training.session import RunOptions, session
from scratch_embed.words.negative_sampling import draw_negative
from scratch_embed.words.plan import (
    Details,
    Trained,
    check_corpus,
    check_pairs,
    check_settings,
    chunk_words,
    make_plan,
)

ZERO, ONE = np.float32(0), np.float32(1)


# ---- the equation ---------------------------------------------------------------------------

def loss_and_grad(v: np.ndarray, U: np.ndarray, rows: np.ndarray, y: np.ndarray
                  ) -> tuple[float, np.ndarray, np.ndarray]:
    """SGNS loss of one input vector against M output rows, and its gradients.

    v: (D,) input vector; U: (V, D); rows: (M,) indices of rows of U; y: (M,) labels, ±1
    -> L = −Σ log σ(y u·v), ∂L/∂v (D,), ∂L/∂U[rows] (M, D)

    >>> v, U = np.array([1.0, 0.0]), np.array([[np.log(3), 5.0], [-np.log(3), 7.0]])
    >>> round(float(loss_and_grad(v, U, np.array([0, 1]), np.array([1, -1]))[0]), 4)  # 2 log(4/3)
    0.5754
    """
    scores = U[rows] @ v
    dscores = -y * sigmoid(-y * scores)          # σ(s) − 1 if observed, σ(s) if negative
    return softplus(-y * scores).sum(), dscores @ U[rows], np.outer(dscores, v)


@kernel(inline=True)
def sgns_step(v, U, rows, y, M, lr, scores, dv):
    """One SGD step for M targets: U[rows] −= lr · ∂L/∂U in place, dv = −lr · ∂L/∂v.  -> L

    The float32 form of loss_and_grad; the caller adds dv to v.  scores (≥ M,) is scratch, dv (D,)
    an output.  All scores are computed before any update, so that the processor can load the rows
    in parallel.
    """
    for k in range(M):                           # scores[k] = u_k · v
        u, s = U[rows[k]], ZERO
        for d in range(len(v)):
            s += u[d] * v[d]
        scores[k] = s
    loss = logistic_grads(scores, y, M, lr)      # scores[k] becomes −lr · ∂L/∂s_k
    dv[:] = ZERO
    for k in range(M):
        u, g = U[rows[k]], scores[k]
        for d in range(len(v)):
            dv[d] += g * u[d]                    # u before its own update
            u[d] += g * v[d]
    return loss


@kernel(inline=True)
def logistic_grads(scores, y, M, lr):
    """Replace each score s by −lr · ∂L/∂s = lr · y · σ(−y s).  -> L = −Σ log σ(y s)"""
    loss, probability = np.float64(0), np.float64(1)
    for k in range(M):
        e = exp32(-y[k] * scores[k])
        p = ONE / (ONE + e)                      # σ(y s): the probability of the correct label
        scores[k] = lr * y[k] * e * p            # since 1 − p = e · p
        probability *= p                         # multiply, and take one logarithm for all M
        if probability < 1e-200:                 # before it underflows
            loss -= np.log(probability)
            probability = np.float64(1)
    return loss - np.log(probability)


@kernel(inline=True)
def draw_targets(plan, word, rows, y, state):
    """List the rows of U used to predict `word`, with their labels, in rows and y.  -> M, state

    Negative sampling: the word itself (+1), then up to K negatives (−1).  Hierarchical softmax:
    the inner nodes on the path to the word, each with its turn (±1).
    """
    if plan.negatives == 0:
        first = plan.tree.offsets[word]
        M = plan.tree.offsets[word + 1] - first
        for k in range(M):
            rows[k] = plan.tree.nodes[first + k]
            y[k] = plan.tree.turns[first + k]
        return M, state
    rows[0], y[0] = word, ONE
    M = 1
    for _ in range(plan.negatives):
        state += GAMMA
        negative = draw_negative(plan.noise, mix(state))
        if negative != word:                     # skipped, as in word2vec.c; not drawn again
            rows[M], y[M] = negative, -ONE
            M += 1
    return M, state


# ---- from text to pairs ---------------------------------------------------------------------

@kernel
def subsample(corpus, s, keep, state, kept):
    """Copy each word w of sentence s to `kept` with probability keep[w].  -> how many, state"""
    n = 0
    for word in corpus.ids[corpus.offsets[s]:corpus.offsets[s + 1]]:
        state += GAMMA
        if uniform32(mix(state)) < keep[word]:
            kept[n] = word
            n += 1
    return n, state


@kernel(inline=True)
def draw_window(plan, i, n, state):
    """The window of word i among n words: positions first..last−1, with i.  -> first, last, state

    Its size is uniform in 1..plan.window, or always plan.window if plan.fixed_window.
    """
    size = plan.window
    if not plan.fixed_window:
        state += GAMMA
        size = 1 + below(mix(state), plan.window)
    return max(0, i - size), min(n, i + size + 1), state


@kernel(inline=True)
def buffers(corpus, sentences, plan, D):
    """Scratch space of a chunk.  -> kept, rows, y, scores, dv

    kept: (words of the longest sentence,); rows, y, scores: (max_targets,); dv: (D,)
    """
    longest = 0
    for s in sentences:
        longest = max(longest, corpus.offsets[s + 1] - corpus.offsets[s])
    M = plan.max_targets
    return (np.empty(longest, np.int32), np.empty(M, np.int64), np.empty(M, np.float32),
            np.empty(M, np.float32), np.empty(D, np.float32))


@saved_as("skip-gram")
@kernel
def skipgram_chunk(corpus, sentences, plan, W, U, lr, state):
    """One SGD step for every pair of neighbours in `sentences` (their indices).  -> Σ L, pairs

    Each sentence is subsampled first; the windows span the words that are left.
    """
    kept, rows, y, scores, dv = buffers(corpus, sentences, plan, W.shape[1])
    loss, pairs = np.float64(0), 0
    for s in sentences:
        n, state = subsample(corpus, s, plan.keep, state, kept)
        for i in range(n):
            first, last, state = draw_window(plan, i, n, state)
            for j in range(first, last):
                if j != i:
                    v = W[kept[j]]
                    M, state = draw_targets(plan, kept[i], rows, y, state)
                    loss += sgns_step(v, U, rows, y, M, lr, scores, dv)
                    for d in range(len(v)):
                        v[d] += dv[d]
                    pairs += 1
    return loss, pairs


# ---- training -------------------------------------------------------------------------------

def initial_weights(V: int, dim: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """W uniform in ±½/dim, and U = 0, as in word2vec.c.  (V, dim) float32 each."""
    require_memory(8 * V * dim, f"two tables of {V} words x {dim} dimensions")
    W = np.random.default_rng([seed, 0]).random((V, dim), np.float32)
    W -= np.float32(0.5)
    W /= np.float32(dim)
    return W, np.zeros((V, dim), np.float32)


def train(corpus: Corpus, vocab: Vocab, method: Callable = skipgram_chunk, dim: int = 100,
          window: int = 5, negatives: int = 5, sample: float = 1e-3, lr: float = 0.025,
          epochs: int = 5, details: Details = Details(), options: RunOptions = RunOptions()
          ) -> Trained:
    """Train word vectors on `corpus`, a Corpus numbered by `vocab`.  -> Trained

    method     skipgram_chunk; shared_chunk of words/shared_negatives.py; cbow_chunk or
               corrected_cbow_chunk of words/cbow.py, whose usual lr is 0.05
    window     the largest distance of a neighbour, in words; each position draws its own size,
               1..window, unless details.fixed_window
    negatives  K, the negatives of each pair; 0 for hierarchical softmax (words/huffman.py)
    sample     t in the subsampling formula (text/vocab.py); 0 keeps every word
    lr         initial learning rate; it falls linearly with the words read, to
               lr · details.min_lr_ratio
    options    workers, seed, checkpoint, progress.  Several workers update the same weights without
               locks (Niu et al. 2011, Hogwild).  With one, the same seed gives the same bits; with
               several, only the quality is the same.
    Raises     ValueError for settings that are out of range or differ from the resumed
               checkpoint's; TrainingDiverged if the loss or a weight is not finite
    """
    settings = dict(method=require_function("method", method, "skipgram_chunk"), dim=dim,
                    window=window, negatives=negatives, sample=sample, lr=lr, epochs=epochs,
                    seed=options.seed, block=BLOCK, **details._asdict())
    check_settings(settings)
    check_corpus(corpus, vocab)
    plan = make_plan(vocab.counts, window, negatives, sample, details.power, details.fixed_window)
    size = chunk_words(dim * window * plan.max_targets)
    settings |= dict(chunk_words=size, vocabulary=vocab.digest(), data=corpus)
    W, U = initial_weights(len(vocab), dim, options.seed)
    words = len(corpus.ids)

    def step(chunk):
        done = (chunk.epoch * words + chunk.before) / (epochs * words)
        lr_now = linear_decay(lr, done, details.min_lr_ratio)
        loss, pairs = method(corpus, chunk.sentences, plan, W, U, np.float32(lr_now),
                             stream(options.seed, chunk.epoch, chunk.number))
        return loss, pairs, chunk.words, lr_now

    with session({"W": W, "U": U}, settings, options, epochs * words, "word") as run:
        for epoch in run.epochs(epochs):
            for result in run.chunks(step, chunks(corpus.offsets, epoch, options.seed, size,
                                                  details.shuffle)):
                run.record(*result)
        check_pairs(run.losses, sample)
    return Trained(W, U, run.losses)

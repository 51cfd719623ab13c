"""Word2vec: learn a word's vector by guessing which words stand near it.

Paper     Mikolov et al. 2013b, "Distributed Representations of Words and Phrases and their
          Compositionality", eq. 4 (skip-gram with negative sampling, SGNS).
Equation  L = −log σ(u_o · v_c) − Σ_{k=1..K} log σ(−u_k · v_c),   averaged over all pairs (c, o)
Shapes    W (V, D) the word vectors v; U (V, D) the output vectors u; rows (K+1,) word numbers:
          rows[0] = o the word that was seen, rows[1:] the K noise words drawn for this pair.
Cost      O(K·D) a pair; about `window` pairs a word.
Differs   from the paper: sub-sampling by word2vec.c's formula; the window's width is drawn anew
          for each position, 1..window; a noise word equal to o is skipped; as in word2vec.c, of
          the two words of a pair it is the neighbour whose v is trained, against the u of the
          word in the middle.  From word2vec.c: σ is computed, not looked up in a table; sentences
          are read in random order.
Read next words/negative_sampling.py (the noise), words/vectors.py (what to do with the result).

Each row is a yes/no question, "does this word stand here?": yes for rows[0], no for the noise.
The answer is logistic regression's, and so is its gradient.  With s = u · v and y = 1 for yes,
    ∂L/∂s = σ(s) − y      hence      ∂L/∂u = (σ(s) − y) v,      ∂L/∂v = Σ (σ(s) − y) u.
A pair that was seen pulls u_o and v_c together by as much as it surprises; noise pushes apart.
Where it balances, u · v = log P(w,c)/(P(w) Pⁿ(c)) − log K: word2vec factorises the words' pointwise
mutual information (Levy & Goldberg 2014), and words in like company get like vectors.
"""
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from scratch_embed.numerics.errors import TrainingDiverged
from scratch_embed.numerics.functions import exp32, sigmoid, softplus
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import GAMMA, below, mix, stream, uniform32
from scratch_embed.numerics.workers import run
from scratch_embed.text.vocab import keep_probability
from scratch_embed.words.negative_sampling import alias_table, draw, noise_distribution

ZERO, ONE = np.float32(0), np.float32(1)
CHUNK = 10_000                     # words that one call of the kernel trains on: about 20 ms
LAST_LR = 1e-4                     # the learning rate ends at this share of its start


# ---- the equation ---------------------------------------------------------------------------

def sgns_loss_and_grad(v, U, rows):
    """The equation, in NumPy.  v: (D,), U: (V, D), rows: (K+1,) -> L, ∂L/∂v (D,), ∂L/∂U[rows].

    A row that repeats rows[0] is no noise: it counts nothing.
    """
    y = np.arange(len(rows)) == 0
    counts = y | (rows != rows[0])
    s = U[rows] @ v
    loss = (counts * softplus(np.where(y, -s, s))).sum()     # −log σ(s) = softplus(−s)
    error = counts * (sigmoid(s) - y)
    return loss, error @ U[rows], np.outer(error, v)


@kernel
def sgns_step(v, U, rows, lr, dv):
    """The same, in place: U[rows] −= lr · ∂U, then v −= lr · ∂v.  float32; dv (D,) is scratch.

    Rows are stepped one after the other, so a noise word that was drawn twice is pushed twice.
    Returns L.  The σ of all rows are multiplied first: one logarithm a pair instead of K + 1.
    """
    dv[:] = ZERO
    loss, probability = 0.0, 1.0
    for k in range(len(rows)):
        if k > 0 and rows[k] == rows[0]:
            continue
        u = U[rows[k]]
        s = ZERO
        for d in range(len(v)):
            s += u[d] * v[d]
        y = ONE if k == 0 else -ONE
        e = exp32(-y * s)
        right = ONE / (ONE + e)                  # σ(y s), the probability of the right answer
        step = lr * y * e * right                # −lr · ∂L/∂s, since 1 − σ = e σ
        for d in range(len(v)):
            dv[d] += step * u[d]                 # u as it was before its own step
            u[d] += step * v[d]
        probability *= right
        if probability < 1e-200:                 # far from underflow: many and very wrong rows
            loss -= np.log(probability)
            probability = 1.0
    for d in range(len(v)):
        v[d] += dv[d]
    return loss - np.log(probability)


# ---- from a text to pairs -------------------------------------------------------------------

class Plan(NamedTuple):
    """What a pass over the text needs to know besides the text and the weights."""

    keep: np.ndarray               # (V,) float32: sub-sampling
    noise: tuple                   # Noise: the alias table
    window: int
    negatives: int


@kernel
def thin_out(sentence, keep, state, kept):
    """Copy the words of `sentence` that sub-sampling keeps to `kept`; return (how many, state)."""
    n = 0
    for word in sentence:
        state += GAMMA
        if uniform32(mix(state)) < keep[word]:
            kept[n] = word
            n += 1
    return n, state


@kernel
def train_chunk(corpus, sentences, plan, W, U, lr, state):
    """One step for every pair of words in `sentences` (numbers of sentences).  Return Σ L, pairs.

    Each sentence is thinned out first; the window then spans what is left of it.
    """
    longest = 0
    for s in sentences:
        longest = max(longest, corpus.off[s + 1] - corpus.off[s])
    kept = np.empty(longest, np.int32)
    rows = np.empty(plan.negatives + 1, np.int64)
    dv = np.empty(W.shape[1], np.float32)
    loss, pairs = 0.0, 0
    for s in sentences:
        sentence = corpus.ids[corpus.off[s]:corpus.off[s + 1]]
        n, state = thin_out(sentence, plan.keep, state, kept)
        for i in range(n):
            rows[0] = kept[i]
            state += GAMMA
            reach = 1 + below(mix(state), plan.window)
            for j in range(max(0, i - reach), min(n, i + reach + 1)):
                if j == i:
                    continue
                for k in range(1, len(rows)):
                    state += GAMMA
                    rows[k] = draw(plan.noise, mix(state))
                loss += sgns_step(W[kept[j]], U, rows, lr, dv)      # c = kept[j], o = kept[i]
                pairs += 1
    return loss, pairs


# ---- training -------------------------------------------------------------------------------

class Trained(NamedTuple):
    """What training leaves: W (V, D) the word vectors, U (V, D) the output vectors, losses."""

    W: np.ndarray
    U: np.ndarray
    losses: list                   # the mean loss of a pair, one number an epoch


def initial_weights(V, dim, seed):
    """W ~ U(−½, ½)/dim and U = 0, as in word2vec.c.  (V, dim) float32 each."""
    W = (np.random.default_rng(seed).random((V, dim), np.float32) - np.float32(0.5)) / dim
    return W.astype(np.float32), np.zeros((V, dim), np.float32)


def chunks(off, epoch, seed):
    """The sentences in random order, cut into pieces of about CHUNK words.

    Yield (number, words before it in this epoch, sentences).  off: (S+1,).
    """
    order = np.random.default_rng([seed, epoch]).permutation(len(off) - 1)
    before = np.concatenate([[0], np.cumsum(np.diff(off)[order])])
    cuts = np.searchsorted(before, np.arange(0, before[-1], CHUNK))
    for number, (start, end) in enumerate(zip(cuts, [*cuts[1:], len(order)])):
        if start < end:
            yield number, before[start], order[start:end]


def train(corpus, vocab, dim=100, window=5, negatives=5, sample=1e-3, lr=0.025, epochs=5,
          workers=1, seed=1, progress=False):
    """Train word vectors on `corpus`, a Corpus numbered by `vocab`.  Return Trained.

    window     the farthest neighbour, in words; each position draws its own reach, 1..window
    negatives  K, noise words for each pair
    sample     t of the sub-sampling; 0 keeps every word
    lr         falls in a straight line, by words read, to LAST_LR of its start
    workers    threads that step the same weights at once (Niu et al. 2011, Hogwild).  With one,
               the same seed gives the same bits; with more, only the quality is the same.
    progress   show a bar on stderr, where that is a terminal
    Raises     ValueError for settings that make no sense; TrainingDiverged when the loss or the
               weights are no longer finite.
    """
    _check(dim=dim, window=window, negatives=negatives, epochs=epochs, workers=workers)
    for name, value in dict(lr=lr, sample=sample, seed=seed).items():
        if not (np.isfinite(value) and value >= 0):
            raise ValueError(f"{name}={value!r}: expected a number of at least 0")
    W, U = initial_weights(len(vocab), dim, seed)
    plan = Plan(keep_probability(vocab.counts, sample),
                alias_table(noise_distribution(vocab.counts)), window, negatives)
    words = len(corpus.ids)
    losses = []
    with tqdm(total=epochs * words, unit="word", unit_scale=True,
              disable=None if progress else True) as bar:
        for epoch in range(epochs):
            def step(chunk, epoch=epoch):
                number, before, sentences = chunk
                rate = lr * max(1 - (epoch * words + before) / (epochs * words), LAST_LR)
                loss, pairs = train_chunk(corpus, sentences, plan, W, U, np.float32(rate),
                                          stream(seed, epoch, number))
                if not np.isfinite(loss):
                    raise TrainingDiverged(f"epoch {epoch + 1}, chunk {number + 1}", rate)
                return loss, pairs, (corpus.off[sentences + 1] - corpus.off[sentences]).sum(), rate

            total, seen = 0.0, 0
            for loss, pairs, read, rate in run(step, chunks(corpus.off, epoch, seed), workers):
                total, seen = total + loss, seen + pairs
                bar.update(int(read))
                bar.set_postfix_str(f"loss {total / max(seen, 1):.4f}, lr {rate:.5f}", False)
            losses.append(total / seen if seen else float("nan"))
    if np.isnan(losses).all():
        raise ValueError("no word has a neighbour to learn from: the text is too short for "
                         f"sample={sample}; give more text, or sample=0")
    if not (np.isfinite(W).all() and np.isfinite(U).all()):
        raise TrainingDiverged(f"epoch {epochs}", lr, "a weight")
    return Trained(W, U, losses)


def _check(**settings):
    for name, value in settings.items():
        if not (isinstance(value, (int, np.integer)) and value >= 1):
            raise ValueError(f"{name}={value!r}: a whole number of at least 1 is meant")

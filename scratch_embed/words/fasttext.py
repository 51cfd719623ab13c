"""FastText: a word's vector is the mean of its subwords' vectors, so unseen words have vectors too.

Paper     Bojanowski, Grave, Joulin & Mikolov 2017, "Enriching Word Vectors with Subword
          Information", section 3: eq. of 3.1 (the loss), 3.2 (the score)
Equation  h = (1/n) Σ_{g ∈ rows(w)} W_g;   L = −log σ(u_c · h) − Σ_{k=1..K} log σ(−u_k · h)
          for every pair of neighbours: w in the middle of a window, c near it, K negatives k
Shapes    W (V + buckets, D) rows of words and of n-grams (words/subwords.py); U (V, D) the output
          vectors u; h (D,) the vector of a word of n rows
Cost      O((n + m·K)·D) for a word of n rows with m neighbours; in the original O(m·(n + K)·D)
Differs   from the paper, like fastText's code: h is a mean, in the paper a sum; and yet each row
          is updated by the full gradient ∂L/∂h (below).  From that code: all of W is initialised,
          in ±1/D, where fastText initialises a tenth per thread and leaves the rest as allocated
          (with -thread 2 eight tenths, mostly zeros); a negative that equals the target is skipped,
          not drawn again; σ is computed, not looked up; the K + 1 targets of a pair are updated
          together and sentences read in random order, as in word2vec.py; no "</s>" ends a line.
Read next words/fasttext_vectors.py (how to use the result); words/word2vec.py, words/cbow.py (the
          same with one row per word: `draw_targets`, `sgns_step`, `cbow_loss_and_grad`)

The full gradient.  By the equation, ∂L/∂W_g = (1/n) ∂L/∂h.  The original updates each row by all of
∂L/∂h, which is the gradient for the paper's sum.  So a step moves h by −lr·∂L/∂h for any number of
rows, just as it moves word2vec's single row.  By the equation h would move by 1/n of that: a word
of 25 rows would learn 25 times more slowly.  corrected_skipgram_chunk and corrected_cbow_chunk
follow the equation.

Why h is computed once per word.  After a step the mean of the rows is known without reading them:
it is h − lr·∂L/∂h.  (A row that the word has t times moves t times and counts t times in the mean,
so h moves by Σ t²/n of that step, summed over the different rows: `mean_step`.  The 3-grams of
<banana> are <ba ban ana nan ana na>; with the word's own row n = 7, and t = 2 for ana, so h moves
by (5 · 1² + 2²)/7 = 9/7 of the step.)  So the rows of a word are read and updated once, not for
each neighbour.  The steps are those of the original, except for rounding.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_function
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.memory import require_memory
from scratch_embed.numerics.random import stream
from scratch_embed.numerics.settings import saved_as
from scratch_embed.text.vocab import Corpus, Vocab
from scratch_embed.training.batches import BLOCK, chunks, linear_decay
from scratch_embed.training.session import RunOptions, session
from scratch_embed.words.cbow import cbow_loss_and_grad
from scratch_embed.words.plan import (
    Details,
    Plan,
    Trained,
    check_corpus,
    check_pairs,
    check_settings,
    chunk_words,
    make_plan,
)
from scratch_embed.words.subwords import NGrams, Subwords, index_subwords, needed_buckets
from scratch_embed.words.word2vec import (
    ONE,
    ZERO,
    buffers,
    draw_targets,
    draw_window,
    sgns_step,
    subsample,
)

FILL = 4096                        # rows initialised at a time, to stay in the processor's cache
DETAILS = Details(power=0.5, min_lr_ratio=0.0)


class SubwordPlan(NamedTuple):
    """What a kernel needs besides the text and the weights."""

    pairs: Plan                    # as for word2vec: subsampling, window, negatives or tree
    subwords: Subwords             # the rows of each word
    mean_steps: np.ndarray         # (V,) float32: mean_step of each word


# ---- the equation, and the original's step ---------------------------------------------------

def pair_step(W: np.ndarray, U: np.ndarray, subword_rows: np.ndarray, rows: np.ndarray,
              y: np.ndarray, lr: float, full_gradient: bool = True) -> float:
    """One SGD step for one h: updates W[subword_rows] and U[rows] in place.  -> L

    subword_rows: (n,) the rows of W whose mean is h; rows (M,), all different, and y (M,), ±1, are
    as for word2vec.loss_and_grad.  full_gradient: update each row by all of ∂L/∂h, as in the
    original, instead of (1/n) ∂L/∂h.
    """
    loss, dh_rows, dU = cbow_loss_and_grad(W[subword_rows], U, rows, y)
    scale = len(subword_rows) if full_gradient else 1
    np.add.at(W, subword_rows, -lr * scale * dh_rows)      # twice for a row that occurs twice
    np.add.at(U, rows, -lr * dU)
    return loss


@saved_as("FastText skip-gram")
@kernel
def skipgram_chunk(corpus, sentences, plan, W, U, lr, state):
    """pair_step for every pair of neighbours in `sentences`, with the full gradient.  -> Σ L, pairs

    Each sentence is subsampled first, and each pair has its own negatives.
    """
    return skipgram_steps(corpus, sentences, plan, W, U, lr, state, True)


@saved_as("FastText corrected skip-gram")
@kernel
def corrected_skipgram_chunk(corpus, sentences, plan, W, U, lr, state):
    """As skipgram_chunk, but with (1/n) ∂L/∂h for each of the n rows, as the equation says."""
    return skipgram_steps(corpus, sentences, plan, W, U, lr, state, False)


@kernel
def skipgram_steps(corpus, sentences, plan, W, U, lr, state, full_gradient):
    """Take one SGD step for each pair of neighbours, in either form of skip-gram."""
    kept, rows, y, scores, dh = buffers(corpus, sentences, plan.pairs, W.shape[1])
    h, total = np.empty(W.shape[1], np.float32), np.empty(W.shape[1], np.float32)
    loss, pairs = np.float64(0), 0
    for s in sentences:
        n, state = subsample(corpus, s, plan.pairs.keep, state, kept)
        for i in range(n):
            first, last, state = draw_window(plan.pairs, i, n, state)
            if last - first < 2:
                continue                                   # no other word in the window
            subword_rows = rows_of(plan.subwords, kept[i])
            share = ONE / np.float32(len(subword_rows))
            h[:] = ZERO
            total[:] = ZERO
            add_rows(W, subword_rows, share, h)
            scale = ONE if full_gradient else share
            h_scale = scale * plan.mean_steps[kept[i]]
            for j in range(first, last):
                if j != i:
                    M, state = draw_targets(plan.pairs, kept[j], rows, y, state)
                    loss += sgns_step(h, U, rows, y, M, lr, scores, dh)
                    for d in range(len(h)):
                        total[d] += scale * dh[d]          # the update of each row, made below
                        h[d] += h_scale * dh[d]            # the mean of the rows after it
                    pairs += 1
            add_to_rows(W, subword_rows, total)
    return loss, pairs


@saved_as("FastText CBOW")
@kernel
def cbow_chunk(corpus, sentences, plan, W, U, lr, state):
    """pair_step for every position, with the full gradient.  -> Σ L, positions

    h is the mean of the rows of all words in the window; it predicts the word in the middle.
    """
    return cbow_steps(corpus, sentences, plan, W, U, lr, state, True)


@saved_as("FastText corrected CBOW")
@kernel
def corrected_cbow_chunk(corpus, sentences, plan, W, U, lr, state):
    """As cbow_chunk, but with (1/n) ∂L/∂h for each of the n rows, as the equation says."""
    return cbow_steps(corpus, sentences, plan, W, U, lr, state, False)


@kernel
def cbow_steps(corpus, sentences, plan, W, U, lr, state, full_gradient):
    """Take one SGD step for each position, in either form of CBOW."""
    kept, rows, y, scores, dh = buffers(corpus, sentences, plan.pairs, W.shape[1])
    h = np.empty(W.shape[1], np.float32)
    loss, positions = np.float64(0), 0
    for s in sentences:
        n, state = subsample(corpus, s, plan.pairs.keep, state, kept)
        for i in range(n):
            first, last, state = draw_window(plan.pairs, i, n, state)
            if last - first < 2:
                continue                                   # no other word in the window
            size = -len(rows_of(plan.subwords, kept[i]))
            for j in range(first, last):
                size += len(rows_of(plan.subwords, kept[j]))
            share = ONE / np.float32(size)
            h[:] = ZERO
            for j in range(first, last):
                if j != i:
                    add_rows(W, rows_of(plan.subwords, kept[j]), share, h)
            M, state = draw_targets(plan.pairs, kept[i], rows, y, state)
            loss += sgns_step(h, U, rows, y, M, lr, scores, dh)
            positions += 1
            if not full_gradient:
                for d in range(len(dh)):
                    dh[d] *= share
            for j in range(first, last):
                if j != i:
                    add_to_rows(W, rows_of(plan.subwords, kept[j]), dh)
    return loss, positions


@kernel
def rows_of(subwords, word):
    """The rows of W whose mean is the vector of this word."""
    return subwords.rows[subwords.offsets[word]:subwords.offsets[word + 1]]


@kernel
def add_rows(W, subword_rows, share, h):
    """h += share · Σ W[subword_rows]."""
    for row in subword_rows:
        x = W[row]
        for d in range(len(h)):
            h[d] += share * x[d]


@kernel
def add_to_rows(W, subword_rows, step):
    """W[subword_rows] += step, twice for a row that occurs twice."""
    for row in subword_rows:
        x = W[row]
        for d in range(len(step)):
            x[d] += step[d]


# ---- preparations: mean steps, initial tables -----------------------------------------------

def mean_step(subword_rows: np.ndarray) -> float:
    """How far the mean of n rows moves if a row that occurs t times moves by t: Σ t²/n."""
    times = np.unique(subword_rows, return_counts=True)[1]
    return (times**2).sum() / len(subword_rows)


@kernel
def fill_mean_steps(subwords, times, steps):
    """Fill steps (V,) with each word's mean_step.  times: (V + buckets,) int32 scratch, all 0"""
    for word in range(len(steps)):
        subword_rows, squares = rows_of(subwords, word), 0
        for row in subword_rows:
            times[row] += 1
        for row in subword_rows:
            squares += times[row]                          # t · t for a row that occurs t times
        for row in subword_rows:
            times[row] = 0
        steps[word] = squares / len(subword_rows)


def make_subword_plan(vocab: Vocab, pairs: Plan, ngrams: NGrams) -> SubwordPlan:
    """The SubwordPlan of a vocabulary.  pairs: the result of plan.make_plan"""
    subwords = index_subwords(vocab.words, *ngrams)
    steps = np.empty(len(vocab), np.float32)
    fill_mean_steps(subwords, np.zeros(len(vocab) + ngrams.buckets, np.int32), steps)
    return SubwordPlan(pairs, subwords, steps)


def initial_rows(n: int, dim: int, seed: int) -> np.ndarray:
    """W uniform in ±1/dim, (n, dim) float32, filled in place."""
    W, rng = np.empty((n, dim), np.float32), np.random.default_rng([seed, 0])
    for start in range(0, n, FILL):
        block = W[start:start + FILL]
        rng.random(out=block, dtype=np.float32)
        block -= np.float32(0.5)
        block *= np.float32(2 / dim)
    return W


def initial_tables(V: int, buckets: int, outputs: int, dim: int, seed: int
                   ) -> tuple[np.ndarray, np.ndarray]:
    """W (V + buckets, dim), U (outputs, dim) = 0.  MemoryError if they do not fit into memory."""
    require_memory(4 * dim * (V + buckets + outputs), f"two tables, {V} words + {buckets} buckets "
                   f"and {outputs} outputs, x {dim} dimensions")
    return initial_rows(V + buckets, dim, seed), np.zeros((outputs, dim), np.float32)


# ---- training -------------------------------------------------------------------------------

def train(corpus: Corpus, vocab: Vocab, method: Callable = skipgram_chunk, dim: int = 100,
          window: int = 5, negatives: int = 5, sample: float = 1e-4, lr: float = 0.05,
          epochs: int = 5, ngrams: NGrams = NGrams(), details: Details = DETAILS,
          options: RunOptions = RunOptions()) -> Trained:
    """Train the rows of words and n-grams on `corpus`, numbered by `vocab`.  -> Trained

    method     skipgram_chunk, cbow_chunk, or the corrected form of either
    ngrams     the lengths of n-grams in letters, < and > included (max_n = 0: no n-grams), and the
               number of buckets, the rows that n-grams share: 4·dim bytes each
    details    by default the power of the counts is 0.5, and lr falls to 0
    The other arguments and the errors are those of word2vec.train.
    """
    settings = dict(method=require_function("method", method, "skipgram_chunk"), dim=dim,
                    window=window, negatives=negatives, sample=sample, lr=lr, epochs=epochs,
                    seed=options.seed, block=BLOCK, **details._asdict(), **ngrams._asdict())
    check_settings(settings)
    check_corpus(corpus, vocab)
    ngrams, V, words = needed_buckets(ngrams), len(vocab), len(corpus.ids)
    W, U = initial_tables(V, ngrams.buckets, V, dim, options.seed)
    plan = make_subword_plan(vocab, make_plan(vocab.counts, window, negatives, sample,
                                              details.power, details.fixed_window), ngrams)
    size = chunk_words(dim * (window * plan.pairs.max_targets + len(plan.subwords.rows) // V))
    settings |= dict(chunk_words=size, vocabulary=vocab.digest(), data=corpus)

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

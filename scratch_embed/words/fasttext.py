"""FastText: a word's vector is the mean of its pieces' vectors, so unseen words have vectors too.

Paper     Bojanowski, Grave, Joulin & Mikolov 2017, "Enriching Word Vectors with Subword
          Information", section 3: eq. of 3.1 (the loss), 3.2 (the score).
Equation  h = (1/n) Σ_{g ∈ rows(w)} W_g;   L = −log σ(u_c · h) − Σ_{k=1..K} log σ(−u_k · h)
          for every pair of neighbours: w in the middle of a window, c near it, k noise words
Shapes    W (V + buckets, D) rows of words and of n-grams (words/subwords.py); U (V, D) the output
          vectors u; h (D,) the vector of a word of n rows
Cost      O((n + m·K)·D) for a word with m neighbours; the original's is O(m·(n + K)·D).
Differs   from the paper, as its code does: h is a mean, in the paper a sum, and yet each row takes
          the whole ∂L/∂h (below).  From its code: all of W is filled with U(−1, 1)/D, where it
          fills a tenth for each thread and leaves the rest as the allocator gave it (with
          -thread 2 eight rows in ten, mostly zeros); noise that equals the answer is skipped,
          not drawn again; σ is computed, not looked up; a pair's K + 1 terms are stepped together
          and sentences read in random order, as in word2vec.py; a line ends without "</s>".
Read next words/fasttext_vectors.py (what to do with the result); words/word2vec.py, words/cbow.py
          (the same with one row a word: `draw_targets`, `sgns_step`, `cbow_loss_and_grad`).

By the equation, ∂L/∂W_g = (1/n) ∂L/∂h.  The original steps each row by the whole ∂L/∂h, as if h
were the paper's sum.  So h moves by −lr·∂L/∂h, just as word2vec's single row does, however many
pieces the word has; by the equation a word of 25 pieces would learn 25 times slower.
corrected_skipgram_chunk and corrected_cbow_chunk follow the equation.

And h is known after a step without adding up its rows again: it is h − lr·∂L/∂h.  (If a row is
among the word's m times, as "ana" in "banana", it moves m times and counts m times: the step of h
is Σ m²/n long, over its different rows.)  So a word in the middle fetches its rows once, not once
for each neighbour, and takes the very steps of the original, to rounding.
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
    check_pair_settings,
    check_pairs,
    chunk_words,
    make_plan,
)
from scratch_embed.words.subwords import NGrams, Subwords, needed_buckets, subword_rows
from scratch_embed.words.word2vec import (
    ONE,
    ZERO,
    buffers,
    draw_targets,
    draw_window,
    sgns_step,
    subsample,
)

FILL = 4096                        # rows that are filled at a time, in the processor's cache
DETAILS = Details(power=0.5, last_lr=0.0)


class SubwordPlan(NamedTuple):
    """What a pass over the text needs to know besides the text and the weights."""

    pairs: Plan                    # as for word2vec: subsampling, window, negatives or tree
    subwords: Subwords             # the rows of each word
    own_pull: np.ndarray           # (V,) float32: how far h moves when each of its rows moves by 1


# ---- the equation, and the original's step ---------------------------------------------------

def pair_step(W: np.ndarray, U: np.ndarray, pieces: np.ndarray, rows: np.ndarray, y: np.ndarray,
              lr: float, whole: bool = True) -> float:
    """Step W[pieces] and U[rows] in place for one h, as the original does, in NumPy.  -> L

    pieces: (n,) the rows of W whose mean is h; rows (M,), y (M,) ±1: word2vec.loss_and_grad's,
    the rows all different.  whole: each piece takes all of ∂L/∂h, not its share 1/n.
    """
    loss, dpieces, dU = cbow_loss_and_grad(W[pieces], U, rows, y)
    share = len(pieces) if whole else 1
    np.add.at(W, pieces, -lr * share * dpieces)            # a piece that comes twice steps twice
    np.add.at(U, rows, -lr * dU)
    return loss


@saved_as("FastText skip-gram")
@kernel
def skipgram_chunk(corpus, sentences, plan, W, U, lr, state):
    """pair_step for every pair in `sentences`, each piece taking all of ∂L/∂h.  -> Σ L, pairs

    The negatives of a pair are drawn anew; each sentence is subsampled before its windows.
    """
    return skipgram_steps(corpus, sentences, plan, W, U, lr, state, True)


@saved_as("FastText corrected skip-gram")
@kernel
def corrected_skipgram_chunk(corpus, sentences, plan, W, U, lr, state):
    """The same, each piece taking its share of ∂L/∂h, as the mean says."""
    return skipgram_steps(corpus, sentences, plan, W, U, lr, state, False)


@kernel
def skipgram_steps(corpus, sentences, plan, W, U, lr, state, whole):
    """The pass over the text that both forms share."""
    kept, rows, y, scores, dh = buffers(corpus, sentences, plan.pairs, W.shape[1])
    h, total = np.empty(W.shape[1], np.float32), np.empty(W.shape[1], np.float32)
    loss, pairs = np.float64(0), 0
    for s in sentences:
        n, state = subsample(corpus, s, plan.pairs.keep, state, kept)
        for i in range(n):
            first, last, state = draw_window(plan.pairs, i, n, state)
            if last - first < 2:
                continue                                   # a word without neighbours
            pieces = pieces_of(plan.subwords, kept[i])
            share = ONE / np.float32(len(pieces))
            h[:] = ZERO
            total[:] = ZERO
            add_rows(W, pieces, share, h)
            each = ONE if whole else share
            pull = each * plan.own_pull[kept[i]]
            for j in range(first, last):
                if j != i:
                    M, state = draw_targets(plan.pairs, kept[j], rows, y, state)
                    loss += sgns_step(h, U, rows, y, M, lr, scores, dh)
                    for d in range(len(h)):
                        total[d] += each * dh[d]           # what each piece is to move by
                        h[d] += pull * dh[d]               # where h would be if they had moved
                    pairs += 1
            add_to_rows(W, pieces, total)
    return loss, pairs


@saved_as("FastText CBOW")
@kernel
def cbow_chunk(corpus, sentences, plan, W, U, lr, state):
    """pair_step for every position: the mean of all pieces around it predicts the word in it.

    Each piece takes all of ∂L/∂h.  -> Σ L, positions
    """
    return cbow_steps(corpus, sentences, plan, W, U, lr, state, True)


@saved_as("FastText corrected CBOW")
@kernel
def corrected_cbow_chunk(corpus, sentences, plan, W, U, lr, state):
    """The same, each piece taking its share of ∂L/∂h, as the mean says."""
    return cbow_steps(corpus, sentences, plan, W, U, lr, state, False)


@kernel
def cbow_steps(corpus, sentences, plan, W, U, lr, state, whole):
    """The pass over the text that both forms share."""
    kept, rows, y, scores, dh = buffers(corpus, sentences, plan.pairs, W.shape[1])
    h = np.empty(W.shape[1], np.float32)
    loss, positions = np.float64(0), 0
    for s in sentences:
        n, state = subsample(corpus, s, plan.pairs.keep, state, kept)
        for i in range(n):
            first, last, state = draw_window(plan.pairs, i, n, state)
            if last - first < 2:
                continue                                   # a word without neighbours
            size = -len(pieces_of(plan.subwords, kept[i]))
            for j in range(first, last):
                size += len(pieces_of(plan.subwords, kept[j]))
            share = ONE / np.float32(size)
            h[:] = ZERO
            for j in range(first, last):
                if j != i:
                    add_rows(W, pieces_of(plan.subwords, kept[j]), share, h)
            M, state = draw_targets(plan.pairs, kept[i], rows, y, state)
            loss += sgns_step(h, U, rows, y, M, lr, scores, dh)
            positions += 1
            if not whole:
                for d in range(len(dh)):
                    dh[d] *= share
            for j in range(first, last):
                if j != i:
                    add_to_rows(W, pieces_of(plan.subwords, kept[j]), dh)
    return loss, positions


@kernel
def pieces_of(subwords, word):
    """The rows of W whose mean is the vector of this word."""
    return subwords.rows[subwords.offsets[word]:subwords.offsets[word + 1]]


@kernel
def add_rows(W, pieces, share, h):
    """h += share · Σ W[pieces]."""
    for piece in pieces:
        x = W[piece]
        for d in range(len(h)):
            h[d] += share * x[d]


@kernel
def add_to_rows(W, pieces, step):
    """W[pieces] += step, for a piece that comes twice, twice."""
    for piece in pieces:
        x = W[piece]
        for d in range(len(step)):
            x[d] += step[d]


# ---- what training needs beside word2vec's plan ---------------------------------------------

def pull_of(pieces: np.ndarray) -> float:
    """How far the mean h of these rows moves when each of them moves by 1: Σ times² / n."""
    times = np.unique(pieces, return_counts=True)[1]
    return (times**2).sum() / len(pieces)


@kernel
def fill_pulls(subwords, times, pulls):
    """pull_of for every word.  times: (V + buckets,) int32, zeros, and left so; pulls: (V,)."""
    for word in range(len(pulls)):
        pieces, squares = pieces_of(subwords, word), 0
        for piece in pieces:
            times[piece] += 1
        for piece in pieces:
            squares += times[piece]                        # a piece that comes m times: m · m
        for piece in pieces:
            times[piece] = 0
        pulls[word] = squares / len(pieces)


def make_subword_plan(vocab: Vocab, pairs: Plan, ngrams: NGrams) -> SubwordPlan:
    """The SubwordPlan of a vocabulary; pairs: plan.make_plan's."""
    subwords = subword_rows(vocab.words, *ngrams)
    pulls = np.empty(len(vocab), np.float32)
    fill_pulls(subwords, np.zeros(len(vocab) + ngrams.buckets, np.int32), pulls)
    return SubwordPlan(pairs, subwords, pulls)


def initial_rows(n: int, dim: int, seed: int) -> np.ndarray:
    """W ~ U(−1, 1)/dim, (n, dim) float32, filled in place."""
    W, rng = np.empty((n, dim), np.float32), np.random.default_rng([seed, 0])
    for start in range(0, n, FILL):
        block = W[start:start + FILL]
        rng.random(out=block, dtype=np.float32)
        block -= np.float32(0.5)
        block *= np.float32(2 / dim)
    return W


def initial_tables(V: int, buckets: int, outputs: int, dim: int, seed: int
                   ) -> tuple[np.ndarray, np.ndarray]:
    """W (V + buckets, dim), U (outputs, dim) = 0.  Raises MemoryError if they do not fit."""
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
    ngrams     their lengths in letters, the marks < and > counted (max_n = 0: none), and the
               buckets, rows that they share: 4·dim bytes each
    details    the power of the counts is 0.5 here, and lr falls to 0
    The others, the errors and what options.workers and seed promise: word2vec.train.
    """
    settings = dict(method=require_function("method", method, "skipgram_chunk"), dim=dim,
                    window=window, negatives=negatives, sample=sample, lr=lr, epochs=epochs,
                    seed=options.seed, block=BLOCK, **details._asdict(), **ngrams._asdict())
    check_pair_settings(settings)
    check_corpus(corpus, vocab)
    ngrams, V, words = needed_buckets(ngrams), len(vocab), len(corpus.ids)
    W, U = initial_tables(V, ngrams.buckets, V, dim, options.seed)
    plan = make_subword_plan(vocab, make_plan(vocab.counts, window, negatives, sample,
                                              details.power, details.fixed_window), ngrams)
    size = chunk_words(dim * (window * plan.pairs.max_targets + len(plan.subwords.rows) // V))
    settings |= dict(chunk_words=size, vocabulary=vocab.digest(), data=corpus)

    def step(chunk):
        done = (chunk.epoch * words + chunk.before) / (epochs * words)
        lr_now = linear_decay(lr, done, details.last_lr)
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

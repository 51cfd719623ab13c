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
          (the same with one row a word: `pose`, `answer`, `cbow_loss_and_grad`).

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
from contextlib import closing
from itertools import islice
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from scratch_embed.numerics.errors import TrainingDiverged
from scratch_embed.numerics.interrupt import held_interrupt
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.memory import require_memory
from scratch_embed.numerics.random import stream
from scratch_embed.numerics.workers import imap_unordered
from scratch_embed.text.vocab import Corpus, Vocab
from scratch_embed.words.cbow import cbow_loss_and_grad
from scratch_embed.words.checkpoint import (
    Checkpoint,
    Progress,
    fingerprint,
    saved_at_ctrl_c,
)
from scratch_embed.words.subwords import Subwords, check_subwords, subword_rows
from scratch_embed.words.word2vec import (
    BLOCK,
    CHUNK,
    ONE,
    ZERO,
    Plan,
    Trained,
    answer,
    check_ids,
    check_result,
    check_settings,
    chunks,
    draw_reach,
    longest,
    make_plan,
    name_of,
    pose,
    thin_out,
)

FILL = 4096                        # rows that are filled at a time, in the processor's cache


class SubwordPlan(NamedTuple):
    """What a pass over the text needs to know besides the text and the weights."""

    pairs: Plan                    # as for word2vec: sub-sampling, window, noise or tree
    subwords: Subwords             # the rows of each word
    own_pull: np.ndarray           # (V,) float32: h's step when each of its rows steps by 1


# ---- the equation, and the original's step ---------------------------------------------------

def pair_step(W: np.ndarray, U: np.ndarray, pieces: np.ndarray, rows: np.ndarray, y: np.ndarray,
              lr: float, whole: bool = True) -> float:
    """Step W[pieces] and U[rows] in place for one h, as the original does, in NumPy.  Return L.

    pieces: (n,) the rows of W whose mean is h; rows (M,), y (M,) ±1: word2vec.loss_and_grad's,
    the rows all different.  whole: each piece takes all of ∂L/∂h, not its share 1/n.
    """
    loss, dpieces, dU = cbow_loss_and_grad(W[pieces], U, rows, y)
    share = len(pieces) if whole else 1
    np.add.at(W, pieces, -lr * share * dpieces)            # a piece that comes twice steps twice
    np.add.at(U, rows, -lr * dU)
    return loss


@kernel
def skipgram_chunk(corpus, sentences, plan, W, U, lr, state):
    """pair_step for every pair in `sentences`, each piece taking all of ∂L/∂h.  Return Σ L, pairs.

    The noise of a pair is drawn anew; each sentence is thinned out before its windows are drawn.
    """
    return skipgram_steps(corpus, sentences, plan, W, U, lr, state, True)


@kernel
def corrected_skipgram_chunk(corpus, sentences, plan, W, U, lr, state):
    """The same, each piece taking its share of ∂L/∂h, as the mean says."""
    return skipgram_steps(corpus, sentences, plan, W, U, lr, state, False)


@kernel
def skipgram_steps(corpus, sentences, plan, W, U, lr, state, whole):
    """The pass over the text that both forms share."""
    kept = np.empty(longest(corpus, sentences), np.int32)
    M = plan.pairs.questions
    rows, y, steps = np.empty(M, np.int64), np.empty(M, np.float32), np.empty(M, np.float32)
    D = W.shape[1]
    h, dh, total = np.empty(D, np.float32), np.empty(D, np.float32), np.empty(D, np.float32)
    loss, pairs = np.float64(0), 0
    for s in sentences:
        n, state = thin_out(corpus, s, plan.pairs.keep, state, kept)
        for i in range(n):
            reach, state = draw_reach(plan.pairs, state)
            first, last = max(0, i - reach), min(n, i + reach + 1)
            if last - first < 2:
                continue                                   # nobody around
            pieces = pieces_of(plan.subwords, kept[i])
            share = ONE / np.float32(len(pieces))
            h[:] = ZERO
            total[:] = ZERO
            add_rows(W, pieces, share, h)
            each = ONE if whole else share
            pull = each * plan.own_pull[kept[i]]
            for j in range(first, last):
                if j != i:
                    M, state = pose(plan.pairs, kept[j], rows, y, state)
                    loss += answer(h, U, rows, y, M, lr, steps, dh)
                    for d in range(len(h)):
                        total[d] += each * dh[d]           # what each piece owes by now
                        h[d] += pull * dh[d]               # where h would be, had they paid
                    pairs += 1
            add_to_rows(W, pieces, total)
    return loss, pairs


@kernel
def cbow_chunk(corpus, sentences, plan, W, U, lr, state):
    """pair_step for every position: the mean of all pieces around it guesses the word in it.

    Each piece takes all of ∂L/∂h.  Return Σ L, positions.
    """
    return cbow_steps(corpus, sentences, plan, W, U, lr, state, True)


@kernel
def corrected_cbow_chunk(corpus, sentences, plan, W, U, lr, state):
    """The same, each piece taking its share of ∂L/∂h, as the mean says."""
    return cbow_steps(corpus, sentences, plan, W, U, lr, state, False)


@kernel
def cbow_steps(corpus, sentences, plan, W, U, lr, state, whole):
    """The pass over the text that both forms share."""
    kept = np.empty(longest(corpus, sentences), np.int32)
    M = plan.pairs.questions
    rows, y, steps = np.empty(M, np.int64), np.empty(M, np.float32), np.empty(M, np.float32)
    h, dh = np.empty(W.shape[1], np.float32), np.empty(W.shape[1], np.float32)
    loss, positions = np.float64(0), 0
    for s in sentences:
        n, state = thin_out(corpus, s, plan.pairs.keep, state, kept)
        for i in range(n):
            reach, state = draw_reach(plan.pairs, state)
            first, last = max(0, i - reach), min(n, i + reach + 1)
            if last - first < 2:
                continue                                   # nobody around
            size = -len(pieces_of(plan.subwords, kept[i]))
            for j in range(first, last):
                size += len(pieces_of(plan.subwords, kept[j]))
            share = ONE / np.float32(size)
            h[:] = ZERO
            for j in range(first, last):
                if j != i:
                    add_rows(W, pieces_of(plan.subwords, kept[j]), share, h)
            M, state = pose(plan.pairs, kept[i], rows, y, state)
            loss += answer(h, U, rows, y, M, lr, steps, dh)
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
    return subwords.rows[subwords.off[word]:subwords.off[word + 1]]


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


def make_subword_plan(vocab: Vocab, pairs: Plan, min_n: int, max_n: int, buckets: int
                      ) -> SubwordPlan:
    """The SubwordPlan of a vocabulary; pairs: word2vec.make_plan's."""
    subwords = subword_rows(vocab.words, min_n, max_n, buckets)
    pulls = np.empty(len(vocab), np.float32)
    fill_pulls(subwords, np.zeros(len(vocab) + buckets, np.int32), pulls)
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


# ---- training -------------------------------------------------------------------------------

def train(corpus: Corpus, vocab: Vocab, chunk: Callable = skipgram_chunk, dim: int = 100,
          window: int = 5, negatives: int = 5, sample: float = 1e-4, lr: float = 0.05,
          epochs: int = 5, min_n: int = 3, max_n: int = 6, buckets: int = 2_000_000,
          workers: int = 1, seed: int = 1, power: float = 0.5, progress: bool = False,
          checkpoint: Checkpoint | None = None) -> Trained:
    """Train the rows of words and n-grams on `corpus`, numbered by `vocab`.  Return Trained.

    chunk      how: skipgram_chunk, cbow_chunk, or the corrected form of either
    min_n, max_n   the lengths of n-grams, in letters, the marks < and > counted; max_n = 0: none
    buckets    rows that the n-grams share: 4·dim bytes each
    power      of the counts in the noise
    The others, the errors and what `workers` and `seed` promise: word2vec.train.  lr falls to 0.
    """
    settings = dict(chunk=name_of(chunk), dim=dim, window=window, negatives=negatives,
                    sample=sample, lr=lr, epochs=epochs, min_n=min_n, max_n=max_n,
                    buckets=buckets, seed=seed, power=power)
    check_settings(settings, workers)
    check_ids(corpus, vocab)
    buckets = check_buckets(min_n, max_n, buckets)
    require_tables(len(vocab), buckets, len(vocab), dim)
    plan = make_subword_plan(vocab, make_plan(vocab.counts, window, negatives, sample, power),
                             min_n, max_n, buckets)
    V, words, restored = len(vocab), len(corpus.ids), None
    if checkpoint:
        settings |= fingerprint(vocab, corpus) | {"order": f"chunks {CHUNK}, blocks {BLOCK}"}
        restored = checkpoint.restore(settings, (V + buckets, dim), (V, dim))
    W, U, at = restored or (initial_rows(V + buckets, dim, seed), np.zeros((V, dim), np.float32),
                            Progress())
    rows = window * plan.pairs.questions + len(plan.subwords.rows) // V     # that a word touches
    size = max(100, CHUNK * 3000 // (dim * rows))                           # ≤ 100 ms a call

    def step(piece):
        number, before, sentences = piece
        rate = lr * (1 - (at.epoch * words + before) / (epochs * words))
        loss, pairs = chunk(corpus, sentences, plan, W, U, np.float32(rate),
                            stream(seed, at.epoch, number))
        if not np.isfinite(loss):
            raise TrainingDiverged(f"epoch {at.epoch + 1}, chunk {number + 1}", rate)
        return loss, pairs, int((corpus.off[sentences + 1] - corpus.off[sentences]).sum()), rate

    bar = tqdm(total=epochs * words, initial=at.epoch * words, unit="word", unit_scale=True,
               disable=None if progress else True)
    with bar, held_interrupt() as stop_if_asked, saved_at_ctrl_c(checkpoint, W, U, at, settings):
        while at.epoch < epochs:
            pieces = chunks(corpus.off, at.epoch, seed, size=size)
            with closing(imap_unordered(step, islice(pieces, at.chunk, None), workers)) as done:
                for loss, pairs, read, rate in done:
                    at.count(loss, pairs)
                    bar.update(read)
                    bar.set_postfix_str(f"loss {at.mean():.4f}, lr {rate:.5f}", False)
                    if checkpoint:
                        checkpoint.save_now_and_then(W, U, at, settings)
                    stop_if_asked()
            at.end_epoch()
    check_result(W, U, at.losses, settings)
    if checkpoint:
        checkpoint.save(W, U, at, settings)
    return Trained(W, U, at.losses)


def require_tables(V: int, buckets: int, outputs: int, dim: int) -> None:
    """Raise MemoryError if W and U are more than the machine has."""
    require_memory(4 * dim * (V + buckets + outputs), f"two tables, {V} words + {buckets} buckets "
                   f"and {outputs} outputs, x {dim} dimensions")


def check_buckets(min_n: int, max_n: int, buckets: int) -> int:
    """How many buckets the table needs; ValueError for n-grams that no length or no row has."""
    check_subwords(min_n, max_n, buckets)
    if max_n and not buckets:
        raise ValueError(f"buckets=0: n-grams of {min_n} to {max_n} letters need rows, at least 1; "
                         "max_n=0 asks for words alone")
    if 0 < max_n < min_n:
        raise ValueError(f"min_n={min_n} is more than max_n={max_n}: no n-gram is both; max_n=0 "
                         "asks for words alone")
    return buckets if max_n else 0


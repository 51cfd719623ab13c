"""Learn to classify text: the mean of a line's rows guesses its label.

Paper     Joulin, Grave, Bojanowski & Mikolov 2016, "Bag of Tricks for Efficient Text
          Classification", section 2.
Equation  h = (1/n) Σ_{r ∈ bag} W_r,  s = U h;  for a line with label y, one of four losses:
              softmax               L = log Σ_j exp s_j − s_y
              hierarchical softmax  L = −Σ_n log σ(y_n s_n)   over the path to y (words/huffman.py)
              negative sampling     L = −log σ(s_y) − Σ_{k=1..K} log σ(−s_k)   k ∝ √count
              one-vs-all            L = −Σ_l log σ(y_l s_l),   y_l = +1 for the line's labels
Shapes    W (V + buckets, D) rows of words, n-grams and runs (words/bags.py); U (L, D); h (D,)
Cost      a line of n rows: O(n·D), and O(L·D), O(code length·D), O(K·D), O(L·D) for the losses.
Differs   from the paper as fastText does: a bag has the end of the line in it.  From fastText: all
          of W is filled with U(−1, 1)/D, where it fills a tenth for each thread; lines are read in
          random order (a file sorted by label is no trap); noise that equals the label is skipped,
          not drawn again (with one label it would never end); σ and log are computed, not looked
          up; the rates fall by the words read, labels not counted.
Read next words/softmax.py and words/word2vec.py (`pose`, `answer`) for the losses: three of the
          four are yes/no questions; words/classifier.py (what to do with the result).

Each loss gives ∂L/∂s; the rest is the same for all four:
    ∂L/∂U_l = ∂L/∂s_l · h,   ∂L/∂h = Σ_l ∂L/∂s_l · U_l,   ∂L/∂W_r = (1/n) ∂L/∂h   for each r ∈ bag.
A row that stands in the bag twice takes two shares.  Here fastText keeps to the mean; in CBOW it
gives each row the whole ∂L/∂h.  So long lines take small steps, and lr is larger than elsewhere.

The tree is Huffman's: by counts, and blind to what the labels mean.  Each of its nodes parts its
labels by a plane, and is at times asked for what no plane does: film-praise and hotel-blame on this
side, film-blame and hotel-praise on that one (an exclusive or).  So it was in one of six samples of
worlds/labelled.py, and right for 81 % of lines, where softmax was for 94 %; the original's tree is
the same one (tests/words/test_supervised.py, test_classifier.py).

A line with several labels: softmax, tree and noise learn one of them, drawn anew each time it is
read, which makes them compete; one-vs-all learns all, each a yes/no question of its own.
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
from scratch_embed.numerics.random import GAMMA, below, mix, stream
from scratch_embed.numerics.workers import imap_unordered
from scratch_embed.text.vocab import Corpus, Vocab, rank_words
from scratch_embed.words.bags import Features, fill_bag, longest_bag
from scratch_embed.words.checkpoint import (
    Checkpoint,
    Progress,
    fingerprint,
    finite,
    saved_at_ctrl_c,
)
from scratch_embed.words.classifier import Classifier, label_tree
from scratch_embed.words.fasttext import (
    ONE,
    ZERO,
    add_rows,
    add_to_rows,
    check_buckets,
    initial_rows,
    require_tables,
)
from scratch_embed.words.fasttext_files import BinModel, Settings
from scratch_embed.words.huffman import NO_TREE, Tree
from scratch_embed.words.labelled import Lines, read_labelled
from scratch_embed.words.negative_sampling import Noise, alias_table, noise_distribution
from scratch_embed.words.softmax import softmax_step
from scratch_embed.words.word2vec import (
    BLOCK,
    answer,
    check_settings,
    chunks,
    loss_and_grad,
    pose,
)

POWER = 0.5                        # of the counts of labels in the noise


class LabelPlan(NamedTuple):
    """What a pass over the lines needs to know besides their bags and the weights."""

    targets: Corpus                # of each line its labels
    noise: Noise                   # the alias table of negative sampling
    tree: Tree                     # the Huffman tree of hierarchical softmax, or no tree
    negatives: int                 # K; 0 for hierarchical softmax
    questions: int                 # the most that a line poses


# ---- yes/no questions -------------------------------------------------------------------------

def one_vs_all_loss_and_grad(h: np.ndarray, U: np.ndarray, labels: list[int]
                             ) -> tuple[float, np.ndarray, np.ndarray]:
    """word2vec.loss_and_grad, asking every label.  U: (L, D) -> L, ∂L/∂h, ∂L/∂U (L, D)."""
    every = np.arange(len(U))
    return loss_and_grad(h, U, every, np.where(np.isin(every, labels), 1.0, -1.0))


@kernel
def pose_all(plan, line, rows, y):
    """The questions of one-vs-all: is it label l?  Fill rows and y, (L,)."""
    for l in range(len(rows)):
        rows[l], y[l] = l, -ONE
    for label in plan.targets.ids[plan.targets.off[line]:plan.targets.off[line + 1]]:
        y[label] = ONE


@kernel
def draw_label(plan, line, state):
    """One of the labels of a line, all alike; and state."""
    first, end = plan.targets.off[line], plan.targets.off[line + 1]
    if end - first == 1:
        return plan.targets.ids[first], state
    state += GAMMA
    return plan.targets.ids[first + below(mix(state), end - first)], state


# ---- a line -----------------------------------------------------------------------------------

def bag_loss_and_grad(W: np.ndarray, bag: np.ndarray, head: Callable
                      ) -> tuple[float, np.ndarray, np.ndarray]:
    """The whole equation.  bag: (n,) rows of W; head: h -> L, ∂L/∂h, ∂L/∂U, one of the losses.

    Returns L, ∂L/∂W[bag] (n, D), to be ADDED row by row where a row comes twice, and ∂L/∂U.
    """
    loss, dh, dU = head(W[bag].mean(axis=0))
    return loss, np.broadcast_to(dh / len(bag), (len(bag), W.shape[1])), dU


@kernel
def read_line(bags, line, W, bag, h):
    """Fill the bag of a line and its mean h; return the bag's size."""
    n = fill_bag(bags, line, bag)
    h[:] = ZERO
    add_rows(W, bag[:n], ONE / np.float32(n), h)
    return n


@kernel
def step_line(W, bag, n, dh):
    """Each row of the bag takes its share of dh = −lr · ∂L/∂h."""
    share = ONE / np.float32(n)
    for d in range(len(dh)):
        dh[d] *= share
    add_to_rows(W, bag[:n], dh)


@kernel
def softmax_chunk(bags, lines, plan, W, U, lr, state):
    """One step for each of `lines` (numbers of lines), by softmax.  Return Σ L, lines."""
    bag, steps = np.empty(longest_bag(bags, lines), np.int64), np.empty(len(U), np.float32)
    h, dh = np.empty(W.shape[1], np.float32), np.empty(W.shape[1], np.float32)
    loss = np.float64(0)
    for line in lines:
        n = read_line(bags, line, W, bag, h)
        label, state = draw_label(plan, line, state)
        loss += softmax_step(h, U, label, lr, steps, dh)
        step_line(W, bag, n, dh)
    return loss, len(lines)


@kernel
def posed_steps(bags, lines, plan, W, U, lr, state):
    """One step a line, by the questions that `pose` puts for one of its labels."""
    bag, M = np.empty(longest_bag(bags, lines), np.int64), plan.questions
    rows, y, steps = np.empty(M, np.int64), np.empty(M, np.float32), np.empty(M, np.float32)
    h, dh = np.empty(W.shape[1], np.float32), np.empty(W.shape[1], np.float32)
    loss = np.float64(0)
    for line in lines:
        n = read_line(bags, line, W, bag, h)
        label, state = draw_label(plan, line, state)
        M, state = pose(plan, label, rows, y, state)
        loss += answer(h, U, rows, y, M, lr, steps, dh)
        step_line(W, bag, n, dh)
    return loss, len(lines)


@kernel
def negative_sampling_chunk(bags, lines, plan, W, U, lr, state):
    """The same by negative sampling.  Return Σ L, lines."""
    return posed_steps(bags, lines, plan, W, U, lr, state)


@kernel
def hierarchical_softmax_chunk(bags, lines, plan, W, U, lr, state):
    """The same by hierarchical softmax.  Return Σ L, lines."""
    return posed_steps(bags, lines, plan, W, U, lr, state)


@kernel
def one_vs_all_chunk(bags, lines, plan, W, U, lr, state):
    """The same by one-vs-all.  Return Σ L, lines."""
    bag, L = np.empty(longest_bag(bags, lines), np.int64), len(U)
    rows, y, steps = np.empty(L, np.int64), np.empty(L, np.float32), np.empty(L, np.float32)
    h, dh = np.empty(W.shape[1], np.float32), np.empty(W.shape[1], np.float32)
    loss = np.float64(0)
    for line in lines:
        n = read_line(bags, line, W, bag, h)
        pose_all(plan, line, rows, y)
        loss += answer(h, U, rows, y, L, lr, steps, dh)
        step_line(W, bag, n, dh)
    return loss, len(lines)


LOSS = {softmax_chunk: "softmax", negative_sampling_chunk: "ns",         # fastText's names
        hierarchical_softmax_chunk: "hs", one_vs_all_chunk: "ova"}


# ---- training ---------------------------------------------------------------------------------

class Trained(NamedTuple):
    """What training leaves."""

    classifier: Classifier
    losses: list[float]            # the mean loss of a line, one number an epoch


def make_label_plan(targets: Corpus, counts: np.ndarray, loss: str, negatives: int) -> LabelPlan:
    """The LabelPlan of L labels of these counts (L,), the most frequent first."""
    tree = label_tree(counts) if loss == "hs" else NO_TREE
    questions = {"hs": int(np.diff(tree.off).max(initial=0)), "ns": negatives + 1}
    return LabelPlan(targets, alias_table(noise_distribution(counts, POWER)), tree,
                     0 if loss == "hs" else negatives, questions.get(loss, len(counts)))


def train(source: Lines, chunk: Callable = softmax_chunk, dim: int = 100, lr: float = 0.1,
          epochs: int = 5, min_count: int = 1, word_ngrams: int = 1, min_n: int = 0,
          max_n: int = 0, buckets: int = 2_000_000, negatives: int = 5, workers: int = 1,
          seed: int = 1, shuffle: bool = True, errors: str = "strict", progress: bool = False,
          checkpoint: Checkpoint | None = None) -> Trained:
    """Train a Classifier on labelled lines, and return it with its losses.

    source     a file of labelled lines, or an iterable of them: labelled.read_labelled
    chunk      the loss: softmax_chunk, hierarchical_softmax_chunk (many labels),
               negative_sampling_chunk, one_vs_all_chunk (several labels a line)
    lr         falls in a straight line, by words read, to 0
    min_count  words seen less often have no row of their own; labels have, whatever their count
    word_ngrams    the longest run of words that has a row; 1: words alone
    min_n, max_n   the lengths of n-grams of letters; max_n = 0: none
    buckets    rows that n-grams and runs share, 4·dim bytes each; none if there are neither
    negatives  K, for negative_sampling_chunk alone
    workers    threads that step the same weights at once.  With one, the same seed gives the same
               bits; with more, only the quality is the same.
    checkpoint a Checkpoint: saved now and then, at Ctrl-C and at the end, and resumed if it says so
    Raises     ValueError for settings that make no sense or differ from what is resumed, or a line
               without a label (its number); TrainingDiverged when the loss or the weights are no
               longer finite.
    """
    loss = _loss_of(chunk, negatives)
    settings = dict(chunk=loss, dim=dim, lr=lr, epochs=epochs, min_count=min_count,
                    word_ngrams=word_ngrams, min_n=min_n, max_n=max_n, buckets=buckets,
                    negatives=negatives, seed=seed, shuffle=shuffle)
    check_settings(settings, workers)
    check_buckets(min_n, max_n, buckets)
    lines = read_labelled(source, errors)
    vocab, _ = rank_words(lines.words, lines.counts, min_count, None)
    labels, number = rank_words(lines.labels, lines.label_counts, 1, None)
    buckets = buckets if word_ngrams > 1 or max_n > 0 else 0
    require_tables(len(vocab), buckets, len(labels), dim)
    bags = Features(vocab.words, word_ngrams, min_n, max_n, buckets).bags(lines.words, lines.tokens)
    plan = make_label_plan(Corpus(number[lines.targets.ids], lines.targets.off), labels.counts,
                           loss, negatives)
    shapes, size = ((len(vocab) + buckets, dim), (len(labels), dim)), _chunk_size(bags, plan, dim)
    restored = None
    if checkpoint:
        settings |= _fingerprints(lines) | {"order": f"chunks {size}, blocks {BLOCK}"}
        restored = checkpoint.restore(settings, *shapes)
    W, U, at = restored or (initial_rows(*shapes[0], seed), np.zeros(shapes[1], np.float32),
                            Progress())
    _fit(bags, plan, W, U, at, chunk, size, settings, workers, progress, checkpoint)
    about = Settings(dim=dim, epochs=epochs, min_count=min_count, negatives=negatives,
                     word_ngrams=word_ngrams, loss=loss, model="supervised", buckets=buckets,
                     min_n=min_n, max_n=max_n)
    tokens = int(lines.counts.sum() + lines.label_counts.sum())
    return Trained(Classifier(BinModel(about, vocab.words, vocab.counts, labels.words,
                                       labels.counts, tokens, W, U)), at.losses)


def _fit(bags, plan, W, U, at, chunk, size, settings, workers, progress, checkpoint):
    """Step W and U in place, from where the Progress `at` says to the end of the last epoch."""
    off, words = bags.lines.off, len(bags.lines.ids)
    lr, epochs, seed = settings["lr"], settings["epochs"], settings["seed"]

    def step(piece):
        number, before, lines = piece
        rate = lr * (1 - (at.epoch * words + before) / (epochs * words))
        with np.errstate(over="ignore"):         # without the compiler, the hashes would warn
            loss, n = chunk(bags, lines, plan, W, U, np.float32(rate),
                            stream(seed, at.epoch, number))
        if not np.isfinite(loss):
            raise TrainingDiverged(f"epoch {at.epoch + 1}, chunk {number + 1}", rate)
        return loss, n, int((off[lines + 1] - off[lines]).sum()), rate

    bar = tqdm(total=epochs * words, initial=at.epoch * words, unit="word", unit_scale=True,
               disable=None if progress else True)
    with bar, held_interrupt() as stop_if_asked, saved_at_ctrl_c(checkpoint, W, U, at, settings):
        while at.epoch < epochs:
            pieces = chunks(off, at.epoch, seed, settings["shuffle"], size)
            with closing(imap_unordered(step, islice(pieces, at.chunk, None), workers)) as done:
                for loss, n, read, rate in done:
                    at.count(loss, n)
                    bar.update(read)
                    bar.set_postfix_str(f"loss {at.mean():.4f}, lr {rate:.5f}", False)
                    if checkpoint:
                        checkpoint.save_now_and_then(W, U, at, settings)
                    stop_if_asked()
            at.end_epoch()
    if not finite(W, U):
        raise TrainingDiverged(f"epoch {epochs}", lr, "a weight")
    if checkpoint:
        checkpoint.save(W, U, at, settings)


def _fingerprints(lines):
    """SHA-256 of the words, the text, the labels and which lines have them."""
    text = fingerprint(Vocab(lines.words, lines.counts), lines.tokens)
    labels = fingerprint(Vocab(lines.labels, lines.label_counts), lines.targets)
    return text | {"labels": labels["vocabulary"], "targets": labels["data"]}


def _chunk_size(bags, plan, D):
    """How many words a call may train on, to take 100 ms at most."""
    off = bags.lines.off
    rows = bags.word_ngrams + len(bags.pieces.rows) / (len(bags.pieces.off) - 1)
    lines = len(off) - 1
    return max(100, int(2e7 / D / (rows + plan.questions * lines / off[-1])))


def _loss_of(chunk, negatives):
    """fastText's name of a loss; ValueError for what is none."""
    if chunk not in LOSS:
        raise ValueError(f"chunk: expected one of {', '.join(c.__name__ for c in LOSS)}; found "
                         f"{chunk!r}")
    if negatives == 0 and LOSS[chunk] == "ns":
        raise ValueError("negatives=0: negative sampling needs at least 1")
    return LOSS[chunk]

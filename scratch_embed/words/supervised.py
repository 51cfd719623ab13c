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
Read next words/softmax.py and words/word2vec.py (`draw_targets`, `sgns_step`) for the losses: three
          of the four are yes/no questions; words/classifier.py (what to do with the result).

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
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import GAMMA, below, mix, stream
from scratch_embed.numerics.settings import digest_words, saved_as
from scratch_embed.text.vocab import Corpus, rank_words
from scratch_embed.training.batches import BLOCK, chunks, linear_decay
from scratch_embed.training.session import RunOptions, session
from scratch_embed.words.bags import Bags, Features, fill_bag, longest_bag
from scratch_embed.words.classifier import Classifier, label_tree
from scratch_embed.words.fasttext import ONE, ZERO, add_rows, add_to_rows, initial_tables
from scratch_embed.words.fasttext_files import BinModel, Settings
from scratch_embed.words.huffman import NO_TREE, Tree
from scratch_embed.words.labelled import Labelled, Lines, read_labelled
from scratch_embed.words.negative_sampling import Noise, alias_table, noise_distribution
from scratch_embed.words.plan import chunk_words
from scratch_embed.words.softmax import softmax_step
from scratch_embed.words.subwords import NGrams, needed_buckets
from scratch_embed.words.word2vec import draw_targets, loss_and_grad, sgns_step

POWER = 0.5                        # of the counts of labels, for negatives
CHUNK_WORK = 20_000_000            # multiply-adds of one call of a kernel


class LabelPlan(NamedTuple):
    """What a pass over the lines needs to know besides their bags and the weights."""

    targets: Corpus                # of each line its labels
    noise: Noise                   # the alias table of negative sampling
    tree: Tree                     # the Huffman tree of hierarchical softmax, or no tree
    negatives: int                 # K; 0 for hierarchical softmax
    max_targets: int               # the most targets that a line has


# ---- yes/no questions -------------------------------------------------------------------------

def one_vs_all_loss_and_grad(h: np.ndarray, U: np.ndarray, labels: list[int]
                             ) -> tuple[float, np.ndarray, np.ndarray]:
    """word2vec.loss_and_grad, asking every label.  U: (L, D) -> L, ∂L/∂h, ∂L/∂U (L, D)."""
    every = np.arange(len(U))
    return loss_and_grad(h, U, every, np.where(np.isin(every, labels), 1.0, -1.0))


@kernel
def all_targets(plan, line, rows, y):
    """The questions of one-vs-all: is it label l?  Fill rows and y, (L,)."""
    for l in range(len(rows)):
        rows[l], y[l] = l, -ONE
    for label in plan.targets.ids[plan.targets.offsets[line]:plan.targets.offsets[line + 1]]:
        y[label] = ONE


@kernel
def draw_label(plan, line, state):
    """One of the labels of a line, all alike; and state."""
    first, end = plan.targets.offsets[line], plan.targets.offsets[line + 1]
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


@saved_as("softmax")
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
def draw_and_step(bags, lines, plan, W, U, lr, state):
    """One step a line, by the questions that `pose` puts for one of its labels."""
    bag, M = np.empty(longest_bag(bags, lines), np.int64), plan.max_targets
    rows, y, steps = np.empty(M, np.int64), np.empty(M, np.float32), np.empty(M, np.float32)
    h, dh = np.empty(W.shape[1], np.float32), np.empty(W.shape[1], np.float32)
    loss = np.float64(0)
    for line in lines:
        n = read_line(bags, line, W, bag, h)
        label, state = draw_label(plan, line, state)
        M, state = draw_targets(plan, label, rows, y, state)
        loss += sgns_step(h, U, rows, y, M, lr, steps, dh)
        step_line(W, bag, n, dh)
    return loss, len(lines)


@saved_as("ns")
@kernel
def negative_sampling_chunk(bags, lines, plan, W, U, lr, state):
    """The same by negative sampling.  Return Σ L, lines."""
    return draw_and_step(bags, lines, plan, W, U, lr, state)


@saved_as("hs")
@kernel
def hierarchical_softmax_chunk(bags, lines, plan, W, U, lr, state):
    """The same by hierarchical softmax.  Return Σ L, lines."""
    return draw_and_step(bags, lines, plan, W, U, lr, state)


@saved_as("ova")
@kernel
def one_vs_all_chunk(bags, lines, plan, W, U, lr, state):
    """The same by one-vs-all.  Return Σ L, lines."""
    bag, L = np.empty(longest_bag(bags, lines), np.int64), len(U)
    rows, y, steps = np.empty(L, np.int64), np.empty(L, np.float32), np.empty(L, np.float32)
    h, dh = np.empty(W.shape[1], np.float32), np.empty(W.shape[1], np.float32)
    loss = np.float64(0)
    for line in lines:
        n = read_line(bags, line, W, bag, h)
        all_targets(plan, line, rows, y)
        loss += sgns_step(h, U, rows, y, L, lr, steps, dh)
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
    max_targets = {"hs": int(np.diff(tree.offsets).max(initial=0)), "ns": negatives + 1}
    return LabelPlan(targets, alias_table(noise_distribution(counts, POWER)), tree,
                     0 if loss == "hs" else negatives, max_targets.get(loss, len(counts)))


def train(source: Lines | Labelled, method: Callable = softmax_chunk, dim: int = 100,
          lr: float = 0.1, epochs: int = 5, min_count: int = 1, word_ngrams: int = 1,
          ngrams: NGrams = NGrams(0, 0), negatives: int = 5, shuffle: bool = True,
          options: RunOptions = RunOptions()) -> Trained:
    """Train a Classifier on labelled lines, and return it with its losses.

    source     labelled lines: a file or an iterable of them, or what labelled.read_labelled returns
    method     the loss: softmax_chunk, hierarchical_softmax_chunk (many labels),
               negative_sampling_chunk, one_vs_all_chunk (several labels a line)
    lr         falls linearly, by words read, to 0
    min_count  words seen less often have no row of their own; labels have, whatever their count
    word_ngrams    the longest run of words that has a row; 1: words alone
    ngrams     the lengths of n-grams of letters (max_n = 0: none), and the buckets, rows that these
               and the runs of words share, 4·dim bytes each; none if there are neither
    negatives  K, for negative_sampling_chunk alone
    shuffle    read the lines in random order
    options    workers, seed, checkpoint, progress: see word2vec.train
    Raises     ValueError for settings that make no sense or differ from what is resumed, or a line
               without a label (its number); TrainingDiverged when the loss or the weights are no
               longer finite.
    """
    settings = dict(method=method, dim=dim, lr=lr, epochs=epochs, min_count=min_count,
                    word_ngrams=word_ngrams, **ngrams._asdict(), negatives=negatives,
                    seed=options.seed, shuffle=shuffle, block=BLOCK)
    check_settings(settings)
    lines = source if isinstance(source, Labelled) else read_labelled(source)
    vocab, _ = rank_words(lines.words, lines.counts, min_count, None)
    labels, number = rank_words(lines.labels, lines.label_counts, 1, None)
    buckets = ngrams.buckets if word_ngrams > 1 or ngrams.max_n > 0 else 0
    W, U = initial_tables(len(vocab), buckets, len(labels), dim, options.seed)
    bags = Features(vocab.words, word_ngrams, ngrams.min_n, ngrams.max_n, buckets).bags(
        lines.words, lines.tokens)
    plan = make_label_plan(Corpus(number[lines.targets.ids], lines.targets.offsets), labels.counts,
                           LOSS[method], negatives)
    size = chunk_words(dim * work_per_word(bags, plan), CHUNK_WORK)
    settings |= dict(chunk_words=size, data=lines.tokens, targets=lines.targets,
                     vocabulary=digest_words(lines.words, lines.counts),
                     labels=digest_words(lines.labels, lines.label_counts))
    offsets, words = bags.lines.offsets, len(bags.lines.ids)

    def step(chunk):
        lr_now = linear_decay(lr, (chunk.epoch * words + chunk.before) / (epochs * words))
        with np.errstate(over="ignore"):         # without the compiler, the hashes would warn
            loss, n = method(bags, chunk.sentences, plan, W, U, np.float32(lr_now),
                             stream(options.seed, chunk.epoch, chunk.number))
        return loss, n, chunk.words, lr_now

    with session({"W": W, "U": U}, settings, options, epochs * words, "word") as run:
        for epoch in run.epochs(epochs):
            for result in run.chunks(step, chunks(offsets, epoch, options.seed, size, shuffle)):
                run.record(*result)
    about = Settings(dim=dim, epochs=epochs, min_count=min_count, negatives=negatives,
                     word_ngrams=word_ngrams, loss=LOSS[method], model="supervised",
                     buckets=buckets, min_n=ngrams.min_n, max_n=ngrams.max_n)
    tokens = int(lines.counts.sum() + lines.label_counts.sum())
    return Trained(Classifier(BinModel(about, vocab.words, vocab.counts, labels.words,
                                       labels.counts, tokens, W, U)), run.losses)


def work_per_word(bags: Bags, plan: LabelPlan) -> float:
    """How many rows a word of the text costs, about: its own, and its share of the line's targets.
    """
    offsets = bags.lines.offsets
    rows = bags.word_ngrams + len(bags.pieces.rows) / (len(bags.pieces.offsets) - 1)
    return rows + plan.max_targets * (len(offsets) - 1) / offsets[-1]


def check_settings(settings: dict) -> None:
    """Raise ValueError that names the first setting that makes no sense."""
    method, negatives = settings["method"], settings["negatives"]
    if method not in LOSS:
        raise ValueError(f"method: expected one of {', '.join(c.__name__ for c in LOSS)}; found "
                         f"{method!r}")
    for name in ("dim", "epochs"):
        require_whole(name, settings[name], 1)
    require_whole("negatives", negatives, int(LOSS[method] == "ns"))
    require_number("lr", settings["lr"], 0, 1e38)
    needed_buckets(NGrams(settings["min_n"], settings["max_n"], settings["buckets"]))

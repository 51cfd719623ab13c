"""Text classification: predict a line's label from the mean vector of its words and n-grams.

Paper     Joulin, Grave, Bojanowski & Mikolov 2016, "Bag of Tricks for Efficient Text
          Classification", section 2 (`fasttext supervised`)
Equation  h = (1/n) Σ_{r ∈ bag} W_r,  s = U h;  for a line with label y, one of four losses:
              softmax               L = log Σ_j exp s_j − s_y
              hierarchical softmax  L = −Σ_n log σ(y_n s_n),   y_n = ±1 the turns at the nodes n on
                                                         the path to y (words/huffman.py)
              negative sampling     L = −log σ(s_y) − Σ_{k=1..K} log σ(−s_k),   Pneg(k) ∝ √count
              one-vs-all            L = −Σ_l log σ(y_l s_l),   y_l = +1 for the line's labels,
                                                         −1 for the others
Shapes    W (V + buckets, D): rows of words and of both kinds of n-grams (words/bags.py); U (L, D);
          h (D,)
Cost      per line of n rows O(n·D); plus, for the losses in the order above, O(L·D),
          O(code length·D), O(K·D), O(L·D)
Differs   from the paper, like fastText: a bag includes the end of the line.  From fastText: all
          of W is initialised, in ±1/D, where fastText initialises a tenth per thread; lines are
          read in random order (so a file may be sorted by label); a negative that equals the label
          is skipped, not drawn again (with a single label the draws would never end); σ and log are
          computed, not looked up; the learning rate falls with the words read, labels not counted.
Read next words/softmax.py; words/word2vec.py (`draw_targets`, `sgns_step`: the other three losses
          are sums of logistic regressions); words/classifier.py (how to use the result)

Gradient.  Each loss has its own ∂L/∂s; the rest is the same for all four:
    ∂L/∂U_l = ∂L/∂s_l · h,   ∂L/∂h = Σ_l ∂L/∂s_l · U_l,   ∂L/∂W_r = (1/n) ∂L/∂h   for each r ∈ bag.
A row that is in the bag twice takes two such steps.  fastText, too, divides by n here; in CBOW it
updates each row by the full gradient ∂L/∂h.  Because of 1/n the rows of long lines take small
steps, so lr must be larger than for word vectors.

Why is hierarchical softmax worse?  A Huffman tree groups labels by frequency, not by meaning.
Each node must separate its labels by a hyperplane, which is not always possible: film-praise and
hotel-blame on one side, film-blame and hotel-praise on the other are an exclusive or.  This
happened in one of six samples of worlds/labelled.py: 81 % of its lines were classified correctly,
94 % with softmax.  fastText has the same tree (tests/words/test_supervised.py, test_classifier.py).

A line with several labels.  Softmax, hierarchical softmax and negative sampling learn one of them,
drawn each time the line is read, so the labels compete.  One-vs-all learns all of them, each by its
own logistic regression.
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
from scratch_embed.words.bags import Bags, Features, fill_bag, max_bag_size
from scratch_embed.words.classifier import Classifier, label_tree
from scratch_embed.words.fasttext import ONE, ZERO, add_rows, add_to_rows, initial_tables
from scratch_embed.words.fasttext_files import BinModel
from scratch_embed.words.fasttext_header import Settings
from scratch_embed.words.huffman import NO_TREE, Tree
from scratch_embed.words.labelled import Labelled, Lines, read_labelled
from scratch_embed.words.negative_sampling import AliasTable, alias_table, noise_distribution
from scratch_embed.words.plan import MOST_NEGATIVES, chunk_words
from scratch_embed.words.softmax import softmax_step
from scratch_embed.words.subwords import NGrams, needed_buckets
from scratch_embed.words.word2vec import draw_targets, loss_and_grad, sgns_step

POWER = 0.5                        # exponent of the label counts in the noise distribution
CHUNK_WORK = 20_000_000            # multiply-adds in one kernel call


class LabelPlan(NamedTuple):
    """What a kernel needs besides the bags of the lines and the weights."""

    targets: Corpus                # the labels of each line
    noise: AliasTable              # alias table of the noise distribution, for negatives
    tree: Tree                     # for hierarchical softmax, else NO_TREE
    negatives: int                 # K; 0 for hierarchical softmax
    max_targets: int               # the most targets that a line can have


# ---- targets ----------------------------------------------------------------------------------

def one_vs_all_loss_and_grad(h: np.ndarray, U: np.ndarray, labels: list[int]
                             ) -> tuple[float, np.ndarray, np.ndarray]:
    """word2vec.loss_and_grad with every label as a target.  U: (L, D) -> L, ∂L/∂h, ∂L/∂U (L, D)."""
    every = np.arange(len(U))
    return loss_and_grad(h, U, every, np.where(np.isin(every, labels), 1.0, -1.0))


@kernel
def fill_all_targets(plan, line, rows, y):
    """Fill rows and y (L,) with the targets of one-vs-all: all labels, +1 for those of the line."""
    for l in range(len(rows)):
        rows[l], y[l] = l, -ONE
    for label in plan.targets.ids[plan.targets.offsets[line]:plan.targets.offsets[line + 1]]:
        y[label] = ONE


@kernel
def draw_label(plan, line, state):
    """Draw one of the labels of a line, uniformly.  -> label, state"""
    first, end = plan.targets.offsets[line], plan.targets.offsets[line + 1]
    if end - first == 1:
        return plan.targets.ids[first], state
    state += GAMMA
    return plan.targets.ids[first + below(mix(state), end - first)], state


# ---- a line -----------------------------------------------------------------------------------

def bag_loss_and_grad(W: np.ndarray, bag: np.ndarray, loss_of_h: Callable
                      ) -> tuple[float, np.ndarray, np.ndarray]:
    """The loss of one line, and its gradients.  -> L, ∂L/∂W[bag] (n, D), ∂L/∂U

    bag: (n,) rows of W; loss_of_h: a function h -> L, ∂L/∂h, ∂L/∂U.  The gradient of a row that is
    in the bag twice is the SUM of its two entries.
    """
    loss, dh, dU = loss_of_h(W[bag].mean(axis=0))
    return loss, np.broadcast_to(dh / len(bag), (len(bag), W.shape[1])), dU


@kernel
def fill_bag_and_mean(bags, line, W, bag, h):
    """Fill `bag` with the rows of a line, and h (D,) with their mean.  -> the size of the bag"""
    n = fill_bag(bags, line, bag)
    h[:] = ZERO
    add_rows(W, bag[:n], ONE / np.float32(n), h)
    return n


@kernel
def step_rows(W, bag, n, dh):
    """W[bag[:n]] += (1/n) dh, where dh = −lr · ∂L/∂h.  dh is overwritten."""
    share = ONE / np.float32(n)
    for d in range(len(dh)):
        dh[d] *= share
    add_to_rows(W, bag[:n], dh)


@saved_as("softmax")
@kernel
def softmax_chunk(bags, lines, plan, W, U, lr, state):
    """One SGD step for each of `lines` (their indices), with softmax.  -> Σ L, number of lines"""
    bag, scores = np.empty(max_bag_size(bags, lines), np.int64), np.empty(len(U), np.float32)
    h, dh = np.empty(W.shape[1], np.float32), np.empty(W.shape[1], np.float32)
    loss = np.float64(0)
    for line in lines:
        n = fill_bag_and_mean(bags, line, W, bag, h)
        label, state = draw_label(plan, line, state)
        loss += softmax_step(h, U, label, lr, scores, dh)
        step_rows(W, bag, n, dh)
    return loss, len(lines)


@kernel
def logistic_chunk(bags, lines, plan, W, U, lr, state):
    """One SGD step per line, for the targets of one of its labels.  -> Σ L, number of lines"""
    bag, M = np.empty(max_bag_size(bags, lines), np.int64), plan.max_targets
    rows, y, scores = np.empty(M, np.int64), np.empty(M, np.float32), np.empty(M, np.float32)
    h, dh = np.empty(W.shape[1], np.float32), np.empty(W.shape[1], np.float32)
    loss = np.float64(0)
    for line in lines:
        n = fill_bag_and_mean(bags, line, W, bag, h)
        label, state = draw_label(plan, line, state)
        M, state = draw_targets(plan, label, rows, y, state)
        loss += sgns_step(h, U, rows, y, M, lr, scores, dh)
        step_rows(W, bag, n, dh)
    return loss, len(lines)


@saved_as("ns")
@kernel
def negative_sampling_chunk(bags, lines, plan, W, U, lr, state):
    """One SGD step for each of `lines`, with negative sampling.  -> Σ L, number of lines"""
    return logistic_chunk(bags, lines, plan, W, U, lr, state)


@saved_as("hs")
@kernel
def hierarchical_softmax_chunk(bags, lines, plan, W, U, lr, state):
    """One SGD step for each of `lines`, with hierarchical softmax.  -> Σ L, number of lines"""
    return logistic_chunk(bags, lines, plan, W, U, lr, state)


@saved_as("ova")
@kernel
def one_vs_all_chunk(bags, lines, plan, W, U, lr, state):
    """One SGD step for each of `lines`, with one-vs-all.  -> Σ L, number of lines"""
    bag, L = np.empty(max_bag_size(bags, lines), np.int64), len(U)
    rows, y, scores = np.empty(L, np.int64), np.empty(L, np.float32), np.empty(L, np.float32)
    h, dh = np.empty(W.shape[1], np.float32), np.empty(W.shape[1], np.float32)
    loss = np.float64(0)
    for line in lines:
        n = fill_bag_and_mean(bags, line, W, bag, h)
        fill_all_targets(plan, line, rows, y)
        loss += sgns_step(h, U, rows, y, L, lr, scores, dh)
        step_rows(W, bag, n, dh)
    return loss, len(lines)


LOSS = {softmax_chunk: "softmax", negative_sampling_chunk: "ns",         # fastText's names
        hierarchical_softmax_chunk: "hs", one_vs_all_chunk: "ova"}


# ---- training ---------------------------------------------------------------------------------

class Trained(NamedTuple):
    """The result of train()."""

    classifier: Classifier
    losses: list[float]            # mean loss per line, for each epoch


def make_label_plan(targets: Corpus, counts: np.ndarray, loss: str, negatives: int) -> LabelPlan:
    """The LabelPlan of labels with these counts (L,), the most frequent first."""
    tree = label_tree(counts) if loss == "hs" else NO_TREE
    max_targets = {"hs": int(np.diff(tree.offsets).max(initial=0)), "ns": negatives + 1}
    return LabelPlan(targets, alias_table(noise_distribution(counts, POWER)), tree,
                     0 if loss == "hs" else negatives, max_targets.get(loss, len(counts)))


def train(source: Lines | Labelled, method: Callable = softmax_chunk, dim: int = 100,
          lr: float = 0.1, epochs: int = 5, min_count: int = 1, word_ngrams: int = 1,
          ngrams: NGrams = NGrams(0, 0), negatives: int = 5, shuffle: bool = True,
          options: RunOptions = RunOptions()) -> Trained:
    """Train a Classifier on labelled lines.  -> Trained

    source     labelled lines: a file, an iterable of str, or the result of labelled.read_labelled
    method     the loss: softmax_chunk, hierarchical_softmax_chunk (for many labels),
               negative_sampling_chunk, one_vs_all_chunk (for several labels per line)
    lr         initial learning rate; it falls linearly with the words read, to 0
    min_count  rarer words have no row of their own; every label has one
    word_ngrams    the longest word n-grams; 1: words only
    ngrams     the lengths of character n-grams (max_n = 0: none), and the number of buckets, the
               rows that these and the word n-grams share, 4·dim bytes each; ignored without n-grams
    negatives  K, for negative_sampling_chunk only
    shuffle    read the lines in random order
    options    workers, seed, checkpoint, progress: see word2vec.train
    Raises     ValueError for settings that are invalid or differ from the resumed checkpoint's, and
               for a line without a label, which it names; TrainingDiverged if the loss or a weight
               is not finite
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
    bin_settings = Settings(dim=dim, epochs=epochs, min_count=min_count, negatives=negatives,
                            word_ngrams=word_ngrams, loss=LOSS[method], model="supervised",
                            buckets=buckets, min_n=ngrams.min_n, max_n=ngrams.max_n)
    n_tokens = int(lines.counts.sum() + lines.label_counts.sum())
    return Trained(Classifier(BinModel(bin_settings, vocab.words, vocab.counts, labels.words,
                                       labels.counts, n_tokens, W, U)), run.losses)


def work_per_word(bags: Bags, plan: LabelPlan) -> float:
    """The estimated number of rows of W and U read per word of the text."""
    offsets = bags.lines.offsets
    rows = bags.word_ngrams + len(bags.subwords.rows) / (len(bags.subwords.offsets) - 1)
    return rows + plan.max_targets * (len(offsets) - 1) / offsets[-1]


def check_settings(settings: dict) -> None:
    """Raise a ValueError that names the first setting that is out of range."""
    method, negatives = settings["method"], settings["negatives"]
    if method not in LOSS:
        raise ValueError(f"method: expected one of {', '.join(c.__name__ for c in LOSS)}, got "
                         f"{method!r}")
    for name in ("dim", "epochs"):
        require_whole(name, settings[name], 1)
    require_whole("negatives", negatives, int(LOSS[method] == "ns"), MOST_NEGATIVES)
    require_number("lr", settings["lr"], 0, 1e38)
    needed_buckets(NGrams(settings["min_n"], settings["max_n"], settings["buckets"]))

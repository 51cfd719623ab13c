"""Verdicts on word vectors and classifiers: are they better than frequencies alone?

Equation  the loss of words/word2vec.py with a score that depends on the target m only,
              s_m = log[ P(m) / (K Pneg(m) (1 − P(m))) ]
Shapes    as in words/word2vec.py, with D = 1: W = 1 (V, 1), U = s (V, 1)
Cost      a pass over a sample of the text: about 1 % of training, or 10,000 words if that is more
Read next training/verdict.py (how losses become a verdict)

The best score without an input.  A pair has target m with probability P(m), and each of its K
negatives is k with probability Pneg(k), if it is not the target itself.  So a pair adds
    −P(m) log σ(s_m) − K Pneg(m) (1 − P(m)) log σ(−s_m)
to the expected loss for every word m.  With p = P(m) and q = K Pneg(m) (1 − P(m)) the derivative by
s_m is −p σ(−s_m) + q σ(s_m), which is 0 at s_m = log(p/q).  For hierarchical softmax each inner
node has one score instead, log(p/q) of the probabilities that a path turns there one way or the
other.  P(m) is the share of m among the words that subsampling keeps.

A step with a learning rate of 0 changes nothing and returns the loss.  So the compiled methods
measure as well as train: with lr = 0 and the trained tables, with (1, s) for frequencies, and with
(1, 0) for the untrained model, whose U is 0.  Their random draws do not depend on the tables, so
that all three see the same pairs and the same negatives.

GloVe's biases take up the frequencies of both words, so its baseline is the best fit of the biases
alone.  The vectors of a small text can fit any counts, even those of shuffled words; only counts of
another text show whether they mean anything.  (For pairs this happens after many epochs.)
"""
from collections.abc import Callable

import numpy as np

from scratch_embed.numerics.random import stream
from scratch_embed.text.vocab import Corpus, Vocab, keep_probability
from scratch_embed.training.verdict import GROUPS, Verdict, compare, sample_groups
from scratch_embed.words import fasttext, supervised
from scratch_embed.words.classifier import Classifier
from scratch_embed.words.cooccurrence import Cells
from scratch_embed.words.glove import weight
from scratch_embed.words.huffman import Tree
from scratch_embed.words.labelled import Labelled
from scratch_embed.words.negative_sampling import noise_distribution
from scratch_embed.words.plan import Details, Trained, make_plan
from scratch_embed.words.subwords import END_OF_LINE, NGrams, needed_buckets

SAMPLE = 10_000                    # words that are measured on, at least
SHARE = 0.01                       # and this share of the words that training reads
FITTED, MEASURED = 4_000_000, 200_000        # cells, to fit biases and to measure the loss
FRESH = 2**31 - 1                  # in place of an epoch: draws that training does not make


def frequency_scores(targets: np.ndarray, noise: np.ndarray, negatives: int, tree: Tree
                     ) -> np.ndarray:
    """The best scores without an input, (V,) float32; of the inner nodes if negatives is 0.

    targets: (V,) P(m); noise: (V,) Pneg

    >>> frequency_scores(np.array([0.5, 0.5]), np.array([0.5, 0.5]), 4, None)    # log(0.5 / 1)
    array([-0.6931472, -0.6931472], dtype=float32)
    """
    p = np.maximum(targets, 1e-12)
    if negatives:
        return np.log(p / np.maximum(negatives * noise * (1 - p), 1e-12)).astype(np.float32)
    of_turn = np.repeat(p, np.diff(tree.offsets))
    right, left = (np.bincount(tree.nodes[tree.turns == turn], of_turn[tree.turns == turn],
                               minlength=len(p)) for turn in (1, -1))
    return np.log(np.maximum(right, 1e-12) / np.maximum(left, 1e-12)).astype(np.float32)


# ---- word2vec and FastText ----------------------------------------------------------------------

def of_pairs(trained: Trained, corpus: Corpus, vocab: Vocab, method: Callable, window: int = 5,
             negatives: int = 5, sample: float = 1e-3, epochs: int = 5,
             details: Details = Details(), ngrams: NGrams | None = None, seed: int = 1) -> Verdict:
    """The Verdict on a result of word2vec.train, or, with ngrams, of fasttext.train.

    corpus     the text to measure on: the training text, of which pairs are drawn anew, or another
               one, numbered by the same vocabulary (number_sentences)
    The other arguments are those of the training run.
    """
    plan = make_plan(vocab.counts, window, negatives, sample, details.power, details.fixed_window)
    kept = vocab.counts * keep_probability(vocab.counts, sample).astype(np.float64)
    scores = frequency_scores(kept / kept.sum(), noise_distribution(vocab.counts, details.power),
                              negatives, plan.tree)
    if ngrams is not None:
        plan = fasttext.make_subword_plan(vocab, plan, needed_buckets(ngrams))
    groups = sample_groups(corpus.offsets, max(SAMPLE, SHARE * epochs * vocab.counts.sum()), seed)
    return measure(method, corpus, plan, trained.W, trained.U, scores, groups, seed)


def measure(method: Callable, corpus, plan, W: np.ndarray, U: np.ndarray, scores: np.ndarray,
            groups: list[np.ndarray], seed: int) -> Verdict:
    """Compare the tables W and U with `scores` that ignore the input, and with U = 0.

    corpus: what `method` reads, a Corpus or Bags; groups: numbers of its sentences
    """
    ones = np.ones((len(W), 1), np.float32)
    tables = (W, U), (ones, scores[:, None]), (ones, np.zeros((len(scores), 1), np.float32))
    losses, counts = np.zeros((len(tables), len(groups))), np.zeros(len(groups), np.int64)
    with np.errstate(over="ignore"):             # without the compiler, the hashes would warn
        for g, group in enumerate(groups):
            for t, (inputs, outputs) in enumerate(tables):
                losses[t, g], counts[g] = method(corpus, group, plan, inputs, outputs,
                                                 np.float32(0), stream(seed, FRESH, g))
    return compare(losses[0], losses[1], losses[2], counts)


def number_sentences(sentences, vocab: Vocab) -> Corpus:
    """Number other sentences by a vocabulary; words that it does not have are left out.

    sentences: an iterable of lists of str.  Raises ValueError if no two words of a sentence are
    left.
    """
    numbers = [[vocab.index[word] for word in sentence if word in vocab.index]
               for sentence in sentences]
    offsets = np.cumsum([0, *(len(sentence) for sentence in numbers)])
    if np.diff(offsets).max(initial=0) < 2:
        raise ValueError("expected sentences with two or more words of the "
                         "vocabulary, found none")
    return Corpus(np.array([word for sentence in numbers for word in sentence], np.int32), offsets)


# ---- the classifier -----------------------------------------------------------------------------

def of_classifier(classifier: Classifier, lines: Labelled, negatives: int = 5, epochs: int = 5,
                  seed: int = 1) -> Verdict:
    """The Verdict on a classifier: its loss on labelled lines, and that of the labels' frequencies.

    lines      from labelled.read_labelled: those of the training run or others; lines with a
               label that the classifier does not know are left out
    """
    model = classifier.model
    method = {name: method for method, name in supervised.LOSS.items()}[model.settings.loss]
    index = {label: number for number, label in enumerate(classifier.labels)}
    number = np.array([index.get(label, -1) for label in lines.labels])[lines.targets.ids]
    known = np.flatnonzero(np.minimum.reduceat(number, lines.targets.offsets[:-1]) >= 0)
    plan = supervised.make_label_plan(Corpus(number, lines.targets.offsets), model.label_counts,
                                      model.settings.loss, negatives)
    scores = label_scores(classifier, plan)
    offsets = lines.tokens.offsets
    lengths = np.diff(offsets)[known]
    groups = [known[group] for group in sample_groups(
        np.concatenate([[0], np.cumsum(lengths)]),
        max(SAMPLE, SHARE * epochs * lines.counts.sum()), seed)]
    return measure(method, classifier.features.bags(lines.words, lines.tokens), plan, model.input,
                   model.output, scores, groups, seed)


def label_scores(classifier: Classifier, plan: supervised.LabelPlan) -> np.ndarray:
    """The scores of the labels, or nodes, that are best if all lines get the same.  (L,) float32

    softmax: log P(l); one-vs-all: log(P(l) / (1 − P(l))), P(l) the share of lines with l; else
    frequency_scores
    """
    counts, loss = classifier.model.label_counts, classifier.model.settings.loss
    P = counts / counts.sum()
    if loss == "softmax":
        return np.log(P).astype(np.float32)
    if loss == "ova":
        lines = dict(zip(classifier.model.words, classifier.model.counts)).get(END_OF_LINE, 0)
        P = np.minimum(counts / max(lines, counts.max()), 1 - 1e-6)
        return np.log(P / (1 - P)).astype(np.float32)
    return frequency_scores(P, noise_distribution(counts, supervised.POWER), plan.negatives,
                            plan.tree)


# ---- GloVe --------------------------------------------------------------------------------------

def of_cells(trained, cells: Cells, x_max: float = 100, alpha: float = 0.75, seed: int = 1,
             fit: Cells | None = None) -> Verdict:
    """The Verdict on a result of glove.train: its loss on cells, and that of the best biases alone.

    cells   the counts that it was trained on, or those of another text (then `fit` has the
            training cells): a text of another length has other counts, so the mean error of
            either model is taken off first
    """
    V = len(trained.W)
    b, c = best_biases(some(fit or cells, FITTED, seed), V, x_max, alpha)
    rows = np.random.default_rng([seed, FRESH]).permutation(V)
    ahead = np.cumsum(np.bincount(cells.rows, minlength=V)[rows])
    rows = rows[:1 + np.searchsorted(ahead, MEASURED)]     # whole rows, as their cells are alike
    group = np.full(V, -1, np.int8)                # a byte for each cell, below
    group[rows] = np.arange(len(rows)) % GROUPS
    chosen = np.flatnonzero(group[cells.rows] >= 0)
    i, j, x = cells.rows[chosen], cells.cols[chosen], cells.counts[chosen]
    f, log_x, group = weight(x, x_max, alpha), np.log(x), group[i].astype(np.intp)
    errors = [np.einsum("nd,nd->n", trained.W[i], trained.U[j]) + trained.b[i] + trained.c[j]
              - log_x, b[i] + c[j] - log_x, -log_x]
    if fit is not None:
        errors = [error - (f * error).sum() / f.sum() for error in errors]
    sums = [np.bincount(group, f * error**2 / 2, minlength=GROUPS) for error in errors]
    return compare(sums[0], sums[1], sums[2], np.bincount(group, minlength=GROUPS))


def some(cells: Cells, most: int, seed: int) -> Cells:
    """At most `most` of the cells, drawn at random."""
    if len(cells.rows) <= most:
        return cells
    chosen = np.random.default_rng([seed, FRESH]).integers(0, len(cells.rows), most)
    return Cells(*(part[chosen] for part in cells))


def best_biases(cells: Cells, V: int, x_max: float, alpha: float, rounds: int = 3
                ) -> tuple[np.ndarray, np.ndarray]:
    """b and c, (V,), that make Σ f(X_ij) (b_i + c_j − log X_ij)² least, fitted in turn.

    Given c, the best b_i is the mean of log X_ij − c_j over row i, with the weights f(X_ij).
    """
    log_x, f = np.log(cells.counts), weight(cells.counts, x_max, alpha)
    b, c = np.zeros(V), np.zeros(V)
    sides = (b, cells.rows, c, cells.cols), (c, cells.cols, b, cells.rows)
    mass = [np.maximum(np.bincount(own, f, minlength=V), 1e-30) for _, own, _, _ in sides]
    for _ in range(rounds):
        for (bias, own, other, across), total in zip(sides, mass):
            bias[:] = np.bincount(own, f * (log_x - other[across]), minlength=V) / total
    return b, c

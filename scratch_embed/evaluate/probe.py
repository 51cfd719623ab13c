"""Probes: how well simple classifiers predict labels from frozen vectors.

Paper     Alain & Bengio 2016, "Understanding Intermediate Layers Using Linear Classifier Probes";
          Fix & Hodges 1951, "Discriminatory Analysis" (nearest neighbours); Muennighoff et al.
          2022, "MTEB: Massive Text Embedding Benchmark", appendix (the protocol).
Equation  linear: logistic.py.    kNN: the most frequent label of the k rows with the least ‖x − q‖
Shapes    X (N, D) to train on, Q (M, D) to test on, y (N,) -> predicted labels (M,)
Cost      kNN: one product of M·N·D in blocks of bounded memory, which BLAS computes: no kernel
Protocol  Classification: 10 draws of 8 training items of each label, logistic regression on each,
          all test items; the main score is the mean accuracy.  For two labels, `ap` is the average
          precision of the predicted labels as scores 0 and 1; the greater label is the positive.
          Several labels per item: 10 draws in which every label has at least 8 items, or all it
          has; kNN with k = 5 and a separate vote for each label.  mteb's main score is the
          accuracy, the share of items whose set of labels is predicted exactly.
          The draws equal mteb's, item by item: the same generators are used in the same order.
          draw_per_label starts every draw with the same seed, but shuffles the list as the previous
          draw left it.  Only the solver differs: here logistic regression runs until it has
          converged (see logistic.py).
Differs   among rows at equal distance the lowest index is taken; scikit-learn leaves it undefined.
Read next evaluate/logistic.py, evaluate/classes.py, evaluate/baselines.py

Compare a probe's score with baselines (baselines.py): random vectors of enough dimensions separate
a few training items perfectly, and a bag of words solves many tasks.

Why only 8 items per label?  The less the probe can learn from its training set, the more its score
depends on the vectors.
"""
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.classes import (
    ClassScores,
    MultilabelScores,
    class_scores,
    multilabel_scores,
)
from scratch_embed.evaluate.logistic import fit_logistic, predict
from scratch_embed.evaluate.pairs import average_precision
from scratch_embed.numerics.l2_normalize import rescale
from scratch_embed.space.neighbours import nearest
from scratch_embed.space.similarity import require_tables

FitPredict = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class ProbeScores(NamedTuple):
    """Means over the draws, and the scores of each; ap is nan unless there are two labels."""
    mean: ClassScores
    ap: float
    draws: list[ClassScores]


class MultilabelProbe(NamedTuple):
    """Means over the draws, and the scores of each."""
    mean: MultilabelScores
    draws: list[MultilabelScores]


# ---- classifiers: (X, y, Q) -> predictions -----------------------------------------------------

def linear_probe(X: np.ndarray, y: np.ndarray, Q: np.ndarray) -> np.ndarray:
    """Fit logistic regression to X (N, D), y (N,); predict the labels of Q (M, D) -> (M,)."""
    return predict(fit_logistic(X, y), Q)


def knn_probe(X: np.ndarray, y: np.ndarray, Q: np.ndarray, k: int = 5) -> np.ndarray:
    """The most frequent label of the k nearest rows; on a tie, the lowest label.

    X: (N, D), y: (N,), Q: (M, D) -> labels (M,).  Raises ValueError for k > N.
    """
    classes, code = np.unique(np.asarray(y), return_inverse=True)
    found = code[nearest_euclidean(Q, X, k)]                             # (M, k) class numbers
    # (M, k): how many neighbours have the label of neighbour j
    votes = sum((found == found[:, [j]]).astype(np.int64) for j in range(k))
    winner = np.where(votes == votes.max(axis=1, keepdims=True), found, len(classes))
    return classes[winner.min(axis=1)]


def knn_multilabel(X: np.ndarray, Y: np.ndarray, Q: np.ndarray, k: int = 5) -> np.ndarray:
    """The labels that more than half of the k nearest rows have.

    X: (N, D), Y: (N, L) bool, Q: (M, D) -> (M, L) bool.
    """
    Y, ids = np.asarray(Y, bool), nearest_euclidean(Q, X, k)
    votes = sum(Y[ids[:, j]].astype(np.int64) for j in range(k))         # (M, L)
    return 2 * votes > k


def nearest_euclidean(Q: np.ndarray, X: np.ndarray, k: int) -> np.ndarray:
    """The k rows of X nearest to each row of Q, nearest first.  (M, D), (N, D) -> ids (M, k).

    argmin ‖q − x‖² = argmax q·x − ‖x‖²/2 = argmax [q, 1]·[x, −‖x‖²/2], a dot product with one more
    column.  The mean of X is subtracted first, so that less precision is lost by cancellation.  X,
    and each [q, 1], is divided by a power of two, so that no square overflows.  This changes
    exponents, not digits; only numbers that are negligible beside the largest underflow.
    Raises ValueError for nan or inf, or k outside 1..N.
    """
    Q, X = np.asarray(Q), np.asarray(X)
    require_tables(Q, X)
    if not 1 <= k <= len(X):
        raise ValueError(f"k: expected 1 to {len(X)}, the number of training rows, got {k}")
    dtype = np.result_type(Q, X, np.float32)
    if not (np.isfinite(Q).all() and np.isfinite(X).all()):
        raise ValueError("expected finite vectors, got nan or inf; leave such rows out")
    _, e = np.frexp(np.abs(X).max(initial=0))
    Q, X = np.ldexp(Q.astype(np.float64), -e), np.ldexp(X.astype(dtype), -e)
    mean = X.mean(axis=0, dtype=np.float64)
    Q, X = Q - mean, (X - mean).astype(dtype)
    half = np.einsum("nd,nd->n", X, X) / dtype.type(2)
    Q, _ = rescale(np.column_stack([Q, np.ones(len(Q))]))
    return nearest(Q.astype(dtype), np.column_stack([X, -half]), k)[0]


# ---- draws -------------------------------------------------------------------------------------

def draw_per_label(y: Sequence | np.ndarray, per_label: int = 8, draws: int = 10, seed: int = 42
                   ) -> list[np.ndarray]:
    """Draw training sets of `per_label` items of each label; of a rarer label, all its items.

    y: (N,) -> for each draw an array of ids, in the order in which mteb draws them for this seed.
    """
    _, code = np.unique(np.asarray(y), return_inverse=True)
    order, drawn = np.arange(len(code)), []
    for _ in range(draws):
        np.random.RandomState(seed).shuffle(order)       # NumPy has frozen this old generator
        by_label = np.argsort(code[order], kind="stable")
        start = np.searchsorted(code[order][by_label], code[order][by_label])
        before = np.empty(len(order), np.int64)          # items of the same label before this one
        before[by_label] = np.arange(len(order)) - start
        drawn.append(order[before < per_label])
    return drawn


def draw_multilabel(label_sets: Sequence[Collection], rng: np.random.Generator,
                    per_label: int = 8, draws: int = 10) -> list[np.ndarray]:
    """Draw training sets in which each label has at least `per_label` items; a rarer one, all its.

    label_sets: N sets -> for each draw an array of ids.  Items are read in random order; an item is
    taken if one of its labels still has too few, so labels that occur together with others get
    more.  rng: mteb makes one per task, np.random.default_rng(42), and goes on to use it for the
    task's next subsets.
    """
    drawn = []
    for _ in range(draws):
        order, have, taken = list(range(len(label_sets))), Counter(), []
        rng.shuffle(order)
        for i in order:
            if any(have[label] < per_label for label in label_sets[i]):
                taken.append(i)
                have.update(label_sets[i])
        drawn.append(np.array(taken, np.int64))
    return drawn


# ---- the whole protocol ------------------------------------------------------------------------

def probe(X: np.ndarray, y: Sequence | np.ndarray, Q: np.ndarray, truth: Sequence | np.ndarray,
          draws: Sequence[np.ndarray], fit_predict: FitPredict = linear_probe) -> ProbeScores:
    """Train on each draw from X (N, D) and y (N,), and test on Q (M, D) and truth (M,).

    draws: arrays of ids into X, for instance from draw_per_label.
    """
    X, y, truth = np.asarray(X), np.asarray(y), np.asarray(truth)
    labels, scores, ap = np.unique(truth), [], []
    for rows in draws:
        predicted = fit_predict(X[rows], y[rows], Q)
        scores.append(class_scores(truth, predicted))
        if len(labels) == 2:
            ap.append(average_precision(predicted == labels[1], truth == labels[1]))
    return ProbeScores(ClassScores(*np.mean(scores, axis=0).tolist()),
                       float(np.mean(ap)) if ap else float("nan"), scores)


def multilabel_probe(X: np.ndarray, label_sets: Sequence[Collection], Q: np.ndarray,
                     truth: Sequence[Collection], draws: Sequence[np.ndarray], k: int = 5
                     ) -> MultilabelProbe:
    """Train kNN on each draw from X (N, D), test on Q (M, D); each item has a set of labels.

    Only labels that occur in `truth` are used; others are left out of training, as in mteb.
    """
    X, labels = np.asarray(X), sorted(set().union(*truth))
    Y, Y_true = indicator(label_sets, labels), indicator(truth, labels)
    scores = [multilabel_scores(Y_true, knn_multilabel(X[rows], Y[rows], Q, k)) for rows in draws]
    return MultilabelProbe(MultilabelScores(*np.mean(scores, axis=0).tolist()), scores)


def indicator(label_sets: Sequence[Collection], labels: Sequence) -> np.ndarray:
    """N sets of labels as a table (N, L) bool, a column for each of `labels`.

    Labels that are not among `labels` are ignored.
    """
    column = {label: j for j, label in enumerate(labels)}
    Y = np.zeros((len(label_sets), len(labels)), bool)
    for i, labels_of_item in enumerate(label_sets):
        Y[i, [column[label] for label in labels_of_item if label in column]] = True
    return Y

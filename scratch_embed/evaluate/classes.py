"""Classification measures: accuracy, precision, recall and F1, for one or several labels per item.

Paper     van Rijsbergen 1979, "Information Retrieval", chapter 7 (F); Schapire & Singer 2000,
          "BoosTexter", section 4 (ranking measures of several labels).
Equation  P_c = hits_c / predicted_c     R_c = hits_c / true_c     F1_c = 2 hits_c / (true_c +
          predicted_c);  macro: mean over classes;  weighted: Σ_c (true_c / N) F1_c
Shapes    one label: true, predicted (N,); several: (N, L) bool
Cost      O(N log N) to sort the labels, then three counts: no confusion matrix, no kernel
Differs   P of a class that is never predicted, and R of a class that is never true, are 0/0 and
          count as 0: scikit-learn's default, but without its warning.  The macro means
          are over all classes among the true OR the predicted labels, also as there, so they
          fall if a class is predicted that is never true.
Read next evaluate/probe.py, evaluate/bitext.py

Which one?  Accuracy rewards predicting the frequent class.  Macro F1 gives each class the same
weight, however rare it is.  Weighted means weight classes by their true counts; weighted
recall equals accuracy.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class ClassScores(NamedTuple):
    """All in [0, 1]; f1, precision, recall: macro means; *_weighted: means weighted by true_c/N."""
    accuracy: float
    f1: float
    precision: float
    recall: float
    f1_weighted: float
    precision_weighted: float
    recall_weighted: float


class MultilabelScores(NamedTuple):
    """All in [0, 1]; `hamming` is MTEB's name for the mean Jaccard index of true and found sets.

    Jaccard index: |true ∩ found| / |true ∪ found|; 1 if both sets are empty.
    """
    accuracy: float            # share of items with exactly the true set
    f1: float                  # macro
    lrap: float                # label ranking average precision of the 0/1 predictions
    hamming: float


def class_scores(true: Sequence | np.ndarray, predicted: Sequence | np.ndarray) -> ClassScores:
    """Compare one predicted label per item with the true one.

    true, predicted: (N,), integers or strings.  Raises ValueError for unequal shapes or kinds.
    """
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.ndim != 1 or true.shape != predicted.shape or not len(true):
        raise ValueError(f"expected as many labels as predictions, one or more, got shapes "
                         f"{true.shape} and {predicted.shape}")
    if (true.dtype.kind == "U") != (predicted.dtype.kind == "U"):
        raise ValueError(f"expected labels of one kind, got {true.dtype} and {predicted.dtype}")
    N = len(true)
    classes, code = np.unique(np.concatenate([true, predicted]), return_inverse=True)
    hits = np.bincount(code[:N][true == predicted], minlength=len(classes))
    precision, recall, f1, support = _ratios(hits, np.bincount(code[:N], minlength=len(classes)),
                                             np.bincount(code[N:], minlength=len(classes)))
    macro = [float(x.mean()) for x in (f1, precision, recall)]
    weighted = [float(x @ support / N) for x in (f1, precision, recall)]
    return ClassScores(float(hits.sum() / N), *macro, *weighted)


def multilabel_scores(true: np.ndarray, predicted: np.ndarray) -> MultilabelScores:
    """Compare a predicted set of labels per item with the true set.

    true, predicted: (N, L) bool.  Raises ValueError for unequal shapes.
    """
    true, predicted = np.asarray(true, bool), np.asarray(predicted, bool)
    if true.ndim != 2 or true.shape != predicted.shape or not true.size:
        raise ValueError(f"expected two tables of items by labels, got shapes {true.shape} and "
                         f"{predicted.shape}")
    both, either = (true & predicted).sum(axis=1), (true | predicted).sum(axis=1)
    f1 = _ratios((true & predicted).sum(axis=0), true.sum(axis=0), predicted.sum(axis=0))[2]
    overlap = np.where(either == 0, 1.0, both / np.maximum(either, 1))
    return MultilabelScores(float((true == predicted).all(axis=1).mean()), float(f1.mean()),
                            _lrap(true, predicted), float(overlap.mean()))


def _ratios(hits, true, predicted):
    """P, R, F1 and the true count of each class, with 0/0 = 0."""
    return (hits / np.maximum(predicted, 1), hits / np.maximum(true, 1),
            2 * hits / np.maximum(true + predicted, 1), true)


def _lrap(true, predicted):
    """Label ranking average precision: a mean over items, and over the true labels of each item.

    For a true label l it is (true labels ranked at or above l) / (all labels ranked at or above l).
    Labels are ranked by their prediction, 1 before 0: at or above a predicted label are all
    predicted labels; at or above any other label are all L.  An item whose true labels are none or
    all L counts 1.
    """
    L, n_true, n_found = true.shape[1], true.sum(axis=1), predicted.sum(axis=1)
    both = (true & predicted).sum(axis=1)
    total = both * both / np.maximum(n_found, 1) + (n_true - both) * n_true / L
    return float(np.where((n_true == 0) | (n_true == L), 1, total / np.maximum(n_true, 1)).mean())

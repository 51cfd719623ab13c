"""Accuracy, precision, recall and F1 of predicted classes, for one label an item or for several.

Paper     van Rijsbergen 1979, "Information Retrieval", chapter 7 (F); Schapire & Singer 2000,
          "BoosTexter", section 4 (ranking measures of several labels).
Equation  P_c = hits_c / predicted_c     R_c = hits_c / true_c     F1_c = 2 hits_c / (true_c +
          predicted_c);  macro: mean over classes;  weighted: Σ_c (true_c / N) F1_c
Shapes    one label: true, predicted (N,); several: (N, L) bool
Cost      a sort of the labels, then three counts: O(N log N).  No table of classes by classes,
          no kernel.
Differs   where a class was never predicted P is 0/0 and counts as 0, R likewise, as scikit-learn's
          default without its warning.  A class counts if it is true OR predicted of some item, so
          predicting a class that does not exist lowers the macro mean.
Read next evaluate/probe.py, evaluate/bitext.py

Accuracy rewards the frequent class.  Macro F1 gives each class the same weight, however rare.
Weighted F1 weights by the true counts and so stands close to accuracy.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class ClassScores(NamedTuple):
    """All in [0, 1]; without a suffix the mean over classes, else weighted by their frequency."""
    accuracy: float
    f1: float
    precision: float
    recall: float
    f1_weighted: float
    precision_weighted: float
    recall_weighted: float


class MultilabelScores(NamedTuple):
    """All in [0, 1].  `hamming` is MTEB's name for the mean of |true ∩ found| / |true ∪ found|."""
    accuracy: float            # share of items with exactly the true set
    f1: float                  # macro
    lrap: float                # label ranking average precision of the 0/1 predictions
    hamming: float


def class_scores(true: Sequence | np.ndarray, predicted: Sequence | np.ndarray) -> ClassScores:
    """Judge one predicted label for each item.  true, predicted: (N,) integers or strings."""
    true, predicted = np.asarray(true), np.asarray(predicted)
    if true.ndim != 1 or true.shape != predicted.shape or not len(true):
        raise ValueError(f"expected as many labels as predictions, one or more, found shapes "
                         f"{true.shape} and {predicted.shape}")
    if (true.dtype.kind == "U") != (predicted.dtype.kind == "U"):
        raise ValueError(f"expected labels of one kind, found {true.dtype} and {predicted.dtype}")
    N = len(true)
    classes, code = np.unique(np.concatenate([true, predicted]), return_inverse=True)
    hits = np.bincount(code[:N][true == predicted], minlength=len(classes))
    precision, recall, f1, support = _ratios(hits, np.bincount(code[:N], minlength=len(classes)),
                                             np.bincount(code[N:], minlength=len(classes)))
    macro = [float(x.mean()) for x in (f1, precision, recall)]
    weighted = [float(x @ support / N) for x in (f1, precision, recall)]
    return ClassScores(float(hits.sum() / N), *macro, *weighted)


def multilabel_scores(true: np.ndarray, predicted: np.ndarray) -> MultilabelScores:
    """Judge a predicted set of labels for each item.  true, predicted: (N, L) bool."""
    true, predicted = np.asarray(true, bool), np.asarray(predicted, bool)
    if true.ndim != 2 or true.shape != predicted.shape or not true.size:
        raise ValueError(f"expected two tables of items by labels, found shapes {true.shape} and "
                         f"{predicted.shape}")
    both, either = (true & predicted).sum(axis=1), (true | predicted).sum(axis=1)
    f1 = _ratios((true & predicted).sum(axis=0), true.sum(axis=0), predicted.sum(axis=0))[2]
    overlap = np.where(either == 0, 1.0, both / np.maximum(either, 1))
    return MultilabelScores(float((true == predicted).all(axis=1).mean()), float(f1.mean()),
                            _lrap(true, predicted), float(overlap.mean()))


def _ratios(hits, true, predicted):
    """P, R, F1 and the true count of each class; 0/0 is 0."""
    return (hits / np.maximum(predicted, 1), hits / np.maximum(true, 1),
            2 * hits / np.maximum(true + predicted, 1), true)


def _lrap(true, predicted):
    """Mean over items, and over their true labels l, of (true labels ≥ l) / (all labels ≥ l).

    Labels are ranked by their prediction, 1 before 0.  A predicted true label has the predicted
    ones at or above it; any other has all L of them.  Items with no label, or all, count 1.
    """
    L, n_true, n_found = true.shape[1], true.sum(axis=1), predicted.sum(axis=1)
    both = (true & predicted).sum(axis=1)
    total = both * both / np.maximum(n_found, 1) + (n_true - both) * n_true / L
    return float(np.where((n_true == 0) | (n_true == L), 1, total / np.maximum(n_true, 1)).mean())

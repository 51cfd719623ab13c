"""Precision, recall and F1: worked by hand, brute force per class, equal to scikit-learn's."""
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scratch_embed.evaluate.classes import class_scores, multilabel_scores

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/evaluate.json").read_text())
label_pairs = st.lists(st.tuples(st.integers(-2, 4), st.integers(-2, 4)), min_size=1, max_size=30)
label_tables = st.tuples(st.integers(1, 12), st.integers(1, 5)).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape)))


def test_one_label_worked_by_hand():
    # a: 2 true, 1 found, 1 hit; b: 1 true, 2 found, 1 hit; c: 1 true, 0 found; d: 1 found, 0 true
    scores = class_scores(["a", "a", "b", "c"], ["a", "b", "b", "d"])
    assert scores.accuracy == 1 / 2
    assert scores.f1 == pytest.approx((2 / 3 + 2 / 3 + 0 + 0) / 4, rel=1e-15)
    assert (scores.precision, scores.recall) == ((1 + 1 / 2) / 4, (1 / 2 + 1) / 4)
    assert scores.f1_weighted == pytest.approx((2 * 2 / 3 + 2 / 3) / 4, rel=1e-15)
    assert scores.precision_weighted == (2 + 1 / 2) / 4
    assert scores.recall_weighted == scores.accuracy


def test_several_labels_worked_by_hand():
    true = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0]])
    found = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 0]])
    scores = multilabel_scores(true, found)
    assert scores.accuracy == pytest.approx(1 / 3, rel=1e-15)
    assert scores.f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3, rel=1e-15)
    assert scores.hamming == pytest.approx((1 / 2 + 1 + 1 / 2) / 3, rel=1e-15)
    # Item 0: its label 0 is the only predicted label, 1/1; its label 1 is not predicted and ranks
    # with all 3 labels, 2 of which are true, 2/3.  Item 1 has no true label: 1.  Item 2: its label
    # is one of two predicted labels, 1/2.
    assert scores.lrap == pytest.approx(((1 + 2 / 3) / 2 + 1 + 1 / 2) / 3, rel=1e-15)


@given(label_pairs)
def test_scores_equal_a_loop_over_the_classes(pairs):
    true, found = np.array(pairs).T
    scores, N = class_scores(true, found), len(pairs)
    classes = sorted(set(true) | set(found))
    f1, support = [], []
    for c in classes:
        hits = ((true == c) & (found == c)).sum()
        f1.append(2 * hits / ((true == c).sum() + (found == c).sum()))
        support.append((true == c).sum())
    assert scores.f1 == pytest.approx(np.mean(f1), abs=1e-14)
    assert scores.f1_weighted == pytest.approx(np.dot(f1, support) / N, abs=1e-14)
    assert scores.accuracy == (true == found).mean()
    assert all(0 <= x <= 1 + 1e-15 for x in scores)


@given(label_pairs)
def test_class_names_and_item_order_have_no_effect(pairs):
    true, found = np.array(pairs).T
    names = np.array(["y", "x", "c", "b", "a", "é", "z"])
    renamed = class_scores(names[true + 2], names[found + 2])
    assert renamed == pytest.approx(class_scores(true, found), abs=1e-14)
    assert class_scores(true[::-1], found[::-1]) == class_scores(true, found)


def test_labels_of_unequal_shapes_or_kinds_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        class_scores([1, 2], [1])
    with pytest.raises(ValueError, match="shapes"):
        class_scores([], [])
    with pytest.raises(ValueError, match="one kind"):
        class_scores(["1", "2"], [1, 2])
    with pytest.raises(ValueError, match="shapes"):
        multilabel_scores([[1]], [[1, 0]])


def test_equals_scikit_learn_frozen():
    case = GOLDEN["classes"]
    scores = class_scores(case["true"], case["found"])
    assert scores[1:4] == pytest.approx(case["macro"], abs=1e-9)
    assert scores[4:] == pytest.approx(case["weighted"], abs=1e-9)
    assert scores.accuracy == pytest.approx(case["accuracy"], abs=1e-9)
    several = multilabel_scores(case["sets"], case["found_sets"])
    assert several == pytest.approx(case["several"], abs=1e-9)


@given(label_tables)
def test_several_labels_equal_scikit_learn_live(pair):
    metrics = pytest.importorskip("sklearn.metrics")
    true, found = pair[0].astype(int), pair[1].astype(int)
    scores = multilabel_scores(true, found)
    if true.shape[1] > 1:                          # scikit-learn refuses a single column
        want = metrics.label_ranking_average_precision_score(true, found)
        assert scores.lrap == pytest.approx(want, abs=1e-12)
        want = metrics.f1_score(true, found, average="macro", zero_division=0)
        assert scores.f1 == pytest.approx(want, abs=1e-12)
        want = metrics.jaccard_score(true, found, average="samples", zero_division=1)
        assert scores.hamming == pytest.approx(want, abs=1e-12)

"""Pair classification: equal to a search over all thresholds, and to scikit-learn's AP."""
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.pairs import (
    average_precision,
    best_accuracy,
    best_f1,
    pair_classification,
)
from tests.rounding import seeds

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/evaluate.json").read_text())
scored_pairs = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=30)


def scores_and_labels(pairs):
    return np.array([s for s, _ in pairs], float), np.array([p for _, p in pairs])


# ---- worked by hand --------------------------------------------------------

def test_average_precision_worked_by_hand():
    # positives at ranks 1, 3, 4: (1/1 + 2/3 + 3/4) / 3
    assert average_precision([9, 8, 7, 6, 5], [1, 0, 1, 1, 0]) == pytest.approx(29 / 36, rel=1e-15)
    # the two 7s are one step: recall rises from 1/2 to 1 at precision 2/3
    assert average_precision([9, 7, 7], [1, 0, 1]) == pytest.approx(1 / 2 + 1 / 3, rel=1e-15)


def test_thresholds_worked_by_hand():
    scores, positive = [0.9, 0.8, 0.4, 0.2], [1, 0, 1, 0]
    # correct of 4, as positive + negative: threshold .85: 1 + 2; .6: 1 + 1; .3: 2 + 1; .85 and .3
    # are equally good, so the higher threshold is returned
    assert best_accuracy(scores, positive) == pytest.approx((3 / 4, 0.85))
    # F1: 2/3, 1/2, 4/5
    assert best_f1(scores, positive) == pytest.approx((4 / 5, 2 / 3, 1, 0.3))


def test_the_threshold_between_huge_scores_does_not_overflow():
    scores = np.array([1.7e308, 1.6e308, -1.7e308])
    for positive in [1, 0, 0], [1, 1, 0]:                    # 1.7e308 + 1.6e308 is inf
        found = best_f1(scores, positive)
        assert found.f1 == 1 and (scores > found.threshold).tolist() == positive


# ---- brute force -----------------------------------------------------------

@given(scored_pairs)
def test_the_best_accuracy_and_f1_equal_those_of_a_search_over_all_thresholds(pairs):
    scores, positive = scores_and_labels(pairs)
    cuts = [t + 0.5 for t in range(-1, 7) if (scores > t).any() and (scores < t + 0.5).any()]
    accuracy, f1 = best_accuracy(scores, positive), best_f1(scores, positive)
    if not cuts:
        assert math.isnan(accuracy.accuracy) and math.isnan(f1.f1)
        return
    found = [scores > cut for cut in cuts]
    assert accuracy.accuracy == max((f == positive).mean() for f in found)
    F1 = [2 * (f & positive).sum() / (f.sum() + positive.sum()) for f in found]
    assert f1.f1 == max(F1)
    above = scores > f1.threshold
    assert f1.precision == (above & positive).sum() / above.sum()
    assert f1.recall == ((above & positive).sum() / positive.sum() if positive.any() else 0)
    assert ((scores > accuracy.threshold) == positive).mean() == accuracy.accuracy


@given(scored_pairs, st.randoms(use_true_random=False))
def test_the_order_of_the_input_has_no_effect(pairs, random):
    scores, positive = scores_and_labels(pairs)
    random.shuffle(pairs)
    for measure in average_precision, best_accuracy, best_f1:
        np.testing.assert_array_equal(measure(*scores_and_labels(pairs)), measure(scores, positive))


@given(scored_pairs)
def test_average_precision_is_the_share_of_positives_for_a_constant_and_1_for_the_labels(pairs):
    _, positive = scores_and_labels(pairs)
    constant, oracle = (average_precision(s, positive) for s in (np.zeros(len(pairs)), positive))
    if positive.any():
        assert constant == pytest.approx(positive.mean(), rel=1e-15) and oracle == 1
    else:
        assert math.isnan(constant)


@given(seeds)
def test_only_the_order_of_the_scores_has_an_effect(seed):
    rng = np.random.default_rng(seed)
    scores, positive = rng.standard_normal(25), rng.integers(0, 2, 25)
    for measure in average_precision, lambda s, p: best_f1(s, p)[:3]:
        np.testing.assert_array_equal(measure(np.exp(scores), positive), measure(scores, positive))


# ---- the task --------------------------------------------------------------

def test_the_maxima_are_over_the_four_similarities():
    # B differs only in length: the dot product separates the pairs, the cosine is constant, and
    # the Euclidean distance ranks the positive pairs last
    A, B = np.ones((4, 2)), np.array([[9.0, 9], [8, 8], [1, 1], [2, 2]])
    result = pair_classification(A, B, [1, 1, 0, 0])
    assert result.dot.ap == 1 and result.euclidean.ap < 1
    assert math.isnan(result.cosine.f1.f1) and result.cosine.ap == 0.5
    assert result.max_ap == result.max_f1 == result.max_accuracy == 1
    nothing = pair_classification(A, A, [1, 1, 0, 0])
    assert nothing.max_ap == 0.5 and math.isnan(nothing.max_f1)


@pytest.mark.parametrize("scores, positive, message", [
    ([1, 2], [1], "shapes"), ([1, 2], [1, 2], "got 2"), ([1, math.nan], [0, 1], "got nan"),
    ([1, 2], [0.5, 1], "got 0.5"), ([[1]], [[1]], "shapes")])
def test_unequal_shapes_other_labels_and_nan_are_refused(scores, positive, message):
    for measure in average_precision, best_accuracy, best_f1:
        with pytest.raises(ValueError, match=message):
            measure(scores, positive)


def test_no_pairs_give_nan():
    assert math.isnan(average_precision([], []))
    assert math.isnan(best_f1([], []).f1) and math.isnan(best_accuracy([3], [1]).accuracy)


# ---- parity ----------------------------------------------------------------

def test_average_precision_equals_scikit_learn_frozen():
    case = GOLDEN["precision"]
    found = average_precision(case["scores"], case["positive"])
    assert found == pytest.approx(case["ap"], abs=1e-9)


@given(scored_pairs)
def test_average_precision_equals_scikit_learn_live(pairs):
    metrics = pytest.importorskip("sklearn.metrics")
    scores, positive = scores_and_labels(pairs)
    if positive.any():
        want = metrics.average_precision_score(positive, scores)
        assert average_precision(scores, positive) == pytest.approx(want, abs=1e-12)

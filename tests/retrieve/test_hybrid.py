"""Fused lists: worked by hand, and equal to their definition; the order of lists has no effect."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.retrieve.hybrid import (
    min_max,
    reciprocal_rank_fusion,
    sum_of_scores,
    weighted_sum,
)
from tests.rounding import u64

one_list = st.lists(st.integers(0, 7), max_size=5, unique=True).flatmap(
    lambda ids: st.lists(st.sampled_from([-1.5, 0.0, 0.25, 2.0]), min_size=len(ids),
                         max_size=len(ids)).map(lambda s: (ids, sorted(s, reverse=True))))
some_lists = st.lists(one_list, min_size=1, max_size=4)


def arrays(lists):
    """Lists of one query as arrays (1, 5), filled up with id −1 and score −inf."""
    return [(np.array([ids + [-1] * (5 - len(ids))]),
             np.array([scores + [-np.inf] * (5 - len(scores))])) for ids, scores in lists]


def as_dict(result):
    """{id: score} of a result for one query."""
    ids, scores = result
    return {i: s for i, s in zip(ids[0].tolist(), scores[0]) if i >= 0}


WORDS = np.array([[4, 2, 0]]), np.array([[9.0, 5.0, 1.0]])
VECTORS = np.array([[2, 7, -1]]), np.array([[0.9, 0.3, -np.inf]])


# ---- worked by hand --------------------------------------------------------------------------

def test_reciprocal_ranks_worked_by_hand():
    ids, scores = reciprocal_rank_fusion([WORDS, VECTORS], 4)
    assert ids.tolist() == [[2, 4, 7, 0]]
    assert scores[0] == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62, 1 / 63], rel=2 * u64)
    ids, _ = reciprocal_rank_fusion([WORDS, VECTORS], 4, constant=0)       # 2: 1/2 + 1; 4: 1
    assert ids.tolist() == [[2, 4, 7, 0]]


def test_weighted_scores_worked_by_hand():
    """Normalised scores: words 1, ½, 0; vectors 1, 0."""
    ids, scores = weighted_sum([WORDS, VECTORS], [1, 3], 5)
    assert ids.tolist() == [[2, 4, 0, 7, -1]]
    assert scores[0].tolist() == [3.5, 1, 0, 0, -math.inf]


def test_raw_scores_can_be_added():
    ids, scores = weighted_sum([WORDS, VECTORS], [1, 10], 2, normalise=np.asarray)
    assert ids.tolist() == [[2, 4]] and scores.tolist() == [[14, 9]]


def test_min_max_reaches_from_0_to_1_at_every_scale():
    assert min_max(np.array([3.0, 1.0, 2.0])).tolist() == [1, 0, 0.5]
    assert min_max(np.array([1.7e308, -1.7e308, 0])).tolist() == [1, 0, 0.5]
    assert min_max(np.array([5e-324, 0.0])).tolist() == [1, 0]
    assert min_max(np.array([-2.0, -2.0])).tolist() == min_max(np.zeros(2)).tolist() == [1, 1]


# ---- the definitions ---------------------------------------------------------------------------

@given(some_lists)
def test_reciprocal_rank_fusion_equals_its_definition(lists):
    want = {}
    for ids, _ in lists:
        for rank, i in enumerate(ids, 1):
            want[i] = want.get(i, 0) + 1 / (60 + rank)
    found = as_dict(reciprocal_rank_fusion(arrays(lists), 20))
    assert found == pytest.approx(want, rel=5 * u64)
    assert list(found.values()) == sorted(found.values(), reverse=True)


@given(some_lists, st.data())
def test_the_weighted_sum_equals_its_definition(lists, data):
    weights = data.draw(st.lists(st.sampled_from([0, 0.5, 1, 3]), min_size=len(lists),
                                 max_size=len(lists)))
    want = {}
    for weight, (ids, scores) in zip(weights, lists):
        for i, s in zip(ids, scores):
            low, high = min(scores), max(scores)
            want[i] = want.get(i, 0) + weight * (1 if low == high else (s - low) / (high - low))
    assert as_dict(weighted_sum(arrays(lists), weights, 20)) == pytest.approx(want, rel=8 * u64)


@given(some_lists, st.randoms(), st.integers(1, 9))
def test_the_order_of_the_lists_has_no_effect(lists, random, k):
    """Sums are equal bit for bit, so ties stay ties."""
    shuffled = random.sample(lists, len(lists))
    for fuse in reciprocal_rank_fusion, lambda lists, k: weighted_sum(lists, [1] * len(lists), k):
        for a, b in zip(fuse(arrays(lists), k), fuse(arrays(shuffled), k)):
            np.testing.assert_array_equal(a, b)


def test_documents_with_the_same_ranks_in_different_lists_tie():
    """1/61 + 1/62 + 1/67 has another last bit if 1/67 is added first."""
    assert (1 / 61 + 1 / 62) + 1 / 67 != (1 / 67 + 1 / 61) + 1 / 62
    lists = [(np.array([[first, second, *range(second * 10, second * 10 + 4), seventh]]),
              np.zeros((1, 7))) for first, second, seventh in ([5, 1, 3], [1, 3, 5], [3, 5, 1])]
    ids, scores = reciprocal_rank_fusion(lists, 3)
    assert ids.tolist() == [[1, 3, 5]] and len(set(scores[0])) == 1


@given(one_list)
def test_a_single_list_keeps_its_order(ranked):
    ids, _ = ranked
    assert list(as_dict(reciprocal_rank_fusion(arrays([ranked]), 9))) == ids


@given(some_lists)
def test_scale_and_shift_of_a_lists_scores_have_no_effect(lists):
    """8 s + 4 is exact, so the results are equal bit for bit."""
    scaled = [(ids, [8 * s + 4 for s in scores]) for ids, scores in lists]
    weights = [1] * len(lists)
    for a, b in zip(weighted_sum(arrays(lists), weights, 9),
                    weighted_sum(arrays(scaled), weights, 9)):
        np.testing.assert_array_equal(a, b)


def test_queries_are_independent_of_each_other():
    ids, scores = (np.concatenate([a, b]) for a, b in zip(WORDS, (np.array([[7, 8, 9]]),
                                                                  np.array([[0.0, 0.0, -5.0]]))))
    both = weighted_sum([(ids, scores)], [1], 3)
    assert both[0].tolist() == [[4, 2, 0], [7, 8, 9]] and both[1].tolist() == [[1, 0.5, 0],
                                                                               [1, 1, 0]]


# ---- invalid input ----------------------------------------------------------------------------

def test_invalid_lists_weights_and_parameters_are_refused():
    with pytest.raises(ValueError, match="lists: expected at least one"):
        reciprocal_rank_fusion([], 1)
    with pytest.raises(ValueError, match=r"for 1 queries in every list; got \(2, 1\)"):
        reciprocal_rank_fusion([WORDS, (np.zeros((2, 1), int), np.zeros((2, 1)))], 1)
    with pytest.raises(ValueError, match=r"got \(1, 3\) and \(1, 2\)"):
        reciprocal_rank_fusion([(WORDS[0], WORDS[1][:, :2])], 1)
    with pytest.raises(ValueError, match="got one twice in row 0"):
        weighted_sum([(np.array([[1, 1]]), np.zeros((1, 2)))], [1], 1)
    for score in math.nan, math.inf:
        with pytest.raises(ValueError, match="finite scores"):
            weighted_sum([(np.array([[1]]), np.array([[score]]))], [1], 1)
    for weights in [1], [1, -1], [1, math.nan], [1, math.inf], 1:
        with pytest.raises(ValueError, match="weights: expected 2 numbers of 0 or more"):
            weighted_sum([WORDS, VECTORS], weights, 1)
    with pytest.raises(ValueError, match="constant=-1"):
        reciprocal_rank_fusion([WORDS], 1, -1)
    with pytest.raises(ValueError, match="k=.*: expected a whole number, 1 to"):
        weighted_sum([WORDS], [1], 0)


def test_fused_lists_are_no_longer_than_the_lists_together():
    one, two = (np.array([[0, 1]]), np.ones((1, 2))), (np.array([[2, -1]]), np.ones((1, 2)))
    for fused in (reciprocal_rank_fusion([one, two], 10**9),
                  weighted_sum([one, two], [1, 1], 10**9)):
        assert fused[0].shape == fused[1].shape == (1, 4)


def test_the_sum_of_scores_has_weight_0_3_for_vectors_and_0_7_for_bm25():
    """Scaled scores 1, 0 by vectors and 1, 0 by BM25: document 3 has 0.3, document 7 has 0.7."""
    dense, bm25 = (np.array([[3, 4]]), np.array([[0.9, 0.1]])), (np.array([[7, 3]]),
                                                                 np.array([[5.0, 1.0]]))
    ids, scores = sum_of_scores([dense, bm25], 3)
    assert ids.tolist() == [[7, 3, 4]] and scores.tolist() == [[0.7, 0.3, 0.0]]

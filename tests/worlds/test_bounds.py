"""Upper bounds and chance levels, compared with an enumeration of all orders of the documents."""
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.worlds.bounds import (
    chance_average_precision,
    chance_ndcg,
    chance_reciprocal_rank,
    chance_v_measure,
    discounts,
    ndcg_upper_bound,
)
from tests.rounding import seeds, u64

D2, D3 = 1 / np.log2(3), 0.5                             # the discounts of ranks 2 and 3


def ndcg(order, gains, k):
    d = discounts(len(gains))[:k]
    return gains[list(order)][:k] @ d / (-np.sort(-gains)[:k] @ d)


def cases(seed, M, N):
    """Gains (M, N) of 0, 1 or 2, at least one 2 in each case; and a random generator."""
    rng = np.random.Generator(np.random.PCG64(seed))
    gains = rng.integers(0, 3, (M, N))
    gains[np.arange(M), rng.integers(N, size=M)] = 2
    return gains, rng


def test_upper_bounds_by_hand():
    assert ndcg_upper_bound(np.array([0, 2, 1])) == 1.0
    # one relevant document among three of one kind, which the ranker cannot distinguish: its ranks
    # 1, 2 and 3 are equally likely
    one_kind = [0, 0, 0]
    found = ndcg_upper_bound(np.array([1, 0, 0]), one_kind)
    assert found == pytest.approx((1 + D2 + D3) / 3, rel=8 * u64)
    # two queries that the ranker cannot distinguish, each with one relevant document
    assert ndcg_upper_bound(np.eye(2)) == pytest.approx((1 + D2) / 2, rel=8 * u64)
    # k = 1 and two documents of one kind: the first is relevant half of the time
    assert ndcg_upper_bound(np.array([1, 0]), [7, 7], k=1) == 0.5


@given(seeds, st.integers(1, 3), st.integers(1, 5), st.integers(1, 6))
def test_the_upper_bound_is_the_best_mean_of_any_order_over_the_cases(seed, M, N, k):
    gains, _ = cases(seed, M, N)
    means = [np.mean([ndcg(order, row, k) for row in gains]) for order in permutations(range(N))]
    assert ndcg_upper_bound(gains, k=k) == pytest.approx(max(means), rel=1e-14)


@given(seeds, st.integers(1, 5), st.integers(1, 6))
def test_the_upper_bound_is_the_best_mean_over_permutations_within_kinds(seed, N, k):
    """A ranker cannot distinguish documents of a kind: any permutation of their gains counts."""
    gains, rng = cases(seed, 1, N)
    kind = rng.integers(0, 3, N)
    swaps = [gains[0][list(p)] for p in permutations(range(N)) if (kind[list(p)] == kind).all()]
    means = [np.mean([ndcg(order, row, k) for row in swaps]) for order in permutations(range(N))]
    assert ndcg_upper_bound(gains, kind, k) == pytest.approx(max(means), rel=1e-13)


@given(seeds, st.integers(1, 5), st.integers(1, 6))
def test_chance_is_the_mean_over_all_orders(seed, N, k):
    gains, _ = cases(seed, 2, N)
    means = [np.mean([ndcg(order, row, k) for order in permutations(range(N))]) for row in gains]
    assert chance_ndcg(gains, k) == pytest.approx(np.mean(means), rel=1e-13)


@given(seeds, st.integers(1, 8), st.integers(1, 20))
def test_the_upper_bound_never_rises_if_fewer_documents_can_be_distinguished(seed, N, k):
    gains, rng = cases(seed, 1, N)
    kind = rng.integers(0, 3, N)
    one_kind, kinds, distinct = (ndcg_upper_bound(gains, x, k) for x in (kind * 0, kind, None))
    assert one_kind <= kinds * (1 + 1e-14) and kinds <= 1 + 1e-14
    assert distinct == pytest.approx(1)


@pytest.mark.parametrize("R, N", [(1, 1), (1, 4), (2, 5), (3, 3), (4, 6)])
def test_the_average_precision_of_chance_is_the_mean_over_all_orders(R, N):
    precisions = []
    for order in permutations(range(N)):
        relevant = np.array(order) < R
        precisions.append((np.cumsum(relevant) / np.arange(1, N + 1))[relevant].mean())
    assert chance_average_precision(R, N) == pytest.approx(np.mean(precisions), rel=1e-13)


def v_measure(labels, clusters):
    """2 I / (H + H') from the table of counts."""
    table = np.zeros((labels.max() + 1, clusters.max() + 1))
    np.add.at(table, (labels, clusters), 1)
    p = table / table.sum()
    H, H2, joint = (-(q[q > 0] @ np.log(q[q > 0])) for q in (p.sum(1), p.sum(0), p.ravel()))
    return 2 * (H + H2 - joint) / (H + H2)


@pytest.mark.parametrize("L, N", [(4, 1024), (16, 1024), (8, 500)])
def test_the_v_measure_of_random_clusters_is_about_the_chance_level(L, N):
    rng = np.random.Generator(np.random.PCG64(L))
    labels = np.arange(N) % L
    drawn = [v_measure(labels, rng.integers(L, size=N)) for _ in range(400)]
    tolerance = 6 * np.std(drawn) / 20 + 0.05 * np.mean(drawn)     # sampling + approximation
    assert abs(chance_v_measure(labels.tolist()) - np.mean(drawn)) < tolerance


def test_one_label_has_v_measure_1():
    assert chance_v_measure(["a", "a"]) == 1.0


@pytest.mark.parametrize("call, message", [
    (lambda: ndcg_upper_bound(np.array([[1, 0], [0, 0]])), "one above 0 in each case"),
    (lambda: ndcg_upper_bound(np.array([2, -1])), "0 or more"),
    (lambda: chance_average_precision(0, 5), "expected 1 to 5"),
    (lambda: chance_average_precision(6, 5), "expected 1 to 5"),
])
def test_a_wrong_argument_raises_an_error_with_the_expected_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("R, N, k", [(1, 1, 10), (1, 4, 4), (2, 5, 2), (3, 3, 1), (4, 6, 10)])
def test_the_reciprocal_rank_of_chance_is_the_mean_over_all_orders(R, N, k):
    reciprocal = []
    for order in permutations(range(N)):
        first = 1 + min(rank for rank, document in enumerate(order) if document < R)
        reciprocal.append(1 / first if first <= k else 0)
    assert chance_reciprocal_rank(R, N, k) == pytest.approx(np.mean(reciprocal), rel=1e-13)


@pytest.mark.parametrize("R", [0, 5])
def test_a_reciprocal_rank_needs_a_relevant_document(R):
    with pytest.raises(ValueError, match="expected 1 to 4"):
        chance_reciprocal_rank(R, 4, 10)

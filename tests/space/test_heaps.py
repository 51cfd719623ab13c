"""merge_heaps keeps the same scores as merge_sorted."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.space.heaps import merge_heaps, outranks, replace_worst
from scratch_embed.space.neighbours import merge_sorted, nearest, top_k
from tests.rounding import seeds


def test_worked_by_hand():
    values, ids = np.float32([[1, 3, 2]]), np.array([[4, 0, 2]])          # the worst on top
    merge_heaps(np.float32([[1, 2, 9]]), 5, ids, values)
    # The new columns are 5, 6 and 7.  Column 5 ties with the worst, column 4, and is dropped.
    # Column 6 replaces column 4; it ties with column 2, so it is now the worst.  Column 7 replaces
    # column 6.
    assert values.tolist() == [[2, 3, 9]] and ids.tolist() == [[2, 0, 7]]


def test_outranks_orders_numbers_ties_and_nan():
    nan = np.float32(np.nan)
    best_first = [(np.float32(2), 5), (np.float32(1), 0), (np.float32(0), 3), (np.float32(-0.0), 4),
                  (np.float32(-np.inf), 1), (nan, 2), (nan, 6)]
    for a, (x, i) in enumerate(best_first):
        for b, (y, j) in enumerate(best_first):
            assert outranks(x, i, y, j) == (a < b)


@given(seeds, st.integers(1, 30))
def test_after_replace_worst_each_parent_is_worse_than_its_children(seed, k):
    rng = np.random.default_rng(seed)
    heap, ids = np.sort(rng.integers(0, 5, k).astype(np.float32)), np.arange(k)[::-1].copy()
    for i in range(k, k + 20):
        replace_worst(heap, ids, np.float32(rng.integers(0, 9)), i)
        for child in range(1, k):
            parent = (child - 1) // 2
            assert outranks(heap[child], ids[child], heap[parent], ids[parent])


@given(seeds, st.integers(0, 4), st.integers(1, 40), st.integers(1, 9), st.integers(1, 700),
       st.sampled_from([np.float32, np.float64, np.int32]))
def test_merge_heaps_keeps_the_same_scores_as_merge_sorted(seed, N, k, blocks, width, dtype):
    rng = np.random.default_rng(seed)
    M = k + blocks * width
    scores = rng.choice([-1, 0, 0, 1, 2, 3], (N, M)).astype(dtype)
    if dtype is not np.int32:
        scores[rng.random((N, M)) < rng.random()] = np.nan
    ids, values = top_k(scores[:, :k], k)
    kept = [(ids[:, ::-1].copy(), values[:, ::-1].copy()) for _ in range(2)]
    for start in range(k, M, width):
        for merge, (ids, values) in zip((merge_sorted, merge_heaps), kept):
            merge(scores[:, start:start + width], start, ids, values)
        (sorted_ids, sorted_values), (heap_ids, heap_values) = kept
        order = np.argsort(heap_ids, axis=1)
        np.testing.assert_array_equal(np.take_along_axis(heap_ids, order, 1),
                                      np.sort(sorted_ids, axis=1))
        np.testing.assert_array_equal(np.take_along_axis(scores, heap_ids, 1), heap_values)
        np.testing.assert_array_equal(heap_ids[:, :1], sorted_ids[:, :1])     # the worst first
        np.testing.assert_array_equal(sorted_ids[:, ::-1], top_k(scores[:, :start + width], k)[0])


@pytest.mark.parametrize("merge", [merge_sorted, merge_heaps])
@pytest.mark.parametrize("k", [1, 2, 7, 300])
def test_rising_and_falling_scores_are_both_sorted(k, merge):
    X = np.arange(1000, dtype=np.float32)[:, None]
    ids, _ = nearest([[1], [-1]] * np.float32([[1.0]]), X, k, block=300, merge=merge)
    assert ids.tolist() == [list(range(999, 999 - k, -1)), list(range(k))]

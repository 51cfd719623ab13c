"""Selection equals a stable full sort; the block size changes results by rounding only."""
import threading
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.heaps import merge_heaps
from scratch_embed.space.neighbours import merge_sorted, nearest, top_k, top_k_in_blocks
from scratch_embed.testing import check_top_k
from scratch_embed.testing.top_k import full_sort
from tests.rounding import gamma, seeds, u32

few_floats = st.sampled_from([0.0, -0.0, 1.0, 2.5, -1.0, np.inf, -np.inf, np.nan, 2.0**-149,
                              2.0**127])


def scores(element, dtype):
    return arrays(dtype, array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=12),
                  elements=element)


any_scores = st.one_of(
    scores(few_floats, np.float32), scores(few_floats, np.float64),
    scores(st.floats(width=32), np.float32), scores(st.integers(-3, 3), np.int8),
    scores(st.sampled_from([-2**63, 2**63 - 2, 2**63 - 1, 0]), np.int64),
    scores(st.integers(0, 3), np.uint8), scores(st.booleans(), bool))


def small_integers(rng, *shape):
    """float32 numbers whose dot products are exact, and often equal."""
    return rng.integers(-2, 3, shape).astype(np.float32)


# ---- top_k --------------------------------------------------------------------

def test_worked_by_hand():
    ids, values = top_k([3.0, np.nan, 7.0, 3.0, 7.0, -np.inf], 4)
    assert ids.tolist() == [2, 4, 0, 3] and values.tolist() == [7, 7, 3, 3]
    assert ids.dtype == np.int64
    assert top_k([np.nan, -np.inf, np.nan], 3)[0].tolist() == [1, 0, 2]


def test_top_k_has_the_invariants_of_a_selection():
    check_top_k(lambda scores, k: top_k(scores, k)[0])


@given(any_scores, st.integers(1, 15))
def test_top_k_is_the_beginning_of_a_stable_full_sort(s, k):
    ids, values = top_k(s, k)
    assert ids.shape == values.shape == (*s.shape[:-1], min(k, s.shape[-1]))
    assert values.dtype == s.dtype
    for row in np.ndindex(s.shape[:-1]):
        assert ids[row].tolist() == full_sort(s[row])[:k]
        np.testing.assert_array_equal(values[row], s[row][ids[row]])


def test_a_long_row_of_equal_scores_gives_the_lowest_ids():
    s = np.zeros((2, 100_000), np.float32)
    s[1, 77_777] = 1
    ids, _ = top_k(s, 3)
    assert ids.tolist() == [[0, 1, 2], [77_777, 0, 1]]


def test_integers_too_large_for_a_float_are_sorted_exactly():
    s = np.array([2**63 - 2, 2**63 - 1, -2**63, -2**63 + 1])
    assert top_k(s, 4)[0].tolist() == [1, 0, 3, 2]
    assert top_k(np.array([0, 255, 3], np.uint8), 3)[0].tolist() == [1, 2, 0]


# ---- nearest --------------------------------------------------------------------

def brute_force(Q, X, k, exclude):
    """The ids and scores of each row, by one full sort in Python per row."""
    S = Q @ X.T
    columns = max(0, len(X) - exclude.shape[1])
    allowed = [[j for j in full_sort(row) if j not in out] for row, out in zip(S, exclude)]
    ids = np.array([row[:min(k, columns)] for row in allowed], np.int64)
    ids = ids.reshape(len(Q), min(k, columns))
    return ids, np.take_along_axis(S, ids, axis=1)


@given(seeds, st.integers(0, 6), st.integers(0, 60), st.integers(1, 4), st.integers(1, 20),
       st.integers(0, 3), st.integers(1, 300), st.integers(1, 4),
       st.sampled_from([np.float32, np.float64]), st.sampled_from([merge_sorted, merge_heaps]))
def test_nearest_equals_brute_force_for_any_block(seed, N, M, D, k, E, block, workers, dtype,
                                                   merge):
    rng = np.random.default_rng(seed)
    Q, X = small_integers(rng, N, D).astype(dtype), small_integers(rng, M, D).astype(dtype)
    X[rng.random(M) < 0.1] = np.nan
    exclude = rng.integers(-1, max(M, 1), (N, E))
    ids, values = nearest(Q, X, k, exclude=exclude, block=block, workers=workers, merge=merge)
    want_ids, want = brute_force(Q, X, k, exclude)
    np.testing.assert_array_equal(ids, want_ids)
    np.testing.assert_array_equal(values, want)
    assert ids.dtype == np.int64 and values.dtype == dtype


@given(seeds, st.sampled_from([1, 50, 999, 1 << 20]))
def test_the_block_size_changes_a_score_by_rounding_only(seed, block):
    rng = np.random.default_rng(seed)
    Q, X = rng.standard_normal((9, 20), np.float32), rng.standard_normal((80, 20), np.float32)
    _, ours = nearest(Q, X, 7, block=block)
    want = -np.sort(-(Q.astype(np.float64) @ X.T.astype(np.float64)))[:, :7]
    norms = np.linalg.norm(Q, axis=1)[:, None] * np.linalg.norm(X, axis=1).max()
    assert (abs(ours - want) <= gamma(20, u32) * norms).all()


@given(seeds, st.integers(1, 500))
def test_permuting_the_rows_permutes_the_ids(seed, block):
    rng = np.random.default_rng(seed)
    X = rng.permutation(40).astype(np.float32)[:, None]          # all different: no ties
    order = rng.permutation(40)
    ids, _ = nearest([[1.0], [-1.0]], X, 5, block=block)
    renamed, _ = nearest([[1.0], [-1.0]], X[order], 5, block=block)
    np.testing.assert_array_equal(order[renamed], ids)


@given(seeds)
def test_a_unit_row_is_its_own_nearest_unless_it_is_excluded(seed):
    X = l2_normalize(np.random.default_rng(seed).standard_normal((30, 5)))[0]
    itself = np.arange(30)
    assert (nearest(X, X, 1)[0][:, 0] == itself).all()
    ids, _ = nearest(X, X, 29, exclude=itself)
    np.testing.assert_array_equal(ids, nearest(X, X, 30)[0][:, 1:])


def test_k_is_at_most_the_number_of_allowed_rows():
    X = np.eye(4)
    assert nearest(X[:1], X, 9)[0].tolist() == [[0, 1, 2, 3]]
    assert nearest(X[:1], X, 9, exclude=[0])[0].tolist() == [[1, 2, 3]]
    assert nearest(X[:1], X, 9, exclude=[[0, -1]])[0].tolist() == [[1, 2]]     # −1 excludes none
    assert nearest(X[:1], X, 9, exclude=[[0, 1, 2, 3, 9]])[0].shape == (1, 0)


def test_an_excluded_row_is_not_returned_even_where_all_others_are_nan():
    X = np.array([[1.0], [np.nan], [np.nan]])
    assert nearest([[1.0]], X, 2, exclude=[0])[0].tolist() == [[1, 2]]


def test_integers_are_multiplied_as_float64():
    Q, X = np.array([[100, 100]], np.int8), np.array([[100, 100], [1, 1]], np.int8)
    ids, values = nearest(Q, X, 1)
    assert ids.tolist() == [[0]] and values.tolist() == [[20000.0]]            # int8 ends at 127


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("merge", [merge_sorted, merge_heaps])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8])
def test_memory_is_bounded_by_the_block_and_not_by_the_table(dtype, merge, workers):
    rng = np.random.default_rng(0)
    Q = rng.integers(-9, 9, (100, 16)).astype(dtype)
    X = rng.integers(-9, 9, (40_000, 16)).astype(dtype)
    block, result = 1 << 14, 100 * 5 * (8 + 8)
    nearest(Q, X[:100], 5, block=100, workers=2, merge=merge)    # imports and compiles first
    tracemalloc.start()
    nearest(Q, X, 5, block=block, workers=workers, merge=merge)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= workers * (6 * block * 8 + 2 * result)        # 0.8 MB; all scores: 16 or 32 MB


@given(st.integers(1, 50), st.integers(1, 3000), st.integers(1, 64), st.integers(1, 5),
       st.integers(1, 4000))
def test_no_block_is_larger_than_the_limit(N, M, D, k, block):
    seen = np.zeros((N, M), int)

    def score(rows, columns):
        height, width = seen[rows, columns].shape
        assert max(height * width, height * D, width * D) <= max(block, D * k, height * k)
        assert height == 1 or height * D <= block
        seen[rows, columns] += 1
        return np.zeros((height, width))
    top_k_in_blocks(score, N, M, D, k, block=block)
    assert (seen == 1).all()                                     # each score is computed once


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_there_are_no_more_threads_than_workers(workers):
    seen = set()

    def score(rows, columns):
        seen.add(threading.get_ident())
        time.sleep(0.005)                                        # so that all threads take part
        return np.arange(columns.start, columns.stop, dtype=float)[None]
    ids, _ = top_k_in_blocks(score, 1, 11, 1, 2, block=1, workers=workers)
    assert len(seen) <= workers and ids.tolist() == [[10, 9]]


@pytest.mark.parametrize("k", [0, -1, 2.0])
def test_a_k_that_is_not_a_positive_integer_is_refused(k):
    with pytest.raises(ValueError, match=f"k={k}: expected a whole number, 1 to"):
        top_k([1.0, 2.0], k)
    with pytest.raises(ValueError, match=f"k={k}: expected a whole number, 1 to"):
        nearest(np.eye(2), np.eye(2), k)


def test_workers_must_be_a_positive_number():
    with pytest.raises(ValueError, match="workers=0: expected a whole number, 1 to"):
        nearest(np.eye(2), np.eye(2), 1, workers=0)


def test_wrong_shapes_are_refused_and_named():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(5, 4\)"):
        nearest(np.ones((2, 3)), np.ones((5, 4)), 1)
    with pytest.raises(ValueError, match=r"\(3,\) and \(5, 3\)"):
        nearest(np.ones(3), np.ones((5, 3)), 1)
    with pytest.raises(ValueError, match="single number"):
        top_k(3.0, 1)
    mask = np.ones((2, 5), bool)
    for exclude in (mask, [0.5, 1.0], [1, 2, 3], np.zeros((2, 1, 1), int)):
        with pytest.raises(ValueError, match="exclude"):
            nearest(np.ones((2, 3)), np.ones((5, 3)), 1, exclude=exclude)

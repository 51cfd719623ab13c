"""Attention in blocks equals attention with all scores at once, in memory that is linear in t."""
import tracemalloc
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.nn import blockwise_attention as block_file
from scratch_embed.nn.attention import LONG, attention, scaled_dot_product_attention
from scratch_embed.nn.blockwise_attention import (
    KEYS,
    Block,
    blocks,
    blockwise_attention,
    running_softmax,
)
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.gradcheck import check_backward
from tests.nn.attention_rounding import error_bounds
from tests.rounding import dtypes, seeds

sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))          # queries and keys of a block
dropouts = st.sampled_from([NO_DROPOUT, Dropout(0.3, 3)])
windows = st.sampled_from([None, 0, 1, 4, 11])


def in_blocks(queries, keys):
    """Patch the sizes of blocks."""
    return mock.patch.multiple(block_file, QUERIES=queries, KEYS=keys)


def draw(seed, T, H, G, d, U, dtype=np.float64):
    """q, dy (T, H·d), k, v (U, G·d)"""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((rows, heads * d)).astype(dtype)
            for rows, heads in ((T, H), (T, H), (U, G), (U, G))]


def both_forms(q, dy, k, v, size, *arguments, **options):
    """[y, dq, dk, dv] of attention with all scores at once, and in blocks of this size."""
    results = []
    for longest in (len(k), 0):
        with in_blocks(*size):
            y, backward = attention(q, k, v, *arguments, **options, blocks_above=longest)
            results.append([y, *backward(dy)])
    return results


# ---- worked by hand -----------------------------------------------------------------------------

@dtypes
def test_a_running_softmax_worked_by_hand(dtype):
    """Scores log (4, 2 | 8, 1, 1), one query.  First block: m = log 4, l = 1 + ½.
    Second: m' = log 8, c = ½, l' = ½ · 3/2 + 1 + ⅛ + ⅛ = 2, so that P = (½, ¼, 1, ⅛, ⅛) / 2.
    """
    m, l = np.full((1, 1), -np.inf, dtype), np.zeros((1, 1), dtype)
    every = dict(i=0, back=9, ahead=9, row=0, t=1, u=5)
    first, c = running_softmax(np.log([[[4, 2]]]).astype(dtype), m, l, dtype(1),
                               Block(j=0, **every), NO_DROPOUT)
    np.testing.assert_allclose(first, [[[1, 1 / 2]]], rtol=1e-6)
    np.testing.assert_allclose((m.item(), l.item()), (np.log(4), 3 / 2), rtol=1e-6)
    assert np.isfinite(c)                              # it multiplies zeros
    second, c = running_softmax(np.log([[[8, 1, 1]]]).astype(dtype), m, l, dtype(1),
                                Block(j=2, **every), NO_DROPOUT)
    np.testing.assert_allclose(second, [[[1, 1 / 8, 1 / 8]]], rtol=1e-6)
    np.testing.assert_allclose((m.item(), l.item(), c.item()), (np.log(8), 2, 1 / 2), rtol=1e-6)


@dtypes
def test_a_query_that_sees_no_key_of_the_first_block_starts_with_the_second(dtype):
    """Queries 0 and 3, window 0: query 3 sees only key 3, in the second block of two keys."""
    m, l = np.full((1, 4), -np.inf, dtype), np.zeros((1, 4), dtype)
    S = np.arange(16, dtype=dtype).reshape(1, 4, 4)
    for j in (0, 2):
        A, c = running_softmax(S[:, :, j:j + 2].copy(), m, l, dtype(1),
                               Block(i=0, j=j, back=0, ahead=0, row=0, t=4, u=4), NO_DROPOUT)
        np.testing.assert_array_equal(A[0], np.eye(4)[:, j:j + 2])
        assert np.isfinite(c).all()
    np.testing.assert_array_equal(m, [[0, 5, 10, 15]])
    np.testing.assert_array_equal(l, np.ones((1, 4)))


def test_blocks_outside_a_window_are_skipped():
    with in_blocks(4, 4):
        found = [(rows, [(b.i, b.j) for b in row]) for rows, row in blocks(12, 12, (2, 0), 0)]
    assert found == [(slice(0, 4), [(0, 0)]), (slice(4, 8), [(4, 2), (4, 6)]),
                     (slice(8, 12), [(8, 6), (8, 10)])]


@settings(max_examples=25)
@given(sizes, st.integers(1, 30), st.integers(0, 9), st.integers(0, 30), st.integers(0, 30))
def test_blocks_contain_every_key_that_a_query_sees(size, t, more, back, ahead):
    u, (queries, keys) = t + more, size
    with in_blocks(queries, keys):
        found = list(blocks(t, u, (back, ahead), 0))
    seen = {(i, j) for rows, row in found for b in row
            for i in range(rows.start, rows.stop) for j in range(b.j, min(b.j + keys, u))}
    assert seen >= {(i, j) for i in range(t) for j in range(u) if i - back <= j <= i + ahead}
    per_row = (back + ahead + queries) // keys + 2
    assert all(len(row) <= per_row for _, row in found)     # time O(t w), not O(t²)


# ---- equal to attention with all scores at once -------------------------------------------------

@settings(max_examples=25)
@given(seeds, st.lists(st.integers(1, 20), min_size=1, max_size=3), sizes, windows, st.booleans(),
       st.sampled_from([(1, 1), (4, 2), (6, 1), (3, 3)]), dropouts)
def test_outputs_and_gradients_equal_in_float64(seed, lengths, size, window, causal, heads,
                                                 dropout):
    offsets, (H, G) = np.cumsum([0, *lengths, lengths[-1]]), heads
    arrays = draw(seed, offsets[-1], H, G, 3, offsets[-1])
    plain, blockwise = both_forms(*arrays, size, offsets, H, causal, dropout, window=window)
    for want, got in zip(plain, blockwise):
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)


@settings(max_examples=25)
@given(seeds, st.integers(1, 30), sizes, windows, st.booleans(),
       st.sampled_from([(1, 1), (4, 2), (3, 3)]), dropouts)
def test_the_kernels_are_within_the_rounding_bounds_of_attention(seed, t, size, window, causal,
                                                                 heads, dropout):
    H, G = heads
    q, dy, k, v = draw(seed, t, H, G, 5, t, np.float32)
    exact = both_forms(*(x.astype(float) for x in (q, dy, k, v)), size, np.array([0, t]), H, causal,
                       dropout, window=window)[0]
    _, got = both_forms(q, dy, k, v, size, np.array([0, t]), H, causal, dropout, window=window)
    distance = np.arange(t) - np.arange(t)[:, None]
    w = t if window is None else window
    visible = (-w <= distance) & (distance <= (0 if causal else w))
    for one, want, bound in zip(got, exact, error_bounds(q, k, v, dy, H, visible, dropout)):
        assert one.dtype == np.float32 and (abs(one - want) <= 2 * bound).all()


@dtypes
def test_more_keys_than_queries_as_with_cached_keys(dtype):
    q, dy, k, v = draw(0, 5, 2, 2, 3, 12, dtype)
    plain, blockwise = both_forms(q, dy, k, v, (2, 3), np.array([0, 5]), 2, True, window=3,
                                  key_offsets=np.array([0, 12]))
    for want, got in zip(plain, blockwise):
        np.testing.assert_allclose(got, want, rtol=0, atol=64 * np.finfo(dtype).eps)


@dtypes
@pytest.mark.parametrize("window", [None, 5])
def test_blocks_of_the_real_size(dtype, window):
    """Several blocks, the last of them not full; attention() uses them above LONG keys."""
    t = 2 * KEYS + 1
    q, dy, k, v = draw(0, t, 1, 1, 2, t, dtype)
    offsets, causal = np.array([0, t]), window is not None
    y, backward = attention(q, k, v, offsets, 1, causal, Dropout(0.2, 5), window=window)
    z, back = attention(q, k, v, offsets, 1, causal, Dropout(0.2, 5), window=window,
                        blocks_above=t)
    assert t > LONG
    for got, want in zip((y, *backward(dy)), (z, *back(dy))):
        np.testing.assert_allclose(got, want, rtol=0, atol=(
            1e-9 if dtype == np.float64 else 2e-5) * abs(want).max())


@dtypes
@pytest.mark.parametrize("scale", [1e3, 1e8])
def test_large_scores_give_finite_results(dtype, scale):
    q, dy, k, v = draw(0, 9, 2, 2, 3, 9, dtype)
    _, blockwise = both_forms(q * dtype(scale), dy, k * dtype(scale), v, (2, 2), np.array([0, 9]),
                              2)
    assert all(np.isfinite(x).all() for x in blockwise)


# ---- gradients, threads, memory -----------------------------------------------------------------

@pytest.mark.parametrize("window, causal", [(None, False), (2, True)])
def test_backward_is_the_derivative_in_all_three_inputs(window, causal):
    q, _, k, v = draw(1, 7, 4, 2, 3, 7)
    with in_blocks(3, 2):
        check_backward(lambda q, k, v: attention(q, k, v, np.array([0, 7]), 4, causal,
                                                 Dropout(0.2, 1), window=window, blocks_above=0),
                       q, k, v)


@dtypes
def test_several_threads_give_the_same_bits(dtype, monkeypatch):
    rng, sees = np.random.default_rng(0), (9, 0)
    Q, dY = rng.standard_normal((2, 2, 3, 1, 9, 4)).astype(dtype)
    K, V = rng.standard_normal((2, 2, 3, 1, 9, 4)).astype(dtype)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(block_file, "blas_threads", lambda threads=threads: threads)
        monkeypatch.setattr(block_file, "WORTH_A_THREAD", 1)
        Y, backward = blockwise_attention(Q, K, V, sees, Dropout(0.1, 2))
        found.append([Y, *backward(dY)])
    for one, other in zip(*found):
        np.testing.assert_array_equal(one, other)


def test_memory_grows_with_the_length_and_not_with_its_square():
    """From t to 4 t tokens, at most 5 times as much; all scores at once need 16 times as much."""
    def peak(attend, t):
        Q, K, V = (np.zeros((1, 1, 1, t, 2), np.float32) for _ in range(3))
        tracemalloc.start()
        Y, backward = attend(Q, K, V, (t, t))
        backward(Y)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most
    with in_blocks(32, 32):
        assert peak(blockwise_attention, 1024) < 5 * peak(blockwise_attention, 256)
        assert 20 * peak(blockwise_attention, 1024) < peak(scaled_dot_product_attention, 1024)

"""Hamming distance equals brute force and estimates angles; rescoring improves the ranking."""
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.hamming import (
    count_bits,
    count_differences,
    hamming,
    hamming_matrix,
    nearest_hamming,
    rescore,
    sign_bits,
    signs,
)
from scratch_embed.space.neighbours import nearest
from scratch_embed.space.quantise import calibrate, dequantise, quantise, shift
from tests.rounding import seeds


def codes(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def rotations(rng, count, D):
    """Random orthogonal matrices, uniformly distributed.  -> (count, D, D)"""
    q, r = np.linalg.qr(rng.standard_normal((count, D, D)))
    return q * np.sign(np.einsum("cdd->cd", r))[:, None]


# ---- codes ------------------------------------------------------------------------

def test_worked_by_hand():
    bits = sign_bits([[1.0, -2.0, 0.0, 3.0, -0.0, 1e-45, -1.0, 5.0, 7.0]])
    assert bits.tolist() == [[0b10010101, 0b10000000]] and bits.dtype == np.uint8
    assert signs(bits, 9).tolist() == [[1, -1, -1, 1, -1, 1, -1, 1, 1]]
    assert hamming(np.uint8([0b1111, 1]), np.uint8([0b0101, 3])) == 3


@given(seeds, st.integers(1, 40))
def test_sign_bits_and_signs_are_inverse(seed, D):
    x = np.random.default_rng(seed).standard_normal((3, D))
    np.testing.assert_array_equal(signs(sign_bits(x), D), np.where(x > 0, 1, -1))
    np.testing.assert_array_equal(sign_bits(signs(sign_bits(x), D)), sign_bits(x))


@given(seeds, st.integers(1, 40))
def test_the_dot_product_of_signs_is_the_dimension_minus_twice_the_distance(seed, D):
    a, b = np.random.default_rng(seed).standard_normal((2, D))
    product = signs(sign_bits(a), D) @ signs(sign_bits(b), D)
    assert product == D - 2 * hamming(sign_bits(a), sign_bits(b))


# ---- distances --------------------------------------------------------------------

@given(st.integers(0, 2**64 - 1))
def test_count_bits_counts_the_ones_of_a_word(x):
    with np.errstate(over="ignore"):
        assert count_bits(np.uint64(x)) == bin(x).count("1")


@given(seeds, st.integers(0, 5), st.integers(0, 70), st.integers(1, 35))
def test_hamming_and_hamming_matrix_equal_a_brute_force_count(seed, N, M, B):
    a, b = codes(seed, N, B), codes(seed + 1, M, B)
    want = np.array([[bin(int.from_bytes(x.tobytes(), "big")
                      ^ int.from_bytes(y.tobytes(), "big")).count("1")
                      for y in b] for x in a], np.int32).reshape(N, M)
    np.testing.assert_array_equal(hamming(a[:, None], b), want)
    np.testing.assert_array_equal(hamming_matrix(a, b), want)
    assert hamming_matrix(a, b).dtype == np.int32


@given(seeds)
def test_the_kernel_overwrites_its_output(seed):
    words = codes(seed, 4, 16).view(np.uint64)
    out = np.full((4, 4), 77, np.int32)
    with np.errstate(over="ignore"):
        count_differences(words, np.ascontiguousarray(words.T), out)
    np.testing.assert_array_equal(out, hamming_matrix(words.view(np.uint8), words.view(np.uint8)))
    assert (np.diag(out) == 0).all()


@given(seeds)
def test_distance_is_a_metric(seed):
    a, b, c = codes(seed, 3, 5)
    assert hamming(a, b) == hamming(b, a) <= hamming(a, c) + hamming(c, b)
    assert hamming(a, a) == 0 and hamming(a, ~a) == 40


@given(seeds)
def test_memory_layout_and_shifting_both_change_no_distance(seed):
    a, b = codes(seed, 3, 8), codes(seed + 1, 4, 8)
    want = hamming_matrix(a, b)
    strided = np.zeros((4, 16), np.uint8)
    strided[:, ::2] = b
    np.testing.assert_array_equal(hamming_matrix(np.asfortranarray(a), strided[:, ::2]), want)
    np.testing.assert_array_equal(
        hamming_matrix(shift(a).view(np.uint8), shift(b).view(np.uint8)), want)


# ---- estimates from signs -----------------------------------------------------------

@pytest.mark.parametrize("theta", [0.1, 0.7, math.pi / 2, 2.8])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_over_random_rotations_the_mean_distance_is_proportional_to_the_angle(theta, seed):
    D, count = 32, 600
    R = rotations(np.random.default_rng(seed), count, D)
    a, b = R[:, 0], math.cos(theta) * R[:, 0] + math.sin(theta) * R[:, 1]
    mean = hamming(sign_bits(a), sign_bits(b)).mean() / D
    # allow 8 σ; if the D bits were independent, σ = √(p(1 − p) / (D count)) ≤ 0.0036
    p = theta / math.pi
    assert abs(mean - p) <= 8 * math.sqrt(p * (1 - p) / (D * count))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_over_random_rotations_the_mean_of_float_times_bits_is_proportional_to_the_cosine(seed):
    D, count, theta = 32, 600, 0.8
    R = rotations(np.random.default_rng(seed), count, D)
    x, q = R[:, 0], 3 * (math.cos(theta) * R[:, 0] + math.sin(theta) * R[:, 1])
    scores = (q * signs(sign_bits(x), D)).sum(axis=1)
    want = math.cos(theta) * 3 * abs(x).sum(axis=1).mean()
    # allow 8 σ / √count; the part of q across x has norm 3 sin θ and adds noise with σ < 3 sin θ
    assert abs(scores.mean() - want) <= 8 * 3 * math.sin(theta) / math.sqrt(count)


def test_each_stage_of_the_search_finds_more_of_the_exact_neighbours():
    D, k = 64, 10
    for seed in range(3):
        rng = np.random.default_rng(seed)
        X = l2_normalize(rng.standard_normal((2000, D), np.float32))[0]
        Q = l2_normalize(X[:100] + 0.1 * rng.standard_normal((100, D), np.float32))[0]
        want, _ = nearest(Q, X, k)
        bits, ranges = sign_bits(X), calibrate(X)
        int8_codes = quantise(X, ranges)
        near, _ = nearest_hamming(sign_bits(Q), bits, 400)
        by_bits, _ = rescore(Q, near, lambda ids, b=bits: signs(b[ids], D), 100)
        by_int8, _ = rescore(Q, by_bits, lambda ids, c=int8_codes, r=ranges: dequantise(c[ids], r),
                             k)
        found = [np.mean([np.isin(want[i], ids[i, :k]).mean() for i in range(100)])
                 for ids in (near, by_bits, by_int8)]
        # over 10 seeds the three stages found 0.24 to 0.27, 0.37 to 0.39, 0.82 to 0.85
        assert found[0] + 0.05 < found[1] and found[1] + 0.2 < found[2]


# ---- search -----------------------------------------------------------------------

@given(seeds, st.integers(0, 5), st.integers(0, 60), st.integers(1, 10), st.integers(1, 20),
       st.integers(1, 200), st.integers(1, 3))
def test_search_equals_a_stable_sort_of_all_distances(seed, N, M, B, k, block, workers):
    Q, X = codes(seed, N, B) & 129, codes(seed + 1, M, B) & 129             # often equal
    ids, distances = nearest_hamming(Q, X, k, block=block, workers=workers)
    all_distances = hamming(Q[:, None], X).reshape(N, M)
    want = np.argsort(all_distances, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(ids, want)
    np.testing.assert_array_equal(distances, np.take_along_axis(all_distances, want, axis=1))
    assert ids.dtype == np.int64 and distances.dtype == np.int32


def test_memory_is_bounded_by_the_block_and_not_by_the_table():
    Q, X, block = codes(0, 100, 16), codes(1, 40_000, 16), 1 << 14
    nearest_hamming(Q, X[:200], 5, block=100)                    # imports and compiles first
    tracemalloc.start()
    nearest_hamming(Q, X, 5, block=block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 6 * block * 8 + 2 * 100 * 5 * 16              # 0.8 MB; all distances: 16 MB


# ---- rescoring ----------------------------------------------------------------------

@given(seeds, st.integers(1, 5), st.integers(1, 30), st.integers(1, 12), st.integers(1, 200))
def test_rescoring_all_uncompressed_rows_equals_the_exact_search(seed, N, M, k, block):
    rng = np.random.default_rng(seed)
    Q, X = (rng.integers(-2, 3, (n, 4)).astype(np.float32) for n in (N, M))     # exact, with ties
    candidates = rng.permuted(np.tile(np.arange(M), (N, 1)), axis=1)
    for ours, want in zip(rescore(Q, candidates, lambda ids: X[ids], k, block), nearest(Q, X, k)):
        np.testing.assert_array_equal(ours, want)


def test_rescoring_decodes_no_more_than_a_block_at_a_time():
    Q, X, seen = np.ones((50, 4), np.float32), np.ones((20, 4), np.float32), []

    def decode(ids):
        seen.append(ids.size * 4)
        return X[ids]
    rescore(Q, np.tile(np.arange(10), (50, 1)), decode, 3, block=100)
    assert max(seen) <= 100 and sum(seen) == 50 * 10 * 4


# ---- refused ------------------------------------------------------------------------

def test_nan_and_arrays_that_are_not_bits_are_refused():
    with pytest.raises(ValueError, match="nan, which has no sign"):
        sign_bits([1.0, np.nan])
    with pytest.raises(ValueError, match="2 bytes for 9 bits, got 3"):
        signs(np.zeros((2, 3), np.uint8), 9)
    with pytest.raises(ValueError, match="got int8 of shape.*unshift"):
        hamming_matrix(np.zeros((2, 3), np.int8), np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match="got float64"):
        nearest_hamming(np.zeros((2, 3)), np.zeros((2, 3)), 1)
    with pytest.raises(ValueError, match=r"same last dimension, got shapes \(2, 3\) and \(2, 4\)"):
        hamming_matrix(np.zeros((2, 3), np.uint8), np.zeros((2, 4), np.uint8))
    with pytest.raises(ValueError, match=r"two tables of codes, got shapes \(3,\)"):
        nearest_hamming(np.zeros(3, np.uint8), np.zeros((2, 3), np.uint8), 1)
    with pytest.raises(ValueError, match=r"got shapes \(2, 4\) and \(3, 5\)"):
        rescore(np.ones((2, 4)), np.zeros((3, 5), int), lambda ids: ids, 1)

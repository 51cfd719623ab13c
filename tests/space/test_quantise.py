"""Codes equal sentence-transformers', and dequantised numbers are within half a step."""
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.space.hamming import sign_bits
from scratch_embed.space.neighbours import nearest
from scratch_embed.space.quantise import Ranges, calibrate, dequantise, quantise, shift, unshift
from scratch_embed.testing import check_quantiser
from tests.rounding import dtypes, seeds

GOLDEN = Path(__file__).parents[1] / "golden" / "codes.safetensors"


def table(seed, N, D, dtype=np.float32):
    """Rows whose dimensions have very different scales and means.  -> (N, D)"""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-6, 7, D)
    return ((rng.standard_normal((N, D)) + 5 * rng.standard_normal(D)) * scale).astype(dtype)


def test_worked_by_hand():
    ranges = calibrate(np.array([[0.0, -1.0], [255.0, 4.1]]))
    np.testing.assert_allclose(ranges.step, [1, 0.02])
    codes = quantise([[0.0, -1.0], [2.99, -0.95], [255.0, 4.1], [-7.0, 99.0]], ranges)
    assert codes.tolist() == [[0, 0], [2, 2], [255, 255], [0, 255]] and codes.dtype == np.uint8
    np.testing.assert_allclose(dequantise(codes[1], ranges), [2.5, -0.95])
    assert shift(codes).tolist() == [[-128, -128], [-126, -126], [127, 127], [-128, 127]]


def test_the_codes_are_those_of_sentence_transformers_bit_for_bit():
    golden, _ = read_safetensors(GOLDEN)
    codes = quantise(golden["x"], calibrate(golden["sample"]))
    np.testing.assert_array_equal(codes, golden["uint8"])
    np.testing.assert_array_equal(shift(codes), golden["int8"])
    bits = sign_bits(golden["x"])
    np.testing.assert_array_equal(bits, golden["ubinary"])
    np.testing.assert_array_equal(shift(bits), golden["binary"])


def test_the_codes_are_those_of_sentence_transformers_as_installed():
    theirs = pytest.importorskip("sentence_transformers.util.quantization")
    if not hasattr(theirs, "_dequantize_embeddings"):
        pytest.skip("before 6.2")
    sample, x = table(0, 200, 24), table(0, 50, 24)
    codes = quantise(x, calibrate(sample))
    for precision, ours in [("uint8", codes), ("int8", shift(codes)), ("ubinary", sign_bits(x)),
                            ("binary", shift(sign_bits(x)))]:
        np.testing.assert_array_equal(ours, theirs.quantize_embeddings(
            x, precision, calibration_embeddings=sample))


# ---- errors -----------------------------------------------------------------------

@dtypes
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_quantise_and_dequantise_have_the_invariants_of_a_quantiser(dtype, seed):
    sample = table(seed, 20, 7, dtype)
    ranges = calibrate(sample)
    check_quantiser(partial(quantise, ranges=ranges), partial(dequantise, ranges=ranges),
                    sample.min(axis=0), sample.max(axis=0), dtype=dtype)


def test_the_largest_error_is_above_0_4_steps():
    X = table(0, 200, 7)
    ranges = calibrate(X)
    error = abs(dequantise(quantise(X, ranges), ranges) - X)
    assert (error.max(axis=0) > 0.4 * ranges.step).all()


@given(seeds)
def test_a_number_outside_the_range_is_clipped(seed):
    sample = table(seed, 20, 5, np.float64)
    ranges = calibrate(sample)
    low, high = sample.min(axis=0), sample.max(axis=0)
    beyond = np.random.default_rng(seed).random(5) * 10 * (high - low)
    assert (quantise(high + beyond, ranges) == 255).all()
    assert (quantise(low - beyond, ranges) == 0).all()
    assert quantise([[np.inf, -np.inf, 0, 0, 0]], ranges)[0, :2].tolist() == [255, 0]


@given(seeds)
def test_the_error_of_a_score_is_bounded_by_the_steps_weighted_by_the_query(seed):
    X = table(seed, 30, 6, np.float64)
    ranges = calibrate(X)
    q = np.random.default_rng(seed).standard_normal(6)
    error = abs((X - dequantise(quantise(X, ranges), ranges)) @ q)
    assert (error <= abs(q) @ ranges.step / 2 + 1e-13 * abs(q) @ abs(X).max(axis=0)).all()


@given(seeds)
def test_quantising_a_dequantised_code_gives_the_code(seed):
    ranges = calibrate(table(seed, 20, 5, np.float64))
    codes = np.random.default_rng(seed).integers(0, 256, (40, 5), np.uint8)
    np.testing.assert_array_equal(quantise(dequantise(codes, ranges), ranges), codes)


def test_a_constant_dimension_is_restored_exactly():
    X = np.float32([[0.1, 1], [0.1, 2]])
    ranges = calibrate(X)
    codes = quantise(X, ranges)
    assert codes[:, 0].tolist() == [0, 0]
    assert (dequantise(codes, ranges)[:, 0] == np.float32(0.1)).all()


def test_shift_is_minus_128_and_unshift_undoes_it():
    codes = np.arange(256, dtype=np.uint8)
    assert shift(codes).tolist() == [c - 128 for c in range(256)]
    np.testing.assert_array_equal(unshift(shift(codes)), codes)


# ---- dequantise before comparing -----------------------------------------------------

def test_raw_codes_rank_differently_from_the_vectors():
    ranges = Ranges(np.array([0.0, 0.0]), np.array([1.0, 0.01]))          # 0..255 and 0..2.55
    codes = np.array([[100, 255], [120, 0]], np.uint8)
    q = np.array([[1.0, 1.0]])
    assert nearest(q, codes, 1)[0].tolist() == [[0]]                       # 355 against 120
    assert nearest(q, dequantise(codes, ranges), 1)[0].tolist() == [[1]]   # 103.1 against 120.5


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_raw_codes_find_far_fewer_of_the_nearest_than_dequantised_codes(seed):
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.standard_normal(64, np.float32))          # axes of unequal spread
    X = l2_normalize(rng.standard_normal((5000, 64), np.float32) * scale)[0]
    Q = l2_normalize(X[:100] + rng.standard_normal((100, 64), np.float32) * scale / 160)[0]
    want, ranges = nearest(Q, X, 10)[0], calibrate(X)
    codes = quantise(X, ranges)
    raw, dequantised = (
        np.mean([np.isin(row, found).mean() for row, found in zip(want, nearest(Q, rows, 10)[0])])
        for rows in (codes.astype(np.float32), dequantise(codes, ranges)))
    assert raw + 0.2 < dequantised                               # 5 seeds: 0.55–0.64, 0.92–0.98


@given(seeds)
def test_scaling_the_query_by_the_steps_gives_the_scores_of_dequantised_codes(seed):
    rng = np.random.default_rng(seed)
    ranges = calibrate(table(seed, 20, 5, np.float64))
    codes, q = rng.integers(0, 256, (40, 5), np.uint8), rng.standard_normal(5)
    full = dequantise(codes, ranges) @ q
    short = codes @ (q * ranges.step) + q @ (ranges.low + ranges.step / 2)
    assert abs(full - short).max() <= 1e-13 * (abs(q) @ (abs(ranges.low) + 256 * ranges.step))


# ---- refused -----------------------------------------------------------------------

@pytest.mark.parametrize("X, message", [
    (np.ones((0, 3)), r"N ≥ 1, got shape \(0, 3\)"), (np.ones(3), r"got shape \(3,\)"),
    ([[1, np.nan], [1, 2]], "on axis 1"), ([[np.inf, 0]], "on axis 0"),
    ([[0, -1.7e308], [0, 1.7e308]], "beyond 1.8e.308 on axis 1")])
def test_a_sample_without_a_finite_range_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        calibrate(X)


def test_nan_and_wrong_dimensions_and_types_are_refused():
    ranges = calibrate(np.eye(3))
    with pytest.raises(ValueError, match="nan, which has no code"):
        quantise([[0, np.nan, 1]], ranges)
    with pytest.raises(ValueError, match=r"3 numbers.*\(2, 4\)"):
        quantise(np.ones((2, 4)), ranges)
    with pytest.raises(ValueError, match=r"3 numbers.*\(2,\)"):
        dequantise(np.ones(2, np.uint8), ranges)
    with pytest.raises(ValueError, match="codes: expected uint8, got int8; unshift"):
        dequantise(np.ones(3, np.int8), ranges)
    with pytest.raises(ValueError, match="expected uint8, got int8"):
        shift(np.ones(3, np.int8))
    with pytest.raises(ValueError, match="expected int8, got uint8"):
        unshift(np.ones(3, np.uint8))


@given(arrays(np.float32, (4, 3), elements=st.floats(-2, 2, width=32)))
def test_inputs_are_not_changed(X):
    ranges = calibrate(X)
    before = X.copy(), ranges.low.copy(), ranges.step.copy()
    dequantise(quantise(X, ranges), ranges)
    for now, then in zip((X, *ranges), before):
        np.testing.assert_array_equal(now, then)

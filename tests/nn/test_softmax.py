"""Softmax and cross-entropy: values, gradients, and the rounding errors of float32.

In float32 let u = 2⁻²⁴.  The difference d = s − max has an error of u |d|, so e^d has a relative
error of u |d|.  exp32 adds 2 u, the sum over M terms M u, the division 2 u.  So the error of p is
at most p (u (|d| + Σ p |d|) + (M + 8) u), plus 2⁻¹²⁴, because exp32 returns e⁻⁸⁷ for smaller
arguments.
"""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.nn.softmax import cross_entropy, log_softmax, softmax
from tests.rounding import dtypes, seeds, u32, u64

FLOOR = 2.0**-124                                      # above exp32's smallest result
dims = st.sampled_from([1, 2, 3, 8, 17, 130])
exponents = st.floats(-6, 30)


def draw(seed, *shape, exponent=0.0, dtype=np.float64):
    return (np.random.default_rng(seed).standard_normal(shape) * 10.0**exponent).astype(dtype)


def exact_and_bound(s):
    """The exact p of float32 scores, and a bound on the error of the kernel's p.  (..., M) each"""
    p, _ = softmax(s.astype(np.float64))
    d = s.astype(np.float64) - s.max(-1, keepdims=True)
    d = abs(np.maximum(d, -100))                              # e⁻¹⁰⁰ is below 2⁻¹²⁴
    return p, p * u32 * (d + (p * d).sum(-1, keepdims=True) + s.shape[-1] + 8) + FLOOR


# ---- worked by hand -----------------------------------------------------------------------------

@dtypes
def test_softmax_worked_by_hand(dtype):
    """p = (1, 2, 5)/8; dp = (8, 0, 0): Σ p dp = 1, ds = p (dp − 1)."""
    p, backward = softmax(np.log(np.array([[1, 2, 5]])).astype(dtype))
    np.testing.assert_allclose(p, [[1 / 8, 1 / 4, 5 / 8]], rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_allclose(backward(np.array([[8, 0, 0]], dtype)), [[7 / 8, -1 / 4, -5 / 8]],
                               rtol=16 * np.finfo(dtype).eps)


@dtypes
def test_cross_entropy_worked_by_hand(dtype):
    """Rows (1, 2, 5)/8 and (½, ¼, ¼), targets 2 and 0: L = (log 8/5 + log 2)/2."""
    s = np.log(np.array([[1, 2, 5], [2, 1, 1]])).astype(dtype)
    loss, backward = cross_entropy(s, np.array([2, 0]))
    rounding = 16 * float(np.finfo(dtype).eps)
    assert isinstance(loss, float)
    assert loss == pytest.approx((np.log(8 / 5) + np.log(2)) / 2, rel=rounding)
    want = np.array([[1 / 8, 1 / 4, -3 / 8], [-1 / 2, 1 / 4, 1 / 4]]) / 2
    np.testing.assert_allclose(backward(), want, rtol=0, atol=rounding)
    np.testing.assert_allclose(backward(3.0), 3 * want, rtol=0, atol=3 * rounding)
    share, backward = cross_entropy(s, np.array([2, 0]), total=8)
    assert share == pytest.approx(loss / 4, rel=rounding)
    np.testing.assert_allclose(backward(), want / 4, rtol=0, atol=rounding)


@dtypes
@pytest.mark.parametrize("V", [1, 2, 30_000])
def test_the_loss_of_equal_scores_is_log_v(dtype, V):
    loss, _ = cross_entropy(np.full((3, V), -7.5, dtype), np.array([0, V - 1, V // 2]))
    assert loss == pytest.approx(np.log(V), rel=4 * float(np.finfo(dtype).eps), abs=1e-300)


@dtypes
@pytest.mark.parametrize("score", [100, 1e10, 1e38])
def test_extreme_scores_stay_finite(dtype, score):
    """The loss is 0 if the largest score is the target's, else the difference of the two scores."""
    s = np.array([[score, 0, -score], [score, 0, -score]], dtype)
    right, _ = cross_entropy(s[:1], np.array([0]))
    wrong, backward = cross_entropy(s, np.array([0, 2]))
    assert 0 <= right < 2**-120
    assert wrong == pytest.approx(score, rel=2 * float(np.finfo(dtype).eps))   # (0 + 2 score)/2
    np.testing.assert_allclose(backward(), [[0, 0, 0], [0.5, 0, -0.5]], rtol=0, atol=FLOOR)
    p, backward = softmax(s)
    np.testing.assert_allclose(p, [[1, 0, 0]] * 2, rtol=0, atol=FLOOR)
    assert np.isfinite(backward(s / dtype(score))).all()


# ---- gradients ----------------------------------------------------------------------------------

@pytest.mark.parametrize("f", [softmax, log_softmax])
def test_backward_is_the_derivative(f):
    check_backward(f, draw(0, 2, 3, 5))


@pytest.mark.parametrize("total", [None, 17.0])
def test_the_gradient_of_the_loss_is_its_derivative(total):
    check_backward(lambda s: cross_entropy(s, np.array([4, 0, 2]), total), draw(0, 3, 5))


@given(seeds, dims, st.floats(-3, 2), st.sampled_from([np.float32, np.float64]))
def test_softmaxs_gradient_has_no_part_along_ones(seed, M, exponent, dtype):
    """Jᵀ1 = p (1 − Σ p) = 0 and Σ ds = 1ᵀJᵀdp = 0, because a shift of all scores changes no p."""
    s, dp = draw(seed, 4, M, exponent=exponent, dtype=dtype), draw(seed + 1, 4, M, dtype=dtype)
    p, backward = softmax(s)
    rounding = (2 * M + 8) * float(np.finfo(dtype).eps) / 2
    assert (abs(backward(np.ones_like(s))) <= rounding * p).all()
    assert (abs(backward(dp).sum(-1)) <= 4 * rounding * (p * abs(dp)).sum(-1)).all()
    _, backward = cross_entropy(s, np.zeros(4, int))
    assert (abs(backward().sum(-1)) <= 2 * rounding).all()


@given(seeds, dims, st.floats(-3, 2), st.floats(-1e3, 1e3))
def test_softmax_ignores_a_shift_of_all_scores(seed, M, exponent, shift):
    s = draw(seed, 4, M, exponent=exponent)
    (p, _), (q, _) = softmax(s), softmax(s + shift)
    bound = 4 * u64 * (M + 8 + abs(s).max() + abs(shift))
    assert (abs(p - q) <= bound).all()
    assert abs(p.sum(-1) - 1).max() <= 2 * M * u64 + 4 * u64
    log_p, _ = log_softmax(s + shift)
    np.testing.assert_allclose(np.exp(log_p), p, rtol=0, atol=2 * bound)


# ---- float32 ------------------------------------------------------------------------------------

@given(seeds, dims, dims, exponents)
def test_softmaxs_kernel_is_within_its_rounding_bound(seed, R, M, exponent):
    s = draw(seed, R, M, exponent=exponent, dtype=np.float32)
    p, _ = softmax(s)
    exact, error = exact_and_bound(s)
    assert p.dtype == np.float32 and (abs(p - exact) <= 1.01 * error).all()


@given(seeds, dims, dims, exponents)
def test_softmaxs_gradient_in_float32_is_within_its_rounding_bound(seed, R, M, exponent):
    """p occurs twice with the error above; the sum of M products adds γ(M + 2)."""
    s = draw(seed, R, M, exponent=exponent, dtype=np.float32)
    dp = draw(seed + 1, R, M, dtype=np.float32)
    ds, ds64 = softmax(s)[1](dp), softmax(s.astype(float))[1](dp.astype(float))
    p, error = exact_and_bound(s)
    a = abs(dp.astype(float))
    mean = (p * a).sum(-1, keepdims=True)
    allowed = (error * (a + mean) + p * (error * a).sum(-1, keepdims=True)
               + (M + 6) * u32 * p * (a + mean))
    assert (abs(ds - ds64) <= 1.01 * allowed + FLOOR).all()


@given(seeds, dims, dims, exponents)
def test_cross_entropys_kernels_are_within_their_rounding_bounds(seed, N, M, exponent):
    """The error of log Σ is the relative error of Σ plus 4 u log Σ; the difference adds u."""
    s = draw(seed, N, M, exponent=exponent, dtype=np.float32)
    targets = np.random.default_rng(seed).integers(0, M, N)
    before = s.copy()
    (loss, back), (loss64, back64) = (cross_entropy(a, targets) for a in (s, s.astype(float)))
    p, error = exact_and_bound(s)
    d = s.astype(float) - s.max(-1, keepdims=True)
    mean_d = (p * abs(np.maximum(d, -100))).sum(-1)
    target_d = abs(d[np.arange(N), targets])
    allowed = u32 * (M + 8 + mean_d + 5 * np.log(M) + 3 * target_d) + M * FLOOR
    assert abs(loss - loss64) <= allowed.mean()
    assert (abs(back() - back64()) <= 1.01 * (error + 4 * u32 * p) / N
            + 2 * u32 * (np.arange(M) == targets[:, None]) / N + FLOOR).all()
    np.testing.assert_array_equal(s, before)


@dtypes
@pytest.mark.parametrize("f", [softmax, log_softmax])
def test_nan_spreads_only_within_its_row_and_inputs_are_not_changed(f, dtype):
    s = np.array([[0, np.nan, 1], [0, 1, 2]], dtype)
    before = s.copy()
    y, backward = f(s)
    assert np.isnan(y[0]).all() and np.isfinite(y[1]).all()
    assert np.isnan(backward(np.ones_like(s))[0]).all()
    np.testing.assert_array_equal(s, before)
    loss, _ = cross_entropy(s, np.array([0, 0]))
    assert np.isnan(loss)


@dtypes
def test_the_memory_layout_of_the_scores_does_not_matter(dtype):
    s = draw(0, 4, 6, dtype=dtype)
    for view in (np.asfortranarray(s), s.T, s[:, ::2], s.reshape(2, 2, 6)):
        plain = view.copy()
        np.testing.assert_array_equal(softmax(view)[0], softmax(plain)[0])
    targets = np.array([0, 5, 2, 1])
    (loss, back), (loss_fortran, back_fortran) = (
        cross_entropy(a, targets) for a in (s, np.asfortranarray(s)))
    assert loss == loss_fortran
    np.testing.assert_array_equal(back(), back_fortran())


# ---- errors and edge cases ----------------------------------------------------------------------

@dtypes
@pytest.mark.parametrize("targets, found", [
    ([0, 3], "2 in 0..3"), ([-1, 0], "2 in -1..0"), ([0], "1 in 0..0"),
    ([0, 1, 2], "3 in 0..2")])
def test_targets_that_do_not_fit_the_scores_are_errors(targets, found, dtype):
    with pytest.raises(ValueError, match=f"targets: expected 2 in 0..2, got {found}"):
        cross_entropy(np.zeros((2, 3), dtype), np.array(targets))


@dtypes
def test_a_workers_share_may_have_no_rows(dtype):
    loss, backward = cross_entropy(np.zeros((0, 3), dtype), np.zeros(0, int), total=5)
    assert loss == 0 and backward().shape == (0, 3)


@dtypes
def test_the_mean_over_no_rows_is_an_error(dtype):
    with pytest.raises(ValueError, match="at least 1 row to take the mean over, got 0"):
        cross_entropy(np.zeros((0, 3), dtype), np.zeros(0, int))


def test_the_sum_of_many_losses_is_taken_in_float64():
    """2²⁰ times log 2: the running sum of float32 numbers would lose digits."""
    N = 2**20
    loss, _ = cross_entropy(np.zeros((N, 2), np.float32), np.zeros(N, int), total=1)
    assert loss == pytest.approx(N * float(np.log(np.float32(2))), rel=1e-7)

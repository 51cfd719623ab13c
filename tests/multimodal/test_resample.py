"""Resampling: by hand, equal to SciPy, what it keeps and what it removes."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.multimodal.resample import low_pass, phases, resample
from scratch_embed.numerics.safetensors import read_safetensors
from tests.golden import make_audio
from tests.rounding import dtypes, gamma, seeds, u32, u64

GOLDEN, _ = read_safetensors("tests/golden/audio.safetensors")


def test_phases_worked_by_hand():
    """h = 1 .. 5 with up = 2: outputs use taps 4 2 0 or 3 1, the oldest sample's first."""
    assert phases(np.array([1, 2, 3, 4, 5]), 2).tolist() == [[5, 3, 1], [0, 4, 2]]


def test_doubling_the_rate_puts_new_samples_between_the_old():
    """The sinc of r = 2 is 0 at even t ≠ 0, so old samples keep their values, times a constant."""
    x = np.array([1.0, -2, 3, 0.5])
    y = resample(x, 8000, 16000)
    np.testing.assert_allclose(y[::2], x * low_pass(2, 1)[20], rtol=1e-14)


@dtypes
def test_the_same_rate_gives_a_copy(dtype):
    x = np.arange(3, dtype=dtype)
    y = resample(x, 8000, 8000)
    assert (y == x).all() and y is not x and y.dtype == dtype


@pytest.mark.parametrize("frequency, kept", [(1000, 1), (3000, 1), (5000, 0), (7000, 0)])
def test_frequencies_above_half_the_new_rate_are_removed(frequency, kept):
    """Without the filter, 5,000 Hz at 16 kHz would become 3,000 Hz at 8 kHz."""
    x = np.sin(2 * np.pi * frequency / 16000 * np.arange(4000))
    y = resample(x, 16000, 8000)
    want = kept * np.sin(2 * np.pi * frequency / 8000 * np.arange(2000))
    assert abs(y - want)[100:-100].max() < 0.01


@given(seed=seeds, n=st.integers(1, 60), up=st.integers(1, 12), down=st.integers(1, 12))
def test_each_output_is_the_sum_of_the_equation(seed, n, up, down):
    """y_m = Σ_k h(m·down − k·up) x_k, term by term, for float64; float32 within its rounding."""
    common = np.gcd(up, down)
    x = np.random.default_rng(seed).standard_normal(n)
    y = resample(x, int(down), int(up))
    if up == down:
        return
    u, d = up // common, down // common
    h = low_pass(u, d)
    t = np.arange(len(y))[:, None] * d - np.arange(n) * u + len(h) // 2
    terms = np.where((0 <= t) & (t < len(h)), h[np.clip(t, 0, len(h) - 1)], 0) * x
    size = abs(terms).sum(1)
    assert (abs(y - terms.sum(1)) <= gamma(n + 2, u64) * size).all()
    y32 = resample(x.astype(np.float32), int(down), int(up))
    assert y32.dtype == np.float32
    assert (abs(y32 - y) <= gamma(n + 4, u32) * size).all()


def test_channels_are_resampled_one_by_one():
    x = np.random.default_rng(0).standard_normal((2, 50)).astype(np.float32)
    y = resample(x, 3, 2)
    assert y.shape == (2, 34)
    np.testing.assert_array_equal(y[1], resample(x[1], 3, 2))


@pytest.mark.parametrize("rates", make_audio.RATES)
def test_the_golden_file_is_reproduced(rates):
    x = GOLDEN["sound"][:make_audio.SHORT]
    want = GOLDEN["resampled_{}_{}".format(*rates)]
    np.testing.assert_allclose(resample(x.astype(np.float64), *rates), want, atol=1e-14)
    np.testing.assert_allclose(resample(x, *rates), want, atol=1e-6)


@pytest.mark.parametrize("rates", [(44_101, 16_000), (11_025, 48_000), (96_000, 16_000), (2, 3)])
@pytest.mark.parametrize("n", [1, 2, 1003])
def test_scipy_as_installed_gives_the_same(rates, n):
    pytest.importorskip("scipy")
    x = np.random.default_rng(n).standard_normal(n).astype(np.float32)
    want = make_audio.resample(x, *rates)
    np.testing.assert_allclose(resample(x.astype(np.float64), *rates), want, atol=1e-12)
    np.testing.assert_allclose(resample(x, *rates), want, atol=2e-6)


@pytest.mark.parametrize("rates", [(0, 8000), (8000, -1), (8000, 1.5)])
def test_a_rate_that_is_no_whole_number_above_0_is_refused(rates):
    with pytest.raises(ValueError, match="rate=.*: expected a whole number"):
        resample(np.zeros(3), *rates)


def test_integers_are_refused():
    with pytest.raises(ValueError, match="sound: expected floats, got int16"):
        resample(np.zeros(3, np.int16), 8000, 16_000)

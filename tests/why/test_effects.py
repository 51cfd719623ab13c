"""95% intervals of means and of paired differences, and the verdicts that follow from them."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.why.effects import (
    HELPS,
    HURTS,
    NOT_SIGNIFICANT,
    T_QUANTILES,
    Interval,
    interval,
    paired_difference,
)

scores = st.lists(st.integers(-1000, 1000), min_size=2, max_size=40)


def test_an_interval_worked_by_hand():
    """1 2 3 4 5: mean 3, s² = 10/4, t = 2.776 with 4 degrees of freedom: 2.776 √(2.5/5)."""
    mean, half = interval([1, 2, 3, 4, 5])
    assert mean == 3 and half == pytest.approx(2.776 * np.sqrt(0.5), rel=1e-15)


def test_differences_are_taken_seed_by_seed():
    """90, 50 and 89, 48 have the differences 1 and 2: s = √½, and t = 12.706 for n = 2."""
    mean, half = paired_difference([90, 50], [89, 48])
    assert mean == 1.5 and half == pytest.approx(12.706 * np.sqrt(0.5) / np.sqrt(2), rel=1e-15)


def test_equal_differences_have_an_interval_of_width_0_and_zero_is_not_significant():
    assert paired_difference([5, 7, 9], [4, 6, 8]) == (1, 0)
    assert paired_difference([5, 7, 9], [5, 7, 9]).verdict == NOT_SIGNIFICANT


@pytest.mark.parametrize("mean, half, verdict", [
    (2, 1.9, HELPS), (2, 2.1, NOT_SIGNIFICANT), (-2, 1.9, HURTS), (-2, 2.1, NOT_SIGNIFICANT),
    (2, 2, NOT_SIGNIFICANT)])
def test_a_verdict_needs_an_interval_on_one_side_of_zero(mean, half, verdict):
    assert Interval(mean, half).verdict == verdict


@given(scores, st.integers(-1000, 1000))
def test_adding_a_constant_shifts_the_interval_and_negation_mirrors_it(x, shift):
    """Up to rounding: no number is above 2000, and the bound allows 40 n roundings of 2000."""
    x = np.array(x)
    mean, half = interval(x)
    moved = interval(x + shift)
    bound = 40 * len(x) * 2**-53 * 2000
    assert interval(-x) == (-mean, pytest.approx(half, abs=bound))
    assert moved.mean == pytest.approx(mean + shift, abs=bound)
    assert moved.half == pytest.approx(half, rel=1e-9, abs=13 * bound)


def test_above_31_seeds_the_last_quantile_of_the_table_is_used():
    x = np.arange(100.0)
    assert interval(x).half == pytest.approx(2.042 * x.std(ddof=1) / 10)


def test_one_seed_or_unequal_seeds_are_refused():
    with pytest.raises(ValueError, match="a single seed has no variance"):
        interval([1.0])
    with pytest.raises(ValueError, match="the same seeds"):
        paired_difference([1, 2, 3], [1, 2])


def test_the_quantiles_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    np.testing.assert_allclose(T_QUANTILES, stats.t.ppf(0.975, np.arange(1, 31)), atol=5e-4)

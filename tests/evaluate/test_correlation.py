"""Pearson and Spearman: worked by hand, their invariances, equal to SciPy's."""
import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.correlation import pearson, ranks, spearman
from tests.rounding import gamma, seeds, u64

integer_pairs = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=30)
any_number = st.floats(allow_nan=False, allow_infinity=False)
number_pairs = st.lists(st.tuples(any_number, any_number), max_size=20)


def error_bound(N):
    """Bound of the relative error: γ(N) for each of two sums, and 40 roundings for centring."""
    return gamma(2 * N + 40, u64)


def related_lists(seed, N=30):
    """Two related lists of N numbers, rounded to 3 and to 1 decimals, so some can be equal."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(N)
    return x.round(3), (x + rng.standard_normal(N)).round(1)


def varies(x):
    return len(set(x)) > 1


# ---- values worked by hand -------------------------------------------------

def test_pearson_worked_by_hand():
    # means 2 and 7/3; after centring Σ xy = 3, Σ x² = 2, Σ y² = (16 + 1 + 25)/9
    assert pearson([1, 2, 3], [1, 2, 4]) == pytest.approx(math.sqrt(27 / 28), rel=error_bound(3))


def test_ties_get_their_mean_rank():
    assert ranks([10, 20, 20, 5]).tolist() == [2, 3.5, 3.5, 1]
    assert ranks([7, 7, 7]).tolist() == [2, 2, 2]
    assert ranks([0.0, -0.0, math.inf, -math.inf]).tolist() == [2.5, 2.5, 4, 1]
    assert ranks([]).tolist() == []


def test_spearman_with_a_tie_worked_by_hand():
    # ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4; after centring Σ xy = 4.5, Σ x² = 4.5, Σ y² = 5
    assert spearman([1, 2, 2, 9], [1, 2, 3, 4]) == pytest.approx(math.sqrt(0.9), rel=error_bound(4))


@given(st.permutations(range(9)))
def test_without_ties_spearman_is_the_short_formula(y):
    d2 = sum((i - j) ** 2 for i, j in enumerate(y))
    assert spearman(range(9), y) == pytest.approx(1 - 6 * d2 / (9**3 - 9), abs=error_bound(9))


@given(integer_pairs)
def test_a_rank_counts_the_smaller_numbers_and_half_of_the_equal_ones(pairs):
    x = [a for a, _ in pairs]
    assert ranks(x).tolist() == [sum(b < a for b in x) + (1 + x.count(a)) / 2 for a in x]


# ---- invariances -----------------------------------------------------------

@given(number_pairs)
def test_both_correlations_are_symmetric_and_in_minus_1_to_1(pairs):
    x, y = [a for a, _ in pairs], [b for _, b in pairs]
    for r in pearson, spearman:
        if varies(x) and varies(y):
            assert -1 <= r(x, y) <= 1 and r(x, y) == r(y, x)
        else:
            assert math.isnan(r(x, y))


@given(seeds, st.integers(-1060, 1020))
def test_a_power_of_two_changes_no_bit(seed, exponent):
    """x has integers, here below 2¹³, so x · 2^exponent is exact."""
    x, y = related_lists(seed)
    x, y = np.round(1000 * x), np.round(10 * y)
    scaled = np.ldexp(x, exponent - 13 * (exponent > 0))
    assert pearson(scaled, y) == pearson(x, y)
    assert pearson(-scaled, y) == -pearson(x, y)
    assert pearson(scaled, scaled) == pytest.approx(1, abs=error_bound(30))


@given(seeds)
def test_spearman_depends_only_on_the_order(seed):
    x, y = related_lists(seed)
    assert spearman(np.exp(x), y**3) == spearman(x, y)
    assert spearman(x, -y) == -spearman(x, y)


@given(seeds)
def test_the_order_of_the_pairs_has_no_effect(seed):
    x, y = related_lists(seed)
    shuffled = np.random.default_rng(seed).permutation(len(x))
    assert spearman(x[shuffled], y[shuffled]) == pytest.approx(spearman(x, y), abs=error_bound(30))


def test_numbers_that_differ_in_their_last_bit_are_distinguished():
    assert pearson([1, 1 + 2**-52], [0, 1]) == pytest.approx(1, abs=error_bound(2))


def test_squares_neither_overflow_nor_vanish():
    x = np.array([1.0, 2, 3])                      # 3 · 2¹⁰²² is just below the largest float64
    for scale in 2.0**-1074, 2.0**-600, 2.0**600, 2.0**1022:
        assert pearson(x * scale, [1, 2, 4]) == pearson(x, [1, 2, 4])


# ---- nothing to correlate --------------------------------------------------

@pytest.mark.parametrize("x, y", [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0.1, 0.1, 0.1]),
                                  ([5], [5]), ([], []), ([0, 0], [0, 0])])
def test_a_constant_list_gives_nan_without_a_warning(x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for r in pearson, spearman:
            assert math.isnan(r(x, y)) and math.isnan(r(y, x))


@pytest.mark.parametrize("x, y, message", [
    ([1, 2], [1, 2, 3], "equal length, got 2 and 3"), ([1, math.nan], [1, 2], "got nan"),
    ([1, 2], [1, math.nan], "got nan"), ([[1, 2]], [[1, 2]], r"shape \(1, 2\)")])
def test_unequal_lengths_nan_and_tables_are_refused(x, y, message):
    for r in pearson, spearman:
        with pytest.raises(ValueError, match=message):
            r(x, y)


def test_infinity_can_be_ranked_but_not_centred():
    assert spearman([1, 2, math.inf], [1, 2, 3]) == pytest.approx(1, abs=error_bound(3))
    with pytest.raises(ValueError, match="finite"):
        pearson([1, 2, math.inf], [1, 2, 3])


# ---- parity ----------------------------------------------------------------

@given(seeds, integer_pairs)
def test_equals_scipy_with_and_without_ties(seed, tied):
    stats = pytest.importorskip("scipy.stats")
    for x, y in [related_lists(seed), np.array(tied, float).T]:
        np.testing.assert_array_equal(ranks(x), stats.rankdata(x))
        if varies(x) and varies(y):
            assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-12)
            assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-12)

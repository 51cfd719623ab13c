"""Bootstrap intervals of correlations: the counted form equals drawing and sorting."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.correlation import pearson, ranks, spearman
from scratch_embed.evaluate.correlation_interval import (
    correlation_intervals,
    drawn_ranks,
    weighted_pearson,
)


def test_ranks_of_a_draw_worked_by_hand():
    """Drawn from 10, 20, 20, 30 are 10 twice, the first 20 once, 30 once: ranks 1.5, 3 and 4."""
    assert drawn_ranks(np.array([10, 20, 20, 30]), np.array([[2, 1, 0, 1]])).tolist() == [
        [1.5, 3, 3, 4]]


@given(st.integers(2, 30), st.integers(1, 5), st.integers(0, 9999))
def test_counts_and_drawn_pairs_have_the_same_ranks_and_correlations(N, largest, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, largest + 1, N) * 1.0, rng.standard_normal(N)
    drawn = rng.integers(0, N, N)
    counts = np.bincount(drawn, minlength=N)[None].astype(float)
    np.testing.assert_allclose(drawn_ranks(x, counts)[0, drawn], ranks(x[drawn]))
    by_rank = weighted_pearson(drawn_ranks(x, counts), drawn_ranks(y, counts), counts)[0]
    by_value = weighted_pearson(x[None], y[None], counts)[0]
    constant = len(set(x[drawn])) == 1 or len(set(drawn)) == 1
    if not constant:
        assert by_rank == pytest.approx(spearman(x[drawn], y[drawn]), abs=1e-9)
        assert by_value == pytest.approx(pearson(x[drawn], y[drawn]), abs=1e-9)


def test_about_95_percent_of_the_intervals_contain_the_true_correlation():
    """200 samples of 100 pairs whose true correlation is 0.6: 175 to 198 intervals contain it."""
    rng, covered = np.random.default_rng(1), 0
    for seed in range(200):
        x, noise = rng.standard_normal((2, 100))
        found = correlation_intervals(x, 0.6 * x + 0.8 * noise, draws=200, seed=seed).pearson
        covered += found.low <= 0.6 <= found.high
    assert 175 <= covered <= 198


def test_the_values_equal_pearson_and_spearman_and_the_seed_determines_the_bounds():
    x, y = np.random.default_rng(0).standard_normal((2, 40))
    found = correlation_intervals(x, y)
    assert found.spearman.value == spearman(x, y) and found.pearson.value == pearson(x, y)
    assert found == correlation_intervals(x, y) != correlation_intervals(x, y, seed=1)
    assert found.spearman.low < found.spearman.value < found.spearman.high


def test_a_constant_side_has_no_correlation_and_wrong_input_is_an_error():
    assert np.isnan(correlation_intervals([1, 1, 1], [1, 2, 3])).all()
    for x, y, options in (([1, 2], [1], {}), ([1, np.nan], [1, 2], {}),
                          ([1, 2], [1, 2], {"level": 1})):
        with pytest.raises(ValueError, match="expected"):
            correlation_intervals(x, y, **options)


@given(st.integers(-500, 500), st.integers(0, 99))
def test_the_interval_does_not_depend_on_the_scale_of_x(exponent, seed):
    """x has integers, so x · 2^exponent is exact."""
    x, y = np.random.default_rng(seed).integers(-9, 10, (2, 12)).astype(float)
    x[:2] = 0, 1
    assert (correlation_intervals(np.ldexp(x, exponent), y, draws=20, seed=seed)
            == correlation_intervals(x, y, draws=20, seed=seed)) or len(set(y)) == 1


def test_a_draw_with_a_constant_side_has_the_correlation_nan():
    """Draws 0 and 2 have no pair but (0.1, 0.7); draws 1 and 3 have (0.3, 0.9), too."""
    weights = np.array([[1.0, 1, 0], [2, 0, 1], [3, 0, 0], [0, 2, 1]])
    x, y = np.array([[0.1, 0.1, 0.3]]), np.array([[0.7, 0.7, 0.9]])
    np.testing.assert_array_equal(np.isnan(weighted_pearson(x, y, weights)), [1, 0, 1, 0])

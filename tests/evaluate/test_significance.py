"""Permutation test: exact p, false positives.  Bootstrap: coverage.  Order has no effect."""
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scratch_embed.evaluate.ranking import evaluate, reciprocal_rank
from scratch_embed.evaluate.significance import (
    bootstrap_interval,
    compare,
    permutation_test,
)

tenths = st.integers(-10, 10).map(lambda x: x / 10)
few = arrays(np.float64, st.integers(1, 9), elements=tenths)
several = arrays(np.float64, st.integers(2, 30), elements=tenths)


# ---- the test ----------------------------------------------------------------------------------

def test_three_queries_worked_by_hand():
    """The sums ±1 ±2 ±4 are the odd numbers from −7 to 7, each once."""
    assert permutation_test([1, 2, 4], [0, 0, 0]) == (7 / 3, 2 / 8, True)      # |sum| ≥ 7: 7, −7
    assert permutation_test([1, 0, 4], [0, 2, 0]) == (1, 6 / 8, True)          # |sum| ≥ 3
    assert permutation_test([1, 2, 0], [0, 0, 4]) == (-1 / 3, 1, True)         # |sum| ≥ 1


def test_a_tie_of_sums_worked_by_hand():
    """±3 ±3 ±1: 7, 5, 1, −1, 1, −1, −5, −7; four of these have |sum| ≥ 3 + 3 − 1."""
    assert permutation_test([3, 3, 0, 5, 6], [0, 0, 1, 5, 6]).p == 4 / 8


@given(few)
def test_p_is_the_share_of_all_choices_of_signs(d):
    """The expected p is counted with integers, whose sums are exact: 0.1 + 0.2 and 0.3 must tie."""
    whole = np.round(10 * d).astype(int)
    sums = [abs(int(np.dot(signs, whole))) for signs in product([-1, 1], repeat=len(d))]
    want = sum(value >= abs(int(whole.sum())) for value in sums) / len(sums)
    assert permutation_test(d, np.zeros(len(d))).p == want


@given(several, st.randoms())
def test_exchanging_the_systems_or_reordering_the_queries_has_no_effect(d, random):
    zero, shuffled = np.zeros(len(d)), np.array(random.sample(list(d), len(d)))
    test = permutation_test(d, zero, draws=2**9)
    assert permutation_test(shuffled, zero, draws=2**9) == test
    exchanged = permutation_test(zero, d, draws=2**9)
    assert exchanged.difference == -test.difference
    assert exchanged.p == test.p or not exchanged.exact
    assert bootstrap_interval(shuffled, draws=100) == bootstrap_interval(d, draws=100)


@given(few)
def test_queries_with_equal_scores_do_not_change_p(d):
    with_ties = np.concatenate([d, np.zeros(40)])
    test = permutation_test(with_ties, np.zeros(len(with_ties)))
    assert test.exact and test.p == permutation_test(d, np.zeros(len(d))).p


def test_equal_systems_do_not_differ_significantly():
    assert permutation_test([0.5, 0.25], [0.5, 0.25]) == (0, 1, True)


def test_random_signs_approximate_the_exact_p():
    """2¹² = 4,096 choices of signs; p of 4,095 random ones is within 4 standard deviations."""
    d = np.random.default_rng(1).standard_normal(12)
    exact = permutation_test(d, np.zeros(12))
    drawn = permutation_test(d, np.zeros(12), draws=4095)
    assert exact.exact and not drawn.exact
    assert abs(drawn.p - exact.p) < 4 * math.sqrt(exact.p * (1 - exact.p) / 4095) + 1 / 4096
    assert 0.02 < exact.p < 0.98


def test_all_signs_are_equally_probable():
    """|sum| is at least the observed one only if all eight 1s have the same sign: p = 2/256.

    The standard deviation of p over 2¹⁶ draws is 0.00034.
    """
    test = permutation_test([1.0] * 8 + [-2.0**-20] * 8, [0.0] * 16, draws=2**16 - 1)
    assert not test.exact and abs(test.p - 2 / 256) < 4 * 0.00035


def test_a_system_that_is_better_on_all_1500_queries_has_the_smallest_possible_p():
    test = permutation_test(np.ones(1500), np.zeros(1500), draws=999)
    assert test == (1, 1 / 1000, False)


def test_p_is_at_most_0_1_for_one_in_ten_pairs_of_equal_systems():
    """500 pairs, d symmetric around 0.  The standard deviation of the share is 0.0134."""
    rng = np.random.default_rng(0)
    p = [permutation_test(rng.standard_t(3, 25), np.zeros(25), draws=499).p for _ in range(500)]
    assert 0.1 - 4 * 0.0135 < np.mean(np.array(p) <= 0.1) < 0.1 + 4 * 0.0135


def test_live_parity_with_scipy():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for n in 3, 8, 12:
        a, b = rng.random(n), rng.random(n)
        theirs = stats.permutation_test((a, b), lambda x, y: np.mean(x - y),
                                        permutation_type="samples", n_resamples=np.inf)
        assert permutation_test(a, b).p == pytest.approx(theirs.pvalue, abs=1e-15)


# ---- the interval -------------------------------------------------------------------------------

def test_two_scores_worked_by_hand():
    """Two draws from 0 and 1: the mean is 0, ½, 1 with probabilities ¼, ½, ¼."""
    assert bootstrap_interval([1, 0], level=0.9) == (0.5, 0, 1)
    assert bootstrap_interval([1, 0], level=0.4) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("draw, mean", [
    (lambda rng: rng.random(50), 0.5), (lambda rng: rng.beta(0.5, 1.0, 50), 1 / 3)])
def test_90_percent_of_the_intervals_contain_the_true_mean(draw, mean):
    """600 samples of 50 scores; the standard deviation of the share is 0.0122.

    With 50 scores the interval is slightly too narrow: 0.02 is allowed for it.
    """
    rng = np.random.default_rng(3)
    intervals = [bootstrap_interval(draw(rng), level=0.9, draws=400) for _ in range(600)]
    covered = np.mean([low <= mean <= high for _, low, high in intervals])
    assert 0.9 - 0.02 - 4 * 0.0125 < covered < 0.9 + 4 * 0.0125


@given(several)
def test_the_interval_lies_within_the_scores(x):
    mean, low, high = bootstrap_interval(x, draws=50)
    assert x.min() - 1e-15 <= low <= high <= x.max() + 1e-15
    assert mean == pytest.approx(x.mean(), abs=1e-15)


def test_a_seed_repeats_the_interval_and_a_constant_has_width_0():
    x = np.random.default_rng(0).random(20)
    assert bootstrap_interval(x, seed=1) == bootstrap_interval(x, seed=1)
    assert bootstrap_interval(x, seed=1) != bootstrap_interval(x, seed=2)
    assert bootstrap_interval([0.25] * 5) == (0.25, 0.25, 0.25)


def test_the_width_is_right_if_the_draws_take_several_blocks():
    """2,000 draws of 3,000 scores take 6 blocks.  The mean is nearly normal: width 2 · 1.96 s/√n.

    The standard deviation of the 2.5% quantile of 2,000 draws is 6% of s/√n.
    """
    x = np.random.default_rng(0).standard_normal(3000)
    _, low, high = bootstrap_interval(x, draws=2000)
    assert high - low == pytest.approx(2 * 1.96 * x.std() / math.sqrt(3000), rel=4 * 0.06 / 1.96)


# ---- two systems ------------------------------------------------------------------------------

def test_two_runs_are_compared_query_by_query():
    qrels = {str(q): {"a": 1} for q in range(6)}
    good = {query: {"a": 1.0} for query in qrels}
    bad = {query: {"a": 0.0, "b": 1.0} for query in qrels}
    a, b = (evaluate(qrels, run, {"MRR": reciprocal_rank}) for run in (good, bad))
    found = compare(a, b, "MRR")
    assert (found.a, found.b, found.difference) == (1, 0.5, (0.5, 0.5, 0.5))
    assert found.test == (0.5, 2 / 2**6, True)


def test_runs_on_different_queries_are_not_compared():
    qrels = {str(q): {"a": 1} for q in range(6)}
    complete = evaluate(qrels, {query: {"a": 1.0} for query in qrels})
    part = evaluate(qrels, {"0": {"a": 1.0}, "1": {}}, complete=False)
    with pytest.raises(ValueError, match=r"different ones \(6 and 2\)"):
        compare(complete, part, "MRR@10")
    with pytest.raises(ValueError, match="measure: expected one of P@10, Recall@10.* got 'MRR@5'"):
        compare(complete, complete, "MRR@5")


# ---- invalid input ----------------------------------------------------------------------------

def test_invalid_scores_levels_and_draws_are_refused():
    for wrong in [1, math.nan], [[1, 2]], [math.inf, 0]:
        with pytest.raises(ValueError, match="finite numbers, one per query"):
            bootstrap_interval(wrong)
    with pytest.raises(ValueError, match="scores: expected at least 2, got 1"):
        bootstrap_interval([1])
    for level in 0, 1, 95:
        with pytest.raises(ValueError, match="level"):
            bootstrap_interval([0, 1], level)
    with pytest.raises(ValueError, match="draws=0"):
        bootstrap_interval([0, 1], draws=0)
    with pytest.raises(ValueError, match="draws=0"):
        permutation_test([0, 1], [1, 0], draws=0)
    with pytest.raises(ValueError, match="at least 1 query"):
        permutation_test([], [])
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        permutation_test([1, 2], [1, 2, 3])

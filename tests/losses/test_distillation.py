"""Distillation: worked by hand, its gradient, what it must not see, its limits, and parity."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.distillation import distillation
from scratch_embed.losses.margin_mse import score_rows
from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.nn.softmax import cross_entropy
from tests.losses.parity import INPUTS, assert_equal_to, sources
from tests.losses.test_margin_mse import M, N, score_tables
from tests.rounding import dtypes, seeds, u32

temperatures = st.floats(0.2, 10)


# ---- its value and gradient ---------------------------------------------------------------------

@dtypes
def test_two_candidates_worked_by_hand(dtype):
    """p = (½, ½), q = (¾, ¼): L = ¾ log 3/2 + ¼ log 1/2, ds = p − q.

    With T = 2 and scores twice as large, p and q are the same: 4 times L, twice ds.
    """
    s, t = np.zeros((1, 2), dtype), np.log([[0.75, 0.25]])
    L = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    loss, backward = distillation(s, t)
    assert loss == pytest.approx(L, rel=1e-6)
    assert backward().dtype == dtype
    np.testing.assert_allclose(backward(), [[-0.25, 0.25]], rtol=1e-6)
    loss, backward = distillation(s, 2 * t, temperature=2)
    assert loss == pytest.approx(4 * L, rel=1e-6)
    np.testing.assert_allclose(backward(), [[-0.5, 0.5]], rtol=1e-6)


@given(seeds, temperatures)
def test_backward_is_the_derivative(seed, T):
    s, t = score_tables(seed)
    check_backward(lambda s: distillation(s, t, T), s)


@given(seeds)
def test_a_teacher_that_is_sure_gives_infonce(seed):
    s, _ = score_tables(seed)
    sure = np.where(np.arange(M) == 0, 1000.0, 0) * np.ones((N, 1))
    loss, _ = distillation(s, sure)
    assert loss == pytest.approx(cross_entropy(s, np.zeros(N, int))[0], rel=1e-12)


# ---- invariances, limits ------------------------------------------------------------------------

@given(seeds, temperatures)
def test_the_loss_is_never_negative_and_0_for_the_teachers_scores(seed, T):
    s, t = score_tables(seed)
    assert distillation(s, t, T)[0] >= 0
    loss, backward = distillation(t + 3.0, t, T)
    assert loss == pytest.approx(0, abs=1e-13) and abs(backward()).max() < 1e-13


@given(seeds, temperatures)
def test_a_number_added_to_all_scores_of_a_query_changes_nothing(seed, T):
    s, t = score_tables(seed)
    a, b = np.random.default_rng(seed).standard_normal((2, N, 1))
    loss, backward = distillation(s, t, T)
    assert distillation(s + a, t + b, T)[0] == pytest.approx(loss, rel=1e-10, abs=1e-12)
    np.testing.assert_allclose(backward().sum(1), 0, atol=1e-13)


@given(seeds, st.permutations(range(M)))
def test_the_order_of_the_candidates_changes_nothing(seed, order):
    s, t = score_tables(seed)
    assert distillation(s[:, order], t[:, order])[0] == pytest.approx(distillation(s, t)[0])


@given(seeds)
def test_at_a_high_temperature_the_loss_is_the_squared_error_of_centred_scores(seed):
    """T² KL → 1/2M Σ_m (difference of centred scores)²; the next term is of order 1/T."""
    s, t = score_tables(seed)
    centred = [x - x.mean(1, keepdims=True) for x in (s, t)]
    want = ((centred[0] - centred[1])**2).sum() / (2 * M * N)
    assert distillation(s, t, temperature=1e4)[0] == pytest.approx(want, rel=1e-2)


@dtypes
def test_scores_that_are_far_apart_are_finite(dtype):
    """Candidates of probability 0 on both sides: 0 log 0 = 0, no nan."""
    s, t = np.array([[0, -2000, -1000]], dtype), np.array([[0.0, -1000, -2000]])
    loss, backward = distillation(s, t)
    assert loss == 0 and not backward().any()


# ---- float32, errors ----------------------------------------------------------------------------

@given(seeds, temperatures)
def test_float32_equals_float64_up_to_rounding(seed, T):
    """log p has an error of 8 u (1 + |s|/T); so has q, relatively."""
    s, t = score_tables(seed, np.float32)
    loss, backward = distillation(s, t, T)
    loss64, backward64 = distillation(s.astype(float), t.astype(float), T)
    size = 1 + 2 * max(abs(s).max(), abs(t).max()) / T
    assert abs(loss - loss64) <= 16 * M * u32 * T**2 * size**2
    assert backward().dtype == np.float32
    assert abs(backward() - backward64()).max() <= 32 * u32 * T * size / N


def test_wrong_input_is_rejected():
    s, t = score_tables(0)
    with pytest.raises(ValueError, match="distillation: expected scores of the student and of the"):
        distillation(s[:, :1], t[:, :1])
    with pytest.raises(ValueError, match="distillation: expected finite scores of the teacher"):
        distillation(s, t * np.nan)
    for T in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="temperature: expected a positive number, got"):
            distillation(s, t, T)


# ---- parity with sentence-transformers ----------------------------------------------------------

@sources
def test_parity_with_distill_kl_div_loss(source):
    s, back_s = score_rows(*(INPUTS[view] for view in "uvw"))
    loss, backward = distillation(s, INPUTS["teacher"], temperature=2.0)
    assert_equal_to(source(), "distillation", loss, back_s(backward()))

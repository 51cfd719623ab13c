"""Margin-MSE and rows of scores: worked by hand, gradients, what they must not see, parity."""
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.margin_mse import cosine_rows, margin_mse, score_rows
from scratch_embed.nn.gradcheck import check_backward
from tests.losses.parity import INPUTS, assert_equal_to, sources
from tests.rounding import dtypes, seeds, u32

N, M, D = 5, 4, 3


def score_tables(seed, dtype=np.float64):
    """s, t (N, M): scores of a student and of a teacher."""
    return np.random.default_rng(seed).standard_normal((2, N, M)).astype(dtype)


# ---- its value and gradient ---------------------------------------------------------------------

@dtypes
def test_margins_worked_by_hand(dtype):
    """Student's margins 0.5, 0.25, teacher's 1, −1: errors −0.5 and 1.25; ds = 2 · error / 2."""
    s, t = np.array([[1, 0.5, 0.75]], dtype), np.array([[3.0, 2.0, 4.0]])
    loss, backward = margin_mse(s, t)
    assert loss == (0.25 + 1.5625) / 2
    ds = backward()
    assert ds.dtype == dtype and ds.tolist() == [[0.75, 0.5, -1.25]]
    assert backward(2.0).tolist() == [[1.5, 1.0, -2.5]]


def test_score_rows_worked_by_hand():
    q, a, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]), np.array([[5.0, 0.0]])
    s, backward = score_rows(q, a, b)
    assert s.tolist() == [[11, 5]]
    dq, da, db = backward(np.array([[1.0, 10.0]]))
    assert (dq.tolist(), da.tolist(), db.tolist()) == ([[53, 4]], [[1, 2]], [[10, 20]])


@given(seeds)
def test_backward_is_the_derivative(seed):
    s, t = score_tables(seed)
    check_backward(lambda s: margin_mse(s, t), s)
    views = np.random.default_rng(seed).standard_normal((3, N, D))
    for rows in (score_rows, partial(cosine_rows, tau=0.2)):
        check_backward(rows, *views, names=["q", "k_0", "k_1"])


# ---- invariances --------------------------------------------------------------------------------

@given(seeds)
def test_a_number_added_to_all_scores_of_a_query_changes_nothing(seed):
    s, t = score_tables(seed)
    a, b = np.random.default_rng(seed).standard_normal((2, N, 1))
    loss, backward = margin_mse(s, t)
    assert margin_mse(s + a, t + b)[0] == pytest.approx(loss, rel=1e-11)
    np.testing.assert_allclose(backward().sum(1), 0, atol=1e-14)


@given(seeds, st.floats(-10, 10))
def test_a_student_with_the_teachers_margins_has_loss_0(seed, constant):
    _, t = score_tables(seed)
    assert margin_mse(t + constant, t)[0] == pytest.approx(0, abs=1e-26)


@given(seeds, st.permutations(range(1, M)))
def test_the_order_of_the_other_candidates_changes_nothing(seed, order):
    s, t = score_tables(seed)
    columns = [0, *order]
    assert margin_mse(s[:, columns], t[:, columns])[0] == pytest.approx(margin_mse(s, t)[0])


# ---- float32, errors ----------------------------------------------------------------------------

@given(seeds)
def test_float32_equals_float64_up_to_rounding(seed):
    """An error is a sum of four numbers: 4 u times their sizes."""
    s, t = score_tables(seed, np.float32)
    (loss, backward), (loss64, backward64) = margin_mse(s, t), margin_mse(*map(np.float64, (s, t)))
    size = 4 * max(abs(s).max(), abs(t).max())
    assert abs(loss - loss64) <= 12 * u32 * size**2
    assert backward().dtype == np.float32
    assert abs(backward() - backward64()).max() <= 12 * u32 * size * M


@pytest.mark.parametrize("s, t", [((2, 3), (2, 4)), ((2, 1), (2, 1)), ((0, 2), (0, 2)),
                                  ((3,), (3,))])
def test_shapes_that_do_not_match_are_rejected(s, t):
    with pytest.raises(ValueError, match="margin_mse: expected scores of the student and of the"):
        margin_mse(np.ones(s), np.ones(t))


def test_a_temperature_that_is_not_positive_is_rejected():
    with pytest.raises(ValueError, match="tau: expected a positive number, got 0"):
        cosine_rows(np.ones((1, 2)), np.ones((1, 2)), tau=0)


def test_a_teachers_score_that_is_not_finite_is_rejected():
    with pytest.raises(ValueError, match="expected finite scores of the teacher, got nan or inf"):
        margin_mse(np.ones((1, 2)), np.array([[1, np.inf]]))


# ---- parity with sentence-transformers ----------------------------------------------------------

@sources
def test_parity_with_margin_mse_loss(source):
    s, back_s = score_rows(*(INPUTS[view] for view in "uvw"))
    loss, backward = margin_mse(s, INPUTS["teacher"])
    assert_equal_to(source(), "margin_mse", loss, back_s(backward()))

"""Softmax: its probabilities, its loss and gradient, and the kernel's SGD step."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.words.softmax import probabilities, softmax_loss_and_grad, softmax_step
from tests.rounding import seeds, u64


def test_softmax_worked_by_hand():
    """Scores log 1, log 2, log 5: P = 1/8, 2/8, 5/8."""
    U = np.log([[1.0, 9], [2, 9], [5, 9]])
    loss, dh, dU = softmax_loss_and_grad(np.array([1.0, 0]), U, 1)
    assert loss == pytest.approx(np.log(4))
    np.testing.assert_allclose(dU, [[1 / 8, 0], [-6 / 8, 0], [5 / 8, 0]], atol=1e-15)
    assert dh[0] == pytest.approx(-6 / 8 * np.log(2) + 5 / 8 * np.log(5))
    assert dh[1] == pytest.approx(0, abs=1e-15)                  # U[:, 1] is constant


@given(st.integers(1, 200), seeds, st.floats(0, 1000))
def test_softmax_sums_to_1_and_keeps_the_order(L, seed, scale):
    """L probabilities; each quotient and each of L − 1 additions rounds once: (L + 3) u."""
    S = np.random.default_rng(seed).normal(0, scale, (2, L))
    P = probabilities(S)
    np.testing.assert_allclose(P.sum(axis=1), 1, atol=2 * (L + 3) * u64)
    assert (np.diff(np.take_along_axis(P, S.argsort(axis=1), axis=1), axis=1) >= 0).all()


@given(seeds, st.floats(-500, 500))
def test_softmax_is_invariant_to_a_shift_of_all_scores(seed, shift):
    rng = np.random.default_rng(seed)
    h, U = rng.standard_normal(4), rng.standard_normal((5, 4))
    moved = U + shift * h / (h @ h)                              # adds `shift` to every score
    assert softmax_loss_and_grad(h, moved, 2)[0] == pytest.approx(
        softmax_loss_and_grad(h, U, 2)[0], abs=1e-11 * (1 + abs(shift)))
    np.testing.assert_allclose(softmax_loss_and_grad(h, U, 2)[2].sum(axis=0), 0, atol=1e-14)


def test_large_scores_have_finite_losses():
    h, U = np.array([1.0]), np.array([[1000.0], [-1000.0]])
    assert softmax_loss_and_grad(h, U, 0)[0] == 0
    loss, dh, _ = softmax_loss_and_grad(h, U, 1)
    assert loss == 2000 and np.isfinite(dh).all()
    tables = [x.astype(np.float32) for x in (h, U)]
    scores, dh = np.empty(2, np.float32), np.empty(1, np.float32)
    # exp32 stops at e^−87, but the loss is computed from the scores and stays exact
    assert softmax_step(*tables, 1, np.float32(0), scores, dh) == pytest.approx(2000)


@given(seeds, st.integers(1, 9))
def test_the_gradient_is_the_derivative_in_random_directions(seed, L):
    rng, t = np.random.default_rng(seed), 1e-5
    (h, A), (U, B), label = rng.standard_normal((2, 5)), rng.standard_normal((2, L, 5)), L // 2
    _, dh, dU = softmax_loss_and_grad(h, U, label)
    up, down = (softmax_loss_and_grad(h + s * A, U + s * B, label)[0] for s in (t, -t))
    terms = np.concatenate([dh * A, (dU * B).ravel()])
    assert abs(terms.sum() - (up - down) / (2 * t)) <= 1e-6 * (np.abs(terms).sum() + 1)


@given(seeds, st.integers(1, 40))
def test_the_kernel_takes_the_sgd_step_of_the_equation(seed, L):
    """A score is a sum of 7 products below 25: its error is at most 8 · 7 · 25 u."""
    rng, lr = np.random.default_rng(seed), 0.25
    h, U = (np.clip(rng.standard_normal(shape), -5, 5).astype(np.float32) for shape in (7, (L, 7)))
    label = int(rng.integers(L))
    loss, dh, dU = softmax_loss_and_grad(h.astype(float), U.astype(float), label)
    stepped, scores, got = U.copy(), np.empty(L, np.float32), np.empty(7, np.float32)
    bound = 8 * 7 * 25 * 2.0**-24
    assert softmax_step(h, stepped, label, np.float32(lr), scores, got) == pytest.approx(
        loss, abs=(L + 1) * bound)
    np.testing.assert_allclose(got, -lr * dh, rtol=0, atol=(L + 1) * bound)
    np.testing.assert_allclose(stepped, U - lr * dU, rtol=0, atol=(L + 1) * bound)

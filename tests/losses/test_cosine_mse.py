"""Cosine regression: worked by hand, its gradient, its invariances, and parity."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.cosine_mse import cosine_mse, paired_cosines
from scratch_embed.nn.gradcheck import check_backward
from tests.losses.parity import INPUTS, assert_equal_to, sources
from tests.rounding import dtypes, gamma, seeds, u32

N, D = 6, 5


def scored_pairs(seed, dtype=np.float64):
    """u, v (N, D), and scores (N,) in −1..1 that are exact in float32."""
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal((2, N, D)).astype(dtype)
    return u, v, rng.integers(-8, 9, N) / 8


# ---- its value and gradient ---------------------------------------------------------------------

@dtypes
def test_two_pairs_worked_by_hand(dtype):
    """Cosines 0.6 and 0, scores 1 and 0.5: L = (0.4² + 0.5²)/2.  dc = 2 (−0.4, −0.5)/2.

    du_0 = dc (v̂ − c û)/‖u‖ = −0.4 ((0.6, 0.8) − 0.6 (1, 0))/2 = (0, −0.16).
    """
    u, v = np.array([[2, 0], [0, 1]], dtype), np.array([[3, 4], [5, 0]], dtype)
    loss, backward = cosine_mse(u, v, np.array([1, 0.5]))
    assert loss == pytest.approx(0.205, rel=1e-6)
    du, dv = backward()
    assert du.dtype == dv.dtype == dtype
    np.testing.assert_allclose(du, [[0, -0.16], [-0.5, 0]], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(dv, [[-0.0512, 0.0384], [0, -0.1]], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(backward(10.0)[0], 10 * du, rtol=1e-6)


@given(seeds)
def test_backward_is_the_derivative(seed):
    u, v, y = scored_pairs(seed)
    check_backward(lambda u, v: cosine_mse(u, v, y), u, v, names=["u", "v"])
    check_backward(paired_cosines, u, v, names=["u", "v"])


def test_vectors_of_one_direction_have_gradient_0_whatever_the_scores():
    u = np.array([[1.0, 2.0], [2.0, 4.0]])
    loss, backward = cosine_mse(u, -3 * u, np.array([0.5, 1.0]))
    assert loss == pytest.approx((1.5**2 + 2**2) / 2)
    assert all(abs(d).max() < 1e-15 for d in backward())


# ---- invariances --------------------------------------------------------------------------------

@given(seeds, st.floats(1e-3, 1e3))
def test_the_loss_does_not_depend_on_norms_rotations_or_the_order(seed, scale):
    u, v, y = scored_pairs(seed)
    rng = np.random.default_rng(seed)
    R, _ = np.linalg.qr(rng.standard_normal((D, D)))
    order, (loss, backward) = rng.permutation(N), cosine_mse(u, v, y)
    assert cosine_mse(scale * u, v @ np.eye(D), y)[0] == pytest.approx(loss, abs=1e-12)
    assert cosine_mse(u @ R, v @ R, y)[0] == pytest.approx(loss, abs=1e-12)
    assert cosine_mse(v[order], u[order], y[order])[0] == pytest.approx(loss, abs=1e-12)
    for x, dx in zip((u, v), backward()):              # no part along x: ‖x‖ has no effect
        np.testing.assert_allclose((x * dx).sum(-1), 0, atol=1e-13)


@given(seeds)
def test_the_loss_is_0_if_the_scores_are_the_cosines(seed):
    u, v, _ = scored_pairs(seed)
    loss, backward = cosine_mse(u, v, paired_cosines(u, v)[0])
    assert loss == 0 and not any(d.any() for d in backward())


# ---- float32, errors ----------------------------------------------------------------------------

@given(seeds)
def test_float32_equals_float64_up_to_rounding(seed):
    """A cosine has an error of at most 2 γ(D + 4); e² has |e| ≤ 2 times twice this, and u."""
    u, v, y = scored_pairs(seed, np.float32)
    (loss, backward), (loss64, backward64) = cosine_mse(u, v, y), cosine_mse(*map(
        np.float64, (u, v)), y)
    error = 2 * gamma(D + 4, u32)
    assert abs(loss - loss64) <= 4 * error + 8 * u32
    for x, d, d64 in zip((u, v), backward(), backward64()):
        assert d.dtype == np.float32
        norms = np.linalg.norm(x.astype(float), axis=1, keepdims=True)
        assert (abs(d - d64) * norms <= 16 * error / N).all()


@pytest.mark.parametrize("u, v", [((2, 3), (3, 3)), ((2, 3), (2, 4)), ((3,), (3,))])
def test_shapes_that_do_not_match_are_rejected(u, v):
    with pytest.raises(ValueError, match="the vectors of pairs, of one shape"):
        cosine_mse(np.ones(u), np.ones(v), np.ones(u[:1]))


def test_scores_that_no_cosine_can_reach_are_rejected():
    u, v, y = scored_pairs(0)
    with pytest.raises(ValueError, match=r"expected scores in −1..1, as cosines are, got 0.0..5.0"):
        cosine_mse(u, v, np.array([0, 1, 2, 3, 4, 5.0]))
    with pytest.raises(ValueError, match=r"a number for each of the 6 pairs, got shape \(5"):
        cosine_mse(u, v, y[:5])
    with pytest.raises(ValueError, match="expected finite numbers as scores or labels, got nan"):
        cosine_mse(u, v, np.where(y == y[0], np.nan, y))


# ---- parity with sentence-transformers ----------------------------------------------------------

@sources
def test_parity_with_cosine_similarity_loss(source):
    loss, backward = cosine_mse(INPUTS["u"], INPUTS["v"], INPUTS["scores"])
    assert_equal_to(source(), "cosine_mse", loss, backward())

"""CoSENT: worked by hand, its gradient, what it must not see, its limits, and parity."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.cosent import cosent
from scratch_embed.losses.cosine_mse import paired_cosines
from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.nn.softmax import cross_entropy
from tests.losses.parity import INPUTS, assert_equal_to, sources
from tests.losses.test_cosine_mse import D, N, scored_pairs
from tests.rounding import dtypes, gamma, seeds, u32

scales = st.floats(0.5, 50)


# ---- its value and gradient ---------------------------------------------------------------------

@dtypes
def test_two_pairs_in_the_wrong_order_worked_by_hand(dtype):
    """Cosines 0 and 1, scores 0.75 and 0.25, scale log 3: z = log 3, L = log(1 + 3), p = ¾.

    ∂L/∂c = log 3 · (−¾, ¾); pair 1 has v̂ = û, so its vectors have gradient 0.
    """
    u, v = np.eye(2, dtype=dtype), np.array([[0, 1], [0, 1]], dtype)
    loss, backward = cosent(u, v, np.array([0.75, 0.25]), scale=np.log(3))
    assert loss == pytest.approx(np.log(4), rel=1e-6)
    du, dv = backward()
    assert du.dtype == dv.dtype == dtype
    pull = 0.75 * np.log(3)
    np.testing.assert_allclose(du, [[0, -pull], [0, 0]], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(dv, [[-pull, 0], [0, 0]], rtol=1e-6, atol=1e-7)


def test_three_pairs_worked_by_hand():
    """Cosines 1, 0.6, 0 with scores 2, 2, 1: two terms, since equal scores are not compared."""
    u = np.array([[1.0, 0.0]] * 3)
    v = np.array([[1.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    want = np.log(1 + np.exp(-1) + np.exp(-0.6))
    assert cosent(u, v, np.array([2, 2, 1]), scale=1.0)[0] == pytest.approx(want, rel=1e-14)


@given(seeds, scales)
def test_backward_is_the_derivative(seed, scale):
    u, v, y = scored_pairs(seed)
    check_backward(lambda u, v: cosent(u, v, y, scale), u, v, names=["u", "v"])


@given(seeds, scales)
def test_one_positive_among_others_gives_infonce(seed, scale):
    """log(1 + Σ_j exp(s_j − s_0)) = −log softmax(s)_0."""
    u, v, _ = scored_pairs(seed)
    loss, _ = cosent(u, v, np.arange(N) == 0, scale)
    infonce, _ = cross_entropy(scale * paired_cosines(u, v)[0][None], np.array([0]))
    assert loss == pytest.approx(infonce, rel=1e-11, abs=1e-12)


# ---- invariances, limits ------------------------------------------------------------------------

@given(seeds, st.sampled_from([np.exp, lambda y: 3 * y - 7, lambda y: y**3]))
def test_only_the_order_of_the_scores_counts(seed, increasing):
    u, v, y = scored_pairs(seed)
    assert cosent(u, v, increasing(y))[0] == cosent(u, v, y)[0]


@given(seeds, st.permutations(range(N)))
def test_the_loss_does_not_depend_on_the_order_of_the_pairs_or_on_norms(seed, order):
    u, v, y = scored_pairs(seed)
    loss, _ = cosent(u, v, y)
    assert cosent(u[order], 8 * v[order], y[order])[0] == pytest.approx(loss, rel=1e-12)
    assert cosent(v, u, y)[0] == pytest.approx(loss, rel=1e-12)


@given(seeds)
def test_the_loss_is_a_smooth_maximum_of_0_and_the_differences_in_the_wrong_order(seed):
    u, v, y = scored_pairs(seed)
    c, _ = paired_cosines(u, v)
    z = [20 * (c[j] - c[i]) for i in range(N) for j in range(N) if y[i] > y[j]]
    largest = max([0, *z])
    assert largest - 1e-12 <= cosent(u, v, y)[0] <= largest + np.log(1 + len(z)) + 1e-12


@dtypes
def test_equal_scores_and_a_single_pair_have_loss_0_and_gradient_0(dtype):
    u, v, y = scored_pairs(1, dtype)
    for rows, scores in ((slice(None), np.full(N, 0.3)), (slice(1), y[:1])):
        loss, backward = cosent(u[rows], v[rows], scores)
        assert loss == 0 and not any(d.any() for d in backward())


def test_a_very_large_scale_does_not_overflow():
    """z = ±1e6: one term decides."""
    u, v = np.eye(2), np.array([[0.0, 1.0], [0.0, 1.0]])
    assert cosent(u, v, np.array([1, 0]), scale=1e6)[0] == 1e6
    loss, backward = cosent(u, v, np.array([0, 1]), scale=1e6)
    assert loss == 0 and not any(d.any() for d in backward())


# ---- float32, errors ----------------------------------------------------------------------------

@given(seeds, scales)
def test_float32_equals_float64_up_to_rounding(seed, scale):
    """L has the error of the largest z: scale times the errors of two cosines, and rounding."""
    u, v, y = scored_pairs(seed, np.float32)
    loss, backward = cosent(u, v, y, scale)
    loss64, backward64 = cosent(u.astype(float), v.astype(float), y, scale)
    error = scale * 4 * gamma(D + 5, u32) + 4 * u32 * (1 + loss64)
    assert abs(loss - loss64) <= error
    for x, d, d64 in zip((u, v), backward(), backward64()):
        assert d.dtype == np.float32
        norms = np.linalg.norm(x.astype(float), axis=1, keepdims=True)
        assert (abs(d - d64) * norms <= 8 * scale * (error + gamma(2 * N, u32))).all()


def test_wrong_input_is_rejected():
    u, v, y = scored_pairs(0)
    with pytest.raises(ValueError, match=r"cosent: expected a number for each of the 6"):
        cosent(u, v, y[:, None])
    with pytest.raises(ValueError, match="expected the vectors of pairs"):
        cosent(u, v[:4], y)
    for scale in (0, -1.0, np.nan):
        with pytest.raises(ValueError, match="scale: expected a positive number, got"):
            cosent(u, v, y, scale)


# ---- parity with sentence-transformers ----------------------------------------------------------

@sources
def test_parity_with_cosent_loss(source):
    loss, backward = cosent(INPUTS["u"], INPUTS["v"], INPUTS["scores"])
    assert_equal_to(source(), "cosent", loss, backward())

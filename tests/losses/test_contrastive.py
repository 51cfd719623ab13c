"""Contrastive and online contrastive loss: worked by hand, gradients, invariances, parity."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.contrastive import contrastive, hard_pairs, online_contrastive
from scratch_embed.nn.gradcheck import check_backward
from tests.losses.parity import INPUTS, assert_equal_to, sources
from tests.rounding import dtypes, gamma, seeds, u32

N, D = 6, 5
margins = st.floats(0.1, 2)
both = pytest.mark.parametrize("loss", [contrastive, online_contrastive])


def labelled_pairs(seed, dtype=np.float64):
    """u, v (N, D), and labels (N,): at least one of each kind."""
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal((2, N, D)).astype(dtype)
    return u, v, rng.permutation([1, 0, *rng.integers(0, 2, N - 2)])


# ---- their values and gradients -----------------------------------------------------------------

@dtypes
def test_contrastive_worked_by_hand(dtype):
    """d = 0.4 and 0.4: e = 0.4 for the similar pair, −(0.5 − 0.4) for the other, 0 at d = 1.

    L = (0.16 + 0.01 + 0)/6.  dc = −e/3; du = dc (v̂ − c û)/‖u‖ with v̂ − c û = (0, 0.8).
    """
    u, v = np.array([[1, 0]] * 3, dtype), np.array([[3, 4], [3, 4], [0, 1]], dtype)
    loss, backward = contrastive(u, v, np.array([1, 0, 0]))
    assert loss == pytest.approx(0.17 / 6, rel=1e-6)
    du, dv = backward()
    assert du.dtype == dv.dtype == dtype
    np.testing.assert_allclose(du, [[0, -0.32 / 3], [0, 0.08 / 3], [0, 0]], rtol=2e-6, atol=1e-7)


@dtypes
def test_online_contrastive_worked_by_hand(dtype):
    """Positives at 0.4 and 0, negatives at 0.2 and 1: only 0.4 > 0.2 and 0.2 < 0.4 are hard.

    L = 0.4² + (0.5 − 0.2)².
    """
    u = np.array([[1, 0]] * 4, dtype)
    v = np.array([[3, 4], [1, 0], [4, 3], [0, 1]], dtype)
    loss, backward = online_contrastive(u, v, np.array([1, 1, 0, 0]))
    assert loss == pytest.approx(0.25, rel=1e-6)
    du, _ = backward()
    np.testing.assert_allclose(du, [[0, -0.64], [0, 0], [0, 0.36], [0, 0]], rtol=2e-6, atol=1e-7)


def test_which_pairs_are_hard_worked_by_hand():
    distances = np.array([0.1, 0.4, 0.2, 0.9])
    similar = np.array([True, True, False, False])
    assert hard_pairs(distances, similar).tolist() == [False, True, True, False]
    assert hard_pairs(distances, ~similar).tolist() == [True, True, True, True]   # all are wrong
    assert hard_pairs(distances, similar | True).tolist() == [False, False, False, True]   # > 0.4
    assert hard_pairs(distances, similar & False).tolist() == [True, False, True, False]   # < 0.4


@both
@given(seeds, margins)
def test_backward_is_the_derivative(loss, seed, margin):
    """The kinks, where a pair becomes hard, have probability 0 among random pairs."""
    u, v, y = labelled_pairs(seed)
    check_backward(lambda u, v: loss(u, v, y, margin), u, v, names=["u", "v"])


# ---- invariances --------------------------------------------------------------------------------

@both
@given(seeds, margins, st.permutations(range(N)))
def test_the_loss_depends_on_cosines_only_and_not_on_the_order(loss, seed, margin, order):
    u, v, y = labelled_pairs(seed)
    R, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((D, D)))
    L, backward = loss(u, v, y, margin)
    again, _ = loss(4 * v[order] @ R, u[order] @ R, y[order], margin)
    assert again == pytest.approx(L, rel=1e-11, abs=1e-13)
    for x, dx in zip((u, v), backward()):
        np.testing.assert_allclose((x * dx).sum(-1), 0, atol=1e-13)


@given(seeds)
def test_a_batch_in_the_right_order_has_online_loss_0(seed):
    """Positives have distance 0, negatives more: no pair is hard, however wide the margin."""
    u, v, y = labelled_pairs(seed)
    loss, backward = online_contrastive(u, np.where(y[:, None] == 1, 2 * u, v), y, margin=2.0)
    assert loss == pytest.approx(0, abs=1e-30) and not any(abs(d).max() > 1e-14 for d in backward())


@given(seeds, margins)
def test_the_loss_does_not_fall_as_the_margin_grows(seed, margin):
    pairs = labelled_pairs(seed)
    for loss in (contrastive, online_contrastive):
        assert 0 <= loss(*pairs, margin)[0] <= loss(*pairs, margin + 0.5)[0]


# ---- float32, errors ----------------------------------------------------------------------------

@both
@given(seeds)
def test_float32_equals_float64_up_to_rounding(loss, seed):
    """A distance, at most 2, has an error of 2 γ(D + 5).  No two of these distances are equal."""
    u, v, y = labelled_pairs(seed, np.float32)
    (L, backward), (L64, backward64) = loss(u, v, y), loss(u.astype(float), v.astype(float), y)
    error, pairs = 2 * gamma(D + 5, u32), 1 if loss is contrastive else 2 * N
    assert abs(L - L64) <= pairs * (4 * error + 8 * u32)
    for x, d, d64 in zip((u, v), backward(), backward64()):
        assert d.dtype == np.float32
        norms = np.linalg.norm(x.astype(float), axis=1, keepdims=True)
        assert (abs(d - d64) * norms <= 16 * pairs * error).all()


@both
def test_wrong_input_is_rejected(loss):
    u, v, y = labelled_pairs(0)
    with pytest.raises(ValueError, match=rf"^{loss.__name__}: expected labels 1 .*got \[0.25"):
        loss(u, v, np.full(N, 0.25))
    with pytest.raises(ValueError, match=rf"^{loss.__name__}: expected a number for each"):
        loss(u, v, y[:3])
    with pytest.raises(ValueError, match="expected the vectors of pairs"):
        loss(u, v[:, :3], y)


# ---- parity with sentence-transformers ----------------------------------------------------------

@sources
@both
def test_parity_with_both_contrastive_losses(loss, source):
    value, backward = loss(INPUTS["u"], INPUTS["v"], INPUTS["binary"])
    assert_equal_to(source(), loss.__name__, value, backward())

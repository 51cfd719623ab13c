"""The softmax classifier of pairs: worked by hand, its gradients, its symmetry, and parity."""
import numpy as np
import pytest
from hypothesis import given

from scratch_embed.losses.softmax_pairs import softmax_pairs, softmax_pairs_tensors
from scratch_embed.nn.gradcheck import check_parameters
from scratch_embed.nn.params import Params, init_params
from tests.losses.parity import INPUTS, assert_equal_to, sources
from tests.rounding import dtypes, seeds, u32

N, D, C = 6, 5, 3
SHAPES = {"classifier.weight": (C, 3 * D), "classifier.bias": (C,)}


def classified_pairs(seed, dtype=np.float64):
    """x (2, N, D): the vectors of pairs; targets (N,); a classifier with weights of order 1."""
    rng = np.random.default_rng(seed)
    p = init_params(softmax_pairs_tensors(D, C, std=0.5), seed, dtype)
    p["classifier.bias"][:] = rng.standard_normal(C)
    return rng.standard_normal((2, N, D)).astype(dtype), rng.integers(0, C, N), p


# ---- its value and gradient ---------------------------------------------------------------------

@dtypes
def test_one_pair_worked_by_hand(dtype):
    """u = 2, v = 5: x = (2, 5, 3); W = (0, 0, 0), (1, 0, log 3 / 3 − 2/3): s = (0, log 3).

    p = (¼, ¾), target 0: ds = (−¾, ¾), dW = ds x, and |u − v| has the slopes −1 and 1.
    """
    p = Params({"classifier.weight": (2, 3), "classifier.bias": (2,)}, dtype)
    w = np.log(3) / 3 - 2 / 3
    p["classifier.weight"][1] = 1, 0, w
    loss, backward = softmax_pairs(np.array([[2]], dtype), np.array([[5]], dtype), np.array([0]), p)
    assert loss == pytest.approx(np.log(4), rel=1e-6)
    g = p.like()
    du, dv = backward(1.0, g)
    assert du.dtype == dv.dtype == dtype
    np.testing.assert_allclose([du, dv], [[[0.75 * (1 - w)]], [[0.75 * w]]], rtol=1e-6)
    np.testing.assert_allclose(g["classifier.weight"], np.outer([-0.75, 0.75], [2, 5, 3]),
                               rtol=1e-6)
    np.testing.assert_allclose(g["classifier.bias"], [-0.75, 0.75], rtol=1e-6)


@given(seeds)
def test_backward_is_the_derivative_also_in_the_classifier(seed):
    x, targets, p = classified_pairs(seed)

    def of_pairs(x, p):
        loss, backward = softmax_pairs(*x, targets, p)
        return loss, lambda dloss, g: np.stack(backward(dloss, g))
    check_parameters(of_pairs, x, p, seed=seed)


def test_equal_vectors_have_a_finite_gradient():
    """sign(0) = 0: the part of |u − v| has no gradient."""
    x, targets, p = classified_pairs(0)
    p["classifier.weight"][:, :2 * D] = 0
    _, backward = softmax_pairs(x[0], x[0], targets, p)
    assert not any(d.any() for d in backward(1.0, p.like()))


def test_backward_adds_to_the_gradients():
    x, targets, p = classified_pairs(0)
    _, backward = softmax_pairs(*x, targets, p)
    once, twice = p.like(), p.like()
    backward(1.0, once)
    for _ in range(2):
        backward(1.0, twice)
    np.testing.assert_array_equal(twice.flat, 2 * once.flat)


# ---- invariances --------------------------------------------------------------------------------

@given(seeds)
def test_exchanging_u_and_v_and_their_weights_changes_nothing(seed):
    (u, v), targets, p = classified_pairs(seed)
    exchanged = p.copy()
    W = p["classifier.weight"]
    exchanged["classifier.weight"][:] = np.hstack([W[:, D:2 * D], W[:, :D], W[:, 2 * D:]])
    loss, _ = softmax_pairs(u, v, targets, p)
    assert softmax_pairs(v, u, targets, exchanged)[0] == pytest.approx(loss, rel=1e-12)


@given(seeds)
def test_a_classifier_of_zeros_has_the_loss_of_chance(seed):
    x, targets, _ = classified_pairs(seed)
    assert softmax_pairs(*x, targets, Params(SHAPES, float))[0] == pytest.approx(np.log(C))


# ---- float32, errors ----------------------------------------------------------------------------

@given(seeds)
def test_float32_equals_float64_up_to_rounding(seed):
    """A score is a sum of 3D products; its error is at most (3D + 2) u times their sizes."""
    x, targets, p = classified_pairs(seed, np.float32)
    loss, backward = softmax_pairs(*x, targets, p)
    p64, g, g64 = p.copy(np.float64), p.like(), p.copy(np.float64).like()
    loss64, backward64 = softmax_pairs(*x.astype(float), targets, p64)
    sizes = np.hstack([*abs(x), abs(x[0]) + abs(x[1])]) @ abs(p["classifier.weight"]).T
    error = 2 * (3 * D + 4) * u32 * (sizes.max() + abs(p["classifier.bias"]).max() + 1)
    assert abs(loss - loss64) <= 2 * error
    for d, d64 in zip(backward(1.0, g), backward64(1.0, g64)):
        assert d.dtype == np.float32
        assert abs(d - d64).max() <= 8 * error * abs(p.flat).max()
    assert abs(g.flat - g64.flat).max() <= 8 * error * (1 + abs(x).max())


def test_wrong_input_is_rejected():
    (u, v), targets, p = classified_pairs(0)
    for a, b in ((u, v[:3]), (u[:, :3], v[:, :3]), (u[0], v[0])):
        with pytest.raises(ValueError, match=r"softmax_pairs: expected vectors of pairs, \(N, 5\)"):
            softmax_pairs(a, b, targets, p)
    with pytest.raises(ValueError, match="expected classes as integers from 0, got float64"):
        softmax_pairs(u, v, targets / 1, p)
    with pytest.raises(ValueError, match="targets: expected 6 in 0..2, got 6 in 0..3"):
        softmax_pairs(u, v, np.full(N, 3), p)


# ---- parity with sentence-transformers ----------------------------------------------------------

@sources
def test_parity_with_softmax_loss(source):
    p = Params(SHAPES, float)
    p["classifier.weight"][:], p["classifier.bias"][:] = INPUTS["weight"], INPUTS["bias"]
    loss, backward = softmax_pairs(INPUTS["u"], INPUTS["v"], INPUTS["classes"], p)
    g = p.like()
    assert_equal_to(source(), "softmax_pairs", loss, backward(1.0, g),
                    dweight=g["classifier.weight"], dbias=g["classifier.bias"])

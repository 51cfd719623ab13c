"""The triplet loss: worked by hand, its gradient, its invariances, and parity with torch."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.triplet import triplet
from scratch_embed.nn.gradcheck import check_backward
from tests.rounding import dtypes, seeds, u32

N, D = 6, 5
margins = st.floats(0, 10)


def triplets(seed, dtype=np.float64):
    """(3, N, D): anchors, positives and negatives; at margin 5, some of the losses are 0."""
    return (3 * np.random.default_rng(seed).standard_normal((3, N, D))).astype(dtype)


# ---- its value and gradient ---------------------------------------------------------------------

@dtypes
def test_two_triplets_worked_by_hand(dtype):
    """Row 0: 5 − 2 + 5 = 8, u = −(3, 4)/5, v = −(0, 1).  Row 1: 1 − 10 + 5 < 0.  L = (8 + 0)/2.

    u and v are the unit vectors from p and from n to a.
    """
    a = np.zeros((2, 2), dtype)
    p, n = np.array([[3, 4], [1, 0]], dtype), np.array([[0, 2], [0, 10]], dtype)
    loss, backward = triplet(a, p, n)
    assert loss == pytest.approx(4, rel=1e-6)
    for got, want in zip(backward(), ([-0.3, 0.1], [0.3, 0.4], [0, -0.5])):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, [want, [0, 0]], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(backward(10.0)[0], [[-3, 1], [0, 0]], rtol=1e-6)


@given(seeds, margins)
def test_backward_is_the_derivative(seed, margin):
    """The kink of max(0, x) at x = 0 has probability 0 among random triplets."""
    check_backward(lambda a, p, n: triplet(a, p, n, margin), *triplets(seed))


def test_the_gradient_is_finite_if_the_positive_equals_the_anchor():
    """The gradient of a distance of 0 is 0; the negative is still pushed away."""
    a = np.ones((1, 3))
    loss, backward = triplet(a, a, a + [[0, 2, 0]], margin=5)
    assert loss == 3
    da, dp, dn = backward()
    assert da.tolist() == [[0, 1, 0]] and not dp.any() and dn.tolist() == [[0, -1, 0]]


def test_the_loss_of_equal_vectors_is_the_margin():
    a = np.full((4, 3), 7.0)
    assert triplet(a, a, a, margin=2.5)[0] == 2.5


# ---- invariances --------------------------------------------------------------------------------

@given(seeds, margins)
def test_the_loss_is_invariant_to_a_common_shift_or_rotation(seed, margin):
    x = triplets(seed)
    rng = np.random.default_rng(seed)
    R, _ = np.linalg.qr(rng.standard_normal((D, D)))
    loss, backward = triplet(*x, margin)
    assert triplet(*(x + rng.standard_normal(D)), margin)[0] == pytest.approx(loss, abs=1e-12)
    assert triplet(*(x @ R), margin)[0] == pytest.approx(loss, abs=1e-12)
    np.testing.assert_allclose(sum(backward()), 0, atol=1e-15)


@given(seeds, margins, st.floats(0.1, 10))
def test_scaling_the_vectors_and_the_margin_scales_the_loss(seed, margin, scale):
    x = triplets(seed)
    assert triplet(*(scale * x), scale * margin)[0] == pytest.approx(
        scale * triplet(*x, margin)[0], rel=1e-12, abs=1e-12)


@given(seeds, margins, st.permutations(range(N)))
def test_the_loss_is_invariant_to_the_order_of_the_triplets(seed, margin, order):
    x = triplets(seed)
    assert triplet(*x[:, order], margin)[0] == pytest.approx(triplet(*x, margin)[0], rel=1e-14)


@given(seeds, margins)
def test_the_loss_is_never_negative_and_does_not_fall_as_the_margin_grows(seed, margin):
    x = triplets(seed)
    assert 0 <= triplet(*x, margin)[0] <= triplet(*x, margin + 1)[0] + 1e-14


@given(seeds)
def test_the_gradient_is_0_if_the_negative_is_far_enough(seed):
    a, p, n = triplets(seed)
    n[2] = a[2] + 100
    _, backward = triplet(a, p, n)
    assert all(not d[2].any() for d in backward())


# ---- float32, errors ----------------------------------------------------------------------------

@given(seeds, margins)
def test_float32_equals_float64_up_to_rounding(seed, margin):
    """Distances and directions have relative errors of at most about (D + 6) u.

    Gradients are compared only for triplets whose loss before max(0, ·) is not 0 up to rounding.
    """
    x = triplets(seed, np.float32)
    (loss, backward), (loss64, backward64) = triplet(*x, margin), triplet(*x.astype(float), margin)
    size = np.linalg.norm(x[0] - x[1:], axis=-1).sum(0) + margin            # (N,)
    bound = (D + 8) * u32 * size
    assert abs(loss - loss64) <= bound.mean()
    distances = np.linalg.norm(x[0].astype(float) - x[1:], axis=-1)
    not_near_kink = abs(distances[0] - distances[1] + margin) > bound
    for d, d64 in zip(backward(), backward64()):
        assert d.dtype == np.float32
        assert (abs(d - d64)[not_near_kink] <= 4 * (D + 8) * u32 / N).all()


@pytest.mark.parametrize("shapes", [((2, 3), (2, 3), (3, 3)), ((2, 3), (2, 4), (2, 3)),
                                    ((0, 3),) * 3, ((3,),) * 3])
def test_shapes_that_do_not_match_are_rejected(shapes):
    with pytest.raises(ValueError, match="triplet: expected anchors, positives and negatives"):
        triplet(*(np.ones(shape) for shape in shapes))


# ---- parity with the originals ------------------------------------------------------------------

X = 4 * np.sin(np.arange(1.0, 25)).reshape(3, 2, 4)
GOLDEN = {
    "loss": 1.3762509389386652,
    "da": [[-0.19154837311247866, 0.10058117758778351, 0.3002368574677033, 0.22385615520502464],
           [-0.007122483597851281, -0.2351917995925472, -0.24702685968441007,
            -0.03174656420515709]],
    "dp": [[-0.11241116633914769, -0.3805014109663689, -0.2987604131232719, 0.05765953074112525],
           [0.30395953945162635, 0.27992023337858535, -0.0014764443444313744, -0.2815156859461499]],
    "dn": [[0.30395953945162635, 0.2799202333785854, -0.0014764443444313757, -0.2815156859461499],
           [-0.29683705585377507, -0.04472843378603814, 0.24850330402884144, 0.313262250151307]]}


def assert_equal_to(theirs, atol):
    loss, backward = triplet(*X)
    for name, ours in zip(("loss", "da", "dp", "dn"), (loss, *backward())):
        np.testing.assert_allclose(ours, theirs[name], rtol=0, atol=atol, err_msg=name)


def loss_and_gradients_of(function, torch):
    a, p, n = (torch.tensor(x, requires_grad=True) for x in X)
    loss = function(a, p, n)
    loss.backward()
    return dict(loss=loss.item(), da=a.grad.numpy(), dp=p.grad.numpy(), dn=n.grad.numpy())


def test_parity_with_frozen_values_of_torch():
    """GOLDEN is from torch 2.13.0: triplet_margin_loss(a, p, n, margin=5, eps=0), in float64."""
    assert_equal_to(GOLDEN, 1e-14)


def test_parity_with_the_installed_torch():
    torch = pytest.importorskip("torch")
    triplet_margin_loss = torch.nn.functional.triplet_margin_loss
    assert_equal_to(loss_and_gradients_of(lambda *x: triplet_margin_loss(*x, margin=5, eps=0),
                                          torch), 1e-14)


def test_parity_with_the_installed_sentence_transformers():
    """Its distance adds 1e-6 to each of the D differences, hence the tolerance of 2e-6."""
    torch = pytest.importorskip("torch")
    losses = pytest.importorskip("sentence_transformers.sentence_transformer.losses")
    loss = losses.TripletLoss(None)
    assert_equal_to(loss_and_gradients_of(
        lambda *x: loss.compute_loss_from_embeddings(list(x), None), torch), 2e-6)

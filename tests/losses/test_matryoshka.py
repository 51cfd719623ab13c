"""Matryoshka: worked by hand, its gradient, what it must not see, and parity."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.cosent import cosent
from scratch_embed.losses.infonce import infonce
from scratch_embed.losses.margin_mse import margin_mse, score_rows
from scratch_embed.losses.matryoshka import matryoshka
from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.numerics.l2_normalize import l2_normalize
from tests.losses.parity import INPUTS, assert_equal_to, sources
from tests.rounding import dtypes, seeds

N, D = 5, 6
DIMS, WEIGHTS = [5, 3, 1], [1.0, 0.5, 0.25]                        # of make_losses.py


def pairs(seed, dtype=np.float64):
    return list(np.random.default_rng(seed).standard_normal((2, N, D)).astype(dtype))


def ranked(views):
    return infonce(*views, tau=0.2)


def dots(views):
    """The sum of dot products: unlike a cosine, it depends on the norms of its vectors."""
    a, b = views
    return float((a * b).sum()), lambda dloss=1.0: (dloss * b, dloss * a)


# ---- its value and gradient ---------------------------------------------------------------------

@dtypes
def test_two_prefixes_worked_by_hand(dtype):
    """a = (3, 4), b = (2, 0): at d = 2 units (0.6, 0.8)·(1, 0) = 0.6; at d = 1, 1·1 = 1.

    With weights 1 and 0.5: L = 0.6 + 0.5.  A prefix of one number has gradient 0 (its unit vector
    is ±1), so da is that of d = 2: (b̂ − 0.6 â)/5 = (0.64, −0.48)/5.
    """
    a, b = np.array([[3, 4]], dtype), np.array([[2, 0]], dtype)
    loss, backward = matryoshka(dots, [a, b], dims=[2, 1], weights=[1, 0.5])
    assert loss == pytest.approx(1.1, rel=1e-6)
    da, db = backward()
    assert da.dtype == db.dtype == dtype
    np.testing.assert_allclose(da, [[0.128, -0.096]], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(db, [[0, 0.4]], rtol=1e-6, atol=1e-7)


@given(seeds, st.sampled_from([ranked, dots]))
def test_backward_is_the_derivative(seed, loss):
    def of_views(*views):
        value, backward = matryoshka(loss, views, [6, 4, 1], [1.0, 0.3, 2.0])
        return value, lambda dloss: tuple(backward(dloss))
    check_backward(of_views, *pairs(seed))


@given(seeds)
def test_the_loss_is_the_weighted_sum_of_losses_of_truncated_vectors(seed):
    views = pairs(seed)
    want = sum(w * dots([l2_normalize(view[:, :d])[0] for view in views])[0]
               for d, w in zip([6, 2], [1, 3]))
    assert matryoshka(dots, views, [6, 2], [1, 3])[0] == pytest.approx(want, rel=1e-12)


# ---- invariances --------------------------------------------------------------------------------

@given(seeds)
def test_the_full_dimension_alone_is_the_loss_itself(seed):
    views = pairs(seed)
    loss, backward = matryoshka(ranked, views, [D])
    want, back = ranked(views)
    assert loss == pytest.approx(want, rel=1e-12)
    for got, d in zip(backward(), back()):
        np.testing.assert_allclose(got, d, rtol=1e-9, atol=1e-12)


@given(seeds)
def test_numbers_beyond_the_longest_prefix_have_no_effect_and_no_gradient(seed):
    views = pairs(seed)
    loss, backward = matryoshka(dots, views, [3, 2])
    changed = [np.where(np.arange(D) < 3, view, 100.0) for view in views]
    assert matryoshka(dots, changed, [3, 2])[0] == loss
    assert not any(d[:, 3:].any() for d in backward())


@given(seeds, st.floats(0.01, 100))
def test_the_loss_does_not_depend_on_norms_or_on_the_order_of_the_dims(seed, scale):
    views = pairs(seed)
    loss, _ = matryoshka(dots, views, [6, 3, 2], [1, 2, 3])
    again, _ = matryoshka(dots, [scale * views[0], views[1]], [2, 6, 3], [3, 1, 2])
    assert again == pytest.approx(loss, rel=1e-12, abs=1e-12)


def test_a_prefix_of_zeros_is_finite():
    views = [np.array([[0.0, 1.0]]), np.array([[1.0, 1.0]])]
    loss, backward = matryoshka(dots, views, [2, 1])
    assert np.isfinite(loss) and all(np.isfinite(d).all() for d in backward())


# ---- errors -------------------------------------------------------------------------------------

@pytest.mark.parametrize("dims", [[], [7], [0, 6], [6, 3, 3]])
def test_dims_that_do_not_fit_are_rejected(dims):
    with pytest.raises(ValueError, match=r"dims: expected different numbers in 1..6.*, got \["):
        matryoshka(dots, pairs(0), dims)


def test_weights_that_do_not_fit_are_rejected():
    with pytest.raises(ValueError, match="weights: expected one for each of 2 dims, got 1"):
        matryoshka(dots, pairs(0), [6, 3], [1])


# ---- parity with sentence-transformers ----------------------------------------------------------

@sources
def test_parity_with_matryoshka_loss_around_cosent_and_margin_mse(source):
    """Margin-MSE is of dot products, so it shows that each prefix is normalised."""
    def scored(views):
        return cosent(*views, INPUTS["scores"])

    def taught(views):
        s, back_s = score_rows(*views)
        loss, backward = margin_mse(s, INPUTS["teacher"])
        return loss, lambda: back_s(backward())
    for name, inner, views in (("matryoshka", scored, "uv"),
                               ("matryoshka_margin_mse", taught, "uvw")):
        loss, backward = matryoshka(inner, [INPUTS[view] for view in views], DIMS, WEIGHTS)
        assert_equal_to(source(), name, loss, backward())

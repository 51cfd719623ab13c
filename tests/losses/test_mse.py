"""Mean squared error: worked by hand, its gradient, invariances, parity with torch."""
import numpy as np
import pytest
from hypothesis import given

from scratch_embed.losses.mse import mse
from scratch_embed.nn.gradcheck import check_backward
from tests.rounding import dtypes, seeds, u32


def some(seed, dtype=np.float64):
    """s, y (3, 2): scores and labels."""
    return np.random.default_rng(seed).standard_normal((2, 3, 2)).astype(dtype)


@dtypes
def test_two_scores_worked_by_hand(dtype):
    """Errors 0.5 and −2: L = (0.25 + 4)/2, ds = (0.5, −2)."""
    loss, backward = mse(np.array([1.5, 1], dtype), np.array([1, 3], dtype))
    assert loss == 2.125
    ds = backward()
    assert ds.dtype == dtype and ds.tolist() == [0.5, -2] and backward(3.0).tolist() == [1.5, -6]


@given(seeds)
def test_backward_is_the_derivative(seed):
    s, y = some(seed)
    check_backward(lambda s: mse(s, y), s)


@given(seeds)
def test_a_shift_of_both_changes_nothing_and_a_scale_counts_twice(seed):
    s, y = some(seed)
    loss, backward = mse(s, y)
    assert mse(s + 7, y + 7)[0] == pytest.approx(loss)
    assert mse(3 * s, 3 * y)[0] == pytest.approx(9 * loss)
    assert mse(y, y)[0] == 0 and not mse(y, y)[1]().any()
    np.testing.assert_allclose(mse(y, s)[1](), -backward())


@given(seeds)
def test_float32_equals_float64_up_to_rounding(seed):
    s, y = some(seed, np.float32)
    (loss, backward), (loss64, backward64) = mse(s, y), mse(s.astype(float), y.astype(float))
    size = abs(s).max() + abs(y).max()
    assert abs(loss - loss64) <= 4 * u32 * size**2
    assert abs(backward() - backward64()).max() <= 4 * u32 * size


@pytest.mark.parametrize("s, y", [((3,), (2,)), ((3,), (3, 1)), ((0,), (0,))])
def test_shapes_that_do_not_match_are_rejected(s, y):
    with pytest.raises(ValueError, match="mse: expected scores and labels of one shape"):
        mse(np.ones(s), np.ones(y))


def test_parity_with_torch():
    torch = pytest.importorskip("torch")
    s, y = some(1)
    x = torch.tensor(s, requires_grad=True)
    theirs = torch.nn.functional.mse_loss(x, torch.tensor(y))
    theirs.backward()
    loss, backward = mse(s, y)
    assert loss == pytest.approx(theirs.item(), rel=1e-12)
    np.testing.assert_allclose(backward(), x.grad, rtol=1e-12)

"""The gradient check accepts right gradients and rejects wrong ones, at any scale."""
import numpy as np
import pytest

from scratch_embed.nn.gradcheck import check_backward, check_loss, check_parameters
from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Params
from scratch_embed.nn.softmax import softmax

X = np.random.default_rng(0).standard_normal((3, 5))


def params():
    p = Params({"l.weight": (4, 5), "l.bias": (4,)}, np.float64)
    p.flat[:] = np.random.default_rng(1).standard_normal(p.flat.size)
    return p


def scaled(f, forward, backward):
    """f with its output multiplied by `forward` and its gradient by `backward`."""
    def g(x):
        y, back = f(x)
        return forward * y, lambda dy: backward * back(dy)
    return g


@pytest.mark.parametrize("scale", [1e-7, 1, 1e7])
def test_a_right_gradient_passes_and_a_gradient_of_zeros_fails_at_any_scale(scale):
    check_backward(scaled(softmax, scale, scale), X)
    with pytest.raises(AssertionError, match="backward gives 0, finite differences"):
        check_backward(scaled(softmax, scale, 0), X)


@pytest.mark.parametrize("factor", [-1, 0.5, 1 + 1e-4])
def test_a_gradient_times_a_wrong_factor_is_rejected(factor):
    with pytest.raises(AssertionError, match="backward gives"):
        check_backward(scaled(softmax, 1, factor), X)


def test_a_strongly_curved_function_is_no_error():
    """sin 10⁴ x: at ± h v the difference is wrong by (10⁴ h v)²/6, here about 3e-5."""
    def f(x):
        return np.sin(1e4 * x), lambda u: 1e4 * np.cos(1e4 * x) * u

    def wrong(x):
        return np.sin(1e4 * x), lambda u: 1e4 * np.cos(1e4 * x) * u * (1 + 1e-5)
    check_backward(f, np.zeros(1))
    with pytest.raises(AssertionError, match="1.00001"):
        check_backward(wrong, np.zeros(1))


def test_one_wrong_number_among_many_is_found():
    def square(x):
        def backward(dy):
            dx = 2 * x * dy
            dx[1, 3] *= 1.01
            return dx
        return x * x, backward
    with pytest.raises(AssertionError, match="backward gives"):
        check_backward(square, X)


def test_a_softmax_gradient_without_its_sum_is_rejected():
    def broken(s):
        p, _ = softmax(s)
        return p, lambda dp: p * dp
    with pytest.raises(AssertionError, match="backward gives"):
        check_backward(broken, X)


def test_gradients_of_two_inputs_in_the_wrong_order_are_rejected():
    def product(a, b):
        return a * b, lambda dy: (dy * b, dy * a)

    def exchanged(a, b):
        return a * b, lambda dy: (dy * a, dy * b)
    check_backward(product, X, X + 1)
    with pytest.raises(AssertionError, match="backward gives"):
        check_backward(exchanged, X, X + 1)


def test_a_gradient_of_another_shape_is_rejected():
    with pytest.raises(AssertionError, match=r"shapes \[\(3, 5\)\], got \[\(3, 1\)\]"):
        check_backward(lambda x: (x, lambda dy: dy[:, :1]), X)


def test_parameters_are_checked_and_restored():
    p = params()
    before = p.flat.copy()
    check_parameters(lambda x, p: linear(x, p, "l"), X, p)
    np.testing.assert_array_equal(p.flat, before)


@pytest.mark.parametrize("forgotten", ["l.weight", "l.bias", "x"])
def test_a_forgotten_gradient_is_named_and_the_parameters_are_restored(forgotten):
    def broken(x, p):
        y, backward = linear(x, p, "l")

        def incomplete(dy, g):
            dx = backward(dy, g)
            if forgotten == "x":
                return 0 * dx
            g[forgotten][...] = 0
            return dx
        return y, incomplete
    p = params()
    before = p.flat.copy()
    with pytest.raises(AssertionError, match="backward gives") as error:
        check_parameters(broken, X, p)
    assert str(error.value).endswith(f": d({forgotten}) is 0 times what it should be")
    np.testing.assert_array_equal(p.flat, before)


def test_each_tensor_with_a_wrong_gradient_is_named_with_its_factor():
    def broken(x, p):
        y, backward = linear(x, p, "l")

        def wrong_backward(dy, g):
            dx = backward(dy, g)
            g["l.weight"] *= 3
            g["l.bias"] *= -0.5
            return dx
        return y, wrong_backward
    with pytest.raises(AssertionError, match=r"d\(l.weight\) is 3 times what it should "
                       r"be; d\(l.bias\) is -0.5 times what it should be$"):
        check_parameters(broken, X, params())


def test_a_gradient_that_should_be_zero_is_wrong_by_an_infinite_factor():
    """The output does not depend on input 1."""
    with pytest.raises(AssertionError, match=r"d\(input 1\) is inf times what it should be$"):
        check_backward(lambda a, b: (2 * a, lambda dy: (2 * dy, dy)), X, X)


def test_the_gradients_of_frozen_parameters_are_not_checked():
    p = params().freeze(["l.bias"])

    def loss(p):
        y = X @ p["l.weight"].T + p["l.bias"]

        def backward(g):
            g["l.weight"] += (2 * y).T @ X
        return (y * y).sum(), backward
    check_loss(loss, p)


@pytest.mark.parametrize("wrong_factor", [0, 2])
def test_a_loss_is_checked_in_all_parameters(wrong_factor):
    def loss(p, factor=1):
        y, backward = linear(X, p, "l")
        return (y * y).sum(), lambda g: backward(factor * 2 * y, g)
    p = params()
    before = p.flat.copy()
    check_loss(loss, p)
    with pytest.raises(AssertionError, match="backward gives"):
        check_loss(lambda p: loss(p, wrong_factor), p)
    np.testing.assert_array_equal(p.flat, before)

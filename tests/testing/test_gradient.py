"""check_gradient: faulty and correct backward passes."""
import numpy as np
import pytest

from scratch_embed.nn.softmax import cross_entropy_numpy
from scratch_embed.testing import GRADIENT, check_gradient
from tests.testing.broken_functions import assert_broken

X = np.random.default_rng(0).standard_normal((4, 3))
W = np.random.default_rng(1).standard_normal((2, 3))


def linear(dx=lambda dy: dy @ W, dw=lambda dy, x: dy.T @ x):
    """The function y = x wᵀ, with dx and dw as its backward."""
    def f(x, w):
        return x @ w.T, lambda dy: (dx(dy), dw(dy, x))
    return f


def adds_up():
    """x² with a backward that adds to the result of the previous call."""
    total = np.zeros_like(X)

    def f(x):
        def backward(dy):
            nonlocal total
            total = total + 2 * x * dy
            return total
        return x**2, backward
    return f


def overwrites(x):
    """x² with a backward that changes dy."""
    y = x**2

    def backward(dy):
        dy *= 2 * x
        return dy
    return y, backward


@pytest.mark.parametrize("f, inputs, names", [
    (linear(dx=lambda dy: 2 * dy @ W), (X, W), "derivative"),
    (linear(dw=lambda dy, x: (dy.T @ x).T), (X, W), "shapes derivative"),
    (linear(dw=lambda dy, x: 0 * W), (X, W), "derivative"),
    (lambda x: (x**2, lambda dy: 2 * x), (X,), "derivative linear"),
    (lambda x: ((x**2).sum(), lambda dy: 2 * x), (X,), "derivative linear"),
    (overwrites, (X,), "repeatable linear"),
    (lambda x, w: (x @ w.T, lambda dy: dy @ W), (X, W), "shapes derivative")])
def test_the_broken_invariants_of_a_faulty_function_are_found(f, inputs, names):
    assert_broken(names, check_gradient, GRADIENT, f, *inputs)


def test_the_message_names_the_input_and_the_factor():
    with pytest.raises(AssertionError, match=r"d\(w\) is 0.5 times what it should be"):
        check_gradient(linear(dw=lambda dy, x: dy.T @ x / 2), X, W, names=["x", "w"])


def test_a_backward_that_adds_to_its_last_result_breaks_repeatable():
    with pytest.raises(AssertionError, match="'repeatable'"):
        check_gradient(adds_up(), X, without=("derivative", "linear"))


def test_correct_gradients_pass():
    check_gradient(linear(), X, W)
    check_gradient(lambda s: cross_entropy_numpy(s, np.array([0, 2, 1, 1])), X)
    check_gradient(lambda x: (np.sin(x), lambda dy: dy * np.cos(x)), 0.3)


def test_the_number_of_names_must_be_that_of_the_inputs():
    with pytest.raises(ValueError, match="one for each of 2 inputs"):
        check_gradient(linear(), X, W, names=["x"])

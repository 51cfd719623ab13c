"""GradCache: worked by hand, equal to all sub-batches at once, and how little it keeps."""
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.losses.grad_cache import encode_in_sub_batches
from scratch_embed.losses.infonce import infonce
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, apply_dropout
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Normal, Params, init_params, linear_tensors
from tests.rounding import seeds

D, E = 5, 4
TENSORS = linear_tensors("w", E, D, Normal(0.5))
sizes = st.integers(1, 12)


def encoder(x, p, dropout=NO_DROPOUT):
    """encode(rows, number): a linear layer and dropout, with a mask for each sub-batch."""
    def encode(rows, number):
        h, back_h = linear(x[rows], p, "w")
        y, back_y = apply_dropout(h, dropout.at(number))

        def backward(dy, g):
            back_h(back_y(dy), g)
        return y, backward
    return encode


def inputs(seed, N):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((N, D)), rng.standard_normal((N, E)), init_params(TENSORS, seed,
                                                                                  float)


# ---- its value and gradient ----------------------------------------------------------------------

def test_three_examples_in_two_sub_batches_worked_by_hand():
    """y_n = w x_n, so dw = Σ_n dy_n x_n = 1·10 + 2·20 + 4·30 = 170."""
    x, calls = np.array([[10.0], [20], [30]]), []

    def encode(rows, number):
        calls.append((rows.tolist(), number))

        def backward(dy, g):
            g["w"] += (dy * x[rows]).sum(0)
        return 3 * x[rows], backward
    y, backward = encode_in_sub_batches(encode, N=3, size=2)
    g = Params({"w": (1,)}, float)
    backward(np.array([[1.0], [2], [4]]), g)
    assert y.tolist() == [[30], [60], [90]] and g["w"] == [170]
    assert calls == [([0, 1], 0), ([2], 1)] * 2              # once for y, once for the gradient
    backward(np.array([[1.0], [2], [4]]), g)                 # backward adds, and can be repeated
    assert g["w"] == [340]


@given(seeds, sizes, sizes)
def test_it_equals_the_whole_batch_without_dropout(seed, N, size):
    """Up to rounding: the sums of the gradient are split, each has at most N D terms."""
    x, dy, p = inputs(seed, N)
    whole, back_whole = encoder(x, p)(np.arange(N), 0)
    y, backward = encode_in_sub_batches(encoder(x, p), N, size)
    np.testing.assert_allclose(y, whole, rtol=0, atol=1e-14)
    a, b = p.like(), p.like()
    back_whole(dy, a)
    backward(dy, b)
    np.testing.assert_allclose(a.flat, b.flat, rtol=0, atol=1e-12)


@given(seeds, sizes, sizes)
def test_with_dropout_it_equals_the_same_sub_batches_with_their_activations_kept(seed, N, size):
    """The masks of the second time are those of the first, so the bits are equal."""
    x, dy, p = inputs(seed, N)
    results = []
    for recompute in True, False:
        y, backward = encode_in_sub_batches(encoder(x, p, Dropout(0.3, seed)), N, size, recompute)
        g = p.like()
        backward(dy, g)
        results.append((y, g.flat))
    np.testing.assert_array_equal(*(y for y, _ in results))
    np.testing.assert_array_equal(*(g for _, g in results))


@given(seeds, st.integers(2, 6), sizes)
def test_the_gradient_of_a_contrastive_loss_is_its_derivative(seed, N, size):
    """The loss compares all vectors, although only `size` of them are encoded at a time."""
    x, _, p = inputs(seed, 2 * N)

    def loss(p):
        y, back = encode_in_sub_batches(encoder(x, p, Dropout(0.2, 7)), 2 * N, size)
        value, back_loss = infonce(y[:N], y[N:], 0.5)

        def add_gradients(g):
            dq, dk, _ = back_loss()
            back(np.concatenate([dq, dk]), g)
        return value, add_gradients
    check_loss(loss, p)


# ---- what it keeps -------------------------------------------------------------------------------

class Activations:
    """Stands for the activations of a sub-batch; counts how many of them exist."""

    alive = 0

    def __init__(self):
        Activations.alive += 1
        weakref.finalize(self, Activations.freed)

    @staticmethod
    def freed():
        Activations.alive -= 1


@pytest.mark.parametrize("recompute, most", [(True, 1), (False, 4)])
def test_the_activations_of_one_sub_batch_are_kept_at_a_time(recompute, most):
    found = []

    def encode(rows, number):
        found.append(Activations.alive)                  # of the sub-batches before this one
        activations = Activations()
        return np.ones((len(rows), 1)), lambda dy, g: activations
    y, backward = encode_in_sub_batches(encode, 8, 2, recompute)
    after_forward = Activations.alive
    backward(y, None)
    assert max(found) + 1 == most and after_forward == (0 if recompute else 4)


# ---- errors --------------------------------------------------------------------------------------

@pytest.mark.parametrize("N, size", [(0, 1), (3, 0), (3, -1)])
def test_an_empty_batch_or_sub_batch_is_rejected(N, size):
    with pytest.raises(ValueError, match="at least 1 example, in sub-batches of at least 1"):
        encode_in_sub_batches(encoder(*inputs(0, 3)[::2]), N, size)

"""Is a hand-written backward pass the derivative of its forward pass?

Equation  ⟨u, J v⟩ = ⟨Jᵀ u, v⟩ for random u and v,  J the Jacobian of f
          J v ≈ (f(x + h v) − f(x − h v)) / 2h,   Jᵀ u = backward(u)
Cost      two forward passes and one backward, whatever the number of inputs.
Read next tests/nn/test_layers.py (its use)

Finite differences give J v, backward gives Jᵀ u, and one number can be had from both.  One
direction through a million parameters finds a wrong one among them, for the odds that random
numbers hide it are nil.  u and v are random, and not ones: softmax and layer norm have Jᵀ 1 = 0, so
a backward that returned zeros would pass.  The difference is measured against the terms that were
summed, not against 1, so that a loss times 10⁻⁷ is checked as strictly.

In float64 only.  Differences of float32 numbers have no digits left; a float32 kernel is held
against its float64 form instead.
"""
from collections.abc import Callable

import numpy as np

from scratch_embed.nn.params import Params


def check_backward(f: Callable, *inputs: np.ndarray, h: float = 1e-5, rtol: float = 1e-6,
                   seed: int = 0) -> None:
    """Raise AssertionError unless f's backward is its derivative at float64 inputs.

    f(*inputs) -> (y, backward), backward(u) -> an array, or a tuple of one for each input.
    """
    rng = np.random.default_rng(seed)
    inputs = [np.asarray(x, np.float64) for x in inputs]
    y, backward = f(*inputs)
    u = rng.standard_normal(np.shape(y))
    v = [rng.standard_normal(x.shape) for x in inputs]

    grads = backward(u)
    grads = grads if isinstance(grads, tuple) else (grads,)
    found, expected = [np.shape(g) for g in grads], [x.shape for x in inputs]
    assert found == expected, f"gradients of shapes {found} for inputs of shapes {expected}"
    analytic = sum(np.sum(g * d) for g, d in zip(grads, v))

    ahead, _ = f(*(x + h * d for x, d in zip(inputs, v)))
    behind, _ = f(*(x - h * d for x, d in zip(inputs, v)))
    numeric = np.sum(u * (ahead - behind)) / (2 * h)

    size = abs(numeric) + sum(np.abs(g * d).sum() for g, d in zip(grads, v))
    assert abs(analytic - numeric) <= rtol * size, (
        f"backward says {analytic:.9g}, differences say {numeric:.9g}, of terms that sum to "
        f"{size:.3g}")


def check_parameters(f: Callable, x: np.ndarray, p: Params, seed: int = 0) -> None:
    """The same for f(x, p) -> (y, backward(dy, g) -> dx), in x and in all of p at once."""
    before = p.flat.copy()

    def of_both(x, flat):
        p.flat[:] = flat
        y, backward = f(x, p)

        def pull(dy):
            g = p.like()
            dx = backward(dy, g)
            return dx, g.flat
        return y, pull
    try:
        check_backward(of_both, x, before, seed=seed)
    finally:
        p.flat[:] = before


def check_loss(f: Callable, p: Params, seed: int = 0) -> None:
    """The same for a whole model, f(p) -> (loss, backward(g)), in all of p."""
    before = p.flat.copy()

    def of_flat(flat):
        p.flat[:] = flat
        loss, backward = f(p)

        def pull(dloss):
            g = p.like()
            backward(g)
            return g.flat * dloss
        return loss, pull
    try:
        check_backward(of_flat, before, seed=seed)
    finally:
        p.flat[:] = before

"""Gradient check: compares a backward pass with finite differences of its forward pass.

Equation  ⟨u, J v⟩ = ⟨Jᵀ u, v⟩ for random u and v,  J the Jacobian of f
          J v ≈ (f(x + h v) − f(x − h v)) / 2h,   Jᵀ u = backward(u)
Cost      three forward passes and one backward pass, for any number of inputs; if these differ,
          four more forward passes, and if the check fails four more for each input
Read next tests/nn/test_layers.py (an example of its use)

Finite differences give J v, backward gives Jᵀ u, and both give the number ⟨u, J v⟩.  One random
direction checks all parameters at once: the error of a gradient is multiplied by a random number,
which is almost never 0, so it is detected if it exceeds the tolerance.  u is random instead of ones
because softmax and the x̂ of layer norm have Jᵀ 1 = 0: a backward that returned zeros would pass.
The tolerance is relative to the terms that are summed, so a loss that is multiplied by 10⁻⁷ is
checked as strictly.

The error of the difference is proportional to h² and to f's third derivative, and for a strongly
curved f it can exceed the tolerance.  Then the difference D(h) is combined with D(2h) so that the
terms in h² cancel, (4 D(h) − D(2h))/3, whose error is of order h⁴ (Richardson's extrapolation).

The check runs in float64: in float32 a difference of two losses keeps too few digits.  A float32
kernel is compared with its float64 form instead.

If the check fails, each input is varied alone.  The message names the inputs whose gradient is
wrong, each with the ratio of Jᵀ u · v to u · J v: a forgotten 1/N is easy to recognise.
"""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.params import Params


def check_backward(f: Callable, *inputs: np.ndarray, h: float = 1e-5, rtol: float = 1e-6,
                   seed: int = 0, names: Sequence[str] | None = None) -> None:
    """Raise AssertionError if f's backward differs from finite differences of f, in float64.

    f(*inputs) -> (y, backward), backward(u) -> a gradient, or a tuple of one per input.
    names: the inputs' names, for the message; by default "input 0" and so on.
    """
    rng = np.random.default_rng(seed)
    inputs = [np.asarray(x, np.float64) for x in inputs]
    y, backward = f(*inputs)
    u = rng.standard_normal(np.shape(y))
    v = [rng.standard_normal(x.shape) for x in inputs]

    grads = backward(u)
    grads = grads if isinstance(grads, tuple) else (grads,)
    found, expected = [np.shape(g) for g in grads], [x.shape for x in inputs]
    assert found == expected, f"expected gradients of shapes {expected}, got {found}"

    whole = compare(f, inputs, grads, u, v, h)
    if not whole.agrees(rtol):
        whole = extrapolated(f, inputs, grads, u, v, h)
    if whole.agrees(rtol):
        return
    wrong = []
    for i, name in enumerate(names or [f"input {i}" for i in range(len(inputs))]):
        v_alone = [d if i == j else np.zeros_like(d) for j, d in enumerate(v)]
        alone = extrapolated(f, inputs, grads, u, v_alone, h)
        if not alone.agrees(rtol):
            ratio = alone.analytic / alone.numeric if alone.numeric else np.inf
            wrong.append(f"d({name}) is {ratio + 0.0:.6g} times what it should be")  # + 0.0: not -0
    raise AssertionError(
        f"backward gives {whole.analytic:.9g}, finite differences give {whole.numeric:.9g}, of "
        f"terms that sum to {whole.size:.3g}: "
        f"{'; '.join(wrong) or 'the gradient of each input alone is within the tolerance'}")


class Comparison(NamedTuple):
    """⟨Jᵀ u, v⟩ by backward, ⟨u, J v⟩ by differences, and a size for the tolerance."""

    analytic: float
    numeric: float
    size: float                    # |⟨u, J v⟩| + the sum of the absolute terms of ⟨Jᵀ u, v⟩

    def agrees(self, rtol: float) -> bool:
        """Whether both are equal up to rtol · size.  False if one is nan."""
        return bool(abs(self.analytic - self.numeric) <= rtol * self.size)


def compare(f: Callable, inputs: Sequence[np.ndarray], grads: Sequence[np.ndarray], u: np.ndarray,
            v: Sequence[np.ndarray], h: float) -> Comparison:
    """The derivative of ⟨u, f⟩ along v, computed in both ways.  grads: Jᵀ u for each input."""
    analytic = sum(np.sum(g * d) for g, d in zip(grads, v))
    ahead, _ = f(*(x + h * d for x, d in zip(inputs, v)))
    behind, _ = f(*(x - h * d for x, d in zip(inputs, v)))
    numeric = np.sum(u * (ahead - behind)) / (2 * h)
    return Comparison(analytic, numeric,
                      abs(numeric) + sum(np.abs(g * d).sum() for g, d in zip(grads, v)))


def extrapolated(f: Callable, inputs: Sequence[np.ndarray], grads: Sequence[np.ndarray],
                 u: np.ndarray, v: Sequence[np.ndarray], h: float) -> Comparison:
    """compare() with (4 D(h) − D(2h))/3 as the difference."""
    near, far = (compare(f, inputs, grads, u, v, step) for step in (h, 2 * h))
    return near._replace(numeric=(4 * near.numeric - far.numeric) / 3)


def check_parameters(f: Callable, x: np.ndarray, p: Params, seed: int = 0) -> None:
    """Check the gradients of a layer f(x, p) -> (y, backward) in x and all trainable tensors of p.

    backward(dy, g) -> dx, as in nn/contract.py.  The message names the tensors whose
    gradients are wrong.
    """
    def with_vjp(x):
        y, backward = f(x, p)

        def vjp(dy):
            g = p.like()
            dx = backward(dy, g)
            return dx, g
        return y, vjp
    _check_with(with_vjp, p, [x], ["x"], seed)


def check_loss(f: Callable, p: Params, seed: int = 0) -> None:
    """Check the gradients of a loss f(p) -> (loss, backward) in all trainable tensors of p.

    backward(g) adds the gradients to g.
    """
    def with_vjp():
        loss, backward = f(p)

        def vjp(dloss):
            g = p.like()
            backward(g)
            g.flat *= dloss
            return (g,)
        return loss, vjp
    _check_with(with_vjp, p, [], [], seed)


def _check_with(f, p, inputs, names, seed):
    """Run check_backward on f's inputs and the trainable tensors of p, then restore p.

    f(*inputs) -> (y, vjp); vjp(dy) -> Jᵀ dy, the gradients of all inputs and a Params of gradients.
    """
    views, before = p.trainable_views(), p.flat.copy()

    def of_arrays(*arrays):
        for view, array in zip(views.values(), arrays[len(inputs):]):
            view[...] = array
        y, vjp = f(*arrays[:len(inputs)])

        def backward(dy):
            *grads, g = vjp(dy)
            return (*grads, *(g[name] for name in views))
        return y, backward
    try:
        check_backward(of_arrays, *inputs, *(view.copy() for view in views.values()), seed=seed,
                       names=[*names, *views])
    finally:
        p.flat[:] = before

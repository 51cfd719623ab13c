"""check_gradient: is a hand-written backward pass the derivative of its forward pass?

Equation  ⟨u, J v⟩ = ⟨Jᵀ u, v⟩ for random u and v,  J the Jacobian of f
Shapes    f(*inputs) -> (y, backward); backward(dy) -> the gradient of each input, as a tuple,
          or an array if there is one input.  y: a number or an array; dy: of y's shape.
Bounds    A central difference with step h = 1e-5 in float64 has an error of about h² = 1e-10 times
          the third derivative, and u/h ≈ 1e-11 times the value (u = 2⁻⁵³).  rtol = 1e-6 of the
          summed terms allows both.
Read next nn/gradcheck.py (the comparison, and why the directions are random and not all ones)

To check a library's function grad(*x), pass `lambda *x: (f(*x), lambda dy: dy * grad(*x))`.
"""
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.testing.invariants import Invariant, close, equal, named, require, run


class Differentiable(NamedTuple):
    """The subject of the check: a function that returns (y, backward), and its inputs."""

    f: Callable[..., Any]
    inputs: list[np.ndarray]
    names: list[str]
    rtol: float

    def gradients(self, dy: Any) -> tuple:
        """backward(dy) as a tuple."""
        _, backward = self.f(*(x.copy() for x in self.inputs))
        return _tuple(backward(dy))

    def random_dy(self, seed: int) -> Any:
        """Draw normal numbers of y's shape."""
        y, _ = self.f(*(x.copy() for x in self.inputs))
        return np.random.default_rng(seed).standard_normal(np.shape(y))


def check_gradient(f: Callable[..., Any], *inputs: Any, names: Sequence[str] | None = None,
                   rtol: float = 1e-6, without: Collection[str] = (),
                   max_examples: int | None = 10, seed: int | None = 0) -> None:
    """Raise AssertionError unless f's backward is its derivative and satisfies GRADIENT.

    f(*inputs) -> (y, backward); backward(dy) -> a gradient for each input.  inputs: numbers or
    arrays, converted to float64; f must be smooth at them.  f is checked only at these inputs, in
    max_examples random directions.  names: names of the inputs for the message.
    If backward supports only dy = 1, pass without=("linear",).
    without: invariants to leave out; seed: see scratch_embed/testing/README.md.

    >>> def mean_square(x, w):
    ...     y = x @ w
    ...     return (y**2).mean(), lambda dy: (dy * 2 * y[:, None] * w, dy * 2 * y @ x)    # no 1/N
    >>> check_gradient(mean_square, [[1., 2.], [3., 4.]], [1., -1.], names=["x", "w"])
    Traceback (most recent call last):
    AssertionError: check_gradient: the invariant 'derivative' is broken: ...
      found     ... d(x) is 2 times what it should be; d(w) is 2 times what it should be
    ...
    """
    arrays = [np.asarray(x, np.float64) for x in inputs]
    input_names = [f"input {i}" for i in range(len(inputs))] if names is None else list(names)
    if len(input_names) != len(arrays):
        raise ValueError(f"names: expected one for each of {len(arrays)} inputs, got "
                         f"{input_names}")
    run("check_gradient", GRADIENT, Differentiable(f, arrays, input_names, rtol),
        without, max_examples, seed)


# ---- the invariants -----------------------------------------------------------------------------

def shapes(subject, seed):
    """backward returns a gradient for each input, of the input's shape.

    Bound: exact.
    """
    found = subject.gradients(subject.random_dy(seed))
    equal("number of gradients", len(found), len(subject.inputs))
    for name, x, dx in zip(subject.names, subject.inputs, found):
        equal(f"shape of d({name})", np.shape(dx), x.shape)


def repeatable(subject, seed):
    """backward returns the same when called again, and changes neither inputs nor dy.

    Bound: exact.  A backward that adds into its gradients, or overwrites what it saved, breaks it.
    """
    inputs, dy = [x.copy() for x in subject.inputs], subject.random_dy(seed)
    dy_before, (_, backward) = np.copy(dy), subject.f(*inputs)
    first = [np.copy(dx) for dx in _tuple(backward(dy))]
    for name, dx, dx_again in zip(subject.names, first, _tuple(backward(dy))):
        equal(f"d({name}), called again", np.asarray(dx_again), dx)
    for name, x, before in zip(subject.names, inputs, subject.inputs):
        equal(f"{name} after the calls", x, before)
    equal("dy after the calls", np.asarray(dy), dy_before)


def derivative(subject, seed):
    """⟨backward(u), v⟩ is the derivative of ⟨u, f⟩ along v, for random u and v.

    Bound: rtol = 1e-6 times the sum of the terms' absolute values; see Bounds in gradient.py.
    """
    try:
        check_backward(subject.f, *subject.inputs, rtol=subject.rtol, seed=seed,
                       names=subject.names)
    except AssertionError as error:
        require(False, str(error), "gradients equal to central differences")


def linear(subject, seed):
    """backward(c · dy) = c · backward(dy): the gradient is proportional to dy.

    Bound: 1e-12 times the gradient's largest absolute value.  A backward that ignores dy breaks it.
    """
    dy = subject.random_dy(seed)
    for name, once, scaled in zip(subject.names, subject.gradients(dy), subject.gradients(-3 * dy)):
        close(f"d({name}) for -3 dy", scaled, -3 * np.asarray(once),
              1e-12 * abs(np.asarray(once)).max(initial=1e-300))


def _tuple(gradients):
    return gradients if isinstance(gradients, tuple) else (gradients,)


_seeds = st.tuples(st.integers(0, 2**32 - 1))
GRADIENT = named(Invariant(shapes, _seeds), Invariant(repeatable, _seeds),
                 Invariant(derivative, _seeds), Invariant(linear, _seeds))

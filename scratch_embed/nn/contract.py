"""The contract of differentiable functions: the forward pass returns a value and its backward.

    without parameters    y, backward = f(x)             dx = backward(dy)
    with parameters       y, backward = f(x, p, name)    dx = backward(dy, g)
    a loss                loss, backward = f(x)          dx = backward(dloss=1.0)

dx means dL/dx.  A backward returns one gradient for each differentiable input: a tuple if there are
several inputs (attention: dq, dk, dv), None if there is none (embedding: its input is integer ids).
g holds gradients under p's names, and backward ADDS to them.  So if a function is called twice
(SimCSE, CLIP), each call has its own backward; if a weight is used twice (tied embeddings), its
gradients are summed.  A tensor whose name is not in g is frozen: its gradient is not stored.

A backward is a closure over the variables of its forward pass, so there is no tape and no other
state, and it may be called more than once.  At inference, discard backward: its saved activations
are freed.  Arguments are not changed, except g (and in attention_weights, as its docstring says).
A backward may return the same array twice (residual) or dy itself: never write to its results.

If a function has a kernel, the kernel runs for float32 and the function's NumPy form for all other
types; tests compare the two.
"""
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from scratch_embed.nn.params import Params

Gradients: TypeAlias = tuple[np.ndarray, ...]                      # one gradient for each input

Backward: TypeAlias = Callable[[np.ndarray], np.ndarray]           # dx = backward(dy)
BackwardEach: TypeAlias = Callable[[np.ndarray], Gradients]        # dq, dk, dv = backward(dy)
ParamBackward: TypeAlias = Callable[[np.ndarray, Params], np.ndarray]        # dx = backward(dy, g)
ParamBackwardEach: TypeAlias = Callable[[np.ndarray, Params], Gradients]     # dx, dr = ...
ParamOnlyBackward: TypeAlias = Callable[[np.ndarray, Params], None]          # backward(dy, g)
LossBackward: TypeAlias = Callable[..., np.ndarray]                # dx = backward(dloss=1.0)
LossBackwardEach: TypeAlias = Callable[..., Gradients]             # dq, dk = backward(dloss=1.0)

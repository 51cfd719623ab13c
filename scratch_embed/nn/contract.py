"""The one contract of everything that learns: a forward pass returns its backward pass.

    without parameters    y, backward = f(x)             dx = backward(dy)
    with parameters       y, backward = f(x, p, name)    dx = backward(dy, g)
    a loss                loss, backward = f(x)          dx = backward(dloss=1.0)

dx is dL/dx always.  A backward returns one gradient for each input that can have one: a tuple where
there are several (attention: dq, dk, dv), None where there is none (an embedding: ids do not move).
g holds gradients under p's names, and backward ADDS into it: a function that is called twice
(SimCSE, CLIP) returns two backwards, and a weight that is used twice (tied embeddings) sums.  A
name that g lacks is a frozen tensor: its gradient is not computed.

A backward is a closure over the variables of its forward pass, so there is no tape and no state; it
may be called more than once.  At inference, discard it, and the activations that it holds are
freed.  Nothing that is passed in is changed, except g.  Two gradients that are equal may be one
array (residual), or be dy itself: never write into what a backward returned.

float64 runs the NumPy form, float32 the kernel under it; a test equates each pair.
"""
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from scratch_embed.nn.params import Params

Gradients: TypeAlias = tuple[np.ndarray, ...]                      # one for each input

Backward: TypeAlias = Callable[[np.ndarray], np.ndarray]           # dx = backward(dy)
BackwardEach: TypeAlias = Callable[[np.ndarray], Gradients]        # dq, dk, dv = backward(dy)
ParamBackward: TypeAlias = Callable[[np.ndarray, Params], np.ndarray]        # dx = backward(dy, g)
ParamBackwardEach: TypeAlias = Callable[[np.ndarray, Params], Gradients]     # dx, dr = ...
ParamOnlyBackward: TypeAlias = Callable[[np.ndarray, Params], None]          # backward(dy, g)
LossBackward: TypeAlias = Callable[..., np.ndarray]                # dx = backward(dloss=1.0)
LossBackwardEach: TypeAlias = Callable[..., Gradients]             # dq, dk = backward(dloss=1.0)

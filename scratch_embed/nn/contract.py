"""The one contract of everything that learns.

    without parameters    y, backward = f(x)             dx = backward(dy)
    with parameters       y, backward = f(x, p, name)    dx = backward(dy, g)

dx is dL/dx always.  g holds gradients under p's names, and backward ADDS into it: a function that
is called twice (SimCSE, CLIP) returns two backwards, and a weight that is used twice (tied
embeddings) sums.  A backward is a closure over the variables of its forward pass, so there is no
tape to learn and no state to keep; it may be called more than once.  Who does not learn drops it,
and the activations that it holds are freed.  Nothing that is passed in is changed, but for g.

float64 runs the NumPy form, float32 the kernel beneath it; a test holds each pair together.
"""
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

Backward: TypeAlias = Callable[[np.ndarray], np.ndarray]           # dx = backward(dy)
Learning: TypeAlias = Callable[..., np.ndarray]                    # dx = backward(dy, g)

"""GradCache: the gradient of a large batch in the memory of a small one.

Paper     Gao, Zhang, Han & Callan 2021, "Scaling Deep Contrastive Learning Batch Size under Memory
          Limited Setup", section 3.
Equation  ∂L/∂θ = Σ_i (∂y_i/∂θ)ᵀ ∂L/∂y_i,   y_i = encode(sub-batch i)
Shapes    N examples in sub-batches of `size`; y (N, D)
Cost      the forward pass runs twice.  If a backward pass takes as long as two forward passes, a
          step takes 4/3 of the time.  Memory: the activations of one sub-batch, plus y and ∂L/∂y
Differs   from the authors' code, which stores the state of the random generator for each sub-batch.
          Here a dropout mask is a hash of its key (nn/dropout.py), so encode() with the same key
          draws the same mask, and no state is stored.
Read next sentences/sbert.py (which encodes texts), losses/infonce.py (a loss of a whole batch)

A contrastive loss compares every vector with every other, so it is not a sum of the losses of
sub-batches.  But it needs only the vectors, which are small; most memory is taken by the
activations inside the encoder.  So:

1. encode every sub-batch, keep its vectors y_i, discard its activations;
2. compute the loss of all vectors, and ∂L/∂y;
3. encode every sub-batch again, now with its activations, and backpropagate its rows of ∂L/∂y.

Step 3 is the chain rule, one sub-batch at a time.  y_i depends only on θ and on sub-batch i, so the
sum over i is the gradient of the whole batch, not an approximation.
"""
from collections.abc import Callable

import numpy as np

from scratch_embed.nn.contract import ParamOnlyBackward

Encode = Callable[[np.ndarray, int], tuple[np.ndarray, ParamOnlyBackward]]


def encode_in_sub_batches(encode: Encode, N: int, size: int, recompute: bool = True
                          ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Encode N examples, `size` at a time.  -> y (N, D), backward(dy, g), which adds into g.

    encode     (rows (n,), number of the sub-batch) -> y (n, D), backward(dy, g).  Called again with
               the same arguments, it must return the same vectors, so a dropout mask may depend on
               nothing else
    recompute  False: keep the activations of all sub-batches, and encode only once; the gradient is
               the same
    Raises     ValueError unless N and size are at least 1

    >>> from scratch_embed.nn.params import Params
    >>> x, w = np.arange(6.0).reshape(3, 2), np.array([1.0, 2.0])
    >>> def encode(rows, number):
    ...     def backward(dy, g):
    ...         g["w"] += (dy * x[rows]).sum(0)
    ...     return x[rows] * w, backward
    >>> y, backward = encode_in_sub_batches(encode, N=3, size=2)
    >>> g = Params({"w": (2,)}, float)
    >>> backward(np.ones_like(y), g)
    >>> y.tolist(), g["w"].tolist()
    ([[0.0, 2.0], [2.0, 6.0], [4.0, 10.0]], [6.0, 9.0])
    """
    if N < 1 or size < 1:
        raise ValueError(f"expected at least 1 example, in sub-batches of at least 1, got N={N} "
                         f"and size={size}")
    parts = [np.arange(start, min(start + size, N)) for start in range(0, N, size)]
    ys, backs = [], []
    for number, rows in enumerate(parts):
        y, back = encode(rows, number)
        ys.append(y)
        backs.append(None if recompute else back)
        del back                                        # its activations are freed

    def backward(dy, g):
        for number, rows in enumerate(parts):
            back = backs[number] or encode(rows, number)[1]
            back(dy[rows], g)
            del back                                    # before the next sub-batch is encoded
    return np.concatenate(ys), backward

"""Data parallelism: each worker encodes a share of a batch, and backpropagates through that share.

Shapes    one worker: f(rows (n,), worker) -> y (n, D), backward(dy (n, D), g);  all: y (N, D)
Read next sentences/simcse.py, whose loss needs the vectors of the whole batch

If a loss is a sum over texts (transformer/masked_lm.py), each worker computes the loss and the
gradient of its share alone.  A contrastive loss compares every text with every other, so the
workers meet twice: after the forward pass, to put their vectors together, and after the backward
pass, when the gradients of all workers are summed.
"""
from collections.abc import Callable

import numpy as np

from scratch_embed.nn.params import Params
from scratch_embed.text.packed import split_by_tokens


def data_parallel(f: Callable, N: int, workers: int, map: Callable
                  ) -> tuple[np.ndarray, Callable[[np.ndarray, list[Params]], None]]:
    """Call f for each worker's share of the rows 0..N−1.  -> y (N, D), backward(dy, grads).

    map: map(f, items) -> [f(item)], in threads or one after the other.
    backward adds the gradient of worker w's share to grads[w].
    """
    parts = list(enumerate(split_by_tokens(np.arange(N + 1), workers)))
    ys, backs = zip(*map(lambda part: f(part[1], part[0]), parts))

    def backward(dy, grads):
        map(lambda part: backs[part[0]](dy[part[1]], grads[part[0]]), parts)
    return np.concatenate(ys), backward

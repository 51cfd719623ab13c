"""A batch shared out among workers: each encodes its rows, and gets back their gradient.

Shapes    f(rows, worker) -> y (n, D) of the n rows, backward(dy, g);  all together y (N, D)
Read next sentences/simcse.py, which needs all vectors of a batch before it knows a loss

Where a loss is a sum over texts (transformer/masked_lm.py) a worker can go through all of its share
alone.  A contrastive loss compares every text with every other: so the workers meet twice, after
the forward pass with their vectors, and at the end, each with a gradient of its own to be summed.
"""
from collections.abc import Callable

import numpy as np

from scratch_embed.nn.params import Params
from scratch_embed.text.packed import split_by_tokens


def in_parts(f: Callable, N: int, workers: int, each: Callable
             ) -> tuple[np.ndarray, Callable[[np.ndarray, list[Params]], None]]:
    """Call f for every worker's part of the rows 0..N−1.  -> y (N, D), backward(dy, grads).

    each: each(f, items) -> [f(item)], in threads or one after the other.  backward adds worker w's
    share into grads[w].
    """
    parts = list(enumerate(split_by_tokens(np.arange(N + 1), workers)))
    ys, backs = zip(*each(lambda part: f(part[1], part[0]), parts))

    def backward(dy, grads):
        each(lambda part: backs[part[0]](dy[part[1]], grads[part[0]]), parts)
    return np.concatenate(ys), backward

"""Matryoshka: a loss summed over prefixes of the vectors, so that prefixes are good vectors too.

Paper     Kusupati et al. 2022, "Matryoshka Representation Learning", eq. 1.
Equation  L = Σ_d w_d loss(y_1[:d]/‖y_1[:d]‖, y_2[:d]/‖y_2[:d]‖, …)   for d in dims
Shapes    views y_1, y_2, … (N, E): the vectors of queries, positives, …; dims in 1..E
Cost      the encoder runs once, the loss once for each of dims
Differs   from eq. 1, which classifies images, with a matrix for each prefix; a loss that compares
          vectors needs none.  sentence-transformers (MatryoshkaLoss) computes the same sum
Read next space/compress.py (PCA, the other way to short vectors), sentences/objectives.py

Why train prefixes?  A vector of 1,024 numbers costs four times the memory and search time of one of
256.  If a model is trained only on full vectors, nothing makes the first 256 numbers more useful
than the others.  Here they are trained to work alone, and the others to add what is missing.  One
model then serves several sizes, and a search may find candidates with short vectors and rank them
with long ones.

Why is each prefix normalised again?  A prefix of a vector of norm 1 has a smaller norm, which
differs from text to text.  Cosines do not depend on it, but dot products and distances do.  A
search with truncated vectors normalises them again, so training does too.

What do the weights change?  The sum counts an early number once for every prefix that contains it,
so with equal weights, the default, early numbers receive most of the gradient.

Gradient.  Backpropagation through each normalisation gives a gradient for each prefix; it is added
to the first d columns:   dy_v[:d] += ∂(w_d loss_d)/∂y_v[:d].
"""
from collections.abc import Callable, Sequence

import numpy as np

from scratch_embed.numerics.l2_normalize import l2_normalize

LossOfPrefixes = Callable[[list[np.ndarray]], tuple[float, Callable]]


def matryoshka(loss: LossOfPrefixes, views: Sequence[np.ndarray], dims: Sequence[int],
               weights: Sequence[float] | None = None) -> tuple[float, Callable]:
    """The weighted sum of the loss of prefixes.  -> L, backward(...) -> dy of each view

    loss     (views) -> L, its backward -> a gradient for each view; further gradients, such as
             that of InfoNCE's τ, are discarded.  backward passes its arguments on to it
    dims     the lengths of the prefixes; the full length E is one only if it is among them
    weights  one for each of dims, by default 1
    Raises   ValueError unless dims are different numbers in 1..E, with as many weights

    >>> from scratch_embed.losses.infonce import infonce
    >>> q, k = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 2.0]])
    >>> L, backward = matryoshka(lambda views: infonce(*views, tau=1.0), [q, k], dims=[2, 1])
    >>> alone = infonce(q, k, tau=1.0)[0]
    >>> round(L - alone, 4)                   # the prefixes of 1 number are all equal: log 2
    0.6931
    """
    weights = [1.0] * len(dims) if weights is None else list(weights)
    require_dims(dims, weights, views[0].shape[1])
    backs = []
    total = 0.0
    for d, weight in zip(dims, weights):
        prefixes, back_prefixes = zip(*(l2_normalize(y[:, :d]) for y in views))
        value, back_loss = loss(list(prefixes))
        total += weight * value
        backs.append((d, weight, back_prefixes, back_loss))

    def backward(*arguments):
        dys = [np.zeros_like(y) for y in views]
        for d, weight, back_prefixes, back_loss in backs:
            for dy, back, du in zip(dys, back_prefixes, back_loss(*arguments)):
                dy[:, :d] += float(weight) * back(du)
        return dys
    return total, backward


def require_dims(dims: Sequence[int], weights: Sequence[float], E: int) -> None:
    """Raise ValueError unless dims are different numbers in 1..E, with as many weights."""
    if not len(dims) or len(set(dims)) != len(dims) or not all(1 <= d <= E for d in dims):
        raise ValueError(f"dims: expected different numbers in 1..{E}, the dimension of the "
                         f"vectors, got {list(dims)}")
    if len(weights) != len(dims):
        raise ValueError(f"weights: expected one for each of {len(dims)} dims, got {len(weights)}")

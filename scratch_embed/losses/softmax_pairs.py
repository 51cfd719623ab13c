"""Softmax classifier of pairs: the label of a pair of texts from [u; v; |u − v|].

Papers    Conneau et al. 2017, "InferSent", fig. 1 (which also has u ∘ v).
          Reimers & Gurevych 2019, "Sentence-BERT", section 3 ("classification objective function").
Equation  x_i = [u_i; v_i; |u_i − v_i|],   s_i = W x_i + b,   L = cross-entropy(s, targets)
Shapes    u, v (N, D), targets (N,) in 0..C−1, W (C, 3D), b (C,): C classes
Cost      O(N·C·D)
Differs   from Sentence-BERT: W has a bias, as in sentence-transformers (SoftmaxLoss).
Read next losses/infonce.py (which compares vectors as a search does, and needs no labels)

Why this form?  It was made for natural language inference: does sentence u entail sentence v,
contradict it, or neither?  |u − v| is small if u and v agree, in every dimension, so a linear
classifier can read similarity from it; [u; v] alone gives a linear classifier W₁u + W₂v, a sum of
two scores that do not depend on each other.

Why is it rare today?  A search compares vectors by their cosine, and the loss does not: W may give
each dimension another weight, and W is discarded after training.  That entailed pairs have a high
cosine is a side effect, which nothing in the loss enforces.

Gradient.  With dx = Wᵀ ds, split into three parts (dx₁, dx₂, dx₃) of size D, and t = sign(u − v):
    du = dx₁ + t dx₃,   dv = dx₂ − t dx₃.
At u = v in a dimension, |u − v| has a kink; sign(0) = 0 is a subgradient.
"""
import numpy as np

from scratch_embed.nn.contract import LossBackwardEach
from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Normal, Params, Tensor, linear_tensors
from scratch_embed.nn.softmax import cross_entropy


def softmax_pairs_tensors(D: int, classes: int, std: float = 0.02) -> dict[str, Tensor]:
    """The tensors of the classifier: classifier.weight (C, 3D) and classifier.bias (C,)."""
    return linear_tensors("classifier", classes, 3 * D, Normal(std))


def softmax_pairs(u: np.ndarray, v: np.ndarray, targets: np.ndarray, p: Params
                  ) -> tuple[float, LossBackwardEach]:
    """Cross-entropy of the labels of N pairs.  u, v: (N, D), targets: (N,) integers -> L.

    backward(dloss, g) -> du, dv; it adds the gradients of classifier.weight and classifier.bias.
    Raises ValueError for shapes that do not match, and for a target that is not one of the classes.

    >>> p = Params({"classifier.weight": (2, 3), "classifier.bias": (2,)}, float)
    >>> p["classifier.weight"][1, 2] = 1                                 # s = (0, |u − v|)
    >>> u, v = np.array([[2.0]]), np.array([[5.0]])
    >>> loss, backward = softmax_pairs(u, v, np.array([1]), p)
    >>> round(loss, 4)                                                   # log(1 + exp(−3))
    0.0486
    """
    D = p["classifier.weight"].shape[1] // 3
    if u.shape != v.shape or u.ndim != 2 or u.shape[1] != D:
        raise ValueError(f"softmax_pairs: expected vectors of pairs, (N, {D}) each, got {u.shape} "
                         f"and {v.shape}")
    if not np.issubdtype(targets.dtype, np.integer):
        raise ValueError(f"softmax_pairs: expected classes as integers from 0, got {targets.dtype}")
    x = np.concatenate([u, v, abs(u - v)], axis=1)                       # (N, 3D)
    s, back_s = linear(x, p, "classifier")                               # (N, C)
    loss, back_loss = cross_entropy(s, targets)

    def backward(dloss, g):
        du, dv, ddifference = np.split(back_s(back_loss(dloss), g), 3, axis=1)
        signed = np.sign(u - v) * ddifference
        return du + signed, dv - signed
    return loss, backward

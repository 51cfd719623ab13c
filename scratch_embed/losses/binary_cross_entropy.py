"""Binary cross-entropy: a score is the log odds that the answer is yes.

Paper     Cox 1958, "The Regression Analysis of Binary Sequences" (logistic regression); as a loss
          of cross-encoders: Nogueira & Cho 2019, "Passage Re-ranking with BERT", section 2.2.
Equation  L = −1/n Σ_i [w y_i log σ(s_i) + (1 − y_i) log(1 − σ(s_i))],   σ(s) = 1/(1 + e^(−s))
Shapes    scores s, labels y in 0..1: of one shape, n numbers in all; w: the weight of a positive
Cost      O(n), so there is no kernel
Read next nn/softmax.py (cross-entropy of several classes), sentences/cross_encoder.py

Why is s a logit and not a probability?  log σ(s) = −softplus(−s) and log(1 − σ(s)) = −softplus(s)
are accurate for any s.  In float32 σ(s) rounds to 1 from s = 18 on, and log(1 − 1) is −∞.

Why a weight?  A query has one positive and many negatives.  If there are k times as many negatives
as positives, w = k gives both kinds the same total weight.

A label may lie between 0 and 1: a degree of similarity, or a teacher's probability.  For w = 1 the
loss is smallest at σ(s) = y.

Gradient.  d softplus(s)/ds = σ(s), so with p = σ(s)
    ds = [(1 − y) p − w y (1 − p)] / n,    which is (p − y)/n for w = 1.
"""
import numpy as np

from scratch_embed.nn.contract import LossBackward
from scratch_embed.numerics.functions import sigmoid, softplus


def binary_cross_entropy(s: np.ndarray, labels: np.ndarray, pos_weight: float = 1.0
                         ) -> tuple[float, LossBackward]:
    """Mean binary cross-entropy of scores.  s, labels: (...) -> L, backward() -> ds (...)

    Raises ValueError unless both have one shape with at least 1 number, and labels are in 0..1.

    >>> loss, backward = binary_cross_entropy(np.log([3.0, 1.0]), np.array([1.0, 0.0]))
    >>> round(loss, 4), backward().tolist()                    # −(log ¾ + log ½)/2
    (0.4904, [-0.125, 0.25])
    """
    y = np.asarray(labels, s.dtype)
    if y.shape != s.shape or not s.size:
        raise ValueError(f"binary_cross_entropy: expected scores and labels of one shape, at least "
                         f"1 of each, got {s.shape} and {y.shape}")
    if not ((0 <= y) & (y <= 1)).all():
        raise ValueError(f"binary_cross_entropy: expected labels in 0..1, got {y.min():g}.."
                         f"{y.max():g}")
    n = s.size
    w = s.dtype.type(pos_weight)
    losses = w * y * softplus(-s) + (1 - y) * softplus(s)

    def backward(dloss=1.0):
        p = sigmoid(s)
        return ((1 - y) * p - w * y * (1 - p)) * s.dtype.type(dloss / n)
    return float(losses.sum(dtype=np.float64) / n), backward

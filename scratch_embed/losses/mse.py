"""Mean squared error: a score should equal its label.

Equation  L = 1/n Σ_i (s_i − y_i)²
Shapes    scores s, labels y: of one shape, n numbers in all
Cost      O(n), so there is no kernel
Read next losses/binary_cross_entropy.py, losses/margin_mse.py (differences of scores)

What is learned?  If labels of the same input vary, E (s − y)² is smallest at s = E y, their mean.
In distillation y is a teacher's score: the student then learns the teacher's scale too, and in
losses/margin_mse.py only its differences.

Gradient.  ds = 2 (s − y) / n.
"""
import numpy as np

from scratch_embed.nn.contract import LossBackward


def mse(s: np.ndarray, labels: np.ndarray) -> tuple[float, LossBackward]:
    """Mean squared error of scores.  s, labels: (...) -> L, backward() -> ds (...)

    Raises ValueError unless both have one shape with at least 1 number.

    >>> loss, backward = mse(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    >>> loss, backward().tolist()
    (2.0, [0.0, 2.0])
    """
    y = np.asarray(labels, s.dtype)
    if y.shape != s.shape or not s.size:
        raise ValueError(f"mse: expected scores and labels of one shape, at least 1 of each, got "
                         f"{s.shape} and {y.shape}")
    n, error = s.size, s - y

    def backward(dloss=1.0):
        return error * s.dtype.type(2 * dloss / n)
    return float((error * error).sum(dtype=np.float64) / n), backward

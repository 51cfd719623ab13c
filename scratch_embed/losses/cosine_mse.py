"""Cosine regression: the cosine of a pair of vectors should equal the pair's score.

Paper     Reimers & Gurevych 2019, "Sentence-BERT", section 3 ("regression objective function").
Equation  L = 1/N Σ_i (c_i − y_i)²,   c_i = cos(u_i, v_i)
Shapes    u, v (N, D) the vectors of N pairs, y (N,) their scores in [−1, 1]
Cost      O(N·D), a few passes over memory, so there is no Numba kernel
Differs   from sentence-transformers (CosineSimilarityLoss), which rounds the scores to float32 and
          accepts scores that no cosine can reach.
Read next losses/cosent.py (which uses only the order of the scores)

When is it a poor choice?  A human rating is not a cosine: nothing says that a pair rated 0 of 5
("another topic") must have orthogonal vectors.  The loss corrects every cosine that differs from
its rating, also where the order of all cosines is already right and a search could not be better.

Gradient.  dc_i = 2 (c_i − y_i)/N.  With û = u/‖u‖ and v̂ = v/‖v‖, c = û·v̂, so ∂c/∂û = v̂, and through
the normalisation
    du = (v̂ − c û) dc/‖u‖,   dv = (û − c v̂) dc/‖v‖.
Both are 0 if u and v have the same or opposite directions, whatever the score.  So a model that
gives all texts the same vector has gradient 0, and training does not change it.
"""
import numpy as np

from scratch_embed.losses.mse import mse
from scratch_embed.nn.contract import BackwardEach, LossBackwardEach
from scratch_embed.numerics.l2_normalize import l2_normalize


def cosine_mse(u: np.ndarray, v: np.ndarray, y: np.ndarray) -> tuple[float, LossBackwardEach]:
    """Mean squared error of cosines.  u, v: (N, D), y: (N,) -> L, backward() -> du, dv (N, D).

    Raises ValueError for shapes that do not match, and for scores outside [−1, 1].

    >>> u, v = np.array([[1.0, 0.0]]), np.array([[3.0, 4.0]])
    >>> round(cosine_mse(u, v, np.array([1.0]))[0], 4)                         # (0.6 − 1)²
    0.16
    """
    require_labels("cosine_mse", u, y)
    if not (abs(y) <= 1).all():
        raise ValueError(f"cosine_mse: expected scores in −1..1, as cosines are, got {y.min()}.."
                         f"{y.max()}; divide them by their largest possible value")
    cosines, back_cosines = paired_cosines(u, v)
    loss, back_loss = mse(cosines, y)

    def backward(dloss=1.0):
        return back_cosines(back_loss(dloss))
    return loss, backward


def paired_cosines(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, BackwardEach]:
    """c_i = cos(u_i, v_i).  u, v: (N, D) -> c (N,), backward(dc) -> du, dv (N, D).

    Raises ValueError unless u and v have one shape (N, D), N ≥ 1.
    """
    if u.shape != v.shape or u.ndim != 2 or len(u) == 0:
        raise ValueError(f"expected the vectors of pairs, of one shape (N, D), N ≥ 1, got "
                         f"{u.shape} and {v.shape}")
    u, back_u = l2_normalize(u)
    v, back_v = l2_normalize(v)

    def backward(dc):
        return back_u(dc[:, None] * v), back_v(dc[:, None] * u)
    return (u * v).sum(-1), backward


def require_labels(name: str, u: np.ndarray, y: np.ndarray) -> None:
    """Raise ValueError unless y has one finite number for each row of u."""
    if np.shape(y) != u.shape[:1]:
        raise ValueError(f"{name}: expected a number for each of the {len(u)} pairs, got shape "
                         f"{np.shape(y)}")
    if not np.isfinite(y).all():
        raise ValueError(f"{name}: expected finite numbers as scores or labels, got nan or inf")

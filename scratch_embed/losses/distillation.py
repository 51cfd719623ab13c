"""Distillation: a student's probabilities of the candidates should equal the teacher's.

Papers    Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network", section 2.
          Lin, Yang & Lin 2020, "Distilling Dense Representations for Ranking using Tightly-Coupled
          Teachers" (for retrieval).
Equation  L = T²/N Σ_n KL(q_n ‖ p_n) = T²/N Σ_n Σ_m q_nm log(q_nm / p_nm),
          p_n = softmax(s_n/T),  q_n = softmax(t_n/T)
Shapes    s, t (N, M): scores of M candidates for each of N queries, of the student and of the
          teacher; T the temperature
Cost      O(N·M), beside the scores
Differs   from sentence-transformers (DistillKLDivLoss), which takes vectors and scores them by dot
          products; here that is score_rows() of losses/margin_mse.py, then distillation().
Read next losses/infonce.py (the same with q = 1 for the positive), sentences/e5.py (which adds
          InfoNCE to this loss)

Why probabilities?  Margin-MSE (losses/margin_mse.py) asks the student to reproduce every difference
of scores, also that of two irrelevant candidates with −9 and −11.  In a softmax both have almost
probability 0, so the candidates with the highest scores decide.  If the teacher gives the positive
probability 1, the loss is InfoNCE over the M candidates; a teacher that finds several answers right
divides q among them.

Why T²?  The higher T is, the more the lower candidates count.  As T → ∞, T² KL approaches half the
mean squared error of centred scores, 1/2M Σ_m ((s_nm − s̄_n) − (t_nm − t̄_n))².  Without the factor
T² the gradient would shrink as 1/T² (Hinton et al.).

Gradient.  L is a cross-entropy with targets q, minus the entropy of q, which is a constant.  Its
gradient in s/T is (p − q) T²/N, so
    ds = T (p − q)/N.
Each row sums to 0.
"""
import numpy as np

from scratch_embed.losses.margin_mse import require_score_rows
from scratch_embed.nn.contract import LossBackward
from scratch_embed.nn.softmax import log_softmax


def distillation(s: np.ndarray, t: np.ndarray, temperature: float = 1.0
                 ) -> tuple[float, LossBackward]:
    """T² KL(teacher ‖ student) of N rows of scores.  s, t: (N, M) -> L, backward() -> ds (N, M).

    s: the student's scores, t: the teacher's.
    Raises ValueError as require_score_rows does, and for a temperature that is not above 0.

    >>> s, t = np.log([[0.5, 0.5]]), np.log([[0.75, 0.25]])
    >>> round(distillation(s, t)[0], 4)                             # ¾ log 1.5 + ¼ log 0.5
    0.1308
    """
    require_score_rows("distillation", s, t)
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature: expected a positive number, got {temperature}")
    T = float(temperature)
    log_p, _ = log_softmax(s / T)
    log_q, _ = log_softmax(t.astype(s.dtype) / T)
    p, q = np.exp(log_p), np.exp(log_q)

    def backward(dloss=1.0):
        return (p - q) * float(T * dloss / len(s))
    return float(T**2 * (q * (log_q - log_p)).sum(dtype=np.float64) / len(s)), backward

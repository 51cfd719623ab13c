"""Margin-MSE: the positive's lead in a student's scores should equal its lead in a teacher's.

Paper     Hofstätter et al. 2021, "Improving Efficient Neural Ranking Models with Cross-Architecture
          Knowledge Distillation" (Margin-MSE).
Equation  L = 1/(N (M − 1)) Σ_n Σ_{m ≥ 1} [ (s_n0 − s_nm) − (t_n0 − t_nm) ]²
Shapes    s, t (N, M): scores of M candidates for each of N queries, of the student and of the
          teacher; column 0 is the positive
Cost      O(N·M), beside the scores
Differs   from sentence-transformers (MarginMSELoss), which takes vectors and scores them by dot
          products; here that is score_rows(), then margin_mse().
Read next losses/distillation.py (probabilities instead of margins), sentences/cross_encoder.py (a
          usual teacher)

Why margins?  A cross-encoder's scores are logits: they may lie in −11..11, and all scores of one
query may be positive.  A ranking depends only on differences between the candidates of one query,
so the loss does not change if any number is added to all scores of a query.

Why a teacher?  A label says only whether a candidate is relevant.  A teacher says how much better
the positive is than each negative.  If a negative is in fact as good as the positive, its margin is
about 0, so a false negative is not pushed away.

Gradient.  With the errors e_nm = (s_n0 − s_nm) − (t_n0 − t_nm),
    ds_nm = −2 e_nm / (N (M − 1)) for m ≥ 1,   ds_n0 = −Σ_m ds_nm.
Each row of ds sums to 0.
"""
import numpy as np

from scratch_embed.losses.mse import mse
from scratch_embed.nn.contract import BackwardEach, LossBackward
from scratch_embed.numerics.l2_normalize import l2_normalize


def margin_mse(s: np.ndarray, t: np.ndarray) -> tuple[float, LossBackward]:
    """Mean squared error of margins to the positive.  s, t: (N, M) -> L, backward() -> ds (N, M).

    s: the student's scores, t: the teacher's.
    Raises ValueError as require_score_rows does.

    >>> s, t = np.array([[0.9, 0.4]]), np.array([[7.0, 6.0]])
    >>> round(margin_mse(s, t)[0], 4)                                    # (0.5 − 1)²
    0.25
    """
    require_score_rows("margin_mse", s, t)
    loss, back_loss = mse(s[:, :1] - s[:, 1:], t[:, :1] - t[:, 1:])      # margins, (N, M − 1)

    def backward(dloss=1.0):
        d = back_loss(dloss)
        return np.concatenate([d.sum(1, keepdims=True), -d], axis=1)
    return loss, backward


def score_rows(q: np.ndarray, *candidates: np.ndarray) -> tuple[np.ndarray, BackwardEach]:
    """s_nm = q_n · k_nm, the scores of each query's own M candidates.

    q: (N, D); candidates: (N, D) each, the m-th of all queries -> s (N, M), backward(ds) -> dq, and
    a gradient for each of the candidates
    """
    k = np.stack(candidates, axis=1)                                     # (N, M, D)

    def backward(ds):
        dk = ds[:, :, None] * q[:, None]
        return ((ds[:, :, None] * k).sum(1), *(dk[:, m] for m in range(len(candidates))))
    return (q[:, None] * k).sum(-1), backward


def cosine_rows(q: np.ndarray, *candidates: np.ndarray, tau: float
                ) -> tuple[np.ndarray, BackwardEach]:
    """s_nm = cos(q_n, k_nm) / τ.  Shapes and backward as in score_rows.

    Raises ValueError for a tau that is not above 0.

    >>> q, k = np.array([[2.0, 0.0]]), np.array([[3.0, 4.0]])
    >>> cosine_rows(q, k, tau=0.5)[0].tolist()                           # 0.6 / 0.5
    [[1.2]]
    """
    if not tau > 0:
        raise ValueError(f"tau: expected a positive number, got {tau}")
    units, backs = zip(*(l2_normalize(x) for x in (q, *candidates)))
    s, back_s = score_rows(*units)

    def backward(ds):
        return tuple(back(d) for back, d in zip(backs, back_s(ds / float(tau))))
    return s / float(tau), backward


def require_score_rows(name: str, s: np.ndarray, t: np.ndarray) -> None:
    """Raise ValueError unless s and t have one shape (N, M), N ≥ 1, M ≥ 2, and t is finite."""
    if s.shape != t.shape or s.ndim != 2 or len(s) == 0 or s.shape[1] < 2:
        raise ValueError(f"{name}: expected scores of the student and of the teacher, (N, M) each, "
                         f"a positive and at least one other candidate; got {s.shape} and "
                         f"{t.shape}")
    if not np.isfinite(t).all():
        raise ValueError(f"{name}: expected finite scores of the teacher, got nan or inf")

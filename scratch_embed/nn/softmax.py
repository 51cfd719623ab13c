"""Softmax, its logarithm, and cross-entropy, the loss of a classifier.

Paper     Bridle 1990, "Probabilistic Interpretation of Feedforward Classification Network Outputs".
Equation  p_j = exp(s_j) / Σ exp(s_k),   L = −(1/N) Σ_n log p_n[target_n]
Shapes    softmax: s, p (..., M), over the last axis; the loss: s (N, M), targets (N,) -> a number
Cost      one exponential per element in the forward pass.  In float32 the loss computes it again
          in backward instead of storing p, whose rows may be as long as the vocabulary.
Read next nn/attention.py (softmax over keys), losses/infonce.py (a classifier of positives)

Why the exponential?  It turns any scores into positive numbers, and a difference of scores into a
ratio of probabilities: p_i/p_j = exp(s_i − s_j).  Adding a number to all scores leaves p unchanged,
so the largest score is subtracted first, and no exponential overflows.  If s is large, the quotient
exp(s − max)/Σ is more accurate than exp(s − log Σ exp s), whose logarithm is large and so has a
large rounding error.

Gradient.  ∂p_i/∂s_j = p_i (δ_ij − p_j), so ds = p (dp − Σ p dp).  Its sum is 0, because adding a
number to all scores changes no p.  ∂ log p_i/∂s_j = δ_ij − p_j, so the loss has
    ds = (p − 1_target) / N:
each logit's gradient is its probability, minus 1 for the target (1_target is one-hot).
"""
import numpy as np

from scratch_embed.nn.contract import Backward, LossBackward
from scratch_embed.numerics.functions import exp32, largest32, softmax_row32
from scratch_embed.numerics.kernel import kernel

f32 = np.float32
ZERO, ONE = f32(0), f32(1)


def softmax(s: np.ndarray) -> tuple[np.ndarray, Backward]:
    """p = exp(s) / Σ exp(s) over the last axis.  s, p: (..., M).

    >>> softmax(np.log([1.0, 2.0, 5.0]))[0].round(3).tolist()
    [0.125, 0.25, 0.625]
    """
    if s.dtype != np.float32:
        e = np.exp(s - s.max(-1, keepdims=True))
        p = e / e.sum(-1, keepdims=True)
    else:
        p = s.copy()
        softmax_rows(p.reshape(-1, s.shape[-1]))

    def backward(dp):
        return p * (dp - (p * dp).sum(-1, keepdims=True))
    return p, backward


@kernel
def softmax_rows(s):
    """s ← softmax(s) in every row of (R, M) float32."""
    for r in range(s.shape[0]):
        softmax_row32(s[r], ONE)


def log_softmax(s: np.ndarray) -> tuple[np.ndarray, Backward]:
    """log p,  p = softmax(s).  s, log p: (..., M).  No kernel: for small tables of similarities."""
    s = s - s.max(-1, keepdims=True)
    log_p = s - np.log(np.exp(s).sum(-1, keepdims=True))

    def backward(d):
        return d - np.exp(log_p) * d.sum(-1, keepdims=True)
    return log_p, backward


# ---- the loss ------------------------------------------------------------------------------------

def cross_entropy(s: np.ndarray, targets: np.ndarray, total: float | None = None
                  ) -> tuple[float, LossBackward]:
    """−Σ_n log softmax(s_n)[target_n] / total.  s: (N, M), targets: (N,) -> a number.

    total: the divisor, N by default; if s is one worker's share, the number of rows of the whole
    batch.  The sum is taken in float64.  Raises ValueError for a target outside 0..M−1, for
    len(targets) ≠ N, or if the divisor is 0.

    >>> loss, backward = cross_entropy(np.log([[1.0, 2.0, 5.0]]), np.array([2]))     # −log ⅝
    >>> round(loss, 4), backward().round(3).tolist()
    (0.47, [[0.125, 0.25, -0.375]])
    """
    total = require_targets(s, targets, total)
    if s.dtype != np.float32:
        return cross_entropy_numpy(s, targets, total)
    rows = np.arange(len(s))
    largest, sums = shifted_sums(s)
    losses = np.log(sums) - (s[rows, targets] - largest)

    def backward(dloss=1.0):
        return cross_entropy_backward_kernel(s, targets, largest, sums, f32(dloss / total))
    return float(losses.sum(dtype=np.float64) / total), backward


def cross_entropy_numpy(s: np.ndarray, targets: np.ndarray, total: float | None = None
                        ) -> tuple[float, LossBackward]:
    """cross_entropy in NumPy, for float32 too, for small tables: it stores log p (N, M).

    In a row with a finite score, a score of −∞ gives probability 0, and gradient 0 unless it is the
    target's.
    """
    total = require_targets(s, targets, total)
    rows = np.arange(len(s))
    log_p, _ = log_softmax(s)

    def backward(dloss=1.0):
        ds = np.exp(log_p)
        ds[rows, targets] -= 1                               # p − 1_target
        return ds * float(dloss / total)
    return float(-log_p[rows, targets].sum(dtype=np.float64) / total), backward


def require_targets(s, targets, total):
    """Return the loss's divisor.  Raises ValueError if it is 0 or targets do not fit s."""
    N, M = s.shape
    if len(targets) != N or (N and not (0 <= targets.min() and targets.max() < M)):
        raise ValueError(f"targets: expected {N} in 0..{M - 1}, got {len(targets)} in "
                         f"{targets.min(initial=0)}..{targets.max(initial=0)}")
    total = N if total is None else total
    if not total:
        raise ValueError("cross_entropy: expected at least 1 row to take the mean over, got 0")
    return total


@kernel
def shifted_sums(s):
    """m_n = max_j s_nj and Σ_j exp(s_nj − m_n) of every row of (N, M) float32 -> (N,), (N,)."""
    N, M = s.shape
    largest, sums = np.empty(N, np.float32), np.empty(N, np.float32)
    for n in range(N):
        row, m, total = s[n], largest32(s[n]), ZERO
        for j in range(M):
            total += exp32(row[j] - m)
        largest[n], sums[n] = m, total
    return largest, sums


@kernel
def cross_entropy_backward_kernel(s, targets, largest, sums, weight):
    """ds = weight (p − 1_target),  p = exp(s − max) / Σ.  weight: dloss / total."""
    N, M = s.shape
    ds = np.empty_like(s)
    for n in range(N):
        row, out, m = s[n], ds[n], largest[n]
        share = weight / sums[n]
        for j in range(M):
            out[j] = share * exp32(row[j] - m)
        out[targets[n]] -= weight
    return ds

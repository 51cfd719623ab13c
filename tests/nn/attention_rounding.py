"""Bounds on the rounding errors of attention.

Let u be the unit roundoff (2⁻²⁴ in float32), let |·| act on each element, and let s be the number
of keys.
A score has an error of γ(d) |Q| |K|ᵀ/√d, plus 2 u |B| + u |score| if a bias B is added.  The
exponent x = score − max has at most twice the largest error of its row's scores, plus 2 u |x|.  So
P has an error of P R, with
    R = 4 γ(d) max |Q| |K|ᵀ/√d + 8 u max |B| + 4 u max |x| + (s + 8) u.
y and the gradients are sums of products with P.  A sum of n terms has an error of
(R + γ(n)) Σ |terms|.  R can be large, so the bound uses e^R − 1 for R.
"""
import numpy as np

from scratch_embed.nn.dropout import NO_DROPOUT, factors
from tests.rounding import u32


def error_bounds(q, k, v, dy, H, visible, dropout=NO_DROPOUT, u=u32, B=0.0):
    """[bounds on the errors of y, dq, dk, dv and dB] of one sequence, as derived above.

    q, dy: (t, H·d), k, v: (s, G·d), B: (H, t, s)
    visible: (t, s) bool, whether a query attends to a key
    """
    t, s, d = len(q), len(k), q.shape[1] // H
    shared = H * d // k.shape[1]                             # heads of q per head of k
    q, k, v, dy = (split_heads(x, H, d) for x in (q, k, v, dy))
    scale, B = d**-0.5, np.broadcast_to(B, (H, t, s))
    S = np.where(visible, scale * q @ k.swapaxes(1, 2) + B, -np.inf)
    x = np.maximum(S - S.max(-1, keepdims=True), -100)
    P = np.exp(x) * visible
    P /= P.sum(-1, keepdims=True)
    mask = factors((1, H, t, s), dropout.at(0))[0]               # 0 or 1/(1 − p)
    aq, ak, av, ady = (abs(x) for x in (q, k, v, dy))            # |q|, |k|, |v|, |dy|
    scores = scale * aq @ ak.swapaxes(1, 2) * visible
    R = np.expm1(4 * (d + 1) * u * scores.max() + 8 * u * abs(B * visible).max()
                 + 4 * u * abs(x * visible).max() + (s + 8) * u)
    A, dP = P * mask, (ady @ av.swapaxes(1, 2)) * mask
    dS = P * (dP + (P * dP).sum(-1, keepdims=True))
    y_bound = (R + (s + 4) * u) * (A @ av)
    dS_bound = (2 * R + (d + 2 * max(t, s) + 10 + shared) * u) * dS
    dq_bound, dk_bound = scale * dS_bound @ ak, scale * dS_bound.swapaxes(1, 2) @ aq
    dv_bound = (R + (t + 4 + shared) * u) * (A.swapaxes(1, 2) @ ady)
    return [1.01 * bound + 2.0**-100 for bound in (
        join_heads(y_bound), join_heads(dq_bound), join_heads(dk_bound, shared),
        join_heads(dv_bound, shared), dS_bound)]


def split_heads(x, H, d):
    """(t, G·d) -> (H, t, d) float64; a head of k that several heads of q share is repeated."""
    x = x.astype(np.float64).reshape(len(x), -1, d).swapaxes(0, 1)
    return x.repeat(H // len(x), 0)


def join_heads(x, shared=1):
    """(H, t, d) -> (t, G·d), with the sum over the heads that share a head of k."""
    x = x.reshape(-1, shared, *x.shape[1:]).sum(1)
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)

"""How far attention in float32 may be from the exact value.

With u = 2⁻²⁴, and |·| entry by entry: a score errs by γ(d) |Q| |K|ᵀ/√d, and by 2 u |B| + u |score|
where a bias is added, so an exponent by twice the worst of its row and 2 u of itself, and so P by
P R, with
    R = 4 γ(d) max |Q| |K|ᵀ/√d + 8 u max |B| + 4 u max |x| + (t + 8) u,  x = scores less their
largest.  Everything behind it errs by R and by γ of the length of its sums, of the absolute values
that it sums; e^R − 1 stands for R where R is not small.
"""
import numpy as np

from scratch_embed.nn.dropout import NO_DROPOUT, factors
from tests.rounding import u32


def error(q, k, v, dy, H, sees, dropout=NO_DROPOUT, u=u32, B=0.0):
    """Bounds for y, dq, dk, dv, dB of one sequence, as derived above.

    q, dy: (t, H·d), k, v: (s, G·d), sees: (t, s) bool, B: (H, t, s)
    """
    t, s, d = len(q), len(k), q.shape[1] // H
    shared = H * d // k.shape[1]                             # heads of q for each of k and v
    q, k, v, dy = (split(x, H, d) for x in (q, k, v, dy))
    scale, B = d**-0.5, np.broadcast_to(B, (H, t, s))
    S = np.where(sees, scale * q @ k.swapaxes(1, 2) + B, -np.inf)
    x = np.maximum(S - S.max(-1, keepdims=True), -100)
    P = np.exp(x) * sees
    P /= P.sum(-1, keepdims=True)
    m = factors((1, H, t, s), dropout.at(0))[0]
    aq, ak, av, ady = (abs(a) for a in (q, k, v, dy))
    scores = scale * aq @ ak.swapaxes(1, 2) * sees
    R = np.expm1(4 * (d + 1) * u * scores.max() + 8 * u * abs(B * sees).max()
                 + 4 * u * abs(x * sees).max() + (s + 8) * u)
    A, dP = P * m, (ady @ av.swapaxes(1, 2)) * m
    dS = P * (dP + (P * dP).sum(-1, keepdims=True))
    of_y = (R + (s + 4) * u) * (A @ av)
    of_dS = (2 * R + (d + 2 * max(t, s) + 10 + shared) * u) * dS
    of_dq, of_dk = scale * of_dS @ ak, scale * of_dS.swapaxes(1, 2) @ aq
    of_dv = (R + (t + 4 + shared) * u) * (A.swapaxes(1, 2) @ ady)
    return [1.01 * bound + 2.0**-100 for bound in (
        joined(of_y), joined(of_dq), joined(of_dk, shared), joined(of_dv, shared), of_dS)]


def split(x, H, d):
    """(t, G·d) -> (H, t, d) float64; a head of k that several heads of q share is repeated."""
    x = x.astype(np.float64).reshape(len(x), -1, d).swapaxes(0, 1)
    return x.repeat(H // len(x), 0)


def joined(x, shared=1):
    """(H, t, d) -> (t, G·d): the sum over the heads that share a key."""
    x = x.reshape(-1, shared, *x.shape[1:]).sum(1)
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)

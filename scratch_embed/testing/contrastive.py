"""check_contrastive_loss: does a function compute InfoNCE, at every temperature?

Equation  L = −1/N Σ_i log softmax_j(s_ij)_i,   s_ij = cos(q_i, k_j) / τ
Shapes    f(q, k, tau) -> a number; q (N, D) queries, k (M, D) keys, M ≥ N, both float32 or both
          float64; k[i] is the positive of q[i], and the rows k[N:] are further (hard) negatives;
          tau > 0
Bounds    u is the unit roundoff of the arrays' type, γ as in rounding.py.  The error of a cosine is
          at most 2γ(D + 4).  The error of a logit is that divided by τ, and one rounding.  The
          error of a log-sum-exp of M terms is γ(M + 8)(1 + its value).  A row's loss is a
          log-sum-exp minus a logit.  Together, with room for the mean over N rows:
          slack = 4γ(D + 6)/τ + 2γ(M + N + 8)(1 + |L|)
Read next losses/infonce.py

exp(s) overflows if s exceeds 88.73 in float32 or 709.79 in float64.  CLIP's lowest temperature,
τ = 0.01, gives logits up to 100.  So the largest logit must be subtracted before exp.  The loss
must be computed as a log-softmax, because the logarithm of a probability that rounds to 0 is −∞.
"""
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from scratch_embed.testing.invariants import Invariant, close, equal, named, require, run
from scratch_embed.testing.rounding import gamma, unit_roundoff
from scratch_embed.testing.strategies import batches

ContrastiveLoss = Callable[[np.ndarray, np.ndarray, float], Any]
TAUS = st.sampled_from([1.0, 0.05, 0.2, 4.0])
LOW_TEMPERATURES = st.sampled_from([0.01, 0.002, 0.001])


class Loss(NamedTuple):
    """The subject of the check: a loss function, and whether it is the symmetric loss."""

    f: ContrastiveLoss
    symmetric: bool


def check_contrastive_loss(f: ContrastiveLoss, *, symmetric: bool = False,
                           without: Collection[str] = (), max_examples: int | None = None,
                           seed: int | None = 0) -> None:
    """Raise AssertionError unless f(q, k, tau) satisfies CONTRASTIVE_LOSS, InfoNCE's invariants.

    f(q, k, tau) -> the loss, a number; q (N, D), k (M, D), k[i] the positive of q[i].  If f only
    accepts as many keys as queries, pass without=("further_negative",).
    symmetric: f is CLIP's symmetric loss, the mean of InfoNCE(q, k) and InfoNCE(k, q), with as many
    keys as queries.
    without: invariants to leave out; max_examples, seed: see scratch_embed/testing/README.md.

    >>> from scratch_embed.losses.infonce import infonce, symmetric_infonce
    >>> check_contrastive_loss(lambda q, k, tau: infonce(q, k, tau)[0])
    >>> check_contrastive_loss(lambda q, k, tau: symmetric_infonce(q, k, tau)[0], symmetric=True)
    """
    without = [without] if isinstance(without, str) else list(without)
    run("check_contrastive_loss", CONTRASTIVE_LOSS, Loss(f, symmetric),
        without + ["further_negative"] * symmetric + ["exchanged"] * (not symmetric),
        max_examples, seed)


def reference(loss: Loss, q: np.ndarray, k: np.ndarray, tau: float) -> float:
    """The equation in float64; each row's largest logit is subtracted first."""
    def normalised(x):
        x = x.astype(np.float64)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    def one_way(s):
        shifted = s - s.max(axis=1, keepdims=True)
        return float((np.log(np.exp(shifted).sum(axis=1)) - shifted.diagonal()).mean())
    s = normalised(q) @ normalised(k).T / tau
    return (one_way(s) + one_way(s.T)) / 2 if loss.symmetric else one_way(s)


def slack(q: np.ndarray, k: np.ndarray, tau: float, loss: float) -> float:
    """4γ(D + 6)/τ + 2γ(M + N + 8)(1 + |L|), in the type of q: a bound on the rounding error."""
    u, (N, D), M = unit_roundoff(q.dtype), q.shape, len(k)
    return 4 * gamma(D + 6, u) / tau + 2 * gamma(M + N + 8, u) * (1 + abs(loss))


# ---- the invariants -----------------------------------------------------------------------------

def inputs_unchanged(loss, q, k, tau):
    """f does not change q and k, and returns the same loss when called again.

    Bound: exact.
    """
    before, first = (q.copy(), k.copy()), float(loss.f(q, k, tau))
    equal("q after the call", q, before[0])
    equal("k after the call", k, before[1])
    equal("f called again", float(loss.f(q, k, tau)), first)


def value(loss, q, k, tau):
    """f(q, k, tau) is −1/N Σ log softmax(cos/τ)_ii; with symmetric=True, the mean of this over rows
    and over columns.

    Bound: slack.
    """
    expected = reference(loss, q, k, tau)
    close("f(q, k, tau)", float(loss.f(q, k, tau)), expected, slack(q, k, tau, expected))


def low_temperature(loss, q, k, tau):
    """f is right at τ from 0.01 to 0.001, where exp(cos/τ) can overflow.

    Bound: slack, which grows as 1/τ.
    """
    value(loss, q, k, tau)


def non_negative(loss, q, k, tau):
    """f ≥ 0, because a probability is at most 1.

    Bound: slack.  After the shift a log-softmax is never above 0, even in floating point: its sum
    contains exp(0) = 1.
    """
    found = float(loss.f(q, k, tau))
    require(found >= -slack(q, k, tau, 0), f"f(q, k, tau) = {found!r}", "at least 0")


def gap(loss, q, k, tau):
    """mean gap/τ ≤ f ≤ mean gap/τ + log N for N = M, where a row's gap is max_j cos_ij − cos_ii.

    As τ → ∞ all logits approach 0, and f approaches log N, the upper end.
    Bound: 2 slack, for the rounding of the cosines and of the loss.
    """
    cos = _cosines(q, k)
    gaps = (cos.max(axis=1) - cos.diagonal()).mean()
    if loss.symmetric:
        gaps = (gaps + (cos.max(axis=0) - cos.diagonal()).mean()) / 2
    found, low, bound = float(loss.f(q, k, tau)), gaps / tau, 2 * slack(q, k, tau, gaps / tau)
    high = low + np.log(len(q))
    require(low - bound <= found <= high + bound, f"f(q, k, tau) = {found!r}",
            f"in [{low}, {high}], within {bound:.3g}")


def collapse(loss, q, tau):
    """If all keys are equal, f = log N, the loss of a uniform guess.

    Bound: slack.  With symmetric=True all queries are equal too.
    """
    k = np.ones_like(q) * q[0]
    q = k if loss.symmetric else q
    close("f(q, q[0] repeated N times, tau)", float(loss.f(q, k, tau)), np.log(len(q)),
          slack(q, k, tau, np.log(len(q))))


def one_pair(loss, q, k, tau):
    """With a single pair there is no negative, so f = 0.

    Bound: slack.
    """
    close("f(q[:1], k[:1], tau)", float(loss.f(q[:1], k[:1], tau)), 0.0, slack(q, k, tau, 0))


def pair_order(loss, q, k, tau, seed):
    """The order of the pairs in the batch does not matter.

    Bound: 2 slack, for the rounding of two losses.
    """
    order = np.random.default_rng(seed).permutation(len(q))
    expected = float(loss.f(q, k, tau))
    close("f(q[order], k[order], tau)", float(loss.f(q[order], k[order], tau)), expected,
          2 * slack(q, k, tau, expected))


def length(loss, q, k, tau, seed):
    """The norms of the vectors do not matter: each row may be multiplied by a factor > 0.

    Bound: 2 slack.  A loss on dot products instead of cosines depends on them.
    """
    factors = np.random.default_rng(seed).uniform(0.25, 4, (2, len(q), 1)).astype(q.dtype)
    expected = float(loss.f(q, k, tau))
    close("f(c * q, d * k, tau)", float(loss.f(factors[0] * q, factors[1] * k, tau)), expected,
          2 * slack(q, k, tau, expected))


def rotation(loss, q, k, tau):
    """A rotation of all vectors does not matter; here by the angle of the triangle 3, 4, 5.

    Bound: 4 slack; rotating adds three roundings to each component.
    """
    q, k = (np.pad(x, ((0, 0), (0, 1))) for x in (q, k))       # at least two axes
    R = np.eye(q.shape[1], dtype=q.dtype)
    R[:2, :2] = [[0.6, 0.8], [-0.8, 0.6]]
    expected = float(loss.f(q, k, tau))
    close("f(q R, k R, tau)", float(loss.f(q @ R, k @ R, tau)), expected,
          4 * slack(q, k, tau, expected))


def exchanged(loss, q, k, tau):
    """f(q, k) = f(k, q) for the symmetric loss (symmetric=True only).

    Bound: 2 slack; a transposed product is summed in another order.
    """
    expected = float(loss.f(q, k, tau))
    close("f(k, q, tau)", float(loss.f(k, q, tau)), expected, 2 * slack(q, k, tau, expected))


def further_negative(loss, q, k, tau, sign):
    """A further negative never lowers f: the denominator has one more term.

    Bound: 2 slack.
    """
    more_keys = np.vstack([k, sign * q[:1]])
    before, after = float(loss.f(q, k, tau)), float(loss.f(q, more_keys, tau))
    require(after >= before - 2 * slack(q, more_keys, tau, before),
            f"f(q, k with one more, tau) = {after!r}", f"at least f(q, k, tau) = {before!r}")


def _cosines(q, k):
    """cos(q_i, k_j) in float64, (N, M)."""
    q, k = q.astype(np.float64), k.astype(np.float64)
    return q @ k.T / np.linalg.norm(q, axis=1)[:, None] / np.linalg.norm(k, axis=1)


def _examples(taus, *more):
    """Strategy of (q, k, tau, *more)."""
    return st.tuples(batches(tables=2), taus, *more).map(lambda x: (*x[0], *x[1:]))


_seeds = st.integers(0, 1000)
CONTRASTIVE_LOSS = named(
    Invariant(inputs_unchanged, _examples(TAUS)),
    Invariant(value, _examples(TAUS)),
    Invariant(low_temperature, _examples(LOW_TEMPERATURES)),
    Invariant(non_negative, _examples(TAUS)),
    Invariant(gap, _examples(st.one_of(TAUS, LOW_TEMPERATURES, st.just(1e6)))),
    Invariant(collapse, st.tuples(batches(), TAUS)),
    Invariant(one_pair, _examples(TAUS)),
    Invariant(pair_order, _examples(TAUS, _seeds)),
    Invariant(length, _examples(TAUS, _seeds)),
    Invariant(rotation, _examples(TAUS)),
    Invariant(exchanged, _examples(TAUS)),
    Invariant(further_negative, _examples(TAUS, st.sampled_from([1.0, -1.0]))))

"""check_top_k: does a function return the ids of the k highest scores, in order, with ties and nan?

Equation  f(s, k) = the first k of a stable sort of 0 .. M − 1 by descending score, nan last
Shapes    f(scores, k) -> ids; scores (M,); ids (min(k, M),), the highest score first
Bounds    exact, because a selection compares scores and rounds nothing
Read next space/neighbours.py (a partition that keeps the order of equal scores)

A result is reproducible only if a rule orders equal scores.  `scores.argsort()[::-1]` reverses
equal scores, and a partition leaves them in any order, which may change with M or with the version
of NumPy.
"""
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from hypothesis import strategies as st

from scratch_embed.testing.invariants import Invariant, equal, named, require, run
from scratch_embed.testing.strategies import scores as some_scores

TopK = Callable[[np.ndarray, int], Any]


def check_top_k(f: TopK, *, without: Collection[str] = (), max_examples: int | None = None,
                seed: int | None = 0) -> None:
    """Raise AssertionError unless f(scores, k) satisfies TOP_K's invariants.

    f(scores, k) -> the ids of the k highest scores, best first; scores (M,).  If f returns
    values too, pass `lambda scores, k: f(scores, k)[0]`.
    without: invariants to leave out; max_examples, seed: see scratch_embed/testing/README.md.

    >>> from scratch_embed.space.neighbours import top_k
    >>> check_top_k(lambda scores, k: top_k(scores, k)[0])
    >>> check_top_k(lambda scores, k: (-scores).argsort(kind="stable")[:k])
    Traceback (most recent call last):
    AssertionError: check_top_k: the invariant 'integers' is broken: ...
    """
    run("check_top_k", TOP_K, f, without, max_examples, seed)


def ids_of(f: TopK, scores: np.ndarray, k: int) -> list[int]:
    """The ids that f returns, as a list of int."""
    return [int(i) for i in np.asarray(f(scores, k)).reshape(-1)]


def full_sort(scores: np.ndarray) -> list[int]:
    """Ids by descending score, equal scores by id, nan last: Python's own stable sort."""
    row = scores.tolist()
    return sorted(range(len(row)), key=lambda j: (row[j] != row[j], -row[j]) if row[j] == row[j]
                  else (True, 0))


# ---- the invariants -----------------------------------------------------------------------------

def inputs_unchanged(f, scores, k):
    """f does not change the scores, and returns the same when called again.

    Bound: exact.
    """
    before, first = scores.copy(), ids_of(f, scores, k)
    equal("scores after the call", scores, before)
    equal("f(scores, k) called again", ids_of(f, scores, k), first)


def different_ids(f, scores, k):
    """f returns k different ids from 0 to M − 1.

    Bound: exact.
    """
    found = ids_of(f, scores, k)
    require(len(found) == k == len(set(found)) and set(found) <= set(range(len(scores))),
            f"f(scores, {k}) = {found}", f"{k} different ids in 0..{len(scores) - 1}")


def best(f, scores, k):
    """The scores at the ids are the k highest, in descending order.

    Bound: exact.  It does not say which of equal scores are taken.
    """
    found = scores[ids_of(f, scores, k)].tolist()
    equal(f"scores[f(scores, {k})]", found, sorted(scores.tolist(), reverse=True)[:k])


def ties(f, scores, k):
    """Among equal scores, the lowest ids come first.

    Bound: exact.  Any rule would do; a reproducible result needs one.
    """
    equal(f"f(scores, {k})", ids_of(f, scores, k), full_sort(scores)[:k])


def prefix(f, scores, k):
    """A larger k only appends: f(scores, k) is the beginning of f(scores, k + 1).

    Bound: exact.
    """
    equal(f"f(scores, {k + 1})[:{k}]", ids_of(f, scores, k + 1)[:k], ids_of(f, scores, k))


def only_order(f, scores, k):
    """Only the order of the scores counts: s³ + 2s selects like s, for whole scores.

    Bound: exact; small whole numbers are mapped exactly.
    """
    equal(f"f(s**3 + 2 s, {k})", ids_of(f, scores**3 + 2 * scores, k), ids_of(f, scores, k))


def nan_last(f, scores, k):
    """A nan is never selected before a number.

    Bound: exact.  nan < s and nan > s are both false, so sorts put it first or anywhere.
    """
    found = scores[ids_of(f, scores, k)]
    numbers = int((~np.isnan(scores)).sum())
    require(not np.isnan(found[:numbers]).any(), f"scores[f(scores, {k})] = {found.tolist()}",
            f"the {min(k, numbers)} best numbers first, then nan")


def beyond_the_end(f, scores, extra):
    """f returns all M ids if k is larger than M.

    Bound: exact.
    """
    k = len(scores) + extra
    equal(f"len(f(scores, {k}))", len(ids_of(f, scores, k)), len(scores))


def integers(f, scores, k):
    """Integer scores are compared as integers, even unsigned and large ones.

    Bound: exact.  −s wraps around for unsigned types and for the smallest integer; float64
    cannot distinguish some integers beyond 2⁵³.
    """
    best(f, scores, k)


def _with_k(strategy, beyond=0):
    """(scores, k) with 1 ≤ k ≤ M − beyond."""
    return strategy.filter(lambda s: len(s) > beyond).flatmap(
        lambda s: st.tuples(st.just(s), st.integers(1, len(s) - beyond)))


def _arrays(elements, dtype, max_size=12):
    return st.lists(elements, min_size=1, max_size=max_size).map(lambda x: np.array(x, dtype))


_any, _whole = some_scores(), _arrays(st.integers(-5, 5), np.float64)
_nan = _arrays(st.sampled_from([np.nan, 1.0, -np.inf, 0.0]), np.float64)
_integers = st.one_of(_arrays(st.integers(0, 3), np.uint8),
                      _arrays(st.sampled_from([-2**63, 0, 2**63 - 2, 2**63 - 1]), np.int64))
TOP_K = named(
    Invariant(inputs_unchanged, _with_k(_any)),
    Invariant(different_ids, _with_k(_any)),
    Invariant(best, _with_k(_any)),
    Invariant(ties, _with_k(st.one_of(_any, _arrays(st.just(1.0), np.float32, max_size=40)))),
    Invariant(prefix, _with_k(_any, beyond=1)),
    Invariant(only_order, _with_k(_whole)),
    Invariant(nan_last, _with_k(_nan)),
    Invariant(beyond_the_end, st.tuples(_any, st.integers(1, 3))),
    Invariant(integers, _with_k(_integers)))

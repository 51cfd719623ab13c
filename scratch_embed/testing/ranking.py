"""check_ranking_measure: does a function such as nDCG, MRR or MAP measure rankings correctly?

Equation  f(judged, scores) in [0, 1], the quality of the ranking by descending score
Shapes    judged {document: gain}, gains whole numbers ≥ 0; scores {document: score}; -> a number.
          A document without a judgement has gain 0; a document without a score was not
          returned by the system.
Bounds    u is float64's unit roundoff, n the number of documents.  nDCG is a quotient of two
          sums of at most n terms, each rounded a few times: γ(4n + 8).  MRR and MAP
          round less.  The bound is 0 for an invariant that changes no term.
Read next evaluate/ranking.py (the measures, and their ties)

Equal scores need care.  If they keep the order of the input, the value for a system that scores
everything 0 depends on how the data are listed, and relevant documents are often listed first.
"""
import random
from collections.abc import Callable, Collection
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from scratch_embed.testing.invariants import Invariant, close, equal, named, require, run
from scratch_embed.testing.rounding import gamma, u64
from scratch_embed.testing.strategies import rankings

RankingMeasure = Callable[[dict[str, int], dict[str, float]], Any]


def check_ranking_measure(f: RankingMeasure, *, without: Collection[str] = (),
                          max_examples: int | None = None, seed: int | None = 0) -> None:
    """Raise AssertionError unless f(judged, scores) satisfies RANKING_MEASURE's invariants.

    f(judged, scores) -> a number, for one query; judged {document: gain}, scores {document: score}.
    Precision@k and recall@k of a perfect ranking can be below 1; for them, pass
    without=("perfect",).
    without: invariants to leave out; max_examples, seed: see scratch_embed/testing/README.md.

    >>> def reciprocal_rank(judged, scores):
    ...     order = sorted(scores, key=scores.get, reverse=True)          # ties keep their order
    ...     return max((judged.get(d, 0) > 0) / (i + 1) for i, d in enumerate(order + [""]))
    >>> check_ranking_measure(reciprocal_rank)
    Traceback (most recent call last):
    AssertionError: check_ranking_measure: the invariant 'input_order' is broken: ...
    """
    run("check_ranking_measure", RANKING_MEASURE, f, without, max_examples, seed)


def bound_of(judged: dict[str, int], scores: dict[str, float]) -> float:
    """γ(4n + 8) in float64, with n the number of all documents."""
    return gamma(4 * len({**judged, **scores}) + 8, u64)


# ---- the invariants -----------------------------------------------------------------------------

def inputs_unchanged(f, judged, scores):
    """f does not change its inputs, and returns the same when called again.

    Bound: exact.
    """
    before, first = (list(judged.items()), list(scores.items())), float(f(judged, scores))
    equal("judged after the call", list(judged.items()), before[0])
    equal("scores after the call", list(scores.items()), before[1])
    equal("f called again", float(f(judged, scores)), first)


def range_(f, judged, scores):
    """f lies in [0, 1].

    Bound: γ(4n + 8) beyond 1, for the rounding of a quotient of sums.
    """
    found = float(f(judged, scores))
    require(0 <= found <= 1 + bound_of(judged, scores), f"f(judged, scores) = {found!r}",
            "a number in [0, 1]")


def perfect(f, judged):
    """A ranking by the gains themselves has the value 1.

    Bound: γ(4n + 8), the rounding of a quotient of sums.
    """
    scores = {document: float(gain) for document, gain in judged.items()}
    close("f(judged, judged)", float(f(judged, scores)), 1.0, bound_of(judged, scores))


def nothing_found(f, judged):
    """A ranking without a relevant document has the value 0.

    Bound: exact.
    """
    scores = {document: 1.0 for document, gain in judged.items() if gain == 0} | {"unjudged": 2.0}
    equal("f(judged, nothing relevant)", float(f(judged, scores)), 0.0)


def input_order(f, judged, scores, seed):
    """The order in which documents are listed does not matter, even if scores are equal.

    Bound: γ(4n + 8), for sums in another order; the ranking must be the same.
    """
    judged2, scores2 = (_shuffled(table, random.Random(seed)) for table in (judged, scores))
    close(f"f({judged2}, {scores2})", float(f(judged2, scores2)), float(f(judged, scores)),
          bound_of(judged, scores))


def only_order(f, judged, scores):
    """Only the order of the scores counts: 8 s − 3 ranks like s.

    Bound: exact; halves are mapped exactly.
    """
    mapped = {document: 8 * score - 3 for document, score in scores.items()}
    equal("f(judged, 8 scores - 3)", float(f(judged, mapped)), float(f(judged, scores)))


def close_scores(f, judged, scores):
    """Scores that differ in float64 are not equal: 1 + 2⁻⁴⁰ s ranks like s.

    Bound: exact.  A conversion to float32 would make them equal.
    """
    mapped = {document: 1 + 2.0**-40 * score for document, score in scores.items()}
    equal("f(judged, 1 + scores / 2^40)", float(f(judged, mapped)), float(f(judged, scores)))


def better_first(f, judged, scores):
    """Exchanging two neighbours so that the one with the larger gain comes first never lowers f.

    Bound: γ(4n + 8), for the rounding of the two values.
    """
    scores = {document: float(i) for i, document in enumerate(scores)}       # no ties here
    order = sorted(scores, key=scores.__getitem__, reverse=True)
    worse = [(a, b) for a, b in zip(order, order[1:]) if judged.get(a, 0) < judged.get(b, 0)]
    assume(worse)
    a, b = worse[0]
    better = scores | {a: scores[b], b: scores[a]}
    before, after = float(f(judged, scores)), float(f(judged, better))
    require(after >= before - bound_of(judged, scores), f"f(judged, {better}) = {after!r}",
            f"at least f(judged, {scores}) = {before!r}")


def unjudged(f, judged, scores):
    """A document with the gain 0 counts like one without a judgement.

    Bound: exact.
    """
    positive = {document: gain for document, gain in judged.items() if gain > 0}
    equal(f"f({positive}, scores)", float(f(positive, scores)), float(f(judged, scores)))


def irrelevant_tail(f, judged, scores):
    """Irrelevant documents at the end of a ranking change nothing.

    Bound: exact; the terms that they add are 0.
    """
    longer = scores | {"unjudged": min(scores.values(), default=0.0) - 1}
    equal("f(judged, scores with one more)", float(f(judged, longer)), float(f(judged, scores)))


def _shuffled(table, rng):
    """The same dictionary, its items in another order."""
    return dict(rng.sample(list(table.items()), len(table)))


range_.__name__ = "range"                    # the name in messages; range() stays Python's
_all_returned = rankings(all_returned=True)
_judged = rankings().map(lambda x: (x[0],))
RANKING_MEASURE = named(
    Invariant(inputs_unchanged, rankings()),
    Invariant(range_, rankings()),
    Invariant(perfect, _judged),
    Invariant(nothing_found, _judged),
    Invariant(input_order, st.tuples(rankings(), st.integers(0, 1000)).map(
        lambda x: (*x[0], x[1]))),
    Invariant(only_order, rankings()),
    Invariant(close_scores, rankings()),
    Invariant(better_first, _all_returned),
    Invariant(unjudged, rankings()),
    Invariant(irrelevant_tail, rankings()))

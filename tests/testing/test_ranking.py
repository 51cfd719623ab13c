"""check_ranking_measure: measures that are wrong in one way each, and ours."""
import math

import pytest

from scratch_embed.evaluate.ranking import (
    average_precision,
    evaluate,
    in_float32,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)
from scratch_embed.testing import RANKING_MEASURE, check_ranking_measure
from tests.testing.broken_functions import expect


def of(measure, prepare=lambda run: run):
    """A measure of ours, for one query."""
    def f(judged, scores):
        return evaluate({"q": judged}, prepare({"q": scores}), {"it": measure}).mean["it"]
    return f


def listed_order(judged, scores):
    """nDCG; equal scores keep the order in which the documents came."""
    def dcg(gains):
        return sum(gain / math.log2(i + 2) for i, gain in enumerate(gains))
    order = sorted(scores, key=scores.get, reverse=True)
    return (dcg(judged.get(d, 0) for d in order)
            / dcg(sorted(judged.values(), reverse=True)))


def dcg(judged, scores):
    """Not divided by the best."""
    order = sorted(scores, key=lambda d: (scores[d], d), reverse=True)
    return sum(judged.get(d, 0) / math.log2(i + 2) for i, d in enumerate(order))


def unjudged_counts(judged, scores):
    return of(ndcg)({d: judged.get(d, 1) for d in {**judged, **scores}}, scores)


def forgets(judged, scores):
    judged.pop(next(iter(judged)))
    return 0.0


@pytest.mark.parametrize("f, names", [
    (listed_order, "input_order"),
    (of(ndcg, in_float32), "close_scores"),
    (dcg, "range perfect"),
    (unjudged_counts, "nothing_found unjudged irrelevant_tail"),
    (lambda judged, scores: 1 - of(ndcg)(judged, scores), "perfect nothing_found better_first"),
    (lambda judged, scores: of(ndcg)(judged, scores) / max(len(scores), 1),
     "perfect irrelevant_tail"),
    (lambda judged, scores: min(1, sum(judged.get(d, 0) * max(s, 0) for d, s in scores.items())),
     "only_order close_scores"),
    (forgets, "inputs_unchanged perfect")])
def test_what_is_wrong_is_named(f, names):
    expect(names, check_ranking_measure, RANKING_MEASURE, f)


@pytest.mark.parametrize("measure", [ndcg, average_precision, reciprocal_rank])
def test_ours_keep_all(measure):
    check_ranking_measure(of(measure), max_examples=10)


@pytest.mark.parametrize("measure", [lambda r: precision(r, 3), lambda r: recall(r, 3)])
def test_a_perfect_ranking_has_neither_precision_nor_recall_1_at_a_cutoff(measure):
    check_ranking_measure(of(measure), without=("perfect",))
    expect("perfect", check_ranking_measure, RANKING_MEASURE, of(measure))

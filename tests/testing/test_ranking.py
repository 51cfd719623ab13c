"""check_ranking_measure: faulty measures and this package's measures."""
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
from tests.testing.broken_functions import assert_broken


def one_query(measure, prepare=lambda run: run):
    """f(judged, scores) of one query, from a measure of evaluate/ranking.py."""
    def f(judged, scores):
        return evaluate({"q": judged}, prepare({"q": scores}), {"m": measure}).mean["m"]
    return f


def ndcg_in_listed_order(judged, scores):
    """nDCG; documents with equal scores keep the order of the input."""
    def dcg(gains):
        return sum(gain / math.log2(i + 2) for i, gain in enumerate(gains))
    order = sorted(scores, key=scores.get, reverse=True)
    return (dcg(judged.get(d, 0) for d in order)
            / dcg(sorted(judged.values(), reverse=True)))


def dcg(judged, scores):
    """DCG, not divided by the DCG of the best ranking."""
    order = sorted(scores, key=lambda d: (scores[d], d), reverse=True)
    return sum(judged.get(d, 0) / math.log2(i + 2) for i, d in enumerate(order))


def unjudged_counts(judged, scores):
    return one_query(ndcg)({d: judged.get(d, 1) for d in {**judged, **scores}}, scores)


def pops_a_judgement(judged, scores):
    judged.pop(next(iter(judged)))
    return 0.0


@pytest.mark.parametrize("f, names", [
    (ndcg_in_listed_order, "input_order"),
    (one_query(ndcg, in_float32), "close_scores"),
    (dcg, "range perfect"),
    (unjudged_counts, "nothing_found unjudged irrelevant_tail"),
    (lambda judged, scores: 1 - one_query(ndcg)(judged, scores),
     "perfect nothing_found better_first"),
    (lambda judged, scores: one_query(ndcg)(judged, scores) / max(len(scores), 1),
     "perfect irrelevant_tail"),
    (lambda judged, scores: min(1, sum(judged.get(d, 0) * max(s, 0) for d, s in scores.items())),
     "only_order close_scores"),
    (pops_a_judgement, "inputs_unchanged perfect")])
def test_the_broken_invariants_of_a_faulty_function_are_found(f, names):
    assert_broken(names, check_ranking_measure, RANKING_MEASURE, f)


@pytest.mark.parametrize("measure", [ndcg, average_precision, reciprocal_rank])
def test_our_measures_satisfy_all_invariants(measure):
    check_ranking_measure(one_query(measure), max_examples=10)


@pytest.mark.parametrize("measure", [lambda r: precision(r, 3), lambda r: recall(r, 3)])
def test_precision_and_recall_at_a_cutoff_break_perfect_only(measure):
    check_ranking_measure(one_query(measure), without=("perfect",))
    assert_broken("perfect", check_ranking_measure, RANKING_MEASURE, one_query(measure))

"""Each measure: worked by hand; equal to its definition and to trec_eval; order has no effect."""
import json
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scratch_embed.evaluate.ranking import (
    Ranking,
    average_precision,
    evaluate,
    exponential,
    hit_rate,
    in_float32,
    linear,
    measures_at,
    ndcg,
    order,
    precision,
    rank_table,
    recall,
    reciprocal_rank,
)
from scratch_embed.testing import check_ranking_measure
from tests.rounding import seeds

GOLDEN = Path(__file__).parents[1] / "golden"
ORIGINAL = runpy.run_path(GOLDEN / "make_ranking.py")
WITHOUT_CUTOFF = {"MRR": reciprocal_rank, "MAP": average_precision, "nDCG": ndcg}
ALL_MEASURES = WITHOUT_CUTOFF | measures_at(*ORIGINAL["CUTOFFS"])

names = st.sampled_from(["1", "2", "10", "a", "B", "é", "日", "\uffff", "🙂"])
gains = st.dictionaries(names, st.integers(-1, 3), max_size=9)
scores = st.dictionaries(names, st.sampled_from([-1.0, -0.0, 0.0, 0.5, math.inf, -math.inf]))
cutoffs = st.integers(1, 12)


def score_of(qrels, run, measure, *arguments):
    """The value of a measure for one query.  qrels: {document: gain}, run: {document: score}."""
    found = evaluate({"q": qrels}, {"q": run}, {"value": lambda r: measure(r, *arguments)})
    return found.scores["value"][0]


# five judged documents; the best, b, is not returned; the first returned, u, is not judged
JUDGED = {"a": 1, "b": 3, "c": 0, "d": 2, "e": -1}
RETURNED = {"u": 9.0, "d": 8.0, "e": 7.0, "a": 6.0, "c": 5.0}             # gains 0, 2, 0, 1, 0


# ---- worked by hand --------------------------------------------------------------------------

@pytest.mark.parametrize("measure, k, value", [
    (precision, 1, 0), (precision, 2, 1 / 2), (precision, 4, 2 / 4), (precision, 10, 2 / 10),
    (recall, 1, 0), (recall, 2, 1 / 3), (recall, 4, 2 / 3), (recall, 10, 2 / 3),
    (hit_rate, 1, 0), (hit_rate, 2, 1), (hit_rate, 10, 1),
    (reciprocal_rank, 1, 0), (reciprocal_rank, 2, 1 / 2), (reciprocal_rank, None, 1 / 2),
    (average_precision, 1, 0), (average_precision, 2, (1 / 2) / 3),
    (average_precision, None, (1 / 2 + 2 / 4) / 3)])
def test_measures_worked_by_hand(measure, k, value):
    assert score_of(JUDGED, RETURNED, measure, k) == pytest.approx(value, rel=4 * 2**-53)


def test_ndcg_worked_by_hand():
    dcg = 2 / math.log2(3) + 1 / math.log2(5)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert score_of(JUDGED, RETURNED, ndcg) == pytest.approx(dcg / ideal, rel=1e-15)
    assert score_of(JUDGED, RETURNED, ndcg, 2) == pytest.approx(
        2 / math.log2(3) / (3 + 2 / math.log2(3)), rel=1e-15)
    dcg, ideal = 3 / math.log2(3) + 1 / math.log2(5), 7 + 3 / math.log2(3) + 1 / 2
    assert score_of(JUDGED, RETURNED, ndcg, None, exponential) == pytest.approx(
        dcg / ideal, rel=1e-15)


def test_a_higher_level_requires_higher_gains_except_in_ndcg():
    measures = measures_at(2, level=2)
    found = evaluate({"q": JUDGED}, {"q": {"a": 2.0, "d": 1.0}}, measures).mean
    assert found == {"P@2": 1 / 2, "Recall@2": 1 / 2, "Hit@2": 1, "MRR@2": 1 / 2, "MAP@2": 1 / 4,
                     "nDCG@2": found["nDCG@2"]}
    assert found["nDCG@2"] == score_of(JUDGED, {"a": 2.0, "d": 1.0}, ndcg, 2) > 0


def test_ties_go_to_the_last_name_in_the_alphabet():
    assert order({"10": 1.0, "9": 1.0, "é": 1.0, "z": 1.0, "x": 2.0}) == ["x", "é", "z", "9", "10"]
    assert order({"\uffff": 0.0, "🙂": -0.0}) == ["🙂", "\uffff"]       # as UTF-8 bytes


# ---- trec_eval ---------------------------------------------------------------------------------

def test_1000_frozen_queries_have_the_values_of_pytrec_eval():
    qrels, run = ORIGINAL["fuzzed"]()
    found = evaluate(qrels, in_float32(run), ALL_MEASURES)
    assert found.queries == list(qrels) and len(qrels) == 1000
    for name, values in json.loads((GOLDEN / "ranking.json").read_text()).items():
        np.testing.assert_allclose(found.scores[name], values, rtol=0, atol=1e-9, err_msg=name)


def test_live_parity_with_pytrec_eval():
    pytest.importorskip("pytrec_eval")
    qrels, run = ORIGINAL["fuzzed"]()
    found = evaluate(qrels, in_float32(run), ALL_MEASURES)
    for name, values in ORIGINAL["original"](qrels, run).items():
        np.testing.assert_allclose(found.scores[name], values, rtol=0, atol=1e-15, err_msg=name)


def test_scores_that_differ_only_in_float64_are_ordered():
    run = {"a": 1 + 2**-30, "b": 1.0}
    assert score_of({"a": 1}, run, reciprocal_rank) == 1
    assert score_of({"a": 1}, in_float32({"q": run})["q"], reciprocal_rank) == 1 / 2


# ---- the definitions ---------------------------------------------------------------------------

def by_definition(judged, run, k):
    """The equations, one document at a time."""
    ranked = sorted(run, key=lambda name: (run[name], name), reverse=True)[:k]
    rel = [judged.get(name, 0) >= 1 for name in ranked]
    R = sum(gain >= 1 for gain in judged.values())
    first = rel.index(True) + 1 if any(rel) else math.inf

    def dcg(gains):
        return sum(max(gain, 0) / math.log2(i + 1) for i, gain in enumerate(gains, 1))
    ideal = dcg(sorted(judged.values(), reverse=True)[:k])
    ap = sum(sum(rel[:i]) / i for i in range(1, len(rel) + 1) if rel[i - 1])
    return {f"P@{k}": sum(rel) / k, f"Recall@{k}": sum(rel) / R if R else 0,
            f"Hit@{k}": float(any(rel)), f"MRR@{k}": 1 / first, f"MAP@{k}": ap / R if R else 0,
            f"nDCG@{k}": dcg(judged.get(n, 0) for n in ranked) / ideal if ideal else 0}


@given(gains, scores, cutoffs)
def test_every_measure_equals_its_definition(judged, run, k):
    assume(judged)
    found = evaluate({"q": judged}, {"q": run}, measures_at(k)).mean
    assert found == pytest.approx(by_definition(judged, run, k), rel=40 * 2**-53)


@given(gains, cutoffs)
def test_a_perfect_ranking_scores_exactly_1(judged, k):
    assume(any(gain >= 1 for gain in judged.values()))
    R = sum(gain >= 1 for gain in judged.values())
    for gain in linear, exponential:
        assert score_of(judged, judged, ndcg, k, gain) == 1.0
    assert score_of(judged, judged, reciprocal_rank, k) == 1.0
    assert score_of(judged, judged, average_precision) == score_of(judged, judged, recall, R) == 1.0
    assert score_of(judged, judged, precision, R) == 1.0


@pytest.mark.parametrize("name", ["MRR", "MAP", "nDCG", *(measures_at(3))])
def test_every_measure_keeps_the_invariants_of_ranking_measures(name):
    """With a cutoff, a perfect ranking can have precision, recall and MAP below 1."""
    measure = {**WITHOUT_CUTOFF, **measures_at(3)}[name]
    check_ranking_measure(lambda judged, run: score_of(judged, run, measure),
                          without=["perfect"] * (name in ("P@3", "Recall@3", "MAP@3")))


@given(gains, scores, cutoffs)
def test_a_higher_cutoff_never_lowers_recall_hit_rate_mrr_or_map(judged, run, k):
    judged = {**judged, "1": 1}                              # at least one relevant document
    for measure in recall, hit_rate, reciprocal_rank, average_precision:
        assert score_of(judged, run, measure, k) <= score_of(judged, run, measure, k + 1)


@given(gains, scores)
def test_a_negative_gain_counts_as_no_judgement(judged, run):
    assume(any(gain >= 0 for gain in judged.values()))
    non_negative = {name: gain for name, gain in judged.items() if gain >= 0}
    found, expected = (evaluate({"q": qrels}, {"q": run}, ALL_MEASURES).mean
                       for qrels in (judged, non_negative))
    assert found == expected


def test_for_gains_0_and_1_linear_and_exponential_are_equal():
    judged, run = {"a": 1, "b": 0, "c": 1}, {"b": 3.0, "a": 2.0, "x": 1.0, "c": 0.0}
    assert score_of(judged, run, ndcg, 10) == score_of(judged, run, ndcg, 10, exponential)


def test_gains_need_not_be_whole():
    assert score_of({"a": 0.5, "b": 0.25}, {"b": 2.0, "a": 1.0}, ndcg) == pytest.approx(
        (0.25 + 0.5 / math.log2(3)) / (0.5 + 0.25 / math.log2(3)), rel=1e-15)
    assert score_of({"a": 0.5}, {"a": 2.0}, precision, 1) == 0                  # below the level 1


# ---- order ------------------------------------------------------------------------------------

@given(st.dictionaries(names, gains, min_size=1), st.dictionaries(names, scores), st.randoms())
def test_the_order_of_the_input_has_no_effect(qrels, run, random):
    assume(any(judged and query in run for query, judged in qrels.items()))

    def shuffled(table):
        return dict(random.sample(list(table.items()), len(table)))
    found = evaluate(qrels, run, ALL_MEASURES)
    again = evaluate({query: shuffled(row) for query, row in shuffled(qrels).items()},
                     {query: shuffled(row) for query, row in shuffled(run).items()}, ALL_MEASURES)
    assert again.mean == found.mean
    for name, values in found.scores.items():
        assert dict(zip(found.queries, values)) == dict(zip(again.queries, again.scores[name]))


def test_a_constant_scorer_does_not_profit_from_relevant_documents_listed_first():
    """100 queries with 10 documents of random names; the first one is relevant.

    The mean reciprocal rank of random orders is Σ 1/i / 10 = 0.293, with a standard deviation
    below 0.27/√100 = 0.027.
    """
    rng = np.random.default_rng(0)
    qrels, run = {}, {}
    for query in map(str, range(100)):
        documents = [str(name) for name in rng.permutation(1000)[:10]]
        qrels[query], run[query] = {documents[0]: 1}, dict.fromkeys(documents, 0.0)
    assert 0.293 - 4 * 0.027 < evaluate(qrels, run, WITHOUT_CUTOFF).mean["MRR"] < 0.293 + 4 * 0.027


@given(gains, scores, st.dictionaries(names, scores, max_size=3))
def test_other_queries_change_nothing(judged, run, others):
    assume(judged)
    alone = evaluate({"q": judged}, {"q": run}, ALL_MEASURES)
    together = evaluate({"q": judged} | {f"x{name}": {"1": 2, "2": 1} for name in others},
                      {"q": run} | {f"x{name}": row for name, row in others.items()}, ALL_MEASURES)
    assert all(alone.scores[name][0] == together.scores[name][0] for name in ALL_MEASURES)


# ---- which queries count ------------------------------------------------------------------------

def test_a_query_without_results_scores_0_or_is_left_out_if_not_complete():
    qrels = {"1": {"a": 1}, "2": {"a": 1}, "3": {"a": 0}, "4": {}}
    run = {"1": {"a": 1.0}, "3": {"a": 1.0}, "not judged": {"a": 1.0}, "4": {"a": 1.0}}
    complete = evaluate(qrels, run, WITHOUT_CUTOFF)
    common = evaluate(qrels, run, WITHOUT_CUTOFF, complete=False)
    assert complete.queries == ["1", "2", "3"] and complete.mean["MRR"] == 1 / 3
    assert common.queries == ["1", "3"] and common.mean["MRR"] == 1 / 2
    assert evaluate({"1": {"a": 1}}, {"1": {}}, complete=False).mean["nDCG@10"] == 0


# ---- arrays -----------------------------------------------------------------------------------

@given(seeds, st.integers(1, 4), st.integers(1, 9), cutoffs)
def test_tables_and_dictionaries_have_the_same_scores(seed, Q, N, k):
    rng = np.random.default_rng(seed)
    s, g = rng.integers(0, 4, (Q, N)) / 2, rng.integers(-1, 4, (Q, N))
    documents = [str(name) for name in rng.permutation(100)[:N]]
    qrels = {str(q): dict(zip(documents, row.tolist())) for q, row in enumerate(g)}
    run = {str(q): dict(zip(documents, row.tolist())) for q, row in enumerate(s)}
    measures, ranking = ALL_MEASURES | measures_at(k), rank_table(s, g, documents)
    found = evaluate(qrels, run, measures)
    for name, measure in measures.items():
        np.testing.assert_array_equal(measure(ranking), found.scores[name])


def test_a_ranking_can_be_given_as_gains():
    ranking = Ranking(np.array([[0, 2, 0, 1], [1, 0, 0, 0]]), np.array([[3, 2, 1], [1, 0, 0]]))
    assert recall(ranking, 2).tolist() == [1 / 3, 1] and hit_rate(ranking, 1).tolist() == [0, 1]
    nothing = Ranking(np.zeros((2, 0)), np.zeros((2, 0)))
    assert all(measure(nothing).tolist() == [0, 0] for measure in ALL_MEASURES.values())


# ---- invalid input ----------------------------------------------------------------------------

def test_invalid_scores_gains_and_queries_are_refused_with_their_names():
    with pytest.raises(ValueError, match="document 'b': .*got nan"):
        evaluate({"q": {"a": 1}}, {"q": {"a": 1.0, "b": math.nan}})
    for gain in math.nan, math.inf:
        with pytest.raises(ValueError, match="query 'q', document 'a': expected a finite gain"):
            evaluate({"q": {"a": gain}}, {"q": {"a": 1.0}})
    with pytest.raises(ValueError, match="of the qrels, '1', '2', '3' ..., got 'Q1'"):
        evaluate({str(q): {"a": 1} for q in range(1, 5)}, {"Q1": {"a": 1.0}})
    with pytest.raises(ValueError, match="'q', got none"):
        evaluate({"q": {"a": 1}}, {})
    with pytest.raises(ValueError, match="at most 1000, got 5000"):
        score_of({"a": 5000}, {"a": 1.0}, ndcg, 1, exponential)


@pytest.mark.parametrize("k", [0, -1])
def test_a_cutoff_below_1_is_refused(k):
    for measure in precision, recall, hit_rate, reciprocal_rank, average_precision, ndcg:
        with pytest.raises(ValueError, match="k=.*: expected a whole number, 1 to"):
            score_of({"a": 1}, {"a": 1.0}, measure, k)


def test_a_level_that_is_not_positive_is_refused():
    for level in 0, -1, math.nan:
        with pytest.raises(ValueError, match="expected a positive number"):
            score_of({"a": 1}, {"a": 1.0}, precision, 1, level)


def test_tables_of_other_shapes_repeated_names_and_nan_are_refused():
    with pytest.raises(ValueError, match=r"\(Q, 2\)"):
        rank_table(np.zeros((1, 3)), np.zeros((1, 3)), ["a", "b"])
    with pytest.raises(ValueError, match="expected different names"):
        rank_table(np.zeros((1, 2)), np.zeros((1, 2)), ["a", "a"])
    with pytest.raises(ValueError, match="got nan or an infinite gain"):
        rank_table([[math.nan]], [[1]], ["a"])

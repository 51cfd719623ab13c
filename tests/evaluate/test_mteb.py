"""MTEB's task types: equal to mteb, worked by hand; invalid input; the table and the JSON."""
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.baselines import RandomVectors
from scratch_embed.evaluate.mteb import DRAWN, EXACT, digest, embed, evaluate_task, evaluate_tasks
from scratch_embed.evaluate.results import (
    TaskResult,
    format_results,
    mean_of_tasks,
    mean_of_types,
    to_json,
    write_results,
)
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.worlds import task_shapes as shapes

ROOT = Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / "tests" / "golden" / "mteb.json").read_text())
# types whose scores equal mteb's; MultilabelClassification draws the same random samples
EXACT_TYPES = [task_type.__name__ for task_type in EXACT] + ["MultilabelClassification"]


class Lookup:
    """An encoder that looks its vectors up in a table."""

    def __init__(self, vectors):
        self.vectors = vectors

    def encode(self, texts):
        return np.array([self.vectors[text] for text in texts], np.float32)


FROZEN = Lookup({f"text {i}": vector for i, vector in enumerate(GOLDEN["vectors"])})


def frozen_task(name):
    fields = {key: shapes.Labelled(**value) if key in ("train", "test") else value
              for key, value in GOLDEN["tasks"][name].items()}
    return getattr(shapes, name)(**fields)


def numbers(scores, path=""):
    """{path: number} for every number in nested scores."""
    flat = {}
    for key, value in scores.items() if isinstance(scores, dict) else enumerate(scores):
        if isinstance(value, (dict, list)):
            flat |= numbers(value, f"{path}{key}/")
        else:
            flat[f"{path}{key}"] = value
    return flat


def shared_numbers(ours, theirs):
    """The numbers that both runners report, as two arrays, and their names."""
    ours = numbers(ours)
    names = sorted(ours.keys() & theirs.keys())
    return np.array([ours[n] for n in names]), np.array([theirs[n] for n in names]), names


# ---- parity with mteb ----------------------------------------------------------------------------

@pytest.mark.parametrize("name", EXACT_TYPES)
def test_every_score_equals_that_of_mteb(name):
    result, theirs = evaluate_task(FROZEN, frozen_task(name)), GOLDEN["scores"][name]
    ours, want, names = shared_numbers(result.scores, theirs)
    assert result.measure in names and len(names) >= 4
    assert ours == pytest.approx(want, abs=1e-6)
    assert result.main_score == pytest.approx(theirs["main_score"], abs=1e-6)


def test_classification_equals_mteb_with_a_converged_solver():
    scores = evaluate_task(FROZEN, frozen_task("Classification")).scores
    ours, want, names = shared_numbers(scores, GOLDEN["tight"])  # mteb with tolerance 1e-10
    assert len(names) == 7 + 10 * 7 and ours == pytest.approx(want, abs=1e-6)


def test_classification_is_within_a_standard_error_of_mteb_with_its_own_solver():
    task, theirs = frozen_task("Classification"), GOLDEN["scores"]["Classification"]
    draws = [theirs[f"scores_per_experiment/{i}/accuracy"] for i in range(10)]
    error = np.std(draws, ddof=1) / math.sqrt(10)
    assert abs(evaluate_task(FROZEN, task).main_score - theirs["main_score"]) <= error


def test_clustering_is_within_two_standard_errors_of_mteb():
    scores, theirs = evaluate_task(FROZEN, frozen_task("Clustering")).scores, GOLDEN["scores"]
    for level, ours in scores["v_measures"].items():
        want = [theirs["Clustering"][f"v_measures/{level}/{i}"] for i in range(10)]
        error = math.sqrt((np.var(ours, ddof=1) + np.var(want, ddof=1)) / 10)
        assert len(ours) == 10 and abs(np.mean(ours) - np.mean(want)) <= 2 * error
    draws = np.concatenate(list(scores["v_measures"].values()))
    assert scores["v_measure"] == pytest.approx(draws.mean(), rel=1e-12)
    assert scores["v_measure_std"] == pytest.approx(draws.std(), rel=1e-12)


@pytest.mark.parametrize("name", GOLDEN["tasks"])
def test_mteb_still_computes_the_frozen_scores(name):
    pytest.importorskip("mteb")
    sys.path.insert(0, str(ROOT / "bench" / "evaluate"))
    try:
        from mteb_adapter import mteb_scores
    finally:
        sys.path.pop(0)
    live, want, _ = shared_numbers(mteb_scores(FROZEN, frozen_task(name)), GOLDEN["scores"][name])
    assert len(want) >= 5 and live == pytest.approx(want, abs=1e-6)


def test_mteb_reads_our_files(tmp_path):
    mteb = pytest.importorskip("mteb")
    result = evaluate_task(FROZEN, frozen_task("Clustering"))
    read = mteb.TaskResult.from_disk(write_results([result], tmp_path)[0])
    assert read.task_name == "SmallClustering"
    assert read.get_score() == pytest.approx(result.main_score, rel=1e-12)


# ---- by hand ------------------------------------------------------------------------------------

PLANE = Lookup({"east": [1, 0], "north": [0, 1], "up north": [0, 2], "north east": [1, 1],
                "west": [-1, 0], "find east": [1, 0.1]})


def retrieval_task(corpus, gains, **fields):
    """A retrieval task with the one query "find east"."""
    return shapes.Retrieval("Search", corpus, {"q": "find east"}, {"q": gains}, 1.0, 0.0, **fields)


def test_retrieval_by_hand():
    # order: east, north east, north, west; two relevant documents have ranks 2 and 3, the third,
    # "gone", has no text
    corpus = {"a": "east", "b": "north", "c": "north east", "d": "west"}
    scores = evaluate_task(PLANE, retrieval_task(corpus, {"b": 1, "c": 2, "gone": 1})).scores
    ideal = 2 + 1 / math.log2(3) + 1 / 2
    assert scores["ndcg_at_10"] == pytest.approx((2 / math.log2(3) + 1 / 2) / ideal, rel=1e-12)
    assert scores["map_at_10"] == pytest.approx((1 / 2 + 2 / 3) / 3, rel=1e-12)
    assert scores["mrr_at_10"] == 1 / 2 and scores["hit_rate_at_1"] == 0
    assert scores["recall_at_1000"] == pytest.approx(2 / 3, rel=1e-12)


@given(st.permutations(["x", "y", "z"]), st.sampled_from(["x", "y", "z"]))
def test_documents_of_equal_cosine_are_ordered_by_name_not_by_position(names, relevant):
    # three documents of equal cosine: the last name in the alphabet is first
    corpus = dict(zip(names, ["north", "up north", "north"]))
    scores = evaluate_task(PLANE, retrieval_task(corpus, {relevant: 1})).scores
    assert scores["mrr_at_10"] == 1 / {"z": 1, "y": 2, "x": 3}[relevant]


def test_a_rounding_difference_does_not_order_documents():
    # "one" and "three" have equal directions up to float32's rounding, so nearly equal cosines
    encoder = Lookup({"find": [0.2, 0.9], "one": [0.1, 0.7], "three": [0.3, 2.1]})
    one, three = cosine_matrix(*(encoder.encode(texts).astype(np.float64)
                                 for texts in (["find"], ["one", "three"])))[0]
    assert one != three and np.float32(one) == np.float32(three)
    for names in ("ab", "ba"):
        task = shapes.Retrieval("Ties", dict(zip(names, ["one", "three"])), {"q": "find"},
                                {"q": {"b": 1}}, 1.0, 0.0)
        assert evaluate_task(encoder, task).scores["mrr_at_10"] == 1


def test_an_instruction_is_appended_to_its_query():
    class Recording(Lookup):
        encoded = ()

        def encode(self, texts):
            self.encoded += tuple(texts)
            return np.ones((len(texts), 2))
    encoder = Recording({})
    task = shapes.InstructionRetrieval("I", {"a": "east"}, {"q": "where", "r": "who"},
                                       {"r": "in one word", "q": "in a sentence"},
                                       {"q": {"a": 1}, "r": {"a": 1}}, 1.0, 0.0)
    evaluate_tasks(encoder, [task])
    assert encoder.encoded[:2] == ("where in a sentence", "who in one word")


def test_reranking_scores_only_the_candidates():
    corpus = {"a": "east", "b": "north", "c": "north east", "d": "west"}
    task = shapes.Reranking("R", corpus, {"q": "find east"}, {"q": {"b": 1}},
                            {"q": ["d", "b", "c"]}, 1.0, 0.0)
    result = evaluate_task(PLANE, task)                       # a is not a candidate; order c, b, d
    assert result.measure == "map_at_1000" and result.main_score == 1 / 2


def test_the_field_measure_names_the_main_score():
    corpus = {"a": "east", "b": "north"}
    task = retrieval_task(corpus, {"b": 1}, measure="mrr_at_10")
    assert evaluate_task(PLANE, task).main_score == 1 / 2
    with pytest.raises(ValueError, match="Search: expected a measure of its type, one of "
                                         "ndcg_at_1, .*; got 'v_measure'"):
        evaluate_task(PLANE, retrieval_task(corpus, {"b": 1}, measure="v_measure"))


def test_summaries_are_ranked_within_their_text():
    # text 1: cosines 0.7, −1, 0 are ordered as the ratings 2, 0, 1: ρ = 1.  Text 2: largest cosines
    # 1, 0, 0.7 with ranks 3, 1, 2, ratings with ranks 1, 2, 3: ρ = 1 − 6·6/24 = −1/2
    task = shapes.Summarization("S", ["?", "?"], [["east"], ["east", "east", "west"]],
                                [["north east", "west", "north"], ["west", "north", "north east"]],
                                [[2, 0, 1], [7, 8, 9]], 1.0, 0.0)
    assert evaluate_task(PLANE, task).main_score == pytest.approx((1 - 1 / 2) / 2, rel=1e-12)


@pytest.mark.parametrize("task_type", DRAWN)
def test_the_seed_determines_the_draws(task_type):
    task, vectors = frozen_task(task_type.__name__), RandomVectors(8)
    first, again, other = (numbers(evaluate_task(vectors, task, seed).scores) for seed in (1, 1, 2))
    first, again, other = ({name: x for name, x in flat.items() if x == x}   # without nan
                           for flat in (first, again, other))
    assert first == again and first != other


# ---- invalid input ------------------------------------------------------------------------------

class FixedVectors:
    """An encoder that returns the same vectors for any texts."""

    def __init__(self, vectors):
        self.vectors = vectors

    def encode(self, texts):
        return self.vectors


@pytest.mark.parametrize("vectors, found", [
    (np.ones((1, 4)), r"got float64 of shape \(1, 4\)"),
    (np.ones(2), r"got float64 of shape \(2,\)"),
    (np.ones((2, 0)), r"got float64 of shape \(2, 0\)"),
    (np.ones((2, 3, 4)), r"got float64 of shape \(2, 3, 4\)"),
    (np.array([["a"], ["b"]]), r"got <U1 of shape \(2, 1\)"),
    (np.ones((2, 3), complex), r"got complex128 of shape \(2, 3\)")])
def test_an_encoder_must_return_a_row_for_each_text(vectors, found):
    with pytest.raises(ValueError, match=r"FixedVectors.encode: expected numbers of shape "
                                         r"\(2, D\), a row for each text, " + found):
        embed(FixedVectors(vectors), ["east", "west"])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_an_error_names_the_text_whose_vector_is_not_finite(wrong):
    vectors = np.ones((3, 2))
    vectors[1:, 1] = wrong
    with pytest.raises(ValueError, match="FixedVectors.encode: expected finite vectors, got nan or "
                                         "inf in 2 of 3, the first for the text 'west'"):
        embed(FixedVectors(vectors), ["east", "west", "south"])


def test_other_objects_than_tasks_are_refused_before_anything_is_encoded():
    task = retrieval_task({"a": "east"}, {"a": 1})
    for tasks, number, found in (([task, 3], 1, "int"), (task, 0, "str"), (["STS"], 0, "str")):
        with pytest.raises(ValueError, match=rf"tasks\[{number}\]: expected one of .*STS.*, got "
                                             f"{found}; put a single task into a list"):
            evaluate_tasks(FixedVectors(None), tasks)


def test_every_task_type_has_one_protocol():
    assert set(shapes.Task.__args__) == EXACT.keys() | DRAWN.keys()
    assert not EXACT.keys() & DRAWN.keys()


def test_labels_of_different_depth_are_refused():
    task = shapes.Clustering("C", ["east", "west"], [["a", "b"], ["a"]], 1.0, 0.0)
    with pytest.raises(ValueError, match="C: expected .* levels.*text 1"):
        evaluate_tasks(PLANE, [task])


# ---- the table and the files --------------------------------------------------------------------

def result(task, score, type="STS", revision="0"):
    return TaskResult(task, type, "spearman", {"spearman": score}, 0.0, 1.0, 0.5, revision)


RESULTS = [result("A", 0.2), result("B", 0.4), result("C", 0.9, type="Retrieval")]


def test_the_means_by_hand():
    assert mean_of_tasks(RESULTS) == pytest.approx(0.5, rel=1e-15)
    assert mean_of_types(RESULTS) == pytest.approx((0.3 + 0.9) / 2, rel=1e-15)


def test_the_table_by_hand():
    chance = [result("A", 0.0), result("B", -0.3), result("C", 0.1, type="Retrieval")]
    assert format_results({"ours": RESULTS, "random": chance}) == [
        "task           type       measure   chance   ours  random  upper bound",
        "A              STS        spearman   0.000  0.200   0.000        1.000",
        "B              STS        spearman   0.000  0.400  -0.300        1.000",
        "C              Retrieval  spearman   0.000  0.900   0.100        1.000",
        "mean of tasks                        0.000  0.500  -0.067        1.000",
        "mean of types                        0.000  0.600  -0.025        1.000"]


def test_columns_of_different_tasks_or_data_are_refused():
    for other in (RESULTS[:2], RESULTS[::-1], [*RESULTS[:2], result("C", 1.0, "Retrieval", "1")]):
        with pytest.raises(ValueError, match="others for 'b' than for 'a'"):
            format_results({"a": RESULTS, "b": other})
    for nothing in ({}, {"a": []}):
        with pytest.raises(ValueError, match="expected at least one encoder"):
            format_results(nothing)


def test_the_revision_changes_with_the_data():
    tasks = [retrieval_task({"a": "east", "b": text}, {"a": 1})
             for text in ("north", "north", "west")]
    first, same, other = (evaluate_task(PLANE, task).revision for task in tasks)
    assert first == same != other


def test_the_digest_of_the_same_data_has_not_changed():
    """Old results remain comparable although two fields of a task were renamed."""
    assert digest(shapes.STS("A", ["a", "b"], ["c", "d"], [0.0, 5.0], 1.0, 0.0)) == "7da9b4bacf88"


def test_the_json_has_mtebs_fields_and_null_for_nan(tmp_path):
    scores = {"spearman": 0.1 + 0.2, "ap": math.nan, "draws": [{"ap": math.inf}, {"ap": 0.5}]}
    text = to_json(TaskResult("A", "STS", "spearman", scores, 0.0, 1.0, 0.5, "abc"))
    read = json.loads(text, parse_constant=pytest.fail)
    assert read == {
        "dataset_revision": "abc", "task_name": "A", "mteb_version": None, "evaluation_time": 0.5,
        "kg_co2_emissions": None, "scores": {"test": [{
            "main_score": 0.1 + 0.2, "spearman": 0.1 + 0.2, "ap": None,
            "draws": [{"ap": None}, {"ap": 0.5}], "hf_subset": "default",
            "languages": ["eng-Latn"]}]}}


def test_each_result_is_written_to_a_file_of_the_tasks_name(tmp_path):
    paths = write_results(RESULTS, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["A.json", "B.json", "C.json"]
    assert [json.loads(path.read_text())["scores"]["test"][0]["main_score"] for path in paths] == [
        0.2, 0.4, 0.9]


def test_an_error_names_the_candidate_without_a_text():
    task = shapes.Reranking("Small", {"d": "a text"}, {"q": "a question"}, {"q": {"d": 1}},
                            {"q": ["d", "nowhere"]}, 1.0, 0.5)
    with pytest.raises(ValueError, match="got 'nowhere' of query 'q', which is not"):
        evaluate_task(RandomVectors(), task)

"""Ranked lists are filled up after their last document, and can be converted to runs."""
import numpy as np
import pytest

from scratch_embed.evaluate.ranking import evaluate
from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.retrieve.lists import as_run, check_ids, top_k_of_query


def test_the_best_is_first_ties_go_to_the_lowest_id_and_the_list_is_filled_up():
    ids, scores = top_k_of_query(np.array([3, 5, 8]), np.array([1.0, 2.0, 1.0]), 5)
    assert ids.tolist() == [5, 3, 8, -1, -1]
    assert scores.tolist() == [2, 1, 1, -np.inf, -np.inf]
    assert top_k_of_query(np.array([], int), np.array([]), 1)[0].tolist() == [-1]


def test_a_run_has_names_and_only_the_documents_found():
    ids, scores = np.array([[1, 0], [2, -1]]), np.array([[0.5, 0.25], [3.0, -np.inf]])
    assert as_run(ids, scores, ["q", "r"], ["a", "b", "c"]) == {
        "q": {"b": 0.5, "a": 0.25}, "r": {"c": 3.0}}


def test_a_search_can_be_evaluated_as_a_run():
    """Query "cat": b and c have the word, b is shorter, so the relevant c is second: 1/log₂ 3."""
    names = ["a", "b", "c"]
    index = BM25([["dog"], ["cat"], ["cat", "dog"]])
    run = as_run(*index.search([["cat"], ["bird"]], 2), ["1", "2"], names)
    found = evaluate({"1": {"c": 1}, "2": {"a": 1}}, run)
    assert run == {"1": {"b": run["1"]["b"], "c": run["1"]["c"]}, "2": {}}
    assert found.scores["nDCG@10"].tolist() == [1 / np.log2(3), 0]


def test_invalid_ids_and_repeated_names_are_refused():
    assert check_ids([[0, -1, -1], [1, 0, -1]], 2).shape == (2, 3)
    assert check_ids(np.zeros((0, 3), int), 0).shape == (0, 3)
    assert check_ids([[0], [0]], 2).shape == (2, 1)          # the same id in two rows is valid
    for ids, problem in [([0, 1], "shape"), ([[0.5]], "float64"), ([[2]], "expected 0..1"),
                         ([[-2]], "-2"), ([[0, 1], [1, 1]], "twice in row 1")]:
        with pytest.raises(ValueError, match=problem):
            check_ids(ids, 2)
    with pytest.raises(ValueError, match="two queries"):
        as_run(np.array([[0], [0]]), np.ones((2, 1)), ["q", "q"], ["a"])
    with pytest.raises(ValueError, match="a row for each of 1 queries"):
        as_run(np.array([[0], [0]]), np.ones((2, 1)), ["q"], ["a"])

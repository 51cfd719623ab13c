"""Reranking sorts the candidates by their new scores, and scores each candidate once."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.retrieve.rerank import rerank
from tests.rounding import seeds

TEXTS = ["a", "bbb", "cc", "dddd", "ee"]


def nearness(pairs):
    """Minus the difference of the lengths of the two texts of each pair; 0 is best."""
    return [-abs(len(q) - len(d)) for q, d in pairs]


def test_reranking_worked_by_hand():
    ids, scores = rerank(["xxx", "y"], TEXTS, [[3, 2, 1], [4, -1, 3]], nearness, 2)
    assert ids.tolist() == [[1, 2], [4, 3]] and scores.tolist() == [[0, -1], [-1, -3]]
    ids, scores = rerank(["y"], TEXTS, [[-1, 0, -1]], nearness, 3)
    assert ids.tolist() == [[0, -1, -1]] and scores.tolist() == [[0, -math.inf, -math.inf]]


@given(seeds, st.integers(0, 4), st.integers(1, 6), st.integers(1, 8), st.integers(1, 20))
def test_reranking_equals_a_sort_of_the_candidates_by_score_then_id(seed, Q, C, k, batch_size):
    rng = np.random.default_rng(seed)
    table, scored = rng.integers(0, 3, (Q, 9)) / 2, []
    candidates = np.array([rng.permutation(9)[:C] for _ in range(Q)], int).reshape(Q, C)
    candidates[rng.random((Q, C)) < 0.2] = -1

    def look_up(pairs):
        assert 1 <= len(pairs) <= batch_size
        scored.extend(pairs)
        return np.array([table[q, d] for q, d in pairs], np.float32)
    ids, scores = rerank(range(Q), range(9), candidates, look_up, k, batch_size)
    assert sorted(scored) == sorted((q, d) for q in range(Q) for d in candidates[q] if d >= 0)
    for q in range(Q):
        want = sorted((d for d in candidates[q].tolist() if d >= 0),
                      key=lambda d: (-table[q, d], d))[:k]
        assert ids[q].tolist() == want + [-1] * (min(k, C) - len(want))
        assert scores[q, :len(want)].tolist() == table[q, want].tolist()


@given(seeds)
def test_the_order_of_the_candidates_has_no_effect(seed):
    rng = np.random.default_rng(seed)
    first = rerank(["xx"], TEXTS, [[0, 1, 2, 3, 4]], nearness, 5)
    again = rerank(["xx"], TEXTS, [rng.permutation(5)], nearness, 5)
    assert all((a == b).all() for a, b in zip(first, again))


def test_the_inputs_are_not_changed():
    candidates = np.array([[3, 2, 1]])
    rerank(["x"], TEXTS, candidates, nearness, 2)
    assert candidates.tolist() == [[3, 2, 1]]


def test_too_few_scores_or_nan_are_refused():
    for score_pairs, problem in [
            (lambda pairs: [1.0], r"3 numbers for as many pairs, got shape \(1,"),
            (lambda pairs: np.zeros((3, 1)), r"\(3, 1\)"),
            (lambda pairs: [0, math.nan, 1], "with nan")]:
        with pytest.raises(ValueError, match=problem):
            rerank(["x"], TEXTS, [[0, 1, 2]], score_pairs, 1)


def test_invalid_candidates_and_parameters_are_refused():
    for candidates, problem in [([[5]], "got 5..5"), ([[0, 0]], "twice"), ([0], "shape"),
                                ([[0], [1]], "expected 1 rows, one for each query")]:
        with pytest.raises(ValueError, match=problem):
            rerank(["x"], TEXTS, candidates, nearness, 1)
    with pytest.raises(ValueError, match="k=.*: expected a whole number, 1 to"):
        rerank(["x"], TEXTS, [[0]], nearness, 0)
    with pytest.raises(ValueError, match="batch_size=0"):
        rerank(["x"], TEXTS, [[0]], nearness, 1, 0)

"""The verdict on a cross-encoder: ranks among candidates, correlations, class losses, baselines."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.sentences.cross_encoder_verdict import (
    CANDIDATES,
    of_candidates,
    of_classes,
    of_scored_pairs,
)
from scratch_embed.sentences.verdict import shared_ranks


class Scorer:
    """A model whose score of a pair is given by a function of its two texts."""

    def __init__(self, score):
        self.score, self.asked = score, []

    def predict(self, pairs, activation_fn=None):
        self.asked += pairs
        return np.array([self.score(a, b) for a, b in pairs], np.float32)


QUERIES = [f"q{n} word{n}" for n in range(30)]
POSITIVES = [f"p{n} other{n}" for n in range(30)]
RIGHT = Scorer(lambda a, b: float(a.split()[0][1:] == b.split()[0][1:]))
EQUAL = Scorer(lambda a, b: 0.5)


# ---- candidates ---------------------------------------------------------------------------------

def test_a_model_that_knows_the_positives_has_mrr_1_and_equal_scores_are_chance():
    verdict = of_candidates(RIGHT, EQUAL, QUERIES, [POSITIVES])
    chance = np.mean(1 / np.arange(1, CANDIDATES + 1))
    assert verdict.texts == CANDIDATES and verdict.trained == 1 and verdict.learned
    assert verdict.start == pytest.approx(chance) == verdict.chance
    assert verdict.tokens == pytest.approx(chance)              # no token in common
    assert not of_candidates(EQUAL, EQUAL, QUERIES, [POSITIVES]).learned


def test_common_tokens_find_a_positive_that_shares_them():
    keys = [f"{query} and more" for query in QUERIES]
    assert of_candidates(EQUAL, EQUAL, QUERIES, [keys]).tokens == 1
    hard = [f"{query} {query}" for query in QUERIES]           # a hard negative shares as many
    assert of_candidates(EQUAL, EQUAL, QUERIES, [keys, hard]).tokens < 0.6


def test_hard_negatives_are_among_the_candidates():
    model = Scorer(lambda a, b: float("hard" in b))
    hard = [f"hard {n}" for n in range(30)]
    verdict = of_candidates(model, EQUAL, QUERIES, [POSITIVES, hard])
    assert verdict.texts == CANDIDATES and verdict.trained <= 0.5
    assert sum("hard" in b for _, b in model.asked) == 30


def test_fewer_texts_give_fewer_candidates_and_few_queries_none():
    few = [f"p{n % 4}" for n in range(30)]
    queries = [f"q{n % 4}" for n in range(30)]
    assert of_candidates(EQUAL, EQUAL, queries, [few]).texts == 4       # its own is one of 4
    assert of_candidates(EQUAL, EQUAL, QUERIES[:9], [POSITIVES[:9]]) is None
    assert of_candidates(EQUAL, EQUAL, QUERIES, [["same"] * 30]) is None


@given(st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=5))
def test_shared_ranks_are_the_mean_over_all_orders_of_equal_scores(rows):
    scores = np.array(rows, float)
    for row, found in zip(scores, shared_ranks(scores, scores[:, 0])):
        above, equal = (row > row[0]).sum(), (row == row[0]).sum()
        assert found == pytest.approx(np.mean(1 / (above + 1 + np.arange(equal))))


# ---- scores and classes -------------------------------------------------------------------------

def test_scores_are_correlated_with_labels():
    labels = np.arange(30) / 29
    model = Scorer(lambda a, b: int(a.split()[0][1:]) ** 3)
    verdict = of_scored_pairs(model, EQUAL, QUERIES, POSITIVES, labels)
    assert verdict.trained == pytest.approx(1) and verdict.start == 0 and verdict.learned
    assert of_scored_pairs(model, EQUAL, QUERIES, POSITIVES, np.ones(30)) is None
    assert of_scored_pairs(model, EQUAL, QUERIES[:9], POSITIVES[:9], labels[:9]) is None


def test_classes_are_compared_with_their_frequencies():
    """Of three classes, one is as frequent as the other two together: log 2 and log 4."""
    classes = np.array([0, 1, 0, 2] * 7 + [0, 0])
    model = Scorer(lambda a, b: 20.0 * np.eye(3)[classes[int(a.split()[0][1:])]])
    start = Scorer(lambda a, b: np.zeros(3))
    seen = np.array([0, 0, 1, 2])
    verdict = of_classes(model, start, QUERIES, POSITIVES, classes, seen)
    assert verdict.trained == pytest.approx(0, abs=1e-6) and verdict.learned
    assert verdict.untrained == pytest.approx(np.log(3))
    assert verdict.baseline == pytest.approx((16 * np.log(2) + 14 * np.log(4)) / 30)

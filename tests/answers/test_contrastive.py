"""Answer 1: the share of the push by hand; a small run; what it claims, over five seeds."""
import numpy as np
import pytest

from scratch_embed.answers.contrastive import (
    MEASURES,
    PAIRS,
    PULL,
    answer,
    push_of_hardest,
    right_answers,
)
from scratch_embed.worlds.facts import values_named


def test_the_push_of_the_hardest_by_hand():
    """Cosines of query 0 with the two negatives: 0 and −1; at tau = 1/ln 3 their pushes are 1 : ⅓.

    By symmetry query 2 is alike; query 1 has the cosines 0 and 0, which push alike.
    """
    x = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert push_of_hardest(x, x, 1 / np.log(3), hardest=1) == pytest.approx((0.75 + 0.5 + 0.75) / 3)
    assert push_of_hardest(x, x, 1.0, hardest=2) == pytest.approx(1)


@pytest.mark.parametrize("tau", [0.01, 0.05, 1.0])
def test_equal_negatives_share_the_push_and_a_smaller_tau_concentrates_it(tau):
    same = np.ones((8, 3))
    assert push_of_hardest(same, same, tau, hardest=2) == pytest.approx(2 / 7)
    x = np.random.default_rng(0).standard_normal((8, 3))
    assert push_of_hardest(x, x, tau, hardest=2) > push_of_hardest(x, x, 2 * tau, hardest=2)


def test_a_right_answer_has_every_value_of_the_query():
    queries = ["find the happy sailor", "find the sailor", "find the angry child"]
    reports = ["the glad seaman found the lamp near the shore",
               "the furious mariner found the lamp near the shore",
               "the angry kid found the lamp near the shore"]
    targets = np.stack([values_named(queries), values_named(reports)], axis=1)
    assert right_answers(None, targets).tolist() == [
        [True, False, False], [True, True, False], [False, False, True]]


def test_a_small_run_has_the_form_of_an_answer():
    found = answer([1, 2], documents=60, steps=2)
    before, changed = found.tables
    assert before.rows[PAIRS].shape == (2, 4) and PULL in changed.rows
    assert set(before.columns) | set(changed.columns) == set(MEASURES)
    assert (before.rows[PAIRS][:, 0] == changed.rows[PAIRS][:, 0]).all()
    assert all(np.isfinite(claim.greater - claim.less).all() for claim in found.claims)
    assert all((abs(c) <= 1).all() for side in found.figure for c in side.values())


@pytest.mark.campaign
def test_every_claim_holds_over_five_seeds():
    for claim in answer([1, 2, 3, 4, 5]).claims:
        assert claim.holds, claim.sentence()

"""Answer 1: the share of the push by hand; a small run; what it claims, over five seeds."""
import numpy as np
import pytest

from scratch_embed.answers.contrastive import (
    BM25,
    FEW_PAIRS,
    FEW_STEPS,
    FLAT,
    MASKS,
    MEASURES,
    PAIRS,
    PULL,
    SHARP,
    TRUE,
    UNTRAINED,
    answer,
    paragraphs,
    push_of_hardest,
)

NAMES = [BM25, UNTRAINED, SHARP, PAIRS, PULL, MASKS, FLAT, FEW_STEPS, FEW_PAIRS, TRUE]


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


def test_where_nothing_is_better_the_answer_says_so_and_gives_no_advice():
    rows = {name: np.ones((3, len(MEASURES))) for name in NAMES}
    for part in paragraphs(rows, 1.5, 128):
        assert str(part).count("This run does not show that") == len(part.claims) > 0
        assert "So remove" not in str(part)


def test_claims_compare_the_rows_that_they_name():
    """Models in the order of NAMES score 0, 1, 2 ... on every measure, the same for each seed."""
    rows = {name: np.full((2, len(MEASURES)), float(n)) for n, name in enumerate(NAMES)}
    held = [claim.clause for part in paragraphs(rows, 0.0, 16) for claim in part.claims
            if claim.holds]
    assert [clause[:35] for clause in held] == [
        "training on pairs finds more than t", "it finds more than BM25, which need",
        "without the push the vectors collap", "it finds more than tau 0.01",
        "leaving them out of the loss finds "]


@pytest.mark.campaign
def test_every_claim_holds_over_five_seeds():
    for claim in answer([1, 2, 3, 4, 5]).claims:
        assert claim.holds, claim.sentence()

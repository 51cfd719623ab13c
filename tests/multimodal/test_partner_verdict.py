"""The verdict on partners of two senses: worked by hand, ties, and what is significant."""
import numpy as np
import pytest

from scratch_embed.multimodal.partner_verdict import (
    PartnerVerdict,
    of_partners,
    reciprocal_ranks,
)


def test_ranks_worked_by_hand():
    """Own keys: ranks 1 and 3; a tie counts against the own key."""
    cosines = np.array([[0.9, 0.1, 0.3], [0.5, 0.7, 0.7]])
    assert reciprocal_ranks(cosines, np.array([0, 0])).tolist() == [1, 1 / 3]
    assert reciprocal_ranks(cosines, np.array([0, 2])).tolist() == [1, 1 / 2]


def test_the_verdict_worked_by_hand():
    """After training 1 and 1/3; before 1/3 and 1/3; chance (1 + 1/2 + 1/3)/3."""
    after = np.array([[0.9, 0.1, 0.3], [0.5, 0.7, 0.7]])
    before = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]])
    found = of_partners(after, before, np.array([0, 0]))
    error = np.std([2 / 3, 0], ddof=1) / np.sqrt(2)
    assert found == pytest.approx((2 / 3, 1 / 3, 11 / 18, error, error, 2, 3))
    assert not found.learned                           # two queries show nothing


@pytest.mark.parametrize("verdict, words", [
    (PartnerVerdict(0.5, 0.1, 0.07, 0.02, 0.02, 100, 50), "better than before training"),
    (PartnerVerdict(0.1, 0.5, 0.07, 0.02, 0.02, 100, 50), "worse than before training"),
    (PartnerVerdict(0.15, 0.1, 0.07, 0.02, 0.02, 100, 50), "no better than before training"),
    (PartnerVerdict(0.08, 0.01, 0.07, 0.02, 0.02, 100, 50), "no better than before training")])
def test_three_standard_errors_are_needed_over_both_the_start_and_chance(verdict, words):
    said = verdict.sentence("train more")
    assert said.startswith(f"verdict: {words} (MRR ")
    assert said.endswith("train more") == words.startswith("no better")

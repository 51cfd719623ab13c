"""The form of an answer: claims by hand, and words that stay true when a claim fails."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.answers.answer import Answer, Claim, Paragraph

HELD = Claim("a is above b", np.array([3.0, 4.0, 5.0]), np.array([1.0, 2.0, 3.0]))
FAILED = HELD._replace(greater=np.array([1.0, 2.0, 9.0]))


def test_a_claim_holds_if_the_whole_interval_is_above_0():
    """The differences 2, 2, 2 have no spread; 0, 0, 6 have mean 2 ± 4.303 · 2√3/√3 = 8.6."""
    assert HELD.holds and HELD.difference == (2.0, 0.0)
    assert not FAILED.holds and FAILED.difference == pytest.approx((2.0, 8.606))
    assert not HELD._replace(greater=HELD.less).holds              # equal is not greater


def test_a_sentence_says_what_holds_and_what_does_not():
    assert HELD.sentence() == "A is above b (4.0 against 2.0, difference 2.0 ± 0.0)."
    assert FAILED.sentence() == ("This run does not show that a is above b (4.0 against 2.0, "
                                 "difference 2.0 ± 8.6).")
    assert "(4.00 against 2.00," in HELD._replace(digits=2).sentence()


@given(st.lists(st.tuples(*[st.integers(-50, 50)] * 2), min_size=2, max_size=6))
def test_a_claim_and_its_opposite_never_hold_together(pairs):
    greater, less = np.array(pairs, float).T
    claim, opposite = Claim("", greater, less), Claim("", less, greater)
    assert not (claim.holds and opposite.holds)
    assert not claim.holds or greater.mean() > less.mean()


def test_advice_is_given_only_if_all_claims_hold():
    advice = "So take a."
    assert str(Paragraph("Facts.", (HELD,), advice)).endswith("± 0.0).  So take a.")
    assert advice not in str(Paragraph("Facts.", (HELD, FAILED), advice))
    assert str(Paragraph("Facts.")) == "Facts."


def test_the_claims_of_an_answer_are_those_of_its_paragraphs():
    paragraphs = [Paragraph("", (HELD,)), Paragraph(""), Paragraph("", (FAILED, HELD))]
    assert Answer("?", [1, 2, 3], [], paragraphs, None).claims == [HELD, FAILED, HELD]

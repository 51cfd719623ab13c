"""Answer 3: what it says of measured numbers, by hand; what it claims, over five seeds."""
import numpy as np
import pytest

from scratch_embed.answers.rag import (
    BI,
    BM25,
    BUDGET,
    CHUNKS,
    MIXED,
    OTHER,
    RANDOM,
    SIF,
    UNTRAINED,
    Found,
    Needed,
    answer,
    answer_all,
    compared,
    curves,
    paragraphs,
    percent,
    significance,
)

SEARCHES = (BM25, SIF, BI, OTHER, MIXED, UNTRAINED, RANDOM)


def found_by(tokens):
    """A Found whose questions need `tokens` tokens: {search: (Q,)}."""
    by_chunks = {name: {BI: tokens[BI]} for name in CHUNKS}
    return Found(Needed(tokens, by_chunks), {}, None, None)


def test_recall_at_the_budget_by_hand():
    assert percent(np.array([BUDGET, BUDGET + 1, np.inf, 1]), BUDGET) == 50


def test_answering_everything_has_the_precision_of_the_share_that_has_an_answer():
    assert answer_all(10) == pytest.approx([50, 100, 200 / 3, 200 / 3])


def test_a_comparison_by_hand():
    """Six of six questions won: 2 of 2⁶ choices of signs are as extreme.  No difference: p = 1."""
    one, nothing = np.ones(6), np.zeros(6)
    assert compared(one, nothing) == "6 questions +100.0 [100.0, 100.0], p = 0.031, significant"
    assert compared(one, one) == "6 questions +0.0 [0.0, 0.0], p = 1, not significant"


def test_the_significance_is_over_the_questions_of_all_seeds():
    tokens = {name: np.full(15, 10.0 if name == BI else np.inf) for name in SEARCHES}
    text = significance([found_by(tokens)] * 2)
    assert "bi-encoder minus bi-encoder, short texts: 30 questions +100.0" in text
    assert "with 20 questions +100.0" in text
    assert "word2vec, SIF minus BM25: 30 questions +0.0" in text


def test_the_curves_are_recalls_at_each_budget():
    tokens = {name: np.array([32.0, 100.0, 512.0, np.inf]) for name in SEARCHES}
    numbers = curves([found_by(tokens)] * 2)
    assert numbers.searches[BM25].tolist() == [[25, 25, 50, 50, 75, 75]] * 2
    assert numbers.chunks.keys() == CHUNKS.keys()


def test_where_nothing_is_better_the_answer_says_so():
    tokens = {name: np.ones(4) for name in SEARCHES}
    one = found_by(tokens)._replace(chunks=NoChunks, encoder=NoChunks)
    rows = {"chunks": {name: np.ones((2, 5)) for name in CHUNKS},
            "searches": {name: np.ones((2, 4)) for name in SEARCHES},
            "abstain": {name: np.ones((2, 4)) for name in (BM25, SIF, BI, "answer everything")}}
    parts = paragraphs(rows, [one] * 2, seconds=0.5)
    assert sum(str(part).count("This run does not show that") for part in parts) == 11
    assert "Here that is 2 passes of the encoder, 0.5 s, and 4 kB" in str(parts[-1])


class NoChunks:
    """Two chunks, and an encoder of 500 dimensions."""

    texts, dim = ["a", "b"], 500


@pytest.mark.campaign
def test_every_claim_holds_over_five_seeds():
    for claim in answer([1, 2, 3, 4, 5]).claims:
        assert claim.holds, claim.sentence()

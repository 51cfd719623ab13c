"""Answer 2: what it says of measured numbers, by hand; what it claims, over five seeds."""
import numpy as np
import pytest

from scratch_embed.answers.cross_or_bi import (
    BI,
    BM25,
    DEPTHS,
    SYNONYMS,
    answer,
    name_of,
    paragraphs,
    table,
)

NAMES = [BM25, SYNONYMS, *(name_of(depth, 300) for depth in (0, *DEPTHS, 300))]


def test_the_names_of_depths():
    assert [name_of(depth, 60) for depth in (0, 20, 60)] == [
        BI, "reranked, top 20", "cross-encoder on all 60"]


def test_where_nothing_is_better_the_answer_says_so_and_gives_no_advice():
    rows = {name: np.ones((3, 4)) for name in NAMES}
    parts = paragraphs(rows, 300)
    assert sum(str(part).count("This run does not show that") for part in parts) == 4
    assert not any("choose the depth" in str(part) for part in parts)


def test_the_cost_of_a_large_collection_by_hand():
    """60 ms for 300 documents are 0.2 ms a pass: a million passes take 200 s."""
    rows = {name: np.full((2, 4), 60.0) for name in NAMES}
    text = " ".join(map(str, paragraphs(rows, 300)))
    assert "it would take 200 s by the cross-encoder alone, at 0.20 ms a pass" in text
    assert "From 50 candidates to all 300 nDCG@10 changes by +0.0 ± 0.0." in text


def test_claims_compare_depths_and_baselines():
    """All measures rise with the place in NAMES, and are the same for each seed."""
    rows = {name: np.full((2, 4), float(n)) for n, name in enumerate(NAMES)}
    assert all(claim.holds for part in paragraphs(rows, 300) for claim in part.claims)
    assert [*table(rows, 300, 100).rows] == NAMES


@pytest.mark.campaign
def test_every_claim_holds_over_five_seeds():
    for claim in answer([1, 2, 3, 4, 5]).claims:
        assert claim.holds, claim.sentence()

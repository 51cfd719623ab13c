"""Answer 4: its tables in a small run; the words that follow the numbers; what it claims."""
import numpy as np
import pytest

from scratch_embed.answers.matryoshka import (
    DIMS,
    LONGER,
    SHOWN,
    answer,
    figure,
    paragraphs,
    per_kind,
    row,
)
from scratch_embed.why.prefixes import (
    MATRYOSHKA,
    MEASURES,
    OWN,
    PROJECTED,
    TRUNCATED,
    UNTRAINED,
    WORDS,
)

NAMES = [UNTRAINED, WORDS, TRUNCATED, PROJECTED, OWN, MATRYOSHKA]
COST = ("at all 64 numbers an ordinary model finds more than Matryoshka",
        "at 4 numbers a model trained for this size alone finds more")


def equal(value):
    """The numbers of two seeds, all equal to a value."""
    ways = {name: np.full((2, len(DIMS), len(MEASURES)), value) for name in NAMES}
    stored = {row(m, name): np.full((2, 3), value) for m in DIMS for name in SHOWN}
    return ways, stored


def test_about_so_many_documents_and_at_least_two_of_each_kind():
    assert [per_kind(documents) for documents in (60, 128, 2048, 2100)] == [2, 2, 32, 32]


def test_where_nothing_is_better_the_answer_says_so_and_gives_no_advice():
    parts = paragraphs(*equal(50.0))
    for part in parts:
        assert str(part).count("This run does not show that") == len(part.claims)
        assert "So measure" not in str(part)
    assert sum(len(part.claims) for part in parts) == 11


def test_claims_compare_the_rows_that_they_name():
    """Ways in the order of NAMES score 0, 1, 2 ...; more numbers score more, kinds less."""
    ways, stored = equal(0.0)
    for n, name in enumerate(NAMES):
        ways[name] += n + np.array(DIMS)[:, None] / 1000 - np.arange(len(MEASURES)) / 10_000
    stored[row(8, "int8")] += 1
    stored[row(16, "int8")] += 1
    stored[row(4, LONGER)] += 1
    failed = {claim.clause for part in paragraphs(ways, stored) for claim in part.claims
              if not claim.holds}
    assert failed == set(COST)


def test_the_figure_has_the_numbers_of_the_tables():
    ways, stored = equal(7.0)
    stored[row(8, "int8")][:] = 8, 50, 1000
    found = figure(ways, stored)
    assert found.ways[MATRYOSHKA].shape == (2, len(DIMS))
    assert found.stored["int8"][:, DIMS.index(8)].tolist() == [[8, 50]] * 2
    assert LONGER not in found.stored


def test_a_small_run_has_three_tables_with_all_rows():
    found = answer([1, 2], documents=60, steps=1)
    first, second, third = found.tables
    assert set(first.rows) == set(second.rows) == set(NAMES) and len(found.claims) == 11
    assert "8 x int8: 8 B" in third.rows and "64 x float32: 256 B" in third.rows
    for table in found.tables:
        for rows in table.rows.values():
            assert rows.shape == (2, len(table.columns)) == (2, len(table.digits))
            assert np.isfinite(rows).all() and (rows >= 0).all()


@pytest.mark.campaign
def test_every_claim_holds_over_five_seeds_except_that_matryoshka_costs_quality():
    for claim in answer([1, 2, 3, 4, 5]).claims:
        assert claim.holds or claim.clause in COST, claim.sentence()

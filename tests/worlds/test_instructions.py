"""The same text with five instructions has five different sets of relevant documents."""
import numpy as np
import pytest

from scratch_embed.worlds.bounds import chance_ndcg, discounts
from scratch_embed.worlds.facts import NAMES, gain_table
from scratch_embed.worlds.instructions import (
    INSTRUCTIONS,
    instructions,
    upper_bound_without_instruction,
)

WORLD = instructions()


def test_a_document_is_relevant_if_it_agrees_in_the_slot_that_the_instruction_names():
    for query, text in WORLD.queries.items():
        name = query.split("-")[1]
        assert WORLD.instructions[query] == INSTRUCTIONS[name]
        (slot, value), = WORLD.query_slots[query].items()
        assert NAMES[slot] == name
        assert WORLD.qrels[query] == {document: 1 for document, fact in WORLD.document_facts.items()
                                      if fact[slot] == value}
        assert len(WORLD.qrels[query]) in (37, 38)                   # 300 documents, 8 values
        assert text == WORLD.queries[f"{query.split('-')[0]}-mood"]


def test_the_five_instructions_of_a_text_have_different_relevant_documents():
    assert len(WORLD.queries) == 5 * 60 and list(INSTRUCTIONS) == NAMES
    for i in range(60):
        relevant = {frozenset(WORLD.qrels[f"q{i:02d}-{name}"]) for name in NAMES}
        assert len(relevant) == 5


def test_without_the_instruction_the_best_ranking_is_by_the_number_of_equal_slots():
    """Each query has 37 or 38 relevant documents, more than ten, so all ideal sums are equal."""
    d = discounts(10)
    gains = gain_table(WORLD.qrels, list(WORLD.corpus)).reshape(60, 5, 300)
    by_matches = [(-np.sort(-case.sum(0))[:10] / 5) @ d / d.sum() for case in gains]
    bound = upper_bound_without_instruction(WORLD)
    assert bound == pytest.approx(np.mean(by_matches), rel=1e-13)
    assert chance_ndcg(gains.reshape(300, 300)) + 0.3 < bound < 0.65


def test_other_slots_are_other_queries_of_the_same_texts_and_documents():
    two = instructions(slots=("place", "who"))
    assert two.corpus == WORLD.corpus and [*two.queries][:3] == ["q00-place", "q00-who",
                                                                 "q01-place"]
    assert all(two.qrels[query] == WORLD.qrels[query] for query in two.queries)
    assert upper_bound_without_instruction(WORLD) < upper_bound_without_instruction(two) < 0.85
    assert upper_bound_without_instruction(instructions(slots=["who"])) == pytest.approx(1)


def test_the_same_seed_draws_the_same_world():
    assert instructions(3, 50, 5) == instructions(3, 50, 5) != instructions(4, 50, 5)


@pytest.mark.parametrize("wrong, least", [(dict(documents=7), 8), (dict(queries=0), 1)])
def test_a_wrong_argument_raises_an_error_with_the_expected_values(wrong, least):
    with pytest.raises(ValueError, match=f"expected a whole number, {least} to"):
        instructions(**wrong)

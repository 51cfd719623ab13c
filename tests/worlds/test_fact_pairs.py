"""Labelled pairs of facts: what is true of them can be read from their words."""
import numpy as np
import pytest

from scratch_embed.worlds.fact_pairs import (
    NOT_NAMED,
    SLOT_OF,
    answers,
    held_out_synonyms,
    repeated_answers,
    replace_words,
    scored_pairs,
    slots_named,
)
from scratch_embed.worlds.facts import WORDS, facts, gain_table


@pytest.fixture(scope="module")
def world():
    return facts(1, documents=200, queries=60, sentences=0, pairs=0)


def test_every_word_belongs_to_one_value_of_one_slot():
    assert len(SLOT_OF) == sum(len(words) for slot in WORDS for words in slot) == 160


def test_slots_are_read_from_words_worked_by_hand():
    found = slots_named(["find the sad sailor near the beach", "the deckhand tossed the lamp"])
    assert found.tolist() == [[NOT_NAMED, 5, NOT_NAMED, NOT_NAMED, 2],
                              [NOT_NAMED, 5, 5, 5, NOT_NAMED]]


def test_a_report_answers_a_query_exactly_if_its_gain_is_the_highest(world):
    gains = gain_table(world.qrels, list(world.corpus))
    found = answers(*(slots_named(list(texts.values())) for texts in (world.queries, world.corpus)))
    np.testing.assert_array_equal(found, gains == 2)


def test_scores_are_the_slots_that_match_and_all_are_equally_frequent(world):
    queries, reports, matches = scored_pairs(world, 400, seed=3)
    q, r = slots_named(queries), slots_named(reports)
    np.testing.assert_array_equal(((q == r) & (q != NOT_NAMED)).sum(axis=1), matches)
    assert np.ptp(np.bincount(matches)) <= 1 + 400 - len(queries)
    assert not set(queries) & set(world.queries.values())


def test_repeated_answers_are_few_texts_and_answer_their_queries(world):
    queries, positives = repeated_answers(world, answers=20, n=300, seed=2)
    assert len(set(positives)) <= 20 and len(queries) == len(positives) > 250
    assert answers(slots_named(queries), slots_named(positives)).diagonal().all()
    assert not set(queries) & set(world.queries.values())


def test_one_word_of_each_value_is_held_out_and_replaced_by_a_synonym(world):
    held_out = held_out_synonyms(seed=1)
    assert len(held_out) == 40 and not set(held_out) & set(held_out.values())
    assert all(SLOT_OF[word] == SLOT_OF[other] for word, other in held_out.items())
    texts = list(world.corpus.values())
    changed = replace_words(texts, held_out)
    assert not {word for text in changed for word in text.split()} & set(held_out)
    np.testing.assert_array_equal(slots_named(changed), slots_named(texts))

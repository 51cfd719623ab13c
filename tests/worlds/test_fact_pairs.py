"""Labelled pairs of facts: what is true of them can be read from their words."""
import numpy as np
import pytest

from scratch_embed.worlds.fact_pairs import (
    held_out_synonyms,
    repeated_answers,
    replace_words,
    scored_pairs,
)
from scratch_embed.worlds.facts import NOT_NAMED, VALUE_OF, facts, states_all, values_named


@pytest.fixture(scope="module")
def world():
    return facts(1, documents=200, queries=60, sentences=0, pairs=0)


def test_scores_are_the_slots_that_match_and_all_are_equally_frequent(world):
    queries, reports, matches = scored_pairs(world, 400, seed=3)
    q, r = values_named(queries), values_named(reports)
    np.testing.assert_array_equal(((q == r) & (q != NOT_NAMED)).sum(axis=1), matches)
    assert np.ptp(np.bincount(matches)) <= 1 + 400 - len(queries)
    assert not set(queries) & set(world.queries.values())


def test_repeated_answers_are_few_texts_and_answer_their_queries(world):
    queries, positives = repeated_answers(world, answers=20, n=300, seed=2)
    assert len(set(positives)) <= 20 and len(queries) == len(positives) > 250
    assert states_all(values_named(queries), values_named(positives)).diagonal().all()
    assert not set(queries) & set(world.queries.values())


def test_one_word_of_each_value_is_held_out_and_replaced_by_a_synonym(world):
    held_out = held_out_synonyms(seed=1)
    assert len(held_out) == 40 and not set(held_out) & set(held_out.values())
    assert all(VALUE_OF[word] == VALUE_OF[other] for word, other in held_out.items())
    texts = list(world.corpus.values())
    changed = replace_words(texts, held_out)
    assert not {word for text in changed for word in text.split()} & set(held_out)
    np.testing.assert_array_equal(values_named(changed), values_named(texts))

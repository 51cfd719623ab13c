"""Labelled training data: what the labels say is true of the texts."""
from collections import Counter

import numpy as np
import pytest

from scratch_embed.worlds.bindings import bindings
from scratch_embed.worlds.facts import NAMES, WORDS, facts, states_all, values_named
from scratch_embed.worlds.instructions import INSTRUCTIONS, instructions
from scratch_embed.worlds.taxonomy import PATHS, levels_shared, taxonomy
from scratch_embed.worlds.training_pairs import (
    ANSWER,
    Triplets,
    binding_groups,
    binding_triplets,
    fact_triplets,
    instruction_triplets,
    paraphrases,
    task_triplets,
    taxonomy_pairs,
)

PATH_OF = {path[2]: path for path in PATHS}
WHO, ACT, THING = (NAMES.index(name) for name in ("who", "act", "thing"))
WORLD = facts(1, documents=300, sentences=0, pairs=0)
SYNONYMS = np.array(WORDS)                         # (5 slots, 8 values, 4 words)


def slot_matches(queries, documents):
    """For each pair: whether the values of a slot agree.  -> (N, slots); False if one names none"""
    a, b = values_named(queries), values_named(documents)
    return (a == b) & (a >= 0)


def sentences(document):
    """The facts of a document of the bindings: a set of (who, act, thing)."""
    return {tuple(row) for row in
            values_named(document.split(" . "))[:, [WHO, ACT, THING]].tolist()}


# ---- facts --------------------------------------------------------------------------------------

def test_a_triplet_of_facts_read_by_a_person():
    """The query names a mood, a thing and a place; in the negative the place is another."""
    assert list(zip(*fact_triplets(WORLD, 1, seed=4))) == [
        ("find the enraged person who had the dinghy near the woods",
         "near the forest the irate seaman mended the boat",
         "near the swamp the irate mariner fixed the vessel")]


def test_a_positive_has_all_three_values_of_its_query_and_a_negative_two():
    queries, positives, negatives = fact_triplets(WORLD, 300, seed=1)
    assert len(queries) == len(positives) == len(negatives) > 280
    assert ((values_named(queries) >= 0).sum(1) == 3).all()
    assert (slot_matches(queries, positives).sum(1) == 3).all()
    assert (slot_matches(queries, negatives).sum(1) == 2).all()
    differ = values_named(positives) != values_named(negatives)      # elsewhere they are the same
    assert (differ.sum(1) == 1).all() and len(set(differ.argmax(1).tolist())) == len(NAMES)


def test_queries_and_documents_have_the_words_that_the_world_gives_them():
    """Of the four words for a value, queries have the last three and documents the first three."""
    queries, *documents = fact_triplets(WORLD, 300, seed=1)
    words = [{word for text in texts for word in text.split()} for texts in (queries, *documents)]
    assert not words[0] & set(SYNONYMS[:, :, 0].flat)
    assert not (words[1] | words[2]) & set(SYNONYMS[:, :, 3].flat)


def test_facts_are_copies_of_the_worlds_prototypes():
    """A slot is kept with probability 0.75, or drawn again with the same value (1 of 8)."""
    _, positives, _ = fact_triplets(WORLD, 500, seed=1)
    kept = (values_named(positives)[:, None] == WORLD.prototypes).mean(-1).max(1)    # the nearest
    assert 0.75 < kept.mean() < 0.9


def test_most_values_of_an_evaluation_are_in_the_training_data_in_other_words():
    """So a high score is no evidence for new combinations of values; the module says so."""
    trained = {tuple(row) for row in values_named(fact_triplets(WORLD, 4000, 1).queries).tolist()}
    shared = [tuple(row) in trained for row in values_named(list(WORLD.queries.values())).tolist()]
    assert 0.65 < np.mean(shared) < 0.75


# ---- bindings -----------------------------------------------------------------------------------

def test_only_the_positive_states_the_fact_of_a_query_of_the_bindings():
    queries, positives, *others = binding_groups(200, seed=1)
    assert len(queries) == 200
    for query, positive, *negatives in zip(queries, positives, *others):
        fact = tuple(values_named([query])[0, [WHO, ACT, THING]].tolist())
        assert fact in sentences(positive) and len(sentences(positive)) == 3
        for negative in negatives:
            assert Counter(negative.split()) == Counter(positive.split())
            assert fact not in sentences(negative) and negative != positive
    assert binding_triplets(200, seed=1) == Triplets(queries, positives, others[0])


def test_a_query_names_any_fact_of_its_document_and_the_negative_is_either_other_document():
    """Else the place of a sentence, or how the things are exchanged, would be enough to find it."""
    places, shifts = Counter(), Counter()
    for query, positive, negative in zip(*binding_triplets(400, seed=1)):
        who = values_named([query])[0, WHO]
        rows, others = (values_named(text.split(" . ")) for text in (positive, negative))
        places[int((rows[:, WHO] == who).argmax())] += 1
        shifts[int((others[:, THING] == rows[0, THING]).argmax())] += 1
    assert min(places[i] for i in range(3)) > 95                 # 133 expected, less 4 deviations
    assert set(shifts) == {1, 2} and min(shifts.values()) > 160  # 200 expected, less 4 deviations


# ---- instructions -------------------------------------------------------------------------------

def test_a_positive_agrees_only_in_the_slot_of_its_instruction_a_negative_only_in_another():
    given, (queries, positives, negatives) = instruction_triplets(300, seed=1)
    slots = [list(INSTRUCTIONS.values()).index(instruction) for instruction in given]
    assert len(slots) == len(queries) == 300 and set(slots) == set(range(len(NAMES)))
    right, wrong = slot_matches(queries, positives), slot_matches(queries, negatives)
    assert (right.sum(1) == 1).all() and (wrong.sum(1) == 1).all()
    assert (right.argmax(1) == slots).all() and (wrong.argmax(1) != slots).all()


def test_each_task_has_its_instruction_and_a_negative_that_only_the_instruction_excludes():
    given, triplets = task_triplets(WORLD, ["who", "place"], 100, seed=1)
    named = [values_named(column) for column in triplets]
    count = Counter(given)
    assert set(count) == {ANSWER, INSTRUCTIONS["who"], INSTRUCTIONS["place"]}
    assert count[INSTRUCTIONS["who"]] == count[INSTRUCTIONS["place"]] == 100 >= count[ANSWER] > 90
    assert given != sorted(given)
    for n, what in enumerate(given):
        query, right, wrong = (column[n] for column in named)
        if what == ANSWER:
            assert states_all(query[None], right[None]).all()
            assert not states_all(query[None], wrong[None]).any()
            continue
        slot = [*INSTRUCTIONS.values()].index(what)
        assert right[slot] == query[slot] != wrong[slot]
        assert (np.delete(wrong, slot) == np.delete(query, slot)).all()


def test_paraphrases_state_the_same_fact_in_the_words_of_queries_and_of_documents():
    first, second = paraphrases(100, seed=1)
    assert len(first) == len(second) == 100 and slot_matches(first, second).all()
    words = [{word for text in texts for word in text.split()} for texts in (first, second)]
    assert not words[0] & set(SYNONYMS[:, :, 0].flat) and not words[1] & set(SYNONYMS[:, :, 3].flat)


# ---- what all triplets have in common -----------------------------------------------------------

DRAWS = {"facts": lambda n, seed, taken: fact_triplets(
             WORLD._replace(queries=dict(enumerate(taken))), n, seed),
         "bindings": binding_triplets,
         "instructions": lambda *given: instruction_triplets(*given)[1]}
all_draws = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())


@all_draws
def test_taken_queries_are_left_out_with_their_documents(draw):
    whole = draw(30, 1, [])
    taken = whole.queries[::3]
    rows = [row for row in zip(*whole) if row[0] not in taken]
    assert list(zip(*draw(30, 1, taken))) == rows and 0 < len(rows) <= 20
    assert draw(30, 1, whole.queries) == draw(0, 1, []) == Triplets([], [], [])


@all_draws
def test_the_same_seed_draws_the_same_triplets(draw):
    assert draw(20, 1, []) == draw(20, 1, []) != draw(20, 2, [])


def test_the_instruction_of_a_query_that_is_left_out_is_left_out_too():
    given, (queries, *_) = instruction_triplets(30, seed=1)
    rest, (others, *_) = instruction_triplets(30, seed=1, taken=queries[:10])
    assert (rest, others) == (given[10:], queries[10:])


@pytest.mark.parametrize("world, draw", [
    (WORLD, lambda world: fact_triplets(world, 1000, 1)),
    (bindings(1), lambda world: binding_triplets(500, 1, world.queries.values())),
    (instructions(1), lambda world: instruction_triplets(500, 1, world.queries.values())[1])])
def test_no_query_of_the_evaluation_is_trained_on(world, draw):
    assert not set(world.queries.values()) & set(draw(world).queries)


# ---- the taxonomy -------------------------------------------------------------------------------

def path_of(text):
    """The path of the kind that a text names."""
    return next(PATH_OF[word] for word in text.split() if word in PATH_OF)


@pytest.mark.parametrize("levels", [(0, 1, 2, 3), (3,), (1, 2)])
def test_a_pair_of_the_taxonomy_shares_as_many_levels_as_its_score_says(levels):
    first, second, shared = taxonomy_pairs(240, seed=1, levels=levels)
    assert len(first) == len(second) == len(shared) > 230
    for a, b, level in zip(first, second, shared):
        assert a != b and levels_shared(path_of(a), path_of(b)) == level
    counts = Counter(shared.tolist())
    assert set(counts) == set(levels) and min(counts.values()) > 230 / len(levels) - 10


def test_texts_of_the_evaluation_are_in_no_pair():
    taken = set(taxonomy(1, 9000).texts)
    first, second, _ = taxonomy_pairs(300, seed=1, taken=taken)
    assert 50 < len(first) < 250 and not taken & {*first, *second}


def test_no_pairs_are_three_empty_columns():
    first, second, shared = taxonomy_pairs(0)
    assert first == second == [] and shared.shape == (0,)


def test_the_same_seed_draws_the_same_pairs():
    a, b, c = (taxonomy_pairs(20, seed) for seed in (1, 1, 2))
    assert a[:2] == b[:2] != c[:2]

"""The world of facts: the qrels follow from the facts, and a good search must know synonyms."""
from collections import Counter
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.text.vocab import index_sentences
from scratch_embed.words.word2vec import train
from scratch_embed.worlds.bindings import bag_of_words_upper_bound, bindings
from scratch_embed.worlds.bounds import chance_ndcg, discounts
from scratch_embed.worlds.codes import with_codes
from scratch_embed.worlds.facts import (
    GAIN,
    NAMES,
    NOT_NAMED,
    SLOTS,
    VALUE_OF,
    VALUES,
    WORDS,
    Facts,
    draw_facts,
    draw_prototypes,
    facts,
    gain_table,
    judge,
    question,
    report,
    states_all,
    values_named,
)
from tests.rounding import seeds

MEANING_OF = {word: (slot, value, synonym) for slot, values in enumerate(WORDS)
              for value, words in enumerate(values) for synonym, word in enumerate(words)}


@cache
def world_of(seed=0, noise=0.25) -> Facts:
    return facts(seed, noise=noise)


def rng(seed):
    return np.random.Generator(np.random.PCG64(seed))


def read(text):
    """{slot: (value, synonym)} of the words of a sentence."""
    found = [MEANING_OF[word] for word in text.split() if word in MEANING_OF]
    assert len({slot for slot, *_ in found}) == len(found)
    return {slot: (value, synonym) for slot, value, synonym in found}


# ---- the words ----------------------------------------------------------------------------------

def test_5_slots_have_8_values_of_4_different_words():
    assert [len(values) for values in WORDS] == [VALUES] * 5
    assert {len(words) for values in WORDS for words in values} == {4}
    assert len(MEANING_OF) == 5 * 8 * 4 and list(SLOTS) == NAMES


def test_no_slot_of_a_frame_is_left_unfilled():
    world = world_of()
    for text in (*world.corpus.values(), *world.queries.values()):
        assert text == text.lower() and "  " not in text


def test_reports_and_questions_by_hand():
    fact = (2, 5, 2, 5, 2)
    assert report(fact, rng(0), [0], ["the MOOD WHO ACT the THING near the PLACE"]) == (
        "the weary sailor mended the lamp near the shore")
    assert question({0: 2, 1: 5, 4: 2}, rng(0), [3]) == (
        "find the exhausted deckhand near the seaside")
    assert question({0: 2, 1: 5, 2: 2}, rng(0), [1]) == (
        "find the tired seaman who repaired something")
    assert question({0: 2, 3: 5, 4: 2}, rng(0), [1]) == (
        "find the tired person who had the lantern near the beach")


# ---- the truth ----------------------------------------------------------------------------------

def test_reports_and_queries_state_their_facts_in_three_synonyms_each():
    world = world_of()
    for document, text in world.corpus.items():
        stated = read(text)
        assert tuple(stated[slot][0] for slot in range(5)) == world.document_facts[document]
        assert {synonym for _, synonym in stated.values()} <= {0, 1, 2}
    for query, text in world.queries.items():
        stated = read(text)
        assert {slot: value for slot, (value, _) in stated.items()} == world.query_slots[query]
        assert len(stated) == 3 and {synonym for _, synonym in stated.values()} <= {1, 2, 3}


def test_relevance_by_hand():
    stated = {"all": (1, 2, 3, 4, 5), "two": (1, 2, 0, 4, 5), "one": (1, 0, 0, 4, 5)}
    assert judge({"q": {0: 1, 1: 2, 2: 3}}, stated) == {"q": {"all": 2, "two": 1}}
    assert judge({"q": {4: 0}}, stated, (1, 0)) == {"q": {"all": 1, "two": 1, "one": 1}}


def test_the_gain_is_the_number_of_matching_slots_minus_1_and_at_least_0():
    world = world_of()
    for query, named in world.query_slots.items():
        for document, fact in world.document_facts.items():
            matches = sum(fact[slot] == value for slot, value in named.items())
            assert world.qrels[query].get(document, 0) == GAIN[matches] == max(0, matches - 1)


def test_every_query_has_a_document_that_matches_in_all_slots():
    assert all(2 in gains.values() for gains in world_of().qrels.values())


def test_the_gain_table_has_the_gains_of_the_qrels():
    world = world_of()
    table, documents = gain_table(world.qrels, list(world.corpus)), list(world.corpus)
    assert table.shape == (300, 2000)
    for row, gains in zip(table, world.qrels.values()):
        assert {documents[i]: row[i] for i in np.flatnonzero(row)} == gains


def test_values_are_read_from_words_worked_by_hand():
    found = values_named(["find the sad sailor near the beach", "the deckhand tossed the lamp"])
    assert found.tolist() == [[NOT_NAMED, 5, NOT_NAMED, NOT_NAMED, 2],
                              [NOT_NAMED, 5, 5, 5, NOT_NAMED]]
    assert len(VALUE_OF) == sum(len(words) for slot in WORDS for words in slot) == 160


def test_the_values_that_a_text_names_are_those_of_its_fact():
    world = world_of()
    assert [tuple(row) for row in values_named([*world.corpus.values()]).tolist()] == [
        *world.document_facts.values()]
    for row, slots in zip(values_named([*world.queries.values()]), world.query_slots.values()):
        assert {slot: row[slot] for slot in np.flatnonzero(row >= 0)} == slots


def test_a_document_with_all_values_of_a_query_is_one_of_gain_2():
    world = world_of()
    right = states_all(*(values_named([*texts.values()]) for texts in (world.queries,
                                                                        world.corpus)))
    assert (right == (gain_table(world.qrels, list(world.corpus)) == GAIN[3])).all()


def test_training_pairs_are_queries_and_relevant_reports_without_evaluation_queries():
    world = world_of()
    assert 1800 < len(world.pairs) <= 2000
    for query, text in world.pairs:
        stated = read(text)
        assert all(stated[slot][0] == value for slot, (value, _) in read(query).items())
    assert not {query for query, _ in world.pairs} & set(world.queries.values())


def test_the_training_text_has_all_documents_and_every_word_more_than_100_times():
    world = world_of()
    assert world.text[:2000] == [text.split() for text in world.corpus.values()]
    count = Counter(word for sentence in world.text for word in sentence)
    assert min(count[word] for word in MEANING_OF) > 100 and len(world.text) == 14_000
    assert {word for text in world.queries.values() for word in text.split()} <= set(count)


@given(st.integers(1, 50), seeds)
def test_all_values_of_a_slot_are_equally_frequent_in_the_prototypes(n, seed):
    protos = draw_prototypes(n, rng(seed))
    for column in protos.T:
        count = np.bincount(column, minlength=VALUES)
        assert len(count) == VALUES and count.max() - count.min() <= 1


def test_a_slot_is_redrawn_with_probability_noise():
    """It has the same value with probability 1 − 0.4 + 0.4/8 = 0.65; 6 sigma of 100,000 draws."""
    prototype = draw_prototypes(1, rng(0))
    drawn = np.array(draw_facts(20_000, prototype, 0.4, rng(1)))
    assert abs((drawn == prototype).mean() - 0.65) < 6 * np.sqrt(0.65 * 0.35 / 100_000)
    assert draw_facts(9, prototype, 0.0, rng(1)) == [tuple(prototype[0])] * 9


def test_the_world_depends_on_its_seed_and_not_on_the_global_generator():
    np.random.seed(1)
    first = facts(3, 50, 5, sentences=50, pairs=5)
    np.random.seed(2)
    again = facts(3, 50, 5, sentences=50, pairs=5)
    assert repr(again) == repr(first) != repr(facts(4, 50, 5, sentences=50, pairs=5))


@pytest.mark.parametrize("wrong", [dict(documents=0), dict(queries=0), dict(prototypes=0),
                                   dict(noise=1.1), dict(sentences=-1), dict(pairs=-1)])
def test_a_wrong_argument_raises_an_error_with_the_expected_values(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}=.*: expected a "):
        facts(**wrong)


# ---- searches -----------------------------------------------------------------------------------

def ndcg(scores, gains):
    """The mean nDCG@10 of queries.  scores, gains: (Q, N)."""
    best = np.take_along_axis(gains, np.argsort(-scores, axis=1, kind="stable")[:, :10], axis=1)
    return np.mean((best @ discounts(10)) / (-np.sort(-gains, axis=1)[:, :10] @ discounts(10)))


def by_words(world):
    """Search by shared words; a word has weight log N/n, where n of N documents contain it."""
    queries, corpus = list(world.queries.values()), list(world.corpus.values())
    column = {word: i for i, word in enumerate({word for text in corpus for word in text.split()})}
    contains = np.zeros((len(queries) + len(corpus), len(column)), np.float32)
    for row, text in zip(contains, queries + corpus):
        row[[column[word] for word in text.split() if word in column]] = 1
    Q, X = contains[:len(queries)], contains[len(queries):]
    return Q * np.log(len(corpus) / X.sum(0)) @ X.T


@cache
def word_vectors(seed=0, noise=0.25):
    """word2vec vectors trained on the world's text, normalised, times the weights of SIF."""
    vocab, corpus = index_sentences(world_of(seed, noise).text, min_count=1)
    W = train(corpus, vocab, dim=50, window=10, lr=0.05).W
    weight = 1e-3 / (1e-3 + vocab.counts / vocab.counts.sum())
    return vocab.index, W / np.linalg.norm(W, axis=1, keepdims=True) * weight[:, None]


def by_meaning(world, vectors):
    """Search by the cosine of sums of word vectors; unknown words are left out."""
    index, W = vectors
    unit_rows = []
    for texts in (world.queries, world.corpus):
        X = np.array([W[[index[word] for word in text.split() if word in index]].sum(0)
                      for text in texts.values()])
        unit_rows.append(X / np.linalg.norm(X, axis=1, keepdims=True))
    return unit_rows[0] @ unit_rows[1].T


@pytest.mark.parametrize("seed", [0, 1])
def test_word_vectors_are_better_than_term_matching(seed):
    """nDCG@10 of seeds 0 to 4: terms 0.54 to 0.57, vectors 0.93 to 0.95, chance 0.04."""
    world = world_of(seed)
    gains = gain_table(world.qrels, list(world.corpus))
    words = ndcg(by_words(world), gains)
    vectors = ndcg(by_meaning(world, word_vectors(seed)), gains)
    assert chance_ndcg(gains) < 0.06 and 0.45 < words < 0.65 and vectors > words + 0.25


def test_with_independent_slots_word_vectors_are_worse_than_term_matching():
    world = world_of(noise=1.0)
    gains = gain_table(world.qrels, list(world.corpus))
    assert ndcg(by_meaning(world, word_vectors(noise=1.0)), gains) < ndcg(by_words(world), gains)


def test_term_matching_finds_codes_vectors_do_not_and_a_hybrid_is_best():
    world = with_codes(world_of())
    gains, sparse = gain_table(world.qrels, list(world.corpus)), by_words(world)
    dense = by_meaning(world, word_vectors())
    lookups = np.array(list(world.by_code.values()))
    assert ndcg(sparse[lookups], gains[lookups]) == 1.0
    assert ndcg(dense[lookups], gains[lookups]) < 0.05
    assert ndcg(dense[~lookups], gains[~lookups]) > ndcg(sparse[~lookups], gains[~lookups]) + 0.2
    both = sparse / np.maximum(1, sparse).max(1, keepdims=True) + dense
    assert ndcg(both, gains) > max(ndcg(sparse, gains), ndcg(dense, gains)) + 0.1


def test_a_mean_of_word_vectors_stays_below_the_upper_bound_of_a_bag_of_words():
    world = bindings()
    gains = gain_table(world.qrels, list(world.corpus))
    scores = by_meaning(world, word_vectors()).round(6)      # the sums differ in their last digits
    scores += rng(0).random(scores.shape) * 1e-6             # random order of ties
    assert chance_ndcg(gains) + 0.1 < ndcg(scores, gains) < bag_of_words_upper_bound(world)

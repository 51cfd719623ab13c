"""Ambiguous words: their senses are the topics of the sentences; the bounds are exact."""
from collections import Counter
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.worlds.senses import (
    FILLERS,
    NAMES,
    PLAIN,
    SENSES,
    SHARED,
    TABLE,
    TOPICS,
    ZIPF,
    Occurrence,
    accuracy_upper_bound,
    before,
    cue_after,
    cue_before,
    majority,
    naive_bayes,
    others,
    senses,
)
from tests.rounding import seeds, u64

probabilities = st.floats(0, 1)


@cache
def world_of(seed=0, sentences=8000, fillers=0.0, noise=0.0):
    return senses(seed, sentences, fillers, noise)


def sigma(share, n):
    return np.sqrt(share * (1 - share) / n)


# ---- the words ----------------------------------------------------------------------------------

def test_12_topics_have_24_words_and_6_words_are_in_two_topics():
    assert TABLE.shape == (12, 24) and list(TOPICS) == NAMES
    count = Counter(TABLE.ravel())
    assert {word for word, n in count.items() if n > 1} == set(SENSES) and max(count.values()) == 2
    assert len(SENSES) == 6 and sorted(t for two in SENSES.values() for t in two) == sorted(NAMES)
    assert not set(FILLERS) & set(count)
    assert SENSES["bank"] == ["money", "river"]


def test_zipf_worked_by_hand():
    """p_r = r^−1.4 / Σ: the second word has 2^−1.4 = 0.379 of the first."""
    assert ZIPF.sum() == pytest.approx(1, rel=24 * u64) == PLAIN.sum()
    assert ZIPF[1] / ZIPF[0] == pytest.approx(0.37892914162759955, rel=4 * u64)
    assert PLAIN[SHARED] == 0 and PLAIN[0] / PLAIN[1] == pytest.approx(ZIPF[0] / ZIPF[1])


# ---- the truth ----------------------------------------------------------------------------------

def ambiguous_positions(world):
    """[(sentence, position)] of all ambiguous words."""
    return [(s, i) for s, words in enumerate(world.sentences)
            for i, word in enumerate(words) if word in SENSES]


@pytest.mark.parametrize("world", [senses(1, 300), senses(2, 300, 0.5, 0.5), cue_before(3, 300),
                                   cue_after(4, 300)])
def test_every_ambiguous_word_is_found_once_with_its_position_and_sense(world):
    found = sorted(world.train + world.test)
    assert [(o.sentence, o.position) for o in found] == ambiguous_positions(world)
    for o in found:
        assert isinstance(o, Occurrence) and world.sentences[o.sentence][o.position] == o.word
        assert o.sense == world.topics[o.sentence] and o.sense in SENSES[o.word]
    assert len(world.sentences) == len(world.topics) == 300
    assert {len(sentence) for sentence in world.sentences} == {9}
    assert not {o.sentence for o in world.train} & {o.sentence for o in world.test}


def test_without_noise_all_words_are_from_the_topic_of_the_sentence():
    row = dict(zip(NAMES, TABLE))
    for words, topic in zip(world_of().sentences, world_of().topics):
        assert set(words) <= set(row[topic])


def test_words_have_the_frequencies_of_zipf_and_topics_are_equally_frequent():
    """6 sigma of 72,000 words, and of 8,000 sentences."""
    world = world_of()
    rank = {word: r for row in TABLE for r, word in enumerate(row)}
    share = np.bincount([rank[w] for words in world.sentences for w in words],
                        minlength=24) / 72_000
    assert (abs(share - ZIPF) < 6 * sigma(ZIPF, 72_000)).all()
    topics = np.array([world.topics.count(name) for name in NAMES]) / 8000
    assert (abs(topics - 1 / 12) < 6 * sigma(1 / 12, 8000)).all()


def test_both_senses_are_equally_frequent_in_train_and_test():
    """Of more than 250 occurrences; 0.2 is over 6 sigma."""
    world = world_of()
    for part in (world.train, world.test):
        for word, (first, _) in SENSES.items():
            found = [o.sense for o in part if o.word == word]
            assert len(found) > 250 and abs(found.count(first) / len(found) - 0.5) < 0.2


def test_fillers_and_noise_have_their_probabilities():
    """A word drawn by noise is from another topic in 11 of 12 cases.  The bound is 6 sigma."""
    world = world_of(0, 8000, 0.4, 0.5)
    row = dict(zip(NAMES, TABLE))
    words = [(word, topic) for s, topic in zip(world.sentences, world.topics) for word in s]
    filler = np.mean([word in FILLERS for word, _ in words])
    other = np.mean([word not in FILLERS and word not in row[topic] for word, topic in words])
    assert abs(filler - 0.4) < 6 * sigma(0.4, 72_000)
    assert abs(other - 0.6 * 0.5 * 11 / 12) < 6 * sigma(0.275, 72_000)


@given(seeds)
def test_cue_before_has_topic_words_only_before_the_ambiguous_word(seed):
    world = cue_before(seed, 20)
    assert sorted(o.sentence for o in world.train + world.test) == list(range(20))
    for o in world.train + world.test:
        words = world.sentences[o.sentence]
        cues = set(words[1:o.position])
        assert 3 <= o.position <= 5 and {words[0], *words[o.position + 1:]} <= set(FILLERS)
        assert cues <= set(TABLE[NAMES.index(o.sense)]) - set(SENSES)


@given(seeds)
def test_cue_after_is_cue_before_in_reverse_order(seed):
    left, right = cue_before(seed, 20), cue_after(seed, 20)
    assert [s[::-1] for s in left.sentences] == right.sentences and left.topics == right.topics
    assert [(o.sentence, 8 - o.position, o.word, o.sense) for o in left.test] == right.test


def test_the_world_depends_on_its_seed_and_not_on_the_global_generator():
    for draw in (senses, cue_before, cue_after):
        np.random.seed(1)
        first = draw(3, 50)
        np.random.seed(2)
        assert draw(3, 50) == first != draw(4, 50)


@pytest.mark.parametrize("wrong", [dict(sentences=0), dict(fillers=-0.1), dict(noise=1.1),
                                   dict(noise=np.nan)])
def test_a_wrong_argument_raises_an_error_with_the_expected_values(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}=.*: expected a "):
        senses(**wrong)
    if "sentences" in wrong:
        with pytest.raises(ValueError, match="^sentences=0: expected a whole number"):
            cue_before(**wrong)


# ---- upper bounds and baseline ------------------------------------------------------------------

def test_the_upper_bound_worked_by_hand():
    """Without noise: ½ if all other words are the ambiguous word or fillers, else 1."""
    p = ZIPF[SHARED]
    assert accuracy_upper_bound(0) == 0.5
    assert accuracy_upper_bound(1) == pytest.approx(1 - p / 2, rel=8 * u64)
    assert accuracy_upper_bound(8) == pytest.approx(1 - p**8 / 2, rel=64 * u64)
    assert accuracy_upper_bound(8, fillers=0.6) == pytest.approx(
        1 - (0.6 + 0.4 * p)**8 / 2, rel=64 * u64)


@given(st.integers(0, 4), probabilities, probabilities)
def test_the_upper_bound_is_bayes_rule_over_all_contexts(n, fillers, noise):
    """Σ over contexts of ½ max(P(context | A), P(context | B)).

    A word is one of three kinds: unambiguous from A, unambiguous from B, or anything else.
    """
    def probability(topic, word_topic):               # P(an unambiguous word of word_topic | topic)
        own = (1 - noise) * (1 - ZIPF[SHARED]) * (topic == word_topic)
        return (1 - fillers) * (own + noise / 12)
    given_a = [probability("A", "A"), probability("A", "B")]
    given_b = [probability("B", "A"), probability("B", "B")]
    given_a.append(1 - sum(given_a))
    given_b.append(1 - sum(given_b))
    best = sum(max(np.prod([given_a[k] for k in kinds]), np.prod([given_b[k] for k in kinds])) / 2
               for kinds in product(range(3), repeat=n))
    assert accuracy_upper_bound(n, fillers, noise) == pytest.approx(best, rel=1e-13, abs=1e-15)


@given(st.integers(0, 8), probabilities, probabilities, probabilities)
def test_the_upper_bound_rises_with_context_and_falls_with_noise_and_fillers(n, fixed, a, b):
    less, more = sorted((a, b))
    assert accuracy_upper_bound(n, fixed, a) <= accuracy_upper_bound(n + 1, fixed, a) + 1e-14
    assert accuracy_upper_bound(n, fixed, more) <= accuracy_upper_bound(n, fixed, less) + 1e-14
    assert accuracy_upper_bound(n, more, fixed) <= accuracy_upper_bound(n, less, fixed) + 1e-14
    assert accuracy_upper_bound(n, fixed, 1) == pytest.approx(0.5, abs=1e-14)


@pytest.mark.parametrize("fillers,noise", [(0, 0), (0.6, 0), (0, 0.7), (0.4, 0.5)])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_majority_reaches_the_upper_bound_and_naive_bayes_is_below(seed, fillers, noise):
    """Within 6 sigma.  Measured at noise 0.7: bound 0.914, naive Bayes 0.86 to 0.89."""
    world = world_of(seed, 8000, fillers, noise)
    for read, lengths in ((others, [8]), (before, range(9))):
        best = np.mean([accuracy_upper_bound(n, fillers, noise) for n in lengths])
        margin = 6 * sigma(best, len(world.test)) + 1e-9
        assert abs(majority(world, read) - best) < margin
        assert best - 0.12 - margin < naive_bayes(world, read) < best + margin


def test_the_left_context_is_at_chance_if_the_cue_comes_after():
    for seed in range(3):
        after = cue_after(seed)
        assert majority(after) == naive_bayes(after) == 1 and majority(after, before) == 0.5
        assert abs(naive_bayes(after, before) - 0.5) < 6 * sigma(0.5, 4000)
        assert majority(cue_before(seed), before) == naive_bayes(cue_before(seed), before) == 1


def test_naive_bayes_worked_by_hand():
    """One training word for each sense: log [(1 + 1)/(1 + V)] and log [(0 + 1)/(1 + V)]."""
    world = senses(0, 1)._replace(
        sentences=[["loan", "bank"], ["loan", "bank"], ["boat", "bank"], ["boat", "bank"]],
        topics=["money", "money", "river", "river"],
        train=[Occurrence(0, 1, "bank", "money"), Occurrence(2, 1, "bank", "river")],
        test=[Occurrence(1, 1, "bank", "money"), Occurrence(3, 1, "bank", "river")])
    assert naive_bayes(world) == majority(world) == 1
    assert naive_bayes(world, lambda sentence, position: []) == 0.5
    wrong = world._replace(test=[o._replace(sense="money") for o in world.test])
    assert naive_bayes(wrong) == majority(wrong) == 0.5

"""Ambiguous words: their senses follow from the topics, and no rule exceeds the upper bound."""
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

def test_there_are_12_topics_of_24_words_and_6_words_have_two_of_them():
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

def places_of(world):
    return [(s, i) for s, words in enumerate(world.sentences)
            for i, word in enumerate(words) if word in SENSES]


@pytest.mark.parametrize("world", [senses(1, 300), senses(2, 300, 0.5, 0.5), cue_before(3, 300),
                                   cue_after(4, 300)])
def test_every_ambiguous_word_is_found_once_with_its_position_and_sense(world):
    found = sorted(world.train + world.test)
    assert [(o.sentence, o.position) for o in found] == places_of(world)
    for o in found:
        assert isinstance(o, Occurrence) and world.sentences[o.sentence][o.position] == o.word
        assert o.sense == world.topics[o.sentence] and o.sense in SENSES[o.word]
    assert len(world.sentences) == len(world.topics) == 300
    assert {len(sentence) for sentence in world.sentences} == {9}
    assert not {o.sentence for o in world.train} & {o.sentence for o in world.test}


def test_without_noise_all_words_are_of_the_topic():
    row = dict(zip(NAMES, TABLE))
    for words, topic in zip(world_of().sentences, world_of().topics):
        assert set(words) <= set(row[topic])


def test_words_are_as_frequent_as_zipf_says_and_topics_all_alike():
    """6 sigma of 72,000 words, and of 8,000 sentences."""
    world = world_of()
    rank = {word: r for row in TABLE for r, word in enumerate(row)}
    seen = np.bincount([rank[w] for words in world.sentences for w in words], minlength=24) / 72_000
    assert (abs(seen - ZIPF) < 6 * sigma(ZIPF, 72_000)).all()
    shares = np.array([world.topics.count(name) for name in NAMES]) / 8000
    assert (abs(shares - 1 / 12) < 6 * sigma(1 / 12, 8000)).all()


def test_both_senses_are_equally_frequent_in_train_and_test():
    world = world_of()
    for part in (world.train, world.test):
        for word, (one, _) in SENSES.items():
            mine = [o.sense for o in part if o.word == word]
            assert len(mine) > 250 and abs(mine.count(one) / len(mine) - 0.5) < 0.2


def test_fillers_and_strays_have_their_probabilities():
    """A stray is of another topic in 11 of 12 cases: 6 sigma."""
    world = world_of(0, 8000, 0.4, 0.5)
    row = dict(zip(NAMES, TABLE))
    words = [(word, topic) for s, topic in zip(world.sentences, world.topics) for word in s]
    silent = np.mean([word in FILLERS for word, _ in words])
    strange = np.mean([word not in FILLERS and word not in row[topic] for word, topic in words])
    assert abs(silent - 0.4) < 6 * sigma(0.4, 72_000)
    assert abs(strange - 0.6 * 0.5 * 11 / 12) < 6 * sigma(0.275, 72_000)


@given(seeds)
def test_the_cue_stands_on_one_side_only_and_the_ends_are_fillers(seed):
    world = cue_before(seed, 20)
    assert sorted(o.sentence for o in world.train + world.test) == list(range(20))
    for o in world.train + world.test:
        words = world.sentences[o.sentence]
        cues = set(words[1:o.position])
        assert 3 <= o.position <= 5 and {words[0], *words[o.position + 1:]} <= set(FILLERS)
        assert cues <= set(TABLE[NAMES.index(o.sense)]) - set(SENSES)


@given(seeds)
def test_cue_after_is_cue_before_read_from_the_end(seed):
    one, other = cue_before(seed, 20), cue_after(seed, 20)
    assert [s[::-1] for s in one.sentences] == other.sentences and one.topics == other.topics
    assert [(o.sentence, 8 - o.position, o.word, o.sense) for o in one.test] == other.test


def test_the_same_seed_draws_the_same_world_whatever_the_global_generator_does():
    for draw in (senses, cue_before, cue_after):
        np.random.seed(1)
        one = draw(3, 50)
        np.random.seed(2)
        assert draw(3, 50) == one != draw(4, 50)


@pytest.mark.parametrize("wrong", [dict(sentences=0), dict(fillers=-0.1), dict(noise=1.1),
                                   dict(noise=np.nan)])
def test_a_wrong_argument_is_an_error_that_says_what_was_expected(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}=.*: expected a "):
        senses(**wrong)
    if "sentences" in wrong:
        with pytest.raises(ValueError, match="^sentences=0: expected a whole number"):
            cue_before(**wrong)


# ---- what can be known --------------------------------------------------------------------------

def test_the_upper_bound_worked_by_hand():
    """One other word, always of the topic: it fails to tell only if it is the ambiguous one."""
    p = ZIPF[SHARED]
    assert accuracy_upper_bound(0) == 0.5
    assert accuracy_upper_bound(1) == pytest.approx(1 - p / 2, rel=8 * u64)
    assert accuracy_upper_bound(8) == pytest.approx(1 - p**8 / 2, rel=64 * u64)
    assert accuracy_upper_bound(8, fillers=0.6) == pytest.approx(
        1 - (0.6 + 0.4 * p)**8 / 2, rel=64 * u64)


@given(st.integers(0, 4), probabilities, probabilities)
def test_the_upper_bound_is_bayes_rule_over_all_contexts(n, fillers, noise):
    """Σ over contexts of ½ max(P(context | A), P(context | B)): at most 27 × 4 products, γ(50)."""
    def share(topic, word_topic):                     # of one word: a topic's plain words, or rest
        meant = (1 - noise) * (1 - ZIPF[SHARED]) * (topic == word_topic)
        return (1 - fillers) * (meant + noise / 12)
    given_a = [share("A", "A"), share("A", "B")]
    given_b = [share("B", "A"), share("B", "B")]
    given_a.append(1 - sum(given_a))
    given_b.append(1 - sum(given_b))
    best = sum(max(np.prod([given_a[k] for k in kinds]), np.prod([given_b[k] for k in kinds])) / 2
               for kinds in product(range(3), repeat=n))
    assert accuracy_upper_bound(n, fillers, noise) == pytest.approx(best, rel=1e-13, abs=1e-15)


@given(st.integers(0, 8), probabilities, probabilities, probabilities)
def test_the_upper_bound_rises_with_context_and_falls_with_noise_and_fillers(n, f, a, b):
    less, more = sorted((a, b))
    assert accuracy_upper_bound(n, f, a) <= accuracy_upper_bound(n + 1, f, a) + 1e-14
    assert accuracy_upper_bound(n, f, more) <= accuracy_upper_bound(n, f, less) + 1e-14
    assert accuracy_upper_bound(n, more, f) <= accuracy_upper_bound(n, less, f) + 1e-14
    assert accuracy_upper_bound(n, f, 1) == pytest.approx(0.5, abs=1e-14)


@pytest.mark.parametrize("fillers,noise", [(0, 0), (0.6, 0), (0, 0.7), (0.4, 0.5)])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_majority_reaches_the_upper_bound_and_naive_bayes_is_below(seed, fillers, noise):
    """Within 6 sigma of the sample; at noise 0.7: bound 0.914, learned 0.86 to 0.89."""
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
    """One word learned for each sense: log (1 + 1)/(1 + V) against log (0 + 1)/(1 + V)."""
    world = senses(0, 1)._replace(
        sentences=[["loan", "bank"], ["loan", "bank"], ["boat", "bank"], ["boat", "bank"]],
        topics=["money", "money", "river", "river"],
        train=[Occurrence(0, 1, "bank", "money"), Occurrence(2, 1, "bank", "river")],
        test=[Occurrence(1, 1, "bank", "money"), Occurrence(3, 1, "bank", "river")])
    assert naive_bayes(world) == majority(world) == 1
    assert naive_bayes(world, lambda sentence, place: []) == 0.5
    wrong = world._replace(test=[o._replace(sense="money") for o in world.test])
    assert naive_bayes(wrong) == majority(wrong) == 0.5

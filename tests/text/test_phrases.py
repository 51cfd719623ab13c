"""Scores equal the equation, counted within sentences; phrases are joined from the left."""
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.text import phrases as phrases_module
from scratch_embed.text.phrases import Phrases, find_phrases, join_phrases
from scratch_embed.text.vocab import index_sentences
from tests.rounding import u64

texts = st.lists(st.lists(st.sampled_from("abcde"), min_size=1, max_size=12), min_size=1,
                 max_size=12)
settings = st.tuples(st.integers(0, 3), st.sampled_from([0, 0.5, 1.0, 2.0]))


def index_all_words(sentences):
    return index_sentences(sentences, min_count=1)


def find_scores(sentences, min_count, threshold):
    """{(a, b): score} by find_phrases."""
    vocab, corpus = index_all_words(sentences)
    phrases = find_phrases(corpus, vocab, min_count, threshold)
    return {(vocab.words[a], vocab.words[b]): score
            for (a, b), score in zip(phrases.pairs, phrases.scores.tolist())}


def brute_force_scores(sentences, min_count, threshold):
    """The result of find_scores, by counting words and pairs of words one by one."""
    n = Counter(word for s in sentences for word in s)
    pairs = Counter(pair for s in sentences for pair in zip(s, s[1:]))
    scores = {(a, b): (n_ab - min_count) / (n[a] * n[b]) * sum(n.values())
              for (a, b), n_ab in pairs.items() if n[a] >= min_count and n[b] >= min_count}
    return {pair: score for pair, score in scores.items() if score > threshold}


def brute_force_join(sentences, pairs):
    """The sentences with `pairs` joined, word by word."""
    for sentence in sentences:
        words, i = [], 0
        while i < len(sentence):
            taken = 2 if tuple(sentence[i:i + 2]) in pairs else 1
            words.append("_".join(sentence[i:i + taken]))
            i += taken
        yield words


def find_and_join(sentences, min_count, threshold):
    vocab, corpus = index_all_words(sentences)
    return list(join_phrases(corpus, vocab, find_phrases(corpus, vocab, min_count, threshold)))


# ---- the score --------------------------------------------------------------------------------

NEW_YORK = [["new", "york", "is", "new"], ["new", "york"], ["in", "new", "york"], ["is", "in"]]


def test_scores_worked_by_hand():
    """N = 11, n(new) = 4, n(york) = 3, n(new york) = 3: (3 − 1)/(4 · 3) · 11 = 11/6."""
    assert find_scores(NEW_YORK, 1, 1.0) == {("new", "york"): pytest.approx(11 / 6, rel=4 * u64)}


def test_the_highest_score_is_first_and_ties_are_in_the_order_of_word_numbers():
    """Without a discount: new york and is in 11/4, york is 11/6, is new and in new 11/8."""
    vocab, corpus = index_all_words(NEW_YORK)
    phrases = find_phrases(corpus, vocab, 0, 1.0)
    names = [" ".join(vocab.words[i] for i in pair) for pair in phrases.pairs]
    assert names == ["new york", "is in", "york is", "is new", "in new"]
    np.testing.assert_allclose(phrases.scores, [11 / 4, 11 / 4, 11 / 6, 11 / 8, 11 / 8],
                               rtol=4 * u64)
    assert (phrases.pairs.dtype, phrases.scores.dtype) == (np.int32, np.float64)


def test_many_ties_are_in_the_order_of_word_numbers():
    """Every third pair is seen twice and scores 2/(2 · 2) · N, the others 1/(1 · 1) · N."""
    vocab, corpus = index_all_words([[f"a{i}", f"b{i}"] for i in range(300)]
                                    + [[f"a{i}", f"b{i}"] for i in range(0, 300, 3)])
    phrases = find_phrases(corpus, vocab, 0, 1.0)
    assert len(phrases.scores) == 300
    ranked = [(-score, *pair) for pair, score in zip(phrases.pairs.tolist(), phrases.scores)]
    assert ranked == sorted(ranked)


def test_a_score_equal_to_the_threshold_is_not_enough():
    assert ("is", "in") in find_scores(NEW_YORK, 0, np.nextafter(11 / 4, 0))
    assert ("is", "in") not in find_scores(NEW_YORK, 0, 11 / 4)


def test_pairs_across_the_end_of_a_sentence_are_not_counted():
    assert find_scores([["a", "b"], ["c"], ["a", "b"], ["c"]], 1, 0).keys() == {("a", "b")}


@given(texts, settings)
def test_equals_a_brute_force_count(sentences, setting):
    ours, expected = find_scores(sentences, *setting), brute_force_scores(sentences, *setting)
    assert ours.keys() == expected.keys()
    for pair, score in ours.items():
        assert score == pytest.approx(expected[pair], rel=8 * u64)


@given(texts, st.integers(1, 3))
def test_a_word_with_at_most_min_count_occurrences_is_in_no_phrase(sentences, min_count):
    counts = Counter(word for s in sentences for word in s)
    pairs = find_scores(sentences, min_count, 0)
    assert all(counts[word] > min_count for pair in pairs for word in pair)


@given(texts, settings, st.randoms(use_true_random=False))
def test_the_order_of_the_sentences_does_not_matter(sentences, setting, random):
    shuffled = random.sample(sentences, len(sentences))
    assert find_scores(shuffled, *setting) == find_scores(sentences, *setting)


@pytest.mark.parametrize("setting", [(-1, 1), (1, -1), (1, float("nan")), (float("nan"), 1)])
def test_negative_settings_and_nan_are_refused(setting):
    with pytest.raises(ValueError, match="^(min_count|threshold)=.*: expected a finite number"):
        find_phrases(*index_all_words([["a"]])[::-1], *setting)


# ---- joining ----------------------------------------------------------------------------------

def test_a_word_already_in_a_phrase_does_not_start_another():
    """The phrases are "a b", "b c" and "c d"; in "a b c d", "a b" is joined, and then "c d"."""
    sentences = [["a", "b", "c", "d"], ["b", "c", "d"], ["x", "a", "b"], ["b"], ["c", "b", "c"]]
    vocab, corpus = index_all_words(sentences)
    pairs = [("a", "b"), ("b", "c"), ("c", "d")]
    numbers = np.array([[vocab.index[a], vocab.index[b]] for a, b in pairs], np.int32)
    ours = join_phrases(corpus, vocab, Phrases(numbers, np.ones(3)))
    assert list(ours) == [["a_b", "c_d"], ["b_c", "d"], ["x", "a_b"], ["b"], ["c", "b_c"]]


@given(texts, settings, st.integers(1, 5))
def test_joining_equals_going_word_by_word(sentences, setting, batch):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phrases_module, "BATCH", batch)
        ours = find_and_join(sentences, *setting)
    assert ours == list(brute_force_join(sentences, brute_force_scores(sentences, *setting)))


@given(texts, settings)
def test_splitting_the_phrases_gives_the_original_text(sentences, setting):
    ours = find_and_join(sentences, *setting)
    assert [[word for phrase in s for word in phrase.split("_")] for s in ours] == sentences


def test_without_phrases_the_text_is_unchanged():
    assert find_and_join(NEW_YORK, 1, 1e9) == NEW_YORK


def test_a_second_pass_finds_longer_phrases():
    sentences = [["i", "saw", "new", "york", "city"], ["new", "york", "city", "i", "saw"]] * 2
    once = find_and_join(sentences, 1, 1.5)
    assert once[0] == ["i_saw", "new_york", "city"]
    assert find_and_join(once, 1, 1.5)[0] == ["i_saw", "new_york_city"]


def test_a_phrase_spelled_like_another_word_counts_as_that_word():
    sentences = [["a", "b", "a_b"]] * 3
    vocab, _ = index_all_words(find_and_join(sentences, 1, 1.0))
    assert "a_b" in vocab.words and len(set(vocab.words)) == len(vocab.words)


@pytest.mark.parametrize("delimiter, word",
                         [("_", "new_york"), ("", "newyork"), ("··", "new··york")])
def test_the_delimiter_is_put_between_the_words(delimiter, word):
    vocab, corpus = index_all_words(NEW_YORK)
    phrases = find_phrases(corpus, vocab, 1, 1.0)
    assert next(join_phrases(corpus, vocab, phrases, delimiter))[0] == word


@pytest.mark.parametrize("delimiter", [" ", "a b", "\n", "_\t"])
def test_a_delimiter_with_white_space_is_refused(delimiter):
    vocab, corpus = index_all_words(NEW_YORK)
    with pytest.raises(ValueError, match="white space"):
        join_phrases(corpus, vocab, find_phrases(corpus, vocab), delimiter)


# ---- parity with gensim -------------------------------------------------------------------------

@pytest.mark.parametrize("seed", range(3))
def test_scores_and_sentences_are_those_of_gensim(seed):
    """Up to a factor: N here, the number of different words and pairs in gensim."""
    gensim = pytest.importorskip("gensim.models.phrases")
    rng = np.random.default_rng(seed)
    pieces = ["a b", "b c", "b", "c", "d d", "d", "e f g", "f", *"hijklmnop"]
    sentences = [" ".join(rng.choice(pieces, rng.integers(1, 6))).split() for _ in range(300)]
    theirs = gensim.Phrases(sentences, min_count=3, threshold=0.5, delimiter="_")
    N = sum(len(s) for s in sentences)
    factor = len(theirs.vocab) / N
    ours = find_scores(sentences, 3, 0.5 / factor)
    assert len(ours) > 3
    exported = theirs.export_phrases()
    assert {"_".join(pair) for pair in ours} == exported.keys()
    for pair, score in ours.items():
        assert score * factor == pytest.approx(exported["_".join(pair)], rel=8 * u64)
    assert find_and_join(sentences, 3, 0.5 / factor) == [theirs[s] for s in sentences]

"""Words are numbered by frequency; frequent words are subsampled as by word2vec.c."""
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.text.vocab import Vocab, index_sentences, keep_probability

texts = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=12), min_size=1, max_size=12)


def flat(sentences):
    return [word for sentence in sentences for word in sentence]


def test_words_are_ordered_by_count_then_by_first_occurrence():
    vocab, corpus = index_sentences([["b", "c", "a"], ["c", "a", "b", "d", "a"]], min_count=1)
    assert vocab.words == ["a", "b", "c", "d"]
    assert vocab.counts.tolist() == [3, 2, 2, 1]
    assert vocab.index == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert corpus.ids.tolist() == [1, 2, 0, 2, 0, 1, 3, 0]
    assert corpus.offsets.tolist() == [0, 3, 8]
    assert (corpus.ids.dtype, corpus.offsets.dtype) == (np.int32, np.int64)


@given(texts.filter(flat))
def test_equals_a_brute_force_count(sentences):
    vocab, corpus = index_sentences(sentences, min_count=1)
    words = flat(sentences)
    first = {word: words.index(word) for word in words}
    want = sorted(Counter(words).items(), key=lambda item: (-item[1], first[item[0]]))
    assert list(zip(vocab.words, vocab.counts.tolist())) == want
    numbers = [corpus.ids[a:z] for a, z in zip(corpus.offsets, corpus.offsets[1:])]
    assert [[vocab.words[i] for i in n] for n in numbers] == [s for s in sentences if s]


@given(texts.filter(flat), st.integers(1, 4))
def test_dropped_words_and_empty_sentences_leave_no_gap(sentences, min_count):
    counts = Counter(flat(sentences))
    if max(counts.values()) < min_count:
        return
    vocab, corpus = index_sentences(sentences, min_count)
    kept = [[w for w in s if counts[w] >= min_count] for s in sentences]
    numbers = [corpus.ids[a:z] for a, z in zip(corpus.offsets, corpus.offsets[1:])]
    assert [[vocab.words[i] for i in n] for n in numbers] == [s for s in kept if s]
    assert set(vocab.words) == {w for w, n in counts.items() if n >= min_count}


@given(texts.filter(flat), st.integers(1, 8))
def test_max_vocab_size_keeps_the_most_frequent_words(sentences, size):
    full, _ = index_sentences(sentences, min_count=1)
    small, _ = index_sentences(sentences, min_count=1, max_vocab_size=size)
    assert small.words == full.words[:size]


def test_sentences_that_are_strings_are_refused_and_a_path_is_read(tmp_path):
    with pytest.raises(TypeError, match="expected a list of tokens, got the string"):
        index_sentences(["the king sat"], min_count=1)
    (tmp_path / "text").write_text("a b\na\n")
    assert index_sentences(tmp_path / "text", min_count=1)[0].words == ["a", "b"]
    with pytest.raises(FileNotFoundError):
        index_sentences("the king sat", min_count=1)


def test_a_text_without_words_is_refused():
    for nothing in ([], [[]], [[], []]):
        with pytest.raises(ValueError, match="expected a text with words"):
            index_sentences(nothing)


def test_a_min_count_that_no_word_reaches_is_refused_with_the_largest_count():
    with pytest.raises(ValueError, match=r"0 of 2 words reach min_count=5; .* is 'the' \(3\)"):
        index_sentences([["the", "the", "cat", "the"]])


@pytest.mark.parametrize("setting", [{"min_count": 0}, {"max_vocab_size": 0}])
def test_settings_below_1_are_refused(setting):
    with pytest.raises(ValueError,
                       match="^(min_count|max_vocab_size)=0: expected a whole number, 1 to"):
        index_sentences([["a"]], **{"min_count": 1, **setting})


def test_a_repeated_word_or_a_missing_count_is_refused():
    with pytest.raises(ValueError, match="twice"):
        Vocab(["a", "a"], [1, 1])
    with pytest.raises(ValueError, match="expected one for each of 2 words, got 1"):
        Vocab(["a", "b"], [1])


# ---- subsampling --------------------------------------------------------------------------------

def test_keep_probability_worked_by_hand():
    """f/t = 9 and 1: (√9 + 1)/9 = 4/9; (√1 + 1)/1 = 2, so the probability is 1."""
    np.testing.assert_allclose(keep_probability([90, 10], 0.1), [4 / 9, 1], rtol=2**-23)


def test_sample_0_keeps_every_word():
    assert keep_probability([90, 10], 0).tolist() == [1, 1]


@given(st.lists(st.integers(1, 10**6), min_size=2, max_size=30), st.floats(1e-6, 1))
def test_more_frequent_words_are_never_kept_more_often(counts, sample):
    keep = keep_probability(sorted(counts), sample)
    assert (np.diff(keep) <= 0).all() and (keep > 0).all() and (keep <= 1).all()
    smaller = keep_probability(sorted(counts), sample / 2)
    assert (smaller <= keep).all()


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), st.integers(2, 9))
def test_keep_probability_does_not_depend_on_the_size_of_the_corpus(counts, times):
    np.testing.assert_allclose(keep_probability(counts, 1e-3),
                               keep_probability(np.array(counts) * times, 1e-3), rtol=2**-22)


@pytest.mark.parametrize("word", [5, None, float("nan"), b"bytes"])
def test_words_that_are_not_strings_are_refused(word):
    with pytest.raises(TypeError, match=re.escape(f"expected words of type str, got {word!r}")):
        index_sentences([["a", word]], min_count=1)

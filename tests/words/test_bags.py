"""Bags of rows of a line: the kernel equals the definition, and what a bag depends on."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.words.bags import (
    Features,
    fill_bag,
    hash_words,
    max_bag_size,
    signed_hash,
    word_ngram_rows,
)
from scratch_embed.words.labelled import read_texts
from scratch_embed.words.subwords import index_subwords

KNOWN = ["the", "où", "日本", "</s>", "not", "good", "bad"]
sentences = st.lists(st.sampled_from([*KNOWN, "new", "ü", "goodness"]), max_size=8)
settings = st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(0, 4), st.integers(1, 50))


def bags_of(features, texts):
    """The bag of each text, filled by the kernel: a list of row numbers."""
    lines = read_texts(texts)
    bags, found = features.bags(lines.words, lines.tokens), []
    for line in range(len(texts)):
        bag = np.full(max_bag_size(bags, np.array([line])), -1)
        with np.errstate(over="ignore"):
            found.append(bag[:fill_bag(bags, line, bag)].tolist())
    return found


def test_the_hash_of_a_word_n_gram_worked_by_hand():
    """FNV of "a" is 3826002220, signed −468965076; of "</s>" 3617362777, signed −677604519."""
    h = (-468965076 * 116049371 - 677604519) % 2**64
    assert h == 18392320970941179901
    assert word_ngram_rows(["a", "</s>"], 2, V=10, buckets=1000) == [10 + 901]
    assert word_ngram_rows(["a", "</s>"], 1, V=10, buckets=1000) == []
    three = (h * 116049371 - 468965076) % 2**64
    assert word_ngram_rows(["a", "</s>", "a"], 3, 10, 1000) == [
        10 + 901, 10 + three % 1000, 10 + (-677604519 * 116049371 - 468965076) % 2**64 % 1000]


def test_the_hash_is_sign_extended_to_64_bits():
    assert word_ngram_rows(["a", "a"], 2, 0, 10**9) != [
        (3826002220 * 116049371 + 3826002220) % 2**64 % 10**9]


@given(st.lists(st.text(max_size=5).filter(lambda w: w.isprintable()), max_size=5))
def test_the_compiled_hash_equals_the_definition(words):
    assert hash_words(words).view(np.int64).tolist() == [signed_hash(word) for word in words]


@given(st.lists(sentences, min_size=1, max_size=4), settings)
def test_a_bag_has_the_rows_of_its_words_and_then_of_its_word_n_grams(texts, chosen):
    word_ngrams, min_n, max_n, buckets = chosen
    features = Features(KNOWN, word_ngrams, min_n, max_n, buckets)
    for words, bag in zip(texts, bags_of(features, [" ".join(words) for words in texts])):
        words = words[:words.index("</s>")] if "</s>" in words else words
        line = [*words, "</s>"]
        assert bag == [row for word in line for row in features.rows_of(word)] + word_ngram_rows(
            line, word_ngrams, len(KNOWN), buckets)


@given(settings)
def test_a_known_word_has_its_own_row_and_an_unknown_word_only_its_n_grams(chosen):
    _, min_n, max_n, buckets = chosen
    features = Features(KNOWN, 1, min_n, max_n, buckets)
    table = index_subwords(KNOWN, min_n, max_n, buckets)
    for number, word in enumerate(KNOWN):
        assert features.rows_of(word).tolist() == table.rows[
            table.offsets[number]:table.offsets[number + 1]].tolist()
    assert (features.rows_of("goodness") >= len(KNOWN)).all()
    assert len(features.rows_of("goodness")) == (0 if max_n < max(min_n, 1) else sum(
        11 - n for n in range(max(min_n, 1), max_n + 1)) - 2 * (min_n <= 1))


def test_only_word_n_grams_distinguish_two_orders_of_words():
    texts = ["bad not good", "good not bad"]
    bag_1, bag_2 = bags_of(Features(KNOWN), texts)
    assert sorted(bag_1) == sorted(bag_2)
    bag_1, bag_2 = bags_of(Features(KNOWN, 2, buckets=10**6), texts)
    assert sorted(bag_1) != sorted(bag_2)


def test_labels_are_removed_before_word_n_grams_are_formed():
    features = Features(KNOWN, 3, 2, 3, 100)
    plain, labelled = bags_of(features, ["not good", "__label__x not __label__unseen good"])
    assert plain == labelled


def test_word_ngrams_may_exceed_the_length_of_the_line():
    features = Features(KNOWN, 2**31 - 1, buckets=50)
    assert bags_of(features, ["not good"]) == [[4, 5, 3] + word_ngram_rows(
        ["not", "good", "</s>"], 99, len(KNOWN), 50)]


def test_a_line_without_known_words_has_an_empty_bag():
    assert bags_of(Features(["a"]), ["b", "a"]) == [[], [0]]


@pytest.mark.parametrize("wrong, message", [
    (dict(word_ngrams=0), "word_ngrams=0: expected a whole number, 1 to"),
    (dict(word_ngrams=2), "word_ngrams=2: expected buckets of at least 1"),
    (dict(buckets=-1), "buckets=-1"), (dict(max_n=1.5), "max_n=1.5"),
    (dict(words=["a", "a"]), "twice"),
])
def test_invalid_settings_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        Features(**{"words": KNOWN, **wrong})

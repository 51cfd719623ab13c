"""FastTextVectors: a vector is the mean of the rows of the word and of its n-grams."""
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.space.similarity import cosine
from scratch_embed.words.fasttext_files import read_bin
from scratch_embed.words.fasttext_vectors import FastTextVectors, fill_means, mean_of_rows
from scratch_embed.words.subwords import Subwords, index_subwords, ngram_row
from scratch_embed.words.vectors import MissingWord
from tests.rounding import seeds

GOLDEN = Path(__file__).parents[1] / "golden"
ANSWERS = json.loads((GOLDEN / "fasttext.json").read_text("utf-8"))
WORDS = ["where", "the", "banana", "où"]
letters = st.characters(exclude_categories=["Cs"])


@pytest.fixture(scope="module")
def vectors():
    table = np.random.default_rng(0).standard_normal((4 + 1000, 6)).astype(np.float32)
    return FastTextVectors(WORDS, table, 3, 4)


def mean(vectors, word, ngrams):
    """(D,) float64 mean over the word's own row, if it is known, and the rows of these n-grams."""
    rows = [WORDS.index(word)] if word in WORDS else []
    rows += [ngram_row(ngram, 4, 1000) for ngram in ngrams.split()]
    return vectors.table[rows].mean(axis=0, dtype=float)


# ---- vectors --------------------------------------------------------------------------------

def test_a_known_words_vector_is_the_mean_of_its_own_row_and_its_n_grams(vectors):
    want = mean(vectors, "the", "<th <the the the> he>")
    np.testing.assert_allclose(vectors["the"], want, atol=2**-20)
    assert "the" in vectors and len(vectors) == 4


def test_an_unknown_words_vector_is_the_mean_of_its_n_grams(vectors):
    want = mean(vectors, "then", "<th <the the then hen hen> en>")
    np.testing.assert_allclose(vectors["then"], want, atol=2**-20)
    assert "then" not in vectors


def test_a_list_of_words_gives_a_matrix(vectors):
    rows = vectors[["then", "the"]]
    np.testing.assert_array_equal(rows, [vectors["then"], vectors["the"]])
    assert vectors[[]].shape == (0, 6)


def test_an_unknown_word_without_an_n_gram_is_missing(vectors):
    for word in "", "</s>":                                    # "<>" is shorter than min_n
        with pytest.raises(MissingWord, match=f"^'{word}' is not among the 4 words"):
            vectors[word]
    no_buckets = FastTextVectors(WORDS, vectors.table[:4], 3, 6)
    np.testing.assert_array_equal(no_buckets["the"], vectors.table[1])
    with pytest.raises(KeyError, match="'then' is not among.*closest spelling is 'the'"):
        no_buckets["then"]


@given(st.lists(st.text(letters, max_size=8), min_size=1, max_size=6, unique=True),
       st.integers(1, 40), seeds)
def test_the_kernel_equals_the_definition(words, buckets, seed):
    """A mean of n numbers below 8 rounds n times in the sum and twice for the factor 1/n."""
    subwords = index_subwords(words, 2, 5, buckets)
    rng = np.random.default_rng(seed)
    table = rng.standard_normal((len(words) + buckets, 5)).astype(np.float32)
    means = np.empty((len(words), 5), np.float32)
    fill_means(table, subwords, means)
    for w in range(len(words)):
        n = subwords.offsets[w + 1] - subwords.offsets[w]
        np.testing.assert_allclose(means[w], mean_of_rows(table.astype(float), subwords, w),
                                   rtol=0, atol=8 * (n + 2) * 2**-24)


def test_a_mean_worked_by_hand():
    table = np.array([[1, 0], [0, 3], [2, 3]], np.float32)
    subwords, means = Subwords(np.array([0, 2, 2], np.int32), np.array([0, 3])), np.empty((1, 2))
    np.testing.assert_allclose(mean_of_rows(table, subwords, 0), [5 / 3, 2])
    fill_means(table, subwords, means)
    np.testing.assert_allclose(means, [[5 / 3, 2]], rtol=2**-22)


# ---- subwords ---------------------------------------------------------------------------------

def test_the_subwords_of_a_word_are_its_own_row_and_its_n_grams(vectors):
    subwords = vectors.ngrams("the")
    assert [subword.ngram for subword in subwords] == "the <th <the the the> he>".split()
    assert subwords[0].row == 1 and subwords[3].row == ngram_row("the", 4, 1000)
    for subword in subwords:
        np.testing.assert_array_equal(subword.vector, vectors.table[subword.row])
    assert [subword.ngram for subword in vectors.ngrams("a")] == ["<a>"]
    assert FastTextVectors(WORDS, vectors.table[:4], 3, 6).ngrams("a") == []


def test_the_row_of_an_n_gram_follows_from_its_hash(vectors):
    np.testing.assert_array_equal(vectors.ngram_vector("<wh"), vectors.table[4 + 652])
    with pytest.raises(ValueError, match="buckets=0: .*'<wh'"):
        FastTextVectors(WORDS, vectors.table[:4], 3, 6).ngram_vector("<wh")


def test_important_n_grams_change_the_direction_of_the_vector_most():
    """Rows: the word (1, 0), <a (0, 2), ab (1, 0), b> (1, 0).  Without <a their sum is (3, 0)."""
    rows = [ngram_row(ngram, 1, 100) for ngram in ("<a", "ab", "b>")]
    table = np.zeros((101, 2), np.float32)
    table[[0, *rows]] = [[1, 0], [0, 2], [1, 0], [1, 0]]
    vectors = FastTextVectors(["ab"], table, 2, 2)
    (first, cos), *rest = vectors.important_ngrams("ab")
    assert first == "<a" and cos == pytest.approx(3 / np.sqrt(13))
    assert [ngram for ngram, _ in rest] == ["ab", "b>"]
    assert rest[0][1] == pytest.approx(10 / np.sqrt(13 * 8))   # of (3, 2) and (2, 2)
    assert len(vectors.important_ngrams("ab", topn=1)) == 1


def test_an_n_gram_that_occurs_twice_is_removed_as_one(vectors):
    subwords = vectors.ngrams("banana")
    twice = [subword.vector for subword in subwords if subword.ngram == "ana"]
    assert len(twice) == 2
    total = np.sum([subword.vector for subword in subwords], axis=0, dtype=float)
    want = cosine(total, total - 2.0 * twice[0])
    assert dict(vectors.important_ngrams("banana", 99))["ana"] == pytest.approx(want, rel=1e-12)


# ---- similarity ------------------------------------------------------------------------------

def test_an_unknown_words_neighbours_are_known_words_by_cosine(vectors):
    got = vectors.most_similar("wheres")
    want = {word: float(cosine(vectors["wheres"], vectors[word])) for word in WORDS}
    assert [word for word, _ in got] == sorted(WORDS, key=lambda word: -want[word])
    for word, score in got:
        assert score == pytest.approx(want[word], abs=2**-20)
        assert vectors.similarity("wheres", word) == pytest.approx(want[word], abs=2**-20)


def test_a_known_word_is_left_out_of_its_own_neighbours(vectors):
    assert {word for word, _ in vectors.most_similar("the")} == set(WORDS) - {"the"}
    assert vectors.most_similar("the") == vectors.words.most_similar("the")


def test_known_and_unknown_words_have_the_same_weight_in_a_sum(vectors):
    """Known and unknown words are both l2-normalised before they are added."""
    got = dict(vectors.most_similar(["the", "wheres"], ["où"]))
    unit = {word: vectors[word] / np.linalg.norm(vectors[word])
            for word in [*WORDS, "wheres"]}
    target = unit["the"] + unit["wheres"] - unit["où"]
    assert set(got) == {"where", "banana"}
    for word, score in got.items():
        assert score == pytest.approx(float(cosine(target, unit[word])), abs=2**-20)


def test_the_table_is_neither_copied_nor_writable(vectors):
    table = np.ones((3, 2), np.float32)
    kv = FastTextVectors(["a", "b"], table, 1, 2)
    assert np.shares_memory(kv.table, table) and table.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        kv.table[0] = 0
    assert repr(kv) == "FastTextVectors(2 words + 1 buckets x 2 dimensions, n-grams of 1 to 2)"


def test_invalid_tables_are_rejected():
    for shape in (1, 2), (5,):
        with pytest.raises(ValueError, match="at least 2 rows, one for each word"):
            FastTextVectors(["a", "b"], np.zeros(shape), 3, 6)
    with pytest.raises(ValueError, match="^max_n="):
        FastTextVectors(["a"], np.zeros((2, 2)), 3, -1)
    for wrong in np.nan, np.inf, -np.inf:                      # in a row that no word has
        with pytest.raises(ValueError, match="expected finite"):
            FastTextVectors(["a"], np.array([[1, 2], [1, wrong]]), 3, 6)


# ---- the original ---------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["skipgram", "cbow", "hs", "words", "softmax"])
def test_vectors_equal_the_originals(name):
    """Known and unknown words in fasttext 0.9.3: means of at most 60 numbers below 16."""
    model = read_bin(GOLDEN / f"fasttext-{name}.bin")
    vectors = FastTextVectors(model.words, model.input, model.settings.min_n, model.settings.max_n)
    for word, numbers in ANSWERS[name]["vectors"].items():
        want = np.array([float.fromhex(number) for number in numbers])
        if len(ANSWERS[name]["subwords"][word][1]):
            np.testing.assert_allclose(vectors[word], want, rtol=0, atol=16 * 62 * 2**-24)
        else:
            assert not want.any()                              # fasttext: zero vector; here: error
            with pytest.raises(MissingWord):
                vectors[word]

"""A warm start from word vectors: their cosines and scale, unknown tokens, the vocabulary."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.params import init_params
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.warm_start import STD, vocabulary, with_word_vectors
from scratch_embed.text.basic_tokenizer import CASED, UNCASED
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.transformer.bert import TABLE, Bert, Config, tensors
from scratch_embed.words.vectors import WordVectors
from tests.rounding import seeds

PIECES = [*SPECIAL, "cat", "##s", "dog", "king", "a"]
TOKENIZER = WordPiece(PIECES)
CONFIG = Config(len(PIECES), dim=6, layers=1, heads=2, ff=8, positions=12)
KNOWN = [PIECES.index(word) for word in ("dog", "cat", "a")]


def start(seed=1):
    return Bert(CONFIG, init_params(tensors(CONFIG), seed))


def vectors(seed, scale=1.0):
    """Of dog, queen, cat and a; king is not known."""
    rows = scale * np.random.default_rng(seed).standard_normal((4, 6))
    return WordVectors(["dog", "queen", "cat", "a"], rows)


@given(seeds, st.floats(1e-6, 1e6))
def test_known_words_have_their_vectors_times_one_factor_and_other_tokens_stay(seed, scale):
    """So the cosines are those of the vectors, whatever their scale; the start is not changed."""
    model, words = start(), vectors(seed, scale)
    warm, known = with_word_vectors(model, TOKENIZER, words)
    rows, x = warm.p[TABLE][KNOWN], words[["dog", "cat", "a"]]
    assert known == 3
    np.testing.assert_allclose(np.sqrt((rows.astype(float)**2).mean()), STD, rtol=1e-6)
    np.testing.assert_allclose(rows, x * (STD / np.sqrt((x.astype(float)**2).mean())), rtol=1e-5)
    for name, tensor in start().p.items():
        np.testing.assert_array_equal(model.p[name], tensor)
        changed = warm.p[name] != tensor
        assert changed.any() == (name == TABLE)
    assert set(np.flatnonzero((warm.p[TABLE] != model.p[TABLE]).any(1))) == set(KNOWN)


def test_texts_of_similar_words_are_similar_before_any_training():
    words = WordVectors(["cat", "dog", "a"], np.eye(6)[[0, 0, 1]] + 0.1 * np.eye(6)[[2, 3, 4]])

    def nearer(model):                                  # cos(cat, dog) − cos(cat, a)
        cat, dog, a = SentenceEncoder(TOKENIZER, model).encode(["cat cat", "dog dog", "a a"])
        return cat @ (dog - a)
    warm, _ = with_word_vectors(start(), TOKENIZER, words)
    assert nearer(warm) > 0.5 and abs(nearer(start())) < 0.1


def test_vectors_of_zeros_stay_zeros():
    warm, known = with_word_vectors(start(), TOKENIZER, WordVectors(["cat"], np.zeros((1, 6))))
    assert known == 1 and not warm.p[TABLE][PIECES.index("cat")].any()


@pytest.mark.parametrize("words, message", [
    (WordVectors(["cat"], np.ones((1, 5))), "expected 6 dimensions, the model's dim, got 5"),
    (WordVectors(["lion"], np.ones((1, 6))), "none among 1, such as 'lion'")])
def test_vectors_that_do_not_fit_are_rejected(words, message):
    with pytest.raises(ValueError, match=message):
        with_word_vectors(start(), TOKENIZER, words)


# ---- the vocabulary ------------------------------------------------------------------------------

def test_words_follow_the_pieces_without_repetition_up_to_the_size():
    assert vocabulary(PIECES, ["dog", "lion", "cat", "tiger"], 100, UNCASED) == [
        *PIECES, "lion", "tiger"]
    assert vocabulary(PIECES, ["lion", "tiger"], len(PIECES) + 1, UNCASED) == [*PIECES, "lion"]
    assert vocabulary(PIECES, ["lion"], 3, UNCASED) == PIECES          # pieces are never dropped


def test_words_that_the_tokenizer_would_change_or_split_are_left_out():
    words = ["Lion", "l\u00e9on", "new_york", "don't", "", "a b", "tiger"]
    assert vocabulary([], words, 100, UNCASED) == ["tiger"]
    assert vocabulary([], words, 100, CASED) == ["Lion", "l\u00e9on", "tiger"]
    added = WordPiece([*SPECIAL, *vocabulary([], words, 100, UNCASED)])
    assert added.tokenize("TIGER") == ["tiger"]

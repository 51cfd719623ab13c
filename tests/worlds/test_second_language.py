"""The second language: the cipher can be inverted, and no translated word is English."""
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.worlds.facts import WORDS
from scratch_embed.worlds.second_language import (
    CONSONANTS,
    ENGLISH,
    VOWELS,
    bitext,
    draw_cipher,
    inverse,
    translate,
)
from tests.rounding import seeds

WORLD = bitext()
TEXTS = st.lists(st.text(string.ascii_lowercase + "-.1", min_size=1), min_size=1).map(" ".join)


def rng(seed):
    return np.random.Generator(np.random.PCG64(seed))


def test_a_translation_by_hand():
    cipher = dict(zip("abcdet", "eftgaz"))
    assert translate("bad cat", cipher) == "tez feg" and translate("x 7", cipher) == "7 x"


@given(seeds, TEXTS)
def test_the_inverse_cipher_translates_back(seed, text):
    cipher = draw_cipher(rng(seed))
    assert translate(translate(text, cipher), inverse(cipher)) == text


@given(seeds)
def test_a_cipher_maps_vowels_to_vowels_and_no_english_word_to_another(seed):
    cipher = draw_cipher(rng(seed))
    assert set(cipher) == set(cipher.values()) == set(string.ascii_lowercase)
    assert all(letter != to for letter, to in cipher.items())
    assert {cipher[letter] for letter in VOWELS} == set(VOWELS) and len(CONSONANTS) == 21
    assert not {translate(word, cipher) for word in ENGLISH} & ENGLISH


def test_a_cipher_that_maps_jail_to_boat_is_drawn_again():
    """Seed 18.  43 of 2,000 seeds first draw a cipher that maps an English word to another one."""
    first = draw_cipher(rng(18), words=())
    assert translate("jail", first) == "boat" and draw_cipher(rng(18)) != first


def test_every_foreign_sentence_is_the_translation_of_its_english_sentence():
    assert len(set(WORLD.english)) == len(set(WORLD.foreign)) == len(set(WORLD.facts)) == 500
    for english, foreign in [*zip(WORLD.english, WORLD.foreign, strict=True), *WORLD.pairs]:
        assert translate(foreign, inverse(WORLD.cipher)) == english
        assert len(foreign.split()) == len(english.split())
        assert not set(english.split()) & set(foreign.split())


def test_the_training_pairs_have_no_fact_of_the_sentences_to_be_matched():
    value_of = {word: (slot, value) for slot, values in enumerate(WORDS)
                for value, words in enumerate(values) for word in words}

    def read(text):
        return tuple(value for _, value in sorted(value_of[word] for word in text.split()
                                                  if word in value_of))
    assert [read(text) for text in WORLD.english] == WORLD.facts and len(WORLD.pairs) > 1000
    assert not {read(english) for english, _ in WORLD.pairs} & set(WORLD.facts)


def test_every_word_of_the_sentences_occurs_in_the_training_pairs():
    for side, sentences in enumerate((WORLD.english, WORLD.foreign)):
        seen = {word for pair in WORLD.pairs for word in pair[side].split()}
        assert {word for text in sentences for word in text.split()} <= seen


def test_the_same_seed_draws_the_same_language():
    assert bitext(3, 20, 20) == bitext(3, 20, 20) != bitext(4, 20, 20)


@pytest.mark.parametrize("wrong, message", [
    (dict(sentences=0), "sentences=0: expected a whole number, 1 to"),
    (dict(pairs=-1), "pairs=-1: expected a whole number, 0 to"),
    (dict(noise=2), "noise=2: expected a finite number, from 0 to 1"),
    (dict(sentences=21, noise=0), "expected at most 20, because 2100 draws")])
def test_a_wrong_argument_raises_an_error_with_the_expected_values(wrong, message):
    with pytest.raises(ValueError, match=message):
        bitext(**wrong)

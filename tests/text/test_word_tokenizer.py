"""Word tokenizer: the words of texts in several scripts, and what its result must not depend on."""
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.text.word_tokenizer import (
    APOSTROPHES,
    KINDS,
    MARKS,
    SPACES,
    WordTokenizer,
    checked,
    deduced,
)

texts = st.text(st.sampled_from("aZéÉß'’ .,!-_7\u0301\u00ad\u200c\u00a0\u2028\x85\n\tहि語ΑΣİ")
                | st.characters(exclude_categories=["Cs"]), max_size=30)
tokenizers = st.builds(WordTokenizer, st.sampled_from(KINDS), st.booleans(),
                       st.sampled_from(APOSTROPHES))


# ---- worked by hand ----------------------------------------------------------------------------

@pytest.mark.parametrize("text, words", [
    ("The police, the Police. POLICE!", "the police the police police"),
    ("don't 'quoted' rock 'n' roll", "don't quoted rock n roll"),
    ("don’t", "don't"),
    ("a''b d' 'e", "a b d e"),
    ("well-known, 3.14 and U.S.", "well known 3 14 and u s"),
    ("e\u0301te\u0301", "été"),
    ("हिन्दी می\u200cخواهم 東京", "हिन्दी می\u200cخواهم 東京"),
    ("co\u00adoperate", "cooperate"),
    ("no\u00a0break\u2028line\x85next\x00nul", "no break line next nul"),
    ("new_york", "new_york"),
    ("... !?", "")])
def test_words_are_runs_of_letters_digits_and_marks(text, words):
    assert WordTokenizer()(text) == words.split(" " if words else None)


def test_apostrophes_can_split():
    assert WordTokenizer(apostrophes="split")("L'hiver, dell’arte") == [
        "l", "hiver", "dell", "arte"]


def test_case_can_be_kept():
    assert WordTokenizer(lowercase=False)("New York") == ["New", "York"]


def test_the_tokenizer_SPACES_only_splits_at_ascii_white_space():
    assert SPACES("The\u00a0end, don't\tstop") == ["The\u00a0end,", "don't", "stop"]


# ---- what the words do not depend on -----------------------------------------------------------

@given(tokenizers, texts)
def test_splitting_the_joined_words_again_gives_the_same_words(tokenizer, text):
    words = tokenizer(text)
    assert tokenizer(" ".join(words)) == words


@given(tokenizers, texts, texts)
def test_the_words_of_two_lines_are_those_of_each_line(tokenizer, a, b):
    assert tokenizer(a + "\n" + b) == tokenizer(a) + tokenizer(b)


@given(st.sampled_from(APOSTROPHES), texts)
def test_composed_and_decomposed_accents_are_the_same_word(apostrophes, text):
    tokenizer = WordTokenizer(apostrophes=apostrophes)
    assert (tokenizer(unicodedata.normalize("NFD", text))
            == tokenizer(unicodedata.normalize("NFC", text)))


@given(tokenizers, texts)
def test_a_separated_text_has_the_same_words_and_lines(tokenizer, text):
    separated = tokenizer.separated(text)
    assert SPACES(separated) == tokenizer(text) and separated.count("\n") == text.count("\n")


@given(tokenizers, st.lists(texts, max_size=4))
def test_blocks_of_whole_words_give_the_words_of_the_text(tokenizer, parts):
    blocks = [part.encode() + b"\n" for part in parts]
    joined = b"".join(tokenizer.separate_blocks(blocks)).decode()
    assert SPACES(joined) == tokenizer("".join(block.decode() for block in blocks))


def test_all_combining_marks_are_part_of_words():
    marks = [chr(code) for code in range(sys.maxunicode + 1)
             if unicodedata.category(chr(code)) in MARKS]
    assert len(marks) > 2000
    assert [mark for mark in marks if len(WordTokenizer()(f"x{mark}y")) != 1] == []


# ---- the tokenizer of a model -------------------------------------------------------------------

@pytest.mark.parametrize("words, tokenizer", [
    (["the", "police", "l'hiver"], WordTokenizer()),
    (["the", "police", "hiver"], WordTokenizer(apostrophes="split")),
    (["the", "Police", "l'hiver"], WordTokenizer(lowercase=False)),
    (["the", "police,", "police."], SPACES),
    (["the", ",", ".", "police"] * 9, WordTokenizer(apostrophes="split")),
    ([], WordTokenizer(apostrophes="split"))])
def test_a_vocabulary_shows_how_its_text_was_split(words, tokenizer):
    assert deduced(words) == tokenizer


@pytest.mark.parametrize("name, value", [("kind", "word"), ("lowercase", "yes"),
                                         ("apostrophes", "drop")])
def test_unknown_settings_are_refused(name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected one of .*, got '{value}'$"):
        checked(**{name: value})

"""Bytes are written as characters, and texts are split as the library's patterns split them."""
import re
import runpy
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.text.basic_tokenizer import WHITE_SPACE
from scratch_embed.text.byte_level import (
    BYTE_OF_CHAR,
    CHAR_OF_BYTE,
    CLIP,
    GPT2,
    LLAMA3,
    PATTERNS,
    QWEN2,
    character_classes,
    split,
    split_by_all,
    to_bytes,
    to_characters,
)

ORIGINAL = runpy.run_path(str(Path(__file__).parents[1] / "golden/make_bpe.py"))
names = {GPT2: "GPT-2", CLIP: "CLIP", LLAMA3: "Llama 3", QWEN2: "Qwen 2"}
patterns = pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: names.get(p, "CLIP's tokens"))


# ---- worked by hand -----------------------------------------------------------------------------

def test_the_table_of_bytes_worked_by_hand():
    """33..126, 161..172 and 174..255 stand for themselves; the others for 256, 257, ... in turn."""
    assert to_characters(b"\x00 a~\x7f\xa0\xad\xff") == "ĀĠa~ġłŃÿ"
    assert sorted(CHAR_OF_BYTE) == [*range(256)] and len(BYTE_OF_CHAR) == 256
    assert sorted(map(ord, BYTE_OF_CHAR)) == sorted(
        [*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324)])


def test_a_piece_with_another_character_is_its_utf_8():
    assert to_bytes("Ġa") == b" a" and to_bytes("Ġ a") == "Ġ a".encode()


@pytest.mark.parametrize("text, words", [
    ("It's 3 cats", ["It", "'s", " 3", " cats"]), ("", []), ("a  b", ["a", " ", " b"]),
    ("a \n\nb ", ["a", " \n", "\n", "b", " "]), ("'S don't", ["'", "S", " don", "'t"]),
    ("née日本", ["née日本"]), ("a\u00a0b", ["a", "\u00a0", "b"]), ("½ Ⅷ", ["½", " Ⅷ"]),
    ("e\u0301!", ["e", "\u0301!"]), ("a\x1cb", ["a", "\x1c", "b"]), ("a\x85b", ["a", "\x85", "b"]),
    ("'ſ", ["'", "ſ"])])
def test_gpt_2s_words_worked_by_hand(text, words):
    assert split(text) == words


def test_clip_drops_spaces_and_splits_digits():
    assert split("it's 42!", CLIP) == ["it", "'s", "4", "2", "!"]


def test_llama_3_joins_three_digits_and_a_symbol_before_a_word():
    assert split("(né 12345\n\n'Reb'ſb", LLAMA3) == [
        "(né", " ", "123", "45", "\n\n", "'Re", "b", "'ſ", "b"]        # ſ is a lower-case S
    assert split("12", QWEN2) == ["1", "2"]


def test_several_patterns_split_one_after_the_other():
    assert split_by_all("it's 42", [GPT2, CLIP]) == ["it", "'s", "4", "2"]
    assert split_by_all("a b", []) == ["a b"] and split_by_all("", []) == []


# ---- properties ---------------------------------------------------------------------------------

@given(st.binary(max_size=20))
def test_bytes_are_restored(data):
    assert to_bytes(to_characters(data)) == data and to_characters(data).isprintable()


@settings(max_examples=25)
@given(st.text(max_size=20))
def test_a_pattern_that_keeps_all_splits_without_loss(text):
    for pattern, keeps_all in PATTERNS.items():
        joined = "".join(split(text, pattern))
        assert joined == text if keeps_all else joined == "".join(
            c for c in text if c not in WHITE_SPACE)


@given(st.text(max_size=20))
def test_ascii_text_is_split_alike_with_and_without_another_character(text):
    ascii_text = re.sub("[^\0-\x7f]", "", text) + "."
    for pattern in PATTERNS:
        last = " é" if PATTERNS[pattern] else "é"
        assert [*split(ascii_text, pattern), last] == split(ascii_text + " é", pattern)


@given(st.text(max_size=20))
def test_a_character_is_replaced_by_one_of_its_class(text):
    for c, stand_in in zip(text, character_classes(text), strict=True):
        kind = unicodedata.category(c)[0]
        assert stand_in.isalpha() == (kind == "L") and stand_in.isdigit() == (kind == "N")
        assert (stand_in in WHITE_SPACE) == (c in WHITE_SPACE)
        assert c == stand_in or not c.isascii() or c == "\0"


@pytest.mark.parametrize("unit", ["a", " ", "'", "\u0301", "\n", "1", " \n", "日"])
@patterns
def test_a_long_run_of_one_character_is_split_in_linear_time(pattern, unit):
    """200,000 characters; with backtracking in every one of them this would take minutes."""
    text = unit * (200_000 // len(unit))
    assert len("".join(split(text + "x", pattern))) in (
        (len(text) + 1,) if PATTERNS[pattern] else (1, len(text) + 1))


# ---- parity with the library --------------------------------------------------------------------

def assert_split_as_by_the_library(pattern, texts):
    tokenizers = pytest.importorskip("tokenizers")
    split_theirs = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "removed",
                                                   invert=True).pre_tokenize_str
    for text in texts:
        assert split(text, pattern) == [word for word, _ in split_theirs(text)], ascii(text)


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.campaign)])
def test_assigned_characters_have_the_librarys_class(step):
    """Each between two letters and two spaces, 100 in a text."""
    assigned = ORIGINAL["assigned"]()[::step]
    assert_split_as_by_the_library(GPT2, (
        "".join(f"a{c}b {c} '{c}" for c in assigned[begin:begin + 100])
        for begin in range(0, len(assigned), 100)))


@patterns
@pytest.mark.parametrize("count", [200, pytest.param(20_000, marks=pytest.mark.campaign)])
def test_fuzzed_texts_are_split_as_by_the_library(pattern, count):
    assert_split_as_by_the_library(pattern, ORIGINAL["fuzzed"](count, 1, ()))


@settings(max_examples=25)
@given(st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=30))
def test_bytes_are_written_as_by_the_library(text):
    level = pytest.importorskip("tokenizers").pre_tokenizers.ByteLevel(False)
    assert [word for word, _ in level.pre_tokenize_str(text)] == [
        to_characters(word.encode()) for word in split(text)]

"""Normalising and splitting equal BERT's; the differences between Unicode versions are listed."""
import json
import runpy
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.text.basic_tokenizer import (
    ASCII_MARKS,
    CASED,
    WHITE_SPACE,
    Normalizer,
    normalise,
    split_words,
    strip_accents,
)

GOLDEN = Path(__file__).parents[1] / "golden"
STORED = json.loads((GOLDEN / "wordpiece.json").read_text("ascii"))
ORIGINAL = runpy.run_path(str(GOLDEN / "make_wordpiece.py"))
texts = st.text(max_size=30)
normalizers = st.builds(Normalizer, st.booleans(), st.booleans(),
                        st.sampled_from([None, True, False]), st.booleans())


# ---- worked by hand -----------------------------------------------------------------------------

@pytest.mark.parametrize("text, normalised", [
    ("\tÉtude№ ", " etude№ "), ("a\r\nb\u00a0c", "a  b c"), ("日本", " 日  本 "),
    ("a\x00b\ufffdc\u200bd\x1ce", "abcde"), ("ΟΔΟΣ", "οδοσ"),
    ("e\u0301\u0323", "e"), ("का", "का"), ("a\U0002b820b", "a\U0002b820b"),
    ("a\U0002b920b", "a \U0002b920 b"), ("한", "\u1112\u1161\u11ab"), ("カが", "カか")])
def test_normalising_worked_by_hand(text, normalised):
    assert normalise(text) == normalised


def test_each_step_can_be_left_out():
    text = "É\t日"
    assert normalise(text, Normalizer(clean_text=False)) == "e\t 日 "
    assert normalise(text, Normalizer(handle_chinese_chars=False)) == "e 日"
    assert normalise(text, Normalizer(strip_accents=False)) == "é  日 "
    assert normalise(text, CASED) == "É  日 "
    assert normalise(text, CASED._replace(strip_accents=True)) == "E  日 "
    assert normalise("a\x00\x1c\u3000", Normalizer(clean_text=False)) == "a\x00\x1c\u3000"


# marks of all kinds: nonspacing or not, sorted by NFD or not, which end a run to be sorted
MARKS = ["\u0301", "\u0316", "\u302e", "\U0001d16d", "\U0001d165", "\u1715", "\u034f", "\ufe00",
         "\u093e", "é", "가", "ᾈ", "a"]


@given(st.lists(st.sampled_from(MARKS), max_size=9).map("".join) | texts)
def test_accents_are_stripped_as_after_nfd(text):
    nfd = unicodedata.normalize("NFD", text)
    assert strip_accents(text) == "".join(c for c in nfd if unicodedata.category(c) != "Mn")


@pytest.mark.parametrize("marks", ["\u0301\u0316", "\u302e\U0001d16d"])
def test_a_long_run_of_marks_takes_linear_time(marks):
    """NFD sorts a run: of 200,000 marks in minutes, if it compares neighbours as Python's does."""
    text = "a" + marks * 100_000
    assert len(normalise(text)) in (1, len(text))


def test_lower_casing_first_or_last_is_the_same_for_every_character():
    """So a Lowercase before or after BertNormalizer is the flag lower_case.

    Characters that are unassigned, private or surrogates have no case and no accents.
    """
    lower = Normalizer(False, False, False, True)
    for c in filter(is_assigned, map(chr, range(sys.maxunicode + 1))):
        for strip in True, False:
            kept = CASED._replace(strip_accents=strip)
            both = kept._replace(lower_case=True)
            assert normalise(c, both) == normalise(normalise(c, lower), kept), hex(ord(c))
            assert normalise(c, both) == normalise(normalise(c, kept), lower), hex(ord(c))


def is_assigned(c):
    """Whether Unicode gives a character a meaning."""
    return unicodedata.category(c) not in ("Cn", "Co", "Cs")


@pytest.mark.parametrize("text, words", [
    ("it's  5$", ["it", "'", "s", "5", "$"]), ("", []), (" \n ", []), ("...", [".", ".", "."]),
    ("a、b «c»", ["a", "、", "b", "«", "c", "»"]), ("a\u2028b\x85c", ["a", "b", "c"]),
    ("a\x1cb", ["a\x1cb"]), ("é\x1cb", ["é\x1cb"]), ("a🙂b 5€", ["a🙂b", "5€"])])
def test_splitting_worked_by_hand(text, words):
    assert split_words(text) == words


@pytest.mark.parametrize("after", ["b", "é"])
def test_each_ascii_punctuation_mark_is_a_token(after):
    assert len(ASCII_MARKS) == 32
    for mark in ASCII_MARKS:
        assert split_words(f"a{mark}{after}") == ["a", mark, after]


# ---- properties ---------------------------------------------------------------------------------

def googles_words(text, lower):
    """The words of a text by the rules of Google's tokenization.py, one rule after the other."""
    spaced = []
    for c in text:
        kind = unicodedata.category(c)
        if c in "\t\n\r" or kind == "Zs":
            spaced.append(" ")
        elif 0x3400 <= ord(c) <= 0x9FFF and not 0x4DC0 <= ord(c) < 0x4E00:
            spaced.append(f" {c} ")
        elif kind not in ("Cc", "Cf") and c != "\ufffd":
            spaced.append(c)
    words = []
    for word in "".join(spaced).split():
        if lower:
            word = "".join(c for c in unicodedata.normalize("NFD", word.lower())
                           if unicodedata.category(c) != "Mn")
        marked = [f" {c} " if c in ASCII_MARKS or unicodedata.category(c)[0] == "P" else c
                  for c in word]
        words += "".join(marked).split()
    return words


@given(st.text(st.characters(max_codepoint=0xD7FF, exclude_characters="Σ"), max_size=30),
       st.booleans())
def test_the_words_are_those_of_googles_rules(text, lower):
    assert split_words(normalise(text, Normalizer(lower_case=lower))) == googles_words(text, lower)


@given(texts, normalizers)
def test_normalising_twice_gives_the_same_words(text, normalizer):
    once = normalise(text, normalizer)
    assert split_words(normalise(once, normalizer)) == split_words(once)


@given(texts, texts, normalizers)
def test_two_texts_with_a_space_between_do_not_affect_each_other(left, right, normalizer):
    whole, parts = normalise(f"{left} {right}", normalizer), [normalise(left, normalizer),
                                                            normalise(right, normalizer)]
    assert whole == " ".join(parts)
    assert split_words(whole) == split_words(parts[0]) + split_words(parts[1])


@given(texts)
def test_splitting_drops_only_white_space(text):
    assert "".join(split_words(text)) == "".join(c for c in text if c not in WHITE_SPACE)


@given(st.text(st.characters(max_codepoint=127), max_size=30))
def test_ascii_text_is_split_alike_with_and_without_another_letter(text):
    assert [*split_words(text), "é"] == split_words(text + " é")


# ---- the library's Unicode ----------------------------------------------------------------------

def test_the_known_differences_have_the_counts_of_the_docstring():
    sizes = {step: sum(last - first + 1 for first, last in ranges)
             for step, ranges in STORED["differ"].items()}
    assert sizes == {"clean": 13, "space": 0, "strip": 386, "lower": 0, "part": 106}
    codes = {code for ranges in STORED["differ"].values() for first, last in ranges
             for code in range(first, last + 1)}
    assert len(codes) == 504


@pytest.mark.skipif(unicodedata.unidata_version != STORED["unicode"],
                    reason="the differences listed are those of another Unicode version")
@pytest.mark.parametrize("step", STORED["differ"])
def test_the_library_differs_on_no_other_character(step):
    pytest.importorskip("tokenizers")
    found = ORIGINAL["differing"](*ORIGINAL["steps"]()[step], ORIGINAL["assigned"]())
    assert found == STORED["differ"][step]

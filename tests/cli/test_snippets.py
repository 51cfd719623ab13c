"""A snippet: short texts whole, long texts around the words of the query, never within a word."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.cli.snippets import CUT, snippet

TEXT = "one two three four five six seven eight nine ten"


@pytest.mark.parametrize("query, width, expected", [
    ("five", 100, TEXT), ("none of them", 15, "one two three …"),
    ("FIVE!", 15, "… four five six …"), ("one", 15, "one two three …"),
    ("ten", 15, "… eight nine ten"), ("two seven eight", 15, "… seven eight …"),
    ("four four nine", 20, "… three four five …")])
def test_the_part_with_the_most_different_words_of_the_query_is_shown(query, width, expected):
    assert snippet(TEXT, query, width) == expected


def test_white_space_becomes_one_space_and_a_long_word_is_cut():
    assert snippet("a\tb\n\n c", "a", 9) == "a b c"
    assert snippet("x" * 50, "a", 10) == "x" * 10 + f" {CUT}"


@given(st.text("ab é\t", max_size=80), st.text("ab é", max_size=10), st.integers(10, 40))
def test_a_snippet_is_one_line_of_the_text_of_about_the_width(text, query, width):
    found = snippet(text, query, width)
    inner = found.removeprefix(f"{CUT} ").removesuffix(f" {CUT}")
    assert inner in " ".join(text.split()) and len(inner) <= width and "\t" not in found

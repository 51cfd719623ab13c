"""A noun is plural unless its number is 1."""
import pytest

from scratch_embed.numerics.wording import counted


@pytest.mark.parametrize("number, noun, words", [
    (0, "line", "0 lines"), (1, "line", "1 line"), (2, "different word", "2 different words"),
    (1, "query", "1 query"), (1200, "query", "1,200 queries")])
def test_a_number_with_its_noun(number, noun, words):
    assert counted(number, noun) == words

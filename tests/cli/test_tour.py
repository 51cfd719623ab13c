"""The tour's claims hold, and it shows them."""
import re

import numpy as np
import pytest

from scratch_embed.cli.ascii_map import ascii_map
from scratch_embed.cli.main import main
from scratch_embed.words.vectors import WordVectors


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    out = tmp_path_factory.mktemp("tour") / "tour.vec"
    import contextlib
    import io
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(["tour", "-o", str(out)]) == 0
    return out, printed.getvalue()


def test_all_analogies_are_solved_with_five_seeds_and_next_to_none_without_learning(tour):
    row = re.search(r"^ +all +([\d. ]+) of 168", tour[1], re.M)[1].split()
    assert row[:5] == ["100.0"] * 5
    assert all(float(share) < 5 for share in row[5:])             # untrained, random


def test_it_shows_the_queen_and_writes_the_vectors(tour):
    out, printed = tour
    assert "king - man + woman = queen" in printed and str(out) in printed
    assert len(WordVectors.load(out)) == 233


# ---- the map ------------------------------------------------------------------------------------

def test_words_stand_in_the_corners_where_their_numbers_put_them():
    lines, left_out = ascii_map(["a", "b", "c", "d"], [[0, 0], [1, 0], [0, 1], [1, 1]], 10, 4)
    assert lines == ["c        d", "", "", "a        b"] and left_out == []


def test_words_at_one_place_move_apart_or_are_said_to_be_left_out():
    words = [f"w{i}" for i in range(6)]
    lines, left_out = ascii_map(words, np.zeros((6, 2)), 10, 4)
    shown = [line.strip() for line in lines if line.strip()]
    assert sorted(shown + left_out) == words and len(left_out) == 2


def test_a_word_wider_than_the_map_is_left_out():
    assert ascii_map(["wide" * 9], [[0, 0]], 10, 4)[1] == ["wide" * 9]

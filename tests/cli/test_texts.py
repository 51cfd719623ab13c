"""What a text is: not blank, and not the rows of word vectors."""
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.cli.texts import are_vectors

numbers = st.floats(-9, 9, width=32)
words = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=5)


@given(st.integers(2, 4).flatmap(lambda dim: st.dictionaries(
    words, st.lists(numbers, min_size=dim, max_size=dim), min_size=1, max_size=5)), st.booleans())
def test_every_table_of_words_and_numbers_is_vectors(table, header):
    lines = [" ".join([word, *map(str, row)]) for word, row in table.items()]
    if header:
        lines.insert(0, f"{len(table)} {len(next(iter(table.values())))}")
    assert are_vectors("\n".join([*lines, ""]).encode(), True)
    assert are_vectors("\n".join([*lines, "cut 1.", ""][:-1]).encode(), False) or header


@given(st.lists(st.lists(st.one_of(words, st.integers(0, 99).map(str), numbers.map(str)),
                         max_size=5), max_size=5), words.filter(lambda word: not word[0].isdigit()),
       st.booleans())
def test_a_text_with_a_line_of_words_alone_is_never_vectors(lines, word, complete):
    for at in range(1, len(lines) + 2):
        mixed = [["the", word, "rules"], *lines[:at], ["the", word, "rules"], *lines[at:]]
        text = "\n".join(map(" ".join, [*mixed, ["end"]])).encode()
        assert not are_vectors(text, complete)


@pytest.mark.parametrize("text", [
    "2 3\n", "1914 1918\nwas a war\n", "12 7 5\n13 8 8\n", "a 1\nb 2\n", "a 1.5\nb 2.5\n",
    "page 1.5 2\npage 2.5 3\n", "2 2\n1 5 6\n", "", "3 4\n5 6\n"])
def test_numbers_in_a_text_are_not_vectors(text):
    """Years, ids of items instead of words (whole numbers), and lines of a repeated word."""
    assert not are_vectors(text.encode(), True)


def test_stdin_without_words_has_the_message_of_a_file(run, tmp_path, stdin):
    for command in (["train", "word2vec"], ["train", "glove"], ["train", "fasttext"],
                    ["train", "bert"], ["phrases"]):
        stdin("\n \n")
        code, _, err = run(*command, "-", "-o", tmp_path / "out")
        assert code == 1 and err.endswith("-: expected a text with words, found none\n"), command


def test_an_unread_vector_file_of_word2vec_is_vectors():
    row = np.array([1.5, -2, 3], "<f4").tobytes()
    file = io.BytesIO(b"2 3\nking " + row + b"\nqueen " + row + b"\n")
    assert are_vectors(file.getvalue(), True)

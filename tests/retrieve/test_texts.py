"""TextIndex: lines keep their numbers, a zero query finds nothing, files have lines and vectors."""
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.lists import NO_ID
from scratch_embed.retrieve.texts import TextIndex, nearest_or_none

LETTERS = "ab"
MADE_BY = {"model": "letters", "digest": "12", "sif": None}


def encode(texts):
    """The counts of a and of b."""
    return np.array([[text.count(letter) for letter in LETTERS] for text in texts], np.float32)


def three_lines():
    index = TextIndex(2, MADE_BY)
    assert index.add(["a", "", "a b b", " \t", "b"], encode) == 3
    return index


def saved(tmp_path):
    three_lines().save(tmp_path / "index")
    return tmp_path / "index"


# ---- lines ------------------------------------------------------------------------------------

def test_blank_lines_are_counted_and_left_out():
    index = three_lines()
    assert index.texts == {1: "a", 3: "a b b", 5: "b"} and (len(index), index.lines) == (3, 5)
    assert index.add(["", "c"], encode) == 1
    assert index.texts[7] == "c" and index.lines == 7


@given(st.lists(st.sampled_from(["a", "b", "ab", "", " "]), max_size=12), st.integers(0, 12),
       st.integers(1, 5))
def test_adding_in_parts_or_in_batches_gives_the_same_index(lines, cut, batch_size):
    whole, parts = TextIndex(2, MADE_BY), TextIndex(2, MADE_BY)
    whole.add(lines, encode)
    parts.add(lines[:cut], encode, batch_size)
    parts.add(iter(lines[cut:]), encode, batch_size)
    assert (whole.texts, whole.lines) == (parts.texts, parts.lines)
    assert all((whole.index[number] == parts.index[number]).all() for number in whole.texts)
    assert whole.texts == {n: line for n, line in enumerate(lines, 1) if line.strip()}


# ---- searching --------------------------------------------------------------------------------

def test_the_nearest_lines_worked_by_hand():
    ids, scores = three_lines().search(encode(["b", "aab"]), 2)
    assert ids.tolist() == [[5, 3], [1, 3]]
    np.testing.assert_allclose(scores, [[1, 2 / 5**0.5], [2 / 5**0.5, 4 / 5]], rtol=2.0**-22)


def test_a_zero_query_finds_nothing_and_does_not_affect_others():
    ids, scores = three_lines().search(encode(["x", "b"]), 9)
    assert ids.tolist() == [[NO_ID] * 3, [5, 3, 1]]
    assert (scores[0] == -np.inf).all() and np.isfinite(scores[1]).all()


def test_a_bm25_search_returns_line_numbers():
    """Word b: f/(f + 1.2 (¼ + ¾ |d|/(5/3))): 1/1.84 = 0.54 for line 5, 2/3.92 = 0.51 for line 3."""
    ids, scores = three_lines().bm25_search(str.split)(["b", "x", "b a"], 4)
    assert ids.tolist() == [[5, 3, NO_ID], [NO_ID] * 3, [3, 1, 5]]
    np.testing.assert_allclose(scores[0, 0] / scores[0, 1], 3.92 / (2 * 1.84), rtol=1e-6)
    assert ((scores == -np.inf) == (ids == NO_ID)).all()


def test_without_queries_or_without_rows_the_lists_are_empty():
    assert nearest_or_none(three_lines().index, np.zeros((0, 2)), 3)[0].shape[0] == 0
    assert nearest_or_none(Index(2), np.ones((2, 2)), 3)[0].shape == (2, 0)


# ---- files ------------------------------------------------------------------------------------

@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n")), max_size=8))
def test_a_saved_index_can_be_loaded_and_added_to(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("i") / "index"
    index = TextIndex(2, MADE_BY)
    index.add(lines, encode)
    index.save(path)
    found = TextIndex.load(path)
    assert (found.texts, found.lines, found.made_by) == (index.texts, index.lines, MADE_BY)
    assert all((found.index[number] == index.index[number]).all() for number in index.texts)
    found.add(["a"], encode)
    assert found.texts[len(lines) + 1] == "a"


def test_the_file_can_be_loaded_as_an_index(tmp_path):
    index = Index.load(saved(tmp_path))
    ids, _ = index.search(np.array([[0.0, 1.0]]), 1)
    assert ids.tolist() == [[5]] and len(index) == 3


def change_file(path, change):
    tensors, metadata = read_safetensors(path)
    change(tensors, metadata)
    write_safetensors(path, tensors, metadata)


@pytest.mark.parametrize("change, problem", [
    (lambda t, m: m.pop("made_by"), "vectors without their texts"),
    (lambda t, m: m.update(made_by="{"), "`made_by`: expected a JSON object .* column 2"),
    (lambda t, m: m.update(made_by="[]"), "a JSON object"),
    (lambda t, m: m.update(made_by="[" * 10**5), "a JSON object"),
    (lambda t, m: m.update(lines="4"), "a number for each of 3 texts, ascending, up to '4'"),
    (lambda t, m: m.update(lines="-1"), "ascending, up to '-1'"),
    (lambda t, m: m.pop("lines"), "ascending, up to None"),
    (lambda t, m: t.update(ids=np.array([3, 1, 5])), "ascending"),
    (lambda t, m: t.update(ids=np.array([0, 1, 5])), "ascending"),
    (lambda t, m: t.pop("line_text"), "its lines: expected 'line_text' uint8"),
    (lambda t, m: t.update(line_ends=np.array([1, 9])), "rise from 0 to 7"),
    (lambda t, m: t.update(line_ends=np.array([1, 7])), "for each of 2 texts"),
    (lambda t, m: m.update(kind="other"), "expected the kind")])
def test_a_damaged_file_is_refused(tmp_path, change, problem):
    path = saved(tmp_path)
    change_file(path, change)
    with pytest.raises(FormatError, match=problem):
        TextIndex.load(path)


def test_an_index_with_string_ids_is_not_read_as_lines(tmp_path):
    index = Index(2)
    index.add(["x"], np.ones((1, 2)))
    index.save(tmp_path / "names")
    with pytest.raises(FormatError, match="vectors without their texts"):
        TextIndex.load(tmp_path / "names")
    tensors, metadata = index.as_tensors()
    write_safetensors(tmp_path / "names", {**tensors, "line_text": np.zeros(1, np.uint8),
                                           "line_ends": np.ones(1, np.int64)},
                      {**metadata, "made_by": json.dumps(MADE_BY), "lines": "1"})
    with pytest.raises(FormatError, match="found 0 numbers"):
        TextIndex.load(tmp_path / "names")


def test_a_truncated_file_is_refused(tmp_path):
    whole = saved(tmp_path).read_bytes()
    for end in range(len(whole)):
        (tmp_path / "part").write_bytes(whole[:end])
        with pytest.raises(FormatError):
            TextIndex.load(tmp_path / "part")

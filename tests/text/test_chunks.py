"""Chunks cover a text, overlap by exactly what was asked for, and cut no short run of words."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.text.chunks import chunk_spans, chunks

SETTINGS = st.integers(1, 12).flatmap(lambda size: st.tuples(
    st.integers(0, 60), st.just(size), st.integers(0, size - 1)))         # n, size, overlap


@pytest.mark.parametrize("n, size, overlap, spans", [
    (0, 4, 1, []), (1, 4, 3, [(0, 1)]), (4, 4, 3, [(0, 4)]), (5, 4, 3, [(0, 4), (1, 5)]),
    (10, 4, 0, [(0, 4), (4, 8), (8, 10)]), (10, 4, 2, [(0, 4), (2, 6), (4, 8), (6, 10)]),
    (7, 3, 1, [(0, 3), (2, 5), (4, 7)]), (3, 10, 5, [(0, 3)])])
def test_spans_by_hand(n, size, overlap, spans):
    assert chunk_spans(n, size, overlap) == spans


@given(SETTINGS)
def test_every_item_is_in_a_chunk_and_neighbours_overlap_exactly(settings):
    n, size, overlap = settings
    spans = chunk_spans(*settings)
    assert {item for start, end in spans for item in range(start, end)} == set(range(n))
    assert all(1 <= end - start <= size for start, end in spans)
    for (start, end), (following, last) in zip(spans, spans[1:]):
        assert end - start == size and end - following == overlap and last > end


@given(SETTINGS)
def test_the_number_of_chunks_is_that_of_the_equation(settings):
    n, size, overlap = settings
    expected = max(-(-(n - overlap) // (size - overlap)), min(n, 1))
    assert len(chunk_spans(*settings)) == expected


@given(SETTINGS, st.data())
def test_a_run_of_overlap_plus_1_items_is_within_a_chunk(settings, data):
    n, _, overlap = settings
    length = min(n, overlap + 1)
    begin = data.draw(st.integers(0, n - length))
    assert n == 0 or any(start <= begin and begin + length <= end
                         for start, end in chunk_spans(*settings))


def test_a_longer_run_may_be_cut():
    assert not any(start <= 2 and 2 + 3 <= end for start, end in chunk_spans(8, 4, 1))


def test_words_and_token_ids():
    assert chunks("a b c d e".split(), 2) == [["a", "b"], ["c", "d"], ["e"]]
    cut = chunks(np.arange(5), 3, 1)
    assert [part.tolist() for part in cut] == [[0, 1, 2], [2, 3, 4]]


@pytest.mark.parametrize("settings, message", [
    (dict(size=0), "size=0: expected a whole number, 1 to"),
    (dict(size=3, overlap=3), "overlap=3: expected a whole number, 0 to 2"),
    (dict(size=3, overlap=-1), "overlap=-1: expected a whole number, 0 to 2"),
    (dict(size=2.5), "size=2.5: expected a whole number")])
def test_a_wrong_size_or_overlap_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        chunks(["a"], **settings)

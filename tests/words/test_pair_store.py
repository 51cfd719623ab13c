"""The store of pair counts: sums equal to those of a dict, sorted cells, and memory."""
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.words.pair_store import (
    FREE,
    Cells,
    Size,
    bytes_needed,
    fill,
    mirror,
    mirror_plain,
    nonzero_cells,
    require_room,
    sampling,
    size_of,
    sort_by,
    sort_by_plain,
    symmetric_cells,
    table_slots,
)

V = 9
words = st.integers(0, V - 1)
pairs = st.lists(st.tuples(words, words), max_size=40)
halves = st.sets(st.tuples(words, words).map(sorted).map(tuple), max_size=40).map(sorted)


def keys_of(pairs):
    """(n, 2) -> (n,) int64"""
    rows, cols = np.array(pairs, np.int64).reshape(-1, 2).T
    return (rows << 32) | cols


def empty_cells(N):
    return Cells(np.empty(N, np.int32), np.empty(N, np.int32), np.empty(N))


# ---- adding -------------------------------------------------------------------------------------

def test_four_pairs_worked_by_hand():
    """The dense block is for word 0: it has (0, 0); the hash table has (0, 1) and (2, 0)."""
    keys = keys_of([(0, 0), (0, 1), (2, 0), (0, 1)])
    store = fill([(keys, np.array([1, 2, 1, 1], np.int32))], np.array([6.0, 3.0]), 2, 1)
    assert store.block.tolist() == [[6]] and (store.keys != FREE).sum() == 2
    found = dict(zip(*(array.tolist() for array in nonzero_cells(store))))
    assert found == {0: 6, 1: 3 + 6, 2 << 32: 6}


@given(pairs, st.integers(0, V), st.integers(1, 7), st.data())
def test_the_sums_equal_those_of_a_dict(pairs, dense, size, data):
    """For any size of the dense block, and any division of the pairs into chunks."""
    distances = data.draw(st.lists(st.integers(1, 4), min_size=len(pairs), max_size=len(pairs)))
    numerators, want = np.array([12.0, 6, 4, 3]), Counter()
    for pair, d in zip(pairs, distances):
        want[int(keys_of([pair])[0])] += numerators[d - 1]
    keys, distances = keys_of(pairs), np.array(distances, np.int32)
    chunks = [(keys[i:i + size], distances[i:i + size]) for i in range(0, len(keys), size)]
    found, sums = nonzero_cells(fill(chunks, numerators, len(want), dense))
    assert len(found) == len(want) and dict(zip(found.tolist(), sums.tolist())) == want


def test_fill_returns_none_if_the_table_is_too_small():
    """A table made for 0 cells has 64 slots, of which 7/8 may be used."""
    for n, fits in (56, True), (57, False), (100, False):
        chunks = [(np.arange(n), np.ones(n, np.int32))]
        assert (fill(chunks, np.ones(1), 0, 0) is not None) == fits


# ---- sorting ------------------------------------------------------------------------------------

@given(pairs)
def test_sorting_by_column_then_by_row_equals_numpys_lexsort(pairs):
    keys = keys_of(pairs)
    rows, cols, sums = keys >> 32, keys & 0xFFFFFFFF, np.arange(len(keys), dtype=float)
    for shift in (np.int64(0), np.int64(32)):
        want = sort_by_plain(keys, sums, shift, V)
        for got, array in zip(sort_by(keys, sums, shift, V), want):
            np.testing.assert_array_equal(got, array)
        keys, sums = want
    np.testing.assert_array_equal(sums, np.lexsort((cols, rows)))


@given(halves)
def test_symmetric_cells_mirror_the_half_and_double_the_diagonal(half):
    keys, sums = keys_of(half), 1 + np.arange(len(half), dtype=float)
    cells = symmetric_cells(keys, sums, V)
    want = np.zeros((V, V))
    for (i, j), x in zip(half, sums):
        want[i, j] += x
        want[j, i] += x
    got = np.zeros((V, V))
    got[cells.rows, cells.cols] = cells.counts
    np.testing.assert_array_equal(got, want)
    assert list(zip(cells.rows, cells.cols)) == sorted(zip(cells.rows, cells.cols))


@given(halves)
def test_the_kernel_mirror_equals_its_numpy_form(half):
    keys, sums = keys_of(half), 1 + np.arange(len(half), dtype=float)
    N = 2 * len(half) - sum(i == j for i, j in half)
    one, two = empty_cells(N), empty_cells(N)
    mirror(keys, sums, one, V)
    mirror_plain(keys, sums, two, V)
    for array, want in zip(one, two):
        np.testing.assert_array_equal(array, want)


# ---- memory -------------------------------------------------------------------------------------

@given(pairs, st.integers(0, V))
def test_the_size_is_exact_if_all_keys_are_in_the_sample(pairs, dense):
    stored = {tuple(sorted(pair)) for pair in pairs}
    size = size_of([keys_of(sorted(stored))], len(pairs), V, True, dense)
    cells = stored | {pair[::-1] for pair in stored}
    hashed = sum(max(pair) >= dense for pair in stored)
    needed = bytes_needed(len(stored), len(cells), table_slots(hashed), dense)
    assert size == Size(len(cells), hashed, max(needed, 32 * len(pairs)))


def test_the_size_is_at_least_the_memory_of_the_sample():
    assert size_of([keys_of([(0, 1)] * 1000)], 1000, V, True, 0) == Size(2, 1, 32_000)


def test_the_sample_has_one_key_in_a_power_of_2():
    assert [sampling(n) for n in (0, 1, 2**20, 2**20 + 1, 2**21, 2**21 + 1)] == [1, 1, 1, 2, 2, 4]


def test_more_than_the_budget_is_an_error_that_says_what_to_do():
    require_room(Size(10, 5, 2**20), 2**20)
    with pytest.raises(MemoryError, match="about 1,000 cells take 3 MiB to count, and the budget "
                                          "is 2 MiB: .*window, or a larger budget"):
        require_room(Size(1000, 5, 3 * 2**20), 2**21)


def test_without_a_budget_the_machines_memory_is_the_limit():
    require_room(Size(10, 5, 2**20), None)
    with pytest.raises(MemoryError, match=r"and the memory is [\d,]+ MiB: .*, a smaller window$"):
        require_room(Size(1000, 5, 2**60), None)

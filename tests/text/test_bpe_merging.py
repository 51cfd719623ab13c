"""The pair with the lowest rank is merged first; the kernel does so in n log n."""
import time
from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.text.bpe_merging import merge_word, merge_words, numbered, pair_table


def merged(words, merges):
    """merge_words() of lists."""
    offsets = np.cumsum([0, *map(len, words)])
    ids, ends = merge_words(np.array([*chain.from_iterable(words)], np.int32), offsets,
                            pair_table(merges))
    assert ids.dtype == np.int32
    return [ids[begin:end].tolist() for begin, end in zip(ends, ends[1:])]


both = pytest.mark.parametrize("merge", [
    merge_word, lambda ids, merges: merged([ids], merges)[0]], ids=["plain", "kernel"])


# ---- worked by hand -----------------------------------------------------------------------------

@both
def test_merges_worked_by_hand(merge):
    l, o, w, e, lo, low, we = range(7)
    merges = {(l, o): (0, lo), (w, e): (1, we), (lo, w): (2, low)}
    assert merge([l, o, w], merges) == [low]
    assert merge([l, o, w, e], merges) == [lo, we]         # (w, e) ranks before (lo, w)
    assert merge([o, l, e], merges) == [o, l, e] and merge([], merges) == []


@both
def test_of_equal_pairs_the_leftmost_is_merged_first(merge):
    a, aa, aaa = 0, 1, 2
    assert merge([a] * 3, {(a, a): (0, aa)}) == [aa, a]
    assert merge([a] * 5, {(a, a): (0, aa), (aa, a): (1, aaa)}) == [aa, aaa]


@both
def test_a_new_pair_with_a_lower_rank_is_merged_before_the_rest(merge):
    a, aa, aaa = 0, 1, 2
    assert merge([a] * 4, {(aa, a): (0, aaa), (a, a): (1, aa)}) == [aaa, a]


@both
def test_a_pair_that_has_changed_waits_for_its_new_rank(merge):
    """(a, b) has rank 1; once b c is merged, (a, bc) has rank 3, and (bc, d) comes first."""
    a, b, c, d, bc, abc, bcd, ab = range(8)
    merges = {(b, c): (0, bc), (a, b): (1, ab), (bc, d): (2, bcd), (a, bc): (3, abc)}
    assert merge([a, b, c, d], merges) == [a, bcd]


def test_merges_are_numbered_and_the_last_of_equal_ones_counts():
    index = {"a": 0, "b": 1, "ab": 2, "abb": 3}
    found = numbered([("a", "b"), ("ab", "b"), ("a", "b")], index)
    assert found == {(0, 1): (2, 2), (2, 1): (1, 3)}
    with pytest.raises(ValueError, match=r"merge 1 is \('b', 'a'\): expected 'ba' among"):
        numbered([("a", "b"), ("b", "a")], index)


# ---- properties ---------------------------------------------------------------------------------

@st.composite
def tables(draw):
    """Merges of up to 4 letters, in any order: some merge what later ones make."""
    merges, pieces = {}, 4
    for _ in range(draw(st.integers(0, 10))):
        pair = draw(st.tuples(st.integers(0, pieces - 1), st.integers(0, pieces - 1)))
        merges[pair] = pieces
        pieces += 1
    ranks = draw(st.permutations(range(len(merges))))
    return {pair: (rank, new) for (pair, new), rank in zip(merges.items(), ranks)}


@given(st.lists(st.lists(st.integers(0, 3), max_size=12), max_size=5), tables())
def test_the_kernel_merges_as_the_plain_form(words, merges):
    assert merged(words, merges) == [merge_word(word, merges) for word in words]


@given(st.lists(st.integers(0, 3), max_size=20), tables())
def test_no_pair_that_could_be_merged_is_left(word, merges):
    found = merged([word], merges)[0]
    assert not set(zip(found, found[1:])) & set(merges)


@given(st.sets(st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**31 - 1)), max_size=40))
def test_the_table_has_every_pair_once(pairs):
    table = pair_table({pair: (rank, 7) for rank, pair in enumerate(pairs)})
    full = table.keys >= 0
    assert full.sum() == len(pairs) and 2 * len(pairs) <= len(full)
    assert {(int(key) >> 32, int(key) & 0xFFFFFFFF) for key in table.keys[full]} == pairs
    assert sorted(table.ranks[full]) == [*range(len(pairs))]


# ---- time ---------------------------------------------------------------------------------------

CHAIN = {(n, n): (n, n + 1) for n in range(20)}            # a a -> aa, aa aa -> aaaa, ...
NOISE = {(0, 0): (0, 2), (0, 1): (1, 3), (1, 0): (2, 4), (1, 1): (3, 5), (2, 3): (4, 6),
         (3, 2): (5, 7), (2, 4): (6, 8), (4, 4): (7, 9)}


@pytest.mark.parametrize("merges, letters", [(CHAIN, 1), (NOISE, 2)], ids=["aaaa...", "noise"])
def test_one_long_word_takes_about_n_log_n(merges, letters):
    """Ten times the letters take at most thirty times as long; n² would take a hundred times."""
    table, generator = pair_table(merges), np.random.default_rng(0)

    def seconds(n):
        ids = generator.integers(0, letters, n).astype(np.int32)
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            merge_words(ids, np.array([0, n]), table)
            best = min(best, time.process_time() - start)
        return best
    seconds(100)                                           # compiles
    assert seconds(300_000) < 30 * seconds(30_000) + 0.05

"""Packed sequences: nothing is lost, nothing is padded, and the offsets are right."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.text.packed import (
    Packed,
    by_length,
    pack,
    positions,
    split_by_tokens,
    take,
    token_batches,
)

sequence = st.lists(st.integers(0, 99), min_size=1, max_size=7)
texts = st.lists(sequence, min_size=1, max_size=9)
lengths = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def unpack(packed):
    return [packed.ids[a:z].tolist() for a, z in zip(packed.offsets, packed.offsets[1:])]


def offsets_of(lengths):
    return np.cumsum([0, *lengths])


# ---- worked by hand -----------------------------------------------------------------------------

def test_two_sequences_worked_by_hand():
    packed = pack([[5, 6, 7], [8]], [[0, 0, 1], [1]])
    assert packed.ids.tolist() == [5, 6, 7, 8] and packed.offsets.tolist() == [0, 3, 4]
    assert packed.types.tolist() == [0, 0, 1, 1]
    assert positions(packed.offsets).tolist() == [0, 1, 2, 0]
    assert [x.dtype for x in packed] == [np.int32, np.int64, np.int32]
    swapped = take(packed, np.array([1, 0]))
    assert swapped.ids.tolist() == [8, 5, 6, 7] and swapped.offsets.tolist() == [0, 1, 4]
    assert swapped.types.tolist() == [1, 0, 0, 1]


def test_groups_and_batches_worked_by_hand():
    """The middles of sequences of 2, 3, 1 and 4 tokens are at 1, 3.5, 5.5 and 8, of 10 in all."""
    offsets = offsets_of([2, 3, 1, 4])
    assert [group.tolist() for group in split_by_tokens(offsets, 2)] == [[0, 1], [2, 3]]
    assert [batch.tolist() for batch in token_batches([2, 3, 1, 4], 5)] == [[0, 1], [2, 3]]
    assert [batch.tolist() for batch in token_batches([2, 3, 9, 1, 1, 1], 5, most=2)] == [
        [0, 1], [2], [3, 4], [5]]


def test_a_sequence_longer_than_a_batch_is_a_batch_by_itself():
    assert [batch.tolist() for batch in token_batches([9], 5)] == [[0]]
    assert list(token_batches([], 5)) == []


# ---- properties ---------------------------------------------------------------------------------

@given(texts)
def test_unpacking_returns_what_was_packed_and_types_are_zero_by_default(sequences):
    packed = pack(sequences)
    assert unpack(packed) == sequences
    assert len(packed.types) == len(packed.ids) and not packed.types.any()


@given(texts, st.data())
def test_take_selects_sequences_in_any_order_and_repeatedly(sequences, data):
    which = data.draw(st.lists(st.integers(0, len(sequences) - 1), max_size=9))
    types = [[id % 2 for id in ids] for ids in sequences]
    taken = take(pack(sequences, types), np.array(which, np.int64))
    assert unpack(taken) == [sequences[n] for n in which]
    assert taken.types.tolist() == [id % 2 for id in taken.ids]
    assert (taken.ids.dtype, taken.offsets.dtype) == (np.int32, np.int64)


@given(lengths)
def test_positions_count_from_0_within_each_sequence(lengths):
    assert positions(offsets_of(lengths)).tolist() == [i for n in lengths for i in range(n)]


@given(texts)
def test_by_length_is_a_stable_order(sequences):
    order = by_length(pack(sequences)).tolist()
    assert order == sorted(range(len(sequences)), key=lambda n: (len(sequences[n]), n))


@given(lengths, st.integers(1, 6))
def test_groups_contain_every_sequence_once_and_about_equally_many_tokens(lengths, parts):
    """A group may exceed its share of the tokens by half of a sequence at each end."""
    offsets = offsets_of(lengths)
    groups = split_by_tokens(offsets, parts)
    assert np.concatenate(groups).tolist() == list(range(len(lengths)))
    assert 1 <= len(groups) <= parts and all(len(group) for group in groups)
    tokens = [offsets[group[-1] + 1] - offsets[group[0]] for group in groups]
    assert max(tokens) <= offsets[-1] / parts + max(lengths)


@given(st.integers(0, 20), st.integers(1, 6))
def test_sequences_of_equal_length_are_split_evenly(N, parts):
    sizes = [len(group) for group in split_by_tokens(np.arange(N + 1), parts)]
    assert len(sizes) == min(N, parts) and (not N or max(sizes) - min(sizes) <= 1)


@given(lengths, st.integers(1, 30), st.none() | st.integers(1, 5))
def test_batches_contain_every_sequence_once_and_are_full(lengths, tokens, most):
    batches = list(token_batches(lengths, tokens, most))
    assert np.concatenate(batches).tolist() == list(range(len(lengths)))
    for batch, after in zip(batches, [*batches[1:], None]):
        total = sum(lengths[n] for n in batch)
        assert total <= tokens or len(batch) == 1
        assert most is None or len(batch) <= most
        full = after is None or total + lengths[after[0]] > tokens or len(batch) == most
        assert full                                    # the next sequence does not fit


# ---- edge cases and errors -----------------------------------------------------------------------

def test_no_sequences_pack_to_empty_arrays():
    packed = pack([])
    assert [len(x) for x in packed] == [0, 1, 0]
    assert [x.dtype for x in packed] == [np.int32, np.int64, np.int32]
    assert take(pack([[1]]), np.array([], np.int64)).offsets.tolist() == [0]
    assert positions(packed.offsets).size == by_length(packed).size == 0
    assert split_by_tokens(packed.offsets, 3) == []


def test_an_empty_sequence_is_refused_with_its_index():
    with pytest.raises(ValueError, match=r"sequence 1: expected at least one token.*\[CLS\]"):
        pack([[1], [], [2]])


@pytest.mark.parametrize("types", [[[0, 0]], [[0], [0]], [[0, 0], [0], [0]], [[0, 0, 0], []]])
def test_types_of_other_lengths_than_the_ids_are_refused(types):
    with pytest.raises(ValueError, match=r"types: expected .* lengths, \[2, 1\], got \["):
        pack([[1, 2], [3]], types)


@pytest.mark.parametrize("wrong", [
    [1.0, 2.5], [2**31], np.array([5, 2**32 + 5]), np.array([5], np.uint64) + 2**40, ["a", "b"]])
def test_values_other_than_32_bit_integers_are_refused(wrong):
    for arguments in ([[1], wrong],), ([[1], [2] * len(wrong)], [[0], wrong]):
        with pytest.raises(ValueError, match="expected integer ids and types that fit into int32"):
            pack(*arguments)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_integers_of_any_width_are_packed(dtype):
    packed = pack([np.array([3, 1], dtype), [2**31 - 1]])
    assert packed.ids.tolist() == [3, 1, 2**31 - 1] and packed.ids.dtype == np.int32


def test_packing_copies_its_input():
    ids = np.arange(5, dtype=np.int32)
    packed = pack([ids[:2], ids[2:]])
    packed.ids[:] = 9
    take(packed, np.array([0])).ids[:] = 7
    assert ids.tolist() == [0, 1, 2, 3, 4] and packed.ids.tolist() == [9] * 5
    assert isinstance(packed, Packed)

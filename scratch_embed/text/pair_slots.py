"""A hash table whose keys are pairs of numbers, for kernels: open addressing, linear probing.

    pair_slot(left, right, keys)  ->  the slot of the pair; values[slot] is its value

The table is an array of keys whose length is a power of two; other arrays of this length hold the
values.  A pair whose slot is taken goes to the next free one.

Shapes    keys (S,) int64: left · 2³² + right, or EMPTY; S at least twice the number of pairs
Cost      O(1) on average while the table is at most half full
Read next text/bpe_merging.py (merges), text/unigram.py (a trie: the pair is a node and a character)

Why not a dict?  A look-up in Numba's typed dict calls a function of its library; here it is a few
instructions inside the kernel.
"""
import numpy as np

from scratch_embed.numerics.kernel import kernel

EMPTY = -1                         # the key of an empty slot


def empty_slots(pairs: int) -> np.ndarray:
    """The keys (S,) int64, all EMPTY, of a table that so many pairs fill at most by half."""
    return np.full(1 << (2 * pairs).bit_length(), EMPTY, np.int64)


@kernel(inline=True)
def pair_slot(left, right, keys):
    """The slot of a pair of numbers in 0 .. 2³¹-1, or the empty slot where it would be.

    For left = -1 (a piece that has been merged) it is an empty slot.
    """
    key = np.int64(left) << 32 | np.int64(right)
    slot = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    slot = np.int64(slot) & (len(keys) - 1)
    while keys[slot] != key and keys[slot] != EMPTY:
        slot = (slot + 1) & (len(keys) - 1)
    return slot

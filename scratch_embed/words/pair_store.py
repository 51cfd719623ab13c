"""Pair store: one sum for each pair of words, in memory whose size is estimated beforehand.

Shapes    a pair (row, col) of word numbers below V is one int64, its key row · 2³² + col
          Store: a block (dense, dense) for words 0..dense−1, and a hash table of `slots` keys with
          their sums
          Cells: rows, cols (N,) int32, counts (N,) float64: the cells of the matrix X of sums
          that are not 0
Cost      O(1) per pair; O(N + V) to sort the cells
Memory    `bytes_needed`; the size of the hash table is estimated from a sample of the keys
Read next words/cooccurrence.py, which counts with it

Two stores.  Words are numbered by frequency, so pairs of small numbers are few and frequent: their
sums are in a dense matrix, the block.  Most other pairs never occur; those that occur are in a hash
table.  The hash of a key selects a slot; if another key is in that slot, the next slot is tried.
If words on both sides are counted, X is symmetric, and only the half with row ≤ column is stored.

The table does not grow.  Before counting, the number of cells is estimated from a sample: the keys
whose hash ends in z zero bits.  Whether a key is in the sample does not depend on how often it
occurs, so rare and frequent keys are sampled alike, and 2ᶻ times the number of sampled keys is
close to the number of all different keys.
"""
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.memory import physical_memory
from scratch_embed.numerics.random import below, mix

i64, u64 = np.int64, np.uint64
S32, LOW_32 = i64(32), i64(0xFFFFFFFF)             # a shift, and a mask of the low bits
FREE = i64(-1)                     # in an empty slot
SAMPLE = 1 << 20                   # at most about this many keys are sampled


class Cells(NamedTuple):
    """The cells of X that are not 0: X[rows[n], cols[n]] = counts[n], sorted by row and column."""

    rows: np.ndarray               # (N,) int32
    cols: np.ndarray               # (N,) int32
    counts: np.ndarray             # (N,) float64


class Size(NamedTuple):
    """Estimates: the number of cells, and an upper bound of the memory to count them."""

    cells: int                     # N
    hashed: int                    # the number of keys in the hash table
    bytes: int                     # the upper bound


class Store(NamedTuple):
    """The sum of cell (i, j) is block[i, j], or sums[n] if slot n has its key."""

    block: np.ndarray              # (dense, dense) float64
    keys: np.ndarray               # (slots,) int64, FREE in an empty slot
    sums: np.ndarray               # (slots,) float64


# ---- memory -------------------------------------------------------------------------------------

def sampling(pairs: int) -> int:
    """One in this many keys is sampled, a power of 2.  Up to about SAMPLE keys if all differ."""
    return 2 ** max(0, math.ceil(math.log2(max(pairs, 1) / SAMPLE)))


def size_of(sample: Iterable[np.ndarray], pairs: int, V: int, symmetric: bool, dense: int) -> Size:
    """The Size of a store for V words.  sample: arrays of keys, one in sampling(pairs)."""
    every = sampling(pairs)
    keys = np.unique(np.concatenate([np.empty(0, np.int64), *sample]))
    rows, cols = keys >> S32, keys & LOW_32
    stored, hashed = len(keys), int(((rows >= dense) | (cols >= dense)).sum())
    cells = 2 * stored - int((rows == cols).sum()) if symmetric else stored
    cells, stored, hashed = (n * every for n in (cells, stored, hashed))
    needed = bytes_needed(stored, cells, table_slots(hashed), min(dense, V))
    return Size(cells, hashed, max(needed, 32 * min(pairs, SAMPLE)))      # or the sample itself


def table_slots(hashed: int) -> int:
    """The number of slots for this many cells.  A third stays empty, so that searches are short."""
    return hashed + hashed // 2 + 64


def bytes_needed(stored: int, cells: int, slots: int, dense: int) -> int:
    """The larger peak of memory: of the store and its copied cells, or of sorting these cells."""
    return max(8 * dense**2 + 17 * slots + 40 * stored, 32 * stored + 16 * cells)


def require_room(size: Size, budget: int | None) -> None:
    """Raise MemoryError if the size exceeds `budget` bytes; None: the memory of the machine."""
    limit = physical_memory() if budget is None else budget
    if limit is not None and size.bytes > limit:
        raise MemoryError(
            f"about {size.cells:,} cells take {size.bytes / 2**20:,.0f} MiB to count, and the "
            f"{'memory' if budget is None else 'budget'} is {limit / 2**20:,.0f} MiB: choose a "
            "larger min_count, a smaller window"
            + ("" if budget is None else ", or a larger budget"))


# ---- adding -------------------------------------------------------------------------------------

def fill(chunks: Iterable[tuple[np.ndarray, np.ndarray]], numerators: np.ndarray, hashed: int,
         dense: int) -> Store | None:
    """Add all pairs to a new Store.  -> None if its table, for `hashed` cells, is too small

    chunks: arrays (keys, distances), (n,) each; a pair at distance d adds numerators[d − 1].
    """
    slots, taken = table_slots(hashed), 0
    store = Store(np.zeros((dense, dense)), np.full(slots, FREE), np.zeros(slots))
    for keys, distances in chunks:
        with np.errstate(over="ignore"):           # without the compiler, the hash would warn
            new = add_pairs(keys, distances, len(keys), numerators, store)
        taken += new
        if new < 0 or taken > slots * 7 // 8:      # in a fuller table searches are long
            return None
    return store


@kernel
def add_pairs(keys, distances, n, numerators, store):
    """Add n pairs to the store.  -> number of new keys in its table; −1 if the table is full

    The plain form, with a dict: sums[key] += numerators[d − 1], as in count_cells_plain.
    """
    block, slot_keys, sums = store
    dense, slots, new = len(block), len(slot_keys), 0
    for k in range(n):
        key = keys[k]
        row, col = key >> S32, key & LOW_32
        if row < dense and col < dense:
            block[row, col] += numerators[distances[k] - 1]
            continue
        slot = below(mix(u64(key)), slots)
        tried = 0
        while slot_keys[slot] != key and slot_keys[slot] != FREE:
            slot = slot + 1 if slot + 1 < slots else 0
            tried += 1
            if tried == slots:
                return -1
        if slot_keys[slot] == FREE:
            slot_keys[slot] = key
            new += 1
        sums[slot] += numerators[distances[k] - 1]
    return new


# ---- reading out --------------------------------------------------------------------------------

def nonzero_cells(store: Store) -> tuple[np.ndarray, np.ndarray]:
    """(keys, sums) of the cells of a store that are not 0, unsorted.  (n,) each"""
    rows, cols = np.nonzero(store.block)
    taken = np.flatnonzero(store.keys != FREE)
    return (np.concatenate([(rows << S32) | cols, store.keys[taken]]),
            np.concatenate([store.block[rows, cols], store.sums[taken]]))


def symmetric_cells(keys: np.ndarray, sums: np.ndarray, V: int) -> Cells:
    """The cells of a symmetric X, from the sorted keys and sums of its half with row ≤ column."""
    N = 2 * len(keys) - int((keys >> S32 == keys & LOW_32).sum())
    cells = Cells(np.empty(N, np.int32), np.empty(N, np.int32), np.empty(N))
    mirror(keys, sums, cells, V)
    return cells


def sort_by_plain(keys, sums, shift, V):
    """Sort both arrays, stably, by the column of the keys (shift = 0) or by the row (shift = 32).

    Sorted first by column and then by row, the cells are in the order of Cells.
    """
    order = np.argsort(keys >> shift & LOW_32, kind="stable")
    return keys[order], sums[order]


@kernel
def sort_by(keys, sums, shift, V):
    """The same as sort_by_plain, by a counting sort: O(n + V)."""
    at = np.zeros(V + 1, np.int64)
    for key in keys:
        at[((key >> shift) & LOW_32) + 1] += 1
    for number in range(V):
        at[number + 1] += at[number]               # the index of the first key of each word
    sorted_keys, sorted_sums = np.empty_like(keys), np.empty_like(sums)
    for n in range(len(keys)):
        number = (keys[n] >> shift) & LOW_32
        sorted_keys[at[number]], sorted_sums[at[number]] = keys[n], sums[n]
        at[number] += 1
    return sorted_keys, sorted_sums


def mirror_plain(keys, sums, cells, V):
    """Fill the cells of a symmetric X from its half with row ≤ column; both are sorted.

    A pair of a word with itself counts twice: each occurrence is in the context of the other.
    """
    rows, cols = keys >> S32, keys & LOW_32
    off_diagonal = rows != cols
    i, j = np.concatenate([rows, cols[off_diagonal]]), np.concatenate([cols, rows[off_diagonal]])
    counts = np.concatenate([np.where(off_diagonal, sums, 2 * sums), sums[off_diagonal]])
    order = np.lexsort((j, i))
    cells.rows[:], cells.cols[:], cells.counts[:] = i[order], j[order], counts[order]


@kernel
def mirror(keys, sums, cells, V):
    """The same as mirror_plain, in O(n + V).

    Row i begins with its cells j < i, the mirror images of cells in earlier rows.
    """
    at = np.zeros(V + 1, np.int64)
    for key in keys:
        row, col = key >> S32, key & LOW_32
        at[row + 1] += 1
        at[col + 1] += row != col
    for row in range(V):
        at[row + 1] += at[row]
    for n in range(len(keys)):
        row, col = keys[n] >> S32, keys[n] & LOW_32
        cells.rows[at[row]], cells.cols[at[row]] = row, col
        cells.counts[at[row]] = sums[n] if row != col else 2 * sums[n]
        at[row] += 1
        if row != col:
            cells.rows[at[col]], cells.cols[at[col]] = col, row
            cells.counts[at[col]] = sums[n]
            at[col] += 1

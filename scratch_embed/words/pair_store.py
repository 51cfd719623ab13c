"""Sums over pairs of words, kept in memory that is known before the first pair is added.

Shapes    a pair (row, col) of word numbers below V is one int64, its key row · 2³² + col
          Store: a dense block (dense, dense) and a hash table of `slots` keys with their sums
          Cells: rows, cols (N,) int32, counts (N,) float64: the cells that are not 0
Cost      O(1) a pair; O(N + V) to put the cells in order
Memory    `bytes_needed`; a hash table is made once, as large as a sample of the keys says.
Read next words/cooccurrence.py, which counts with it

Two stores.  Words are numbered by frequency, so pairs of small numbers are seen all the time, and
are few: they have a dense block, where a pair's place is known.  Most of the other V² pairs never
occur; those that do are in a hash table: a pair's key names a slot, and if another pair is there
the next one is tried.  If both sides of a word count, the matrix is symmetric, and only the half
with row ≤ column is stored.

No table grows.  Before counting, the cells are counted in a sample: of all possible keys, those
whose hash ends in z zeros.  A key is in it or not, however often it is seen, so the sample holds
the same share of the rare and the frequent, and its size times 2ᶻ is close to N.
"""
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.memory import physical_memory
from scratch_embed.numerics.random import below, mix

i64, u64 = np.int64, np.uint64
S32, LOW_32, FREE = i64(32), i64(0xFFFFFFFF), i64(-1)
SAMPLE = 1 << 20                   # pairs, of which the number of cells is estimated


class Cells(NamedTuple):
    """The cells of X that are not 0: X[rows[n], cols[n]] = counts[n], by row, then by column."""

    rows: np.ndarray               # (N,) int32
    cols: np.ndarray               # (N,) int32
    counts: np.ndarray             # (N,) float64


class Size(NamedTuple):
    """About how much there is to count, and what it takes at the most."""

    cells: int                     # N
    hashed: int                    # of those that are stored, in the hash table
    bytes: int


class Store(NamedTuple):
    """Sums: of the cell (i, j) in block[i, j], or beside its key in the table."""

    block: np.ndarray              # (dense, dense) float64
    keys: np.ndarray               # (slots,) int64, FREE where there is none
    sums: np.ndarray               # (slots,) float64


# ---- what it takes ------------------------------------------------------------------------------

def sampling(pairs: int) -> int:
    """One key in how many is sampled, a power of 2: about SAMPLE pairs if all are different."""
    return 2 ** max(0, math.ceil(math.log2(max(pairs, 1) / SAMPLE)))


def size_of(sample: Iterable[np.ndarray], pairs: int, V: int, symmetric: bool, dense: int) -> Size:
    """Size of a store for V words, from arrays of the keys of sampling(pairs)."""
    every = sampling(pairs)
    keys = np.unique(np.concatenate([np.empty(0, np.int64), *sample]))
    rows, cols = keys >> S32, keys & LOW_32
    stored, hashed = len(keys), int(((rows >= dense) | (cols >= dense)).sum())
    cells = 2 * stored - int((rows == cols).sum()) if symmetric else stored
    cells, stored, hashed = (n * every for n in (cells, stored, hashed))
    needed = bytes_needed(stored, cells, table_slots(hashed), min(dense, V))
    return Size(cells, hashed, max(needed, 32 * min(pairs, SAMPLE)))      # or the sample itself


def table_slots(hashed: int) -> int:
    """A third of the table stays free: long runs of taken slots are rare then."""
    return hashed + hashed // 2 + 64


def bytes_needed(stored: int, cells: int, slots: int, dense: int) -> int:
    """At most, at a time: the store and what is taken out of it, or that sorted and mirrored."""
    return max(8 * dense**2 + 17 * slots + 40 * stored, 32 * stored + 16 * cells)


def require_room(size: Size, budget: int | None) -> None:
    """Raise MemoryError if a count of that size takes more than `budget`, or than there is."""
    limit = physical_memory() if budget is None else budget
    if limit is not None and size.bytes > limit:
        raise MemoryError(
            f"about {size.cells:,} cells take {size.bytes / 2**20:,.0f} MiB to count, and the "
            f"{'memory' if budget is None else 'budget'} is {limit / 2**20:,.0f} MiB: choose a "
            "larger min_count, a smaller window"
            + ("" if budget is None else ", or a larger budget"))


# ---- adding -------------------------------------------------------------------------------------

def fill(pieces: Iterable[tuple[np.ndarray, np.ndarray]], parts: np.ndarray, hashed: int,
         dense: int) -> Store | None:
    """A Store with all pairs in it; None if its table, made for `hashed` cells, is too small.

    pieces: arrays (keys, distances), (n,) each; a pair d words apart adds parts[d − 1].
    """
    slots, known = table_slots(hashed), 0
    store = Store(np.zeros((dense, dense)), np.full(slots, FREE), np.zeros(slots))
    for keys, distances in pieces:
        with np.errstate(over="ignore"):           # without the compiler, the hash would warn
            new = add_pairs(keys, distances, len(keys), parts, store)
        known += new
        if new < 0 or known > slots * 7 // 8:
            return None
    return store


@kernel
def add_pairs(keys, distances, n, parts, store):
    """Add n pairs to the store.  Return how many cells are new in its table; −1 if it is full.

    In plain Python: sums[key] += parts[d − 1] in a dict, as count_plainly has it.
    """
    block, known, sums = store
    dense, slots, new = len(block), len(known), 0
    for k in range(n):
        key = keys[k]
        row, col = key >> S32, key & LOW_32
        if row < dense and col < dense:
            block[row, col] += parts[distances[k] - 1]
            continue
        at = below(mix(u64(key)), slots)
        tried = 0
        while known[at] != key and known[at] != FREE:
            at = at + 1 if at + 1 < slots else 0
            tried += 1
            if tried == slots:
                return -1
        if known[at] == FREE:
            known[at] = key
            new += 1
        sums[at] += parts[distances[k] - 1]
    return new


# ---- taking out ---------------------------------------------------------------------------------

def take_out(store: Store) -> tuple[np.ndarray, np.ndarray]:
    """(keys, sums) of the cells of a store that are not 0, in no order.  (n,) each."""
    rows, cols = np.nonzero(store.block)
    taken = np.flatnonzero(store.keys != FREE)
    return (np.concatenate([(rows << S32) | cols, store.keys[taken]]),
            np.concatenate([store.block[rows, cols], store.sums[taken]]))


def whole_matrix(keys: np.ndarray, sums: np.ndarray, V: int) -> Cells:
    """The cells of a symmetric matrix, from its half with row ≤ column in order."""
    N = 2 * len(keys) - int((keys >> S32 == keys & LOW_32).sum())
    cells = Cells(np.empty(N, np.int32), np.empty(N, np.int32), np.empty(N))
    mirror(keys, sums, cells, V)
    return cells


def sort_by_plain(keys, sums, shift, V):
    """Both arrays by the word, < V, in bits shift.. of the keys; equal ones stay in order.

    shift: 0 sorts by column, S32 by row; first the one, then the other, sorts by row and column.
    """
    order = np.argsort(keys >> shift & LOW_32, kind="stable")
    return keys[order], sums[order]


@kernel
def sort_by(keys, sums, shift, V):
    """The same as sort_by_plain by a counting sort, in O(n + V)."""
    at = np.zeros(V + 1, np.int64)
    for key in keys:
        at[((key >> shift) & LOW_32) + 1] += 1
    for number in range(V):
        at[number + 1] += at[number]               # where the first of each word goes
    sorted_keys, sorted_sums = np.empty_like(keys), np.empty_like(sums)
    for n in range(len(keys)):
        number = (keys[n] >> shift) & LOW_32
        sorted_keys[at[number]], sorted_sums[at[number]] = keys[n], sums[n]
        at[number] += 1
    return sorted_keys, sorted_sums


def mirror_plain(keys, sums, cells, V):
    """Fill the cells of symmetric X, by row and column, from its half with row ≤ column, sorted so.

    A word beside itself is in the context of both places: its sum counts twice.
    """
    rows, cols = keys >> S32, keys & LOW_32
    offsets = rows != cols
    i, j = np.concatenate([rows, cols[offsets]]), np.concatenate([cols, rows[offsets]])
    counts = np.concatenate([np.where(offsets, sums, 2 * sums), sums[offsets]])
    order = np.lexsort((j, i))
    cells.rows[:], cells.cols[:], cells.counts[:] = i[order], j[order], counts[order]


@kernel
def mirror(keys, sums, cells, V):
    """The same as mirror_plain, in O(n + V).

    Row i begins with the cells (j, i) of the rows j < i: they come by before row i itself.
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

"""Co-occurrence: how often does each word stand near each other word?

Paper     Pennington, Socher & Manning 2014, "GloVe: Global Vectors for Word Representation",
          section 3: X_ij, "the number of times word j occurs in the context of word i".
Equation  X_ij = Σ weight(d)   over the places where j stands d ≤ window words from i in a sentence;
          weight(d) = 1/d in GloVe
Shapes    Cells: rows, cols (N,) int32, counts (N,) float64: the N cells of X that are not 0
Cost      O(window·T).  Memory: said before counting begins (`estimate_size`), and what it takes is
          refused beyond a budget; the C's answer to a large text, sorted files on the disk that are
          merged, is not here.
Differs   from cooccur.c: the sums are exact (below); one that counts the left side only has the
          word in the row and what stands before it in the column, as the paper defines X_ij, where
          the C's rows are what stands before; its default window is 15.
Read next words/glove.py and words/ppmi.py, two ways from counts to vectors.

Two stores.  Words are numbered by frequency, so pairs of small numbers are seen all the time, and
are few: they have a dense block, `dense` words wide, where a pair's place is known.  Most of the
other V² pairs never occur; those that do are in a hash table: a pair's key names a slot, and if
another pair is there the next one is tried.  If both sides of a word count, X is symmetric, and
only the half with row ≤ column is stored.

No table grows.  Before counting, the cells are counted in a sample: of all possible keys, those
whose hash ends in z zeros.  A key is in it or not, however often it is seen, so the sample holds
the same share of the rare and the frequent, and its size times 2ᶻ is close to N.

Exact sums.  1/d is no binary number, but L/d with L = lcm(1..window) is whole (2520 for 10), and a
float64 adds whole numbers exactly, up to 2⁵³.  So X_ij is divided by L once, at the end, and is the
float64 nearest to the true sum, in whatever order it was added up: as long as it is below 2⁵³/L,
that is 3·10¹² for a window of 10, 2·10¹⁰ for 15, 3·10⁷ for 20, 3,000 for 30.  Beyond, and beyond a
window of 40, additions round as everywhere.
"""
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.memory import physical_memory
from scratch_embed.numerics.random import below, mix
from scratch_embed.text.vocab import Corpus

i64, u64 = np.int64, np.uint64
S32, LOW_32, FREE = i64(32), i64(0xFFFFFFFF), i64(-1)
PAIRS = 200_000                    # that one call looks at: a few milliseconds
SAMPLE = 1 << 20                   # pairs, of which the number of cells is estimated
DENSE = 2048                       # words of the dense block: 32 MiB
DENSE_BUDGET = 2**30               # bytes: the largest matrix (V, V), about 11,600 words


class Cells(NamedTuple):
    """The cells of X that are not 0: X[rows[n], cols[n]] = counts[n], by row, then by column."""

    rows: np.ndarray               # (N,) int32
    cols: np.ndarray               # (N,) int32
    counts: np.ndarray             # (N,) float64


# ---- what a pair counts -----------------------------------------------------------------------

class Weights(NamedTuple):
    """A pair d words apart counts parts[d−1]/whole: whole numbers where that is possible."""

    parts: np.ndarray              # (window,) float64
    whole: float


def harmonic(window: int) -> Weights:
    """1/d: a word ten times as far counts a tenth.  GloVe's."""
    whole = math.lcm(*range(1, window + 1)) if window <= 40 else 1     # 40: the last below 2⁵³
    return Weights(whole / np.arange(1, window + 1), float(whole))


def flat(window: int) -> Weights:
    """1: every word in the window counts alike.  cooccur.c's -distance-weighting 0."""
    return Weights(np.ones(window), 1.0)


def linear(window: int) -> Weights:
    """(window − d + 1)/window: the mean of word2vec's window, whose reach is drawn, 1..window."""
    return Weights(np.arange(window, 0, -1.0), float(window))


# ---- the equation -----------------------------------------------------------------------------

def count_plainly(corpus: Corpus, window: int = 10, weights: Callable = harmonic,
                  symmetric: bool = True) -> dict[tuple[int, int], float]:
    """The equation, in plain Python: {(i, j): X_ij}.  Arguments as for count_cells."""
    parts, whole = weights(window)
    cells: Counter = Counter()
    for first, end in zip(corpus.off, corpus.off[1:]):
        sentence = corpus.ids[first:end].tolist()
        for i, word in enumerate(sentence):
            for d in range(1, min(window, i) + 1):
                cells[word, sentence[i - d]] += parts[d - 1]
                if symmetric:
                    cells[sentence[i - d], word] += parts[d - 1]
    return {cell: count / whole for cell, count in cells.items()}


@kernel
def find_pairs(corpus, piece, window, symmetric, mask, keys, distances):
    """Fill keys and distances with the pairs whose later word is in a piece; return how many.

    piece: (first word, end, sentence of the first).  A key is row · 2³² + column, row ≤ column if
    symmetric.  Only the sample is wanted whose hash has zeros where `mask` has ones; 0: all.
    """
    first, end, s = piece
    n = 0
    for i in range(first, end):
        while corpus.off[s + 1] <= i:
            s += 1
        word = i64(corpus.ids[i])
        for j in range(i - 1, max(corpus.off[s], i - window) - 1, -1):
            row, col = word, i64(corpus.ids[j])
            if symmetric and row > col:
                row, col = col, row
            key = (row << S32) | col
            if mask == u64(0) or mix(u64(key)) & mask == u64(0):
                keys[n], distances[n] = key, i - j
                n += 1
    return n


class Store(NamedTuple):
    """Sums of whole parts: of cell (i, j) in block[i, j], or beside its key in the table."""

    block: np.ndarray              # (dense, dense) float64
    keys: np.ndarray               # (slots,) int64, FREE where there is none
    sums: np.ndarray               # (slots,) float64


@kernel
def add_pairs(keys, distances, n, parts, store):
    """Add n pairs to the store.  Return how many cells are new in its table; −1 if it is full."""
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


@kernel
def sort_by(keys, sums, shift, V):
    """Both arrays, ordered by the number < V in bits shift.. of the keys; equal ones stay in order.

    A counting sort: order = argsort(keys >> shift & LOW_32, kind="stable"), in O(N + V).
    """
    at = np.zeros(V + 1, np.int64)
    for key in keys:
        at[((key >> shift) & LOW_32) + 1] += 1
    for number in range(V):
        at[number + 1] += at[number]               # where the first of each number goes
    sorted_keys, sorted_sums = np.empty_like(keys), np.empty_like(sums)
    for n in range(len(keys)):
        number = (keys[n] >> shift) & LOW_32
        sorted_keys[at[number]], sorted_sums[at[number]] = keys[n], sums[n]
        at[number] += 1
    return sorted_keys, sorted_sums


@kernel
def mirror(keys, sums, cells, V):
    """Fill the cells of symmetric X, by row and column, from its half with row ≤ column, sorted so.

    Row i begins with the cells (j, i) of the rows j < i: they come by before row i itself.
    A word beside itself is in the context of both places: its sum counts twice.
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


# ---- memory -----------------------------------------------------------------------------------

class Size(NamedTuple):
    """About how much there is to count, and what it takes at the most."""

    cells: int                     # N
    hashed: int                    # of those that are stored, in the hash table
    bytes: int


def estimate_size(corpus: Corpus, V: int, window: int = 10, symmetric: bool = True,
                  dense: int = DENSE) -> Size:
    """Size, from a sample of the cells: exact for up to SAMPLE pairs; beyond, off by about 1%.

    The sample's share of all keys is such that it holds about SAMPLE pairs if all are different.
    """
    _check(corpus, V, window, dense)
    lengths = np.diff(corpus.off)
    reach = np.minimum(window, lengths - 1)                    # Σ_d (n − d), d = 1..reach:
    pairs = int((reach * lengths - reach * (reach + 1) // 2).sum())
    every = 2 ** max(0, math.ceil(math.log2(max(pairs, 1) / SAMPLE)))
    found = [keys.copy() for keys, _, _ in _all_pairs(corpus, window, symmetric, every - 1)]
    keys = np.unique(np.concatenate([np.empty(0, np.int64), *found]))
    rows, cols = keys >> S32, keys & LOW_32
    stored, hashed = len(keys), int(((rows >= dense) | (cols >= dense)).sum())
    cells = 2 * stored - int((rows == cols).sum()) if symmetric else stored
    cells, stored, hashed = (n * every for n in (cells, stored, hashed))
    needed = _bytes(stored, cells, _slots(hashed), min(dense, V))
    return Size(cells, hashed, max(needed, 32 * min(pairs, SAMPLE)) + 12 * PAIRS)


def _slots(hashed):
    """A third of the table stays free: long runs of taken slots are rare then."""
    return hashed + hashed // 2 + 64


def _bytes(stored, cells, slots, dense):
    """At most, at a time: the store and what is taken out of it, or that sorted and mirrored."""
    return max(8 * dense**2 + 17 * slots + 40 * stored, 32 * stored + 16 * cells)


def _require(size, budget):
    limit = physical_memory() if budget is None else budget
    if limit is not None and size.bytes > limit:
        raise MemoryError(
            f"about {size.cells:,} cells take {size.bytes / 2**20:,.0f} MiB to count, and the "
            f"{'memory' if budget is None else 'budget'} is {limit / 2**20:,.0f} MiB: choose a "
            "larger min_count, a smaller window"
            + ("" if budget is None else ", or a larger budget"))


# ---- counting ---------------------------------------------------------------------------------

def count_cells(corpus: Corpus, V: int, window: int = 10, weights: Callable = harmonic,
                symmetric: bool = True, dense: int = DENSE, budget: int | None = None,
                progress: bool = False) -> Cells:
    """Count how often the words of `corpus` stand near each other.  -> Cells.

    corpus     a Corpus of numbers below V, the frequent words small, or it takes longer
    window     the farthest neighbour, in words of the corpus; never across a sentence's end
    weights    harmonic, flat or linear: what a pair counts by its distance
    symmetric  neighbours on both sides; else row i counts what stands before word i only
    dense      how many frequent words the dense block holds; the result is the same
    budget     bytes that counting may take; None: all that the machine has
    Raises     MemoryError that says how many it takes, before counting, if they are more;
               ValueError for word numbers that are not below V, or a window below 1.
    """
    size = estimate_size(corpus, V, window, symmetric, dense)
    store = None
    while store is None:
        _require(size, budget)
        store = _fill(corpus, V, window, weights, symmetric, min(dense, V), size, progress)
        size = Size(size.cells, 2 * size.hashed + 64, 2 * size.bytes)   # if the sample misled
    keys, sums = _take_out(store)
    del store
    for shift in (i64(0), S32):                    # by column, then by row
        keys, sums = sort_by(keys, sums, shift, V)
    sums /= weights(window).whole
    if not symmetric:
        return Cells((keys >> S32).astype(np.int32), keys.astype(np.int32), sums)
    N = 2 * len(keys) - int((keys >> S32 == keys & LOW_32).sum())
    cells = Cells(np.empty(N, np.int32), np.empty(N, np.int32), np.empty(N))
    mirror(keys, sums, cells, V)
    return cells


def _fill(corpus, V, window, weights, symmetric, dense, size, progress):
    """A Store with all pairs in it; None if its table turns out too small."""
    slots = _slots(size.hashed)
    store = Store(np.zeros((dense, dense)), np.full(slots, FREE), np.zeros(slots))
    bar = tqdm(total=len(corpus.ids), unit="word", unit_scale=True,
               disable=None if progress else True)
    bar.set_postfix_str(f"{size.cells:,} cells, {size.bytes / 2**20:,.0f} MiB", False)
    parts, known = weights(window).parts, 0
    with bar:
        for keys, distances, words in _all_pairs(corpus, window, symmetric, 0):
            with np.errstate(over="ignore"):       # without the compiler, the hash would warn
                new = add_pairs(keys, distances, len(keys), parts, store)
            known += new
            if new < 0 or known > slots * 7 // 8:
                return None
            bar.update(words)
    return store


def _all_pairs(corpus, window, symmetric, mask) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """(keys, distances, words of the text) of one piece after the other, in two buffers."""
    most = min(window, int(np.diff(corpus.off).max(initial=1)))     # pairs of a word
    words = max(1, PAIRS // most)
    keys, distances = np.empty(words * most, np.int64), np.empty(words * most, np.int32)
    for first in range(0, len(corpus.ids), words):
        end = min(first + words, len(corpus.ids))
        s = np.searchsorted(corpus.off, first, side="right") - 1
        with np.errstate(over="ignore"):
            n = find_pairs(corpus, (first, end, s), window, symmetric, u64(mask), keys, distances)
        yield keys[:n], distances[:n], end - first


def _take_out(store):
    """(keys, sums) of the cells of a store that are not 0."""
    rows, cols = np.nonzero(store.block)
    taken = np.flatnonzero(store.keys != FREE)
    return (np.concatenate([(rows << S32) | cols, store.keys[taken]]),
            np.concatenate([store.block[rows, cols], store.sums[taken]]))


def _check(corpus, V, window, dense):
    """Raise ValueError for what cannot be counted."""
    for name, value, least, most in (("V", V, 0, 2**31), ("window", window, 1, 1_000_000),
                                     ("dense", dense, 0, 1_000_000)):
        if not (isinstance(value, (int, np.integer)) and least <= value <= most):
            raise ValueError(f"{name}={value!r}: expected a whole number of words, {least} to "
                             f"{most:,}")
    if len(corpus.ids) and not 0 <= corpus.ids.min() <= corpus.ids.max() < V:
        raise ValueError(f"the corpus has word numbers from {corpus.ids.min()} to "
                         f"{corpus.ids.max()}: expected 0 to {V - 1}")


# ---- as a matrix ------------------------------------------------------------------------------

def require_dense(V: int) -> None:
    """Raise ValueError if a matrix of (V, V) counts would take more than DENSE_BUDGET bytes."""
    if 8 * V * V > DENSE_BUDGET:
        raise ValueError(f"counts of {V:,} x {V:,} words need {8 * V * V:,} bytes, the limit is "
                         f"{DENSE_BUDGET:,}: choose a larger min_count, or a smaller vocabulary")


def dense_counts(cells: Cells, V: int) -> np.ndarray:
    """X as a matrix.  -> (V, V) float64; ValueError if that is more than DENSE_BUDGET bytes."""
    require_dense(V)
    X = np.zeros((V, V))
    X[cells.rows, cells.cols] = cells.counts
    return X

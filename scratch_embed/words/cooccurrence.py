"""Co-occurrence counts: how often the two words of each pair occur near each other.

Paper     Pennington, Socher & Manning 2014, "GloVe: Global Vectors for Word Representation",
          section 3: X_ij, "the number of times word j occurs in the context of word i"
Equation  X_ij = Σ weight(d)   over all occurrences of word j at a distance d ≤ window from word i,
          in the same sentence;   weight(d) = 1/d in GloVe
Shapes    X (V, V), as Cells: rows, cols (N,) int32, counts (N,) float64, the N cells that are not 0
Cost      O(window·T) for T words.  The memory is estimated before counting (`estimate_size`); if
          it exceeds a budget, MemoryError is raised.  cooccur.c counts larger texts by merging
          sorted files on disk, which is not implemented here.
Differs   from cooccur.c: the sums are exact (below); with symmetric=False row i, not column i,
          counts the words before word i, as the paper defines X_ij; the default window is 10, not
          cooccur.c's 15
Read next words/pair_store.py (where the sums are kept); words/glove.py and words/ppmi.py, two ways
          from counts to vectors

Why 1/d?  Distant words tell less about each other's meaning (section 4.2 of the paper).  word2vec's
window of random size has the same purpose; the mean weight of a pair in it is `linear`.

Exact sums.  Most 1/d have no exact binary form, but with L = lcm(1..window) every L/d is an integer
(L = 2520 for a window of 10), and float64 adds integers exactly up to 2⁵³.  So the L/d are added,
and the sum is divided by L at the end.  X_ij is the float64 nearest to the true sum, in any order
of addition, if it is below 2⁵³/L: 3·10¹² for a window of 10, 2·10¹⁰ for 15, 3·10⁷ for 20, 3,000 for
30.  For larger sums, and for windows above 40, additions are rounded as usual.
"""
import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import mix
from scratch_embed.text.vocab import Corpus
from scratch_embed.words.pair_store import (
    S32,
    Cells,
    Size,
    fill,
    nonzero_cells,
    require_room,
    sampling,
    size_of,
    sort_by,
    symmetric_cells,
)

i64, u64 = np.int64, np.uint64
PAIRS = 200_000                    # pairs in one kernel call: a few milliseconds
LONGEST_WINDOW = 1_000_000         # words
DENSE = 2048                       # words of the dense block (pair_store.py): 32 MiB
DENSE_BUDGET = 2**30               # bytes of the largest matrix (V, V): about 11,600 words


# ---- weights by distance ----------------------------------------------------------------------

class Weights(NamedTuple):
    """weight(d) = numerators[d−1] / denominator, both integers where possible."""

    numerators: np.ndarray         # (window,) float64
    denominator: float


def harmonic(window: int) -> Weights:
    """weight(d) = 1/d, GloVe's."""
    denominator = math.lcm(*range(1, window + 1)) if window <= 40 else 1    # lcm(1..40) < 2⁵³
    return Weights(denominator / np.arange(1, window + 1), float(denominator))


def flat(window: int) -> Weights:
    """weight(d) = 1 for all words in the window.  cooccur.c's -distance-weighting 0."""
    return Weights(np.ones(window), 1.0)


def linear(window: int) -> Weights:
    """weight(d) = (window − d + 1)/window, the mean weight in word2vec's random windows."""
    return Weights(np.arange(window, 0, -1.0), float(window))


# ---- the equation -----------------------------------------------------------------------------

def count_cells_plain(corpus: Corpus, window: int = 10, weights: Callable = harmonic,
                  symmetric: bool = True) -> dict[tuple[int, int], float]:
    """The equation in plain Python.  Arguments as for count_cells.  -> {(i, j): X_ij}"""
    numerators, denominator = weights(window)
    cells: Counter = Counter()
    for first, end in zip(corpus.offsets, corpus.offsets[1:]):
        sentence = corpus.ids[first:end].tolist()
        for i, word in enumerate(sentence):
            for d in range(1, min(window, i) + 1):
                cells[word, sentence[i - d]] += numerators[d - 1]
                if symmetric:
                    cells[sentence[i - d], word] += numerators[d - 1]
    return {cell: count / denominator for cell, count in cells.items()}


def count_cells(corpus: Corpus, V: int, window: int = 10, weights: Callable = harmonic,
                symmetric: bool = True, dense: int = DENSE, budget: int | None = None,
                progress: bool = False) -> Cells:
    """Count how often the words of `corpus` occur near each other.  -> Cells

    corpus     a Corpus of numbers below V; fastest if frequent words have small numbers
    window     the largest distance, in words; pairs are within one sentence
    weights    harmonic, flat or linear: the weight of a pair by its distance
    symmetric  count neighbours on both sides; if False, row i counts only the words before word i
    dense      the number of frequent words in the dense block; affects speed and memory only
    budget     bytes that counting may use; None: the machine's whole memory
    Raises     MemoryError, before counting, if the estimated memory exceeds the budget;
               ValueError for word numbers that are not below V, or a window below 1
    """
    size = estimate_size(corpus, V, window, symmetric, dense)
    numerators, denominator = weights(window)
    store = None
    while store is None:
        require_room(size, budget)
        chunks = _with_bar(pair_chunks(corpus, window, symmetric), len(corpus.ids), size, progress)
        store = fill(chunks, numerators, size.hashed, min(dense, V))
        size = Size(size.cells, 2 * size.hashed + 64, 2 * size.bytes)   # if the table was too small
    keys, sums = nonzero_cells(store)
    del store
    for shift in (i64(0), S32):                    # by column, then by row
        keys, sums = sort_by(keys, sums, shift, V)
    sums /= denominator
    if symmetric:
        return symmetric_cells(keys, sums, V)
    return Cells((keys >> S32).astype(np.int32), keys.astype(np.int32), sums)


def estimate_size(corpus: Corpus, V: int, window: int = 10, symmetric: bool = True,
                  dense: int = DENSE) -> Size:
    """Estimate the Size from a sample of the cells.

    Exact up to SAMPLE pairs; else the relative standard error is about 1/√n for n sampled cells.
    """
    _check(corpus, V, window, dense)
    lengths = np.diff(corpus.offsets)
    most = np.minimum(window, lengths - 1)             # n words have Σ_{d=1..most} (n − d) pairs
    pairs = int((most * lengths - most * (most + 1) // 2).sum())
    chunks = pair_chunks(corpus, window, symmetric, sampling(pairs))
    size = size_of((keys.copy() for keys, _, _ in chunks), pairs, V, symmetric, dense)
    return size._replace(bytes=size.bytes + 12 * PAIRS)                # the two buffers


# ---- the pairs of a text, chunk by chunk ------------------------------------------------------

def pair_chunks(corpus: Corpus, window: int, symmetric: bool, every: int = 1,
                pairs: int = PAIRS) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield (keys, distances, number of words read) for each chunk of the text.

    Both arrays are buffers that the next chunk overwrites.  every: a power of 2; if above 1, about
    one in `every` different keys is sampled.  pairs: the most pairs in a chunk
    """
    most = min(window, int(np.diff(corpus.offsets).max(initial=1)))     # pairs per word
    words = max(1, pairs // most)
    keys, distances = np.empty(words * most, np.int64), np.empty(words * most, np.int32)
    for first in range(0, len(corpus.ids), words):
        end = min(first + words, len(corpus.ids))
        s = np.searchsorted(corpus.offsets, first, side="right") - 1
        with np.errstate(over="ignore"):
            n = find_pairs(corpus, (first, end, s), window, symmetric, u64(every - 1), keys,
                           distances)
        yield keys[:n], distances[:n], end - first


@kernel
def find_pairs(corpus, chunk, window, symmetric, mask, keys, distances):
    """Fill keys and distances of the pairs whose later word is in a chunk.  -> how many

    The loops are those of count_cells_plain.  chunk: (first word, end, sentence of the first).  A
    key is row · 2³² + column, with row ≤ column if symmetric.  mask: sample the keys whose hash
    has zeros where the mask has ones; 0: all keys.
    """
    first, end, s = chunk
    n = 0
    for i in range(first, end):
        while corpus.offsets[s + 1] <= i:
            s += 1
        word = i64(corpus.ids[i])
        for j in range(i - 1, max(corpus.offsets[s], i - window) - 1, -1):
            row, col = word, i64(corpus.ids[j])
            if symmetric and row > col:
                row, col = col, row
            key = (row << S32) | col
            if mask == u64(0) or mix(u64(key)) & mask == u64(0):
                keys[n], distances[n] = key, i - j
                n += 1
    return n


def _with_bar(chunks, words, size, progress):
    """Yield (keys, distances) of the chunks, with a progress bar over the words of the text."""
    bar = tqdm(total=words, unit="word", unit_scale=True, disable=None if progress else True)
    bar.set_postfix_str(f"{size.cells:,} cells, {size.bytes / 2**20:,.0f} MiB", False)
    with bar:
        for keys, distances, read in chunks:
            yield keys, distances
            bar.update(read)


def _check(corpus, V, window, dense):
    """Raise a ValueError that names the first argument that is out of range."""
    require_whole("V", V, 0, 2**31)
    require_whole("window", window, 1, LONGEST_WINDOW)
    require_whole("dense", dense, 0, 1_000_000)
    if len(corpus.ids) and not 0 <= corpus.ids.min() <= corpus.ids.max() < V:
        raise ValueError(f"corpus: expected word numbers in 0..{V - 1}, got {corpus.ids.min()}.."
                         f"{corpus.ids.max()}")


# ---- as a matrix ------------------------------------------------------------------------------

def require_dense(V: int) -> None:
    """Raise ValueError if a matrix of (V, V) counts would take more than DENSE_BUDGET bytes."""
    if 8 * V * V > DENSE_BUDGET:
        raise ValueError(f"a matrix of {V:,} x {V:,} counts: expected at most {DENSE_BUDGET:,} "
                         f"bytes, got {8 * V * V:,}; choose a larger min_count, or a smaller "
                         "vocabulary")


def dense_counts(cells: Cells, V: int) -> np.ndarray:
    """X as a matrix, (V, V) float64.  ValueError if it would take more than DENSE_BUDGET bytes."""
    require_dense(V)
    X = np.zeros((V, V))
    X[cells.rows, cells.cols] = cells.counts
    return X

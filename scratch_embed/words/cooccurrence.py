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
Read next words/pair_store.py (where the sums are kept); words/glove.py and words/ppmi.py, two ways
          from counts to vectors.

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

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import mix
from scratch_embed.text.vocab import Corpus
from scratch_embed.words.pair_store import (
    S32,
    Cells,
    Size,
    fill,
    require_room,
    sampling,
    size_of,
    sort_by,
    take_out,
    whole_matrix,
)

i64, u64 = np.int64, np.uint64
PAIRS = 200_000                    # that one call looks at: a few milliseconds
DENSE = 2048                       # words of the dense block: 32 MiB
DENSE_BUDGET = 2**30               # bytes: the largest matrix (V, V), about 11,600 words


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
    for first, end in zip(corpus.offsets, corpus.offsets[1:]):
        sentence = corpus.ids[first:end].tolist()
        for i, word in enumerate(sentence):
            for d in range(1, min(window, i) + 1):
                cells[word, sentence[i - d]] += parts[d - 1]
                if symmetric:
                    cells[sentence[i - d], word] += parts[d - 1]
    return {cell: count / whole for cell, count in cells.items()}


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
    parts, whole = weights(window)
    store = None
    while store is None:
        require_room(size, budget)
        pieces = _with_bar(pair_pieces(corpus, window, symmetric), len(corpus.ids), size, progress)
        store = fill(pieces, parts, size.hashed, min(dense, V))
        size = Size(size.cells, 2 * size.hashed + 64, 2 * size.bytes)   # if the sample misled
    keys, sums = take_out(store)
    del store
    for shift in (i64(0), S32):                    # by column, then by row
        keys, sums = sort_by(keys, sums, shift, V)
    sums /= whole
    if symmetric:
        return whole_matrix(keys, sums, V)
    return Cells((keys >> S32).astype(np.int32), keys.astype(np.int32), sums)


def estimate_size(corpus: Corpus, V: int, window: int = 10, symmetric: bool = True,
                  dense: int = DENSE) -> Size:
    """Size, from a sample of the cells: exact for up to SAMPLE pairs; beyond, off by about 1%."""
    _check(corpus, V, window, dense)
    lengths = np.diff(corpus.offsets)
    reach = np.minimum(window, lengths - 1)                    # Σ_d (n − d), d = 1..reach:
    pairs = int((reach * lengths - reach * (reach + 1) // 2).sum())
    pieces = pair_pieces(corpus, window, symmetric, sampling(pairs))
    size = size_of((keys.copy() for keys, _, _ in pieces), pairs, V, symmetric, dense)
    return size._replace(bytes=size.bytes + 12 * PAIRS)                # the two buffers


# ---- the pairs of a text, piece by piece ------------------------------------------------------

def pair_pieces(corpus: Corpus, window: int, symmetric: bool, every: int = 1,
                pairs: int = PAIRS) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """(keys, distances, words of the text) of one piece after the other, in the same two buffers.

    every: of all keys only a sample, one in so many, a power of 2; pairs: of a piece, at the most
    """
    most = min(window, int(np.diff(corpus.offsets).max(initial=1)))     # pairs of a word
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
def find_pairs(corpus, piece, window, symmetric, mask, keys, distances):
    """Fill keys and distances with the pairs whose later word is in a piece; return how many.

    The loops of count_plainly.  piece: (first word, end, sentence of the first).  A key is
    row · 2³² + column, row ≤ column if symmetric.  Only the sample is wanted whose hash has zeros
    where `mask` has ones; 0: all.
    """
    first, end, s = piece
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


def _with_bar(pieces, words, size, progress):
    """(keys, distances) of the pieces; a bar shows how many of the words are read."""
    bar = tqdm(total=words, unit="word", unit_scale=True, disable=None if progress else True)
    bar.set_postfix_str(f"{size.cells:,} cells, {size.bytes / 2**20:,.0f} MiB", False)
    with bar:
        for keys, distances, read in pieces:
            yield keys, distances
            bar.update(read)


def _check(corpus, V, window, dense):
    """Raise ValueError for what cannot be counted."""
    require_whole("V", V, 0, 2**31)
    require_whole("window", window, 1, 1_000_000)
    require_whole("dense", dense, 0, 1_000_000)
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

"""Merging in byte-pair encoding (BPE): join pairs of pieces of a word, in a learned order.

    low  ->  l o w  ->  lo w  ->  low          with the merges (l, o) and (lo, w)

Paper     Sennrich, Haddow & Birch 2016, "Neural Machine Translation of Rare Words with Subword
          Units", Algorithm 1; over bytes: Radford et al. 2019 (GPT-2), §2.2
Equation  rank(x, y) = the number of the merge (x, y) in the order in which they were learned.
          While a pair of neighbours has a rank: of those with the lowest, merge the leftmost.
Shapes    the ids of the bytes of a word (n,) int32 -> the ids of its pieces (at most n); in
          SentencePiece's BPE characters stand in place of bytes
Cost      n log n for a word of n bytes: a heap of pairs, and a linked list of pieces
Differs   from GPT-2's code, which merges all places of the lowest pair at once.  With learned
          merges the pieces are the same: a pair with the new piece was learned later, and its rank
          is higher.  Merges in any other order are applied as by the tokenizers library, one by one
Read next text/bpe.py (a tokenizer), text/bpe_training.py (how the merges are learned)

merge_word() is the equation, and O(n²); merge_words() is a kernel for many words.  A heap holds the
ranked pairs, each as rank · 2³² + i, where i is the place of its first piece.  So its smallest
entry is the next to merge.  When two pieces are merged, the new piece makes a new pair with each of
its neighbours, and both are pushed.  An entry whose pair has changed since it was pushed is
skipped.  It is recognised by the rank, which the pair at its place no longer has: pieces only grow,
so an old pair does not come back.

Why this order?  It repeats the training: a word of the training text is split as it was when the
last merge was learned.  Merging the longest piece first (as WordPiece does) would give other ids,
and the model has seen these.
"""
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.text.pair_slots import EMPTY, empty_slots, pair_slot

Pair = tuple[int, int]
Merges = Mapping[Pair, tuple[int, int]]            # {pair: (rank, the id of the merged piece)}
NONE = -1


# ---- one word ---------------------------------------------------------------------------------

def merge_word(ids: Sequence[int], merges: Merges) -> list[int]:
    """Merge the pieces of one word, as in the equation.  O(n²); merge_words() is the fast form.

    >>> merges = {(0, 1): (0, 3), (3, 2): (1, 4)}                # l o -> lo,  lo w -> low
    >>> merge_word([0, 1, 2, 0, 1], merges)
    [4, 3]
    """
    ids = list(ids)
    while True:
        ranked = [(merges[pair][0], i) for i, pair in enumerate(zip(ids, ids[1:]))
                  if pair in merges]
        if not ranked:
            return ids
        _, i = min(ranked)                         # the lowest rank; of equal ones, the leftmost
        ids[i:i + 2] = [merges[ids[i], ids[i + 1]][1]]


def numbered(merges: Iterable[tuple[str, str]], index: Mapping[str, int]) -> Merges:
    """{pair of ids: (rank, the id of the merged piece)} for pairs of pieces.

    If a pair occurs several times, the last one counts, as in the tokenizers library.  Raises
    ValueError for a piece that is not in index.
    """
    found = {}
    for rank, (first, second) in enumerate(merges):
        for piece in first, second, first + second:
            if piece not in index:
                raise ValueError(f"merge {rank} is ({first!r}, {second!r}): expected {piece!r} "
                                 "among the pieces")
        found[index[first], index[second]] = rank, index[first + second]
    return found


# ---- many words -------------------------------------------------------------------------------

class PairTable(NamedTuple):
    """A hash table of merges, for kernels.  S: the number of slots, a power of two."""

    keys: np.ndarray               # (S,) int64: see pair_slots.py
    ranks: np.ndarray              # (S,) int32
    merged: np.ndarray             # (S,) int32: the id of the merged piece


def pair_table(merges: Merges) -> PairTable:
    """The hash table of merges."""
    keys = empty_slots(len(merges))
    table = PairTable(keys, np.empty(len(keys), np.int32), np.empty(len(keys), np.int32))
    numbers = np.array([(*pair, *value) for pair, value in merges.items()], np.int64)
    _fill(numbers.reshape(-1, 4), *table)
    return table


@kernel
def _fill(numbers, keys, ranks, merged):
    """Enter rows (left, right, rank, merged) into a table."""
    for left, right, rank, new in numbers:
        slot = pair_slot(left, right, keys)
        keys[slot], ranks[slot], merged[slot] = left << 32 | right, rank, new


def merge_words(ids: np.ndarray, offsets: np.ndarray, table: PairTable
                ) -> tuple[np.ndarray, np.ndarray]:
    """merge_word() for N words laid end to end.  -> ids, offsets of the merged words

    ids (T,) int32, offsets (N+1,) int64: word n is ids[offsets[n]:offsets[n+1]]
    """
    out, out_offsets = np.empty_like(ids), np.zeros_like(offsets)
    longest = int(np.diff(offsets).max(initial=0))
    _merge_words(ids, offsets, *table, np.empty((3, longest), np.int64),
                 np.empty(3 * longest, np.int64), out, out_offsets)
    return out[:out_offsets[-1]].copy(), out_offsets


@kernel
def _merge_words(ids, offsets, keys, ranks, merged, links, heap, out, out_offsets):
    """links: room for id, previous and next of each piece; heap: for 3 entries a piece."""
    piece, previous, following = links
    written = 0
    for word in range(len(offsets) - 1):
        n = offsets[word + 1] - offsets[word]
        size = 0
        for i in range(n):                         # the pieces, as a linked list of their places
            piece[i], previous[i], following[i] = ids[offsets[word] + i], i - 1, i + 1
        for i in range(n - 1):                     # rank(x, y) of all neighbours
            size = _push(i, i + 1, piece, keys, ranks, heap, size)
        while size:                                # of the lowest rank, the leftmost
            entry = heap[0]
            size = _pop(heap, size)
            rank, i = entry >> 32, entry & 0xFFFFFFFF
            j = following[i]
            if j >= n:
                continue
            slot = pair_slot(piece[i], piece[j], keys)
            if keys[slot] == EMPTY or ranks[slot] != rank:
                continue                           # the pair has changed since it was pushed, or
                                                   # piece i is NONE: it has been merged
            piece[i], piece[j] = merged[slot], NONE
            following[i] = following[j]
            if following[i] < n:
                previous[following[i]] = i
                size = _push(i, following[i], piece, keys, ranks, heap, size)
            if previous[i] >= 0:
                size = _push(previous[i], i, piece, keys, ranks, heap, size)
        for i in range(n):
            if piece[i] != NONE:
                out[written] = piece[i]
                written += 1
        out_offsets[word + 1] = written


@kernel
def _push(i, j, piece, keys, ranks, heap, size):
    """Push the pair of the pieces at i and j, if it has a rank: rank · 2³² + i.  -> size"""
    slot = pair_slot(piece[i], piece[j], keys)
    if keys[slot] == EMPTY:
        return size
    entry = np.int64(ranks[slot]) << 32 | i
    child = size
    while child > 0:                               # sift up: parents are smaller
        parent = (child - 1) >> 1
        if heap[parent] <= entry:
            break
        heap[child] = heap[parent]
        child = parent
    heap[child] = entry
    return size + 1


@kernel
def _pop(heap, size):
    """Remove the smallest entry.  -> size"""
    size -= 1
    entry, parent = heap[size], 0
    while 2 * parent + 1 < size:                   # sift down
        child = 2 * parent + 1
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= entry:
            break
        heap[parent] = heap[child]
        parent = child
    heap[parent] = entry
    return size

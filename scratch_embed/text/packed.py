"""Many sequences as one: laid end to end, with the places where each begins.

Shapes    ids, types (T,) int32; offsets (N+1,) int64: sequence n is ids[offsets[n]:offsets[n+1]]
Cost      O(T), NumPy's own copies: no kernel.
Read next nn/attention.py (each sequence for itself), transformer/bert.py

The usual layout is a rectangle, every sequence filled up to the longest with [PAD], and a mask that
says which entries are real.  Here there is nothing to fill and nothing to mask: all that a layer
does for one token at a time runs over the T rows, whichever sequence they belong to; only attention
and pooling ask where a sequence begins.  That a sentence has the same vector whatever stands beside
it in the batch need not be arranged; there is no padding that could leak.
"""
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Packed(NamedTuple):
    """N sequences of T tokens in all."""

    ids: np.ndarray                # (T,) int32
    offsets: np.ndarray                # (N+1,) int64
    types: np.ndarray              # (T,) int32: 0, or 1 in the second part of a pair


def pack(sequences: Iterable[Sequence[int]], types: Iterable[Sequence[int]] | None = None
         ) -> Packed:
    """Lists of ids, and of segment types (all 0 by default), as one.

    Raises ValueError for an empty sequence, types that do not fit their ids, or a number that is no
    int32.
    """
    sequences = [np.asarray(ids) for ids in sequences]
    lengths = [len(ids) for ids in sequences]
    if 0 in lengths:
        raise ValueError(f"sequence {lengths.index(0)} is empty: a sequence has at least one token,"
                         " such as [CLS]")
    types = ([np.zeros(n, np.int32) for n in lengths] if types is None
             else [np.asarray(part) for part in types])
    if [len(part) for part in types] != lengths:
        raise ValueError(f"expected types for each of {sum(lengths)} ids in {len(lengths)} "
                         f"sequences, found {sum(map(len, types))} in {len(types)}")
    return Packed(_joined(sequences), np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
                  _joined(types))


def take(packed: Packed, which: np.ndarray) -> Packed:
    """The sequences of these numbers, (M,), in this order."""
    lengths = np.diff(packed.offsets)[which]
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    rows = np.arange(offsets[-1]) + np.repeat(packed.offsets[:-1][which] - offsets[:-1], lengths)
    return Packed(packed.ids[rows], offsets, packed.types[rows])


def by_length(packed: Packed) -> np.ndarray:
    """The numbers of the sequences, (N,), the shortest first; equal ones in their order."""
    return np.argsort(np.diff(packed.offsets), kind="stable")


def positions(offsets: np.ndarray) -> np.ndarray:
    """0, 1, ... within each sequence.  offsets: (N+1,) -> (T,)."""
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))


def shares(offsets: np.ndarray, parts: int) -> list[np.ndarray]:
    """The sequences 0..N−1 dealt out to `parts` workers, about as many tokens to each.

    offsets: (N+1,) -> lists of numbers, each worker's next to each other.  None is empty: there are
    fewer than `parts` where there are few sequences, or one is as long as several shares.
    """
    N = len(offsets) - 1
    middle = (offsets[:-1] + offsets[1:]) / 2               # a sequence goes where its middle lies
    part = np.minimum(middle * parts // max(1, offsets[-1]), parts - 1)
    return [some for k in range(parts) if len(some := np.flatnonzero(part == k))] if N else []


def token_batches(lengths: np.ndarray, tokens: int, most: int | None = None
                  ) -> Iterator[np.ndarray]:
    """Cut sequences 0..N−1, as they stand, into batches of at most so many tokens.

    A sequence that is longer has a batch of its own.  most: of sequences in a batch.
    """
    start, total = 0, 0
    for n, length in enumerate(lengths):
        if n > start and (total + length > tokens or n - start == most):
            yield np.arange(start, n)
            start, total = n, 0
        total += length
    if start < len(lengths):
        yield np.arange(start, len(lengths))


def _joined(parts):
    whole = np.concatenate(parts) if parts else np.empty(0, np.int32)
    if whole.dtype.kind not in "iu" or (whole.astype(np.int32) != whole).any():
        raise ValueError(f"expected whole numbers of 32 bits, found {whole.dtype}: {whole!s:.60}")
    return whole.astype(np.int32)

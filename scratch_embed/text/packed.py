"""Packed sequences: a batch of sequences laid end to end, with the offset at which each begins.

Shapes    ids, types (T,) int32; offsets (N+1,) int64: sequence n is ids[offsets[n]:offsets[n+1]]
Cost      O(T), done by NumPy, so there is no kernel
Read next nn/attention.py (attention within each sequence), transformer/bert.py

Why packed?  The usual layout is a rectangle: every sequence is padded with [PAD] to the length of
the longest, and a mask says which entries are real.  Packed sequences need neither.  A layer that
works on one token at a time runs over the T rows, whichever sequence they belong to; only attention
and pooling need the offsets.  No work is spent on padding, and the other sequences of a batch
change a sequence's result by rounding only (some 1e-7 in float32).
"""
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np


class Packed(NamedTuple):
    """N sequences, T tokens in total."""

    ids: np.ndarray                # (T,) int32
    offsets: np.ndarray            # (N+1,) int64
    types: np.ndarray              # (T,) int32, token_type_ids: 1 in the second text of a pair


def pack(sequences: Iterable[Sequence[int]], types: Iterable[Sequence[int]] | None = None
         ) -> Packed:
    """Pack sequences of token ids and of their token_type_ids (0 by default).

    Raises ValueError for an empty sequence, for types whose lengths are not those of the ids, and
    for ids or types that are not integers or do not fit into int32.
    """
    sequences = [np.asarray(ids) for ids in sequences]
    lengths = [len(ids) for ids in sequences]
    if 0 in lengths:
        raise ValueError(f"sequence {lengths.index(0)}: expected at least one token, such as [CLS],"
                         " got none")
    types = ([np.zeros(n, np.int32) for n in lengths] if types is None
             else [np.asarray(part) for part in types])
    if [len(part) for part in types] != lengths:
        raise ValueError(f"types: expected sequences of the ids' lengths, {lengths!s:.60}, got "
                         f"{[len(part) for part in types]!s:.60}")
    return Packed(_as_int32(sequences), np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
                  _as_int32(types))


def take(packed: Packed, which: np.ndarray) -> Packed:
    """The M sequences with these indices, in this order.  which: (M,) int"""
    rows, offsets = rows_of(packed.offsets, which)
    return Packed(packed.ids[rows], offsets, packed.types[rows])


def rows_of(offsets: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows of these M sequences, one after the other, and their bounds among these rows.

    offsets: (N+1,), which: (M,) int -> rows (R,), new offsets (M+1,)

    >>> rows, offsets = rows_of(np.array([0, 2, 5]), np.array([1, 0]))
    >>> rows.tolist(), offsets.tolist()
    ([2, 3, 4, 0, 1], [0, 3, 5])
    """
    lengths = np.diff(offsets)[which]
    ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    return np.arange(ends[-1]) + np.repeat(offsets[:-1][which] - ends[:-1], lengths), ends


def by_length(packed: Packed) -> np.ndarray:
    """The indices (N,) that sort the sequences by length, the shortest first (stable)."""
    return np.argsort(np.diff(packed.offsets), kind="stable")


def positions(offsets: np.ndarray) -> np.ndarray:
    """The position of each token in its sequence: 0, 1, ...  offsets: (N+1,) -> (T,)"""
    return np.arange(offsets[-1]) - np.repeat(offsets[:-1], np.diff(offsets))


def split_by_tokens(offsets: np.ndarray, parts: int) -> list[np.ndarray]:
    """Split sequences 0..N−1 into at most `parts` groups of about equally many tokens.

    offsets: (N+1,) -> a list of arrays of consecutive sequence indices.  No group is empty, so
    there are fewer than `parts` groups if N < parts, or if one sequence is as long as several
    shares.
    """
    N = len(offsets) - 1
    middle = (offsets[:-1] + offsets[1:]) / 2
    part = np.minimum(middle * parts // max(1, offsets[-1]), parts - 1)    # the group it lies in
    return [group for k in range(parts) if len(group := np.flatnonzero(part == k))] if N else []


def token_batches(lengths: np.ndarray, tokens: int, most: int | None = None
                  ) -> Iterator[np.ndarray]:
    """Group sequences 0..N−1, in order, into batches of at most `tokens` tokens.

    lengths: (N,); most: at most this many sequences in a batch -> arrays of sequence indices.
    A sequence of more than `tokens` tokens is a batch of its own.
    """
    start, total = 0, 0
    for n, length in enumerate(lengths):
        if n > start and (total + length > tokens or n - start == most):
            yield np.arange(start, n)
            start, total = n, 0
        total += length
    if start < len(lengths):
        yield np.arange(start, len(lengths))


def require_rows(corpus: Packed, tokens: int, positions: int, types: int = 1) -> None:
    """Raise ValueError for ids, lengths or types for which a model has no embedding.

    tokens, positions, types: the number of rows of each table.
    """
    for what, numbers, rows in (("token ids", corpus.ids, tokens),
                                ("token type ids", corpus.types, types),
                                ("positions", np.diff(corpus.offsets) - 1, positions)):
        got = numbers.max(initial=0) if numbers.min(initial=0) >= 0 else numbers.min()
        if not 0 <= got < rows:
            raise ValueError(f"corpus: expected {what} in 0..{rows - 1}, which the model has rows "
                             f"for, got {got}; use the model's own vocabulary, or shorter "
                             "sequences")
    if len(corpus.offsets) < 2:
        raise ValueError("corpus: expected at least 1 sequence, got 0")


def _as_int32(parts):
    whole = np.concatenate(parts) if parts else np.empty(0, np.int32)
    if whole.dtype.kind not in "iu" or (whole.astype(np.int32) != whole).any():
        raise ValueError("expected integer ids and types that fit into int32, got "
                         f"{whole.dtype}: {whole!s:.60}")
    return whole.astype(np.int32)

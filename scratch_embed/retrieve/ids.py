"""The ids of the rows of an index: either 64-bit integers or strings, each only once.

Read next retrieve/index.py
"""
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from scratch_embed.retrieve.lists import NO_ID

Ids = list[int] | list[str]


def list_of_ids(ids: Iterable[int] | Iterable[str]) -> Ids:
    """The ids as a list of int or of str.

    Raises ValueError for other types, for both types, for integers beyond 64 bits, and for −1: it
    fills a ranked list after its last document (retrieve/lists.py), so no document may have it.
    """
    if isinstance(ids, str):
        raise ValueError(f"ids: expected a list of ids, got one str, {ids!r}")
    listed: list[Any] = ids.tolist() if isinstance(ids, np.ndarray) else [
        id.item() if isinstance(id, np.generic) else id for id in ids]
    kind = type(listed[0]) if listed else int
    wrong = next((id for id in listed if type(id) is not kind or kind not in (int, str)), None)
    if wrong is not None:
        raise ValueError(f"ids: expected all of them int, or all str; got {wrong!r}"
                         + (f" and {listed[0]!r}" if type(wrong) is not kind else ""))
    if kind is int and listed and not -2**63 <= min(listed) <= max(listed) < 2**63:
        raise ValueError(f"ids: expected integers of 64 bits, got {max(listed, key=abs)}")
    if kind is int and NO_ID in listed:
        raise ValueError("ids: expected any integer but −1, which marks the end of a ranked list")
    return listed


def row_of_each(ids: Sequence[int | str], start: int = 0) -> dict[int | str, int]:
    """{id: row}, counting rows from `start`.  Raises ValueError for a repeated id."""
    row_of = {id: row for row, id in enumerate(ids, start)}
    if len(row_of) < len(ids):
        repeated = next(id for row, id in enumerate(ids, start) if row_of[id] != row)
        raise ValueError(f"expected each id once, got {repeated!r} more than once")
    return row_of


def require_new(ids: Ids, known: Ids, row_of: Collection[int | str]) -> None:
    """Raise ValueError if an id is already in row_of, or has another type than the known ids."""
    known_id = next((id for id in ids if id in row_of), None)
    if known_id is not None:
        raise ValueError(f"ids: expected new ones, got {known_id!r}, which is in the index already")
    if ids and known and type(ids[0]) is not type(known[0]):
        raise ValueError(f"ids: expected {type(known[0]).__name__}, like those in the index, "
                         f"got {ids[0]!r}")

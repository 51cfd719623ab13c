"""Damaged JSON: values of a document replaced, and keys left out or renamed, one at a time.

For a reader of JSON there are two right answers to a damaged file: a FormatError, or a good load
(where the value does not matter, or another one is valid as well).
"""
import copy
import json
from collections.abc import Iterator
from typing import Any

OTHERS = [None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, 1e308, "", "x", "\ud800", [],
          [1], [[]], {}, {"x": 1}]
RAW = [b"", b"{", b"[" * 100_000, b"\xff", b"null", b"[]", b'"x"', b"NaN", b'{"a": 1, "a": 2}',
       b'{"a": 1e999}', b"\xef\xbb\xbf{}"]


def mutated(document: Any) -> Iterator[bytes]:
    """Yield copies of `document` as JSON, each with one value or key changed; then those of RAW.

    Of each list only the first two items are changed.
    """
    for path in _paths(document):
        for other in OTHERS:
            yield _written(_replaced(document, path, other))
        if path and isinstance(path[-1], str):
            yield _written(_changed(document, path, lambda parent, key: parent.pop(key)))
            yield _written(_changed(document, path, lambda parent, key: parent.update(
                {key + "?": parent.pop(key)})))
    yield from RAW


def _written(document):
    return json.dumps(document).encode()


def _paths(value, path=()):
    """The keys that lead to each value; of a long list only the first two values."""
    yield path
    inside = (value.items() if isinstance(value, dict) else
              enumerate(value[:2]) if isinstance(value, list) else ())
    for key, part in inside:
        yield from _paths(part, (*path, key))


def _replaced(document, path, new):
    if not path:
        return new
    return _changed(document, path, lambda parent, key: parent.__setitem__(key, new))


def _changed(document, path, change):
    """A copy in which change(parent, key) was called for the value at `path`."""
    document = copy.deepcopy(document)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    change(parent, path[-1])
    return document

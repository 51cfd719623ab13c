"""The nearest documents to a question, found by looking at every one of them.

Equation  search(q) = the k ids with the highest q·x, x among the rows; for unit rows the cosine
Shapes    rows (M, D) float32 with M different ids; queries (N, D) -> ids (N, k), scores (N, k)
Cost      a search O(N M D), nearly all of it matrix products; adding O(D) a row
Memory    4 M D bytes of rows, half as many again to spare after many small additions, and a Python
          list and dict of the ids.  A search takes a few arrays of `block` numbers for each worker.
Differs   faiss's IndexFlatIP is the same search, with row numbers for ids and no check of nan.
          There is no mark of deletion here: make a new index without the row.
Read next space/neighbours.py (the search), space/hamming.py (the same over codes 32 times smaller),
          retrieve/bm25.py (words instead of vectors), retrieve/texts.py (rows that are lines)

Exact search is the yardstick: what an approximate index loses is counted against it.  It is also
enough for longer than one thinks, since a query costs one pass over the rows, and many queries
asked at once share that pass.

The index knows no model.  Vectors come from anything that has encode(texts) -> (N, D):

    index = Index.from_texts(documents, encoder.encode)
    ids, scores = index.search(encoder.encode(questions), k=10)
"""
import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.memory import require_memory
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.space.heaps import enter_heaps
from scratch_embed.space.neighbours import BLOCK, nearest
from scratch_embed.space.similarity import unit

KIND = "scratch_embed index"


class Index:
    """M rows of one width, each with an id of its own: all integers, or all strings.

    normalise: bring rows and queries to length 1, so that scores are cosines (a zero row has 0
    with all); without it, scores are dot products of what was given.

    >>> index = Index.from_vectors([[3.0, 4.0], [0.0, 2.0]], ids=["a", "b"])
    >>> index.add(["c"], [[-1.0, 0.0]])
    >>> index
    Index(3 rows x 2 dimensions, cosine)
    >>> ids, scores = index.search([[0.0, 5.0]], k=2)
    >>> ids.tolist(), scores
    ([['b', 'a']], array([[1. , 0.8]], dtype=float32))
    """

    def __init__(self, dim: int, normalise: bool = True) -> None:
        self.dim, self.normalise = operator.index(dim), bool(normalise)
        if self.dim < 1:
            raise ValueError(f"dim: expected 1 or more, found {dim}")
        self._rows = np.empty((0, self.dim), np.float32)     # the first len(self) are in use
        self._ids, self._row_of = [], {}

    @classmethod
    def from_vectors(cls, vectors: np.ndarray, ids: Iterable[int] | Iterable[str] | None = None,
                     normalise: bool = True) -> "Index":
        """An index of the rows of a table (M, D).  ids: M of them; None: 0 to M − 1.

        Raises ValueError as add() does.
        """
        vectors = np.asarray(vectors)
        if vectors.ndim != 2:
            raise ValueError(f"vectors: expected (M, D), got shape {vectors.shape}")
        index = cls(vectors.shape[1], normalise)
        index.add(range(len(vectors)) if ids is None else ids, vectors)
        return index

    @classmethod
    def from_texts(cls, texts: Iterable[str], encode: Callable[[list[str]], np.ndarray],
                   ids: Iterable[int] | Iterable[str] | None = None) -> "Index":
        """An index of M texts.  encode: of an encoder, texts -> (M, D); ids: as in from_vectors.

        Queries are encoded by the same encoder, by the caller: index.search(encode(queries), k).

        >>> def encode(texts): return np.array([[t.count("a"), t.count("b")] for t in texts])
        >>> texts = ["abba", "bob", "anna"]
        >>> ids, _ = Index.from_texts(texts, encode).search(encode(["banana"]), k=1)
        >>> texts[ids[0, 0]]
        'anna'
        """
        if isinstance(texts, str):
            raise ValueError(f"texts: expected a list of texts, got one str, {texts!r:.40}")
        return cls.from_vectors(encode(list(texts)), ids)

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, id: int | str) -> bool:
        return id in self._row_of

    def __getitem__(self, id: int | str) -> np.ndarray:
        """A copy of the row (D,) as it is kept.  KeyError for an id that is not there."""
        return self._rows[self._row_of[id]].copy()

    def __repr__(self) -> str:
        score = "cosine" if self.normalise else "dot product"
        return f"Index({len(self):,} rows x {self.dim} dimensions, {score})"

    def add(self, ids: Iterable[int] | Iterable[str], vectors: np.ndarray) -> None:
        """Add rows.  ids: M new ones, vectors: (M, D).  All of them are added, or none.

        Raises ValueError for another width, an id that is there already or comes twice, or of
        another type than the others, and for a vector that is not finite in float32.
        """
        ids, vectors = check_ids(ids), np.asarray(vectors)
        if vectors.ndim != 2 or vectors.shape[1] != self.dim or len(vectors) != len(ids):
            raise ValueError(f"vectors: expected a row of {self.dim} numbers for each of "
                             f"{len(ids)} ids, found shape {vectors.shape}")
        row_of = _number(ids, len(self))
        old = next((id for id in ids if id in self._row_of), None)
        if old is not None:
            raise ValueError(f"the id {old!r} is in the index already")
        if ids and self._ids and type(ids[0]) is not type(self._ids[0]):
            raise ValueError(f"ids: expected {type(self._ids[0]).__name__}, as those in the index, "
                             f"found {ids[0]!r}")
        self._make_room(len(ids))
        self._fill(ids, vectors)                             # beyond the end: not seen yet
        self._ids += ids
        self._row_of |= row_of

    def _make_room(self, count):
        """At least `count` rows beyond those in use; half as many again, so copies stay few."""
        need = len(self) + count
        if need > len(self._rows):
            size = need if len(self) == 0 else max(need, len(self) * 3 // 2)
            require_memory(4 * self.dim * size, f"an index of {size:,} rows")
            rows = np.empty((size, self.dim), np.float32)
            rows[:len(self)] = self._rows[:len(self)]
            self._rows = rows

    def _fill(self, ids, vectors):
        """Write the vectors behind the rows in use, a block at a time."""
        step = max(1, BLOCK // self.dim)
        for i in range(0, len(ids), step):
            part = vectors[i:i + step]
            self._rows[len(self) + i:len(self) + i + len(part)] = self._prepared(
                part, lambda row, i=i: f"the vector of {ids[i + row]!r}")

    def _prepared(self, vectors, name):
        """Vectors in float32, at length 1 if the index normalises; name(row) is for the error."""
        with np.errstate(over="ignore", invalid="ignore"):   # refused below
            rows = (unit(vectors) if self.normalise else vectors).astype(
                np.float32, casting="same_kind", copy=False)
        broken = first_not_finite(rows)
        if broken is not None:
            raise ValueError(f"{name(broken)}: expected finite float32 numbers, found nan, inf or "
                             f"one beyond 3.4e38")
        return rows

    def search(self, queries: np.ndarray, k: int, workers: int = 1, block: int = BLOCK
               ) -> tuple[np.ndarray, np.ndarray]:
        """The k ids with the highest scores, best first, ties to the one that was added first.

        queries: (N, D) -> ids (N, k), an array of int64 or of str objects, scores (N, k) float32.
        k ends at len(self).  workers, block: as in neighbours.nearest.
        """
        queries = np.asarray(queries)
        if queries.ndim != 2 or queries.shape[1] != self.dim:
            raise ValueError(f"queries: expected (N, {self.dim}), found shape {queries.shape}"
                             + ("; for one query pass queries[None]" if queries.ndim == 1 else ""))
        queries = self._prepared(queries, lambda row: f"query {row}")
        rows, scores = nearest(queries, self._rows[:len(self)], k, block=block, workers=workers,
                               enter=enter_heaps)
        if self.normalise:
            scores = np.clip(scores, -1, 1)                  # beyond by a rounding
        ids = np.empty(rows.size, object if self._ids and type(self._ids[0]) is str else np.int64)
        ids[:] = [self._ids[row] for row in rows.ravel()]
        return ids.reshape(rows.shape), scores

    # ---- files -------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write one safetensors file, whole or not at all: the rows, the ids, the kind of score."""
        write_safetensors(path, *self.as_tensors())

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Index":
        """What save() wrote.  Raises FormatError for any other file."""
        return cls.from_tensors(path, *read_safetensors(path))

    def as_tensors(self) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """The tensors and the metadata that save() writes, for files that hold more than these."""
        return ({"vectors": self._rows[:len(self)], **_ids_as_tensors(self._ids)},
                {"kind": KIND, "normalise": str(self.normalise)})

    @classmethod
    def from_tensors(cls, path: str | os.PathLike, tensors: Mapping[str, np.ndarray],
                     metadata: Mapping[str, str]) -> "Index":
        """The index of as_tensors(); what else there is is not looked at.  path: for the errors."""
        normalise = metadata.get("normalise")
        if metadata.get("kind") != KIND or normalise not in ("True", "False"):
            raise FormatError(path, "its metadata", f"expected the kind {KIND!r} and normalise "
                                                    f"True or False, found {metadata}")
        rows, ids = tensors.get("vectors"), _ids_from_tensors(path, tensors)
        if rows is None or rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] == 0 or (
                len(rows) != len(ids)):
            found = "none" if rows is None else f"{rows.dtype} {rows.shape}"
            raise FormatError(path, "tensor 'vectors'", f"expected float32 (M, D), a row for each "
                                                        f"of {len(ids)} ids, found {found}")
        broken = first_not_finite(rows)
        if broken is not None:
            raise FormatError(path, f"tensor 'vectors', row {broken}",
                              "expected finite numbers, found nan or inf")
        index = cls(rows.shape[1], normalise == "True")
        try:
            index._row_of = _number(ids, 0)
        except ValueError as error:
            raise FormatError(path, "its ids", str(error)) from None
        index._rows, index._ids = rows, ids
        return index


def first_not_finite(rows: np.ndarray) -> int | None:
    """The first row with a nan or an inf in it; None if there is none.  rows: (M, D)."""
    step = max(1, BLOCK // rows.shape[1])
    for i in range(0, len(rows), step):
        finite = np.isfinite(rows[i:i + step]).all(axis=1)
        if not finite.all():
            return i + int(finite.argmin())
    return None


# ---- ids --------------------------------------------------------------------

def check_ids(ids: Iterable[int] | Iterable[str]) -> list[int] | list[str]:
    """The ids as a list of int or of str.  ValueError where they are neither, or mixed."""
    if isinstance(ids, str):
        raise ValueError(f"ids: expected a list of ids, found one str, {ids!r}")
    listed: list[Any] = ids.tolist() if isinstance(ids, np.ndarray) else [
        id.item() if isinstance(id, np.generic) else id for id in ids]
    kind = type(listed[0]) if listed else int
    wrong = next((id for id in listed if type(id) is not kind or kind not in (int, str)), None)
    if wrong is not None:
        raise ValueError(f"ids: expected all of them int, or all str; found {wrong!r}"
                         + (f" beside {listed[0]!r}" if type(wrong) is not kind else ""))
    if kind is int and listed and not -2**63 <= min(listed) <= max(listed) < 2**63:
        raise ValueError(f"ids: expected integers of 64 bits, found {max(listed, key=abs)}")
    return listed


def _number(ids, start):
    """{id: row}, counting from `start`; ValueError for an id that comes twice."""
    row_of = {id: row for row, id in enumerate(ids, start)}
    if len(row_of) < len(ids):
        twice = next(id for row, id in enumerate(ids, start) if row_of[id] != row)
        raise ValueError(f"the id {twice!r} comes more than once")
    return row_of


def _ids_as_tensors(ids):
    if not ids or type(ids[0]) is int:
        return {"ids": np.array(ids, np.int64)}
    return strings_as_tensors("id", ids)


def _ids_from_tensors(path, tensors):
    """What _ids_as_tensors was given."""
    ids = tensors.get("ids")
    if ids is not None and ids.dtype == np.int64 and ids.ndim == 1:
        return ids.tolist()
    return strings_from_tensors(path, "id", tensors, "'ids' int64 (M,), or ")


def strings_as_tensors(name: str, strings: Sequence[str]) -> dict[str, np.ndarray]:
    """Strings as UTF-8 end to end, and where each of them ends: {name_text, name_ends}."""
    try:
        encoded = [string.encode() for string in strings]
    except UnicodeEncodeError as error:
        raise ValueError(f"cannot write the {name} {error.object!r}: it has no UTF-8 form"
                         ) from None
    return {f"{name}_text": np.frombuffer(b"".join(encoded), np.uint8),
            f"{name}_ends": np.cumsum([len(string) for string in encoded], dtype=np.int64)}


def strings_from_tensors(path: str | os.PathLike, name: str, tensors: Mapping[str, np.ndarray],
                         otherwise: str = "") -> list[str]:
    """What strings_as_tensors was given.  FormatError, of `path`, for any other tensors."""
    text, ends = tensors.get(f"{name}_text"), tensors.get(f"{name}_ends")
    if text is None or ends is None or (text.dtype, ends.dtype) != (np.uint8, np.int64) or (
            text.ndim != 1 or ends.ndim != 1):
        raise FormatError(path, f"its {name}s", f"expected {otherwise}'{name}_text' uint8 and "
                                                f"'{name}_ends' int64 (M,); found the tensors "
                                                f"{list(tensors)}")
    ends = [0, *ends.tolist()]
    if ends != sorted(ends) or ends[-1] != len(text):
        raise FormatError(path, f"tensor '{name}_ends'", f"expected numbers that rise from 0 to "
                                                         f"{len(text)}, the bytes of "
                                                         f"'{name}_text'")
    text = text.tobytes()
    try:
        return [text[a:b].decode() for a, b in zip(ends, ends[1:])]
    except UnicodeDecodeError as error:
        raise FormatError(path, f"tensor '{name}_text'", f"expected UTF-8, found {error}"
                          ) from None

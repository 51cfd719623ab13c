"""Lines of text that can be searched: the lines, their vectors, and who made these.

Shapes    n lines, numbered from 1 as an editor does, blank ones counted but left out; vectors
          (M, D) of the M that are not blank; a search returns line numbers (Q, k), scores (Q, k)
Bytes     one safetensors file: that of an Index, whose ids are the line numbers (Index.load reads
          it), and besides line_text, line_ends, and in the metadata `lines` and `made_by`
Cost      that of retrieve/index.py and retrieve/bm25.py; the words are counted anew in each process
Read next retrieve/index.py (the vectors), retrieve/bm25.py (the words), retrieve/hybrid.py (both)

An index outlives the program that made it.  A query must then be encoded by the very model that
encoded the lines: vectors of another one, or of the same one trained further, have scores too, and
they mean nothing.  The room of retrieval knows no models, so `made_by` is whatever the caller says
of his; he compares it when he comes back.

A query that no word of is known is the zero vector, and is as near to one line as to another.
Its list is empty: to return the first k lines would say that they were found.
"""
import itertools
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import parse
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.index_files import strings_as_tensors, strings_from_tensors
from scratch_embed.retrieve.lists import NO_ID

BATCH_SIZE = 10_000                     # lines that are encoded at a time

Encode = Callable[[list[str]], np.ndarray]
Lists = tuple[np.ndarray, np.ndarray]


class TextIndex:
    """Lines and their vectors.

    texts     {line number: text}, rising
    lines     how many were read, blank ones too
    made_by   {what: value} of the model, as JSON can hold it

    >>> def encode(texts): return np.array([[t.count("a"), t.count("b")] for t in texts])
    >>> index = TextIndex(2, made_by={"model": "letters"})
    >>> index.add(["abba", "", "bob"], encode)
    2
    >>> lines, cosines = index.search(encode(["bib"]), k=1)
    >>> index.texts[lines[0, 0]]
    'bob'
    """

    def __init__(self, dim: int, made_by: Mapping[str, str | float | None]) -> None:
        self.index, self.made_by = Index(dim), dict(made_by)
        self.texts: dict[int, str] = {}
        self.lines = 0

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"TextIndex({len(self):,} lines x {self.index.dim} dimensions)"

    def add(self, lines: Iterable[str], encode: Encode, batch_size: int = BATCH_SIZE) -> int:
        """Add lines, numbered on from those that are there.  Return how many were not blank.

        encode: n texts -> (n, D).  After an error, some of the batches before it are in.
        """
        before, lines = len(self), iter(lines)
        while some := list(itertools.islice(lines, batch_size)):
            new = {number: text for number, text in enumerate(some, self.lines + 1)
                   if text.strip()}
            if new:
                self.index.add(new, encode(list(new.values())))
            self.texts |= new
            self.lines += len(some)
        return len(self) - before

    # ---- searching -----------------------------------------------------------

    def search(self, vectors: np.ndarray, k: int) -> Lists:
        """The k lines nearest to each query: numbers (Q, k), cosines (Q, k).  vectors: (Q, D)."""
        return nearest_or_none(self.index, vectors, k)

    def by_words(self, split: Callable[[str], Sequence[str]]
                 ) -> Callable[[Sequence[str], int], Lists]:
        """A search for words: (queries, k) -> numbers (Q, k), scores (Q, k).  split: text -> words.

        Raises ValueError where there is no word at all.
        """
        number = np.array([*self.texts, NO_ID])               # id −1 stays −1
        bm25 = BM25([split(text) for text in self.texts.values()])

        def search(queries, k):
            ids, scores = bm25.search([split(query) for query in queries], k)
            return number[ids], scores
        return search

    # ---- files ---------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write one file, whole or not at all."""
        tensors, metadata = self.index.as_tensors()
        write_safetensors(path, {**tensors, **strings_as_tensors("line", list(self.texts.values()))
                                 }, {**metadata, "lines": str(self.lines),
                                     "made_by": json.dumps(self.made_by)})

    @classmethod
    def load(cls, path: str | os.PathLike) -> "TextIndex":
        """What save() wrote.  Raises FormatError for any other file."""
        tensors, metadata = read_safetensors(path)
        index = Index.from_tensors(path, tensors, metadata)
        if "made_by" not in metadata:
            raise FormatError(path, "its metadata", "expected `made_by`, found none: this index "
                                                    "holds vectors without their texts")
        texts = strings_from_tensors(path, "line", tensors)
        numbers = tensors["ids"].tolist() if "ids" in tensors else []
        lines = metadata.get("lines", "")
        lines = int(lines) if lines.isascii() and lines.isdigit() and len(lines) < 19 else -1
        if len(numbers) != len(texts) or numbers != sorted(numbers) or not (
                0 <= lines and all(0 < n <= lines for n in numbers)):
            raise FormatError(path, "its lines", f"expected a number for each of {len(texts)} "
                              f"texts, rising, up to {metadata.get('lines')!r}, found "
                              f"{len(numbers)} numbers")
        found = cls(index.dim, parse(path, "its `made_by`", metadata["made_by"].encode()))
        found.index, found.texts, found.lines = index, dict(zip(numbers, texts)), lines
        return found


def nearest_or_none(index: Index, vectors: np.ndarray, k: int) -> Lists:
    """Index.search for an index of whole numbers; a query of length 0 finds nothing.

    vectors: (Q, D) -> ids (Q, k), scores (Q, k); −1 and −inf where nothing is found.
    """
    vectors = np.asarray(vectors)
    ids, scores = index.search(vectors, k)
    nothing = ~vectors.any(axis=1)
    ids[nothing], scores[nothing] = NO_ID, -np.inf
    return ids, scores

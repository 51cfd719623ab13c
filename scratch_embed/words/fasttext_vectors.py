"""Vectors of words and of their pieces: what to ask of a table that words/fasttext.py has learned.

Paper     Bojanowski et al. 2017, section 5.4 (words never seen), table 4 (important n-grams).
Equation  h(w) = (1/n) Σ_{g ∈ rows(w)} W_g;  for a word never seen, over its n-grams alone
Shapes    W (V + buckets, D): a row for each word, then one for each bucket of n-grams
Cost      the V means once, O(R·D) for R rows of all words (subwords.Subwords); then as WordVectors
Differs   from the original: a word never seen, of which no n-gram is long enough either, is a
          MissingWord and not the zero vector, which would have neighbours like any other.
Read next words/vectors.py (`words` here is a WordVectors), words/fasttext_files.py (the formats).
"""
import os
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import finite
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.similarity import cosine
from scratch_embed.words.fasttext_files import read_bin
from scratch_embed.words.subwords import (
    Subwords,
    bucket_rows,
    check_subwords,
    ngram_row,
    ngrams,
    subword_rows,
)
from scratch_embed.words.vectors import MissingWord, WordVectors

ZERO, ONE = np.float32(0), np.float32(1)


class Piece(NamedTuple):
    """One of the rows whose mean is a word's vector."""

    ngram: str                     # or the word itself, for its own row
    row: int
    vector: np.ndarray             # (D,)


class FastTextVectors:
    """V known words, and any other word whose n-grams the table has rows for.

    words          WordVectors of the known words: all questions that need no unknown word
    table          (V + buckets, D) float32, read-only, not copied
    min_n, max_n   the lengths of its n-grams, as in training: with others the rows are others', and
                   no error tells (a .bin has them; `load` reads them there)

    >>> table = np.random.default_rng(0).normal(size=(2 + 100, 8))
    >>> vectors = FastTextVectors(["king", "queen"], table, min_n=3, max_n=6)
    >>> vectors
    FastTextVectors(2 words + 100 buckets x 8 dimensions, n-grams of 3 to 6)
    >>> "kings" in vectors, vectors["kings"].shape  # not known, and yet it has a vector
    (False, (8,))
    >>> [piece.ngram for piece in vectors.ngrams("king")][:4]
    ['king', '<ki', '<kin', '<king']
    """

    def __init__(self, words: Iterable[str], table: np.ndarray, min_n: int, max_n: int) -> None:
        """words: V different strings; table: (V + buckets, D) float32, finite."""
        self._words, self.min_n, self.max_n = list(words), min_n, max_n
        self.table = np.asarray(table, np.float32).view()
        self.table.flags.writeable = False
        if self.table.ndim != 2 or len(self.table) < len(self._words):
            raise ValueError(f"expected a row for each of {len(self._words)} words and for each "
                             f"bucket, found a table of shape {self.table.shape}")
        if not finite(self.table):
            raise ValueError("a row of the table is not finite in float32")
        check_subwords(min_n, max_n, self.buckets)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "FastTextVectors":
        """From a .bin of fastText's, plain or gzip; FormatError where it is not whole.

        Words that are not UTF-8, which published models have, are kept as their bytes.
        """
        model = read_bin(path, errors="surrogateescape")
        return cls(model.words, model.input, model.settings.min_n, model.settings.max_n)

    @property
    def buckets(self) -> int:
        """How many rows the n-grams share."""
        return len(self.table) - len(self._words)

    @cached_property
    def words(self) -> WordVectors:
        """The known words, each with the mean of its rows; a table (V, D) more in memory."""
        subwords = subword_rows(self._words, self.min_n, self.max_n, self.buckets)
        vectors = np.empty((len(self._words), self.table.shape[1]), np.float32)
        fill_means(self.table, subwords, vectors)
        return WordVectors(self._words, vectors)

    @property
    def vectors(self) -> np.ndarray:
        """The vectors of the known words, (V, D)."""
        return self.words.vectors

    def __len__(self) -> int:
        return len(self._words)

    def __repr__(self) -> str:
        return (f"FastTextVectors({len(self)} words + {self.buckets} buckets x "
                f"{self.table.shape[1]} dimensions, n-grams of {self.min_n} to {self.max_n})")

    def __contains__(self, word: str) -> bool:
        """Is the word known?  An unknown one may have a vector all the same."""
        return word in self.words

    # ---- a word, its pieces, and their vectors -----------------------------

    def __getitem__(self, words: str | Iterable[str]) -> np.ndarray:
        """The vector (D,) of a word, known or not, or the vectors (n, D) of a list of n words.

        Raises MissingWord, a KeyError, for an unknown word that has no n-gram either.
        """
        if not isinstance(words, str):
            return np.array([self[word] for word in words],
                            np.float32).reshape(-1, self.table.shape[1])
        if words in self.words:
            return self.words[words]
        rows = bucket_rows(words, len(self), self.min_n, self.max_n, self.buckets)
        if not rows:
            raise MissingWord(words, self._words)
        return self.table[rows].mean(axis=0)

    def ngram_vector(self, ngram: str) -> np.ndarray:
        """The row (D,) that this n-gram shares with all that its hash sends there."""
        if self.buckets == 0:
            raise ValueError(f"the n-gram {ngram!r} has no row: this table has no buckets")
        return self.table[ngram_row(ngram, len(self), self.buckets)]

    def ngrams(self, word: str) -> list[Piece]:
        """The rows that make a word's vector: its own, if it is known, then its n-grams'."""
        own = [Piece(word, self.words.key_to_index[word], self.table[self.words.key_to_index[word]])
               ] if word in self else []
        if self.buckets == 0:
            return own
        rows = bucket_rows(word, len(self), self.min_n, self.max_n, self.buckets)
        names = ngrams(word, self.min_n, self.max_n)
        return own + [Piece(name, row, self.table[row]) for name, row in zip(names, rows)]

    def important_ngrams(self, word: str, topn: int = 3) -> list[tuple[str, float]]:
        """The n-grams without which the word's vector would turn the most (the paper's table 4).

        Returns [(n-gram, cosine of the vector with and without it)], the lowest first.
        """
        pieces, parts = self.ngrams(word), {}
        total = np.sum([piece.vector for piece in pieces], axis=0, dtype=float)
        for piece in pieces:
            if piece.row >= len(self):                     # not the word's own row
                parts[piece.ngram] = parts.get(piece.ngram, 0.0) + piece.vector
        without = [(ngram, float(cosine(total, total - part))) for ngram, part in parts.items()]
        return sorted(without, key=lambda item: item[1])[:topn]

    # ---- questions ---------------------------------------------------------

    def similarity(self, a: str, b: str) -> float:
        """The cosine of two words, known or not."""
        return float(cosine(self[a], self[b]))

    def most_similar(self, positive: str | Iterable[str] = (), negative: str | Iterable[str] = (),
                     topn: int = 10) -> list[tuple[str, float]]:
        """WordVectors.most_similar, for unknown words too: the nearest of the KNOWN words."""
        return self.words.most_similar(self._known(positive), self._known(negative), topn)

    def _known(self, side):
        """A known word stays itself, to be left out of the answer; another is its unit vector."""
        return [word if word in self else l2_normalize(self[word].astype(float))[0]
                for word in ([side] if isinstance(side, str) else side)]


def mean_of_rows(table: np.ndarray, subwords: Subwords, word: int) -> np.ndarray:
    """h of one word.  table: (V + buckets, D) -> (D,)."""
    return table[subwords.rows[subwords.offsets[word]:subwords.offsets[word + 1]]].mean(axis=0)


@kernel
def fill_means(table, subwords, means):
    """mean_of_rows for every word.  means: (V, D) float32, filled."""
    for w in range(len(means)):
        mean, first, end = means[w], subwords.offsets[w], subwords.offsets[w + 1]
        mean[:] = ZERO
        for row in subwords.rows[first:end]:
            x = table[row]
            for d in range(len(mean)):
                mean[d] += x[d]
        share = ONE / np.float32(end - first)
        for d in range(len(mean)):
            mean[d] *= share

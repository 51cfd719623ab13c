"""FastText vectors: word vectors computed from subwords, also for words unseen in training.

Paper     Bojanowski et al. 2017, section 5.4 (unseen words), table 4 (important n-grams)
Equation  h(w) = (1/n) Σ_{g ∈ rows(w)} W_g;  the rows of an unseen word are those of its n-grams
Shapes    W (V + buckets, D): a row for each word, then one for each bucket of n-grams
Cost      O(R·D) once, for the means of the R rows of all words (subwords.Subwords); then as for
          WordVectors
Differs   from the original: an unseen word without n-grams raises MissingWord.  The original gives
          it the zero vector, and returns words nearest to the zero vector.
Read next words/vectors.py (`words` here is a WordVectors), words/fasttext_files.py (the formats)
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
from scratch_embed.text.word_tokenizer import WordTokenizer
from scratch_embed.words.fasttext_files import read_bin
from scratch_embed.words.subwords import (
    Subwords,
    bucket_rows,
    check_subwords,
    index_subwords,
    ngram_row,
    ngrams,
)
from scratch_embed.words.tables import KEEP
from scratch_embed.words.vectors import MissingWord, WordVectors

ZERO, ONE = np.float32(0), np.float32(1)


class SubwordVector(NamedTuple):
    """One of the rows whose mean is the vector of a word."""

    ngram: str                     # or the word itself, for its own row
    row: int
    vector: np.ndarray             # (D,)


class FastTextVectors:
    """The vectors of V known words, and of any other word that has n-grams.

    words          the vectors of the known words, a WordVectors with all its methods
    table          (V + buckets, D) float32, read-only, not copied
    min_n, max_n   the lengths of n-grams, which must be those used in training: others select wrong
                   rows without an error.  `load` reads them from the .bin.
    tokenizer      how the training text was split into words, or None if that is not known; a .bin
                   has no place for it

    >>> table = np.random.default_rng(0).normal(size=(2 + 100, 8))
    >>> vectors = FastTextVectors(["king", "queen"], table, min_n=3, max_n=6)
    >>> vectors
    FastTextVectors(2 words + 100 buckets x 8 dimensions, n-grams of 3 to 6)
    >>> "kings" in vectors, vectors["kings"].shape  # an unknown word has a vector too
    (False, (8,))
    >>> [subword.ngram for subword in vectors.ngrams("king")][:4]
    ['king', '<ki', '<kin', '<king']
    """

    def __init__(self, words: Iterable[str], table: np.ndarray, min_n: int, max_n: int,
                 tokenizer: WordTokenizer | None = None) -> None:
        """words: V different strings; table: (V + buckets, D) float32, finite."""
        self._words, self.min_n, self.max_n = list(words), min_n, max_n
        self.tokenizer = tokenizer
        self.table = np.asarray(table, np.float32).view()
        self.table.flags.writeable = False
        if self.table.ndim != 2 or len(self.table) < len(self._words):
            raise ValueError(f"table: expected at least {len(self._words)} rows, one for each "
                             f"word, got shape {self.table.shape}")
        if not finite(self.table):
            raise ValueError("table: expected finite float32 numbers, got nan or inf")
        check_subwords(min_n, max_n, self.buckets)

    @classmethod
    def load(cls, path: str | os.PathLike, errors: str = KEEP) -> "FastTextVectors":
        """Read fastText's .bin, plain or gzip.  FormatError if it is damaged.

        errors: for words that are not UTF-8; see words/tables.py.  By default their bytes are kept.
        """
        model = read_bin(path, errors)
        return cls(model.words, model.input, model.settings.min_n, model.settings.max_n)

    @property
    def buckets(self) -> int:
        """The number of rows that n-grams share."""
        return len(self.table) - len(self._words)

    @cached_property
    def words(self) -> WordVectors:
        """The known words, each with the mean of its rows: a second table, (V, D)."""
        subwords = index_subwords(self._words, self.min_n, self.max_n, self.buckets)
        vectors = np.empty((len(self._words), self.table.shape[1]), np.float32)
        fill_means(self.table, subwords, vectors)
        return WordVectors(self._words, vectors, self.tokenizer)

    @property
    def index_to_key(self) -> list[str]:
        """The known words, a list."""
        return self._words

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
        """Whether the word is known.  An unknown word may have a vector too."""
        return word in self.words

    # ---- a word, its subwords, and their vectors -----------------------------

    def __getitem__(self, words: str | Iterable[str]) -> np.ndarray:
        """The vector (D,) of a word, known or not, or the vectors (n, D) of a list of n words.

        Raises MissingWord, a KeyError, for an unknown word without n-grams.
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
        """The row (D,) of this n-gram's bucket, which it may share with other n-grams."""
        if self.buckets == 0:
            raise ValueError(f"buckets=0: expected a table with buckets, to look up {ngram!r}")
        return self.table[ngram_row(ngram, len(self), self.buckets)]

    def ngrams(self, word: str) -> list[SubwordVector]:
        """The rows whose mean is the vector of a word: its own, if known, then its n-grams'."""
        own = []
        if word in self:
            row = self.words.key_to_index[word]
            own = [SubwordVector(word, row, self.table[row])]
        if self.buckets == 0:
            return own
        rows = bucket_rows(word, len(self), self.min_n, self.max_n, self.buckets)
        names = ngrams(word, self.min_n, self.max_n)
        return own + [SubwordVector(name, row, self.table[row]) for name, row in zip(names, rows)]

    def important_ngrams(self, word: str, topn: int = 3) -> list[tuple[str, float]]:
        """The n-grams whose removal changes the direction of the word's vector most (table 4).

        -> [(n-gram, cosine of the vectors with and without it)], the lowest first
        """
        subwords, vectors = self.ngrams(word), {}
        total = np.sum([subword.vector for subword in subwords], axis=0, dtype=float)
        for subword in subwords:
            if subword.row >= len(self):                   # not the word's own row
                vectors[subword.ngram] = vectors.get(subword.ngram, 0.0) + subword.vector
        cosines = [(ngram, float(cosine(total, total - v))) for ngram, v in vectors.items()]
        return sorted(cosines, key=lambda item: item[1])[:topn]

    # ---- similarity --------------------------------------------------------

    def similarity(self, a: str, b: str) -> float:
        """The cosine of two words, known or not."""
        return float(cosine(self[a], self[b]))

    def most_similar(self, positive: str | Iterable[str] = (), negative: str | Iterable[str] = (),
                     topn: int = 10, *, restrict_vocab: int | None = None
                     ) -> list[tuple[str, float]]:
        """The same as WordVectors.most_similar.  Accepts unknown words too; returns KNOWN words."""
        return self.words.most_similar(self._known(positive), self._known(negative), topn,
                                       restrict_vocab=restrict_vocab)

    def _known(self, side):
        """Replace unknown words by their normalised vectors.

        Known words stay words, so that most_similar excludes them from its result.
        """
        return [word if word in self else l2_normalize(self[word].astype(float))[0]
                for word in ([side] if isinstance(side, str) else side)]


def mean_of_rows(table: np.ndarray, subwords: Subwords, word: int) -> np.ndarray:
    """The vector of word number `word`.  table: (V + buckets, D) -> h (D,)"""
    return table[subwords.rows[subwords.offsets[word]:subwords.offsets[word + 1]]].mean(axis=0)


@kernel
def fill_means(table, subwords, means):
    """Fill means (V, D) float32 with mean_of_rows of every word."""
    for w in range(len(means)):
        mean, first, end = means[w], subwords.offsets[w], subwords.offsets[w + 1]
        mean[:] = ZERO
        for row in subwords.rows[first:end]:
            x = table[row]
            for d in range(len(mean)):
                mean[d] += x[d]
        scale = ONE / np.float32(end - first)
        for d in range(len(mean)):
            mean[d] *= scale

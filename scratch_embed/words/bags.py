"""Bags: the table rows of a line's words, of their character n-grams and of its word n-grams.

Paper     Joulin, Grave, Bojanowski & Mikolov 2016, "Bag of Tricks for Efficient Text
          Classification", section 2.2; Weinberger et al. 2009 for hashed features
Equation  bag(w₁ … w_T) = all of rows(w_i) (words/subwords.py), and V + (h(w_i … w_j) mod buckets)
          for 1 ≤ j − i < word_ngrams, with repetitions
          h(w_i) = hash(w_i);   h(w_i … w_j) = h(w_i … w_{j−1}) · 116049371 + hash(w_j)  mod 2⁶⁴
Shapes    W (V + buckets, D): V rows of words, then the buckets that both kinds of n-grams share
Cost      O(T·(word_ngrams − 1)) hashes per line of T words, each time the line is read: lines are
          stored as word numbers, not as rows
Differs   from the paper, like fastText: hash is the 32-bit hash of words/subwords.py as a signed
          number, extended to 64 bits: the upper 32 bits of a negative number are ones
Read next words/supervised.py (how the rows are learned), words/classifier.py (how they are used)

A bag of words does not depend on word order: "good , not bad" and "bad , not good" have the same
bag.  Word n-grams add some of the order ("not bad" is a word bigram), and hashing gives each a row
without a list of all n-grams.  A word outside the vocabulary has no row of its own, but its
character n-grams have rows (if max_n is set), and so have the word n-grams that contain it.
"""
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.kernel import kernel
from scratch_embed.text.vocab import Corpus
from scratch_embed.words.subwords import (
    ALL_32,
    FNV_START,
    Subwords,
    bucket_rows,
    check_subwords,
    fnv1a,
    fnv_step,
    index_subwords,
    to_bytes,
)

u64 = np.uint64
WORD_NGRAM_PRIME = u64(116049371)
ALL_64 = 2**64 - 1


# ---- the definition, for one line -------------------------------------------------------------

def signed_hash(word: str) -> int:
    """fnv1a(word) as a signed 32-bit number, −2³¹ … 2³¹ − 1."""
    h = fnv1a(to_bytes(word))
    return h - 2**32 if h >= 2**31 else h


def word_ngram_rows(words: Sequence[str], word_ngrams: int, V: int, buckets: int) -> list[int]:
    """The rows of all n-grams of 2 to word_ngrams words, sorted by first word, then by length."""
    rows = []
    for i in range(len(words)):
        h = signed_hash(words[i]) & ALL_64
        for word in words[i + 1:i + word_ngrams]:
            h = (h * int(WORD_NGRAM_PRIME) + signed_hash(word)) & ALL_64
            rows.append(V + h % buckets)
    return rows


# ---- many lines -------------------------------------------------------------------------------

class Bags(NamedTuple):
    """Lines of text, with all that is needed to compute the bag of each line."""

    lines: Corpus                  # numbers 0..S−1 of S different words, known or unknown
    subwords: Subwords             # the rows of each of the S words: its own, its n-grams'
    hashes: np.ndarray             # (S,) uint64: signed_hash, sign-extended
    V: int                         # the number of words in the vocabulary
    buckets: int                   # the number of rows that n-grams share
    word_ngrams: int               # the most words in a word n-gram; 1: no word n-grams


class Features:
    """The vocabulary and the settings that determine the bag of a line.

    words         the vocabulary, V different strings
    word_ngrams   the most words in a word n-gram; 1: no word n-grams
    min_n, max_n  the shortest and longest character n-grams; max_n = 0: no character n-grams
    buckets       the number of rows that n-grams share, after the V rows of words
    """

    def __init__(self, words: Iterable[str], word_ngrams: int = 1, min_n: int = 0, max_n: int = 0,
                 buckets: int = 0) -> None:
        """Raises ValueError for settings that are invalid or inconsistent, or a repeated word."""
        self.words = list(words)
        self.index = {word: number for number, word in enumerate(self.words)}
        self.word_ngrams, self.min_n, self.max_n, self.buckets = word_ngrams, min_n, max_n, buckets
        check_subwords(min_n, max_n, buckets)
        require_whole("word_ngrams", word_ngrams, 1)
        if word_ngrams > 1 and buckets == 0:
            raise ValueError(f"word_ngrams={word_ngrams}: expected buckets of at least 1, got 0")
        if len(self.index) < len(self.words):
            raise ValueError("words: expected different words, got one of them twice")

    def rows_of(self, word: str) -> np.ndarray:
        """The rows of a word, in the vocabulary or not.  (n,) int32."""
        number = self.index.get(word)
        if number is None:
            return np.array(bucket_rows(word, len(self.words), self.min_n, self.max_n,
                                        self.buckets), np.int32)
        return self._known.rows[self._known.offsets[number]:self._known.offsets[number + 1]]

    @cached_property
    def _known(self):
        return index_subwords(self.words, self.min_n, self.max_n, self.buckets)

    def bags(self, words: Sequence[str], lines: Corpus) -> Bags:
        """The Bags of lines.  words: S different words; lines: a Corpus of their numbers 0..S−1"""
        word_rows = [self.rows_of(word) for word in words]
        rows = np.concatenate([np.zeros(0, np.int32), *word_rows])
        offsets = np.cumsum([0, *map(len, word_rows)])
        hashes = hash_words(words) if self.word_ngrams > 1 else np.zeros(0, u64)
        return Bags(lines, Subwords(rows, offsets), hashes, len(self.words), self.buckets,
                    self.word_ngrams)


@kernel
def fill_bag(bags, line, bag):
    """Fill `bag` with the rows of a line: its words', then its word n-grams'.  -> how many rows"""
    n, ids = 0, bags.lines.ids[bags.lines.offsets[line]:bags.lines.offsets[line + 1]]
    for word in ids:
        for at in range(bags.subwords.offsets[word], bags.subwords.offsets[word + 1]):
            bag[n] = bags.subwords.rows[at]
            n += 1
    if bags.word_ngrams > 1:
        for i in range(len(ids)):
            h = bags.hashes[ids[i]]
            for j in range(i + 1, min(i + bags.word_ngrams, len(ids))):
                h = h * WORD_NGRAM_PRIME + bags.hashes[ids[j]]
                bag[n] = bags.V + np.int64(h % u64(bags.buckets))
                n += 1
    return n


@kernel
def max_bag_size(bags, lines):
    """An upper bound on the number of rows that fill_bag writes for any of these lines."""
    longest = 0
    for line in lines:
        n, ids = 0, bags.lines.ids[bags.lines.offsets[line]:bags.lines.offsets[line + 1]]
        for word in ids:
            n += bags.subwords.offsets[word + 1] - bags.subwords.offsets[word]
        longest = max(longest, n + len(ids) * (min(bags.word_ngrams, len(ids)) - 1))
    return longest


def hash_words(words: Sequence[str]) -> np.ndarray:
    """signed_hash of every word, sign-extended.  (S,) uint64."""
    encoded = [to_bytes(word) for word in words]
    hashes = np.empty(len(encoded), np.int64)
    fill_hashes(np.frombuffer(b"".join(encoded), np.int8), np.cumsum([0, *map(len, encoded)]),
                hashes)
    return hashes.view(u64)


@kernel
def fill_hashes(text, offsets, hashes):
    """Fill hashes (S,) int64 with signed_hash of the words text[offsets[w]:offsets[w+1]] (int8)."""
    for w in range(len(hashes)):
        h = np.int64(FNV_START)
        for byte in text[offsets[w]:offsets[w + 1]]:
            h = fnv_step(h, byte)
        hashes[w] = h - (ALL_32 + 1) if h > ALL_32 // 2 else h

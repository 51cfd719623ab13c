"""Baselines for any evaluation: random vectors, and bags of words.

Equation  random vectors   x ~ N(0, 1)ᴰ, one draw for each different text
          bag of words     x_w = count of word w in the text, then x / ‖x‖
Shapes    encode(list of N texts) -> (N, D) float32, as every encoder here
Cost      a bag of words takes N·V numbers, which are checked against the memory first.  Counting in
          Python is fast enough for tasks of some thousand texts: no kernel.
Differs   no hashing trick: each word of the vocabulary has its own column, other words have none
Read next evaluate/probe.py, evaluate/cluster.py

Random vectors measure chance and what the protocol itself adds to it: the most frequent class, the
best of all thresholds, repeated texts.  A bag of words measures what needs neither word order nor
synonyms nor training.  If a model is not better than a bag of words, the task shows no effect of
its training.
"""
import hashlib
import re
from collections.abc import Sequence

import numpy as np

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.memory import require_memory
from scratch_embed.text.vocab import index_sentences

WORD = re.compile(r"\w+")


class RandomVectors:
    """encode() draws a random vector for each text: the same text, the same vector, always."""

    def __init__(self, dim: int = 128, seed: int = 0) -> None:
        self.dim, self.seed = dim, seed

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """texts: N strings -> (N, dim) float32."""
        vectors = np.empty((len(texts), self.dim), np.float32)
        for row, text in zip(vectors, _listed(texts)):
            digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            row[:] = np.random.default_rng([self.seed, *digest]).standard_normal(self.dim)
        return vectors


class BagOfWords:
    """encode() counts the words of a text, lower-cased, that are in the vocabulary.

    texts       N strings whose words are the vocabulary, for instance a training set
    max_size    the most frequent words are kept, at most this many
    min_count   words with fewer occurrences are left out
    Raises      ValueError if no word is left.
    """

    def __init__(self, texts: Sequence[str], max_size: int = 20_000, min_count: int = 1) -> None:
        vocab, _ = index_sentences([_words(text) for text in _listed(texts)], min_count, max_size)
        self.index = vocab.index

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """texts: N strings -> (N, V) float32, rows of length 1, or zero if no word is known."""
        require_memory(2 * 4 * len(texts) * len(self.index), f"a bag of {len(self.index)} words "
                                                             f"for each of {len(texts)} texts")
        counts = np.zeros((len(texts), len(self.index)), np.float32)
        for row, text in zip(counts, _listed(texts)):
            for word in _words(text):
                if word in self.index:
                    row[self.index[word]] += 1
        return l2_normalize(counts)[0]


def _words(text):
    return WORD.findall(text.lower())


def _listed(texts):
    if isinstance(texts, str):
        raise ValueError("texts: expected a list, got one string; put it in a list")
    return texts

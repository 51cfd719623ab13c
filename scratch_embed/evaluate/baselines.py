"""What a score must beat: vectors that know nothing, and vectors that know only the words.

Equation  random vectors   x ~ N(0, 1)ᴰ, one draw for each different text
          bag of words     x_w = how often word w stands in the text, then ‖x‖ = 1
Shapes    encode(list of N texts) -> (N, D) float32, as every encoder here
Cost      a bag of words takes N·V numbers, which is checked against the memory first;
          counting in Python is fast enough for tasks of some thousand texts: no kernel.
Differs   no hashing trick: a word of the vocabulary has a column of its own, others have none.
Read next evaluate/probe.py, evaluate/cluster.py

Random vectors show what chance and the protocol itself are worth: the most frequent class, the best
of all thresholds, repeated texts.  A bag of words shows what needs no order, no synonyms and no
training.  A model that does not beat it has learnt nothing that the task can show.
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
    """encode() draws a vector for each text; the same text, the same vector, in every process."""

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
    """encode() counts words; the vocabulary is that of the texts given at first, lower-cased.

    texts       N strings, for instance a training set
    max_size    at most so many words, the most frequent; min_count: seen at least so often
    Raises      ValueError where no word is left.
    """

    def __init__(self, texts: Sequence[str], max_size: int = 20_000, min_count: int = 1) -> None:
        vocab, _ = index_sentences([_words(text) for text in _listed(texts)], min_count, max_size)
        self.index = vocab.index

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """texts: N strings -> (N, V) float32 rows of length 1, or 0 where no word is known."""
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
        raise ValueError("expected a list of texts, found one string; put it in a list")
    return texts

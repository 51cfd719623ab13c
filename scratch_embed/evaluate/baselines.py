"""Baselines for any evaluation: random vectors, and bags of words.

Equation  random vectors   x ~ N(0, I), drawn once for each distinct text
          bag of words     x_w = count of word w in the text, then x / ‖x‖
Shapes    encode(list of N texts) -> (N, D) float32, like every encoder here
Cost      a bag of words needs N·V float32, and as much again while rows are normalised; encode()
          raises MemoryError if the machine has less.  Words are counted in a Python loop, which
          is meant for a few thousand texts, so there is no kernel.
Differs   from scikit-learn's CountVectorizer: words of one character count too, and rows have norm
          1.  Unlike in HashingVectorizer, each word has its own column, and words outside the
          vocabulary are ignored.
Read next evaluate/probe.py, evaluate/cluster.py

Random vectors give the score of chance for the whole evaluation.  It is often above that of a
random guess: a classifier may always predict the most frequent class, a threshold is chosen to fit
the test data, and equal texts have equal vectors.  A bag of words gives the score that is possible
without word order, synonyms or training.  If a model is not better than a bag of words, this task
gives no evidence that its training helped.
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
    """encode() draws a random vector for each text.

    Equal texts get equal vectors, for the same seed, dim and version of NumPy.
    """

    def __init__(self, dim: int = 128, seed: int = 0) -> None:
        self.dim, self.seed = dim, seed

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """texts: N strings -> (N, dim) float32."""
        vectors = np.empty((len(texts), self.dim), np.float32)
        for row, text in zip(vectors, _require_list(texts)):
            digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            row[:] = np.random.default_rng([self.seed, *digest]).standard_normal(self.dim)
        return vectors


class BagOfWords:
    """encode() counts a text's words that are in the vocabulary, and scales the counts to norm 1.

    Texts are lower-cased; a word is a run of letters, digits and underscores.

    texts            the texts from which the vocabulary is taken, for instance a training set
    max_vocab_size   keep at most this many words, the most frequent ones (scikit-learn's
                     CountVectorizer calls it max_features)
    min_count        words with fewer occurrences are left out
    Raises           ValueError if no word is left.
    """

    def __init__(self, texts: Sequence[str], max_vocab_size: int = 20_000, min_count: int = 1
                 ) -> None:
        words = [_words(text) for text in _require_list(texts)]
        vocab, _ = index_sentences(words, min_count, max_vocab_size)
        self.index = vocab.index

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """texts: N strings -> (N, V) float32, rows of norm 1; 0 for a text without a known word."""
        require_memory(2 * 4 * len(texts) * len(self.index), f"the counts of {len(self.index)} "
                                                             f"words in {len(texts)} texts")
        counts = np.zeros((len(texts), len(self.index)), np.float32)
        for row, text in zip(counts, _require_list(texts)):
            for word in _words(text):
                if word in self.index:
                    row[self.index[word]] += 1
        return l2_normalize(counts)[0]


def _words(text):
    return WORD.findall(text.lower())


def _require_list(texts):
    if isinstance(texts, str):
        raise ValueError("texts: expected a list, got one string; put it in a list")
    return texts

"""A sentence's vector from the vectors of its words: the mean of their directions.

Equation  s = (1/n) Σ_w v_w / |v_w|   over the n words that have a vector other than 0
Shapes    N texts -> (N, D) float32
Cost      O(D) a word.
Differs   nothing known.  This is what fastText does for unsupervised models; for supervised ones it
          takes the mean of a line's bag (Classifier.encode of words/classifier.py).
Read next words/fasttext_vectors.py (unknown words have vectors too), words/vectors.py

Without the division a rare word with a long vector would speak for the whole sentence.  The order
of words is not seen.  It is a baseline that is hard to beat by much (Wieting et al. 2016; Arora,
Liang & Ma 2017), and free.
"""
from collections.abc import Iterable
from contextlib import suppress

import numpy as np

from scratch_embed.space.similarity import unit
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.subwords import to_bytes
from scratch_embed.words.vectors import MissingWord, WordVectors


def sentence_vectors(vectors: FastTextVectors | WordVectors, texts: str | Iterable[str]
                     ) -> np.ndarray:
    """str -> (D,), n of them -> (n, D).  0 for a text of which no word has a vector.

    Words are what stands between ASCII white space.  A WordVectors knows its own words alone.
    """
    dim = (vectors.vectors if isinstance(vectors, WordVectors) else vectors.table).shape[1]
    S = np.array([mean_direction(_vectors_of(vectors, text), dim)
                  for text in ([texts] if isinstance(texts, str) else texts)],
                 np.float32).reshape(-1, dim)
    return S[0] if isinstance(texts, str) else S


def mean_direction(X: np.ndarray, dim: int) -> np.ndarray:
    """The mean of the unit vectors of the rows of X that are not 0.  X: (n, dim) -> (dim,)."""
    X = np.asarray(X, np.float64).reshape(-1, dim)
    X = X[X.any(axis=1)]
    return unit(X).sum(axis=0) / max(1, len(X))


def _vectors_of(vectors, text):
    """The vectors of the words of a text that have one, each as often as it stands there."""
    found = []
    for word in to_bytes(text).split():
        with suppress(MissingWord):
            found.append(vectors[word.decode("utf-8", "surrogateescape")])
    return found

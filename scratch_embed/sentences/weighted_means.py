"""The weighted mean of the vectors of a sentence's words, in NumPy and as a kernel.

Equation  x_s = 1/|s| Σ_{w in s} weight_w v_w;  0 for a sentence without words
Shapes    v (U, D), weights (U,); S sentences -> x (S, D)
Cost      O(D) per word
Read next sentences/static.py (which weights, and why)
"""
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.text.vocab import Corpus


class Table(NamedTuple):
    """The vectors and weights of the U known words of some texts."""

    rows: np.ndarray               # (U, D) float32, the vectors
    weights: np.ndarray            # (U,) float64


def weighted_means(corpus: Corpus, table: Table) -> np.ndarray:
    """x_s = 1/|s| Σ weight · v, in NumPy.  corpus: S sentences of row numbers -> (S, D) float64"""
    ids, offsets = corpus
    x = np.zeros((len(offsets) - 1, table.rows.shape[1]))
    for s in range(len(x)):
        numbers = ids[offsets[s]:offsets[s + 1]]
        if len(numbers):
            x[s] = table.weights[numbers] @ table.rows[numbers].astype(np.float64) / len(numbers)
    return x


@kernel(keep_order=True)
def weighted_means_kernel(corpus, table):
    """weighted_means, word by word: a vector's bits do not depend on the rest of the batch."""
    S, D = len(corpus.offsets) - 1, table.rows.shape[1]
    means = np.zeros((S, D))
    for s in range(S):
        x, first, end = means[s], corpus.offsets[s], corpus.offsets[s + 1]
        for i in corpus.ids[first:end]:
            v, weight = table.rows[i], table.weights[i]
            for d in range(D):
                x[d] += weight * v[d]
        if end > first:
            for d in range(D):
                x[d] /= end - first
    return means


def batches(corpus: Corpus, size: int) -> Iterator[tuple[int, Corpus]]:
    """Yield (s, Corpus of sentences s .. s + size − 1), in order; ids are not copied."""
    for s in range(0, len(corpus.offsets) - 1, size):
        yield s, Corpus(corpus.ids, corpus.offsets[s:s + size + 1])

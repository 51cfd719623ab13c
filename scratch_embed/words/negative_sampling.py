"""Negative sampling: the noise distribution of negatives, and a draw from it in constant time.

Paper     Mikolov et al. 2013b, section 2.2: Pneg(w) ∝ count(w)^¾ (the paper's P_n).
          Walker 1977, "An Efficient Method for Generating Discrete Random Variables with General
          Distributions"; Vose 1991 for the construction of the table in O(V)
Shapes    alias table: accept (V,) float32, alias (V,) int32
Cost      one random number and two look-ups per draw, for any V
Differs   word2vec.c draws from a table of 10⁸ word numbers, gensim by a binary search in the
          cumulative sums of the probabilities

Why count^¾?  Mikolov et al. found it better than the word frequencies (power 1) and than a uniform
distribution (power 0).  It is between the two: rare words have a larger share of the negatives than
of the text.

The alias table.  Divide the total mass 1 into V columns of mass 1/V, one for each word.  A word
with a mass below 1/V fills a part of its column; one word with a larger mass, its alias, fills the
rest.  For words of probability 1/2, 1/4 and 1/4, in columns of mass 1/3:
    column 0   word 0 alone                      accept 1
    column 1   3/4 word 1,  1/4 its alias 0      accept 3/4
    column 2   3/4 word 2,  1/4 its alias 0      accept 3/4
Word 1 has 3/4 · 1/3 = 1/4, and word 0 has 1/3 + 1/12 + 1/12 = 1/2.  To draw, choose a column
uniformly, and then its own word with probability accept, or else its alias.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import below, uniform32


class AliasTable(NamedTuple):
    """An alias table: column w gives w with probability accept[w], else alias[w]."""

    accept: np.ndarray             # (V,) float32
    alias: np.ndarray              # (V,) int32


def noise_distribution(counts: np.ndarray, power: float = 0.75) -> np.ndarray:
    """Pneg(w) = count(w)^power / Σ count^power.  (V,) -> (V,) float64"""
    weights = np.asarray(counts, np.float64) ** power
    return weights / weights.sum()


def alias_table(probabilities: np.ndarray) -> AliasTable:
    """The alias table of `probabilities` (V,), ≥ 0 with sum 1: V columns of at most two words each.

    >>> table = alias_table(np.array([1/2, 1/4, 1/4]))
    >>> table.accept.tolist(), table.alias.tolist()
    ([1.0, 0.75, 0.75], [0, 0, 0])
    """
    V = len(probabilities)
    mass = np.asarray(probabilities, np.float64) * V       # 1 fills a column
    alias = np.arange(V, dtype=np.int32)
    small = [w for w in range(V) if mass[w] < 1]
    large = [w for w in range(V) if mass[w] >= 1]
    while small and large:
        less, more = small.pop(), large[-1]
        alias[less] = more                                 # `more` fills the rest of the column
        mass[more] -= 1 - mass[less]
        if mass[more] < 1:
            small.append(large.pop())
    # words left in either list fill their columns, up to rounding: each is its own alias
    return AliasTable(mass.astype(np.float32), alias)


@kernel
def draw_negative(noise, bits):
    """Draw a word.  bits: 64 random bits; the high ones choose the column, the low ones decide.

    No NumPy form: the last sentence of the module's docstring describes the draw.
    """
    word = below(bits, len(noise.accept))
    return word if uniform32(bits) < noise.accept[word] else np.int64(noise.alias[word])

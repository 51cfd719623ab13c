"""Drawing noise words: often those that are frequent, but less often than they are.

Paper     Mikolov et al. 2013b, section 2.2: Pⁿ(w) ∝ count(w)^¾.
          Walker 1977, "An Efficient Method for Generating Discrete Random Variables with General
          Distributions"; Vose 1991 for the table's construction in O(V).
Shapes    accept (V,) float32, alias (V,) int32
Cost      one random number, two look-ups a draw, whatever V is.
Differs   word2vec.c looks up a table of 10⁸ entries, gensim searches a cumulative sum.

The alias table: cut the total mass 1 into V columns of equal mass 1/V.  A rare word fills its
column in part; the rest of it is given to one frequent word, the alias.  To draw, choose a column
and then, by accept, its own word or its alias.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import below, uniform32


class Noise(NamedTuple):
    """An alias table: column w gives w with probability accept[w], else alias[w]."""

    accept: np.ndarray             # (V,) float32
    alias: np.ndarray              # (V,) int32


def noise_distribution(counts: np.ndarray, power: float = 0.75) -> np.ndarray:
    """Pⁿ(w) = count(w)^power / Σ.  (V,) -> (V,) float64."""
    weights = np.asarray(counts, np.float64) ** power
    return weights / weights.sum()


def alias_table(probabilities: np.ndarray) -> Noise:
    """Cut `probabilities` (V,), ≥ 0 with sum 1, into V equal columns of at most two words each."""
    V = len(probabilities)
    mass = np.asarray(probabilities, np.float64) * V       # 1 fills a column
    alias = np.arange(V, dtype=np.int32)
    small = [w for w in range(V) if mass[w] < 1]
    large = [w for w in range(V) if mass[w] >= 1]
    while small and large:
        poor, rich = small.pop(), large[-1]
        alias[poor] = rich                                 # rich fills the rest of poor's column
        mass[rich] -= 1 - mass[poor]
        if mass[rich] < 1:
            small.append(large.pop())
    # what is left in either list is full but for rounding, and is its own alias
    return Noise(mass.astype(np.float32), alias)


@kernel
def draw(noise, bits):
    """A word number from 64 random bits: the high ones choose the column, the low ones accept.

    It has no NumPy form, for it is the last sentence above, word for word.
    """
    word = below(bits, len(noise.accept))
    return word if uniform32(bits) < noise.accept[word] else np.int64(noise.alias[word])

"""What one sense can tell about another: the best possible accuracy and recall, and chance.

Equation  shared(a, b) = the attributes that both senses show;  C = the product of their numbers of
          values;  in a gallery of N scenes, m = 1 + Binomial(N − 1, 1/C) agree with the query in
          all shared attributes, the right one and others
          best recall@K = E[min(1, K/m)],  chance K/N
          best accuracy for an attribute = 1 if it is known, else 1 / its number of values
Read next worlds/scenes.py (KNOWN), multimodal/imagebind.py (learns to match senses)

A recall of 0.12 may be perfect: a depth image shows shape and size, 12 combinations, so among 1,000
images about 83 fit it, and the best ranker finds the right one among its first 10 in 12 % of cases.

Derivation.  A ranker knows the query's attributes A, of one sense, and the attributes B of each
item, of another.  The attributes of a scene are independent and uniform, so given B the probability
that an item has the query's attributes is 0 if they differ in a shared one, and else the same
number for all items.  So the m items that agree are equally likely to be the right one, and no
order of them is better than another: the right one is at a uniform rank among 1..m.  This holds for
SEEN pairs of shape and colour too, because every sense that shows colours shows shapes.

Through a third sense.  If a and b are each trained to match images, but never each other, then what
they have in common is learned only as far as images show it: shared(a, b, through="image").  A
sound and a motion sensor both show the motion of a thing; an image does not, so training them to
match images gives them no reason to agree about it.
"""
from collections.abc import Sequence
from math import lgamma

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.worlds.scenes import ATTRIBUTES, KNOWN, NAMES, PAIRS, Pair, Scenes

SENSES = tuple(KNOWN)
PAIRED = ("shape", "colour")       # the attributes that `pairs` are about


def shared(a: str, b: str, through: str | None = None) -> tuple[str, ...]:
    """The attributes that senses a and b show, and, if it is given, the sense `through` too.

    >>> shared("audio", "imu"), shared("audio", "imu", through="image")
    (('size', 'motion'), ('size',))
    """
    return _in_all(KNOWN[a], KNOWN[b], *([KNOWN[through]] if through else []))


def _in_all(*groups):
    """The names that are in every group, in the order of NAMES."""
    return tuple(name for name in NAMES if all(name in group for group in groups))


def combinations(attributes: Sequence[str]) -> int:
    """C: how many combinations of values these attributes have; 1 for no attribute."""
    return int(np.prod([len(ATTRIBUTES[name]) for name in attributes]))


# ---- attributes ---------------------------------------------------------------------------------

def best_accuracy(known: Sequence[str], attribute: str, pairs: Sequence[Pair] = PAIRS) -> float:
    """The highest expected accuracy of predicting an attribute from known ones.

    pairs: the combinations of shape and colour that occur.  With PAIRS, values are balanced and
    independent, so for an attribute that is not known it is chance.  With SEEN, each shape has 5
    colours, so to know the shape helps to guess the colour:

    >>> best_accuracy(KNOWN["audio"], "shape"), best_accuracy(KNOWN["audio"], "heat")
    (1.0, 0.5)
    >>> round(best_accuracy(KNOWN["audio"], "colour"), 3)
    0.167
    >>> from scratch_embed.worlds.scenes import SEEN
    >>> round(best_accuracy(KNOWN["audio"], "colour", SEEN), 3)
    0.2
    """
    if attribute in known:
        return 1.0
    if attribute not in PAIRED:
        return chance_accuracy(attribute)
    share = np.zeros([len(ATTRIBUTES[name]) for name in PAIRED])       # P(shape, colour)
    share[tuple(np.array(pairs).T)] = 1 / len(pairs)
    axis = PAIRED.index(attribute)
    other = PAIRED[1 - axis]
    return float(share.max(axis=axis).sum() if other in known else share.sum(axis=1 - axis).max())


def chance_accuracy(attribute: str) -> float:
    """The accuracy of guessing: 1 / the number of values."""
    return 1 / len(ATTRIBUTES[attribute])


# ---- retrieval ----------------------------------------------------------------------------------

def best_recall(attributes: Sequence[str], N: int, K: int) -> float:
    """The highest expected recall@K in a random gallery of N scenes, the query's scene among them.

    attributes: those that both senses show, of shared()

    >>> round(best_recall(shared("depth", "image"), N=1000, K=10), 3)
    0.12
    """
    require_whole("N", N, 1)
    require_whole("K", K, 1)
    others, p = np.arange(N), 1 / combinations(attributes)                     # m − 1
    return float(_binomial(N - 1, p) @ np.minimum(1, K / (1 + others)))


def _binomial(n, p):
    """The probabilities of 0 .. n successes in n trials.  -> (n + 1,)"""
    if p == 1:
        return np.append(np.zeros(n), 1.0)
    logs = [lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * np.log(p)
            + (n - k) * np.log1p(-p) for k in range(n + 1)]
    return np.exp(logs)


def best_recall_of(scenes: Scenes, attributes: Sequence[str], K: int) -> float:
    """The highest expected recall@K if the gallery is these scenes, and each of them a query."""
    return float(np.minimum(1, K / group_sizes(scenes, attributes)).mean())


def group_sizes(scenes: Scenes, attributes: Sequence[str]) -> np.ndarray:
    """m: how many scenes agree with each scene in these attributes, itself included.  -> (n,)"""
    columns = [NAMES.index(name) for name in attributes]
    _, group, sizes = np.unique(scenes.labels[:, columns], axis=0, return_inverse=True,
                                return_counts=True)
    return sizes[group.reshape(-1)]


def chance_recall(N: int, K: int) -> float:
    """The expected recall@K of a random order: K of N places."""
    return min(1.0, K / N)

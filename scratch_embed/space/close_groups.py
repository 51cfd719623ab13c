"""Close groups: in a table of vectors, the groups of rows that are nearest to each other.

Equation  closeness of row i = mean cosine of row i with its n − 1 nearest rows.  A row and these
          nearest rows are a group of n.  Groups are taken from the closest down; a group that
          has a row in common with an earlier one is skipped.
Shapes    X (N, D), rows of norm 1 -> lists of n row numbers, the closest group first
Cost      O(N² D), matrix products in blocks; so there is no kernel
Read next plotting.py (which words of a vocabulary a map shows), evaluate/kmeans.py

Why not the first words of a vocabulary?  The most frequent words of a language are its function
words (the, and, of), whose neighbours are unspecific.  Words of one topic (the months, a family)
occur with the same words, so they are close to each other, and a map of them shows what was
learned.  k-means assigns every row to a group; here, rows outside the close groups are left out.
"""
import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.space.neighbours import nearest


def close_groups(X: np.ndarray, groups: int, size: int) -> list[list[int]]:
    """At most `groups` lists of `size` different rows of X, the closest first.

    X: (N, D), rows of norm 1.  A list has a row, then its size − 1 nearest rows, nearest first.
    No row is in two lists.  Raises ValueError if size is more than N.

    >>> angle = np.radians([0, 50, 5, 90, 52, 140])
    >>> X = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    >>> close_groups(X, groups=2, size=2)
    [[1, 4], [0, 2]]
    """
    groups, size = require_whole("groups", groups, 1), require_whole("size", size, 2)
    if len(X) < size:
        raise ValueError(f"size: expected at most {len(X)}, the number of rows, got {size}")
    rows, cosines = nearest(X, X, size - 1, exclude=np.arange(len(X))[:, None])
    found, taken = [], set()
    for row in np.argsort(-cosines.mean(axis=1), kind="stable").tolist():
        group = [row, *rows[row].tolist()]
        if taken.isdisjoint(group):
            found.append(group)
            taken.update(group)
        if len(found) == groups:
            break
    return found

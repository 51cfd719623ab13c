"""Relative position bias: a learned number for each relative position, added to attention scores.

Papers    Raffel et al. 2020, "Exploring the Limits of Transfer Learning", section 2.1 (T5; also
          in MPNet).  Liu et al. 2021, "Swin Transformer", eq. 4.
Equation  B[h, i, j] = table[index[i, j], h],   added to the scores of nn/attention.py
          T5 and MPNet: index[i, j] = distance_bucket(j − i)
Shapes    index (t, u): row numbers of the table, for t queries and u keys; in self-attention
          u = t.  table p[name + ".weight"] (R, H) -> B (H, t, u)
Cost      O(t u H), once for all sequences and, in T5 and MPNet, for all layers
Differs   The bounds of the buckets are powers; the original takes logarithms in float32.  The
          buckets are equal (tests/transformer/test_encoders.py).
Read next nn/attention.py, transformer/mpnet.py

Models differ only in `index`, which decides which pairs of tokens share a row of the table.  T5
and MPNet: index = bucket(j − i), with one bucket per small distance and wider buckets for larger
distances.  As this index depends on j − i only, the B of a shorter sequence is the upper left
corner of the B of a longer one.  Swin: index = the number of the pair (difference of rows,
difference of columns) of two patches in a window.

Why relative?  The bias depends only on the difference of two positions, so what is learned at one
position holds at all others.

Why wider buckets for larger distances?  Whether a word is the next or the one after it matters, but
hardly whether it is 60 or 61 tokens away; and far distances are rare, so each would be learned from
few examples.  Beyond max_distance all share one bucket: a bias for any length from R H numbers.

Gradient.  Every pair of tokens adds to the row that it looked up, as in an embedding:
    dtable[r, h] = Σ over (i, j) with index[i, j] = r of dB[h, i, j].
"""
import numpy as np

from scratch_embed.nn.contract import ParamOnlyBackward
from scratch_embed.nn.layers import embedding
from scratch_embed.nn.params import Params


def relative_bias(index: np.ndarray, p: Params, name: str
                  ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """B[h, i, j] = table[index[i, j], h].  index: (t, u), table: (R, H) -> B (H, t, u)."""
    rows, back_rows = embedding(index, p, name)                                # (t, u, H)
    return np.ascontiguousarray(np.moveaxis(rows, -1, 0)), lambda dB, g: back_rows(
        np.ascontiguousarray(np.moveaxis(dB, 0, -1)), g)


def distance_buckets(t: int, buckets: int = 32, max_distance: int = 128) -> np.ndarray:
    """T5's index of t tokens: [i, j] is distance_bucket(j − i).  -> (t, t)"""
    token = np.arange(t)
    of_distance = distance_bucket(np.arange(1 - t, t), buckets, max_distance)       # (2t − 1,)
    return of_distance[token - token[:, None] + t - 1]


def distance_bucket(distance: np.ndarray, buckets: int = 32, max_distance: int = 128
                    ) -> np.ndarray:
    """T5's bucket of each distance j − i of a key j from a query i.  Both arrays: (...).

    Keys before the query have the first half of the buckets, keys after it the second half.  In
    each half, the first half of the buckets hold one distance each, 0, 1, ...; the others hold
    ranges whose bounds grow by a constant factor up to max_distance; the last one has no end.

    >>> distance_bucket(np.array([0, -1, -7, -8, -11, -12, -500, 1, 8, 500])).tolist()
    [0, 1, 7, 8, 8, 9, 15, 17, 24, 31]
    """
    half = buckets // 2
    exact = half // 2
    ranges = half - exact
    first = exact * (max_distance / exact) ** (np.arange(ranges) / ranges)    # of each range
    n = np.abs(distance)
    bucket = np.where(n < exact, n, exact - 1 + np.searchsorted(first, n, side="right"))
    return bucket + np.where(distance > 0, half, 0)

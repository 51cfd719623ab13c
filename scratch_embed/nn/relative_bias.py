"""Relative position bias: a learned number for each relative position, added to attention scores.

Papers    Raffel et al. 2020, "Exploring the Limits of Transfer Learning", section 2.1 (T5; MPNet
          has the same).  Liu et al. 2021, "Swin Transformer", eq. 4.
Equation  B[h, i, j] = table[index[i, j], h],   added to the scores of nn/attention.py
Shapes    index (t, t) row numbers, table p[name + ".weight"] (R, H) -> B (H, t, t)
Cost      O(t² H), once for all sequences and, in T5 and MPNet, for all layers
Read next nn/attention.py

The families differ only in `index`, which says which pairs of tokens share a row of the table.  T5
and MPNet: index = bucket(j − i), with one bucket per small distance and wider buckets for larger
ones; so a shorter sequence's B is the upper left corner of a longer one's.  Swin: index = the pair
(difference of rows, difference of columns) in a window of pixels.

Why relative?  Only differences of positions occur, so a bias that is learned at one position holds
at all others.

Gradient.  Every pair of tokens adds to the row that it read, as in an embedding:
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

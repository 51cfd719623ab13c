"""Relative position bias: a learned number for each relative position, added to attention scores.

Papers    Raffel et al. 2020, "Exploring the Limits of Transfer Learning", section 2.1 (T5; also
          in MPNet).  Liu et al. 2021, "Swin Transformer", eq. 4.
Equation  B[h, i, j] = table[index[i, j], h],   added to the scores of nn/attention.py
Shapes    index (t, u): row numbers of the table, for t queries and u keys; in self-attention
          u = t.  table p[name + ".weight"] (R, H) -> B (H, t, u)
Cost      O(t u H), once for all sequences and, in T5 and MPNet, for all layers
Read next nn/attention.py

Models differ only in `index`, which decides which pairs of tokens share a row of the table.  T5
and MPNet: index = bucket(j − i), with one bucket per small distance and wider buckets for larger
distances.  As this index depends on j − i only, the B of a shorter sequence is the upper left
corner of the B of a longer one.  Swin: index = the number of the pair (difference of rows,
difference of columns) of two patches in a window.

Why relative?  The bias depends only on the difference of two positions, so what is learned at one
position holds at all others.

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

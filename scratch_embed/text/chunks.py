"""Chunks: a long text cut into windows of equal length, which may overlap.

Equation  chunk c is the items c·step .. min(c·step + size, n) − 1,   step = size − overlap,
          C = ⌈(n − overlap)/step⌉ chunks of a text of n > overlap items; 1 if 1 ≤ n ≤ size, 0 if
          n = 0
Shapes    a text of n items (words or token ids) -> C chunks of at most `size`
Cost      O(n size/step): the chunks of a text have together size/step times its length, and so
          many times the passes to encode it and the bytes to store its vectors
Read next evaluate/context.py (how much of a reader's budget chunks need), answers/rag.py

Why chunks?  A vector has a fixed size.  The vector of a long text is a mean over all that the text
says, so it is near to no question in particular; and a model truncates what is longer than its
positions.  And a reader of results, a person or a language model, wants the passage that answers,
not the document around it.

Why an overlap?  A cut can separate the beginning of a statement from its end.  A run of up to
overlap + 1 items is never cut: if it begins in the step of chunk c, at c·step .. c·step + step − 1,
it ends before c·step + step + overlap = c·step + size, and so within chunk c.  A longer run may be
cut.  So the overlap should be the length of a statement, not a share of the chunk.
"""
from collections.abc import Sequence
from typing import Any

import numpy as np

from scratch_embed.numerics.checks import require_whole


def chunk_spans(n: int, size: int, overlap: int = 0) -> list[tuple[int, int]]:
    """(start, end) of each chunk of n items.

    Raises ValueError unless size is at least 1, and the overlap smaller than size.

    >>> chunk_spans(10, size=4, overlap=1)
    [(0, 4), (3, 7), (6, 10)]
    """
    require_whole("n", n)
    require_whole("size", size, 1)
    require_whole("overlap", overlap, 0, size - 1)
    step = size - overlap
    starts = range(0, max(n - overlap, min(n, 1)), step)
    return [(start, min(start + size, n)) for start in starts]


def chunks(items: Sequence | np.ndarray, size: int, overlap: int = 0) -> list[Any]:
    """The chunks of a list of words, of an array of token ids, or of another sequence: its slices.

    >>> chunks("the sailor mended the lamp".split(), size=3, overlap=1)
    [['the', 'sailor', 'mended'], ['mended', 'the', 'lamp']]
    """
    return [items[start:end] for start, end in chunk_spans(len(items), size, overlap)]

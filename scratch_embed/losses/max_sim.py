"""MaxSim scores for training: the mean best match of a query's tokens, with its gradient.

Paper     Khattab & Zaharia 2020 (ColBERT), eq. 3; Chen et al. 2024, "BGE M3-Embedding", section 3.2
          (divided by the number of the query's tokens).
Equation  s_nm = 1/|q_n| Σ_{i in q_n} max_{j in x_m} q_i·x_j
Shapes    Q (T, D) of N queries, offsets (N+1,); X (U, D) of M documents, x_offsets (M+1,): text n
          is rows offsets[n]:offsets[n+1] -> s (N, M)
Cost      O(T U D): one matrix product forward, two backward; BLAS computes them, so there is no
          kernel.  Memory: the scores (T, U) are kept; backward adds about three of this size
Differs   from FlagEmbedding, which pads the texts of a batch: a padded token of a document counts
          as a vector of zeros, so a query token whose best cosine is negative scores 0, unless the
          document is the longest of its batch.  Here nothing is padded.
Read next space/max_sim.py (the same sum without gradient, for search), losses/m3.py (its loss)

Why divide by |q|?  A sum grows with the length of the query, and so would the logits of its
softmax: at the same temperature, long queries would have sharper probabilities than short ones.
The mean lies in −1..1, like a cosine.

Gradient.  Each query token has one best token in each document, j*(i, m), and only they count:
    dq_i = 1/|q_n| Σ_m ds_nm x_{j*(i, m)},   dx_j = Σ_{i, m: j = j*(i, m)} ds_{n(i) m} q_i / |q_n|.
If two tokens of a document are equally good, the first gets all of the gradient.
"""
import numpy as np

from scratch_embed.nn.contract import BackwardEach
from scratch_embed.space.max_sim import check_offsets
from scratch_embed.space.similarity import require_tables


def mean_max_sim(Q: np.ndarray, offsets: np.ndarray, X: np.ndarray, x_offsets: np.ndarray
                 ) -> tuple[np.ndarray, BackwardEach]:
    """The scores of every query with every document.  -> s (N, M), backward(ds) -> dQ, dX.

    Q: (T, D) with offsets (N+1,), X: (U, D) with x_offsets (M+1,); pass rows of norm 1.
    Raises ValueError for a text without tokens, and for offsets that do not fit.

    >>> Q, X = np.eye(2), np.array([[0.6, 0.8], [1.0, 0.0], [0.0, -1.0]])
    >>> mean_max_sim(Q, [0, 2], X, [0, 2, 3])[0].tolist()           # (1 + 0.8)/2, (0 − 1)/2
    [[0.9, -0.5]]
    """
    require_tables(Q, X)
    offsets = _without_empty_texts(offsets, len(Q), "offsets")
    x_offsets = _without_empty_texts(x_offsets, len(X), "x_offsets")
    lengths, x_lengths = np.diff(offsets), np.diff(x_offsets)
    if not len(lengths) or not len(x_lengths):
        raise ValueError(f"expected at least one query and one document, got {len(lengths)} and "
                         f"{len(x_lengths)}")
    S = Q @ X.T                                                       # (T, U)
    best = np.maximum.reduceat(S, x_offsets[:-1], axis=1)             # (T, M)
    s = np.add.reduceat(best, offsets[:-1], axis=0) / lengths[:, None].astype(S.dtype)

    def backward(ds):
        is_best = S == np.repeat(best, x_lengths, axis=1)
        column = np.where(is_best, np.arange(len(X)), len(X))
        first = np.minimum.reduceat(column, x_offsets[:-1], axis=1)   # j*(i, m), (T, M)
        dS = np.zeros_like(S)
        share = (ds / lengths[:, None]).astype(S.dtype)
        np.put_along_axis(dS, first, np.repeat(share, lengths, axis=0), axis=1)
        return dS @ X, dS.T @ Q
    return s, backward


def _without_empty_texts(offsets, total, name):
    """offsets as an array.  ValueError unless they rise from 0 to total, and no text is empty."""
    offsets = check_offsets(offsets, total, name)
    empty = np.flatnonzero(np.diff(offsets) == 0)
    if len(empty):
        raise ValueError(f"{name}: expected at least one token in every text, got none in text "
                         f"{empty[0]}")
    return offsets

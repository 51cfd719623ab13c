"""Late interaction: a text is one vector a token, and each token of the query takes its best match.

Paper     Khattab & Zaharia 2020, "ColBERT: Efficient and Effective Passage Search via
          Contextualized Late Interaction over BERT", eq. 3.
Equation  S(q, x) = Σ_{i in q} max_{j in x} q_i·x_j
Shapes    tokens packed end to end: Q (T, D) with offsets (N+1,), X (U, D) with x_offsets (M+1,);
          text n has the rows offsets[n]..offsets[n + 1] − 1.  -> scores (N, M)
Cost      O(T U D), one matrix product in pieces; a maximum costs less.  No kernel: BLAS owns it.
Memory    beyond the inputs and the result, a few arrays of `block` numbers, or T times the tokens
          of the longest document where that is more.
Differs   ColBERT's scores, which grow with the length of the query; BGE-M3 divides by it, and so
          may the caller, which changes no ranking.  No padding, so nothing is masked.
Read next space/similarity.py, max_sim: the same for one pair of texts

Why it lies between the other two.  With one vector a text all of a document is pressed into D
numbers before the query is known.  A cross-encoder reads both together, and nothing can be computed
before.  Here the tokens of a document are encoded once, and what waits for the query is cheap.
"""
import numpy as np

from scratch_embed.space.similarity import dot_matrix, require_tables

BLOCK = 1 << 20


def max_sim_matrix(Q: np.ndarray, offsets: np.ndarray, X: np.ndarray, x_offsets: np.ndarray,
                   block: int = BLOCK) -> np.ndarray:
    """max_sim() of every query with every document.  -> (N, M) float64.

    Q: (T, D) with offsets (N + 1,), X: (U, D) with x_offsets (M + 1,); callers pass unit rows.
    A query without tokens scores 0; a document without any has no maximum: ValueError.
    """
    Q, X = np.asarray(Q), np.asarray(X)
    require_tables(Q, X)
    offsets = check_offsets(offsets, len(Q), "offsets")
    x_offsets = check_offsets(x_offsets, len(X), "x_offsets")
    empty = np.flatnonzero(np.diff(x_offsets) == 0)
    if len(empty):
        raise ValueError(f"document {empty[0]} has no tokens: leave it out")
    scores = np.zeros((len(offsets) - 1, len(x_offsets) - 1))
    asked = np.flatnonzero(np.diff(offsets))                     # add.reduceat wants no empty part
    if len(asked) == 0:
        return scores
    for docs in _pieces(x_offsets, max(1, block // max(len(Q), X.shape[1]))):
        first, ends = x_offsets[docs.start], x_offsets[docs.start:docs.stop]
        S = dot_matrix(Q, X[first:x_offsets[docs.stop]])         # (T, tokens of these documents)
        best = np.maximum.reduceat(S, ends - first, axis=1)  # (T, documents)
        scores[asked, docs] = np.add.reduceat(best, offsets[asked], axis=0, dtype=np.float64)
    return scores


def _pieces(offsets, most):
    """Slices of documents, one after the other, of `most` tokens or of one document."""
    start, M = 0, len(offsets) - 1
    while start < M:
        end = int(np.searchsorted(offsets, offsets[start] + most, side="right")) - 1
        stop = max(start + 1, end)
        yield slice(start, stop)
        start = stop


def check_offsets(offsets: np.ndarray, total: int, name: str) -> np.ndarray:
    """offsets as integers that rise from 0 to `total`, the number of rows.  ValueError if not."""
    offsets = np.asarray(offsets)
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) == 0 or (
            offsets[0] != 0 or offsets[-1] != total or (offsets[1:] < offsets[:-1]).any()):
        raise ValueError(f"{name}: expected integers that rise from 0 to {total}, the number of "
                         f"rows; found {offsets.dtype} {offsets[:3]} ... of shape {offsets.shape}")
    return offsets

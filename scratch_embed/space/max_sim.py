"""Late interaction: a text is one vector a token, and each token of the query takes its best match.

Paper     Khattab & Zaharia 2020, "ColBERT: Efficient and Effective Passage Search via
          Contextualized Late Interaction over BERT", eq. 3.
Equation  S(q, x) = Σ_{i in q} max_{j in x} q_i·x_j
Shapes    tokens packed end to end: Q (T, D) with off (N + 1,), X (U, D) with x_off (M + 1,);
          text n has the rows off[n]..off[n + 1] − 1.  -> scores (N, M)
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


def max_sim_matrix(Q: np.ndarray, off: np.ndarray, X: np.ndarray, x_off: np.ndarray,
                   block: int = BLOCK) -> np.ndarray:
    """max_sim() of every query with every document.  -> (N, M) float64.

    Q: (T, D) with off (N + 1,), X: (U, D) with x_off (M + 1,); callers pass unit rows.
    A query without tokens scores 0; a document without any has no maximum: ValueError.
    """
    Q, X = np.asarray(Q), np.asarray(X)
    require_tables(Q, X)
    off, x_off = check_offsets(off, len(Q), "off"), check_offsets(x_off, len(X), "x_off")
    empty = np.flatnonzero(np.diff(x_off) == 0)
    if len(empty):
        raise ValueError(f"document {empty[0]} has no tokens: leave it out")
    scores = np.zeros((len(off) - 1, len(x_off) - 1))
    asked = np.flatnonzero(np.diff(off))                     # add.reduceat wants no empty part
    if len(asked) == 0:
        return scores
    for docs in _pieces(x_off, max(1, block // max(len(Q), X.shape[1]))):
        first, ends = x_off[docs.start], x_off[docs.start:docs.stop]
        S = dot_matrix(Q, X[first:x_off[docs.stop]])         # (T, tokens of these documents)
        best = np.maximum.reduceat(S, ends - first, axis=1)  # (T, documents)
        scores[asked, docs] = np.add.reduceat(best, off[asked], axis=0, dtype=np.float64)
    return scores


def _pieces(off, most):
    """Slices of documents, one after the other, of `most` tokens or of one document."""
    start, M = 0, len(off) - 1
    while start < M:
        stop = max(start + 1, int(np.searchsorted(off, off[start] + most, side="right")) - 1)
        yield slice(start, stop)
        start = stop


def check_offsets(off: np.ndarray, total: int, name: str) -> np.ndarray:
    """off as integers that rise from 0 to `total`, the number of rows.  ValueError if not."""
    off = np.asarray(off)
    if off.ndim != 1 or off.dtype.kind not in "iu" or len(off) == 0 or (
            off[0] != 0 or off[-1] != total or (off[1:] < off[:-1]).any()):
        raise ValueError(f"{name}: expected integers that rise from 0 to {total}, the number of "
                         f"rows; found {off.dtype} {off[:3]} ... of shape {off.shape}")
    return off

"""MaxSim (late interaction): one vector per token, and each query token takes its best match.

Paper     Khattab & Zaharia 2020, "ColBERT: Efficient and Effective Passage Search via
          Contextualized Late Interaction over BERT", eq. 3.
Equation  S(q, x) = Σ_{i in q} max_{j in x} q_i·x_j
Shapes    tokens packed end to end: Q (T, D) of N queries with offsets (N+1,), X (U, D) of M
          documents with x_offsets (M+1,); text n is rows offsets[n]:offsets[n+1].  -> scores (N, M)
Cost      O(T U D): a matrix product, computed in blocks by BLAS, so there is no kernel.  The
          maxima cost less.
Memory    beyond the inputs and the result, a few arrays of `block` numbers, or of T times the
          tokens of the longest document if this is more
Differs   ColBERT's score is a sum and grows with the length of the query.  BGE-M3 divides by that
          length, which changes no ranking; the caller can do so too.  Without padding there is
          nothing to mask.
Read next space/similarity.py (max_sim, the same for one pair of texts)

Why one vector per token?  With one vector per text, a document is compressed into D numbers before
the query is known.  A cross-encoder reads both together, so nothing can be computed in advance.
Late interaction lies between them: the tokens of a document are encoded once, and only products
and maxima remain to be computed for a query.
"""
import numpy as np

from scratch_embed.space.similarity import dot_matrix, require_tables

BLOCK = 1 << 20


def max_sim_matrix(Q: np.ndarray, offsets: np.ndarray, X: np.ndarray, x_offsets: np.ndarray,
                   block: int = BLOCK) -> np.ndarray:
    """max_sim() of every query with every document.  -> (N, M) float64.

    Q: (T, D) with offsets (N+1,), X: (U, D) with x_offsets (M+1,); pass rows of norm 1.
    A query without tokens scores 0.  Raises ValueError for a document without tokens.
    """
    Q, X = np.asarray(Q), np.asarray(X)
    require_tables(Q, X)
    offsets = check_offsets(offsets, len(Q), "offsets")
    x_offsets = check_offsets(x_offsets, len(X), "x_offsets")
    empty = np.flatnonzero(np.diff(x_offsets) == 0)
    if len(empty):
        raise ValueError(f"document {empty[0]}: expected at least one token, got none; "
                         "leave it out")
    scores = np.zeros((len(offsets) - 1, len(x_offsets) - 1))
    filled = np.flatnonzero(np.diff(offsets))    # reduceat does not give 0 for an empty query
    if len(filled) == 0:
        return scores
    for docs in _document_blocks(x_offsets, max(1, block // max(len(Q), X.shape[1]))):
        first, starts = x_offsets[docs.start], x_offsets[docs.start:docs.stop]
        S = dot_matrix(Q, X[first:x_offsets[docs.stop]])         # (T, tokens of these documents)
        best = np.maximum.reduceat(S, starts - first, axis=1)     # (T, documents)
        scores[filled, docs] = np.add.reduceat(best, offsets[filled], axis=0, dtype=np.float64)
    return scores


def _document_blocks(offsets, max_tokens):
    """Consecutive slices of documents, with at most max_tokens tokens or a single document each."""
    start, M = 0, len(offsets) - 1
    while start < M:
        end = int(np.searchsorted(offsets, offsets[start] + max_tokens, side="right")) - 1
        stop = max(start + 1, end)
        yield slice(start, stop)
        start = stop


def check_offsets(offsets: np.ndarray, total: int, name: str) -> np.ndarray:
    """offsets as an array; ValueError unless they are integers rising from 0 to `total`."""
    offsets = np.asarray(offsets)
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) == 0 or (
            offsets[0] != 0 or offsets[-1] != total or (offsets[1:] < offsets[:-1]).any()):
        raise ValueError(f"{name}: expected integers that rise from 0 to {total}, the number of "
                         f"rows; got {offsets.dtype} {offsets[:3]} ... of shape {offsets.shape}")
    return offsets

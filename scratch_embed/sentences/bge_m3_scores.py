"""BGE-M3's vectors of three kinds, the scores of queries with documents, and their weighted mean.

Paper     Chen et al. 2024, "BGE M3-Embedding", section 3.2.
Equation  s_dense = y_q·y_d,   s_sparse = Σ_token w_q,token w_d,token,
          s_multi = 1/|q| Σ_i max_j v_q,i·v_d,j,
          s_hybrid = (a s_dense + b s_sparse + c s_multi) / (a + b + c)
Shapes    N queries and M documents -> scores (N, M) of each kind
Cost      s_multi: a product of every token of the queries with every token of the documents
Read next space/max_sim.py, space/sparse.py, sentences/bge_m3_index.py (for many documents)
"""
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.space.max_sim import max_sim_matrix
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.space.sparse import SparseVectors, sparse_scores


class TokenVectors(NamedTuple):
    """A vector for each token of N texts but the first; text n is rows offsets[n]:offsets[n+1]."""

    vectors: np.ndarray            # (T, E), of norm 1
    offsets: np.ndarray            # (N+1,)


class M3Vectors(NamedTuple):
    """The three kinds of vectors of N texts; None for a kind that was not asked for."""

    dense: np.ndarray | None               # (N, D), of norm 1
    sparse: SparseVectors | None           # a weight for each of a text's tokens
    multi: TokenVectors | None             # a vector for each of a text's tokens


class M3Scores(NamedTuple):
    """Scores of N queries with M documents, (N, M) each."""

    dense: np.ndarray
    sparse: np.ndarray
    multi: np.ndarray
    hybrid: np.ndarray                     # their weighted mean


WEIGHTS = (1.0, 1.0, 1.0)          # of the dense, sparse and multi-vector scores, in a search


def hybrid_scores(queries: M3Vectors, documents: M3Vectors, weights: Sequence[float] = WEIGHTS
                  ) -> M3Scores:
    """The scores of every query with every document, of all three kinds, and their weighted mean.

    queries, documents: vectors of all three kinds; weights: of dense, sparse and multi-vector
    """
    a, b, c = check_weights(weights)
    _, q, q_sparse, q_multi = checked_parts(queries, "queries")
    _, x, x_sparse, x_multi = checked_parts(documents, "documents")
    dense = cosine_matrix(q, x)
    sparse, _ = sparse_scores(q_sparse, x_sparse)
    multi = max_sim_matrix(*q_multi, *x_multi) / np.maximum(1, np.diff(q_multi.offsets))[:, None]
    return M3Scores(dense, sparse, multi, (a * dense + b * sparse + c * multi) / (a + b + c))


def checked_parts(vectors: M3Vectors, name: str, weights: Sequence[float] = WEIGHTS
                  ) -> tuple[int, Any, Any, Any]:
    """The number of texts, and their dense, sparse and multi-vector parts.

    Raises ValueError if a part whose weight is above 0 is None, or if the parts have unequal
    numbers of texts.
    """
    parts = vectors._asdict()
    if missing := [kind for kind, weight in zip(parts, weights) if weight and parts[kind] is None]:
        raise ValueError(f"{name}: expected {'all three kinds' if all(weights) else 'the kinds'} "
                         f"of vectors, got no {' and no '.join(missing)}; ask encode() for them")
    counts = {kind: count_texts(part) for kind, part in parts.items() if part is not None}
    return check_counts(name, counts), *vectors


def count_texts(part: Any) -> int:
    """N of a dense (N, D), sparse or multi-vector part."""
    return len(part if isinstance(part, np.ndarray) else part.offsets[1:])


def check_counts(name: str, counts: dict[str, int]) -> int:
    """The number of texts of each part, which must be equal, or ValueError.  {kind: number}"""
    if len({*counts.values()}) != 1:
        raise ValueError(f"{name}: expected vectors of as many texts in each kind, got "
                         + ", ".join(f"{count:,} {kind}" for kind, count in counts.items()))
    return next(iter(counts.values()))


def check_weights(weights: Sequence[float]) -> tuple[float, ...]:
    """The three weights.  Raises ValueError unless they are 0 or more, and one is above 0."""
    found = tuple(float(weight) for weight in weights)
    if len(found) != 3 or not all(0 <= weight < np.inf for weight in found) or sum(found) == 0:
        raise ValueError("weights: expected three numbers of 0 or more, of the dense, the sparse "
                         f"and the multi-vector score, not all 0; got {list(weights)}")
    return found

"""Fewer numbers a vector: the first ones, or those along which the table varies most.

Paper     Kusupati et al. 2022, "Matryoshka Representation Learning", section 3 (prefixes);
          Pearson 1901 (PCA), as in space/geometry.py.
Equation  prefix_m(x) = x[:m] / ‖x[:m]‖
          principal(x) = y / ‖y‖,   y = C (x − mean),   C (m, D) the first m components
Shapes    X (..., D) -> (..., m), rows of length 1; queries and documents alike
Cost      prefix O(m) a vector, principal O(m D).  Both keep 4m bytes of 4D.  BLAS owns
          the product: no kernel.
Differs   sentence-transformers' truncate_dim cuts and leaves the length as it falls out, unless
          it is asked to normalise; the embeddings of OpenAI's `dimensions` are renormalised.
Read next space/quantise.py (a byte a number), space/hamming.py (a bit a number)

Why divide again.  A prefix of a unit vector is shorter than 1, and how much shorter differs from
document to document.  Its dot product with a query is the cosine of the prefixes times that
length: documents with much of their length beyond m are marked down for it, whatever they say.

What a prefix is worth depends on who made the vectors.  Nothing makes the first numbers of an
ordinary embedding better than the others, and a prefix of m is a random choice of m axes.
Matryoshka training sums its loss over prefixes, so that the first numbers carry the most.  PCA
does without training what can be done by turning the axes: among all maps to m numbers and back
that are linear about the mean it loses the least, and Σ ‖x − x̂‖² / (N − 1) over the sample is the
variance along the axes left out.
"""
import operator

import numpy as np

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.geometry import PCA, project


def prefix(X: np.ndarray, dim: int) -> np.ndarray:
    """The first `dim` numbers of each row, at length 1; a zero prefix stays zero.

    X: (..., D) -> (..., dim).  Raises ValueError unless 1 ≤ dim ≤ D.
    """
    X, dim = np.asarray(X), operator.index(dim)
    if X.ndim == 0 or not 1 <= dim <= X.shape[-1]:
        raise ValueError(f"dim: expected 1 to the width of the vectors, found {dim} for vectors "
                         f"of shape {X.shape}")
    return l2_normalize(X[..., :dim])[0]


def principal(X: np.ndarray, pca: PCA) -> np.ndarray:
    """The coordinates along the principal components, at length 1, in X's own float type.

    X: (..., D), pca: geometry.pca(a sample of documents, m) -> (..., m).  The mean that is taken
    off is the sample's, for queries too, so these are cosines about that mean.
    """
    X = np.asarray(X)
    if X.ndim == 0 or X.shape[-1] != pca.components.shape[1]:
        raise ValueError(f"expected vectors of {pca.components.shape[1]} numbers, as those the "
                         f"components were computed from; found shape {X.shape}")
    u, _ = l2_normalize(project(X, pca))
    return u.astype(np.float32 if X.dtype == np.float32 else np.float64)

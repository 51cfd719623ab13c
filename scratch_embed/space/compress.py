"""Shorter vectors: a prefix (Matryoshka) or the first principal components (PCA).

Paper     Kusupati et al. 2022, "Matryoshka Representation Learning", section 3 (prefixes);
          Pearson 1901 (PCA), as in space/geometry.py.
Equation  prefix_m(x) = x[:m] / ‖x[:m]‖
          principal(x) = y / ‖y‖,   y = C (x − mean),   C (m, D) the first m components
Shapes    X (..., D) -> (..., m), rows of length 1; the same function for queries and documents
Cost      prefix O(m) a vector, principal O(m D).  Both store 4m bytes instead of 4D.  BLAS
          computes the product, so there is no kernel.
Differs   sentence-transformers' truncate_dim cuts, and normalises only on request; OpenAI's
          `dimensions` returns normalised vectors, as here
Read next space/quantise.py (one byte per number), space/hamming.py (one bit per number)

Why normalise again?  A prefix of a unit vector is shorter than 1, by an amount that differs from
document to document.  Its dot product with a query is the cosine of the prefixes times that
length, so documents with much of their length beyond m are ranked lower for no other reason.

How good is a prefix?  That depends on the training.  In an ordinary embedding the first numbers
are no better than the others, and a prefix is an arbitrary choice of m axes.  Matryoshka training
adds up its loss over several prefixes, so that the first numbers carry the most.  PCA is the best
that a change of axes can do without training: among all maps to m numbers and back that are linear
about the mean, it has the smallest error Σ ‖x − x̂‖² on the sample, and that error divided by N − 1
is the variance along the axes that are left out.
"""
import operator

import numpy as np

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.geometry import PCA, project


def prefix(X: np.ndarray, dim: int) -> np.ndarray:
    """The first `dim` numbers of each row, scaled to length 1; a zero prefix stays zero.

    X: (..., D) -> (..., dim).  Raises ValueError unless 1 ≤ dim ≤ D.
    """
    X, dim = np.asarray(X), operator.index(dim)
    if X.ndim == 0 or not 1 <= dim <= X.shape[-1]:
        raise ValueError(f"dim: expected 1 to the width of the vectors, got {dim} for vectors "
                         f"of shape {X.shape}")
    return l2_normalize(X[..., :dim])[0]


def principal(X: np.ndarray, pca: PCA) -> np.ndarray:
    """The coordinates along the principal components, scaled to length 1, in X's float type.

    X: (..., D), pca: geometry.pca(a sample of documents, m) -> (..., m).  The mean of the sample is
    subtracted from queries too, so dot products of the results are cosines about that mean.
    Raises ValueError if D is not the width of the components.
    """
    X = np.asarray(X)
    if X.ndim == 0 or X.shape[-1] != pca.components.shape[1]:
        raise ValueError(f"X: expected vectors of {pca.components.shape[1]} numbers, the width of "
                         f"the components; got shape {X.shape}")
    u, _ = l2_normalize(project(X, pca))
    return u.astype(np.float32 if X.dtype == np.float32 else np.float64)

"""Fewer dimensions: truncation (Matryoshka), or the first principal components (PCA).

Paper     Kusupati et al. 2022, "Matryoshka Representation Learning", section 3 (prefixes);
          Pearson 1901 (PCA), as in space/geometry.py.
Equation  prefix_m(x) = x[:m] / ‖x[:m]‖
          principal(x) = y / ‖y‖,   y = C (x − mean),   C (m, D) the first m components
Shapes    X (..., D) -> (..., m), rows of norm 1; the same function for queries and documents
Cost      O(m) per vector for prefix, O(m D) for principal.  In float32 a vector takes 4m bytes
          instead of 4D.  BLAS computes the product, so there is no kernel.
Differs   sentence-transformers' truncate_dim truncates, and normalises only with
          normalize_embeddings=True; OpenAI's `dimensions` returns normalised vectors, as here
Read next losses/matryoshka.py (training for prefixes), why/prefixes.py (prefixes and PCA measured),
          space/quantise.py (one byte per number), space/hamming.py (one bit per number)

Why normalise again?  The prefix of a unit vector has a norm of at most 1, which differs between
documents.  Its dot product with the query's prefix is their cosine times the two norms, so a
document with much of its norm in the dimensions after m would be ranked lower for that reason
alone.

How good is a prefix?  That depends on the training.  In an ordinary embedding the first dimensions
carry no more information than the others, so a prefix is an arbitrary choice of m dimensions.
Matryoshka training adds up its loss over several prefixes, so that the first dimensions carry the
most.  PCA needs no training of the model, only a sample: of all affine maps to m dimensions and
back it has the smallest reconstruction error Σ ‖x − x̂‖² on the sample.  That error, divided by
N − 1, is the variance of the components that are dropped.  (The smallest reconstruction error is
not always the best ranking.)
"""
import operator

import numpy as np

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.geometry import PCA, project


def prefix(X: np.ndarray, dim: int) -> np.ndarray:
    """The first `dim` numbers of each row, scaled to norm 1; a zero prefix stays zero.

    X: (..., D) -> (..., dim).  sentence-transformers' truncate_embeddings, then normalised.
    Raises ValueError unless 1 ≤ dim ≤ D.
    """
    X, dim = np.asarray(X), operator.index(dim)
    if X.ndim == 0 or not 1 <= dim <= X.shape[-1]:
        raise ValueError(f"dim: expected 1 to the dimension of the vectors, got {dim} for "
                         f"vectors of shape {X.shape}")
    return l2_normalize(X[..., :dim])[0]


def principal(X: np.ndarray, pca: PCA) -> np.ndarray:
    """The coordinates along the principal components, scaled to norm 1; a zero row stays zero.

    X: (..., D), pca: fitted to a sample of documents, geometry.pca(sample, m) -> (..., m), float32
    for float32, else float64.  The sample's mean is subtracted from documents and queries alike, so
    dot products of the results are cosines of centred, projected vectors.
    Raises ValueError if D is not the dimension of the components.
    """
    X = np.asarray(X)
    if X.ndim == 0 or X.shape[-1] != pca.components.shape[1]:
        raise ValueError(f"X: expected vectors of {pca.components.shape[1]} numbers, the dimension "
                         f"of the components; got shape {X.shape}")
    u, _ = l2_normalize(project(X, pca))
    return u.astype(np.float32 if X.dtype == np.float32 else np.float64)

"""How a whole table of vectors lies in its space: its main axes, and how evenly it fills it.

Paper     Pearson 1901 (PCA).  Wang & Isola 2020, "Understanding Contrastive Representation
          Learning through Alignment and Uniformity on the Hypersphere", eqs. 5 and 6.
          Mu & Viswanath 2018, "All-but-the-Top", section 2 (isotropy).
Equation  alignment   mean_i ‖x_i − y_i‖^power             partners should be close
          uniformity  log mean_{i<j} exp(−t ‖x_i − x_j‖²)  all should be far from each other
          isotropy    min_c Z(c) / max_c Z(c),  Z(c) = Σ_x exp(c·x),  c eigenvectors of XᵀX
          mean cosine mean_{i<j} cos(x_i, x_j)             near 0, unless all share a direction
Shapes    X, Y (N, D), one vector a row, N ≥ 2
Types     computed in float64, from a float64 copy of the table; nan and inf are refused.
Cost      O(N D²) for pca and isotropy, O(N² D) for uniformity, O(N D) for the others; LAPACK and
          BLAS own the loops, so there is no kernel here.
Differs   isotropy takes every eigenvector c with both signs: an eigenvector has none of its own,
          Z(c) and Z(−c) differ, and the answer must not depend on which one the solver returned.
Read next space/similarity.py, sentences/simcse.py (training improves uniformity)

Alignment and uniformity pull against each other: one point for all is perfectly aligned, points
strewn at random are nearly perfectly uniform.  The contrastive loss is a sum of both.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.similarity import euclidean

BLOCK = 1 << 20      # numbers in the largest temporary of uniformity


class PCA(NamedTuple):
    """The k directions in which a table varies most, and by how much."""
    mean: np.ndarray         # (D,)
    components: np.ndarray   # (k, D) orthonormal rows, largest variance first
    variances: np.ndarray    # (k,) with divisor N − 1


def pca(X: np.ndarray, k: int) -> PCA:
    """The k principal components.  X: (N, D), 1 ≤ k ≤ min(N, D) -> PCA, all in float64.

    An axis has no sign of its own: here its entry of largest magnitude is positive.
    Raises ValueError for another k.
    """
    X = _table(X)
    if not 1 <= k <= min(X.shape):
        raise ValueError(f"k: expected 1 to {min(X.shape)}, the smaller side of {X.shape}, "
                         f"found {k}")
    mean = X.mean(axis=0)
    # X = QR with QᵀQ = 1: R has the singular values and right vectors of X, and is only (D, D)
    R = np.linalg.qr(X - mean, mode="r")
    _, s, Vt = np.linalg.svd(R, full_matrices=False)
    components = Vt[:k]
    largest = np.take_along_axis(components, np.abs(components).argmax(1)[:, None], axis=1)
    return PCA(mean, components * np.sign(largest), s[:k] ** 2 / (len(X) - 1))


def project(X: np.ndarray, pca: PCA) -> np.ndarray:
    """Coordinates along the components, (x − mean)·c.  X: (..., D), pca: a PCA -> (..., k)."""
    return (np.asarray(X) - pca.mean) @ pca.components.T


def alignment(X: np.ndarray, Y: np.ndarray, power: float = 2) -> float:
    """mean_i ‖x_i − y_i‖^power; 0 is best.  X, Y: (N, D), row i the partner of row i -> a number.

    Callers pass unit rows, as the paper does.  Raises ValueError for tables of unequal shape.
    """
    X, Y = _table(X, least=1), _table(Y, least=1)
    if X.shape != Y.shape:
        raise ValueError(f"expected partners row by row, found shapes {X.shape} and {Y.shape}")
    return float(np.mean(euclidean(X, Y) ** power))


def uniformity(X: np.ndarray, t: float = 2.0, block: int = BLOCK) -> float:
    """log mean_{i<j} exp(−t ‖x_i − x_j‖²); lower is better, 0 is one point for all.

    X: (N, D), unit rows as in the paper -> a number, at least −4t.
    Here ‖x − y‖² = ‖x‖² + ‖y‖² − 2 x·y may be used, which ruins small distances: an error ε in
    the exponent changes the result by ε at most, and ε ≤ 4t γ(D + 4) for unit rows.
    """
    X = _table(X)
    N = len(X)
    squares = np.einsum("nd,nd->n", X, X)
    step = max(1, block // N)
    logs = []
    for i in range(0, N - 1, step):
        rows = X[i:i + step]
        exponent = squares[i:i + step, None] + squares[i:] - 2 * (rows @ X[i:].T)
        exponent = -t * np.maximum(exponent, 0)
        exponent[:, :len(rows)][np.tri(len(rows), dtype=bool)] = -np.inf      # only i < j
        logs.append(_log_sum_exp(exponent))
    return float(_log_sum_exp(np.array(logs)) - np.log(N * (N - 1) / 2))


def isotropy(X: np.ndarray) -> float:
    """min Z(c) / max Z(c), Z(c) = Σ_x exp(c·x), over ±the eigenvectors c of XᵀX.

    X: (N, D) -> a number in [0, 1]: 1 if no direction is preferred.  It does see the length of
    the rows.  Where XᵀX has equal eigenvalues their eigenvectors, and so the answer, are not
    unique.
    """
    X = _table(X, least=1)
    _, vectors = np.linalg.eigh(X.T @ X)                     # columns
    along = X @ vectors                                      # (N, D): c·x
    log_Z = np.concatenate([_log_sum_exp(along, axis=0), _log_sum_exp(-along, axis=0)])
    return float(np.exp(log_Z.min() - log_Z.max()))


def mean_cosine(X: np.ndarray) -> float:
    """mean_{i<j} cos(x_i, x_j), a zero row having cosine 0.  X: (N, D) -> a number.

    No pair is formed: ‖Σ u_i‖² = Σ ‖u_i‖² + 2 Σ_{i<j} u_i·u_j.
    """
    u = l2_normalize(_table(X))[0]
    N, total = len(u), u.sum(axis=0)
    return float((total @ total - np.einsum("nd,nd->", u, u)) / (N * (N - 1)))


def _log_sum_exp(x, axis=None):
    """log Σ exp(x): the shift by the largest prevents underflow to log 0."""
    largest = x.max(axis=axis, keepdims=True)
    total = np.exp(x - largest).sum(axis=axis, keepdims=True)
    return np.squeeze(largest + np.log(total), axis=axis)


def _table(X, least=2):
    """X in float64; it must have two axes, at least so many rows, and no nan or inf."""
    X = np.asarray(X).astype(np.float64, casting="same_kind", copy=False)
    if X.ndim != 2 or len(X) < least:
        raise ValueError(f"expected a table (N, D) with N ≥ {least}, found shape {X.shape}")
    broken = np.flatnonzero(~np.isfinite(X).all(axis=1))
    if len(broken):
        raise ValueError(f"expected finite numbers, found nan or inf in {len(broken)} rows, "
                         f"the first of them row {broken[0]}; leave them out")
    return X

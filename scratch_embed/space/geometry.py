"""The geometry of a whole table of vectors: principal axes, alignment, uniformity, isotropy.

Paper     Pearson 1901 (PCA).  Wang & Isola 2020, "Understanding Contrastive Representation
          Learning through Alignment and Uniformity on the Hypersphere", eqs. 5 and 6.
          Mu & Viswanath 2018, "All-but-the-Top", section 2 (isotropy).
Equation  alignment   mean_i ‖x_i − y_i‖^power             pairs (x_i, y_i) should be close
          uniformity  log mean_{i<j} exp(−t ‖x_i − x_j‖²)  all rows should be far from each other
          isotropy    min_c Z(c) / max_c Z(c),  Z(c) = Σ_x exp(c·x),  c eigenvectors of XᵀX
          mean cosine mean_{i<j} cos(x_i, x_j)             near 0, unless the rows share a direction
Shapes    X, Y (N, D), one vector per row; N ≥ 2, for alignment and isotropy N ≥ 1
Types     computed in float64: a table of another type is copied; nan and inf are refused (but not
          checked by project)
Cost      O(N D min(N, D)) for pca, O(N D² + D³) for isotropy, O(N² D) for uniformity, O(N D) for
          the others.  LAPACK and BLAS do the work, so there is no kernel here.
Differs   isotropy takes each eigenvector c with both signs: the sign that a solver returns is
          arbitrary, and Z(c) and Z(−c) differ
Read next space/similarity.py, sentences/simcse.py (training improves uniformity)

Why both alignment and uniformity?  Each alone has a useless optimum: if all rows are equal,
alignment is perfect; if rows are random points of the sphere, uniformity is nearly perfect.  With
many negatives, the contrastive loss becomes the sum of one term for alignment and one for
uniformity.
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

    c and −c are the same axis; the sign is chosen so that the entry of largest magnitude is
    positive.  Raises ValueError for k out of range.
    """
    X = _table(X)
    if not 1 <= k <= min(X.shape):
        raise ValueError(f"k: expected 1 to {min(X.shape)}, the smaller side of {X.shape}, "
                         f"got {k}")
    mean = X.mean(axis=0)
    # X − mean = QR with QᵀQ = 1: R has the same singular values and right singular vectors
    R = np.linalg.qr(X - mean, mode="r")
    _, s, Vt = np.linalg.svd(R, full_matrices=False)
    components = Vt[:k]
    largest = np.take_along_axis(components, np.abs(components).argmax(1)[:, None], axis=1)
    return PCA(mean, components * np.sign(largest), s[:k] ** 2 / (len(X) - 1))


def project(X: np.ndarray, pca: PCA) -> np.ndarray:
    """Coordinates along the components, (x − mean)·c.  X: (..., D), pca: a PCA -> (..., k)."""
    return (np.asarray(X) - pca.mean) @ pca.components.T


def alignment(X: np.ndarray, Y: np.ndarray, power: float = 2) -> float:
    """mean_i ‖x_i − y_i‖^power; 0 is best.  X, Y: (N, D), row i of X paired with row i of Y.

    Pass rows of norm 1, as in the paper.  Raises ValueError for unequal shapes.
    """
    X, Y = _table(X, min_rows=1), _table(Y, min_rows=1)
    if X.shape != Y.shape:
        raise ValueError(f"X, Y: expected equal shapes, a pair in each row; got {X.shape} and "
                         f"{Y.shape}")
    return float(np.mean(euclidean(X, Y) ** power))


def uniformity(X: np.ndarray, t: float = 2.0, block: int = BLOCK) -> float:
    """log mean_{i<j} exp(−t ‖x_i − x_j‖²); lower is better, and 0 means that all rows are equal.

    X: (N, D) -> a number; at least −4t if the rows have norm 1, as in the paper.
    ‖x − y‖² = ‖x‖² + ‖y‖² − 2 x·y loses the digits of small distances (space/similarity.py), but
    is accurate enough here: an error ε in the exponent changes the result by at most ε, and
    ε ≤ 4t γ(D + 4) for rows of norm 1.
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
    """min Z(c) / max Z(c), Z(c) = Σ_x exp(c·x), over the eigenvectors c of XᵀX and their negatives.

    X: (N, D) -> a number in [0, 1]; 1 if Z(c) is the same for all c.  It depends on the
    norms of the rows.  If XᵀX has equal eigenvalues, their eigenvectors are not unique, and so
    neither is the result.
    """
    X = _table(X, min_rows=1)
    _, vectors = np.linalg.eigh(X.T @ X)                     # columns
    along = X @ vectors                                      # (N, D): c·x
    log_Z = np.concatenate([_log_sum_exp(along, axis=0), _log_sum_exp(-along, axis=0)])
    return float(np.exp(log_Z.min() - log_Z.max()))


def mean_cosine(X: np.ndarray) -> float:
    """mean_{i<j} cos(x_i, x_j); the cosine with a zero row is 0.  X: (N, D) -> a number.

    In O(N D), because ‖Σ u_i‖² = Σ ‖u_i‖² + 2 Σ_{i<j} u_i·u_j for u_i = x_i / ‖x_i‖.
    """
    u = l2_normalize(_table(X))[0]
    N, total = len(u), u.sum(axis=0)
    return float((total @ total - np.einsum("nd,nd->", u, u)) / (N * (N - 1)))


def _log_sum_exp(x, axis=None):
    """log Σ exp(x); the largest x is subtracted first, so that the sum is not inf or 0."""
    largest = x.max(axis=axis, keepdims=True)
    total = np.exp(x - largest).sum(axis=axis, keepdims=True)
    return np.squeeze(largest + np.log(total), axis=axis)


def _table(X, min_rows=2):
    """X in float64.  ValueError unless it is finite, with two axes and at least min_rows rows."""
    X = np.asarray(X).astype(np.float64, casting="same_kind", copy=False)
    if X.ndim != 2 or len(X) < min_rows:
        raise ValueError(f"expected a table (N, D) with N ≥ {min_rows}, got shape {X.shape}")
    broken = np.flatnonzero(~np.isfinite(X).all(axis=1))
    if len(broken):
        raise ValueError(f"expected finite numbers, got nan or inf in {len(broken)} rows, "
                         f"the first of them row {broken[0]}; leave them out")
    return X

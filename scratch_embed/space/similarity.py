"""How alike are two vectors: dot product, cosine, angle, distance; in pairs and all with all.

Equation  a·b = Σ_d a_d b_d      cos(a, b) = a·b / (‖a‖ ‖b‖)      angle = arccos cos(a, b)
Shapes    pairs: (..., D), (..., D) -> (...), leading axes broadcast.
          all with all, the functions in _matrix: (N, D), (M, D) -> (N, M).
          A pair alone gives a number, and so the functions of pairs are typed Any.
Types     float32 gives float32, float64 gives float64, and everything else is taken as float64.
          Sums of pairs run in float64 and are rounded once, at the end.
Cost      O(D) a pair.  dot_matrix and cosine_matrix are one product each, and BLAS owns it, so
          there is no kernel here.
nan, inf  nan in, nan out.  inf has no direction (cosine and angle are nan) and is infinitely far
          from what is finite; two of one sign are nan apart.
Read next space/neighbours.py (whom is it most like?), space/geometry.py (how do all of them lie?)

Length must not be seen.  cos(a, b) does not depend on ‖a‖, but a·a does: in float32 it is 0 for
components of 1e-30 and inf for 1e30, and the textbook's cosine is then 0 or nan.  So each vector
is first divided by a power of two that brings its largest component into [½, 1).  That changes
an exponent and no digit; whatever is lost below is under 2⁻¹⁴⁸ of the largest component.
Afterwards a·a lies in [¼, D].

Small angles.  cos falls off as 1 − θ²/2, which rounds to 1 for every θ below √u: of two float32
vectors that are 1e-4 apart arccos says 0.  The chord does not suffer: in the rhombus of two
unit vectors x and y the diagonals are ‖x − y‖ = 2 sin(θ/2) and ‖x + y‖ = 2 cos(θ/2), hence
θ = 2 atan2(‖x − y‖, ‖x + y‖), right to the last digits from 0 to π (W. Kahan).

Small distances.  ‖a − b‖² = ‖a‖² + ‖b‖² − 2 a·b, 2 − 2 cos for unit vectors, would make all
distances one matrix product.  It subtracts two nearly equal numbers: with unit vectors in
float32 it is noise below 3e-4.  So euclidean_matrix takes differences first, in blocks.
"""
from typing import Any

import numpy as np

from scratch_embed.numerics.l2_normalize import l2_normalize, rescale

BLOCK = 1 << 20      # numbers in the largest temporary of euclidean_matrix and angle_matrix


# ---- pairs ------------------------------------------------------------------

def dot(a: np.ndarray, b: np.ndarray) -> Any:
    """a·b.  a, b: (..., D) -> (...).  It can overflow; nothing is rescaled.

    >>> float(dot([1, 2], [3, 4]))
    11.0
    """
    a, b = _pair(a, b)
    return _sum_of_products(a, b).astype(a.dtype)


@np.errstate(invalid="ignore")                   # inf / inf is nan, as promised above
def cosine(a: np.ndarray, b: np.ndarray) -> Any:
    """a·b / (‖a‖ ‖b‖), in [−1, 1]; 0 where a or b is zero.  a, b: (..., D) -> (...).

    Exactly: cos(a, b) = cos(b, a) = −cos(−a, b); cos(a, a) = 1; multiplying a by a power of two
    changes nothing.  The error is at most 2γ(D + 2) in float64, and one rounding more in float32.

    >>> float(cosine([3, 4], [4, 3]))
    0.96
    >>> cosine([[1, 0], [1, 1]], [0, 2]).round(3).tolist()       # leading axes broadcast
    [0.0, 0.707]
    """
    a, b = _pair(a, b)
    x, _ = rescale(a)
    y, _ = rescale(b)
    # one root of the product, not a product of roots: √(s·s) = s exactly, so cos(a, a) = 1
    norms = np.sqrt(_sum_of_products(x, x) * _sum_of_products(y, y))
    cos = _sum_of_products(x, y) / np.where(norms == 0, 1, norms)
    return np.clip(cos, -1, 1).astype(a.dtype)


@np.errstate(invalid="ignore")
def euclidean(a: np.ndarray, b: np.ndarray) -> Any:
    """‖a − b‖ at every scale.  a, b: (..., D) -> (...).

    The relative error is at most γ(D + 3) in float64 and 3u in float32, however close a and b
    are: their difference is rounded once, and nothing is subtracted from it.

    >>> float(euclidean([0, 0], [3, 4]))
    5.0
    """
    a, b = _pair(a, b)
    return _length(a - b)


def angle(a: np.ndarray, b: np.ndarray) -> Any:
    """The angle between a and b in radians, 0 to π; π/2 where a or b is zero.

    a, b: (..., D) -> (...).  The error is at most 4γ(D + 2) radians in float64, also near 0
    and π, and one rounding more in float32.

    >>> round(float(angle([1, 0], [1, 1])), 4)                   # π/4
    0.7854
    """
    a, b = _pair(a, b)
    x, y = l2_normalize(a.astype(np.float64))[0], l2_normalize(b.astype(np.float64))[0]
    far, near = euclidean(x, y), euclidean(x, -y)             # 2 sin(θ/2), 2 cos(θ/2)
    theta = np.where(far + near == 0, np.pi / 2, 2 * np.arctan2(far, near))
    return theta.astype(a.dtype)[()]                          # [()]: a number for one pair


# ---- all with all -----------------------------------------------------------

def dot_matrix(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A Bᵀ.  A: (N, D), B: (M, D) -> (N, M), each within γ(D) ‖a‖ ‖b‖ of a·b.

    >>> dot_matrix([[1, 2]], [[3, 4], [0, 1]]).tolist()
    [[11.0, 2.0]]
    """
    A, B = _tables(A, B)
    return A @ B.T


def cosine_matrix(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """cos of every row of A with every row of B.  (N, D), (M, D) -> (N, M).

    One matrix product in the arrays' own type: within 2γ(D + 2) of cosine(), not bitwise equal.

    >>> cosine_matrix([[1, 0], [3, 4]], [[2, 0], [0, 1], [-1, 0]]).round(2).tolist()
    [[1.0, 0.0, -1.0], [0.6, 0.8, -0.6]]
    """
    A, B = _tables(A, B)
    return np.clip(dot_matrix(l2_normalize(A)[0], l2_normalize(B)[0]), -1, 1)


def euclidean_matrix(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """‖a − b‖ for every row of A with every row of B, as exact as euclidean().

    (N, D), (M, D) -> (N, M).  O(NMD), and far slower than a matrix product.
    Memory: a few blocks of BLOCK numbers, or copies of the smaller table where that is larger.

    >>> euclidean_matrix([[0, 0]], [[3, 4], [0, 1]]).tolist()
    [[5.0, 1.0]]
    """
    return _all_pairs(euclidean, *_tables(A, B))


def angle_matrix(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """The angle of every row of A with every row of B, as exact as angle().

    (N, D), (M, D) -> (N, M).  Cost and memory: twice those of euclidean_matrix, in float64.

    >>> angle_matrix([[1, 0]], [[2, 0], [0, 1]]).round(4).tolist()
    [[0.0, 1.5708]]
    """
    return _all_pairs(angle, *_tables(A, B))


def max_sim(Q: np.ndarray, K: np.ndarray) -> float:
    """Σ_i max_j q_i·k_j: every query token takes its best key.  Q: (N, D), K: (M, D) -> a number.

    ColBERT's late interaction; its callers pass unit rows.  No other choice of a key for each
    query scores higher, and it is not symmetric.  Raises ValueError where there is no key.

    >>> float(max_sim(np.eye(2), np.array([[0.6, 0.8], [1.0, 0.0]])))        # 1 + 0.8
    1.8
    """
    S = dot_matrix(Q, K)
    if S.shape[1] == 0:
        raise ValueError("max_sim needs at least one key: K has no rows")
    return S.max(axis=1).sum(dtype=np.float64)


def require_tables(A: np.ndarray, B: np.ndarray) -> None:
    """Raise ValueError unless A is (N, D) and B is (M, D)."""
    if A.ndim != 2 or B.ndim != 2 or A.shape[1] != B.shape[1]:
        raise ValueError(f"expected two tables of equal width, (N, D) and (M, D), "
                         f"found {A.shape} and {B.shape}")


# ---- inside -----------------------------------------------------------------

def _floats(x):
    """float32 as it is, all else as float64; rows in order, so that layout changes no sum."""
    x = np.asarray(x)
    dtype = np.float32 if x.dtype == np.float32 else np.float64
    return x.astype(dtype, order="C", casting="same_kind", copy=False)


def _require_vectors(a, b):
    """Raise ValueError unless both are (..., D) with the same D."""
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"expected vectors of equal width on the last axis, "
                         f"found shapes {a.shape} and {b.shape}")


def _pair(a, b):
    """Two arrays of vectors, of one float type and one width."""
    a, b = _floats(a), _floats(b)
    _require_vectors(a, b)
    dtype = np.promote_types(a.dtype, b.dtype)
    return a.astype(dtype, copy=False), b.astype(dtype, copy=False)


def _tables(A, B):
    """Two tables, of one float type and one width."""
    A, B = np.asarray(A), np.asarray(B)
    require_tables(A, B)
    return _pair(A, B)


def _sum_of_products(a, b):
    """Σ_d a_d b_d in float64, in an order that does not change when a and b are exchanged."""
    return np.einsum("...d,...d->...", a, b, dtype=np.float64)


def _length(x):
    """‖x‖ at every scale.  x: (..., D) -> (...)."""
    scaled, e = rescale(x)
    return np.ldexp(np.sqrt(_sum_of_products(scaled, scaled)), e[..., 0]).astype(x.dtype)


def _all_pairs(measure, A, B):
    """measure(a, b), which is symmetric, for all rows a and b, a block of rows at a time."""
    if len(A) < len(B):
        return _all_pairs(measure, B, A).T       # walk along the longer table
    out = np.empty((len(A), len(B)), A.dtype)
    step = max(1, BLOCK // max(1, B.size))
    for i in range(0, len(A), step):
        out[i:i + step] = measure(A[i:i + step, None], B)         # (step, 1, D), (M, D)
    return out

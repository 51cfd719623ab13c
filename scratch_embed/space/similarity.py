"""Similarity and distance of vectors: dot product, cosine, angle and Euclidean distance.

Equation  a·b = Σ_d a_d b_d      cos(a, b) = a·b / (‖a‖ ‖b‖)      angle = arccos cos(a, b)
          ‖a − b‖ = √Σ_d (a_d − b_d)²
Shapes    pairs: (..., D), (..., D) -> (...); leading axes broadcast.  One pair gives a NumPy
          scalar, several give an array; the return type is therefore Any.
          all pairs, the functions in _matrix: (N, D), (M, D) -> (N, M)
Types     float32 gives float32, float64 gives float64, real numbers of any other type are
          converted to float64.  The functions of pairs sum in float64 and round the result once;
          euclidean() also rounds each difference a_d − b_d, in the arrays' own type.
Cost      O(D) per pair.  dot_matrix and cosine_matrix are one matrix product each, which BLAS
          computes, so there is no kernel here.
nan, inf  nan gives nan.  A vector with an infinite component has no direction: its cosine and angle
          are nan.  Its distance from a finite vector is inf; if both vectors have the same
          infinity in the same component, it is nan.
Read next space/neighbours.py (the most similar rows), space/geometry.py (a whole table)

Why not the textbook formula (textbook_cosine() below)?  The cosine does not depend on ‖a‖, but a·a
does: in float32, with components near 1e-20, a·a is 1e-40, and a·a · b·b underflows to 0; with
components near 1e20, a·a is inf.  The quotient is then inf or nan.  So cosine() first divides each
vector by the power of two that brings its largest component into [½, 1).  This changes no
digits, except of components below 2⁻¹²⁵ times the largest, which underflow in float32.  Afterwards
a·a lies in [¼, D].

Why not arccos?  For small θ, cos θ = 1 − θ²/2 rounds to 1 whenever θ is below √u (u = 2⁻²⁴ in
float32): for two float32 vectors at an angle of 1e-4, arccos gives 0.  Two unit vectors x and y
span a rhombus with the diagonals ‖x − y‖ = 2 sin(θ/2) and ‖x + y‖ = 2 cos(θ/2), hence
θ = 2 atan2(‖x − y‖, ‖x + y‖), which is accurate from 0 to π (W. Kahan).

Why not ‖a‖² + ‖b‖² − 2 a·b?  It would make all distances one matrix product.  But it subtracts
nearly equal numbers: for unit vectors in float32, distances below 3e-4 are lost in rounding error.
So euclidean_matrix subtracts the vectors themselves, a block of rows at a time.
"""
from typing import Any

import numpy as np

from scratch_embed.numerics.l2_normalize import l2_normalize, rescale

BLOCK = 1 << 20      # numbers in the largest temporary of euclidean_matrix and angle_matrix


# ---- the textbook formula, and an input on which it fails --------------------

def textbook_cosine(a: np.ndarray, b: np.ndarray) -> Any:
    """a·b / √(a·a · b·b) in the vectors' own type, for comparison with cosine().  (D,), (D,) -> ().

    >>> a, b = np.float32([3, 4]), np.float32([4, 3])
    >>> round(float(textbook_cosine(a, b)), 4)
    0.96
    >>> tiny = np.float32(1e-20)                     # tiny · a has the direction of a
    >>> with np.errstate(divide="ignore"):
    ...     float(textbook_cosine(tiny * a, tiny * b))           # a·a · b·b underflows to 0
    inf
    >>> round(float(cosine(tiny * a, tiny * b)), 4)
    0.96
    """
    return (a @ b) / np.sqrt((a @ a) * (b @ b))


# ---- pairs ------------------------------------------------------------------

def dot(a: np.ndarray, b: np.ndarray) -> Any:
    """a·b.  a, b: (..., D) -> (...).  Nothing is rescaled, so the result can overflow.

    >>> float(dot([1, 2], [3, 4]))
    11.0
    """
    a, b = _pair(a, b)
    return _sum_of_products(a, b).astype(a.dtype)


@np.errstate(invalid="ignore")                   # inf / inf is nan, as promised above
def cosine(a: np.ndarray, b: np.ndarray) -> Any:
    """a·b / (‖a‖ ‖b‖), in [−1, 1]; 0 where a or b is zero.  a, b: (..., D) -> (...).

    PyTorch's cosine_similarity; SciPy's distance.cosine is 1 − cos.
    Exactly, to the last bit: cos(a, b) = cos(b, a) = −cos(−a, b); cos(a, a) = 1 for a ≠ 0; and
    multiplying a by a power of two changes nothing, unless it overflows or underflows.  The error
    is at most 2γ(D + 2) in float64, with γ(n) = n u / (1 − n u), plus one rounding in float32.

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
    """‖a − b‖.  No square overflows; a square that underflows is negligible.  (..., D) -> (...)

    The relative error is at most γ(D + 3) in float64 and 3u in float32, unless the result is
    denormal or overflows, however close a and b are: the difference a − b is rounded once, and no
    later step subtracts.

    >>> float(euclidean([0, 0], [3, 4]))
    5.0
    """
    a, b = _pair(a, b)
    return _length(a - b)


def angle(a: np.ndarray, b: np.ndarray) -> Any:
    """The angle between a and b in radians, 0 to π; π/2 where a or b is zero.

    a, b: (..., D) -> (...).  The error is at most 4γ(D + 2) radians in float64, also near 0 and
    π, plus one rounding in float32.

    >>> round(float(angle([1, 0], [1, 1])), 4)                   # π/4
    0.7854
    """
    a, b = _pair(a, b)
    x, y = l2_normalize(a.astype(np.float64))[0], l2_normalize(b.astype(np.float64))[0]
    far, near = euclidean(x, y), euclidean(x, -y)             # 2 sin(θ/2), 2 cos(θ/2)
    theta = np.where(far + near == 0, np.pi / 2, 2 * np.arctan2(far, near))
    return theta.astype(a.dtype)[()]                          # [()]: a number for one pair


# ---- all pairs: every row of A with every row of B --------------------------

def dot_matrix(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A Bᵀ.  A: (N, D), B: (M, D) -> (N, M), each number within γ(D) ‖a‖ ‖b‖ of a·b.

    The bound assumes that no product or sum overflows or underflows.

    >>> dot_matrix([[1, 2]], [[3, 4], [0, 1]]).tolist()
    [[11.0, 2.0]]
    """
    A, B = _tables(A, B)
    return A @ B.T


def cosine_matrix(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """The cosine of every row of A with every row of B.  (N, D), (M, D) -> (N, M).

    sentence-transformers' cos_sim, scikit-learn's cosine_similarity.  One matrix product in the
    arrays' own type, so it is within 2γ(D + 2) of cosine(), but not equal to it bit for bit.

    >>> cosine_matrix([[1, 0], [3, 4]], [[2, 0], [0, 1], [-1, 0]]).round(2).tolist()
    [[1.0, 0.0, -1.0], [0.6, 0.8, -0.6]]
    """
    A, B = _tables(A, B)
    return np.clip(dot_matrix(l2_normalize(A)[0], l2_normalize(B)[0]), -1, 1)


def euclidean_matrix(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """‖a − b‖ for every row of A and every row of B, as accurate as euclidean().

    (N, D), (M, D) -> (N, M).  O(NMD), but slower than a matrix product, which BLAS computes.
    Memory: a few temporaries of BLOCK numbers each, or as large as the smaller table if this is
    more.  scikit-learn's euclidean_distances, torch.cdist.

    >>> euclidean_matrix([[0, 0]], [[3, 4], [0, 1]]).tolist()
    [[5.0, 1.0]]
    """
    return _all_pairs(euclidean, *_tables(A, B))


def angle_matrix(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """The angle between every row of A and every row of B, as accurate as angle().

    (N, D), (M, D) -> (N, M).  It computes two distances per pair, so it is slower than
    euclidean_matrix; its temporaries are float64.

    >>> angle_matrix([[1, 0]], [[2, 0], [0, 1]]).round(4).tolist()
    [[0.0, 1.5708]]
    """
    return _all_pairs(angle, *_tables(A, B))


def max_sim(Q: np.ndarray, K: np.ndarray) -> float:
    """Σ_i max_j q_i·k_j: each query row's dot product with its best key, summed.

    Q: (N, D), K: (M, D) -> a number.  ColBERT's MaxSim, for which rows should have norm 1.  It is
    not symmetric in Q and K.  Raises ValueError if K has no rows or the dimensions differ.

    >>> float(max_sim(np.eye(2), np.array([[0.6, 0.8], [1.0, 0.0]])))        # 1 + 0.8
    1.8
    """
    S = dot_matrix(Q, K)
    if S.shape[1] == 0:
        raise ValueError("K: expected at least one row, got none")
    return S.max(axis=1).sum(dtype=np.float64)


def require_tables(A: np.ndarray, B: np.ndarray) -> None:
    """Raise ValueError unless A is (N, D) and B is (M, D)."""
    if A.ndim != 2 or B.ndim != 2 or A.shape[1] != B.shape[1]:
        raise ValueError(f"expected two tables (N, D) and (M, D) with the same D, got {A.shape} "
                         f"and {B.shape}")


# ---- helpers ----------------------------------------------------------------

def _floats(x):
    """float32 unchanged, other types as float64; in C order, because layout affects rounding."""
    x = np.asarray(x)
    dtype = np.float32 if x.dtype == np.float32 else np.float64
    return x.astype(dtype, order="C", casting="same_kind", copy=False)


def _require_vectors(a, b):
    """Raise ValueError unless both are (..., D) with the same D."""
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"expected vectors with the same last dimension, got shapes {a.shape} "
                         f"and {b.shape}")


def _pair(a, b):
    """a and b as arrays of vectors of the same float type and the same dimension."""
    a, b = _floats(a), _floats(b)
    _require_vectors(a, b)
    dtype = np.promote_types(a.dtype, b.dtype)
    return a.astype(dtype, copy=False), b.astype(dtype, copy=False)


def _tables(A, B):
    """A and B as two tables of the same float type and the same dimension."""
    A, B = np.asarray(A), np.asarray(B)
    require_tables(A, B)
    return _pair(A, B)


def _sum_of_products(a, b):
    """Σ_d a_d b_d in float64, in an order that does not change when a and b are exchanged."""
    return np.einsum("...d,...d->...", a, b, dtype=np.float64)


def _length(x):
    """‖x‖.  No square overflows; a square that underflows is negligible.  x: (..., D) -> (...)."""
    scaled, e = rescale(x)
    return np.ldexp(np.sqrt(_sum_of_products(scaled, scaled)), e[..., 0]).astype(x.dtype)


def _all_pairs(measure, A, B):
    """measure(a, b) for all rows a of A and b of B, in blocks of rows; measure is symmetric."""
    if len(A) < len(B):
        return _all_pairs(measure, B, A).T       # loop over the longer table
    out = np.empty((len(A), len(B)), A.dtype)
    step = max(1, BLOCK // max(1, B.size))
    for i in range(0, len(A), step):
        out[i:i + step] = measure(A[i:i + step, None], B)         # (step, 1, D), (M, D)
    return out

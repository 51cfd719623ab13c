"""Binary quantisation: one bit per number, its sign; Hamming distance, and rescoring.

Paper     Charikar 2002, "Similarity Estimation Techniques from Rounding Algorithms", section 3;
          Yamada, Asai & Hajishirzi 2021, "Efficient Passage Retrieval with Hashing for
          Open-domain Question Answering", section 3 (rescoring of bits with a float query).
Equation  bit_d = [x_d > 0]      H(x, y) = the number of d with bit_d(x) ≠ bit_d(y)
          score(q, b) = Σ_d q_d b_d,  b_d = ±1: the document's signs, q_d: the query's floats
Shapes    X (..., D) -> codes (..., ⌈D/8⌉) uint8, the first number in the highest bit, unused bits
          zero: sentence-transformers' `ubinary`.  quantise.shift turns it into `binary` (int8).
Cost      D/8 bytes instead of 4D.  One xor and one popcount compare 64 numbers.
Differs   The codes are those of sentence-transformers 6.2.  Up to its 5.5, a byte could hold bits
          of two rows if D was not a multiple of 8; now each row begins at a new byte, as here.
Read next space/quantise.py (the int8 codes of the last stage), retrieve/index.py

Why does H estimate the angle?  Bit d tells on which side of the hyperplane {z : z_d = 0} a vector
lies.  Let x and y have the angle θ, and take a hyperplane through the origin with a random normal
r.  It separates x and y if r·x and r·y have different signs.  Only the part of r in the plane of x
and y matters, and its direction in that plane is uniform on the circle.  The directions with
r·x > 0 are a half circle around x, those with r·y > 0 a half circle around y.  One half circle is
the other rotated by θ, so they differ in two arcs of length θ, out of 2π.  So P(bits differ) =
2θ/2π = θ/π, and over random rotations of the axes E[H] = D θ/π.  Without a rotation this is an
approximation, good if the axes of the embedding are neither skewed nor strongly correlated.

Why keep the query in floats?  Only the stored documents must be small.  Over random rotations
E[q·b] = cos(q, x) ‖q‖ E‖x/‖x‖‖₁: split q into its part along x and the rest; given b, the rest is
distributed symmetrically about 0, and so adds nothing to the mean.  So q·b estimates the cosine
too.  Its error comes from the rounding of x alone, the error of H from the rounding of x and q.

Search in three stages: Hamming distance to all documents, float × bits for the best 400 of them,
float × int8 for the best 100 of these.  Only the first stage reads all documents, and it reads only
their bits:

    near, _ = nearest_hamming(sign_bits(Q), bits, 400)
    near, _ = rescore(Q, near, lambda ids: signs(bits[ids], D), 100)
    near, scores = rescore(Q, near, lambda ids: dequantise(codes[ids], ranges), 10)
"""
from collections.abc import Callable

import numpy as np

from scratch_embed.numerics.kernel import kernel
from scratch_embed.space.heaps import merge_heaps
from scratch_embed.space.neighbours import BLOCK, top_k, top_k_in_blocks

u64 = np.uint64
PAIRS, FOURS, EIGHTS = u64(0x5555555555555555), u64(0x3333333333333333), u64(0x0F0F0F0F0F0F0F0F)
BYTES, S1, S2, S4, S56 = u64(0x0101010101010101), u64(1), u64(2), u64(4), u64(56)


# ---- codes ------------------------------------------------------------------

def sign_bits(X: np.ndarray) -> np.ndarray:
    """[x > 0], eight bits to a byte.  X: (..., D) -> (..., ⌈D/8⌉) uint8.

    0 gives the bit 0, like negative numbers.  Raises ValueError for nan, which has no sign.
    """
    X = np.asarray(X)
    if np.isnan(X).any():
        raise ValueError("X: expected numbers, got nan, which has no sign")
    return np.packbits(X > 0, axis=-1)


def signs(codes: np.ndarray, D: int) -> np.ndarray:
    """The bits as numbers: 1 as +1, 0 as −1.  codes: (..., ⌈D/8⌉) uint8 -> (..., D) float32."""
    codes = _codes(codes)
    if codes.shape[-1] != -(-D // 8):
        raise ValueError(f"codes: expected {-(-D // 8)} bytes for {D} bits, "
                         f"got {codes.shape[-1]}")
    return np.unpackbits(codes, axis=-1, count=D) * np.float32(2) - np.float32(1)


# ---- distances --------------------------------------------------------------

def hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The number of bits that differ.  a, b: (..., B) uint8, which broadcast -> (...) int32."""
    a, b = _codes(a), _codes(b)
    _require_equal_width(a, b)
    return np.unpackbits(a ^ b, axis=-1).sum(axis=-1, dtype=np.int32)


def hamming_matrix(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """hamming() of every row of A with every row of B.  (N, B), (M, B) uint8 -> (N, M) int32."""
    A, B = _tables(A, B)
    out = np.empty((len(A), len(B)), np.int32)
    with np.errstate(over="ignore"):           # uncompiled, NumPy would warn of wrapped products
        count_differences(_words(A), np.ascontiguousarray(_words(B).T), out)
    return out


@kernel
def count_differences(A, columns, out):
    """hamming_matrix in words of 64 bits.  A: (N, W), columns: (W, M), the table B transposed.

    Transposed, the words of consecutive rows are contiguous, so the inner loop is vectorised.
    """
    for i in range(len(A)):
        row = out[i]
        row[:] = np.int32(0)
        for w in range(len(columns)):
            a, b = A[i, w], columns[w]
            for j in range(len(row)):
                row[j] += np.int32(count_bits(a ^ b[j]))


@kernel
def count_bits(x):
    """The number of ones in a uint64 (popcount), counted in pairs of bits, fours, bytes, and all.

    The product adds up the eight bytes in the highest one.  LLVM recognises this form and uses
    the processor's popcount instruction if there is one.
    """
    x = x - ((x >> S1) & PAIRS)
    x = (x & FOURS) + ((x >> S2) & FOURS)
    x = (x + (x >> S4)) & EIGHTS
    return (x * BYTES) >> S56


# ---- search -----------------------------------------------------------------

def nearest_hamming(Q: np.ndarray, X: np.ndarray, k: int, block: int = BLOCK, workers: int = 1
                    ) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of X with the smallest Hamming distance, for each row of Q.

    Q: (N, B), X: (M, B) uint8 -> ids (N, k) int64, distances (N, k) int32, with k at most M,
    nearest first; ties go to the lowest id.
    block, workers: as in neighbours.top_k_in_blocks, where a row of a table counts as its words of
    64 bits.
    """
    Q, X = _tables(Q, X)

    def score(rows, columns):
        return -hamming_matrix(Q[rows], X[columns])
    ids, scores = top_k_in_blocks(score, len(Q), len(X), -(-Q.shape[1] // 8), k, block=block,
                                 workers=workers, merge=merge_heaps)
    return ids, -scores


def rescore(Q: np.ndarray, candidates: np.ndarray, decode: Callable[[np.ndarray], np.ndarray],
            k: int, block: int = BLOCK) -> tuple[np.ndarray, np.ndarray]:
    """The k candidates of each query with the highest q·x̂; ties go to the lowest id.

    Q: (N, D) float, candidates: (N, C) ids -> ids (N, k) int64, scores (N, k), with k at most C.
    decode(ids (n, C)) -> (n, C, D) float, the vectors x̂ that the stored codes represent.  One call
    decodes at most `block` numbers, unless the candidates of a single query have more.
    """
    Q, candidates = np.asarray(Q), np.asarray(candidates)
    if Q.ndim != 2 or candidates.ndim != 2 or len(Q) != len(candidates):
        raise ValueError(f"expected queries (N, D) and as many rows of candidates (N, C), got "
                         f"shapes {Q.shape} and {candidates.shape}")
    candidates = np.sort(candidates, axis=1)                 # then ties go to the lowest id
    step = max(1, block // max(1, candidates.shape[1] * Q.shape[1]))
    scores = [(decode(candidates[i:i + step]) @ Q[i:i + step, :, None])[..., 0]     # (step, C)
              for i in range(0, max(1, len(Q)), step)]
    column, scores = top_k(np.concatenate(scores), k)
    return np.take_along_axis(candidates, column, axis=1), scores


# ---- helpers ----------------------------------------------------------------

def _words(codes):
    """(N, B) bytes -> (N, ⌈B/8⌉) uint64, padded with zeros; the byte order changes no distance."""
    N, B = codes.shape
    if B % 8:
        codes = np.pad(codes, [(0, 0), (0, -B % 8)])
    return np.ascontiguousarray(codes).view(u64)


def _codes(codes):
    codes = np.asarray(codes)
    if codes.dtype != np.uint8 or codes.ndim == 0:
        raise ValueError(f"codes: expected bits in uint8, (..., bytes), got {codes.dtype} of shape "
                         f"{codes.shape}" + ("; unshift() them first"
                                             if codes.dtype == np.int8 else ""))
    return codes


def _tables(A, B):
    A, B = _codes(A), _codes(B)
    if A.ndim != 2 or B.ndim != 2:
        raise ValueError(f"expected two tables of codes, got shapes {A.shape} and {B.shape}")
    _require_equal_width(A, B)
    return A, B


def _require_equal_width(a, b):
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"expected codes with the same last dimension, got shapes {a.shape} "
                         f"and {b.shape}")

"""One bit a number: keep only the signs, count where they differ, and rescore the best few.

Paper     Charikar 2002, "Similarity Estimation Techniques from Rounding Algorithms", section 3;
          Yamada, Asai & Hajishirzi 2021, "Efficient Passage Retrieval with Hashing for
          Open-domain Question Answering", section 3 (rescoring of bits with a float query).
Equation  bit_d = [x_d > 0]      H(x, y) = the number of d with bit_d(x) ≠ bit_d(y)
          score(q, b) = Σ_d q_d b_d with b = ±1: the query keeps its numbers, the document its signs
Shapes    X (..., D) -> codes (..., ⌈D/8⌉) uint8, the first number in the highest bit, zeros after
          the last; that is `ubinary`, and quantise.shift makes `binary` of it (int8)
Cost      D/8 bytes of 4D.  64 numbers are compared by one xor and one count of bits.
Differs   The codes are those of sentence-transformers 6.2.  Up to its 5.5 rows ran on into each
          other where D is no multiple of 8; now each begins at a byte of its own there too.
Read next space/quantise.py (the int8 codes of the last stage), retrieve/index.py

Why signs are enough for a first look.  A random direction separates two vectors that are an angle
θ apart, one positive and one negative, with probability θ/π: it must fall into one of the two
wedges between their normal planes.  So over random rotations  E[H] = D θ/π.  H estimates the angle.

Why the query should keep its numbers.  Only what is stored must be small.  Over random rotations
E[q·b] = cos(q, x) ‖q‖ E‖x/‖x‖‖₁: write q as its part along x and the rest; the rest is as often
with b as against it.  So q·b estimates the cosine, and with one of two errors less: H has the
rounding of q in it as well.

In three stages: Hamming distance over all, float × bits over some hundreds, float × int8 over some
dozens.  The first is what costs, and the bits are all that must be in memory for it:

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
    """[x > 0], eight to a byte.  X: (..., D) -> (..., ⌈D/8⌉) uint8.

    0 counts as negative.  Raises ValueError for nan, which has no sign.
    """
    X = np.asarray(X)
    if np.isnan(X).any():
        raise ValueError("expected numbers, found nan, which has no sign")
    return np.packbits(X > 0, axis=-1)


def signs(codes: np.ndarray, D: int) -> np.ndarray:
    """The bits as ±1.  codes: (..., ⌈D/8⌉) uint8 -> (..., D) float32."""
    codes = _codes(codes)
    if codes.shape[-1] != -(-D // 8):
        raise ValueError(f"expected {-(-D // 8)} bytes for {D} bits, found {codes.shape[-1]}")
    return np.unpackbits(codes, axis=-1, count=D) * np.float32(2) - np.float32(1)


# ---- distances --------------------------------------------------------------

def hamming(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The number of bits that differ.  a, b: (..., B) uint8, leading axes broadcast -> (...)."""
    a, b = _codes(a), _codes(b)
    _require_equal_width(a, b)
    return np.unpackbits(a ^ b, axis=-1).sum(axis=-1, dtype=np.int32)


def hamming_matrix(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """hamming() of every row of A with every row of B.  (N, bytes), (M, bytes) -> (N, M) int32."""
    A, B = _tables(A, B)
    out = np.empty((len(A), len(B)), np.int32)
    with np.errstate(over="ignore"):           # without the compiler, products wrap with a warning
        count_differences(_words(A), np.ascontiguousarray(_words(B).T), out)
    return out


@kernel
def count_differences(A, columns, out):
    """hamming_matrix in words of 64 bits.  A: (N, W), columns: (W, M) the table B turned over.

    Turned over, the words of many rows lie side by side, and are compared many at a time.
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
    """The number of ones in a uint64: in pairs of bits, then fours, then bytes, then all.

    The product adds up the eight bytes in the highest one.  LLVM knows this form and uses the
    processor's instruction where there is one.
    """
    x = x - ((x >> S1) & PAIRS)
    x = (x & FOURS) + ((x >> S2) & FOURS)
    x = (x + (x >> S4)) & EIGHTS
    return (x * BYTES) >> S56


# ---- search -----------------------------------------------------------------

def nearest_hamming(Q: np.ndarray, X: np.ndarray, k: int, block: int = BLOCK, workers: int = 1
                    ) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of X that differ from each row of Q in the fewest bits; ties to the lowest id.

    Q: (N, B), X: (M, B) uint8 -> ids (N, k) int64, distances (N, k) int32; k ends at M.
    block, workers: as in neighbours.top_k_in_blocks, in words of 64 bits.
    """
    Q, X = _tables(Q, X)

    def score(rows, columns):
        return -hamming_matrix(Q[rows], X[columns])
    ids, scores = top_k_in_blocks(score, len(Q), len(X), -(-Q.shape[1] // 8), k, block=block,
                                 workers=workers, merge=merge_heaps)
    return ids, -scores


def rescore(Q: np.ndarray, candidates: np.ndarray, decode: Callable[[np.ndarray], np.ndarray],
            k: int, block: int = BLOCK) -> tuple[np.ndarray, np.ndarray]:
    """The k of each query's own candidates with the highest q·x̂; ties to the lowest id.

    Q: (N, D) float, candidates: (N, C) ids -> ids (N, k) int64, scores (N, k); k ends at C.
    decode(ids (n, C)) -> (n, C, D) float: the vectors that the stored codes stand for.  It is asked
    for at most `block` numbers at a time, unless the candidates of one query have more.
    """
    Q, candidates = np.asarray(Q), np.asarray(candidates)
    if Q.ndim != 2 or candidates.ndim != 2 or len(Q) != len(candidates):
        raise ValueError(f"expected queries (N, D) and as many rows of candidates (N, C), found "
                         f"shapes {Q.shape} and {candidates.shape}")
    candidates = np.sort(candidates, axis=1)                 # so that ties go to the lowest id
    step = max(1, block // max(1, candidates.shape[1] * Q.shape[1]))
    scores = [(decode(candidates[i:i + step]) @ Q[i:i + step, :, None])[..., 0]     # (step, C)
              for i in range(0, max(1, len(Q)), step)]
    place, scores = top_k(np.concatenate(scores), k)
    return np.take_along_axis(candidates, place, axis=1), scores


# ---- inside -----------------------------------------------------------------

def _words(codes):
    """(N, B) bytes -> (N, ⌈B/8⌉) uint64, zeros after the last; which bit is where is not seen."""
    N, B = codes.shape
    if B % 8:
        codes = np.pad(codes, [(0, 0), (0, -B % 8)])
    return np.ascontiguousarray(codes).view(u64)


def _codes(codes):
    codes = np.asarray(codes)
    if codes.dtype != np.uint8 or codes.ndim == 0:
        raise ValueError(f"expected bits in uint8 codes (..., bytes), found {codes.dtype} of shape "
                         f"{codes.shape}" + ("; unshift() them first"
                                             if codes.dtype == np.int8 else ""))
    return codes


def _tables(A, B):
    A, B = _codes(A), _codes(B)
    if A.ndim != 2 or B.ndim != 2:
        raise ValueError(f"expected two tables of codes, found shapes {A.shape} and {B.shape}")
    _require_equal_width(A, B)
    return A, B


def _require_equal_width(a, b):
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"expected codes of equal width, found shapes {a.shape} and {b.shape}")

"""y = x Wᵀ, the product of a linear layer: a float32 kernel for processors with AVX-512.

Equation  y_to = Σ_i x_ti W_oi
Shapes    x (T, I), W (O, I) -> y (T, O)
Cost      2 T O I operations.  MiniLM's matrices, one thread, an AMD EPYC with AVX-512: the kernel
          takes 0.65 of the time of NumPy's OpenBLAS for 24 rows, 0.7 for 512
Differs   from `x @ W.T` by rounding: it sums over i in another order.  With the kernel, a row of y
          depends on no other row of x, not even in its last bit.  With BLAS it can, because BLAS
          divides the work by the number of rows.
Read next nn/layers.py (linear, its caller)

Why not BLAS?  First, BLAS copies W into blocks, in the order in which its innermost loop reads
them, and then multiplies.  For thousands of rows the copy costs nothing beside the products.  For
one query of 24 tokens it does: W is read, written and read again, for few products.  Second,
OpenBLAS has kernels for each type of processor, and for AMD's it takes those for AVX2, with half as
many numbers per instruction as AVX-512.  Without AVX-512 BLAS is faster, and is used.

Why 4 x 6?  The inner loop loads 4 rows of x and 6 rows of W and multiplies each number of the one
by each of the other: 24 products for 10 loads.  A processor can load two vectors and multiply two
pairs of vectors per cycle, so the loads do not slow it down.  The 24 sums stay in registers, of
which AVX-512 has 32, AVX2 16.
"""
from itertools import pairwise

import numpy as np
from numba import config
from numba.core.codegen import get_host_cpu_features

from scratch_embed.numerics.blas import blas_has_avx512, blas_threads
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.workers import parallel_map

ZERO = np.float32(0)
FEW = 64                           # rows for which the copy of BLAS takes longer than its products
MANY = 512                         # rows for which a thread is started
BLOCK = 128                        # rows of x that stay in the cache together with 6 rows of W
USE_KERNEL = "+avx512f" in get_host_cpu_features().split(",") and not config.DISABLE_JIT


def matmul_transposed(x: np.ndarray, W: np.ndarray) -> np.ndarray:
    """y = x Wᵀ.  x: (T, I), W: (O, I) -> y (T, O).

    >>> matmul_transposed(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [0.0, 1.0]])).tolist()
    [[11.0, 2.0]]
    """
    kernel_applies = (x.dtype == W.dtype == np.float32 and W.flags.c_contiguous
                      and len(x) >= 4 and len(W) >= 6)
    threads = blas_threads() or 1
    if not (kernel_applies and kernel_is_faster(len(x), threads)):
        return x @ W.T
    x, y = np.ascontiguousarray(x), np.empty((len(x), len(W)), np.float32)
    if len(x) <= FEW or threads == 1:
        matmul_kernel(x, W, y)
        return y
    bounds = len(x) * np.arange(threads + 1) // threads
    with parallel_map(threads) as in_parallel:
        in_parallel(lambda rows: matmul_kernel(x[rows], W, y[rows]),
                    [slice(*ends) for ends in pairwise(bounds)])
    return y


def kernel_is_faster(rows: int, threads: int) -> bool:
    """Whether the kernel is faster than BLAS: for few rows, or if BLAS has no AVX-512.

    threads: how many BLAS may use.  Starting as many for the kernel pays off for many rows only.
    """
    return USE_KERNEL and (rows <= FEW or (not blas_has_avx512()
                                           and (threads == 1 or rows >= threads * MANY)))


@kernel(inline=True)
def add_products(sums, x, w):
    """sums + x w of 6 sums and 6 weights; x is a number."""
    return (sums[0] + x * w[0], sums[1] + x * w[1], sums[2] + x * w[2],
            sums[3] + x * w[3], sums[4] + x * w[4], sums[5] + x * w[5])


@kernel
def matmul_kernel(x, W, y):
    """y ← x Wᵀ of float32: 4 rows of x times 6 rows of W at a time.  T ≥ 4, O ≥ 6.

    The last 4 and the last 6 rows end where x and W end, so some of y may be computed twice.
    """
    (T, I), O = x.shape, len(W)
    for block in range(0, T, BLOCK):
        for next_o in range(0, O, 6):
            o = min(next_o, O - 6)
            W0, W1, W2, W3, W4, W5 = W[o], W[o + 1], W[o + 2], W[o + 3], W[o + 4], W[o + 5]
            for next_t in range(block, min(block + BLOCK, T), 4):
                t = min(next_t, T - 4)
                x0, x1, x2, x3 = x[t], x[t + 1], x[t + 2], x[t + 3]
                y0 = y1 = y2 = y3 = (ZERO, ZERO, ZERO, ZERO, ZERO, ZERO)
                for i in range(I):                   # y_to += x_ti W_oi, for 16 values of i at once
                    w = (W0[i], W1[i], W2[i], W3[i], W4[i], W5[i])
                    y0 = add_products(y0, x0[i], w)
                    y1 = add_products(y1, x1[i], w)
                    y2 = add_products(y2, x2[i], w)
                    y3 = add_products(y3, x3[i], w)
                for c in range(6):
                    y[t, o + c], y[t + 1, o + c] = y0[c], y1[c]
                    y[t + 2, o + c], y[t + 3, o + c] = y2[c], y3[c]

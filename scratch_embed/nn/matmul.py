"""y = x Wᵀ + b, the product of a linear layer: a float32 kernel for processors with AVX-512.

Paper     Goto & van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication".
Equation  y_to = b_o + Σ_i x_ti W_oi
Shapes    x (T, I), W (O, I), b (O,) -> y (T, O)
Cost      2 T O I operations, plus O I for the copies of W.  bench/nn/matmul.py measures them
Differs   from `x @ W.T + b` by rounding: it adds in the order of i, each product without rounding.
          With the kernel, a row of y depends on no other row of x, not even in its last bit.  With
          BLAS it can, because BLAS divides the work by the number of rows.
Read next numerics/vectors.py (its instructions), nn/layers.py (linear, its caller)

How is it fast?  A processor with AVX-512 can multiply and add two vectors of 16 numbers per cycle,
but only if they are in registers.  The kernel computes a tile of y of 8 rows and 32 columns, whose
16 vectors of sums stay in registers until they are complete.  Each step of i loads two vectors of
W and 8 numbers of x, and multiplies each by each: 16 products for 10 loads.

A vector holds 16 outputs o at the same i, so W has to be read column by column.  It is stored row
by row.  So 32 rows of W at a time, a panel, are transposed into a buffer that stays in the cache,
and all rows of x are multiplied by it.

Why not BLAS?  OpenBLAS does the same, but has kernels for each type of processor, and for AMD's it
takes those for AVX2, with half as many numbers per instruction.  Without AVX-512 BLAS is faster,
and is used.  And for a query of a few tokens the time is that of reading W from memory: while a
panel is multiplied, the kernel already asks for the next one (prefetch).
"""
from itertools import pairwise

import numpy as np
from numba import config
from numba.core.codegen import get_host_cpu_features

from scratch_embed.numerics.blas import blas_has_avx512, blas_threads
from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.vectors import (
    add_scaled16,
    load16,
    prefetch,
    store16,
    transpose16,
)
from scratch_embed.numerics.workers import parallel_map

FEW = 64                           # rows for which the kernel is faster than BLAS with AVX-512
WORTH_A_THREAD = 2**28             # operations that take longer than starting a thread, ≈ 1 ms
PANEL = 32                         # rows of W: two vectors
USE_KERNEL = "+avx512f" in get_host_cpu_features().split(",") and not config.DISABLE_JIT


def matmul_transposed(x: np.ndarray, W: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """y = x Wᵀ + b.  x: (T, I), W: (O, I), b: (O,) or None -> y (T, O).

    >>> W = np.array([[3.0, 4.0], [0.0, 1.0]])
    >>> matmul_transposed(np.array([[1.0, 2.0]]), W, np.array([0.0, 5.0])).tolist()
    [[11.0, 7.0]]
    """
    (T, I), O = x.shape, len(W)
    kernel_applies = (x.dtype == W.dtype == np.float32 and W.flags.c_contiguous
                      and T >= 1 and I >= 16 and O >= PANEL)
    if not (kernel_applies and kernel_is_faster(T)):
        y = x @ W.T
        if b is not None:
            y += b
        return y
    if T < 8:                                        # the smallest tile
        return matmul_transposed(np.concatenate([x, np.zeros((8 - T, I), x.dtype)]), W, b)[:T]
    x, y = np.ascontiguousarray(x), np.empty((T, O), np.float32)
    b = np.zeros(O, np.float32) if b is None else b
    workers = min(blas_threads() or 1, 1 + 2 * T * O * I // WORTH_A_THREAD)
    if workers == 1:
        matmul_kernel(x, W, b, y)
        return y
    bounds = T * np.arange(workers + 1) // workers
    with parallel_map(workers) as in_parallel:
        in_parallel(lambda rows: matmul_kernel(x[rows], W, b, y[rows]),
                    [slice(*ends) for ends in pairwise(bounds)])
    return y


def kernel_is_faster(rows: int) -> bool:
    """Whether the kernel is faster than BLAS: for few rows, or if BLAS has no AVX-512."""
    return USE_KERNEL and (rows <= FEW or not blas_has_avx512())


@kernel(inline=True)
def add_products(sums, x, w):
    """sums + x w of two vectors of sums and two of weights; x is a number."""
    return add_scaled16(sums[0], x, w[0]), add_scaled16(sums[1], x, w[1])


@kernel(inline=True)
def transpose_panel(W, o, I, panel):
    """panel_i,c ← W_(o+c),i for 32 rows of W.  W: (O·I,), panel: (I·32,).  I ≥ 16."""
    for c in range(0, PANEL, 16):
        for next_i in range(0, I, 16):
            i = min(next_i, I - 16)
            transpose16(W, (o + c) * I + i, I, panel, i * PANEL + c, PANEL)


@kernel
def matmul_kernel(x, W, b, y):
    """y ← x Wᵀ + b of float32: 8 rows of x times 32 rows of W at a time.  T ≥ 8, O ≥ 32, I ≥ 16.

    The last 8 and the last 32 rows end where x and W end, so some of y may be computed twice.
    """
    (T, I), O, flat_W = x.shape, len(W), W.reshape(W.size)
    panel = np.empty(I * PANEL, np.float32)
    for next_o in range(0, O, PANEL):
        o = min(next_o, O - PANEL)
        transpose_panel(flat_W, o, I, panel)
        next_panel = (o + PANEL) * I
        for next_t in range(0, T, 8):
            t = min(next_t, T - 8)
            x0, x1, x2, x3, x4, x5, x6, x7 = (x[t], x[t + 1], x[t + 2], x[t + 3],
                                              x[t + 4], x[t + 5], x[t + 6], x[t + 7])
            y0 = y1 = y2 = y3 = y4 = y5 = y6 = y7 = (load16(b, o), load16(b, o + 16))
            for i in range(I):                       # y_to += x_ti W_oi, for 32 outputs o at once
                w = (load16(panel, i * PANEL), load16(panel, i * PANEL + 16))
                prefetch(flat_W, next_panel + i * PANEL)
                prefetch(flat_W, next_panel + i * PANEL + 16)
                y0, y1 = add_products(y0, x0[i], w), add_products(y1, x1[i], w)
                y2, y3 = add_products(y2, x2[i], w), add_products(y3, x3[i], w)
                y4, y5 = add_products(y4, x4[i], w), add_products(y5, x5[i], w)
                y6, y7 = add_products(y6, x6[i], w), add_products(y7, x7[i], w)
            for row, sums in enumerate((y0, y1, y2, y3, y4, y5, y6, y7)):
                store16(y[t + row], o, sums[0])
                store16(y[t + row], o + 16, sums[1])

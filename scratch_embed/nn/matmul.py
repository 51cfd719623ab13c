"""Matrix products y = a b + c: a float32 kernel for processors with AVX-512.

Paper     Goto & van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication".
Equation  y_to = c_o + Σ_i a_ti b_io;  in a linear layer a = x and b = Wᵀ
Shapes    a (T, I), b (I, O), c (O,) -> y (T, O)
Cost      2 T O I operations, plus O I for the copies of b.  bench/nn/matmul.py measures them
Differs   from `a @ b + c` by rounding: it adds in the order of i, each product without rounding.
          With the kernel, a row of y depends on no other row of a, not even in its last bit.  With
          BLAS it can, because BLAS divides the work by the number of rows.
Read next numerics/vectors.py (its instructions), nn/layers.py (linear, its caller)

How is it fast?  A processor with AVX-512 can multiply and add two vectors of 16 numbers per cycle,
but only if they are in registers.  The kernel computes a tile of y of 8 rows and 32 columns, whose
16 vectors of sums stay in registers until they are complete.  Each step of i loads two vectors of
b and 8 numbers of a, and multiplies each by each: 16 products for 10 loads.

The numbers of b are read in the order of i, 32 columns o at a time, a panel.  So each panel is
first copied into a buffer in this order, which stays in the cache while all rows of a are
multiplied by it.  W is stored row by row, so for b = Wᵀ the copy is a transposition.

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
WORTH_A_THREAD = 2**28             # operations per thread, ≈ 1 ms; starting threads takes ≈ 0.1 ms
PANEL = 32                         # columns of b: two vectors
USE_KERNEL = "+avx512f" in get_host_cpu_features().split(",") and not config.DISABLE_JIT


def matmul(a: np.ndarray, b: np.ndarray, c: np.ndarray | None = None) -> np.ndarray:
    """y = a b + c.  a: (T, I), b: (I, O), c: (O,) or None -> y (T, O).

    Raises ValueError for shapes that do not fit each other.

    >>> matmul(np.array([[1.0, 2.0]]), np.array([[3.0, 0.0], [4.0, 1.0]]),
    ...        np.array([0.0, 5.0])).tolist()
    [[11.0, 7.0]]
    """
    (T, I), O = a.shape, b.shape[1]
    if len(b) != I or c is not None and c.shape != (O,):         # the kernel does not check
        raise ValueError(f"matmul: expected a (T, I), b (I, O) and c (O,), got {a.shape}, "
                         f"{b.shape} and {None if c is None else c.shape}")
    kernel_applies = a.dtype == b.dtype == np.float32 and T >= 1 and I >= 16 and O >= PANEL
    if not (kernel_applies and kernel_is_faster(T)):
        y = a @ b
        if c is not None:
            y += c
        return y
    if T < 8:                                        # the smallest tile
        return matmul(np.concatenate([a, np.zeros((8 - T, I), a.dtype)]), b, c)[:T]
    transposed = not b.flags.c_contiguous
    b = np.ascontiguousarray(b.T if transposed else b).ravel()
    a = a if a.flags.c_contiguous or a.flags.f_contiguous else np.ascontiguousarray(a)
    c = np.zeros(O, np.float32) if c is None else np.ascontiguousarray(c, np.float32)
    y = np.empty((T, O), np.float32)
    workers = min(blas_threads() or 1, 1 + 2 * T * O * I // WORTH_A_THREAD)
    if workers == 1:
        matmul_kernel(a, b, transposed, c, y)
        return y
    bounds = T * np.arange(workers + 1) // workers
    with parallel_map(workers) as in_parallel:
        in_parallel(lambda rows: matmul_kernel(a[rows], b, transposed, c, y[rows]),
                    [slice(*ends) for ends in pairwise(bounds)])
    return y


def kernel_is_faster(rows: int) -> bool:
    """Whether the kernel is faster than BLAS: for few rows, or if BLAS has no AVX-512."""
    return USE_KERNEL and (rows <= FEW or not blas_has_avx512())


@kernel(inline=True)
def add_products(sums, x, w):
    """sums + x w of two vectors of sums and two of b; x is a number of a."""
    return add_scaled16(sums[0], x, w[0]), add_scaled16(sums[1], x, w[1])


@kernel(inline=True)
def copy_panel(b, transposed, o, I, O, panel):
    """panel_i ← b_i,o .. b_i,(o+31).  panel: (I·32,); b: (I·O,), or (O·I,) if transposed."""
    if not transposed:
        for i in range(I):
            store16(panel, i * PANEL, load16(b, i * O + o))
            store16(panel, i * PANEL + 16, load16(b, i * O + o + 16))
        return
    for column in range(0, PANEL, 16):
        for next_i in range(0, I, 16):
            i = min(next_i, I - 16)
            transpose16(b, (o + column) * I + i, I, panel, i * PANEL + column, PANEL)


@kernel
def matmul_kernel(a, b, transposed, c, y):
    """y ← a b + c of float32: 8 rows of a times 32 columns of b at a time.  T ≥ 8, O ≥ 32, I ≥ 16.

    b: (I·O,), row by row, or (O·I,), column by column, if transposed.  The last 8 rows and the
    last 32 columns end where y ends, so some of y may be computed twice.
    """
    (T, O), I = y.shape, a.shape[1]
    buffer = np.empty(I * PANEL + 16, np.float32)
    begin = (64 - buffer.ctypes.data % 64) // 4      # a multiple of 64 bytes: a cache line
    panel = buffer[begin:begin + I * PANEL]
    for next_o in range(0, O, PANEL):
        o = min(next_o, O - PANEL)
        copy_panel(b, transposed, o, I, O, panel)
        ahead, step = ((o + PANEL) * I, PANEL) if transposed else (o + PANEL, O)
        for next_t in range(0, T, 8):
            t = min(next_t, T - 8)
            a0, a1, a2, a3, a4, a5, a6, a7 = (a[t], a[t + 1], a[t + 2], a[t + 3],
                                              a[t + 4], a[t + 5], a[t + 6], a[t + 7])
            y0 = y1 = y2 = y3 = y4 = y5 = y6 = y7 = (load16(c, o), load16(c, o + 16))
            for i in range(I):                       # y_to += a_ti b_io, for 32 columns at once
                w = (load16(panel, i * PANEL), load16(panel, i * PANEL + 16))
                prefetch(b, ahead + i * step)        # the next panel
                prefetch(b, ahead + i * step + 16)
                y0, y1 = add_products(y0, a0[i], w), add_products(y1, a1[i], w)
                y2, y3 = add_products(y2, a2[i], w), add_products(y3, a3[i], w)
                y4, y5 = add_products(y4, a4[i], w), add_products(y5, a5[i], w)
                y6, y7 = add_products(y6, a6[i], w), add_products(y7, a7[i], w)
            for row, sums in enumerate((y0, y1, y2, y3, y4, y5, y6, y7)):
                store16(y[t + row], o, sums[0])
                store16(y[t + row], o + 16, sums[1])

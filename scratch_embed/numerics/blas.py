"""Read and limit the threads of BLAS, the library that computes NumPy's matrix products.

OpenBLAS splits a large product among the cores and waits for the slowest part.  Many independent
products can instead be computed in parallel by Python threads, one product per thread, without such
waits; then OpenBLAS must not split them too.

The number of BLAS threads is a setting of the process: while one thread is in a one_blas_thread
block, the products of all threads use one BLAS thread.  Such blocks may overlap, in one Python
thread or several: the block that ends last restores the number.
"""
import contextlib
import ctypes
import functools
import threading
from collections.abc import Iterator

import numpy as np

# of the names of OpenBLAS's functions, which differ between builds: NumPy's wheels, others
_PREFIXES, _SUFFIXES = ("scipy_openblas", "openblas"), ("64_", "")
_AVX512_CORES = (b"SkylakeX", b"Cooperlake", b"SapphireRapids")        # its AVX-512 kernels' names
_lock, _open_blocks, _threads_before = threading.Lock(), 0, 1


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within the block, a matrix product uses one thread.  No effect without OpenBLAS."""
    global _open_blocks, _threads_before
    get_threads, set_threads, _ = _openblas()
    with _lock:
        if _open_blocks == 0:
            _threads_before = get_threads()
            set_threads(1)
        _open_blocks += 1
    try:
        yield
    finally:
        with _lock:
            _open_blocks -= 1
            if _open_blocks == 0:
                set_threads(_threads_before)


@contextlib.contextmanager
def blas_threads_at_most(most: int | None) -> Iterator[None]:
    """Within the block, a matrix product uses at most `most` threads; None: no change.

    For a whole program: unlike one_blas_thread, such blocks must not overlap in several threads.
    """
    get_threads, set_threads, _ = _openblas()
    before = get_threads()
    if most is not None and before is not None:
        set_threads(min(before, most))
    try:
        yield
    finally:
        if before is not None:
            set_threads(before)


def blas_threads() -> int | None:
    """The number of threads that a matrix product may use; None if OpenBLAS was not found."""
    return _openblas()[0]()


def blas_has_avx512() -> bool:
    """Whether OpenBLAS uses its AVX-512 kernels on this processor; False without OpenBLAS."""
    return _openblas()[2]() in _AVX512_CORES


def _openblas():
    """get_threads(), set_threads(n) and get_core_name() of NumPy's OpenBLAS."""
    return _functions(_PREFIXES)


@functools.cache                                   # searching the library takes 0.1 ms
def _functions(prefixes):
    """The three functions; without OpenBLAS, dummies."""
    with contextlib.suppress(OSError):
        library = ctypes.CDLL(np.linalg._umath_linalg.__file__)        # linked to OpenBLAS
        for prefix in prefixes:
            for suffix in _SUFFIXES:
                names = [f"{prefix}_{name}{suffix}"
                         for name in ("get_num_threads", "set_num_threads", "get_corename")]
                if all(hasattr(library, name) for name in names):
                    get_threads, set_threads, core_name = (getattr(library, n) for n in names)
                    core_name.restype = ctypes.c_char_p
                    return get_threads, set_threads, core_name
    return lambda: None, lambda threads: None, lambda: None

"""Limit the threads of BLAS, the library that computes NumPy's matrix products.

OpenBLAS splits a large product among the cores and waits for the slowest part.  Many independent
products can instead be computed in parallel by Python threads, one product per thread, without such
waits; then OpenBLAS must not split them too.

The number of BLAS threads is a setting of the process: while one thread is in a one_blas_thread
block, the products of all threads use one BLAS thread.  Such blocks may overlap, in one Python
thread or several: the block that ends last restores the number.
"""
import contextlib
import ctypes
import threading
from collections.abc import Iterator

import numpy as np

# of the names of OpenBLAS's functions, which differ between builds: NumPy's wheels, others
_PREFIXES, _SUFFIXES = ("scipy_openblas", "openblas"), ("64_", "")
_lock, _open_blocks, _threads_before = threading.Lock(), 0, 1


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within the block, a matrix product uses one thread.  No effect without OpenBLAS."""
    global _open_blocks, _threads_before
    get_threads, set_threads = _openblas()
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
    get_threads, set_threads = _openblas()
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


def _openblas():
    """(get_threads, set_threads) of the OpenBLAS that NumPy uses; without it, two dummies."""
    with contextlib.suppress(OSError):
        library = ctypes.CDLL(np.linalg._umath_linalg.__file__)        # linked to OpenBLAS
        for prefix in _PREFIXES:
            for suffix in _SUFFIXES:
                get_threads = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
                set_threads = getattr(library, f"{prefix}_set_num_threads{suffix}", None)
                if get_threads and set_threads:
                    return get_threads, set_threads
    return lambda: None, lambda threads: None

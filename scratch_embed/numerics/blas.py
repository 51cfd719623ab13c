"""Limit the threads of BLAS, the library that computes NumPy's matrix products.

OpenBLAS splits each product among the cores and waits for the slowest part.  If the work is many
independent products, it is faster to compute each in one Python thread, without such waits; then
OpenBLAS must not split them too.

The number of BLAS threads is a setting of the process: inside a block with one thread, all products
use one.  Blocks may overlap, in one thread or several: the last one to end restores the number.
"""
import contextlib
import ctypes
import threading
from collections.abc import Iterator

import numpy as np

_PREFIXES, _SUFFIXES = ("scipy_openblas", "openblas"), ("64_", "")     # NumPy's own, a system's
_lock, _open_blocks, _threads_before = threading.Lock(), 0, 1


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within the block a matrix product uses one thread.  No effect without OpenBLAS."""
    global _open_blocks, _threads_before
    get, put = _openblas()
    with _lock:
        if _open_blocks == 0:
            _threads_before = get()
            put(1)
        _open_blocks += 1
    try:
        yield
    finally:
        with _lock:
            _open_blocks -= 1
            if _open_blocks == 0:
                put(_threads_before)


@contextlib.contextmanager
def blas_threads_at_most(most: int | None) -> Iterator[None]:
    """Within the block a matrix product uses at most so many threads; None: as before.

    For a whole program: unlike one_blas_thread, such blocks must not overlap in several threads.
    """
    get, put = _openblas()
    before = get()
    if most is not None and before is not None:
        put(min(before, most))
    try:
        yield
    finally:
        if before is not None:
            put(before)


def blas_threads() -> int | None:
    """The number of threads that a matrix product may use; None if OpenBLAS was not found."""
    return _openblas()[0]()


def _openblas():
    """The functions (get, set) of the OpenBLAS that NumPy uses, or two that do nothing."""
    with contextlib.suppress(OSError):
        library = ctypes.CDLL(np.linalg._umath_linalg.__file__)        # it is linked to OpenBLAS
        for prefix in _PREFIXES:
            for suffix in _SUFFIXES:
                get = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
                put = getattr(library, f"{prefix}_set_num_threads{suffix}", None)
                if get and put:
                    return get, put
    return lambda: None, lambda threads: None

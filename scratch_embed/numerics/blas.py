"""Let NumPy's matrix products run on one thread, while Python threads share the work.

OpenBLAS cuts each product into a part for each core and waits for the slowest.  Where the work is
many products that do not depend on each other, Python threads with a product each wait for nobody;
but then OpenBLAS must not cut them up as well.

The number of its threads belongs to the process: while one block asks for one thread, all products
have one.  Blocks may overlap, in one thread or several: the last to end puts the old number back.
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
    """Within the block a matrix product takes one thread; nothing happens without OpenBLAS."""
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
    """Within the block a matrix product takes no more than so many threads; None: as before.

    For a whole program: unlike those above, these blocks must not overlap in several threads.
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
    """How many threads a matrix product may take; None where OpenBLAS was not found."""
    return _openblas()[0]()


def _openblas():
    """The functions (get, set) of the OpenBLAS that NumPy uses, or two that do nothing."""
    with contextlib.suppress(OSError):
        library = ctypes.CDLL(np.linalg._umath_linalg.__file__)        # sees what that links to
        for prefix in _PREFIXES:
            for suffix in _SUFFIXES:
                get = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
                put = getattr(library, f"{prefix}_set_num_threads{suffix}", None)
                if get and put:
                    return get, put
    return lambda: None, lambda threads: None

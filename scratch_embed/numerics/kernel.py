"""@kernel: a decorator that compiles a function with loops over arrays to machine code, by Numba.

A kernel is such a function; this package compiles functions only by this decorator.  Properties:

  nogil       kernels release the GIL, so they run in parallel in Python threads
  error_model division by zero gives inf or nan, as in NumPy
  fastmath    the compiler may reorder sums and fuse a product with a sum, so that loops use the
              processor's vector units; nan and inf are kept (Numba's fastmath=True may assume that
              there is no nan, and delete checks for it).  If a result depends on the order of a
              sum, use @kernel(keep_order=True).
  inline      @kernel(inline=True) compiles the function into each kernel that calls it
  cache       compiled code is stored on disk, and used while *no* source file of this package has
              changed.  Numba alone compares only the kernel's own file, and would run stale code
              after an edit of a function that the kernel calls.
  no disk     if no cache folder is writable, kernels are compiled in each process
  damage      a cache file that is damaged or cannot be read is compiled anew, with one warning.
              Each file of machine code ends with its SHA-256, so that a flipped bit never runs.
  no JIT      with NUMBA_DISABLE_JIT=1 kernels run as Python, for a debugger
"""
import contextlib
import functools
import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

NAN_SAFE_FASTMATH = {"reassoc", "contract", "arcp", "nsz"}


def sources_digest() -> str:
    """One SHA-256 of all source files of the package; if it changes, compiled code is stale."""
    return _digest(tuple(sorted(_sources(Path(__file__).parents[1]))))


def _sources(folder):
    """Yield (path, time of change, size) of every source file below `folder`."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                yield entry.path, entry.stat().st_mtime_ns, entry.stat().st_size
            elif entry.is_dir() and entry.name != "__pycache__":
                yield from _sources(entry.path)


@functools.lru_cache(maxsize=1)
def _digest(sources):
    """Cached: the files are read again only if a path, time or size has changed."""
    digest = hashlib.sha256()
    for path, _, size in sources:
        digest.update(f"{os.path.basename(path)} {size} ".encode() + Path(path).read_bytes())
    return digest.hexdigest()


class _CacheFile(IndexDataCacheFile):
    """Numba's cache files of one function: an index, and a file of machine code per signature."""

    def _load_index(self):
        try:
            return super()._load_index()
        except Exception as error:                 # a damaged pickle can raise anything
            _warn_once(self._index_path, error)
            return {}

    def _load_data(self, name):
        path = self._data_path(name)
        try:
            data = Path(path).read_bytes()
            if hashlib.sha256(data[:-32]).digest() != data[-32:]:
                raise OSError("its digest differs")
        except OSError as error:                   # which load() takes for a missing file
            _warn_once(path, error)
            raise
        return super()._load_data(name)            # which ignores the bytes after its own

    def _save_data(self, name, data):
        data = self._dump(data)
        with self._open_for_write(self._data_path(name)) as file:
            file.write(data + hashlib.sha256(data).digest())


_warned = []


def _warn_once(path, error):
    """Warn of the first damaged file of this process."""
    if not _warned:
        _warned.append(path)
        warnings.warn(f"{path}: compiled code is damaged or cannot be read ({error}); it is "
                      "compiled anew", RuntimeWarning, stacklevel=2)


class _Cache(FunctionCache):
    _cache_file: Any

    def __init__(self, function, options):
        super().__init__(function)                 # RuntimeError if no folder is writable
        file = self._cache_file
        ours = _CacheFile(
            file._cache_path, f"{self._impl.filename_base}{options}", file._source_stamp)
        # Numba ignores a cache file of another version
        ours._version = f"{file._version} {sources_digest()}"
        self._cache_file = ours

    def save_overload(self, signature, code):
        with contextlib.suppress(OSError):         # a full disk must not stop the computation
            super().save_overload(signature, code)


def kernel(function: Callable | None = None, *, keep_order: bool = False, inline: bool = False
           ) -> Callable:
    """Compile `function` when it is first called, once for each combination of argument types.

    keep_order: do not reorder sums; for functions whose rounding matters.
    inline: compile the function into each kernel that calls it; for small functions, whose call
    would cost as much as their work.
    """
    if function is None:
        return functools.partial(kernel, keep_order=keep_order, inline=inline)
    fastmath = NAN_SAFE_FASTMATH - {"reassoc"} if keep_order else NAN_SAFE_FASTMATH
    compiled = njit(nogil=True, error_model="numpy", fastmath=fastmath,
                    forceinline=inline)(function)
    if not config.DISABLE_JIT:
        with contextlib.suppress(RuntimeError):    # no folder to cache in
            compiled._cache = _Cache(function, "-ordered" * keep_order + "-inline" * inline)
    return compiled

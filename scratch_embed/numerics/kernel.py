"""@kernel: the one way in which this package compiles a function.

A kernel is a function of plain loops over arrays that Numba turns into machine code.  The
promises, each with a test:

  nogil       Python threads run kernels side by side.
  error_model division by zero gives inf or nan, as in NumPy, and costs no branch.
  fastmath    sums may be reordered and fused, so that they use the processor's vector units; nan
              and inf are kept (Numba's fastmath=True would delete every nan check).  Where the
              order is the point, @kernel(keep_order=True).
  inline      @kernel(inline=True) becomes part of its callers.
  cache       compiled code is kept on disk, and is used only while the kernel's own file and
              *every* source of this package are what they were.  Numba by itself looks only at
              the former, and would run stale code after you edit a function that is called.
  no disk     where no folder can be written, kernels are compiled anew in each process.
  no JIT      NUMBA_DISABLE_JIT=1 leaves plain Python, to step through with a debugger.
"""
import contextlib
import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from numba import config, njit
from numba.core.caching import FunctionCache

NAN_SAFE_FASTMATH = {"reassoc", "contract", "arcp", "nsz"}


def sources_digest() -> str:
    """One hash over all sources of the package: when it changes, compiled code is stale."""
    return _digest(tuple(sorted(_sources(Path(__file__).parents[1]))))


def _sources(folder):
    """(path, time, size) of every source: asked for each kernel, so scandir, the quickest way."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                yield entry.path, entry.stat().st_mtime_ns, entry.stat().st_size
            elif entry.is_dir() and entry.name != "__pycache__":
                yield from _sources(entry.path)


@functools.lru_cache(maxsize=1)
def _digest(sources):
    """Read again only when a file's time or size changed: an edit in a running notebook counts."""
    digest = hashlib.sha256()
    for path, _, size in sources:
        digest.update(f"{os.path.basename(path)} {size} ".encode() + Path(path).read_bytes())
    return digest.hexdigest()


class _Cache(FunctionCache):
    def __init__(self, function):
        super().__init__(function)                 # RuntimeError where no folder is writable
        own = self._cache_file._source_stamp       # Numba's, of the kernel's own file
        self._cache_file._source_stamp = (own, sources_digest())

    def save_overload(self, signature, code):
        with contextlib.suppress(OSError):         # a full disk must not stop the computation
            super().save_overload(signature, code)


def kernel(function: Callable | None = None, *, keep_order: bool = False, inline: bool = False
           ) -> Callable:
    """Compile `function` when it is first called, once for each combination of argument types.

    keep_order: its sums are computed as they are written, for where the rounding is the point.
    inline: it becomes part of each kernel that calls it, for where a call costs as much as it does.
    """
    if function is None:
        return functools.partial(kernel, keep_order=keep_order, inline=inline)
    fastmath = NAN_SAFE_FASTMATH - {"reassoc"} if keep_order else NAN_SAFE_FASTMATH
    compiled = njit(nogil=True, error_model="numpy", fastmath=fastmath,
                    forceinline=inline)(function)
    if not config.DISABLE_JIT:
        with contextlib.suppress(RuntimeError):    # no folder to cache in: compile every time
            compiled._cache = _Cache(function)
    return compiled

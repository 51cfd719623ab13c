"""Lock temporary files while they are in use, so that those of killed runs can be removed.

A file is written under a temporary name and then renamed (numerics/files.py, numerics/folders.py).
A process that is killed in between leaves the temporary file.  The next save removes it, but must
not touch the temporary file of another process that is saving now.  So each temporary file is
locked (flock) by its process.  The system releases the lock when the process ends, for any reason:
a temporary file that can be locked is left over.

Differs   Without flock (on Windows, on some network file systems) nothing is locked and nothing is
          removed.
"""
import contextlib
import os
import re
from collections.abc import Callable

try:
    import fcntl
except ImportError:                                # Windows
    fcntl = None  # type: ignore[assignment]


def lock(path: str) -> int | None:
    """Lock a file or folder.  -> a handle for unlock(); None without flock, or if it is gone.

    A process that looks for leftovers can lock and remove the path just after it was created; so
    call is_still_there() afterwards.
    """
    return _open_locked(path, 0)


def is_still_there(path: str, handle: int | None) -> bool:
    """Whether `path` exists, and is what was locked, if it could be locked."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    return handle is None or os.path.samestat(found, os.fstat(handle))


def unlock(handle: int | None) -> None:
    """Release a lock."""
    if handle is not None:
        os.close(handle)


def remove_leftovers(folder: str, prefix: str, suffix: str, remove: Callable[[str], object]
                     ) -> None:
    """Call remove(path) for the temporary paths in `folder` that no process has locked.

    prefix, suffix: those that tempfile was given; it puts eight characters between them
    """
    if fcntl is None:
        return
    pattern = re.compile(re.escape(prefix) + "[a-z0-9_]{8}" + re.escape(suffix))
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for path in [entry.path for entry in entries
                     if pattern.fullmatch(entry.name) and not entry.is_symlink()]:
            handle = _open_locked(path, fcntl.LOCK_NB)
            if handle is not None:
                with contextlib.suppress(OSError):
                    remove(path)
                unlock(handle)


def _open_locked(path, wait):
    """Open and lock.  -> the handle, or None.  wait: 0, or LOCK_NB to give up if it is locked"""
    if fcntl is None:
        return None
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | wait)
    except OSError:
        os.close(handle)
        return None
    return handle

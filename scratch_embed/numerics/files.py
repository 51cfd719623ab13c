"""Read a file, compressed with gzip or not; write a file atomically: all of it or nothing.

Writing: the bytes are written to a temporary file in the same folder.  This file is synced to disk
and only then renamed to the path.  os.replace is atomic, so a reader sees the old file or the new
file, never a part of it.  The folder is synced too, because a power failure could undo the rename.
The temporary file of x is x.*.scratch-embed-part.  If the process is killed, this file remains; the
next write to x removes it (numerics/leftovers.py).
"""
import contextlib
import errno
import gzip
import io
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator
from typing import Any

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.leftovers import is_still_there, lock, remove_leftovers, unlock

GZIP_MAGIC = b"\x1f\x8b"
PARTIAL = ".scratch-embed-part"
LONGEST_PREFIX = 200               # bytes of the name; with PARTIAL below 255, the longest allowed
DISK_ERRORS = errno.ENOSPC, errno.EDQUOT, errno.EFBIG        # the disk, the quota, the file is full


@contextlib.contextmanager
def open_binary(source: str | os.PathLike | io.IOBase
                ) -> Iterator[tuple[io.BufferedReader | gzip.GzipFile, str]]:
    """Yield (binary file, its name) for a path, "-" (standard input) or an open binary file.

    Data that begin with the bytes of gzip are decompressed.  Raises FormatError if such data are
    incomplete or damaged; TypeError for a text file; ValueError for "-" if standard input is
    closed.
    """
    file: Any                                          # an object with read, peek and seek
    with contextlib.ExitStack() as closing:
        if isinstance(source, io.TextIOBase):
            raise TypeError("the text file is open in text mode; open it in mode 'rb'")
        if isinstance(source, io.IOBase):
            file, name = source, getattr(source, "name", "the stream")
        elif source == "-" and sys.stdin is None:
            raise ValueError("standard input is closed: name a file, or pipe one in")
        elif source == "-":
            file, name = sys.stdin.buffer, "standard input"
        else:
            file, name = closing.enter_context(open(source, "rb")), os.fspath(source)
        if not hasattr(file, "peek"):
            file = io.BufferedReader(file)
            closing.callback(file.detach)              # the caller's file stays open
        if file.peek(2)[:2] == GZIP_MAGIC:
            file = closing.enter_context(gzip.open(file))
        try:
            yield file, name
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FormatError(name, "its gzip data", f"damaged ({error}); fetch or compress the "
                              "file again") from None


def rewind(file: Any, name: str) -> int:
    """Go to the beginning of an open file.  -> its size, decompressed

    Raises FormatError for a pipe, which cannot be rewound, and for damaged gzip data.
    """
    if not file.seekable():
        raise FormatError(name, "the file", "expected a file, found a pipe, which cannot be read "
                          "twice; write its data to a file first")
    size = file.seek(0, os.SEEK_END)               # damaged gzip data are detected here
    file.seek(0)
    return size


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[io.BufferedWriter]:
    """Yield a binary file to write to; it replaces `path` when the block ends without an error.

    On any error (a full disk, Ctrl-C) the old file is unchanged and the temporary file is removed.
    A path that is not a regular file (a pipe, a terminal, /dev/null) is written to directly.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        with named_errors(path), open(path, "wb") as file:   # IsADirectoryError for a folder
            yield file
        return
    path = os.path.realpath(path)                  # replace the target of a link, not the link
    folder, name = os.path.split(path)
    with named_errors(path):
        prefix = os.fsdecode(os.fsencode(name)[:LONGEST_PREFIX]) + "."
        number, temporary, handle = _locked_temporary(folder, prefix)
        try:
            with os.fdopen(number, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, _mode(path))
            os.replace(temporary, path)
        except BaseException:                      # Ctrl-C too: leave no half-written file
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        finally:
            unlock(handle)
        sync(folder)
    remove_leftovers(folder, prefix, PARTIAL, os.unlink)


def _locked_temporary(folder, prefix):
    """Create and lock a temporary file.  -> its number, its path, the handle of the lock"""
    while True:
        try:
            number, temporary = tempfile.mkstemp(PARTIAL, prefix, folder)
        except FileNotFoundError:
            raise FileNotFoundError(f"cannot write {os.path.join(folder, prefix[:-1])}: there is "
                                    f"no folder {folder}") from None
        handle = lock(temporary)
        if is_still_there(temporary, handle):
            return number, temporary, handle
        os.close(number)                           # another process took it for a leftover
        unlock(handle)


@contextlib.contextmanager
def named_errors(path: str | os.PathLike) -> Iterator[None]:
    """Within the block, an OSError about a full disk names `path` if it names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in DISK_ERRORS:
            raise OSError(error.errno, os.strerror(error.errno), os.fspath(path)) from None
        raise


def _mode(path):
    """The permissions of the old file at `path`; without one, those that open() would set."""
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)                         # the only way to read the mask is to set it
        os.umask(mask)
        return 0o666 & ~mask


def sync(path: str | os.PathLike) -> None:
    """Sync a file, or the names in a folder, to disk."""
    if os.name == "posix":                         # elsewhere a folder cannot be opened
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

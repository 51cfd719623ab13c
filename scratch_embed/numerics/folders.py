"""Replace several files that belong together, so that a mix of old and new is never loaded.

One file can be replaced atomically (numerics/files.py), several cannot.  So one of the files is
called the mark: without it, the others cannot be loaded.  In the folder of a model it is
config.json.  All new files are first written to a subfolder, .saving-*, and synced to disk.  Then

    1. the old mark is removed,
    2. the other files are renamed into place,
    3. the new mark is renamed into place.

A full disk or another error before step 1 leaves the old files unchanged.  If the process is killed
between steps 1 and 3, the folder has no mark and loading it fails; every new file is in the folder
or in .saving-*, which the next save removes after it has written its files.  If only one file has
changed (the weights, saved during training), only this file is replaced, the mark stays, and the
folder can be loaded at every moment.
"""
import contextlib
import filecmp
import os
import shutil
import tempfile
from collections.abc import Iterator

from scratch_embed.numerics.files import named_errors, sync
from scratch_embed.numerics.interrupt import held_interrupt
from scratch_embed.numerics.leftovers import is_still_there, lock, remove_leftovers, unlock

SAVING = ".saving-"


@contextlib.contextmanager
def replaced_together(folder: str | os.PathLike, mark: str) -> Iterator[str]:
    """Yield a temporary folder to write to; when the block ends, its files are moved to `folder`.

    folder: created if missing; its files that the block does not write stay.
    mark: the file that is removed first and moved last.
    A file whose contents did not change is not replaced.
    Raises ValueError if the block did not write the mark.
    """
    os.makedirs(folder, exist_ok=True)
    folder = os.path.realpath(folder)
    temporary, handle = _locked_temporary(folder)
    try:
        with _errors_named_in(folder, temporary):
            try:
                yield temporary
                new = [name for name in _files(temporary)
                       if not _unchanged(temporary, folder, name)]
                if not os.path.exists(os.path.join(temporary, mark)):
                    raise ValueError(f"cannot write {folder}: expected {mark} among its files, got "
                                     f"{_files(temporary)}")
                for name in new:
                    os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
                    sync(os.path.join(temporary, name))
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
            with held_interrupt():
                _move(temporary, folder, new, mark)
                shutil.rmtree(temporary, ignore_errors=True)
    finally:
        unlock(handle)
    remove_leftovers(folder, SAVING, "", shutil.rmtree)


@contextlib.contextmanager
def _errors_named_in(folder, temporary):
    """Within the block, an OSError about a full disk names a file of `folder`, not `temporary`."""
    try:
        with named_errors(folder):
            yield
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = error.filename.replace(temporary, folder)
        raise


def _locked_temporary(folder):
    """Create and lock a temporary folder.  -> its path, the handle of the lock"""
    while True:
        temporary = tempfile.mkdtemp(dir=folder, prefix=SAVING)
        handle = lock(temporary)
        if is_still_there(temporary, handle):
            return temporary, handle
        unlock(handle)                             # another process took it for a leftover


def _move(temporary, folder, new, mark):
    """Rename the new files into place: steps 1 to 3, or the only new file alone."""
    if len(new) > 1:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, mark))
        sync(folder)
        new = [name for name in new if name != mark] + [mark]
    for name in new:
        if name == mark:                           # first bring the other renames to disk
            sync(folder)
        target = os.path.join(folder, name)
        os.replace(os.path.join(temporary, name), target)
        sync(os.path.dirname(target))


def _files(temporary):
    """The paths of all files below a folder, relative to it."""
    return sorted(os.path.relpath(os.path.join(at, name), temporary)
                  for at, _, names in os.walk(temporary) for name in names)


def _unchanged(temporary, folder, name):
    try:
        return filecmp.cmp(os.path.join(temporary, name), os.path.join(folder, name), shallow=False)
    except FileNotFoundError:
        return False

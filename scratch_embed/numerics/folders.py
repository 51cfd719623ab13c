"""Several files that mean something together: no crash leaves a folder that mixes old and new.

One file is replaced in one step (numerics/files.py), several are not.  So one of them is the mark,
without which nobody reads the others: config.json, for a folder with a model.  All new files are
written to a folder inside, .saving-*, and are on the disk before any old one is touched.  Then

    the mark is removed,   the others take their names,   the new mark comes last.

A full disk or an error before that leaves the old folder whole.  Whoever is killed in between finds
a folder that is refused for want of its mark, and every new file still in it or in .saving-*.
Where only one file differs from what is there (weights, saved while they are trained) the mark
stays: that one file is replaced, and the folder can be read at every moment.
"""
import contextlib
import filecmp
import os
import shutil
import tempfile
from collections.abc import Iterator

from scratch_embed.numerics.files import sync
from scratch_embed.numerics.interrupt import held_interrupt


@contextlib.contextmanager
def replaced_together(folder: str | os.PathLike, mark: str) -> Iterator[str]:
    """An empty folder to write into; when the block ends, its files take their places in `folder`.

    folder: made if it is not there; what else is in it stays.  mark: the file that goes first and
    comes last.  Files that are what they were already are left alone.
    """
    os.makedirs(folder, exist_ok=True)
    folder = os.path.realpath(folder)
    room = tempfile.mkdtemp(dir=folder, prefix=".saving-")
    try:
        yield room
        new = [name for name in _files(room) if not _same(room, folder, name)]
        if not os.path.exists(os.path.join(room, mark)):
            raise ValueError(f"cannot write {folder}: among its files {_files(room)} there is no "
                             f"{mark}")
        for name in new:
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            sync(os.path.join(room, name))
    except BaseException:
        shutil.rmtree(room, ignore_errors=True)
        raise
    with held_interrupt():
        _move(room, folder, new, mark)
        shutil.rmtree(room, ignore_errors=True)


def _move(room, folder, new, mark):
    """From here on only names change."""
    if len(new) > 1:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, mark))
        sync(folder)
        new = [name for name in new if name != mark] + [mark]
    for name in new:
        if name == mark:                           # the others are there for good before it is
            sync(folder)
        target = os.path.join(folder, name)
        os.replace(os.path.join(room, name), target)
        sync(os.path.dirname(target))


def _files(room):
    """The paths of all files below a folder, from there."""
    return sorted(os.path.relpath(os.path.join(at, name), room)
                  for at, _, names in os.walk(room) for name in names)


def _same(room, folder, name):
    try:
        return filecmp.cmp(os.path.join(room, name), os.path.join(folder, name), shallow=False)
    except FileNotFoundError:
        return False

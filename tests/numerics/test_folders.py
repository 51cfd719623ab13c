"""After an error or a kill, a folder has all old files, all new files, or no mark.

The mark is the file without which the others are not loaded (here called "mark").
"""
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.folders import replaced_together
from tests.processes import full_disk

ROOT = Path(__file__).parents[2]
OLD = {"mark": b"old", "weights": b"old weights", "below/words": b"old words", "other": b"kept"}
NEW = {"mark": b"new", "weights": b"new weights", "below/words": b"new words"}


def contents(folder):
    """{path: bytes} of all files, except those in .saving-* folders of an interrupted save."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in Path(folder).rglob("*")
            if path.is_file() and ".saving-" not in str(path)}


def fill(folder, files):
    for name, data in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def save(folder, files):
    with replaced_together(folder, "mark") as temporary:
        fill(temporary, files)


def test_the_new_files_replace_the_old_ones_and_other_files_stay(tmp_path):
    fill(tmp_path, OLD)
    with replaced_together(tmp_path, "mark") as temporary:
        fill(temporary, NEW)
        assert contents(tmp_path) == OLD           # unchanged until the block ends
    assert contents(tmp_path) == OLD | NEW
    assert sorted(os.listdir(tmp_path)) == ["below", "mark", "other", "weights"]


def test_a_missing_folder_is_created(tmp_path):
    save(tmp_path / "a" / "b", NEW)
    assert contents(tmp_path / "a" / "b") == NEW


def test_if_only_one_file_differs_the_mark_is_not_touched(tmp_path):
    """Inode and time of change are the same, so the mark was neither removed nor replaced."""
    fill(tmp_path, OLD)
    before = (tmp_path / "mark").stat()
    save(tmp_path, OLD | {"weights": b"newer weights"})
    assert contents(tmp_path) == OLD | {"weights": b"newer weights"}
    after = (tmp_path / "mark").stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_an_error_in_the_block_leaves_the_old_files(tmp_path):
    fill(tmp_path, OLD)
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), replaced_together(tmp_path, "mark") as temporary:
            fill(temporary, NEW)
            raise error
    with pytest.raises(ValueError, match="expected mark among its files, got"):
        save(tmp_path, {"weights": b"new weights"})
    assert contents(tmp_path) == OLD
    assert sorted(os.listdir(tmp_path)) == ["below", "mark", "other", "weights"]


def test_a_full_disk_leaves_the_old_files(tmp_path, monkeypatch):
    fill(tmp_path, OLD)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        save(tmp_path, NEW)
    assert contents(tmp_path) == OLD


# for folder n (from 0), a child process makes n calls that change files, and kills itself before
# the next
CRASH = """
import os, signal, sys
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.folders import replaced_together
from tests.processes import full_disk
NEW = {new}

def counted(real):
    def call(*arguments, **rest):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **rest)
    return call

for left, folder in enumerate(sys.argv[1:]):
    child = os.fork()
    if child == 0:
        for name in ("mkdir", "unlink", "replace", "fsync", "rmdir"):
            setattr(os, name, counted(getattr(os, name)))
        with replaced_together(folder, "mark") as temporary:
            os.makedirs(os.path.join(temporary, "below"))
            for name, data in NEW.items():
                open(os.path.join(temporary, name), "wb").write(data)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(os.name != "posix", reason="kills with a signal")
def test_a_kill_at_any_call_leaves_all_old_files_or_all_new_files_or_no_mark(tmp_path):
    """For n = 0 .. 39: killed after n calls that change files; then saved again."""
    folders = [tmp_path / str(n) for n in range(40)]
    for folder in folders:
        fill(folder, OLD)
    codes = subprocess.run([sys.executable, "-c", CRASH.format(new=NEW), *folders], cwd=ROOT,
                           check=True, capture_output=True, text=True).stdout.split()
    assert set(codes) == {str(-signal.SIGKILL), "0"} and codes[-1] == "0"      # 0: not killed
    states = set()
    for folder in folders:
        found = contents(folder)
        states.add(found.get("mark"))
        if found not in (OLD, OLD | NEW):
            assert "mark" not in found
            all_bytes = {path.read_bytes() for path in folder.rglob("*") if path.is_file()}
            assert all_bytes >= set(NEW.values())            # no new file is lost
        save(folder, NEW)
        assert contents(folder) == OLD | NEW
        assert not list(folder.glob(".saving-*"))            # left by the killed process
    assert states == {b"old", None, b"new"}


def test_the_temporary_folder_of_a_process_that_is_still_saving_is_not_removed(tmp_path):
    with replaced_together(tmp_path, "mark") as slow:
        fill(slow, NEW)
        save(tmp_path, OLD)
    assert contents(tmp_path) == OLD | NEW


def test_the_error_of_a_full_disk_names_the_file_in_the_folder(tmp_path):
    with full_disk(1000), pytest.raises(OSError) as error:
        with (replaced_together(tmp_path, "mark") as temporary,
              atomic_write(Path(temporary, "weights")) as file):
            file.write(b"x" * 100_000)
    assert error.value.filename == str(tmp_path / "weights")
    assert os.listdir(tmp_path) == []

"""atomic_write: the old file survives every error while the new file is written."""
import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.leftovers import is_still_there, lock, unlock
from scratch_embed.numerics.npy import write_npy
from tests.processes import full_disk


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    return path


def is_unchanged(old):
    return old.read_bytes() == b"old" and os.listdir(old.parent) == ["file"]


def test_the_new_bytes_replace_the_old_bytes_at_the_end_of_the_block(old):
    with atomic_write(old) as file:
        file.write(b"new")
        assert old.read_bytes() == b"old"            # unchanged until the block ends
    assert old.read_bytes() == b"new" and os.listdir(old.parent) == ["file"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_in_the_block_leaves_the_old_file(old, error):
    with pytest.raises(error), atomic_write(old) as file:
        file.write(b"half")
        raise error
    assert is_unchanged(old)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file(old, monkeypatch, call):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space"), atomic_write(old) as file:
        file.write(b"new")
    assert is_unchanged(old)


def test_the_file_is_synced_before_it_is_renamed(old, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, _spied(name, getattr(os, name), calls))
    with atomic_write(old) as file:
        file.write(b"new")
    assert calls == ["fsync", "replace", "fsync"]    # sync the file, rename it, sync the folder


def _spied(name, real, calls):
    def spy(*args):
        calls.append(name)
        return real(*args)
    return spy


def test_a_killed_process_leaves_the_old_file(old):
    code = f"""
import os, signal
from scratch_embed.numerics.files import atomic_write
with atomic_write({str(old)!r}) as file:
    file.write(b"x" * 1_000_000)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL
    assert old.read_bytes() == b"old"                # the temporary file stays beside the old file


def test_the_error_names_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere"):
        with atomic_write(tmp_path / "nowhere" / "file"):
            pass


def test_permissions_are_those_of_the_old_file_or_those_of_a_new_file(old, tmp_path):
    old.chmod(0o640)
    with atomic_write(old):
        pass
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    with atomic_write(tmp_path / "new"):
        pass
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_target_of_a_link_is_replaced_and_the_link_stays(old, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(old)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink() and old.read_bytes() == b"new"


# ---- temporary files of killed processes -------------------------------------------------------

KILLED = """
import os, signal
from scratch_embed.numerics.files import atomic_write
with atomic_write({path!r}) as file:
    file.write(b"x" * 1_000_000)
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed_while_writing(path):
    done = subprocess.run([sys.executable, "-c", KILLED.format(path=str(path))],
                          cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL


def test_the_next_write_removes_the_temporary_files_of_killed_processes(old):
    killed_while_writing(old)
    killed_while_writing(old)
    assert len(os.listdir(old.parent)) == 3
    with atomic_write(old) as file:
        file.write(b"new")
    assert old.read_bytes() == b"new" and os.listdir(old.parent) == ["file"]


def test_the_temporary_file_of_a_process_that_is_still_writing_is_not_removed(old):
    with atomic_write(old) as slow:
        slow.write(b"slow")
        with atomic_write(old) as fast:
            fast.write(b"fast")
        assert old.read_bytes() == b"fast"
    assert old.read_bytes() == b"slow" and os.listdir(old.parent) == ["file"]


@pytest.mark.parametrize("name", ["file.backup01", "file.partial", "file.my_words.partial",
                                  "file.x.scratch-embed-part", "file.abcdefgh",
                                  "other.abcdefgh.scratch-embed-part"])
def test_files_of_the_user_are_not_removed_as_leftovers(old, name):
    old.with_name(name).write_bytes(b"mine")
    with atomic_write(old):
        pass
    assert old.with_name(name).read_bytes() == b"mine"


# ---- a full disk -------------------------------------------------------------------------------

def test_the_error_of_a_full_disk_names_the_file(old):
    with full_disk(1000), pytest.raises(OSError) as error, atomic_write(old) as file:
        file.write(b"x" * 100_000)
    assert (error.value.filename, error.value.strerror) == (str(old), "File too large")
    assert is_unchanged(old)


@pytest.mark.parametrize("array", [np.arange(6.).reshape(2, 3), np.zeros((0, 4), np.int8),
                                   np.float32(1), np.arange(6).reshape(2, 3).T])
def test_numpy_reads_the_array_that_was_written(tmp_path, array):
    write_npy(tmp_path / "x.npy", array)
    found = np.load(tmp_path / "x.npy")
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.asarray(array).dtype and found.shape == np.shape(array)


def test_the_error_of_a_full_disk_names_the_file_of_an_array(old):
    with full_disk(1000), pytest.raises(OSError, match="File too large") as error:
        write_npy(old, np.zeros(100_000))
    assert error.value.filename == str(old) and is_unchanged(old)


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" + "日" * 84])
def test_the_longest_name_that_the_system_allows_is_written(tmp_path, name):
    for data in b"old", b"new":
        with atomic_write(tmp_path / name) as file:
            file.write(data)
    assert (tmp_path / name).read_bytes() == b"new" and os.listdir(tmp_path) == [name]


def test_the_removal_of_a_temporary_file_by_another_process_is_noticed(tmp_path):
    """Another process can remove the file before it is locked; then the lock protects nothing."""
    path = tmp_path / "x"
    path.touch()
    handle = lock(path)
    assert is_still_there(path, handle)
    path.unlink()
    assert not is_still_there(path, handle) and not is_still_there(path, lock(path))
    path.touch()                                       # another file with this name
    assert not is_still_there(path, handle)
    unlock(handle)

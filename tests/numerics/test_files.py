"""atomic_write: the old file survives every error while the new file is written."""
import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scratch_embed.numerics.files import atomic_write


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
        assert old.read_bytes() == b"old"            # until the block has ended
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
    assert old.read_bytes() == b"old"                # the temporary file stays beside it


def test_the_error_names_a_missing_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder .*nowhere"):
        with atomic_write(tmp_path / "nowhere" / "file"):
            pass


def test_permissions_are_those_of_the_old_file_or_those_that_open_sets(old, tmp_path):
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

"""Settings of all tests.

Hypothesis: 50 examples by default; `pytest --hypothesis-profile=deep` runs 5,000.
Several processes can share the files: each `pytest tests --claims FOLDER` with the same, empty
folder runs the files that no other has begun.
"""
import functools
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from scratch_embed.numerics.blas import _openblas
from tests.fork_server import client, fork_server

ROOT = Path(__file__).parents[1]

settings.register_profile("default", deadline=None, max_examples=50)   # compiling is slow
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.load_profile("default")

# A shell starts background jobs with Ctrl-C ignored; the tests of Ctrl-C need it.
signal.signal(signal.SIGINT, signal.default_int_handler)


FIRST = ["test_readme.py"]         # takes longest: if it ran last, the other processes would wait


def pytest_addoption(parser):
    parser.addoption("--claims", metavar="FOLDER", help="run only the files that no other process "
                     "with this folder has begun; it keeps an empty file for each")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--claims"):
        items.sort(key=lambda item: item.path.name not in FIRST)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    """Pass over the tests of a file that another process has claimed."""
    folder = item.config.getoption("--claims")
    if not folder or claim(folder, item.path):
        return None
    item.session._setupstate.teardown_exact(nextitem)    # of earlier tests, if nextitem has none
    return True


@functools.cache
def claim(folder, path):
    """Whether this process is the first that asks for this test file."""
    try:
        open(Path(folder, path.relative_to(ROOT).as_posix().replace("/", "-")), "x").close()
    except FileExistsError:
        return False
    return True


@pytest.fixture
def three_blas_threads():
    """BLAS has 3 threads: another number than 1, also on one core or with OMP_NUM_THREADS=1."""
    get_threads, set_threads, _ = _openblas()
    before = get_threads()
    set_threads(3)
    yield
    set_threads(before)


@pytest.fixture
def stdin(monkeypatch):
    """A function stdin(data) that sets standard input to a text, bytes or a stream of bytes."""
    def given(data):
        data = data.encode() if isinstance(data, str) else data
        stream = io.BytesIO(data) if isinstance(data, bytes) else data
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
    return given


@pytest.fixture(scope="session")
def shell(tmp_path_factory):
    """shell(command, folder, new_python=False) -> its output.  `scratch-embed` runs this checkout.

    Each command is a process of its own: a fork of tests/fork_server.py, which starts faster, or
    with new_python `python -m scratch_embed`.
    """
    forked, started = (tmp_path_factory.mktemp(name) for name in ("forked", "started"))
    python = f'#!/bin/sh\nexec "{sys.executable}" {{}} "$@"\n'
    address = str(forked / "socket")
    for folder, program in [(forked, client(address)),
                            (started, python.format("-m scratch_embed"))]:
        write_program(folder / "python", python.format(""))
        write_program(folder / "scratch-embed", program)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def run(command, folder, new_python=False):
        path = f"{started if new_python else forked}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(["bash", "-ec", command], cwd=folder, capture_output=True,
                              env={**environment, "PATH": path}, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return done.stdout

    with fork_server(address):
        yield run


def write_program(path, text):
    """Write an executable file."""
    path.write_text(text)
    path.chmod(0o755)

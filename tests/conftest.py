"""Settings of all tests.

Hypothesis: 50 examples by default; `pytest --hypothesis-profile=deep` runs 5,000.
Shares: `pytest tests --share 1/2` runs the first, third, fifth ... test file, `--share 2/2` the
others; both can run side by side.
"""
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

settings.register_profile("default", deadline=None, max_examples=50)   # compiling is slow
settings.register_profile("deep", deadline=None, max_examples=5000)
settings.load_profile("default")

# A shell starts background jobs with Ctrl-C ignored; the tests of Ctrl-C need it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--share", metavar="K/N", help="run only the K-th of N shares of the files")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--share"):
        k, n = map(int, config.getoption("--share").split("/"))
        files = set(sorted({item.path for item in items})[k - 1::n])
        config.hook.pytest_deselected(items=[item for item in items if item.path not in files])
        items[:] = [item for item in items if item.path in files]


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
    """shell(command, folder) -> its output.  `scratch-embed` runs this checkout."""
    programs = tmp_path_factory.mktemp("programs")
    for name, options in [("python", ""), ("scratch-embed", "-m scratch_embed")]:
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {options} "$@"\n')
        program.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(ROOT),
                   "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def run(command, folder):
        done = subprocess.run(["bash", "-ec", command], cwd=folder, env=environment,
                              capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        return done.stdout
    return run

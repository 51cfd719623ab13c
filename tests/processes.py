"""Python programs that tests run beside themselves, and a terminal to write to."""
import contextlib
import io
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


def in_plain_python(function: Callable[[], np.ndarray], warnings: str = "error") -> np.ndarray:
    """function() with the compiler switched off, so that every kernel is plain Python.

    function: of a module of tests, without arguments; warnings: what Python does at an overflow of
    whole numbers, of which the compiled code says nothing.
    """
    code = f"""
import sys, warnings
import numpy as np
from {function.__module__} import {function.__name__}
warnings.simplefilter({warnings!r}, RuntimeWarning)
np.save(sys.stdout.buffer, {function.__name__}())
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True,
                          env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr.decode()
    return np.load(io.BytesIO(done.stdout))


class Terminal:
    """What was written to a terminal, once the block that wrote to it has ended."""

    text = ""


@contextlib.contextmanager
def terminal() -> Iterator[Terminal]:
    """Within the block stderr is a terminal of 100 columns, which holds some 4,000 bytes."""
    fcntl, termios = map(pytest.importorskip, ("fcntl", "termios"))
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    written, parts = Terminal(), []
    with open(leader, "rb", buffering=0) as reader:
        with open(follower, "w", encoding="utf-8") as file, contextlib.redirect_stderr(file):
            yield written
        with contextlib.suppress(OSError):                 # which is how a terminal ends
            while part := reader.read(4096):
                parts.append(part)
    written.text = b"".join(parts).decode()

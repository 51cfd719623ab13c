"""Helpers of tests: other Python processes, a full disk, a terminal and Ctrl-C."""
import contextlib
import io
import os
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


def in_plain_python(function: Callable[[], np.ndarray], warnings: str = "error") -> np.ndarray:
    """function() in a process without Numba's compiler, where every kernel is plain Python.

    function: a function without arguments of a test module
    warnings: the warnings filter for integer overflow, which compiled code does not report
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


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Within the block, writing beyond `size` bytes of a file raises OSError ("File too large")."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Terminal:
    """A terminal; text: everything written to it so far."""

    text = ""


@contextlib.contextmanager
def terminal(watch: Callable[[str], object] = len) -> Iterator[Terminal]:
    """Within the block, stderr is a terminal of 100 columns.

    watch(text) is called in another thread with all text so far, after every new character.
    """
    fcntl, termios = map(pytest.importorskip, ("fcntl", "termios"))
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    screen = Terminal()

    def read():
        with contextlib.suppress(OSError), open(leader, encoding="utf-8", newline="") as reader:
            while part := reader.read(1):                  # closing the terminal raises OSError
                screen.text += part
                watch(screen.text)
    thread = threading.Thread(target=read)
    thread.start()
    try:
        with open(follower, "w", encoding="utf-8") as file, contextlib.redirect_stderr(file):
            yield screen
    finally:
        thread.join()


def ctrl_c_at(word: str, process: Callable[[], int] = os.getpid) -> Callable[[str], object]:
    """A `watch` for terminal() that sends Ctrl-C once, as soon as the text contains `word`.

    process: returns the id of the process to interrupt; by default this process
    """
    pressed = threading.Event()

    def watch(text):
        if word in text and not pressed.is_set():
            pressed.set()
            os.kill(process(), signal.SIGINT)
    return watch

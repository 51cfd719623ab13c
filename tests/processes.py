"""Python programs that tests run beside themselves, and a terminal to write to."""
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


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Within the block no file becomes longer than `size` bytes: OSError, "File too large"."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Terminal:
    """What has been written to a terminal."""

    text = ""


@contextlib.contextmanager
def terminal(watch: Callable[[str], object] = len) -> Iterator[Terminal]:
    """Within the block stderr is a terminal of 100 columns.

    watch(text) is called in another thread whenever there is more of it.
    """
    fcntl, termios = map(pytest.importorskip, ("fcntl", "termios"))
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    screen = Terminal()

    def read():
        with contextlib.suppress(OSError), open(leader, encoding="utf-8", newline="") as reader:
            while part := reader.read(1):                  # the error is how a terminal ends
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
    """For terminal(): press Ctrl-C once, as soon as this word is there to be read.

    process: the number of the one that is to be stopped
    """
    pressed = threading.Event()

    def watch(text):
        if word in text and not pressed.is_set():
            pressed.set()
            os.kill(process(), signal.SIGINT)
    return watch

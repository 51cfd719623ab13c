"""Delay Ctrl-C until the work can be stopped safely."""
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


class HeldInterrupt(KeyboardInterrupt):
    """Ctrl-C that was delayed by held_interrupt()."""


@contextlib.contextmanager
def held_interrupt() -> Iterator[Callable[[], None]]:
    """Delay a first Ctrl-C until the yielded function is called, or until the block ends.

    Both then raise HeldInterrupt, a KeyboardInterrupt.  A second Ctrl-C raises KeyboardInterrupt at
    once.
    Only the main thread handles signals: in another thread, or if SIGINT is ignored, the block has
    no effect.
    """
    pressed = threading.Event()
    old = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(old):
        yield lambda: None
        return

    def hold(number, frame):
        if pressed.is_set():
            old(number, frame)
        pressed.set()

    def raise_if_pressed():
        if pressed.is_set():
            raise HeldInterrupt

    signal.signal(signal.SIGINT, hold)
    try:
        yield raise_if_pressed
        raise_if_pressed()
    finally:
        signal.signal(signal.SIGINT, old)

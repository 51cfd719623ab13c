"""Ctrl-C at a moment that suits the work."""
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator


class HeldInterrupt(KeyboardInterrupt):
    """Ctrl-C, at a moment that suits the work."""


@contextlib.contextmanager
def held_interrupt() -> Iterator[Callable[[], None]]:
    """Within the block Ctrl-C waits until the work calls the function that the block is given.

    That function raises HeldInterrupt, a KeyboardInterrupt, if Ctrl-C was pressed; so does the end
    of the block.  A second Ctrl-C does not wait, and is a plain KeyboardInterrupt.
    Only the main thread hears signals; elsewhere, and where the signal is ignored, nothing changes.
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

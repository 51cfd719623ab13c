"""held_interrupt delays a first Ctrl-C, but not a second one."""
import signal
import threading

import pytest

from scratch_embed.numerics.interrupt import HeldInterrupt, held_interrupt


def test_ctrl_c_takes_effect_when_the_yielded_function_is_called():
    steps = []
    with pytest.raises(KeyboardInterrupt):
        with held_interrupt() as raise_if_pressed:
            raise_if_pressed()                                  # not pressed yet: no effect
            signal.raise_signal(signal.SIGINT)
            steps.append("continued")
            raise_if_pressed()
            steps.append("not reached")
    assert steps == ["continued"]


def test_ctrl_c_takes_effect_at_the_end_of_the_block_at_the_latest():
    steps = []
    with pytest.raises(HeldInterrupt):
        with held_interrupt():
            signal.raise_signal(signal.SIGINT)
            steps.append("continued")
    assert steps == ["continued"]


def test_a_second_ctrl_c_takes_effect_at_once():
    with pytest.raises(KeyboardInterrupt):
        with held_interrupt():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)


def test_the_old_signal_handler_is_restored():
    before = signal.getsignal(signal.SIGINT)
    with held_interrupt():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_the_block_has_no_effect_in_another_thread():
    done = []

    def work():
        with held_interrupt() as raise_if_pressed:
            raise_if_pressed()
            done.append(True)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]

import signal
import threading

import pytest

from scratch_embed.numerics.interrupt import HeldInterrupt, held_interrupt


def test_ctrl_c_waits_for_the_work_to_ask():
    steps = []
    with pytest.raises(KeyboardInterrupt):
        with held_interrupt() as stop_if_asked:
            stop_if_asked()                                       # nobody pressed it yet
            signal.raise_signal(signal.SIGINT)
            steps.append("went on")
            stop_if_asked()
            steps.append("not reached")
    assert steps == ["went on"]


def test_ctrl_c_that_nobody_asked_for_comes_at_the_end_of_the_block():
    steps = []
    with pytest.raises(HeldInterrupt):
        with held_interrupt():
            signal.raise_signal(signal.SIGINT)
            steps.append("went on")
    assert steps == ["went on"]


def test_a_second_ctrl_c_does_not_wait():
    with pytest.raises(KeyboardInterrupt):
        with held_interrupt():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)


def test_afterwards_ctrl_c_is_what_it_was():
    before = signal.getsignal(signal.SIGINT)
    with held_interrupt():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before


def test_another_thread_hears_no_signals_and_works_all_the_same():
    done = []

    def work():
        with held_interrupt() as stop_if_asked:
            stop_if_asked()
            done.append(True)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]

"""BLAS threads are limited inside a block; the last block to end restores their number."""
import threading

import pytest

from scratch_embed.numerics.blas import blas_threads, blas_threads_at_most, one_blas_thread

needs_openblas = pytest.mark.skipif(blas_threads() is None, reason="NumPy without OpenBLAS")
pytestmark = pytest.mark.usefixtures("three_blas_threads")


@needs_openblas
def test_one_thread_inside_the_block_and_the_old_number_after_it():
    before = blas_threads()
    with one_blas_thread():
        assert blas_threads() == 1
        with one_blas_thread():
            assert blas_threads() == 1
        assert blas_threads() == 1
    assert blas_threads() == before


@needs_openblas
def test_the_old_number_is_restored_after_an_error():
    before = blas_threads()
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert blas_threads() == before


@needs_openblas
def test_overlapping_blocks_of_two_threads_restore_the_old_number():
    before, entered, may_leave = blas_threads(), threading.Event(), threading.Event()

    def other():
        with one_blas_thread():
            entered.set()
            may_leave.wait(10)
    thread = threading.Thread(target=other)
    with one_blas_thread():                        # begins first, ends first
        thread.start()
        assert entered.wait(10)
    assert blas_threads() == 1
    may_leave.set()
    thread.join()
    assert blas_threads() == before


@needs_openblas
def test_blas_threads_at_most_never_raises_the_number_and_restores_it():
    before = blas_threads()
    for most, expected in (1, 1), (before, before), (before + 7, before), (None, before):
        with pytest.raises(KeyError), blas_threads_at_most(most):
            assert blas_threads() == expected
            with one_blas_thread():
                assert blas_threads() == 1
            assert blas_threads() == expected
            raise KeyError
        assert blas_threads() == before


def test_without_openblas_the_blocks_have_no_effect(monkeypatch):
    monkeypatch.setattr("scratch_embed.numerics.blas._PREFIXES", ())
    assert blas_threads() is None
    with one_blas_thread(), blas_threads_at_most(1):
        assert blas_threads() is None

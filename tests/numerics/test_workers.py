"""imap_unordered and parallel_map: every item once, parallel threads, errors, cancellation."""
import threading

import pytest

from scratch_embed.numerics.blas import blas_threads
from scratch_embed.numerics.workers import imap_unordered, parallel_map


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_function_is_called_once_for_each_item(workers):
    squares = imap_unordered(lambda x: x * x, range(100), workers)
    assert sorted(squares) == [x * x for x in range(100)]


def test_one_worker_keeps_the_order_and_uses_the_callers_thread():
    seen = list(imap_unordered(lambda x: (x, threading.get_ident()), range(10), 1))
    assert seen == [(x, threading.get_ident()) for x in range(10)]


@pytest.mark.parametrize("workers", [2, 3])
def test_as_many_calls_as_workers_run_at_the_same_time(workers):
    meeting = threading.Barrier(workers, timeout=20)     # an error unless all wait at once

    def f(item):
        return meeting.wait() >= 0
    assert all(imap_unordered(f, range(workers * 2), workers))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_reaches_the_caller_and_cancels_the_other_calls(workers):
    begun = []

    def f(item):
        begun.append(item)
        if item == 3:
            raise ArithmeticError("diverged")
        return item
    with pytest.raises(ArithmeticError, match="diverged"):
        list(imap_unordered(f, range(1000), workers))
    assert len(begun) < 100


def test_only_a_few_items_are_read_ahead():
    read = []

    def items():
        for item in range(1000):
            read.append(item)
            yield item
    next(iter(imap_unordered(lambda item: item, items(), 2)))
    assert len(read) < 20


def test_closing_the_generator_waits_only_for_running_calls():
    begun = []
    results = imap_unordered(lambda item: begun.append(item), range(1000), 2)
    next(results)
    results.close()
    done = len(begun)
    assert done < 20 and len(begun) == done


# ---- parallel_map -------------------------------------------------------------------------------

@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_have_the_order_of_the_items(workers):
    """The call of the first item waits until the call of the last item has begun."""
    last = threading.Event()

    def square(x):
        if x == 0 and workers > 1:
            assert last.wait(20)
        if x == workers - 1:
            last.set()
        return x * x
    with parallel_map(workers) as map_items:
        assert map_items(square, range(workers)) == [x * x for x in range(workers)]
        assert map_items(square, iter([])) == []


def test_parallel_map_with_one_worker_uses_the_callers_thread():
    with parallel_map(1) as map_items:
        assert map_items(lambda _: threading.get_ident(), range(3)) == [threading.get_ident()] * 3


def test_two_workers_run_at_the_same_time():
    meeting = threading.Barrier(2, timeout=20)
    with parallel_map(2) as map_items:
        assert sorted(map_items(lambda _: meeting.wait(), range(2))) == [0, 1]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_worker_reaches_the_caller_and_the_workers_continue(workers):
    with parallel_map(workers) as map_items:
        with pytest.raises(ZeroDivisionError):
            map_items(lambda x: 1 / x, [1, 0])
        assert map_items(lambda x: 1 / x, [1, 2]) == [1, 0.5]


@pytest.mark.parametrize("workers", [1, 2])
def test_blas_has_one_thread_in_the_block_and_the_old_number_after_it(workers, three_blas_threads):
    before = blas_threads()
    with pytest.raises(KeyError), parallel_map(workers) as map_items:
        assert set(map_items(lambda _: blas_threads(), range(workers))) <= {1, None}
        raise KeyError
    assert blas_threads() == before


@pytest.mark.parametrize("workers", [0, -1])
def test_fewer_than_one_worker_are_rejected(workers):
    with pytest.raises(ValueError, match=f"workers={workers}: expected at least 1"):
        with parallel_map(workers):
            pass

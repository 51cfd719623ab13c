import threading

import pytest

from scratch_embed.numerics.blas import blas_threads
from scratch_embed.numerics.workers import imap_unordered, parallel_map


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_is_done_once(workers):
    squares = imap_unordered(lambda x: x * x, range(100), workers)
    assert sorted(squares) == [x * x for x in range(100)]


def test_one_worker_keeps_the_order_and_the_thread():
    seen = list(imap_unordered(lambda x: (x, threading.get_ident()), range(10), 1))
    assert seen == [(x, threading.get_ident()) for x in range(10)]


@pytest.mark.parametrize("workers", [2, 3])
def test_that_many_jobs_run_side_by_side(workers):
    meeting = threading.Barrier(workers, timeout=20)     # breaks unless all of them arrive

    def step(job):
        return meeting.wait() >= 0
    assert all(imap_unordered(step, range(workers * 2), workers))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_reaches_the_caller_and_the_rest_is_dropped(workers):
    begun = []

    def step(job):
        begun.append(job)
        if job == 3:
            raise ArithmeticError("diverged")
        return job
    with pytest.raises(ArithmeticError, match="diverged"):
        list(imap_unordered(step, range(1000), workers))
    assert len(begun) < 100


def test_jobs_are_read_no_further_ahead_than_keeps_the_workers_busy():
    read = []

    def jobs():
        for job in range(1000):
            read.append(job)
            yield job
    next(iter(imap_unordered(lambda job: job, jobs(), 2)))
    assert len(read) < 20


def test_a_caller_who_stops_waits_only_for_the_jobs_under_way():
    begun = []
    results = imap_unordered(lambda job: begun.append(job), range(1000), 2)
    next(results)
    results.close()
    done = len(begun)
    assert done < 20 and len(begun) == done


# ---- a team -------------------------------------------------------------------------------------

@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_teams_answers_come_in_the_order_of_the_items_whoever_is_first(workers):
    """The first item's thread waits until the last one's has answered."""
    last = threading.Event()

    def square(x):
        if x == 0 and workers > 1:
            assert last.wait(20)
        if x == workers - 1:
            last.set()
        return x * x
    with parallel_map(workers) as run:
        assert run(square, range(workers)) == [x * x for x in range(workers)]
        assert run(square, iter([])) == []


def test_a_team_of_one_works_in_this_very_thread():
    with parallel_map(1) as run:
        assert run(lambda _: threading.get_ident(), range(3)) == [threading.get_ident()] * 3


def test_a_team_of_two_works_side_by_side():
    meeting = threading.Barrier(2, timeout=20)
    with parallel_map(2) as run:
        assert sorted(run(lambda _: meeting.wait(), range(2))) == [0, 1]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_worker_reaches_the_caller_and_the_workers_continue(workers):
    with parallel_map(workers) as run:
        with pytest.raises(ZeroDivisionError):
            run(lambda x: 1 / x, [1, 0])
        assert run(lambda x: 1 / x, [1, 2]) == [1, 0.5]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_matrix_product_has_one_thread_in_a_team_and_as_many_as_before_after_it(workers):
    before = blas_threads()
    with pytest.raises(KeyError), parallel_map(workers) as run:
        assert set(run(lambda _: blas_threads(), range(workers))) <= {1, None}
        raise KeyError
    assert blas_threads() == before


@pytest.mark.parametrize("workers", [0, -1])
def test_a_team_of_nobody_is_refused(workers):
    with pytest.raises(ValueError, match=f"workers={workers}: expected at least 1"):
        with parallel_map(workers):
            pass

import threading

import pytest

from scratch_embed.numerics.workers import run


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_is_done_once(workers):
    assert sorted(run(lambda x: x * x, range(100), workers)) == [x * x for x in range(100)]


def test_one_worker_keeps_the_order_and_the_thread():
    seen = list(run(lambda x: (x, threading.get_ident()), range(10), 1))
    assert seen == [(x, threading.get_ident()) for x in range(10)]


@pytest.mark.parametrize("workers", [2, 3])
def test_that_many_jobs_run_side_by_side(workers):
    meeting = threading.Barrier(workers, timeout=20)     # breaks unless all of them arrive

    def step(job):
        return meeting.wait() >= 0
    assert all(run(step, range(workers * 2), workers))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_reaches_the_caller_and_the_rest_is_dropped(workers):
    begun = []

    def step(job):
        begun.append(job)
        if job == 3:
            raise ArithmeticError("diverged")
        return job
    with pytest.raises(ArithmeticError, match="diverged"):
        list(run(step, range(1000), workers))
    assert len(begun) < 100


def test_jobs_are_read_no_further_ahead_than_keeps_the_workers_busy():
    read = []

    def jobs():
        for job in range(1000):
            read.append(job)
            yield job
    next(iter(run(lambda job: job, jobs(), 2)))
    assert len(read) < 20


def test_a_caller_who_stops_waits_only_for_the_jobs_under_way():
    begun = []
    results = run(lambda job: begun.append(job), range(1000), 2)
    next(results)
    results.close()
    done = len(begun)
    assert done < 20 and len(begun) == done

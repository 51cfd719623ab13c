"""Share jobs among Python threads; kernels release the interpreter's lock while they run."""
import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from scratch_embed.numerics.blas import one_blas_thread


def run(step: Callable, jobs: Iterable, workers: int) -> Iterator:
    """Yield step(job) for each job as it ends.  One worker: in order, in this very thread.

    `jobs` is read no further ahead than keeps the workers busy.  When a step fails, or the caller
    stops (Ctrl-C), jobs not yet begun are dropped and those under way are waited for.
    """
    if workers == 1:
        yield from map(step, jobs)
        return
    jobs = iter(jobs)
    with ThreadPoolExecutor(workers) as pool:
        queued = {pool.submit(step, job) for job in itertools.islice(jobs, 2 * workers)}
        try:
            while queued:
                done, queued = wait(queued, return_when=FIRST_COMPLETED)
                queued |= {pool.submit(step, job) for job in itertools.islice(jobs, len(done))}
                for job in done:
                    yield job.result()
        finally:
            for job in queued:
                job.cancel()


def in_turn(f: Callable, items: Iterable) -> list:
    """[f(item) for item in items]: what a team of one does."""
    return [f(item) for item in items]


@contextlib.contextmanager
def team(workers: int) -> Iterator[Callable]:
    """Within the block, each(f, items) -> [f(item) for item in items], an item a thread.

    For a training step: a share of the batch for each worker, one BLAS thread in each, and the
    results in the order of the items, so that with the same shares the sum has the same bits.
    """
    if workers < 1:
        raise ValueError(f"workers={workers}: expected 1 or more")
    with one_blas_thread():
        if workers == 1:
            yield in_turn
            return
        with ThreadPoolExecutor(workers) as pool:
            yield lambda f, items: list(pool.map(f, items))

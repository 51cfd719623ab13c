"""Share work among Python threads; kernels release the interpreter's lock while they run."""
import contextlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

from scratch_embed.numerics.blas import one_blas_thread


def imap_unordered(f: Callable, items: Iterable, workers: int
                   ) -> Generator[Any, None, None]:
    """Yield f(item) for each item as soon as it is done.  One worker: in order, in this thread.

    `items` is read no further ahead than keeps the workers busy.  When a call fails, or the caller
    stops (Ctrl-C), items not yet begun are dropped and those under way are waited for.
    """
    if workers == 1:
        yield from map(f, items)
        return
    items = iter(items)
    with ThreadPoolExecutor(workers) as pool:
        queued = {pool.submit(f, item) for item in itertools.islice(items, 2 * workers)}
        try:
            while queued:
                done, queued = wait(queued, return_when=FIRST_COMPLETED)
                queued |= {pool.submit(f, item) for item in itertools.islice(items, len(done))}
                for future in done:
                    yield future.result()
        finally:
            for future in queued:
                future.cancel()


def serial_map(f: Callable, items: Iterable) -> list:
    """[f(item) for item in items]: parallel_map with one worker."""
    return [f(item) for item in items]


@contextlib.contextmanager
def parallel_map(workers: int) -> Iterator[Callable[[Callable, Iterable], list]]:
    """Within the block, map(f, items) -> [f(item) for item in items], each item in a thread.

    For a training step: a share of the batch for each worker, one BLAS thread in each, and the
    results in the order of the items, so that with the same shares their sum has the same bits.
    """
    if workers < 1:
        raise ValueError(f"workers={workers}: expected 1 or more")
    with one_blas_thread():
        if workers == 1:
            yield serial_map
            return
        with ThreadPoolExecutor(workers) as pool:
            yield lambda f, items: list(pool.map(f, items))

"""Map a function over items in Python threads; kernels run in parallel, as they release the GIL."""
import contextlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

from scratch_embed.numerics.blas import one_blas_thread


def imap_unordered(f: Callable, items: Iterable, workers: int
                   ) -> Generator[Any, None, None]:
    """Yield f(item) for each item as soon as it is done.  One worker: in order, in this thread.

    Several workers read `items` ahead by about two items per worker.  If a call fails, or the
    caller stops (Ctrl-C), calls that have not started are cancelled, and the generator ends when
    the running calls end.
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
    """[f(item) for item in items]: the map that parallel_map(1) yields."""
    return [f(item) for item in items]


@contextlib.contextmanager
def parallel_map(workers: int) -> Iterator[Callable[[Callable, Iterable], list]]:
    """Yield a function: map(f, items) -> [f(item) for item in items], computed by worker threads.

    For a training step: each item is a worker's share of the batch.  Within the block, a matrix
    product uses one BLAS thread.  The results have the order of the items, so that their sum always
    has the same bits.
    """
    if workers < 1:
        raise ValueError(f"workers={workers}: expected at least 1")
    with one_blas_thread():
        if workers == 1:
            yield serial_map
            return
        with ThreadPoolExecutor(workers) as pool:
            yield lambda f, items: list(pool.map(f, items))

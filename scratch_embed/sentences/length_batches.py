"""Batches of inputs of similar length, each computed by one thread: the loop of encode().

Shapes    n inputs -> batches of (indices of inputs, their packed ids), each input in one batch
Cost      memory: the ids of BLOCK inputs, and one layer's activations of the batches that are being
          computed
Differs   from sentence-transformers: by default the size of a batch is a number of tokens, not of
          texts, and nothing is padded
Read next sentences/encoder.py, sentences/cross_encoder.py (its callers), text/packed.py

Why sort by length?  Attention multiplies texts of equal length as one batch.  The longest texts are
first: then the last batches are short, and no thread waits long for another at the end.

Why one batch per thread?  BLAS would split each matrix product among threads and wait for the
slowest, and everything else would run in one thread.  Here each thread computes a whole batch, with
one BLAS thread.  A single batch runs in the caller's thread; only for one long text, of more than
LONG_TEXT tokens, the products and the heads of attention are shared by several threads.
"""
import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
from tqdm import tqdm

from scratch_embed.numerics.blas import blas_threads, one_blas_thread
from scratch_embed.numerics.workers import imap_unordered
from scratch_embed.text.packed import Packed, by_length, split_by_tokens, take

BLOCK = 4096                       # texts that are tokenized and sorted together
TOKENS = 512                       # the approximate number of tokens per batch
ONE_BATCH = 128                    # a block of at most this many tokens is one batch, in one thread
LONG_TEXT = 1024                   # tokens of a single batch for which threads are started
MOST_WORKERS = 8                   # most threads: all of them share Python's GIL

Tokenize = Callable[[Sequence[Any]], Packed]


def compute_in_batches(compute: Callable[[np.ndarray, Packed], None], inputs: Sequence[Any],
                       tokenize: Tokenize, batch_size: int | None = None,
                       show_progress_bar: bool | None = None, unit: str = "text") -> None:
    """Call compute(indices, batch) for batches that together contain every input once.

    compute            writes the results of its inputs into an array; it runs in several threads
    tokenize           n inputs -> Packed of n sequences
    batch_size         the most inputs per batch; by default a batch has about TOKENS tokens
    show_progress_bar  on stderr, if that is a terminal, in this unit
    Raises             ValueError for an input without tokens
    """
    def compute_batch(job):
        compute(*job)
        return len(job[0])
    workers = min(blas_threads() or 1, MOST_WORKERS)         # 1 inside one_blas_thread()
    jobs = batches_by_length(inputs, tokenize, batch_size, workers)
    first = list(islice(jobs, 2))
    workers = workers if len(first) == 2 else 1              # no thread pool for a single batch
    long = len(first) == 1 and len(first[0][1].ids) > LONG_TEXT
    with (tqdm(total=len(inputs), unit=unit, disable=None if show_progress_bar else True) as bar,
          contextlib.nullcontext() if long else one_blas_thread()):
        for done in imap_unordered(compute_batch, chain(first, jobs), workers):
            bar.update(done)


def batches_by_length(inputs: Sequence[Any], tokenize: Tokenize, batch_size: int | None,
                      workers: int) -> Iterator[tuple[np.ndarray, Packed]]:
    """Yield (indices of inputs, their packed ids), in each block the longest inputs first."""
    for start in range(0, len(inputs), BLOCK):
        block = tokenize(inputs[start:start + BLOCK])
        order = by_length(block)[::-1]
        lengths = np.diff(block.offsets)[order]
        if lengths[-1] == 0:
            raise ValueError(f"input {start + order[-1]}: expected a text with a token, got "
                             f"{inputs[start + order[-1]]!r:.40}")
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        parts = workers * -(-offsets[-1] // (workers * TOKENS))       # a multiple of workers
        parts = 1 if offsets[-1] <= ONE_BATCH else parts
        for part in split_by_tokens(offsets, int(parts)):
            for i in range(0, len(part), batch_size or len(part)):
                indices = order[part[i:i + (batch_size or len(part))]]
                yield start + indices, take(block, indices)

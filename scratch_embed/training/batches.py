"""What a step looks at: batches of examples in random order, chunks of sentences, learning rates.

Shapes    examples and sentences are numbers, 0..N−1; a chunk or batch is an array of them
Read next training/session.py

Both orders are functions of the seed and the epoch alone, so that a resumed run sees what an
uninterrupted one does.
"""
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

BLOCK = 1 << 16                    # sentences that are shuffled at a time


def batches(N: int, batch_size: int, steps: int, seed: int, start: int = 0
            ) -> Iterator[tuple[int, np.ndarray]]:
    """(step, numbers of examples) for the steps start+1..steps, each epoch in an order of its own.

    The last batch of an epoch is left out where it is not full, so that no step sees less than
    others: each epoch leaves out other examples.  Where N < batch_size, all N make a batch.
    """
    if batch_size < 1 or N < 1:
        raise ValueError(f"batch_size={batch_size} of {N} examples: expected 1 or more of each")
    batch_size = min(batch_size, N)
    per_epoch = N // batch_size
    for epoch in range(start // per_epoch, -(-steps // per_epoch)):
        order = np.random.default_rng([seed, epoch]).permutation(N)
        first = epoch * per_epoch
        for step in range(max(start, first), min(steps, first + per_epoch)):
            at = (step - first) * batch_size
            yield step + 1, order[at:at + batch_size]


class Chunk(NamedTuple):
    """Some sentences of a text, for one call of a kernel."""

    epoch: int
    number: int                    # of the chunk in its epoch
    before: int                    # words of the epoch's chunks before it
    sentences: np.ndarray          # (n,) numbers of sentences
    words: int                     # in these sentences


def chunks(offsets: np.ndarray, epoch: int, seed: int, size: int, shuffle: bool = True
           ) -> Iterator[Chunk]:
    """The sentences in random order, cut into chunks of about `size` words.

    offsets: (S+1,), sentence s has offsets[s+1] − offsets[s] words.  BLOCK neighbouring sentences
    are shuffled at a time, and the blocks too: memory is bounded, and a text on disk is read block
    by block.
    """
    rng = np.random.default_rng([seed, 1, epoch])            # [seed, 0] draws the initial weights
    starts = np.arange(0, len(offsets) - 1, BLOCK)
    number = before = 0
    for start in rng.permutation(starts) if shuffle else starts:
        sentences = np.arange(start, min(start + BLOCK, len(offsets) - 1))
        if shuffle:
            rng.shuffle(sentences)
        ends = np.cumsum(offsets[sentences + 1] - offsets[sentences])
        ahead = np.concatenate([[0], ends])                  # words of this block before each
        firsts = np.flatnonzero(np.diff(ahead[:-1] // size, prepend=-1))
        for first, end in zip(firsts, [*firsts[1:], len(sentences)]):
            yield Chunk(epoch, number, before + int(ahead[first]), sentences[first:end],
                        int(ahead[end] - ahead[first]))
            number += 1
        before += int(ahead[-1])


def linear_decay(lr: float, done: float, last: float = 0.0) -> float:
    """A learning rate that falls linearly from lr to last · lr, as `done` goes from 0 to 1."""
    return lr * max(1 - done, last)

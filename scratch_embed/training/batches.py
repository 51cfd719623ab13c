"""Batches of examples and chunks of sentences in random order, and a linear learning rate decay.

Shapes    examples and sentences are indices, 0..N−1; a chunk or batch is an array of them
Read next training/session.py

Both orders depend only on the seed and the epoch, so that a resumed run sees the same batches as
an uninterrupted run.
"""
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

BLOCK = 1 << 16                    # sentences that are shuffled together


def batches(N: int, batch_size: int, steps: int, seed: int, start: int = 0
            ) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (step, indices of examples) for steps start+1..steps, in a new order each epoch.

    An epoch's last batch is left out if it is not full, so that all batches have the same size;
    the examples left out are random.  If N < batch_size, a batch has all N examples.
    """
    if batch_size < 1 or N < 1:
        raise ValueError(f"batch_size={batch_size} of {N} examples: expected at least 1 of each")
    batch_size = min(batch_size, N)
    per_epoch = N // batch_size
    for epoch in range(start // per_epoch, -(-steps // per_epoch)):
        order = np.random.default_rng([seed, epoch]).permutation(N)
        first = epoch * per_epoch
        for step in range(max(start, first), min(steps, first + per_epoch)):
            at = (step - first) * batch_size
            yield step + 1, order[at:at + batch_size]


def unused(N: int, batch_size: int, steps: int, seed: int) -> np.ndarray:
    """The sorted indices of the examples that batches() does not yield in `steps` steps.

    Only the first two epochs are examined, so later epochs may yield some of these examples.
    """
    seen = np.zeros(N, bool)
    for _, numbers in batches(N, batch_size, min(steps, 2 * (N // min(batch_size, N))), seed):
        seen[numbers] = True
    return np.flatnonzero(~seen)


class Chunk(NamedTuple):
    """Sentences of a text that one call of a kernel processes."""

    epoch: int
    number: int                    # position of the chunk in its epoch, from 0
    before: int                    # number of words in the epoch's earlier chunks
    sentences: np.ndarray          # (n,) indices of sentences
    words: int                     # number of words in these sentences


def chunks(offsets: np.ndarray, epoch: int, seed: int, size: int, shuffle: bool = True
           ) -> Iterator[Chunk]:
    """Yield chunks of about `size` words, with all sentences of the text in random order.

    offsets: (S+1,), sentence s has offsets[s+1] − offsets[s] words.  The order of the blocks of
    BLOCK consecutive sentences is random, and so is the order of the sentences in a block.  This
    bounds the memory, and a text on disk is read block by block.  shuffle=False: in text order.
    """
    rng = np.random.default_rng([seed, 1, epoch])            # [seed, 0] draws the initial weights
    starts = np.arange(0, len(offsets) - 1, BLOCK)
    number = before = 0
    for start in rng.permutation(starts) if shuffle else starts:
        sentences = np.arange(start, min(start + BLOCK, len(offsets) - 1))
        if shuffle:
            rng.shuffle(sentences)
        ends = np.cumsum(offsets[sentences + 1] - offsets[sentences])
        ahead = np.concatenate([[0], ends])                  # (n+1,) words before each sentence
        firsts = np.flatnonzero(np.diff(ahead[:-1] // size, prepend=-1))
        for first, end in zip(firsts, [*firsts[1:], len(sentences)]):
            yield Chunk(epoch, number, before + int(ahead[first]), sentences[first:end],
                        int(ahead[end] - ahead[first]))
            number += 1
        before += int(ahead[-1])


def linear_decay(lr: float, done: float, min_ratio: float = 0.0) -> float:
    """The learning rate lr · max(1 − done, min_ratio); `done` grows from 0 to 1 in training."""
    return lr * max(1 - done, min_ratio)

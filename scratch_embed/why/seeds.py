"""One measurement for each of several seeds, some at the same time, and its results as arrays.

Shapes    {name: numbers (...)} of each seed -> {name: (seeds, ...)}
Read next numerics/workers.py (the threads), why/effects.py (intervals over seeds)
"""
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from scratch_embed.numerics.workers import imap_unordered


def for_seeds(measure: Callable, seeds: Sequence, progress: bool = False, workers: int = 2) -> list:
    """[measure(seed) for each seed]; `workers` run at the same time: 1 if milliseconds count.

    seeds: numbers, or what was made from them, such as worlds
    progress: whether to show a progress bar, if stderr is a terminal

    >>> for_seeds(lambda seed: 10 * seed, [3, 1, 2])
    [30, 10, 20]
    """
    found: list = [None] * len(seeds)
    with tqdm(total=len(seeds), unit="seed", leave=False,
              disable=None if progress else True) as bar:
        for at, result in imap_unordered(lambda pair: (pair[0], measure(pair[1])),
                                         enumerate(seeds), workers):
            found[at] = result
            bar.update()
    return found


def per_seed(make: Callable[[int], Any], seeds: Sequence[int]) -> dict[int, Any]:
    """{seed: make(seed)}; two run at the same time."""
    return dict(zip(seeds, for_seeds(make, seeds)))


def over_seeds(measure: Callable[[int], Mapping[str, Any]], seeds: Sequence[int]
               ) -> dict[str, np.ndarray]:
    """{name: (seeds, ...)} from a function of a seed that returns {name: numbers}.

    >>> over_seeds(lambda seed: {"BM25": [50 + seed, 1]}, [1, 2])["BM25"].tolist()
    [[51.0, 1.0], [52.0, 1.0]]
    """
    return stack(for_seeds(measure, seeds))


def stack(found: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """[{name: numbers (...)} of each seed] -> {name: (seeds, ...)}.

    >>> stack([{"BM25": [54.0, 1.0]}, {"BM25": [55.0, 1.1]}])["BM25"].tolist()
    [[54.0, 1.0], [55.0, 1.1]]
    """
    return {name: np.array([rows[name] for rows in found], np.float64) for name in found[0]}

"""A training session: what a training loop needs besides its equations.

Use       for a model that steps once a batch (transformer/masked_lm.py):

              with session(state, settings, options, total=steps) as run:
                  for step, numbers in run.batches(N, batch_size, steps):
                      ...                              # forward, backward, optimizer.step
                      run.record(loss, lr=lr)

          for word vectors, which worker threads train without locks (words/word2vec.py):

              with session(state, settings, options, total=epochs * words, unit="word") as run:
                  for epoch in run.epochs(epochs):
                      for result in run.chunks(step, chunks(offsets, epoch, options.seed)):
                          run.record(*result)          # step(chunk) runs in the workers

Cost      a checkpoint takes as long as writing the arrays; between two of them, nothing.
Read next training/checkpoint.py (the file), transformer/masked_lm.py, words/word2vec.py (the loops)

The session shows the progress bar; saves a checkpoint now and then, at Ctrl-C and at the end;
continues from it; and stops when a loss or a weight is no longer finite.  All of that happens
between two steps, in `_between`: no step is interrupted.

Every random choice is a function of the seed and of the number of the step or chunk, and of
nothing that happened before.  So a run that was killed and resumed takes the same steps, to the
bit, as one that was not.  This holds for batches with any fixed number of workers, whose gradients
are summed in a fixed order.  It holds for chunks with one worker; with several, threads step the
same arrays at once (Hogwild, Niu et al. 2011), and only the quality is the same.
"""
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from scratch_embed.numerics.checks import finite, require_whole
from scratch_embed.numerics.errors import TrainingDiverged
from scratch_embed.numerics.interrupt import HeldInterrupt, held_interrupt
from scratch_embed.numerics.settings import json_value
from scratch_embed.numerics.workers import imap_unordered, parallel_map
from scratch_embed.training.batches import batches
from scratch_embed.training.checkpoint import (
    Checkpoint,
    Progress,
    read_checkpoint,
    write_checkpoint,
)


class RunOptions(NamedTuple):
    """How a training is run; what it computes is in the other arguments.

    workers     threads
    seed        of all random choices
    checkpoint  where the run is saved, and resumed from if it says so; None: nowhere
    progress    show a bar on stderr, where that is a terminal

    >>> RunOptions(workers=2, progress=True)
    RunOptions(workers=2, seed=1, checkpoint=None, progress=True)
    """

    workers: int = 1
    seed: int = 1
    checkpoint: Checkpoint | None = None
    progress: bool = False


@contextlib.contextmanager
def session(state: Mapping[str, np.ndarray], settings: Mapping[str, Any],
            options: RunOptions = RunOptions(), total: float | None = None, unit: str = "step"
            ) -> Iterator["Session"]:
    """A Session, restored from its checkpoint if that is to be resumed.

    state     {name: array}: what is trained; the arrays are changed in place and saved by name
    settings  what must be the same when the run is resumed: all that numerics/settings.plain takes
    total     the length of the progress bar, in `unit`
    Raises    ValueError that names the setting in which a checkpoint is of another run,
              FileExistsError for a checkpoint that exists and is not to be resumed,
              TrainingDiverged if the loss or an array is no longer finite.
    """
    require_whole("workers", options.workers, 1)
    require_whole("seed", options.seed)
    with ExitStack() as exit_stack:
        run = Session(state, settings, options, exit_stack)
        run.bar = exit_stack.enter_context(
            tqdm(total=total, initial=int(run.progress.done), unit=unit, unit_scale=unit != "step",
                 disable=None if options.progress else True))
        try:
            with held_interrupt() as run.stop_if_asked:
                yield run
        except HeldInterrupt:
            run.save()
            raise
    if not finite(*state.values()):
        raise TrainingDiverged(run.place, settings.get("lr", 0.0), "a weight")
    run.save()


class Session:
    """One run of a training: see session()."""

    bar: tqdm
    stop_if_asked: Callable[[], None]

    def __init__(self, state: Mapping[str, np.ndarray], settings: Mapping[str, Any],
                 options: RunOptions, exit_stack: ExitStack) -> None:
        self.state, self.settings, self.options = state, settings, options
        self.exit_stack, self.progress, self.place = exit_stack, Progress([], []), "the start"
        self.saved, self.recorded, self.lr = time.monotonic(), True, 0.0
        self.map_of_workers: Callable | None = None
        checkpoint = options.checkpoint
        if checkpoint:                             # digests of the data are taken once
            self.settings = json_value(settings)
        if checkpoint and os.path.exists(checkpoint.path):
            if not checkpoint.resume:
                raise FileExistsError(f"{checkpoint.path} is there already: resume it, if it is "
                                      "this run's, or name another file to begin anew")
            self.progress = read_checkpoint(checkpoint.path, state, self.settings)

    @property
    def losses(self) -> list[float]:
        """The loss of every step; in a run of epochs, the mean loss of each complete epoch."""
        return self.progress.losses

    @property
    def rows(self) -> list[list[float]]:
        """Measurements that the loop appends, of equal length, kept in the checkpoint."""
        return self.progress.rows

    # ---- the loops ---------------------------------------------------------------------------

    def batches(self, N: int, batch_size: int, steps: int) -> Iterator[tuple[int, np.ndarray]]:
        """(step, numbers of examples) for the steps that are left; see training/batches.py."""
        for step, numbers in batches(N, batch_size, steps, self.options.seed, len(self.losses)):
            self.recorded = False
            yield step, numbers
            self._check(f"step {step}")
            self._end_epoch()
            self._between()

    def epochs(self, epochs: int) -> Iterator[int]:
        """The numbers of the epochs that are left, from 0."""
        while self.progress.epoch < epochs:
            yield self.progress.epoch
            self._end_epoch()

    def chunks(self, step: Callable, chunks: Iterable) -> Iterator[Any]:
        """step(chunk) for the chunks of this epoch that are left, from the worker threads.

        The loop is to record() each result; with several workers they come in any order.
        """
        left = islice(chunks, self.progress.chunk, None)
        with closing(imap_unordered(step, left, self.options.workers)) as results:
            for result in results:
                self.recorded = False
                yield result
                self._check(f"epoch {self.progress.epoch + 1}, chunk {self.progress.chunk + 1}")
                self.progress = self.progress._replace(chunk=self.progress.chunk + 1)
                self._between()

    def record(self, loss: float, count: int = 1, advance: float = 1, lr: float | None = None
               ) -> None:
        """Say what a step came to: its loss, or the sum of `count` losses, and how far it went.

        advance: in units of the bar; lr: its learning rate, shown beside the loss.
        """
        at = self.progress
        self.progress = at._replace(loss=at.loss + loss, count=at.count + int(count),
                                    done=at.done + advance)
        self.recorded, self.lr = True, self.settings.get("lr", 0.0) if lr is None else lr
        if not self.bar.disable:
            text = f"loss {self._mean():.4f}" + (f", lr {lr:.2g}" if lr is not None else "")
            self.bar.update(advance)
            self.bar.set_postfix_str(text, False)

    def map(self, f: Callable, items: Iterable) -> list:
        """[f(item) for item in items], each in a worker thread with one thread of BLAS."""
        if self.map_of_workers is None:
            self.map_of_workers = self.exit_stack.enter_context(parallel_map(self.options.workers))
        return self.map_of_workers(f, items)

    def note(self, line: str) -> None:
        """A line on stderr, above the bar; nothing without options.progress."""
        if self.options.progress:
            tqdm.write(line, file=sys.stderr)

    # ---- between two steps ---------------------------------------------------------------------

    def _check(self, place: str) -> None:
        """The step at `place` is done: is its loss a number?"""
        self.place = place
        if not self.recorded:
            raise RuntimeError(f"{place}: the loop did not call record()")
        if not np.isfinite(self.progress.loss):
            raise TrainingDiverged(place, self.lr)

    def _end_epoch(self) -> None:
        """Append the mean loss, nan if there was none, and start a new sum."""
        at = self.progress
        at.losses.append(self._mean())
        self.progress = at._replace(epoch=at.epoch + 1, chunk=0, loss=0.0, count=0)

    def _mean(self) -> float:
        return self.progress.loss / self.progress.count if self.progress.count else float("nan")

    def _between(self) -> None:
        """Save if it is time to; raise HeldInterrupt if Ctrl-C was pressed."""
        checkpoint = self.options.checkpoint
        if checkpoint and time.monotonic() - self.saved >= checkpoint.every:
            self.save()
        self.stop_if_asked()

    def save(self) -> None:
        """Replace the checkpoint; where an array is not finite, the last good one is kept."""
        if self.options.checkpoint and finite(*self.state.values()):
            write_checkpoint(self.options.checkpoint.path, self.state, self.settings, self.progress)
        self.saved = time.monotonic()

"""A training session: progress bar, checkpoints, resuming and worker threads of a training loop.

Use       for a model that takes one step per batch (transformer/masked_lm.py):

              with session(state, settings, options, total=steps) as run:
                  for step, numbers in run.batches(N, batch_size, steps):
                      ...                              # forward, backward, optimizer.step
                      run.record(loss, lr=lr)

          for word vectors, which worker threads train without locks (words/word2vec.py):

              with session(state, settings, options, total=epochs * words, unit="word") as run:
                  for epoch in run.epochs(epochs):
                      for result in run.chunks(step, chunks(offsets, epoch, options.seed)):
                          run.record(*result)          # step(chunk) runs in the workers

Cost      a checkpoint takes the time of writing the arrays; otherwise negligible
Read next training/checkpoint.py (the file), transformer/masked_lm.py, words/word2vec.py (the loops)

The session shows the progress bar, saves a checkpoint every `checkpoint.every` seconds, at Ctrl-C
and at the end, and resumes from it.  It raises TrainingDiverged after a step whose loss is not
finite (`_check`), or at the end if a weight is not finite.  It saves and stops only between two
steps (`_between`); only a second Ctrl-C interrupts a step.

Every random choice depends only on the seed and the number of the step or chunk.  So a run that was
killed and resumed computes the same bits as an uninterrupted run, on the same machine and with the
same number of workers: the gradients of a batch are summed in a fixed order.  The exception is
chunks() with several workers: the threads update the same arrays without locks (Hogwild, Niu et al.
2011), so the bits of two runs may differ.
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
    require_replaceable,
    write_checkpoint,
)


class RunOptions(NamedTuple):
    """How a training run is executed: threads, seed, checkpoint and progress bar.

    workers     number of threads
    seed        the seed of all random choices
    checkpoint  the file in which the run is saved, and whether to resume from it; None: do not save
    progress    show a progress bar on stderr, if stderr is a terminal

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
    """Context manager of a training run.  Yields its Session, restored if checkpoint.resume is set.

    state     {name: array}: the arrays of the run; training changes them in place
    settings  values that a resumed run must have in common with its checkpoint, of types that
              json_value() accepts; but "epochs" or "steps" may grow: the run goes on to the new
              end, with the learning rates that a run of that length has from there on
    total     the length of the progress bar, in `unit`
    Raises    ValueError for invalid workers or seed, or for a setting that differs from the
              checkpoint's,
              FileExistsError if the file exists and resume is False, unless it is the
              checkpoint of a finished run: that is replaced,
              FormatError for a file that is not a checkpoint of this run,
              TrainingDiverged if the loss or an array is not finite
    """
    require_whole("workers", options.workers, 1)
    require_whole("seed", options.seed)
    try:
        with ExitStack() as exit_stack:
            run = Session(state, settings, options, exit_stack)
            run.open(total, unit)
            yield run
    except HeldInterrupt:                          # Ctrl-C, between two steps
        run.save()
        raise
    if not finite(*state.values()):
        raise TrainingDiverged(run.place, settings.get("lr", 0.0), "a weight")
    run.save()


class Session:
    """The state and the loops of a training run; session() creates it."""

    def __init__(self, state: Mapping[str, np.ndarray], settings: Mapping[str, Any],
                 options: RunOptions, exit_stack: ExitStack) -> None:
        self.state, self.settings, self.options = state, settings, options
        self.exit_stack, self.progress, self.place = exit_stack, Progress([], []), "the start"
        self.saved, self.recorded, self.lr = time.monotonic(), True, 0.0
        self.worker_map: Callable | None = None
        checkpoint = options.checkpoint
        if checkpoint:                             # once: it computes digests of the data
            self.settings = json_value(settings)
        if checkpoint and os.path.exists(checkpoint.path):
            if checkpoint.resume:
                self.progress = read_checkpoint(checkpoint.path, state, self.settings)
            else:
                require_replaceable(checkpoint.path)

    def open(self, total: float | None, unit: str) -> None:
        """Show the progress bar; until the run ends, Ctrl-C waits for the end of a step."""
        self.bar = self.exit_stack.enter_context(
            tqdm(total=total, initial=int(self.progress.done), unit=unit,
                 unit_scale=unit != "step", disable=None if self.options.progress else True))
        self.raise_if_interrupted = self.exit_stack.enter_context(held_interrupt())

    @property
    def losses(self) -> list[float]:
        """The loss of each step of batches(), or the mean loss of each complete epoch."""
        return self.progress.losses

    @property
    def rows(self) -> list[list[float]]:
        """Lists of measurements, all of one length, which the loop appends; saved with the run."""
        return self.progress.rows

    # ---- the loops ---------------------------------------------------------------------------

    def batches(self, N: int, batch_size: int, steps: int) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (step, indices of examples) for the remaining steps; see training/batches.py."""
        for step, numbers in batches(N, batch_size, steps, self.options.seed, len(self.losses)):
            self.recorded = False
            yield step, numbers
            self._check(f"step {step}")
            self._end_epoch()
            self._between()

    def epochs(self, epochs: int) -> Iterator[int]:
        """Yield the remaining epochs, counted from 0."""
        while self.progress.epoch < epochs:
            yield self.progress.epoch
            self._end_epoch()

    def chunks(self, step: Callable, chunks: Iterable) -> Iterator[Any]:
        """Yield step(chunk) for this epoch's remaining chunks, computed by the worker threads.

        The loop must call record() for each result.  With several workers the order is not fixed.
        """
        left = islice(chunks, self.progress.chunk, None)
        with closing(imap_unordered(step, left, self.options.workers)) as results:
            for result in results:
                self.recorded = False
                yield result
                self._check(f"epoch {self.progress.epoch + 1}, after "
                            f"{self.progress.chunk + 1} chunks")
                self.progress = self.progress._replace(chunk=self.progress.chunk + 1)
                self._between()

    def record(self, loss: float, count: int = 1, advance: float = 1, lr: float | None = None
               ) -> None:
        """Record one step.

        loss: the step's loss, or the sum of `count` losses; advance: progress in the bar's unit;
        lr: the step's learning rate, which the bar shows.
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
        """[f(item) for item in items], each in a worker thread with one BLAS thread."""
        if self.worker_map is None:
            self.worker_map = self.exit_stack.enter_context(parallel_map(self.options.workers))
        return self.worker_map(f, items)

    def note(self, line: str) -> None:
        """Print a line on stderr, above the bar, if options.progress is set."""
        if self.options.progress:
            tqdm.write(line, file=sys.stderr)

    # ---- between two steps ---------------------------------------------------------------------

    def _check(self, place: str) -> None:
        """After the step at `place`: raise TrainingDiverged if its loss is not finite."""
        self.place = place
        if not self.recorded:
            raise RuntimeError(f"{place}: the loop did not call record()")
        if not np.isfinite(self.progress.loss):
            raise TrainingDiverged(place, self.lr)

    def _end_epoch(self) -> None:
        """Append the mean loss of the epoch (in batches(): of the step); nan if it has no loss."""
        at = self.progress
        at.losses.append(self._mean())
        self.progress = at._replace(epoch=at.epoch + 1, chunk=0, loss=0.0, count=0)

    def _mean(self) -> float:
        return self.progress.loss / self.progress.count if self.progress.count else float("nan")

    def _between(self) -> None:
        """Save if checkpoint.every seconds have passed; raise HeldInterrupt after Ctrl-C."""
        checkpoint = self.options.checkpoint
        if checkpoint and time.monotonic() - self.saved >= checkpoint.every:
            self.save()
        self.raise_if_interrupted()

    def save(self) -> None:
        """Replace the checkpoint; if an array is not finite, keep the old checkpoint."""
        if self.options.checkpoint and finite(*self.state.values()):
            write_checkpoint(self.options.checkpoint.path, self.state, self.settings, self.progress)
        self.saved = time.monotonic()

"""What a training loop needs besides its equations: batches, a bar, and a state that survives.

Use       with follow(p, optimizer, steps, settings, checkpoint, progress) as run:
              for step, numbers in batches(N, size, steps, seed, run.step):
                  ...                             # forward, backward, optimizer.step
                  run.took(loss, lr)
Shapes    numbers (n,): which of N examples
Cost      a checkpoint is the model three times over: its parameters and AdamW's two means.
Read next transformer/bert.py, sentences/simcse.py (the loops)

Every random choice is a function of the seed and of the step's number, and of nothing that went
before.  So a run that was killed and goes on from its checkpoint takes the same steps, to the bit,
as one that was not: whatever the number of workers, for their gradients are summed in one order.
"""
import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from scratch_embed.nn.optim import AdamW
from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError, TrainingDiverged
from scratch_embed.numerics.interrupt import HeldInterrupt, held_interrupt
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors


class Checkpoint(NamedTuple):
    """Where a run is kept while it lasts.  resume: go on from what is there; every: seconds."""

    path: str | os.PathLike
    resume: bool = False
    every: float = 60.0


def batches(N: int, size: int, steps: int, seed: int, start: int = 0
            ) -> Iterator[tuple[int, np.ndarray]]:
    """(step, which examples) for the steps start+1..steps; every epoch in an order of its own.

    The last batch of an epoch is left out where it is not full, so that no step has less to see:
    each epoch leaves out others.  Where N < size, all N make a batch.
    """
    if size < 1 or N < 1:
        raise ValueError(f"batch={size} of {N} examples: expected 1 or more of each")
    size = min(size, N)
    each = N // size
    for epoch in range(start // each, -(-steps // each)):
        order = np.random.default_rng([seed, epoch]).permutation(N)
        for step in range(max(start, epoch * each), min(steps, (epoch + 1) * each)):
            at = (step - epoch * each) * size
            yield step + 1, order[at:at + size]


def plain(setting: Any) -> str | float:
    """What JSON has no form for: a function as its name, an array as the SHA-256 of its numbers."""
    if callable(setting):
        return setting.__name__
    if isinstance(setting, np.ndarray) and setting.ndim:
        found = hashlib.sha256(f"{setting.dtype.str} {setting.shape} ".encode())
        found.update(np.ascontiguousarray(setting))
        return found.hexdigest()
    return float(setting)


class Run:
    """How far a training is.  losses: of each step; seen: rows of numbers, kept too."""

    def __init__(self, p: Params, optimizer: AdamW, settings: dict, checkpoint: Checkpoint | None
                 ) -> None:
        self.p, self.optimizer, self.losses, self.seen = p, optimizer, [], []
        self.settings, self.checkpoint = json.loads(json.dumps(settings, default=plain)), checkpoint
        self._saved, self._after_step = time.monotonic(), lambda loss, lr: None
        self._write = lambda line: None
        if checkpoint and os.path.exists(checkpoint.path):
            self._restore()

    @property
    def step(self) -> int:
        """How many steps were taken."""
        return len(self.losses)

    def took(self, loss: float, lr: float) -> None:
        """One more step was taken.

        Raises TrainingDiverged for a loss that is no number, KeyboardInterrupt if Ctrl-C waits.
        """
        if not np.isfinite(loss):
            raise TrainingDiverged(f"step {self.step + 1}", lr)
        self.losses.append(float(loss))
        if self.checkpoint and time.monotonic() - self._saved >= self.checkpoint.every:
            self.save()
        self._after_step(loss, lr)

    def note(self, line: str) -> None:
        """A line on stderr, above the bar; nothing without progress."""
        self._write(line)

    def save(self) -> None:
        """Replace the checkpoint, unless the parameters are no longer numbers."""
        if np.isfinite(self.p.flat).all():
            write_safetensors(self.checkpoint.path, {
                "parameters": self.p.flat, "m": self.optimizer.m, "v": self.optimizer.v,
                "losses": np.array(self.losses), "seen": np.array(self.seen, np.float64)},
                {"settings": json.dumps(self.settings)})
        self._saved = time.monotonic()

    def _restore(self):
        path, resume, _ = self.checkpoint
        if not resume:
            raise FileExistsError(f"{path} is there already: resume it, if it is this run's, or "
                                  "name another file to begin anew")
        tensors, metadata = read_safetensors(path)
        try:
            theirs = dict(json.loads(metadata["settings"]))
            arrays = [tensors[name] for name in ("parameters", "m", "v")]
            losses, seen = tensors["losses"].tolist(), tensors["seen"].tolist()
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(path, "metadata", f"not a checkpoint of a training ({error!r})"
                              ) from None
        for name, value in self.settings.items():
            if theirs.get(name) != value:
                raise ValueError(f"{path}: cannot resume, {name} was {theirs.get(name)!r:.40} and "
                                 f"is {value!r:.40} now; use the old one, or begin a new "
                                 "checkpoint")
        pairs = list(zip((self.p.flat, self.optimizer.m, self.optimizer.v), arrays))
        for mine, found in pairs:
            if (mine.shape, mine.dtype) != (found.shape, found.dtype):
                raise FormatError(path, "its tensors", f"expected {mine.dtype} of shape "
                                  f"{mine.shape}, found {found.dtype} of shape {found.shape}")
        for mine, found in pairs:
            mine[:] = found
        self.losses, self.seen, self.optimizer.steps = losses, seen, len(losses)


@contextlib.contextmanager
def follow(p: Params, optimizer: AdamW, steps: int, settings: dict,
           checkpoint: Checkpoint | None = None, progress: bool = False) -> Iterator[Run]:
    """A Run, restored if the checkpoint says so.  It is saved now and then, at Ctrl-C, at the end.

    settings: what must not change between the parts of a run: numbers, functions, arrays.
    progress: a bar on stderr, where that is a terminal; what the loop notes, in any case.
    Raises ValueError, naming the setting, where a checkpoint is of another run; FileExistsError for
    one that is there and is not to be resumed; TrainingDiverged if the parameters end as nan.
    """
    run = Run(p, optimizer, settings, checkpoint)
    bar = tqdm(total=steps, initial=run.step, unit="step", disable=None if progress else True)
    try:
        with bar, held_interrupt() as stop_if_asked:
            def after_step(loss, lr):
                bar.update()
                bar.set_postfix_str(f"loss {loss:.4f}, lr {lr:.2g}", False)
                stop_if_asked()
            run._after_step = after_step
            if progress:
                run._write = partial(tqdm.write, file=sys.stderr)
            yield run
    except HeldInterrupt:
        if checkpoint:
            run.save()
        raise
    if not np.isfinite(p.flat).all():
        raise TrainingDiverged(f"step {run.step}", settings.get("lr", 0.0), "a parameter")
    if checkpoint:
        run.save()

"""A training run on disk: its weights, how far it is, and what it was started with.

The file is safetensors: W, U, and in the metadata the progress and the settings.  It is replaced
whole (numerics/files.py), between two chunks of work; so a run that is killed goes on from there,
and with one worker ends with the very bits of a run that was never killed: chunk n of epoch e draws
its random numbers from stream(seed, e, n), whoever computes it and when.  With more workers the
tables are written while others step them, and the chunks under way are trained once more.
"""
import contextlib
import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterator

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.interrupt import HeldInterrupt
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.text.vocab import Corpus, Vocab


@dataclasses.dataclass
class Progress:
    """How far a run is: `chunk` chunks of `epoch` are done, with Σ L = loss over `pairs`."""

    epoch: int = 0
    chunk: int = 0
    loss: float = 0.0
    pairs: int = 0
    losses: list[float] = dataclasses.field(default_factory=list)    # of the epochs that are done

    def count(self, loss: float, pairs: int) -> None:
        """One more chunk is done."""
        self.chunk += 1
        self.loss += loss
        self.pairs += int(pairs)

    def mean(self) -> float:
        """The mean loss of this epoch so far; nan before its first pair."""
        return self.loss / self.pairs if self.pairs else float("nan")

    def end_epoch(self) -> None:
        """The epoch is done; the next one begins."""
        self.losses.append(self.mean())
        self.epoch, self.chunk, self.loss, self.pairs = self.epoch + 1, 0, 0.0, 0


def fingerprint(vocab: Vocab, corpus: Corpus) -> dict[str, str]:
    """SHA-256 of the words with their counts, and of the text as numbers."""
    words = hashlib.sha256("\n".join(vocab.words).encode("utf-8", "surrogateescape"))
    words.update(np.ascontiguousarray(vocab.counts))
    text = hashlib.sha256(np.ascontiguousarray(corpus.ids))
    text.update(np.ascontiguousarray(corpus.off))
    return {"vocabulary": words.hexdigest(), "data": text.hexdigest()}


class Checkpoint:
    """The file of one run.  resume: go on from what it holds, where there is one."""

    def __init__(self, path: str | os.PathLike, resume: bool = False, every: float = 60.0
                 ) -> None:
        self.path, self.resume, self.every = path, resume, every     # every: seconds
        self._saved = time.monotonic()

    def restore(self, settings: dict, W_shape: tuple[int, int],
                U_shape: tuple[int, int] | None = None
                ) -> tuple[np.ndarray, np.ndarray, Progress] | None:
        """(W, U, Progress) of the file, or None where there is nothing to resume.

        W_shape, U_shape: of the two tables; without the second, both have the first.

        Raises ValueError that names the setting in which the file's run differs from `settings`,
        FormatError where the file is not a checkpoint, FileExistsError where there is a file that
        is not to be resumed: it may hold hours of work.
        """
        if not os.path.exists(self.path):
            return None
        if not self.resume:
            raise FileExistsError(f"{self.path} is there already: resume it, if it is this run's, "
                                  "or name another file to begin anew")
        tensors, metadata = read_safetensors(self.path)
        try:
            theirs, progress = json.loads(metadata["settings"]), json.loads(metadata["progress"])
            W, U = tensors["W"], tensors["U"]
            progress = Progress(**progress)
            theirs = dict(theirs)
        except (KeyError, TypeError, ValueError) as error:       # JSONDecodeError is a ValueError
            raise FormatError(self.path, "metadata", f"not a checkpoint of a training ({error!r})"
                              ) from None
        for name, value in settings.items():
            if theirs.get(name) != value:
                raise ValueError(f"{self.path}: cannot resume, {name} was {theirs.get(name)!r} and "
                                 f"is {value!r} now; use the old one, or begin a new checkpoint")
        for name, table, shape in (("W", W, W_shape), ("U", U, U_shape or W_shape)):
            if table.shape != shape or table.dtype != np.float32:
                raise FormatError(self.path, name, f"expected float32 of shape {shape}, found "
                                                   f"{table.dtype} of shape {table.shape}")
        return W, U, progress

    def save_now_and_then(self, W: np.ndarray, U: np.ndarray, progress: Progress,
                          settings: dict) -> None:
        """Save if the last time is `every` seconds ago."""
        if time.monotonic() - self._saved >= self.every:
            self.save(W, U, progress, settings)

    def save(self, W: np.ndarray, U: np.ndarray, progress: Progress, settings: dict) -> None:
        """Replace the file, unless the weights are no longer numbers: the last good one is kept."""
        if finite(W, U):
            write_safetensors(self.path, {"W": W, "U": U}, {
                "settings": json.dumps(settings, default=float),    # NumPy's numbers too
                "progress": json.dumps(dataclasses.asdict(progress))})
        self._saved = time.monotonic()


def finite(*tables: np.ndarray) -> bool:
    """Are all numbers finite?  min and max pass a nan on, and need no mask as large as a table."""
    return bool(np.isfinite([bound for table in tables if table.size
                             for bound in (table.min(), table.max())]).all())


@contextlib.contextmanager
def saved_at_ctrl_c(checkpoint: Checkpoint | None, W: np.ndarray, U: np.ndarray,
                    progress: Progress, settings: dict) -> Iterator[None]:
    """Ctrl-C between two chunks saves the run before it goes on; nothing without a checkpoint.

    A Ctrl-C that did not wait for the end of a chunk saves nothing: what is on the disk is whole.
    """
    try:
        yield
    except HeldInterrupt:
        if checkpoint:
            checkpoint.save(W, U, progress, settings)
        raise

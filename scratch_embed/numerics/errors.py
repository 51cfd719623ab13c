"""The exceptions of this package: files with wrong contents, and training that diverged.

A FormatError names the file, the place in it, what was expected and what was found; a
TrainingDiverged suggests a smaller learning rate.  As usual in Python, a wrong argument raises
ValueError, and a word without a vector KeyError.
"""
import io
import os


class FormatError(ValueError):
    """A file violates its format: it is truncated, corrupt, or a file of another format."""

    def __init__(self, path: str | os.PathLike | io.IOBase, place: str, problem: str) -> None:
        super().__init__(f"{path}: {place}: {problem}")
        self.parts = str(path), place, problem

    def __reduce__(self) -> tuple:
        """Let pickle call __init__ with its arguments: a pool of processes sends errors so."""
        return FormatError, self.parts


class TrainingDiverged(ArithmeticError):
    """The loss or a weight is not finite, so further steps are useless."""

    def __init__(self, step: str, lr: float, what: str = "the loss") -> None:
        smaller = min(lr / 4, 0.025)
        super().__init__(f"{what} is not finite at {step} (learning rate {lr:.4g}); "
                         f"start again with a smaller one, for example lr={smaller:.2g}")
        self.parts = step, lr, what

    def __reduce__(self) -> tuple:
        """Let pickle call __init__ with its arguments."""
        return TrainingDiverged, self.parts

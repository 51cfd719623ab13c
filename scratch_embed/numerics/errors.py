"""The exceptions of this package: files with wrong contents, and training that diverged.

Each message names the place, what was expected, what was found, and what to do.  As usual in
Python, a wrong argument is a ValueError and a missing word a KeyError.
"""
import io
import os


class FormatError(ValueError):
    """A file violates its format: it is truncated, corrupt, or of another kind."""

    def __init__(self, path: str | os.PathLike | io.IOBase, place: str, problem: str) -> None:
        super().__init__(f"{path}: {place}: {problem}")
        self.parts = str(path), place, problem

    def __reduce__(self) -> tuple:
        """Let pickle call __init__ with its arguments: a pool of processes sends errors so."""
        return FormatError, self.parts


class TrainingDiverged(ArithmeticError):
    """The loss or the weights are no longer finite, and further steps cannot change that."""

    def __init__(self, step: str, lr: float, what: str = "the loss") -> None:
        smaller = min(lr / 4, 0.025)
        super().__init__(f"{what} is not finite at {step} (learning rate {lr:.4g}); "
                         f"start again with a smaller one, for example --lr {smaller:.2g}")
        self.parts = step, lr, what

    def __reduce__(self) -> tuple:
        """Let pickle call __init__ with its arguments."""
        return TrainingDiverged, self.parts

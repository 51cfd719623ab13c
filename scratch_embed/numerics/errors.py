"""The errors that are this package's own.

Each message names the place, what was expected and what was found, and what to do about it.
Wrong arguments are plain ValueErrors and a missing word is a KeyError, as everywhere in Python.
"""
import io
import os


class FormatError(ValueError):
    """A file is not what its format says: truncated, corrupt, or of another kind."""

    def __init__(self, path: str | os.PathLike | io.IOBase, place: str, problem: str) -> None:
        super().__init__(f"{path}: {place}: {problem}")


class TrainingDiverged(ArithmeticError):
    """The loss or the weights are no longer finite numbers; further steps cannot mend them."""

    def __init__(self, step: str, lr: float, what: str = "the loss") -> None:
        smaller = min(lr / 4, 0.025)
        super().__init__(f"{what} is no longer finite at {step} (learning rate {lr:.4g}); "
                         f"start again with a smaller one, for example --lr {smaller:.2g}")

"""Convert the settings of a training run to JSON values, as checkpoints store them.

A checkpoint can only be resumed by a run with the same data and the same settings, except that
epochs or steps may grow.  So the checkpoint stores both: a function as the key that @saved_as gave
it, which stays when the function is renamed; an array as the SHA-256 of its numbers.
"""
import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

Function = TypeVar("Function", bound=Callable)


def saved_as(key: str) -> Callable[[Function], Function]:
    """Decorator that gives a function the key by which checkpoints store it.

    The function may be renamed later; its key must stay.
    """
    def mark(function):
        function.saved_as = key
        return function
    return mark


def saved_with(key: str, *functions: Callable) -> Callable[[Function], Function]:
    """Decorator for a function that calls others: its key is `key` and theirs, in this order.

    If one of them has no key, neither has the result, and checkpoints refuse it.
    """
    keys = [getattr(function, "saved_as", "") for function in functions]
    return saved_as(" ".join([key, *keys])) if all(keys) else lambda function: function


def json_value(value: Any) -> Any:
    """Convert a setting to JSON's types: numbers, str, bool, None, lists and dicts of such values.

    Raises ValueError for a value of another type, such as a function without a key.

    >>> json_value({"dim": np.int64(8), "lr": 0.1, "bounds": (1, 2)})
    {'dim': 8, 'lr': 0.1, 'bounds': [1, 2]}
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
        return value.item()
    if isinstance(value, np.ndarray):
        return digest(value)
    if isinstance(value, Mapping):
        return {name: json_value(item) for name, item in value.items()}
    if hasattr(value, "_asdict"):                            # a NamedTuple
        return json_value(value._asdict())
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    key = getattr(value, "saved_as", None)
    if key is None:
        raise ValueError(f"expected settings that a checkpoint can store, got {value!r} without a "
                         "key: decorate the function with @saved_as(\"...\"), or train without a "
                         "checkpoint")
    return key


def digest(*arrays: np.ndarray) -> str:
    """SHA-256 of the types, the shapes and the numbers of arrays."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str} {array.shape} ".encode())
        sha.update(np.ascontiguousarray(array))
    return sha.hexdigest()


def digest_words(words: Iterable[str], counts: np.ndarray) -> str:
    """SHA-256 of words and their counts."""
    sha = hashlib.sha256("\n".join(words).encode("utf-8", "surrogateescape"))
    sha.update(np.ascontiguousarray(counts))
    return sha.hexdigest()

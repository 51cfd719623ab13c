"""Checks of arguments (whole numbers, real numbers, functions) and of arrays (finite numbers).

Each require_* function returns the value, so that it can be called where the value is used, or
raises a ValueError that names the argument, its value and what was expected: "dim=0: expected a
whole number, 1 to 2147483647".
"""
import math
import numbers
import re
from collections.abc import Callable
from typing import Any

import numpy as np

LARGEST = 2**31 - 1                # the largest int32, the type of most indices


def require_whole(name: str, value: int, least: int = 0, most: int = LARGEST) -> int:
    """`value` as an int.  Raises ValueError unless it is a whole number in least..most."""
    if not isinstance(value, numbers.Integral) or not least <= value <= most:
        raise ValueError(f"{name}={value!r}: expected a whole number, {least} to {most}")
    return int(value)


def require_number(name: str, value: float, least: float = 0.0, most: float = math.inf) -> float:
    """`value` as a float.  Raises ValueError unless it is finite and in least..most."""
    if not isinstance(value, numbers.Real) or not (least <= value <= most and value < math.inf):
        bound = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{name}={value!r}: expected a finite number, {bound}")
    return float(value)


def require_unicode(name: str, text: str) -> str:
    """`text`.  Raises ValueError if it has a lone surrogate, which has no UTF-8 form.

    A lone surrogate is half of a character: "\\ud83d" in JSON without its second half, or a byte
    that was not UTF-8 and was decoded with errors="surrogateescape".
    """
    if not text.isascii() and (found := re.search("[\ud800-\udfff]", text)):
        raise ValueError(f"{name}: expected Unicode text, got the lone surrogate {found[0]!r} at "
                         f"character {found.start()}; remove it, or decode the bytes with "
                         "errors='replace'")
    return text


def require_function(name: str, value: Callable, example: str) -> Callable:
    """`value` itself.  Raises ValueError unless it is callable; the message names `example`."""
    if not callable(value):
        raise ValueError(f"{name}={value!r}: expected a function, such as {example}")
    return value


def require_instance(name: str, value: Any, kind: type, example: str) -> None:
    """Raise TypeError unless `value` is a `kind`; the message names `example`, which makes one."""
    if not isinstance(value, kind):
        raise TypeError(f"{name}: expected {a_or_an(kind)}, got {a_or_an(type(value))}; use "
                        f"{example}")


def a_or_an(kind: type) -> str:
    """The name of a type with its article.

    >>> a_or_an(int), a_or_an(str)
    ('an int', 'a str')
    """
    return f"a{'n' * (kind.__name__[0] in 'AEIOUaeio')} {kind.__name__}"


def finite(*arrays: np.ndarray) -> bool:
    """Whether all numbers are finite.  (min and max keep nan, and need no large mask.)"""
    return bool(np.isfinite([bound for array in arrays if array.size
                             for bound in (array.min(), array.max())]).all())

"""Range checks of arguments: one for whole numbers, one for real numbers.

Each returns the value, so that a check can stand where the value is used, and raises a ValueError
that names the argument, what was expected and what was given: "dim=0: expected a whole number, 1
to 2147483647".
"""
import math
import numbers

LARGEST = 2**31 - 1                # of an int32, in which most kernels count


def require_whole(name: str, value: int, least: int = 0, most: int = LARGEST) -> int:
    """`value` as an int.  Raises ValueError unless it is a whole number from `least` to `most`."""
    if not isinstance(value, numbers.Integral) or not least <= value <= most:
        raise ValueError(f"{name}={value!r}: expected a whole number, {least} to {most}")
    return int(value)


def require_number(name: str, value: float, least: float = 0.0, most: float = math.inf) -> float:
    """`value` as a float.  Raises ValueError unless it is finite, and from `least` to `most`."""
    if not isinstance(value, numbers.Real) or not (least <= value <= most and value < math.inf):
        bound = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{name}={value!r}: expected a finite number, {bound}")
    return float(value)

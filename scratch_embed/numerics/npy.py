"""NumPy's file format for one array, .npy, written atomically."""
import io
import os
from collections.abc import Callable

import numpy as np

from scratch_embed.numerics.endings import by_ending
from scratch_embed.numerics.files import atomic_write


def array_writer(path: str | os.PathLike) -> Callable:
    """The function that writes an array in the format for the ending of `path`: write_npy.

    Raises ValueError for any ending other than .npy.
    """
    return by_ending(path, {".npy": write_npy}, "a NumPy array")


def write_npy(path: str | os.PathLike, array: np.ndarray) -> None:
    """Write an array of numbers of any shape to `path`, all of it or nothing; np.load reads it.

    np.save reports a full disk without its name or cause ("1200000 requested and 59360 written");
    here it is an OSError with both.
    """
    array = np.ascontiguousarray(array).reshape(np.shape(array))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    with atomic_write(path) as file:
        file.write(header.getvalue())
        file.write(array.data)

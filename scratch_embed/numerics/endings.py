"""Endings of output files: the ending of a name chooses the format, and an unknown one is refused.

Each kind of output has one table {ending: how it is written}: word vectors (words/vectors.py),
arrays (numerics/npy.py), pictures (cli/plot.py), indexes (cli/search.py).  A command looks the
ending up before the work, so that no file has the ending of one format and the bytes of another.
"""
import os
from collections.abc import Mapping
from typing import TypeVar

Writer = TypeVar("Writer")

# formats that are not text, for text files, whose ending is free
NOT_TEXT = (".npy", ".npz", ".bin", ".safetensors", ".png", ".svg", ".pdf", ".bz2", ".xz", ".zip")


def ending_of(path: str | os.PathLike) -> str:
    """The ending of a name in lower case: ".vec" of "a/B.VEC", "" of "a.b/c"."""
    return os.path.splitext(os.fspath(path))[1].lower()


def by_ending(path: str | os.PathLike, table: Mapping[str, Writer], what: str) -> Writer:
    """The entry of `table` for the ending of `path`.  ValueError for an ending that is not in it.

    table: {ending: anything}; the ending "" is that of a name without one.  Pipes and devices,
    which have a name of their own, get the first entry.
    what: the kind of output, for the message
    """
    ending = ending_of(path)
    if ending in table:
        return table[ending]
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        return next(iter(table.values()))
    found = f"the ending {ending}" if ending else "no ending"
    raise ValueError(f"{os.fspath(path)}: expected {what} with the ending {listed(table)}, got "
                     f"{found}; change the name" + (", then compress the file with gzip"
                                                    if ending == ".gz" else ""))


def listed(table: Mapping[str, object]) -> str:
    """The endings of a table, for messages and help: ".vec, .txt or .bin"."""
    *first, last = [ending or "none" for ending in table]
    return f"{', '.join(first)} or {last}" if first else last


def require_text_ending(path: str | os.PathLike) -> None:
    """ValueError if the ending of a text file is that of another format."""
    if ending_of(path) in NOT_TEXT:
        raise ValueError(f"{os.fspath(path)}: expected the name of a text file, got the ending "
                         f"{ending_of(path)}, which is not a text; choose another, such as .txt "
                         "or .txt.gz")

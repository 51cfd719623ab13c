"""The file format of an index: its rows and ids as tensors of one safetensors file.

Bytes     tensors  vectors (M, D) float32
                   ids (M,) int64; or, if the ids are strings, id_text (B,) uint8, their UTF-8
                   bytes without separators, and id_ends (M,) int64, where each string ends
          metadata kind "scratch_embed index", normalise "True" or "False"
Read next retrieve/index.py; retrieve/texts.py, which adds lines of text to the same file

A file may come from an unknown source, so each tensor is checked; a FormatError names the tensor,
what was expected and what was found.
"""
import os
from collections.abc import Mapping, Sequence

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.retrieve.ids import Ids, row_of_each
from scratch_embed.space.neighbours import BLOCK

KIND = "scratch_embed index"
Tensors = Mapping[str, np.ndarray]


def index_as_tensors(rows: np.ndarray, ids: Ids, normalise: bool
                     ) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The tensors and the metadata of M rows (M, D) with their ids."""
    named = ({"ids": np.array(ids, np.int64)} if not ids or type(ids[0]) is int
             else strings_as_tensors("id", [str(id) for id in ids]))
    return {"vectors": rows, **named}, {"kind": KIND, "normalise": str(normalise)}


def read_index(path: str | os.PathLike, tensors: Tensors, metadata: Mapping[str, str]
               ) -> tuple[np.ndarray, dict[int | str, int], bool]:
    """The inverse of index_as_tensors -> rows (M, D), {id: row} in row order, normalise.

    Raises FormatError, which names `path`, for any other tensors.
    """
    normalise = metadata.get("normalise")
    if metadata.get("kind") != KIND or normalise not in ("True", "False"):
        raise FormatError(path, "its metadata", f"expected the kind {KIND!r} and normalise "
                                                f"True or False, found {metadata}")
    rows, ids = tensors.get("vectors"), _read_ids(path, tensors)
    if rows is None or rows.dtype != np.float32 or rows.ndim != 2 or rows.shape[1] == 0 or (
            len(rows) != len(ids)):
        found = "none" if rows is None else f"{rows.dtype} {rows.shape}"
        raise FormatError(path, "tensor 'vectors'", f"expected float32 (M, D), a row for each "
                                                    f"of {len(ids)} ids, found {found}")
    broken = first_not_finite(rows)
    if broken is not None:
        raise FormatError(path, f"tensor 'vectors', row {broken}",
                          "expected finite numbers, found nan or inf")
    try:
        return rows, row_of_each(ids), normalise == "True"
    except ValueError as error:
        raise FormatError(path, "its ids", str(error)) from None


def _read_ids(path, tensors):
    ids = tensors.get("ids")
    if ids is not None and ids.dtype == np.int64 and ids.ndim == 1:
        return ids.tolist()
    return strings_from_tensors(path, "id", tensors, "'ids' int64 (M,), or ")


def first_not_finite(rows: np.ndarray) -> int | None:
    """The number of the first row with a nan or an inf; None if there is none.  rows: (M, D)."""
    step = max(1, BLOCK // rows.shape[1])
    for i in range(0, len(rows), step):
        finite = np.isfinite(rows[i:i + step]).all(axis=1)
        if not finite.all():
            return i + int(finite.argmin())
    return None


# ---- strings ------------------------------------------------------------------------------------

def strings_as_tensors(name: str, strings: Sequence[str]) -> dict[str, np.ndarray]:
    """Strings as UTF-8 bytes without separators, and where each ends: {name_text, name_ends}."""
    try:
        encoded = [string.encode() for string in strings]
    except UnicodeEncodeError as error:
        raise ValueError(f"cannot write the {name} {error.object!r}: it has no UTF-8 form"
                         ) from None
    return {f"{name}_text": np.frombuffer(b"".join(encoded), np.uint8),
            f"{name}_ends": np.cumsum([len(string) for string in encoded], dtype=np.int64)}


def strings_from_tensors(path: str | os.PathLike, name: str, tensors: Tensors,
                         otherwise: str = "") -> list[str]:
    """The inverse of strings_as_tensors.  Raises FormatError for other tensors.

    otherwise: what else the file could have contained, for the error message.
    """
    text, ends = tensors.get(f"{name}_text"), tensors.get(f"{name}_ends")
    if text is None or ends is None or (text.dtype, ends.dtype) != (np.uint8, np.int64) or (
            text.ndim != 1 or ends.ndim != 1):
        raise FormatError(path, f"its {name}s", f"expected {otherwise}'{name}_text' uint8 and "
                                                f"'{name}_ends' int64 (M,); found the tensors "
                                                f"{list(tensors)}")
    ends = [0, *ends.tolist()]
    if ends != sorted(ends) or ends[-1] != len(text):
        raise FormatError(path, f"tensor '{name}_ends'", f"expected numbers that rise from 0 to "
                                                         f"{len(text)}, the bytes of "
                                                         f"'{name}_text'")
    text = text.tobytes()
    try:
        return [text[a:b].decode() for a, b in zip(ends, ends[1:])]
    except UnicodeDecodeError as error:
        raise FormatError(path, f"tensor '{name}_text'", f"expected UTF-8, found {error}"
                          ) from None

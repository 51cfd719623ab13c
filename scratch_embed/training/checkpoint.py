"""The checkpoint of a training run: a file with its arrays, its progress and its settings.

Bytes     a safetensors file.  Tensors: the arrays of the run by name ("W",
          "layers.0.attn.q.weight", AdamW's moments "m/..." and "v/..."), and "session/losses" and
          "session/rows" in float64.  Metadata: "format", "version", and in JSON "settings" and
          "progress".
Read next training/session.py (when a checkpoint is written and read)
"""
import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import Fields, parse
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors

FORMAT, VERSION = "scratch_embed training", "2"
LOSSES, ROWS = "session/losses", "session/rows"


class Checkpoint(NamedTuple):
    """The file in which a run is saved, and whether the run resumes from it.

    path: the file; resume: continue from it if it exists; every: seconds between two saves.

    >>> Checkpoint("run.state", resume=True)
    Checkpoint(path='run.state', resume=True, every=60.0)
    """

    path: str | os.PathLike
    resume: bool = False
    every: float = 60.0


class Progress(NamedTuple):
    """The progress of a run: what session() must know to continue it, besides the arrays."""

    losses: list[float]            # one per complete step of batches(), or per complete epoch
    rows: list[list[float]]        # measurements that the loop appended
    epoch: int = 0                 # complete epochs; in batches(), complete steps
    chunk: int = 0                 # complete chunks of the current epoch
    loss: float = 0.0              # sum of the losses of the current epoch
    count: int = 0  # type: ignore[assignment]  # number of terms of `loss`; hides tuple.count
    done: float = 0.0              # position of the progress bar, in its unit


def write_checkpoint(path: str | os.PathLike, state: Mapping[str, np.ndarray], settings: Mapping,
                     progress: Progress) -> None:
    """Replace the file atomically.  settings: JSON values, see numerics/settings.py."""
    losses, rows, *counters = progress
    names = Progress._fields[2:]
    write_safetensors(path, {**state, LOSSES: np.array(losses, np.float64),
                             ROWS: np.array(rows, np.float64)},
                      {"format": FORMAT, "version": VERSION,
                       "settings": json.dumps(settings),
                       "progress": json.dumps(dict(zip(names, counters)))}, checksum=True)


def read_checkpoint(path: str | os.PathLike, state: Mapping[str, np.ndarray], settings: Mapping
                    ) -> Progress:
    """Read the arrays of a checkpoint into `state`, in place, and return its Progress.

    All checks come before the first change of `state`.  Raises ValueError that names the first
    setting that differs; FormatError for a file that is damaged, not a checkpoint, of another
    version, or with other tensors than `state`.
    """
    tensors, metadata = read_safetensors(path)
    if metadata.get("format") != FORMAT or metadata.get("version") != VERSION:
        raise FormatError(path, "metadata", _wrong_format(metadata))
    _require_same(path, parse(path, "settings", metadata.get("settings", "").encode()), settings)
    values = parse(path, "progress", metadata.get("progress", "").encode())
    fields = Fields(path, values, "progress")
    loss, done = (fields.number(name, 0.0) for name in ("loss", "done"))
    expected = {name: (array.shape, array.dtype) for name, array in state.items()}
    for name, array in tensors.items():
        if name in (LOSSES, ROWS) and array.ndim == 1 + (name == ROWS and array.size > 0):
            expected[name] = array.shape, np.dtype(np.float64)
    if tensors.keys() != expected.keys() or not {LOSSES, ROWS} <= expected.keys():
        odd = sorted(tensors.keys() ^ ({LOSSES, ROWS} | state.keys()))
        raise FormatError(path, "its tensors", f"expected the {len(expected)} of this run, found "
                                               f"others: {', '.join(odd[:4])} differ")
    for name, (shape, dtype) in expected.items():
        if (tensors[name].shape, tensors[name].dtype) != (shape, dtype):
            raise FormatError(path, name, f"expected {dtype} of shape {shape}, found "
                                          f"{tensors[name].dtype} of shape {tensors[name].shape}")
    progress = Progress(tensors[LOSSES].tolist(), tensors[ROWS].tolist(),
                        fields.whole("epoch", 0), fields.whole("chunk", 0), float(loss),
                        fields.whole("count", 0), float(done))
    for name, array in state.items():
        array[...] = tensors[name]
    return progress


def _wrong_format(metadata: Mapping[str, str]) -> str:
    """The message for a file that is not a checkpoint of this version."""
    if metadata.get("format") == FORMAT:
        return (f"expected a checkpoint of version {VERSION}, found version "
                f"{metadata.get('version')}: finish the run with the scratch_embed that wrote it")
    if "settings" in metadata:
        return ("a run that was written by version 0.1 of scratch_embed and cannot be continued "
                "here: finish it with version 0.1, or start again with another --checkpoint file")
    return "expected the checkpoint of a training run, found another safetensors file"


def _require_same(path, saved: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise ValueError for the first setting in which a run differs from its checkpoint."""
    for name in {**settings, **saved}:
        was, now = saved.get(name), settings.get(name)
        if was != now:
            raise ValueError(f"{path}: cannot resume, {name} was {was!r:.40} and is {now!r:.40} "
                             "now; use the old value, or another checkpoint file")

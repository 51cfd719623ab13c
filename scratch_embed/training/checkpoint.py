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
from scratch_embed.numerics.json_files import Fields, parse, show
from scratch_embed.numerics.safetensors import read_header, read_safetensors, write_safetensors
from scratch_embed.numerics.settings import json_value

FORMAT, VERSION = "scratch_embed training", "2"
LOSSES, ROWS = "session/losses", "session/rows"
LENGTHS = "epochs", "steps"        # the settings that a resumed run may increase
OF_THE_TEXT = "data", "vocab", "vocabulary"      # settings that no option names
MOST = 2**62                       # the largest count that a checkpoint may have


class Checkpoint(NamedTuple):
    """The file in which a run is saved, and whether the run resumes from it.

    path: the file; resume: continue from it if it exists; every: the seconds from
    one save to the next.  The run is also saved at Ctrl-C and at its end.

    >>> Checkpoint("run.state", resume=True)
    Checkpoint(path='run.state', resume=True, every=60.0)
    """

    path: str | os.PathLike
    resume: bool = False
    every: float = 60.0


class Saved(NamedTuple):
    """What a checkpoint says about its run, read without the arrays."""

    settings: Mapping[str, Any]    # as JSON values
    done: int                      # complete epochs, or steps
    total: int                     # epochs, or steps, of the whole run
    unit: str                      # "epochs" or "steps"

    @property
    def finished(self) -> bool:
        """Whether the run came to its end."""
        return self.done >= self.total > 0


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
    saved, fields = _parse(path, metadata)
    _require_same(path, saved, {**dict.fromkeys(saved), **settings})
    loss, done = (_number(fields, name) for name in ("loss", "done"))
    epoch, chunk, count = (fields.whole(name, 0, most=MOST) for name in ("epoch", "chunk", "count"))
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
    most = next((settings[name] for name in LENGTHS if name in settings), MOST)
    if not len(tensors[LOSSES]) == epoch <= most:
        raise FormatError(path, LOSSES, f"expected {epoch} losses, one for each complete epoch or "
                                        f"step, at most {most}, found {len(tensors[LOSSES])}")
    progress = Progress(tensors[LOSSES].tolist(), tensors[ROWS].tolist(), epoch, chunk, loss,
                        count, done)
    for name, array in state.items():
        array[...] = tensors[name]
    return progress


# ---- before the work ----------------------------------------------------------------------------

def read_saved(path: str | os.PathLike) -> Saved:
    """Read what a checkpoint says about its run.  FormatError if it is not a checkpoint."""
    settings, progress = _parse(path, read_header(path)[1])
    unit = next((name for name in LENGTHS if name in settings), LENGTHS[0])
    total = Fields(path, settings, "settings").whole(unit, 0, default=0)
    return Saved(settings, progress.whole("epoch", 0, most=MOST), total, unit)


def require_replaceable(path: str | os.PathLike) -> None:
    """Raise FileExistsError unless the file is the checkpoint of a finished run."""
    try:
        saved = read_saved(path)
    except FormatError as error:
        raise FileExistsError(f"{path} exists already, and is not a checkpoint of a finished run, "
                              f"which could be replaced ({error}); choose another name") from None
    if not saved.finished:
        raise FileExistsError(f"{path} exists already: resume=True continues its run (it holds "
                              f"{saved.done:,} of {saved.total:,} {saved.unit}); for a new run "
                              "delete it, or choose another name")


def require_same(path: str | os.PathLike, saved: Saved, settings: Mapping[str, Any]) -> None:
    """Raise ValueError for the first of these settings with which the run cannot be resumed.

    With it, settings that are known before the text is read can be checked before reading.
    """
    _require_same(path, saved.settings, json_value(settings))


# ---- parts --------------------------------------------------------------------------------------

def _parse(path, metadata: Mapping[str, str]) -> tuple[dict[str, Any], Fields]:
    """The settings, and the fields of the progress."""
    if metadata.get("format") != FORMAT or metadata.get("version") != VERSION:
        raise FormatError(path, "metadata", _wrong_format(metadata))
    settings = parse(path, "settings", metadata.get("settings", "").encode())
    progress = parse(path, "progress", metadata.get("progress", "").encode())
    return settings, Fields(path, progress, "progress")


def _number(fields, name):
    """A number of the progress, as a float."""
    value = fields.number(name, 0.0)
    if abs(value) > 1e300:                         # a whole number may be too large for a float
        raise fields.fault(name, "a number up to 1e300", show(value))
    return float(value)


def _wrong_format(metadata: Mapping[str, str]) -> str:
    """The message for a file that is not a checkpoint of this version."""
    if metadata.get("format") == FORMAT:
        return (f"expected a checkpoint of version {VERSION}, found version "
                f"{metadata.get('version')}: finish the run with the scratch_embed that wrote it")
    if "settings" in metadata:
        return ("a run that was written by version 0.1 of scratch_embed and cannot be continued "
                "here: finish it with version 0.1, or start again with another checkpoint file")
    return "expected the checkpoint of a training run, found another safetensors file"


def _require_same(path, saved: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise ValueError for the first setting that differs from the checkpoint's.

    Only the length of the run may differ, if it is larger than before.
    """
    for name, now in settings.items():
        was = saved.get(name)
        grown = name in LENGTHS and type(was) is int and type(now) is int and was < now
        if was == now or grown:
            continue
        advice = (f"a run can be given more {name}, not fewer" if name in LENGTHS else
                  "the text or its vocabulary is not that of the run: use the old one, or another "
                  "checkpoint file" if name in OF_THE_TEXT else
                  "use the old value, or another checkpoint file")
        was, now = _differing(was, now)
        raise ValueError(f"{path}: cannot resume, {name} was {was!r:.40} and is {now!r:.40} now; "
                         f"{advice}")


def _differing(was, now):
    """Both values; of two mappings only the entries that differ."""
    if not (isinstance(was, Mapping) and isinstance(now, Mapping)):
        return was, now
    pairs = {name: _differing(was.get(name), now.get(name)) for name in {**was, **now}
             if was.get(name) != now.get(name)}
    return ({name: pair[0] for name, pair in pairs.items()},
            {name: pair[1] for name, pair in pairs.items()})

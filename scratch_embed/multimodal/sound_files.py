"""Lists of sounds with labels: which file to read, and what is heard in it.

Bytes     UTF-8, plain or gzip, in one of two forms.  The paths are relative to the list's folder.
          tabs         a WAV file <tab> a label, of the whole sound
          JSON lines   {"sound": a WAV file, FIELD: a label, or a list of labels, one for every
                       10 ms}; `scratch-embed world speech` writes such a list
Read next multimodal/whisper_training.py (which learns from it), multimodal/scene_files.py
"""
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.multimodal.audio import load_sound, log_mel_whisper
from scratch_embed.multimodal.whisper import STRIDE, sound_frames
from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
from scratch_embed.multimodal.whisper_training import UNLABELLED, Labelled
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import REQUIRED, Fields, parse, show
from scratch_embed.text.corpus import read_lines, strip


class SoundList(NamedTuple):
    """The sounds that a list names, in its order."""

    path: str                      # of the list
    places: list[str]              # "line 3", for messages
    sounds: list[str]              # paths of WAV files
    labels: list[str | list[str]]  # one for a sound, or one for every 10 ms


def read_sound_list(path: str | os.PathLike, field: str = "label", errors: str = "strict"
                    ) -> SoundList:
    """Read a list of sounds.  field: the name of the labels in JSON lines.

    Raises FormatError that names the line.
    """
    found, folder = SoundList(os.fspath(path), [], [], []), os.path.dirname(path)
    for number, line in enumerate(read_lines(path, errors), 1):
        if not strip(line):
            continue
        place = f"line {number}"
        read = _from_json if line.lstrip().startswith("{") else _from_tabs
        sound, label = read(line, path, place, field)
        if not os.path.exists(os.path.join(folder, sound)):
            raise FormatError(path, place, f"{show(sound)}: there is no such file; names are "
                                           f"relative to the folder {folder or '.'}")
        found.places.append(place)
        found.sounds.append(os.path.join(folder, sound))
        found.labels.append(label)
    if not found.sounds:
        raise FormatError(path, "its lines", "expected a sound in each, found none")
    return found


def _from_tabs(line, path, place, field):
    fields = [strip(part) for part in line.split("\t")]
    if len(fields) != 2 or not all(fields):
        raise FormatError(path, place, f"expected a WAV file, a tab and a label, found "
                                       f"{show(line)}")
    return fields


def _from_json(line, path, place, field):
    fields = Fields(path, parse(path, place, line.encode()), place)
    label = fields.get(field, REQUIRED, "a label, or a list of labels", _is_label)
    return fields.text("sound"), [*map(str, label)] if isinstance(label, list) else str(label)


def class_names(lists: SoundList) -> list[str]:
    """All labels, sorted."""
    return sorted({name for label in lists.labels
                   for name in (label if isinstance(label, list) else [label])})


class Spectrograms(NamedTuple):
    """The data of a list, and how many of its sounds were cut."""

    data: Labelled
    cut: int


def longest_seconds(lists: SoundList, rate: int, most: int) -> int:
    """The length of the longest sound in seconds, rounded up, at most `most`."""
    longest = max(len(load_sound(path, rate)) for path in lists.sounds)
    return min(most, -(-longest // rate))


def read_labelled(lists: SoundList, model: WhisperEncoder, names: Sequence[str]) -> Spectrograms:
    """The spectrograms and labels of a list, for a model.

    names: the classes.  Raises FormatError for a damaged sound, an unknown label, or a list of
    labels that does not fit its sound.
    """
    audio, M = model.audio, model.audio.filters()
    number = {name: k for k, name in enumerate(names)}
    N, frames = len(lists.sounds), sound_frames(audio.samples, audio)
    y = np.empty((N, audio.frames, audio.mels), np.float32)
    labels, cut = np.full((N, frames), UNLABELLED), 0
    for n, (place, path, label) in enumerate(zip(*lists[1:])):
        x = load_sound(path, audio.rate)
        y[n] = log_mel_whisper(x, audio, M)
        cut += len(x) > audio.samples
        of_frame = label if isinstance(label, list) else [label]
        if missing := [name for name in of_frame if name not in number]:
            raise FormatError(lists.path, place, f"expected one of {len(number)} labels, "
                              f"{show([*number])}, found {show(missing[0])}")
        if isinstance(label, list):
            if len(label) != -(-len(x) // audio.hop):
                raise FormatError(lists.path, place, f"expected {-(-len(x) // audio.hop)} labels, "
                                  f"one for every {1000 * audio.hop / audio.rate:g} ms of the "
                                  f"sound, found {len(label)}")
            of_frame = label[::STRIDE][:frames]        # frame t is centred on 10 ms number 2 t
        else:
            of_frame = of_frame * sound_frames(len(x), audio)
        labels[n, :len(of_frame)] = [number[name] for name in of_frame]
    return Spectrograms(Labelled(y, labels), cut)


def _is_label(value):
    """Whether a JSON value is a label, a string or a whole number, or a list of labels."""
    values = value if isinstance(value, list) else [value]
    return len(values) > 0 and all(type(one) in (str, int) for one in values)

"""Files of images and sounds that a command is given: one file, or all of a folder.

Bytes     PNG (numerics/png.py) and WAV (multimodal/wav.py); the first bytes decide what a file is,
          and for damaged ones the ending of the name
Read next cli/sense_encoder.py (files to vectors), multimodal/scene_files.py (writes some)
"""
import os
from typing import NamedTuple

from scratch_embed.numerics.binary_kinds import binary_kind
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.wording import counted

FORMATS = {"image": "PNG", "audio": "WAV"}
STARTS = {b"\x89PNG": "image", b"RIFF": "audio", b"RIFX": "audio", b"RF64": "audio"}
ENDINGS = {".png": "image", ".wav": "audio"}
HEAD = 300                         # bytes that are read of each file
TEXTS = ".txt", ".tsv", ".csv", ".json", ".jsonl", ".md"         # may lie beside the files


class MediaFiles(NamedTuple):
    """Files of one kind, and what else is in their folder."""

    sense: str                     # "image" or "audio"
    paths: list[str]               # sorted by name
    others: list[str]              # names of files of other kinds, without texts and hidden ones


def sense_of(path: str | os.PathLike) -> str | None:
    """"image" for a PNG file, "audio" for a WAV file, None for any other."""
    with open(path, "rb") as file:
        found = STARTS.get(file.read(4))
    return found or ENDINGS.get(os.path.splitext(path)[1].lower())


def find_media(path: str | os.PathLike) -> MediaFiles | None:
    """The PNG or WAV files of a folder, or the one file; None for a file of another kind.

    Folders in the folder are left out.  Raises FormatError for a folder without such files, or with
    both kinds, or for a picture or recording in another format.
    """
    if not os.path.isdir(path):
        sense = sense_of(path) if os.path.isfile(path) else None
        if sense is None:
            _refuse_other_formats(path)
        return sense and MediaFiles(sense, [os.fspath(path)], [])
    found: dict[str | None, list[str]] = {"image": [], "audio": [], None: []}
    for name in sorted(os.listdir(path)):
        whole = os.path.join(path, name)
        if os.path.isfile(whole) and not name.startswith("."):
            found[sense_of(whole)].append(whole)
    images, sounds, others = found.values()
    if images and sounds:
        raise FormatError(path, "its files", f"expected one kind, found {len(images):,} PNG and "
                          f"{len(sounds):,} WAV; put each kind into a folder of its own")
    if not images and not sounds:
        there = f"found {counted(len(others), 'other file')}, such as " + os.path.basename(
            others[0]) if others else "found none"
        raise FormatError(path, "its files", f"expected PNG or WAV files, {there}; name the "
                          "folder that has them, since folders in it are left out")
    names = [os.path.basename(other) for other in others if not other.lower().endswith(TEXTS)]
    return MediaFiles("image", images, names) if images else MediaFiles("audio", sounds, names)


def require_no_names(path: str | os.PathLike) -> None:
    """Raise ValueError if the lines of a text begin with names of PNG or WAV files that exist.

    Otherwise such a list would be encoded as texts: its names, not what the files show.  Line 1
    may be a header.
    """
    if not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        start = [file.readline(HEAD) for _ in range(2)]
    for line in start:
        name = line.split(b"\t")[0].strip().decode("utf-8", "replace").replace("\0", "")
        beside = os.path.join(os.path.dirname(path), name)
        if name.lower().endswith((*ENDINGS,)) and (os.path.isfile(name) or os.path.isfile(beside)):
            raise ValueError(f"{path}: expected texts, found names of files such as {name}, which "
                             "would be encoded as texts; give the folder with the files")


def _refuse_other_formats(path):
    """Raise FormatError for a picture, film or recording that is neither PNG nor WAV."""
    if not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        kind = binary_kind(file.read(HEAD))
    what = kind and kind.name.split()[-1]
    if what in ("picture", "recording"):
        other = "PNG" if what == "picture" else "WAV"
        raise FormatError(path, "the file", f"expected PNG or WAV, found {kind.name}; convert it "
                                            f"to {other}")

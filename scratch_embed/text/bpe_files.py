"""vocab.json and merges.txt: the two files in which GPT-2 stores a BPE.

    vocab.json    {piece: id}; the ids are 0, 1, ... without a gap
    merges.txt    "#version: 0.2", then one merge per line: two pieces with a space between them

Differs   These are errors here: a piece or an id that occurs twice, a gap in the ids, an empty line
          that is not the last.  As in the tokenizers library, a line that begins with "#version"
          is not a merge, wherever it is.
Read next text/bpe.py, text/bpe_json.py (the other form, with all settings)
"""
import os
from collections.abc import Iterable, Sequence

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.json_files import LONGEST, Fields, read_regular, write_json
from scratch_embed.text.tokenizer_json import pieces_by_id

VERSION = "#version"
Path = str | os.PathLike


def read_vocab(path: Path) -> list[str]:
    """The pieces of a vocab.json, sorted by their ids."""
    whole = Fields.read(path)
    return pieces_by_id(Fields(path, {"vocab": whole.values}))


def read_merges(path: Path) -> list[tuple[str, str]]:
    """The merges of a merges.txt.  FormatError that names the line if it is damaged."""
    lines = read_regular(path, LONGEST).split(b"\n")
    if not lines[-1]:
        lines.pop()
    merges = []
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise FormatError(path, f"line {number}, byte {error.start} of it",
                              "this is not UTF-8 text; convert the file") from None
        if text.startswith(VERSION):
            continue
        first, _, second = text.partition(" ")
        if not (first and second) or " " in second:
            raise FormatError(path, f"line {number}", "expected two pieces with a space between "
                              f"them, found {text!r:.60}")
        merges.append((first, second))
    return merges


def write_vocab(path: Path, pieces: Sequence[str]) -> None:
    """Write pieces as a vocab.json."""
    write_json(path, {piece: number for number, piece in enumerate(pieces)})


def write_merges(path: Path, merges: Iterable[tuple[str, str]]) -> None:
    """Write a merges.txt.  ValueError for a merge that would be changed when it is read back."""
    lines = ["#version: 0.2"]
    for first, second in merges:
        line = f"{first} {second}"
        if (line.split(" ") != [first, second] or not (first and second) or "\n" in line
                or line.endswith("\r") or line.startswith(VERSION)):
            raise ValueError(f"cannot write the merge ({first!r}, {second!r}): in a merges.txt a "
                             "merge is a line, with the only space between its pieces")
        lines.append(line)
    with atomic_write(path) as file:
        file.write("".join(line + "\n" for line in lines).encode())

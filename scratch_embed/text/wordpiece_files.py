"""vocab.txt: the pieces of a WordPiece, one a line; a piece's id is the number of its line, from 0.

Differs   These are errors here: a piece that occurs twice (other readers give it the last id, and
          the first id belongs to no piece), an empty line, text that is not UTF-8.
Read next text/tokenizer_files.py (the other files of a tokenizer)
"""
import os
from collections.abc import Iterable

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.json_files import LONGEST, read_regular

Path = str | os.PathLike


def read_vocab(path: Path) -> list[str]:
    """Read the pieces of a vocab.txt.  FormatError that names the line if the file is damaged."""
    lines = read_regular(path, LONGEST).split(b"\n")
    if not lines[-1]:
        lines.pop()
    seen = {}
    for number, line in enumerate(lines, 1):
        try:
            piece = line.decode("utf-8").rstrip(" \t\r")
        except UnicodeDecodeError as error:
            raise FormatError(path, f"line {number}, byte {error.start} of it",
                              "this is not UTF-8 text; convert the file") from None
        if not piece:
            raise FormatError(path, f"line {number}", "expected a piece, found an empty line")
        if piece in seen:
            raise FormatError(path, f"line {number}", f"expected each piece once, found {piece!r}, "
                              f"which is in line {seen[piece]} too; delete the file and fetch it "
                              "again")
        seen[piece] = number
    if not seen:
        raise FormatError(path, "line 1", "expected pieces, found an empty file")
    return list(seen)


def write_vocab(path: Path, pieces: Iterable[str]) -> None:
    """Write pieces as a vocab.txt.  ValueError for a piece that would be changed when read back."""
    pieces = list(pieces)
    for piece in pieces:
        if not piece or piece != piece.rstrip(" \t\r") or "\n" in piece:
            raise ValueError(f"cannot write the piece {piece!r}: in a vocab.txt a piece is a line, "
                             "not empty, without white space at its end")
    with atomic_write(path) as file:
        file.write("".join(piece + "\n" for piece in pieces).encode())

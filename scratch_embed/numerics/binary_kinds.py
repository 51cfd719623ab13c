"""Recognise pictures, archives and other binary files by their first bytes, to name them in errors.

A text is never taken for one of them: a signature of ASCII characters alone (GIF89a, RIFF) counts
only if bytes follow that no text has.  The exception is a PDF's, "%PDF-1.7".
Read next text/corpus.py and loading.py, which use it
"""
import re
from typing import NamedTuple

HEAD = 512                         # bytes that are inspected; a tar archive has its mark at 257
CONTROL = re.compile(rb"[\0-\x08\x0e-\x1a]")


class BinaryKind(NamedTuple):
    """What a file is, and what to do instead of reading it."""

    name: str                      # with its article: "a PNG picture"
    advice: str                    # what to do; may be empty


UNPACK = "unpack it, and name a file in it"
PICTURE = "it has no text; `scratch-embed encode` and `index` take PNG files with a CLIP"
SOUND = "it has no text; `scratch-embed encode` and `index` take WAV files with a CLAP or a Whisper"
FILM = "it has no text"
SIGNATURES = (                     # offset, bytes, kind; the first that fits
    (0, b"\x89PNG\r\n\x1a\n", BinaryKind("a PNG picture", PICTURE)),
    (0, b"\xff\xd8\xff", BinaryKind("a JPEG picture", PICTURE)),
    (0, b"GIF87a", BinaryKind("a GIF picture", PICTURE)),
    (0, b"GIF89a", BinaryKind("a GIF picture", PICTURE)),
    (0, b"II*\0", BinaryKind("a TIFF picture", PICTURE)),
    (0, b"MM\0*", BinaryKind("a TIFF picture", PICTURE)),
    (8, b"WEBPVP8", BinaryKind("a WebP picture", PICTURE)),
    (8, b"WAVEfmt ", BinaryKind("a WAV recording", SOUND)),
    (0, b"ID3", BinaryKind("an MP3 recording", SOUND)),
    (0, b"OggS", BinaryKind("an Ogg recording", SOUND)),
    (4, b"ftyp", BinaryKind("an MP4 film or recording", FILM)),
    (257, b"ustar", BinaryKind("a tar archive", UNPACK)),
    (0, b"BZh", BinaryKind("a bzip2 file", "decompress it, with bunzip2")),
    (0, b"\xfd7zXZ\0", BinaryKind("an xz file", "decompress it, with unxz")),
    (0, b"\x28\xb5\x2f\xfd", BinaryKind("a Zstandard file", "decompress it, with unzstd")),
    (0, b"7z\xbc\xaf\x27\x1c", BinaryKind("a 7z archive", UNPACK)),
    (0, b"Rar!\x1a\x07", BinaryKind("a RAR archive", UNPACK)),
    (0, b"PK\x03\x04", BinaryKind("a zip archive", UNPACK)),
    (0, b"PK\x05\x06", BinaryKind("an empty zip archive", "")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", BinaryKind("an old Office document", "save it as "
                                                       "plain text in UTF-8")),
    (0, b"SQLite format 3\0", BinaryKind("an SQLite database", "export its texts")),
    (0, b"PAR1", BinaryKind("a Parquet file", "export its texts, one per line")),
    (0, b"\x89HDF\r\n\x1a\n", BinaryKind("an HDF5 file", "")),
    (0, b"\x7fELF", BinaryKind("a program", "")),
)
PDF = BinaryKind("a PDF", "extract its text, with pdftotext")
OFFICE = BinaryKind("an Office document", "save it as plain text in UTF-8")
ARRAYS = BinaryKind("NumPy arrays in a zip (.npz)", "numpy.load reads it")


def binary_kind(start: bytes) -> BinaryKind | None:
    """The kind of a file whose first bytes are `start`; None for a text and an unknown kind.

    >>> binary_kind(b"\\x89PNG\\r\\n\\x1a\\n\\0\\0").name
    'a PNG picture'
    >>> binary_kind(b"GIF89a is a format") is None
    True
    """
    start = start[:HEAD]
    if re.match(rb"%PDF-\d\.\d", start):
        return PDF
    if could_be_text(start):
        return None
    kind = next((kind for offset, mark, kind in SIGNATURES
                 if start[offset:offset + len(mark)] == mark), None)
    if start.startswith(b"PK\x03\x04"):                    # what the first file in it is called
        name = start[30:30 + int.from_bytes(start[26:28], "little")]
        if name == b"[Content_Types].xml" or name == b"mimetype":
            return OFFICE
        return ARRAYS if name.endswith(b".npy") else kind
    return kind


def could_be_text(start: bytes) -> bool:
    """Whether bytes are UTF-8 without control characters; the last character may be cut."""
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:
            return False
    return not CONTROL.search(start)

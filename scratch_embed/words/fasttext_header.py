"""The header of a fastText model (.bin): the settings of its training, and its sizes.

Bytes     little-endian (i4: int32, f8: float64)
             0  i4 793712314 (marks the format), i4 the version
             8  12 × i4: Settings from dim to lr_update_rate; loss and model as
                numbers from 1 (LOSSES, MODELS)
            56  f8 sample
            64  i4 V + L, i4 V words, i4 L labels, i8 n_tokens, i8 −1 (0 or more: a pruned model)
            92  the entries and the tables: words/fasttext_files.py
Differs   Versions 12 and 11 are read, and files of 2016 that have no version: these lack the mark,
          the version, the last field, and the byte before each table.  A supervised model older
          than version 12 is read without character n-grams, whatever its max_n says (the original
          does so for version 11).  Version 12 is written.
Read next words/fasttext_files.py
"""
import math
import os
import struct
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.numerics.errors import FormatError

MAGIC, VERSION = 793712314, 12
MARK = struct.pack("<i", MAGIC)
LOSSES = ("hs", "ns", "softmax", "ova")            # 1, 2, 3, 4 in the file
MODELS = ("cbow", "skipgram", "supervised")        # 1, 2, 3
HEADER = struct.Struct("<2i12id3i2q")
OLD_HEADER = struct.Struct("<12id3iq")             # without a mark and a version
SMALLEST_ENTRY = 1 + 9                             # an empty word: 0x00, count and type
MOST_OLD_DIM = 2**17                               # the largest dim of a file without a mark


class Settings(NamedTuple):
    """The training settings, in the file's order.  The defaults are fastText's for word vectors."""

    dim: int = 100
    window: int = 5
    epochs: int = 5
    min_count: int = 5
    negatives: int = 5
    word_ngrams: int = 1           # the longest word n-grams of a supervised model
    loss: str = "ns"               # one of LOSSES
    model: str = "skipgram"        # one of MODELS
    buckets: int = 2_000_000
    min_n: int = 3
    max_n: int = 6
    lr_update_rate: int = 100      # words that a thread reads between updates of its learning rate
    sample: float = 1e-4


class Header(NamedTuple):
    """Everything before the first entry."""

    settings: Settings
    V: int
    L: int
    n_tokens: int
    version: int                   # 12, 11, or 0: the file has no mark and no version


# ---- recognising a model ------------------------------------------------------------------------

def begins_like_fasttext(start: bytes) -> bool:
    """Whether a file is a fastText model.  start: its first HEADER.size bytes, or more"""
    return start.startswith(MARK) or _begins_like_old(start)


def is_supervised(start: bytes) -> bool:
    """Whether a file is a fastText model with labels.  start: as for begins_like_fasttext"""
    if _begins_like_old(start):
        return _unpacked(OLD_HEADER, start)[0].model == "supervised"
    return (start.startswith(MARK) and len(start) >= HEADER.size
            and _unpacked(HEADER, start)[0].model == "supervised")


def _begins_like_old(start):
    """Whether these bytes are a valid header without a mark; those of a text never are."""
    if len(start) < OLD_HEADER.size:
        return False
    settings, (entries, V, L, n_tokens) = _unpacked(OLD_HEADER, start)
    return (settings.dim <= MOST_OLD_DIM and not wrong_setting(settings)
            and not wrong_sizes(settings, V, L) and entries == V + L <= n_tokens)


def _unpacked(header, start):
    """Settings, and the numbers after them."""
    numbers = header.unpack_from(start)[2 if header is HEADER else 0:]
    settings = Settings._make(numbers[:len(Settings._fields)])
    return settings._replace(loss=_named(LOSSES, settings.loss),
                             model=_named(MODELS, settings.model)), numbers[len(settings):]


def _named(names, number):
    """The name with this number, counted from 1; or the number itself, which is refused later."""
    return names[number - 1] if 1 <= number <= len(names) else number


# ---- reading ------------------------------------------------------------------------------------

def read_header(path: str | os.PathLike, file: Any, size: int) -> Header:
    """Read the header.  size: of the file.  FormatError if it is damaged or of another version."""
    start = file.read(HEADER.size)
    if _begins_like_old(start):
        settings, (_, V, L, n_tokens) = _unpacked(OLD_HEADER, start)
        version = 0
        file.seek(OLD_HEADER.size)
    else:
        settings, V, L, n_tokens = _read_marked(path, start)
        version = struct.unpack_from("<i", start, 4)[0]
    rest = size - file.tell()
    if (V + L) * SMALLEST_ENTRY > rest:
        raise FormatError(path, f"byte {64 if version else 56}", f"{V + L} words take at least "
                          f"{(V + L) * SMALLEST_ENTRY} bytes, and {rest} follow: truncated, or a "
                          "damaged header")
    if settings.model == "supervised" and version < VERSION:
        settings = settings._replace(max_n=0)
    return Header(settings, V, L, n_tokens, version)


def _read_marked(path, start):
    """Settings, V, L and n_tokens of a header with a mark.  FormatError if it is damaged."""
    if not start.startswith(MARK):
        raise FormatError(path, "byte 0", f"expected {MARK!r}, with which a fastText model begins; "
                                          f"found {start[:4]!r}")
    if len(start) < HEADER.size:
        raise FormatError(path, f"byte {len(start)}", f"expected {HEADER.size} bytes of numbers; "
                                                      "the file ends within them")
    version = struct.unpack_from("<i", start, 4)[0]
    if version not in (VERSION, 11):
        raise FormatError(path, "byte 4", f"expected version {VERSION} or 11, found {version}")
    settings, (entries, V, L, n_tokens, pruned) = _unpacked(HEADER, start)
    if wrong := wrong_setting(settings):
        name, problem = wrong
        raise FormatError(path, f"byte {8 + 4 * Settings._fields.index(name)}",
                          f"{name}: {problem}")
    if pruned != -1:
        raise FormatError(path, "byte 84", f"expected −1, found {pruned}: a pruned model (.ftz), "
                          "which lacks rows; use the .bin it was made from")
    if problem := wrong_sizes(settings, V, L):
        raise FormatError(path, "byte 68", problem)
    if entries != V + L:
        raise FormatError(path, "byte 64", f"expected {V} words + {L} labels = {V + L} entries; "
                                           f"found {entries}")
    return settings, V, L, n_tokens


# ---- checks for reading and writing -------------------------------------------------------------

def wrong_setting(settings: Settings) -> tuple[str, str] | None:
    """(name, what is wrong) of the first setting out of range, or None."""
    for name, value in settings._asdict().items():
        if name in ("loss", "model"):
            if value not in (allowed := LOSSES if name == "loss" else MODELS):
                return name, f"expected one of {', '.join(allowed)}; found {value!r}"
        elif name == "sample":
            if not (math.isfinite(value) and value >= 0):
                return name, f"expected a finite number, 0 or more; found {value}"
        elif not (isinstance(value, (int, np.integer)) and (name == "dim") <= value < 2**31):
            return name, (f"expected a whole number from {int(name == 'dim')} to 2³¹ − 1; "
                          f"found {value!r}")
    s = settings
    if s.buckets == 0 and (s.max_n >= max(s.min_n, 1) or s.word_ngrams > 1):
        return "buckets", "expected at least 1, since there are n-grams; found 0"
    return None


def wrong_sizes(settings: Settings, V: int, L: int) -> str | None:
    """What is wrong with V words and L labels under these settings, or None."""
    least = int(settings.model == "supervised")
    if V < 1 or L < least:
        return f"expected at least 1 word and {least} labels; found {V} and {L}"
    if max(V + L, V + settings.buckets) >= 2**31:
        return (f"{V} words, {L} labels and {settings.buckets} buckets are more than an int32 "
                "can number")
    return None

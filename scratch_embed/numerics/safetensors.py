"""safetensors: a file format for named arrays, which, unlike a pickle, cannot run code.

Bytes     u64 n (little-endian, at most 100,000,000); n bytes of JSON, padded with spaces,
              {"__metadata__": {str: str}, name: {"dtype", "shape", "data_offsets": [begin, end]}}
          then the data, little-endian and row-major; the offsets count from its first byte.
          The tensors' byte ranges cover the data up to the file's end, without gaps or overlaps.
Shapes    any of at most 32 axes, including a single number () and an empty array (0, D)
Cost      each tensor is read once, into its own writable, aligned array; BF16 is then converted.
          Writing copies an array only if it is big-endian or not row-major.
Differs   Files are written byte for byte as the library safetensors 0.8 writes them, except that
          the metadata are sorted by name; there, their order is random.  Refused here, accepted
          there: a repeated name, a fourth field, a BOOL that is neither 0 nor 1, metadata null,
          space before "{".  BF16, which NumPy lacks, is read as float32 of the same value, and
          never written.  Tensors of the types F8, F6, F4 and C64 may be in a file, but
          reading one of them is an error.
Read next words/vector_tensors.py (word vectors in this format)

Why not map the file into memory (np.memmap)?  It would save one copy.  But if a mapped file is
truncated, reading it kills the process; and Windows cannot replace a mapped file, so a training run
could not overwrite the checkpoint from which it resumed.

The offsets are redundant: they must cover the data without gaps, and each tensor's length must fit
its shape and dtype.  So most damage to a header is detected before memory is allocated.

The format has no checksum, so a changed number is not detected.  Files of our own (checkpoints,
indexes, word vectors) have a CRC-32 of header and data in the metadata, computed with zeros in
place of its own digits.  It is verified if all tensors are read; other programs ignore it.
"""
import json
import math
import os
import re
import struct
import sys
import zlib
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.json_files import is_text, parse, show

LONGEST_HEADER = 100_000_000
BLOCK = 1 << 16                    # numbers of a BF16 that are converted at once
MOST_AXES = 32                                     # NumPy 1's limit
# in the order in which their data are written: the widest first, so that every tensor is aligned
DTYPES = {"U64": "<u8", "I64": "<i8", "F64": "<f8", "F32": "<f4", "U32": "<u4", "I32": "<i4",
          "BF16": "<u2", "F16": "<f2", "U16": "<u2", "I16": "<i2", "I8": "|i1", "U8": "|u1",
          "BOOL": "|b1"}
NOT_READ = {"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
            "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "C64": 64}             # bits of each number
WRITTEN = {code: name for name, code in DTYPES.items() if name != "BF16"}
FIELDS = {"dtype", "shape", "data_offsets"}
CHECKSUM = "scratch_embed_checksum"                # a name in the metadata
NO_CHECKSUM = "crc32:00000000"
IN_HEADER = re.compile(b'("%s":")crc32:[0-9a-f]{8}"' % CHECKSUM.encode())


class Entry(NamedTuple):
    """The header's entry of one tensor; begin and end are byte offsets in the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def begins_like_safetensors(start: bytes) -> bool:
    """Whether the first 9 bytes of a file can be those of this format.

    A UTF-8 text without control characters below 9 (the tab) is never mistaken for one: its fourth
    byte would mean a header of at least 9 · 2²⁴ bytes, which is more than is allowed.
    """
    return start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= LONGEST_HEADER


# ---- reading ---------------------------------------------------------------

def read_safetensors(path: str | os.PathLike, names: Collection[str] | None = None
                     ) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a file.  -> tensors {name: array}, in the order of the data, and metadata {str: str}

    names: read only these.  The arrays are copies, independent of the file; BF16 becomes float32.
    Raises FormatError for a truncated or damaged file, ValueError for a name that is not in it.
    """
    with open(path, "rb") as file:
        header = _read_header(path, file)
        tensors = dict(_each(path, file, header, names))
    header[1].pop(CHECKSUM, None)
    return tensors, header[1]


def each_tensor(path: str | os.PathLike, names: Collection[str] | None = None
                ) -> Iterator[tuple[str, np.ndarray]]:
    """Read the tensors of a file one by one: yields (name, array), in the order of the data.

    As read_safetensors(), but only one array is in memory, if the caller keeps none.  A wrong
    checksum is an error after the last tensor.
    """
    with open(path, "rb") as file:
        yield from _each(path, file, _read_header(path, file), names)


def _each(path, file, header, names):
    """The tensors with these names (None: all) of an open file, and then its checksum."""
    entries, metadata, text = header
    for name in names or ():
        if name not in entries:
            raise ValueError(f"{path}: expected one of the tensors {list(entries)}, got {name!r}")
    wanted = {name: entry for name, entry in entries.items() if names is None or name in names}
    expected = metadata.get(CHECKSUM) if len(wanted) == len(entries) else None
    checksum = zlib.crc32(_without_checksum(text))
    for name, entry in wanted.items():
        numbers = _read_numbers(path, file, name, entry)
        if expected is not None:
            checksum = zlib.crc32(numbers, checksum)
        numbers = _as_array(path, name, entry, numbers)
        yield name, numbers
        del numbers                                # freed before the next one is read
    if expected not in (None, found := f"crc32:{checksum:08x}"):
        raise FormatError(path, "its checksum", f"expected {show(expected)}, found {found}: the "
                          "file is damaged; use a copy, or make it again")


def read_header(path: str | os.PathLike) -> tuple[dict[str, Entry], dict[str, str]]:
    """Read {name: Entry}, in the order of the data, and the metadata, but not the data.

    Raises FormatError as read_safetensors does.
    """
    with open(path, "rb") as file:
        entries, metadata, _ = _read_header(path, file)
    metadata.pop(CHECKSUM, None)
    return entries, metadata


def _read_header(path, file):
    """Read and check the header of an open file.  -> {name: Entry}, metadata, the header's bytes"""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(9)
    length = int.from_bytes(start[:8], "little")
    if len(start) < 9 or length > min(size - 8, LONGEST_HEADER):
        raise FormatError(path, "byte 0", f"expected the length of a header, at most "
                          f"{LONGEST_HEADER:,} bytes and within the file; found "
                          f"{length if len(start) >= 8 else start} in a file of {size} bytes: "
                          "truncated, or not a safetensors file")
    if not begins_like_safetensors(start):
        raise FormatError(path, "byte 8", f"expected {{, found {start[8:]!r}")
    file.seek(8)
    text = file.read(length)
    header = parse(path, "the header", text)
    metadata = _check_metadata(path, header.pop("__metadata__", {}))
    entries = [_check_entry(path, name, fields, 8 + length) for name, fields in header.items()]
    ordered = sorted(zip(header, entries), key=lambda item: (item[1].begin, item[1].end))
    _check_tiling(path, ordered, 8 + length, size)
    return dict(ordered), metadata, text


def _without_checksum(text):
    """The bytes of a header with zeros in place of the checksum."""
    return IN_HEADER.sub(b'\\1%s"' % NO_CHECKSUM.encode(), text, count=1)


def _check_metadata(path, metadata):
    if not isinstance(metadata, dict):
        raise FormatError(path, "__metadata__", f"expected an object, found "
                                                f"{show(metadata)}")
    for name, value in metadata.items():
        if not is_text(value):
            raise FormatError(path, f"__metadata__ {show(name)}",
                              f"expected a string of Unicode text, found {show(value)}")
    return metadata


def _check_entry(path, name, fields, data_start):
    """Check that the three fields of a tensor agree, and return its Entry."""
    def check(truth, expected, found):
        if not truth:
            raise FormatError(path, f"tensor {show(name)}",
                              f"expected {expected}, found {show(found)}")

    check(isinstance(fields, dict), "an object", fields)
    check(fields.keys() == FIELDS, "the fields dtype, shape and data_offsets", list(fields))
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    check(isinstance(dtype, str) and (dtype in DTYPES or dtype in NOT_READ),
          f"a dtype among {', '.join([*DTYPES, *NOT_READ])}", dtype)
    check(_are_sizes(shape) and len(shape) <= MOST_AXES,
          f"a shape of at most {MOST_AXES} whole numbers, none below 0 or above {sys.maxsize}",
          shape)
    check(_are_sizes(offsets) and len(offsets) == 2 and offsets[0] <= offsets[1],
          "data_offsets [begin, end] with 0 <= begin <= end", offsets)
    bits = NOT_READ[dtype] if dtype in NOT_READ else 8 * np.dtype(DTYPES[dtype]).itemsize
    # NumPy's strides must not overflow even if an axis is 0, so the product skips zeros
    check(math.prod(n or 1 for n in shape) * bits <= 8 * sys.maxsize,
          "a shape that fits into memory", shape)
    need, rest = divmod(math.prod(shape) * bits, 8)          # Python's integers do not overflow
    check(rest == 0, "a shape of whole bytes", shape)
    check(offsets[1] - offsets[0] == need, f"data_offsets that span {need} bytes, the size of "
          f"{dtype} {show(shape)}", offsets)
    return Entry(dtype, tuple(shape), data_start + offsets[0], data_start + offsets[1])


def _are_sizes(numbers):
    """Whether `numbers` is a list of integers in 0..sys.maxsize; true is not accepted as 1."""
    return isinstance(numbers, list) and all(type(n) is int and 0 <= n <= sys.maxsize
                                             for n in numbers)


def _check_tiling(path, ordered, data_start, size):
    """Check that each tensor begins where the previous one ends, and the last ends the file."""
    at = data_start
    for name, entry in ordered:
        if entry.begin != at:
            kind = "a gap" if entry.begin > at else "an overlap"
            raise FormatError(path, f"tensor {show(name)}", f"expected its data at offset "
                              f"{at - data_start}, found {entry.begin - data_start}: {kind}")
        at = entry.end
    if at != size:
        raise FormatError(path, f"byte {min(at, size)}", f"expected the file to end at byte {at}, "
                          f"found {size} bytes: " + ("truncated" if at > size else "more follows"))


def _read_numbers(path, file, name, entry):
    """Read the numbers of one tensor into an array (n,); BF16 as whole numbers.

    The array of a BF16 is the second half of its buffer, in which _widened() has room.
    """
    if entry.dtype in NOT_READ:
        raise FormatError(path, f"tensor {name!r}", f"expected numbers that NumPy can hold, found "
                          f"{entry.dtype}, which is not read; give the names of other tensors")
    file.seek(entry.begin)
    count = math.prod(entry.shape)
    if entry.dtype == "BF16":
        numbers, found = np.empty(2 * count, DTYPES["BF16"])[count:], 0
        for start in range(0, count, BLOCK):
            part = np.fromfile(file, numbers.dtype, min(BLOCK, count - start))
            numbers[start:start + len(part)] = part
            found += len(part)
    else:
        numbers = np.fromfile(file, DTYPES[entry.dtype], count)
        found = len(numbers)
    if found < count:
        raise FormatError(path, f"tensor {name!r}", f"expected {count} numbers, found "
                          f"{found}: the file was truncated while it was read")
    return numbers


def _as_array(path, name, entry, numbers):
    """The numbers of one tensor in its shape, and in a dtype of NumPy."""
    if entry.dtype == "BOOL" and numbers.view(np.uint8).max(initial=0) > 1:
        raise FormatError(path, f"tensor {name!r}", "expected the bytes 0 and 1, found "
                                                    f"{numbers.view(np.uint8).max()}")
    return (_widened(numbers) if entry.dtype == "BF16" else numbers).reshape(entry.shape)


def _widened(halves):
    """BF16, the upper halves of float32, as float32, in the buffer of which it is the second half.

    Number i is written to bytes 4 i to 4 i + 3, and the numbers after it are read from byte
    2 n + 2 (i + 1) on, which is never below 4 (i + 1): so no number is overwritten before it is
    read, and a tensor takes no more memory than if it were stored in float32.
    """
    n = len(halves)
    wide = halves.base.view("<u4")
    for start in range(0, n, BLOCK):
        end = min(start + BLOCK, n)
        wide[start:end] = halves[start:end].astype(np.uint32) << 16
    return wide.view("<f4")


# ---- writing ---------------------------------------------------------------

def write_safetensors(path: str | os.PathLike, tensors: dict[str, np.ndarray],
                      metadata: dict[str, str] | None = None, checksum: bool = False) -> None:
    """Write tensors {name: array} and metadata {str: str} to `path`, atomically.

    checksum: add a CRC-32 of the header and the data to the metadata.
    The bytes do not depend on the order of the dicts.
    Raises ValueError, and keeps the old file, for contents that the format cannot store.
    """
    if checksum:
        metadata = {**(metadata or {}), CHECKSUM: NO_CHECKSUM}
    _check_strings(tensors, metadata or {})
    arrays = {name: _as_stored(name, array) for name, array in tensors.items()}
    order = list(WRITTEN)
    names = sorted(arrays, key=lambda name: (order.index(arrays[name].dtype.str), name))
    header: dict[str, Any] = {}
    at = 0
    if metadata:
        header["__metadata__"] = dict(sorted(metadata.items()))
    for name in names:
        dtype, shape, end = arrays[name].dtype.str, arrays[name].shape, at + arrays[name].nbytes
        header[name] = {"dtype": WRITTEN[dtype], "shape": shape, "data_offsets": (at, end)}
        at = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LONGEST_HEADER:
        raise ValueError(f"cannot write {path}: its header would take {len(text):,} bytes, and "
                         f"{LONGEST_HEADER:,} are allowed; use fewer tensors or less metadata")
    if checksum:
        found = zlib.crc32(text)
        for name in names:
            found = zlib.crc32(arrays[name].reshape(-1), found)
        text = IN_HEADER.sub(b'\\1crc32:%08x"' % found, text, count=1)
    with atomic_write(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            file.write(arrays[name].data)


def _as_stored(name, array):
    """The array in little-endian, row-major form; copied only if needed."""
    array = np.asarray(array)
    dtype = array.dtype.newbyteorder("<")
    if dtype.str not in WRITTEN or array.ndim > MOST_AXES:
        raise ValueError(f"tensor {name!r}: expected {', '.join(WRITTEN.values())} of at most "
                         f"{MOST_AXES} axes, got {array.dtype} of {array.ndim} axes")
    return np.asarray(array, dtype, order="C")


def _check_strings(tensors, metadata):
    """Raise ValueError unless all names, and the values of the metadata, are Unicode text."""
    for what, strings in [("the name of a tensor", tensors), ("a name in the metadata", metadata),
                          ("a value in the metadata", metadata.values())]:
        for string in strings:
            if not is_text(string):
                raise ValueError(f"{what}: expected a string of Unicode text, got {show(string)}")
    if "__metadata__" in tensors:
        raise ValueError("tensors: the name '__metadata__' is reserved for the metadata; use "
                         "another name")

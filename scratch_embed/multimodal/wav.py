"""Read and write WAV files: samples of one or several channels, as integers or floats.

Paper     IBM & Microsoft 1991, "Multimedia Programming Interface and Data Specifications 1.0", part
          3; Microsoft 2007, "Multiple channel audio data and WAVE files" (WAVE_FORMAT_EXTENSIBLE)
Bytes     "RIFF", size, "WAVE", then chunks: a name of 4 bytes, a size, the data, and one byte of
          padding if the size is odd; all numbers are little-endian.  "fmt " says how samples are
          stored, "data" holds them; all other chunks (titles, cue points) are skipped.
Equation  sample = integer / 2^(bits − 1); 8-bit integers are unsigned: (byte − 128) / 128.
          Written back: round(sample · 2^(bits − 1)), clipped to the largest and smallest integer
Shapes    samples (channels, n) float32, or float64 if the file has float64
Differs   The wave module of Python's library reads integers only, and accepts truncated data; here
          a truncated file is an error.  Compressed formats (A-law, MP3 ...), big-endian files
          (RIFX) and files of more than 4 GiB (RF64) are refused by name.
Read next multimodal/resample.py, multimodal/audio.py

The mean of the channels, to_mono(), is what Whisper and CLAP hear of a stereo file.
"""
import os
import struct
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.json_files import read_regular, show

LONGEST = 2 ** 32 + 8              # bytes: the size of RIFF is a number of 32 bits
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000       # samples per second; files have 8,000 to 384,000
MOST_CHANNELS = 1_024
UNKNOWN_SIZE = 0xFFFFFFFF          # written by programs that cannot go back to fill it in
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
# the last 14 bytes of the identifier in WAVE_FORMAT_EXTENSIBLE; the first two are PCM or FLOAT
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
OTHERS = {2: "Microsoft ADPCM", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 49: "GSM 6.10",
          80: "MPEG", 85: "MP3"}
OTHER_STARTS = {b"RIFX": "a big-endian WAV file", b"RF64": "a WAV file of 64-bit sizes",
                b"OggS": "an Ogg file", b"fLaC": "a FLAC file", b"ID3": "an MP3 file",
                b"FORM": "an AIFF file"}


class Encoding(NamedTuple):
    """What the chunk "fmt " says."""

    kind: int                      # PCM or FLOAT
    channels: int
    rate: int                      # samples per second, of each channel
    bits: int                      # of one sample


# ---- reading -------------------------------------------------------------------------------------

def read_wav(path: str | os.PathLike) -> tuple[np.ndarray, int]:
    """Read a WAV file of 8, 16, 24 or 32-bit integers, or of float32 or float64.

    -> samples (channels, n), integers scaled to −1..1; samples per second
    Raises FormatError that names the place, for a damaged or truncated file, or another format.
    """
    data = read_regular(path, LONGEST)
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        found = next((name for start, name in OTHER_STARTS.items() if data.startswith(start)),
                     f"a file that begins with {show(data[:12])}" if data else "an empty file")
        raise FormatError(path, "the file", f'expected a WAV file, which begins with "RIFF" and '
                                            f'"WAVE", found {found}; convert it to WAV')
    chunks = _chunks(path, data)
    for name in (b"fmt ", b"data"):
        if name not in chunks:
            raise FormatError(path, "the chunks", f"expected {name.decode()!r}, found "
                              f"{show([*chunks])}; was the file truncated?")
    encoding = _encoding(path, data[slice(*chunks[b"fmt "])])
    start, end = chunks[b"data"]
    frame = encoding.channels * encoding.bits // 8                      # bytes
    if (end - start) % frame:
        raise FormatError(path, "chunk 'data'", f"expected a multiple of {frame} bytes, found "
                          f"{end - start:,}")
    samples = _decode(data[start:end], encoding)
    samples = np.ascontiguousarray(samples.reshape(-1, encoding.channels).T)    # (channels, n)
    if not np.isfinite(samples).all():
        at = int((~np.isfinite(samples)).any(0).argmax())
        raise FormatError(path, f"sample {at}", "expected finite numbers, found nan or inf")
    return samples, encoding.rate


def _chunks(path, data):
    """{name: (start, end) of its data}.  Of two chunks with one name, the first counts."""
    chunks, at = {}, 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        start, at = at + 8, at + 8 + size + size % 2
        if name == b"data" and size == UNKNOWN_SIZE:
            at = len(data)
        elif start + size > len(data):
            raise FormatError(path, f"chunk {show(name.decode('latin-1'))} at byte {start - 8:,}",
                              f"expected {size:,} bytes, found {len(data) - start:,}; was the "
                              "file truncated?")
        chunks.setdefault(name, (start, min(start + size, len(data))))
    return chunks


def _encoding(path, fmt):
    """Check the chunk "fmt ".  -> Encoding"""
    place = "chunk 'fmt '"
    if len(fmt) < 16:
        raise FormatError(path, place, f"expected at least 16 bytes, found {len(fmt)}")
    kind, channels, rate, _, frame, bits = struct.unpack_from("<HHIIHH", fmt)
    if kind == EXTENSIBLE:
        if len(fmt) < 40 or fmt[26:40] != GUID_TAIL:
            raise FormatError(path, place, "expected 40 bytes with the identifier of integers or "
                              f"floats, found {show(fmt[24:40])}")
        kind = struct.unpack_from("<H", fmt, 24)[0]
    if (kind, bits) not in _DTYPES:
        name = OTHERS.get(kind, f"format {kind}") if kind not in (PCM, FLOAT) else (
            "integers" if kind == PCM else "floats")
        raise FormatError(path, place, "expected integers of 8, 16, 24 or 32 bits or floats of 32 "
                          f"or 64, found {name} of {bits} bits; convert the file to 16-bit WAV")
    if not (1 <= channels <= MOST_CHANNELS and frame == channels * bits // 8):
        raise FormatError(path, place, f"expected 1 to {MOST_CHANNELS} channels of {bits // 8} "
                          f"bytes each, found {channels} channels in {frame} bytes")
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise FormatError(path, place, f"expected {LOWEST_RATE:,} to {HIGHEST_RATE:,} samples per "
                          f"second, found {rate:,}")
    return Encoding(kind, channels, rate, bits)


_DTYPES = {(PCM, 8): "u1", (PCM, 16): "<i2", (PCM, 24): "", (PCM, 32): "<i4",
           (FLOAT, 32): "<f4", (FLOAT, 64): "<f8"}


def _decode(data, encoding):
    """The samples of all channels, interleaved.  -> (n · channels,) float32 or float64"""
    kind, bits = encoding.kind, encoding.bits
    if kind == FLOAT:
        return np.frombuffer(data, _DTYPES[kind, bits]).astype(f"f{bits // 8}")
    if bits == 24:                                 # as the upper three bytes of an int32
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (wide.view("<i4")[:, 0] / 2.0 ** 31).astype(np.float32)
    whole = np.frombuffer(data, _DTYPES[kind, bits])
    return ((whole - 128.0 * (bits == 8)) / 2.0 ** (bits - 1)).astype(np.float32)


# ---- writing -------------------------------------------------------------------------------------

def write_wav(path: str | os.PathLike, samples: np.ndarray, rate: int, bits: int = 16) -> None:
    """Write samples (n,) or (channels, n) in −1..1; louder samples are clipped.

    bits: 8, 16, 24 or 32 for integers
    Raises ValueError for samples that are not finite, and for shapes or numbers out of range.
    """
    samples = np.atleast_2d(samples)
    if (PCM, bits) not in _DTYPES:
        raise ValueError(f"bits={bits}: expected 8, 16, 24 or 32")
    if samples.ndim != 2 or not 1 <= len(samples) <= MOST_CHANNELS:
        raise ValueError(f"samples: expected (n,) or (channels, n), got {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError("samples: expected finite numbers, got nan or inf")
    require_whole("rate", rate, LOWEST_RATE, HIGHEST_RATE)
    data = _encode(samples.T.ravel(), bits)
    channels, frame = len(samples), len(samples) * bits // 8
    fmt = struct.pack("<HHIIHH", PCM, channels, rate, rate * frame, frame, bits)
    size = 4 + 8 + len(fmt) + 8 + len(data) + len(data) % 2
    if size > UNKNOWN_SIZE:
        raise ValueError(f"samples: expected less than 4 GiB, got {len(data):,} bytes")
    with atomic_write(path) as file:
        file.write(struct.pack("<4sI4s4sI", b"RIFF", size, b"WAVE", b"fmt ", len(fmt)) + fmt)
        file.write(struct.pack("<4sI", b"data", len(data)) + data + b"\0" * (len(data) % 2))


def _encode(samples, bits):
    """Samples (n,) as the bytes of integers."""
    scale = 2.0 ** (bits - 1)
    whole = np.clip(np.rint(samples.astype(np.float64) * scale), -scale, scale - 1)
    if bits == 24:
        return whole.astype("<i4").view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    return (whole + scale).astype("u1").tobytes() if bits == 8 else (
        whole.astype(_DTYPES[PCM, bits]).tobytes())


def to_mono(samples: np.ndarray) -> np.ndarray:
    """The mean of the channels.  (channels, n) or (n,) -> (n,)"""
    return samples if samples.ndim == 1 else samples.mean(0, dtype=samples.dtype)

"""PNG, a lossless file format for images: pixels of 8 bits are written and read.

Bytes     8 bytes of signature, then chunks: u32 length, 4 letters, data, CRC-32 of letters and data
          IHDR  u32 width, u32 height, bits of a sample, colour type, 0, 0, whether interlaced
          PLTE  red, green, blue of each palette entry;  tRNS  opacities, or one transparent colour
          IDAT  the rows, zlib-compressed as one stream;  IEND
Equation  a row is a byte that names its filter, then its bytes less a prediction, modulo 256:
          0 none: 0,  1 sub: a,  2 up: b,  3 average: ⌊(a + b)/2⌋,  4 Paeth: the one of a, b, c
          that is closest to a + b − c, where a is the byte one pixel to the left, b the byte
          above, c the byte above a, each 0 outside the image
Shapes    pixels (H, W, C) uint8: C = 1 grey, 2 grey and opacity, 3 RGB, 4 RGB and opacity
Cost      O(H W C): zlib, and one pass of a kernel over the bytes
Differs   from the standard: samples of 16 bits and interlaced images are refused by name; colour
          spaces (gAMA, iCCP) are ignored, as most programs do.  From Pillow: a palette becomes RGB,
          and a transparent colour becomes a channel of opacity.  Files are written with filter 0.
Read next multimodal/scene_files.py (writes images), multimodal/image.py (prepares them for a model)
"""
import os
import struct
import zlib
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.binary_kinds import binary_kind
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.kernel import kernel

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}             # {C: the colour type of C samples a pixel}
SAMPLES = {colour: C for C, colour in COLOUR_TYPE.items()} | {3: 1}    # 3: indices of a palette
PALETTE = 3
BITS = {0: (1, 2, 4, 8), 2: (8,), PALETTE: (1, 2, 4, 8), 4: (8,), 6: (8,)}     # those read here
MOST_PIXELS = 1 << 26                              # 8,192 x 8,192; more may be an attack


class Header(NamedTuple):
    """The chunk IHDR."""

    width: int
    height: int
    bits: int
    colour: int
    compression: int
    filters: int
    interlaced: int


# ---- writing ------------------------------------------------------------------------------------

def write_png(path: str | os.PathLike, pixels: np.ndarray) -> None:
    """Write an image.  pixels: uint8 (H, W), or (H, W, C) with C from 1 to 4.

    Raises ValueError for pixels of another type or shape.
    """
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or not 1 <= pixels.shape[2] <= 4 \
            or not pixels.size:
        raise ValueError("pixels: expected uint8 (H, W) or (H, W, 1 to 4), got "
                         f"{pixels.dtype} {pixels.shape}")
    H, W, C = pixels.shape
    rows = np.zeros((H, 1 + W * C), np.uint8)                       # column 0: filter 0, none
    rows[:, 1:] = pixels.reshape(H, -1)
    header = struct.pack(">IIBBBBB", *Header(W, H, 8, COLOUR_TYPE[C], 0, 0, 0))
    with atomic_write(path) as file:
        file.write(SIGNATURE + _chunk(b"IHDR", header)
                   + _chunk(b"IDAT", zlib.compress(rows.tobytes())) + _chunk(b"IEND", b""))


def _chunk(kind, data):
    """The bytes of one chunk."""
    return (struct.pack(">I", len(data)) + kind + data
            + struct.pack(">I", zlib.crc32(kind + data)))


# ---- reading ------------------------------------------------------------------------------------

def read_png(path: str | os.PathLike) -> np.ndarray:
    """Read an image.  -> pixels uint8 (H, W, C)

    Raises FormatError with the place for a file that is damaged, truncated, too large or not a PNG,
    and for images with 16 bits a sample or interlaced ones.
    """
    with open(path, "rb") as file:
        chunks = _read_chunks(path, file.read())
    header = _read_header(path, chunks)
    samples = _read_rows(path, header, b"".join(data for kind, data in chunks if kind == b"IDAT"))
    first = {kind: data for kind, data in reversed(chunks)}
    opacity = first.get(b"tRNS", b"")
    if header.colour == PALETTE:
        return _look_up(path, samples[..., 0], first.get(b"PLTE", b""), opacity)
    if opacity and header.colour in (0, 2):        # one colour is transparent
        transparent = np.frombuffer(opacity, ">u2")
        if len(transparent) != samples.shape[2]:
            raise FormatError(path, "chunk tRNS", f"expected {2 * samples.shape[2]} bytes, found "
                              f"{len(opacity)}")
        opaque = (samples != transparent).any(axis=2)
    if header.bits < 8:                            # the largest value, 1, 3 or 15, becomes 255
        samples = samples * np.uint8(255 // ((1 << header.bits) - 1))
    if opacity and header.colour in (0, 2):
        return np.dstack([samples, opaque * np.uint8(255)])
    return samples


def _read_chunks(path, data):
    """The chunks up to IEND, with their checksums verified.  -> [(kind, data)]"""
    if data[:8] != SIGNATURE:
        kind = binary_kind(data)
        found = kind.name if kind else f"{data[:8]!r}" if data else "an empty file"
        raise FormatError(path, "byte 0", f"expected the signature of PNG, found {found}; "
                          + ("convert it to PNG" if "picture" in found else "name a PNG file"))
    chunks, start = [], 8
    while not chunks or chunks[-1][0] != b"IEND":
        size, kind = struct.unpack(">I4s", data[start:start + 8].ljust(8, b"\0"))
        end = start + 12 + size
        if end > len(data):
            raise FormatError(path, f"byte {start}", f"truncated: the file has {len(data):,} bytes;"
                              " fetch it again")
        name = kind.decode("latin-1")
        if zlib.crc32(data[start + 4:end - 4]) != int.from_bytes(data[end - 4:end], "big"):
            raise FormatError(path, f"chunk {name!r} at byte {start}",
                              "damaged: its checksum differs; fetch the file again")
        if kind[:1].isupper() and kind not in (b"IHDR", b"PLTE", b"IDAT", b"IEND"):
            raise FormatError(path, f"chunk {name!r} at byte {start}",
                              "expected IHDR, PLTE, IDAT or IEND")
        chunks.append((kind, data[start + 8:end - 4]))
        start = end
    return chunks


def _read_header(path, chunks):
    """The Header, if it is of an image that can be read."""
    kind, data = chunks[0]
    if kind != b"IHDR" or len(data) != 13:
        raise FormatError(path, "byte 8", f"expected chunk IHDR of 13 bytes, found {kind!r} of "
                          f"{len(data)}")
    header = Header(*struct.unpack(">IIBBBBB", data))
    if not (header.width and header.height) or header.width * header.height > MOST_PIXELS:
        raise FormatError(path, "IHDR", f"expected 1 to {MOST_PIXELS:,} pixels, found "
                          f"{header.width:,} x {header.height:,}")
    if header.bits == 16:
        raise FormatError(path, "IHDR", "samples of 16 bits are not supported; convert the image "
                          "to 8 bits")
    if header.bits not in BITS.get(header.colour, ()) or header.compression or header.filters:
        raise FormatError(path, "IHDR", f"no such kind of image: {header}")
    if header.interlaced:
        raise FormatError(path, "IHDR", "interlaced images are not supported; save the image "
                          "without interlacing")
    return header


def _read_rows(path, header, compressed):
    """Decompress the rows and undo their filters.  -> samples (H, W, C) uint8"""
    C = SAMPLES[header.colour]
    width = -(-header.width * C * header.bits // 8)                 # bytes of a row
    size = header.height * (1 + width)
    stream = zlib.decompressobj()
    try:
        rows = stream.decompress(compressed, size + 1)    # an image that has more is refused
    except zlib.error as error:
        raise FormatError(path, "chunk IDAT", f"damaged ({error}); fetch the file again") from None
    if len(rows) != size or not stream.eof:
        raise FormatError(path, "chunk IDAT", f"expected {size:,} bytes of rows, found "
                          f"{'more' if len(rows) > size else f'{len(rows):,}'}")
    table = np.frombuffer(rows, np.uint8).reshape(header.height, 1 + width)
    if table[:, 0].max() > 4:
        row = int((table[:, 0] > 4).argmax())
        raise FormatError(path, f"row {row}", f"expected a filter, 0 to 4, found {table[row, 0]}")
    samples = unfilter(table[:, 0], table[:, 1:], max(1, C * header.bits // 8))
    if header.bits < 8:                            # 8 / bits samples in a byte, the first on top
        shifts = np.arange(8 - header.bits, -1, -header.bits, dtype=np.uint8)
        samples = samples[..., None] >> shifts & np.uint8((1 << header.bits) - 1)
    return samples.reshape(header.height, -1)[:, :header.width * C].reshape(
        header.height, header.width, C)


@kernel
def unfilter(filters, filtered, pixel):
    """Add the prediction to each byte: see Equation.  filtered: (H, bytes of a row).

    pixel: bytes from a byte to the same sample of the pixel to its right
    """
    y = np.empty_like(filtered)
    for i in range(len(filtered)):
        for j in range(filtered.shape[1]):
            a = np.int64(y[i, j - pixel]) if j >= pixel else np.int64(0)
            b = np.int64(y[i - 1, j]) if i else np.int64(0)
            c = np.int64(y[i - 1, j - pixel]) if i and j >= pixel else np.int64(0)
            prediction = np.int64(0)
            if filters[i] == 1:
                prediction = a
            elif filters[i] == 2:
                prediction = b
            elif filters[i] == 3:
                prediction = (a + b) // 2
            elif filters[i] == 4:                  # p = a + b − c: |p − a| = |b − c| and so on
                to_a, to_b, to_c = abs(b - c), abs(a - c), abs(a + b - 2 * c)
                prediction = a if to_a <= to_b and to_a <= to_c else b if to_b <= to_c else c
            y[i, j] = np.uint8((np.int64(filtered[i, j]) + prediction) & 255)
    return y


def _look_up(path, indices, palette, opacity):
    """The colours of a palette's indices.  indices: (H, W) -> (H, W, 3), or 4 with opacities"""
    if not palette or len(palette) % 3 or len(palette) > 768:
        raise FormatError(path, "chunk PLTE", f"expected 3 to 768 bytes, 3 a colour, found "
                          f"{len(palette)}")
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    if indices.max() >= len(colours):
        raise FormatError(path, "chunk IDAT", f"expected indices of {len(colours)} colours, found "
                          f"{indices.max()}")
    if opacity:
        alpha = np.full(len(colours), 255, np.uint8)
        alpha[:len(opacity)] = np.frombuffer(opacity[:len(colours)], np.uint8)
        colours = np.column_stack([colours, alpha])
    return colours[indices]

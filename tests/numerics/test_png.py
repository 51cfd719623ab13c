"""PNG: worked by hand, round trips, Pillow's images both ways, and damaged files."""
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.png import MOST_PIXELS, SIGNATURE, read_png, unfilter, write_png

IMAGES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 4)).flatmap(
    lambda shape: hnp.arrays(np.uint8, shape))
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The path of every test's file."""
    return tmp_path_factory.mktemp("png") / "image.png"


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def file(header, rows, *others):
    """A PNG of (width, height, bits, colour type) and the bytes of its rows."""
    return (SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", *header, *(0,) * (7 - len(header))))
            + b"".join(others) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


# ---- worked by hand --------------------------------------------------------------------------

def test_the_five_filters():
    filtered = np.uint8([[10, 20, 30], [1, 2, 3], [1, 2, 3], [5, 5, 5], [1, 2, 250]])
    y = unfilter(np.uint8([0, 1, 2, 3, 4]), filtered, 1)
    assert y.tolist() == [[10, 20, 30],
                          [1, 3, 6],                       # sub: 1, 1 + 2, 3 + 3
                          [2, 5, 9],                       # up: 1 + 1, 3 + 2, 6 + 3
                          [6, 10, 14],                     # 5 + 1, 5 + (6 + 5)//2, 5 + (10 + 9)//2
                          # Paeth: b = 6; a + b − c = 7 + 10 − 6 = 11: b = 10;  12 + 14 − 10 = 16:
                          # b = 14 is closest, and 250 + 14 = 264 is 8 modulo 256
                          [7, 12, 8]]


def test_a_pixel_of_three_samples_is_predicted_from_the_pixel_to_its_left():
    y = unfilter(np.uint8([1]), np.uint8([[1, 2, 3, 10, 20, 30]]), 3)
    assert y.tolist() == [[1, 2, 3, 11, 22, 33]]


def test_two_bits_a_sample_are_read_from_the_top(path):
    path.write_bytes(file((3, 1, 2, 0), b"\0\x1b"))                # 00 01 10, and 11 is padding
    assert read_png(path)[..., 0].tolist() == [[0, 85, 170]]


# ---- round trips and Pillow ------------------------------------------------------------------

@settings(max_examples=40, deadline=None)
@given(IMAGES)
def test_an_image_is_read_as_it_was_written(path, pixels):
    write_png(path, pixels)
    assert np.array_equal(read_png(path), pixels)


@settings(max_examples=30, deadline=None)
@given(IMAGES)
def test_pillow_reads_the_pixels_that_were_written(path, pixels):
    Image = pytest.importorskip("PIL.Image")
    write_png(path, pixels)
    image = Image.open(path)
    assert image.mode == MODES[pixels.shape[2]]
    assert np.array_equal(np.asarray(image).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "P", "1"])
def test_pillows_files_are_read(path, mode):
    Image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)                 # smooth, so that Pillow uses every filter
    smooth = np.cumsum(np.cumsum(rng.integers(-2, 3, (40, 50, 4)), 0), 1).astype(np.uint8)
    image = Image.fromarray(smooth if "A" in mode else smooth[..., :3]).convert(mode)
    image.save(path)
    expected = np.asarray(image.convert({"P": "RGB", "1": "L"}.get(mode, mode)))
    assert np.array_equal(read_png(path), expected.reshape(40, 50, -1))


@pytest.mark.parametrize("colours", [2, 4, 16, 200])
def test_pillows_palettes_of_1_2_4_and_8_bits_with_opacities(path, colours):
    Image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(colours)
    image = Image.fromarray(rng.integers(0, 256, (13, 17, 3), np.uint8)).quantize(colours)
    opacities = bytes(rng.integers(0, 256, colours).tolist())
    image.save(path, transparency=opacities)
    assert np.array_equal(read_png(path), np.asarray(Image.open(path).convert("RGBA")))


def test_a_transparent_colour_becomes_opacity(path):
    Image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 2, (5, 6, 3), np.uint8)
    Image.fromarray(pixels).save(path, transparency=(1, 0, 1))
    assert np.array_equal(read_png(path), np.asarray(Image.open(path).convert("RGBA")))


# ---- what is refused --------------------------------------------------------------------------

@pytest.mark.parametrize("pixels", [np.zeros((2, 2), np.float32), np.zeros((2, 2, 5), np.uint8),
                                    np.zeros((0, 2), np.uint8), np.zeros(3, np.uint8)])
def test_pixels_of_another_type_or_shape_are_refused(path, pixels):
    with pytest.raises(ValueError, match="pixels: expected uint8"):
        write_png(path, pixels)


@pytest.mark.parametrize("data, message", [
    (b"GIF89a", "byte 0: expected the signature of PNG, found b'GIF89a'; name a PNG file"),
    (b"\xff\xd8\xff\xe0", "found a JPEG picture; convert it to PNG"),
    (b"", "found an empty file"),
    (file((1, 1, 16, 0), b"\0\0\0"), "IHDR: samples of 16 bits are not supported"),
    (file((1, 1, 8, 0, 0, 0, 1), b"\0\0"), "IHDR: interlaced images are not supported"),
    (file((0, 1, 8, 0), b""), "expected 1 to 67,108,864 pixels, found 0 x 1"),
    (file((100_000, 100_000, 8, 0), b""), "found 100,000 x 100,000"),
    (file((1, 1, 8, 5), b"\0\0"), "IHDR: no such kind of image"),
    (file((1, 1, 8, 0), b"\0"), "IDAT: expected 2 bytes of rows, found 1"),
    (file((1, 1, 8, 0), b"\0\0\0"), "IDAT: expected 2 bytes of rows, found more"),
    (file((1, 2, 8, 0), b"\0\0\x09\0"), "row 1: expected a filter, 0 to 4, found 9"),
    (file((1, 1, 8, 3), b"\0\0"), "PLTE: expected 3 to 768 bytes"),
    (file((1, 1, 8, 3), b"\0\2", chunk(b"PLTE", bytes(6))), "indices of 2 colours, found 2"),
    (file((1, 1, 8, 0), b"\0\0", chunk(b"ABCD", b"")), "chunk 'ABCD' at byte 33: expected"),
    (file((1, 1, 8, 2), bytes(4), chunk(b"tRNS", bytes(2))), "tRNS: expected 6 bytes, found 2"),
    (SIGNATURE + chunk(b"IEND", b""), "byte 8: expected chunk IHDR of 13 bytes")])
def test_the_message_names_the_place(path, data, message):
    path.write_bytes(data)
    with pytest.raises(FormatError, match=message):
        read_png(path)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_file_with_a_changed_or_missing_byte_is_refused(path, data):
    write_png(path, np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
    good = path.read_bytes()
    at = data.draw(st.integers(0, len(good) - 1))
    if data.draw(st.booleans()):
        path.write_bytes(good[:at])
    else:
        flipped = good[at] ^ data.draw(st.integers(1, 255))
        path.write_bytes(good[:at] + bytes([flipped]) + good[at + 1:])
    with pytest.raises(FormatError):
        read_png(path)


def test_a_decompression_bomb_needs_no_memory(path):
    bomb = zlib.compress(bytes(1 << 28), 9)                        # 256 MiB of zeros in 260 kB
    path.write_bytes(SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0))
                     + chunk(b"IDAT", bomb) + chunk(b"IEND", b""))
    tracemalloc.start()
    with pytest.raises(FormatError, match="found more"):
        read_png(path)
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()
    assert MOST_PIXELS == 8192**2

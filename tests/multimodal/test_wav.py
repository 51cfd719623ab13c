"""WAV files: by hand, equal to SciPy's reader, written and read back, damaged."""
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.multimodal.wav import (
    EXTENSIBLE,
    FLOAT,
    GUID_TAIL,
    PCM,
    read_wav,
    to_mono,
    write_wav,
)
from scratch_embed.numerics.errors import FormatError
from tests.rounding import seeds


def wav(data, kind=PCM, channels=1, rate=8000, bits=16, before=b"", extra=b"", frame=None):
    """The bytes of a WAV file.  before: chunks before "fmt "; extra: the end of "fmt "."""
    frame = channels * bits // 8 if frame is None else frame
    fmt = struct.pack("<HHIIHH", kind, channels, rate, rate * frame, frame, bits) + extra
    body = before + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"data" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def read(tmp_path, data):
    (tmp_path / "x.wav").write_bytes(data)
    return read_wav(tmp_path / "x.wav")


# ---- worked by hand ------------------------------------------------------------------------------

@pytest.mark.parametrize("bits, data, samples", [
    (8, bytes([0, 128, 192, 255]), [-1, 0, 0.5, 127 / 128]),
    (16, struct.pack("<4h", -32768, 0, 16384, 1), [-1, 0, 0.5, 2 ** -15]),
    (24, bytes([0, 0, 128, 0, 0, 0, 0, 0, 64, 1, 0, 0]), [-1, 0, 0.5, 2 ** -23]),
    (32, struct.pack("<4i", -2 ** 31, 0, 2 ** 30, 2 ** 8), [-1, 0, 0.5, 2 ** -23])])
def test_integers_are_divided_by_the_largest(bits, data, samples, tmp_path):
    x, rate = read(tmp_path, wav(data, bits=bits))
    assert x.dtype == np.float32 and x.tolist() == [samples] and rate == 8000


@pytest.mark.parametrize("bits", [32, 64])
def test_floats_are_read_as_they_are(bits, tmp_path):
    numbers = np.array([0.1, -2.5, 1e-9], f"<f{bits // 8}")
    x, _ = read(tmp_path, wav(numbers.tobytes(), FLOAT, bits=bits))
    assert x.dtype == numbers.dtype and (x == numbers).all()


def test_channels_alternate_and_their_mean_is_mono(tmp_path):
    x, _ = read(tmp_path, wav(struct.pack("<4h", 16384, 0, 8192, -8192), channels=2))
    assert x.tolist() == [[0.5, 0.25], [0, -0.25]] and to_mono(x).tolist() == [0.25, 0]


def test_an_extensible_header_names_the_kind_in_its_identifier(tmp_path):
    for kind, data, want in ((PCM, struct.pack("<h", 16384), 0.5),
                             (FLOAT, struct.pack("<f", 0.5), 0.5)):
        bits = 8 * len(data)
        extra = struct.pack("<HHIH", 22, bits, 4, kind) + GUID_TAIL
        assert read(tmp_path, wav(data, EXTENSIBLE, bits=bits, extra=extra))[0] == want


def test_other_chunks_and_an_odd_one_are_skipped(tmp_path):
    note = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    assert read(tmp_path, wav(struct.pack("<h", 16384), before=note))[0].tolist() == [[0.5]]


def test_a_size_that_was_never_filled_in_means_to_the_end(tmp_path):
    data = wav(struct.pack("<2h", 16384, 0))
    data = data.replace(b"data" + struct.pack("<I", 4), b"data" + struct.pack("<I", 2 ** 32 - 1))
    assert read(tmp_path, data)[0].tolist() == [[0.5, 0]]


# ---- written and read back -----------------------------------------------------------------------

@given(seed=seeds, bits=st.sampled_from([8, 16, 24, 32]), n=st.integers(0, 20),
       channels=st.integers(1, 3))
def test_a_written_file_differs_by_half_a_step_at_most(seed, bits, n, channels, tmp_path_factory):
    path = tmp_path_factory.mktemp("wav") / "x.wav"
    x = np.random.default_rng(seed).uniform(-1, 1 - 2 ** -7, (channels, n))
    write_wav(path, x, 16_000, bits)
    y, rate = read_wav(path)
    size = path.stat().st_size
    assert y.shape == x.shape and rate == 16_000 and size % 2 == 0
    assert struct.unpack_from("<I", path.read_bytes(), 4) == (size - 8,)       # that of RIFF
    step = 2.0 ** (1 - bits)
    assert (abs(y - x) <= step / 2 + 2.0 ** -25).all()         # 2⁻²⁵: the result is float32


def test_loud_samples_are_clipped_and_one_channel_needs_no_axis(tmp_path):
    write_wav(tmp_path / "x.wav", np.array([-3.0, 3]), 8000)
    assert read_wav(tmp_path / "x.wav")[0].tolist() == [[-1, 1 - 2 ** -15]]


@pytest.mark.parametrize("arguments, message", [
    ((np.zeros(3), 8000, 12), "bits=12: expected 8, 16, 24 or 32"),
    ((np.zeros((1, 2, 3)), 8000), r"samples: expected \(n,\) or \(channels, n\)"),
    ((np.array([np.nan]), 8000), "samples: expected finite numbers"),
    ((np.zeros(3), 10), "rate=10: expected a whole number, 1000 to 768000")])
def test_what_a_file_cannot_hold_is_refused(arguments, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_wav(tmp_path / "x.wav", *arguments)


@pytest.mark.parametrize("dtype", ["u1", "<i2", "<i4", "<f4", "<f8"])
@pytest.mark.parametrize("channels", [1, 2])
def test_files_of_scipy_give_its_numbers(dtype, channels, tmp_path):
    wavfile = pytest.importorskip("scipy.io.wavfile")
    rng = np.random.default_rng(0)
    dtype = np.dtype(dtype)
    x = (rng.standard_normal((50, channels)).astype(dtype) if dtype.kind == "f" else
         rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (50, channels), dtype))
    wavfile.write(tmp_path / "x.wav", 44_100, x)
    y, rate = read_wav(tmp_path / "x.wav")
    shift, scale = (128, 128) if dtype == np.uint8 else (0, 1 if dtype.kind == "f" else
                                                         2.0 ** (8 * dtype.itemsize - 1))
    np.testing.assert_array_equal(y.T, ((x.astype(np.float64) - shift) / scale).astype(y.dtype))
    assert rate == 44_100


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_scipy_reads_what_is_written_here(bits, tmp_path):
    wavfile = pytest.importorskip("scipy.io.wavfile")
    write_wav(tmp_path / "x.wav", np.array([[0.5, -0.5], [0, 0.25]]), 8000, bits)
    rate, x = wavfile.read(tmp_path / "x.wav")
    whole = x.astype(np.float64) - 128 * (bits == 8)
    top = 2.0 ** (8 * x.dtype.itemsize - 1)                    # SciPy reads 24 bits as int32
    assert rate == 8000 and (whole / top).T.tolist() == [[0.5, -0.5], [0, 0.25]]


# ---- damaged -------------------------------------------------------------------------------------

GOOD = wav(struct.pack("<4h", 1, 2, 3, 4))


@pytest.mark.parametrize("data, message", [
    (b"", "found an empty file"),
    (b"fLaC1234", "found a FLAC file; convert it to WAV"),
    (b"RIFX" + GOOD[4:], "found a big-endian WAV file"),
    (GOOD[:-3], r"chunk 'data' at byte 36: expected 8 bytes, found 5; was the file truncated\?"),
    (GOOD[:36], r"the chunks: expected 'data', found \[b'fmt '\]"),
    (GOOD[:20], r"chunk 'fmt ' at byte 12: expected 16 bytes, found 0"),
    (wav(b"", 6, bits=8), "found A-law of 8 bits"),
    (wav(b"", 85, bits=0), "found MP3 of 0 bits; convert the file to 16-bit WAV"),
    (wav(b"", PCM, bits=12), "found integers of 12 bits"),
    (wav(b"", FLOAT, bits=16), "found floats of 16 bits"),
    (wav(b"", EXTENSIBLE), "expected 40 bytes with the identifier"),
    (wav(b"", channels=0), "expected 1 to 1024 channels of 2 bytes each, found 0 channels"),
    (wav(b"", frame=3), "found 1 channels in 3 bytes"),
    (wav(b"", rate=0), "expected 1,000 to 768,000 samples per second, found 0"),
    (wav(b"abc"), "chunk 'data': expected a multiple of 2 bytes, found 3"),
    (wav(struct.pack("<2f", 0, np.nan), FLOAT, bits=32), "sample 1: expected finite numbers")])
def test_a_damaged_file_is_refused_with_the_place(data, message, tmp_path):
    with pytest.raises(FormatError, match=message):
        read(tmp_path, data)


@given(at=st.integers(0, len(GOOD) - 1), value=st.integers(0, 255))
def test_any_changed_byte_gives_samples_or_a_format_error(at, value, tmp_path_factory):
    data = bytearray(GOOD)
    data[at] = value
    try:
        x, rate = read(tmp_path_factory.mktemp("wav"), bytes(data))
    except FormatError:
        return
    assert x.ndim == 2 and np.isfinite(x).all() and rate >= 1000


def test_a_folder_and_a_pipe_are_refused(tmp_path):
    with pytest.raises(FormatError, match="expected a regular file"):
        read_wav(tmp_path)

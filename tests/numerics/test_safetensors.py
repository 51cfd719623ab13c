"""safetensors: the original library's bytes, exact round trips, and errors for damaged files."""
import json
import os
import pickle
import runpy
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from scratch_embed.numerics import safetensors
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import (
    CHECKSUM,
    LONGEST_HEADER,
    begins_like_safetensors,
    read_header,
    read_safetensors,
    write_safetensors,
)

GOLDEN = Path(__file__).parents[1] / "golden"
# the arrays and metadata from which the original made the golden file
GOLDEN_INPUT = runpy.run_path(str(GOLDEN / "make_safetensors.py"))
DTYPE_CODES = ["u8", "i8", "f8", "f4", "u4", "i4", "f2", "u2", "i2", "i1", "u1", "b1"]

# worked by hand: a header of 107 bytes and 5 spaces (0x70 = 112), then the data, little-endian:
# 1.0 is 0x3F800000, -2.0 is 0xC0000000, 258 is 0x0102
HEADER = (b'{"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
          b'"a":{"dtype":"U16","shape":[],"data_offsets":[8,10]}}')
SMALL = (b"\x70\0\0\0\0\0\0\0" + HEADER + b"     " + b"\0\0\x80\x3f" + b"\0\0\0\xc0"
         + b"\x02\x01")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """The path of every test's file.  hypothesis rejects a fixture that each test makes anew."""
    return tmp_path_factory.mktemp("tensors") / "file"


def saved(path, data):
    """Write the bytes `data` to `path`.  -> path"""
    path.write_bytes(data)
    return path


def packed(header, data=b""):
    """The bytes of a file with this header (a dict, or its JSON text as bytes) and data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(begin, end, shape=(1,), dtype="F32"):
    """The header's entry of a tensor, float32 unless another dtype is given."""
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def assert_same(tensors, expected):
    """The same names, dtypes, shapes and bits, so that -0 differs from 0 and nan equals nan."""
    assert tensors.keys() == expected.keys()
    for name, array in tensors.items():
        want = np.asarray(expected[name])
        assert array.dtype == want.dtype and array.shape == want.shape
        assert array.tobytes() == want.tobytes()


# ---- the bytes -------------------------------------------------------------

def test_a_small_file_worked_by_hand(path):
    tensors = {"a": np.array(258, np.uint16), "b": np.array([1, -2], np.float32)}
    write_safetensors(path, tensors)
    assert path.read_bytes() == SMALL
    read, metadata = read_safetensors(path)
    assert_same(read, tensors)
    assert list(read) == ["b", "a"] and metadata == {}                # in the order of the data


def test_an_empty_file_worked_by_hand(path):
    write_safetensors(path, {})
    assert path.read_bytes() == b"\x08" + bytes(7) + b"{}      "
    assert read_safetensors(path) == ({}, {})


def test_we_read_the_golden_file_of_the_original():
    tensors, metadata = read_safetensors(GOLDEN / "tensors.safetensors")
    assert_same(tensors, GOLDEN_INPUT["TENSORS"])
    assert metadata == GOLDEN_INPUT["METADATA"]


def test_we_write_the_golden_file_byte_for_byte(path):
    write_safetensors(path, GOLDEN_INPUT["TENSORS"], GOLDEN_INPUT["METADATA"])
    assert path.read_bytes() == (GOLDEN / "tensors.safetensors").read_bytes()


def test_read_header_gives_types_shapes_and_offsets(path):
    entries, metadata = read_header(saved(path, SMALL))
    assert entries == {"b": ("F32", (2,), 120, 128), "a": ("U16", (), 128, 130)}
    assert metadata == {}


def test_every_bf16_is_the_upper_half_of_a_float32(path):
    patterns = np.arange(2**16, dtype=np.uint32)
    data = packed({"x": entry(0, 2**17, (2**8, 2**8), "BF16")}, patterns.astype("<u2").tobytes())
    tensors, _ = read_safetensors(saved(path, data))
    assert tensors["x"].dtype == np.float32 and tensors["x"].shape == (2**8, 2**8)
    np.testing.assert_array_equal(tensors["x"].view(np.uint32).ravel(), patterns << 16)


def test_bf16_worked_by_hand(path):
    data = packed({"x": entry(0, 4, (2, 1), "BF16")}, b"\x80\x3f\x49\xc0")     # 3F80 and C049
    assert read_safetensors(saved(path, data))[0]["x"].tolist() == [[1.0], [-3.140625]]


def test_only_the_named_tensors_are_read(path):
    saved(path, SMALL)
    assert read_safetensors(path, ["a"])[0] == {"a": 258}
    assert read_safetensors(path, [])[0] == {}
    with pytest.raises(ValueError, match=r"one of the tensors \['b', 'a'\], got 'c'"):
        read_safetensors(path, ["a", "c"])


def test_the_first_nine_bytes_identify_the_format():
    assert begins_like_safetensors(SMALL[:9])
    assert begins_like_safetensors(struct.pack("<Q", LONGEST_HEADER) + b"{")
    for start in [b"", SMALL[:8], SMALL[:8] + b"[", struct.pack("<Q", LONGEST_HEADER + 1) + b"{",
                  b"100 100\n{", b"10 4\nab {", b"1 4\n\0\0\0\0{"]:
        assert not begins_like_safetensors(start)


# ---- round trips, and parity -----------------------------------------------

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
shapes = st.sampled_from([(), (0,), (3,), (2, 0, 3), (1, 4), (2, 3, 2)])


@st.composite
def collections(draw, codes=DTYPE_CODES, names=text):
    """{name: array} of any dtypes and bits."""
    tensors = {}
    for name in draw(st.sets(names, max_size=5)) - {"__metadata__"}:
        dtype, shape = np.dtype(draw(st.sampled_from(codes))), draw(shapes)
        n = int(np.prod(shape)) * dtype.itemsize
        data = draw(st.binary(min_size=n, max_size=n))
        if dtype.kind == "b":
            data = bytes(byte & 1 for byte in data)
        tensors[name] = np.frombuffer(data, dtype).reshape(shape)
    return tensors


@given(collections(), st.dictionaries(text, text, max_size=4))
def test_reading_gives_the_tensors_that_were_written_bit_by_bit(path, tensors, metadata):
    write_safetensors(path, tensors, metadata)
    read, read_metadata = read_safetensors(path)
    assert_same(read, tensors)
    assert read_metadata == metadata
    assert (path.stat().st_size - sum(x.nbytes for x in tensors.values())) % 8 == 0


@settings(max_examples=25)
@given(collections(), st.dictionaries(text, text, max_size=4), st.randoms())
def test_the_bytes_do_not_depend_on_the_order_of_the_dicts(path, tensors, metadata, random):
    write_safetensors(path, tensors, metadata)
    data = path.read_bytes()
    write_safetensors(path, dict(random.sample(list(tensors.items()), len(tensors))),
                      dict(random.sample(list(metadata.items()), len(metadata))))
    assert path.read_bytes() == data


@settings(max_examples=15)
@given(hnp.arrays(st.sampled_from(DTYPE_CODES).map(np.dtype), hnp.array_shapes()))
def test_the_bytes_do_not_depend_on_the_memory_layout_of_an_array(path, array):
    write_safetensors(path, {"x": array})
    data = path.read_bytes()
    padded = np.zeros((2 * len(array), *array.shape[1:]), array.dtype)
    padded[::2] = array
    for same in [np.asfortranarray(array), padded[::2], array.astype(array.dtype.newbyteorder(">")),
                 array[::-1].copy()[::-1]]:
        write_safetensors(path, {"x": same})
        assert path.read_bytes() == data


@given(collections(names=text.map(lambda name: "x" + name)),
       st.dictionaries(text, text, min_size=1, max_size=1))
def test_the_original_reads_our_files_and_writes_the_same_bytes(path, tensors, metadata):
    original = pytest.importorskip("safetensors.numpy")
    write_safetensors(path, tensors, metadata)
    assert_same(original.load_file(path), tensors)
    assert original.save(tensors, metadata) == path.read_bytes()
    with original.safe_open(path, "np") as file:
        assert file.metadata() == metadata


@given(collections())
def test_we_read_what_the_original_writes(path, tensors):
    original = pytest.importorskip("safetensors.numpy")
    metadata = {"b": "1", "a": "é"}
    original.save_file(tensors, path, metadata)
    read, read_metadata = read_safetensors(path)
    assert_same(read, tensors)
    assert read_metadata == metadata


def test_the_header_may_list_the_tensors_in_any_order(path):
    """Older versions of the original sorted the header by name, not by the order of the data."""
    data = packed({"a": entry(4, 8), "b": entry(0, 4), "empty": entry(4, 4, (0,))},
                  struct.pack("<2f", 1, 2))
    tensors, _ = read_safetensors(saved(path, data))
    assert [(name, x.tolist()) for name, x in tensors.items()] == [
        ("b", [1]), ("empty", []), ("a", [2])]


@pytest.mark.parametrize("spaces", range(8))
def test_arrays_are_aligned_in_memory_even_if_not_in_the_file(path, spaces):
    header = b'{"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},' \
             b'"a":{"dtype":"F64","shape":[1],"data_offsets":[1,9]}}' + b" " * spaces
    tensors, _ = read_safetensors(saved(path, packed(header, b"\x07" + struct.pack("<d", 0.1))))
    assert tensors["b"] == [7] and tensors["a"] == [0.1]
    assert all(array.flags.aligned for array in tensors.values())


# ---- damaged files: an error, never a tensor -------------------------------

def test_a_file_truncated_at_any_byte_is_rejected(path):
    saved(path, (GOLDEN / "tensors.safetensors").read_bytes())
    for cut in reversed(range(path.stat().st_size)):
        os.truncate(path, cut)
        for read in read_safetensors, read_header:
            with pytest.raises(FormatError):
                read(path)


@given(st.sampled_from([SMALL, (GOLDEN / "tensors.safetensors").read_bytes()]), st.data())
def test_a_damaged_file_gives_complete_tensors_or_a_format_error(path, intact, data):
    start = data.draw(st.integers(0, len(intact) - 1))
    end = start + data.draw(st.integers(0, 6))
    damaged = intact[:start] + data.draw(st.binary(max_size=6)) + intact[end:]
    assume(damaged != intact)
    try:
        tensors, metadata = read_safetensors(saved(path, damaged))
    except FormatError:
        return
    length = struct.unpack("<Q", damaged[:8])[0]
    widened = sum(x.size * 2 for name, x in tensors.items()           # BF16 was read as float32
                  if read_header(path)[0][name].dtype == "BF16")
    assert 8 + length + sum(x.nbytes for x in tensors.values()) - widened == len(damaged)
    assert all(isinstance(value, str) for value in metadata.values())


@pytest.mark.parametrize("dtype, n, n_bytes", [("F8_E4M3", 3, 3), ("F8_E5M2", 3, 3), ("F4", 4, 2),
                                                ("F6_E2M3", 4, 3), ("C64", 1, 8)])
def test_a_tensor_that_is_not_read_does_not_prevent_reading_another(path, dtype, n, n_bytes):
    header = {"odd": {"dtype": dtype, "shape": [n], "data_offsets": [0, n_bytes]},
              "a": entry(n_bytes, n_bytes + 4)}
    saved(path, packed(json.dumps(header).encode(), bytes(n_bytes) + ONE))
    assert list(read_header(path)[0]) == ["odd", "a"]
    assert read_safetensors(path, ["a"])[0]["a"].tolist() == [1]
    original = pytest.importorskip("safetensors")
    with original.safe_open(path, "np") as file:             # the original knows the same types
        assert file.get_slice("odd").get_dtype() == dtype


# ---- the checksum --------------------------------------------------------------------------------

def test_a_flipped_bit_is_rejected_unless_it_is_in_the_name_of_the_checksum(path):
    tensors = {"a": np.arange(3, dtype=np.float32), "b": np.array([True]), "c": np.zeros((0, 2))}
    write_safetensors(path, tensors, {"kind": "x"}, checksum=True)
    data = path.read_bytes()
    found, metadata = read_safetensors(path)
    assert metadata == read_header(path)[1] == {"kind": "x"}
    np.testing.assert_array_equal(found["a"], tensors["a"])
    name = range(data.index(CHECKSUM.encode()), data.index(b'":"crc32'))
    # a changed name hides the checksum, so it is not verified
    for at in set(range(len(data))) - set(name):
        for bit in range(8):
            with pytest.raises(FormatError):
                read_safetensors(saved(path, data[:at] + bytes([data[at] ^ 1 << bit])
                                       + data[at + 1:]))


def test_a_checksum_is_verified_only_if_all_tensors_are_read(path):
    write_safetensors(path, {"a": np.ones(2), "b": np.ones(2)}, checksum=True)
    data = path.read_bytes()
    saved(path, data[:-1] + b"!")
    with pytest.raises(FormatError, match="its checksum: expected 'crc32:[0-9a-f]{8}', found"):
        read_safetensors(path)
    assert read_safetensors(path, ["a"])[0]["a"].tolist() == [1, 1]


def test_a_file_with_a_checksum_is_read_by_the_original(path):
    original = pytest.importorskip("safetensors.numpy")
    write_safetensors(path, {"a": np.ones(2)}, {"x": "y"}, checksum=True)
    assert original.load_file(path)["a"].tolist() == [1, 1]


ONE = struct.pack("<f", 1)
NOT_JSON = "the header: expected a JSON object in UTF-8, found "
HEADER_FAULTS = [                              # (file, message: place, expected, found)
    (b"", "byte 0: expected the length of a header, at most 100,000,000 bytes and within the "
          "file; found b'' in a file of 0 bytes: truncated, or not a safetensors file"),
    (b"\x02\0\0\0\0\0\0\0", "byte 0: expected the length of a header, at most 100,000,000 bytes "
                            "and within the file; found 2 in a file of 8 bytes: truncated"),
    (b"\x03\0\0\0\0\0\0\0{}", "byte 0: expected the length of a header, at most 100,000,000 bytes "
                              "and within the file; found 3 in a file of 10 bytes: truncated"),
    (packed(b" {}"), "byte 8: expected {, found b' '"),
    (packed(b"[]"), "byte 8: expected {, found b'['"),
    (packed(b"\xef\xbb\xbf{}"), r"byte 8: expected {, found b'\xef'"),
    (packed("{}".encode("utf-16-be")), r"byte 8: expected {, found b'\x00'"),
    (packed("{}".encode("utf-16-le")), "the header: expected a JSON object in UTF-8, found "),
    (packed(b'{"\xff":1}'), NOT_JSON + "invalid UTF-8 at byte 2"),
    (packed(b'{"a"}'), NOT_JSON + "a syntax error at line 1, column 5 (Expecting ':'"),
    (packed(b"{}{}"), NOT_JSON + "a syntax error at line 1, column 3 (Extra data)"),
    (packed(b"{}\0"), NOT_JSON + "a syntax error at line 1, column 3 (Extra data)"),
    (b"\0" * 8 + b"{}", NOT_JSON + "a syntax error at line 1, column 1 (Expecting value)"),
    (packed(b'{"a":' + b"[" * 200_000), "the header: expected a JSON object in UTF-8, found "
                                        "brackets that are nested too deep"),
    (packed(b'{"a":1,"a":1}'), "the header: expected a JSON object in UTF-8, found the name 'a' "
                               "twice in one object"),
    (packed(b'{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
     "the header: expected a JSON object in UTF-8, found the name 'dtype' twice in one object"),
    (packed(b'{"__metadata__":{"k":"1","k":"1"}}'), "the header: expected a JSON object in UTF-8, "
                                                    "found the name 'k' twice in one object"),
    (packed(b'{"\\ud800":{}}'), r"the header: expected a JSON object in UTF-8, found the name "
                                r"'\ud800' with a lone surrogate"),
    (packed({"__metadata__": None}), "__metadata__: expected an object, found None"),
    (packed({"__metadata__": ["a"]}), "__metadata__: expected an object, found ['a']"),
    (packed({"__metadata__": {"epoch": 3}}),
     "__metadata__ 'epoch': expected a string of Unicode text, found 3"),
    (packed(b'{"__metadata__":{"k":"\\udfff"}}'),
     r"__metadata__ 'k': expected a string of Unicode text, found '\udfff'")]

BAD_SHAPE = (f"tensor 'a': expected a shape of at most 32 whole numbers, none below 0 or above "
         f"{sys.maxsize}, found ")
BAD_OFFSETS = "tensor 'a': expected data_offsets [begin, end] with 0 <= begin <= end, found "
ENTRY_FAULTS = [                               # (entry of tensor "a", message); 4 bytes of data
    ([0, 4], "tensor 'a': expected an object, found [0, 4]"),
    ({"dtype": "F32", "shape": [1]}, "tensor 'a': expected the fields dtype, shape and "
                                     "data_offsets, found ['dtype', 'shape']"),
    ({**entry(0, 4), "strides": [4]},
     "tensor 'a': expected the fields dtype, shape and data_offsets, found ['dtype', 'shape', "
     "'data_offsets', 'strides']"),
    (entry(0, 4, (4,), "I4"), "tensor 'a': expected a dtype among U64, I64, F64, F32, U32, I32, "
                              "BF16, F16, U16, I16, I8, U8, BOOL, F4, "),
    (entry(0, 4, (4,), "F8_E5M2"),
     "tensor 'a': expected numbers that NumPy can hold, found F8_E5M2, which is not read; give the "
     "names of other tensors"),
    (entry(0, 4, (5,), "F8_E5M2"), "tensor 'a': expected data_offsets that span 5 bytes"),
    (entry(0, 4, (7,), "F4"), "tensor 'a': expected a shape of whole bytes, found [7]"),
    (entry(0, 4, dtype=["F32"]), "tensor 'a': expected a dtype among U64"),
    (entry(0, 4, (-1,)), BAD_SHAPE + "[-1]"), (entry(0, 4, (-1, -1)), BAD_SHAPE + "[-1, -1]"),
    (entry(0, 4, (1.0,)), BAD_SHAPE + "[1.0]"), (entry(0, 4, (True,)), BAD_SHAPE + "[True]"),
    (entry(0, 4, ("1",)), BAD_SHAPE + "['1']"),
    (entry(0, 4, (1,) * 33), BAD_SHAPE + "[1, 1, 1, 1, 1, 1, ...]"),
    ({**entry(0, 4), "shape": 1}, BAD_SHAPE + "1"),
    (entry(0, 4, (10**4000, 10**4000)), BAD_SHAPE + "[1000"),
    (entry(0, 0, (2**63, 0)), BAD_SHAPE + "[9223372036854775808, 0]"),
    (entry(0, 0, (2**40, 2**40, 0)), "tensor 'a': expected a shape that fits into memory, found "
                                     "[1099511627776, 1099511627776, 0]"),
    (entry(0, 0, (0, 2**61)), "tensor 'a': expected a shape that fits into memory"),
    # 2^62 float32 are 2^64 bytes, which is 0 in 64-bit arithmetic
    (entry(0, 0, (2**31, 2**31)), "tensor 'a': expected a shape that fits into memory"),
    (entry(0, 4, (2,)), "tensor 'a': expected data_offsets that span 8 bytes, the size of F32 [2], "
                        "found [0, 4]"),
    (entry(0, 4, (1,), "F64"), "tensor 'a': expected data_offsets that span 8 bytes, the size of "
                               "F64 [1], found [0, 4]"),
    (entry(0, 4, (0, 7)), "tensor 'a': expected data_offsets that span 0 bytes"),
    (entry(4, 0), BAD_OFFSETS + "[4, 0]"), (entry(-4, 0), BAD_OFFSETS + "[-4, 0]"),
    (entry(0, 4.0), BAD_OFFSETS + "[0, 4.0]"), (entry(0, 10**30), BAD_OFFSETS + "[0, 1000"),
    ({**entry(0, 4), "data_offsets": [0, 2, 4]}, BAD_OFFSETS + "[0, 2, 4]"),
    ({**entry(0, 4), "data_offsets": "04"}, BAD_OFFSETS + "'04'"),
    (entry(1, 5), "tensor 'a': expected its data at offset 0, found 1: a gap"),
    (entry(0, 2, dtype="U16"),
     "byte 71: expected the file to end at byte 71, found 73 bytes: more"),
    (entry(0, 8, (2,)), "byte 73: expected the file to end at byte 77, found 73 bytes: truncated"),
    (entry(0, 4, dtype="BOOL", shape=(4,)), "tensor 'a': expected the bytes 0 and 1, found 128")]
LAYOUT_FAULTS = [                              # (header, message); 8 bytes of data
    ({"a": entry(0, 4), "b": entry(0, 4)}, "tensor 'b': expected its data at offset 4, found 0: an "
                                           "overlap"),
    ({"a": entry(0, 4), "b": entry(2, 6)}, "tensor 'b': expected its data at offset 4, found 2: an "
                                           "overlap"),
    ({"b": entry(4, 8), "a": entry(0, 2, dtype="F16")},
     "tensor 'b': expected its data at offset 2, found 4: a gap"),
    ({"a": entry(0, 8, (2,)), "b": entry(4, 4, (0,))}, "tensor 'b': expected its data at offset 8, "
                                                       "found 4: an overlap"),
    ({"a": entry(0, 8, (2,)), "b": entry(9, 9, (0,))}, "tensor 'b': expected its data at offset 8, "
                                                       "found 9: a gap")]
FAULTS = (HEADER_FAULTS
          + [(packed({"a": fields}, ONE), message) for fields, message in ENTRY_FAULTS]
          + [(packed(header, 2 * ONE), message) for header, message in LAYOUT_FAULTS])


@pytest.mark.parametrize("data, message", FAULTS, ids=range(len(FAULTS)))
def test_the_error_names_the_place_and_what_was_expected_and_found(path, data, message):
    with pytest.raises(FormatError) as error:
        read_safetensors(saved(path, data))
    assert str(error.value).startswith(f"{path}: {message}")
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("data", [
    struct.pack("<Q", 99_999_999) + b"{}", struct.pack("<Q", 2**64 - 1) + b"{}",
    packed({"a": entry(0, 4 * 10**12, (10**6, 10**6))}, ONE),
    packed({"a": entry(0, 2**62, (2**60,)), "b": entry(0, 4)}, ONE)])
def test_lengths_beyond_the_file_are_rejected_before_memory_is_allocated(path, data):
    saved(path, data)
    tracemalloc.start()
    with pytest.raises(FormatError):
        read_safetensors(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_a_header_above_the_limit_is_rejected_even_if_the_file_contains_it(path):
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", LONGEST_HEADER + 1) + b"{}")
        file.truncate(LONGEST_HEADER + 100)        # a sparse file: it takes no disk space
    with pytest.raises(FormatError, match="byte 0.*found 100000001"):
        read_safetensors(path)
    path.unlink()


def test_a_file_that_is_truncated_while_it_is_read_is_rejected(path, monkeypatch):
    def cut_after(*arguments, read_header=safetensors._read_header):
        header = read_header(*arguments)
        os.truncate(path, len(SMALL) - 3)
        return header
    monkeypatch.setattr(safetensors, "_read_header", cut_after)
    with pytest.raises(FormatError, match="tensor 'b': expected 2 numbers, found 1: the file was"):
        read_safetensors(saved(path, SMALL))


def test_a_pickle_is_rejected_and_not_run(path):
    proof = path.with_name("proof")            # exists if the pickle was run

    class Trap:
        def __reduce__(self):
            return proof.write_text, ("run",)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(FormatError):
            read_safetensors(saved(path, pickle.dumps(Trap(), protocol)))
    assert not proof.exists()


# ---- contents that cannot be written ---------------------------------------

@pytest.mark.parametrize("tensors, metadata, message", [
    ({"x": np.array([None])}, {}, "tensor 'x': expected .* got object of 1 axes"),
    ({"x": np.array(["a"])}, {}, "tensor 'x': expected .* got <U1"),
    ({"x": np.zeros(2, complex)}, {}, "tensor 'x': expected .* got complex128"),
    ({"x": np.zeros(2, "M8[s]")}, {}, r"tensor 'x': expected .* got datetime64\[s\]"),
    ({"x": np.zeros(2, "V2")}, {}, r"tensor 'x': expected .* got \|V2"),
    ({"x": np.zeros(2, [("a", "<f4")])}, {}, r"tensor 'x': expected .* got \[\('a', '<f4'\)\]"),
    ({1: np.zeros(2)}, {}, "the name of a tensor: expected a string of Unicode text, got 1"),
    ({"\ud800": np.zeros(2)}, {}, "the name of a tensor: expected a string of Unicode text"),
    ({"__metadata__": np.zeros(2)}, {}, "the name '__metadata__' is reserved"),
    ({}, {"epoch": 3}, "a value in the metadata: expected a string of Unicode text, got 3"),
    ({}, {"k": "\udfff"}, "a value in the metadata: expected a string of Unicode text"),
    ({}, {3: "epoch"}, "a name in the metadata: expected a string of Unicode text, got 3")])
def test_contents_that_the_format_cannot_store_are_rejected(tmp_path, tensors, metadata, message):
    target = saved(tmp_path / "file", b"old")
    with pytest.raises(ValueError, match=message):
        write_safetensors(target, tensors, metadata)
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_a_header_above_the_limit_is_not_written(path, monkeypatch):
    length = len(b'{"__metadata__":{"k":"1234567"}}')                 # 32 bytes, so no padding
    monkeypatch.setattr(safetensors, "LONGEST_HEADER", length)
    write_safetensors(path, {}, {"k": "1234567"})
    assert read_safetensors(path) == ({}, {"k": "1234567"})
    with pytest.raises(ValueError, match="its header would take 40 bytes, and 32 are allowed"):
        write_safetensors(path, {}, {"k": "12345678"})


def test_at_most_32_axes_are_written(path):
    write_safetensors(path, {"x": np.ones((1,) * 32)})
    assert read_safetensors(path)[0]["x"].shape == (1,) * 32
    try:
        array = np.ones((1,) * 33)
    except ValueError:                             # NumPy 1
        return
    with pytest.raises(ValueError, match="float64 of 33 axes"):
        write_safetensors(path, {"x": array})


# ---- the file and the arrays are independent -------------------------------

def test_arrays_do_not_change_if_the_file_does(path):
    first = {"x": np.arange(10_000.0), "y": np.ones((2, 2), np.float32)}
    write_safetensors(path, first)
    tensors, _ = read_safetensors(path)
    write_safetensors(path, {"x": np.zeros(10_000)})                 # replaced
    assert_same(tensors, first)
    path.write_bytes(b"")                                            # cut
    assert_same(tensors, first)
    tensors["x"][0] = 5                                              # and it is writable
    assert tensors["y"].flags.writeable and not np.shares_memory(tensors["x"], tensors["y"])


def test_a_reader_of_the_old_file_still_reads_all_of_it(path):
    with open(saved(path, b"old"), "rb") as reader:
        write_safetensors(path, {"x": np.zeros(3)})
        assert reader.read() == b"old"
    assert read_safetensors(path)[0]["x"].tolist() == [0, 0, 0]


def test_reading_allocates_each_tensor_once_and_writing_allocates_none(path):
    tensors = {"x": np.zeros((1000, 250), np.float32), "y": np.zeros(10**6, np.float16)}
    size = sum(array.nbytes for array in tensors.values())
    tracemalloc.start()
    write_safetensors(path, tensors)
    _, to_write = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    read = read_safetensors(path)
    _, to_read = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    one = read_safetensors(path, ["x"])
    _, to_read_one = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert to_write < 100_000
    assert size <= to_read < size + 100_000
    assert to_read_one < size + one[0]["x"].nbytes + 100_000 and len(read[0]) == 2

"""Files of word vectors: exact round trips, the originals' bytes, and errors for damaged files."""
import contextlib
import gzip
import os
import pickle
import struct
import threading
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scratch_embed.loading import load
from scratch_embed.numerics.errors import FormatError
from scratch_embed.words.fasttext_files import read_bin, write_vec
from scratch_embed.words.vector_files import (
    read_glove_text,
    read_vectors,
    read_word2vec_binary,
    read_word2vec_text,
    shortest_digits,
    write_glove_text,
    write_word2vec_binary,
    write_word2vec_text,
)

GOLDEN = Path(__file__).parents[1] / "golden"
# the table from which tests/golden/make_word_vectors.py made files with gensim
GOLDEN_WORDS = ["</s>", "king", "naïve", "日本", "🙂"]
GOLDEN_VECTORS = np.array([[0.0, -0.0, 1.0, -2.0],
                           [1 / 3, -0.1, 0.0625, 123456.79],
                           [3.4028235e38, -1.1754944e-38, 1e-45, 16777216.0],
                           [-7.5e-05, 0.0001, 1e16, -9999999.0],
                           [0.024321035, -0.9182736, 2.718282, -3.1415927]], np.float32)

WORDS, VECTORS = ["king", "où"], np.array([[0.5, -2, 1, 0.1], [3, 0.25, -0.125, 1e-5]], np.float32)
OURS_TEXT = "2 4\nking 0.5 -2 1 0.100000001\noù 3 0.25 -0.125 9.99999975e-06\n".encode()
C_TEXT = "2 4\nking 0.500000 -2.000000 1.000000 0.1 \noù 3.0 0.25 -0.125 0.00001 \n".encode()
FASTTEXT_VEC = "2 4\nking 0.5 -2 1 0.1 \noù 3 0.25 -0.125 1e-05 \n".encode()
GLOVE = OURS_TEXT[4:]
KING, OU = struct.pack("<4f", *VECTORS[0]), struct.pack("<4f", *VECTORS[1])
C_BINARY = b"2 4\nking " + KING + b"\n" + "où ".encode() + OU + b"\n"
GENSIM_BINARY = b"2 4\nking " + KING + "où ".encode() + OU

READERS = {"ours, text": (read_word2vec_text, OURS_TEXT),
           "the C's text": (read_word2vec_text, C_TEXT),
           "fastText .vec": (read_word2vec_text, FASTTEXT_VEC),
           "the C's binary": (read_word2vec_binary, C_BINARY),
           "gensim's binary": (read_word2vec_binary, GENSIM_BINARY),
           "GloVe": (read_glove_text, GLOVE)}
with_each_file = pytest.mark.parametrize("read, data", READERS.values(), ids=READERS)
PAIRS = [(write_word2vec_text, read_word2vec_text), (write_word2vec_binary, read_word2vec_binary),
         (write_glove_text, read_glove_text)]
with_each_writer = pytest.mark.parametrize("write", [write for write, _ in PAIRS])


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """One path for the files of all tests; hypothesis needs a fixture that is not per function."""
    return tmp_path_factory.mktemp("vectors") / "file"


def saved(path, data):
    """Write the bytes `data` to `path`.  -> path"""
    path.write_bytes(data)
    return path


def assert_same_table(table, words=WORDS, vectors=VECTORS):
    """Equal words, and vectors equal bit by bit, so that −0 differs from 0."""
    assert table[0] == words
    assert table[1].dtype == np.float32 and table[1].shape == vectors.shape
    np.testing.assert_array_equal(table[1].view(np.uint32), vectors.view(np.uint32))


# ---- the originals' bytes --------------------------------------------------

@with_each_file
def test_every_format_is_read_by_its_reader_and_recognised_by_its_bytes(path, read, data):
    assert_same_table(read(saved(path, data)))
    assert_same_table(read_vectors(path))


@with_each_file
def test_a_gzip_file_is_read_without_regard_to_its_name(path, read, data):
    assert_same_table(read(saved(path, gzip.compress(data))))
    assert_same_table(read_vectors(path))


@pytest.mark.parametrize("name", ["word_vectors.txt", "word_vectors.bin"])
def test_files_of_gensim_give_the_table_that_it_wrote(name):
    assert_same_table(read_vectors(GOLDEN / name), GOLDEN_WORDS, GOLDEN_VECTORS)


def test_our_bytes_worked_by_hand(path):
    write_word2vec_text(path, WORDS, VECTORS)
    assert path.read_bytes() == OURS_TEXT
    write_glove_text(path, WORDS, VECTORS)
    assert path.read_bytes() == GLOVE
    write_word2vec_binary(path, WORDS, VECTORS)
    assert path.read_bytes() == GENSIM_BINARY


def test_our_binary_file_equals_gensims_byte_for_byte(path):
    write_word2vec_binary(path, GOLDEN_WORDS, GOLDEN_VECTORS)
    assert path.read_bytes() == (GOLDEN / "word_vectors.bin").read_bytes()


@pytest.mark.parametrize("binary, write", [(False, write_word2vec_text),
                                           (True, write_word2vec_binary)])
def test_gensim_reads_our_files_to_the_bit(path, binary, write):
    KeyedVectors = pytest.importorskip("gensim.models").KeyedVectors
    write(path, GOLDEN_WORDS, GOLDEN_VECTORS)
    theirs = KeyedVectors.load_word2vec_format(str(path), binary=binary)
    assert_same_table((theirs.index_to_key, theirs.vectors), GOLDEN_WORDS, GOLDEN_VECTORS)
    write_glove_text(path, GOLDEN_WORDS, GOLDEN_VECTORS)
    theirs = KeyedVectors.load_word2vec_format(str(path), no_header=True)
    assert_same_table((theirs.index_to_key, theirs.vectors), GOLDEN_WORDS, GOLDEN_VECTORS)


def test_a_glove_row_is_split_from_the_right_and_unk_is_a_word(path):
    saved(path, b". . 0.5 1\nat home 2 3\n1984 4 5\n<unk> -1 -2\n")
    words, vectors = read_vectors(path)
    assert words == [". .", "at home", "1984", "<unk>"]
    assert vectors.tolist() == [[0.5, 1], [2, 3], [4, 5], [-1, -2]]


def test_a_file_with_windows_line_ends_is_read(path):
    assert_same_table(read_vectors(saved(path, C_TEXT.replace(b"\n", b"\r\n"))))
    assert_same_table(read_vectors(saved(path, GLOVE.replace(b"\n", b"\r\n"))))


@pytest.mark.parametrize("first", [b"\n\0\x80\x3f", b"5\n\x80\x3f"])
def test_a_newline_in_the_bytes_of_a_number_does_not_make_a_file_text(path, first):
    data = b"2 4\na " + first + OU[4:] + b"b " + OU
    words, vectors = read_vectors(saved(path, data))
    assert words == ["a", "b"] and vectors[0].tobytes() == first + OU[4:]


# ---- round trips -----------------------------------------------------------

# all characters of Unicode except the white space and surrogates that files cannot store
words = st.text(st.characters(exclude_characters=" \t\n\v\f\r", exclude_categories=["Cs"]),
                min_size=1, max_size=9)
bits = st.integers(0, 2**32 - 1).filter(lambda b: b >> 23 & 0xff != 0xff)        # not nan, not inf


@st.composite
def tables(draw, words=words):
    vocabulary = draw(st.lists(words, min_size=1, max_size=5, unique=True))
    D = draw(st.integers(4, 6))
    numbers = draw(st.lists(bits, min_size=len(vocabulary) * D, max_size=len(vocabulary) * D))
    return vocabulary, np.array(numbers, np.uint32).view(np.float32).reshape(-1, D)


@pytest.mark.parametrize("write, read", PAIRS)
@given(table=tables())
def test_reading_gives_the_table_that_was_written_bit_by_bit(path, write, read, table):
    write(path, *table)
    assert_same_table(read(path), *table)
    assert_same_table(read_vectors(path), *table)


parts = words.filter(lambda part: part.lower() not in ("nan", "inf", "infinity")
                     and part[0].isalpha())                  # so it is not a number


@given(tables(st.lists(parts, min_size=1, max_size=3).map(" ".join)))
def test_words_with_spaces_can_be_read_from_a_glove_file(path, table):
    write_glove_text(path, *table)
    assert_same_table(read_vectors(path), *table)


@given(bits)
def test_nine_digits_are_exact_and_shortest_digits_are_the_fewest(path, pattern):
    number = np.array([[pattern]], np.uint32).view(np.float32)
    write_word2vec_text(path, ["w"], number)
    assert np.float32(path.read_text().split()[-1]) == number[0, 0]
    text, = shortest_digits(number[0])
    digits = text.lstrip("-").split("e")[0].replace(".", "").strip("0")
    assert np.float32(text) == number[0, 0]
    for fewer in range(1, len(digits)):
        assert np.float32(f"{number[0, 0]:.{fewer - 1}e}") != number[0, 0]


def test_a_number_that_double_rounding_would_change_is_read_exactly(path):
    number = np.array([[0x15AE43FD, 0x95AE43FD]], np.uint32).view(np.float32)
    assert str(number[0, 0]) == "7.038531e-26"               # the fewest digits, rounded once
    assert np.float32(7.038531e-26) != number[0, 0]          # rounded to float64, then float32
    for write, read in PAIRS:
        write(path, ["w"], number)
        assert_same_table(read(path), ["w"], number)


# ---- damaged files ---------------------------------------------------------

@pytest.mark.parametrize("read, data", list(READERS.values())[:5], ids=list(READERS)[:5])
def test_a_file_truncated_at_any_byte_is_rejected(path, read, data):
    for cut in range(len(data)):
        for reader in (read, read_vectors):
            with pytest.raises(FormatError):
                reader(saved(path, data[:cut]))
    packed = gzip.compress(data)
    for cut in range(len(packed)):
        with pytest.raises(FormatError):
            read_vectors(saved(path, packed[:cut]))


def test_a_damaged_gzip_file_is_rejected(path):
    packed = gzip.compress(OURS_TEXT)
    for at in range(10, len(packed)):              # after the archive's own header
        with pytest.raises(FormatError):
            read_vectors(saved(path, packed[:at] + bytes([packed[at] ^ 0xff]) + packed[at + 1:]))
    with pytest.raises(FormatError, match="gzip"):
        read_vectors(saved(path, packed + b"more"))


def test_a_glove_file_truncated_inside_a_row_is_rejected(path):
    between = GLOVE.index(b"\n") + 1               # here it is a complete file of one row
    for cut in set(range(len(GLOVE))) - {between}:
        with pytest.raises(FormatError):
            read_vectors(saved(path, GLOVE[:cut]))
    assert_same_table(read_vectors(saved(path, GLOVE[:between])), WORDS[:1], VECTORS[:1])


@given(st.sampled_from([data for _, data in READERS.values()]), st.data())
@example(b"\n", None)
def test_a_damaged_file_gives_a_finite_table_or_a_format_error(path, data, draw):
    if draw:
        at = draw.draw(st.integers(0, len(data) - 1))
        end = at + draw.draw(st.integers(0, 6))
        data = data[:at] + draw.draw(st.binary(max_size=6)) + data[end:]
    saved(path, data)
    for read in (read_vectors, read_word2vec_text, read_word2vec_binary, read_glove_text):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")                              # for a repeated word
                words, vectors = read(path)
        except FormatError:
            continue
        assert len(words) == len(set(words)) == len(vectors)
        assert np.isfinite(vectors).all() and all(words)


TEXT_FAULTS = [                                # (data, message: place, expected, found)
    (b"king 1 2\n", "line 1: expected the numbers of words and of dimensions"),
    (b"0 2\n", "line 1: expected the numbers of words"),
    (b"2 0\na\nb\n", "line 1: expected the numbers of words"),
    (b"-1 2\na 1 2\n", "line 1: expected the numbers of words"),
    (b"3 2\na 10.5 20.5\nb 3 4\n",
     "line 4: expected a row and its newline; the file ends before it"),
    (b"1 2\na 1 0.25", "line 2: expected a row and its newline; the file ends within it"),
    (b"1 2\na 1 2\nb 3 4\n", "line 3: expected the end after 1 rows"),
    (b"1 2\na 1 2\n\n", "line 3: expected the end after 1 rows"),
    (b"2 2\na 1.5 2.5\nb 3.5\n", "line 3: expected a word and 2 numbers, found 1"),
    (b"2 2\na 1 2\nb 3 4 5\n", "line 3: expected a word and 2 numbers, found 3"),
    (b"1 2\na 1  2\n", "line 2: expected a word and 2 numbers, found 3"),
    (b"1 2\na 1 2x\n", "line 2: expected a number, found b'2x'"),
    (b"1 2\na 1 1_000\n", "line 2: expected a number, found b'1_000'"),
    (b"2 2\na 1 2\nb 1 nan\n", "line 3: expected finite float32 numbers"),
    (b"1 2\na 1 -inf\n", "line 2: expected finite float32 numbers"),
    (b"1 2\na 1 1e39\n", "line 2: expected finite float32 numbers"),
    (b"1 2\n 1.5 2\n", "line 2: expected a word, found none"),
    (b"2 2\na 1 2\no\xf9 3 4\n",
     r"line 3: expected a word in UTF-8, found b'o\xf9' (invalid start byte at its byte 1)")]
GLOVE_FAULTS = [
    (b"a 1 2\nb 3\n", "line 2: expected a word and 2 numbers, as on line 1; found 1"),
    (b"a 1 2\nb 3 4 5\n", "line 2: expected a word and 2 numbers, as on line 1; found 3"),
    (b"a b\n", "line 1: expected a word and at least two numbers"),
    (b"a 1 2\n\n", "line 2: expected a word and 2 numbers"),
    (b"a 1 2\nb 3 nan\n", "line 2: expected finite float32 numbers"),
    (b"1 2\na 1 2\n", "line 1: expected a word and at least two numbers; is this a text?")]

ROW = b"\0\0\x80\x3f\0\0\0\x40"                    # 1 and 2
BINARY_FAULTS = [
    (b"2 2\na " + ROW + b"b " + ROW[:4] + b"\0\0\xc0\x7f",
     "row 2 (byte 14): expected finite numbers, found nan"),
    (b"3 2\nabcdefghijkl " + ROW + b"b " + ROW,
     "row 3 (byte 35): expected a word, a space and 8 bytes; the file ends after 0 bytes"),
    (b"2 2\na " + ROW + b"bcdef " + ROW[:6],
     "row 2 (byte 14): expected a word, a space and 8 bytes; the file ends after 12 bytes"),
    (b"1 2\na " + ROW + b"b " + ROW, "byte 14: expected the end after 1 rows"),
    (b"2 2\na " + ROW + b"\nb " + ROW,
     "row 2 (byte 15): expected a newline after it, as after row 1"),
    (b"1 2\n " + ROW + b"?", "row 1 (byte 4): expected a word, found none"),
    (b"1 2\n\xf9 " + ROW, r"row 1 (byte 4): expected a word in UTF-8, found b'\xf9'")]
FAULTS = [(read, *fault) for read, faults in [(read_word2vec_text, TEXT_FAULTS),
                                              (read_word2vec_binary, BINARY_FAULTS),
                                              (read_glove_text, GLOVE_FAULTS)] for fault in faults]


@pytest.mark.parametrize("read, data, message", FAULTS)
def test_the_error_names_the_place_and_what_was_expected_and_found(path, read, data, message):
    with pytest.raises(FormatError) as error:
        read(saved(path, data), errors="strict")
    assert str(error.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("header", [b"1000000000000 100\n", b"1 1000000000000\n",
                                    b"9999999999999999999999999 99999999999999999999999999\n"])
@pytest.mark.parametrize("read", [read_word2vec_text, read_word2vec_binary, read_vectors])
def test_sizes_beyond_the_file_are_rejected_before_memory_is_allocated(path, read, header, pack):
    saved(path, pack(header + b"a 0.5 0.5\n" * 100))
    tracemalloc.start()
    with pytest.raises(FormatError, match="line 1: .* rows of .* numbers take at least"):
        read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_the_shortest_possible_rows_are_accepted(path):
    words, vectors = read_word2vec_text(saved(path, b"2 3\na 0 0 0\nb 1 2 3\n"))
    assert words == ["a", "b"] and vectors.tolist() == [[0, 0, 0], [1, 2, 3]]
    words, vectors = read_word2vec_binary(saved(path, b"1 2\na " + ROW))
    assert words == ["a"] and vectors.tolist() == [[1, 2]]


def test_a_pickle_is_rejected_and_not_run(path):
    proof = path.with_name("proof")              # exists if the pickle was run

    class Trap:
        def __reduce__(self):
            return proof.write_text, ("run",)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(FormatError, match="pickle"):
            read_vectors(saved(path, pickle.dumps(Trap(), protocol)))
    assert not proof.exists()


def test_the_error_for_a_fasttext_model_says_what_it_is(path):
    with pytest.raises(FormatError, match="fastText model"):
        read_vectors(saved(path, struct.pack("<14i", 793712314, 12, *range(12))))


# ---- a word that occurs twice ----------------------------------------------

@pytest.mark.parametrize("read, data", [
    (read_word2vec_text, b"4 2\na 1 2\nb 3 4\na 5 6\nc 7 8\n"),
    (read_glove_text, b"a 1 2\nb 3 4\na 5 6\nc 7 8\n"),
    (read_word2vec_binary, b"4 2\n" + b"".join(
        word + struct.pack("<2f", x, x + 1) for word, x in zip([b"a ", b"b ", b"a ", b"c "],
                                                               [1, 3, 5, 7])))])
def test_the_first_of_a_repeated_word_is_kept_with_one_warning(path, read, data):
    saved(path, data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        words, vectors = read(path)
    assert words == ["a", "b", "c"]
    assert vectors.tolist() == [[1, 2], [3, 4], [7, 8]]
    assert [str(w.message) for w in caught] == [
        f"{path}: 1 of 4 rows repeat an earlier word and are dropped"]


# ---- contents that cannot be written ---------------------------------------

@with_each_writer
@pytest.mark.parametrize("word", ["", "new\tyork", "new\nyork", "a\r", "\v", "a\f", " a", "a ",
                                  "half\ud83d"])
def test_a_word_that_the_format_cannot_store_is_rejected_by_name(tmp_path, write, word):
    target = saved(tmp_path / "file", b"old")
    with pytest.raises(ValueError) as error:
        write(target, ["king", word], VECTORS)
    assert repr(word) in str(error.value)
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("write", [write_word2vec_text, write_word2vec_binary])
def test_only_glove_files_can_store_a_space(path, write):
    with pytest.raises(ValueError, match="'new york'"):
        write(path, ["king", "new york"], VECTORS)
    write_glove_text(path, ["king", "new york"], VECTORS)
    assert read_vectors(path)[0] == ["king", "new york"]


def test_a_glove_word_that_would_be_read_as_a_number_is_rejected(path):
    with pytest.raises(ValueError, match="'no 1'"):
        write_glove_text(path, ["king", "no 1"], VECTORS)
    write_glove_text(path, ["king", "1"], VECTORS)                   # "1" alone is a word
    assert read_vectors(path)[0] == ["king", "1"]


@with_each_writer
@pytest.mark.parametrize("words, vectors, message", [
    (["a"], VECTORS, "1 words"), (WORDS, [1.0, 2.0], "shape"), ([], VECTORS[:0], "at least one"),
    (WORDS, np.zeros((2, 0)), "shape"), (["a", "a"], VECTORS, "got 'a' 2 times"),
    (["a", "b"], [[1, 2], [3, np.nan]], "got nan or inf for 'b'"),
    (["a", "b"], [[1, 1e39], [3, 4]], "got nan or inf for 'a'")])
def test_an_invalid_table_is_rejected(tmp_path, write, words, vectors, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "file", words, vectors)
    assert list(tmp_path.iterdir()) == []


@with_each_writer
def test_a_reader_of_the_old_file_still_reads_all_of_it(path, write):
    with open(saved(path, b"old")) as reader:      # the new file has another inode
        write(path, WORDS, VECTORS)
        assert reader.read() == "old"
    assert_same_table(read_vectors(path))


# ---- memory ----------------------------------------------------------------

@pytest.mark.parametrize("write, read", PAIRS)
def test_reading_takes_less_than_two_tables(path, write, read):
    vectors = np.random.default_rng(0).standard_normal((2000, 100)).astype(np.float32)
    write(path, [f"word{row}" for row in range(2000)], vectors)
    tracemalloc.start()
    read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * vectors.nbytes


# ---- words as they occur ---------------------------------------------------

def with_escapes(data):
    return data.decode("utf-8", "surrogateescape")


CUT = {"text": (read_word2vec_text, b"2 2\nok 1 2\nab\xe3 3 4\n"),
       "GloVe": (read_glove_text, b"ok 1 2\nab\xe3 3 4\n"),
       "binary": (read_word2vec_binary, b"2 2\nok " + ROW + b"ab\xe3 " + ROW)}


@pytest.mark.parametrize("read, data", CUT.values(), ids=CUT)
def test_a_word_cut_inside_a_character_keeps_its_bytes_by_default(path, read, data):
    for reader in read, read_vectors:
        with pytest.warns(UserWarning, match="1 of 2 words are not UTF-8; their bytes are kept"):
            words, _ = reader(saved(path, data))
        assert words == ["ok", with_escapes(b"ab\xe3")]


@pytest.mark.parametrize("read, data", CUT.values(), ids=CUT)
@pytest.mark.parametrize("errors, word, message", [
    ("replace", "ab\ufffd", "1 of 2 words are not UTF-8; their wrong bytes are replaced by U"),
    ("ignore", "ab", "1 of 2 words are not UTF-8; their wrong bytes are dropped")])
def test_the_bytes_can_be_replaced_or_dropped_with_a_count(path, read, data, errors, word, message):
    with pytest.warns(UserWarning, match=message):
        assert read(saved(path, data), errors)[0] == ["ok", word]
    with pytest.raises(FormatError, match="expected a word in UTF-8.* keeps its bytes"):
        read(path, "strict")
    with pytest.raises(ValueError, match="errors='other': expected one of 'surrogateescape'"):
        read(path, "other")


@pytest.mark.filterwarnings("ignore")
def test_words_that_replacing_makes_equal_are_dropped_but_for_the_first(path):
    saved(path, b"3 2\nab\xe3 1 2\nab\xe4 3 4\nab 5 6\n")
    assert [len(read_vectors(path, errors)[0]) for errors in ("surrogateescape", "replace",
                                                              "ignore")] == [3, 2, 1]
    with pytest.raises(FormatError, match=r"found none but b'\\xe3', which errors=.ignore. drops"):
        read_vectors(saved(path, b"1 2\n\xe3 1 2\n"), "ignore")


@pytest.mark.parametrize("read, data", READERS.values(), ids=READERS)
def test_a_byte_order_mark_before_the_vectors_is_dropped(path, read, data):
    for reader in read, read_vectors:
        assert_same_table(reader(saved(path, b"\xef\xbb\xbf" + data)))


@pytest.mark.parametrize("write, read", PAIRS)
@pytest.mark.parametrize("length", [76, 130, 10_001, 100_000])
def test_the_length_of_the_first_word_has_no_effect(path, write, read, length):
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4) + 0.25
    words = ["x" * length, "the", "king"]
    write(path, words, vectors)
    assert_same_table(read(path), words, vectors)
    assert_same_table(read_vectors(path), words, vectors)
    loaded = load(path)
    assert_same_table((loaded.index_to_key, loaded.vectors), words, vectors)


def test_a_text_whose_first_word_is_an_address_is_not_taken_for_binary(path):
    address = "http://" + "a" * 69
    words, vectors = read_vectors(saved(path, f"2 2\n{address} 0.25 1.5\nking 0.75 2.5\n".encode()))
    assert words == [address, "king"] and vectors.tolist() == [[0.25, 1.5], [0.75, 2.5]]


# ---- what is written can be read -------------------------------------------

odd = st.characters(exclude_characters=" \t\n\v\f\r", exclude_categories=["Cs"]) | st.sampled_from(
    "\0\ufeff\u00a0\u2028\x85\x1f\x1c0123456789.-{" + "".join(map(chr, range(0xdc80, 0xdd00))))
odd_words = st.text(odd, min_size=1, max_size=9)


@st.composite
def odd_tables(draw):
    vocabulary = draw(st.lists(odd_words, min_size=1, max_size=5, unique=True))
    D = draw(st.integers(1, 6))
    n = len(vocabulary) * D
    numbers = draw(st.lists(bits | st.sampled_from([0x30303030, 0x312E3220, 0x2E313233]),
                            min_size=n, max_size=n))
    return vocabulary, np.array(numbers, np.uint32).view(np.float32).reshape(-1, D)


@pytest.mark.filterwarnings("ignore:.*not UTF-8")
@pytest.mark.parametrize("write, read", PAIRS)
@given(table=odd_tables())
@example(table=(["\ufeffa", "b"], np.ones((2, 2), np.float32)))
@example(table=(["a"], np.array([[0x34333231]], np.uint32).view(np.float32)))    # b"1234"
@example(table=(["\x1f\udc8b\x08"], np.ones((1, 2), np.float32)))                # gzip's
@example(table=(["\x01\0\0\0\0\0\0\0{"], np.ones((1, 2), np.float32)))           # safetensors'
@example(table=(["\udc80"], np.ones((1, 2), np.float32)))                        # a pickle's
def test_a_table_with_odd_words_is_refused_or_comes_back_bit_by_bit(path, write, read, table):
    try:
        write(path, *table)
    except ValueError as error:
        if "no UTF-8 form" not in str(error):
            assert_ambiguous(write, *table)
        return
    assert_same_table(read_vectors(path), *table)
    assert_same_table(read(path), *table)


@pytest.mark.filterwarnings("ignore:.*not UTF-8")
@given(table=odd_tables())
def test_the_words_of_fasttexts_text_come_back(path, table):
    words, vectors = table
    with contextlib.suppress(ValueError):          # no UTF-8 form
        write_vec(path, words, vectors)
        found, numbers = read_vectors(path)
        assert found == words
        np.testing.assert_allclose(numbers, vectors, rtol=5e-5, atol=2.0**-149)


def assert_ambiguous(write, words, vectors):
    """A table may be refused only if its file could be taken for another kind."""
    if write is write_glove_text:
        start = words[0].encode("utf-8", "surrogateescape")
        assert vectors.shape[1] == 1 or start[:1] in b"\x80\x1f" or b"\0" in start or (
            start[:3] == b"\xba\x16O")
    else:
        assert write is write_word2vec_binary and vectors.tobytes()[:4].isascii()


@with_each_writer
@pytest.mark.parametrize("word", ["half\ud83d", "\udcc3\udca9"])        # the second is é in bytes
def test_a_word_that_would_come_back_as_another_is_refused(path, write, word):
    with pytest.raises(ValueError, match="cannot write the word .*: it has no UTF-8 form"):
        write(path, ["a", word], VECTORS)


def test_one_dimension_is_refused_by_the_format_without_a_header(path):
    with pytest.raises(ValueError, match="expected at least 2 dimensions for GloVe's text format"):
        write_glove_text(path, ["a"], [[1]])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with a name")
@pytest.mark.parametrize("read", [read_vectors, read_bin])
def test_a_pipe_is_refused_by_its_name(tmp_path, read):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[C_BINARY])
    writer.start()
    with pytest.raises(FormatError, match="pipe: the file: expected a file, found a pipe"):
        read(pipe)
    writer.join()

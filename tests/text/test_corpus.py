"""A line is a sentence; reading a file in blocks changes no token and no reported position."""
import gzip
import io
import tracemalloc
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.errors import FormatError
from scratch_embed.text import corpus
from scratch_embed.text.corpus import (
    MAX_SENTENCE,
    read_blocks,
    read_lines,
    read_sentences,
    slices_at_spaces,
)
from tests.text.short_reads import ShortReads


@pytest.fixture
def file(tmp_path):
    def write(data, name="text"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name
    return write


def read(data, **options):
    return list(read_sentences(io.BytesIO(data), **options))


# ---- what a sentence is -----------------------------------------------------------------------

def test_a_line_is_a_sentence_and_white_space_separates_its_tokens():
    assert read(b"the  king\tsat\n\nthe queen\n") == [["the", "king", "sat"], ["the", "queen"]]


@pytest.mark.parametrize("data", [b"a b\nc", b"a b\nc\n", b"a b\r\nc\r\n", b"\xef\xbb\xbfa b\nc\n",
                                  b"\n a b \n\n\nc\n\n"])
def test_line_ends_blank_lines_and_a_byte_order_mark_change_nothing(data):
    assert read(data) == [["a", "b"], ["c"]]


def test_a_no_break_space_is_part_of_a_word_as_in_word2vec_c():
    assert read("a\u00a0b \u3000\n".encode()) == [["a\u00a0b", "\u3000"]]


@given(st.integers(0, 3 * MAX_SENTENCE))
def test_a_long_line_is_split_and_no_token_is_lost(n):
    tokens = [str(i) for i in range(n)]
    for sentences in (read(" ".join(tokens).encode()), list(read_sentences([tokens]))):
        assert [token for s in sentences for token in s] == tokens
        assert all(1 <= len(s) <= MAX_SENTENCE for s in sentences)
        assert len(sentences) == -(-n // MAX_SENTENCE)


@given(st.text("ab\u00e9\u65e5 \n\t", max_size=60), st.integers(3, 9))
def test_sentences_do_not_depend_on_how_much_is_read_at_a_time(text, read_size):
    assert list(read_sentences(ShortReads(text.encode(), read_size))) == read(text.encode())


def test_a_word_longer_than_a_block_is_not_split():
    word = "x" * (2 * corpus.READ_SIZE + 5)
    assert read(f"a {word} b".encode()) == [["a", word, "b"]]


def test_one_giant_line_is_read_a_block_at_a_time():
    """A str takes more than 40 bytes, so the 200,000 tokens of the line would take 8 million."""
    line = ShortReads(b"token " * 200_000, 1 << 12)
    tracemalloc.start()
    try:
        assert sum(map(len, read_sentences(line))) == 200_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


# ---- where text comes from --------------------------------------------------------------------

def test_paths_gzip_streams_standard_input_and_lists_give_the_same_sentences(file, stdin):
    data = "le café\nx\n".encode()
    path = file(data)
    stdin(data)
    sources = [path, str(path), file(gzip.compress(data), "packed"), open(path, "rb"),
               io.BytesIO(data), io.BytesIO(gzip.compress(data)), "-",
               [["le", "café"], ["x"]], iter([("le", "café"), ("x",)])]
    for source in sources:
        assert list(read_sentences(source)) == [["le", "café"], ["x"]], source


def test_an_open_file_is_left_open(file):
    with open(file(b"a\n"), "rb") as stream:
        list(read_sentences(stream))
        assert not stream.closed


@pytest.mark.parametrize("sentences", [["the king sat"], [["a"], "the king sat"], [b"the king"]])
def test_sentences_that_are_strings_are_refused(sentences):
    with pytest.raises(TypeError, match="expected a list of tokens, got the string"):
        list(read_sentences(sentences))


def test_a_file_open_as_text_is_refused():
    with pytest.raises(TypeError, match="mode 'rb'"):
        list(read_sentences(io.StringIO("a b")))


# ---- damaged text ------------------------------------------------------------------------------

@pytest.mark.parametrize("good, place", [
    (b"", "line 1, byte 2"), (b"fine\n", "line 2, byte 2 of it"),
    (b"caf\xc3\xa9 ", "line 1, byte 8"), (b"\xef\xbb\xbffine\n\n", "line 3, byte 2 of it")])
def test_bytes_that_are_not_utf8_are_named_by_line_and_byte(good, place):
    """The byte is counted from 0 in its line, by both readers."""
    with pytest.raises(FormatError, match=f"{place}.*iconv -f latin1 -t utf-8"):
        read(good + b"ab\xff\n")
    with pytest.raises(FormatError, match=place):
        list(read_lines(io.BytesIO(good + b"ab\xff\n")))


def test_the_offset_is_right_beyond_the_first_block():
    with pytest.raises(FormatError, match="line 1, byte 13"):
        list(read_sentences(ShortReads(b"aaa bbb cc dd\xff", 4)))


@given(st.lists(st.sampled_from([b"a", b" ", b"\n", "\u00e9".encode()]), max_size=30),
       st.integers(3, 9))
def test_line_and_offset_do_not_depend_on_how_much_is_read_at_a_time(parts, read_size):
    good = b"".join(parts)
    place = f"line {1 + good.count(10)}, byte {len(good) - good.rfind(10) - 1} of it:"
    with pytest.raises(FormatError, match=place):
        list(read_sentences(ShortReads(good + b"\xff rest\n", read_size)))


def test_bytes_that_are_not_utf8_can_be_replaced_or_ignored():
    assert read(b"a\xffb \xff\n", errors="replace") == [["a\ufffdb", "\ufffd"]]
    assert read(b"a\xffb \xff\n", errors="ignore") == [["ab"]]


@pytest.mark.parametrize("cut", range(3, 40))
def test_a_truncated_gzip_file_is_refused(file, cut):
    whole = gzip.compress(b"some words to pack\n" * 3, mtime=0)
    with pytest.raises(FormatError, match="gzip"):
        list(read_sentences(file(whole[:min(cut, len(whole) - 1)])))


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match="no/such/file"):
        list(read_sentences("no/such/file"))


# ---- lines --------------------------------------------------------------------------------------

def test_lines_keep_their_white_space_but_not_their_line_ends(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes("\ufeffa b \r\n\n\tc\u2028d".encode())
    assert list(read_lines(path)) == ["a b ", "", "\tc\u2028d"]


def test_a_line_that_is_not_utf8_is_named_replaced_or_ignored(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"a\nbc\xffd\n")
    with pytest.raises(FormatError, match="line 2, byte 2 of it: this is not UTF-8"):
        list(read_lines(path))
    assert list(read_lines(path, "replace")) == ["a", "bc\ufffdd"]
    assert list(read_lines(path, "ignore")) == ["a", "bcd"]


@pytest.mark.parametrize("read_all", [read_lines, read_sentences, read_blocks])
@pytest.mark.parametrize("data, errors, message", [
    (b"a\nb\xe9\xff\n\xe9\n", "replace", "3 bytes are not UTF-8 and were replaced by U.FFFD"),
    (b"a\nb\xe9\xff\n\xe9\n", "ignore", "3 bytes are not UTF-8 and were left out"),
    (b"a\xff", "replace", "1 byte is not UTF-8 and was replaced by U.FFFD"),
    ("é".encode(), "replace", None)])
def test_bytes_that_are_not_utf8_are_counted(read_all, data, errors, message, tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(data)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        list(read_all(path, errors))
    assert [str(warning.message) for warning in found] == ([] if message is None else [
        f"{path}: {message}".replace("U.", "U+")])


# ---- slices -------------------------------------------------------------------------------------

@given(st.text("ab \u00e9\u0301\n", max_size=40), st.integers(1, 9))
def test_slices_are_the_text_and_each_but_the_last_ends_after_a_space(text, size):
    parts = list(slices_at_spaces(text, size))
    assert "".join(parts) == text
    assert all(part.endswith(" ") and len(part) > size for part in parts[:-1])
    assert " " not in parts[-1][size:-1]

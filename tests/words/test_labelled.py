"""Labelled text as numbers equals a plain reading of every line."""
import gzip
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.errors import FormatError
from scratch_embed.words.labelled import read_labelled, read_texts

TOKENS = ["a", "b", "où", "日本", "__label__x", "__label__y", "__label__", "x__label__"]
lines_of_text = st.lists(st.tuples(st.lists(st.sampled_from(TOKENS), max_size=6),
                                   st.sampled_from([" ", "  ", "\t", "\0", " \r"])).map(
                                       lambda drawn: drawn[1].join(drawn[0])), max_size=8)
examples = lines_of_text.map(lambda lines: ["__label__x " + line for line in lines]).filter(len)


def spelled(text):
    """[(words, labels)] of each line, from the numbers back to strings."""
    words, labels = ([[names[i] for i in corpus.ids[first:end]]
                      for first, end in zip(corpus.offsets, corpus.offsets[1:])]
                     for names, corpus in ((text.words, text.tokens), (text.labels, text.targets)))
    return list(zip(words, labels))


def read_plainly(line):
    tokens = line.encode().replace(b"\0", b" ").split()
    tokens = [token.decode() for token in tokens]
    return ([token for token in tokens if not token.startswith("__label__")] + ["</s>"],
            [token for token in tokens if token.startswith("__label__")])


def test_two_lines_by_hand():
    text = read_labelled(["__label__b red red __label__a", "blue __label__b red"])
    assert text.words == ["red", "</s>", "blue"] and text.counts.tolist() == [3, 2, 1]
    assert text.tokens.ids.tolist() == [0, 0, 1, 2, 0, 1]
    assert text.tokens.offsets.tolist() == [0, 3, 6]
    assert text.labels == ["__label__b", "__label__a"] and text.label_counts.tolist() == [2, 1]
    assert text.targets.ids.tolist() == [0, 1, 0] and text.targets.offsets.tolist() == [0, 2, 3]


@given(lines_of_text)
def test_texts_are_read_as_a_plain_reading_reads_them(lines):
    assert spelled(read_texts(lines)) == [read_plainly(line) for line in lines]


@given(examples)
def test_a_file_is_read_as_its_lines_are(lines):
    data = "\n".join(lines).encode()
    want = read_labelled(lines)
    assert spelled(want) == [read_plainly(line) for line in lines]
    for file in (data, data + b"\n", b"\xef\xbb\xbf" + data, gzip.compress(data)):
        got = read_labelled(io.BytesIO(file))
        assert spelled(got) == spelled(want)
        assert (got.words, got.labels) == (want.words, want.labels)
        assert got.counts.tolist() == want.counts.tolist()


@given(examples)
def test_every_token_is_counted(lines):
    text = read_labelled(lines)
    np.testing.assert_array_equal(np.bincount(text.tokens.ids, minlength=len(text.words)),
                                  text.counts)
    np.testing.assert_array_equal(np.bincount(text.targets.ids, minlength=len(text.labels)),
                                  text.label_counts)


def test_a_line_is_not_cut_however_long_it_is_and_a_block_ends_where_it_may():
    lines = ["__label__x " + "a " * 2500, "__label__y " + "b" * (1 << 20), "__label__x c"]
    for source in (lines, io.BytesIO("\n".join(lines).encode())):
        text = read_labelled(source)
        assert np.diff(text.tokens.offsets).tolist() == [2501, 2, 2]
        assert np.diff(text.targets.offsets).tolist() == [1, 1, 1]


def test_more_lines_than_are_joined_to_one_block():
    lines = [f"__label__{i % 7} w{i}" for i in range(2345)]
    assert spelled(read_labelled(lines)) == [read_plainly(line) for line in lines]


def test_a_text_ends_at_a_line_end_that_is_written_in_it():
    assert spelled(read_texts(["a </s> b", "</s>", "a</s> b"])) == [
        (["a", "</s>"], []), (["</s>"], []), (["a</s>", "b", "</s>"], [])]


def test_blank_lines_are_no_examples_and_a_label_alone_is_one():
    text = read_labelled(io.BytesIO(b"\n__label__x a\n\n \t\n__label__y\n\n"))
    assert spelled(text) == [(["a", "</s>"], ["__label__x"]), (["</s>"], ["__label__y"])]


def test_bytes_that_are_not_utf8_are_refused_with_their_place_or_replaced():
    data = b"__label__x a\n__label__x \xff\n"
    with pytest.raises(FormatError, match="line 2, byte 24"):
        read_labelled(io.BytesIO(data))
    assert "\ufffd" in read_labelled(io.BytesIO(data), errors="replace").words


@pytest.mark.parametrize("lines, message", [
    (["__label__x a", "", "b c"], "line 3 has no label: .*its first word is 'b'"),
    (["_label_x a"], "line 1 has no label"),
    ([], "found none: is the file empty"),
    (["", " "], "found none: is the file empty"),
    (["__label__x a\nb"], "text 1: expected one line, got a line break"),
    (["__label__x a", "\ud800"], "cannot be written as UTF-8"),
])
def test_what_is_no_example_is_an_error_that_names_the_line(lines, message):
    with pytest.raises(ValueError, match=message):
        read_labelled(lines)
    if "\n" not in "".join(lines) and "\ud800" not in lines:
        with pytest.raises(ValueError, match=message):
            read_labelled(io.BytesIO("\n".join(lines).encode()))


def test_tokens_where_a_text_is_expected_are_refused():
    with pytest.raises(TypeError, match="text 2: expected a str, got list"):
        read_texts(["a", ["b"]])

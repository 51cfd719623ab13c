"""Labelled text: the index numbers give back the words and labels of every line."""
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


def as_strings(text):
    """[(words, labels)] of each line, from the numbers back to strings."""
    words, labels = ([[names[i] for i in corpus.ids[first:end]]
                      for first, end in zip(corpus.offsets, corpus.offsets[1:])]
                     for names, corpus in ((text.words, text.tokens), (text.labels, text.targets)))
    return list(zip(words, labels))


def split_line(line):
    """(words, labels) of one line, by str.split."""
    tokens = line.encode().replace(b"\0", b" ").split()
    tokens = [token.decode() for token in tokens]
    return ([token for token in tokens if not token.startswith("__label__")] + ["</s>"],
            [token for token in tokens if token.startswith("__label__")])


def test_two_lines_worked_by_hand():
    text = read_labelled(["__label__b red red __label__a", "blue __label__b red"])
    assert text.words == ["red", "</s>", "blue"] and text.counts.tolist() == [3, 2, 1]
    assert text.tokens.ids.tolist() == [0, 0, 1, 2, 0, 1]
    assert text.tokens.offsets.tolist() == [0, 3, 6]
    assert text.labels == ["__label__b", "__label__a"] and text.label_counts.tolist() == [2, 1]
    assert text.targets.ids.tolist() == [0, 1, 0] and text.targets.offsets.tolist() == [0, 2, 3]


@given(lines_of_text)
def test_read_texts_equals_splitting_every_line(lines):
    assert as_strings(read_texts(lines)) == [split_line(line) for line in lines]


@given(examples)
def test_a_file_gives_the_same_as_its_lines(lines):
    data = "\n".join(lines).encode()
    want = read_labelled(lines)
    assert as_strings(want) == [split_line(line) for line in lines]
    for file in (data, data + b"\n", b"\xef\xbb\xbf" + data, gzip.compress(data)):
        got = read_labelled(io.BytesIO(file))
        assert as_strings(got) == as_strings(want)
        assert (got.words, got.labels) == (want.words, want.labels)
        assert got.counts.tolist() == want.counts.tolist()


@given(examples)
def test_every_token_is_counted(lines):
    text = read_labelled(lines)
    np.testing.assert_array_equal(np.bincount(text.tokens.ids, minlength=len(text.words)),
                                  text.counts)
    np.testing.assert_array_equal(np.bincount(text.targets.ids, minlength=len(text.labels)),
                                  text.label_counts)


def test_a_line_of_any_length_is_read_whole():
    lines = ["__label__x " + "a " * 2500, "__label__y " + "b" * (1 << 20), "__label__x c"]
    for source in (lines, io.BytesIO("\n".join(lines).encode())):
        text = read_labelled(source)
        assert np.diff(text.tokens.offsets).tolist() == [2501, 2, 2]
        assert np.diff(text.targets.offsets).tolist() == [1, 1, 1]


def test_the_lines_of_several_blocks_are_read():
    lines = [f"__label__{i % 7} w{i}" for i in range(2345)]
    assert as_strings(read_labelled(lines)) == [split_line(line) for line in lines]


def test_a_line_ends_at_a_literal_end_of_line_token():
    assert as_strings(read_texts(["a </s> b", "</s>", "a</s> b"])) == [
        (["a", "</s>"], []), (["</s>"], []), (["a</s>", "b", "</s>"], [])]


def test_blank_lines_are_skipped_and_a_label_alone_is_an_example():
    text = read_labelled(io.BytesIO(b"\n__label__x a\n\n \t\n__label__y\n\n"))
    assert as_strings(text) == [(["a", "</s>"], ["__label__x"]), (["</s>"], ["__label__y"])]


def test_bytes_that_are_not_utf8_are_an_error_with_their_place_or_replaced():
    data = b"__label__x a\n__label__x \xff\n"
    with pytest.raises(FormatError, match="line 2, byte 11 of it"):
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
def test_the_error_names_the_line_that_is_not_an_example(lines, message):
    with pytest.raises(ValueError, match=message):
        read_labelled(lines)
    if "\n" not in "".join(lines) and "\ud800" not in lines:
        with pytest.raises(ValueError, match=message):
            read_labelled(io.BytesIO("\n".join(lines).encode()))


def test_a_list_of_tokens_in_place_of_a_text_is_rejected():
    with pytest.raises(TypeError, match="text 2: expected a str, got list"):
        read_texts(["a", ["b"]])

"""Scored pairs are read from tabs and from CSV; a malformed line is named."""
import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.scored_pairs import read_scored_pairs
from scratch_embed.numerics.errors import FormatError

TABS = "A man, dancing.\tA \"man\" dances.\t4.5\n\nA cat\tA dog\t0\n"
CSV = '"A man, dancing.","A ""man"" dances.",4.5\n\nA cat,A dog,0\n'
FOUND = (["A man, dancing.", "A cat"], ['A "man" dances.', "A dog"], [4.5, 0.0])


@pytest.mark.parametrize("text", [TABS, CSV, "sentence1\tsentence2\tscore\n" + TABS,
                                  "sentence1,sentence2,score\n" + CSV, "\ufeff" + CSV,
                                  CSV.replace("\n", "\r\n")])
def test_both_formats_with_and_without_a_header(text, tmp_path):
    (tmp_path / "pairs").write_bytes(text.encode())
    (tmp_path / "pairs.gz").write_bytes(gzip.compress(text.encode()))
    for name in "pairs", "pairs.gz":
        assert read_scored_pairs(tmp_path / name) == FOUND


def test_a_quoted_field_may_contain_a_line_end(tmp_path):
    (tmp_path / "pairs").write_text('"two\nlines",b,1\nc,d,x\n')
    with pytest.raises(FormatError, match="line 3: expected a number as the score, found 'x'"):
        read_scored_pairs(tmp_path / "pairs")
    (tmp_path / "pairs").write_text('"two\nlines",b,1\n')
    assert read_scored_pairs(tmp_path / "pairs").first == ["two\nlines"]


def test_a_header_is_noted_and_a_score_gone_wrong_is_not_a_header(tmp_path):
    (tmp_path / "pairs").write_text("a cat\tthe cat\thigh\na\tb\t1\n")
    notes = []
    assert read_scored_pairs(tmp_path / "pairs", note=notes.append).scores == [1]
    assert notes == ["line 1 is taken for a header: 'a cat', 'the cat', 'high'"]
    for score in "4,5", "-1,2", "3 of 5", "nan", "inf", "":
        (tmp_path / "pairs").write_text(f"a cat\tthe cat\t{score}\na\tb\t1\n")
        with pytest.raises(FormatError, match=f"line 1: expected a number .* found '{score}'"):
            read_scored_pairs(tmp_path / "pairs")


@pytest.mark.parametrize("text, message", [
    ("a\tb\t1\nc\td\n", "line 2: .*found 2 fields"), ("a,b,c,1\n", "line 1: .*found 4 fields"),
    ("a\tb\t1\nc\td\tnan\n", "line 2: expected a number as the score, found 'nan'"),
    ("a\tb\t1\n\td\t2\n", "line 2: expected two sentences"), ("", "found none"),
    ("first\tsecond\tscore\n", "found none"), ("\n\n", "found none"),
    ('a,b,1\n"c,d,2\n', "expected CSV"), ("just a text\nof two lines\n", "found 1 field")])
def test_a_malformed_line_is_named(text, message, tmp_path):
    (tmp_path / "pairs").write_text(text)
    with pytest.raises(FormatError, match=message):
        read_scored_pairs(tmp_path / "pairs")


def test_a_score_that_the_caller_does_not_allow_is_named_with_what_it_expects(tmp_path):
    (tmp_path / "pairs").write_text("first\tsecond\tscore\na\tb\t1\n\nc\td\t2\n")
    assert read_scored_pairs(tmp_path / "pairs", valid=lambda y: y < 3).scores == [1, 2]
    with pytest.raises(FormatError, match="line 4: expected 0 or 1 as the score, found '2'"):
        read_scored_pairs(tmp_path / "pairs", valid=lambda y: y in (0, 1), expected="0 or 1")


def test_bytes_that_are_not_utf_8_are_an_error_or_are_replaced(tmp_path):
    (tmp_path / "pairs").write_bytes(b"caf\xe9\tcoffee\t5\n")
    with pytest.raises(FormatError, match="line 1"):
        read_scored_pairs(tmp_path / "pairs")
    assert read_scored_pairs(tmp_path / "pairs", "replace").first == ["caf\ufffd"]


sentences = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).map(
    str.strip).filter(bool)


@given(st.lists(st.tuples(sentences, sentences, st.floats(0, 5)), min_size=1))
def test_pairs_that_the_csv_module_writes_are_read_back(pairs):
    stream = io.StringIO()
    csv.writer(stream).writerows(pairs)
    found = read_scored_pairs(io.BytesIO(b"\n" + stream.getvalue().encode()))
    assert list(zip(*found)) == pairs

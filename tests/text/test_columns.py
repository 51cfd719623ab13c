"""Columns of texts; a line with more or fewer fields than the first is refused by number."""
import gzip

import pytest

from scratch_embed.numerics.errors import FormatError
from scratch_embed.text.columns import read_columns


@pytest.fixture
def path(tmp_path):
    return tmp_path / "pairs.tsv"


def test_columns_worked_by_hand(path):
    path.write_bytes("\ufeffa cat\tthe cat \r\n\n b\tc d\n \t \n".encode())
    assert read_columns(path) == [["a cat", "b"], ["the cat", "c d"]]
    path.write_bytes(gzip.compress(b"a\tb\tc\n"))
    assert read_columns(path, 2, 3) == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize("text, line, message", [
    ("a\tb\na\n", 2, "expected 2 texts with tabs between them, found 1"),
    ("a\tb\tc\n\na\tb\n", 3, "expected 3 texts with tabs between them, found 2"),
    ("a\tb\na\tb\tc\n", 2, "expected 2 texts with tabs between them, found 3"),
    ("a\n", 1, "expected 2 to 3 texts with tabs between them, found 1"),
    ("a\tb\tc\td\n", 1, "expected 2 to 3 texts with tabs between them, found 4"),
    ("a\tb\na\t \n", 2, "found nothing"), ("a\t\tb\n", 1, "found nothing")])
def test_missing_extra_or_blank_texts_are_refused_by_line(path, text, line, message):
    path.write_text(text)
    with pytest.raises(FormatError, match=f"pairs.tsv: line {line}: .*{message}"):
        read_columns(path, 2, 3)


def test_two_columns_are_expected_by_default(path):
    path.write_text("a\tb\tc\n")
    with pytest.raises(FormatError, match="expected 2 texts with tabs between them, found 3"):
        read_columns(path)


def test_a_file_of_blank_lines_is_refused(path):
    path.write_text("\n \t \n")
    with pytest.raises(FormatError, match="expected texts with tabs between them, found none"):
        read_columns(path)


@pytest.mark.parametrize("header", ["query\tpositive", "Question\tanswer", "sentence1\tsentence2",
                                    "anchor\tpositive\tnegative", "query\tpassage\tNegative_1"])
def test_the_usual_names_of_columns_are_a_header_which_is_noted(header, path):
    width, notes = header.count("\t") + 1, []
    path.write_text(f"\n{header}\n" + "\t".join("abc"[:width]) + "\n")
    assert read_columns(path, 2, 3, note=notes.append) == [[text] for text in "abc"[:width]]
    (note,) = notes
    assert note.startswith("line 2 is taken for a header: '")
    path.write_text(header)
    with pytest.raises(FormatError, match="found none"):
        read_columns(path, 2, 3)


@pytest.mark.parametrize("first", ["positive\tquery", "query\tthe positive", "a question\tanswer"])
def test_other_first_lines_are_examples(first, path):
    path.write_text(f"{first}\nquery\tpositive\n")
    assert read_columns(path)[0] == [first.split("\t")[0], "query"]

"""Files are written and read without loss; an error names a line that trec_eval would misread."""
import gzip
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.ranking import order
from scratch_embed.evaluate.trec import read_qrels, read_run, write_qrels, write_run
from scratch_embed.numerics.errors import FormatError

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5).filter(
    lambda w: w.encode().split() == [w.encode()] and w[0] not in "#\ufeff")
numbers = st.floats(allow_nan=False)


def tables(values):
    return st.dictionaries(words, st.dictionaries(words, values, min_size=1), min_size=1)


def saved(path, text):
    """Write the text or bytes to the path.  -> the path"""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# ---- read and write -----------------------------------------------------------------------------

def test_files_worked_by_hand(tmp_path):
    qrels = saved(tmp_path / "qrels", "# topics 301 to 302\n301 0 FBIS3-1 1\n\n301\t0\tB -1\r\n"
                                      "  302 0 FBIS3-1 +2")
    assert read_qrels(qrels) == {"301": {"FBIS3-1": 1, "B": -1}, "302": {"FBIS3-1": 2}}
    run = saved(tmp_path / "run", "2 Q0 b 1 0.5 me\n1 Q0 a 7 -1e-3 me and more\n2 Q0 c 9 inf me\n")
    assert read_run(run) == {"2": {"b": 0.5, "c": math.inf}, "1": {"a": -0.001}}
    assert list(read_run(run)) == ["2", "1"]


def test_a_run_is_written_best_first(tmp_path):
    write_run(tmp_path / "run", {"1": {"a": 0.1, "b": 0.1, "c": 2}, "none": {}}, "bm25")
    assert (tmp_path / "run").read_text() == (
        "1 Q0 c 1 2.0 bm25\n1 Q0 b 2 0.1 bm25\n1 Q0 a 3 0.1 bm25\n")


@given(qrels=tables(st.integers(-2**52, 2**52)))
def test_written_qrels_are_read_back(tmp_path_factory, qrels):
    path = tmp_path_factory.mktemp("q") / "qrels"
    write_qrels(path, qrels)
    assert read_qrels(path) == qrels


@given(run=tables(numbers))
def test_a_written_run_is_read_back_bit_for_bit_and_best_first(tmp_path_factory, run):
    path = tmp_path_factory.mktemp("r") / "run"
    write_run(path, run)
    found = read_run(path)
    assert found == run
    assert [list(row) for row in found.values()] == [order(row) for row in run.values()]


def test_gzip_and_a_byte_order_mark_are_read(tmp_path):
    text = b"\xef\xbb\xbf1 0 a 1\n"
    assert read_qrels(saved(tmp_path / "qrels.gz", gzip.compress(text))) == {"1": {"a": 1}}


def test_only_ascii_white_space_separates_fields(tmp_path):
    assert read_qrels(saved(tmp_path / "qrels", "1 0 a\u3000b\xa0c 1\n")) == {
        "1": {"a\u3000b\xa0c": 1}}


# ---- invalid files and names ------------------------------------------------------------------

@pytest.mark.parametrize("line, problem", [
    ("1 0 b", "expected 4 fields, query iteration document gain, found 3"),
    ("1 0 b 1 x", "found 5"), ("1 0 b 1.5", "expected a whole number as the gain, found '1.5'"),
    ("1 0 b high", "found 'high'"), ("1 0 b 1_0", "found '1_0'"), ("1 0 b \u0661", "found"),
    ("1 0 b nan", "found 'nan'"), ("1 0 a 2", "found 'a' a second time for '1'"),
    (b"1 0 \xff 1", "expected UTF-8")])
def test_an_error_names_the_malformed_line_of_qrels(tmp_path, line, problem):
    line = line if isinstance(line, bytes) else line.encode()
    path = saved(tmp_path / "qrels", b"# first\n1 0 a 1\n" + line + b"\n1 0 z 1\n")
    with pytest.raises(FormatError, match=f"qrels: line 3: .*{problem}"):
        read_qrels(path)


@pytest.mark.parametrize("line, problem", [
    ("1 Q0 b 2 0.5", "expected 6 fields, query Q0 document rank score name, found 5"),
    ("1 Q0 b 2 nan me", "expected a number as the score, found 'nan'"),
    ("1 Q0 b 2 0,5 me", "found '0,5'"), ("1 Q0 b 2 1_0 me", "found '1_0'"),
    ("1 Q0 a 2 0.5 me", "found 'a' a second time for '1'")])
def test_an_error_names_the_malformed_line_of_a_run(tmp_path, line, problem):
    path = saved(tmp_path / "run", f"1 Q0 a 1 1.0 me\n{line}\n")
    with pytest.raises(FormatError, match=f"run: line 2: .*{problem}"):
        read_run(path)


def test_a_file_without_lines_is_refused(tmp_path):
    for read, what in (read_qrels, "judgements"), (read_run, "results"):
        with pytest.raises(FormatError, match=f"the whole file: expected lines of {what}"):
            read(saved(tmp_path / "empty", "\n# nothing\n"))


@pytest.mark.parametrize("name", ["", "a b", "a\n", "\ta", " "])
def test_a_name_that_is_not_one_field_is_refused_and_the_old_file_is_kept(tmp_path, name):
    path = saved(tmp_path / "run", "old")
    for table in {name: {"a": 1}}, {"1": {"a": 1, name: 1}}:
        for write in write_run, write_qrels:
            with pytest.raises(ValueError, match="rename it"):
                write(path, table)
    with pytest.raises(ValueError, match="rename it"):
        write_run(path, {"1": {"a": 1.0}}, name)
    with pytest.raises(ValueError, match="comment"):
        write_run(path, {"#1": {"a": 1.0}})
    assert path.read_text() == "old"


@pytest.mark.parametrize("gain", [0.5, math.nan, math.inf])
def test_fractional_gains_and_nan_are_refused_and_no_file_is_written(tmp_path, gain):
    with pytest.raises(ValueError, match="query '1', document 'a': expected a whole number"):
        write_qrels(tmp_path / "qrels", {"1": {"a": gain}})
    with pytest.raises(ValueError, match="nan"):
        write_run(tmp_path / "run", {"1": {"a": math.nan}})
    assert list(tmp_path.iterdir()) == []

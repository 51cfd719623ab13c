"""Collections are read and written without loss; an error names the malformed line."""
import gzip
import json
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.collection import (
    Collection,
    read_collection,
    read_judgements,
    read_texts,
    write_collection,
)
from scratch_embed.evaluate.trec import read_qrels
from scratch_embed.numerics.errors import FormatError

names = st.text(st.characters(codec="utf-8", exclude_characters="\t\r\n"), min_size=1, max_size=5)
texts = st.dictionaries(names, st.text(st.characters(codec="utf-8")).map(str.strip), min_size=1,
                        max_size=5)


def saved(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# ---- texts --------------------------------------------------------------------------------------

def test_texts_in_beirs_json_format(tmp_path):
    path = saved(tmp_path / "corpus.jsonl", '\ufeff{"_id": "d1", "title": "Boats", "text": "a ship"'
                 ', "metadata": {"url": 1}}\r\n\n{"text": "\\u00fcber\\tall", "_id": "2"}\n'
                 '{"_id": "d3", "title": "", "text": ""}')
    assert read_texts(path) == {"d1": "Boats a ship", "2": "über\tall", "d3": ""}
    assert list(read_texts(path)) == ["d1", "2", "d3"]


def test_a_tab_separates_id_and_text(tmp_path):
    path = saved(tmp_path / "queries.tsv", "q 1\twhere is\tit? \n\nq2\t\n")
    assert read_texts(path) == {"q 1": "where is\tit? ", "q2": ""}


def test_gzip_is_read(tmp_path):
    assert read_texts(saved(tmp_path / "x.gz", gzip.compress(b"a\tb\n"))) == {"a": "b"}


@pytest.mark.parametrize("line, problem", [
    ('{"_id": "b", "text": "x"', "expected a JSON object in UTF-8, found a syntax error"),
    ("[1]", "expected a JSON object"), ("b\tx", "expected a JSON object"),
    ("[" * 100_000, "expected a JSON object"),
    ('{"_id": "b", "text": "\\ud800"}', "field 'text': expected a string of Unicode text"),
    ('{"_id": 7, "text": "x"}', "field '_id': expected a string .*, found 7"),
    ('{"id": "b", "text": "x"}', "field '_id': expected a string .*, found no such field among"),
    ('{"_id": "b"}', "field 'text': expected a string .*, found no such field"),
    ('{"_id": "b", "text": "x", "title": null}', "field 'title': expected a string .*, found"),
    ('{"_id": "", "text": "x"}', "field '_id': expected an id, found an empty one"),
    ('{"_id": "a", "text": "x"}', "expected each id once, found 'a' a second time")])
def test_an_error_names_the_malformed_json_line(tmp_path, line, problem):
    path = saved(tmp_path / "corpus", f'{{"_id": "a", "text": "x"}}\n\n{line}\n')
    with pytest.raises(FormatError, match=f"corpus: line 3(: .*|, ){problem}") as found:
        read_texts(path)
    assert len(str(found.value)) < 400


@pytest.mark.parametrize("line, problem", [
    ("b x", "expected id <tab> text, found 'b x'"), ("\tx", "expected id <tab> text"),
    ("a\ty", "expected each id once, found 'a' a second time")])
def test_an_error_names_the_malformed_line_with_tabs(tmp_path, line, problem):
    with pytest.raises(FormatError, match=f"texts: line 2: {problem}"):
        read_texts(saved(tmp_path / "texts", f"a\tx\n{line}\n"))


def test_bytes_that_are_not_utf8_are_an_error_or_are_replaced(tmp_path):
    path = saved(tmp_path / "texts", b"a\tx\nb\t\xfc\n")
    with pytest.raises(FormatError, match="texts: line 2, byte 2 of it: this is not UTF-8"):
        read_texts(path)
    assert read_texts(path, errors="replace") == {"a": "x", "b": "\ufffd"}


def test_files_without_lines_are_refused(tmp_path):
    for read in read_texts, read_judgements:
        for text in "", "\n \n":
            with pytest.raises(FormatError, match="the whole file: expected .* found none"):
                read(saved(tmp_path / "empty", text))
    for text in "query-id\tcorpus-id\tscore\n", "# TREC\n":
        with pytest.raises(FormatError, match="expected judgements, found none"):
            read_judgements(saved(tmp_path / "empty", text))


# ---- judgements ---------------------------------------------------------------------------------

@pytest.mark.parametrize("header", ["", "query-id\tcorpus-id\tscore\n", "q\td\tScore\r\n"])
def test_judgements_in_beirs_format_with_and_without_a_header(tmp_path, header):
    path = saved(tmp_path / "qrels.tsv", header + "#1\td 1\t2\r\n\n#1\td2\t-1\n2\td 1\t0")
    assert read_judgements(path) == {"#1": {"d 1": 2, "d2": -1}, "2": {"d 1": 0}}


@pytest.mark.parametrize("text", ["# topics\n1 0 a 1\n1\t0\tb\t-2\n", "1\t0\ta\t1\n\n 1 0 b -2"])
def test_judgements_in_trecs_format_equal_those_of_read_qrels(tmp_path, text):
    path = saved(tmp_path / "qrels", text)
    assert read_judgements(path) == read_qrels(path) == {"1": {"a": 1, "b": -2}}


@pytest.mark.parametrize("line, problem", [
    ("1\tb", "expected 3 fields between tabs, query document gain, found '1\\\\tb'"),
    ("1 0 b 1", "expected 3 fields"), ("1\t\t1", "expected 3 fields"),
    ("1\tb\thigh", "expected a whole number as the gain, found 'high'"),
    ("1\tb\t1.0", "found '1.0'"), ("1\ta\t1", "found 'a' a second time for '1'"),
    ("query-id\tcorpus-id\tscore", "found 'score'")])
def test_an_error_names_the_malformed_judgement_in_beirs_format(tmp_path, line, problem):
    with pytest.raises(FormatError, match=f"qrels: line 2: .*{problem}"):
        read_judgements(saved(tmp_path / "qrels", f"1\ta\t1\n{line}\n"))


@pytest.mark.parametrize("line", ["hello", "q1 d1 1", "q1\td1", "a b c d e", "q1\td1\t1\tx y"])
def test_a_file_that_is_in_no_format_of_judgements_is_told_both(tmp_path, line):
    with pytest.raises(FormatError, match="line 1: expected query <tab> document <tab> gain, or "
                                          "TREC's query iteration document gain, found '"):
        read_judgements(saved(tmp_path / "qrels", f"{line}\n"))


@pytest.mark.parametrize("line", ["1\tb\t1", "1 0 b"])
def test_an_error_names_the_malformed_judgement_in_trecs_format(tmp_path, line):
    with pytest.raises(FormatError, match="line 2: expected 4 fields, query iteration document"):
        read_judgements(saved(tmp_path / "qrels", f"1 0 a 1\n{line}\n"))


# ---- a whole collection -------------------------------------------------------------------------

def saved_collection(tmp_path, documents="d1\tx\nd2\ty\n", queries="q1\tx\nq2\ty\nq3\tz\n",
          qrels="q2\td1\t1\nq1\td2\t0\n"):
    return [saved(tmp_path / name, text)
            for name, text in (("docs", documents), ("queries", queries), ("qrels", qrels))]


def test_queries_without_judgements_are_left_out_and_the_order_is_that_of_the_judgements(tmp_path):
    found = read_collection(*saved_collection(tmp_path))
    assert found == ({"d1": "x", "d2": "y"}, {"q2": "y", "q1": "x"},
                     {"q2": {"d1": 1}, "q1": {"d2": 0}})
    assert list(found.queries) == ["q2", "q1"]


def test_files_of_different_collections_are_refused(tmp_path):
    with pytest.raises(FormatError, match="qrels: query 'q9': expected a text for it in .*queries, "
                                          "found none among 3 queries"):
        read_collection(*saved_collection(tmp_path, qrels="q9\td1\t1\n"))
    with pytest.raises(FormatError, match="qrels: document 'e1': expected it in .*docs, found "
                                          "neither it nor any other judged document among 2"):
        read_collection(*saved_collection(tmp_path, qrels="q1\te2\t1\nq1\te1\t1\n"))


def test_a_judged_document_without_a_text_causes_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="1 of 2 judged documents, the first 'e1', are not in"):
        found = read_collection(*saved_collection(tmp_path, qrels="q1\te1\t1\nq1\td1\t1\n"))
    assert found.qrels == {"q1": {"e1": 1, "d1": 1}}


@given(texts, texts, st.data())
def test_a_written_collection_is_read_back(tmp_path_factory, documents, queries, data):
    gains = st.dictionaries(st.sampled_from(list(documents)), st.integers(-9, 9), min_size=1)
    qrels = {query: data.draw(gains) for query in queries}
    collection = Collection(documents, queries, qrels)
    paths = write_collection(tmp_path_factory.mktemp("c") / "new", collection)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_collection(*paths) == collection


def test_the_files_are_in_beirs_format(tmp_path):
    corpus, queries, qrels = write_collection(tmp_path, Collection({"d": "x"}, {"q": "y"},
                                                                   {"q": {"d": 2}}))
    assert json.loads(corpus.read_text()) == {"_id": "d", "title": "", "text": "x"}
    assert json.loads(queries.read_text()) == {"_id": "q", "text": "y"}
    assert qrels.read_text() == "query-id\tcorpus-id\tscore\nq\td\t2\n"


@pytest.mark.parametrize("name", ["", "a\tb", "a\n"])
def test_an_id_that_would_break_a_line_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(ValueError, match="rename it"):
        write_collection(tmp_path / "new", Collection({name: "x"}, {"q": "y"}, {"q": {name: 1}}))
    assert not (tmp_path / "new").exists()

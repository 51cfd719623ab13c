"""neighbours: of texts, rows and vectors, in an index with and without its texts."""
import json

import numpy as np
import pytest

from scratch_embed.retrieve.index import Index
from scratch_embed.words.vectors import WordVectors

VECTORS = np.float32([[0, 1], [0.6, 0.8], [1, 0], [0.8, 0.6]])
WORDS = ["cat", "dog", "ship", "boat"]


@pytest.fixture
def files(tmp_path, run):
    """(index of lines 1, 3, 4 and 5; an Index of the same vectors with names; the model)."""
    (tmp_path / "texts").write_text("a cat\n\na dog\na ship\na boat\n")
    WordVectors(WORDS, VECTORS).save(tmp_path / "w.vec")
    assert run("index", tmp_path / "texts", "-o", tmp_path / "t.index", "--model",
               tmp_path / "w.vec")[0] == 0
    Index.from_vectors(VECTORS, WORDS).save(tmp_path / "rows.index")
    return tmp_path / "t.index", tmp_path / "rows.index", tmp_path / "w.vec"


def test_the_neighbours_of_a_row_do_not_include_the_row(files, run):
    """Cosines with cat: dog 0.8, boat 0.6, ship 0."""
    texts, rows, _ = files
    assert run("neighbours", texts, "--rows", 1, "-k", 2)[:2] == (
        0, "1\t1\t0.8000\t3\ta dog\n1\t2\t0.6000\t5\ta boat\n")
    assert run("neighbours", rows, "--rows", "cat", "ship", "-k", 1)[:2] == (
        0, "cat\t1\t0.8000\tdog\nship\t1\t0.8000\tboat\n")


def test_a_text_is_encoded_by_the_model_of_the_index_or_a_given_one(files, run):
    texts, rows, model = files
    assert run("neighbours", texts, "ship", "-k", 2)[:2] == (
        0, "ship\t1\t1.0000\t4\ta ship\nship\t2\t0.8000\t5\ta boat\n")
    assert run("neighbours", rows, "ship", "--model", model, "-k", 1)[:2] == (
        0, "ship\t1\t1.0000\tship\n")
    code, _, err = run("neighbours", rows, "ship")
    assert code == 1 and "give --model" in err
    code, out, err = run("neighbours", texts, "unheard-of")
    assert (code, out) == (1, "")
    assert err == "scratch-embed: 'unheard-of' has no neighbours: w.vec knows none of its words\n"


def test_vectors_are_read_as_encode_writes_them(files, tmp_path, run, stdin):
    _, rows, _ = files
    expected = "1\t1\t1.0000\tship\n2\t1\t1.0000\tcat\n"
    np.save(tmp_path / "v.npy", np.float32([[2, 0], [0, 3]]))
    assert run("neighbours", rows, "--vector-file", tmp_path / "v.npy", "-k", 1)[1] == expected
    stdin("2 0\n0 3\n")
    assert run("neighbours", rows, "--vector-file", "-", "-k", 1)[:2] == (0, expected)
    stdin((tmp_path / "v.npy").read_bytes())
    assert run("neighbours", rows, "--vector-file", "-", "-k", 1)[:2] == (0, expected)
    np.save(tmp_path / "v.npy", np.float32([0, 1]))                       # a single vector
    single = run("neighbours", rows, "--vector-file", tmp_path / "v.npy", "-k", 1)
    assert single[1] == "1\t1\t1.0000\tcat\n"


def test_a_query_without_neighbours_is_named_and_the_others_are_answered(files, tmp_path, run):
    """As `similar` does: of texts, of rows and of vectors; the exit code is 1."""
    texts, _, model = files
    code, out, err = run("neighbours", texts, "ship", "metro", "xyzzy", "-k", 1)
    assert (code, out) == (1, "ship\t1\t1.0000\t4\ta ship\n")
    assert "w.vec: 1 of 3 words of the queries are known" in err and err.endswith(
        "scratch-embed: 'metro' has no neighbours: w.vec knows none of its words\n"
        "scratch-embed: 'xyzzy' has no neighbours: w.vec knows none of its words\n")
    Index.from_vectors(np.eye(2), ["a", "b"]).save(tmp_path / "rows.index")
    np.save(tmp_path / "v.npy", np.float32([[0, 0], [0, 3]]))
    code, out, err = run("neighbours", tmp_path / "rows.index", "--vector-file",
                         tmp_path / "v.npy", "-k", 1)
    assert (code, out) == (1, "2\t1\t1.0000\tb\n")
    assert "1 has no neighbours: its vector is zero" in err
    code, _, err = run("neighbours", tmp_path / "rows.index", "ship", "--model", model)
    assert code == 0 and "deduced from the vocabulary)" in err and "--tokenizer" not in err


def test_json(files, run):
    texts, rows, _ = files
    first, second = run("neighbours", texts, "ship", "--rows", 3, "-k", 1, "--json")[1].splitlines()
    assert json.loads(first)["query"] == 3 and json.loads(second)["query"] == "ship"
    assert json.loads(second)["results"] == [{"rank": 1, "score": 1.0, "id": 4, "text": "a ship"}]
    found = json.loads(run("neighbours", rows, "--rows", "dog", "-k", 1, "--json")[1])
    assert list(found["results"][0]) == ["rank", "score", "id"]


def test_k_larger_than_the_index_gives_all_rows(files, run):
    _, rows, _ = files
    assert len(run("neighbours", rows, "--rows", "cat", "-k", 99)[1].splitlines()) == 3


@pytest.mark.parametrize("arguments, code, message", [
    ([], 2, "give a QUERY"), (["--rows", "bird"], 1, "expected the id of one of 4 rows"),
    (["--vector-file", "{folder}/three"], 1, "line 1: expected 2 numbers"),
    (["--vector-file", "{folder}/words"], 1, "expected 2 numbers"),
    (["--vector-file", "{folder}/wide.npy"], 1, r"shape (N, 2)"),
    (["--vector-file", "{folder}/cut.npy"], 1, "found damage"),
    (["ship", "--model", "{folder}/wide.vec"], 1, "dimensions")])
def test_wrong_arguments(arguments, code, message, files, tmp_path, run):
    (tmp_path / "three").write_text("1 2 3\n")
    (tmp_path / "words").write_text("one two\n")
    np.save(tmp_path / "wide.npy", np.ones((2, 3)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "wide.npy").read_bytes()[:-8])
    WordVectors(["ship"], np.ones((1, 3))).save(tmp_path / "wide.vec")
    found, out, err = run("neighbours", files[1],
                          *(part.format(folder=tmp_path) for part in arguments))
    assert (found, out) == (code, "") and message in err


def test_another_file_than_an_index_is_refused(files, run):
    code, _, err = run("neighbours", files[2], "--rows", 1)
    assert code == 1 and "found word vectors" in err

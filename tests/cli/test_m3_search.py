"""index and search with BGE-M3: all kinds of scores, some of them, and their weights."""
import json
import os
import shutil

import numpy as np
import pytest

from scratch_embed.loading import load
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.hybrid import reciprocal_rank_fusion
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.sentences.bge_m3 import BgeM3
from scratch_embed.sentences.bge_m3_scores import hybrid_scores
from scratch_embed.sentences.encoder import SentenceEncoder

LINES = ["the king rules", "", "a queen in her palace", "the dog sat", "a cat sleeps", "the soup"]
TEXTS = [line for line in LINES if line]
NUMBERS = np.array([1, 3, 4, 5, 6])
QUERIES = ["the queen rules", "a dog"]
ALL = dict(return_sparse=True, return_multi_vector=True)


@pytest.fixture(scope="module")
def folder(models, tmp_path_factory):
    """A folder of BGE-M3 with new heads, whose sparse weights are mostly above 0."""
    m3 = BgeM3.new(SentenceEncoder.load(models.encoder), 1, token_dim=6)
    m3.heads["sparse.bias"][:] = 0.3
    path = tmp_path_factory.mktemp("m3") / "m3"
    m3.save(path)
    return path


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "texts").write_text("\n".join(LINES) + "\n")
    return tmp_path / "texts"


@pytest.fixture
def index(folder, texts, run):
    path = texts.parent / "lines.index"
    code, out, err = run("index", texts, "-o", path, "--model", folder)
    assert (code, out) == (0, "")
    assert "5 lines added, 5 in all, 16 dimensions (dense, sparse, multi-vector); wrote" in err
    return path


def right(folder, weights, k=3):
    """(line numbers, scores) of each query by the hybrid scores of all lines."""
    m3 = BgeM3.load(folder)
    table = hybrid_scores(m3.encode(QUERIES, **ALL), m3.encode(TEXTS, **ALL), weights).hybrid
    order = np.argsort(-table, axis=1, kind="stable")[:, :k]
    return NUMBERS[order], np.take_along_axis(table, order, axis=1)


def found(run, *command):
    code, out, err = run("search", *command, "--json")
    assert code == 0, err
    results = [each["results"] for each in map(json.loads, out.splitlines())]
    return ([[row["line"] for row in rows] for rows in results],
            [[row["score"] for row in rows] for rows in results])


@pytest.mark.parametrize("options, weights", [
    ([], (1, 1, 1)), (["--kinds", "sparse,dense"], (1, 1, 0)), (["--dense"], (1, 0, 0)),
    (["--kinds", "multi-vector"], (0, 0, 1)), (["--kinds", "sparse,multi"], (0, 1, 1)),
    (["--kinds", "multi,dense"], (1, 0, 1)), (["--weights", "1,0.3,2"], (1, 0.3, 2)),
    (["--kinds", "dense,multi-vector", "--weights", "0.5,2"], (0.5, 0, 2))])
def test_the_score_is_the_weighted_mean_of_the_kinds(index, folder, run, options, weights):
    lines, scores = found(run, index, *QUERIES, "-k", "3", *options)
    expected = right(folder, weights)
    assert lines == expected[0].tolist()
    np.testing.assert_allclose(scores, expected[1], atol=1e-5)


def test_bm25_and_hybrid_use_the_words_of_the_same_index(index, folder, run):
    lines, _ = found(run, index, "dog", "--bm25")
    assert lines == [[4]]
    words = load(index).bm25_search(str.split)(QUERIES, 100)
    ids, scores = reciprocal_rank_fusion([right(folder, (1, 1, 1), 5), words], 3)
    lines, values = found(run, index, *QUERIES, "--hybrid", "-k", "3")
    assert lines == ids.tolist()
    np.testing.assert_allclose(values, scores)


def test_lines_that_are_added_are_found_too(index, folder, texts, run):
    texts.write_text("a queen rules\n")
    code, _, err = run("index", texts, "-o", index, "--add")
    assert code == 0 and "1 line added, 6 in all" in err
    assert found(run, index, "a queen rules", "-k", "1")[0] == [[7]]


def test_an_index_may_have_fewer_kinds(folder, texts, run):
    path = texts.parent / "two.index"
    _, _, err = run("index", texts, "-o", path, "--model", folder, "--kinds", "dense,sparse")
    assert "(dense, sparse)" in err
    np.testing.assert_allclose(found(run, path, *QUERIES, "-k", "3")[1],
                               right(folder, (1, 1, 0))[1], atol=1e-5)
    code, out, err = run("search", path, "a", "--kinds", "multi-vector")
    assert (code, out) == (1, "") and "--kinds: expected some of dense,sparse, which" in err
    code, _, err = run("search", path, "a", "--weights", "1,1,1")
    assert code == 1 and "--weights: expected a number for each of dense, sparse, got 3" in err
    run("index", texts, "-o", path, "--model", folder, "--kinds", "dense")
    assert type(load(path).index).__name__ == "Index"          # as of any other model
    for option, value in ("kinds", "sparse"), ("kinds", "dense"), ("weights", "2"):
        code, out, err = run("search", path, "a", f"--{option}", value)
        assert (code, out) == (1, "") and f"--{option}: expected with an index of BGE-M3" in err


def test_other_commands_read_the_index(index, run):
    assert isinstance(load(index), TextIndex)
    code, out, _ = run("info", index)
    assert code == 0 and "BGE-M3's vectors" in out and "dense, sparse, multi-vector" in out
    assert run("neighbours", index, "--rows", "4", "-k", "1")[0] == 0
    assert run("neighbours", index, "a dog", "-k", "1")[0] == 0


def test_another_head_is_another_model(index, folder, run, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    m3 = BgeM3.load(other)
    m3.heads.flat[:] += 1
    m3.save(other)
    code, _, err = run("search", index, "a", "--model", other)
    assert code == 1 and "was made with another model than" in err


def test_a_model_without_heads_has_only_dense_vectors(models, texts, run):
    code, _, err = run("index", texts, "-o", texts.parent / "i", "--model", models.encoder,
                       "--kinds", "dense,sparse")
    assert code == 1 and "--kinds: expected a folder of BGE-M3, such as `train m3` writes" in err


def test_heads_in_pickles_leave_the_dense_vectors(folder, texts, run, tmp_path):
    old = shutil.copytree(folder, tmp_path / "old")
    for name in "sparse_linear", "colbert_linear":
        os.rename(old / f"{name}.safetensors", old / f"{name}.pt")
    path = tmp_path / "old.index"
    code, _, err = run("index", texts, "-o", path, "--model", old)
    assert code == 0 and "only its dense vectors are used" in err
    assert found(run, path, QUERIES[0], "--dense", "-k", "3")[0] == (
        right(folder, (1, 0, 0))[0][:1].tolist())
    code, _, err = run("index", texts, "-o", path, "--model", old, "--kinds", "dense,sparse")
    assert code == 1 and "convert it with torch" in err


def test_a_damaged_index_is_refused(index, run):
    tensors, metadata = read_safetensors(index)
    write_safetensors(index, tensors | {"token_offsets": tensors["token_offsets"][:-1]}, metadata)
    code, _, err = run("search", index, "a")
    assert code == 1 and "its token vectors" in err


@pytest.mark.parametrize("command, message", [
    (["index", "t", "-o", "i", "--model", "m", "--kinds", "sparse"], "expected dense among"),
    (["index", "t", "-o", "i", "--model", "m", "--kinds", "words"], "expected some of dense,spars"),
    (["index", "t", "-o", "i", "--add", "--kinds", "dense"], "leave out --kinds"),
    (["search", "i", "q", "--kinds", "dense,dense"], "each once"),
    (["search", "i", "q", "--weights", "0,0"], "--weights: expected numbers of 0 or more"),
    (["search", "i", "q", "--weights", "1,x"], "--weights: expected numbers of 0 or more"),
    (["search", "i", "q", "--weights", "-1,2"], "--weights"),
    (["search", "i", "q", "--kinds", "dense", "--weights", "1,2"], "a number for each of dense"),
    (["search", "i", "q", "--kinds", "dense", "--bm25"], "--kinds: not allowed with --bm25"),
    (["search", "i", "q", "--weights", "1", "--dense"], "--weights: not allowed with --dense")])
def test_bad_usage_exits_with_code_2(command, message, run):
    code, out, err = run(*command)
    assert (code, out) == (2, "") and message in err

"""rerank, search --rerank: candidates are ordered by the scores of a cross-encoder."""
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.evaluate.trec import read_run
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.words.vectors import WordVectors
from tests.cli.test_paths import GOLDEN, OLD

sys.path.append(str(Path(__file__).parents[1] / "transformer"))

from tiny_folders import encoder_of, write_folder

CROSS = GOLDEN / "cross_encoder_new"
LINES = ["the sailor mended the lamp", "", "the thief tossed the book", "a child sat",
         "the lamp mended the sailor"]
TEXTS = {number: line for number, line in enumerate(LINES, 1) if line}


@pytest.fixture
def text(tmp_path) -> Path:
    (tmp_path / "lines").write_text("\n".join(LINES) + "\n")
    return tmp_path / "lines"


def by_score(query, texts):
    """[(name, score)] of texts {name: text}, the best first."""
    scores = CrossEncoder.load(CROSS).predict([(query, text) for text in texts.values()])
    return sorted(zip(texts, scores.tolist()), key=lambda row: -row[1])


# ---- the lines of a text ------------------------------------------------------------------------

def test_lines_are_printed_by_their_scores_with_their_numbers(text, run):
    code, out, err = run("rerank", text, "who mended it", "--model", CROSS, "-k", 3)
    rows = [line.split("\t") for line in out.splitlines()]
    expected = by_score("who mended it", TEXTS)[:3]
    assert code == 0 and [(int(row[0]), int(row[2])) for row in rows] == [
        (rank, line) for rank, (line, _) in enumerate(expected, 1)]
    assert [row[1] for row in rows] == [f"{score:.4f}" for _, score in expected]
    assert [row[3] for row in rows] == [LINES[line - 1] for line, _ in expected]
    assert "cross_encoder_new: 4 pairs of query and candidate, 1 query; one pass" in err


def test_a_reranker_of_another_family(text, tmp_path, run):
    """An XLM-R with one label, as bge-reranker-base: rerank, and search --rerank."""
    CrossEncoder.warm_start(encoder_of("xlm-roberta"), seed=2).save(tmp_path / "xlmr")
    candidates = ["the red cat", "a mat", "cats sat on the mat"]
    scores = CrossEncoder.load(tmp_path / "xlmr").predict([("a cat", b) for b in candidates])
    (tmp_path / "texts").write_text("\n".join(candidates))
    best = [candidates[n] for n in np.argsort(-scores)]
    code, out, _ = run("rerank", tmp_path / "texts", "a cat", "--model", tmp_path / "xlmr")
    assert code == 0 and [line.split("\t")[3] for line in out.splitlines()] == best
    write_folder(tmp_path / "encoder", "xlm-roberta")
    assert run("index", tmp_path / "texts", "--model", tmp_path / "encoder", "-o",
               tmp_path / "index")[0] == 0
    code, out, _ = run("search", tmp_path / "index", "a cat", "--rerank", tmp_path / "xlmr")
    assert code == 0 and [line.split("\t")[-1] for line in out.splitlines()] == best


def test_candidates_from_stdin_several_queries_and_more_results_than_candidates(stdin, run):
    stdin("a lamp\na book\n")
    code, out, err = run("rerank", "-", "lamp", "book", "--model", CROSS)
    assert code == 0 and out.startswith("query: lamp\n1\t") and out.count("query: book\n1\t") == 1
    assert "2 results per query: TEXT has no more candidates" in err
    assert "4 pairs of query and candidate, 2 queries" in err


def test_queries_from_stdin(text, stdin, run):
    stdin("a lamp\n\na book\n")
    code, out, err = run("rerank", text, "-", "--model", CROSS, "-k", 1)
    assert code == 0 and "2 queries" in err
    assert [line for line in out.splitlines() if "query" in line] == ["query: a lamp",
                                                                      "query: a book"]


def test_json_has_whole_numbers_of_lines_and_the_score_unrounded(text, run):
    _, out, _ = run("rerank", text, "a lamp", "--model", CROSS, "--json", "-k", 1)
    line, score = by_score("a lamp", TEXTS)[0]
    assert json.loads(out) == {"query": "a lamp", "results": [
        {"rank": 1, "score": pytest.approx(score), "line": line, "text": LINES[line - 1]}]}


def test_a_pair_that_is_too_long_is_counted(tmp_path, run):
    most = CrossEncoder.load(CROSS).settings.max_seq_length
    (tmp_path / "long").write_text("a " * (most + 9) + "\nshort\n")
    _, _, err = run("rerank", tmp_path / "long", "a lamp", "--model", CROSS, "-k", 1)
    assert f"truncated 1 pair to {most} tokens" in err


# ---- a run --------------------------------------------------------------------------------------

@pytest.fixture
def files(tmp_path, monkeypatch):
    """first.run, docs.tsv, asked.tsv: of three documents d1 is the last."""
    monkeypatch.chdir(tmp_path)
    Path("docs.tsv").write_text("d1\ta lamp\nd2\tthe thief\nd3\tthe book tossed\n")
    Path("asked.tsv").write_text("q1\twho tossed the book\nq2\ta lamp\n")
    Path("first.run").write_text("q1 Q0 d3 1 9 x\nq1 Q0 d2 2 8 x\nq1 Q0 d1 3 7 x\n")


def test_the_first_documents_of_a_run_are_ordered_anew(files, run):
    code, out, err = run("rerank", "first.run", "--corpus", "docs.tsv", "--queries", "asked.tsv",
                         "--model", CROSS, "--depth", 2, "-k", 2)
    assert code == 0 and "2 pairs of query and candidate, 1 query" in err
    Path("second.run").write_text(out)
    expected = dict(by_score("who tossed the book", {"d3": "the book tossed", "d2": "the thief"}))
    assert read_run("second.run") == {"q1": pytest.approx(expected)}
    assert [line.split()[3] for line in out.splitlines()] == ["1", "2"]
    _, out, _ = run("rerank", "first.run", "--corpus", "docs.tsv", "--queries", "asked.tsv",
                    "--model", CROSS, "--json")
    assert {row["document"] for row in json.loads(out)["results"]} == {"d1", "d2", "d3"}


def test_all_documents_of_a_run_to_its_depth_are_printed(files, run):
    names = [f"d{n}" for n in range(14)]
    Path("docs.tsv").write_text("".join(f"{name}\ta lamp\n" for name in names))
    Path("first.run").write_text("".join(f"q1 Q0 {name} 1 9 x\n" for name in names))
    command = ("rerank", "first.run", "--corpus", "docs.tsv", "--queries", "asked.tsv", "--model",
               CROSS)
    for options, count in ([], 14), (["--depth", 5], 5), (["-k", 3], 3):
        code, out, _ = run(*command, *options)
        assert code == 0 and len(out.splitlines()) == count


def test_a_text_in_the_place_of_a_run_and_swapped_arguments_are_said(files, run):
    code, _, err = run("rerank", "docs.tsv", "--corpus", "docs.tsv", "--queries", "asked.tsv",
                       "--model", CROSS)
    assert code == 1 and "line 1: with --corpus and --queries, expected a run" in err
    code, _, err = run("rerank", "a lamp", "docs.tsv", "--model", CROSS)
    assert code == 2 and "TEXT comes before QUERY: give docs.tsv first" in err
    code, _, err = run("rerank", "-", "-", "--model", CROSS)
    assert code == 2 and "TEXT and QUERY are both -" in err


def test_a_document_or_all_queries_missing_are_errors_and_some_queries_a_message(files, run):
    def rerank():
        return run("rerank", "first.run", "--corpus", "docs.tsv", "--queries", "asked.tsv",
                   "--model", CROSS)
    with Path("first.run").open("a") as file:
        file.write("q7 Q0 d3 1 9 x\n")
    code, _, err = rerank()
    assert code == 0 and "1 query of first.run left out: asked.tsv does not have them" in err
    Path("docs.tsv").write_text("d1\ta lamp\nd3\tbook\n")
    assert rerank()[2] == ("scratch-embed: docs.tsv: expected all documents of first.run, found "
                           "no 'd2'\n")
    Path("asked.tsv").write_text("q9\ta lamp\n")
    code, out, err = rerank()
    assert (code, out) == (1, "") and err == ("scratch-embed: asked.tsv: expected the queries of "
                                              "first.run, found none of them, such as 'q1'\n")


# ---- search --rerank ----------------------------------------------------------------------------

@pytest.fixture
def index(text, tmp_path, run):
    words = sorted({word for line in LINES for word in line.split()})
    vectors = np.random.default_rng(0).standard_normal((len(words), 8)).astype(np.float32)
    WordVectors(words, vectors).save(tmp_path / "w.vec")
    assert run("index", text, "-o", tmp_path / "x.index", "--model", tmp_path / "w.vec")[0] == 0
    return tmp_path / "x.index"


@pytest.mark.parametrize("how", [[], ["--dense"], ["--bm25"], ["--hybrid"]])
def test_a_search_is_reranked_to_its_depth(index, how, run):
    """The first two of the search, whatever it is, in the order of the cross-encoder."""
    query = "the lamp mended"
    first = json.loads(run("search", index, query, *how, "--json", "-k", 2)[1])["results"]
    code, out, err = run("search", index, query, *how, "--json", "-k", 2, "--rerank", CROSS,
                         "--depth", 2)
    found = json.loads(out)["results"]
    expected = by_score(query, {row["line"]: row["text"] for row in first})
    assert code == 0 and [row["line"] for row in found] == [line for line, _ in expected]
    assert [row["score"] for row in found] == pytest.approx([score for _, score in expected])
    assert "cross_encoder_new: reranks what the search finds for each query, at most 2 lines" in err


def test_lines_that_the_search_does_not_find_are_not_reranked(index, run):
    _, out, err = run("search", index, "child", "--bm25", "--rerank", CROSS)
    assert [line.split("\t")[2] for line in out.splitlines()] == ["4"]
    assert "at most 4 lines" in err                    # as many as there are
    assert run("search", index, "lamp", "--rerank", CROSS, "--depth", 2)[1].count("\n") == 2
    code, _, err = run("search", index, "xyzzy", "--bm25", "--rerank", CROSS)
    assert code == 1 and "nothing found for 'xyzzy'" in err


# ---- wrong use ----------------------------------------------------------------------------------

@pytest.mark.parametrize("options, message", [
    (["--depth", 5], "--depth is the number of lines for --rerank MODEL: give both"),
    (["--rerank", CROSS, "-k", 51],
     "-k 51: expected at most --depth, 50 candidates per query; give a larger --depth"),
    (["--rerank", CROSS, "-k", 5, "--depth", 4], "-k 5: expected at most --depth, 4 candidates"),
])
def test_search_refuses_options_that_contradict_each_other(options, message, index, run):
    code, out, err = run("search", index, "lamp", *options)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


@pytest.mark.parametrize("options, message", [
    ([], "give a QUERY, or --corpus and --queries to rerank a run"),
    (["lamp", "--corpus", "c"], "to rerank a run, give --corpus and --queries, and no QUERY"),
    (["--queries", "q"], "to rerank a run, give --corpus and --queries"),
    (["lamp", " "], "QUERY: expected a text, got a blank one"),
    (["lamp", "--depth", 3], "--depth is for a run; of a text, all lines are candidates"),
    (["--queries", "q", "--corpus", "c", "-k", 60], "-k 60: expected at most --depth, 50"),
])
def test_rerank_refuses_options_that_contradict_each_other(options, message, text, run):
    code, out, err = run("rerank", text, *options, "--model", CROSS)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


@pytest.mark.parametrize("folder, found", [
    ("encoder", "a sentence-transformers folder"), ("bert", "a BERT folder"),
    ("words.vec", "word vectors")])
def test_a_model_that_is_not_a_cross_encoder_is_refused_by_its_kind(folder, found, text, index,
                                                                    run):
    for command in (["rerank", text, "lamp", "--model"], ["search", index, "lamp", "--rerank"]):
        code, out, err = run(*command, OLD / folder)
        assert (code, out) == (1, "") and err.count("\n") == 1
        assert f"{OLD / folder}: expected a folder with a cross-encoder, found {found}" in err

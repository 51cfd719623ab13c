"""world and evaluate retrieval: the files, the systems, and the numbers of the table."""
import json
import re

import numpy as np
import pytest

from scratch_embed.cli.retrieval import tags_of
from scratch_embed.cli.worlds import WORLDS, world
from scratch_embed.evaluate.collection import read_collection
from scratch_embed.evaluate.ranking import average_precision, evaluate, measures_at
from scratch_embed.evaluate.significance import bootstrap_interval
from scratch_embed.evaluate.trec import read_run
from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.retrieve.hybrid import reciprocal_rank_fusion, weighted_sum
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.lists import as_run
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.static import StaticEncoder, sif_weights, zipf_frequencies
from scratch_embed.words.vectors import WordVectors
from scratch_embed.worlds.facts import WORDS

MEASURES = ["Recall@1", "Recall@10", "MRR@10", "nDCG@10", "MAP"]


@pytest.fixture
def collection(tmp_path):
    """Three documents.  boat is similar to ship; kx-1 has no vector, so only BM25 finds it."""
    texts = {"corpus": "d1\ta ship\nd2\ta cat\nd3\tcode kx-1\n",
             "queries": "q1\tboat\nq2\tkx-1\n", "qrels": "q1\td1\t1\nq2\td3\t1\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    WordVectors(["a", "ship", "boat", "cat", "code"], np.float32(
        [[0, 0, 1], [1, 0, 0], [1, 0.1, 0], [0, 1, 0], [0, 0, -1]])).save(tmp_path / "w.vec")
    return ["evaluate", "retrieval", tmp_path / "w.vec",
            *(part for name in texts for part in (f"--{name}", tmp_path / name))]


# ---- systems ----------------------------------------------------------------------------------

def test_three_documents_worked_by_hand(collection, run):
    """Vectors find d1 for q1 only, BM25 finds d3 for q2 only; the hybrids find both."""
    code, out, err = run(*collection, "--json")
    assert code == 0 and "w.vec: 1 of 2 queries have no known word" in err
    found = json.loads(out)
    assert list(found) == ["w.vec", "bm25", "w.vec+bm25-rrf", "w.vec+bm25-sum"]
    for system, expected in zip(found, (0.5, 0.5, 1, 1)):
        assert list(found[system]) == MEASURES
        assert {measure["value"] for measure in found[system].values()} == {expected}
        assert {measure["high"] for measure in found[system].values()} == {1}
    code, out, _ = run(*collection)
    assert code == 0 and re.split("  +", out.splitlines()[0].strip()) == [
        f"{name}, 95% CI" for name in MEASURES]
    assert out.splitlines()[2].split() == ["bm25"] + ["0.500", "0.000-1.000"] * 5


def test_without_bm25_only_the_encoders_are_evaluated(collection, run):
    _, out, _ = run(*collection, "--json", "--no-bm25")
    assert list(json.loads(out)) == ["w.vec"]


def test_the_ranking_of_each_system_is_written_as_a_run(collection, tmp_path, run):
    assert run(*collection, "--run-out", tmp_path / "runs")[0] == 0
    runs = {path.name: read_run(path) for path in (tmp_path / "runs").iterdir()}
    assert runs.keys() == {"w.vec.run", "bm25.run", "w.vec+bm25-rrf.run", "w.vec+bm25-sum.run"}
    assert list(runs["w.vec.run"]["q1"]) == ["d1", "d2", "d3"] and "q2" not in runs["w.vec.run"]
    assert list(runs["bm25.run"]) == ["q2"]
    assert runs["w.vec+bm25-rrf.run"] == {"q1": {f"d{i}": 1 / (60 + i) for i in (1, 2, 3)},
                                          "q2": {"d3": 1 / 61}}


def test_the_name_of_a_run_is_utf_8_without_spaces_and_slashes():
    """File names may have bytes that are not UTF-8; Python represents them as surrogates."""
    assert tags_of(["my model.vec", "a/b\\c", "caf\udce9.vec", "é"]) == {
        "my model.vec": "my_model.vec", "a/b\\c": "a_b_c", "caf\udce9.vec": "caf_.vec", "é": "é"}


def test_depth_limits_every_list(collection, tmp_path, run):
    run(*collection, "--run-out", tmp_path, "--depth", 1)
    assert all(len(row) == 1 for path in tmp_path.glob("*.run")
               for row in read_run(path).values())


def test_the_tokenizer_decides_whether_case_and_punctuation_matter(collection, tmp_path, run):
    (tmp_path / "queries").write_text("q1\tBoat!\nq2\tcode\n")
    average = {}
    for options in [], ["--tokenizer", "words"], ["--tokenizer", "spaces"], ["--keep-case"]:
        _, out, _ = run(*collection, "--json", *options)
        average[" ".join(options[-1:])] = json.loads(out)["w.vec"]["MAP"]["value"]
    assert average == {"": 1, "words": 1, "spaces": 0.5, "--keep-case": 0.5}


def test_bm25_has_the_tokenizer_words_unless_the_options_choose(collection, models, tmp_path, run):
    """Also beside a transformer, which has a tokenizer of its own, or vectors that know capitals"""
    (tmp_path / "queries").write_text("q1	The ship.\nq2	Code!\n")
    model = ["evaluate", "retrieval", models.encoder, *collection[3:], "--json"]
    _, out, err = run(*model)
    assert json.loads(out)["bm25"]["MAP"]["value"] == 1
    assert "tokenizer of bm25: letters and digits, lower-cased, apostrophes kept" in err
    _, out, _ = run(*model, "--tokenizer", "spaces")
    assert json.loads(out)["bm25"]["MAP"]["value"] == 0


def test_one_query_has_no_interval(collection, tmp_path, run):
    (tmp_path / "qrels").write_text("q1\td1\t1\n")
    _, out, _ = run(*collection, "--json")
    assert json.loads(out)["w.vec"]["MAP"] == {
        "value": 1, "low": None, "high": None}
    _, out, _ = run(*collection)
    assert out.splitlines()[1].split() == ["w.vec", *["1.000"] * 5]


def test_two_models_have_different_names_in_the_table(collection, tmp_path, run):
    (tmp_path / "b").mkdir()
    other, third = tmp_path / "b" / "w.vec", tmp_path / "bm25"
    for path in other, third:
        path.write_bytes((tmp_path / "w.vec").read_bytes())
    _, out, _ = run(*collection[:3], other, third, *collection[3:], "--json", "--no-bm25",
                    "--run-out", tmp_path / "runs")
    assert list(json.loads(out)) == [str(tmp_path / "w.vec"), str(other), str(third)]
    assert len(list((tmp_path / "runs").iterdir())) == 3


def test_a_folder_with_a_transformer_can_be_evaluated(collection, models, run):
    code, out, _ = run(*collection[:3], models.encoder, *collection[3:], "--json")
    found = json.loads(out)
    assert code == 0 and list(found)[:3] == ["w.vec", "encoder", "bm25"]
    documents, queries = ["a ship", "a cat", "code kx-1"], ["boat", "kx-1"]
    encoder, index = SentenceEncoder.load(models.encoder), Index(16)
    index.add(range(3), encoder.encode(documents))
    ids, _ = index.search(encoder.encode(queries), 3)
    ranks = [ids[0].tolist().index(0) + 1, ids[1].tolist().index(2) + 1]
    assert found["encoder"]["MRR@10"]["value"] == pytest.approx(np.mean(1 / np.array(ranks)))


# ---- the toy worlds -----------------------------------------------------------------------------

def synonym_vectors(path):
    """Vectors in which synonyms are equal: a direction for each value of each slot."""
    values = [words for slot in WORDS for words in slot]
    rows = np.repeat(np.eye(len(values), dtype=np.float32), 4, axis=0)
    WordVectors([word for words in values for word in words], rows).save(path)
    return path


@pytest.mark.parametrize("name", WORLDS)
def test_vectors_with_equal_synonyms_are_better_than_bm25(name, tmp_path, run):
    """In the world of codes the hybrid is better: the vectors do not have the codes."""
    code, out, err = run("evaluate", "retrieval", synonym_vectors(tmp_path / "o.vec"), "--world",
                         name, "--json", "--sif", 0)           # the words are in no order
    assert code == 0, err
    ndcg = {system: row["nDCG@10"] for system, row in json.loads(out).items()}
    better = "o.vec+bm25-sum" if name == "codes" else "o.vec"
    assert ndcg[better]["low"] > ndcg["bm25"]["high"]
    if name == "facts":
        assert ndcg["o.vec"]["value"] > 0.99


def test_the_default_world_is_facts_and_the_seed_changes_it(tmp_path, run):
    model, found = synonym_vectors(tmp_path / "o.vec"), []
    for more in [], ["--world", "facts", "--seed", "0"], ["--seed", "1"]:
        found.append(run("evaluate", "retrieval", model, "--no-bm25", *more)[1])
    assert found[0] == found[1] != found[2]


def test_every_number_of_the_table_is_that_of_the_python_functions(tmp_path, run):
    toy, model = tmp_path / "toy", tmp_path / "words.vec"
    code, out, err = run("world", "facts", "-o", toy)
    assert (code, out) == (0, "") and "2,000 documents, 300 queries" in err
    files = [toy / name for name in ("corpus.jsonl", "queries.jsonl", "qrels.tsv")]
    documents, queries, qrels = collection = read_collection(*files)
    assert collection == world("facts", 0)
    run("train", "word2vec", toy / "text.txt", "-o", model, "--dim", 20, "--epochs", 1,
        "--min-count", 1, "--lr", 0.05)
    _, out, _ = run("evaluate", "retrieval", model, "--corpus", files[0], "--queries",
                    files[1], "--qrels", files[2], "--sif", "0.001", "--weight", "0.25",
                    "--depth", "50", "--json")

    words = WordVectors.load(model)
    encode = StaticEncoder(words, sif_weights(zipf_frequencies(words.index_to_key), 1e-3)).encode
    index = Index(20)
    index.add(range(len(documents)), encode(documents.values()))
    dense = index.search(encode(queries.values()), 50)
    bm25 = BM25(map(str.split, documents.values())).search(map(str.split, queries.values()), 50)
    systems = {"words.vec": dense, "bm25": bm25,
               "words.vec+bm25-rrf": reciprocal_rank_fusion([dense, bm25], 50),
               "words.vec+bm25-sum": weighted_sum([dense, bm25], [0.25, 0.75], 50)}
    found, measures = json.loads(out), measures_at(1, 10) | {"MAP": average_precision}
    assert list(found) == list(systems)
    for system, lists in systems.items():
        scores = evaluate(qrels, as_run(*lists, list(queries), list(documents)), measures).scores
        for name in MEASURES:
            assert found[system][name] == dict(zip(("value", "low", "high"),
                                                   bootstrap_interval(scores[name])))


# ---- errors -----------------------------------------------------------------------------------

@pytest.mark.parametrize("file, text, message", [
    ("corpus", "d1 a ship\n", "corpus: line 1: expected id <tab> text"),
    ("queries", '{"_id": "q1"}\n', "queries: line 1, field 'text': expected a string"),
    ("qrels", "q1\td1\thigh\n", "qrels: line 1: expected a whole number as the gain"),
    ("qrels", "q7\td1\t1\n", "query 'q7': expected a text for it"),
    ("w.vec", "x y\n", "w.vec: ")])
def test_a_broken_file_is_one_line_that_names_it(collection, tmp_path, file, text, message, run):
    (tmp_path / file).write_text(text)
    code, out, err = run(*collection)
    assert (code, out) == (1, "") and message in err.splitlines()[-1] and "Traceback" not in err


def test_a_model_given_twice_and_a_folder_without_a_model_are_refused(collection, tmp_path, run):
    code, _, err = run(*collection[:3], *collection[2:])
    assert code == 1 and "w.vec is given twice" in err
    code, _, err = run("evaluate", "retrieval", tmp_path)
    assert code == 1 and f"{tmp_path}: expected a folder with a transformer" in err


def test_a_file_in_the_place_of_a_folder_is_refused_before_the_search(collection, tmp_path, run):
    for command in [*collection, "--run-out", tmp_path / "corpus"], ["world", "codes", "-o",
                                                                     tmp_path / "corpus"]:
        code, out, err = run(*command)
        assert (code, out) == (1, "") and err.splitlines()[-1] == (
            f"scratch-embed: {tmp_path / 'corpus'}: expected the name of a folder, got a file; "
            "choose another")


def test_a_file_of_a_world_that_cannot_be_written_is_an_error_before_any_is(tmp_path, run):
    (tmp_path / "text.txt").mkdir()
    code, _, err = run("world", "facts", "-o", tmp_path)
    assert code == 1 and "text.txt': name a file, not a folder" in err
    assert not (tmp_path / "corpus.jsonl").exists()


def test_two_models_that_would_write_one_run_are_refused(collection, tmp_path, run):
    same = [tmp_path / "a b.vec", tmp_path / "a_b.vec"]
    for path in same:
        path.write_bytes((tmp_path / "w.vec").read_bytes())
    code, _, err = run(*collection[:2], *same, *collection[3:])
    assert code == 1 and "two systems would have the same name" in err and "rename a model" in err


def test_a_name_that_a_run_cannot_have_is_refused_before_the_texts_are_encoded(collection, tmp_path,
                                                                               run):
    (tmp_path / "corpus").write_text("d 1\ta ship\nd3\tcode kx-1\nd2\ta cat\n")
    (tmp_path / "qrels").write_text("q1\td3\t1\n")
    code, out, err = run(*collection, "--run-out", tmp_path / "runs")
    assert (code, out) == (1, "") and err.endswith(
        "--run-out: name 'd 1': expected one or more characters and no white space; rename it\n")
    assert "known" not in err                                      # printed after encoding
    assert not list((tmp_path / "runs").iterdir())
    (tmp_path / "runs" / "bm25.run").mkdir()
    assert "bm25.run': name a file, not a folder" in run(*collection, "--run-out",
                                                         tmp_path / "runs")[2]


def test_word_vectors_and_a_transformer_are_compared_with_sif_for_the_word_vectors(
        collection, models, run):
    plain = run(*collection[:3], models.encoder, *collection[3:], "--json", "--sif", 0)
    code, out, err = run(*collection[:3], models.encoder, *collection[3:], "--json", "--sif", 1)
    assert code == plain[0] == 0, err
    assert list(json.loads(out)) == ["w.vec", "encoder", "bm25", "w.vec+bm25-rrf", "w.vec+bm25-sum",
                                     "encoder+bm25-rrf", "encoder+bm25-sum"]
    assert json.loads(out)["encoder"] == json.loads(plain[1])["encoder"]
    code, _, err = run(*collection[:2], models.encoder, *collection[3:], "--sif", 1)
    assert code == 2 and "--sif weights word vectors, and all models are folders" in err


def test_the_collection_is_named(collection, tmp_path, run):
    assert f"{tmp_path / 'corpus'}: 3 documents, 2 queries" in run(*collection)[2]
    err = run("evaluate", "retrieval", synonym_vectors(tmp_path / "o.vec"), "--no-bm25", "--seed",
              3)[2]
    assert "the toy world facts of seed 3: 2,000 documents, 300 queries" in err


@pytest.mark.parametrize("more, message", [
    (["--world", "facts"], "--world replaces --corpus"), (["--weight", "1.5"], "0 to 1"),
    (["--world", "mars"], "mars"), (["--depth", "0"], "at least 1")])
def test_bad_usage_exits_with_code_2(collection, more, message, run):
    code, _, err = run(*collection, *more)
    assert code == 2 and message in err


def test_two_of_the_three_files_are_bad_usage(collection, run):
    code, _, err = run(*collection[:-2])
    assert code == 2 and "give all three" in err


def test_world_writes_the_collection_and_a_text_with_all_its_words(tmp_path, run):
    assert run("world", "instructions", "-o", tmp_path, "--seed", 3)[0] == 0
    found = read_collection(*(tmp_path / file for file in ("corpus.jsonl", "queries.jsonl",
                                                           "qrels.tsv")))
    assert found == world("instructions", 3) != world("instructions", 0)
    known = set((tmp_path / "text.txt").read_text().split())
    assert not {word for text in found.documents.values() for word in text.split()} - known

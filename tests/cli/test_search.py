"""index and search: lines are found with their line numbers; another model is refused."""
import json

import numpy as np
import pytest

from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.hybrid import reciprocal_rank_fusion, sum_of_scores
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.static import StaticEncoder
from scratch_embed.words.vectors import WordVectors

WORDS = ["cat", "dog", "ship", "boat"]
LINES = "a cat\n\na ship , no 7\nthe boat\nan unknown\n"


@pytest.fixture
def files(tmp_path):
    """Paths (texts, model, index).  Of four lines, three have a known word."""
    (tmp_path / "texts").write_text(LINES)
    vectors = np.float32([[0, 1], [0.6, 0.8], [1, 0], [0.8, 0.6]])
    WordVectors(WORDS, vectors).save(tmp_path / "w.vec")
    return tmp_path / "texts", tmp_path / "w.vec", tmp_path / "index"


@pytest.fixture
def index(files, run):
    texts, model, path = files
    code, out, err = run("index", texts, "-o", path, "--model", model)
    assert (code, out) == (0, "") and "4 lines added, 4 in all, 2 dimensions" in err
    return path


# ---- search -----------------------------------------------------------------------------------

def test_dense_search_worked_by_hand(index, run):
    """Cosines with dog: boat 0.6 · 0.8 + 0.8 · 0.6 = 0.96, cat 0.8, ship 0.6, unknown words 0."""
    code, out, _ = run("search", index, "a dog", "--dense")
    assert code == 0 and out == ("1\t0.9600\t4\tthe boat\n2\t0.8000\t1\ta cat\n"
                                 "3\t0.6000\t3\ta ship , no 7\n4\t0.0000\t5\tan unknown\n")
    assert run("search", index, "a dog", "--dense", "-k", 1)[1] == "1\t0.9600\t4\tthe boat\n"


def test_bm25_finds_lines_by_their_words(index, run):
    code, out, _ = run("search", index, "no boat", "--bm25")
    assert code == 0 and [line.split("\t")[2] for line in out.splitlines()] == ["4", "3"]


@pytest.mark.parametrize("how, fuse", [([], sum_of_scores),
                                       (["--hybrid"], reciprocal_rank_fusion)])
def test_dense_search_and_bm25_are_fused_by_scores_or_by_ranks(index, files, how, fuse, run):
    code, out, _ = run("search", index, "dog 7", *how, "--json", "-k", 3)
    found = json.loads(out)
    words = TextIndex.load(index).bm25_search(str.split)(["dog 7"], 9)
    dense = TextIndex.load(index).search(StaticEncoder(WordVectors.load(files[1])).encode(
        ["dog 7"]), 9)
    ids, scores = fuse([dense, words], 3)
    assert [row["line"] for row in found["results"]] == ids[0].tolist()
    np.testing.assert_allclose([row["score"] for row in found["results"]], scores[0], atol=1e-6)
    assert code == 0 and found["results"][0]["line"] == 3       # third by vectors, first by BM25


@pytest.mark.parametrize("how", [[], ["--dense"], ["--bm25"], ["--hybrid"]])
def test_k_may_exceed_the_number_of_lines(index, how, run):
    with_four = run("search", index, "dog no boat", *how, "-k", 4)
    assert with_four[0] == 0 and with_four[1]
    assert run("search", index, "dog no boat", *how, "-k", 10**15) == with_four


def test_json_is_an_object_for_each_query(index, run):
    _, out, _ = run("search", index, "cat", "boat", "--json", "-k", 1)
    found = [json.loads(line) for line in out.splitlines()]
    assert [row["query"] for row in found] == ["cat", "boat"]
    assert found[0]["results"] == [{"rank": 1, "score": 1.0, "line": 1, "text": "a cat"}]


def test_queries_from_stdin_are_searched_in_their_order_from_rank_1(index, run, stdin):
    stdin("cat\r\n\nboat\n")
    _, out, _ = run("search", index, "-", "-k", 1)
    assert out == "query: cat\n1\t1.0000\t1\ta cat\n\nquery: boat\n1\t1.0000\t4\tthe boat\n\n"


def test_several_queries_are_printed_above_their_results_and_one_is_not(index, run):
    assert run("search", index, "cat", "boat", "-k", 1)[1].startswith("query: cat\n1\t")
    assert run("search", index, "cat", "-k", 1)[1] == "1\t1.0000\t1\ta cat\n"


def test_a_long_line_is_shown_around_the_words_of_the_query(tmp_path, run):
    (tmp_path / "long").write_text("far away " * 50 + "a cat\tsat here " + "and on " * 50 + "\nb\n")
    WordVectors(["cat", "b"], np.float32([[1, 0], [0, 1]])).save(tmp_path / "w.vec")
    made = run("index", tmp_path / "long", "-o", tmp_path / "x", "--model", tmp_path / "w.vec")
    assert made[0] == 0, made
    _, out, _ = run("search", tmp_path / "x", "cat", "-k", 1, "--snippet", 40)
    text = out.rstrip("\n").split("\t", 3)[3]
    assert "a cat sat here" in text and text.startswith("… ") and len(text) <= 44
    _, out, _ = run("search", tmp_path / "x", "cat", "-k", 1, "--json")
    assert len(json.loads(out)["results"][0]["text"]) > 700


@pytest.mark.parametrize("how", [[], ["--dense"], ["--bm25"], ["--hybrid"]])
def test_a_query_without_a_known_word_finds_nothing_with_a_message(index, how, run):
    code, out, err = run("search", index, "xyzzy", *how)
    assert (code, out) == (1, "") and "nothing found for 'xyzzy': it has no known word" in err
    assert err.count("nothing found") == 1
    code, out, err = run("search", index, "xyzzy", "plugh", *how)
    assert (code, out) == (1, "query: xyzzy\n\nquery: plugh\n\n")
    assert err.endswith("scratch-embed: nothing found: no query has a known word\n")
    code, out, _ = run("search", index, "cat", "xyzzy", *how, "--json")
    out = out.splitlines()[1]
    assert json.loads(out) == {"query": "xyzzy", "results": []}


def test_sif_and_the_tokenizer_of_the_index_apply_to_queries(files, run):
    texts, model, index = files
    texts.write_text("Cat ship!\n")
    run("index", texts, "-o", index, "--model", model, "--sif", "0.1")
    _, out, _ = run("search", index, "SHIP? cat.")
    assert out == "1\t1.0000\t1\tCat ship!\n"
    plain = Index.load(index)[1]
    run("index", texts, "-o", index, "--model", model)
    assert not np.allclose(plain, Index.load(index)[1])            # the first word weighs less


# ---- index ------------------------------------------------------------------------------------

def test_adding_continues_the_line_numbers_and_equals_indexing_all_at_once(index, files, tmp_path,
                                                                      run, stdin):
    stdin("\na dog\n")
    code, _, err = run("index", "-", "-o", index, "--add")
    assert code == 0 and "1 line added, 5 in all" in err
    assert run("search", index, "dog", "-k", 1)[1] == "1\t1.0000\t7\ta dog\n"
    (tmp_path / "all").write_text(LINES + "\na dog\n")
    run("index", tmp_path / "all", "-o", tmp_path / "other", "--model", files[1])
    assert (tmp_path / "other").read_bytes() == index.read_bytes()


def test_lines_without_a_known_word_are_counted(files, run):
    texts, model, path = files
    command = ["index", texts, "-o", path, "--model", model]
    err = run(*command)[2]
    assert "w.vec: 3 of 10 words of the lines are known (30.0%)" in err
    assert "w.vec: 1 of 4 lines have no known word: their vectors are zero\n`search --bm25`" in err
    texts.write_text("a cat\nthe boat\n")
    assert "no known word" not in run(*command)[2]


def test_search_prints_what_index_search_finds(files, run):
    texts, model, path = files
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(30)]
    WordVectors(words, rng.standard_normal((30, 8), np.float32)).save(model)
    lines = [" ".join(rng.choice(words, 5)) for _ in range(60)]
    texts.write_text("\n".join(lines))
    run("index", texts, "-o", path, "--model", model)
    queries = [" ".join(rng.choice(words, 3)) for _ in range(5)]
    _, out, _ = run("search", path, *queries, "--dense", "-k", 7, "--json")
    encode, index = StaticEncoder.load(model).encode, Index(8)
    index.add(range(1, 61), encode(lines))
    ids, scores = index.search(encode(queries), 7)
    found = [json.loads(line)["results"] for line in out.splitlines()]
    assert [[row["line"] for row in one] for one in found] == ids.tolist()
    assert [[row["score"] for row in one] for one in found] == scores.tolist()
    assert all(row["text"] == lines[row["line"] - 1] for one in found for row in one)


def test_a_folder_with_a_transformer_makes_an_index_too(models, tmp_path, run):
    index, lines = tmp_path / "index", models.text.read_text().splitlines()[:40]
    (tmp_path / "texts").write_text("\n".join(lines))
    code, _, err = run("index", tmp_path / "texts", "-o", index, "--model", models.encoder)
    assert code == 0 and "40 lines added, 40 in all, 16 dimensions" in err
    query = "a song about the tenor"
    _, out, _ = run("search", index, query, "--dense", "-k", 5, "--json")
    encoder, own = SentenceEncoder.load(models.encoder), Index(16)
    own.add(range(1, 41), encoder.encode(lines))
    ids, scores = own.search(encoder.encode([query]), 5)
    found = json.loads(out)["results"]
    assert [row["line"] for row in found] == ids[0].tolist()
    np.testing.assert_allclose([row["score"] for row in found], scores[0], atol=1e-6)
    for how in "--bm25", "--hybrid":
        assert run("search", index, lines[7], "-k", 1, how)[1].split("\t")[3] == (
            lines[7] + "\n")


def test_an_index_in_the_models_own_folder_is_refused(models, tmp_path, run):
    code, _, err = run("index", models.text, "-o", models.encoder / "index", "--model",
                       models.encoder)
    assert code == 1 and "is in the model's folder" in err
    assert not (models.encoder / "index").exists()


# ---- another model ------------------------------------------------------------------------------

def test_a_model_that_has_changed_is_refused(index, files, run):
    before = index.read_bytes()
    for vectors in np.eye(4, 2), np.eye(4, 3):                     # the same and another dimension
        WordVectors(WORDS, np.float32(vectors)).save(files[1])
        for command in ["search", index, "cat"], ["index", files[0], "-o", index, "--add"]:
            code, out, err = run(*command)
            assert (code, out) == (1, "") and "cannot be compared; index the texts again" in err
            assert str(index) in err and str(files[1]) in err and index.read_bytes() == before
    assert run("search", index, "cat", "--bm25")[0] == 0    # needs no model


def test_the_path_of_a_moved_model_is_an_option(index, files, tmp_path, run):
    moved = files[1].rename(tmp_path / "moved.vec")
    code, _, err = run("search", index, "cat")
    assert code == 1 and f"made with {files[1]}, which does not exist" in err and "--model" in err
    assert run("search", index, "cat", "-k", 1, "--model", moved)[1].startswith("1\t1.0000")
    assert run("index", files[0], "-o", index, "--add", "--model", moved)[0] == 0


def test_an_index_with_another_dimension_than_its_model_is_refused(index, run):
    tensors, metadata = read_safetensors(index)
    write_safetensors(index, {**tensors, "vectors": np.ones((4, 5), np.float32)}, metadata)
    code, _, err = run("search", index, "cat")
    assert code == 1 and "has vectors of 5 dimensions" in err and "has 2" in err


@pytest.mark.parametrize("change, message", [
    ({"tokens": "letters"}, """'tokens': expected one of "spaces", "words", found 'letters'"""),
    ({"sif": "much"}, "'sif': expected a number above 0"),
    ({"model": 7}, "'model': expected a string"), ({"digest": None}, "'digest': expected a string"),
    ({"tokenizer": "words"}, "'tokenizer': expected an object or null"),
    ({"tokenizer": {"kind": "words"}}, "tokenizer, field 'lowercase': expected true or false"),
    ({"bm25_tokenizer": None}, "'bm25_tokenizer': expected an object, found None")])
def test_an_index_with_wrong_metadata_about_its_model_is_refused(index, change, message, run):
    tensors, metadata = read_safetensors(index)
    made_by = {**json.loads(metadata["made_by"]), **change}
    write_safetensors(index, tensors, {**metadata, "made_by": json.dumps(made_by)})
    code, _, err = run("search", index, "cat", "--bm25")
    assert code == 1 and message in err


# ---- what was not found ------------------------------------------------------------------------

def test_the_unknown_words_of_the_queries_are_named(index, run):
    code, _, err = run("search", index, "cat xyzzy", "the plugh xyzzy", "--dense")
    assert "nothing found for 'the plugh xyzzy': it has no known word\n" in err
    assert code == 0 and err.endswith("w.vec: unknown words: xyzzy, the, plugh\n")
    assert "unknown words: q0, q1, q2, q3, q4, ...\n" in run(
        "search", index, "cat " + " ".join(f"q{i}" for i in range(9)))[2]
    assert "unknown" not in run("search", index, "cat")[2]


def test_a_query_without_results_has_one_line_which_says_why(index, run):
    for query, reason in (("xyzzy", "'xyzzy': it has no known word"),
                          ("cät", "'cät': it has no known word; the index has cat")):
        code, out, err = run("search", index, query, "--bm25")
        assert (code, out, err) == (1, "", f"scratch-embed: nothing found for {reason}\n")
    code, out, err = run("search", index, "cat", " ")
    assert (code, out) == (2, "") and "QUERY: expected a text, got a blank one" in err


def test_the_pooling_of_a_bert_is_said_when_it_is_indexed_and_not_at_each_search(
        models, tmp_path, run):
    _, _, err = run("index", models.text, "-o", tmp_path / "i", "--model", models.bert)
    assert "has no modules.json" in err
    assert "modules.json" not in run("search", tmp_path / "i", "a", "-k", 1)[2]


# ---- errors -----------------------------------------------------------------------------------

@pytest.mark.parametrize("command, message", [
    (["search", "{folder}/none", "cat"], "none: there is no such"),
    (["search", "{texts}", "cat"], "texts: "),
    (["index", "{folder}/none", "-o", "{index}", "--model", "{model}"], "none: there is no such"),
    (["index", "{texts}", "-o", "{index}", "--model", "{folder}"], "expected a folder with"),
    (["index", "{texts}", "-o", "{texts}", "--model", "{model}"], "is the input itself"),
    (["index", "{texts}", "-o", "{model}", "--model", "{model}"], "the model itself"),
    (["index", "{texts}", "-o", "{index}", "--model", "-"], "-: No such file"),
    (["index", "{texts}", "-o", "{folder}/no/index", "--model", "{model}"], "there is no folder"),
    (["index", "{texts}", "-o", "{index}", "--add"], "index: No such file"),
    (["index", "{blank}", "-o", "{index}", "--model", "{model}"], "blank: expected a text with"),
    (["index", "{latin}", "-o", "{index}", "--model", "{model}"], "line 1, byte 0")])
def test_a_users_error_is_one_line_and_leaves_no_index(command, message, files, tmp_path, run):
    (tmp_path / "blank").write_text("\n \n")
    (tmp_path / "latin").write_bytes(b"\xff\n")
    names = dict(zip(("texts", "model", "index"), files), folder=tmp_path,
                 blank=tmp_path / "blank", latin=tmp_path / "latin")
    code, out, err = run(*(part.format(**names) for part in command))
    assert (code, out) == (1, "") and message in err.splitlines()[-1] and "Traceback" not in err
    assert not files[2].exists()


@pytest.mark.parametrize("command, message", [
    (["index", "texts", "-o", "index"], "give --model, the word vectors"),
    (["index", "texts", "-o", "index", "--add", "--sif", "1"], "leave out --sif, --tokenizer"),
    (["index", "texts", "-o", "index", "--add", "--keep-case"], "leave out --sif"),
    (["index", "texts", "-o", "index", "--model", "m", "--tokens", "words"], "is now --tokenizer"),
    (["search", "index", "cat", "--bm25", "--hybrid"], "not allowed with"),
    (["search", "index", "cat", "--dense", "--bm25"], "not allowed with"),
    (["search", "index"], "QUERY"), (["search", "index", "cat", "-k", "0"], "at least 1")])
def test_bad_usage_exits_with_code_2(command, message, run):
    code, _, err = run(*command)
    assert code == 2 and message in err

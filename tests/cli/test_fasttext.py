"""train fasttext, ngrams, and a fastText model in every command that reads word vectors."""
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.cli.fasttext import chosen_method
from scratch_embed.cli.loading import load_vectors, with_words
from scratch_embed.cli.main import main, parser
from scratch_embed.text.reader import read_corpus
from scratch_embed.training.session import RunOptions
from scratch_embed.words import fasttext
from scratch_embed.words.fasttext_files import BinModel, Settings, read_bin, write_bin
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.subwords import NGrams, fnv1a, ngram_row, ngrams
from scratch_embed.words.vectors import WordVectors

GOLDEN = Path(__file__).parents[1] / "golden"
ANSWERS = json.loads((GOLDEN / "fasttext.json").read_text("utf-8"))
TEXT = "the king and the queen\nthe man and the woman\n" * 20
WORDS = ["man", "woman", "king", "queen"]
SQUARE = np.array([[1, 1], [1, -1], [2, 1], [2, -1]], np.float32)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Four words and their 3-grams.  All rows of 3-grams are 0, except that of <ap: (−1, 0).

    apple is unknown and has five 3-grams, so its vector is (−1/5, 0).
    """
    table = np.zeros((4 + 1000, 2), np.float32)
    table[:4] = SQUARE
    table[ngram_row("<ap", 4, 1000)] = [-1, 0]
    path = tmp_path_factory.mktemp("model") / "named-anything.vec"
    empty = np.zeros(0, np.int64)
    write_bin(path, BinModel(Settings(dim=2, buckets=1000, min_n=3, max_n=3), WORDS,
                             np.array([4, 3, 2, 1]), [], empty, 10, table, table[:4]))
    return path


# ---- train fasttext -----------------------------------------------------------------------------

SMALL = ["--dim", "8", "--sample", "0", "--buckets", "50"]


def test_every_option_reaches_the_training_and_the_model(tmp_path, run, check_options):
    """The model equals that of fasttext.train, bit for bit; each option changes it."""
    text, out = tmp_path / "text", tmp_path / "m.bin"
    text.write_text(TEXT + "a word of its own\n")
    options = [["--mode", "cbow"], ["--loss", "hs"], ["--dim", 2], ["--window", 3],
               ["--negatives", 4], ["--sample", 0.5], ["--min-count", 1], ["--epochs", 6],
               ["--lr", 0.7], ["--min-n", 2], ["--max-n", 5], ["--buckets", 30], ["--seed", 9]]
    code, printed, err = run("train", "fasttext", text, "-o", out, *sum(options, []))
    assert (code, printed) == (0, "") and "m.bin, the whole model\n" in err
    vocab, corpus = read_corpus(text, 1)
    trained = fasttext.train(corpus, vocab, fasttext.cbow_chunk, dim=2, window=3, negatives=0,
                             sample=0.5, epochs=6, lr=0.7, ngrams=NGrams(2, 5, 30),
                             options=RunOptions(seed=9))
    model = read_bin(out)
    np.testing.assert_array_equal(model.input, trained.W)
    np.testing.assert_array_equal(model.output, trained.U)
    assert model.settings == Settings(
        dim=2, window=3, epochs=6, min_count=1, negatives=4, loss="hs", model="cbow", buckets=30,
        min_n=2, max_n=5, sample=0.5)
    check_options("train", "fasttext", text, "-o", out, options=options)


@pytest.mark.parametrize("options, method", [
    ([], "skipgram_chunk"), (["--subword-gradient", "mean"], "corrected_skipgram_chunk"),
    (["--mode", "cbow"], "cbow_chunk"),
    (["--mode", "cbow", "--subword-gradient", "mean"], "corrected_cbow_chunk")])
def test_mode_and_subword_gradient_choose_the_method(options, method):
    arguments = parser().parse_args(["train", "fasttext", "x", "-o", "y", *options])
    assert chosen_method(arguments).__name__ == method


@pytest.mark.parametrize("options", [[], ["--loss", "hs"], ["--mode", "cbow"], ["--max-n", "0"]])
def test_a_bin_is_the_whole_model_and_a_vec_has_its_known_words(options, text, tmp_path, run):
    for name in "m.bin", "m.vec":
        code, _, err = run("train", "fasttext", text, "-o", tmp_path / name, *SMALL,
                           *options)
        assert code == 0, err
    assert "known words only" in err
    model, words = load_vectors(tmp_path / "m.bin"), load_vectors(tmp_path / "m.vec")
    assert model.buckets == (0 if "--max-n" in options else 50)
    assert words.index_to_key == model.words.index_to_key
    np.testing.assert_array_equal(words.vectors, model.words.vectors)


@pytest.mark.parametrize("command", ["train fasttext x -o y --min-n 4 --max-n 3",
                                     "train classifier x -o y.bin --min-n 4 --max-n 3",
                                     "train fasttext x -o y --buckets 0",
                                     "train fasttext x -o y --min-n -1",
                                     "ngrams king --min-n 4 --max-n 3",
                                     "ngrams king --model x --min-n 3", "ngrams"])
def test_bad_usage_exits_with_code_2(command, run):
    code, _, err = run(*command.split())
    assert code == 2 and err.endswith("--help\n")


# ---- ngrams -------------------------------------------------------------------------------------

def test_ngrams_prints_each_distinct_ngram_with_its_hash(run):
    code, out, err = run("ngrams", "nana", "--min-n", 2, "--max-n", 2)
    assert (code, err) == (0, "")
    assert out == "".join(f"{ngram}\t{fnv1a(ngram.encode())}\n"
                          for ngram in ("<n", "na", "an", "a>"))
    usual = run("ngrams", "where")[1].splitlines()
    assert [line.split("\t")[0] for line in usual] == ngrams("where", 3, 6)


def test_ngrams_of_a_model_are_sorted_by_how_much_they_change_the_direction(model, run):
    """Without <ap the vector of apple is 0, its cosine 0 by convention; the other rows are 0."""
    code, out, err = run("ngrams", "apple", "--model", model)
    rows = [line.split("\t") for line in out.splitlines()]
    assert (code, err) == (0, "") and sorted(row[0] for row in rows) == sorted(
        ngrams("apple", 3, 3))
    assert rows[0] == ["<ap", str(ngram_row("<ap", 4, 1000)), "1.0000", "0.0000"]
    assert {tuple(row[2:]) for row in rows[1:]} == {("0.0000", "1.0000")}


def test_the_rows_are_those_of_fasttext(run):
    """In this small table wher and her share row 84."""
    names, rows = ANSWERS["skipgram"]["subwords"]["where"]
    code, out, err = run("ngrams", "where", "--model", GOLDEN / "fasttext-skipgram.bin")
    found = dict(line.split("\t")[:2] for line in out.splitlines())
    assert {name: int(row) for name, row in found.items()} == dict(zip(names[1:], rows[1:]))
    assert code == 0 and f"row {rows[0]} of its own" in err


@pytest.mark.parametrize("word, file, message", [
    ("", "fasttext-cbow.bin", "'' is not among"), ("x", "no-such", "no-such"),
    ("x", "word_vectors.bin", "found word vectors"),
    ("x", "fasttext-quantised.ftz", "quantised")])
def test_an_error_of_ngrams_is_one_line(word, file, message, run):
    code, out, err = run("ngrams", word, "--model", GOLDEN / file)
    assert (code, out) == (1, "") and len(err.splitlines()) == 1 and message in err


# ---- a fastText model as word vectors ------------------------------------------------------------

def test_the_bytes_of_a_model_decide_its_format_not_its_name(model, tmp_path):
    assert type(load_vectors(model)) is FastTextVectors            # its name ends in .vec
    WordVectors(WORDS, SQUARE).save(tmp_path / "a.bin")
    assert type(load_vectors(tmp_path / "a.bin")) is WordVectors
    assert type(load_vectors(GOLDEN / "word_vectors.txt")) is WordVectors
    WordVectors(WORDS, SQUARE).save(tmp_path / "a.safetensors")
    assert type(load_vectors(tmp_path / "a.safetensors")) is WordVectors


def test_wanted_unknown_words_follow_the_known_words(model):
    vectors = load_vectors(model)
    more = with_words(vectors, ["apple", "king", "apple", ""])
    assert more.index_to_key == [*WORDS, "apple"]                  # "" has no n-gram
    np.testing.assert_array_equal(more["apple"], vectors["apple"])
    assert with_words(vectors, ["king"]) is vectors.words
    words = WordVectors(WORDS, SQUARE)
    assert with_words(words, ["apple"]) is words


def test_similar_has_vectors_for_unknown_words(model, run):
    """apple is (−1/5, 0): the cosine with (1, ±1) is −1/√2, with (2, ±1) −2/√5."""
    code, out, _ = run("similar", model, "apple", "king", "--top", 2)
    rows = [line.split("\t") for line in out.splitlines()]
    assert code == 0 and [row[0] for row in rows] == ["apple", "apple", "king", "king"]
    assert {row[1] for row in rows[:2]} == {"man", "woman"} and rows[0][2] == "-0.7071"


def test_vectors_and_analogy_have_vectors_for_unknown_words(model, run, stdin):
    """queen has five 3-grams, all 0, and its own row (2, −1): the mean is a sixth of that row."""
    out = run("vectors", model, "apple", "queen")[1]
    assert out == "apple -0.2 0.0\nqueen 0.33333334 -0.16666667\n"
    stdin("apples\n")
    assert run("vectors", model)[1].startswith("apples -0.16666667 ")
    assert run("analogy", model, "man", "king", "woman", "--top", 1)[1].startswith("queen")
    for cosmul in [], ["--cosmul"]:
        code, out, _ = run("analogy", model, "king", "apple", "queen", *cosmul)
        assert code == 0 and {line.split("\t")[0] for line in out.splitlines()} == {"man", "woman"}


def test_odd_and_plot_have_vectors_for_unknown_words(model, tmp_path, run):
    assert run("odd", model, "king", "queen", "apple", "man")[1] == "apple\n"
    pytest.importorskip("matplotlib")
    code, _, err = run("plot", model, "-o", tmp_path / "map.png", "--words", "king",
                       "apple", "man")
    assert code == 0 and "drew 3 words" in err
    assert "drew 4 words" in run("plot", model, "-o", tmp_path / "map.png", "--near", "apples",
                                 "--top", 3)[2]


def test_evaluate_prints_how_many_pairs_have_an_unknown_word(model, tmp_path, run):
    (tmp_path / "pairs").write_text("king\tqueen\t9\nking\tapple\t1\nman\tking\t8\nman\t:\t5\n")
    (tmp_path / "analogies").write_text(": royalty\nman king woman queen\nman king apple queen\n")
    code, out, _ = run("evaluate", "words", model, "--pairs", tmp_path / "pairs",
                       "--analogies", tmp_path / "analogies")
    lines = out.splitlines()
    assert code == 0 and "4 of 4" in lines[0]                      # ":" has the n-gram <:>
    assert lines[1].startswith("    2 of them have an unknown word, whose vector")
    assert "royalty" in out and " 1        1        2" in out      # analogies: only known words
    model = GOLDEN / "fasttext-words.bin"                          # no n-grams
    (tmp_path / "pairs").write_text("where\tthe\t9\nla\tmer\t3\nking\tapple\t1\n")
    out = run("evaluate", "words", model, "--pairs", tmp_path / "pairs")[1]
    assert "2 of 3" in out and "n-grams" not in out


def test_a_word_without_any_n_gram_is_missing(model, run):
    for command in (["similar", model, ""], ["vectors", model, ""],
                    ["analogy", model, "king", "", "man"], ["odd", model, "king", "", "man"],
                    ["analogy", model, "king", "", "man", "--cosmul"]):
        code, out, err = run(*command)
        assert code == 1 and "'' is not among the 4 words" in err, command
        assert out == ("man\n" if command[0] == "odd" else "")   # of king and man


def test_a_model_of_fasttext_gives_its_vectors_for_unknown_words(run):
    model = GOLDEN / "fasttext-skipgram.bin"
    code, out, _ = run("vectors", model, "where", "wherever")
    assert code == 0
    for line in out.splitlines():
        word, *numbers = line.split()
        theirs = [float.fromhex(x) for x in ANSWERS["skipgram"]["vectors"][word]]
        np.testing.assert_allclose(list(map(float, numbers)), theirs, rtol=0, atol=2**-22)


def test_words_that_are_not_utf8_are_printed_unchanged(tmp_path, capfdbinary):
    word = b"caf\xe9".decode("utf-8", "surrogateescape")
    one = np.ones((1, 2), np.float32)
    write_bin(tmp_path / "m.bin", BinModel(Settings(dim=2, buckets=0, min_n=0, max_n=0), [word],
                                           np.array([1]), [], np.zeros(0, np.int64), 1, one, one))
    assert main(["vectors", str(tmp_path / "m.bin"), word]) == 0
    assert capfdbinary.readouterr().out == b"caf\xe9 1.0 1.0\n"


def test_a_word_cut_inside_a_character_is_found_printed_and_saved_by_its_bytes(tmp_path,
                                                                               capfdbinary):
    """From a table of another program to the shell and back; similar in every format."""
    (tmp_path / "w.vec").write_bytes(b"2 2\nok 1 2\nab\xe3 3 4\n")
    for name in ("w.vec", "w.bin", "w.safetensors"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            WordVectors.load(tmp_path / "w.vec").save(tmp_path / name)
        word = os.fsdecode(b"ab\xe3")                         # as Python decodes an argument
        assert main(["similar", str(tmp_path / name), word]) == 0
        out, err = capfdbinary.readouterr()
        assert out == b"ab\xe3\tok\t0.9839\n"
        assert b"1 of 2 words are not UTF-8; their bytes are kept" in err


def test_a_text_with_nul_is_split_there_and_its_model_can_be_saved(tmp_path):
    (tmp_path / "text").write_bytes(b"a\0b c d a b c d\na b c d\n" * 9)
    assert main(["train", "fasttext", str(tmp_path / "text"), "-o", str(tmp_path / "m.bin"),
                 "--min-count", "1", "--dim", "2", "--buckets", "9", "--sample", "0",
                 "--tokenizer", "spaces"]) == 0
    assert sorted(read_bin(tmp_path / "m.bin").words) == ["a", "b", "c", "d"]


def test_ngrams_without_any_n_gram_says_so(run):
    assert run("ngrams", "king", "--max-n", 0)[0] == 2
    code, out, err = run("ngrams", "a", "--min-n", 5)
    assert (code, out) == (1, "") and "'a' has no n-gram of 5 to 6 characters" in err

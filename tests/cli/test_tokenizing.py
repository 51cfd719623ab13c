"""The tokenizer of commands: one rule in training, encoding and search, and the known words."""
import json
import shutil

import numpy as np
import pytest

from scratch_embed.cli.main import main, parser
from scratch_embed.cli.tokenizing import APOSTROPHES, KINDS, chosen_tokenizer, warn_of_raw_text
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.index import Index
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.sentences.static import StaticEncoder, sif_weights, zipf_frequencies
from scratch_embed.text import word_tokenizer
from scratch_embed.text.vocab import Vocab
from scratch_embed.text.word_tokenizer import SPACES, WORDS, WordTokenizer
from scratch_embed.words.vectors import WordVectors

RAW = "The Café of the King, in Málaga!\nThe king's café: 'the best'.\n"
KEEP_CASE = WordTokenizer(lowercase=False)
LETTERS = "letters and digits, lower-cased, apostrophes "


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(RAW, encoding="utf-8")
    return path


@pytest.fixture
def train(run, text):
    """train(output, *options) -> stderr of `train word2vec` on RAW."""
    def command(out, *options, method="word2vec"):
        sample = [] if method == "glove" else ["--sample", 0]
        code, _, err = run("train", method, text, "-o", out, "--min-count", 1, "--dim", 3,
                           "--epochs", 1, *sample, *options)
        assert code == 0, err
        return err
    return command


# ---- options ------------------------------------------------------------------------------------

def test_the_names_are_those_of_the_tokenizer():
    assert KINDS == word_tokenizer.KINDS and APOSTROPHES == word_tokenizer.APOSTROPHES


@pytest.mark.parametrize("options, tokenizer", [
    ([], WORDS), (["--tokenizer", "words"], WORDS), (["--tokenizer", "spaces"], SPACES),
    (["--keep-case"], KEEP_CASE), (["--apostrophes", "keep"], WORDS),
    (["--apostrophes", "split", "--keep-case"], WordTokenizer("words", False, "split"))])
def test_the_options_choose_a_tokenizer(options, tokenizer):
    train = ["train", "word2vec", "text", "-o", "out"]
    assert chosen_tokenizer(parser().parse_args([*train, *options])) == tokenizer
    found = chosen_tokenizer(parser().parse_args(["encode", "model", *options]))
    assert found == (tokenizer if options else None)               # None: the model's


@pytest.mark.parametrize("command", [
    ["train", "word2vec", "{text}", "-o", "{out}"], ["train", "glove", "{text}", "-o", "{out}"],
    ["train", "fasttext", "{text}", "-o", "{out}"], ["phrases", "{text}", "-o", "{out}"],
    ["encode", "{model}", "{text}"], ["evaluate", "mteb", "{model}"],
    ["index", "{text}", "-o", "{out}", "--model", "{model}"], ["evaluate", "retrieval", "{model}"]],
    ids=lambda command: "-".join(command[:2]))
@pytest.mark.parametrize("options", [["--keep-case"], ["--apostrophes", "split"]])
def test_options_of_words_contradict_spaces_in_every_command_that_splits(command, options, tmp_path,
                                                                         run):
    names = {name: tmp_path / name for name in ("text", "model", "out")}
    WordVectors(["the"], np.ones((1, 2))).save(names["model"])
    names["text"].write_text(RAW)
    command = [part.format(**names) for part in command]
    code, _, err = run(*command, "--tokenizer", "spaces", *options)
    assert code == 2 and "--tokenizer spaces only splits at white space: leave out --keep" in err


# ---- from a raw text to search -------------------------------------------------------------------

@pytest.mark.parametrize("method", ["word2vec", "glove", "fasttext"])
@pytest.mark.parametrize("options, words", [
    ([], ["the", "café", "of", "king", "in", "málaga", "king's", "best"]),
    (["--apostrophes", "split"], ["the", "café", "king", "of", "in", "málaga", "s", "best"]),
    (["--keep-case"], ["The", "the", "Café", "of", "King", "in", "Málaga", "king's", "café",
                       "best"])])
def test_a_raw_text_is_split_into_words_by_every_method(method, options, words, train, tmp_path):
    fewer = ["--buckets", 10] if method == "fasttext" else []
    err = train(tmp_path / "m.safetensors", *options, *fewer, method=method)
    vectors = WordVectors.load(tmp_path / "m.safetensors")
    assert sorted(vectors.index_to_key) == sorted(words)
    tokenizer = vectors.tokenizer                                  # it is remembered
    assert tokenizer(RAW) == [word for word in WordTokenizer(*tokenizer)(RAW)]
    assert f"different; tokenizer: {tokenizer}" in err and set(tokenizer(RAW)) == set(words)


def test_phrases_have_the_same_words_as_training(text, tmp_path, run):
    assert run("phrases", text, "-o", tmp_path / "joined")[0] == 0
    assert (tmp_path / "joined").read_text("utf-8") == ("the café of the king in málaga\n"
                                                        "the king's café the best\n")
    assert run("phrases", text, "-o", tmp_path / "joined", "--tokenizer", "spaces")[0] == 0
    assert (tmp_path / "joined").read_text("utf-8") == RAW


def test_a_text_that_was_split_at_white_space_but_is_raw_gets_a_warning(train, tmp_path, capsys):
    err = train(tmp_path / "m.vec", "--tokenizer", "spaces")
    assert ("warning: the text is not tokenized: 50% of its words have capitals or end in "
            "punctuation" in err)                  # The, Café, King, Málaga! The café: of 12 words
    assert "warning" not in train(tmp_path / "m.vec")
    warn_of_raw_text(Vocab(["the", ",", "king", "King"], [50, 20, 25, 5]), SPACES)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name, how", [("m.safetensors", "stored in the file"),
                                       ("m.vec", "deduced from the vocabulary; --tokenizer ")])
def test_a_model_encodes_with_the_tokenizer_of_its_training(name, how, train, text, tmp_path, run):
    train(tmp_path / name, "--keep-case")
    code, _, err = run("encode", tmp_path / name, text, "-o", tmp_path / "v.npy")
    vectors = WordVectors.load(tmp_path / name)
    weights = sif_weights(zipf_frequencies(vectors.index_to_key))
    expected = StaticEncoder(vectors, weights, tokenize=KEEP_CASE).encode(RAW.splitlines())
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), expected)
    assert f"tokenizer of {name}: letters and digits, case kept, apostrophes kept ({how}" in err
    assert f"{name}: 12 of 12 words of the lines are known (100.0%)" in err and code == 0


def test_encode_lower_cases_and_keeps_accents_for_a_file_that_says_nothing(tmp_path, run, stdin):
    WordVectors(["the", "café", "king"], np.eye(3)).save(tmp_path / "w.vec")
    stdin("The Café\n\nKING! of X\n")
    code, out, err = run("encode", tmp_path / "w.vec", "--sif", 0)
    assert code == 0 and out.splitlines() == ["0.5 0.5 0.0", "0.0 0.0 0.0", "0.0 0.0 1.0"]
    assert err.splitlines() == [
        f"tokenizer of w.vec: {LETTERS}split (deduced from the vocabulary; --tokenizer chooses)",
        f"{tmp_path}/w.vec: 3 of 5 words of the lines are known (60.0%)",
        f"{tmp_path}/w.vec: 1 of 3 lines have no known word: their vectors are zero"]


def test_an_index_remembers_the_tokenizer_for_its_vectors_and_for_bm25(text, tmp_path, run):
    WordVectors(["king's", "Málaga"], np.eye(2)).save(tmp_path / "w.vec")
    index = ["index", text, "-o", tmp_path / "i", "--model", tmp_path / "w.vec"]
    assert run(*index)[0] == 0
    stored = TextIndex.load(tmp_path / "i").made_by
    assert WordTokenizer(**stored["tokenizer"]) == KEEP_CASE       # deduced
    assert WordTokenizer(**stored["bm25_tokenizer"]) == WORDS
    _, out, err = run("search", tmp_path / "i", "Málaga?", "-k", 1)
    assert out.startswith("1\t1.0000\t1\t") and "1 of 1 words of the queries" in err
    assert run("search", tmp_path / "i", "málaga", "--dense")[0] == 1     # another word
    assert run("search", tmp_path / "i", "málaga", "-k", 1, "--bm25")[1].split("\t")[2] == "1"
    assert run(*index, "--tokenizer", "words")[0] == 0
    assert "it has no known word" in run("search", tmp_path / "i", "Málaga", "--dense")[2]


def test_an_index_of_version_0_1_is_searched_by_its_old_rules(text, tmp_path, run):
    r"""tokens "words" were runs of \w, so king's was two words; "spaces" kept punctuation."""
    WordVectors(["king", "Málaga!"], np.eye(2)).save(tmp_path / "w.vec")
    assert run("index", text, "-o", tmp_path / "i", "--model", tmp_path / "w.vec")[0] == 0
    tensors, metadata = read_safetensors(tmp_path / "i")
    made_by = {name: value for name, value in json.loads(metadata["made_by"]).items()
               if "tokenizer" not in name}
    for tokens, found, nothing in ("words", "The KING's", "kings"), ("spaces", "Málaga!", "Málaga"):
        write_safetensors(tmp_path / "i", tensors, {
            **metadata, "made_by": json.dumps({**made_by, "tokens": tokens})})
        for how in [], ["--dense"], ["--bm25"]:
            assert run("search", tmp_path / "i", found, "-k", 1, *how)[0] == 0
            assert run("search", tmp_path / "i", nothing, *how)[0] == 1
        shutil.copy(tmp_path / "i", tmp_path / "more")
        assert run("index", text, "-o", tmp_path / "more", "--add")[0] == 0
        assert TextIndex.load(tmp_path / "more").made_by["tokens"] == tokens


def test_a_folder_has_a_tokenizer_of_its_own(models, text, tmp_path, run):
    for command in (["encode", models.encoder, text], ["evaluate", "mteb", models.encoder]):
        code, out, err = run(*command, "--tokenizer", "words")
        assert (code, out) == (1, "") and "is a folder with a tokenizer of its own" in err
    run("index", text, "-o", tmp_path / "i", "--model", models.encoder, "--tokenizer", "spaces")
    made_by = TextIndex.load(tmp_path / "i").made_by
    assert made_by["tokenizer"] is None and made_by["bm25_tokenizer"]["kind"] == "spaces"
    assert run("search", tmp_path / "i", "king")[0] == 0


def test_a_conversion_keeps_the_tokenizer_or_says_that_the_format_has_no_place_for_it(tmp_path,
                                                                                      run):
    WordVectors(["the"], np.ones((1, 2)), KEEP_CASE).save(tmp_path / "a.safetensors")
    _, _, err = run("convert", tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert WordVectors.load(tmp_path / "b.safetensors").tokenizer == KEEP_CASE
    assert "no place" not in err
    _, _, err = run("convert", tmp_path / "a.safetensors", tmp_path / "b.vec")
    assert "b.vec has no place for the tokenizer (" in err


# ---- texts without a known word ------------------------------------------------------------------

@pytest.mark.parametrize("command", [
    ["encode", "{model}", "{text}", "-o", "{out}.npy"], ["encode", "{model}", "{text}"],
    ["index", "{text}", "-o", "{out}", "--model", "{model}"],
    ["evaluate", "retrieval", "{model}", "--corpus", "{tsv}", "--queries", "{tsv}", "--qrels",
     "{qrels}"],
    ["evaluate", "words", "{model}", "--pairs", "{pairs}"],
    ["evaluate", "sts", "{sts}", "{model}"], ["neighbours", "{rows}", "The King", "--model",
                                              "{model}"],
    ["evaluate", "mteb", "{model}", "--tasks", "ToySTS"]], ids=lambda c: "-".join(c[:2]))
def test_if_no_word_is_known_the_command_fails_and_writes_nothing(command, text, tmp_path, run):
    names = {name: tmp_path / name for name in ("model", "out", "tsv", "qrels", "pairs", "sts",
                                              "rows")}
    WordVectors(["xyzzy"], np.ones((1, 2))).save(names["model"])
    Index.from_vectors(np.eye(2), ["a", "b"]).save(names["rows"])
    names["sts"].write_text("The king\tA queen\t3\nA cat\tA dog\t2\n")
    names["tsv"].write_text("d1\tThe king\n")
    names["qrels"].write_text("d1\td1\t1\n")
    names["pairs"].write_text("king queen 8\n")
    code, _, err = run(*(part.format(text=text, **names) for part in command))
    assert code == 1 and "Traceback" not in err and not [*tmp_path.glob("out*")]
    assert any(part in err.splitlines()[-1] for part in (
        ": 0 of ", "found none of them", "are unknown to the model", "knows none of its words"))


@pytest.mark.parametrize("stored, options, advice", [
    (WORDS, ["--keep-case"], "leave out --keep-case"),
    (WORDS, ["--tokenizer", "spaces"], "leave out --tokenizer"),
    (WORDS, ["--keep-case", "--apostrophes", "split"], "leave out --keep-case and --apostrophes"),
    (SPACES, ["--tokenizer", "words"], "leave out --tokenizer and --apostrophes"),
    (WORDS, [], "take another model"), (WORDS, ["--tokenizer", "words"], "take another model"),
    (None, [], "take another model")])
def test_if_no_word_is_known_the_advice_names_the_options_that_differ_from_the_model(
        stored, options, advice, text, tmp_path, run):
    WordVectors(["xyzzy", "x'y"], np.ones((2, 2)), stored).save(tmp_path / "w.safetensors")
    code, _, err = run("encode", tmp_path / "w.safetensors", text, "-o", tmp_path / "v.npy",
                       *options)
    assert code == 1 and err.endswith(f": {advice}\n")


def test_fasttext_makes_unknown_words_of_their_ngrams(train, text, tmp_path, run):
    train(tmp_path / "m.bin", "--buckets", 20, method="fasttext")
    text.write_text("Kings and cafés\n")
    code, out, err = run("encode", tmp_path / "m.bin", text)
    assert code == 0 and any(float(number) for number in out.split())
    assert "m.bin: 3 of 3 words of the lines are known or have n-grams (100.0%)" in err


def test_documents_and_queries_are_counted_apart(tmp_path, run):
    WordVectors(["king"], np.ones((1, 2))).save(tmp_path / "w.vec")
    for name, lines in (("docs", "d1\tA king\nd2\tnobody\n"), ("queries", "q1\tKing!\n"),
                        ("qrels", "q1\td1\t1\n")):
        (tmp_path / name).write_text(lines)
    code, _, err = run("evaluate", "retrieval", tmp_path / "w.vec", "--corpus", tmp_path / "docs",
                       "--queries", tmp_path / "queries", "--qrels", tmp_path / "qrels")
    assert code == 0
    assert "w.vec: 1 of 3 words of the documents are known (33.3%)" in err
    assert "w.vec: 1 of 2 documents have no known word: their vectors are zero" in err
    assert "w.vec: 1 of 1 words of the queries are known (100.0%)" in err


# ---- from Python ---------------------------------------------------------------------------------

def test_a_static_encoder_is_loaded_with_its_tokenizer(tmp_path):
    deduced = WordTokenizer(apostrophes="split")
    for end, tokenizer in ("safetensors", KEEP_CASE), ("vec", deduced):
        WordVectors(["the", "king"], np.eye(2), KEEP_CASE).save(tmp_path / f"w.{end}")
        encoder = StaticEncoder.load(tmp_path / f"w.{end}")
        assert encoder.tokenize == tokenizer
    assert encoder.weights == sif_weights(zipf_frequencies(["the", "king"]), 0.001)
    mean = StaticEncoder.load(tmp_path / "w.vec", sif=None)
    assert mean.encode("The King!").tolist() == [0.5, 0.5] and mean.tokenize == deduced
    mean = StaticEncoder.load(tmp_path / "w.vec", SPACES, None)
    assert mean.encode("The king").tolist() == [0, 1]
    assert StaticEncoder(WordVectors.load(tmp_path / "w.vec")).tokenize == SPACES


@pytest.mark.parametrize("stored", ['{"kind": "words"}', '["words"]', "words",
                                    '{"kind": "words", "lowercase": 1, "apostrophes": "keep"}'])
def test_a_damaged_tokenizer_of_a_file_is_a_format_error(stored, tmp_path):
    path = tmp_path / "w.safetensors"
    WordVectors(["the"], np.ones((1, 2)), WORDS).save(path)
    tensors, metadata = read_safetensors(path)
    write_safetensors(path, tensors, {**metadata, "tokenizer": stored})
    with pytest.raises(FormatError, match="its tokenizer"):
        WordVectors.load(path)


def test_the_classifier_says_that_its_texts_are_split_at_white_space(capsys):
    with pytest.raises(SystemExit):
        main(["train", "classifier", "--help"])
    assert "white space, as fastText" in " ".join(capsys.readouterr().out.split())

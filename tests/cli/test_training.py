"""What the four `train` commands promise alike."""
import inspect
import io
import os
import signal
import sys

import numpy as np
import pytest

from scratch_embed.cli.main import main, parser
from scratch_embed.text.reader import read_corpus
from scratch_embed.words import cooccurrence, fasttext, glove, pair_store, supervised, word2vec
from scratch_embed.words.vectors import WordVectors

TEXT = "the king and the queen\nthe man and the woman\n" * 20
LABELLED = "__label__a the king\n__label__b the woman\n" * 20
WORD_METHODS = ["word2vec", "glove", "fasttext"]
METHODS = [*WORD_METHODS, "classifier"]
SMALL = {"word2vec": ["--sample", "0"], "glove": [],
         "fasttext": ["--sample", "0", "--buckets", "50"], "classifier": ["--buckets", "50"]}


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def labelled(tmp_path):
    path = tmp_path / "labelled.txt"
    path.write_text(LABELLED)
    return path


def train(capsys, method, *arguments):
    """(exit code, stdout, stderr) of a training in 8 dimensions."""
    code = main(["train", method, *map(str, arguments), "--dim", "8", *SMALL[method]])
    return (code, *capsys.readouterr())


# ---- defaults -----------------------------------------------------------------------------------

@pytest.mark.parametrize("method, functions", [
    ("word2vec", [word2vec.train, read_corpus]), ("fasttext", [fasttext.train, read_corpus]),
    ("glove", [glove.train, cooccurrence.count_cells, read_corpus]),
    ("classifier", [supervised.train])])
def test_the_numbers_are_by_default_those_of_the_functions(method, functions):
    arguments = vars(parser().parse_args(["train", method, "x", "-o", "y"]))
    defaults = {name: parameter.default for function in functions
                for name, parameter in inspect.signature(function).parameters.items()
                if type(parameter.default) in (int, float)}
    shared = set(arguments) & set(defaults) - ({"lr"} if method == "word2vec" else set())
    assert len(shared) >= 7                                        # word2vec's lr is by --mode
    for name in shared:
        assert arguments[name] == defaults[name], name


# ---- before the work -----------------------------------------------------------------------------

def never(*_, **__):
    raise AssertionError("it was read")


@pytest.mark.parametrize("method", WORD_METHODS)
@pytest.mark.parametrize("options, said", [
    (["-o", "no/folder/x"], "no folder"), (["-o", "{text}"], "the text itself"),
    (["-o", "{text}.gz"], "uncompressed"),
    (["-o", "{text}.vec", "--checkpoint", "no/folder/x"], "no folder")])
def test_a_place_that_cannot_be_written_is_said_before_the_text_is_read(
        method, options, said, text, capsys, monkeypatch):
    monkeypatch.setattr("scratch_embed.text.reader.read_corpus", never)
    code, out, err = train(capsys, method, text, *(part.format(text=text) for part in options))
    assert (code, out) == (1, "") and len(err.splitlines()) == 1 and said in err


@pytest.mark.parametrize("method", WORD_METHODS)
@pytest.mark.parametrize("options", [["--resume"], ["--checkpoint", "y"]])
def test_checkpoints_that_make_no_sense_are_bad_usage(method, options, text, capsys):
    with pytest.raises(SystemExit) as ended:
        train(capsys, method, text, "-o", "y", *options)
    assert ended.value.code == 2 and "--checkpoint" in capsys.readouterr().err


@pytest.mark.parametrize("method", METHODS)
def test_a_text_that_is_not_there_or_not_utf8_is_an_error_of_one_line(method, tmp_path, capsys):
    code, out, err = train(capsys, method, "no-such-file", "-o", tmp_path / "v.bin")
    assert (code, out) == (1, "")
    assert err == "scratch-embed: no-such-file: No such file or directory\n"
    (tmp_path / "latin").write_bytes(TEXT.encode() + b"caf\xe9\n")
    code, out, err = train(capsys, method, tmp_path / "latin", "-o", tmp_path / "v.bin")
    assert (code, out) == (1, "") and "line 41, byte 903" in err and len(err.splitlines()) == 1
    assert os.listdir(tmp_path) == ["latin"]


# ---- the run -------------------------------------------------------------------------------------

@pytest.mark.parametrize("method", METHODS)
def test_the_text_may_come_by_a_pipe(method, tmp_path, capsys, monkeypatch):
    data = LABELLED if method == "classifier" else TEXT
    (tmp_path / "text").write_text(data)
    assert train(capsys, method, tmp_path / "text", "-o", tmp_path / "a.bin")[0] == 0
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data.encode())))
    code, out, err = train(capsys, method, "-", "-o", tmp_path / "b.bin")
    assert (code, out) == (0, "") and "loss" in err
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()


@pytest.mark.parametrize("method", WORD_METHODS)
def test_the_name_chooses_the_format(method, text, tmp_path, capsys):
    for name in "a.vec", "a.safetensors", "a.txt":
        assert train(capsys, method, text, "-o", tmp_path / name)[0] == 0
    a, b, c = (WordVectors.load(tmp_path / f"a.{end}") for end in ("vec", "safetensors", "txt"))
    assert a.index_to_key == b.index_to_key == c.index_to_key and a.vectors.shape == (6, 8)
    np.testing.assert_array_equal(a.vectors, b.vectors)
    np.testing.assert_array_equal(a.vectors, c.vectors)
    assert (tmp_path / "a.vec").read_text().startswith("6 8\nthe ")
    header = "the " if method == "glove" else "6 8\nthe "
    assert (tmp_path / "a.txt").read_text().startswith(header)


@pytest.mark.parametrize("method", ["glove", "fasttext"])
def test_a_checkpoint_is_resumed_to_the_same_bytes(method, text, tmp_path, capsys):
    whole, state, again = tmp_path / "whole.bin", tmp_path / "state", tmp_path / "again.bin"
    train(capsys, method, text, "-o", whole, "--checkpoint", state)
    code, _, err = train(capsys, method, text, "-o", again, "--checkpoint", state, "--resume",
                         "--on-disk", tmp_path / "ids")
    assert code == 0 and "resuming" in err
    assert again.read_bytes() == whole.read_bytes()
    code, _, err = train(capsys, method, text, "-o", again, "--checkpoint", state, "--resume",
                         "--seed", "2")
    assert code == 1 and "seed was 1" in err
    code, _, err = train(capsys, method, text, "-o", again, "--checkpoint", state)
    assert code == 1 and "is there already: resume it" in err


def interrupted(chunk):
    """The same chunk, but Ctrl-C is pressed while it works."""
    def pressed(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        return chunk(*arguments)
    pressed.__name__ = chunk.__name__
    return pressed


@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c_ends_with_130_leaves_the_old_file_and_saves_the_checkpoint(
        method, text, labelled, tmp_path, capsys, monkeypatch):
    old, state = tmp_path / "old.bin", tmp_path / "state"
    old.write_text("old")
    module, name = {"word2vec": (word2vec, "skipgram_chunk"), "glove": (glove, "glove_chunk"),
                    "fasttext": (fasttext, "skipgram_chunk"),
                    "classifier": (supervised, "softmax_chunk")}[method]
    chunk = interrupted(getattr(module, name))
    monkeypatch.setattr(module, name, chunk)
    monkeypatch.setattr(supervised, "LOSS", {chunk: "softmax"})
    source = labelled if method == "classifier" else text
    keep = [] if method == "classifier" else ["--checkpoint", state]
    code, out, err = train(capsys, method, source, "-o", old, "--epochs", "1000000", *keep)
    ending = f"; the run is kept in {state}, and the same command with --resume goes on"
    assert (code, out) == (130, "") and "Traceback" not in err
    assert err.endswith(f"\nstopped{ending if keep else ''}\n")
    assert old.read_text() == "old" and state.exists() == bool(keep)


# ---- glove ---------------------------------------------------------------------------------------

def test_every_option_of_glove_reaches_the_counting_or_the_training(text, tmp_path, capsys,
                                                                    monkeypatch):
    seen = {}

    def spy(cells, V, adagrad, **settings):
        seen.update(settings, cells=cells, V=V, adagrad=adagrad)
        one = np.ones((V, 2), np.float32)
        return glove.Trained(one, 2 * one, one[:, 0], one[:, 0], [1.0])
    monkeypatch.setattr(glove, "train", spy)
    options = ["--window", 2, "--unsymmetric", "--unweighted", "--x-max", 7, "--alpha", 0.5,
               "--lr", 0.1, "--adagrad", "paper", "--epochs", 3, "--workers", 2, "--seed", 9,
               "--vectors", "contexts"]
    assert train(capsys, "glove", text, "-o", tmp_path / "v", *options)[0] == 0
    cells = seen.pop("cells")
    assert seen == dict(V=6, adagrad=glove.paper_adagrad, dim=8, x_max=7, alpha=0.5, lr=0.1,
                        epochs=3, workers=2, seed=9, progress=True, checkpoint=None)
    assert cells.counts.sum() == 40 * (1 + 2 + 2 + 2)              # each word's two on the left
    assert (WordVectors.load(tmp_path / "v").vectors == 2).all()
    for which, value in ("words", 1), ("sum", 3):
        train(capsys, "glove", text, "-o", tmp_path / "v", "--vectors", which)
        assert (WordVectors.load(tmp_path / "v").vectors == value).all()


def test_glove_says_what_counting_takes_before_it_counts(text, tmp_path, capsys, monkeypatch):
    """And on a machine that has less memory it stops there, in one line."""
    code, _, err = train(capsys, "glove", text, "-o", tmp_path / "v.txt")
    kept, about, counted, loss = err.splitlines()
    size = cooccurrence.estimate_size(*corpus_of(text))
    assert about == (f"about {size.cells} pairs of words stand together; counting them takes up to "
                     f"{size.bytes / 2**20:.0f} MiB")
    assert counted == f"counted {size.cells}" and loss.startswith("loss ") and code == 0
    monkeypatch.setattr(pair_store, "physical_memory", lambda: 1000)
    code, _, err = train(capsys, "glove", text, "-o", tmp_path / "w.txt")
    assert code == 1 and "choose a larger min_count" in err and not (tmp_path / "w.txt").exists()


def corpus_of(text):
    vocab, corpus = read_corpus(text)
    return corpus, len(vocab)


@pytest.mark.parametrize("options", [["--lr", "-1"], ["--lr", "0"], ["--x-max", "0"],
                                     ["--window", "0"], ["--adagrad", "adam"],
                                     ["--vectors", "both"], ["--mode", "cbow"]])
def test_bad_usage_of_glove_ends_with_2(options, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "glove", "x", "-o", "y", *options])
    assert ended.value.code == 2 and "usage:" in capsys.readouterr().err

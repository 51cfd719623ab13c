"""What train word2vec, glove, fasttext and classifier share; and the options of GloVe."""
import inspect
import os
from types import SimpleNamespace

import numpy as np
import pytest

from scratch_embed.cli.main import parser, resume_hint
from scratch_embed.cli.training import run_options
from scratch_embed.text.reader import read_corpus
from scratch_embed.training.session import RunOptions
from scratch_embed.words import cooccurrence, fasttext, glove, supervised, word2vec
from scratch_embed.words.vectors import WordVectors
from tests.processes import ctrl_c_at, terminal

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


@pytest.fixture
def train(run):
    """train(method, *arguments) -> what run() returns for `train method` with 8 dimensions."""
    return lambda method, *arguments: run("train", method, *arguments, "--dim", 8, *SMALL[method])


# ---- defaults -----------------------------------------------------------------------------------

@pytest.mark.parametrize("method, functions", [
    ("word2vec", [word2vec.train, read_corpus]), ("fasttext", [fasttext.train, read_corpus]),
    ("glove", [glove.train, cooccurrence.count_cells, read_corpus]),
    ("classifier", [supervised.train])])
def test_the_defaults_are_those_of_the_functions(method, functions):
    arguments = vars(parser().parse_args(["train", method, "x", "-o", "y"]))
    defaults = {}
    for function in functions:
        for name, parameter in inspect.signature(function).parameters.items():
            fields = getattr(parameter.default, "_asdict", dict)()       # of a NamedTuple
            defaults |= {name: parameter.default} | fields
    defaults = {name: value for name, value in defaults.items() if type(value) in (int, float)}
    chosen = {"word2vec": {"lr"}, "glove": {"x_max"}}.get(method, {"buckets"})
    assert not any(arguments[name] for name in chosen)             # by --mode, or by the text
    shared = set(arguments) & set(defaults) - chosen
    assert len(shared) >= 7
    for name in shared:
        assert arguments[name] == defaults[name], name


@pytest.mark.parametrize("method", METHODS)
def test_workers_and_seed_are_passed_as_run_options(method):
    arguments = parser().parse_args(["train", method, "x", "-o", "y", "--workers", "8", "--seed",
                                     "9"])
    assert run_options(arguments, None) == RunOptions(8, 9, None, progress=True)


# ---- before the work -----------------------------------------------------------------------------

@pytest.mark.parametrize("method", WORD_METHODS)
@pytest.mark.parametrize("options, message", [
    (["-o", "no/folder/x"], "no folder"), (["-o", "{text}"], "is the input itself"),
    (["-o", "{text}.gz"], "compress"),
    (["-o", "{text}.vec", "--checkpoint", "no/folder/x"], "no folder")])
def test_an_output_that_cannot_be_written_is_an_error_before_the_text_is_read(
        method, options, message, text, train):
    text.write_bytes(b"\xff")                                     # an error if it is read
    code, out, err = train(method, text, *(part.format(text=text) for part in options))
    assert (code, out) == (1, "") and len(err.splitlines()) == 1 and message in err


@pytest.mark.parametrize("method", WORD_METHODS)
@pytest.mark.parametrize("options", [["--resume"], ["--checkpoint", "y"]])
def test_contradictory_checkpoint_options_are_bad_usage(method, options, text, train):
    code, _, err = train(method, text, "-o", "y", *options)
    assert code == 2 and "--checkpoint" in err


@pytest.mark.parametrize("method", METHODS)
def test_a_text_that_is_missing_or_not_utf8_is_an_error_of_one_line(method, tmp_path, train):
    code, out, err = train(method, "no-such-file", "-o", tmp_path / "v.bin")
    assert (code, out) == (1, "")
    assert err == "scratch-embed: no-such-file: there is no such file or folder\n"
    (tmp_path / "latin").write_bytes(TEXT.encode() + b"caf\xe9\n")
    code, out, err = train(method, tmp_path / "latin", "-o", tmp_path / "v.bin")
    assert (code, out) == (1, "") and "line 41, byte 3 of it" in err and len(err.splitlines()) == 1
    assert os.listdir(tmp_path) == ["latin"]


@pytest.mark.parametrize("method", ["fasttext", "classifier"])
def test_more_memory_than_any_machine_has_is_an_error_of_one_line(method, text, labelled,
                                                                    tmp_path, run):
    code, out, err = run("train", method, labelled if method == "classifier" else text, "-o",
                         tmp_path / "v.bin", "--min-n", 3, "--max-n", 6, "--dim", 2_000_000_000,
                         "--buckets", 2_000_000_000)
    assert (code, out) == (1, "") and "Traceback" not in err
    assert err.splitlines()[-1].startswith("scratch-embed: two tables")
    assert "2000000000 buckets" in err and not (tmp_path / "v.bin").exists()


# ---- the run -------------------------------------------------------------------------------------

@pytest.mark.parametrize("method", METHODS)
def test_the_text_may_come_from_a_pipe(method, tmp_path, train, stdin):
    data = LABELLED if method == "classifier" else TEXT
    (tmp_path / "text").write_text(data)
    assert train(method, tmp_path / "text", "-o", tmp_path / "a.bin")[0] == 0
    stdin(data)
    code, out, err = train(method, "-", "-o", tmp_path / "b.bin")
    assert (code, out) == (0, "") and "loss" in err
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()


@pytest.mark.parametrize("method", WORD_METHODS)
def test_the_name_chooses_the_format(method, text, tmp_path, train):
    for name in "a.vec", "a.safetensors", "a.txt":
        assert train(method, text, "-o", tmp_path / name)[0] == 0
    a, b, c = (WordVectors.load(tmp_path / f"a.{end}") for end in ("vec", "safetensors", "txt"))
    assert a.index_to_key == b.index_to_key == c.index_to_key and a.vectors.shape == (6, 8)
    np.testing.assert_array_equal(a.vectors, b.vectors)
    np.testing.assert_array_equal(a.vectors, c.vectors)
    assert (tmp_path / "a.vec").read_text().startswith("6 8\nthe ")
    header = "the " if method == "glove" else "6 8\nthe "
    assert (tmp_path / "a.txt").read_text().startswith(header)


@pytest.mark.parametrize("method", ["glove", "fasttext"])
def test_a_checkpoint_is_resumed_to_the_same_bytes(method, text, tmp_path, train):
    whole, state, again = tmp_path / "whole.bin", tmp_path / "state", tmp_path / "again.bin"
    train(method, text, "-o", whole, "--checkpoint", state)
    code, _, err = train(method, text, "-o", again, "--checkpoint", state, "--resume",
                         "--on-disk", tmp_path / "ids")
    assert code == 0 and "resuming" in err
    assert again.read_bytes() == whole.read_bytes()
    code, _, err = train(method, text, "-o", again, "--checkpoint", state, "--resume",
                         "--seed", "2")
    assert code == 1 and "seed was 1" in err
    code, _, err = train(method, text, "-o", again, "--checkpoint", state)
    assert code == 0 and "holds a finished run; this run will replace it" in err


@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c_exits_with_code_130_leaves_the_old_file_and_saves_the_checkpoint(
        method, text, labelled, tmp_path, train):
    """Ctrl-C is sent when the progress bar shows the first loss."""
    old, state = tmp_path / "old.bin", tmp_path / "state"
    old.write_text("old")
    source = labelled if method == "classifier" else text
    for options in ["--checkpoint", state], []:
        with terminal(ctrl_c_at("loss")) as screen:
            code, out, _ = train(method, source, "-o", old, "--epochs", "20000", *options)
        ending = (f"; the state is saved in {state}: repeat the command with --resume to continue"
                  if options else f"; this run is lost, and nothing was written to {old}; with "
                  "--checkpoint FILE a run can be continued: its state is saved every minute and "
                  "at Ctrl-C")
        assert (code, out) == (130, "") and "Traceback" not in screen.text
        assert screen.text.endswith(f"\nstopped{ending}\r\n")
        assert old.read_text() == "old" and state.exists() == bool(options)
        state.unlink(missing_ok=True)


@pytest.mark.parametrize("output", ["v.vec", "folder"])
def test_ctrl_c_after_the_output_was_written_says_so(output, tmp_path):
    path = tmp_path / output
    written = path
    if output == "folder":
        path.mkdir()
        written = path / "config.json"
    options = SimpleNamespace(checkpoint=None, output=str(path))
    assert "nothing was written" in resume_hint(options, KeyboardInterrupt(), 10.0)
    written.write_text("old")
    os.utime(written, (5, 5))
    assert "nothing was written" in resume_hint(options, KeyboardInterrupt(), 10.0)
    os.utime(written, (20, 20))
    assert resume_hint(options, KeyboardInterrupt(), 10.0) == f"; {path} is written and complete"


# ---- glove ---------------------------------------------------------------------------------------

def test_every_option_of_glove_reaches_the_counting_or_the_training(tmp_path, run, check_options):
    """The vectors equal those of glove.train, bit for bit; each option changes them."""
    text, out = tmp_path / "text", tmp_path / "v.bin"
    text.write_text(TEXT + "a word of its own\n")
    options = [["--window", 2], ["--asymmetric"], ["--no-distance-weighting"], ["--x-max", 7],
               ["--alpha", 0.5], ["--lr", 0.1], ["--adagrad", "paper"], ["--epochs", 3],
               ["--min-count", 1], ["--dim", 4], ["--seed", 9], ["--vectors", "contexts"]]
    vocab, corpus = read_corpus(text, 1)
    cells = cooccurrence.count_cells(corpus, len(vocab), 2, cooccurrence.flat, symmetric=False)
    trained = glove.train(cells, len(vocab), glove.paper_adagrad, dim=4, x_max=7, alpha=0.5, lr=0.1,
                          epochs=3, options=RunOptions(seed=9))
    for which, vectors in ("words", trained.W), ("sum", trained.vectors), ("contexts", trained.U):
        options[-1] = ["--vectors", which]
        assert run("train", "glove", text, "-o", out, *sum(options, []))[0] == 0
        np.testing.assert_array_equal(WordVectors.load(out).vectors, vectors)
    check_options("train", "glove", text, "-o", out, options=options)


def test_glove_prints_the_memory_that_counting_needs_before_it_counts(text, tmp_path, train):
    code, _, err = train("glove", text, "-o", tmp_path / "v.txt")
    _, _, x_max, about, counted, loss, *_ = err.splitlines()
    size = cooccurrence.estimate_size(*corpus_of(text))
    assert about == (f"about {size.cells} pairs of words co-occur; counting them takes up to "
                     f"{size.bytes / 2**20:.0f} MiB")
    assert x_max == "--x-max 10, chosen by the number of words"
    assert counted == f"counted {size.cells} pairs"
    assert loss.startswith("loss ") and code == 0


def corpus_of(text):
    vocab, corpus = read_corpus(text)
    return corpus, len(vocab)


@pytest.mark.parametrize("options", [["--lr", "-1"], ["--lr", "0"], ["--x-max", "0"],
                                     ["--window", "0"], ["--adagrad", "adam"],
                                     ["--vectors", "both"], ["--mode", "cbow"]])
def test_bad_usage_of_glove_exits_with_code_2(options, run):
    code, _, err = run("train", "glove", "x", "-o", "y", *options)
    assert code == 2 and err.endswith("--help\n")

"""The commands train classifier, predict and evaluate classifier."""
import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.training.session import RunOptions
from scratch_embed.words import supervised
from scratch_embed.words.fasttext_files import read_bin
from scratch_embed.words.labelled import read_labelled
from scratch_embed.words.subwords import NGrams

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
ANSWERS = json.loads((GOLDEN / "fasttext.json").read_text("utf-8"))
MODEL = GOLDEN / "fasttext-supervised-softmax.bin"
LINES = ("__label__good nice fine good\n__label__bad dull poor bad\n" * 30
         + "__label__odd __label__rare strange weird strange\n" * 10)


@pytest.fixture
def labelled(tmp_path):
    path = tmp_path / "labelled.txt"
    path.write_text(LINES)
    return path


# ---- train classifier ---------------------------------------------------------------------------

@pytest.mark.parametrize("loss", ["softmax", "ns", "hs", "ova"])
def test_a_classifier_is_trained_and_predicts(loss, labelled, tmp_path, run):
    code, out, err = run("train", "classifier", labelled, "-o", tmp_path / "m.bin",
                         "--dim", 8, "--lr", 1, "--epochs", 20, "--loss", loss)
    assert (code, out) == (0, "")
    assert "4 labels" in err and "wrote" in err
    assert read_bin(tmp_path / "m.bin").settings.loss == loss
    (tmp_path / "new").write_text("fine nice\npoor dull\n")
    _, out, _ = run("predict", tmp_path / "m.bin", tmp_path / "new")
    assert [line.split("\t")[0] for line in out.splitlines()] == ["__label__good", "__label__bad"]


def test_a_checkpoint_is_resumed_to_the_same_bytes(labelled, tmp_path, run):
    whole, state, again = tmp_path / "whole.bin", tmp_path / "state", tmp_path / "again.bin"
    small = ["--dim", 4, "--epochs", 2, "--checkpoint", state]
    run("train", "classifier", labelled, "-o", whole, *small)
    code, _, err = run("train", "classifier", labelled, "-o", again, *small, "--resume")
    assert code == 0 and "resuming" in err
    assert again.read_bytes() == whole.read_bytes()
    code, _, err = run("train", "classifier", labelled, "-o", again, *small)
    assert code == 0 and "holds a finished run; this run will replace it" in err


def test_every_option_reaches_the_training(tmp_path, run, check_options):
    """The model equals that of supervised.train, bit for bit; each option changes it."""
    text, out = tmp_path / "text", tmp_path / "m.bin"
    text.write_bytes(LINES.encode() + b"__label__bad caf\xe9 poor\n")
    options = [["--loss", "ns"], ["--dim", 2], ["--lr", 0.7], ["--epochs", 6], ["--min-count", 3],
               ["--word-ngrams", 4], ["--min-n", 2], ["--max-n", 5], ["--buckets", 30],
               ["--negatives", 7], ["--seed", 9], ["--errors", "ignore"]]
    assert run("train", "classifier", text, "-o", out, *sum(options, []))[0] == 0
    trained = supervised.train(
        read_labelled(text, errors="ignore"), supervised.negative_sampling_chunk, dim=2, lr=0.7,
        epochs=6, min_count=3, word_ngrams=4, ngrams=NGrams(2, 5, 30), negatives=7,
        options=RunOptions(seed=9))
    trained.classifier.save(tmp_path / "expected.bin")
    assert out.read_bytes() == (tmp_path / "expected.bin").read_bytes()
    check_options("train", "classifier", text, "-o", out, options=options)


def test_a_model_name_that_does_not_end_in_bin_is_bad_usage(labelled, run):
    code, _, err = run("train", "classifier", labelled, "-o", "model.vec")
    assert code == 2 and "--output: expected a name that ends in .bin" in err


@pytest.mark.parametrize("content, message", [
    (LINES + "no label here\n", "line 71 has no label"), ("\n\n", "expected a text with words")])
def test_lines_without_a_label_are_an_error_of_one_line(content, message, labelled, tmp_path, run):
    labelled.write_text(content)
    code, out, err = run("train", "classifier", labelled, "-o", tmp_path / "m.bin")
    assert (code, out) == (1, "") and message in err and len(err.splitlines()) == 1
    assert os.listdir(tmp_path) == ["labelled.txt"]


def test_the_model_must_not_replace_the_text(labelled, tmp_path, run):
    text = labelled.rename(tmp_path / "labelled.bin")
    code, _, err = run("train", "classifier", text, "-o", text)
    assert code == 1 and "is the input itself" in err and text.read_text() == LINES


# ---- predict ------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, k, threshold, labels, theirs",
                         ANSWERS["supervised-softmax"]["predict"])
def test_the_predictions_are_those_of_fasttext(text, k, threshold, labels, theirs, tmp_path, run):
    """4 digits are printed; fastText adds 1e-5 to a probability (words/classifier.py)."""
    (tmp_path / "text").write_text(text + "\n", encoding="utf-8")
    code, out, err = run("predict", MODEL, tmp_path / "text", "-k", max(k, 1),
                         "--threshold", threshold)
    fields = out.removesuffix("\n").split("\t")
    assert (code, err) == (0, "") and fields[0::2] == (labels or [""])[:max(k, 1)]
    np.testing.assert_allclose([float(p) for p in fields[1::2]],
                               [float.fromhex(p) for p in theirs][:max(k, 1)], rtol=0, atol=1e-4)


def test_predict_prints_a_line_for_each_input_line(tmp_path, run):
    """Also for a blank line; a line is empty if no label reaches --threshold."""
    lines = ["where is the king"] * 1500 + ["", "la mer\r", "__label__short la mer"]
    (tmp_path / "text.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    out = run("predict", MODEL, tmp_path / "text.gz")[1].splitlines()
    assert len(out) == len(lines) and len(set(out[:1500])) == 1
    assert out[-1] == out[-2] and out[0].startswith("__label__english\t0.99")
    assert run("predict", MODEL, tmp_path / "text.gz", "--threshold", 1)[1] == "\n" * 1503


def test_a_line_has_up_to_k_labels_the_most_probable_first(tmp_path, run):
    (tmp_path / "text").write_text("where is the king")
    fields = run("predict", MODEL, tmp_path / "text", "-k", 9)[1].rstrip("\n").split("\t")
    assert len(fields) == 8 and len(set(fields[::2])) == 4
    p = [float(x) for x in fields[1::2]]
    assert p == sorted(p, reverse=True) and abs(sum(p) - 1) <= 4 * 0.5e-4


def test_predict_reads_a_pipe_and_its_reader_may_stop_early():
    done = subprocess.run(
        f"yes 'where is the king' | head -n 5000 | {sys.executable} -m scratch_embed predict "
        f"{MODEL} - | head -n 1", shell=True, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stdout.startswith("__label__english\t") and done.stderr == ""


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo-terminals")
def test_typed_lines_are_classified_one_by_one():
    """The second line is typed after the labels of the first are printed."""
    leader, follower = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "scratch_embed", "predict", str(MODEL), "-"], stdin=follower,
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    watchdog = threading.Timer(60, process.kill)                  # so that a failure cannot hang
    watchdog.start()
    with open(leader, "wb", buffering=0) as keyboard:
        for typed in b"where is the king\n", b"la mer\n":
            keyboard.write(typed)
            assert process.stdout.readline().startswith("__label__")
        keyboard.write(b"\x04")                                   # Ctrl-D ends the input
        assert process.wait(60) == 0
    watchdog.cancel()
    os.close(follower)


@pytest.mark.parametrize("model, text, message", [
    (MODEL, "no-such-file", "no-such-file"), ("no-model", "{text}", "no-model"),
    (GOLDEN / "fasttext-skipgram.bin", "{text}", "found a fastText model of words, without labels"),
    (GOLDEN / "word_vectors.bin", "{text}", "found word vectors"),
    (MODEL, "{latin}", "line 2, byte 3 of it")])
def test_a_users_error_is_one_line_and_exits_with_code_1(model, text, message, tmp_path, run):
    (tmp_path / "text").write_text("x\n")
    (tmp_path / "latin").write_bytes(b"x\ncaf\xe9\n")
    text = text.format(text=tmp_path / "text", latin=tmp_path / "latin")
    code, out, err = run("predict", model, text)
    assert (code, out) == (1, "") and message in err and len(err.splitlines()) == 1
    code, out, _ = run("predict", MODEL, tmp_path / "latin", "--errors", "ignore")
    assert code == 0 and len(out.splitlines()) == 2


@pytest.mark.parametrize("command", ["predict m", "predict m t -k 0", "predict m t -k all",
                                     "predict m t --threshold -1", "evaluate classifier m",
                                     "train classifier x -o y.bin --loss hinge",
                                     "train classifier x -o y.bin --window 3"])
def test_bad_usage_exits_with_code_2(command, run):
    code, _, err = run(*command.split())
    assert code == 2 and err.endswith("--help\n")


# ---- evaluate classifier ------------------------------------------------------------------------

def test_precision_and_recall_are_counted_over_all_labels(tmp_path, run):
    """Two lines have known labels.  The model predicts english for both: 1 of 2 is right.

    1 of their 3 labels is found.  With k = 4, 3 of 8 predictions are right and all 3 labels are
    found.  A label that the model does not know is left out.  The model's most frequent label is
    english, which one of the two lines has.
    """
    always = "P@1 of always __label__english\t0.5000\n"
    (tmp_path / "test").write_text("__label__english where is the king\n"
                                   "__label__français __label__short where is the king\n"
                                   "__label__unheard where is the king\n", encoding="utf-8")
    code, out, err = run("evaluate", "classifier", MODEL, tmp_path / "test")
    assert (code, out) == (0, "N\t2\nP@1\t0.5000\nR@1\t0.3333\n" + always)
    assert err == "left out 1 labels that the model does not know\n"
    out = run("evaluate", "classifier", MODEL, tmp_path / "test", "-k", 4)[1]
    assert out == "N\t2\nP@4\t0.3750\nR@4\t1.0000\n" + always
    out = run("evaluate", "classifier", MODEL, tmp_path / "test", "--threshold", 1)[1]
    assert out == "N\t2\nP@1\tnan\nR@1\t0.0000\n" + always


def test_a_test_without_labels_is_an_error_of_one_line(tmp_path, run):
    (tmp_path / "test").write_text("where is the king\n")
    code, out, err = run("evaluate", "classifier", MODEL, tmp_path / "test")
    assert (code, out) == (1, "") and "line 1 has no label" in err and len(err.splitlines()) == 1

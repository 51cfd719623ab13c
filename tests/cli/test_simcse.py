"""train simcse: the weights are those of simcse.train; sentence-transformers loads the folder."""
import inspect
from functools import partial

import numpy as np
import pytest

from scratch_embed.cli.main import parser
from scratch_embed.nn.optim import Optim
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.sentences.folder import read_sentence_folder
from scratch_embed.sentences.simcse import HeldOut, geometry, train, vectors
from scratch_embed.text.tokenizer_files import load
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import Bert
from scratch_embed.transformer.pooling import cls, mean
from tests.processes import ctrl_c_at, terminal

LINES = ["a cat has milk", "the tenor sang a song", "a dancer looks very happy", "the cat",
         "a chauffeur drove a car", "the tenor sings"]
PARTNERS = ["this cat has some milk", "a tenor sings", "the dancer is happy", "a cat",
            "he drove the car", "one sings"]
NEGATIVES = ["a car", "the song", "a cat", "milk", "a tenor", "the dancer"]
TINY = ["--steps", "4", "--batch-size", "4"]


@pytest.fixture
def files(tmp_path):
    """A folder with text, pairs, triples, and held: pairs of the last three lines."""
    rows = list(zip(LINES, PARTNERS, NEGATIVES))
    for name, lines in (("text", LINES), ("pairs", ["\t".join(row[:2]) for row in rows]),
                        ("triples", map("\t".join, rows)),
                        ("held", ["\t".join(row[:2]) for row in rows[3:]])):
        (tmp_path / name).write_text("\n\n".join(lines) + "\n")
    return tmp_path


@pytest.fixture
def run(run):
    return partial(run, "train", "simcse")


def packed(models, *views, length=16):
    tokenizer = load(models.bert)
    return [tokenizer.encode_batch(view, max_length=length) for view in views]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*"))
            if path.is_file()}


# ---- the output folder --------------------------------------------------------------------------

@pytest.mark.parametrize("source, views", [
    (["{text}"], [LINES]), (["--pairs", "{pairs}"], [LINES, PARTNERS]),
    (["--pairs", "{triples}"], [LINES, PARTNERS, NEGATIVES])])
def test_the_folder_has_the_weights_that_simcse_train_computes(source, views, models, files, run):
    names = {path.name: path for path in files.iterdir()}
    code, out, err = run(*(part.format(**names) for part in source), "-o", files / "m",
                         "--model", models.bert, *TINY, "--pooling", "mean", "--tau", "0.1",
                         "--lr", "0.01", "--warmup-ratio", "0.5", "--dropout", "0.2", "--seed", "5",
                         "--max-length", "6")
    assert (code, out) == (0, "")
    start = Bert.load(models.bert)
    expected = train(packed(models, *views, length=6), start, mean, tau=0.1, steps=4, batch_size=4,
                 optim=Optim(0.01, 0.5, weight_decay=0.0), dropout=0.2, options=RunOptions(seed=5))
    found, recipe = read_sentence_folder(files / "m")
    p = found.p
    assert found.config == start.config
    assert set(expected.model.p) - set(p) == {"head.weight", "head.bias"}
    for name in p:
        np.testing.assert_array_equal(p[name], expected.model.p[name])
    assert recipe.poolings == (mean,) and not recipe.normalize and recipe.max_seq_length == 6
    assert not recipe.dense and load(files / "m").pieces == load(models.bert).pieces
    assert f"loss {np.mean(expected.losses):.4f}, the mean of all 4 steps" in err
    saved, trained = p.flat.size, expected.model.p.flat.size
    assert (f"the model has {trained:,} parameters, including the heads that only training "
            "uses\n") in err
    assert f", {saved:,} parameters, without the {trained - saved:,} of the heads of" in err
    kinds = ["texts", "texts and positives", "texts, positives and hard negatives"]
    assert f"6 {kinds[len(views) - 1]}" in err


def test_the_projection_head_is_kept_with_keep_head(models, files, run):
    command = [files / "text", "--model", models.bert, *TINY, "-o", files / "m", "--keep-head"]
    assert run(*command)[0] == 0
    expected = train(packed(models, LINES), Bert.load(models.bert), steps=4, batch_size=4).model.p
    _, recipe = read_sentence_folder(files / "m")
    (head,) = recipe.dense
    np.testing.assert_array_equal(head.p["linear.weight"], expected["head.weight"])
    np.testing.assert_array_equal(head.p["linear.bias"], expected["head.bias"])
    assert recipe.poolings == (cls,)


def test_training_without_a_head_gives_another_encoder(models, files, run):
    command = [files / "text", "--model", models.bert, *TINY, "-o", files / "m", "--no-head"]
    assert run(*command)[0] == 0
    expected = train(packed(models, LINES), Bert.load(models.bert), steps=4, batch_size=4,
                 with_head=False).model.p
    p = read_sentence_folder(files / "m")[0].p
    assert list(p) == list(expected)
    np.testing.assert_array_equal(p.flat, expected.flat)


def test_it_prints_alignment_and_uniformity_before_during_and_after_training(models, files, run):
    _, _, err = run(files / "text", "-o", files / "m", "--model", models.bert, *TINY,
                    "--held-out", files / "held", "--eval-steps", "3", "--lr", "0.01")
    start = Bert.load(models.bert)
    held = HeldOut(*packed(models, LINES[3:], PARTNERS[3:]), every=3)
    expected = train(packed(models, LINES), start, steps=4, batch_size=4,
                 optim=Optim(0.01, weight_decay=0.0), held_out=held)
    lines = [line for line in err.splitlines() if ": alignment" in line]
    numbers = "alignment {:.4f}, uniformity {:.4f}".format
    assert lines == ["before: " + numbers(*geometry(held, start, cls)),
                     "step 3: " + numbers(*expected.curve[0][1:]),
                     "after: " + numbers(*geometry(held, expected.model, cls))]


def test_texts_that_are_truncated_are_counted(models, files, run):
    _, _, err = run(files / "text", "-o", files / "m", "--model", models.bert, *TINY,
                    "--max-length", "8")
    lengths = np.diff(packed(models, LINES)[0].offsets)
    assert 8 in lengths and f"{(lengths > 8).sum()} of 6 texts have more than --max-length 8" in err


def test_a_sentence_encoder_can_be_trained_further(models, files, run):
    assert run(files / "text", "-o", files / "m", "--model", models.encoder, *TINY)[0] == 0


def test_epochs_are_passes_over_the_texts(models, files, run):
    code, _, err = run(files / "text", "-o", files / "m", "--model", models.bert,
                       "--epochs", "3", "--batch-size", "3")
    assert code == 0 and "6 steps in 3 epochs of 6 sequences" in err


def test_the_defaults_are_those_of_simcse_train():
    arguments = vars(parser().parse_args(["train", "simcse", "x", "-o", "y", "--model", "z"]))
    defaults = {name: parameter.default for name, parameter
                in inspect.signature(train).parameters.items()}
    for name in "tau", "steps", "dropout":
        assert arguments[name] == defaults[name], name
    assert arguments["batch_size"] == defaults["batch_size"] and arguments["pooling"] is None
    assert (arguments["lr"], arguments["warmup_ratio"]) == defaults["optim"][:2]
    assert (arguments["workers"], arguments["seed"]) == defaults["options"][:2]
    assert arguments["eval_steps"] == HeldOut._field_defaults["every"]


# ---- checkpoints --------------------------------------------------------------------------------

def test_a_stopped_run_is_resumed_to_the_same_bytes(models, files, run):
    """Ctrl-C is sent when the progress bar shows the first loss."""
    command = [files / "text", "--model", models.bert, *TINY, "--steps", "200"]
    run(*command, "-o", files / "whole")
    state = ["--checkpoint", files / "state"]
    with terminal(ctrl_c_at("loss")) as screen:
        assert run(*command, *state, "-o", files / "resumed")[0] == 130
    assert screen.text.endswith("--resume to continue\r\n") and not (files / "resumed").exists()
    assert 0 < len(read_safetensors(files / "state")[0]["session/losses"]) < 200
    code, _, err = run(*command, *state, "-o", files / "resumed", "--resume")
    assert code == 0 and contents(files / "resumed") == contents(files / "whole")
    for change, message in (["--tau", "0.1"], "tau was 0.05"), (["--pooling", "mean"],
                                                                "--pooling was"):
        code, _, err = run(*command, *state, "-o", files / "resumed", "--resume", *change)
        assert code == 1 and message in err
    (files / "text").write_text("\n".join(LINES[::-1]))
    code, _, err = run(*command, *state, "-o", files / "resumed", "--resume")
    assert code == 1 and "data was" in err


# ---- errors -------------------------------------------------------------------------------------

@pytest.mark.parametrize("arguments, message", [
    (["{files}/none", "--model", "{bert}"], "none: there is no such file"),
    (["{files}/text", "--model", "{files}/none"], "none: there is no such file"),
    (["{files}/text", "--model", "{files}"], "found a folder that contains"),
    (["{files}/text", "--model", "{files}/text"], "with a transformer, found a text"),
    (["{files}/blank", "--model", "{bert}"], "blank: expected at least 2 texts"),
    (["--pairs", "{files}/text", "--model", "{bert}"], "text: line 1: expected 2 to 3 texts"),
    (["--pairs", "{files}/uneven", "--model", "{bert}"], "uneven: line 2: expected 2 texts"),
    (["{files}/text", "--held-out", "{files}/triples", "--model", "{bert}"], "triples: line 1"),
    (["{files}/text", "--model", "{bert}", "--max-length", "17"], "accepts at most 16 tokens"),
    (["{files}/text", "--model", "{bert}", "--max-length", "1"], "--max-length 1"),
    (["{files}/text", "--model", "{bert}", "-o", "{files}/text"], "name of a folder, got a file"),
    (["{files}/text", "--model", "{bert}", "-o", "{bert}"], "is not a sentence encoder"),
    (["{files}/text", "--model", "{encoder}", "-o", "{encoder}"], "is the model itself"),
    (["{files}/text", "--model", "{bert}", "-o", "{files}/no/m"], "there is no folder"),
    (["{files}/text", "--model", "{bert}", "--lr", "1e30"], "not finite")])
def test_a_users_error_is_one_line_and_leaves_no_folder(arguments, message, models, files, run):
    (files / "blank").write_text("one text\n\n")
    (files / "uneven").write_text("a\tb\na\tb\tc\n")
    names = dict(files=files, bert=models.bert, encoder=models.encoder)
    code, out, err = run("-o", files / "m", *TINY,
                         *(part.format(**names) for part in arguments))
    assert (code, out) == (1, "") and message in err.splitlines()[-1] and "Traceback" not in err
    assert err.splitlines()[-1].startswith("scratch-embed: ") and not (files / "m").exists()


@pytest.mark.parametrize("arguments, message", [
    ([], "name either a text or --pairs FILE"), (["x", "--pairs", "y"], "name either a text"),
    (["x", "--batch-size", "1"], "2 or more"), (["x", "--tau", "0"], "above 0"),
    (["x", "--pooling", "max"], "invalid choice"), (["x", "--epochs", "2", "--steps", "3"], "not"),
    (["x", "--no-head", "--keep-head"], "not allowed"),
    (["x", "--resume"], "--resume needs --checkpoint")])
def test_bad_usage_exits_with_code_2(arguments, message, tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments, "-o", "m", "--model", "b")
    assert (code, out) == (2, "") and message in err


# ---- parity with sentence-transformers -----------------------------------------------------------

@pytest.mark.parametrize("keep", [[], ["--keep-head"]])
def test_sentence_transformers_loads_the_folder_and_has_the_same_vectors(keep, models, files,
                                                                         run):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    run(files / "text", "-o", files / "m", "--model", models.bert, *TINY, *keep, "--lr",
        "0.01")
    theirs = sentence_transformers.SentenceTransformer(str(files / "m")).encode(LINES)
    model, recipe = read_sentence_folder(files / "m")
    ours = vectors(packed(models, LINES)[0], model)
    if keep:
        (head,) = recipe.dense
        ours = np.tanh(ours @ head.p["linear.weight"].T + head.p["linear.bias"])
    np.testing.assert_allclose(theirs, ours, atol=2e-6)

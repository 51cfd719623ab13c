"""train cross-encoder: the weights are those of train(); data, losses, starts and verdicts."""
import inspect

import numpy as np
import pytest

from scratch_embed.cli.cross_encoder_data import LOSSES
from scratch_embed.cli.main import parser
from scratch_embed.cli.models import in_words_of_chance
from scratch_embed.losses.binary_cross_entropy import binary_cross_entropy
from scratch_embed.nn.optim import Optim
from scratch_embed.numerics.functions import sigmoid
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.sentences import cross_encoder_training
from scratch_embed.sentences.cross_encoder import CrossEncoder
from scratch_embed.sentences.cross_encoder_settings import identity
from scratch_embed.sentences.cross_encoder_training import (
    CLASSES,
    SCORES,
    pair_loss,
    random_negatives,
)
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.training.session import RunOptions
from tests.cli.test_sbert import KEYS, NEGATIVES, QUERIES, lines
from tests.cli.test_sbert import SCORES as NUMBERS
from tests.cli.test_simcse import contents
from tests.processes import ctrl_c_at, terminal

TRIPLETS = (QUERIES, KEYS, NEGATIVES)
STEPS = ["--steps", "3", "--batch-size", "4"]


@pytest.fixture
def files(tmp_path):
    """A folder with pairs, triplets, scored (0..1), ratings (0..5), classes."""
    for name, columns in (("pairs", (QUERIES, KEYS)), ("triplets", TRIPLETS),
                          ("scored", (QUERIES, KEYS, NUMBERS)),
                          ("ratings", (QUERIES, KEYS, [5 * s for s in NUMBERS])),
                          ("classes", (QUERIES, KEYS, [0, 1, 2] * 4))):
        (tmp_path / name).write_text(lines(*columns))
    return tmp_path


@pytest.fixture
def run(run, files, models):
    """run(*arguments) -> exit code, stdout, stderr of a training of a few steps from a BERT."""
    def command(*arguments):
        given = {str(argument) for argument in arguments}
        start = [] if "--model" in given else ["--model", models.encoder]
        return run("train", "cross-encoder", "-o", files / "m", *start, *STEPS, *arguments)
    return command


def assert_trained(folder, start, loss, pairs, targets, **how):
    """The folder holds the weights that train() computes from this start; -> its CrossEncoder."""
    settings = dict(steps=3, batch_size=4, optim=Optim(3e-4, weight_decay=0.0)) | how
    expected = cross_encoder_training.train(start.tokenize(pairs), np.asarray(targets), start, loss,
                                            **settings).encoder
    found = CrossEncoder.load(folder)
    for name, tensor in expected.model.p.items():
        np.testing.assert_array_equal(found.model.p[name], tensor, err_msg=name)
    return found


def rows(*columns):
    """The pairs of queries with each of their candidates."""
    return [(query, text) for query, *texts in zip(*columns) for text in texts]


# ---- the data and the loss ----------------------------------------------------------------------

def test_a_positive_among_its_hard_negatives(models, files, run):
    code, out, err = run("--pairs", files / "triplets", "--lr", "0.01", "--warmup-ratio", "0.5",
                         "--dropout", "0.2", "--seed", "5")
    assert (code, out) == (0, "")
    start = CrossEncoder.warm_start(SentenceEncoder.load(models.encoder), seed=5)
    found = assert_trained(files / "m", start, CLASSES, rows(*TRIPLETS), np.zeros(12, int),
                           optim=Optim(0.01, 0.5, weight_decay=0.0), dropout=0.2,
                           options=RunOptions(seed=5))
    assert found.settings.activation is identity and found.settings.labels == ("LABEL_0",)
    assert found.tokenizer.pieces == start.tokenizer.pieces
    assert f"12 examples of {files / 'triplets'}: a query, its positive and 1 negative" in err
    assert "gets a new head with 1 score per pair" in err and f"(chance: {np.log(2):.4f}" in err


@pytest.mark.parametrize("options, count", [([], 4), (["--negatives", "2"], 2)])
def test_pairs_get_random_negatives(options, count, models, files, run):
    code, _, err = run("--pairs", files / "pairs", *options)
    assert code == 0 and f"its positive and {count} negatives" in err
    negatives = random_negatives(QUERIES, KEYS, count, seed=1)
    assert_trained(files / "m", CrossEncoder.warm_start(SentenceEncoder.load(models.encoder)),
                   CLASSES, rows(QUERIES, KEYS, *negatives), np.zeros(12, int))


@pytest.mark.parametrize("options, loss, data, targets", [
    (["--loss", "bce", "--pos-weight", "3"], pair_loss(binary_cross_entropy, pos_weight=3.0),
     "triplets", np.tile([1.0, 0.0], (12, 1))),
    (["--loss", "bce"], pair_loss(binary_cross_entropy, pos_weight=1.0), "scored", NUMBERS),
    (["--max-score", "5"], pair_loss(binary_cross_entropy, pos_weight=1.0), "ratings", NUMBERS),
    (["--loss", "mse"], SCORES, "ratings", [5 * s for s in NUMBERS]),
    (["--loss", "cross-entropy"], CLASSES, "classes", [0, 1, 2] * 4)])
def test_the_loss_and_its_settings_are_those_of_the_options(options, loss, data, targets, models,
                                                            files, run):
    code, _, err = run("--pairs" if data == "triplets" else "--scored", files / data, *options)
    assert code == 0 and "verdict: " in err
    columns = TRIPLETS if data == "triplets" else (QUERIES, KEYS)
    labels = tuple(f"LABEL_{n}" for n in range(3 if data == "classes" else 1))
    start = CrossEncoder.warm_start(SentenceEncoder.load(models.encoder), labels)
    targets = np.array(targets) if data == "classes" else np.float32(targets)
    found = assert_trained(files / "m", start, loss, rows(*columns), targets)
    assert found.settings.activation is (identity if {"mse", "cross-entropy"} & {*options}
                                         else sigmoid)


@pytest.mark.parametrize("data, loss", [("pairs", "mse"), ("pairs", "infonce")])
def test_a_loss_that_does_not_fit_the_data_is_bad_usage(data, loss, files, run):
    code, _, err = run(f"--{data}", files / data, "--loss", loss)
    assert code == 2 and f"--loss {loss} does not fit" in err or "--loss: expected cross-" in err
    assert all(name in err for name in LOSSES[data]) and not (files / "m").exists()


@pytest.mark.parametrize("options, message", [
    (["--scored", "{pairs}"], "not allowed with"), (["--resume"], "--resume needs --checkpoint"),
    (["--pos-weight", "2"], "--pos-weight belongs to bce, not to cross-entropy"),
    (["--loss", "bce", "--max-score", "2"], "--max-score goes with --scored"),
    (["--negatives", "-1"], "--negatives: expected a whole number"),
    (["--max-length", "3"], "--max-length: expected a whole number")])
def test_bad_usage_exits_with_code_2(options, message, files, run):
    code, out, err = run("--pairs", files / "pairs", *(
        part.format(pairs=files / "pairs") for part in options))
    assert (code, out) == (2, "") and message in err and not (files / "m").exists()
    code, _, err = run("--scored", files / "scored", "--negatives", "1")
    assert code == 2 and "--negatives goes with --pairs" in err


# ---- the start ----------------------------------------------------------------------------------

def test_a_transformer_alone_keeps_its_pooler_and_a_cross_encoder_its_head(models, files, run):
    assert run("--pairs", files / "triplets", "--model", models.bert, "--lr", "1e-12")[0] == 0
    first, start = CrossEncoder.load(files / "m"), SentenceEncoder.load(models.bert).model.p
    np.testing.assert_allclose(first.model.p["pooler.weight"], start["pooler.weight"], atol=1e-9)
    code, _, err = run("--scored", files / "scored", "--model", files / "m", "-o", files / "n",
                       "--max-length", "9", "--lr", "1e-12")
    again = CrossEncoder.load(files / "n")
    assert code == 0 and "new head" not in err and again.settings.activation is sigmoid
    assert again.settings.max_seq_length == 9
    np.testing.assert_allclose(again.model.p["classifier.weight"],
                               first.model.p["classifier.weight"], atol=1e-9)
    code, _, err = run("--scored", files / "classes", "--loss", "cross-entropy", "--model",
                       files / "m", "-o", files / "o")
    assert code == 1 and "expected a cross-encoder with 3 scores per pair" in err


def test_long_pairs_are_said_to_be_truncated(files, run):
    err = run("--pairs", files / "triplets", "--max-length", "6")[2]
    assert "of 24 pairs have more than 6 tokens and were truncated" in err


# ---- the verdict --------------------------------------------------------------------------------

def test_the_verdict_is_on_held_out_queries_or_says_that_it_knows_the_data(files, run):
    (files / "held").write_text(lines(QUERIES[1:], KEYS[1:]))
    command = ["--pairs", files / "pairs", "--steps", "150", "--lr", "0.003", "--dropout", "0",
               "--batch-size", "12", "--negatives", "9"]
    _, _, err = run(*command)
    assert "finding the positives of the training data among 10, MRR: " in err
    assert "verdict: better than the model before" in err and "may know by heart" in err
    assert "by common tokens" in err and "candidates are drawn at random; those of a search" in err
    _, _, err = run(*command, "--held-out", files / "held")
    assert f"finding the positives of {files / 'held'} among 10" in err and "heart" not in err


@pytest.mark.parametrize("losses, nothing", [([0.693] * 5, True), ([0.9, 0.8, 0.69, 0.4], False),
                                             ([4.0] + [0.1] * 200, False), ([0.5], False)])
def test_a_loss_at_chance_is_said_to_teach_nothing(losses, nothing):
    assert ("nothing was learned" in in_words_of_chance(losses, np.log(2))) == nothing


def test_scores_and_classes_have_verdicts_of_their_own(files, run):
    (files / "held").write_text(lines(QUERIES, KEYS, NUMBERS))
    err = run("--scored", files / "scored", "--held-out", files / "held")[2]
    assert f"Spearman of score and label, 12 pairs of {files / 'held'}: " in err
    assert "; a bag of words " in err
    err = run("--scored", files / "classes", "--loss", "cross-entropy")[2]
    assert "mean loss of 12 pairs" in err and "class frequencies alone" in err


def test_there_is_no_verdict_on_a_few_examples(files, run):
    for data, kind, message in (("triplets", "pairs", "fewer than 10 texts"),
                                ("scored", "scored", "fewer than 10 pairs")):
        (files / "few").write_text("\n".join((files / data).read_text().splitlines()[:6]))
        assert message in run(f"--{kind}", files / "few")[2]


# ---- checkpoints --------------------------------------------------------------------------------

def test_a_stopped_run_is_resumed_to_the_same_bytes(files, run):
    """Ctrl-C is sent when the progress bar shows the first loss."""
    command = ["--pairs", files / "triplets", "--steps", "500"]
    run(*command, "-o", files / "whole")
    state = ["--checkpoint", files / "state"]
    with terminal(ctrl_c_at("loss")) as screen:
        assert run(*command, *state)[0] == 130
    assert screen.text.endswith("--resume to continue\r\n") and not (files / "m").exists()
    assert 0 < len(read_safetensors(files / "state")[0]["session/losses"]) < 500
    code, _, err = run(*command, *state, "--resume")
    assert code == 0 and contents(files / "m") == contents(files / "whole")
    for change, message in (["--loss", "bce"], "loss was"), (["--negatives", "1"], "data was"), (
            ["--batch-size", "3"], "--batch-size was"):
        code, _, err = run(*command, *state, "--resume", *change)
        assert code == 1 and message in err, err


def test_the_defaults_are_those_of_train():
    arguments = vars(parser().parse_args(
        ["train", "cross-encoder", "--pairs", "x", "-o", "y", "--model", "z"]))
    defaults = {name: parameter.default for name, parameter
                in inspect.signature(cross_encoder_training.train).parameters.items()}
    for name in "steps", "dropout", "batch_size":
        assert arguments[name] == defaults[name], name
    assert (arguments["lr"], arguments["warmup_ratio"]) == defaults["optim"][:2]
    assert (arguments["workers"], arguments["seed"]) == defaults["options"][:2]


# ---- errors -------------------------------------------------------------------------------------

@pytest.mark.parametrize("option, content, message", [
    ("--pairs", "a b c\n", "line 1: expected 2 to 65 texts with tabs between them, found 1"),
    ("--pairs", "a\tb\na\tb\tc\n", "line 2: expected 2 texts"),
    ("--pairs", "a\tb\n\t b\n", "line 2: expected a text between the tabs, found nothing"),
    ("--pairs", "a\tb\tc\n", "expected at least 2 examples, found 1"),
    ("--pairs", "a\tb\nc\td\n", "--negatives: expected at most 1, the positives of other queries"),
    ("--scored", "a\tb\t0\na\tb\n", "line 2: expected sentence, sentence and score"),
    ("--scored", "a\tb\t1\na\tb\t1.5\n", "line 2: expected a number from 0 to 1 (--max-score is "
                                         "another limit) as the score, found '1.5'"),
    ("--scored", "a\tb\t1\na\tb\tfive\n", "line 2: expected a number from 0 to 1"),
    ("--scored --loss mse", "a\tb\t1\na\tb\tinf\n", "line 2: expected a number as the score"),
    ("--scored", "a\tb\t1\na\t \t1\n", "line 2: expected two sentences, found a blank one"),
    ("--scored --loss cross-entropy", "a\tb\t1\na\tb\t0.5\n", "line 2: expected a class"),
    ("--scored --loss cross-entropy", "a\tb\t0\na\tb\t0\n", "expected classes 0, 1 and so on"),
    ("--pairs", "\n\n", "expected texts with tabs between them, found none")])
def test_bad_data_is_one_line_before_any_training(option, content, message, files, run):
    (files / "bad").write_text(content)
    option, *others = option.split()
    code, out, err = run(option, files / "bad", *others)
    assert (code, out) == (1, "") and err.startswith(f"scratch-embed: {files / 'bad'}: ")
    assert message in err and err.count("\n") == 1 and not (files / "m").exists()


@pytest.mark.parametrize("options, message", [
    (["--model", "{files}/none"], "none: there is no such file"),
    (["--model", "{files}/pairs"], "with a transformer or a cross-encoder, found a text"),
    (["--max-length", "17"], "accepts at most 16 tokens, got 17"),
    (["-o", "{bert}"], "is not a sentence encoder"),
    (["--model", "{encoder}", "-o", "{encoder}"], "is the model itself"),
    (["--held-out", "{files}/bad"], "bad: line 1: expected 2 to 65 texts"),
    (["--negatives", "0"], "--negatives: expected at least 1, because"),
    (["--negatives", "12"], "--negatives: expected at most 11"), (["--lr", "1e30"], "not finite")])
def test_a_users_error_is_one_line_and_leaves_no_folder(options, message, models, files, run):
    (files / "bad").write_text("a\n")
    names = dict(files=files, bert=models.bert, encoder=models.encoder)
    code, out, err = run("--pairs", files / "pairs", *(part.format(**names) for part in options))
    last = err.splitlines()[-1]
    assert (code, out) == (1, "") and message in last and "Traceback" not in err
    assert last.startswith("scratch-embed: ") and not (files / "m").exists()


# ---- parity with sentence-transformers ----------------------------------------------------------

def test_sentence_transformers_loads_the_folder_and_has_the_same_scores(files, run):
    library = pytest.importorskip("sentence_transformers")
    assert run("--pairs", files / "triplets", "--loss", "bce")[0] == 0
    theirs, pairs = library.CrossEncoder(str(files / "m"), device="cpu"), rows(*TRIPLETS)
    np.testing.assert_allclose(theirs.predict(pairs), CrossEncoder.load(files / "m").predict(pairs),
                               atol=1e-5)


# ---- data that are probably meant otherwise -----------------------------------------------------

def test_scores_in_the_place_of_hard_negatives_and_triplets_are_refused(files, run):
    code, _, err = run("--pairs", files / "scored")
    assert code == 1 and "got numbers such as" in err and "a score, use --scored" in err
    code, _, err = run("--triplets", files / "triplets")
    assert code == 2 and "--triplets is --pairs here" in err


def test_the_training_pairs_themselves_can_be_held_out(files, run):
    assert run("--pairs", files / "pairs", "--held-out", files / "pairs")[0] == 0
    code, _, err = run("--pairs", files / "pairs", "--negatives", "0")
    assert code == 1 and "--negatives: expected at least 1, because" in err and "got 0" in err


def test_too_few_positives_for_the_default_number_of_negatives(files, run):
    (files / "few").write_text("a\tb\nc\td\n")
    code, _, err = run("--pairs", files / "few")
    assert code == 1 and "few: --negatives: expected at most 1, the positives of other" in err
    assert "got 4, the default; give a smaller number" in err

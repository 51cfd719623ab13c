"""train m3: the weights are those of bge_m3_training.train; its data, starts, and the verdict."""
import inspect
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.losses.false_negatives import text_numbers
from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import bge_m3_training, sbert
from scratch_embed.sentences.bge_m3 import BgeM3
from scratch_embed.sentences.encoder import SentenceEncoder
from tests.cli.test_sbert import KEYS, NEGATIVES, NEW, QUERIES, STEPS, lines

sys.path.append(str(Path(__file__).parents[1] / "transformer"))

from tiny_folders import encoder_of


@pytest.fixture
def files(tmp_path):
    (tmp_path / "pairs").write_text(lines(QUERIES, KEYS))
    (tmp_path / "triplets").write_text(lines(QUERIES, KEYS, NEGATIVES))
    return tmp_path


@pytest.fixture
def run(run, files):
    """run(*arguments) -> exit code, stdout, stderr of `train m3 ... -o m` in a few steps."""
    return partial(run, "train", "m3", "-o", files / "m", *STEPS)


def expected(start, *columns, **how):
    """The BgeM3 that three steps of training from this start give."""
    return bge_m3_training.train(
        [sbert.tokenize(start.encoder, texts) for texts in columns], start,
        **dict(steps=3, batch_size=4, optim=Optim(3e-4, weight_decay=0.0), dropout=0.0,
               texts=text_numbers(*columns)) | how).model


def assert_same(folder, right):
    found = BgeM3.load(folder)
    np.testing.assert_array_equal(found.heads.flat, right.heads.flat)
    for name, tensor in found.encoder.model.p.items():
        np.testing.assert_array_equal(tensor, right.encoder.model.p[name], err_msg=name)


def test_a_sentence_encoder_gets_new_heads_and_is_trained_on_pairs(files, run, models):
    code, out, err = run("--pairs", files / "pairs", "--model", models.encoder, "--tau", "0.1",
                         "--dropout", "0.2", "--token-dim", "3")
    assert (code, out) == (0, "")
    start = BgeM3.new(SentenceEncoder.load(models.encoder), 1, token_dim=3)
    assert_same(files / "m", expected(start, QUERIES, KEYS, tau=0.1, dropout=0.2))
    for part in ("MRR by each score: dense 0.", ", multi-vector 0.", "verdict: ", "chance"):
        assert part in err, part


def test_an_m3_folder_keeps_its_heads_and_is_trained_on_triplets(files, run, models, tmp_path):
    start = BgeM3.new(SentenceEncoder.load(models.encoder), 5)
    start.save(tmp_path / "start")
    code, _, err = run("--triplets", files / "triplets", "--model", tmp_path / "start",
                       "--no-self-distillation")
    assert code == 0 and "the weights of its two heads are kept" in err
    assert_same(files / "m", expected(start, QUERIES, KEYS, NEGATIVES, distil_from=None))
    code, _, err = run("--triplets", files / "triplets", "--model", tmp_path / "start",
                       "--token-dim", "3")
    assert code == 1 and "--token-dim: the head of" in err


def test_a_new_model_is_trained_and_its_dense_part_is_a_sentence_encoder(files, run):
    code, _, err = run("--pairs", files / "pairs", *NEW, "--held-out", files / "pairs")
    assert code == 0 and f"finding the positives of {files / 'pairs'}" in err
    found = BgeM3.load(files / "m")
    np.testing.assert_allclose(SentenceEncoder.load(files / "m").encode(KEYS),
                               found.encode(KEYS).dense, atol=2e-7)
    assert len(found.heads["multi.weight"]) == 8


def test_the_defaults_are_those_of_the_function():
    from scratch_embed.cli.main import parser
    given = parser().parse_args(["train", "m3", "--pairs", "x", "-o", "y"])
    defaults = inspect.signature(bge_m3_training.train).parameters
    for name in "dropout", "tau", "steps":
        assert getattr(given, name) == defaults[name].default, name


@pytest.mark.parametrize(("options", "message"), [
    (["--batch-size", "1"], "--batch-size: expected 2 or more"),
    (["--model", "x", "--dim", "8"], "--model has a size and a tokenizer of its own"),
    (["--resume"], "--resume needs --checkpoint"),
    (["--scored", "x"], "unknown option --scored")])
def test_contradicting_options_are_refused(files, run, options, message):
    code, _, err = run("--pairs", files / "pairs", *options)
    assert code == 2 and message in err


def test_a_folder_of_bge_m3_without_modules_json_is_said_to_have_the_vector_of_cls(
        files, run, models, tmp_path):
    BgeM3.new(SentenceEncoder.load(models.encoder), 5).save(tmp_path / "m3")
    for name in "modules.json", "config_sentence_transformers.json", "1_Pooling":
        (tmp_path / "m3" / name).rename(tmp_path / name)
    code, _, err = run.func("encode", tmp_path / "m3", files / "pairs", "-o", tmp_path / "x.npy")
    assert code == 0 and "a text's vector is that of [CLS], normalised" in err
    code, _, err = run("--pairs", files / "pairs", "--model", tmp_path / "m3")
    assert code == 0 and "m3: pooling cls, normalized" in err and "is replaced" not in err


def test_a_causal_model_is_refused(files, run, models, tmp_path):
    """Its first token sees no other, so [CLS] would say nothing about the text."""
    encoder_of("gpt2").save(tmp_path / "gpt2")
    code, _, err = run("--pairs", files / "pairs", "--model", tmp_path / "gpt2")
    assert code == 1 and "--model: expected one whose first token attends to all others" in err
    assert "is replaced" not in err

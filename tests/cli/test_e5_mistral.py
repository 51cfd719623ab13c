"""train e5-mistral: the weights are those of e5_mistral.train; its starts, and the verdict."""
from functools import partial

import numpy as np
import pytest

from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import e5_mistral
from scratch_embed.sentences.e5_mistral import Stage, with_last_token, with_merged
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.text.tokenizer import NO_TEMPLATE
from scratch_embed.transformer import pooling
from scratch_embed.transformer.lora import Lora
from scratch_embed.transformer.mistral import Mistral
from tests.cli.test_sbert import KEYS, NEGATIVES, QUERIES, STEPS, lines
from tests.processes import ctrl_c_at, terminal

NEW = ["--dim", "8", "--heads", "2", "--ff", "12", "--layers", "1", "--max-length", "24",
       "--pretraining-steps", "2"]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "pairs").write_text(lines(QUERIES, KEYS))
    (tmp_path / "triplets").write_text(lines(QUERIES, KEYS, NEGATIVES))
    return tmp_path


@pytest.fixture
def run(run, files):
    """run(*arguments) -> exit code, stdout, stderr of `train e5-mistral ...` in a few steps."""
    return partial(run, "train", "e5-mistral", "--task", "find it", *STEPS)


@pytest.fixture
def decoder(files, run):
    """A folder that the command wrote: a small Mistral with an end token."""
    code, out, err = run("--pairs", files / "pairs", "-o", files / "decoder", *NEW)
    assert (code, out) == (0, "")
    assert "pre-trained for 2 steps" in err and "of LoRA, of rank 16, beside" in err
    return files / "decoder"


def expected(folder, lora, *columns):
    """The merged encoder that three steps of training from this folder give."""
    start = with_last_token(SentenceEncoder.load(folder))
    return with_merged(e5_mistral.train(
        ["find it"] * len(QUERIES), columns, start, lora,
        stage=Stage(3, 4, Optim(1e-3, weight_decay=0.0))).encoder)


def test_the_folder_has_the_weights_that_train_computes(files, run, decoder):
    found = SentenceEncoder.load(decoder)
    assert isinstance(found.model, Mistral) and "lm_head.weight" not in found.model.p
    assert found.recipe.prompts == {"query": "Instruct: find it\nQuery: "}
    for number, (options, lora) in enumerate([(["--rank", "2", "--alpha", "3"], Lora(2, 3.0)),
                                              (["--rank", "3"], Lora(3, 6.0)), (["--full"], None)]):
        out = files / f"m{number}"
        code, _, err = run("--triplets", files / "triplets", "-o", out, "--model", decoder,
                           *options)
        assert code == 0 and ("of LoRA, of rank" in err) == (lora is not None)
        right = expected(decoder, lora, QUERIES, KEYS, NEGATIVES)
        np.testing.assert_array_equal(SentenceEncoder.load(out).model.p.flat, right.model.p.flat)
        assert not np.array_equal(right.model.p.flat, found.model.p.flat)


@pytest.mark.parametrize("options, message", [
    (["--batch-size", "1"], "--batch-size: expected 2 or more"),
    (["--full", "--alpha", "3"], "--alpha belongs to LoRA"),
    (["--full", "--rank", "3"], "--rank belongs to LoRA"),
    (["--heads", "3", "--dim", "9"], "--heads: expected --dim / --heads to be even"),
    (["--model", "m", "--pretraining-steps", "3"], "--pretraining-steps belongs to a new model"),
    (["--model", "m", "--dim", "8"], "--model has a size and a tokenizer of its own")])
def test_options_that_contradict_each_other_are_refused(files, run, options, message):
    code, _, err = run("--pairs", files / "pairs", "-o", files / "m", *options)
    assert code == 2 and message in err


def test_a_decoder_whose_tokenizer_appends_no_end_token_gets_its_eos_token(files, run, decoder):
    """As Mistral's, Llama's and GPT-2's do not."""
    found = SentenceEncoder.load(decoder)
    bare = found.tokenizer.with_tokens(found.tokenizer.added, NO_TEMPLATE, "right",
                                       {"eos_token": "[SEP]", "unk_token": "[UNK]"}, False)
    SentenceEncoder(bare, found.model, found.recipe).save(files / "bare")
    assert e5_mistral.end_token(SentenceEncoder.load(files / "bare")) is None
    code, _, err = run("--pairs", files / "pairs", "-o", files / "m", "--model", files / "bare")
    assert code == 0 and f"{files / 'bare'}: its tokenizer now ends a text with [SEP]" in err
    trained = SentenceEncoder.load(files / "m")
    assert e5_mistral.end_token(trained) == bare.token_to_id("[SEP]")
    assert e5_mistral.with_end_token(trained) is trained


def test_a_prompt_that_fills_the_length_is_refused(files, run, decoder):
    code, _, err = run("--pairs", files / "pairs", "-o", files / "m", "--model", decoder,
                       "--max-length", "5")
    assert code == 1 and "prompt: expected fewer than --max-length 5 tokens" in err


def test_ctrl_c_in_the_pre_training_does_not_say_that_its_state_is_saved(files, run):
    with terminal(ctrl_c_at("loss")) as screen:
        code, _, _ = run("--pairs", files / "pairs", "-o", files / "m", *NEW,
                         "--pretraining-steps", "400", "--checkpoint", files / "state")
    assert code == 130 and "stopped" in screen.text
    assert "pre-trained" not in screen.text and "is saved" not in screen.text
    assert not (files / "state").exists() and not (files / "m").exists()


def test_what_is_replaced_of_another_folder_is_said(files, run, decoder):
    """Its pooling is the mean, and it has a prompt."""
    encoder = SentenceEncoder.load(decoder)
    mean = encoder.recipe._replace(poolings=(pooling.mean,))
    SentenceEncoder(encoder.tokenizer, encoder.model, mean).save(files / "other")
    code, _, err = run("--pairs", files / "pairs", "-o", files / "m", "--model", files / "other")
    assert code == 0 and "its pooling is replaced by the vector of the last token" in err
    assert "--task replaces its prompts, query\n" in err
    assert SentenceEncoder.load(files / "m").recipe.poolings == (pooling.last_token,)

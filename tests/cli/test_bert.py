"""train bert: the weights are those of masked_lm.train; no token is lost; a run can be resumed."""
import gzip
import inspect
import os
from functools import partial

import numpy as np
import pytest

from scratch_embed.cli.main import main, parser
from scratch_embed.cli.new_model import SIZES, count_parameters
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.text.sequences import encode_lines, line_sequences, next_sentence_pairs
from scratch_embed.text.tokenizer import bert_template
from scratch_embed.text.tokenizer_files import load
from scratch_embed.text.wordpiece_training import learn_pieces
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.bert import (
    Bert,
    Config,
    head_tensors,
    mlm_head,
    next_sentence,
    tensors,
)
from scratch_embed.transformer.masked_lm import Masking, train
from tests.processes import ctrl_c_at, terminal

LINES = ["the king sat by the queen", "a cat ate , and the dog ate too", "", "the man and a woman",
         "the dog sat by a cat and by the man and by the king and by the queen"]
TINY = ["--dim", "8", "--heads", "2", "--ff", "12", "--layers", "1", "--max-length", "10",
        "--steps", "6", "--batch-size", "3"]
FILES = ["config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json",
         "tokenizer_config.json", "vocab.txt"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text"
    path.write_text("\n".join(LINES) + "\n")
    return path


@pytest.fixture
def run(run):
    return partial(run, "train", "bert")


def contents(folder):
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))}


# ---- the output folder --------------------------------------------------------------------------

def test_the_folder_has_the_weights_that_masked_lm_train_computes(text, tmp_path, run):
    code, out, err = run(text, "-o", tmp_path / "m", *TINY, "--warmup-ratio", "0.5", "--lr",
                         "0.01", "--dropout", "0.2", "--mlm-probability", "0.3", "--seed", "7")
    assert (code, out) == (0, "") and sorted(os.listdir(tmp_path / "m")) == FILES
    tokenizer = load(tmp_path / "m")
    assert tokenizer.pieces == learn_pieces(LINES)
    corpus = line_sequences(encode_lines(LINES, tokenizer.token_ids), tokenizer.template, 10)
    config = Config(len(tokenizer), 8, 1, 2, 12, 10)
    expected = train(corpus, config, Masking(4, (0, 1, 2, 3, 4), 0.3), steps=6, batch_size=3,
                 optim=Optim(0.01, 0.5), dropout=0.2, options=RunOptions(seed=7))
    loaded = Bert.load(tmp_path / "m")
    found, p = loaded.config, loaded.p
    assert found == config
    assert set(expected.model.p) - set(p) == {"pooler.weight", "pooler.bias",
                                              "next_sentence.weight", "next_sentence.bias"}
    for name in p:
        np.testing.assert_array_equal(p[name], expected.model.p[name])
    assert f"loss {np.mean(expected.losses):.4f}, the mean of all 6 steps" in err
    saved, heads = p.flat.size, expected.model.p.flat.size - p.flat.size
    assert (f"the model has {saved + heads:,} parameters, including the heads that only training "
            "uses\n") in err
    assert f", {saved:,} parameters, without the {heads:,} of the heads of training\n" in err


def test_it_prints_the_number_of_tokens_and_loses_none(text, tmp_path, run):
    """A sequence has room for 8 tokens: the second line is split in two, the last in three."""
    _, _, err = run(text, "-o", tmp_path / "m", *TINY)
    text = encode_lines(LINES, load(tmp_path / "m").token_ids)
    assert np.diff(text.offsets).tolist() == [6, 11, 8, 18]
    assert "43 tokens in 4 lines, 0% of them unknown: 7 sequences" in err
    assert "the model has" in err


def test_next_sentence_trains_and_writes_the_next_sentence_head_too(text, tmp_path, run):
    code, _, err = run(text, "-o", tmp_path / "m", *TINY, "--next-sentence")
    lines = encode_lines(LINES, load(tmp_path / "m").token_ids)
    _, follows = next_sentence_pairs(lines, bert_template(2, 3), 10, seed=1)
    assert code == 0 and "{} pairs of consecutive lines, {} of random lines".format(
        *np.bincount(follows)) in err
    p = Bert.load(tmp_path / "m").p
    assert {"pooler.weight", "next_sentence.bias"} <= set(p)
    assert p["next_sentence.bias"].any()                    # its initial value is 0


def test_a_text_may_come_from_a_pipe_or_be_compressed(text, tmp_path, run, stdin):
    run(text, "-o", tmp_path / "a", *TINY)
    stdin(text.read_bytes())
    (tmp_path / "text.gz").write_bytes(gzip.compress(text.read_bytes()))
    for name, source in ("b", "-"), ("c", tmp_path / "text.gz"):
        code, out, _ = run(source, "-o", tmp_path / name, *TINY)
        assert (code, out) == (0, "")
        assert contents(tmp_path / name) == contents(tmp_path / "a")


def test_an_existing_tokenizer_is_used_unchanged(text, tmp_path, run):
    run(text, "-o", tmp_path / "a", *TINY, "--cased", "--vocab-size", "50")
    code, _, err = run(text, "-o", tmp_path / "b", *TINY, "--tokenizer-folder", tmp_path / "a")
    assert code == 0 and "learnt" not in err
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert not load(tmp_path / "b").normalizer.lower_case
    assert len((tmp_path / "b" / "vocab.txt").read_text().splitlines()) <= 50


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_line_of_only_unknown_tokens_has_no_masked_token(workers, tmp_path, models, run):
    (tmp_path / "text").write_text("the cat\n日本\nthe dog sat\n")
    code, _, err = run(tmp_path / "text", "-o", tmp_path / "m", *TINY[:-2], "--batch-size", "1",
                       "--tokenizer-folder", models.bert, "--workers", workers)
    assert code == 0 and "22% of them unknown" in err and "warning" not in err
    (tmp_path / "text").write_text("日本\n")
    code, _, err = run(tmp_path / "text", "-o", tmp_path / "m", *TINY, "--tokenizer-folder",
                       models.bert)
    assert code == 1 and "all of its tokens are unknown" in err


def test_epochs_are_passes_over_the_sequences(text, tmp_path, run):
    """Seven sequences in batches of 4: one step per epoch; the last three are no full batch."""
    options = TINY[:-4]
    code, _, err = run(text, "-o", tmp_path / "m", *options, "--epochs", 5, "--batch-size", 4)
    assert code == 0 and "5 steps in 5 epochs of 7 sequences" in err
    code, _, err = run(text, "-o", tmp_path / "m", *options, "--epochs", 2, "--batch-size", 99)
    assert code == 0 and "2 steps in 2 epochs" in err


def test_the_defaults_are_those_of_masked_lm_train():
    arguments = vars(parser().parse_args(["train", "bert", "x", "-o", "y"]))
    defaults = {name: parameter.default for name, parameter
                in inspect.signature(train).parameters.items()}
    assert arguments["steps"] == defaults["steps"] and arguments["dropout"] == defaults["dropout"]
    assert arguments["batch_size"] == defaults["batch_size"]
    assert (arguments["lr"], arguments["warmup_ratio"]) == defaults["optim"][:2]
    assert (arguments["workers"], arguments["seed"]) == defaults["options"][:2]
    assert arguments["mlm_probability"] == Masking._field_defaults["share"]
    for name in "dim", "layers", "heads", "ff":
        assert SIZES[name] == Config._field_defaults[name] and arguments[name] is None, name


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_the_number_of_parameters_is_counted_without_listing_all_layers(layers):
    config = Config(50, 8, layers, 2, 12, 10)
    p = init_params(tensors(config) | head_tensors(config), 1)
    assert count_parameters(config, Bert) == p.flat.size


def test_many_steps_teach_which_words_share_a_line(tmp_path, run, capsys):
    """Two lines that share no word: each word determines the others of its line."""
    (tmp_path / "text").write_text("red apple\nblue sky\n" * 50)
    code, _, err = run(tmp_path / "text", "-o", tmp_path / "m", "--dim", "32", "--ff", "64",
                       "--layers", "1", "--max-length", "8", "--steps", "300", "--batch-size", "16",
                       "--lr", "0.003", "--dropout", "0")
    assert code == 0
    main(["fill", str(tmp_path / "m"), "red [MASK]", "[MASK] sky", "-k", "1"])
    found = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in found] == ["apple", "blue"]
    assert min(float(row[1]) for row in found) > 0.9


# ---- checkpoints --------------------------------------------------------------------------------

def test_a_stopped_run_is_resumed_to_the_same_bytes(text, tmp_path, run):
    """Ctrl-C is sent when the progress bar shows the first loss."""
    command = [text, *TINY, "--next-sentence", "--workers", "2", "--steps", "400"]
    run(*command, "-o", tmp_path / "whole")
    state, resumed = ["--checkpoint", tmp_path / "state"], tmp_path / "resumed"
    with terminal(ctrl_c_at("loss")) as screen:
        code, out, _ = run(*command, *state, "-o", resumed)
    assert (code, out) == (130, "") and screen.text.endswith("--resume to continue\r\n")
    assert not resumed.exists()
    assert 0 < len(read_safetensors(tmp_path / "state")[0]["session/losses"]) < 400
    code, _, err = run(*command, *state, "-o", resumed)
    assert code == 1 and "exists already: --resume continues its run (it" in err
    code, _, err = run(*command, *state, "-o", resumed, "--resume")
    assert code == 0 and "resuming" in err
    assert contents(resumed) == contents(tmp_path / "whole")


@pytest.mark.parametrize("change, message", [
    (["--seed", "2"], "seed was 1 and is 2 now"), (["--lr", "0.5"], "lr was 0.001 and is 0.5"),
    (["--steps", "5"], "steps was 6"), (["--dim", "4"], "dim was 8 and is 4"),
    (["--cased"], "data was|vocab was"), (["--next-sentence"], "data was"),
    (["--mlm-probability", "0.5"], "masking was")])
def test_resuming_with_other_settings_is_refused_and_names_them(change, message, text, tmp_path,
                                                               run):
    text.write_text("The king sat\nthe King sat\nthe king sits\n")
    state = ["--checkpoint", tmp_path / "state"]
    assert run(text, "-o", tmp_path / "m", *TINY, *state)[0] == 0
    before = contents(tmp_path / "m")
    code, out, err = run(text, "-o", tmp_path / "m", *TINY, *change, *state, "--resume")
    assert (code, out) == (1, "") and any(part in err for part in message.split("|")), err
    assert contents(tmp_path / "m") == before


def test_a_checkpoint_of_another_kind_is_refused(text, tmp_path, run):
    write_safetensors(tmp_path / "state", {"W": np.ones(3, np.float32)}, {})
    code, _, err = run(text, "-o", tmp_path / "m", *TINY, "--checkpoint",
                       tmp_path / "state", "--resume")
    assert code == 1 and "expected the checkpoint of a training run" in err


# ---- errors --------------------------------------------------------------------------------------

@pytest.mark.parametrize("options, message", [
    (["{folder}/none", "-o", "{folder}/m"], "none: there is no such file"),
    (["{blank}", "-o", "{folder}/m"], "blank: expected a text with words"),
    (["{blank}", "-o", "{folder}/m", "--tokenizer-folder", "{model}"],
     "expected a text with words"),
    (["{latin}", "-o", "{folder}/m"], "line 1, byte 3"),
    (["{text}", "-o", "{text}"], "expected the name of a folder, got a file"),
    (["{text}", "-o", "{folder}/no/m"], "there is no folder"),
    (["{text}", "-o", "-"], "expected the name of a folder, got '-'"),
    (["{text}", "-o", "{encoder}"], "it holds a sentence encoder; name another folder"),
    (["{text}", "-o", "{folder}/m", "--vocab-size", "9"], "text: --vocab-size 9: expected"),
    (["{text}", "-o", "{folder}/m", "--tokenizer-folder", "{folder}"],
     "expected a folder with tokenizer.json, vocab.txt or"),
    (["{text}", "-o", "{folder}/m", "--tokenizer-folder", "{maskless}"],
     "maskless: its vocabulary has no [MASK]"),
    (["{one}", "-o", "{folder}/m", "--next-sentence"], "expected at least 3 lines, got 2"),
    (["{text}", "-o", "{folder}/m", "--lr", "1e30"], "not finite"),
    (["{text}", "-o", "{folder}/m", "--dim", "1000000", "--heads", "1"], "GiB of memory")])
def test_a_users_error_is_one_line_and_leaves_no_folder(options, message, text, models, tmp_path,
                                                        run):
    (tmp_path / "blank").write_text("\n \t \n")
    (tmp_path / "one").write_text("word\n")
    (tmp_path / "latin").write_bytes(b"caf\xe9\n")
    (tmp_path / "maskless").mkdir()
    (tmp_path / "maskless" / "vocab.txt").write_text("[UNK]\na\n")
    before = sorted(os.listdir(tmp_path))
    names = dict(folder=tmp_path, text=text, model=models.bert, encoder=models.encoder,
                 **{name: tmp_path / name for name in ("blank", "one", "latin", "maskless")})
    code, out, err = run(*(part.format(**names) for part in options[:1]), *TINY,
                         *(part.format(**names) for part in options[1:]))
    assert (code, out) == (1, "") and message in err.splitlines()[-1] and "Traceback" not in err
    assert err.splitlines()[-1].startswith("scratch-embed: ")
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("options, message", [
    (["--heads", "3"], "--heads: expected a divisor of --dim 8"),
    (["--tokenizer-folder", "x", "--cased"], "--tokenizer-folder replaces"),
    (["--max-length", "2"], "--max-length: expected 3 or more"),
    (["--max-length", "4", "--next-sentence"], "--max-length: expected 5 or more"),
    (["--epochs", "2"], "not allowed with"), (["--resume"], "--resume needs --checkpoint"),
    (["--mlm-probability", "1"], "below 1"), (["--dropout", "-0.1"], "from 0"),
    (["--steps", "0"], "1"),
    (["--checkpoint", "m"], "are the same file")])
def test_bad_usage_exits_with_code_2(options, message, text, run, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(text, "-o", "m", *TINY, *options)
    assert (code, out) == (2, "") and message in err


def test_a_folder_is_replaced_by_a_model_of_another_size(text, tmp_path, run):
    run(text, "-o", tmp_path / "m", *TINY, "--next-sentence")
    (tmp_path / "m" / "notes").write_text("mine")
    assert run(text, "-o", tmp_path / "m", *TINY, "--dim", "4")[0] == 0
    assert Bert.load(tmp_path / "m").dim == 4 and (tmp_path / "m" / "notes").exists()


# ---- parity with transformers --------------------------------------------------------------------

def test_transformers_loads_the_folder_and_computes_the_same_logits(models):
    """Its token ids and the logits of its BertForPreTraining equal ours."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(models.bert)
    ours = load(models.bert)
    lines = ["the [MASK] drove a [MASK]", "Kings, and QUEENS!"]
    assert [tokenizer(line)["input_ids"] for line in lines] == [
        ours.encode(line).ids.tolist() for line in lines]
    assert tokenizer.mask_token_id == 4 and tokenizer.model_max_length == 16
    theirs, found = transformers.BertForPreTraining.from_pretrained(models.bert,
                                                                    output_loading_info=True)
    assert not (found["missing_keys"] or found["unexpected_keys"] or found["mismatched_keys"])
    model = Bert.load(models.bert)
    with torch.no_grad():
        output = theirs.eval()(**tokenizer(lines[0], return_tensors="pt"))
    batch = ours.encode_batch(lines[:1])
    x = model.infer(batch)
    np.testing.assert_allclose(mlm_head(x, model.p, model.config)[0], output.prediction_logits[0],
                               atol=2e-6)
    np.testing.assert_allclose(next_sentence(x[:1], model.p)[0], output.seq_relationship_logits,
                               atol=2e-6)


def test_transformers_loads_the_folder_without_next_sentence(text, tmp_path, run):
    transformers = pytest.importorskip("transformers")
    run(text, "-o", tmp_path / "m", *TINY)
    _, found = transformers.BertForMaskedLM.from_pretrained(tmp_path / "m",
                                                            output_loading_info=True)
    assert not (found["missing_keys"] or found["unexpected_keys"] or found["mismatched_keys"])


def test_a_folder_whose_config_does_not_belong_to_a_model_is_left_alone(text, tmp_path, run):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text('{"mine": 1}')
    code, _, err = run(text, "-o", tmp_path / "mine", "--steps", "1")
    assert code == 1 and "its config.json does not belong to a model; name another folder" in err
    assert (tmp_path / "mine" / "config.json").read_text() == '{"mine": 1}'

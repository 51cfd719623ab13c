"""train e5-mistral: the weights are those of e5_mistral.train; its starts, and the verdict."""
import re
import shutil
from functools import partial

import numpy as np
import pytest

import scratch_embed as se
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.sentences import e5_mistral
from scratch_embed.sentences.e5_mistral import Stage, with_last_token, with_merged
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.folder import encoder_folder
from scratch_embed.text.tokenizer import NO_TEMPLATE
from scratch_embed.text.wordpiece import SPECIAL, WordPiece
from scratch_embed.transformer import bert, pooling
from scratch_embed.transformer.adapter_folder import read_adapter
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


@pytest.fixture
def new_encoder(files):
    """A folder with a small BERT."""
    config = bert.Config(vocab=8, dim=4, layers=1, heads=2, ff=8)
    model = bert.Bert(config, init_params(bert.tensors(config), seed=1))
    SentenceEncoder(WordPiece([*SPECIAL, "a", "red", "cat"]), model).save(files / "bert")
    return files / "bert"


@pytest.fixture
def adapted(files, run, decoder):
    """A folder with an adapter for `decoder`, beside files/"m", its sum with the decoder."""
    code, _, err = run("--pairs", files / "pairs", "-o", files / "m", "--model", decoder, "--rank",
                       "2", "--alpha", "3", "--targets", "attn.q,attn.v,mlp.up", "--lr", "1",
                       "--adapter-out", files / "adapter")
    assert code == 0 and f"wrote {files / 'adapter'}: what was added to {decoder}" in err
    return files / "adapter"


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
    (["--full", "--targets", "attn.q"], "--targets belongs to LoRA"),
    (["--full", "--model", "m", "--adapter-out", "a"], "--adapter-out belongs to LoRA"),
    (["--adapter-out", "a"], "--adapter-out: expected --model too, because an adapter belongs to"),
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


# ---- the adapter ---------------------------------------------------------------------------------

TEXT = "a text that is not in the training data"


def test_the_adapter_added_to_the_model_is_the_encoder(files, decoder, adapted):
    """By read_adapter, and by se.load if its files are in a copy of the model's folder."""
    base, found = se.load(decoder), se.load(files / "m").encode(TEXT, prompt_name="query")
    assert abs(base.encode(TEXT, prompt_name="query") - found).max() > 1e-3
    model = read_adapter(adapted, base.model)
    assert {name.split(".", 2)[2] for name in model.p if name.endswith(".lora_a")} == {
        "attn.q.lora_a", "attn.v.lora_a", "mlp.up.lora_a"}
    shutil.copytree(decoder, files / "copy")
    for path in adapted.iterdir():
        shutil.copy(path, files / "copy")
    for encoder in (e5_mistral.with_model(base, model), se.load(files / "copy")):
        np.testing.assert_allclose(encoder.encode(TEXT, prompt_name="query"), found, rtol=0,
                                   atol=1e-6)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_peft_reads_the_adapter_and_gets_the_same_vectors(files, decoder, adapted):
    """The vector of the last token, at norm 1."""
    torch = pytest.importorskip("torch")
    transformers, peft = pytest.importorskip("transformers"), pytest.importorskip("peft")
    transformers.logging.disable_progress_bar()
    ours = se.load(files / "m")
    base = transformers.AutoModel.from_pretrained(encoder_folder(decoder)).eval()
    theirs = peft.PeftModel.from_pretrained(base, adapted).eval()
    ids = ours.tokenize([ours.recipe.prompts["query"] + TEXT]).ids
    with torch.no_grad():
        last = theirs(torch.tensor(ids)[None].long()).last_hidden_state[0, -1]
    np.testing.assert_allclose(ours.encode(TEXT, prompt_name="query"),
                               (last / last.norm()).numpy(), rtol=0, atol=1e-5)


def test_an_adapter_is_not_written_where_it_would_be_added_to_other_weights(files, run, decoder,
                                                                            adapted):
    start = "--pairs", files / "pairs", "-o", files / "new", "--model"
    for folder, message in ((files / "new", "expected another folder than -o"),
                            (decoder, "expected a folder without a model"),
                            (files / "m", "expected a folder without a model")):
        code, _, err = run(*start, decoder, "--adapter-out", folder)
        assert code == 1 and f"--adapter-out {folder}: {message}" in err
    shutil.copy(adapted / "adapter_config.json", decoder)
    code, _, err = run(*start, decoder, "--adapter-out", files / "other")
    assert code == 1 and f"{decoder}: expected a model without an adapter of its own" in err
    assert not (files / "new").exists() and not (files / "other").exists()


@pytest.mark.parametrize("targets, got", [("q_proj", "'q_proj'"), ("attn.q,", "''")])
def test_a_target_that_no_layer_has_is_refused_before_the_training(targets, got, files, run):
    code, _, err = run("--pairs", files / "pairs", "-o", files / "m", *NEW, "--targets", targets)
    assert code == 2 and "the model has" not in err
    assert re.search(f"--targets: expected some of attn.q, .*mlp.down, got {got}", err)


def test_a_target_that_the_folder_lacks_is_refused_with_its_names(files, run, decoder):
    code, _, err = run("--pairs", files / "pairs", "-o", files / "m", "--model", decoder,
                       "--targets", "q_proj")
    assert code == 2 and "--targets: expected some of attn.q, " in err and "'q_proj'" in err
    assert not (files / "m").exists()


def test_an_encoder_is_refused_with_what_trains_it(files, run, new_encoder):
    code, _, err = run("--pairs", files / "pairs", "-o", files / "m", "--model", new_encoder)
    assert code == 1 and f"--model {new_encoder}: expected a decoder (a Mistral, a Llama" in err
    assert "which is an encoder; `train sbert --model` fine-tunes such models" in err


@pytest.mark.parametrize("rank, said", [(8, False), (9, True)])
def test_a_rank_above_that_of_a_matrix_is_said(rank, said, files, run, decoder):
    """The matrices of attention are 8 x 8."""
    code, _, err = run("--pairs", files / "pairs", "-o", files / "m", "--model", decoder,
                       "--rank", str(rank))
    assert code == 0 and (f"--rank {rank}: layers.0.attn.q has 8 x 8 numbers, so what is added to "
                          "it has rank 8 at most" in err) == said

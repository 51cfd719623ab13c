"""train gpt2: the weights are those of causal_lm.train; END bounds a text; the verdict is true."""
import json
import os
from functools import partial

import numpy as np
import pytest

from scratch_embed.cli.main import parser
from scratch_embed.cli.new_model import SIZES
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.text.bpe_training import train_bpe
from scratch_embed.text.packed import pack
from scratch_embed.text.tokenizer_files import load, save
from scratch_embed.training.session import RunOptions
from scratch_embed.transformer.causal_lm import train
from scratch_embed.transformer.gpt2 import Config, Gpt2, tensors
from tests.processes import ctrl_c_at, terminal

LINES = ["the king sat by the queen", "a cat ate , and the dog ate too", "", "the man and a woman",
         "the dog sat by a cat and by the man and by the king and by the queen"]
TINY = ["--dim", "8", "--heads", "2", "--ff", "12", "--layers", "1", "--max-length", "12",
        "--vocab-size", "300", "--steps", "6", "--batch-size", "3"]
FILES = ["config.json", "generation_config.json", "model.safetensors", "special_tokens_map.json",
         "tokenizer.json", "tokenizer_config.json"]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text"
    path.write_text("\n".join(LINES) + "\n")
    return path


@pytest.fixture
def run(run):
    return partial(run, "train", "gpt2")


def contents(folder):
    return {name: (folder / name).read_bytes() for name in sorted(os.listdir(folder))}


# ---- the output folder --------------------------------------------------------------------------

def test_the_folder_has_the_weights_that_causal_lm_train_computes(text, tmp_path, run):
    """A sequence has room for 10 tokens between two ENDs: three of the four lines are split."""
    code, out, err = run(text, "-o", tmp_path / "m", *TINY, "--warmup-ratio", "0.5", "--lr",
                         "0.01", "--dropout", "0.2", "--seed", "7")
    assert (code, out) == (0, "") and sorted(os.listdir(tmp_path / "m")) == FILES
    bpe = train_bpe(LINES, 300)
    tokenizer = load(tmp_path / "m")
    assert (tokenizer.pieces, tokenizer.merges) == (bpe.pieces, bpe.merges)
    found = []
    for line in filter(None, LINES):
        ids = bpe.token_ids(line)
        parts = -(-len(ids) // 10)
        at = [n * len(ids) // parts for n in range(parts + 1)]
        found += [[0, *ids[a:b], 0] for a, b in zip(at, at[1:])]
    config = Config(len(bpe), 8, 1, 2, 12, 12)
    start = Gpt2(config, init_params(tensors(config), 7))
    expected = train(pack(found), start, 6, 3, Optim(0.01, 0.5), 0.2, RunOptions(seed=7))
    loaded = Gpt2.load(tmp_path / "m")
    assert loaded.config == config
    np.testing.assert_array_equal(loaded.p.flat, expected.model.p.flat)
    assert f"loss {np.mean(expected.losses):.4f}, the mean of all 6 steps" in err
    tokens = sum(len(ids) - 2 for ids in found)
    assert f"{tokens} tokens in 4 lines: {len(found)} sequences\n" in err
    assert f"the model has {loaded.p.flat.size:,} parameters\n" in err


def test_the_saved_tokenizer_begins_a_text_with_END_and_does_not_end_it(text, tmp_path, run):
    """So that a text can be continued: the ids of a prompt are the beginning of a sequence."""
    run(text, "-o", tmp_path / "m", *TINY)
    tokenizer = load(tmp_path / "m")
    ids = tokenizer.encode("the king").ids.tolist()
    assert ids[0] == 0 == tokenizer.token_to_id("<|endoftext|>") and 0 not in ids[1:]
    assert tokenizer.decode(ids) == "the king"
    assert json.loads((tmp_path / "m" / "generation_config.json").read_text())["eos_token_id"] == 0


def test_a_tokenizer_of_train_bpe_begins_a_text_with_END_in_the_models_folder(text, tmp_path, run):
    """`train bpe` adds no special tokens; the sequences of the training begin with END."""
    from scratch_embed.cli.main import main
    main(["train", "bpe", str(text), "-o", str(tmp_path / "t"), "--vocab-size", "270"])
    sizes = [*TINY[:10], *TINY[12:]]
    run(text, "-o", tmp_path / "m", *sizes, "--tokenizer-folder", tmp_path / "t")
    bare, own = load(tmp_path / "t"), load(tmp_path / "m")
    assert own.encode("the king").ids.tolist() == [0, *bare.encode("the king").ids.tolist()]


def test_an_existing_tokenizer_and_an_existing_model_are_used_unchanged(text, tmp_path, run):
    run(text, "-o", tmp_path / "a", *TINY)
    sizes = [*TINY[:10], *TINY[12:]]
    code, _, err = run(text, "-o", tmp_path / "b", *sizes, "--tokenizer-folder", tmp_path / "a")
    assert code == 0 and "learnt" not in err
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    code, _, err = run(text, "-o", tmp_path / "c", "--model", tmp_path / "a", "--steps", 2)
    assert code == 0 and load(tmp_path / "c").merges == load(tmp_path / "a").merges
    a, c = (Gpt2.load(tmp_path / name) for name in "ac")
    assert a.config == c.config and 0 < abs(a.p.flat - c.p.flat).max() < 0.01


def test_a_word_piece_tokenizer_gives_its_own_ends(text, tmp_path, models, run):
    """A GPT-2 with BERT's tokenizer: [CLS] and [SEP] bound a text."""
    sizes = [*TINY[:10], *TINY[12:]]
    code, _, _ = run(text, "-o", tmp_path / "m", *sizes, "--tokenizer-folder", models.bert)
    assert code == 0 and load(tmp_path / "m").encode("the").ids.tolist()[::2] == [2, 3]


def test_the_defaults_are_those_of_causal_lm_train():
    import inspect
    arguments = vars(parser().parse_args(["train", "gpt2", "x", "-o", "y"]))
    defaults = {name: parameter.default for name, parameter in
                inspect.signature(train).parameters.items()}
    for name in "steps", "batch_size", "dropout":
        assert arguments[name] == defaults[name], name
    assert (arguments["lr"], arguments["warmup_ratio"]) == defaults["optim"][:2]
    assert SIZES["dim"] == Config(1).dim and SIZES["layers"] == Config(1).layers


def test_a_stopped_run_is_resumed_to_the_same_bytes(text, tmp_path, run):
    options = [*TINY[:-4], "--steps", 400, "--batch-size", 3, "--checkpoint", tmp_path / "state"]
    run(text, "-o", tmp_path / "a", *options[:-2])
    with terminal(ctrl_c_at("loss")):
        code, _, _ = run(text, "-o", tmp_path / "b", *options)
    assert code == 130 and not (tmp_path / "b").exists()
    code, _, err = run(text, "-o", tmp_path / "b", *options, "--resume")
    assert code == 0 and "resuming" in err
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


# ---- what it says ------------------------------------------------------------------------------

def test_it_says_whether_it_has_learned_beside_bigrams_and_frequencies(tmp_path, run):
    """Each line repeats two letters: what follows is the letter before the last, not the last."""
    rng = np.random.default_rng(0)

    def lines(n):
        return "".join("{0} {1} {0} {1} {0} {1}\n".format(*rng.choice(list("abcdefgh"), 2, False))
                       for _ in range(n))
    (tmp_path / "text").write_text(lines(400))
    (tmp_path / "held").write_text(lines(100))
    options = ["--dim", 16, "--ff", 16, "--layers", 2, "--vocab-size", 270, "--steps", 250, "--lr",
               0.02, "--dropout", 0, "--held-out", tmp_path / "held"]
    code, _, err = run(tmp_path / "text", "-o", tmp_path / "m", *options)
    assert code == 0 and "verdict: better than bigrams (loss " in err
    assert f"perplexity of 700 next tokens of {tmp_path / 'held'}, which is held out: " in err
    trained, bigrams, frequencies, untrained = (
        float(err.split(before)[1].split(";")[0].split("\n")[0]) for before in (
            "which is held out: ", "before alone, ", "frequencies alone ", "untrained "))
    assert trained < bigrams < frequencies < untrained and untrained == pytest.approx(270, rel=0.05)
    assert "the most probable text, word by word: '" in err


@pytest.mark.parametrize("options, code, message", [
    (["--max-length", 2], 2, "--max-length: expected 3 or more"),
    (["--dim", 9], 2, "--heads: expected a divisor of --dim 9"),
    (["--vocab-size", 100], 1, "--vocab-size 100: expected at least 257"),
    (["--model", "nothing"], 2, "--model has a size and a tokenizer of its own"),
    (["--resume"], 2, "--resume needs --checkpoint")])
def test_a_users_error_is_one_line_and_leaves_no_folder(options, code, message, text, tmp_path,
                                                        run):
    found, _, err = run(text, "-o", tmp_path / "m", *TINY, *options)
    assert found == code and message in err and not (tmp_path / "m").exists()


def test_a_bert_is_refused_as_the_model_to_continue_with(text, tmp_path, models, run):
    code, _, err = run(text, "-o", tmp_path / "m", "--model", models.bert)
    assert code == 1 and "expected a GPT-2, got Bert(" in err


# ---- transformers -------------------------------------------------------------------------------

def test_transformers_loads_the_folder_and_continues_a_text_as_we_do(text, tmp_path, run):
    """The same ids and logits; generate() stops where continue_greedily does."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from scratch_embed.transformer.causal_lm import continue_greedily
    run(text, "-o", tmp_path / "m", *TINY, "--steps", 60, "--lr", 0.05)
    model, tokenizer = Gpt2.load(tmp_path / "m"), load(tmp_path / "m")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "m").eval()
    split = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    assert type(theirs).__name__ == "GPT2LMHeadModel"
    for line in filter(None, LINES):
        assert split(line).input_ids == tokenizer.encode(line).ids.tolist()
    ids = tokenizer.encode("the ").ids[:3]
    with torch.no_grad():
        logits = theirs(torch.tensor(ids[None].astype(np.int64))).logits[0].numpy()
        found = theirs.generate(torch.tensor(ids[None].astype(np.int64)), do_sample=False,
                                max_length=12)[0].tolist()
    np.testing.assert_allclose(model.lm_head(model.infer(pack([ids])))[0], logits, atol=1e-4)
    assert continue_greedily(ids.tolist(), model, 20, end=0) == found


def test_a_tokenizer_without_END_has_sequences_without_it(text, tmp_path, run):
    save(tmp_path / "t", train_bpe(LINES, 300, special=()))
    sizes = [*TINY[:10], *TINY[12:]]
    code, _, err = run(text, "-o", tmp_path / "m", *sizes, "--tokenizer-folder", tmp_path / "t")
    assert code == 0 and "the most probable text" not in err
    assert not (tmp_path / "m" / "generation_config.json").exists()

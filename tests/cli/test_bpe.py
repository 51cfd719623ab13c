"""The command `train bpe`, which trains a byte-level BPE tokenizer."""
import json

import numpy as np
import pytest

from scratch_embed.text.bpe_training import train_bpe
from scratch_embed.text.tokenizer_files import load
from scratch_embed.words.vectors import WordVectors

LINES = ["low low lower lowest", "", "naïve cafés, naïve"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text"
    path.write_text("\n".join(LINES) + "\n", "utf-8")
    return path


def test_a_tokenizer_is_trained_and_saved(text, tmp_path, run):
    folder = tmp_path / "tokenizer"
    code, out, err = run("train", "bpe", text, "-o", folder, "--vocab-size", 265)
    assert (code, out) == (0, "")
    assert "the first line begins low Ġlow Ġlowe r Ġlowe s t (Ġ: a space)" in err
    assert f"learnt 8 merges; wrote {folder}, 265 tokens" in err
    expected = train_bpe(LINES, 265)
    assert load(folder).merges == expected.merges and load(folder).pieces == expected.pieces


def test_transformers_loads_it_with_its_end_token(text, tmp_path, run):
    transformers = pytest.importorskip("transformers")
    folder = tmp_path / "tokenizer"
    assert run("train", "bpe", text, "-o", folder, "--min-count", 1)[0] == 0
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
    assert theirs.eos_token == theirs.bos_token == "<|endoftext|>" and theirs.eos_token_id == 0
    for line in LINES:
        assert theirs(line)["input_ids"] == load(folder).encode(line).ids.tolist()


def test_info_says_what_the_folder_is(text, tmp_path, run):
    assert run("train", "bpe", text, "-o", tmp_path / "t")[0] == 0
    found = json.loads(run("info", tmp_path / "t", "--json")[1])
    assert found["kind"] == "a tokenizer's folder, without a model" and not found["loads"]
    assert "--tokenizer-folder" in found["why"]


def test_it_says_why_the_vocabulary_is_smaller_than_asked_for(text, tmp_path, run):
    err = run("train", "bpe", text, "-o", tmp_path / "t", "--vocab-size", 2000)[2]
    assert "tokens, fewer than --vocab-size 2,000, because no other pair of tokens within a word " \
        "occurs at least 2 times (--min-count)" in err
    assert "fewer than" not in run("train", "bpe", text, "-o", tmp_path / "t")[2]


def test_the_tokenizer_of_a_model_is_not_replaced(text, tmp_path, run):
    model = tmp_path / "gpt2"
    run("train", "gpt2", text, "-o", model, "--dim", 8, "--ff", 8, "--layers", 1, "--steps", 1)
    before = (model / "tokenizer.json").read_bytes()
    code, _, err = run("train", "bpe", text, "-o", model, "--vocab-size", 260)
    assert code == 1 and f"cannot write {model}: it holds a model" in err
    assert (model / "tokenizer.json").read_bytes() == before


@pytest.mark.parametrize("name, message", [
    ("nothere", "there is no such file or folder"),
    ("text", "expected a folder with tokenizer.json, vocab.txt or vocab.json, found a file")])
def test_a_tokenizer_folder_that_is_none_is_refused(text, tmp_path, run, name, message):
    code, _, err = run("train", "gpt2", text, "-o", tmp_path / "m", "--tokenizer-folder",
                       tmp_path / name)
    assert code == 1 and f"{tmp_path / name}: {message}" in err


@pytest.mark.parametrize("content, options, message", [
    ("\n \n", [], "expected a text with words, found none"),
    ("a", ["--vocab-size", "100"], "--vocab-size 100: expected at least 257, the special tokens"),
    ("a", ["--vocab-size", "0"], "expected a whole number of at least 1, got '0'")])
def test_what_is_refused(tmp_path, run, content, options, message):
    (tmp_path / "text").write_text(content)
    code, out, err = run("train", "bpe", tmp_path / "text", "-o", tmp_path / "t", *options)
    assert code in (1, 2) and out == "" and message in err
    assert not (tmp_path / "t").exists()


def test_a_sentence_encoder_is_trained_with_it(text, tmp_path, run):
    """Without word vectors: its pieces are parts of words, with a space before them."""
    (tmp_path / "pairs").write_text("low\tlower\nnaïve\tcafés\n", "utf-8")
    WordVectors(["low", "cafés"], np.eye(2, 4, dtype=np.float32)).save(tmp_path / "words.vec")
    assert run("train", "bpe", text, "-o", tmp_path / "t")[0] == 0
    command = ["train", "sbert", "--pairs", tmp_path / "pairs", "-o", tmp_path / "model",
               "--tokenizer-folder", tmp_path / "t", "--steps", 1, "--batch-size", 2, "--layers", 1]
    code, _, err = run(*command, "--word-vectors", tmp_path / "words.vec")
    assert code == 1 and "--word-vectors: expected a WordPiece in" in err
    assert run(*command, "--dim", 8, "--ff", 8)[0] == 0
    assert load(tmp_path / "model").merges == load(tmp_path / "t").merges

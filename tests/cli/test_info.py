"""info: the kind, the sizes and the settings of every kind of file; damage is found."""
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.cli.info import print_facts
from scratch_embed.loading import FILES, FOLDERS, kind_of
from scratch_embed.retrieve.index import Index
from scratch_embed.sentences.bge_m3 import BgeM3
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.training.checkpoint import Progress, write_checkpoint
from scratch_embed.transformer.adapter_folder import save_adapter
from scratch_embed.transformer.lora import Lora, with_lora
from scratch_embed.words.vectors import WordVectors

GOLDEN = Path(__file__).parents[1] / "golden"
OLD = GOLDEN / "version_0_1"


def facts(out):
    """{what: value} of the lines that info prints."""
    rows = [re.split("  +", line.strip(), maxsplit=1) for line in out.splitlines()]
    return {name: value for name, value in map(lambda row: [*row, ""][:2], reversed(rows))}


@pytest.fixture
def files(tmp_path):
    """{path: its facts, some of them}: files of several kinds."""
    WordVectors(["king", "queen"], np.eye(2)).save(tmp_path / "w.vec")
    WordVectors(["king", "queen"], np.eye(2)).save(tmp_path / "w.npy")
    Index.from_vectors(np.eye(3), ["a", "b", "c"]).save(tmp_path / "rows.index")
    write_checkpoint(tmp_path / "run.state", {"W": np.ones((2, 3))}, {"lr": 0.5}, Progress([], []))
    np.save(tmp_path / "a.npy", np.ones((4, 5), np.float32))
    (tmp_path / "text").write_text("a b c\nd\n")
    return {
        tmp_path / "w.vec": {"loads": "yes", "words": "2", "dimensions": "2",
                             "first words": "king, queen"},
        tmp_path / "w.npy": {"loads": "yes", "words": "2", "shape": "2, 2", "type": "float32"},
        tmp_path / "rows.index": {"kind": "a search index", "rows": "3", "dimensions": "3",
                                  "score": "cosine"},
        tmp_path / "run.state": {"kind": "a training checkpoint", "numbers in them": "6",
                                 "types of numbers": "float64"},
        tmp_path / "a.npy": {"kind": "a NumPy array", "shape": "4, 5", "type": "float32"},
        tmp_path / "text": {"kind": "a text", "lines": "2", "words between white space": "4"},
        OLD / "text.index": {"lines": "80", "dimensions": "8"},
        OLD / "hs.bin": {"kind": "a fastText classifier", "labels": "6", "dimensions": "6"},
        OLD / "fasttext.bin": {"kind": "a fastText model of words, without labels",
                                 "loads": "yes"},
        OLD / "corpus": {"kind": "a corpus folder", "sentences": "80"},
        OLD / "bert": {"kind": "a BERT folder", "after the model": "mean", "files": "6"},
        OLD / "encoder": {"after the model": "cls, Dense to 8, Normalize",
                          "tokenizer": "WordPiece(100 tokens, lower-cased)"}}


def test_the_facts_of_each_kind(files, run):
    for path, expected in files.items():
        code, out, err = run("info", path)
        found = facts(out)
        assert (code, err) == (0, ""), path
        assert {name: found.get(name) for name in expected} == expected
        assert found["path"] == str(path) and int(found["bytes"].replace(",", "")) > 0


def test_what_a_model_has_besides_its_weights_is_said(tmp_path, run):
    """The heads of BGE-M3, an adapter; the spaces and lines of a prompt."""
    encoder = SentenceEncoder.load(GOLDEN / "sentence_new")
    prompted = SentenceEncoder(encoder.tokenizer, encoder.model, encoder.recipe._replace(
        prompts={"query": "Find it\nQuery: "}))
    BgeM3.new(prompted).save(tmp_path / "m3")
    found = facts(run("info", tmp_path / "m3")[1])
    assert "with BGE-M3's heads" in found["kind"]
    assert found["query"] == r"'Find it\nQuery: '"
    encoder.save(tmp_path / "tuned")
    assert "adapter" not in facts(run("info", tmp_path / "tuned")[1])
    save_adapter(with_lora(encoder.model.without_heads(), Lora(2, 4.0), 1), tmp_path / "tuned")
    found = facts(run("info", tmp_path / "tuned")[1])
    assert found["adapter"] == "the LoRA of adapter_model.safetensors, added to the weights"


def test_pairs_and_a_folder_without_config_json_are_said_to_be_so(tmp_path, run):
    (tmp_path / "pairs").write_text("query\tpositive\na cat\tthe cat\n")
    found = facts(run("info", tmp_path / "pairs")[1])
    assert found["kind"].startswith("a text with tabs") and "`mine` read" in found["loads"]
    shutil.copytree(GOLDEN / "cross_encoder_new", tmp_path / "cross")
    (tmp_path / "cross" / "config.json").unlink()
    found = facts(run("info", tmp_path / "cross")[1])
    assert found["kind"] == "a model's folder without config.json"
    _, _, err = run("rerank", tmp_path / "pairs", "a", "--model", tmp_path / "cross")
    assert "found a model's folder without config.json; this file says" in err


def test_settings_are_shown(files, tmp_path, run):
    assert facts(run("info", tmp_path / "run.state")[1])["lr"] == "0.5"
    assert facts(run("info", OLD / "fasttext.bin")[1])["model"] == "skipgram"
    assert "digest" in run("info", OLD / "text.index")[1]


def test_the_facts_of_a_group_are_indented_below_it_one_per_line(tmp_path, run):
    print_facts({"path": "x", "kind": "y", "loads": "yes",
                 "facts": {"settings": {"lr": 0.5, "inner": {"on": True}}, "prompts": {}}})
    assert run("info", tmp_path / "none")[1] == (
        "path      x\nkind      y\nloads     yes\nsettings\n  lr      0.5\n  inner\n"
        "    on    True\nprompts   none\n")


@pytest.mark.parametrize("name, kind", [
    ("w.vec", "word vectors in text, with a header as of word2vec and fastText's .vec"),
    ("w.bin", "word vectors in word2vec's binary format"),
    ("g.txt", "word vectors in text without a header, as of GloVe"),
    ("w.vocab.txt", "the words of word vectors in another file"), ("x.vocab.txt", "a text")])
def test_files_of_word_vectors_are_told_apart(name, kind, tmp_path, run):
    for end in "vec", "bin", "npy":
        WordVectors(["king", "queen"], np.eye(2) / 3).save(tmp_path / f"w.{end}")
    (tmp_path / "g.txt").write_text("king 0.5 1\nqueen 1 2\n")
    (tmp_path / "x.vocab.txt").write_text("king\nqueen\n")
    found = facts(run("info", tmp_path / name)[1])
    assert found["kind"] == kind and (found["loads"] == "yes") == ("vectors in" in kind and
                                                                   "another" not in kind)
    if name == "w.vocab.txt":
        assert ".npy of the same name" in found["loads"]


def test_what_reads_a_kind_that_is_not_loaded_is_said_of_commands_first():
    names = {kind.name: kind.read for kind in FILES if isinstance(kind.read, str)}
    for name in "a text", "a run in TREC's format", "relevance judgements (qrels)", "JSON":
        assert "`scratch-embed " in names[name].split("in Python")[0], name


def test_an_index_names_its_model_and_whether_it_is_there(tmp_path, run):
    (tmp_path / "t").write_text("king\n")
    WordVectors(["king", "queen"], np.eye(2)).save(tmp_path / "w.vec")
    run("index", tmp_path / "t", "-o", tmp_path / "x.index", "--model", tmp_path / "w.vec")
    found = facts(run("info", tmp_path / "x.index")[1])
    assert found["its model"] == f"{tmp_path / 'w.vec'} (found)"
    assert found["types of numbers"] == "float32, int64, uint8" and found["sif"] == "0.001"
    (tmp_path / "w.vec").unlink()
    found = facts(run("info", tmp_path / "x.index")[1])
    assert found["its model"].endswith("w.vec (not found: give its new path with --model)")


def test_whether_it_loads_is_what_the_table_of_kinds_says(files, run):
    """Nothing is listed a second time: a kind without a function to read it has its hint."""
    for path in files:
        kind, _ = kind_of(path)
        found = facts(run("info", path)[1])
        assert kind in FILES + FOLDERS and found["kind"] == kind.name
        assert (found["loads"] == "yes") == callable(kind.read)


def test_json(files, tmp_path, run):
    found = json.loads(run("info", tmp_path / "w.vec", "--json")[1])
    assert found["loads"] is True and found["why"] is None and found["facts"]["words"] == 2
    found = json.loads(run("info", tmp_path / "text", "--json")[1])
    assert found["loads"] is False and "train_word2vec" in found["why"]
    for path in files:
        assert json.loads(run("info", path, "--json")[1])["path"] == str(path)


@pytest.mark.parametrize("config, kind", [
    ('{"model_type": ', "a folder with a damaged config.json, which is not a JSON object"),
    ('{"model_type": "modernbert"}', "a folder with a model of the type 'modernbert'")])
def test_a_folder_that_no_reader_reads_is_named(config, kind, tmp_path, run):
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "model.safetensors").write_bytes(b"")
    code, out, err = run("info", tmp_path)
    assert code == 1 and facts(out)["kind"] == kind and "config.json: " in err


def test_a_damaged_file_is_described_and_is_an_error(tmp_path, run):
    (tmp_path / "w.vec").write_text("2 2\nking 1 2\n")
    code, out, err = run("info", tmp_path / "w.vec")
    assert code == 1 and facts(out)["kind"].startswith("word vectors")
    assert facts(out)["loads"].startswith("no") and "truncated" in err
    found = json.loads(run("info", tmp_path / "w.vec", "--json")[1])
    assert found["loads"] is False and "truncated" in found["why"]
    data = (OLD / "fasttext.bin").read_bytes()
    (tmp_path / "f.bin").write_bytes(data[:-5])
    code, out, err = run("info", tmp_path / "f.bin")
    assert code == 1 and facts(out)["kind"].startswith("a fastText model of ") and "trunc" in err


def test_a_pipe_or_a_device_is_not_read(tmp_path, run):
    os.mkfifo(tmp_path / "pipe")
    for path in tmp_path / "pipe", "/dev/zero":
        code, out, err = run("info", path)
        assert (code, out) == (1, "") and "a pipe or a device" in err


def test_an_unknown_kind_and_no_file(tmp_path, run):
    (tmp_path / "x").write_bytes(b"\x00\x01\x02")
    code, out, _ = run("info", tmp_path / "x")
    assert code == 0 and "begins with" in out and "this kind is not known" in out
    code, out, err = run("info", tmp_path / "none")
    assert code == 1 and out == "" and "none" in err

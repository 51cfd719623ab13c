"""convert: the same words and numbers in another format; a model's folder with float32 weights."""
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.loading import load
from scratch_embed.numerics.safetensors import read_header, read_safetensors, write_safetensors
from scratch_embed.sentences.bge_m3 import BgeM3
from scratch_embed.text.vocab import Vocab
from scratch_embed.text.word_tokenizer import WordTokenizer
from scratch_embed.words.fasttext_files import Settings, word_model, write_bin
from scratch_embed.words.vectors import WRITERS, WordVectors

GOLDEN = Path(__file__).parents[1] / "golden"
WORDS, VECTORS = ["king", "queen", "l'été"], np.float32([[1, 2.5], [-3, 1 / 3], [1e-30, 1e30]])


@pytest.mark.parametrize("before", WRITERS)
@pytest.mark.parametrize("after", WRITERS)
def test_from_each_format_to_each_other_nothing_changes(before, after, tmp_path, run):
    WordVectors(WORDS, VECTORS).save(tmp_path / f"a{before}")
    code, out, err = run("convert", tmp_path / f"a{before}", tmp_path / f"b{after}")
    assert (code, out) == (0, "") and "3 words x 2 dimensions; wrote" in err
    for read in load, WordVectors.load:
        found = read(tmp_path / f"b{after}")
        assert found.index_to_key == WORDS
        np.testing.assert_array_equal(found.vectors, VECTORS)


def test_a_fasttext_model_becomes_the_vectors_of_its_words(tmp_path, run):
    model = load(GOLDEN / "fasttext-skipgram.bin")
    code, _, err = run("convert", GOLDEN / "fasttext-skipgram.bin", tmp_path / "w.safetensors")
    assert code == 0 and "its n-grams are left out" in err
    np.testing.assert_array_equal(load(tmp_path / "w.safetensors").vectors, model.vectors)


def test_a_tokenizer_is_kept_or_said_to_be_lost(tmp_path, run):
    WordVectors(WORDS, VECTORS, WordTokenizer("spaces")).save(tmp_path / "a.safetensors")
    code, _, err = run("convert", tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    assert code == 0 and "no place" not in err
    assert load(tmp_path / "b.safetensors").tokenizer == WordTokenizer("spaces")
    code, _, err = run("convert", tmp_path / "a.safetensors", tmp_path / "b.vec")
    assert code == 0 and "has no place for the tokenizer (split at white space)" in err


@pytest.mark.parametrize("name", ["sentence_new", "version_0_1/bert"])
def test_a_folder_of_float16_weights_becomes_one_of_float32(name, tmp_path, run):
    import shutil
    shutil.copytree(GOLDEN / name, tmp_path / "half")
    weights = tmp_path / "half" / "model.safetensors"
    tensors, metadata = read_safetensors(weights)
    write_safetensors(weights, {key: value.astype(np.float16) for key, value in tensors.items()},
                      metadata)
    code, out, err = run("convert", tmp_path / "half", tmp_path / "full")
    assert (code, out) == (0, "") and "parameters in float32; wrote" in err
    entries, _ = read_header(tmp_path / "full" / "model.safetensors")
    assert {entry.dtype for entry in entries.values()} == {"F32"}
    assert (tmp_path / "full" / "modules.json").exists() == (name == "sentence_new")
    texts = ["the queen rules", "a cat"]
    np.testing.assert_array_equal(load(tmp_path / "half").encode(texts),
                                  load(tmp_path / "full").encode(texts))


def test_a_folder_of_bge_m3_keeps_its_heads(tmp_path, run):
    m3 = BgeM3.new(load(GOLDEN / "sentence_new"), seed=2)
    m3.save(tmp_path / "m3")
    code, _, err = run("convert", tmp_path / "m3", tmp_path / "again")
    assert code == 0 and "parameters in float32; wrote" in err
    np.testing.assert_array_equal(BgeM3.load(tmp_path / "again").heads.flat, m3.heads.flat)


def test_a_model_s_folder_does_not_become_a_file(tmp_path, run):
    code, _, err = run("convert", GOLDEN / "sentence_new", tmp_path / "words.vec")
    assert code == 1 and "words.vec: expected the name of a folder, because" in err
    assert not (tmp_path / "words.vec").exists()


@pytest.mark.parametrize("output, message", [
    ("w.pt", "the ending .pt"), ("w.vec.gz", "the ending .gz"),
    ("no/w.vec", "no folder")])
def test_a_wrong_output_is_refused_before_the_input_is_read(output, message, tmp_path, run):
    (tmp_path / "in").write_text("not vectors")
    code, _, err = run("convert", tmp_path / "in", tmp_path / output)
    assert code == 1 and message in err and "its kind" not in err


def test_wrong_inputs(tmp_path, run):
    code, _, err = run("convert", GOLDEN / "version_0_1" / "rows.index", tmp_path / "w.vec")
    assert code == 1 and "expected word vectors" in err and "Index(" in err
    WordVectors(WORDS, VECTORS).save(tmp_path / "w.vec")
    code, _, err = run("convert", tmp_path / "w.vec", tmp_path / "w.vec")
    assert code == 1 and err.endswith("w.vec is the input itself; write to another file\n")
    code, _, err = run("convert", tmp_path, tmp_path / "out")
    assert code == 1 and "config.json" in err


# ---- pickles: the message has the command that converts them ------------------------------------

def command_of(message, name):
    """The python -c command in a message, for bash."""
    command = re.search(r'python -c (".*")$', message.strip().splitlines()[-1])
    assert command and str(name) in command[1]
    return command[1]


def run_python(code):
    import sys
    done = subprocess.run(["bash", "-c", f'"{sys.executable}" -c {code}'], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pytorch_file_is_refused_with_a_command_that_converts_it(zipped, tmp_path, run):
    torch = pytest.importorskip("torch")
    path = tmp_path / "model.pt"
    torch.save({"weight": torch.ones(2, 3)}, path, _use_new_zipfile_serialization=zipped)
    code, _, err = run("convert", path, tmp_path / "w.vec")
    assert code == 1 and "a PyTorch file; its pickles can run any code" in err
    run_python(command_of(err, path))
    tensors, _ = read_safetensors(tmp_path / "model.pt.safetensors")
    np.testing.assert_array_equal(tensors["weight"], np.ones((2, 3)))


def test_a_pickle_of_gensim_is_refused_with_a_command_that_converts_it(tmp_path, run):
    models = pytest.importorskip("gensim.models")
    vectors = models.KeyedVectors(2)
    vectors.add_vectors(WORDS, VECTORS)
    vectors.save(str(tmp_path / "w.kv"))
    models.Word2Vec([["a", "b"]] * 9, vector_size=4, min_count=1).save(str(tmp_path / "w.model"))
    for name in "w.kv", "w.model":
        code, _, err = run("convert", tmp_path / name, tmp_path / "w.vec")
        assert code == 1 and "a pickle; it can run any code" in err
        run_python(command_of(err, tmp_path / name))
    assert load(tmp_path / "w.kv.vec").index_to_key == WORDS
    assert load(tmp_path / "w.model.vec").vectors.shape == (2, 4)


@pytest.mark.parametrize("errors, written, said", [
    ("keep", b"ab\xe3", "their bytes are kept"),
    ("replace", "ab\ufffd".encode(), "their wrong bytes are replaced by U+FFFD"),
    ("ignore", b"ab", "their wrong bytes are dropped"),
    ("strict", None, "expected a word in UTF-8")])
@pytest.mark.parametrize("name", ["w.vec", "w.bin", "m.bin"])
def test_words_that_are_not_utf8_are_kept_replaced_dropped_or_refused(tmp_path, run, name, errors,
                                                                      written, said):
    """One rule for word2vec's text and binary formats and for fastText's models."""
    words = ["ok", b"ab\xe3".decode("utf-8", "surrogateescape")]
    if name == "m.bin":
        write_bin(tmp_path / name, word_model(Vocab(words, [2, 1]), np.ones((3, 2)),
                                              np.ones((2, 2)), Settings()))
    else:
        WordVectors(words, np.eye(2)).save(tmp_path / name)
    code, _, err = run("convert", tmp_path / name, tmp_path / "out.vec", "--errors", errors)
    assert said in err and code == (written is None)
    if written is not None:
        lines = (tmp_path / "out.vec").read_bytes().splitlines()
        assert [line.split()[0] for line in lines[1:]] == [b"ok", written]

"""The ending of an output file is the format of its bytes, in every command that writes one."""
import gzip
import importlib.util

import numpy as np
import pytest

from scratch_embed.loading import load
from scratch_embed.numerics.endings import by_ending, ending_of, listed
from scratch_embed.retrieve.texts import TextIndex
from scratch_embed.words.classifier import Classifier
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.vector_arrays import read_vectors_npy
from scratch_embed.words.vector_files import (
    read_glove_text,
    read_word2vec_binary,
    read_word2vec_text,
)
from scratch_embed.words.vector_tensors import read_vectors_safetensors
from scratch_embed.words.vectors import WRITERS, WordVectors

TEXT = "the king rules the land\nthe queen rules the sea\n" * 20
LABELLED = "__label__a the king\n__label__b the queen\n" * 20
SMALL = ["--min-count", "1", "--dim", "4", "--epochs", "1"]
ENDINGS = sorted({*WRITERS, ".npy", ".npz", ".index", ".gz", ".xz", ".png", ".svg", ".pdf", ".tsv",
                  ".json", ".jsonl", ".txt.gz", ".VEC", ".Bin", ".TXT", ".NPY"})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "text").write_text(TEXT)
    (tmp_path / "labelled").write_text(LABELLED)
    WordVectors(["the", "king", "queen"], np.eye(3)).save(tmp_path / "words.vec")
    return tmp_path


def word_vectors(read):
    return lambda path: len(read(path)[0]) == 6


WORD2VEC = {".vec": word_vectors(read_word2vec_text), ".txt": word_vectors(read_word2vec_text),
            ".bin": word_vectors(read_word2vec_binary), "": word_vectors(read_word2vec_text),
            ".safetensors": word_vectors(read_vectors_safetensors),
            ".npy": word_vectors(read_vectors_npy)}
PICTURES = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}


def begins(start):
    return lambda path: path.read_bytes().startswith(start)


# command -> {ending: whether the file has that format}; every other ending is an error
COMMANDS = {
    ("train", "word2vec", "text", "-o", "OUT", "--sample", "0", *SMALL): WORD2VEC,
    ("train", "glove", "text", "-o", "OUT", *SMALL): {
        **WORD2VEC, ".txt": word_vectors(read_glove_text)},
    ("train", "fasttext", "text", "-o", "OUT", "--sample", "0", "--buckets", "9", *SMALL): {
        **WORD2VEC, ".bin": lambda path: isinstance(load(path), FastTextVectors)},
    ("train", "classifier", "labelled", "-o", "OUT", *SMALL): {
        ".bin": lambda path: isinstance(load(path), Classifier)},
    ("encode", "words.vec", "text", "-o", "OUT"): {
        ".npy": lambda path: np.load(path).shape == (40, 3)},
    ("index", "text", "-o", "OUT", "--model", "words.vec"): dict.fromkeys(
        (".index", ".safetensors", ""), lambda path: isinstance(load(path), TextIndex)),
    ("convert", "words.vec", "OUT"): dict.fromkeys(WRITERS, lambda path: len(load(path)) == 3),
    ("plot", "words.vec", "-o", "OUT"): (
        {ending: begins(start) for ending, start in PICTURES.items()}
        if importlib.util.find_spec("matplotlib") else {}),
    ("phrases", "text", "-o", "OUT"): {
        **dict.fromkeys((".txt", "", ".tsv", ".vec", ".index", ".json", ".jsonl"),
                        lambda path: path.read_text() == TEXT),
        ".gz": lambda path: gzip.decompress(path.read_bytes()).decode() == TEXT}}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("command, formats", COMMANDS.items(),
                         ids=[" ".join(command[:2]) for command in COMMANDS])
def test_an_ending_is_honoured_or_refused_before_the_work(folder, run, monkeypatch, command,
                                                          formats, ending):
    monkeypatch.chdir(folder)
    before = set(folder.iterdir())
    code, _, err = run(*(f"out{ending}" if part == "OUT" else part for part in command))
    out = folder / f"out{ending}"
    if ending_of(out) in formats:
        assert code == 0, err
        assert formats[ending_of(out)](out)
        return
    if command[0] == "plot" and ending in PICTURES:
        pytest.skip("needs matplotlib")
    assert code in (1, 2) and ending_of(out) in err.splitlines()[-1].lower()
    assert "kept" not in err and "expected" in err           # the text was not read
    assert set(folder.iterdir()) == before


def test_glove_text_of_one_dimension_is_refused_before_the_work(folder, run, monkeypatch):
    monkeypatch.chdir(folder)
    code, _, err = run("train", "glove", "text", "-o", "x.txt", *SMALL, "--dim", 1)
    assert code == 2 and "--dim: expected at least 2 for GloVe's text format" in err
    assert run("train", "glove", "text", "-o", "x.vec", *SMALL, "--dim", 1)[0] == 0
    assert len(load(folder / "x.vec")) == 6


# ---- the table ---------------------------------------------------------------------------------

def test_an_ending_selects_an_entry_worked_by_hand(tmp_path):
    table = {".a": 1, "": 2}
    assert [by_ending(name, table, "") for name in ("x.a", "X.A", "x", "b.c/x", ".a")] == [
        1, 1, 2, 2, 2]                                       # ".a" is a name without an ending
    assert by_ending("/dev/null", {".a": 1}, "") == 1        # not a file: the first
    with pytest.raises(ValueError, match="x.b: expected a table with the ending .a or none, got "
                                         "the ending .b; change the name"):
        by_ending("x.b", table, "a table")
    with pytest.raises(ValueError, match="got no ending"):
        by_ending("x", {".a": 1}, "a table")
    assert listed(WRITERS) == ".vec, .txt, .bin, .safetensors, .npy or none"


@pytest.mark.parametrize("ending", sorted({ending for ending in ENDINGS if ending.islower() or
                                           not ending} - set(WRITERS)))
def test_vectors_are_not_saved_under_an_ending_that_is_not_theirs(tmp_path, ending):
    with pytest.raises(ValueError, match="expected word vectors with the ending .vec, .txt, .bin"):
        WordVectors(["a"], np.eye(1)).save(tmp_path / f"x{ending}")
    assert not list(tmp_path.iterdir())

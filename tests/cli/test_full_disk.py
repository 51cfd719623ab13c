"""A disk that fills up: every writer names the file and the cause, and leaves what was there."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.words.vectors import WordVectors
from tests.processes import full_disk

SMALL = ["--min-count", "1", "--epochs", "1", "--sample", "0"]
LARGE = [*SMALL, "--dim", "20000"]
# the arguments of a command, and the file that is too large
COMMANDS = [
    (["encode", "words.vec", "text", "-o", "x.npy"], "x.npy"),
    (["index", "text", "-o", "x.index", "--model", "words.vec"], "x.index"),
    (["phrases", "text", "-o", "x.txt"], "x.txt"),
    (["train", "word2vec", "text", "-o", "x.vec", *LARGE], "x.vec"),
    (["train", "word2vec", "text", "-o", "x.bin", *LARGE], "x.bin"),
    (["train", "word2vec", "text", "-o", "x.safetensors", *LARGE], "x.safetensors"),
    (["train", "word2vec", "text", "-o", "x.vec", "--checkpoint", "x", *LARGE], "x"),
    (["train", "word2vec", "text", "-o", "x.vec", "--on-disk", "x", *SMALL], "x"),
    (["train", "fasttext", "text", "-o", "x.bin", "--buckets", "900", *LARGE], "x.bin"),
    (["world", "facts", "-o", "x"], "x/corpus.jsonl")]


@pytest.mark.parametrize("command, name", COMMANDS, ids=[" ".join(c[:-1]) for c, _ in COMMANDS])
def test_a_full_disk_is_named_with_the_file(tmp_path, run, monkeypatch, command, name):
    monkeypatch.chdir(tmp_path)
    lines = 20 if "20000" in command else 2000               # --dim makes the file large, or these
    Path("text").write_text("the king rules the land\nthe queen rules the sea\n" * lines)
    WordVectors(["the", "king", "queen"], np.eye(3, 9)).save("words.vec")
    before = set(os.listdir())
    assert run(*command)[0] == 0                             # also compiles, which writes files
    for path in set(os.listdir()) - before:
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    with full_disk(60_000):
        code, out, err = run(*command)
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == f"scratch-embed: {tmp_path / name}: File too large" or (
        err.splitlines()[-1] == f"scratch-embed: {name}: File too large")
    left = set(os.listdir()) - before
    assert left <= {"x"} and not (left and Path("x").is_file())
    assert not left or not os.listdir("x")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_standard_output_on_a_full_disk_is_named(tmp_path):
    WordVectors(["the", "king"], np.eye(2)).save(tmp_path / "words.vec")
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "scratch_embed", "similar",
                               tmp_path / "words.vec", "the"], stdout=full, text=True,
                              stderr=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (
        1, "scratch-embed: standard output: No space left on device\n")

"""plot: the ending decides the format; groups, neighbours, and errors before the work."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.words.vectors import WordVectors

STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF", "PNG": b"\x89PNG"}


@pytest.fixture
def file(tmp_path):
    WordVectors(["man", "woman", "king", "queen", "apple"], np.float32(
        [[1, 1, 0], [1, -1, 0], [2, 1, 0.5], [2, -1, 0.5], [-1, 0, 1]])).save(tmp_path / "s.vec")
    return tmp_path / "s.vec"


@pytest.mark.parametrize("ending", STARTS)
def test_the_ending_of_the_name_decides_the_format(ending, file, tmp_path, run):
    pytest.importorskip("matplotlib")
    code, out, err = run("plot", file, "-o", tmp_path / f"map.{ending}")
    assert (code, out) == (0, "") and "drew 5 words" in err
    assert (tmp_path / f"map.{ending}").read_bytes().startswith(STARTS[ending])


@pytest.mark.parametrize("name", ["map.jpg", "map", "map.png.gz", "map.vec"])
def test_another_ending_is_refused_before_the_vectors_are_read(name, tmp_path, run):
    code, out, err = run("plot", tmp_path / "no such file", "-o", tmp_path / name)
    assert code == 1 and out == "" and ".png, .svg or .pdf" in err and "no such" not in err
    assert not (tmp_path / name).exists()


def test_words_neighbours_and_the_title_are_drawn(file, tmp_path, run):
    """An .svg with names as text has them in its bytes, the title too."""
    pytest.importorskip("matplotlib")
    for arguments, shown in (["--words", "king", "queen", "--words", "apple"], 3), (
            ["--near", "king", "-k", 2], 3), (["--groups", 1, "--top", 2], 2):
        code, _, err = run("plot", file, "-o", tmp_path / "map.svg", "--title", "royal",
                           *arguments)
        assert code == 0 and f"drew {shown} words" in err
        assert b"<!-- royal -->" in (tmp_path / "map.svg").read_bytes()
    code, _, _ = run("plot", file, "-o", tmp_path / "map.svg")
    assert b"<!-- s.vec -->" in (tmp_path / "map.svg").read_bytes()


@pytest.mark.parametrize("arguments, message", [
    (["--near", "king", "woman", "-k", 2], "drew 4 words (asked: 6): a word that is near to sev"),
    (["--words", "king", "queen", "king"], "drew 2 words (asked: 3): a word that is given twice"),
    (["--groups", 3, "-k", 2], "drew 4 words in 2 groups of 2 (asked: 3 of 2): any further group"),
    ([], "drew 5 words in 1 group of 5 (asked: 8 of 8): any further group of near words"),
    (["--groups", 1, "-k", 3], "drew 3 words; wrote"),
    (["--groups", 1, "-k", 9], "drew 5 words (asked: 9): any"),
    (["--words", "king", "man"], "drew 2 words; wrote")])
def test_fewer_words_than_asked_for_are_explained(arguments, message, file, tmp_path, run):
    pytest.importorskip("matplotlib")
    code, _, err = run("plot", file, "-o", tmp_path / "map.svg", *arguments)
    assert code == 0 and message in err


def test_a_wrong_argument_is_named_with_or_without_matplotlib(file, tmp_path, run):
    code, _, err = run("plot", file, "-o", tmp_path / "map.png", "--words", "king", "king")
    assert code == 1 and "at least 2 words, got 1" in err
    code, _, err = run("plot", file, "-o", tmp_path / "no" / "map.png")
    assert code == 1 and "no folder" in err
    code, _, err = run("plot", file, "-o", tmp_path / "map.png", "--words", "a", "--near", "b")
    assert code == 2


def test_an_unknown_word_is_named(file, tmp_path, run):
    pytest.importorskip("matplotlib")
    for option in "--words", "--near":
        code, _, err = run("plot", file, "-o", tmp_path / "map.png", option, "king", "kang")
        assert code == 1 and "'kang'" in err and "king" in err
    assert not (tmp_path / "map.png").exists()


def test_without_matplotlib_the_error_says_how_to_install_it(file, tmp_path):
    """In a process of its own, in which the library cannot be imported."""
    code = f"""
import sys
sys.modules["matplotlib"] = None
from scratch_embed.cli.main import main
code = main(["plot", {str(file)!r}, "-o", {str(tmp_path / "map.png")!r}])
import scratch_embed as se
try:
    se.plot(se.load({str(file)!r}))
except ModuleNotFoundError as error:
    print(error)
sys.exit(code)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    assert done.returncode == 1 and "pip install 'scratch-embed[plot]'" in done.stderr
    assert done.stdout.startswith("plot() needs matplotlib")

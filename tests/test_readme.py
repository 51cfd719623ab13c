"""The README is true: its commands run, its example prints its output, its counts hold."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.M | re.S)
SHELL = [body for kind, body in BLOCKS if kind == "sh"]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def test_the_examples_print_what_stands_below_them():
    """One after the other: the second goes on with what the first has made."""
    example, output = ("".join(body for kind, body in BLOCKS if kind == wanted)
                       for wanted in ("python", "output"))
    done = subprocess.run([sys.executable, "-c", example], env=environment(),
                          capture_output=True, text=True)
    assert done.stdout == output, done.stderr


def test_the_set_up_is_two_commands():
    install, tour = SHELL[0].splitlines()
    assert install.startswith("python -m pip install") and tour == "scratch-embed tour"


def test_the_commands_run_in_their_order(tmp_path):
    """In an empty folder, with corpora/ beside it as in a checkout."""
    (tmp_path / "corpora").symlink_to(ROOT / "corpora")
    lines = [line for block in SHELL[1:] for line in block.splitlines()]
    assert lines
    for line in lines:
        if " plot " in line:
            pytest.importorskip("matplotlib")
        command = line.replace("scratch-embed", f"{sys.executable} -m scratch_embed")
        done = subprocess.run(command, shell=True, cwd=tmp_path, env=environment(),
                              capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_the_line_counts_are_right():
    rows = re.findall(r"^\|[^|]*\| `(scratch_embed/\S+)` \| (\d+) \|", README, re.M)
    assert len(rows) == 12
    for name, count in rows:
        assert int(count) == (ROOT / name).read_text().count("\n"), name


def test_every_file_that_is_named_exists():
    for name in re.findall(r"`((?:scratch_embed|tests|bench|corpora)/[\w/.-]+)`", README):
        assert (ROOT / name).exists(), name

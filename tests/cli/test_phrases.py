"""The command `phrases`, which joins the phrases of a text."""
import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scratch_embed.cli.main import main, parser

TEXT = "i saw new york\nnew york is big\n\nin new york i am\n"
JOINED = "i saw new_york\nnew_york is big\nin new_york i am\n"
LOW = ["--min-count", "1", "--threshold", "2"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


def run(capfdbinary, *arguments):
    """(exit code, stdout, stderr) of a command in this process."""
    code = main(["phrases", *map(str, arguments)])
    out, err = capfdbinary.readouterr()
    return code, out.decode(), err.decode()


def test_the_help_ends_with_an_example_that_the_parser_understands(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["phrases", "--help"])
    assert ended.value.code == 0
    example = capsys.readouterr().out.rstrip().splitlines()[-1]
    assert parser().parse_args(example.split()[1:]).output == "joined.txt"


def test_the_phrases_of_a_text_are_joined(text, tmp_path, capfdbinary):
    """N = 13, n(new) = n(york) = n(new york) = 3: (3 − 1)/9 · 13 = 26/9 > 2."""
    code, out, err = run(capfdbinary, text, "-o", tmp_path / "out", *LOW)
    assert (code, out) == (0, "")
    assert "13 words, 1 distinct phrases" in err and "out" in err
    assert (tmp_path / "out").read_text() == JOINED


def test_phrases_reads_stdin_and_writes_stdout(tmp_path, capfdbinary, stdin):
    stdin(gzip.compress(TEXT.encode()))
    code, out, _ = run(capfdbinary, "-", "-o", "-", *LOW)
    assert (code, out) == (0, JOINED)


def test_each_option_changes_the_score_the_threshold_or_the_delimiter(text, capfdbinary):
    assert run(capfdbinary, text, "-o", "-")[1] == TEXT.replace("\n\n", "\n")      # defaults
    assert run(capfdbinary, text, "-o", "-", *LOW[:2], "--threshold", "2.9")[1].count("_") == 0
    assert run(capfdbinary, text, "-o", "-", *LOW, "--min-count", "2")[1].count("_") == 0
    joined = run(capfdbinary, text, "-o", "-", *LOW, "--delimiter", "+")[1]
    assert joined == JOINED.replace("_", "+")


def test_the_output_is_utf8_in_every_terminal(tmp_path):
    (tmp_path / "text").write_text("le café noir\n", encoding="utf-8")
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-m", "scratch_embed", "phrases", tmp_path / "text",
                           "-o", "-"], capture_output=True,
                          env={**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "ascii"})
    assert done.stdout.decode("utf-8") == "le café noir\n"


def test_errors_chooses_what_happens_to_bytes_that_are_not_utf8(text, tmp_path, capfdbinary):
    text.write_bytes(b"caf\xe9 noir\n")
    code, out, err = run(capfdbinary, text, "-o", "-")
    assert (code, out) == (1, "") and "line 1, byte 3" in err
    assert run(capfdbinary, text, "-o", "-", "--errors", "ignore")[1] == "caf noir\n"


@pytest.mark.parametrize("wrong, message", [
    (["no-such-file", "-o", "{new}"], "no-such-file"),
    (["{text}", "-o", "no/folder/x"], "no folder"),
    (["{text}", "-o", "{text}"], "is the input itself"),
    (["{text}", "-o", "{new}", "--delimiter", " "], "white space")])
def test_a_users_error_is_one_line_and_writes_nothing(wrong, message, text, tmp_path, capfdbinary):
    code, out, err = run(capfdbinary, *(w.format(text=text, new=tmp_path / "new") for w in wrong))
    assert code == 1 and out == "" and len(err.splitlines()) == 1 and message in err
    assert os.listdir(tmp_path) == ["text.txt"] and text.read_text() == TEXT


@pytest.mark.parametrize("wrong", [["text"], ["text", "-o", "x", "--threshold", "-1"],
                                   ["text", "-o", "x", "--min-count", "few"]])
def test_bad_usage_exits_with_code_2(wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["phrases", *wrong])
    assert ended.value.code == 2

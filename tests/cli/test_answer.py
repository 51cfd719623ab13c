"""`answer` prints tables, claims and text, and draws a figure."""
import json
import sys

import numpy as np
import pytest

from scratch_embed.answers.answer import Answer, Claim, Paragraph, Table
from scratch_embed.answers.questions import CONTRASTIVE
from scratch_embed.cli.answer import print_answer

QUESTIONS = {"1": CONTRASTIVE}
ALL = pytest.mark.parametrize("number", QUESTIONS)
SMALL = ["--seeds", 2, "--documents", 60, "--steps", 2]


@ALL
def test_json_has_tables_claims_and_text_and_the_figure_is_drawn(number, tmp_path, run):
    pytest.importorskip("matplotlib")
    path = tmp_path / "answer.png"
    code, out, err = run("answer", number, *SMALL, "--json", "-o", path)
    found = json.loads(out)
    assert code == 0 and found["question"] == QUESTIONS[number].text and found["seeds"] == [1, 2]
    assert all(table["title"] and table["rows"] for table in found["tables"])
    assert found["claims"] and all(claim["holds"] == (claim["low"] > 0)
                                   for claim in found["claims"])
    assert f"wrote {path}" in err and path.read_bytes().startswith(b"\x89PNG")


def test_what_is_printed(capsys):
    """2 and 4 have mean 3 ± 12.706 · √2/√2; a column that does not apply is empty."""
    rows = {"a": np.array([[2, 0.25], [4, 0.25]]), "b": np.array([[1, np.nan], [1, np.nan]])}
    claim = Claim("a is above b", np.array([3.0, 4.0]), np.array([1.0, 2.0]))
    print_answer(Answer("Why?", [1, 2], [Table("A table.", ("score", "share"), rows, (1, 2))],
                        [Paragraph("By definition.", (claim,), "So take a.")], None))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["Why?", "----"] and "A table." in lines
    assert [line.split() for line in lines if line.startswith("    ")] == [
        ["score", "share"], ["a", "3.0", "±", "12.7", "0.25", "±", "0.00"],
        ["b", "1.0", "±", "0.0"]]
    assert lines[-3].endswith("So take a.") and "Over 2 seeds 1 of 1 claims hold" in lines[-1]


@ALL
def test_a_wrong_ending_is_refused_before_the_work(number, tmp_path, run):
    code, out, err = run("answer", number, "-o", tmp_path / "a.txt")
    assert code == 1 and out == "" and "expected a picture with the ending .png" in err


def test_without_matplotlib_the_error_says_how_to_install_it(tmp_path, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = run("answer", "1", "-o", tmp_path / "a.png")
    assert code == 1 and out == "" and "pip install 'scratch-embed[plot]'" in err

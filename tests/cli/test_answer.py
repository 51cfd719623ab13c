"""`answer` prints tables, claims and text, and draws a figure; an error comes before the work.

tests/cli/test_json.py runs every question.
"""
import sys

import numpy as np
import pytest

from scratch_embed.answers.answer import Answer, Claim, Paragraph, Table
from scratch_embed.answers.clip import Space
from scratch_embed.answers.contrastive import Cosines
from scratch_embed.answers.cross_or_bi import Points
from scratch_embed.answers.matryoshka import Short
from scratch_embed.answers.rag import Curves
from scratch_embed.cli.answer import as_json, print_answer, write_figure
from scratch_embed.cli.answer_figures import (
    draw_clip,
    draw_contrastive,
    draw_cross_or_bi,
    draw_matryoshka,
    draw_rag,
)

ALL = pytest.mark.parametrize("number", ["1", "2", "3", "4", "5"])
ROWS = {"a": np.array([[2, 0.25], [4, 0.25]]), "b": np.array([[1, np.nan], [1, np.nan]])}
CLAIM = Claim("a is above b", np.array([3.0, 4.0]), np.array([1.0, 2.0]))
ANSWER = Answer("Why?", [1, 2], [Table("A table.", ("score", "share"), ROWS, (1, 2))],
                [Paragraph("By definition.", (CLAIM,), "So take a.")], None)
C = np.linspace(-1, 1, 50)
RECALLS = np.array([[10.0, 90.0], [20.0, 100.0]])                  # (seeds, budgets)
SCORES = np.array([[90.0, 80], [92, 70]])                          # 2 seeds, 2 sizes
FIGURES = {draw_contrastive: Cosines(*[{"untrained": C, "pairs": C**3}] * 2),
           draw_cross_or_bi: Points({0: C, 10: C, 30: C}, {"BM25": C}),
           draw_rag: Curves((64, 128), {"BM25": RECALLS}, {"whole": RECALLS}),
           draw_matryoshka: Short((8, 4), dict.fromkeys("abcdef", SCORES),
                                  {"int8": np.stack([[[8, 4]] * 2, SCORES], axis=2)}),
           draw_clip: (Space(RECALLS, SCORES, C, C),) * 2}


def test_what_is_printed(capsys):
    """2 and 4 have mean 3 ± 12.706 · √2/√2; a column that does not apply is empty."""
    print_answer(ANSWER)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == ["Why?", "----"] and "A table." in lines
    assert [line.split() for line in lines if line.startswith("    ")] == [
        ["score", "share"], ["a", "3.0", "±", "12.7", "0.25", "±", "0.00"],
        ["b", "1.0", "±", "0.0"]]
    assert lines[-3].endswith("So take a.") and "Over 2 seeds 1 of 1 claims hold" in lines[-1]


def test_json_has_every_number_with_its_interval():
    found = as_json(ANSWER)
    none = {"value": None, "low": None, "high": None}
    assert found["question"] == "Why?" and found["seeds"] == [1, 2]
    assert found["tables"][0]["rows"] == [
        {"name": "a", "score": {"value": 3, "low": 3 - 12.706, "high": 3 + 12.706},
         "share": {"value": 0.25, "low": 0.25, "high": 0.25}},
        {"name": "b", "score": {"value": 1, "low": 1, "high": 1}, "share": none}]
    assert found["claims"] == [{"claim": "a is above b", "holds": True, "value": 2, "low": 2,
                                "high": 2}]
    assert found["answer"] == [str(ANSWER.paragraphs[0])]


@pytest.mark.parametrize("draw", FIGURES)
@pytest.mark.parametrize("ending, start", [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_figure_is_drawn_in_the_format_of_its_ending(draw, ending, start, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"answer.{ending}"
    write_figure(path, draw, FIGURES[draw])
    assert path.read_bytes().startswith(start) and f"wrote {path}" in capsys.readouterr().err


@ALL
def test_a_wrong_ending_is_refused_before_the_work(number, tmp_path, run):
    code, out, err = run("answer", number, "-o", tmp_path / "a.txt")
    assert code == 1 and out == "" and "expected a picture with the ending .png" in err


def test_without_matplotlib_the_error_says_how_to_install_it(tmp_path, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, out, err = run("answer", "1", "-o", tmp_path / "a.png")
    assert code == 1 and out == "" and "pip install 'scratch-embed[plot]'" in err

"""--json prints the same shapes in every command that prints data."""
import contextlib
import io
import json

import numpy as np
import pytest

from scratch_embed.cli.printing import print_json
from scratch_embed.words.classifier import Classifier
from scratch_embed.words.vectors import WordVectors
from tests.cli.test_grammar import LEAVES
from tests.cli.test_paths import OLD

PRINTING = [name for name, command in LEAVES if "--json" in command._option_string_actions]
COMMANDS = {                       # command: its arguments; files are those of the fixture
    "similar": "words.vec king queen", "analogy": "words.vec man king woman",
    "odd": "words.vec king queen cat", "vectors": "words.vec king", "ngrams": "king",
    "predict": "{old}/hs.bin text", "encode": "words.vec text", "fill": "{old}/bert [MASK]",
    "search": "x.index king cat", "rerank": "text cat king --model {cross}",
    "neighbours": "x.index king", "info": "words.vec",
    "evaluate words": "words.vec --pairs pairs", "evaluate classifier": "{old}/hs.bin labelled",
    "evaluate sts": "sts words.vec", "evaluate run": "qrels run",
    "evaluate retrieval": "words.vec --corpus corpus --queries corpus --qrels qrels",
    "evaluate mteb": "{old}/encoder --tasks ToySTS",
    "answer 1": "--seeds 2 --documents 20 --steps 1",
    "answer 2": "--seeds 2 --documents 21 --steps 1",
    "answer 3": "--seeds 2 --documents 20 --steps 1",
    "answer 4": "--seeds 2 --documents 20 --steps 1",
    "answer 5": "--seeds 2 --documents 20 --steps 1"}


@pytest.fixture
def files(tmp_path, monkeypatch, run):
    monkeypatch.chdir(tmp_path)
    words = ["king", "queen", "man", "woman", "cat"]
    WordVectors(words, np.random.default_rng(0).standard_normal((5, 4), np.float32)).save(
        "words.vec")
    for name, text in {
            "text": "king\ncat\n", "pairs": "king queen 9\nking cat 1\nman cat 2\n",
            "corpus": "q1\tking\nd7\tcat\n", "qrels": "q1 0 d7 1\n", "run": "q1 Q0 d7 1 0.5 me\n",
            "sts": "king\tqueen\t3\nking\tking\t5\ncat\tking\t1\n",
            "labelled": labelled_by(OLD / "hs.bin")}.items():
        (tmp_path / name).write_text(text)
    assert run("index", "text", "-o", "x.index", "--model", "words.vec")[0] == 0


def labelled_by(model):
    """A line for each label of a classifier."""
    return "".join(f"{label} a meal\n" for label in Classifier.load(model).labels)


def objects_in(found):
    """Every object within a JSON value."""
    if isinstance(found, dict):
        yield found
    for inner in found.values() if isinstance(found, dict) else found:
        if isinstance(inner, dict | list):
            yield from objects_in(inner)


def test_every_command_that_prints_data_is_tested():
    assert sorted(COMMANDS) == sorted(PRINTING)


@pytest.mark.parametrize("name", PRINTING)
def test_json_has_one_shape_for_numbers_and_one_for_what_was_found(name, files, run):
    code, out, err = run(*name.split(), *COMMANDS[name].format(
        old=OLD, cross=OLD.parent / "cross_encoder_new").split(), "--json")
    assert code == 0, err
    answers = [json.loads(line) for line in out.splitlines()]
    assert answers
    measured = [part for found in answers for part in objects_in(found) if "value" in part]
    assert all({"value", "low", "high"} <= part.keys() for part in measured)
    measures = name.split()[0] in ("evaluate", "answer")
    assert bool(measured) == measures
    if measures or name == "info":
        return
    for found in answers:
        assert found.keys() in ({"query", "results"}, {"query", "vector"})
        rows = found.get("results", [])
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("encoding, text, shown", [
    ("utf-8", "naïve 日本", "naïve 日本"), ("latin-1", "naïve", "naïve"),
    ("latin-1", "日本", r"\u65e5\u672c"), ("ascii", "naïve", r"na\u00efve"),
    ("utf-8", "caf\udce9", r"caf\udce9"), ("utf-8", "a\u2028b", r"a\u2028b")])
def test_letters_are_printed_as_they_are_if_stdout_can_encode_them(encoding, text, shown):
    """Bytes that are not UTF-8, and characters that end a line for some readers, are escaped."""
    written = io.BytesIO()
    stdout = io.TextIOWrapper(written, encoding, "surrogateescape", newline="\n")
    with contextlib.redirect_stdout(stdout):
        print_json({"query": text})
    stdout.flush()
    line = written.getvalue()
    assert line == f'{{"query": "{shown}"}}\n'.encode(encoding)
    assert json.loads(line.decode(encoding)) == {"query": text}

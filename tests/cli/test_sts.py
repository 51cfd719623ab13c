"""evaluate sts: correlations with human scores, beside a bag of words and random vectors."""
import json

import numpy as np
import pytest

from scratch_embed.words.vectors import WordVectors

PAIRS = "cat\tdog\t4\ncat\tship\t0\nship\tboat\t5\ndog\tboat\t1\ncat\tcat\t5\ndog\tship\t0\n"


@pytest.fixture
def files(tmp_path):
    """(pairs, word vectors whose cosines rank the pairs nearly as the scores do)."""
    (tmp_path / "pairs.tsv").write_text(PAIRS)
    WordVectors(["cat", "dog", "ship", "boat"], np.float32(
        [[0, 1], [0.3, 0.9], [1, 0], [0.9, 0.1]])).save(tmp_path / "w.vec")
    return tmp_path / "pairs.tsv", tmp_path / "w.vec"


def test_a_model_stands_beside_its_baselines(files, run):
    code, out, err = run("evaluate", "sts", *files)
    heading, model, bag, random = out.splitlines()
    assert code == 0 and "6 pairs" in err and heading.split("  ")[-1] == "Pearson, 95% CI"
    assert heading.split() == ["Spearman,", "95%", "CI", "Pearson,", "95%", "CI"]
    assert heading.index("Pearson") < model.index(model.split()[5]) + 2     # above its numbers
    assert model.startswith("w.vec ") and bag.startswith("bag of words ")
    assert random.startswith("random ") and float(model.split()[1]) > 0.9


def test_truncated_vectors_are_compared(files, run):
    """One number is left: all cosines are 1, or 0 with cat, whose first number is 0."""
    whole, short = (run("evaluate", "sts", *files, *options)[1].splitlines()
                    for options in ([], ["--truncate-dim", "1"]))
    assert short[1] != whole[1] and short[2:] == whole[2:]
    code, _, err = run("evaluate", "sts", *files, "--truncate-dim", "3")
    assert code == 1 and "truncate-dim 3: expected a whole number, 1 to 2" in err


def test_json_has_value_low_and_high(files, run):
    code, out, _ = run("evaluate", "sts", *files, "--json")
    found = json.loads(out)
    assert code == 0 and list(found) == ["w.vec", "bag of words", "random"]
    for measures in found.values():
        assert list(measures) == ["Spearman", "Pearson"]
        for interval in measures.values():
            assert interval["low"] <= interval["value"] <= interval["high"]


def test_the_csv_of_sts_b_and_a_transformer(files, models, tmp_path, run):
    (tmp_path / "pairs.csv").write_text('"the king, rules",the queen,3.5\na cat,a dog,2.0\n'
                                        "a ship,a boat,4.0\n")
    code, out, err = run("evaluate", "sts", tmp_path / "pairs.csv", models.encoder, files[1])
    assert code == 0 and "3 pairs" in err
    assert [line.split()[0] for line in out.splitlines()[1:3]] == ["encoder", "w.vec"]
    assert "w.vec: 2 of 6 sentences have no known word" in err


def test_wrong_files(files, tmp_path, run):
    pairs, model = files
    assert run("evaluate", "sts", pairs)[0] == 2
    code, _, err = run("evaluate", "sts", model, model)
    assert code == 1 and "expected sentence, sentence and score" in err
    (tmp_path / "one").write_text("a\tb\t1\n")
    code, _, err = run("evaluate", "sts", tmp_path / "one", model)
    assert code == 1 and "at least 2 pairs" in err

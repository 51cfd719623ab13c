"""evaluate mteb: the table and the files have the scores of evaluate_tasks."""
import json

import numpy as np
import pytest

from scratch_embed.cli.loading import load_encoder
from scratch_embed.cli.mteb import say_unknown
from scratch_embed.evaluate.baselines import BagOfWords, RandomVectors
from scratch_embed.evaluate.mteb import evaluate_tasks
from scratch_embed.evaluate.results import format_results
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.words.vectors import WordVectors
from scratch_embed.worlds.facts import WORDS
from scratch_embed.worlds.toy_mteb import toy_mteb

QUICK = ["ToyParaphrases", "ToySTS", "ToySummaries"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Vectors in which synonyms are equal."""
    path = tmp_path_factory.mktemp("m") / "o.vec"
    values = [words for slot in WORDS for words in slot]
    WordVectors([word for words in values for word in words],
                np.repeat(np.eye(40, dtype=np.float32), 4, axis=0)).save(path)
    return path


def test_the_table_and_the_files_have_the_scores_of_evaluate_tasks(model, tmp_path, run):
    toy = toy_mteb(0)
    tasks = [task for name in QUICK for task in toy.tasks if task.name == name]
    encoders = {"o.vec": load_encoder(model, 0.001), "random": RandomVectors(),
                "bag of words": BagOfWords([" ".join(words) for words in toy.text])}
    expected = {name: evaluate_tasks(encoder, tasks) for name, encoder in encoders.items()}
    code, out, err = run("evaluate", "mteb", model, "--tasks", *QUICK, "--baselines",
                         "--results-folder", tmp_path / "out")
    assert code == 0, err
    assert out == "\n".join(format_results(expected)) + "\n"
    folders = {"o.vec": "", "random": "random", "bag of words": "bag-of-words"}
    for name, results in expected.items():
        folder = tmp_path / "out" / folders[name]
        assert sorted(path.stem for path in folder.glob("*.json")) == QUICK
        for result in results:
            found = json.loads((folder / f"{result.task}.json").read_text())
            assert found["task_name"] == result.task
            assert found["scores"]["test"][0]["main_score"] == result.main_score


def test_vectors_with_equal_synonyms_come_near_the_upper_bound(model, run):
    _, out, _ = run("evaluate", "mteb", model, "--tasks", "ToySTS", "--sif", 0)
    head, row = (line.split() for line in out.splitlines()[:2])
    assert head[-4:] == ["chance", "o.vec", "upper", "bound"] and row[:2] == ["ToySTS", "STS"]
    assert float(row[-2]) > 0.95 and (row[-3], row[-1]) == ("0.000", "1.000")


def test_a_folder_with_a_transformer_is_evaluated_too(models, run):
    task = next(task for task in toy_mteb(0).tasks if task.name == "ToySummaries")
    expected = evaluate_tasks(SentenceEncoder.load(models.encoder), [task])
    code, out, _ = run("evaluate", "mteb", models.encoder, "--tasks", "ToySummaries")
    assert code == 0 and out == "\n".join(format_results({"encoder": expected})) + "\n"


def test_the_seed_chooses_the_toy_world(model, run):
    command = ["evaluate", "mteb", model, "--tasks", "ToySummaries", "--seed"]
    assert run(*command, 0)[1] != run(*command, 1)[1]


def test_an_unknown_task_is_an_error_that_lists_the_tasks(model, tmp_path, run):
    code, out, err = run("evaluate", "mteb", model, "--tasks", "ToySTS", "STS12")
    assert (code, out) == (2, "")
    assert "--tasks: expected names among ToyFacts, " in err and "got 'STS12'" in err


def test_words_of_the_tasks_that_the_model_does_not_know_are_counted(capsys):
    class KnowsTwoWords:
        def encode(self, texts):
            return np.array([[float(text in ("who", "was"))] for text in texts], np.float32)

    say_unknown(KnowsTwoWords(), [["who", "was", "it"], ["it", "rained"]])
    assert capsys.readouterr().err.startswith("2 of the 4 words of the tasks are unknown")
    say_unknown(KnowsTwoWords(), [["who"], ["was"]])
    assert capsys.readouterr().err == ""


def test_tasks_that_are_no_better_than_chance_are_named(tmp_path, run):
    """Equal vectors for all words: every text is as similar to every other."""
    words = sorted({word for sentence in toy_mteb(0).text for word in sentence})
    WordVectors(words, np.ones((len(words), 2), np.float32)).save(tmp_path / "o.vec")
    code, _, err = run("evaluate", "mteb", tmp_path / "o.vec", "--tasks", "ToyFacts")
    assert code == 0 and "o.vec is no better than chance on ToyFacts" in err

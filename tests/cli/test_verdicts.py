"""What `train` says about texts and results, and what it checks before it reads a text."""
import re
import runpy
import sys

import numpy as np
import pytest

from scratch_embed.cli.main import parser
from scratch_embed.words.subwords import default_buckets, index_subwords
from scratch_embed.words.vectors import WordVectors
from scratch_embed.worlds.corpora import corpus_path

RNG = np.random.default_rng(0)
TOPICS = ["king queen crown throne palace".split(), "cat dog mouse bird horse".split(),
          "rain snow wind cloud storm".split(), "bread milk cheese apple soup".split()]
TINY_BERT = ["--dim", 16, "--heads", 2, "--ff", 16, "--layers", 1, "--max-length", 12]
METHODS = ["word2vec", "glove", "fasttext", "classifier", "bert", "simcse"]


def lines(seed, n=400, shuffled=False):
    """n lines of 8 words of one topic each, or of any."""
    rng = np.random.default_rng(seed)
    words = np.array(TOPICS)[rng.integers(0, 4, (n, 1)), rng.integers(0, 5, (n, 8))]
    if shuffled:
        rng.shuffle(flat := words.ravel())
        words = flat.reshape(n, 8)
    return "\n".join(" ".join(row) for row in words) + "\n"


@pytest.fixture
def files(tmp_path):
    """text, other, noise, labelled: paths."""
    for name, content in [("text", lines(1)), ("other", lines(2)), ("noise", lines(3, 400, True)),
                          ("labelled", "".join(f"__label__{line.split()[0][0]} {line}\n"
                                               for line in lines(4).splitlines()))]:
        (tmp_path / name).write_text(content)
    return tmp_path


LEARNS = {"word2vec": ["--sample", 0, "--lr", 0.1, "--epochs", 10, "--dim", 8],
          "fasttext": ["--sample", 0, "--lr", 0.1, "--epochs", 10, "--dim", 8, "--buckets", 100],
          "bert": [*TINY_BERT, "--steps", 200, "--batch-size", 32, "--lr", 0.01, "--dropout", 0]}


# ---- the verdict --------------------------------------------------------------------------------

@pytest.mark.parametrize("method", LEARNS)
def test_the_last_lines_are_three_losses_and_a_verdict(method, files, run):
    """On held-out lines a run of topics has learned, a run of shuffled words has not."""
    for text, verdict in ("text", "better"), ("noise", "no better"):
        code, _, err = run("train", method, files / text, "-o", files / "out.bin", "--held-out",
                           files / "other", *LEARNS[method])
        *_, losses, sentence = err.splitlines()
        assert code == 0 and re.fullmatch(
            r"mean loss of [\d,]+ [\w ]+ of \S+other, which is held out: \d+\.\d{4}; with [\w ]+ "
            r"alone \d+\.\d{4}; untrained \d+\.\d{4}", losses)
        assert sentence.startswith(f"verdict: {verdict} than "), err


def test_without_held_out_lines_the_verdict_says_on_which_text_it_is(files, run):
    err = run("train", "word2vec", files / "text", "-o", files / "v", *LEARNS["word2vec"])[2]
    *_, losses, sentence, where = err.splitlines()
    assert "pairs drawn anew from the training text" in losses and "verdict: better" in sentence
    assert where.startswith("(on the text that it was trained on") and "--held-out" in where


def test_bert_measures_on_sequences_that_no_step_has_used_if_there_are_some(files, run):
    for steps, source in (5, "of sequences that no step has used"), (12, "of the training text, "
                                                                         "masked anew"):
        err = run("train", "bert", files / "text", "-o", files / "m", *TINY_BERT, "--steps", steps,
                  "--batch-size", 32)[2]
        assert source in err and "verdict: no better than token frequencies" in err


def test_the_classifier_is_compared_with_its_most_frequent_label(files, run):
    err = run("train", "classifier", files / "labelled", "-o", files / "m.bin", "--dim", 8, "--lr",
              0.5, "--epochs", 10, "--held-out", files / "labelled")[2]
    assert re.search(r"P@1 on 400 lines of \S+labelled: 0\.\d+; always __label__\w: 0\.\d+", err)
    assert "with the frequencies of the labels alone" in err and "verdict:" in err


def test_glove_is_compared_with_biases(files, run):
    for held_out in [], ["--held-out", files / "other"]:
        err = run("train", "glove", files / "text", "-o", files / "v", "--dim", 8, *held_out)[2]
        assert "with the frequencies of the two words alone" in err and "verdict: " in err
    (files / "short").write_text("\n".join((files / "text").read_text().split("\n")[:9]))
    code, _, err = run("train", "glove", files / "text", "-o", files / "v", "--held-out",
                       files / "short")
    assert code == 1 and "expected at least a third of the" in err     # most of its counts are 1


def test_simcse_is_compared_with_chance_common_tokens_and_the_start(files, models, run):
    (files / "pairs").write_text("".join(f"{line}\t{line}\n" for line in lines(7, 60).split("\n")))
    for source in [models.text], ["--pairs", files / "pairs"]:
        err = run("train", "simcse", *source, "-o", files / "e", "--model", models.bert, "--steps",
                  3, "--batch-size", 8)[2]
        assert f"(chance: {np.log(8):.4f})" in err
        assert re.search(r"MRR: [01]\.\d+; before training [01]\.\d+; by common tokens [01]\.\d+"
                         r"( \(the two texts of a pair share few tokens\))?; chance "
                         r"0\.\d{4}\nverdict: ", err), err
    (files / "few").write_text("the cat\nthe dog\n")
    err = run("train", "simcse", files / "few", "-o", files / "e", "--model", models.bert,
              "--steps", 1)[2]
    assert err.endswith("no verdict: fewer than 10 texts to find\n")


# ---- small texts, defaults by the text ----------------------------------------------------------

def test_a_small_vocabulary_is_said(files, run):
    err = run("train", "word2vec", files / "text", "-o", files / "v", "--dim", 2)[2]
    assert "a small vocabulary: 20 different words with at least 5 occurrences (--min-count)" in err


def shuffled(lines):
    """Lines of the same 100 words in random order, of which nothing can be learned."""
    return "\n".join(" ".join(f"w{n}" for n in RNG.permutation(100)) for _ in range(lines))


@pytest.mark.parametrize("method, lines, options, advice", [
    ("word2vec", 10, [], "the text is small, a word occurs 10 times in it on average; use more"),
    ("glove", 10, ["--epochs", 1], "the text is small, a word occurs 10 times in it on average"),
    ("word2vec", 40, ["--sample", 0], "5 epochs read a word 200 times on average, and 1,000 times "
                                      "are better; try --epochs 25"),
    ("word2vec", 40, ["--sample", 0, "--epochs", 25, "--lr", 1e-4],
     "train on more text, for more --epochs or with a larger --lr"),
    ("word2vec", 40, ["--sample", 1e-4], "subsampling by --sample 0.0001 leaves 440 of 4,000 "
                                         "words; try --sample 0.01 --epochs 25"),
    ("fasttext", 40, [], "subsampling by --sample 0.0001 leaves 440 of 4,000 words; try --sample "
                         "0.01 --epochs 25")])
def test_the_advice_names_what_is_the_cause(method, lines, options, advice, files, run):
    """It is a part of the verdict, so that both cannot contradict each other."""
    (files / "many").write_text(shuffled(lines))
    err = run("train", method, files / "many", "-o", files / "v", "--dim", 2, *options)[2]
    sentence = err.splitlines()[-1 if "no better" in err else -2]
    assert re.match("verdict: (no|only a little) better", sentence) and f"): {advice}" in sentence
    assert err.count("small") <= 1 and err.count("; try --") <= 1


@pytest.mark.parametrize("method", ["word2vec", "glove"])
def test_no_text_is_called_small_if_something_was_learned_from_it(method, files, run):
    text = (files / "text").read_text().splitlines()[:40]
    (files / "few").write_text("\n".join(text))
    err = run("train", method, files / "few", "-o", files / "v", "--dim", 8, "--lr", 0.1,
              "--epochs", 200)[2]
    assert "verdict: better" in err and "text is small" not in err and "; use more" not in err


def test_glove_and_fasttext_choose_x_max_and_buckets_by_the_text_and_say_so(files, run):
    """The result is that of the same values given explicitly."""
    for method, option, least in ("glove", "--x-max", 10), ("fasttext", "--buckets", 400):
        small = ["train", method, files / "text", "--dim", 4, "--epochs", 2, "-o"]
        err = run(*small, files / "a.vec")[2]
        chosen = re.search(rf"{option} (\d+)", err).group(1)
        assert least <= int(chosen) < 1000
        run(*small, files / "b.vec", option, chosen)
        assert (files / "a.vec").read_bytes() == (files / "b.vec").read_bytes()


def test_default_buckets_are_twice_the_number_of_different_n_grams():
    words = ["where", "there", "her"]
    ngrams = {f"<{word}>"[i:i + n] for word in words for n in (3, 4)
              for i in range(len(word) + 3 - n)}
    assert default_buckets(words, 3, 4) == 2 * len(ngrams)
    assert default_buckets(words, 3, 0) == 1
    rows = index_subwords(words, 3, 4, default_buckets(words, 3, 4)).rows
    assert len(np.unique(rows)) > 3 + 0.6 * len(ngrams)


def test_buckets_without_n_grams_are_said_to_have_no_effect(files, run):
    err = run("train", "classifier", files / "labelled", "-o", files / "m.bin", "--buckets", 9)[2]
    assert "--buckets has no effect without n-grams: add --word-ngrams 2 or --max-n" in err


# ---- before the work ----------------------------------------------------------------------------

@pytest.mark.parametrize("method, options, message", [
    ("glove", ["--lr", "1e-30"], "--lr 1e-30: expected"),
    ("glove", ["--x-max", "1e30"], "--x-max 1e+30: expected"),
    ("glove", ["--dim", "3000000000"], "--dim: expected"),
    ("glove", ["--window", "3000000000"], "--window: expected"),
    ("word2vec", ["--negatives", "2000000000"], "--negatives 2000000000: expected"),
    ("fasttext", ["--negatives", "2000000000"], "--negatives 2000000000: expected"),
    ("classifier", ["--negatives", "2000000000"], "--negatives 2000000000: expected"),
    ("word2vec", ["--window", "3000000000"], "--window: expected"),
    ("fasttext", ["--epochs", "3000000000"], "--epochs: expected"),
    ("word2vec", ["--held-out", "missing"], "missing: there is no such file"),
    ("glove", ["--held-out", "missing"], "missing: there is no such file"),
    ("bert", ["--held-out", "missing"], "missing: there is no such file"),
    ("bert", ["--layers", "2147483647"], "GiB of memory"),
    ("bert", ["--max-length", "99999999999999999999"], "--max-length: expected")])
def test_settings_are_checked_before_the_text_is_read(method, options, message, files, run):
    (files / "text").write_bytes(b"\xff")                          # an error if it is read
    code, _, err = run("train", method, files / "text", "-o", files / "out.bin", *options)
    assert code in (1, 2) and len(err.splitlines()) == 1 and message in err, err


SMALL = {"word2vec": ["--dim", 4, "--sample", 0], "glove": ["--dim", 4],
         "fasttext": ["--dim", 4, "--sample", 0, "--buckets", 50], "classifier": ["--dim", 4],
         "bert": [*TINY_BERT, "--steps", 4, "--batch-size", 4]}


@pytest.mark.parametrize("method", SMALL)
def test_a_checkpoint_is_checked_before_the_text_is_read(method, files, run):
    source = files / ("labelled" if method == "classifier" else "text")
    state = ["--checkpoint", files / "state"]
    command = ["train", method, source, "-o", files / "out.bin", *SMALL[method], *state]
    assert run(*command)[0] == 0
    source.write_bytes(b"\xff")
    unit = "steps" if method == "bert" else "epochs"
    for options, message in [(["--seed", 2], "seed was 1 and is 2 now; use the old value"),
                             (["--lr", 0.07], "lr was"), (["--dim", 2], "dim was"),
                             ([f"--{unit}", 3], f"{unit} was"),
                             ([f"--{unit}", 3], f"a run can be given more {unit}, not fewer")]:
        code, _, err = run(*command, *options, "--resume")
        assert code == 1 and message in err.splitlines()[-1], err
        assert "kept" not in err and "UTF-8" not in err
    (files / "state").write_bytes(b"a letter")
    code, _, err = run(*command)
    assert code == 1 and "exists already, and is not a checkpoint" in err and "UTF-8" not in err
    assert (files / "state").read_bytes() == b"a letter"


@pytest.mark.parametrize("method", SMALL)
def test_a_finished_run_can_be_given_more_epochs_or_steps(method, files, run):
    source = files / ("labelled" if method == "classifier" else "text")
    command = ["train", method, source, "-o", files / "out.bin", *SMALL[method], "--checkpoint",
               files / "state"]
    unit, before, longer = ("steps", 4, 6) if method == "bert" else (
        "epochs", 25 if method == "glove" else 5, 30)
    run(*command)
    code, _, err = run(*command, f"--{unit}", longer, "--resume")
    assert code == 0 and f"after {before} of {before} {unit}" in err
    assert ("its learning rate rises" in err) == (method != "glove")     # AdaGrad's does not
    assert f"of {longer} {unit}" in run(*command, f"--{unit}", longer, "--resume")[2]


@pytest.mark.parametrize("method", METHODS)
def test_a_learning_rate_of_0_is_refused_since_nothing_would_be_learned(method, run):
    model = ["--model", "m"] if method == "simcse" else []
    code, _, err = run("train", method, "x", "-o", "y.bin", *model, "--lr", "0")
    assert code == 2 and "expected a number above 0, got '0'" in err


@pytest.mark.parametrize("method", ["word2vec", "bert"])
def test_more_threads_than_processors_are_said(method, files, run):
    (files / "latin").write_bytes(b"\xff")                          # an error after it is said
    for workers, said in (5000, True), (1, False):
        err = run("train", method, files / "latin", "-o", files / "v", "--workers", workers)[2]
        assert ("--workers 5,000: this machine has" in err) == said
    assert parser().parse_args(["train", method, "x", "-o", "y"]).workers == 1


# ---- train bert --model -------------------------------------------------------------------------

def test_bert_goes_on_from_a_model(files, run):
    """The second run starts where the first ended: its loss before training is the first's."""
    command = ["train", "bert", files / "text", "--held-out", files / "other", "--batch-size", 32,
               "--lr", 0.01, "--dropout", 0]
    first = run(*command, "-o", files / "a", *TINY_BERT, "--steps", 100)[2]
    code, _, second = run(*command, "-o", files / "b", "--model", files / "a", "--steps", 20)
    assert code == 0 and "learnt a vocabulary" not in second
    assert "has no next_sentence and no pooler head: new weights are drawn" in second
    trained = re.search(r"held out: (\d+\.\d+)", first).group(1)
    assert f"; before training {trained}" in second
    assert (files / "a" / "vocab.txt").read_bytes() == (files / "b" / "vocab.txt").read_bytes()


@pytest.mark.parametrize("options, message", [
    (["--dim", 8], "leave out --dim"), (["--tokenizer-folder", "x"], "out --tokenizer-folder"),
    (["--cased"], "leave out --cased"), (["--vocab-size", 9], "leave out --vocab-size")])
def test_bert_from_a_model_refuses_other_sizes(options, message, files, models, run):
    code, _, err = run("train", "bert", files / "text", "-o", files / "b", "--model", models.bert,
                       *options)
    assert code == 2 and message in err


@pytest.mark.parametrize("options, message", [
    (["-o", "{model}", "--model", "{model}"], "is the model itself; write to another folder"),
    (["-o", "{out}", "--model", "{model}", "--max-length", 99], "accepts at most 16 tokens"),
    (["-o", "{out}", "--model", "{out}"], "there is no such file or folder")])
def test_bert_from_a_model_that_does_not_fit_is_an_error_of_one_line(options, message, files,
                                                                    models, run):
    names = dict(model=models.bert, out=files / "b")
    code, _, err = run("train", "bert", files / "text",
                       *(str(option).format(**names) for option in options))
    assert code == 1 and message in err.splitlines()[-1]


# ---- Ctrl-C -------------------------------------------------------------------------------------

class CtrlC:
    """An import hook that presses Ctrl-C when a module is imported."""

    def __init__(self, name):
        self.name = name

    def find_spec(self, name, path=None, target=None):
        if name == self.name:
            raise KeyboardInterrupt
        return None


@pytest.mark.parametrize("name", ["scratch_embed.cli.main", "scratch_embed.cli.train"])
def test_ctrl_c_while_the_command_is_imported_is_no_traceback(name, capsys):
    kept = {other: sys.modules.pop(other) for other in [*sys.modules]
            if other.startswith("scratch_embed")}
    hook = CtrlC(name)
    sys.meta_path.insert(0, hook)
    try:
        with pytest.raises(SystemExit) as ended:
            runpy.run_module("scratch_embed", run_name="__main__")
    finally:
        sys.meta_path.remove(hook)
        for other in [*sys.modules]:
            if other.startswith("scratch_embed"):
                del sys.modules[other]
        sys.modules.update(kept)
    assert ended.value.code == 130 and capsys.readouterr() == ("", "\nstopped\n")


def test_the_toy_corpus_ends_in_a_good_verdict(tmp_path, run):
    err = run("train", "word2vec", corpus_path("words-easy.txt"), "-o", tmp_path / "v.vec", "--dim",
              20, "--epochs", 2)[2]
    assert "verdict: better than word frequencies" in err
    assert len(WordVectors.load(tmp_path / "v.vec").index_to_key) == 233

"""`import scratch_embed as se`: lazy imports, public names, training functions and reprs."""
import inspect
import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pytest

import scratch_embed as se

ROOT = Path(__file__).parents[1]
SENTENCES = [["the", "king", "rules"], ["the", "queen", "rules"]] * 20


def printed(code):
    """The output of code in a new Python process."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---- names --------------------------------------------------------------------------------------

def test_import_and_dir_load_no_modules():
    assert printed("""
import sys
import scratch_embed as se
dir(se)
print([name for name in sys.modules if name.split(".")[0] in ("numpy", "numba", "tqdm")
       or name.startswith("scratch_embed.")])""") == "[]"


def test_using_cosine_loads_neither_numba_nor_word_vectors():
    assert printed("""
import sys
import scratch_embed as se
se.cosine([1, 0], [0, 1])
print("numba" in sys.modules, "scratch_embed.words.vectors" in sys.modules)""") == "False False"


def test_all_dir_and_star_import_agree_and_other_names_are_refused():
    for name in se.__all__:
        assert getattr(se, name).__name__ == name
    assert set(se.__all__) <= set(dir(se)) and se.__all__ == sorted(se.__all__)
    assert vars(se)["cosine"] is se.cosine             # cached after the first access
    with pytest.raises(AttributeError, match="no attribute 'cosines'.*corpus_path, cosine, load"):
        se.cosines  # noqa: B018
    everything = {}
    exec("from scratch_embed import *", everything)
    assert set(se.__all__) <= everything.keys()


def test_the_imports_under_type_checking_are_those_of_the_lazy_imports():
    source = inspect.getsource(se)
    for name, module in se._WHERE.items():
        line, = [line for line in source.splitlines()
                 if line.startswith(f"    from scratch_embed.{module} import ")
                 and name in line.split(" import ")[1].split(", ")]
    assert set(se._WHERE) == set(se.__all__)


def test_no_public_name_is_the_name_of_a_module():
    """Importing a submodule `load` would replace the function se.load by the module."""
    modules = {path.stem for path in (ROOT / "scratch_embed").iterdir()}
    assert not modules & set(se.__all__)


@pytest.mark.parametrize("name", se.__all__)
def test_arguments_have_types(name):
    thing = getattr(se, name)
    function = (thing if not inspect.isclass(thing) else
                thing.__new__ if issubclass(thing, tuple) else thing.__init__)
    hints = typing.get_type_hints(function)
    names = set(inspect.signature(function).parameters) - {"self", "_cls"}
    assert names <= hints.keys() and len(names) <= 11


# ---- version ------------------------------------------------------------------------------------

def test_the_changelog_begins_with_this_version():
    headings = [line for line in (ROOT / "scratch_embed" / "CHANGELOG.md").read_text().splitlines()
                if line.startswith("## ")]
    assert headings[0] == f"## {se.__version__} (unreleased)" and headings[-1] == "## 0.1.0"


# ---- training in one call -----------------------------------------------------------------------

def test_train_functions_equal_the_steps_by_hand():
    """train_word2vec, train_glove and train_fasttext read, train and wrap in one call."""
    from scratch_embed.text.vocab import index_sentences
    from scratch_embed.words import fasttext, glove, word2vec
    from scratch_embed.words.cooccurrence import count_cells
    vocab, corpus = index_sentences(SENTENCES, min_count=5)
    word_vectors = se.train_word2vec(SENTENCES, dim=4)
    assert word_vectors.index_to_key == vocab.words
    np.testing.assert_array_equal(word_vectors.vectors, word2vec.train(corpus, vocab, dim=4).W)
    counted = glove.train(count_cells(corpus, len(vocab), 10), len(vocab), dim=4,
                          x_max=10)                              # the default for a short text
    np.testing.assert_array_equal(se.train_glove(SENTENCES, dim=4).vectors, counted.vectors)
    ngrams = se.NGrams(buckets=50)
    subwords = se.train_fasttext(SENTENCES, dim=4, sample=0, ngrams=ngrams)
    np.testing.assert_array_equal(subwords.table,
                                  fasttext.train(corpus, vocab, dim=4, sample=0,
                                                 ngrams=ngrams).W)
    assert "queens" not in subwords and subwords["queens"].shape == (4,)


def test_training_on_a_file_equals_training_on_its_sentences(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(" ".join(sentence) + "\n" for sentence in SENTENCES))
    np.testing.assert_array_equal(se.train_word2vec(path, dim=4).vectors,
                                  se.train_word2vec(SENTENCES, dim=4).vectors)
    with pytest.raises(ValueError, match="0 of 4 words reach min_count=50"):
        se.train_word2vec(path, min_count=50)


@pytest.mark.parametrize("name, command", [("train_word2vec", "word2vec"), ("train_glove", "glove"),
                                           ("train_fasttext", "fasttext")])
def test_the_defaults_equal_those_of_the_command_line(name, command):
    from scratch_embed.cli.main import parser
    arguments = vars(parser().parse_args(["train", command, "text", "-o", "out"]))
    arguments["lr"] = arguments["lr"] or 0.025         # the command's depends on --mode
    arguments["options"] = se.RunOptions(arguments["workers"], arguments["seed"])
    arguments["tokenizer"] = se.WordTokenizer(arguments["tokenizer"])
    assert (arguments["keep_case"], arguments["apostrophes"]) == (False, None)
    if command == "fasttext":                          # both choose the buckets by the text
        arguments["ngrams"] = arguments["buckets"]
        assert (arguments["min_n"], arguments["max_n"]) == se.NGrams()[:2]
    defaults = {name: parameter.default for name, parameter in
                inspect.signature(getattr(se, name)).parameters.items() if name != "source"}
    assert defaults == {name: arguments[name] for name in defaults}


def test_run_options_are_passed_to_the_training(tmp_path):
    kept = se.Checkpoint(tmp_path / "run.state")
    trained = se.train_word2vec(SENTENCES, dim=4, options=se.RunOptions(seed=7, checkpoint=kept))
    other = se.train_word2vec(SENTENCES, dim=4)
    assert (tmp_path / "run.state").exists() and (trained.vectors != other.vectors).any()
    with pytest.raises(ValueError, match="a training checkpoint; it resumes"):
        se.load(tmp_path / "run.state")


# ---- reprs --------------------------------------------------------------------------------------

def test_the_repr_of_trained_shows_the_size_and_the_last_loss():
    from scratch_embed.words import glove, plan
    assert repr(plan.Trained(np.zeros((1234, 5)), np.zeros((1234, 5)), [2.5, 1.25])) == (
        "Trained(1,234 x 5, loss 1.2500)")
    tables = [np.zeros((3, 2))] * 2 + [np.zeros(3)] * 2
    assert repr(glove.Trained(*tables, [])) == "Trained(3 x 2, loss none)"


def test_a_corpus_has_a_repr_and_is_accepted_by_kernels():
    from scratch_embed.numerics.kernel import kernel
    from scratch_embed.text.vocab import Corpus
    corpus = Corpus(np.zeros(1500, np.int32), np.array([0, 1000, 1500]))
    assert repr(corpus) == "Corpus(1,500 words in 2 sentences)"
    assert kernel(lambda corpus: corpus.offsets[1])(corpus) == 1000

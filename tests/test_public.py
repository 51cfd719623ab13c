"""`import scratch_embed as se`: what it costs, which names there are, and what they do."""
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
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# ---- names --------------------------------------------------------------------------------------

def test_importing_and_listing_loads_nothing():
    assert printed("""
import sys
import scratch_embed as se
dir(se)
print([name for name in sys.modules if name.split(".")[0] in ("numpy", "numba", "tqdm")
       or name.startswith("scratch_embed.")])""") == "[]"


def test_a_name_loads_its_own_module_and_not_the_rest():
    assert printed("""
import sys
import scratch_embed as se
se.cosine([1, 0], [0, 1])
print("numba" in sys.modules, "scratch_embed.words.vectors" in sys.modules)""") == "False False"


def test_the_names_are_those_that_are_listed_and_no_others():
    for name in se.__all__:
        assert getattr(se, name).__name__ == name
    assert set(se.__all__) <= set(dir(se)) and se.__all__ == sorted(se.__all__)
    assert vars(se)["cosine"] is se.cosine             # looked up once
    with pytest.raises(AttributeError, match="no attribute 'cosines'.*corpus_path, cosine, load"):
        se.cosines  # noqa: B018
    everything = {}
    exec("from scratch_embed import *", everything)
    assert set(se.__all__) <= everything.keys()


def test_type_checkers_see_the_names_where_they_are_defined():
    """The imports under TYPE_CHECKING are those of the table."""
    source = inspect.getsource(se)
    for name, module in se._WHERE.items():
        line, = [line for line in source.splitlines()
                 if line.startswith(f"    from scratch_embed.{module} import ")
                 and name in line.split(" import ")[1].split(", ")]
    assert set(se._WHERE) == set(se.__all__)


def test_no_public_name_is_the_name_of_a_module():
    """`from scratch_embed.load import load` would put the module in the function's place."""
    modules = {path.stem for path in (ROOT / "scratch_embed").iterdir()}
    assert not modules & set(se.__all__)


@pytest.mark.parametrize("name", se.__all__)
def test_arguments_have_types(name):
    thing = getattr(se, name)
    function = thing.__init__ if inspect.isclass(thing) else thing
    hints = typing.get_type_hints(function)
    names = set(inspect.signature(function).parameters) - {"self"}
    assert names <= hints.keys() and len(names) <= 12


# ---- version ------------------------------------------------------------------------------------

def test_the_changelog_begins_with_this_version():
    headings = [line for line in (ROOT / "scratch_embed" / "CHANGELOG.md").read_text().splitlines()
                if line.startswith("## ")]
    assert headings[0] == f"## {se.__version__} (unreleased)" and headings[-1] == "## 0.1.0"


# ---- training in one call -----------------------------------------------------------------------

def test_word2vec_glove_and_fasttext_are_trained_in_one_call():
    """With the results of reading, training and wrapping by hand."""
    from scratch_embed.text.vocab import index_sentences
    from scratch_embed.words import fasttext, glove, word2vec
    from scratch_embed.words.cooccurrence import count_cells
    vocab, corpus = index_sentences(SENTENCES, min_count=5)
    word_vectors = se.train_word2vec(SENTENCES, dim=4)
    assert word_vectors.index_to_key == vocab.words
    np.testing.assert_array_equal(word_vectors.vectors, word2vec.train(corpus, vocab, dim=4).W)
    counted = glove.train(count_cells(corpus, len(vocab), 10), len(vocab), dim=4)
    np.testing.assert_array_equal(se.train_glove(SENTENCES, dim=4).vectors, counted.vectors)
    subwords = se.train_fasttext(SENTENCES, dim=4, sample=0, buckets=50)
    np.testing.assert_array_equal(subwords.table,
                                  fasttext.train(corpus, vocab, dim=4, sample=0,
                                                 buckets=50).W)
    assert "queens" not in subwords and subwords["queens"].shape == (4,)


def test_a_path_is_read_as_its_sentences_are(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(" ".join(sentence) + "\n" for sentence in SENTENCES))
    np.testing.assert_array_equal(se.train_word2vec(path, dim=4).vectors,
                                  se.train_word2vec(SENTENCES, dim=4).vectors)
    with pytest.raises(ValueError, match="0 of 4 words reach min_count=50"):
        se.train_word2vec(path, min_count=50)


@pytest.mark.parametrize("name, command", [("train_word2vec", "word2vec"), ("train_glove", "glove"),
                                           ("train_fasttext", "fasttext")])
def test_the_defaults_are_the_command_lines(name, command):
    from scratch_embed.cli.main import parser
    arguments = vars(parser().parse_args(["train", command, "text", "-o", "out"]))
    arguments["lr"] = arguments["lr"] or 0.025         # the command's depends on --mode
    defaults = {name: parameter.default for name, parameter in
                inspect.signature(getattr(se, name)).parameters.items() if name != "source"}
    assert defaults == {name: arguments[name] for name in defaults}


# ---- reprs --------------------------------------------------------------------------------------

def test_a_corpus_says_how_large_it_is_and_kernels_still_take_it():
    from scratch_embed.text.vocab import Corpus
    from scratch_embed.words.word2vec import longest
    corpus = Corpus(np.zeros(1500, np.int32), np.array([0, 1000, 1500]))
    assert repr(corpus) == "Corpus(1,500 words in 2 sentences)"
    assert longest(corpus, np.arange(2)) == 1000

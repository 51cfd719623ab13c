"""Checkpoints of all four trainers: a stopped run resumes, other settings are an error.

Other properties of checkpoints are tested once, in tests/training/test_session.py.
"""
import inspect
import json
import os
import signal
from functools import partial

import numpy as np
import pytest

from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.text.vocab import Vocab, index_sentences
from scratch_embed.training.session import Checkpoint, RunOptions
from scratch_embed.words import cbow, fasttext, glove, supervised, word2vec
from scratch_embed.words.pair_store import Cells
from scratch_embed.words.plan import Details
from scratch_embed.words.shared_negatives import shared_chunk
from scratch_embed.words.subwords import NGrams
from scratch_embed.worlds.labelled import reviews

RNG = np.random.default_rng(0)
VOCAB, CORPUS = index_sentences([RNG.choice("ab abc bc bcd cd cde de def".split(), 8).tolist()
                                 for _ in range(120)], 1)
KEYS = np.sort(RNG.choice(60 * 60, 3000, replace=False))
CELLS = Cells((KEYS // 60).astype(np.int32), (KEYS % 60).astype(np.int32),
              RNG.uniform(0.1, 30, 3000))
LINES = reviews(0, 150, two_labels=True).lines
NGRAMS = NGrams(2, 3, 50)

# A large window, dim or word_ngrams makes small chunks: here an epoch has 3 to 6.
TRAIN = {
    "word2vec": partial(word2vec.train, corpus=CORPUS, vocab=VOCAB, dim=4, window=4000, epochs=3,
                        sample=0.01),
    "FastText": partial(fasttext.train, corpus=CORPUS, vocab=VOCAB, dim=4, window=4000, epochs=3,
                        sample=0.01, ngrams=NGRAMS),
    "GloVe": partial(glove.train, cells=CELLS, V=60, dim=5000, epochs=3),
    "classifier": partial(supervised.train, source=LINES, dim=5, epochs=3, word_ngrams=10_000,
                          ngrams=NGRAMS)}


# ---- resuming -----------------------------------------------------------------------------------

class PressesCtrlC(os.PathLike):
    """A path that presses Ctrl-C when it is converted to a str for the n-th time."""

    def __init__(self, path, n):
        self.path, self.n, self.calls = path, n, 0

    def __fspath__(self):
        self.calls += 1
        if self.calls == self.n:
            signal.raise_signal(signal.SIGINT)
        return str(self.path)


def result(trained):
    """The trained arrays as bytes, and the losses."""
    if isinstance(trained, supervised.Trained):
        model = trained.classifier.model
        return model.input.tobytes(), model.output.tobytes(), trained.losses
    return *(array.tobytes() for array in trained[:-1]), trained.losses


def progress_of(path):
    return json.loads(read_safetensors(path)[1]["progress"])


@pytest.mark.parametrize("name, settings", [
    *(("word2vec", dict(method=method)) for method in (
        word2vec.skipgram_chunk, shared_chunk, cbow.cbow_chunk, cbow.corrected_cbow_chunk)),
    ("word2vec", dict(negatives=0)), ("word2vec", dict(details=Details(shuffle=False))),
    *(("FastText", dict(method=method)) for method in (
        fasttext.skipgram_chunk, fasttext.corrected_skipgram_chunk, fasttext.cbow_chunk,
        fasttext.corrected_cbow_chunk)),
    *(("GloVe", dict(adagrad=adagrad)) for adagrad in (glove.c_adagrad, glove.paper_adagrad)),
    ("GloVe", dict(order=glove.mirrored)),
    *(("classifier", dict(method=method)) for method in supervised.LOSS)])
def test_a_stopped_and_resumed_run_gives_the_same_bits(name, settings, tmp_path):
    """The run is stopped in the middle of the first epoch, and of a later epoch."""
    train, stopped_in = partial(TRAIN[name], **settings), []
    whole = result(train(options=RunOptions(seed=3)))
    for n in 4, 21:
        path = PressesCtrlC(tmp_path / str(n), n)
        with pytest.raises(KeyboardInterrupt):
            train(options=RunOptions(seed=3, checkpoint=Checkpoint(path, every=0)))
        progress = progress_of(path.path)
        assert progress["chunk"] > 0
        stopped_in.append(progress["epoch"])
        checkpoint = Checkpoint(path.path, resume=True)
        assert result(train(options=RunOptions(seed=3, checkpoint=checkpoint))) == whole
        assert progress_of(path.path)["epoch"] == 3
    assert stopped_in[0] == 0 < stopped_in[1]


# ---- settings that differ -----------------------------------------------------------------------

def changed(**settings):
    """[(name of a setting, arguments that change it)]"""
    return [(name, {name: value}) for name, value in settings.items()]


def changed_fields(argument, start, **fields):
    """[(name of a field, arguments that change it)] for a NamedTuple that is one argument."""
    return [(name, {argument: start._replace(**{name: value})}) for name, value in fields.items()]


PAIRS = [*changed(dim=5, window=4, negatives=3, sample=0, lr=0.1, epochs=2),
         ("seed", dict(options=RunOptions(seed=4))),
         ("vocabulary", dict(vocab=Vocab(["x", *VOCAB.words[1:]], VOCAB.counts))),
         ("data", dict(corpus=CORPUS._replace(ids=CORPUS.ids[::-1].copy())))]
CHANGES = {
    "word2vec": [*PAIRS, ("method", dict(method=cbow.cbow_chunk)),
                 *changed_fields("details", Details(), power=1, fixed_window=True, min_lr_ratio=0.5,
                                 shuffle=False)],
    "FastText": [*PAIRS, ("method", dict(method=fasttext.cbow_chunk)),
                 *changed_fields("details", fasttext.DETAILS, power=1, fixed_window=True,
                                 min_lr_ratio=0.5, shuffle=False),
                 *changed_fields("ngrams", NGRAMS, min_n=3, max_n=4, buckets=60)],
    "GloVe": [*changed(dim=5, x_max=20, alpha=0.5, lr=0.1, epochs=2, order=glove.mirrored,
                       adagrad=glove.paper_adagrad),
              ("seed", dict(options=RunOptions(seed=4))),
              ("data", dict(cells=CELLS._replace(counts=CELLS.counts + 1)))],
    "classifier": [*changed(dim=4, lr=0.2, epochs=2, min_count=2, word_ngrams=3, negatives=4,
                            shuffle=False, method=supervised.one_vs_all_chunk),
                   *changed_fields("ngrams", NGRAMS, min_n=3, max_n=4, buckets=60),
                   ("seed", dict(options=RunOptions(seed=4))),
                   ("vocabulary", dict(source=[line.replace("the", "thee") for line in LINES])),
                   ("data", dict(source=[line.replace("the", "a", 1) for line in LINES])),
                   ("labels", dict(source=[line.replace("film", "movie") for line in LINES])),
                   ("targets", dict(source=[line.replace("praise", "film") for line in LINES]))]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """finished(name): the checkpoint of a finished run of TRAIN[name]."""
    folder = tmp_path_factory.mktemp("finished")

    def path_of(name):
        path = folder / name
        if not path.exists():
            TRAIN[name](options=RunOptions(seed=3, checkpoint=Checkpoint(path)))
        return path
    return path_of


@pytest.mark.parametrize("name, setting, arguments", [
    (name, *change) for name, changes in CHANGES.items() for change in changes])
def test_the_error_names_the_setting_that_differs(finished, name, setting, arguments):
    path = finished(name)
    before = path.read_bytes()
    options = arguments.get("options", RunOptions(seed=3))
    options = options._replace(checkpoint=Checkpoint(path, resume=True))
    with pytest.raises(ValueError, match=f"cannot resume, {setting} was"):
        TRAIN[name](**{**arguments, "options": options})
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", TRAIN)
def test_changes_covers_every_setting_of_a_checkpoint(finished, name):
    """All settings except the three that follow from the others are in CHANGES."""
    known = json.loads(read_safetensors(finished(name))[1]["settings"])
    assert {setting for setting, _ in CHANGES[name]} == (
        set(known) - {"block", "chunk_words", "chunk_cells"})


@pytest.mark.parametrize("name", TRAIN)
def test_changes_covers_every_argument_of_the_trainers(name):
    """Except V, the vocabulary size: the shapes of the tables contain it."""
    known = {argument for _, changes in CHANGES[name] for argument in changes}
    assert known | {"V"} == set(inspect.signature(TRAIN[name].func).parameters) | {"V"}

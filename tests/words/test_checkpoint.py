"""A killed run goes on to the very result of a run that was never killed, or is refused."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scratch_embed.words.checkpoint import Checkpoint, Progress, finite

from scratch_embed.numerics.errors import FormatError, TrainingDiverged
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.text.vocab import Vocab, index_sentences
from scratch_embed.words import word2vec
from scratch_embed.words.cbow import cbow_chunk
from scratch_embed.words.word2vec import skipgram_chunk, train

ROOT = Path(__file__).parents[2]
SETTINGS = dict(dim=4, epochs=3, sample=0.01, seed=3)


@pytest.fixture(scope="module")
def text():
    rng = np.random.default_rng(0)
    return index_sentences([rng.choice(list("abcdefgh"), 8).tolist() for _ in range(120)], 1)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(word2vec, "CHUNK", 4)      # 100 words, at these settings: ten an epoch


def stop_after(n, chunk=skipgram_chunk):
    """A chunk function in whose n-th call Ctrl-C is pressed."""
    done = []

    def skipgram(*arguments):
        if len(done) == n:
            signal.raise_signal(signal.SIGINT)
        done.append(0)
        return chunk(*arguments)
    skipgram.__name__ = chunk.__name__
    return skipgram


@pytest.mark.parametrize("n", [0, 1, 7, 13, 25])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(text, tmp_path, n):
    vocab, corpus = text
    whole = train(corpus, vocab, **SETTINGS)
    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        train(corpus, vocab, stop_after(n), checkpoint=Checkpoint(path), **SETTINGS)
    resumed = train(corpus, vocab, checkpoint=Checkpoint(path, resume=True), **SETTINGS)
    assert resumed.W.tobytes() == whole.W.tobytes() and resumed.U.tobytes() == whole.U.tobytes()
    assert resumed.losses == whole.losses


def test_a_ctrl_c_that_does_not_wait_saves_nothing_half_done(text, tmp_path):
    vocab, corpus = text

    def torn(*_):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        train(corpus, vocab, torn, checkpoint=Checkpoint(tmp_path / "state"), **SETTINGS)
    assert not (tmp_path / "state").exists()


def test_numpys_numbers_are_settings_too(text, tmp_path):
    vocab, corpus = text
    path, numbers = tmp_path / "state", {**SETTINGS, "dim": np.int64(4), "shuffle": np.bool_(True)}
    whole = train(corpus, vocab, checkpoint=Checkpoint(path), **numbers)
    again = train(corpus, vocab, checkpoint=Checkpoint(path, resume=True), **SETTINGS)
    assert again.W.tobytes() == whole.W.tobytes()


def test_tables_of_another_shape_are_refused(text, tmp_path):
    vocab, corpus = text
    path = tmp_path / "state"
    train(corpus, vocab, checkpoint=Checkpoint(path), **SETTINGS)
    tensors, metadata = read_safetensors(path)
    write_safetensors(path, {"W": tensors["W"][:3], "U": tensors["U"]}, metadata)
    with pytest.raises(FormatError, match=r"W: expected float32 of shape \(8, 4\), .*\(3, 4\)"):
        train(corpus, vocab, checkpoint=Checkpoint(path, resume=True), **SETTINGS)


def test_the_two_tables_may_differ_in_shape(tmp_path):
    W, U = np.ones((5, 2), np.float32), np.zeros((3, 2), np.float32)
    Checkpoint(tmp_path / "state").save(W, U, Progress(1, 2), {"dim": 2})
    checkpoint = Checkpoint(tmp_path / "state", resume=True)
    got_W, got_U, progress = checkpoint.restore({"dim": 2}, (5, 2), (3, 2))
    assert (got_W == W).all() and (got_U == U).all() and progress == Progress(1, 2)
    with pytest.raises(FormatError, match=r"U: expected float32 of shape \(5, 2\), .*\(3, 2\)"):
        checkpoint.restore({"dim": 2}, (5, 2))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_not_finite_is_seen_wherever_it_stands(wrong):
    table = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    assert finite(table, np.zeros((0, 3))) and finite()
    for place in np.ndindex(4, 3):
        spoiled = table.copy()
        spoiled[place] = wrong
        assert not finite(table, spoiled) and not finite(spoiled, table)


def test_a_killed_process_goes_on_from_the_last_time_that_it_saved(text, tmp_path):
    vocab, corpus = text
    path = tmp_path / "state"
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from scratch_embed.words import word2vec
from scratch_embed.words.checkpoint import Checkpoint
from scratch_embed.text.vocab import index_sentences
import numpy as np
rng = np.random.default_rng(0)
vocab, corpus = index_sentences([rng.choice(list("abcdefgh"), 8).tolist() for _ in range(120)], 1)
word2vec.CHUNK = 4
done = []
def skipgram_chunk(*arguments):
    done.append(0)
    if len(done) == 17:
        os.kill(os.getpid(), signal.SIGKILL)
    return word2vec.skipgram_chunk(*arguments)
word2vec.train(corpus, vocab, skipgram_chunk, dim=4, epochs=3, sample=0.01, seed=3,
               checkpoint=Checkpoint({str(path)!r}, every=0))
"""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -signal.SIGKILL
    resumed = train(corpus, vocab, checkpoint=Checkpoint(path, resume=True), **SETTINGS)
    assert resumed.W.tobytes() == train(corpus, vocab, **SETTINGS).W.tobytes()


def test_a_finished_run_is_resumed_at_its_end(text, tmp_path):
    vocab, corpus = text
    path = tmp_path / "state"
    whole = train(corpus, vocab, checkpoint=Checkpoint(path), **SETTINGS)
    again = train(corpus, vocab, checkpoint=Checkpoint(path, resume=True), **SETTINGS)
    assert again.W.tobytes() == whole.W.tobytes() and again.losses == whole.losses


def test_resume_needs_no_file_to_begin_with(text, tmp_path):
    vocab, corpus = text
    whole = train(corpus, vocab, **SETTINGS)
    got = train(corpus, vocab, checkpoint=Checkpoint(tmp_path / "state", True), **SETTINGS)
    assert got.W.tobytes() == whole.W.tobytes()


def test_a_run_that_is_there_is_not_overwritten_by_one_that_does_not_resume_it(text, tmp_path):
    vocab, corpus = text
    path = tmp_path / "state"
    train(corpus, vocab, checkpoint=Checkpoint(path), **SETTINGS)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="is there already: resume it"):
        train(corpus, vocab, checkpoint=Checkpoint(path), **SETTINGS)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name, value", [
    ("dim", 5), ("window", 4), ("negatives", 3), ("sample", 0), ("lr", 0.1), ("epochs", 4),
    ("seed", 4), ("power", 1.0), ("fixed_window", True), ("shuffle", False), ("last_lr", 0.5)])
def test_another_setting_is_refused_by_name(text, tmp_path, name, value):
    vocab, corpus = text
    path = tmp_path / "state"
    train(corpus, vocab, checkpoint=Checkpoint(path), **SETTINGS)
    with pytest.raises(ValueError, match=f"cannot resume, {name} was"):
        train(corpus, vocab, checkpoint=Checkpoint(path, resume=True), **{**SETTINGS, name: value})


def test_another_method_vocabulary_or_text_is_refused_by_name(text, tmp_path):
    vocab, corpus = text
    path = tmp_path / "state"
    train(corpus, vocab, checkpoint=Checkpoint(path), **SETTINGS)
    renamed = Vocab(["x", *vocab.words[1:]], vocab.counts)
    other = corpus._replace(ids=corpus.ids[::-1].copy())
    for name, arguments in [("chunk", (corpus, vocab, cbow_chunk)),
                            ("vocabulary", (corpus, renamed)), ("data", (other, vocab))]:
        with pytest.raises(ValueError, match=f"cannot resume, {name} was"):
            train(*arguments, checkpoint=Checkpoint(path, resume=True), **SETTINGS)


def test_weights_that_are_no_numbers_do_not_replace_the_last_good_ones(text, tmp_path):
    vocab, corpus = text
    path, seen = tmp_path / "state", []

    def spoil(corpus, sentences, plan, W, U, lr, state):
        seen.append(path.read_bytes() if path.exists() else None)
        if len(seen) == 5:
            W[0, 0] = np.inf
        return 1.0, 1
    with pytest.raises(TrainingDiverged):
        train(corpus, vocab, spoil, checkpoint=Checkpoint(path, every=0), **SETTINGS)
    assert len(seen) > 5 and path.read_bytes() == seen[4] != seen[3]


def test_a_file_that_is_no_checkpoint_is_refused(text, tmp_path):
    vocab, corpus = text
    path = tmp_path / "state"
    path.write_bytes(b"something else entirely")
    with pytest.raises(FormatError):
        train(corpus, vocab, checkpoint=Checkpoint(path, resume=True), **SETTINGS)


def test_two_workers_can_be_stopped_and_resumed(text, tmp_path):
    vocab, corpus = text
    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        train(corpus, vocab, stop_after(7), workers=2, checkpoint=Checkpoint(path), **SETTINGS)
    resumed = train(corpus, vocab, workers=2, checkpoint=Checkpoint(path, resume=True), **SETTINGS)
    assert len(resumed.losses) == 3 and np.isfinite(resumed.W).all()

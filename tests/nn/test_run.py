"""A run that was killed ends with the bits of one that was not, or is refused by name."""
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.activations import gelu_tanh
from scratch_embed.nn.optim import AdamW
from scratch_embed.nn.params import Params, initial
from scratch_embed.nn.run import Checkpoint, batches, follow, plain
from scratch_embed.numerics.errors import FormatError, TrainingDiverged
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.sentences import simcse
from scratch_embed.text.packed import pack
from scratch_embed.transformer import bert
from scratch_embed.transformer.encoder import Config, shapes
from scratch_embed.transformer.pooling import mean

ROOT = Path(__file__).parents[2]
CONFIG = Config(vocab=12, dim=8, layers=1, heads=2, ff=12, positions=9)
MASKING = bert.Masking(mask=3, special=(0, 1))
RNG = np.random.default_rng(0)
TEXTS = pack([[0, *RNG.integers(4, 12, RNG.integers(2, 8)), 1] for _ in range(40)])
FOLLOWS = np.arange(40) % 2
SETTINGS = dict(steps=7, batch=8, lr=1e-2, seed=3)


def pretrain(checkpoint=None, corpus=TEXTS, config=CONFIG, masking=MASKING, follows=FOLLOWS,
             **other):
    return bert.train(corpus, config, masking, follows, checkpoint=checkpoint,
                      **{**SETTINGS, **other})


def contrast(checkpoint=None, corpus=TEXTS, config=CONFIG, held_out=(TEXTS, TEXTS), start=1,
             **other):
    return simcse.train([corpus], initial(shapes(config), start), config, checkpoint=checkpoint,
                        held_out=held_out, **{**SETTINGS, "every": 2, **other})


both = pytest.mark.parametrize("train", [pretrain, contrast])


def stop_after(monkeypatch, n, act=lambda: signal.raise_signal(signal.SIGINT)):
    """After the n-th step from now something happens: Ctrl-C is pressed."""
    step, taken = AdamW.step, []

    def counted(*arguments):
        taken.append(step(*arguments))
        if len(taken) == n:
            act()
        return taken[-1]
    monkeypatch.setattr(AdamW, "step", counted)


def same(one, other):
    """Both trainings to the last bit."""
    return (one.p.flat.tobytes() == other.p.flat.tobytes() and one.losses == other.losses
            and getattr(one, "curve", None) == getattr(other, "curve", None))


# ---- going on -----------------------------------------------------------------------------------

@both
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("n", [1, 4, 7])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(train, workers, n, tmp_path, monkeypatch):
    path, whole = tmp_path / "state", train(workers=workers)
    with monkeypatch.context() as patch:
        stop_after(patch, n)
        with pytest.raises(KeyboardInterrupt):
            train(Checkpoint(path), workers=workers)
    assert len(read_safetensors(path)[0]["losses"]) == n              # Ctrl-C saves
    resumed = train(Checkpoint(path, resume=True), workers=workers)
    assert same(resumed, whole) and len(whole.losses) == 7
    assert train is pretrain or [step for step, _, _ in resumed.curve] == [2, 4, 6]


@both
def test_the_same_seed_and_workers_give_the_same_bits_and_another_seed_others(train):
    assert same(train(workers=2), train(workers=2)) and same(train(), train())
    assert not same(train(), train(seed=4))


@both
def test_a_finished_run_is_resumed_at_its_end_and_none_needs_no_file(train, tmp_path):
    path = tmp_path / "state"
    whole = train(Checkpoint(path, resume=True))
    before = path.read_bytes()
    assert same(train(Checkpoint(path, resume=True)), whole) and path.read_bytes() == before
    assert same(train(), whole)


def test_a_killed_process_goes_on_from_the_last_time_that_it_saved(tmp_path):
    path = tmp_path / "state"
    code = f"""
import importlib.util, os, signal
where = importlib.util.spec_from_file_location("test_run", {__file__!r})
test_run = importlib.util.module_from_spec(where)
where.loader.exec_module(test_run)
class Patch:
    setattr = staticmethod(setattr)
test_run.stop_after(Patch, 5, lambda: os.kill(os.getpid(), signal.SIGKILL))
test_run.contrast(test_run.Checkpoint({str(path)!r}, every=0))
"""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -signal.SIGKILL
    assert len(read_safetensors(path)[0]["losses"]) == 4
    assert same(contrast(Checkpoint(path, resume=True)), contrast())


# ---- what is refused ----------------------------------------------------------------------------

@both
def test_a_run_that_is_there_is_not_overwritten_by_one_that_does_not_resume_it(train, tmp_path):
    path = tmp_path / "state"
    train(Checkpoint(path))
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="is there already: resume it"):
        train(Checkpoint(path))
    assert path.read_bytes() == before


REVERSED = TEXTS._replace(ids=TEXTS.ids[::-1].copy())
ANY = [dict(steps=8), dict(batch=9), dict(lr=0.1), dict(warm_up=0.2), dict(decay=0.5),
       dict(longest=2.0), dict(rate=0.2), dict(workers=2)]
CONFIGS = [CONFIG._replace(heads=4), CONFIG._replace(eps=1e-5),
           CONFIG._replace(activation=gelu_tanh)]


@pytest.mark.parametrize("train, name, other", [
    *((train, next(iter(other)), other) for train in (pretrain, contrast) for other in ANY),
    *((train, name, dict(config=config)) for train in (pretrain, contrast)
      for name, config in zip(("heads", "eps", "activation"), CONFIGS)),
    *((train, "data", dict(corpus=REVERSED)) for train in (pretrain, contrast)),
    (pretrain, "data", dict(follows=1 - FOLLOWS)), (pretrain, "data", dict(follows=None)),
    (pretrain, "masking", dict(masking=MASKING._replace(share=0.2))),
    (pretrain, "seed", dict(seed=4)),
    (pretrain, "start", dict(p=initial({**shapes(CONFIG), **bert.head_shapes(CONFIG)}, 9))),
    (contrast, "start", dict(start=2)), (contrast, "tau", dict(tau=0.1)),
    (contrast, "pool", dict(pool=mean)), (contrast, "every", dict(every=3)),
    (contrast, "held_out", dict(held_out=(TEXTS, REVERSED)))])
def test_another_setting_is_refused_by_name(train, name, other, finished):
    path = finished[train]
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"cannot resume, {name} was"):
        train(Checkpoint(path, resume=True), **other)
    assert path.read_bytes() == before


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Checkpoints of both trainings."""
    folder = tmp_path_factory.mktemp("runs")
    for train in (pretrain, contrast):
        train(Checkpoint(folder / train.__name__))
    return {train: folder / train.__name__ for train in (pretrain, contrast)}


@both
def test_a_file_that_is_no_checkpoint_is_refused_and_kept(train, tmp_path, finished):
    path = tmp_path / "state"
    tensors, metadata = read_safetensors(finished[train])
    path.write_bytes(b"something else entirely")
    files = [path.read_bytes()]
    for spoiled, about in [(tensors, {}), ({"W": np.ones(3)}, metadata),
                           (tensors, {"settings": "no JSON"}), (tensors, {"settings": "[1]"}),
                           ({**tensors, "m": tensors["m"][:-1]}, metadata),
                           ({**tensors, "v": tensors["v"].astype(np.float64)}, metadata)]:
        write_safetensors(path, spoiled, about)
        files.append(path.read_bytes())
    files.append(finished[train].read_bytes()[:-5])
    for content in files:
        path.write_bytes(content)
        with pytest.raises(FormatError):
            train(Checkpoint(path, resume=True))
        assert path.read_bytes() == content


def test_parameters_that_were_given_are_left_alone_by_a_file_that_does_not_fit(tmp_path):
    p = initial({**shapes(CONFIG), **bert.head_shapes(CONFIG)}, 3)
    before, path = p.flat.copy(), tmp_path / "state"
    bert.train(TEXTS, CONFIG, MASKING, p=p.copy(), checkpoint=Checkpoint(path), **SETTINGS)
    tensors, metadata = read_safetensors(path)
    write_safetensors(path, {**tensors, "v": tensors["v"][1:]}, metadata)
    with pytest.raises(FormatError):
        bert.train(TEXTS, CONFIG, MASKING, p=p, checkpoint=Checkpoint(path, True), **SETTINGS)
    np.testing.assert_array_equal(p.flat, before)


# ---- what goes wrong ----------------------------------------------------------------------------

@both
def test_a_training_that_diverges_says_so_and_keeps_the_last_good_checkpoint(
        train, tmp_path, monkeypatch):
    path, step, good = tmp_path / "state", AdamW.step, []

    def spoil(self, *arguments):
        norm = step(self, *arguments)
        if self.steps == 4:
            good.append(path.read_bytes())
            self.p.flat[5] = np.nan
        return norm
    monkeypatch.setattr(AdamW, "step", spoil)
    with pytest.raises(TrainingDiverged, match=r"the loss is no longer finite at step 5 .*smaller"):
        train(Checkpoint(path, every=0))
    assert path.read_bytes() == good[0] and len(read_safetensors(path)[0]["losses"]) == 3


def test_parameters_that_end_as_no_numbers_are_seen_though_no_loss_tells(tmp_path):
    p = Params({"a": (3,)})
    with pytest.raises(TrainingDiverged, match="a parameter is no longer finite at step 1"):
        with follow(p, AdamW(p), 1, {"lr": 0.1}, Checkpoint(tmp_path / "state")) as run:
            run.took(1.0, 0.1)
            p.flat[1] = np.inf
    assert not (tmp_path / "state").exists()


def test_a_ctrl_c_that_does_not_wait_saves_nothing_half_done(tmp_path):
    p = Params({"a": (3,)})
    with pytest.raises(KeyboardInterrupt):
        with follow(p, AdamW(p), 9, {}, Checkpoint(tmp_path / "state")):
            raise KeyboardInterrupt
    assert not (tmp_path / "state").exists()


def test_a_checkpoint_is_written_no_more_often_than_asked(tmp_path):
    p, path = Params({"a": (3,)}), tmp_path / "state"
    for every, there in ((3600, False), (0, True)):
        with follow(p, AdamW(p), 2, {}, Checkpoint(path, every=every)) as run:
            run.took(1.0, 0.1)
            assert path.exists() == there
        assert path.exists()                                   # it is at the end, whatever `every`
        path.unlink()


# ---- batches ------------------------------------------------------------------------------------

def test_batches_worked_by_hand():
    """7 examples by twos: three batches an epoch, one example left out, another in each."""
    taken = list(batches(7, 2, 8, seed=0))
    assert [step for step, _ in taken] == list(range(1, 9))
    epochs = [np.concatenate([some for _, some in taken[3 * e:3 * e + 3]]) for e in range(2)]
    assert all(len(set(epoch)) == 6 for epoch in epochs) and (epochs[0] != epochs[1]).any()


@given(st.integers(1, 20), st.integers(1, 30), st.integers(0, 40), st.integers(0, 99), st.data())
def test_batches_are_full_and_from_any_step_on_the_same(N, size, steps, seed, data):
    taken = list(batches(N, size, steps, seed))
    assert [step for step, _ in taken] == list(range(1, steps + 1))
    assert all(len(set(some)) == min(size, N) and 0 <= some.min() <= some.max() < N
               for _, some in taken)
    start = data.draw(st.integers(0, steps))
    for (step, some), (again, other) in zip(taken[start:], batches(N, size, steps, seed, start)):
        assert step == again and (some == other).all()
    assert len(list(batches(N, size, steps, seed, start))) == steps - start


@pytest.mark.parametrize("N, size", [(0, 3), (3, 0), (3, -1)])
def test_no_examples_and_no_batch_are_refused(N, size):
    with pytest.raises(ValueError, match="expected 1 or more of each"):
        next(batches(N, size, 5, 0))


def test_what_an_array_is_kept_as_tells_numbers_shapes_and_types():
    a, b = np.arange(6), np.arange(6).reshape(2, 3)
    kept = [plain(x) for x in (a, b, a.astype(np.int32), a.astype(float), a + 1, a[:0])]
    assert len(set(kept)) == len(kept)
    assert plain(b.T) == plain(np.ascontiguousarray(b.T)) != plain(b.reshape(3, 2))
    assert plain(mean) == "mean" and plain(np.float32(0.5)) == plain(np.array(0.5)) == 0.5

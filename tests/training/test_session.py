"""A killed and resumed run computes the same bits as an uninterrupted run; errors name their cause.

Two small regressions are trained: by_batches takes one step per batch, as transformers do;
by_chunks trains chunks in worker threads, as word vectors do.
"""
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.numerics.errors import FormatError, TrainingDiverged
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.training.batches import batches, chunks
from scratch_embed.training.session import Checkpoint, RunOptions, session
from tests.mutations import mutated
from tests.processes import terminal

ROOT = Path(__file__).parents[2]
RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3))
Y = X @ [1.0, -2.0, 3.0]
OFFSETS = np.arange(0, 121, 3)


def by_batches(options=RunOptions(), before_step=lambda n: None, data=(X, Y), **changed):
    """Least squares, one step per batch.  -> w (3,), losses, rows"""
    settings = dict(steps=7, batch_size=8, lr=0.1, seed=options.seed, workers=options.workers,
                    data=data) | changed
    (x, y), w = data, np.zeros(3)
    with session({"w": w}, settings, options, settings["steps"]) as run:
        for step, numbers in run.batches(len(x), settings["batch_size"], settings["steps"]):
            before_step(step)
            error = x[numbers] @ w - y[numbers]
            shares = np.array_split(np.arange(len(numbers)), options.workers)
            w -= settings["lr"] * sum(run.map(lambda s, e=error, n=numbers: e[s] @ x[n[s]], shares))
            if step % 2 == 0:
                run.rows.append([step, *w])
            run.record((error * error).sum(), lr=settings["lr"])
    return w, run.losses, run.rows


def by_chunks(options=RunOptions(), before_step=lambda n: None, data=(X, Y), **changed):
    """Least squares, one update per example, in chunks of up to three.  -> w (3,), losses, rows"""
    settings = dict(epochs=3, lr=0.01, seed=options.seed, data=data) | changed
    (x, y), w, done = data, np.zeros(3), []

    def step(chunk):
        before_step(len(done) + 1)
        done.append(chunk)
        loss = 0.0
        for n in chunk.sentences:
            error = x[n] @ w - y[n]
            w[:] -= settings["lr"] * error * x[n]
            loss += error * error
        return loss, len(chunk.sentences), chunk.words

    with session({"w": w}, settings, options, settings["epochs"] * 120, "word") as run:
        for epoch in run.epochs(settings["epochs"]):
            for result in run.chunks(step, chunks(OFFSETS, epoch, options.seed, 9)):
                run.record(*result)
    return w, run.losses, run.rows


both_loops = pytest.mark.parametrize("train", [by_batches, by_chunks])


def at_step(n, action):
    """A before_step function that calls action() before step n."""
    def before_step(step):
        if step == n:
            action()
    return before_step


def press_ctrl_c():
    signal.raise_signal(signal.SIGINT)


def same_bits(one, other):
    """Whether weights, losses and rows of two runs are equal to the last bit."""
    return one[0].tobytes() == other[0].tobytes() and one[1:] == other[1:]


# ---- resuming -----------------------------------------------------------------------------------

@both_loops
@pytest.mark.parametrize("n", [1, 4, 7])
def test_a_stopped_and_resumed_run_gives_the_same_bits(train, n, tmp_path):
    path, whole = tmp_path / "state", train()
    with pytest.raises(KeyboardInterrupt):
        train(RunOptions(checkpoint=Checkpoint(path)), at_step(n, press_ctrl_c))
    assert path.exists()                                         # Ctrl-C saves
    assert same_bits(train(RunOptions(checkpoint=Checkpoint(path, resume=True))), whole)


def test_a_stopped_run_of_batches_with_two_workers_gives_the_same_bits(tmp_path):
    path, whole = tmp_path / "state", by_batches(RunOptions(workers=2))
    with pytest.raises(KeyboardInterrupt):
        by_batches(RunOptions(2, checkpoint=Checkpoint(path)), at_step(4, press_ctrl_c))
    assert len(read_safetensors(path)[0]["session/losses"]) == 4
    assert same_bits(by_batches(RunOptions(2, checkpoint=Checkpoint(path, resume=True))), whole)


def test_a_stopped_run_of_chunks_with_two_workers_can_be_resumed(tmp_path):
    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        by_chunks(RunOptions(2, checkpoint=Checkpoint(path)), at_step(20, press_ctrl_c))
    w, losses, _ = by_chunks(RunOptions(2, checkpoint=Checkpoint(path, resume=True)))
    assert len(losses) == 3 and np.isfinite(w).all() and losses[-1] < losses[0]


@both_loops
def test_ctrl_c_waits_for_the_end_of_the_step_and_no_other_step_begins(train, tmp_path):
    begun = []

    def press(step):
        begun.append(step)
        if step == 5:
            press_ctrl_c()
    with pytest.raises(KeyboardInterrupt):
        train(RunOptions(checkpoint=Checkpoint(tmp_path / "state")), press)
    assert begun == [1, 2, 3, 4, 5]
    resumed = []
    train(RunOptions(checkpoint=Checkpoint(tmp_path / "state", resume=True)), resumed.append)
    steps = 7 if train is by_batches else 3 * 14
    assert len(begun) + len(resumed) == steps                    # step 5 was saved, not repeated


@both_loops
def test_equal_seeds_give_equal_bits_and_other_seeds_do_not(train):
    assert same_bits(train(), train()) and not same_bits(train(), train(RunOptions(seed=4)))


@both_loops
def test_resuming_a_finished_run_takes_no_step_and_a_new_run_needs_no_file(train, tmp_path):
    options = RunOptions(checkpoint=Checkpoint(tmp_path / "state", resume=True))
    whole = train(options)
    before, begun = (tmp_path / "state").read_bytes(), []
    assert same_bits(train(options, begun.append), whole) and not begun
    assert (tmp_path / "state").read_bytes() == before and same_bits(train(), whole)


@both_loops
def test_a_killed_process_is_resumed_from_its_last_checkpoint(train, tmp_path):
    path = tmp_path / "state"
    code = f"""
import os, signal
from tests.training.test_session import Checkpoint, RunOptions, at_step, {train.__name__}
{train.__name__}(RunOptions(checkpoint=Checkpoint({str(path)!r}, every=0)),
                 at_step(5, lambda: os.kill(os.getpid(), signal.SIGKILL)))
"""
    killed = subprocess.run([sys.executable, "-c", code],
                            env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert killed.returncode == -signal.SIGKILL
    begun = []
    resumed = train(RunOptions(checkpoint=Checkpoint(path, resume=True)), begun.append)
    assert same_bits(resumed, train()) and len(begun) == (7 if train is by_batches else 42) - 4


# ---- errors when a run starts -------------------------------------------------------------------

@both_loops
def test_the_checkpoint_of_an_unfinished_run_is_not_overwritten_without_resume(train, tmp_path):
    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        train(RunOptions(checkpoint=Checkpoint(path)), at_step(4, press_ctrl_c))
    before = path.read_bytes()
    done = "4 of 7 steps" if train is by_batches else "0 of 3 epochs"
    with pytest.raises(FileExistsError, match=f"resume=True continues its run .it holds {done}"):
        train(RunOptions(checkpoint=Checkpoint(path)))
    assert path.read_bytes() == before


@both_loops
def test_the_checkpoint_of_a_finished_run_is_replaced_by_the_next_run(train, tmp_path):
    path = tmp_path / "state"
    train(RunOptions(checkpoint=Checkpoint(path)))
    whole = train(RunOptions(seed=2))
    assert same_bits(train(RunOptions(seed=2, checkpoint=Checkpoint(path))), whole)
    assert same_bits(train(RunOptions(seed=2, checkpoint=Checkpoint(path, resume=True))), whole)


@both_loops
def test_a_file_that_is_not_a_checkpoint_is_never_replaced(train, tmp_path):
    path = tmp_path / "letter"
    for content in b"", b"my dear friend":
        path.write_bytes(content)
        with pytest.raises(FileExistsError, match="exists already, and is not a checkpoint"):
            train(RunOptions(checkpoint=Checkpoint(path)))
        assert path.read_bytes() == content


@both_loops
@pytest.mark.parametrize("n", [4, 1000])
def test_a_stopped_or_finished_run_can_be_given_more_epochs_or_steps(train, n, tmp_path):
    """With a constant learning rate it ends with the bits of one run of the new length."""
    path, name = tmp_path / "state", "steps" if train is by_batches else "epochs"
    checkpoint = Checkpoint(path, resume=True)
    try:
        train(RunOptions(checkpoint=checkpoint), at_step(n, press_ctrl_c))
    except KeyboardInterrupt:
        pass
    for length in 9, 12:
        longer = train(RunOptions(checkpoint=checkpoint), **{name: length})
        assert same_bits(longer, train(**{name: length}))
    with pytest.raises(ValueError, match=f"{name} was 12 and is 9 now; a run can be given more"):
        train(RunOptions(checkpoint=checkpoint), **{name: 9})


@pytest.mark.parametrize("train, name, changed", [
    (by_batches, "steps", dict(steps=6)), (by_batches, "batch_size", dict(batch_size=9)),
    (by_batches, "lr", dict(lr=0.2)), (by_batches, "tau", dict(tau=1)),
    (by_batches, "data", dict(data=(X, Y + 1))), (by_batches, "data", dict(data=(X[1:], Y[1:]))),
    (by_chunks, "epochs", dict(epochs=2)), (by_chunks, "data", dict(data=(X[::-1], Y)))])
def test_the_error_names_the_setting_that_differs(train, name, changed, tmp_path):
    path = tmp_path / "state"
    train(RunOptions(checkpoint=Checkpoint(path)))
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"cannot resume, {name} was") as error:
        train(RunOptions(checkpoint=Checkpoint(path, resume=True)), **changed)
    assert (name == "data") is ("the text or its vocabulary is not" in str(error.value))
    assert path.read_bytes() == before


@both_loops
@pytest.mark.parametrize("options, message", [
    (RunOptions(workers=0), "workers=0: expected a whole number, 1 to"),
    (RunOptions(workers=1.5), "workers=1.5: expected"), (RunOptions(seed=-1), "seed=-1: expected")])
def test_invalid_options_are_rejected(train, options, message):
    with pytest.raises(ValueError, match=message):
        train(options)


@both_loops
def test_a_file_that_is_not_a_checkpoint_is_rejected_and_kept(train, tmp_path):
    path = tmp_path / "state"
    train(RunOptions(checkpoint=Checkpoint(path)))
    tensors, metadata = read_safetensors(path)
    whole = path.read_bytes()
    files = [b"something else entirely", whole[:-5], whole[:40]]
    for bad_tensors, bad_metadata in [
            (tensors, {}), ({"w": np.ones(3)}, metadata), ({**tensors, "u": np.ones(3)}, metadata),
            (tensors, {**metadata, "settings": "no JSON"}),
            (tensors, {**metadata, "settings": "[1]"}), (tensors, {**metadata, "progress": "{"}),
            (tensors, {**metadata, "progress": '{"epoch": null}'}),
            (tensors, {**metadata, "version": "99"}),
            (tensors, {name: metadata[name] for name in metadata if name != "progress"}),
            ({**tensors, "w": tensors["w"][:-1]}, metadata),
            ({**tensors, "session/losses": np.float64(3.0).reshape(())}, metadata),
            ({**tensors, "w": tensors["w"].astype(np.float32)}, metadata)]:
        write_safetensors(path, bad_tensors, bad_metadata)
        files.append(path.read_bytes())
    for content in files:
        path.write_bytes(content)
        with pytest.raises(FormatError):
            train(RunOptions(checkpoint=Checkpoint(path, resume=True)))
        assert path.read_bytes() == content


@both_loops
@pytest.mark.parametrize("name", ["settings", "progress"])
def test_damaged_metadata_is_rejected_or_has_no_effect(train, name, tmp_path):
    """Fields are replaced, left out or renamed, as tests/mutations.py says.

    Then there is a FormatError, an error that a setting differs, or the result of the whole run.
    """
    path, whole = tmp_path / "state", train()
    train(RunOptions(checkpoint=Checkpoint(path)))
    tensors, metadata = read_safetensors(path)
    refused = 0
    for document in mutated(json.loads(metadata[name])):
        text = document.decode("latin-1")
        write_safetensors(path, tensors, {**metadata, name: text})
        try:
            w, losses, rows = train(RunOptions(checkpoint=Checkpoint(path, resume=True)))
            assert w.tobytes() == whole[0].tobytes() and losses == whole[1]
        except (FormatError, ValueError) as error:
            refused += 1
            assert isinstance(error, FormatError) or "cannot resume" in str(error)
    assert refused > 50


@both_loops
def test_damaged_losses_are_rejected(train, tmp_path):
    path, whole = tmp_path / "state", train()
    train(RunOptions(checkpoint=Checkpoint(path)))
    tensors, metadata = read_safetensors(path)
    losses = tensors["session/losses"]
    for wrong in (losses[:-1], losses[:0], np.append(losses, 1.0), np.zeros(1000), losses[None],
                  losses[0], losses.astype(np.float32), losses.astype(np.int64)):
        write_safetensors(path, {**tensors, "session/losses": wrong}, metadata)
        with pytest.raises(FormatError, match="session/losses|tensors"):
            train(RunOptions(checkpoint=Checkpoint(path, resume=True)))
    longer = json.loads(metadata["progress"])
    longer["epoch"] += 1
    write_safetensors(path, {**tensors, "session/losses": np.append(losses, 1.0)},
                      {**metadata, "progress": json.dumps(longer)})
    with pytest.raises(FormatError, match="at most"):
        train(RunOptions(checkpoint=Checkpoint(path, resume=True)))
    write_safetensors(path, tensors, metadata)
    assert same_bits(train(RunOptions(checkpoint=Checkpoint(path, resume=True))), whole)


def test_a_checkpoint_of_another_shape_does_not_change_the_arrays(tmp_path):
    path, one, two = tmp_path / "state", np.ones(3), np.ones(2)
    with session({"one": one, "two": two}, {}, RunOptions(checkpoint=Checkpoint(path))):
        pass
    two = np.zeros(3)
    with pytest.raises(FormatError, match=r"two: expected float64 of shape \(3,\), .*\(2,\)"):
        with session({"one": one * 0, "two": two}, {},
                     RunOptions(checkpoint=Checkpoint(path, resume=True))):
            pass
    assert not two.any()


def test_the_error_for_a_run_of_version_0_1_says_what_to_do(tmp_path):
    write_safetensors(tmp_path / "state", {"W": X, "U": Y}, {"settings": "{}", "progress": "{}"})
    with pytest.raises(FormatError, match="written by version 0.1.*finish it with version 0.1, or"):
        by_batches(RunOptions(checkpoint=Checkpoint(tmp_path / "state", resume=True)))


# ---- errors while it runs -----------------------------------------------------------------------

@both_loops
def test_divergence_names_the_step_and_keeps_the_last_good_checkpoint(train, tmp_path):
    path = tmp_path / "state"
    examples_4 = [*batches(40, 8, 7, 1)][3][1] if train is by_batches else [
        *chunks(OFFSETS, 0, 1, 9)][3].sentences                  # examples of step or chunk 4
    data_with_nan = X, np.where(np.arange(40) == examples_4[0], np.nan, Y)
    with pytest.raises(TrainingDiverged, match="not finite at (step 4|epoch 1, after 4 chunks)"):
        train(RunOptions(checkpoint=Checkpoint(path, every=0)), data=data_with_nan)
    tensors, _ = read_safetensors(path)
    assert np.isfinite(tensors["w"]).all() and np.isfinite(tensors["session/losses"]).all()


def test_weights_that_are_not_finite_at_the_end_are_an_error(tmp_path):
    w = np.zeros(3)
    with pytest.raises(TrainingDiverged, match="a weight is not finite at step 1 .*0.1"):
        options = RunOptions(checkpoint=Checkpoint(tmp_path / "s"))
        with session({"w": w}, {"lr": 0.1}, options) as run:
            for _ in run.batches(4, 2, 1):
                w[1] = np.inf
                run.record(1.0)
    assert not (tmp_path / "s").exists()


def test_a_second_ctrl_c_stops_at_once_without_a_checkpoint(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with session({}, {}, RunOptions(checkpoint=Checkpoint(tmp_path / "state"))):
            press_ctrl_c()
            press_ctrl_c()
    assert not (tmp_path / "state").exists()


def test_every_sets_the_time_between_checkpoints(tmp_path):
    path, seen = tmp_path / "state", []
    for every, exists in ((3600, False), (0, True)):
        by_batches(RunOptions(checkpoint=Checkpoint(path, every=every)),
                   lambda step: seen.append(path.exists()))
        assert seen[1:] == [exists] * 6 and path.exists()        # always saved at the end
        seen.clear()
        path.unlink()


def test_a_loop_that_does_not_call_record_is_an_error():
    with pytest.raises(RuntimeError, match=r"step 1: the loop did not call record\(\)"):
        with session({}, {}) as run:
            for _ in run.batches(4, 2, 3):
                pass


# ---- the progress bar ---------------------------------------------------------------------------

@both_loops
def test_the_bar_counts_to_the_end_and_shows_the_loss(train):
    """by_batches: the loss of the step and its learning rate.  by_chunks: the epoch's mean loss."""
    with terminal() as screen:
        losses = train(RunOptions(progress=True))[1]
    bars = screen.text.strip().split("\r")
    begin, end = (" 0/7 ", " 7/7 ") if train is by_batches else (" 0.00/360 ", " 360/360 ")
    assert begin in bars[0] and end in bars[-1]
    assert bars[-1].endswith(f"step/s, loss {losses[-1]:.4f}, lr 0.1]" if train is by_batches else
                             f"word/s, loss {losses[-1]:.4f}]")


def test_the_bar_of_a_resumed_run_begins_where_the_run_was_stopped(tmp_path):
    path = tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        by_batches(RunOptions(checkpoint=Checkpoint(path)), at_step(4, press_ctrl_c))
    with terminal() as screen:
        by_batches(RunOptions(checkpoint=Checkpoint(path, resume=True), progress=True))
    bars = screen.text.strip().split("\r")
    assert " 4/7 " in bars[0] and " 7/7 " in bars[-1]


@both_loops
def test_there_is_no_bar_without_a_terminal_or_without_progress(train, capsys):
    train(RunOptions(progress=True))
    with terminal() as screen:
        train()
    assert screen.text == "" and capsys.readouterr() == ("", "")


@pytest.mark.parametrize("progress", [True, False])
def test_note_prints_a_line_on_stderr_only_if_progress_is_set(progress, capsys):
    with session({}, {}, RunOptions(progress=progress)) as run:
        run.note("step 3: correlation 0.5")
    assert capsys.readouterr() == ("", "step 3: correlation 0.5\n" * progress)

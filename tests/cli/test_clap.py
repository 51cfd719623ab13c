"""train clap: the folder that it writes, its two sources of sounds, and what it says of the result.
"""
from functools import partial

import numpy as np
import pytest

from scratch_embed.multimodal.clap_encoder import Clap
from scratch_embed.multimodal.clap_verdict import RECIPE, fit, untrained, with_statistics
from scratch_embed.multimodal.scene_files import write_scenes
from scratch_embed.multimodal.wav import read_wav, write_wav
from scratch_embed.training.session import RunOptions

TINY = ["--steps", 2, "--batch-size", 4]


@pytest.fixture
def run(run):
    return partial(run, "train", "clap")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder with the sounds and captions of 12 toy scenes."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, 12, seed=1)
    return folder


def test_the_folder_has_the_weights_that_train_computes(scenes, tmp_path, run):
    code, out, err = run("--pairs", scenes / "sounds.tsv", "-o", tmp_path / "clap", *TINY)
    assert (code, out) == (0, "")
    rows = [line.split("\t") for line in (scenes / "sounds.tsv").read_text().splitlines()[1:]]
    sounds, captions = [read_wav(scenes / file)[0][0] for file, _ in rows], [row[1] for row in rows]
    recipe = RECIPE._replace(steps=2, batch_size=4)
    start = with_statistics(untrained(captions, 1, recipe), sounds, 1)
    model, losses = fit(start, sounds, captions, recipe, RunOptions(seed=1))
    read = Clap.load(tmp_path / "clap")
    np.testing.assert_array_equal(read.p.flat, model.p.flat)
    assert f"loss {np.mean(losses.losses):.4f}, the mean of all 2 steps" in err
    assert "finding the caption of a sound among " in err and ", of the training pairs, MRR" in err
    assert "\nverdict: " in err


def test_without_pairs_it_draws_scenes_and_prints_baselines_and_bounds(tmp_path, run):
    code, _, err = run("-o", tmp_path / "clap", "--examples", 20, *TINY)
    assert code == 0 and "20 new scenes" in err
    for row in ("CLAP", "before training", "log-mel, linear map", "chance", "best possible"):
        assert f"\n{row} " in err
    assert Clap.load(tmp_path / "clap").audio == RECIPE.audio


def test_sounds_of_other_rates_and_lengths_are_read(tmp_path, run):
    rng = np.random.default_rng(0)
    for name, rate, n in (("a", 8000, 500), ("b", 22050, 30000)):
        write_wav(tmp_path / f"{name}.wav", rng.uniform(-1, 1, (2, n)).astype(np.float32), rate)
    (tmp_path / "pairs.tsv").write_text("a.wav\ta ring\nb.wav\ta square\n")
    code, _, _ = run("--pairs", tmp_path / "pairs.tsv", "-o", tmp_path / "clap", *TINY,
                     "--rate", 4000, "--seconds", 2)
    audio = Clap.load(tmp_path / "clap").audio
    assert code == 0 and (audio.rate, audio.seconds, audio.samples) == (4000, 2, 8000)


@pytest.mark.parametrize("options, message", [
    (["--pairs", "p.tsv", "--examples", 5], "--examples: the number of toy scenes"),
    (["--rate", 4000], "--rate: expected with --pairs"),
    (["--batch-size", 1], "--batch-size: expected 2 or more"), (["--resume"], "--checkpoint FILE")])
def test_options_that_contradict_each_other(options, message, tmp_path, run):
    code, _, err = run("-o", tmp_path / "clap", *options)
    assert code == 2 and message in err


def test_a_missing_sound_and_a_line_without_a_caption_are_named(tmp_path, run):
    for text, message in (("no.wav\ta\nno.wav\tb\n", "no.wav"), ("a.wav\n", "line 1")):
        (tmp_path / "pairs.tsv").write_text(text)
        code, _, err = run("--pairs", tmp_path / "pairs.tsv", "-o", tmp_path / "clap", *TINY)
        assert code == 1 and message in err and "Traceback" not in err

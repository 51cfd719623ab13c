"""train clip and train imagebind: the folders that they write, their two sources, wrong options."""
import json

import numpy as np
import pytest

from scratch_embed import load
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.scene_files import write_scenes
from scratch_embed.numerics.png import write_png

TINY = ["--steps", 2, "--batch-size", 4, "--dim", 8, "--layers", 1]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder with the files of 12 toy scenes."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, 12, seed=1)
    return folder


@pytest.fixture(scope="module")
def clip(scenes, tmp_path_factory):
    """A folder with a CLIP after two steps."""
    from scratch_embed.cli.main import main
    folder = tmp_path_factory.mktemp("clip") / "clip"
    assert main([*map(str, ("train", "clip", "--pairs", scenes / "captions.tsv", "-o", folder,
                            *TINY))]) == 0
    return folder


# ---- train clip ----------------------------------------------------------------------------------

def test_the_folder_is_a_clip_with_the_given_sizes(scenes, tmp_path, run):
    code, out, err = run("train", "clip", "--pairs", scenes / "captions.tsv", "-o",
                         tmp_path / "clip", *TINY, "--image-size", 24, "--patch", 8)
    assert (code, out) == (0, "") and "12 images with captions" in err
    assert "finding the caption of an image among 12, of the training pairs, MRR: " in err
    assert "verdict: " in err and "chance: 1.3863" in err                      # ln 4
    model = load(tmp_path / "clip")
    assert isinstance(model, Clip) and model.dim == 8
    assert model.config.image[:2] == (24, 8) and model.config.image.trunk.layers == 1
    assert json.loads((tmp_path / "clip" / "config.json").read_text())["model_type"] == "clip"


def test_it_can_continue_with_a_model_and_measure_on_held_out_pairs(scenes, clip, tmp_path, run):
    code, _, err = run("train", "clip", "--pairs", scenes / "captions.tsv", "-o", tmp_path / "c",
                       "--model", clip, "--steps", 3, "--held-out", scenes / "captions.tsv")
    assert code == 0 and "among 12, held out, MRR" in err
    before, after = Clip.load(clip), Clip.load(tmp_path / "c")
    assert after.config == before.config and not np.array_equal(after.p.flat, before.p.flat)


def test_a_tenth_of_many_pairs_is_held_out(tmp_path, run):
    write_png(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "pairs.tsv").write_text("".join(f"a.png\tthing {n}\n" for n in range(200)))
    code, _, err = run("train", "clip", "--pairs", tmp_path / "pairs.tsv", "-o", tmp_path / "c",
                       *TINY)
    assert code == 0 and "among 20, held out, MRR" in err


def test_without_pairs_it_draws_scenes_and_prints_chance_and_bounds(tmp_path, run):
    code, _, err = run("train", "clip", "-o", tmp_path / "c", "--examples", 20, *TINY)
    assert code == 0 and "the toy scenes: 20 images with captions, 20 held out" in err
    assert "20 new scenes" in err and "untrained   chance   best possible" in err
    for row in ("recall@10, image by caption", "zero-shot colour", "zero-shot unseen pairs"):
        assert f"  {row}" in err


@pytest.mark.parametrize("options, message", [
    (["--pairs", "p.tsv", "--examples", 5], "--examples: the number of toy scenes"),
    (["--held-out", "p.tsv"], "--held-out: expected with --pairs"),
    (["--patch", 5], "--patch: expected a divisor of --image-size 16, got 5"),
    (["--dim", 6], "--dim: expected a multiple of 4"),
    (["--model", "c", "--dim", 8], "--model has sizes of its own: leave out --dim"),
    (["--batch-size", 1], "--batch-size: expected 2 or more"), (["--resume"], "--checkpoint FILE")])
def test_options_of_clip_that_contradict_each_other(options, message, tmp_path, run):
    code, _, err = run("train", "clip", "-o", tmp_path / "clip", *options)
    assert code == 2 and message in err and err.count("\n") == 1


def test_a_missing_image_and_a_line_without_a_caption_are_named(tmp_path, run):
    for text, message in (("no.png\ta\nno.png\tb\n", "'no.png': there is no such"),
                          ("a.png\n", "line 1")):
        (tmp_path / "pairs.tsv").write_text(text)
        code, _, err = run("train", "clip", "--pairs", tmp_path / "pairs.tsv", "-o",
                           tmp_path / "clip", *TINY)
        assert code == 1 and message in err.splitlines()[-1] and "Traceback" not in err


# ---- train imagebind -----------------------------------------------------------------------------

def test_senses_of_a_folder_of_scenes_are_bound_to_a_clip(scenes, clip, tmp_path, run):
    code, out, err = run("train", "imagebind", "--model", clip, "--scenes",
                         scenes / "scenes.jsonl", "-o", tmp_path / "bound", *TINY)
    assert (code, out) == (0, "")
    assert "12 scenes with image, audio, depth, thermal, text, imu" in err
    assert "  by audio    image " in err and "caption " in err and "verdict: " in err
    model = load(tmp_path / "bound")
    assert [*model.senses] == ["audio", "depth", "thermal", "imu"]
    np.testing.assert_array_equal(model.clip.p.flat, Clip.load(clip).p.flat)   # stays as it is
    heard = model.encode("audio", [scenes / "sounds" / "0000.wav"])
    assert heard.shape == (1, 8)


def test_without_files_it_draws_scenes_and_prints_the_matrix(clip, tmp_path, run):
    code, _, err = run("train", "imagebind", "--model", clip, "-o", tmp_path / "b", "--examples",
                       20, *TINY)
    assert code == 0 and "the toy scenes: 20 with audio, depth, thermal, imu, 20 held out" in err
    assert "recall@10 of 20 new scenes" in err and "from / to" in err


def test_only_the_senses_of_the_lines_are_trained(scenes, clip, tmp_path, run):
    lines = [json.loads(line) for line in (scenes / "scenes.jsonl").read_text().splitlines()]
    some = [json.dumps({"image": str(scenes / line["image"]), "sound": str(scenes / line["sound"])})
            for line in lines]
    (tmp_path / "some.jsonl").write_text("\n".join(some))
    code, _, err = run("train", "imagebind", "--model", clip, "--scenes", tmp_path / "some.jsonl",
                       "-o", tmp_path / "b", *TINY, "--frames", 64)
    assert code == 0 and [*load(tmp_path / "b").senses] == ["audio"]
    assert load(tmp_path / "b").senses["audio"].shape == (1, 32, 64)


@pytest.mark.parametrize("line, message", [
    ({"image": "a.png"}, "expected a field besides image"), ({"sound": "a.wav"}, "'image'")])
def test_lines_without_an_image_or_another_sense_are_refused(line, message, clip, tmp_path, run):
    (tmp_path / "x.jsonl").write_text(f"{json.dumps(line)}\n" * 2)
    code, _, err = run("train", "imagebind", "--model", clip, "--scenes", tmp_path / "x.jsonl",
                       "-o", tmp_path / "b", *TINY)
    assert code == 1 and message in err and err.count("\n") == 1


@pytest.mark.parametrize("missing", [0, 1])
def test_a_line_without_a_sense_that_another_line_has_is_named(missing, clip, tmp_path, run):
    lines = [{"image": "a.png", "sound": "a.wav", "depth": "d.png"} for _ in range(2)]
    del lines[missing]["depth"]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, lines)))
    code, _, err = run("train", "imagebind", "--model", clip, "--scenes", tmp_path / "x.jsonl",
                       "-o", tmp_path / "b", *TINY)
    assert code == 1 and f"line {missing + 1}, field 'depth': expected" in err


@pytest.mark.parametrize("options, message", [
    (["--scenes", "x", "--examples", 5], "--examples: the number of toy scenes"),
    (["--dim", 6], "--dim: expected a multiple of 4"),
    (["--batch-size", 1], "--batch-size: expected 2 or more")])
def test_options_of_imagebind_that_contradict_each_other(options, message, tmp_path, run):
    code, _, err = run("train", "imagebind", "--model", "c", "-o", tmp_path / "b", *options)
    assert code == 2 and message in err and err.count("\n") == 1

"""The part on scenes prints each model beside its baselines, whatever its sizes are."""
import contextlib
import io
import re
from functools import partial

import numpy as np
import pytest

from scratch_embed.cli.main import main
from scratch_embed.why import scene_tour


@pytest.fixture(scope="module")
def printed():
    """The output for few scenes, two steps and two seeds, to test its form and not its claims."""
    clip = scene_tour.CLIP._replace(scenes=256, steps=2)
    senses = scene_tour.SENSES._replace(scenes=128, steps=2, layers=1)
    sounds = scene_tour.SOUNDS._replace(scenes=64, steps=2, test=32)
    small = {"learn": dict(clip=clip, senses=senses), "clip_scores": dict(n=40),
             "bound_scores": dict(n=40), "clap_scores": dict(recipe=sounds),
             "speech_scores": dict(steps=2)}
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        for name, sizes in small.items():
            patch.setattr(scene_tour, name, partial(getattr(scene_tour, name), **sizes))
        for name, count in ("TRAINING", 64), ("PROBING", 40), ("TEST", 40):
            patch.setattr(f"scratch_embed.why.speech.{name}", count)
        patch.setattr("scratch_embed.cli.tour_scenes.SEEDS", (1, 2))
        assert main(["tour", "--parts", "scenes"]) == 0
    return out.getvalue()


def test_it_has_four_headings_and_a_sentence_on_each_table(printed):
    assert re.findall(r"^(\d+)  ", printed, re.M) == ["17", "18", "19", "20"]
    assert printed.count("The table shows") == 4
    assert [line for line in printed.splitlines() if len(line) > 96] == []


@pytest.mark.parametrize("columns, names", [
    (3, ["sound + word", "sound", "word"]),
    (2, ["CLIP", "untrained", "chance", "upper bound", "audio", "audio, random tower",
         "audio, upper bound", "CLAP", "before training", "log-mel, linear map",
         "log-mel spectrogram", "random, layer 3", "trained, layer 3"])])
def test_each_model_has_a_row_beside_its_baselines(columns, names, printed):
    for name in names:
        row = rf"^    {re.escape(name)} +(\d+\.\d ± +\d+\.\d *){{{columns}}}$"
        assert re.search(row, printed, re.M), name


def test_the_share_of_the_bound_may_be_negative(printed):
    """A recall may lie below chance, as with random towers."""
    for name in "ImageBind", "random towers":
        assert re.search(rf"^    {name} +(-?\d+\.\d ± +\d+\.\d *){{2}}$", printed, re.M), name


def test_every_pair_of_senses_has_a_recall_and_its_bound(printed):
    cells = re.findall(r"\d\.\d{3}/\d\.\d{3}(\*?)", printed)
    assert len(cells) == 30 and cells.count("*") == 10


def test_chance_and_bounds_are_those_of_the_world(printed):
    """Six colours, six shapes, 36 pairs: 16.7 and 2.8 %; with SEEN, a shape has five colours."""
    assert re.search(r"^    chance +16\.7 ± +0\.0 +16\.7 ± +0\.0$", printed, re.M)
    assert re.search(r"^    chance +2\.8 ± +0\.0 +2\.8 ± +0\.0$", printed, re.M)
    assert re.search(r"^    audio, upper bound +100\.0 ± +0\.0 +20\.0 ± +0\.0$", printed, re.M)


def test_percent_is_100_times_a_share():
    np.testing.assert_array_equal(scene_tour.percent(0.25, 1), [25, 100])

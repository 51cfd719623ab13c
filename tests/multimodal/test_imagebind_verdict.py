"""The measures of ImageBind: perfect vectors reach the bounds, random ones chance."""
import numpy as np
import pytest

from scratch_embed.multimodal.clip_verdict import K, draw_pairs, untrained
from scratch_embed.multimodal.clip_verdict import Recipe as ClipRecipe
from scratch_embed.multimodal.imagebind import encode
from scratch_embed.multimodal.imagebind_verdict import (
    Cell,
    Recipe,
    bind,
    bind_moving,
    matrix,
    matrix_lines,
    met,
    report,
    senses,
    share_of_bound,
    sums,
    zero_shot,
)
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.training.session import RunOptions
from scratch_embed.worlds.scene_bounds import SENSES
from scratch_embed.worlds.scenes import ATTRIBUTES, KNOWN, NAMES, SEEN, draw_scenes

SCENES = draw_scenes(400, seed=1, pairs=SEEN)
TINY = Recipe(scenes=40, dim=4, layers=1, heads=2, steps=2, batch_size=8)
START = untrained(draw_pairs(60, 1, 0.2).captions, 1, ClipRecipe(vocab=600, dim=8, layers=(1, 1)))


def one_hot(scenes, known, noise, seed=0):
    """Unit vectors of the known attributes: one block of columns for each, and some noise."""
    blocks = [np.eye(len(ATTRIBUTES[name]))[scenes.of(name)] if name in known
              else np.zeros((len(scenes), len(ATTRIBUTES[name]))) for name in NAMES]
    x = np.hstack(blocks)
    return l2_normalize(x + noise * np.random.default_rng(seed).standard_normal(x.shape))[0]


def test_vectors_of_all_that_a_sense_shows_reach_the_direct_bound():
    of = {sense: one_hot(SCENES, KNOWN[sense], 1e-3, i) for i, sense in enumerate(SENSES)}
    for pair, cell in matrix(of, SCENES).items():
        error = (cell.direct * (1 - cell.direct) / len(SCENES)) ** 0.5
        assert cell.recall == pytest.approx(cell.direct, abs=4 * error + 1e-9), pair
        assert cell.chance <= cell.bound <= cell.direct + 1e-9


def test_vectors_of_what_images_show_reach_the_bound_through_images():
    of = {sense: one_hot(SCENES, set(KNOWN[sense]) & set(KNOWN["image"]), 1e-3, i)
          for i, sense in enumerate(SENSES)}
    cells = matrix(of, SCENES)
    for pair, cell in cells.items():
        error = (cell.bound * (1 - cell.bound) / len(SCENES)) ** 0.5
        assert cell.recall == pytest.approx(cell.bound, abs=4 * error + 1e-9), pair
    assert share_of_bound(cells, paired=False) == pytest.approx(1, abs=0.15)
    assert cells["audio", "imu"].direct > 2 * cells["audio", "imu"].bound     # motion


def test_share_of_bound_by_hand():
    cells = {("image", "audio"): Cell(0.4, 0.7, 0.7, 0.1),
             ("audio", "text"): Cell(0.1, 0.2, 0.3, 0.1),
             ("text", "audio"): Cell(0.2, 0.2, 0.2, 0.1),
             ("imu", "text"): Cell(0.3, 0.1, 0.2, 0.1)}
    assert share_of_bound(cells, paired=True) == pytest.approx(0.5)
    assert share_of_bound(cells, paired=False) == pytest.approx(0.5)    # imu: its bound is chance
    assert met("image", "text") and not met("audio", "text")


class Prompted:
    """A model whose texts are one-hot vectors."""

    class clip:
        @staticmethod
        def class_vectors(classes):
            name = next(name for name in NAMES if tuple(classes) == ATTRIBUTES[name])
            start = sum(len(ATTRIBUTES[other]) for other in NAMES[:NAMES.index(name)])
            return np.eye(24)[start:start + len(classes)]


def test_zero_shot_and_sums_of_perfect_vectors():
    of = {sense: one_hot(SCENES, KNOWN[sense], 1e-3, i) for i, sense in enumerate(SENSES)}
    found = zero_shot(Prompted, of, SCENES)
    assert found["audio", "shape"] == (1, 1) and found["image", "colour"] == (1, 1)
    assert found["audio", "colour"][0] < 0.3 and found["audio", "colour"][1] == pytest.approx(1 / 5)
    added = sums(Prompted, of, SCENES, seed=0)
    assert added["sound + word"].all > 0.95
    assert added["sound"].colour < 0.3 and added["sound"].shape == 1
    assert added["word"].colour == 1 and added["word"].shape < 0.35


def test_binding_leaves_clip_as_it_is_and_moving_changes_the_images_only():
    before = START.p.flat.copy()
    bound = bind(START, TINY, RunOptions(seed=3))
    moved = bind_moving(bound, "audio", TINY, RunOptions(seed=3))
    assert np.array_equal(START.p.flat, before) and bound.clip is START
    changed = {name for name in START.p if not np.array_equal(moved.clip.p[name], START.p[name])}
    assert changed and all(name.startswith("image.") for name in changed)
    towers = {name.split(".")[0] for name in bound.p
              if not np.array_equal(moved.p[name], bound.p[name])}
    assert towers == {"audio"}
    assert all(encode(np.zeros((1, *sense.shape), np.float32), bound.p, sense, name + "."
                      )[0].shape == (1, 8) for name, sense in senses(TINY).items())


def test_a_report_has_every_pair():
    found = report(START, TINY, RunOptions(seed=3), n=30)
    assert len(found.matrix) == len(found.untrained) == len(found.moved) == 30
    assert all(cell.chance == K / 30 for cell in found.matrix.values())
    lines = matrix_lines([found.matrix, found.untrained])
    assert len(lines) == 7 and lines[0].split() == ["from", "/", "to", *KNOWN]
    assert lines[1].count("*") == 5 and lines[3].count("*") == 1   # image; audio, met by images

"""CLIP on scenes: the measures by hand, and a short training that learns colours."""
import numpy as np
import pytest

from scratch_embed.multimodal.clip_verdict import (
    CHANCE,
    RECIPE,
    draw_pairs,
    modality_gap,
    pair_of,
    pair_prompt,
    recall,
    recall_bounds,
    report,
    train_on_scenes,
    untrained,
)
from scratch_embed.training.session import RunOptions
from scratch_embed.worlds.scenes import HELD_OUT, PAIRS, SEEN, Scenes, draw_scenes


def test_recall_worked_by_hand_ties_count_against_it():
    s = np.array([[3.0, 2, 1], [0, 1, 2], [5, 5, 5]])
    assert recall(s, 1) == 1 / 3                       # the first row alone
    assert recall(s, 2) == 2 / 3
    assert recall(s, 3) == 1


def test_the_gap_worked_by_hand():
    u = np.array([[1.0, 0], [0, 1]])                   # their mean: (½, ½)
    assert modality_gap(u, u) == 0
    assert modality_gap(u, -u) == pytest.approx(2 ** 0.5)


def test_pairs_of_shape_and_colour():
    scenes = draw_scenes(50, 1)
    named = [PAIRS[n] for n in pair_of(scenes)]
    assert named == [*zip(scenes.of("shape"), scenes.of("colour"))]
    assert pair_prompt(0, 0) == "a red circle"


def test_training_scenes_have_no_held_out_pair():
    data = draw_pairs(300, 1, 0.2)
    found = {PAIRS[n] for n in pair_of(data.scenes)}
    assert found == set(SEEN) and not found & set(HELD_OUT)
    assert data.images.shape == (300, 16, 16, 3) and len(data.captions) == 300


def test_a_tower_that_was_not_trained_is_near_chance():
    clip = untrained(draw_pairs(300, 1, 0.2).captions, 1)
    found = report(clip, 1, n=200)
    assert abs(found.zero_shot.colour - CHANCE.colour) < 0.15
    assert found.text_to_image < 0.15 and found.gap > 0.8
    chance, bound = recall_bounds(1)
    assert chance == 0.01 and 0.99 < bound <= 1


def test_a_short_training_learns_colours_and_moves_the_towers_together():
    recipe = RECIPE._replace(scenes=2000, steps=120, batch_size=64)
    before, after, run = train_on_scenes(recipe, RunOptions(seed=1))
    found, start = report(after, 1, n=200), report(before, 1, n=200)
    assert np.mean(run.losses[-10:]) < run.losses[0] - 0.7
    assert found.zero_shot.colour > 0.6 and found.gap < start.gap
    assert found.pair_cosine > found.other_cosine + 0.1


def test_scenes_of_one_kind():
    scenes = Scenes(np.array([[0, 1, 0, 0, 0, 0]]))
    assert pair_of(scenes).tolist() == [1]

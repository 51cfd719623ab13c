"""Scenes and captions: balanced, reproducible, and a caption says only what is true."""
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.worlds.scenes import (
    ATTRIBUTES,
    HELD_OUT,
    KNOWN,
    NAMES,
    NOT_NAMED,
    PHRASES,
    SEEN,
    VALUES,
    Scenes,
    caption,
    draw_scenes,
    prompts,
    values_named,
)

SCENES = draw_scenes(4000, seed=3)


def test_the_attributes_are_uniform_and_independent():
    for i, j in itertools.combinations(range(len(NAMES)), 2):
        counts = np.zeros((VALUES[i], VALUES[j]))
        np.add.at(counts, (SCENES.labels[:, i], SCENES.labels[:, j]), 1)
        expected = len(SCENES) / counts.size
        chi2, freedom = ((counts - expected) ** 2).sum() / expected, counts.size - 1
        assert chi2 < freedom + 4 * (2 * freedom) ** 0.5           # four standard deviations


def test_a_seed_gives_the_same_scenes_and_captions():
    assert np.array_equal(draw_scenes(50, 7).labels, draw_scenes(50, 7).labels)
    assert not np.array_equal(draw_scenes(50, 7).labels, draw_scenes(50, 8).labels)
    assert caption(SCENES, 1) == caption(SCENES, 1) != caption(SCENES, 2)


def test_held_out_pairs_never_occur_among_the_seen_ones_but_each_of_their_values_does():
    pairs = {tuple(pair) for pair in draw_scenes(3000, pairs=SEEN).labels[:, :2].tolist()}
    assert pairs == set(SEEN) and not pairs & set(HELD_OUT)
    assert {tuple(p) for p in draw_scenes(300, pairs=HELD_OUT).labels[:, :2].tolist()} \
        == set(HELD_OUT)
    for column in range(2):
        assert sorted(pair[column] for pair in HELD_OUT) == list(range(6))


def test_every_word_belongs_to_one_value():
    phrases = [phrase for name in NAMES for value in PHRASES[name] for phrase in value]
    assert len(set(phrases)) == len(phrases) == 3 * sum(VALUES)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0, 1),
       st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
def test_a_caption_names_only_true_values_of_attributes_that_it_may_name(seed, dropout, may):
    scenes = draw_scenes(40, seed)
    named = values_named(caption(scenes, seed, dropout, may))
    assert ((named == NOT_NAMED) | (named == scenes.labels)).all()
    is_named = named != NOT_NAMED
    assert is_named.any(axis=1).all()
    assert not is_named[:, [name not in may for name in NAMES]].any()
    if dropout == 0:
        assert is_named[:, [name in may for name in NAMES]].all()


def test_half_of_the_attributes_are_dropped():
    named = values_named(caption(SCENES)) != NOT_NAMED
    rate = named[:, [name in KNOWN["text"] for name in NAMES]].mean()
    # 1/2, and 1/4 more in the 1/16 of captions that would name none
    assert rate == pytest.approx(1 / 2 + 1 / 64, abs=0.015)


def test_prompts_name_one_value():
    for name in NAMES:
        for value in range(len(ATTRIBUTES[name])):
            for text in prompts(name, value, synonyms=3):
                row = np.full(len(NAMES), NOT_NAMED)
                row[NAMES.index(name)] = value
                assert np.array_equal(values_named([text])[0], row), text


def test_scenes_are_taken_by_indices_slices_and_masks():
    assert len(SCENES.take(slice(5))) == 5
    circles = SCENES.take(SCENES.of("shape") == 0)
    assert isinstance(circles, Scenes) and (circles.of("shape") == 0).all()


@pytest.mark.parametrize("n", [0, -1, 1.5])
def test_n_is_checked(n):
    with pytest.raises(ValueError, match="n="):
        draw_scenes(n)

"""Labelled training pairs: what the labels say is true of the texts."""
from collections import Counter

import pytest

from scratch_embed.worlds.taxonomy import PATHS, levels_shared, taxonomy
from scratch_embed.worlds.training_pairs import taxonomy_pairs

PATH_OF = {path[2]: path for path in PATHS}


def path_of(text):
    """The path of the kind that a text names."""
    return next(PATH_OF[word] for word in text.split() if word in PATH_OF)


@pytest.mark.parametrize("levels", [(0, 1, 2, 3), (3,), (1, 2)])
def test_a_pair_of_the_taxonomy_shares_as_many_levels_as_its_score_says(levels):
    first, second, shared = taxonomy_pairs(240, seed=1, levels=levels)
    assert len(first) == len(second) == len(shared) > 230
    for a, b, level in zip(first, second, shared):
        assert a != b and levels_shared(path_of(a), path_of(b)) == level
    counts = Counter(shared.tolist())
    assert set(counts) == set(levels) and min(counts.values()) > 230 / len(levels) - 10


def test_texts_of_the_evaluation_are_in_no_pair():
    taken = set(taxonomy(1, 9000).texts)
    first, second, _ = taxonomy_pairs(300, seed=1, taken=taken)
    assert 50 < len(first) < 250 and not taken & {*first, *second}


def test_no_pairs_are_three_empty_columns():
    first, second, shared = taxonomy_pairs(0)
    assert first == second == [] and shared.shape == (0,)


def test_the_same_seed_draws_the_same_pairs():
    a, b, c = (taxonomy_pairs(20, seed) for seed in (1, 1, 2))
    assert a[:2] == b[:2] != c[:2]

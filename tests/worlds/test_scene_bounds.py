"""Bounds of the senses: worked by hand, and reached by a ranker that knows the truth."""
import numpy as np
import pytest

from scratch_embed.worlds.scene_bounds import (
    SENSES,
    best_accuracy,
    best_recall,
    best_recall_of,
    chance_recall,
    combinations,
    group_sizes,
    shared,
)
from scratch_embed.worlds.scenes import HELD_OUT, KNOWN, NAMES, SEEN, Scenes, draw_scenes


def test_shared_attributes():
    assert shared("image", "text") == ("shape", "colour", "size", "position")
    assert shared("thermal", "audio") == ("shape",)
    assert shared("thermal", "imu") == ()
    assert shared("audio", "imu", through="image") == ("size",)
    assert combinations(()) == 1 and combinations(("shape", "size")) == 12
    assert all(shared(a, b) == shared(b, a) for a in SENSES for b in SENSES)


def test_a_sound_has_no_colour():
    assert best_accuracy(KNOWN["audio"], "colour") == pytest.approx(1 / 6)
    assert best_accuracy(KNOWN["image"], "colour") == 1


def test_to_know_the_shape_helps_to_guess_the_colour_if_pairs_are_held_out():
    assert best_accuracy(("shape",), "colour", SEEN) == pytest.approx(1 / 5)
    assert best_accuracy(("size",), "colour", SEEN) == pytest.approx(1 / 6)
    assert best_accuracy(("colour",), "shape", HELD_OUT) == pytest.approx(1)
    # shape 0 has colours 0, 1 and 2, shape 1 has colour 0: the best guess of the colour is 0, 2/4;
    # of the shape, given the colour, 3/4
    pairs = [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert best_accuracy((), "colour", pairs) == pytest.approx(2 / 4)
    assert best_accuracy(("colour",), "shape", pairs) == pytest.approx(3 / 4)


@pytest.mark.parametrize("a, b", [("audio", "image"), ("text", "thermal"), ("imu", "text")])
def test_recall_of_seen_pairs_has_the_same_bound(a, b):
    """A ranker that knows P(query | item) in full does no better than the shared attributes."""
    scenes, rng = draw_scenes(400, 5, SEEN), np.random.default_rng(0)
    kinds = np.array([(shape, colour, *rest) for shape, colour in SEEN
                      for rest in np.ndindex(2, 4, 2, 4)])

    def seen_by(sense, labels):
        return labels[:, [NAMES.index(name) for name in KNOWN[sense]]]
    # P(A | B) ∝ the number of kinds of scenes with both, over that with B
    agree = [(seen_by(sense, scenes.labels)[:, None] == seen_by(sense, kinds)).all(-1).astype(float)
             for sense in (a, b)]
    likelihood = agree[0] @ agree[1].T / agree[1].sum(1)           # (queries, items)
    noisy = likelihood * (1 + 1e-6 * rng.random(likelihood.shape))
    found = ((noisy >= np.diag(noisy)[:, None]).sum(1) <= 10).mean()
    bound = best_recall_of(scenes, shared(a, b), 10)
    assert found == pytest.approx(bound, abs=4 * (bound * (1 - bound) / 400) ** 0.5)
    for row in likelihood:                         # all items that agree are equally likely
        assert np.ptp(row[row > 0]) < 1e-12


def test_recall_by_hand():
    # one shared attribute of two values, a gallery of 3: of the two others, 0, 1 or 2 agree with
    # probability 1/4, 1/2, 1/4, so the right one is first in 1/4 + 1/2 · 1/2 + 1/4 · 1/3
    assert best_recall(("size",), N=3, K=1) == pytest.approx(1 / 4 + 1 / 4 + 1 / 12, rel=1e-12)
    assert best_recall((), N=50, K=10) == chance_recall(50, 10) == 0.2
    assert best_recall(("shape",), N=5, K=5) == pytest.approx(1)


def test_group_sizes_by_hand():
    scenes = Scenes(np.array([[0, 1, 0, 0, 0, 0], [0, 2, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]]))
    assert group_sizes(scenes, ("shape",)).tolist() == [2, 2, 1]
    assert group_sizes(scenes, ()).tolist() == [3, 3, 3]
    assert best_recall_of(scenes, ("shape",), K=1) == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)


@pytest.mark.parametrize("a, b", [("depth", "image"), ("audio", "text"), ("thermal", "imu")])
def test_the_bound_of_a_sample_is_near_the_expectation(a, b):
    samples = [best_recall_of(draw_scenes(500, seed), shared(a, b), K=10) for seed in range(10)]
    assert np.mean(samples) == pytest.approx(best_recall(shared(a, b), 500, 10), rel=0.02)


def test_a_ranker_that_knows_the_shared_attributes_reaches_the_bound():
    K, hits, seeds, rng = 3, [], range(20), np.random.default_rng(0)
    for seed in seeds:
        scenes = draw_scenes(150, seed)
        known = scenes.labels[:, [NAMES.index(name) for name in shared("audio", "image")]]
        scores = (known[:, None] == known[None]).all(-1) + rng.random((150, 150)) / 2
        rank = (scores > np.diag(scores)[:, None]).sum(1)
        hits.append((rank < K).mean())
    bound = best_recall(shared("audio", "image"), 150, K)
    assert np.mean(hits) == pytest.approx(bound, abs=4 * np.std(hits) / len(seeds) ** 0.5)

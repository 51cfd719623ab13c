"""Input types: what the pairs of each purpose share, what prompts change, and what they are for."""
import numpy as np
import pytest

from scratch_embed.why.input_types import (
    CLASSIFICATION,
    CLUSTERING,
    DOCUMENT,
    MEASURES,
    QUERY,
    TYPES,
    alike,
    compare,
    draw,
    score,
    train,
)
from scratch_embed.worlds.facts import NAMES, SLOTS


@pytest.fixture(scope="module")
def data():
    return draw(1, documents=40, pairs=60)


def values(text):
    """The value of each slot that a text names, or None."""
    return [next((value for value, words in enumerate(SLOTS[slot]) if set(words.split()) &
                  set(text.split())), None) for slot in NAMES]


def test_reports_that_are_alike_agree_in_one_slot_only():
    first, second = alike(2, 30, np.random.default_rng(0))
    for a, b in zip(first, second, strict=True):
        assert [x == y for x, y in zip(values(a), values(b))] == [False, False, True, False, False]


def test_each_purpose_has_its_types_and_labels_are_those_of_the_reports(data):
    assert [pairs[:2] for pairs in data.pairs] == [
        (QUERY, DOCUMENT), (CLASSIFICATION,) * 2, (CLUSTERING,) * 2]
    for text, label in zip(data.reports, data.labels.tolist(), strict=True):
        assert values(text) == label


def test_an_input_type_is_a_prompt_and_every_part_of_it_is_known(data):
    encoder = train(data, 1, steps=1)
    unknown = encoder.tokenizer.index["[UNK]"]
    for name in TYPES:
        assert unknown not in encoder.tokenizer.encode(f"{name}: ").ids
        np.testing.assert_array_equal(encoder.encode(data.reports[:3], prompt_name=name),
                                      encoder.encode([f"{name}: {text}"
                                                      for text in data.reports[:3]]))
    assert set(train(data, 1, prompts=False, steps=1).recipe.prompts.values()) == {""}


def test_the_known_truth_has_perfect_scores_for_its_purpose(data):
    def one_hot(*slots):
        return lambda texts: np.array([[values(text)[slot] == v for slot in slots
                                        for v in range(8)] for text in texts], float)
    whole = score(data, one_hot(*range(5)), one_hot(*range(5)))
    assert whole[0] == pytest.approx(100)
    assert score(data, one_hot(0), one_hot(0))[1] > whole[1]


def test_every_type_and_baseline_is_scored():
    found = compare(1, documents=40, pairs=60, steps=1)
    assert {CLASSIFICATION, CLUSTERING, "no type in training", "bag of words"} < set(found)
    assert all(row.shape == (len(MEASURES),) and (0 <= row).all() and (row <= 100).all()
               for row in found.values())


@pytest.mark.campaign
def test_each_type_is_best_for_its_purpose():
    """Margins are at most half of what was measured."""
    for seed in (1, 2):
        found = compare(seed)
        search, classes, clusters, plain, _ = found.values()
        assert search[0] > max(classes[0], clusters[0]) + 20
        assert classes[1] > max(search[1], clusters[1], plain[1]) + 5
        assert clusters[2] > max(search[2], classes[2], plain[2]) + 20

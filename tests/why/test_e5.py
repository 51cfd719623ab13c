"""Ablations of stage 2, and instructions: the negatives by hand, tiny runs, and the claim."""
import numpy as np
import pytest

from scratch_embed.sentences.e5 import instruct
from scratch_embed.sentences.hard_negatives import Mining
from scratch_embed.why import e5, instructions
from scratch_embed.why.effects import HELPS, paired_difference
from scratch_embed.worlds.instructions import INSTRUCTIONS
from scratch_embed.worlds.instructions import instructions as draw_instructions


@pytest.fixture(scope="module")
def start():
    """A small world, stage 1 and a teacher after one step each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(e5, "LABELLED", 60)
        patch.setitem(e5.STAGE_1, "steps", 1)
        patch.setitem(e5.TEACHER, "steps", 1)
        patch.setitem(e5.LONGER, "steps", 1)
        return e5.start(1, documents=40, sentences=100)


def test_false_negatives_by_hand():
    """The first negative matches all that the query names; the second one is by a farmer."""
    queries = ["find the mariner who had something", "find the mariner who had something"]
    right, wrong = ("the weary sailor mended the lamp near the shore",
                    "the weary farmer mended the lamp near the shore")
    assert e5.false_negatives([queries, [right] * 2, [right, wrong]]) == 50
    assert e5.false_negatives([queries, [right] * 2, [right] * 2, [wrong] * 2]) == 50


@pytest.mark.parametrize("find, columns", [(e5.in_batch, 2), (e5.at_random, 4),
                                           (e5.wrong_in_one_slot, 3), (e5.by_model, 4),
                                           (e5.sampled_by_model, 4)])
def test_each_way_to_find_negatives_keeps_the_pairs(start, find, columns):
    texts = find(start, Mining(2))
    assert len(texts) == columns and texts[:2] == list(start.triplets[:2])
    for column in texts[2:]:
        assert not any(negative == positive for negative, positive in zip(column, texts[1]))


def test_the_worlds_negatives_are_wrong_and_the_sample_of_a_seed_is_the_same(start):
    assert e5.false_negatives(e5.wrong_in_one_slot(start, Mining(1))) == 0
    samples = [e5.sampled_by_model(start, Mining(3, range_max=20)) for _ in range(2)]
    assert samples[0] == samples[1] != e5.by_model(start, Mining(3, range_max=20))


def test_every_variant_trains(start):
    """One step of each; the scores mean nothing."""
    for ablation in e5.ABLATIONS:
        for change, _ in [({}, None), *ablation.variants.values()]:
            settings = ablation.settings | change | dict(steps=1)
            settings["mining"] = settings["mining"]._replace(range_min=0, range_max=20,
                                                             relative_margin=None)
            assert np.isfinite(e5.measures(start, e5.trained(settings, start))).all()


def test_queries_stand_after_their_instructions_or_after_another():
    world = draw_instructions(seed=1, documents=8, queries=2)
    right, wrong = instructions.queries(world), instructions.with_wrong_instructions(world)
    texts = list(world.queries.values())
    assert right[:5] == [instruct(what) + text
                         for what, text in zip(INSTRUCTIONS.values(), texts)]
    assert wrong[0] == instruct(INSTRUCTIONS["place"]) + texts[0]
    assert all(a != b for a, b in zip(right, wrong))


def test_instructions_are_measured_with_their_baselines():
    """One step of each stage; the example has a ranking for each of two instructions."""
    tiny = dict(steps=1, batch_size=8, lr=1e-3)
    scores, example = instructions.measure(1, stages=(tiny, tiny), triplets=50)
    assert len(scores) == 8 and 50 < scores[instructions.CEILING] < 57
    assert [len(documents) for documents in example.values()] == [3, 3]
    first, second = example
    assert first.split(": ")[1] == second.split(": ")[1] and first != second


@pytest.mark.campaign
def test_instructions_give_a_query_other_documents():
    """Three seeds: nDCG@10 above 90, where a model blind to instructions has at most 57."""
    scores, _ = instructions.measure_all([1, 2, 3])
    assert scores["stage 2"].min() > 90 and scores["stage 2, another instruction"].max() < 30
    assert scores["stage 1, without instruction"].max() < scores[instructions.CEILING].max() + 3
    assert paired_difference(scores["stage 2"], scores[instructions.CEILING]).verdict == HELPS

"""why lora: what the tokenizers and settings do, tiny runs of every variant, and the claim."""
import numpy as np
import pytest

from scratch_embed.sentences.e5_mistral import end_token
from scratch_embed.transformer.lora import Lora
from scratch_embed.why import lora
from scratch_embed.worlds.training_pairs import ANSWER


@pytest.fixture(scope="module")
def start():
    """A small world, and a decoder after one step of pre-training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lora, "TRIPLETS", 40)
        patch.setitem(lora.PRETRAINING, "steps", 1)
        return lora.start(1, documents=60, sentences=60)


def test_the_queries_of_both_instructions_are_the_same(start):
    assert {*start.given} == {ANSWER, *start.world.instructions.values()}
    texts = list(start.world.queries.values())
    assert texts[::2] == texts[1::2]


def test_without_end_removes_the_end_token_and_nothing_else(start):
    tokenizer = start.pretrained.tokenizer
    ids = tokenizer.encode("the sailor").ids
    assert lora.without_end(tokenizer).encode("the sailor").ids.tolist() == ids[:-1].tolist()
    assert end_token(start.pretrained) == ids[-1]


def test_numbers_trained_by_hand(start):
    """r (I + O) for q (32, 32), k and v (16, 32), o, gate and up (64, 32), down; two layers."""
    by_hand = 2 * (64 + 2 * 48 + 64 + 3 * 96)
    assert lora.numbers_trained(start, Lora(1, 2.0)) == by_hand
    assert lora.numbers_trained(start, Lora(16, 32.0)) == 16 * by_hand
    assert lora.numbers_trained(start, None) == start.pretrained.model.p.flat.size


def test_every_variant_trains(start):
    """One step of each; the scores mean nothing."""
    seen = []
    for ablation in lora.ABLATIONS:
        for change, _ in [({}, None), *ablation.variants.values()]:
            settings = ablation.settings | change | dict(steps=1, batch_size=4)
            if settings in seen:
                continue
            seen.append(settings)
            scores = lora.measures(start, lora.trained(settings, start))
            assert scores.shape == (2,) and np.isfinite(scores).all()


def test_what_the_query_is_given_has_the_ceiling_and_the_baselines(start):
    found = lora.what_the_query_is_given(start, lora.BASE | dict(steps=1, batch_size=4))
    assert len(found) == 6 and 70 < found[lora.CEILING][0] < 90
    assert found["E5-Mistral"][0] != found["  another instruction"][0]
    assert np.isfinite(found["BM25, without instruction"]).all()


@pytest.mark.campaign
def test_lora_reads_the_instruction_and_needs_the_end_token():
    start = lora.start(1)
    found = lora.what_the_query_is_given(start)
    assert found["E5-Mistral"][0] > found[lora.CEILING][0] + 10
    assert found["  another instruction"][0] < found["  without instruction"][0] - 20
    without = lora.measures(start, lora.trained(lora.BASE | dict(used_with_end=False), start))
    assert without[0] < 30 and without[1] < found["E5-Mistral"][1] / 2

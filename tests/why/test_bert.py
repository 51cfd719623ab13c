"""Ablations of BERT: their settings, the held-out masked tokens, and the two numbers of a score."""
import inspect

import numpy as np
import pytest

from scratch_embed.nn.optim import Optim
from scratch_embed.transformer.bert import DECODER, Config
from scratch_embed.transformer.masked_lm import Masking, train
from scratch_embed.why.ablations import effect, measure_ablations
from scratch_embed.why.bert import ABLATIONS, BASE, OTHERS, measures, toy_text, trained, upper_bound
from scratch_embed.why.effects import HELPS


@pytest.fixture(scope="module")
def texts():
    return [toy_text(seed, sentences=40) for seed in (1, 2)]


def test_every_setting_is_one_of_the_training_the_model_or_the_masking():
    known = {*inspect.signature(train).parameters, *Config._fields, *Masking._fields, "tied",
             *Optim._fields}
    assert set(BASE) <= known


def test_the_shares_mask_the_number_of_tokens_in_the_variant_names(texts):
    """A sentence is [CLS], nine words and [SEP]; max(1, round(11 · share)) tokens are masked."""
    assert [max(1, round(11 * share)) for share in (0.15, 0.05, 0.3, 0.5)] == [2, 1, 3, 6]
    held_out = texts[0].held_out
    assert len(held_out.masked_positions) == 2 * (len(held_out.batch.offsets) - 1)
    masked = held_out.batch.ids[held_out.masked_positions]
    assert {texts[0].tokenizer.pieces[i] for i in masked} == {"[MASK]"}


def test_no_held_out_sentence_is_a_training_sentence(texts):
    text = texts[0]
    assert len(text.held_out.batch.offsets) - 1 == 10 and len(text.world.sentences) == 40
    filled = text.held_out.batch.ids.copy()
    filled[text.held_out.masked_positions] = text.held_out.targets
    rows = {tuple(row) for row in filled.reshape(-1, 11)}
    assert not rows & {tuple(row) for row in text.corpus.ids.reshape(-1, 11)}


def test_every_ablation_measures_the_accuracy_of_senses_and_the_loss(texts):
    short = [ablation._replace(settings=dict(ablation.settings, steps=1, batch_size=8))
             for ablation in ABLATIONS]
    measured = measure_ablations(short, texts, trained, score=measures)
    for ablation, effects in zip(ABLATIONS, measured, strict=True):
        assert [effect.variant for effect in effects] == list(ablation.variants)
        assert all(len(effect.others) == len(OTHERS) for effect in effects)


def test_an_untied_model_has_an_output_table_and_the_loss_starts_near_log_V(texts):
    settings = dict(BASE, steps=1, batch_size=8)
    assert DECODER not in trained(settings, texts[0]).p
    model = trained(dict(settings, tied=False), texts[0])
    assert DECODER in model.p
    accuracy, loss = measures(texts[0], model)
    assert 0 <= accuracy <= 100 and loss == pytest.approx(np.log(len(texts[0].tokenizer)), abs=0.3)
    assert 98 < upper_bound() < 100


def test_the_first_number_of_a_score_is_the_difference_and_the_others_are_kept():
    found = effect("x", np.array([[1.0, 2.0], [5, 9]]), np.array([[1.0, 1.0], [4, 8]]), HELPS)
    assert (found.with_it, found.without, found.difference.mean) == (1.5, 1.0, 0.5)
    assert found.others[0].mean == 1 and found.others[0].half == 0

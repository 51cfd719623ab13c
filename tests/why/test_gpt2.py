"""Ablations of GPT-2: the leak without a mask, the other layers, and what a score is."""
import numpy as np
import pytest

from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.text.packed import pack
from scratch_embed.transformer.causal_lm import causal_lm
from scratch_embed.transformer.causal_verdict import log_probabilities
from scratch_embed.transformer.gpt2 import Gpt2, decoder_layer
from scratch_embed.transformer.pooling import mean
from scratch_embed.why.ablations import measure_ablations
from scratch_embed.why.gpt2 import (
    ABLATIONS,
    BASE,
    OTHERS,
    Learned,
    Variant,
    beginnings,
    log_of_last,
    measures,
    new_model,
    pooled,
    post_norm_layer,
    toy_text,
    trained,
    unmasked_layer,
)
from tests.transformer.causal_parity import random_params

SMALL = dict(BASE, dim=8, ff=12, layers=1, steps=40, batch_size=8)


@pytest.fixture(scope="module")
def texts():
    return [toy_text(seed, sentences=60, pairs=24) for seed in (1, 2)]


def random_variant(**changes):
    start = new_model(SMALL | changes, 20, seed=1)
    return start.with_params(random_params(start.p.tensors))


BATCH = pack([[3, 1, 4, 1], [5, 9, 2], [6, 5]])


def test_the_base_is_gpt2():
    ours, plain = new_model(BASE, 20, 1), Gpt2(new_model(BASE, 20, 1).config, None)
    np.testing.assert_array_equal(plain.with_params(ours.p).infer(BATCH), ours.encode(BATCH)[0])
    assert BASE["layer"] is decoder_layer


@pytest.mark.parametrize("change", [{}, dict(layer=post_norm_layer), dict(layer=unmasked_layer),
                                    dict(tied=False)])
def test_the_gradient_of_each_variant_is_its_derivative(change):
    model = random_variant(layers=2, **change)
    check_loss(lambda p: causal_lm(BATCH, model.with_params(p)), model.p)


@pytest.mark.parametrize("layer, causal", [(decoder_layer, True), (post_norm_layer, True),
                                           (unmasked_layer, False)])
def test_only_without_the_mask_a_vector_depends_on_later_tokens(layer, causal):
    model = random_variant(layer=layer)
    x, y = (model.encode(pack([ids]))[0] for ids in ([1, 2, 3, 4], [1, 2, 3, 5]))
    assert (x[:3] == y[:3]).all() == causal


def test_the_variants_change_the_initial_weights_as_they_say():
    p, all_same, untied, without = (new_model(BASE | change, 50, 1).p for change in (
        {}, dict(scaled=False), dict(tied=False), dict(positions=False)))
    factor = (2 * BASE["layers"])**0.5
    np.testing.assert_allclose(all_same["layers.0.attn.o.weight"],
                               p["layers.0.attn.o.weight"] * factor, rtol=1e-6)
    assert set(untied) - set(p) == {"lm_head.weight"}
    assert without.frozen == ("embed.positions.weight",)
    assert not without["embed.positions.weight"].any()


def test_from_the_left_alone_a_causal_model_has_the_same_loss(texts):
    """For each token of a sequence its beginning is cut off after it."""
    text = texts[0]
    assert [list(part) for part in np.split(*(lambda b: (b.ids, b.offsets[1:-1]))(
        beginnings(pack([[5, 6, 7]]))))] == [[5, 6], [5, 6, 7]]
    model = new_model(SMALL, len(text.tokenizer), 1)
    np.testing.assert_allclose(log_of_last(model, beginnings(text.held_out)),
                               log_probabilities(model, text.held_out), atol=1e-5)


def test_without_the_mask_the_loss_of_training_falls_below_what_can_be_predicted(texts):
    """It sees the next token.  From the left alone it is worse than token frequencies."""
    model = trained(SMALL | dict(layer=unmasked_layer, dim=32, ff=64, steps=400, lr=3e-2), texts[0])
    score, as_trained, _ = measures(texts[0], model)
    assert as_trained < texts[0].bigrams - 0.5 and score < -20


def test_every_ablation_measures_three_numbers(texts):
    short = [ablation._replace(settings=dict(ablation.settings, steps=1, batch_size=8, dim=8,
                                             ff=12, layers=1))
             for ablation in ABLATIONS]
    for ablation, effects in zip(ABLATIONS, measure_ablations(short, texts, trained,
                                                              score=measures), strict=True):
        assert [effect.variant for effect in effects] == list(ablation.variants)
        assert all(len(effect.others) == len(OTHERS) for effect in effects)


def test_poolings_are_measured_on_the_trained_and_on_the_untrained_model(texts):
    learned = Learned(texts[0], trained(BASE | dict(steps=2), texts[0]))
    scores = {pooled(dict(pool=mean, is_trained=known), learned) for known in (True, False)}
    assert len(scores) == 2 and all(-100 <= score <= 100 for score in scores)
    assert isinstance(learned.model, Variant)

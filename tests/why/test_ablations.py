"""Every ablation changes a setting, predicts its effect, and is measured."""
import inspect

import pytest

from scratch_embed.why import bert, fasttext, glove, retrieval, simcse, word2vec
from scratch_embed.why.ablations import measure_ablations, toy_text
from scratch_embed.why.effects import HELPS, HURTS, NOT_SIGNIFICANT
from scratch_embed.words.word2vec import train

ABLATIONS = [pytest.param(ablation, id=f"{module.__name__.rpartition('.')[2]}: {ablation.name}")
             for module in (word2vec, glove, fasttext, bert, simcse, retrieval)
             for ablation in module.ABLATIONS + getattr(module, "HYBRID_ABLATIONS", [])]
DEFAULTS = {name: p.default for name, p in inspect.signature(train).parameters.items()}


@pytest.fixture(scope="module")
def texts():
    return [toy_text(seed, sentences=200) for seed in (1, 2)]


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_an_ablation_changes_a_setting_and_predicts_a_verdict(ablation):
    """word2vec's settings omit the defaults of `train`; the settings of the others are complete."""
    base = DEFAULTS | ablation.settings if ablation in word2vec.ABLATIONS else ablation.settings
    assert ablation.variants and ablation.prediction.endswith(".")
    for change, predicted in ablation.variants.values():
        assert set(change) <= set(base) and predicted in (HELPS, HURTS, NOT_SIGNIFICANT)
        assert any(base[name] != value for name, value in change.items())


@pytest.mark.campaign                      # tests/cli/test_why.py measures them, too
@pytest.mark.parametrize("method", [glove, fasttext])
def test_every_ablation_of_word_vectors_is_measured(method, texts):
    short = [ablation._replace(settings=dict(ablation.settings, epochs=1, dim=4))
             for ablation in method.ABLATIONS]
    measured = measure_ablations(short, texts, method.trained)
    for ablation, effects in zip(short, measured, strict=True):
        assert [effect.variant for effect in effects] == list(ablation.variants)
        assert all(0 <= effect.without <= 100 for effect in effects)


@pytest.mark.parametrize("method", [glove, fasttext])
def test_every_variant_changes_the_vectors(method, texts):
    for ablation in method.ABLATIONS:
        base = dict(ablation.settings, epochs=1, dim=4)
        complete = method.trained(base, texts[0])
        for variant, (change, _) in ablation.variants.items():
            vectors = method.trained(base | change, texts[0])
            assert vectors.shape == complete.shape and (vectors != complete).any(), variant

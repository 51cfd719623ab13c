"""Every trick of every method changes something, says what will come of it, and is measured."""
import inspect

import pytest

from scratch_embed.why import bert, fasttext, glove, retrieval, simcse, word2vec
from scratch_embed.why.effects import HELPS, HURTS, UNCLEAR
from scratch_embed.why.tricks import measure_tricks, toy_text
from scratch_embed.words.word2vec import train

TRICKS = [pytest.param(trick, id=f"{module.__name__.rpartition('.')[2]}: {trick.name}")
          for module in (word2vec, glove, fasttext, bert, simcse, retrieval)
          for trick in module.TRICKS + getattr(module, "HYBRIDS", [])]
DEFAULTS = {name: one.default for name, one in inspect.signature(train).parameters.items()}


@pytest.fixture(scope="module")
def texts():
    return [toy_text(seed, sentences=200) for seed in (1, 2)]


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_changes_a_setting_and_predicts_a_verdict(trick):
    """word2vec's settings are those that differ from the defaults; all others' are complete."""
    usual = DEFAULTS | trick.settings if trick in word2vec.TRICKS else trick.settings
    assert trick.without and trick.prediction.endswith(".")
    for change, predicted in trick.without.values():
        assert set(change) <= set(usual) and predicted in (HELPS, HURTS, UNCLEAR)
        assert any(usual[name] != value for name, value in change.items())


@pytest.mark.parametrize("method", [glove, fasttext])
def test_every_trick_of_word_vectors_is_measured(method, texts):
    short = [trick._replace(settings=dict(trick.settings, epochs=1, dim=4))
             for trick in method.TRICKS]
    for trick, effects in zip(short, measure_tricks(short, texts, method.trained), strict=True):
        assert [effect.instead for effect in effects] == list(trick.without)
        assert all(0 <= effect.without <= 100 for effect in effects)


@pytest.mark.parametrize("method", [glove, fasttext])
def test_every_change_changes_the_vectors(method, texts):
    """But for GloVe's x_max and alpha where all counts are beyond them, which no text's are."""
    for trick in method.TRICKS:
        base = dict(trick.settings, epochs=1, dim=4)
        start = method.trained(base, texts[0])
        for instead, (change, _) in trick.without.items():
            other = method.trained(base | change, texts[0])
            assert other.shape == start.shape and (other != start).any(), instead

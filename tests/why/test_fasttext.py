"""Every trick of FastText runs; collisions are counted."""
import pytest

from scratch_embed.text.vocab import Vocab
from scratch_embed.why.effects import HELPS, HURTS, UNCLEAR
from scratch_embed.why.fasttext import FASTTEXT, TRICKS, collisions, trained
from scratch_embed.why.tricks import measure_tricks, toy_text
from scratch_embed.words.subwords import ngram_row


@pytest.fixture(scope="module")
def texts():
    return [toy_text(seed, sentences=200) for seed in (1, 2)]


def test_every_trick_changes_a_setting_and_predicts_a_verdict():
    for trick in TRICKS:
        assert trick.without and trick.prediction.endswith(".")
        for change, predicted in trick.without.values():
            assert set(change) <= set(FASTTEXT) and predicted in (HELPS, HURTS, UNCLEAR)
            assert any(trick.settings[name] != value for name, value in change.items())


def test_every_trick_is_measured(texts):
    short = [trick._replace(settings=dict(trick.settings, epochs=1, dim=4)) for trick in TRICKS]
    for trick, effects in zip(TRICKS, measure_tricks(short, texts, trained), strict=True):
        assert [effect.instead for effect in effects] == list(trick.without)
        assert all(0 <= effect.without <= 100 for effect in effects)


def test_every_change_changes_the_vectors(texts):
    base = dict(FASTTEXT, epochs=1, dim=4)
    start = trained(base, texts[0])
    for trick in TRICKS:
        for instead, (change, _) in trick.without.items():
            other = trained(base | change, texts[0])
            assert other.shape == start.shape and (other != start).any(), instead


def test_collisions_by_hand():
    """ab and b have <ab, ab> and <b>, no two alike; in one bucket all three meet, and in two
    at least two of them do.
    """
    vocab = Vocab(["ab", "b"], [1, 1])
    assert collisions(vocab, 1, 3, 3) == (3, 1, 1.0)
    rows = [ngram_row(ngram, 0, 2) for ngram in ("<ab", "ab>", "<b>")]
    assert collisions(vocab, 2, 3, 3) == (3, len(set(rows)), max(map(rows.count, rows)) / 3)
    assert collisions(vocab, 2_000_000, 3, 3) == (3, 3, 0.0)

"""SimCSE's tricks run on one masked LM a seed, and its measures are what they say."""
import inspect

import numpy as np
import pytest

from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import simcse
from scratch_embed.why.sentences import (
    SIMCSE,
    Worth,
    by_model,
    contrasted,
    different,
    pretrain,
    untrained,
    worth,
)
from scratch_embed.why.simcse import (
    BASE,
    OTHERS,
    TRICKS,
    answered,
    contradicted,
    numbers,
    trained,
    twice,
    untouched,
)
from scratch_embed.why.simcse_tour import AFTER, BEFORE, compare
from scratch_embed.why.tricks import measure_tricks
from scratch_embed.worlds.facts import NAMES, SLOTS


@pytest.fixture(scope="module")
def encoder():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scratch_embed.why.sentences.PAIRS", 60)
        return pretrain(1, documents=60, sentences=150, steps=20)


@pytest.fixture(autouse=True)
def few_labels(monkeypatch):
    monkeypatch.setattr("scratch_embed.why.simcse.SUPERVISED", 100)


def fact_of(text):
    """{slot: value} that the words of a text name."""
    return {(slot, value) for slot in NAMES for value, words in enumerate(SLOTS[slot])
            for word in words.split() if word in text.split()}


def texts_of(encoder, view):
    pieces = encoder.tokenizer.pieces
    return [" ".join(pieces[i] for i in view.ids[a + 1:b - 1])
            for a, b in zip(view.offsets, view.offsets[1:])]


def test_the_settings_are_those_of_train():
    known = {*inspect.signature(simcse.train).parameters, *Optim._fields} - {"views"}
    assert set(SIMCSE) <= known and set(BASE) <= known | {"views", "keep_head"}


def test_an_encoder_that_knows_the_slots_is_worth_all_that_there_is(encoder):
    """One axis a value; sentences of the same fact are one vector."""
    places = [(slot, value) for slot in NAMES for value in range(8)]

    def slots(texts):
        return np.array([[place in fact_of(text) for place in places] for text in texts], float)
    best = worth(encoder, slots)
    assert best.ndcg == pytest.approx(100) and best.sts == pytest.approx(100)
    assert best.alignment == pytest.approx(0, abs=1e-12) and best.uniformity < -1

    def alike(texts):
        return np.ones((len(texts), 2))
    flat = worth(encoder, alike)
    assert flat.ndcg < 40 and flat.uniformity == flat.alignment == 0
    assert flat.cosine == pytest.approx(1)


def test_hard_negatives_are_wrong_in_one_slot_that_was_asked(encoder):
    questions, reports, wrong = (texts_of(encoder, view) for view in contradicted(encoder))
    assert len(questions) == len(reports) == len(wrong) > 50
    assert not set(questions) & set(encoder.search.queries.values())
    for asked, right, other in zip(questions, reports, wrong):
        asked, right, other = map(fact_of, (asked, right, other))
        assert len(asked) == 3 and len(right) == len(other) == 5
        assert asked <= right and len(right & other) == 4 and len(asked & other) == 2
    assert len(answered(encoder)) == 2 and len(twice(encoder)) == 1


def test_no_sentence_is_seen_twice_in_an_epoch(encoder):
    texts = texts_of(encoder, different(encoder.text))
    assert len(set(texts)) == len(texts) and set(texts) == set(texts_of(encoder, encoder.text))


def test_without_a_head_there_is_none_and_the_encoder_is_as_it_was(encoder):
    before = encoder.model.p.flat.copy()
    bare = contrasted(encoder, steps=2, batch_size=8, headless=True).model
    topped = contrasted(encoder, steps=2, batch_size=8).model
    assert not [name for name in bare.p if name.startswith(("head.", "mlm.", "next_sentence."))]
    assert set(topped.p) - set(bare.p) == {"head.weight", "head.bias"}
    np.testing.assert_array_equal(encoder.model.p.flat, before)
    kept = by_model(encoder, topped, keep_head=True)(["the sailor found the lamp"])
    assert np.abs(kept).max() <= 1


@pytest.mark.parametrize("tricks", [TRICKS[2:4], pytest.param(TRICKS, marks=pytest.mark.campaign)])
def test_every_trick_is_measured_with_all_its_numbers(encoder, tricks):
    short = [trick._replace(settings=dict(trick.settings, steps=1, batch_size=8), without={
        instead: (change, predicted) for instead, (change, predicted) in trick.without.items()
        if "steps" not in change}) for trick in tricks]
    other = encoder._replace(seed=2)
    for trick, effects in zip(short, measure_tricks(short, [encoder, other], trained,
                                                     score=numbers), strict=True):
        assert [effect.instead for effect in effects] == list(trick.without)
        assert all(len(effect.others) == len(OTHERS) for effect in effects)
    np.testing.assert_array_equal(numbers(encoder, untouched(encoder)),
                                  worth(encoder, by_model(encoder, encoder.model))[:4])


def test_the_tour_sets_before_and_after_beside_what_knows_nothing(encoder):
    rows = compare(encoder, steps=2, batch_size=8)
    assert {BEFORE, AFTER, "untrained, mean", "word2vec, SIF", "BM25"} < set(rows)
    assert all(row.shape == (len(Worth._fields),) for row in rows.values())
    first = worth(encoder, by_model(encoder, untrained(encoder)))
    np.testing.assert_allclose(rows["untrained, mean"], first, rtol=1e-6)
    assert np.isnan(rows["BM25"][1:]).all() and rows["BM25"][0] > 0

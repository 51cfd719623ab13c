"""SimCSE's ablations: the scores, the training views, and the baselines of the tour."""
import inspect

import numpy as np
import pytest

from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import simcse
from scratch_embed.why.ablations import measure_ablations
from scratch_embed.why.sentences import (
    SIMCSE,
    Scores,
    encode_by,
    pretrain,
    score,
    train_simcse,
    unique_sentences,
    untrained,
)
from scratch_embed.why.simcse import (
    ABLATIONS,
    BASE,
    OTHERS,
    measures,
    positives,
    same_text,
    trained,
    with_hard_negatives,
    without_simcse,
)
from scratch_embed.why.simcse_tour import AFTER, BEFORE, compare
from scratch_embed.worlds.facts import NAMES, SLOTS


@pytest.fixture(scope="module")
def experiment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scratch_embed.why.sentences.PAIRS", 60)
        return pretrain(1, documents=60, sentences=150, steps=20)


@pytest.fixture(autouse=True)
def few_labels(monkeypatch):
    monkeypatch.setattr("scratch_embed.why.simcse.SUPERVISED", 100)


def fact_of(text):
    """{(slot, value)} that the words of a text name."""
    return {(slot, value) for slot in NAMES for value, words in enumerate(SLOTS[slot])
            for word in words.split() if word in text.split()}


def texts_of(experiment, view):
    """The texts of a packed view, without [CLS] and [SEP]."""
    pieces = experiment.tokenizer.pieces
    return [" ".join(pieces[i] for i in view.ids[a + 1:b - 1])
            for a, b in zip(view.offsets, view.offsets[1:])]


def test_every_setting_is_an_argument_of_train_or_of_the_ablations():
    known = {*inspect.signature(simcse.train).parameters, *Optim._fields} - {"views"}
    assert set(SIMCSE) <= known and set(BASE) <= known | {"views", "keep_head"}


def test_an_encoder_that_knows_the_slots_has_perfect_scores(experiment):
    """Its vectors have one dimension for each value; texts of the same fact have one vector."""
    values = [(slot, value) for slot in NAMES for value in range(8)]

    def slots(texts):
        return np.array([[pair in fact_of(text) for pair in values] for text in texts], float)
    best = score(experiment, slots)
    assert best.ndcg == pytest.approx(100) and best.sts == pytest.approx(100)
    assert best.alignment == pytest.approx(0, abs=1e-12) and best.uniformity < -1

    def constant(texts):
        return np.ones((len(texts), 2))
    worst = score(experiment, constant)
    assert worst.ndcg < 40 and worst.uniformity == worst.alignment == 0
    assert worst.cosine == pytest.approx(1)


def test_hard_negatives_are_wrong_in_one_slot_of_the_query(experiment):
    questions, reports, wrong = (texts_of(experiment, view)
                                 for view in with_hard_negatives(experiment))
    assert len(questions) == len(reports) == len(wrong) > 50
    assert not set(questions) & set(experiment.search.queries.values())
    for texts in zip(questions, reports, wrong):
        query, relevant, negative = map(fact_of, texts)
        assert len(query) == 3 and len(relevant) == len(negative) == 5
        assert query <= relevant and len(relevant & negative) == 4 and len(query & negative) == 2
    assert len(positives(experiment)) == 2 and len(same_text(experiment)) == 1


def test_unique_sentences_are_all_sentences_without_duplicates(experiment):
    unique = texts_of(experiment, unique_sentences(experiment.text))
    assert len(set(unique)) == len(unique)
    assert set(unique) == set(texts_of(experiment, experiment.text))


def test_with_head_adds_a_head_and_training_does_not_change_the_masked_LM(experiment):
    before = experiment.model.p.flat.copy()
    headless = train_simcse(experiment, steps=2, batch_size=8, with_head=False).model
    with_head = train_simcse(experiment, steps=2, batch_size=8).model
    assert not [name for name in headless.p if name.startswith(("head.", "mlm.", "next_sentence."))]
    assert set(with_head.p) - set(headless.p) == {"head.weight", "head.bias"}
    np.testing.assert_array_equal(experiment.model.p.flat, before)
    x = encode_by(experiment, with_head, keep_head=True)(["the sailor found the lamp"])
    assert np.abs(x).max() <= 1                                    # the head ends in tanh


@pytest.mark.parametrize("ablations", [
    ABLATIONS[2:4], pytest.param(ABLATIONS, marks=pytest.mark.campaign)])
def test_every_ablation_is_measured_with_all_its_numbers(experiment, ablations):
    short = [ablation._replace(settings=dict(ablation.settings, steps=1, batch_size=8), variants={
        variant: (change, predicted) for variant, (change, predicted) in ablation.variants.items()
        if "steps" not in change}) for ablation in ablations]
    other = experiment._replace(seed=2)
    measured = measure_ablations(short, [experiment, other], trained, score=measures)
    for ablation, effects in zip(short, measured, strict=True):
        assert [effect.variant for effect in effects] == list(ablation.variants)
        assert all(len(effect.others) == len(OTHERS) for effect in effects)
    np.testing.assert_array_equal(measures(experiment, without_simcse(experiment)),
                                  score(experiment, encode_by(experiment, experiment.model))[:4])


def test_the_tours_table_has_SimCSE_the_masked_LM_and_the_baselines(experiment):
    rows = compare(experiment, steps=2, batch_size=8)
    assert {BEFORE, AFTER, "untrained, mean", "word2vec, SIF", "BM25"} < set(rows)
    assert all(row.shape == (len(Scores._fields),) for row in rows.values())
    first = score(experiment, encode_by(experiment, untrained(experiment)))
    np.testing.assert_allclose(rows["untrained, mean"], first, rtol=1e-6)
    assert np.isnan(rows["BM25"][1:]).all() and rows["BM25"][0] > 0

"""Sentence-BERT's ablations: what they train on, the mask of right answers, the head."""
import inspect

import numpy as np
import pytest

from scratch_embed.losses.infonce import infonce
from scratch_embed.nn.optim import Optim
from scratch_embed.sentences import sbert
from scratch_embed.why.ablations import measure_ablations
from scratch_embed.why.generalisation import (
    LANGUAGE_PARTS,
    WORD_PARTS,
    search_across_languages,
    search_coded,
    search_new_words,
)
from scratch_embed.why.learned import from_masked_lm, from_word_vectors, start, train_bi_encoder
from scratch_embed.why.plateau import STARTS, loss_curve
from scratch_embed.why.sbert import (
    ABLATIONS,
    BASE,
    FEW,
    MASKED,
    MEMORISING,
    NO_DROPOUT,
    by_truth,
    measures,
    pairs,
    trained,
    with_head,
    with_truth,
    without_head,
)
from scratch_embed.why.sentences import draw
from scratch_embed.worlds.facts import SLOTS

ALL = [*ABLATIONS, *MEMORISING]


@pytest.fixture(scope="module")
def world():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scratch_embed.why.sentences.PAIRS", 60)
        return draw(1, documents=60, sentences=150)


@pytest.fixture
def few_pairs(monkeypatch):
    for name in ("sbert", "learned", "generalisation"):
        monkeypatch.setattr(f"scratch_embed.why.{name}.LABELLED", 40)


def words_of(slot):
    return [set(words.split()) for words in SLOTS[slot]]


def test_every_setting_is_an_argument_of_the_training_or_of_the_ablations():
    known = {*inspect.signature(sbert.train).parameters, *Optim._fields}
    assert set(BASE) <= known | {"data", "start", "loss", "keep_head"}
    for ablation in ALL:
        assert all(set(change) <= set(BASE) for change, _ in ablation.variants.values())


def test_the_mask_of_right_answers_holds_the_labelled_ones_and_others(world):
    """Known truth: a report that has, for each slot of the query, a word of the same value."""
    (queries, reports), targets = with_truth(world, 80)
    mask = by_truth([], targets)

    def says(text, value):
        return bool(set(text.split()) & value)
    expected = [[all(says(report, value) for slot in SLOTS for value in words_of(slot)
                     if says(query, value)) for report in reports] for query in queries]
    np.testing.assert_array_equal(mask, expected)
    assert mask.diagonal().all() and mask.sum() > len(mask)


def test_a_masked_right_answer_is_no_negative(world):
    """With the mask, a batch in which all are right answers has loss 0."""
    targets = np.zeros((4, 2, 5), int)
    x = np.random.default_rng(0).standard_normal((4, 3))
    assert MASKED.loss([x, -x], targets, None)[0] == pytest.approx(0)
    assert infonce(x, -x)[0] > 1


def test_the_head_is_trained_and_can_be_removed(world):
    before = with_head(world)
    assert len(before.recipe.dense) == 1 and without_head(before).recipe == start(world).recipe
    np.testing.assert_array_equal(without_head(before).encode(["find the sailor"]),
                                  start(world).encode(["find the sailor"]))


@pytest.mark.parametrize("ablations", [
    ABLATIONS[9:] + MEMORISING[2:3], pytest.param(ALL, marks=pytest.mark.campaign)])
def test_every_ablation_is_measured(world, few_pairs, ablations):
    short = [ablation._replace(settings=dict(ablation.settings, steps=1, batch_size=8), variants={
        variant: (change, predicted) for variant, (change, predicted) in ablation.variants.items()
        if not {"steps", "batch_size"} & set(change)}) for ablation in ablations]
    worlds = [world, world._replace(seed=2)]
    for ablation, effects in zip(short, measure_ablations(short, worlds, trained, score=measures),
                                 strict=True):
        assert [effect.variant for effect in effects] == list(ablation.variants)
        assert all(len(effect.others) == 1 for effect in effects)


@pytest.mark.campaign
def test_false_negatives_are_what_is_memorised():
    """The claim of section 4, one seed: 500 pairs, no dropout."""
    world = draw(1)
    score = {name: measures(world, trained(settings, world))[0] for name, settings in (
        ("memorised", NO_DROPOUT), ("longer", dict(NO_DROPOUT, steps=3 * NO_DROPOUT["steps"])),
        ("masked", dict(NO_DROPOUT, data=lambda encoder: with_truth(encoder, FEW), loss=MASKED)),
        ("new", dict(NO_DROPOUT, data=lambda encoder: pairs(encoder, 128 * NO_DROPOUT["steps"]))))}
    assert score["longer"] < score["memorised"] < min(score["masked"], score["new"]) - 5


# ---- what the pairs do not cover -----------------------------------------------------------------

def test_new_words_are_scored_beside_baselines_that_need_no_pairs(world, few_pairs):
    scores = search_new_words(world, steps=1)
    assert list(scores) == ["BM25", "word2vec, SIF", "from initial weights", "from the masked LM",
                            "from word vectors", "no word held out"]
    for row in scores.values():
        assert row.shape == (len(WORD_PARTS),)
        assert row[:2].min() <= row[2] <= row[:2].max()              # a mean of the two


def test_BM25_finds_codes_and_a_constant_encoder_none(world):
    scores = search_coded(world, lambda texts: np.ones((len(texts), 2)))
    assert scores["BM25"][0] == 100 and scores["bi-encoder"][0] < 30
    for row in scores.values():
        np.testing.assert_allclose(row[:2].mean(), row[2], rtol=1e-12)       # half of each


def test_languages_are_scored_by_what_they_are_trained_on():
    scores = search_across_languages(1, documents=40, labelled=40, steps=1)
    assert list(scores) == ["untrained", "pairs in English", "translations", "both",
                            "both, the cipher undone"]
    assert all(row.shape == (len(LANGUAGE_PARTS),) for row in scores.values())
    undone = scores["both, the cipher undone"]
    assert undone[1] == undone[2] == scores["both"][2]


@pytest.mark.campaign
def test_translations_of_other_sentences_are_enough_to_search_across_languages():
    scores = search_across_languages(1)
    assert scores["untrained"][0] < 5 and scores["translations"][0] > 95
    assert scores["both"][1] > 85 and max(scores["pairs in English"][1],
                                          scores["translations"][1]) < 40


@pytest.mark.campaign
def test_the_claims_on_facts_hold_for_three_seeds():
    from scratch_embed.why.learned import ndcgs
    for seed in (1, 2, 3):
        world = draw(seed)
        scores = ndcgs(world, {"bi-encoder": train_bi_encoder(world).encode})
        assert scores["bi-encoder"] >= 98 and scores["word2vec, SIF"] < 96
        assert scores["BM25"] < 60 and scores["untrained"] < 20


# ---- the plateau ---------------------------------------------------------------------------------

def test_equal_vectors_have_loss_log_N_and_no_gradient():
    x = np.ones((8, 3))
    loss, backward = infonce(x, x)
    assert loss == pytest.approx(np.log(8)) and abs(backward()[0]).max() < 1e-12


def test_a_loss_curve_has_the_losses_of_the_training(world, few_pairs, monkeypatch):
    monkeypatch.setattr("scratch_embed.why.plateau.LABELLED", 40)
    found = loss_curve(world, start(world), steps=4)
    assert found.first > 0 and np.isfinite(found).all()
    for make in (from_masked_lm, from_word_vectors, *(make for make, _ in STARTS.values())):
        assert make(world).dim == start(world).dim

"""Ablations of word2vec: variants of equal cost, paired effects, workers, the closed form."""
import numpy as np
import pytest

from scratch_embed.evaluate.words import score_analogies
from scratch_embed.why.ablations import (
    Ablation,
    measure,
    measure_ablations,
    not_distinguished,
    toy_text,
)
from scratch_embed.why.effects import HURTS, paired_difference
from scratch_embed.why.word2vec import ABLATIONS, METHODS, SKIPGRAM, closed_form, trained
from scratch_embed.words.plan import Details


@pytest.fixture(scope="module")
def texts():
    return [toy_text(seed, sentences=300) for seed in (1, 2)]


def test_variants_with_as_many_pairs_or_targets_have_about_the_same_cost():
    """A pair has K + 1 targets.

    A position has 2 · window pairs if the window is fixed, else window + 1 on average.
    """
    def cost(settings):
        fixed = settings.get("details", Details()).fixed_window
        mean_window = settings["window"] if fixed else (settings["window"] + 1) / 2
        return settings["epochs"] * 2 * mean_window * (settings["negatives"] + 1)
    ratios = [cost(ablation.settings | change) / cost(ablation.settings) for ablation in ABLATIONS
              for variant, (change, _) in ablation.variants.items()
              if "as many" in variant or variant == "always 3"]
    assert ratios == pytest.approx([1] * 5, abs=0.07)


@pytest.mark.campaign                      # tests/cli/test_why.py measures them, too
def test_every_ablation_is_measured_and_the_difference_is_with_minus_without(texts):
    short = [ablation._replace(settings=dict(ablation.settings, epochs=1, dim=4))
             for ablation in ABLATIONS]
    for ablation, effects in zip(ABLATIONS, measure_ablations(short, texts, trained), strict=True):
        assert [effect.variant for effect in effects] == list(ablation.variants)
        for effect in effects:
            assert 0 <= effect.without <= 100
            assert effect.difference.mean == pytest.approx(effect.with_it - effect.without,
                                                           abs=1e-12)


def test_an_effect_is_the_paired_difference_of_two_measurements(texts):
    """Trained for 20 epochs, so that the scores differ."""
    settings = dict(SKIPGRAM, epochs=20)
    ablation = Ablation("K", "more.", settings, {"1": (dict(negatives=1), HURTS)})
    [[effect]] = measure_ablations([ablation], texts, trained)
    by_hand = [[100 * score_analogies(text.vocab.index, trained(dict(settings, negatives=K), text),
                                      text.sections).overall.accuracy for text in texts]
               for K in (5, 1)]
    assert effect.with_it == np.mean(by_hand[0]) and effect.without == np.mean(by_hand[1])
    assert effect.difference == paired_difference(*by_hand)
    assert by_hand[0] != by_hand[1] and effect.predicted == HURTS


def test_one_and_two_workers_give_the_same_scores(texts):
    methods = list(METHODS.values())
    np.testing.assert_array_equal(measure(methods, texts, workers=2),
                                  measure(methods, texts, workers=1))


def test_a_seed_determines_the_text_and_the_initial_weights(texts):
    """PPMI with SVD has no initial weights."""
    first, second = texts
    assert not np.array_equal(first.corpus.ids, second.corpus.ids)
    for name, method in METHODS.items():
        assert method(first).shape == (len(first.vocab), SKIPGRAM["dim"]), name
        reseeded = method(first._replace(seed=2))
        assert np.array_equal(method(first), reseeded) == (name == "counted: PPMI and SVD")


def test_each_method_lists_the_methods_from_which_it_does_not_differ_significantly():
    """The first two differ by 1, −1, 1; the third is 10 above the first in every seed."""
    assert not_distinguished([[1, 2, 3], [2, 1, 4], [11, 12, 13]]) == [[1], [0], []]


def test_sgns_optimum_fits_trained_vectors_better_than_shifted_pmi():
    """word2vec skips negatives that equal the output word; only sgns_optimum accounts for it."""
    exact, plain = closed_form("tiny", seed=4, sentences=10_000)
    assert exact.correlation > plain.correlation > 0.95 and exact.rms_error < 0.8 * plain.rms_error


def test_in_the_hard_world_the_closed_form_holds_for_frequent_pairs():
    """Three seeds: correlations of 0.932 to 0.938 for these pairs, 0.80 to 0.81 for all pairs."""
    exact, plain = closed_form("hard", seed=4, sentences=10_000)
    assert exact.often > 0.9 and exact.often > exact.correlation > 0.7
    assert exact.correlation > plain.correlation and exact.rms_error < plain.rms_error

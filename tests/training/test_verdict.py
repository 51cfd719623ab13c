"""Verdicts on losses: worked by hand; significant differences only; the sentence for each case."""
import numpy as np
import pytest

from scratch_embed.training.batches import batches, unused
from scratch_embed.training.verdict import GROUPS, Verdict, compare, sample_groups

RNG = np.random.default_rng(0)


def test_means_and_the_error_of_the_gain_by_hand():
    """Groups of 1 and 3 examples gain 1 and 5, a mean of 6/4; residuals 1 − 1.5 and 5 − 4.5."""
    found = compare(np.array([1.0, 4.0]), np.array([2.0, 9.0]), np.array([4.0, 12.0]),
                    np.array([1, 3]))
    assert found[:3] == (5 / 4, 11 / 4, 4.0) and found.examples == 4
    assert found.error == pytest.approx(np.sqrt(2 / 1 * (0.5**2 + 0.5**2)) / 4)
    assert found.change == pytest.approx(np.sqrt(2 / 1 * (0.25**2 + 0.25**2)) / 4)   # 3 and 8, 11/4


def test_the_error_is_that_of_repeated_samples():
    """The error is the standard deviation of the gain over 2,000 samples of 50 unequal groups."""
    def sample():
        counts = RNG.integers(1, 20, 50)
        gains = 0.3 * counts + RNG.standard_normal(50) * np.sqrt(counts)
        return compare(np.zeros(50), gains, np.zeros(50), counts)
    found = [sample() for _ in range(2000)]
    spread = np.std([v.baseline - v.trained for v in found])
    assert np.mean([v.error for v in found]) == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("counts", [[], [5], [0, 0]])
def test_too_few_groups_or_no_examples_never_count_as_learned(counts):
    n = len(counts)
    found = compare(np.zeros(n), np.full(n, 99.0), np.full(n, 99.0), np.array(counts, int))
    assert not found.learned and found.error == np.inf


@pytest.mark.parametrize("trained, error, words", [
    (1.5, 0.01, "verdict: better than noise (loss 1.500 against 2.000)"),
    (1.9, 0.01, "verdict: only a little better than noise (loss 1.900 against 2.000): rest"),
    (1.99, 0.0, "verdict: no better than noise (loss 1.990 against 2.000): rest"),
    (1.7, 0.11, "verdict: no better than noise (loss 1.700 against 2.000): rest"),
    (2.5, 0.01, "verdict: no better than noise (loss 2.500 against 2.000): rest"),
    (3.1, 0.01, "verdict: worse than before training (loss 3.100 against 3.000): train with a "
                "smaller --lr")])
def test_the_sentence_says_how_much_was_learned(trained, error, words):
    assert Verdict(trained, 2.0, 3.0, error, 100).sentence("noise", "rest") == words


@pytest.mark.parametrize("trained, change, worse", [(0.694, 1e-9, False), (0.8, 0.05, False),
                                                    (0.8, 0.01, True)])
def test_worse_than_before_training_is_a_significant_difference_of_more_than_1_percent(
        trained, change, worse):
    found = Verdict(trained, 0.693, 0.693, 0.01, 100, change)
    how = "worse than before training" if worse else "no better than noise"
    assert found.worse == worse and found.sentence("noise", "rest").startswith(f"verdict: {how} (")


def test_a_sample_has_about_the_requested_number_of_words_and_no_sentence_twice():
    offsets = np.concatenate([[0], np.cumsum(RNG.integers(1, 30, 1000))])
    groups = sample_groups(offsets, 2000, seed=1)
    chosen = np.concatenate(groups)
    assert len(groups) == GROUPS and len(set(chosen.tolist())) == len(chosen)
    assert 2000 <= np.diff(offsets)[chosen].sum() < 2030
    assert sum(map(len, sample_groups(offsets, 1e9, seed=1))) == 1000
    assert [group.tolist() for group in sample_groups(np.array([0, 3]), 1, 1)] == [[0]]


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 5, 9])
def test_unused_examples_are_those_that_no_batch_has(steps):
    used = {n for _, numbers in batches(23, 5, steps, seed=3) for n in numbers.tolist()}
    assert unused(23, 5, steps, seed=3).tolist() == sorted(set(range(23)) - used)

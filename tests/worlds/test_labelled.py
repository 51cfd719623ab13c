"""The toy world of reviews: all texts are enumerated, so the best accuracy is known exactly."""
from collections import Counter, defaultdict

import numpy as np
import pytest

from scratch_embed.worlds.labelled import LABELS, TOPICS, reviews, texts, upper_bound, write


def best_accuracy(features, noise, by_order):
    """The accuracy of the Bayes classifier that sees features(words), over all reviews."""
    probability = defaultdict(lambda: np.zeros(len(LABELS)))
    for p, text in texts(by_order):
        is_true = np.arange(len(LABELS)) == LABELS.index(text.label)
        probability[features(text.words)] += p * np.where(is_true, 1 - noise,
                                                            noise / (len(LABELS) - 1))
    return sum(p.max() for p in probability.values())


def bag(words):
    return tuple(sorted(words.split()))


@pytest.mark.parametrize("noise, by_order", [(0.05, 0.5), (0, 1), (0.3, 0.2), (0.875, 0.5)])
def test_the_upper_bounds_are_the_accuracies_of_the_bayes_classifiers(noise, by_order):
    assert best_accuracy(str, noise, by_order) == pytest.approx(
        upper_bound(noise, by_order), abs=1e-12)
    assert best_accuracy(bag, noise, by_order) == pytest.approx(
        upper_bound(noise, by_order, sees_order=False), abs=1e-12)


def test_the_upper_bounds_by_hand():
    assert upper_bound() == 0.95
    assert upper_bound(sees_order=False) == pytest.approx(0.5 * 0.95 + 0.5 * (0.475 + 0.05 / 14))
    assert upper_bound(0, 1, sees_order=False) == 0.5


def test_every_review_is_listed_once_and_the_probabilities_sum_to_1():
    listed = list(texts())
    assert len({text.words for _, text in listed}) == len(listed) == 11_520
    assert sum(p for p, _ in listed) == pytest.approx(1, abs=1e-12)
    topics = Counter()
    for p, text in listed:
        topics[text.label.split("-")[0]] += p
    assert topics == pytest.approx({topic: row[0] for topic, row in TOPICS.items()})


def test_a_verdict_by_order_and_its_opposite_have_the_same_bag_of_words():
    verdicts = defaultdict(list)
    for p, text in texts():
        if text.by_order:
            verdicts[bag(text.words)].append((text.label, p))
    for pair in verdicts.values():
        (first, p), (second, q) = pair
        assert first.split("-")[0] == second.split("-")[0] and first != second
        assert p == pytest.approx(q)


def test_a_sample_has_the_stated_probabilities_and_wrong_labels_are_uniform():
    sample = reviews(3, 20_000, noise=0.2)
    labels = [line.split()[0].removeprefix("__label__") for line in sample.lines]
    changed = np.mean([label != true for label, true in zip(labels, sample.true_labels)])
    assert abs(changed - 0.2) < 6 * np.sqrt(0.2 * 0.8 / 20_000)
    assert abs(np.mean(sample.by_order) - 0.5) < 6 * np.sqrt(0.25 / 20_000)
    count = Counter(sample.true_labels)
    wrong = Counter(label for label, true in zip(labels, sample.true_labels) if label != true)
    for label in LABELS:
        p = TOPICS[label.split("-")[0]][0] / 2
        assert abs(count[label] / 20_000 - p) < 6 * np.sqrt(p / 20_000)
        q = 0.2 * (1 - p) / 7                                    # from any of the 7 other labels
        assert abs(wrong[label] / 20_000 - q) < 6 * np.sqrt(q / 20_000)


def test_the_reviews_depend_on_their_seed_and_not_on_the_global_generator():
    np.random.seed(1)
    first = reviews(3, 50)
    np.random.seed(2)
    assert reviews(3, 50) == first != reviews(4, 50)


def test_two_labels_are_the_two_parts_of_the_single_label():
    single, double = reviews(5, 30), reviews(5, 30, two_labels=True)
    assert single.true_labels == double.true_labels
    for line, two_labels in zip(single.lines, double.lines):
        label, *words = line.split()
        assert two_labels.split() == [*label.replace("-", " __label__").split(), *words]


def test_the_written_files_are_two_parts_of_one_sample(tmp_path):
    write(tmp_path, seed=7)
    parts = [(tmp_path / f"labelled-{part}.txt").read_bytes() for part in ("train", "test")]
    assert [part.count(b"\n") for part in parts] == [1500, 400]
    assert b"".join(parts).decode().splitlines() == reviews(7, 1900).lines


@pytest.mark.parametrize("wrong", [dict(lines=0), dict(noise=1.5), dict(by_order=-0.1)])
def test_a_wrong_argument_raises_an_error_with_the_expected_values(wrong):
    with pytest.raises(ValueError, match=f"^{next(iter(wrong))}=.*: expected a "):
        reviews(**wrong)

"""Abstention: precision and recall at a threshold that is chosen on other questions."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.abstention import at_threshold, choose_and_measure

QUESTIONS = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=20).filter(
    lambda rows: any(answerable for _, answerable in rows))


def test_precision_and_recall_by_hand():
    """Of 5 questions 3 reach 0.5, 2 of these are answerable; 1 answerable one is refused."""
    found = at_threshold(np.array([0.9, 0.5, 0.6, 0.4, 0.1]), np.array([1, 1, 0, 1, 0]), 0.5)
    assert found == (0.5, 3 / 5, 2 / 3, 2 / 3) and found.f1 == pytest.approx(2 / 3)


def test_a_threshold_above_all_scores_answers_nothing():
    found = at_threshold(np.array([0.1, 0.2]), np.array([1, 0]), 1.0)
    assert np.isnan(found.precision) and found.recall == found.answered == found.f1 == 0


@given(QUESTIONS)
def test_a_higher_threshold_answers_less_and_the_lowest_answers_all(rows):
    scores, answerable = map(np.array, zip(*rows))
    found = [at_threshold(scores, answerable, threshold) for threshold in range(0, 11)]
    recalls = [part.recall for part in found]
    assert recalls == sorted(recalls, reverse=True)
    assert found[0].recall == found[0].answered == 1 and found[0].precision == answerable.mean()


@given(st.permutations(range(8)), st.integers(0, 5))
def test_kinds_with_separate_scores_are_separated_on_both_halves(order, seed):
    """Answerable questions score 10 to 13, the others 0 to 3: whatever the halves, F1 is 1."""
    scores = np.array([10, 11, 12, 13, 0, 1, 2, 3])[list(order)]
    for half in choose_and_measure(scores, scores > 5, seed):
        assert half.precision == half.recall == 1


def test_a_constant_score_answers_everything():
    for half in choose_and_measure(np.zeros(8), np.arange(8) < 4):
        assert half.recall == half.answered == 1 and half.precision == 0.5


def test_random_scores_are_worse_on_the_other_half_than_where_the_threshold_was_chosen():
    """The optimism that the second half removes: over 200 draws of 10 questions."""
    rng = np.random.default_rng(0)
    halves = [choose_and_measure(rng.random(20), np.arange(20) < 10, seed) for seed in range(200)]
    chosen, other = (np.mean([pair[n].f1 for pair in halves]) for n in (0, 1))
    assert chosen - other > 0.1


@pytest.mark.parametrize("answerable", [[1, 0, 0, 0], [1, 1, 1, 0]])
def test_one_question_of_a_kind_cannot_be_halved(answerable):
    with pytest.raises(ValueError, match="expected at least 2 questions of each kind"):
        choose_and_measure(np.arange(4.0), answerable)


def test_wrong_shapes_and_no_answerable_question_are_refused():
    for scores, answerable in ([0.5], [1, 0]), ([0.5], [0]):
        with pytest.raises(ValueError, match="expected a score and a truth"):
            at_threshold(np.array(scores), np.array(answerable), 0.0)

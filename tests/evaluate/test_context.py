"""Context recall: by hand, against a reader that reads chunk by chunk, and its invariants."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.context import context_recall, tokens_needed


@st.composite
def searches(draw):
    """scores (Q, C) with ties, lengths (C,), evidence (Q, C)."""
    Q, C = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    table = st.lists(st.lists(st.integers(0, 3), min_size=C, max_size=C), min_size=Q, max_size=Q)
    lengths = draw(st.lists(st.integers(1, 9), min_size=C, max_size=C))
    return (np.array(draw(table), float), np.array(lengths), np.array(draw(table)) == 3)


def read(scores, lengths, evidence, budget):
    """Whether a reader who takes chunk after chunk, while they fit, has evidence at the end."""
    left, context = budget, []
    for chunk in sorted(range(len(scores)), key=lambda c: (-scores[c], c)):
        if lengths[chunk] > left:
            break
        left -= lengths[chunk]
        context.append(chunk)
    return any(evidence[chunk] for chunk in context)


def test_tokens_by_hand():
    """The first question needs the chunks 2, 0; the second has no evidence; the third needs one."""
    scores = np.array([[2, 1, 3], [1, 2, 3], [0, 9, 0]])
    evidence = np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0]], bool)
    needed = tokens_needed(scores, np.array([10, 20, 5]), evidence)
    assert needed.tolist() == [15, np.inf, 20]
    assert [context_recall(needed, budget) for budget in (14, 15, 20, 1e9)] == pytest.approx(
        [0, 1 / 3, 2 / 3, 2 / 3])


def test_equal_scores_are_read_in_the_order_of_the_input():
    assert tokens_needed(np.zeros((1, 3)), np.array([1, 2, 4]), np.array([[0, 0, 1]])) == [7]


@given(searches(), st.integers(0, 60))
def test_recall_is_that_of_a_reader_who_reads_chunk_by_chunk(search, budget):
    scores, lengths, evidence = search
    read_by_hand = [read(*row, budget) for row in zip(scores, [lengths] * len(scores), evidence)]
    assert context_recall(tokens_needed(*search), budget) == np.mean(read_by_hand)


@given(searches())
def test_recall_does_not_fall_with_the_budget_and_ends_at_the_answerable_share(search):
    needed, evidence = tokens_needed(*search), search[2]
    recalls = [context_recall(needed, budget) for budget in range(0, 60, 5)]
    assert recalls == sorted(recalls)
    assert context_recall(needed, search[1].sum()) == evidence.any(axis=1).mean()


@given(searches())
def test_more_evidence_never_needs_more_tokens(search):
    scores, lengths, evidence = search
    fewer = evidence & (np.arange(evidence.shape[1]) > 0)
    assert (tokens_needed(*search) <= tokens_needed(scores, lengths, fewer)).all()


@pytest.mark.parametrize("scores, lengths, evidence, message", [
    ([[1.0, 2.0]], [1], [[True, False]], r"got shapes \(1, 2\), \(1,\) and \(1, 2\)"),
    ([[1.0, np.nan]], [1, 1], [[True, False]], "got nan"),
    ([[1.0, 2.0]], [1, -1], [[True, False]], "got -1")])
def test_wrong_input_is_refused(scores, lengths, evidence, message):
    with pytest.raises(ValueError, match=message):
        tokens_needed(np.array(scores), np.array(lengths), np.array(evidence))


def test_recall_of_no_question_is_refused():
    with pytest.raises(ValueError, match="at least 1 question"):
        context_recall(np.array([]), 10)

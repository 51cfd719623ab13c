"""MaxSim with its gradient: worked by hand, equal to the search's, its derivative."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.losses.max_sim import mean_max_sim
from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.space.max_sim import max_sim_matrix
from tests.rounding import dtypes, seeds

lengths = st.lists(st.integers(1, 4), min_size=1, max_size=4)


def texts(rng, lengths, D=3):
    """-> tokens (T, D), offsets (N+1,)"""
    return rng.standard_normal((sum(lengths), D)), np.concatenate([[0], np.cumsum(lengths)])


@dtypes
def test_worked_by_hand(dtype):
    """Query tokens a = (1, 0) and b = (0, 1); document 0 has (2, 0) and (0, 4), document 1 (1, 1).

    s = (2 + 4)/2 and (1 + 1)/2.  With ds = (6, 10), each query token has 3 from document 0 and 5
    from document 1:  da = 3 (2, 0) + 5 (1, 1), and document 0's first token has 3 a.
    """
    Q, X = np.eye(2, dtype=dtype), np.array([[2, 0], [0, 4], [1, 1]], dtype)
    s, backward = mean_max_sim(Q, [0, 2], X, [0, 2, 3])
    assert s.dtype == dtype and s.tolist() == [[3, 1]]
    dQ, dX = backward(np.array([[6, 10]], dtype))
    assert dQ.tolist() == [[11, 5], [5, 17]]
    assert dX.tolist() == [[3, 0], [0, 3], [5, 5]]


@settings(max_examples=25)
@given(seeds, lengths, lengths)
def test_it_is_the_searchs_score_divided_by_the_tokens_of_the_query(seed, queries, documents):
    rng = np.random.default_rng(seed)
    (Q, offsets), (X, x_offsets) = texts(rng, queries), texts(rng, documents)
    s, _ = mean_max_sim(Q, offsets, X, x_offsets)
    expected = max_sim_matrix(Q, offsets, X, x_offsets) / np.diff(offsets)[:, None]
    np.testing.assert_allclose(s, expected, rtol=1e-12, atol=1e-14)


@settings(max_examples=25)
@given(seeds, lengths, lengths)
def test_backward_is_the_derivative(seed, queries, documents):
    rng = np.random.default_rng(seed)
    (Q, offsets), (X, x_offsets) = texts(rng, queries), texts(rng, documents)
    check_backward(lambda Q, X: mean_max_sim(Q, offsets, X, x_offsets), Q, X, names=["Q", "X"])


@pytest.mark.parametrize(("offsets", "x_offsets", "message"), [
    ([0, 0, 2], [0, 3], "offsets: expected at least one token in every text, got none in text 0"),
    ([0, 2], [0, 3, 3], "x_offsets: .* none in text 1"),
    ([0, 1], [0, 3], "offsets: expected integers that rise from 0 to 2"),
    ([0, 2], [0], "x_offsets: expected integers that rise from 0 to 3")])
def test_invalid_offsets_are_refused(offsets, x_offsets, message):
    with pytest.raises(ValueError, match=message):
        mean_max_sim(np.eye(2), offsets, np.ones((3, 2)), x_offsets)

"""max_sim_matrix of packed texts equals max_sim of each pair of texts."""
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.space.max_sim import max_sim_matrix
from scratch_embed.space.similarity import max_sim
from tests.rounding import seeds


def packed(rng, lengths, D):
    """Random texts.  -> tokens (T, D), small integers with exact products; offsets (N+1,)"""
    return (rng.integers(-3, 4, (sum(lengths), D)).astype(np.float32),
            np.concatenate([[0], np.cumsum(lengths)]).astype(int))


def test_worked_by_hand():
    Q, offsets = np.array([[1.0, 0], [0, 1], [1, 1]]), [0, 2, 3]            # two queries
    X, x_offsets = np.array([[3.0, 0], [0, 4], [2, 2]]), [0, 2, 3]          # two documents
    # query 0: 3 + 4, 2 + 2;  query 1: max(3, 4), 4
    assert max_sim_matrix(Q, offsets, X, x_offsets).tolist() == [[7, 4], [4, 4]]


@given(seeds, st.lists(st.integers(0, 5), max_size=5), st.lists(st.integers(1, 6), max_size=6),
       st.integers(1, 4), st.integers(1, 100))
def test_every_score_equals_max_sim_of_the_pair_for_any_block(seed, query_lengths, doc_lengths, D,
                                                              block):
    rng = np.random.default_rng(seed)
    (Q, offsets), (X, x_offsets) = packed(rng, query_lengths, D), packed(rng, doc_lengths, D)
    scores = max_sim_matrix(Q, offsets, X, x_offsets, block)
    assert scores.shape == (len(query_lengths), len(doc_lengths)) and scores.dtype == np.float64
    for n in range(len(query_lengths)):
        for m in range(len(doc_lengths)):
            assert scores[n, m] == max_sim(Q[offsets[n]:offsets[n + 1]],
                                           X[x_offsets[m]:x_offsets[m + 1]])


@given(seeds, st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_no_other_alignment_of_tokens_scores_higher(seed, doc_lengths):
    rng = np.random.default_rng(seed)
    (Q, offsets), (X, x_offsets) = packed(rng, [3], 4), packed(rng, doc_lengths, 4)
    scores = max_sim_matrix(Q, offsets, X, x_offsets)[0]
    for m, length in enumerate(doc_lengths):
        aligned = x_offsets[m] + rng.integers(0, length, 3)
        assert scores[m] >= (Q * X[aligned]).sum()


@given(seeds)
def test_a_longer_document_never_scores_lower_and_token_order_has_no_effect(seed):
    rng = np.random.default_rng(seed)
    (Q, offsets), (X, _) = packed(rng, [2, 3], 4), packed(rng, [6], 4)
    part, whole = max_sim_matrix(Q, offsets, X[:4], [0, 4]), max_sim_matrix(Q, offsets, X, [0, 6])
    assert (whole >= part).all()
    np.testing.assert_array_equal(max_sim_matrix(Q, offsets, rng.permutation(X), [0, 6]), whole)


def test_memory_is_bounded_by_the_block():
    Q, X = np.ones((50, 8), np.float32), np.ones((100_000, 8), np.float32)
    x_offsets = np.arange(0, 100_001, 10)
    tracemalloc.start()
    max_sim_matrix(Q, [0, 50], X, x_offsets, block=1 << 15)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 4 * (1 << 15) * 8 + 3 * x_offsets.nbytes          # all products: 20 MB


def test_empty_documents_and_wrong_offsets_or_shapes_are_refused():
    Q, X = np.ones((2, 3)), np.ones((4, 3))
    with pytest.raises(ValueError, match="document 1: expected at least one token"):
        max_sim_matrix(Q, [0, 2], X, [0, 2, 2, 4])
    for offsets in ([0, 1], [1, 2], [0, 3, 2], [0.0, 2.0], [], [[0, 2]]):
        with pytest.raises(ValueError, match="offsets: expected integers that rise from 0 to 2"):
            max_sim_matrix(Q, offsets, X, [0, 4])
    with pytest.raises(ValueError, match="x_offsets: .* rise from 0 to 4"):
        max_sim_matrix(Q, [0, 2], X, [0, 3])
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(4, 2\)"):
        max_sim_matrix(Q, [0, 2], X[:, :2], [0, 4])

"""Sparse vectors: dot products as of dicts, their gradients, the CSR form."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.space.sparse import (
    SparseVectors,
    from_dicts,
    from_parts,
    require_sparse,
    sparse_scores,
)

vectors = st.lists(st.dictionaries(st.integers(0, 9), st.integers(1, 4).map(float), max_size=5),
                   max_size=4)


@settings(max_examples=25)
@given(vectors, vectors)
def test_scores_are_the_sums_over_the_tokens_that_both_have(queries, documents):
    s, _ = sparse_scores(from_dicts(queries), from_dicts(documents))
    assert s.shape == (len(queries), len(documents))
    for n, q in enumerate(queries):
        for m, x in enumerate(documents):
            assert s[n, m] == sum(w * x.get(token, 0) for token, w in q.items())


@settings(max_examples=25)
@given(vectors)
def test_dicts_and_parts_are_inverses(dicts):
    found = from_dicts(dicts)
    assert require_sparse(found, "x") is found and found.N == len(dicts)
    assert [sorted(each) for each in found.dicts()] == [sorted(each) for each in dicts]
    ends = found.offsets[1:-1]
    again = from_parts(np.split(found.tokens, ends), np.split(found.weights, ends)
                       ) if dicts else from_parts([], [])
    assert [part.tolist() for part in again] == [part.tolist() for part in found]


@settings(max_examples=15)
@given(st.lists(st.sets(st.integers(0, 6), min_size=1), min_size=1, max_size=3),
       st.lists(st.sets(st.integers(0, 6), min_size=1), min_size=1, max_size=3),
       st.integers(0, 99))
def test_backward_is_the_derivative(queries, documents, seed):
    rng = np.random.default_rng(seed)
    Q, X = (from_dicts({token: 1.0 for token in tokens} for tokens in side)
            for side in (queries, documents))
    weights = [rng.standard_normal(len(side.weights)) for side in (Q, X)]
    check_backward(lambda q, x: sparse_scores(Q._replace(weights=q), X._replace(weights=x)),
                   *weights, names=["q", "x"])


@pytest.mark.parametrize(("offsets", "tokens", "weights", "message"), [
    ([0, 2], [3, 3], [1, 1], "ascend in each vector"), ([0, 2], [3, 2], [1, 1], "ascend"),
    ([0, 1], [-1], [1], "0 or more"), ([0, 1], [3], [np.nan], "finite weights"),
    ([0, 3], [3, 4], [1, 1], "offsets that rise"), ([1, 2], [3, 4], [1, 1], "offsets that rise"),
    ([0, 2], [3, 4], [1], "a weight for each"), ([], [], [], "offsets that rise")])
def test_what_is_not_in_csr_form_is_refused(offsets, tokens, weights, message):
    with pytest.raises(ValueError, match=f"queries: .*{message}"):
        require_sparse(SparseVectors(np.array(offsets, np.int64), np.array(tokens, np.int32),
                                     np.array(weights, np.float32)), "queries")


def test_a_token_may_follow_a_larger_one_of_the_vector_before():
    assert require_sparse(from_dicts([{5: 1.0}, {}, {2: 1.0, 5: 1.0}]), "x").N == 3

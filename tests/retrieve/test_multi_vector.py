"""Search by token vectors: the order of all scores, candidates, the file."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.loading import load
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.multi_vector import MultiVectorIndex
from scratch_embed.space.max_sim import max_sim_matrix
from tests.rounding import seeds

lengths = st.lists(st.integers(1, 4), min_size=1, max_size=5)


def texts(rng, lengths):
    """Small integers, whose products are exact."""
    return (rng.integers(-3, 4, (sum(lengths), 3)).astype(np.float32),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


@settings(max_examples=25)
@given(seeds, lengths, lengths, st.integers(1, 6))
def test_a_search_is_the_sorted_list_of_all_mean_scores(seed, documents, queries, k):
    rng = np.random.default_rng(seed)
    (X, x_offsets), (Q, offsets) = texts(rng, documents), texts(rng, queries)
    table = max_sim_matrix(Q, offsets, X, x_offsets) / np.diff(offsets)[:, None]
    ids, scores = MultiVectorIndex(X, x_offsets).search(Q, offsets, k)
    order = np.argsort(-table, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(ids, order)
    np.testing.assert_array_equal(scores, np.take_along_axis(table, order, axis=1))


@settings(max_examples=25)
@given(seeds, lengths, st.data())
def test_candidates_have_the_scores_of_a_whole_search(seed, documents, data):
    rng = np.random.default_rng(seed)
    index = MultiVectorIndex(*texts(rng, documents))
    query, _ = texts(rng, [3])
    ids = np.array(data.draw(st.lists(st.integers(0, len(documents) - 1), min_size=1)))
    np.testing.assert_array_equal(index.scores(query, ids), index.scores(query)[ids])


def test_a_saved_index_finds_the_same_and_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "tokens.index"
    index = MultiVectorIndex(*texts(np.random.default_rng(1), [2, 3]))
    index.save(path)
    again = load(path)
    assert str(again) == str(index) == "MultiVectorIndex(2 documents, 5 tokens x 3 dimensions)"
    np.testing.assert_array_equal(again.vectors, index.vectors)
    tensors, metadata = read_safetensors(path)
    for change, message in (({"token_offsets": np.array([0, 2])}, "offsets: expected integers"),
                            ({"token_offsets": np.array([0.0, 5])}, "token_offsets int64"),
                            ({"token_offsets": np.array([0, 5, 5])}, "document 1: expected"),
                            ({"token_vectors": tensors["token_vectors"] * np.nan}, "nan or inf")):
        write_safetensors(path, tensors | change, metadata)
        with pytest.raises(FormatError, match=message):
            MultiVectorIndex.load(path)
    write_safetensors(path, tensors, {})
    with pytest.raises(FormatError, match="expected the kind"):
        MultiVectorIndex.load(path)

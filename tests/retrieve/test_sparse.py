"""Search by sparse vectors: the order of all scores, BM25 as a special case, the file."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.loading import load
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.retrieve.bm25 import BM25
from scratch_embed.retrieve.lists import stack, top_k_of_query
from scratch_embed.retrieve.sparse import SparseIndex
from scratch_embed.space.sparse import SparseVectors, from_dicts, sparse_scores

vectors = st.lists(st.dictionaries(st.integers(0, 9), st.integers(1, 4).map(float), max_size=5),
                   min_size=1, max_size=6)


@settings(max_examples=25)
@given(vectors, vectors, st.integers(1, 7))
def test_a_search_is_the_sorted_list_of_all_scores_above_0(documents, queries, k):
    X, Q = from_dicts(documents), from_dicts(queries)
    index, scores = SparseIndex(X), sparse_scores(Q, X)[0]
    for n, query in enumerate(queries):
        tokens = np.array(list(query), np.int32)
        found = index.scores(tokens, np.array(list(query.values()), np.float32))
        assert found.tolist() == scores[n].tolist()
    k = min(k, len(documents))
    expected = stack([top_k_of_query(np.flatnonzero(row > 0), row[row > 0], k) for row in scores],
                     k, np.float32)
    for found, right in zip(index.search(Q, k), expected):
        assert found.tolist() == right.tolist()


def test_with_bm25s_weights_it_is_bm25():
    texts = ["a fox runs", "a dog and a dog", "the fox"]
    bm25 = BM25([text.split() for text in texts])
    start, documents, weights = bm25.postings
    dicts = [{} for _ in texts]
    for token in bm25.index.values():
        for at in range(start[token], start[token + 1]):
            dicts[documents[at]][token] = weights[at]
    query = ["a", "fox", "a"]
    counts = from_dicts([{bm25.index["a"]: 2.0, bm25.index["fox"]: 1.0}])
    for ours, theirs in zip(SparseIndex(from_dicts(dicts)).search(counts, 3),
                            bm25.search([query], 3)):
        np.testing.assert_array_equal(ours, theirs)


def test_a_saved_index_finds_the_same(tmp_path):
    index = SparseIndex(from_dicts([{7: 0.5, 2: 1.0}, {}, {2: 0.25, 9: 1.5}]))
    index.save(tmp_path / "sparse.index")
    again = load(tmp_path / "sparse.index")
    assert str(again) == str(index) == "SparseIndex(3 documents, 4 weights)"
    for before, after in zip(index.as_tensors().values(), again.as_tensors().values()):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(("change", "message"), [
    (lambda t: t.pop("sparse_weights"), "tensor 'sparse_weights': expected float32 .*found none"),
    (lambda t: t.update(sparse_tokens=t["sparse_tokens"].astype(float)), "found float64"),
    (lambda t: t["sparse_weights"].fill(-1), "weights above 0"),
    (lambda t: t["sparse_offsets"].fill(0), "offsets that rise")])
def test_a_damaged_file_is_refused(tmp_path, change, message):
    path = tmp_path / "sparse.index"
    SparseIndex(from_dicts([{7: 0.5, 2: 1.0}])).save(path)
    tensors, metadata = read_safetensors(path)
    change(tensors)
    write_safetensors(path, tensors, metadata)
    with pytest.raises(FormatError, match=message):
        SparseIndex.load(path)
    write_safetensors(path, tensors, {"kind": "another"})
    with pytest.raises(FormatError, match="expected the kind"):
        SparseIndex.load(path)


def test_weights_of_0_or_below_are_refused():
    zero = SparseVectors(np.array([0, 1]), np.array([3], np.int32), np.zeros(1, np.float32))
    with pytest.raises(ValueError, match="documents: expected weights above 0"):
        SparseIndex(zero)
    with pytest.raises(ValueError, match="queries: expected weights above 0"):
        SparseIndex(from_dicts([{3: 1.0}])).search(zero, 1)

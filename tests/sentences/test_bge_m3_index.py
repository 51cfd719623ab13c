"""Hybrid search with BGE-M3: with all candidates it is the order of the hybrid scores; the file."""
import numpy as np
import pytest

from scratch_embed.loading import load
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.sentences.bge_m3 import hybrid_scores
from scratch_embed.sentences.bge_m3_index import M3Index
from tests.sentences.test_bge_m3 import ALL, model

TEXTS = ["a red cat", "cats", "dog sat on a mat", "a dog a dog on a red dog", "mat", "red mats"]
QUERIES = ["red cats", "a mat", "unknown"]


@pytest.fixture(scope="module")
def vectors():
    m3 = model(3, token_dim=5)
    return m3.encode(QUERIES, **ALL), m3.encode(TEXTS, **ALL)


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 0.3, 1), (1, 0, 0), (0, 0, 1), (1, 0, 2)])
def test_with_all_candidates_it_is_the_order_of_the_hybrid_scores(vectors, weights):
    queries, documents = vectors
    table = hybrid_scores(queries, documents, weights).hybrid
    ids, scores = M3Index(documents).search(queries, 4, weights, depth=len(TEXTS))
    np.testing.assert_allclose(scores, -np.sort(-table, axis=1)[:, :4], atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(table, ids, axis=1), scores, atol=1e-6)


def test_the_sparse_search_alone_finds_only_texts_with_a_token_of_the_query(vectors):
    queries, documents = vectors
    index = M3Index(documents)
    ids, scores = index.search(queries, 6, (0, 1, 0))
    expected = index.sparse.search(queries.sparse, 6)
    np.testing.assert_array_equal(ids, expected[0])
    np.testing.assert_allclose(scores, expected[1])
    assert (ids[2] == -1).all()                              # "unknown" has no weight


def test_few_candidates_are_those_of_the_two_searches(vectors):
    queries, documents = vectors
    index = M3Index(documents)
    ids, _ = index.search(queries, 6, depth=1)
    for n, row in enumerate(ids):
        best = {int(index.dense.search(queries.dense, 1)[0][n, 0]),
                int(index.sparse.search(queries.sparse, 1)[0][n, 0])}
        assert set(row.tolist()) - {-1} == best - {-1}


def test_a_saved_index_finds_the_same(vectors, tmp_path):
    queries, documents = vectors
    index = M3Index(documents)
    index.save(tmp_path / "m3.index")
    again = load(tmp_path / "m3.index")
    assert isinstance(again, M3Index)
    assert str(again) == str(index) and "6 documents: 8 dimensions" in str(index)
    for before, after in zip(index.search(queries, 3), again.search(queries, 3)):
        np.testing.assert_array_equal(before, after)


def test_damaged_files_are_refused(vectors, tmp_path):
    path, (_, documents) = tmp_path / "m3.index", vectors
    M3Index(documents).save(path)
    tensors, metadata = read_safetensors(path)
    for change, message in (
            ({"ids": np.arange(1, 7)}, "its ids: expected 0 to 5"),
            ({"ids": np.arange(5), "vectors": tensors["vectors"][:5]}, "5 dense, 6 sparse"),
            ({"sparse_weights": -tensors["sparse_weights"]}, "weights above 0"),
            ({"token_offsets": tensors["token_offsets"][1:]}, "its token vectors")):
        write_safetensors(path, tensors | change, metadata)
        with pytest.raises(FormatError, match=message):
            M3Index.load(path)
    write_safetensors(path, tensors, metadata | {"kind": "scratch_embed index"})
    with pytest.raises(FormatError, match="expected the kind"):
        M3Index.load(path)


def test_vectors_of_all_three_kinds_are_needed(vectors):
    queries, documents = vectors
    with pytest.raises(ValueError, match="documents: expected all three kinds"):
        M3Index(documents._replace(multi=None))
    with pytest.raises(ValueError, match="expected vectors of as many texts in each kind"):
        M3Index(documents._replace(dense=documents.dense[:2]))
    with pytest.raises(ValueError, match="queries: expected all three kinds"):
        M3Index(documents).search(queries._replace(sparse=None), 1)

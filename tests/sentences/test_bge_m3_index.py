"""Hybrid search with BGE-M3: with all candidates it is the order of the hybrid scores; the file."""
import numpy as np
import pytest

from scratch_embed.loading import load
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.sentences.bge_m3_index import M3Index
from scratch_embed.sentences.bge_m3_scores import hybrid_scores
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
            ({"ids": np.arange(6)[::-1].copy()}, "6 whole numbers that ascend"),
            ({"ids": np.arange(5), "vectors": tensors["vectors"][:5]}, "5 dense, 6 sparse"),
            ({"sparse_weights": -tensors["sparse_weights"]}, "weights above 0"),
            ({"token_offsets": tensors["token_offsets"][1:]}, "its token vectors")):
        write_safetensors(path, tensors | change, metadata)
        with pytest.raises(FormatError, match=message):
            M3Index.load(path)
    for change in {"kind": "scratch_embed index"}, {"kinds": "dense,sparse,words"}, {"kinds": ""}:
        write_safetensors(path, tensors, metadata | change)
        with pytest.raises(FormatError, match="expected the kind"):
            M3Index.load(path)


def test_the_kinds_whose_weight_is_above_0_are_needed(vectors):
    queries, documents = vectors
    with pytest.raises(ValueError, match="documents: expected the kinds of vectors, got no dense"):
        M3Index(documents._replace(dense=None))
    with pytest.raises(ValueError, match="queries: expected all three kinds .* got no sparse"):
        M3Index(documents).search(queries._replace(sparse=None), 1)
    without = M3Index(documents._replace(multi=None))
    with pytest.raises(ValueError, match=r"weights: expected 0 for the multi score, because the "
                       r"index has only dense, sparse; got \[1.0, 1.0, 1.0\]"):
        without.search(queries, 1)
    for found, expected in zip(without.search(queries._replace(multi=None), 6, (1, 0.5, 0)),
                               M3Index(documents).search(queries, 6, (1, 0.5, 0))):
        np.testing.assert_array_equal(found, expected)
    assert "token vectors" not in str(without) and without.kinds == ("dense", "sparse")


def test_parts_of_unequally_many_texts_are_refused(vectors):
    queries, documents = vectors
    fewer = model(3, token_dim=5).encode(QUERIES[:2], **ALL)
    for n, kind in enumerate(queries._fields):
        counts = [3, 3, 3]
        counts[n] = 2
        message = "queries: expected vectors of as many texts in each kind, got {} dense, {} sparse"
        mixed = queries._replace(**{kind: getattr(fewer, kind)})
        with pytest.raises(ValueError, match=message.format(*counts)):
            M3Index(documents).search(mixed, 1)
        with pytest.raises(ValueError, match=message.format(*counts)):
            hybrid_scores(mixed, documents)
        with pytest.raises(ValueError, match="documents: expected vectors of as many texts in"):
            M3Index(mixed.__class__(**{**documents._asdict(), kind: getattr(queries, kind)}))


def test_without_a_dense_score_every_document_is_a_candidate(vectors):
    """A text without a token of the query has the best match of token vectors, and is found."""
    queries, documents = vectors
    table = hybrid_scores(queries, documents, (0, 1, 2)).hybrid
    ids, scores = M3Index(documents).search(queries, 6, (0, 1, 2), depth=1)
    np.testing.assert_allclose(scores, -np.sort(-table, axis=1), atol=1e-6)
    assert (ids[2] >= 0).all()                               # "unknown" has no sparse weight


def test_documents_added_in_parts_are_those_of_one_index(vectors):
    queries, documents = vectors
    m3 = model(3, token_dim=5)
    whole, parts = M3Index(documents, range(10, 16)), M3Index(m3.encode([], **ALL))
    parts.add([10, 11], m3.encode(TEXTS[:2], **ALL))
    parts.add(range(12, 16), m3.encode(TEXTS[2:], **ALL))
    ids, scores = parts.search(queries, 6, depth=2)
    expected = whole.search(queries, 6, depth=2)
    np.testing.assert_array_equal(ids, expected[0])
    np.testing.assert_allclose(scores, expected[1], atol=1e-6)
    assert set(ids[0].tolist()) - {-1} <= set(range(10, 16))
    more = m3.encode(["mat"], **ALL)
    for wrong, message in (([15], "ascend from above 15"), ([16, 17], "expected 1 whole numbers"),
                           (["a"], "whole numbers")):
        with pytest.raises(ValueError, match=message):
            parts.add(wrong, more)
    with pytest.raises(ValueError, match="the kinds dense, sparse, multi of the index, got dense"):
        parts.add([16], more._replace(sparse=None, multi=None))
    assert len(parts) == len(parts.sparse) == len(parts.multi) == 6        # nothing was added


def test_an_empty_index_finds_nothing(vectors):
    queries, _ = vectors
    ids, scores = M3Index(model(3, token_dim=5).encode([], **ALL)).search(queries, 3)
    assert ids.shape == scores.shape == (3, 0)

"""BM25, vector and hybrid search of three documents, small enough to check by hand."""
from functools import partial

import numpy as np
import pytest

from scratch_embed.evaluate.ranking import ndcg
from scratch_embed.retrieve.hybrid import reciprocal_rank_fusion
from scratch_embed.space.similarity import dot_matrix
from scratch_embed.text.vocab import index_sentences
from scratch_embed.why.searches import (
    Search,
    dense,
    embed,
    equal_weights,
    hybrid,
    lexical,
    ndcg_percent,
    search_codes,
    search_facts,
    sif,
    word2vec_words,
    word_scores,
)
from scratch_embed.words.vectors import WordVectors
from scratch_embed.worlds.facts import facts


@pytest.fixture
def search():
    """Two queries.  Sailor and seaman have similar vectors, but they are different terms."""
    vocab, text = index_sentences([["the", "sailor", "seaman", "lamp", "book"]], min_count=1)
    words = WordVectors(["the", "sailor", "seaman", "lamp", "book"],
                        [[.1, .1, .1], [1, .1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    return Search({"a": "the sailor", "b": "the lamp", "c": "the book"},
                  {"p": "seaman", "q": "book"}, np.array([[1, 0, 0], [0, 0, 1]]), vocab, text,
                  words, 1)


def test_BM25_matches_equal_words_and_vectors_match_similar_words(search):
    np.testing.assert_array_equal(dense(search, common=False).gains, [[1, 0, 0], [1, 0, 0]])
    # no document contains the word of query p: all scores are 0, and ties have the order c, b, a
    np.testing.assert_array_equal(lexical(search).gains, [[0, 0, 1], [1, 0, 0]])
    assert ndcg_percent(search, lexical(search)) == pytest.approx(100 * (0.5 + 1) / 2)


def test_word_scores_are_those_of_BM25_by_hand(search):
    scores = word_scores(search)
    idf = np.log1p(2.5 / 1.5)                                # one of three documents has "book"
    np.testing.assert_allclose(scores, [[0, 0, 0], [0, 0, idf / (1 + 1.2)]], rtol=1e-6)
    without_book = word_scores(search, documents=lambda search: ["the sailor", "the lamp", "no"])
    assert not without_book.any()


def test_the_settings_of_the_vector_search_by_hand(search):
    Q, X = embed(search, weigh=equal_weights, common=False)
    np.testing.assert_allclose(X[0], [.55, .1, .05], rtol=1e-6)
    np.testing.assert_allclose(Q, search.words[["seaman", "book"]])
    Q, X = embed(search, weigh=partial(sif, a=0.2), common=False)    # every word: p = 0.2
    np.testing.assert_allclose(X[0], [.275, .05, .025], rtol=1e-6)
    _, X = embed(search, weigh=equal_weights, common=False, unit_words=True)
    assert np.linalg.norm(2 * X[1] - [1 / 3**.5] * 3) == pytest.approx(1, rel=1e-6)
    _, X = embed(search, weigh=equal_weights)
    assert np.linalg.matrix_rank(X.astype(np.float64), tol=1e-6) == 2
    assert dense(search, common=False, compare=lambda A, B: -dot_matrix(A, B)
                 ).gains[0].tolist() == [0, 0, 1]            # the nearest document is last
    changed = search.words.vectors.copy()
    changed[2] = changed[3]                                  # seaman gets the vector of lamp
    other = WordVectors(search.words.index_to_key, changed)
    assert dense(search, learn=lambda search: other, common=False).gains[0, 0] == 0


def test_a_hybrid_ranks_documents_that_neither_search_lists_last(search):
    ranking = hybrid(search, depth=1)
    np.testing.assert_array_equal(ranking.gains[:, 0], [1, 1])
    assert ranking.gains.shape == (2, 3)

    def first_only(lists, k):                                # with a negative score
        ids, scores = reciprocal_rank_fusion(lists, k)
        return ids[:, :1], -scores[:, :1]
    assert hybrid(search, fuse=first_only).gains[:, 0].tolist() == [1, 1]


def test_queries_by_code_follow_the_queries_of_the_world():
    world = facts(3, 60, 12, sentences=200, pairs=0)
    search = search_facts(world, 3)
    assert search.words.vectors.shape == (len(search.vocab), 64)
    coded, by_code = search_codes(search, world)
    assert by_code.tolist() == 12 * [False] + 12 * [True]
    np.testing.assert_array_equal(coded.gains[:12], search.gains)
    assert (coded.gains[12:].sum(axis=1) == 1).all()
    assert ndcg(lexical(coded), 10)[by_code].tolist() == 12 * [1.0]


def test_the_seed_and_the_changed_settings_affect_the_training(search):
    learn = partial(word2vec_words, search.vocab, search.text, sample=0)
    np.testing.assert_array_equal(learn(1).vectors, learn(1).vectors)
    assert (learn(1).vectors != learn(2).vectors).any()
    assert learn(1, dim=7).vectors.shape == (5, 7)

"""BM25 equals its formula and the original libraries; a search equals a full sort of the scores."""
import json
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scratch_embed.retrieve.bm25 import (
    BM25,
    Postings,
    add_rows,
    add_rows_plain,
    top_k_positive,
    top_k_positive_plain,
)
from tests.rounding import seeds, u32

GOLDEN = Path(__file__).parents[1] / "golden"
ORIGINAL = runpy.run_path(GOLDEN / "make_bm25.py")
DOCUMENTS, QUERIES = ORIGINAL["DOCUMENTS"], ORIGINAL["QUERIES"]

corpora = st.lists(st.lists(st.sampled_from("abcdef"), max_size=8), min_size=1, max_size=8)
corpora = corpora.filter(any)                                   # at least one word in the corpus
queries = st.lists(st.sampled_from("abcdefz"), max_size=6)
k1s, bs = st.sampled_from([0, 0.5, 1.2, 3]), st.sampled_from([0, 0.4, 0.75, 1])


def by_formula(documents, query, k1=1.2, b=0.75):
    """The equation, one document and one word at a time."""
    N, mean = len(documents), sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        score = 0
        for word in query:
            f, n = document.count(word), sum(word in other for other in documents)
            if f:
                idf = math.log(1 + (N - n + 0.5) / (n + 0.5))
                score += idf * f / (f + k1 * (1 - b + b * len(document) / mean))
        scores.append(score)
    return scores


def bound(n):
    """Bound of the relative error of a sum of n weights: float32 products, added in float32."""
    return (n + 3) * u32


# ---- the scores -------------------------------------------------------------------------------

def test_a_score_worked_by_hand():
    """N = 2, mean length 3; "x" twice in a document of 4 words: 2/(2 + 1.2 (0.25 + 0.75 · 4/3))."""
    index = BM25(["x x y z".split(), "y w".split()])
    assert index.scores(["x"]) == pytest.approx([math.log(2) * 2 / 3.5, 0], rel=bound(1))
    assert index.scores(["y", "y"])[1] == pytest.approx(
        2 * math.log(1.2) / (1 + 1.2 * (0.25 + 0.5)), rel=bound(2))
    assert index.scores(["new"]).tolist() == index.scores([]).tolist() == [0, 0]


@given(corpora, queries, k1s, bs)
def test_scores_equal_the_formula(documents, query, k1, b):
    np.testing.assert_allclose(BM25(documents, k1, b).scores(query),
                               by_formula(documents, query, k1, b), rtol=bound(len(query)))


@pytest.mark.parametrize("golden", json.loads((GOLDEN / "bm25.json").read_text("utf-8")),
                         ids=lambda golden: f"k1={golden['k1']} b={golden['b']}")
def test_frozen_scores_of_bm25s_and_rank_bm25(golden):
    """The stored scores have 12 decimals: a relative error of at most 1e-10, which is allowed."""
    index = BM25(DOCUMENTS, golden["k1"], golden["b"])
    for query, scores in zip(QUERIES, golden["bm25s"]):
        np.testing.assert_allclose(index.scores(query), scores, rtol=bound(len(query)) + 1e-10)
    for word, saturation in golden["rank_bm25"].items():
        n, N = sum(word in document for document in DOCUMENTS), len(DOCUMENTS)
        idf = math.log(1 + (N - n + 0.5) / (n + 0.5))
        np.testing.assert_allclose(index.scores([word]) / idf, saturation, rtol=bound(2) + 1e-10)


def test_live_parity_with_bm25s():
    pytest.importorskip("bm25s")
    for k1, b in ORIGINAL["SETTINGS"]:
        index = BM25(DOCUMENTS, k1, b)
        for query, scores in zip(QUERIES, ORIGINAL["bm25s_scores"](k1, b)):
            np.testing.assert_allclose(index.scores(query), scores, rtol=bound(len(query)))


def test_rank_bm25_still_computes_the_frozen_values():
    pytest.importorskip("rank_bm25")
    golden = json.loads((GOLDEN / "bm25.json").read_text("utf-8"))
    for settings in golden:
        live = ORIGINAL["rank_bm25_saturation"](settings["k1"], settings["b"])
        assert live.keys() == settings["rank_bm25"].keys()
        for word, saturation in live.items():
            assert saturation == pytest.approx(settings["rank_bm25"][word], abs=1e-12)


@given(corpora, queries)
def test_query_word_order_has_no_effect_and_a_query_twice_doubles_the_scores(documents, query):
    index = BM25(documents)
    assert (index.scores(query) == index.scores(query[::-1])).all()
    np.testing.assert_allclose(index.scores(query + query), 2 * index.scores(query),
                               rtol=bound(2 * len(query)))


@given(corpora, queries, st.randoms())
def test_reordering_the_documents_reorders_the_scores(documents, query, random):
    order = random.sample(range(len(documents)), len(documents))
    reordered = BM25([documents[i] for i in order]).scores(query)
    np.testing.assert_allclose(reordered, BM25(documents).scores(query)[order],
                               rtol=2 * bound(len(query)))


def test_a_word_in_all_documents_has_a_positive_weight():
    assert (BM25([["a"], ["a", "b"]]).scores(["a"]) > 0).all()


def test_with_k1_0_only_presence_counts_and_with_b_0_the_length_has_no_effect():
    documents = [["x"] * 5 + ["y"], ["x"], ["y"] * 9]
    presence = BM25(documents, k1=0).scores(["x"])
    assert presence[0] == presence[1] == pytest.approx(math.log(1 + 1.5 / 2.5), rel=bound(1))
    no_length = BM25([["x"], ["x"] + ["y"] * 50], b=0).scores(["x"])
    assert no_length[0] == no_length[1]


# ---- kernels ----------------------------------------------------------------------------------

@given(seeds)
def test_the_kernel_equals_its_numpy_form(seed):
    """The compiler may fuse a product and its addition, which saves one rounding per word."""
    rng = np.random.default_rng(seed)
    rows = [np.flatnonzero(rng.random(30) < 0.4).astype(np.int32) for _ in range(9)]
    postings = Postings(np.cumsum([0, *map(len, rows)]), np.concatenate(rows),
                        rng.random(sum(map(len, rows))).astype(np.float32))
    words, times = rng.permutation(9)[:4], rng.integers(1, 4, 4).astype(np.float32)
    compiled, plain = np.zeros((2, 30), np.float32)
    add_rows(postings, words, times, compiled)
    add_rows_plain(postings, words, times, plain)
    np.testing.assert_allclose(compiled, plain, rtol=8 * u32)


@given(arrays(np.float32, st.integers(0, 60), elements=st.sampled_from(
    [0, 0, 2**-149, 0.5, 1, 1 + 2**-23, 7, 3e38])), st.integers(1, 70))
def test_the_heap_equals_a_sort(scores, k):
    for ours, plain in zip(top_k_positive(scores, k), top_k_positive_plain(scores, k)):
        np.testing.assert_array_equal(ours, plain)
        assert ours.dtype == plain.dtype


# ---- search -------------------------------------------------------------------------------------

@given(corpora, st.lists(queries, max_size=3), st.integers(1, 10))
def test_a_search_equals_a_stable_sort_of_the_positive_scores(documents, batch, k):
    index = BM25(documents)
    ids, scores = index.search(batch, k)
    k = min(k, len(documents))
    assert ids.shape == scores.shape == (len(batch), k)
    for query, row, values in zip(batch, ids.tolist(), scores):
        s = index.scores(query)
        want = [i for i in sorted(range(len(s)), key=lambda i: (-s[i], i)) if s[i] > 0][:k]
        assert row == want + [-1] * (k - len(want))
        assert values.tolist() == s[want].tolist() + [-math.inf] * (k - len(want))


def test_equal_documents_tie_and_the_lowest_id_is_first():
    index = BM25([["b"], ["a", "b"], ["b", "a"], ["a", "b"], []])
    assert index.search([["a"], ["nothing"]], 4)[0].tolist() == [[1, 2, 3, -1], [-1] * 4]
    assert len(index) == 5


def test_lists_are_no_longer_than_the_number_of_documents():
    """k = 10⁹ would take 12 GB per query if the lists were filled up to k."""
    ids, scores = BM25([["a"], ["b"]]).search([["a"]], 10**9)
    assert ids.tolist() == [[0, -1]] and scores.shape == (1, 2)


# ---- invalid input ----------------------------------------------------------------------------

def test_text_that_is_not_split_into_words_is_refused():
    for wrong in "the cat", ["the cat", "a dog"]:
        with pytest.raises(ValueError, match="list of .*words"):
            BM25(wrong)
    index = BM25([["a"]])
    for wrong in "a b", ["a b"]:
        with pytest.raises(ValueError, match="list of"):
            index.search(wrong, 1)
    with pytest.raises(ValueError, match="a query: expected a list of words, got the str 'a b'"):
        index.scores("a b")


def test_empty_documents_and_parameters_out_of_range_are_refused():
    for empty in [], [[], []]:
        with pytest.raises(ValueError, match=f"got none in {len(empty)} documents"):
            BM25(empty)
    for k1, b in (-1, 0.5), (math.nan, 0.5), (math.inf, 0.5), (1, -0.1), (1, 1.1), (1, math.nan):
        with pytest.raises(ValueError, match="^(k1|b)=.*: expected a finite number, "):
            BM25([["a"]], k1, b)
    with pytest.raises(ValueError, match="k=.*: expected a whole number, 1 to"):
        BM25([["a"]]).search([["a"]], 0)

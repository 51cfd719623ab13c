"""The ablations of retrieval: the variants of a search, and the effect of ties."""
import numpy as np
import pytest
from hypothesis import given

from scratch_embed.evaluate.ranking import reciprocal_rank
from scratch_embed.space.similarity import cosine_matrix
from scratch_embed.why.ablations import measure_ablations
from scratch_embed.why.retrieval import (
    ABLATIONS,
    BM25,
    CLAIMS,
    HYBRID_ABLATIONS,
    SCORERS,
    VECTORS,
    Tied,
    bm25_list,
    chance_mrr,
    found,
    lengthen_half,
    listed_by,
    negative_distance,
    negative_distance_of_units,
    raw_sum,
    tie_effect,
    ties,
    untrained,
    vector_list,
)
from scratch_embed.why.searches import (
    DEPTH,
    dense,
    hybrid,
    lexical,
    ndcg_percent,
    search_facts,
)
from scratch_embed.worlds.facts import facts
from tests.rounding import seeds


@pytest.fixture(scope="module")
def searches():
    return [search_facts(facts(seed, 120, 20, sentences=400, pairs=0), seed) for seed in (1, 2)]


@pytest.mark.parametrize("ablations", [ABLATIONS, HYBRID_ABLATIONS])
def test_every_ablation_is_measured(ablations, searches):
    measured = measure_ablations(ablations, searches, found, score=ndcg_percent)
    for ablation, effects in zip(ablations, measured, strict=True):
        assert [effect.variant for effect in effects] == list(ablation.variants)
        assert all(0 <= effect.without <= 100 for effect in effects)


def test_the_setting_by_selects_the_search(searches):
    for settings, direct in (VECTORS, dense), (BM25, lexical):
        np.testing.assert_array_equal(found(settings, searches[0]).gains,
                                      direct(searches[0]).gains)


@given(seeds)
def test_the_negative_distance_of_unit_vectors_is_a_function_of_the_cosine(seed):
    rng = np.random.default_rng(seed)
    A, B = rng.standard_normal((3, 8)), rng.standard_normal((20, 8))
    cos = cosine_matrix(A, B)
    np.testing.assert_allclose(negative_distance_of_units(A, B), -np.sqrt(2 - 2 * cos), rtol=1e-9)
    np.testing.assert_allclose(negative_distance(A[:1], A[:1] + 3), [[-3 * np.sqrt(8)]], rtol=1e-12)


def test_every_second_report_is_followed_by_ten_sentences(searches):
    texts = list(searches[0].corpus.values())
    longer = lengthen_half(searches[0])
    assert longer[::2] == texts[::2] and longer == lengthen_half(searches[0])
    for text, longer_text in zip(texts[1::2], longer[1::2]):
        assert longer_text.startswith(text + " . ") and longer_text.count(" . ") == 10


def test_untrained_word_vectors_are_small_and_there_is_one_per_word(searches):
    words = untrained(searches[0])
    assert words.index_to_key == searches[0].vocab.words
    assert np.abs(words.vectors).max() <= 0.5 / 64


def test_a_list_alone_and_the_sum_of_raw_scores_by_hand():
    lists = [(np.array([[3, 1]]), np.array([[9.0, 1.0]])), (np.array([[1, 2]]),
                                                            np.array([[0.9, 0.8]]))]
    assert bm25_list(lists, 4) is lists[0] and vector_list(lists, 4) is lists[1]
    ids, scores = raw_sum(lists, 3)
    assert ids.tolist() == [[3, 1, 2]]
    np.testing.assert_allclose(scores, [[9, 1.9, 0.8]], rtol=1e-12)


def test_a_hybrid_of_the_vector_list_alone_has_the_top_10_of_the_vector_search(searches):
    alone = hybrid(searches[0], fuse=vector_list, depth=DEPTH)
    np.testing.assert_array_equal(alone.gains[:, :10], dense(searches[0]).gains[:, :10])


# ---- ties ---------------------------------------------------------------------------------------

def test_the_tie_key_orders_documents_with_equal_scores():
    """Three documents; the second is relevant."""
    gains = np.array([[0, 2, 0]])
    for tie_key, expected in (gains, [2, 0, 0]), (-gains, [0, 0, 2]), (0 * gains, [0, 2, 0]):
        ranking = listed_by(np.zeros((1, 3)), gains, tie_key)
        assert ranking.gains[0].tolist() == expected and ranking.judged[0].tolist() == [2, 0, 0]
    ranking = listed_by(np.array([[5.0, 1, 5]]), gains, gains)
    assert ranking.gains[0].tolist() == [0, 0, 2]            # the lower score decides
    assert reciprocal_rank(ranking, 10).tolist() == [1 / 3]


def test_the_share_of_ties_by_hand(searches):
    small = searches[0]._replace(gains=np.array([[0, 1, 0, 0], [1, 0, 0, 0]]),
                                 corpus=dict.fromkeys("abcd", ""))
    scores = np.array([[1.0, 1, 2, 3], [4, 5, 6, 7]])
    tied = ties(small, lambda search: scores)
    assert tied.shared == 100 * 2 / 8
    np.testing.assert_allclose(tied.first[1], 100 * (1 / 3 + 1 / 4) / 2)
    np.testing.assert_allclose(tied.last[1], 100 * (1 / 4 + 1 / 4) / 2)
    np.testing.assert_allclose(tied.by_id[1], tied.first[1])         # b before a


def test_for_a_constant_scorer_the_order_of_ties_decides_between_0_and_100(searches):
    tied = ties(searches[0], SCORERS["a constant"])
    assert tied.shared == 100 and tied.first.tolist() == [100, 100] and not tied.last.any()
    assert 0 < tied.by_id[1] < 70 and 0 < chance_mrr(searches[0]) < 70


def test_relevant_first_is_the_best_order_of_ties_and_relevant_last_the_worst(searches):
    for scorer in SCORERS.values():
        tied = ties(searches[0], scorer)
        assert (tied.last <= tied.by_id + 1e-9).all() and (tied.by_id <= tied.first + 1e-9).all()


def test_every_claim_can_hold_and_can_fail():
    def tied(shared, first, last, by_id):
        return [Tied(shared, np.array(first), np.array(last), np.array(by_id) + noise)
                for noise in (0, 1, 2)]
    constant = [100.0, 100.0], [0.0, 0.0], [4.0, 15.0]
    right = {"a constant": tied(100, *constant), "BM25": tied(90, [80, 90], [40, 70], [60, 80]),
             "cosine, two decimals": tied(90, [95, 99], [80, 98], [90, 99]),
             "cosine, float32": tied(2, [94, 99], [94, 99], [94, 99]),
             "cosine, float64": tied(1, [94, 99], [94, 99], [94, 99])}
    wrong = {"a constant": tied(100, [50, 50], [0, 0], [50, 90]), "BM25": right["cosine, float32"],
             "cosine, two decimals": right["cosine, float32"], "cosine, float32": right["BM25"],
             "cosine, float64": tied(99, *constant)}
    assert tie_effect(right["BM25"]) == 40
    for claim, holds in CLAIMS.items():
        assert holds(right, [15, 17, 16]) and not holds(wrong, [15, 17, 16]), claim

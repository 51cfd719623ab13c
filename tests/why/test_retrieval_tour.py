"""The claims of the tour about retrieval, tested on smaller worlds."""
import numpy as np
import pytest

from scratch_embed.why.retrieval_tour import (
    HYBRID,
    MEASURES,
    SCORES,
    chance,
    learn,
    match_translations,
    monolingual,
    search_coded,
    search_reports,
    upper_bound,
)
from scratch_embed.why.searches import rank_all
from scratch_embed.why.seeds import per_seed
from scratch_embed.worlds.facts import facts
from scratch_embed.worlds.second_language import bitext, inverse, translate


@pytest.fixture(scope="module")
def learned():
    return per_seed(lambda seed: learn(seed, facts(seed, 500, 100, sentences=6000, pairs=0)),
                    [1, 2])


@pytest.fixture(scope="module")
def reports(learned):
    return [search_reports(one_seed) for one_seed in learned.values()]


def test_every_method_is_between_chance_and_the_upper_bound(reports):
    for scores in reports:
        by_chance, highest = scores["chance (exact)"], scores["upper bound"]
        assert list(scores)[-2:] == ["chance (exact)", "upper bound"]
        for name, row in scores.items():
            assert row.shape == (len(MEASURES),) and (row <= highest + 1e-9).all(), name
            if not name.startswith(("random", "chance")):
                assert (row > 2 * by_chance).all(), name


def test_trained_vectors_are_better_than_BM25_and_untrained_vectors_are_worse(reports):
    """nDCG@10 in each of two worlds."""
    for scores in reports:
        nDCG = {name: row[-1] for name, row in scores.items()}
        for method in "word2vec", "GloVe", "FastText":
            assert nDCG[f"{method}, SIF"] > nDCG["BM25"] + 10
            assert nDCG[f"{method}, SIF"] > nDCG[f"{method}, mean"]
        assert nDCG["word2vec, untrained, SIF"] < nDCG["BM25"] < nDCG[HYBRID]
        assert abs(nDCG["random vectors"] - nDCG["chance (exact)"]) < 5


def test_exact_chance_agrees_with_random_orders_and_the_upper_bound_with_its_formula(learned):
    """Chance: within 5 standard errors of 40 random orders, each the mean of 100 queries."""
    search, rng = learned[1].search, np.random.default_rng(0)
    N = search.gains.shape[1]
    rankings = (rank_all(search, rng.random(search.gains.shape)) for _ in range(40))
    drawn = np.array([[100 * measure(ranking).mean() for measure in MEASURES.values()]
                      for ranking in rankings])
    assert (abs(drawn.mean(axis=0) - chance(search)) < 5 * drawn.std(axis=0) / 40**0.5).all()
    assert chance(search)[0] == pytest.approx(100 * 10 / N)
    relevant = (search.gains > 0).sum(axis=1)
    np.testing.assert_allclose(
        upper_bound(search), [100 * np.mean(np.minimum(10, relevant) / relevant), 100, 100])


def test_BM25_finds_codes_and_vectors_are_better_on_queries_with_synonyms(learned):
    for one_seed in learned.values():
        scores = search_coded(one_seed)
        assert scores["BM25"][0] == 100 and scores["word2vec, SIF"][0] < 5
        assert scores["word2vec, SIF"][1] > scores["BM25"][1] + 10
        for row in scores.values():
            np.testing.assert_allclose(row[:2].mean(), row[2], rtol=1e-12)       # half of each
        assert scores[SCORES][2] > scores["word2vec, SIF"][2]


def test_without_pairs_hardly_any_translation_is_found_but_with_the_cipher_undone_all_are():
    scores = match_translations(1, sentences=200, pairs=3000)
    assert scores["the cipher undone"].f1 == 1
    for name in "each language alone", "both texts as one", "random vectors":
        assert scores[name].f1 < 0.03 and scores[name].accuracy < 0.05, name


def test_no_sentence_of_one_monolingual_text_is_translated_in_the_other():
    world = bitext(2, 50, 6000)
    english, foreign = monolingual(world.pairs)
    deciphered = {translate(" ".join(text), inverse(world.cipher)) for text in foreign}
    assert len(foreign) > 1000 and deciphered.isdisjoint(" ".join(text) for text in english)

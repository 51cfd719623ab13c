"""Window counts, PPMI, SVD vectors, and the closed-form optimum that SGNS converges to."""
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.evaluate.correlation import pearson
from scratch_embed.text.vocab import Corpus, index_sentences
from scratch_embed.training.session import RunOptions
from scratch_embed.words.negative_sampling import noise_distribution
from scratch_embed.words.ppmi import ppmi, sgns_optimum, shifted_pmi, svd_vectors, window_counts
from scratch_embed.words.word2vec import train
from scratch_embed.worlds.grammar import Grammar, expected_cooccurrence, pair_distribution
from scratch_embed.worlds.words import tiny
from tests.rounding import seeds

texts = st.lists(st.lists(st.integers(0, 5), max_size=9), max_size=5)


def corpus_of(sentences):
    ids = [word for sentence in sentences for word in sentence]
    return Corpus(np.array(ids, np.int32), np.cumsum([0] + [len(s) for s in sentences]))


def pair_probabilities(seed, V=7):
    """(V, V) random probabilities of pairs, symmetric and above 0."""
    joint = np.random.default_rng(seed).uniform(0.1, 1, (V, V))
    joint = joint + joint.T
    return joint / joint.sum()


# ---- counting -------------------------------------------------------------------------------

def test_a_sentence_counted_by_hand():
    """a b c, window 2: neighbours count 1; a and c count ½, the probability of size 2."""
    counts = window_counts(corpus_of([[0, 1, 2], [2]]), 4, 2)
    np.testing.assert_array_equal(counts, [[0, 1, 0.5, 0], [1, 0, 1, 0], [0.5, 1, 0, 0], [0] * 4])


def test_a_word_next_to_itself_is_counted_twice():
    assert window_counts(corpus_of([[0, 0]]), 1, 5) == 2


@given(texts, st.integers(1, 6))
def test_counts_are_the_mean_over_all_window_sizes(sentences, window):
    """By brute force: each position with each window size 1..window, of probability 1/window.

    A cell is a sum of integers that is divided once, so it is exact.
    """
    want = np.zeros((6, 6))
    for sentence in sentences:
        for i, size in product(range(len(sentence)), range(1, window + 1)):
            for j in range(max(0, i - size), min(len(sentence), i + size + 1)):
                if j != i:
                    want[sentence[i], sentence[j]] += 1
    np.testing.assert_array_equal(window_counts(corpus_of(sentences), 6, window), want / window)


@given(seeds, st.integers(1, 4))
def test_counts_of_all_sentences_of_a_grammar_equal_its_pair_distribution(seed, window):
    """A frame of four slots with two words each, of probability ½: 2⁴ equally likely sentences.

    Each side sums at most 2 · 6 pairs of positions over 16 sentences, and divides: 400 u.
    """
    pairs = np.random.default_rng(seed).integers(0, 6, (4, 2))
    slots = np.zeros((4, 6))
    for slot, pair in enumerate(pairs):
        np.add.at(slots[slot], pair, 0.5)
    grammar = Grammar(list("abcdef"), slots, [[0, 1, 2, 3]], np.ones(1))
    counts = window_counts(corpus_of([list(s) for s in product(*pairs)]), 6, window)
    np.testing.assert_allclose(counts / counts.sum(), pair_distribution(grammar, window),
                               rtol=400 * 2**-53, atol=0)


@pytest.mark.parametrize("seed", range(3))
def test_counts_of_a_text_converge_to_the_pair_distribution(seed):
    """Bernstein's inequality: S independent sentences each add between 0 and B to a cell of mean μ.

    With probability 1 − 2 V² e^−λ = 1 − 10⁻⁹, the mean of each of the V² cells differs from μ by at
    most √(2 B μ λ/S) + B λ/(3S).  B is the sum of all counts of the longest sentence; the variance
    of a sentence's contribution is at most μ B.
    """
    world, window = tiny(seed, 20_000), 2
    vocab, corpus = index_sentences(world.sentences, min_count=1)
    order = [world.words.index(word) for word in vocab.words]
    S, V, longest = len(world.sentences), len(vocab), max(map(len, world.sentences))
    weights = np.arange(window, 0, -1) / window               # of the distances 1..window
    total = expected_cooccurrence(world.grammar, weights).sum()
    mean = total * pair_distribution(world.grammar, window)[np.ix_(order, order)]
    B = sum(2 * (longest - d) * weights[d - 1] for d in range(1, window + 1))
    lam = np.log(2 * V**2 / 1e-9)
    bound = np.sqrt(2 * B * mean * lam / S) + B * lam / (3 * S)
    assert (np.abs(window_counts(corpus, V, window) / S - mean) <= bound).all()
    assert bound.max() < mean.max()                           # so the bound excludes a count of 0


def test_invalid_arguments_of_window_counts_are_rejected():
    corpus = corpus_of([[0, 1]])
    with pytest.raises(ValueError, match=r"at most 1,073,741,824 bytes, got 320,000,000,000"):
        window_counts(corpus, 200_000, 2)
    with pytest.raises(ValueError, match=r"word numbers in 0\.\.0, got 0\.\.1"):
        window_counts(corpus, 1, 2)
    with pytest.raises(ValueError, match="window=0"):
        window_counts(corpus, 2, 0)


# ---- the matrix -----------------------------------------------------------------------------

def test_ppmi_worked_by_hand():
    """P = [[4, 1], [1, 2]]/8, P(w) = 5/8 and 3/8: 4·8/(5·5), 1·8/(5·3) < 1, 2·8/(3·3)."""
    counts = [[4, 1], [1, 2]]
    np.testing.assert_allclose(ppmi(counts, power=1),
                               [[np.log(32 / 25), 0], [0, np.log(16 / 9)]])
    np.testing.assert_allclose(ppmi(counts, power=1, shift=1.5), [[0, 0], [0, np.log(32 / 27)]])
    np.testing.assert_allclose(ppmi(counts, power=0)[0, 0], np.log(4 / 5 * 2))


def test_the_power_is_applied_to_contexts_and_defaults_to_three_quarters():
    counts = np.array([[1.0, 15.0], [15.0, 50.0]])            # column sums 16 and 65
    noise = np.array([8.0, 65**0.75])
    np.testing.assert_allclose(np.exp(shifted_pmi(counts, noise / noise.sum())[1, 0]),
                               15 / 65 / (8 / noise.sum()))
    np.testing.assert_allclose(ppmi(counts)[0, 1],
                               np.log(15 / 16 / (noise[1] / noise.sum())))


def test_pairs_and_words_that_never_occur_have_ppmi_zero():
    matrix = ppmi([[0, 2, 0], [2, 1, 0], [0, 0, 0]])
    assert np.isfinite(matrix).all() and matrix[0, 0] == 0 and not matrix[2].any()
    assert not matrix[:, 2].any()


@given(seeds, st.floats(0.1, 20))
def test_the_optimum_is_where_the_expected_gradient_vanishes(seed, K):
    """E[∂L/∂s] = −a σ(−s) + b σ(s) = 0 with a = P(n, m) and b the expected number of negatives m.

    sgns_optimum skips negatives that equal the observed word, shifted_pmi does not.  s is a sum of
    logarithms below 10, so the rounding error of each side is below 100 u.
    """
    P, noise = pair_probabilities(seed), noise_distribution(np.arange(1, 8))
    for n, m in product(range(7), range(7)):
        others = sum(P[n, k] for k in range(7) if k != m)
        for form, b in ((sgns_optimum, K * noise[m] * others),
                        (shifted_pmi, K * noise[m] * P[n].sum())):
            s = form(P, noise, K)[n, m]
            assert P[n, m] / (1 + np.exp(s)) == pytest.approx(b / (1 + np.exp(-s)),
                                                              rel=100 * 2**-53)


@given(seeds)
def test_the_two_forms_differ_by_minus_log_of_1_minus_p_of_the_pair(seed):
    P, noise = pair_probabilities(seed), noise_distribution(np.arange(1, 8))
    np.testing.assert_allclose(sgns_optimum(P, noise, 5) - shifted_pmi(P, noise, 5),
                               -np.log(1 - P / P.sum(1, keepdims=True)), rtol=0, atol=1e-13)


def test_counts_give_the_same_optimum_as_probabilities():
    P, noise = pair_probabilities(0), noise_distribution(np.arange(1, 8))
    np.testing.assert_allclose(sgns_optimum(64 * P, noise, 5), sgns_optimum(P, noise, 5),
                               rtol=0, atol=1e-13)


def test_the_optimum_is_infinite_for_a_certain_and_for_an_impossible_pair():
    optimum = sgns_optimum([[0, 1], [1, 2]], [0.5, 0.5], 1)
    assert optimum[0, 1] == np.inf and optimum[0, 0] == -np.inf and np.isfinite(optimum[1]).all()


@pytest.mark.parametrize("invalid", [[[1, -1], [1, 1]], [[0, 0], [0, 0]], [1, 2],
                                 [[np.nan, 1], [1, 1]], [[np.inf, 1], [1, 1]]])
def test_a_matrix_that_cannot_be_counts_is_rejected(invalid):
    with pytest.raises(ValueError, match="expected a matrix of finite counts"):
        shifted_pmi(invalid, [0.5, 0.5])


def test_a_shift_of_zero_is_rejected():
    with pytest.raises(ValueError, match="shift=0"):
        ppmi([[1, 1], [1, 1]], shift=0)


# ---- vectors --------------------------------------------------------------------------------

@given(seeds, st.floats(0, 1))
def test_at_full_rank_the_product_of_the_vectors_is_the_matrix(seed, p):
    """The error of a backward stable SVD is a small multiple of V u ‖M‖, here at most 30."""
    matrix = np.random.default_rng(seed).standard_normal((9, 9))
    W, U = svd_vectors(matrix, 9, p)
    bound = 30 * 9 * 2**-53 * np.linalg.norm(matrix, 2)
    np.testing.assert_allclose(W @ U.T, matrix, rtol=0, atol=bound)


def test_svd_keeps_the_largest_singular_values_and_p_splits_them():
    matrix = np.diag([1.0, 9.0, 4.0])
    W, U = svd_vectors(matrix, 2)
    np.testing.assert_allclose(W @ U.T, np.diag([0, 9, 4]), atol=1e-14)
    np.testing.assert_allclose(np.abs(W), [[0, 0], [3, 0], [0, 2]], atol=1e-14)
    np.testing.assert_allclose(np.abs(svd_vectors(matrix, 2, 1)[0]), [[0, 0], [9, 0], [0, 4]],
                               atol=1e-14)
    np.testing.assert_allclose(np.abs(svd_vectors(matrix, 2, 0)[0]), [[0, 0], [1, 0], [0, 1]],
                               atol=1e-14)


@pytest.mark.parametrize("dim", [0, 4])
def test_more_dimensions_than_the_matrix_has_are_rejected(dim):
    with pytest.raises(ValueError, match=f"dim={dim}: expected 1 to 3"):
        svd_vectors(np.eye(3), dim)


# ---- the closed form ----------------------------------------------------------------------------

@pytest.mark.parametrize("seed", [1, 2, 3])
def test_skip_gram_converges_to_the_closed_form_and_skipped_negatives_matter(seed):
    """41 words, 48 dimensions; `exact` is the optimum with skipped negatives, `plain` without.

    Seen with 5 seeds: correlation 0.988 (exact) and 0.987 (plain), error 0.08 and 0.12.  The
    residuals of `plain` are regressed on exact − plain: a slope of 1 confirms the correction, 0
    would refute it.  Seen: 0.96 to 1.02.
    """
    window, K = 2, 5
    world = tiny(seed)
    vocab, corpus = index_sentences(world.sentences, min_count=1)
    W, U, _ = train(corpus, vocab, dim=48, window=window, negatives=K, sample=0, lr=0.05,
                    epochs=10, options=RunOptions(seed=seed))
    order = [world.words.index(word) for word in vocab.words]
    P = pair_distribution(world.grammar, window)[np.ix_(order, order)]
    products, noise = W.astype(float) @ U.T, noise_distribution(vocab.counts)
    exact, plain = sgns_optimum(P, noise, K), shifted_pmi(P, noise, K)
    assert pearson(products.ravel(), exact.ravel()) > 0.985
    assert pearson(products.ravel(), exact.ravel()) > pearson(products.ravel(), plain.ravel())

    def error(form):
        return np.sqrt((P * (products - form)**2).sum())
    assert error(exact) < 0.09 and error(exact) < 0.75 * error(plain)
    correction = exact - plain
    slope = (P * correction * (products - plain)).sum() / (P * correction**2).sum()
    assert 0.8 < slope < 1.2

"""The exact distribution of word pairs, compared with an enumeration and with a large sample."""
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.worlds.grammar import (
    Grammar,
    draw_sentences,
    expected_cooccurrence,
    pair_distribution,
)
from scratch_embed.worlds.words import tiny
from tests.rounding import seeds, u64


def rng(seed):
    return np.random.Generator(np.random.PCG64(seed))


A_B_C = Grammar(["a", "b", "c"], np.eye(3), [[0, 1, 2]], (1.0,))         # the sentence "a b c"


def test_the_pairs_of_one_sentence_counted_by_hand():
    # weight 1 at distance 1, ½ at distance 2: ab 1, bc 1, ac ½; the sum of both directions is 5
    np.testing.assert_allclose(pair_distribution(A_B_C, 2),
                               [[0, 0.2, 0.1], [0.2, 0, 0.2], [0.1, 0.2, 0]], rtol=4 * u64)


def test_if_subsampling_drops_a_word_its_neighbours_become_adjacent():
    # b is kept with probability ½: ab ½, bc ½; ac is 1 without b and ½ with b, on average ¾;
    # the sum of both directions is 3½
    expected = np.array([[0, 2, 3], [2, 0, 2], [3, 2, 0]]) / 14
    found = pair_distribution(A_B_C, 2, keep=[1, 0.5, 1])
    np.testing.assert_allclose(found, expected, rtol=9 * u64)


def test_expected_counts_with_the_weights_of_GloVe_by_hand():
    X = expected_cooccurrence(A_B_C, 1 / np.arange(1, 4))
    np.testing.assert_array_equal(X, [[0, 1, 0.5], [1, 0, 1], [0.5, 1, 0]])


def enumerated_pairs(grammar, window, keep):
    """P(w, c) by enumerating all sentences, all subsets of kept words and all window sizes."""
    words, slots, frames, probabilities = grammar
    total = np.zeros((len(words), len(words)))
    for frame, probability in zip(frames, probabilities):
        for ids in product(range(len(words)), repeat=len(frame)):
            for is_kept in product([0, 1], repeat=len(frame)):
                p = probability * np.prod([slots[s][w] for s, w in zip(frame, ids)])
                p *= np.prod([keep[w] if k else 1 - keep[w] for w, k in zip(ids, is_kept)])
                text = [w for w, k in zip(ids, is_kept) if k]
                for size in range(1, window + 1):
                    for i, w in enumerate(text):
                        for c in text[max(0, i - size):i] + text[i + 1:i + size + 1]:
                            total[w, c] += p / window
    return total / total.sum()


@given(seeds, st.integers(1, 4))
def test_the_exact_distribution_equals_the_enumeration_of_all_cases(seed, window):
    draw = rng(seed)
    slots = draw.dirichlet(np.ones(2), size=3)
    frames = [list(draw.integers(0, 3, n)) for n in draw.integers(2, 6, 2)]
    probabilities, keep = draw.dirichlet([1, 1]), draw.uniform(0.1, 1, 2)
    grammar = Grammar(["v", "w"], slots, frames, probabilities)
    np.testing.assert_allclose(pair_distribution(grammar, window, keep),
                               enumerated_pairs(grammar, window, keep), rtol=1e-12)


def counts_by_sentence(sentences, words, weights):
    """(sentences, V * V): the weighted co-occurrences of each sentence."""
    index, V = {word: i for i, word in enumerate(words)}, len(words)
    X = np.zeros((len(sentences), V * V))
    for row, sentence in zip(X, sentences):
        ids = [index[word] for word in sentence]
        for i, w in enumerate(ids):
            for j in range(max(0, i - len(weights)), min(len(ids), i + len(weights) + 1)):
                if j != i:
                    row[w * V + ids[j]] += weights[abs(i - j) - 1]
    return X


def test_the_mean_counts_of_a_large_sample_are_the_expected_counts():
    """Bernstein's inequality: |mean − X| ≤ √(2σ²t/n) + 2Mt/3n except with probability about 2e^−t.

    t = 18 is six sigma; the probability of a false alarm is about 5e-5 over all cells.
    """
    grammar, n, t = tiny().grammar, 20_000, 18
    weights = np.arange(4, 0, -1) / 4
    drawn = draw_sentences(grammar, n, rng(7))
    total, squares, largest = 0, 0, 0
    for start in range(0, n, 2000):
        X = counts_by_sentence(drawn[start:start + 2000], grammar.words, weights)
        total, squares = total + X.sum(0), squares + (X ** 2).sum(0)
        largest = max(largest, X.max())
    mean = total / n
    bound = np.sqrt(2 * (squares / n - mean ** 2) * t / n) + 2 * largest * t / (3 * n)
    expected = expected_cooccurrence(grammar, weights).ravel()
    assert (np.abs(mean - expected) <= bound).all()
    z = (mean - expected) / np.sqrt((squares / n - mean ** 2) / n)
    assert 0.8 < np.mean(z ** 2) < 1.2                           # nor closer than by chance


@pytest.mark.parametrize("call, message", [
    (lambda: pair_distribution(A_B_C, 0), "window=0: expected a whole number, 1 to"),
    (lambda: pair_distribution(A_B_C, 2, keep=[1, 1]), "expected 3 probabilities"),
    (lambda: pair_distribution(A_B_C, 2, keep=[1, 1, 2]), "expected 3 probabilities"),
    (lambda: pair_distribution(A_B_C, 2, keep=[0, 0, 0]),
     "expected at least one pair of words, got none"),
])
def test_a_wrong_argument_raises_an_error_with_the_expected_values(call, message):
    with pytest.raises(ValueError, match=message):
        call()

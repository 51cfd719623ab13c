"""Co-occurrence counts: exact for any form of storage; their memory is estimated beforehand."""
import tracemalloc
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.random import mix
from scratch_embed.text.vocab import Corpus, index_sentences
from scratch_embed.words.cooccurrence import (
    count_cells,
    count_cells_plain,
    dense_counts,
    estimate_size,
    flat,
    harmonic,
    linear,
    pair_chunks,
)
from scratch_embed.words.ppmi import ppmi, svd_vectors, window_counts
from scratch_embed.worlds.grammar import expected_cooccurrence
from scratch_embed.worlds.words import tiny
from tests.processes import in_plain_python, terminal
from tests.rounding import seeds

V = 6
texts = st.lists(st.lists(st.integers(0, V - 1), max_size=12), max_size=6)
windows = st.integers(1, 8)
forms = st.sampled_from([harmonic, flat, linear])
EXACT = {harmonic: lambda d, window: Fraction(1, d), flat: lambda d, window: Fraction(1),
         linear: lambda d, window: Fraction(window - d + 1, window)}


def corpus_of(sentences):
    ids = [word for sentence in sentences for word in sentence]
    return Corpus(np.array(ids, np.int32), np.cumsum([0] + [len(s) for s in sentences]))


def brute_force(sentences, window, weights, symmetric):
    """{(i, j): X_ij} over every ordered pair of positions, in fractions that are rounded once."""
    X = defaultdict(Fraction)
    for sentence in sentences:
        for i, word in enumerate(sentence):
            for j, other in enumerate(sentence):
                if i != j and abs(i - j) <= window and (symmetric or j < i):
                    X[word, other] += EXACT[weights](abs(i - j), window)
    return {cell: float(x) for cell, x in X.items()}


def as_dict(cells):
    return dict(zip(zip(cells.rows.tolist(), cells.cols.tolist()), cells.counts.tolist()))


# ---- the counts -------------------------------------------------------------------------------

def test_a_sentence_counted_by_hand():
    """a b a, window 2: two pairs of neighbours, a b and b a; the two a have distance 2."""
    X = dense_counts(count_cells(corpus_of([[0, 1, 0], [2]]), 3, window=2), 3)
    np.testing.assert_array_equal(X, [[2 * 1 / 2, 2, 0], [2, 0, 0], [0, 0, 0]])


def test_one_sided_counts_have_the_earlier_word_in_the_column():
    X = dense_counts(count_cells(corpus_of([[0, 1, 2]]), 3, window=5, symmetric=False), 3)
    np.testing.assert_array_equal(X, [[0, 0, 0], [1, 0, 0], [1 / 2, 1, 0]])


def test_the_weights_of_the_distances():
    for weights, want in ((harmonic, [1, 1 / 2, 1 / 3]), (flat, [1, 1, 1]),
                          (linear, [1, 2 / 3, 1 / 3])):
        numerators, denominator = weights(3)
        np.testing.assert_array_equal(numerators / denominator, want)
        np.testing.assert_array_equal(numerators, np.round(numerators))


@given(texts, windows, forms, st.booleans(), st.integers(0, V + 1))
def test_counts_equal_a_brute_force_count_exactly(sentences, window, weights, symmetric, dense):
    """For any size of the dense block."""
    corpus = corpus_of(sentences)
    cells = count_cells(corpus, V, window, weights, symmetric, dense)
    want = brute_force(sentences, window, weights, symmetric)
    assert as_dict(cells) == want == count_cells_plain(corpus, window, weights, symmetric)
    keys = cells.rows.astype(np.int64) * V + cells.cols
    assert (np.diff(keys) > 0).all()                          # cells are unique and sorted
    assert [a.dtype for a in cells] == [np.int32, np.int32, np.float64]


@given(texts, windows, st.booleans(), st.integers(1, 40))
def test_pairs_do_not_depend_on_the_size_of_chunks(sentences, window, symmetric, pairs):
    corpus = corpus_of(sentences)
    one, cut = ([(keys.tolist(), distances.tolist(), words) for keys, distances, words
                   in pair_chunks(corpus, window, symmetric, pairs=n)] for n in (10_000, pairs))
    assert len(one) <= 1
    for keys, distances, words in one:
        assert sum((chunk[0] for chunk in cut), []) == keys
        assert sum((chunk[1] for chunk in cut), []) == distances
        assert sum(chunk[2] for chunk in cut) == words == len(corpus.ids)
    assert all(len(keys) <= max(pairs, window) for keys, _, _ in cut)


@given(seeds, st.integers(1, 12))
def test_symmetric_counts_are_symmetric_to_the_bit(seed, window):
    rng = np.random.default_rng(seed)
    corpus = corpus_of([rng.zipf(1.5, 200) % 30 for _ in range(3)])
    X = dense_counts(count_cells(corpus, 30, window, dense=5), 30)
    np.testing.assert_array_equal(X, X.T)
    one_side = dense_counts(count_cells(corpus, 30, window, symmetric=False), 30)
    np.testing.assert_allclose(X, one_side + one_side.T, rtol=3 * 2**-53, atol=0)


@given(st.lists(st.integers(1, 30), max_size=6), windows)
def test_the_sum_of_all_counts_depends_only_on_the_lengths_of_the_sentences(lengths, window):
    """Σ X = Σ_s Σ_d 2 (n_s − d)/d for sentences of n_s words; at most V² + 1 roundings."""
    corpus = corpus_of([np.arange(n) * 7 % V for n in lengths])
    want = sum(Fraction(2 * (n - d), d) for n in lengths for d in range(1, min(n, window + 1)))
    assert count_cells(corpus, V, window).counts.sum() == pytest.approx(float(want),
                                                                        rel=(V**2 + 1) * 2**-53)


def test_a_window_does_not_reach_across_the_end_of_a_sentence():
    together = count_cells(corpus_of([[0, 1], [2, 3]]), 4)
    assert set(as_dict(together)) == {(0, 1), (1, 0), (2, 3), (3, 2)}


def test_a_large_window_has_no_common_denominator_and_rounds_each_weight():
    """Up to a window of 40, all numerators are integers below 2⁵³."""
    numerators, denominator = harmonic(40)
    assert denominator > 2**52 and (numerators == np.round(numerators)).all()
    assert (numerators * range(1, 41) == denominator).all()
    numerators, denominator = harmonic(41)
    assert denominator == 1 and numerators[40] == 1 / 41
    assert harmonic(2000).denominator == 1          # the multiple exceeds float64
    far = count_cells(corpus_of([range(60)]), 60, window=50)
    assert as_dict(far)[0, 49] == pytest.approx(1 / 49, rel=2**-52)


@pytest.mark.parametrize("seed", range(3))
def test_counts_of_a_text_converge_to_the_expectation_of_its_grammar(seed):
    """Bernstein's bound as in test_ppmi.py, with the weights 1/d."""
    world, window = tiny(seed, 20_000), 4
    vocab, corpus = index_sentences(world.sentences, min_count=1)
    order = [world.words.index(word) for word in vocab.words]
    S, n, longest = len(world.sentences), len(vocab), max(map(len, world.sentences))
    mean = expected_cooccurrence(world.grammar, 1 / np.arange(1, window + 1))[np.ix_(order, order)]
    B = sum(2 * (longest - d) / d for d in range(1, window + 1))
    lam = np.log(2 * n**2 / 1e-9)
    bound = np.sqrt(2 * B * mean * lam / S) + B * lam / (3 * S)
    X = dense_counts(count_cells(corpus, n, window), n)
    assert (np.abs(X / S - mean) <= bound).all() and bound.max() < mean.max()


# ---- memory -----------------------------------------------------------------------------------

def zipfian(T, words, seed=0):
    """A corpus of T words in sentences of 20; word ids are ranks of a Zipf distribution."""
    ranks = np.random.default_rng(seed).zipf(1.3, 3 * T)
    ids = ranks[ranks <= words][:T].astype(np.int32) - 1
    return Corpus(ids, np.append(np.arange(0, len(ids), 20), len(ids)))


@given(texts, windows, st.booleans(), st.integers(0, V))
def test_the_size_of_a_short_text_is_exact(sentences, window, symmetric, dense):
    corpus = corpus_of(sentences)
    size = estimate_size(corpus, V, window, symmetric, dense)
    want = brute_force(sentences, window, harmonic, symmetric)
    assert size.cells == len(want)
    assert size.hashed == sum(1 for i, j in want
                              if max(i, j) >= dense and (i <= j or not symmetric))


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_size_of_a_long_text_is_estimated_from_a_sample_of_its_cells(symmetric):
    """Keys are sampled by hash: the number n of sampled keys has the standard deviation √n."""
    corpus = zipfian(1_000_000, 20_000)
    size = estimate_size(corpus, 20_000, 10, symmetric, 100)
    cells = count_cells(corpus, 20_000, 10, symmetric=symmetric)
    one_in = 8                                                # 7,250,000 pairs; at most 2²⁰ keys
    per_key = 2 if symmetric else 1                           # cells per sampled key
    assert abs(size.cells - len(cells.rows)) < 6 * np.sqrt(len(cells.rows) * per_key * one_in)
    hashed = ((cells.rows >= 100) | (cells.cols >= 100)) & (
        (cells.rows <= cells.cols) if symmetric else True)
    assert abs(size.hashed - hashed.sum()) < 6 * np.sqrt(hashed.sum() * one_in)


def peak_of(function, *arguments, **settings):
    tracemalloc.start()
    try:
        function(*arguments, **settings)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("dense", [0, 200, 2000])
def test_counting_takes_no_more_memory_than_estimated(dense, symmetric):
    """The same holds for the sample of the estimate."""
    corpus = zipfian(1_000_000, 20_000)
    settings = dict(window=10, symmetric=symmetric, dense=dense)
    count_cells(corpus_of([[0, 1]]), 20_000, **settings)      # compiled before the measurement
    size = estimate_size(corpus, 20_000, **settings)
    assert peak_of(estimate_size, corpus, 20_000, **settings) < size.bytes
    assert size.bytes / 2 < peak_of(count_cells, corpus, 20_000, **settings) < size.bytes


def test_more_than_the_budget_is_rejected_before_counting():
    corpus = zipfian(20_000, 1_000)
    size = estimate_size(corpus, 1_000)
    need = f"about {size.cells:,} cells take {size.bytes / 2**20:.0f} MiB"
    with terminal() as bar, pytest.raises(MemoryError, match=need + ".* budget is 1 MiB"):
        count_cells(corpus, 1_000, budget=2**20, progress=True)
    assert bar.text == ""                                     # counting would show a bar
    count_cells(corpus, 1_000, budget=size.bytes)


def test_a_table_that_turns_out_too_small_is_replaced_by_a_larger_one():
    """200 pairs whose hashes are all outside the sample of one key in four."""
    a, b = (grid.ravel() for grid in np.meshgrid(np.arange(0, 40), np.arange(40, 80)))
    with np.errstate(over="ignore"):
        outside = [mix(np.uint64(i << 32 | j)) & np.uint64(3) != 0 for i, j in zip(a, b)]
    pairs = np.column_stack([a, b])[outside][:200]
    corpus = Corpus(np.tile(pairs.ravel(), 11_000).astype(np.int32), np.arange(0, 4_400_001, 2))
    size = estimate_size(corpus, 80, window=1, dense=0)
    assert size.hashed == 0
    cells = count_cells(corpus, 80, window=1, dense=0)
    want = {(i, j): 11_000 for i, j in pairs.tolist()}
    assert as_dict(cells) == want | {(j, i): count for (i, j), count in want.items()}
    with pytest.raises(MemoryError):                          # larger tables respect the budget
        count_cells(corpus, 80, window=1, dense=0, budget=size.bytes)


# ---- errors -----------------------------------------------------------------------------------

@pytest.mark.parametrize("wrong", [{"window": 0}, {"window": 1.5}, {"window": 10**9},
                                   {"dense": -1}])
def test_invalid_settings_are_rejected_by_name(wrong):
    with pytest.raises(ValueError, match="{}={}".format(*next(iter(wrong.items())))):
        count_cells(corpus_of([[0, 1]]), 2, **wrong)


@pytest.mark.parametrize("ids, message", [([0, 2], r"expected word numbers in 0\.\.1, got 0\.\.2"),
                                      ([-1, 1], r"expected word numbers in 0\.\.1, got -1\.\.1")])
def test_ids_of_another_vocabulary_are_rejected(ids, message):
    with pytest.raises(ValueError, match=message):
        count_cells(corpus_of([ids]), 2)


def test_a_window_longer_than_every_sentence_has_no_effect():
    corpus = zipfian(2_000, 300)
    far, near = (count_cells(corpus, 300, window, flat) for window in (1_000_000, 19))
    assert all((a == b).all() for a, b in zip(far, near))
    assert estimate_size(corpus, 300, 1_000_000) == estimate_size(corpus, 300, 19)


def test_a_text_without_pairs_has_no_cells():
    for sentences in ([], [[]], [[0], [1]]):
        assert [len(a) for a in count_cells(corpus_of(sentences), 2)] == [0, 0, 0]


def test_a_dense_matrix_that_is_too_large_is_rejected_with_its_size():
    with pytest.raises(ValueError, match=r"at most 1,073,741,824 bytes, got 320,000,000,000"):
        dense_counts(count_cells(corpus_of([[0, 1]]), 200_000), 200_000)


# ---- other uses -------------------------------------------------------------------------------

def test_ppmi_and_svd_vectors_of_these_counts():
    """PPMI of GloVe's counts equals its formula; linear weights give word2vec's counts."""
    world = tiny(0, 3_000)
    vocab, corpus = index_sentences(world.sentences, min_count=1)
    n = len(vocab)
    X = dense_counts(count_cells(corpus, n, window=4), n)
    P = X / X.sum()
    want = np.maximum(0, np.log(P / np.outer(P.sum(1), P.sum(0))))
    np.testing.assert_allclose(ppmi(X, power=1), want, rtol=0, atol=1e-13)
    W, U = svd_vectors(ppmi(X, power=1), n)
    np.testing.assert_allclose(W @ U.T, want, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(
        window_counts(corpus, n, 4), dense_counts(count_cells(corpus, n, 4, linear), n))


def test_the_bar_counts_words_and_shows_the_size():
    corpus = corpus_of([[0, 1, 2], [3, 1, 0, 2]])
    with terminal() as bar:
        count_cells(corpus, 4, window=10, progress=True)
    size = estimate_size(corpus, 4, window=10)
    assert size.cells == len(brute_force([[0, 1, 2], [3, 1, 0, 2]], 10, flat, True))
    assert "7.00/7.00 [" in bar.text
    assert f"{size.cells} cells, {size.bytes / 2**20:.0f} MiB]" in bar.text
    with terminal() as bar:
        count_cells(corpus, 4)
    assert bar.text == ""


def small_counts():
    ids = np.random.default_rng(0).integers(0, 9, 60).astype(np.int32)
    return dense_counts(count_cells(Corpus(ids, np.array([0, 25, 60])), 9, dense=3), 9)


def test_counting_without_jit_gives_the_same_counts():
    np.testing.assert_array_equal(in_plain_python(small_counts), small_counts())

"""FastText: the equation, the kernels, training, and vectors of forms that no text contained."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.random import stream
from scratch_embed.text.vocab import Corpus, Vocab, index_sentences
from scratch_embed.training.session import RunOptions
from scratch_embed.words.cbow import cbow_loss_and_grad
from scratch_embed.words.fasttext import (
    DETAILS,
    cbow_chunk,
    corrected_cbow_chunk,
    corrected_skipgram_chunk,
    fill_mean_steps,
    initial_rows,
    make_subword_plan,
    mean_step,
    pair_step,
    skipgram_chunk,
    train,
)
from scratch_embed.words.fasttext_vectors import FastTextVectors
from scratch_embed.words.negative_sampling import alias_table
from scratch_embed.words.plan import Details, make_plan
from scratch_embed.words.subwords import NGrams, Subwords
from scratch_embed.words.word2vec import draw_targets, draw_window, subsample
from scratch_embed.worlds.words import HELD_OUT, easy
from tests.processes import in_plain_python
from tests.rounding import seeds

WORDS = ["the", "banana", "sings", "où", "a", "</s>", "singing", "日本語"]
COUNTS = np.array([9, 8, 7, 6, 5, 4, 3, 2])
SKIPGRAM = [(skipgram_chunk, True), (corrected_skipgram_chunk, False)]
CBOW = [(cbow_chunk, True), (corrected_cbow_chunk, False)]


def plan_of(negatives, window=2, sample=0.0, buckets=30):
    """The plan of WORDS; with so few buckets, some n-grams of one word share a bucket."""
    pairs = make_plan(COUNTS, window, negatives, sample, power=0.5)
    return make_subword_plan(Vocab(WORDS, COUNTS), pairs, NGrams(2, 4, buckets))


def tables(seed, D=5, rows=8 + 30):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((rows, D)).astype(np.float32),
            rng.standard_normal((len(WORDS), D)).astype(np.float32))


# ---- the equation ---------------------------------------------------------------------------

def test_the_originals_step_worked_by_hand():
    """h = ((2, 0) + (0, 0))/2 = (1, 0); u·h = log 3, so σ(u·h) = 3/4 and ∂L/∂h = −u/4."""
    W, U = np.array([[2.0, 0], [0, 0], [7, 7]]), np.array([[np.log(3), 8.0]])
    loss = pair_step(W, U, np.array([0, 1]), np.array([0]), np.array([1]), lr=1.0)
    assert loss == pytest.approx(np.log(4 / 3))
    np.testing.assert_allclose(W, [[2 + np.log(3) / 4, 2], [np.log(3) / 4, 2], [7, 7]])
    np.testing.assert_allclose(U, [[np.log(3) + 1 / 4, 8]])


@given(seeds)
def test_the_corrected_step_follows_the_gradient_of_the_loss(seed):
    """Along one random direction of W and U: (W − W')/lr against central differences."""
    rng = np.random.default_rng(seed)
    W, U = rng.standard_normal((6, 5)), rng.standard_normal((8, 5))
    subword_rows, h = np.array([1, 3, 3, 5]), 1e-5
    rows, y = np.array([0, 2, 4]), np.array([1, -1, -1])
    A, B = rng.standard_normal(W.shape), rng.standard_normal(U.shape)

    def loss(t):
        return cbow_loss_and_grad((W + t * A)[subword_rows], U + t * B, rows, y)[0]
    stepped_W, stepped_U = W.copy(), U.copy()
    pair_step(stepped_W, stepped_U, subword_rows, rows, y, 1.0, full_gradient=False)
    slopes = np.concatenate([((W - stepped_W) * A).ravel(), ((U - stepped_U) * B).ravel()])
    numeric = (loss(h) - loss(-h)) / (2 * h)
    assert abs(slopes.sum() - numeric) <= 1e-6 * (abs(slopes).sum() + 1)


@given(seeds)
def test_with_the_originals_step_h_changes_as_a_single_row_would(seed):
    """If all subword rows differ: h' = h − lr · ∂L/∂h for any number of rows."""
    rng = np.random.default_rng(seed)
    W, U = rng.standard_normal((9, 5)), rng.standard_normal((4, 5))
    subword_rows = rng.permutation(9)[:rng.integers(1, 9)]
    rows, y = np.array([0, 2]), np.array([1, -1])
    h = W[subword_rows].mean(axis=0)
    dh = len(subword_rows) * cbow_loss_and_grad(W[subword_rows], U, rows, y)[1][0]
    pair_step(W, U, subword_rows, rows, y, 0.3)
    np.testing.assert_allclose(W[subword_rows].mean(axis=0), h - 0.3 * dh, atol=1e-13)


def test_a_row_that_occurs_twice_makes_the_step_of_h_larger():
    assert mean_step(np.array([4, 7, 9])) == 1
    assert mean_step(np.array([4, 7, 7])) == pytest.approx((1 + 4) / 3)
    assert mean_step(np.array([7, 7, 7])) == 3


@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=9), min_size=1, max_size=6))
def test_the_kernel_computes_the_mean_step_of_every_word(words):
    offsets = np.cumsum([0, *map(len, words)])
    steps, times = np.empty(len(words), np.float32), np.zeros(6, np.int32)
    fill_mean_steps(Subwords(np.concatenate(words).astype(np.int32), offsets), times, steps)
    np.testing.assert_allclose(steps, [mean_step(np.array(rows)) for rows in words], rtol=2**-23)
    assert not times.any()


# ---- the kernels ----------------------------------------------------------------------------

def replay(plan, sentences, W, U, lr, state, cbow, full_gradient):
    """The same pass in float64 NumPy, pair by pair.  -> corpus, Σ L, steps, W, U"""
    lengths = [len(sentence) for sentence in sentences]
    corpus = Corpus(np.concatenate(sentences).astype(np.int32), np.cumsum([0, *lengths]))
    W, U, pairs = W.astype(float), U.astype(float), plan.pairs
    kept, total, steps = np.empty(max(lengths), np.int32), 0.0, 0
    rows, y = np.empty(pairs.max_targets, np.int64), np.empty(pairs.max_targets, np.float32)

    def rows_of(words):
        all_rows, offsets, *_ = plan.subwords
        return np.concatenate([all_rows[offsets[w]:offsets[w + 1]] for w in words])
    for s in range(len(sentences)):
        n, state = subsample(corpus, s, pairs.keep, np.uint64(state), kept)
        for i in range(n):
            first, last, state = draw_window(pairs, i, n, np.uint64(state))
            near = [kept[j] for j in range(first, last) if j != i]
            # (inputs, target): CBOW predicts the middle word, skip-gram each word near it
            predictions = ([(near, kept[i])] if near else []) if cbow else [([kept[i]], c)
                                                                            for c in near]
            for words, word in predictions:
                M, state = draw_targets(pairs, word, rows, y, np.uint64(state))
                total += pair_step(W, U, rows_of(words), rows[:M], y[:M], lr, full_gradient)
                steps += 1
    return corpus, total, steps, W, U


@given(st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=6), min_size=1, max_size=3),
       seeds, st.sampled_from([0, 1]), st.sampled_from([0.0, 0.1]),
       st.sampled_from([(*form, False) for form in SKIPGRAM] + [(*form, True) for form in CBOW]))
def test_every_form_takes_the_sgd_steps_of_the_equation(sentences, seed, negatives, sample, form):
    """A score has about 30 roundings of sums below 4: an error of 2⁻¹⁷.  A step has at most a
    quarter of that (the slope of σ) times lr · |u| < 1: below 2⁻¹⁹.

    At most one negative is drawn, because the two forms differ if one is drawn twice.
    """
    chunk, full_gradient, cbow = form
    plan, (W, U) = plan_of(negatives, sample=sample), tables(seed)
    corpus, want, steps, want_W, want_U = replay(plan, sentences, W, U, 0.1, stream(seed), cbow,
                                                 full_gradient)
    loss, done = chunk(corpus, np.arange(len(sentences)), plan, W, U, np.float32(0.1),
                       stream(seed))
    bound = (steps + 1) * 2**-19
    assert done == steps
    assert abs(loss - want) <= 4 * bound
    np.testing.assert_allclose(W, want_W, rtol=0, atol=bound)
    np.testing.assert_allclose(U, want_U, rtol=0, atol=bound)


def test_without_n_grams_a_word_is_its_own_row_and_cbow_is_word2vecs():
    """The pairs, negatives and order of sums are the same, so are the bits of words/cbow.py."""
    from scratch_embed.words.cbow import cbow_chunk as plain_cbow
    pairs = make_plan(COUNTS, 2, 3, 0.0)
    plan = make_subword_plan(Vocab(WORDS, COUNTS), pairs, NGrams(3, 0, 0))
    corpus = Corpus(np.arange(8, dtype=np.int32), np.array([0, 3, 8]))
    (W, U), (V, T) = tables(1, rows=8), tables(1, rows=8)
    assert cbow_chunk(corpus, np.arange(2), plan, W, U, np.float32(0.1), stream(3)) == plain_cbow(
        corpus, np.arange(2), pairs, V, T, np.float32(0.1), stream(3))
    np.testing.assert_array_equal(W, V)
    np.testing.assert_array_equal(U, T)


@pytest.mark.parametrize("chunk", [chunk for chunk, _ in SKIPGRAM + CBOW])
def test_a_sentence_of_one_word_gives_no_step(chunk):
    plan, (W, U) = plan_of(2), tables(0)
    before = W.copy(), U.copy()
    corpus = Corpus(np.array([1, 2], np.int32), np.array([0, 1, 2]))
    assert chunk(corpus, np.arange(2), plan, W, U, np.float32(1), stream(0)) == (0, 0)
    np.testing.assert_array_equal(W, before[0])
    np.testing.assert_array_equal(U, before[1])


# ---- training -------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def text():
    rng = np.random.default_rng(0)
    words = "bananas où 日本語 singing sings song the a".split()
    return index_sentences([rng.choice(words, 8).tolist() for _ in range(150)], 1)


NGRAMS, SEED = NGrams(3, 6, 50), RunOptions(seed=3)
SMALL = dict(dim=6, window=3, epochs=2, sample=0.01, ngrams=NGRAMS, options=SEED)


def test_one_worker_and_one_seed_give_the_same_bits_and_another_seed_does_not(text):
    vocab, corpus = text
    for method in skipgram_chunk, cbow_chunk:
        first, again, other = (
            train(corpus, vocab, method, **{**SMALL, "options": RunOptions(seed=s)})
            for s in (3, 3, 4))
        assert first.W.tobytes() == again.W.tobytes() and first.U.tobytes() == again.U.tobytes()
        assert first.losses == again.losses
        assert first.W.tobytes() != other.W.tobytes()


@pytest.mark.parametrize("settings", [{}, {"negatives": 0}, {"ngrams": NGrams(3, 0, 50)},
                                      {"method": corrected_skipgram_chunk, "lr": 0.5},
                                      {"method": cbow_chunk}, {"method": corrected_cbow_chunk}])
def test_the_loss_falls_and_the_tables_have_their_rows(settings):
    """Words of two topics never co-occur, so a word predicts its neighbours."""
    rng, topics = np.random.default_rng(1), ["purr paw mouse whiskers".split(),
                                             "bark bone leash howl".split()]
    vocab, corpus = index_sentences([rng.permutation(topics[i % 2]).tolist() * 2
                                     for i in range(200)], 1)
    settings = {**SMALL, "epochs": 3, "sample": 0, **settings}
    W, U, losses = train(corpus, vocab, **settings)
    assert W.shape == (8 + (50 if settings["ngrams"].max_n else 0), 6) and U.shape == (8, 6)
    assert losses[2] < losses[0] * 0.9


def test_a_learning_rate_of_zero_keeps_the_initial_tables(text):
    vocab, corpus = text
    W = initial_rows(len(vocab) + 50, 6, seed=3)
    for method in skipgram_chunk, cbow_chunk:
        trained = train(corpus, vocab, method, **{**SMALL, "lr": 0})
        np.testing.assert_array_equal(trained.W, W)
        assert trained.U.shape == (len(vocab), 6) and not trained.U.any()


def test_two_workers_reach_the_loss_of_one(text):
    vocab, corpus = text
    one, two = (train(corpus, vocab, **{**SMALL, "options": RunOptions(w, seed=3)}).losses[-1]
                for w in (1, 2))
    assert two == pytest.approx(one, rel=0.05)


def test_every_row_of_the_initial_table_is_random():
    """fastText fills a tenth of the table per thread and leaves the rest as allocated."""
    W = initial_rows(10_001, 25, seed=3)
    assert W.shape == (10_001, 25) and W.dtype == np.float32
    assert abs(W).max() <= 1 / 25 and (abs(W).max(axis=1) > 0.5 / 25).all()   # misses: 2⁻²⁵ each
    assert abs(W.mean()) < 6 * (2 / 25 / np.sqrt(12)) / np.sqrt(W.size)
    assert len(np.unique(W, axis=0)) == 10_001
    assert (initial_rows(10_001, 25, seed=4) != W).any()


def test_tables_larger_than_the_memory_are_rejected_with_their_size(text):
    vocab, corpus = text
    with pytest.raises(MemoryError, match=r"8 words \+ 2000000000 buckets .* 1000000 .* 7450580\."):
        train(corpus, vocab, dim=1_000_000, ngrams=NGrams(buckets=2_000_000_000))


def test_negatives_are_drawn_by_the_square_root_of_the_counts(text):
    """As in fastText; word2vec takes the power 3/4 of the counts."""
    plans = []

    def method(corpus, sentences, plan, W, U, lr, state):
        plans.append(plan)
        return 1.0, 1
    vocab, corpus = text
    train(corpus, vocab, method, **SMALL)
    root = np.sqrt(vocab.counts)
    for got, want in zip(plans[0].pairs.noise, alias_table(root / root.sum())):
        np.testing.assert_array_equal(got, want)


def test_each_chunk_has_its_learning_rate_and_its_random_numbers(text):
    """With a window of 10⁵ a chunk has 100 words: 12 chunks in each of two epochs.

    The learning rate falls with the words read; the random state is stream(seed, epoch, chunk).
    """
    lrs, states = [], []

    def method(corpus, sentences, plan, W, U, lr, state):
        lrs.append(lr)
        states.append(state)
        return 1.0, 1
    vocab, corpus = text
    train(corpus, vocab, method, **{**SMALL, "window": 10**5, "lr": 1.0},
          details=DETAILS._replace(min_lr_ratio=0.25))
    assert states == [stream(3, epoch, number) for epoch in (0, 1) for number in range(12)]
    want = np.maximum(1 - np.arange(24) / 24, 0.25)
    np.testing.assert_allclose(lrs, want, atol=0.01)           # 8 words change it by 0.003


@pytest.mark.parametrize("name, value", [
    ("dim", 0), ("window", 0), ("negatives", -1), ("epochs", 1.5), ("lr", -1), ("lr", "1"),
    ("sample", float("nan")), ("power", -1), ("min_lr_ratio", 2), ("min_n", -1), ("max_n", 2.5),
    ("buckets", -1), ("buckets", 0), ("min_n", 7)])
def test_invalid_settings_are_rejected_by_name(text, name, value):
    vocab, corpus = text
    wrong = ({"details": DETAILS._replace(**{name: value})} if name in Details._fields else
             {"ngrams": NGRAMS._replace(**{name: value})} if name in NGrams._fields else
             {name: value})
    with pytest.raises(ValueError, match=f"{name}={value!r}"):
        train(corpus, vocab, **{**SMALL, **wrong})


def test_a_text_in_which_no_word_has_a_neighbour_is_rejected():
    vocab, corpus = index_sentences([["alone"], ["alone"]], min_count=1)
    with pytest.raises(ValueError, match="no pair of neighbours.*sample=0"):
        train(corpus, vocab, dim=2, ngrams=NGRAMS)
    with pytest.raises(ValueError, match="not numbered with this vocabulary"):
        train(Corpus(np.array([0, 5], np.int32), np.array([0, 2])), vocab, dim=2, ngrams=NGRAMS)


def small_training():
    vocab, corpus = index_sentences([["abab", "é", "cab"], ["dede", "fed"]] * 5, min_count=1)
    return np.array([train(corpus, vocab, method, dim=4, epochs=1, sample=0.1,
                           ngrams=NGrams(3, 6, 9)).W for method in (skipgram_chunk, cbow_chunk)])


def test_training_without_jit_gives_the_same_vectors_up_to_rounding():
    plain = in_plain_python(small_training, warnings="ignore")
    np.testing.assert_allclose(plain, small_training(), atol=1e-5)


# ---- forms never seen -----------------------------------------------------------------------

STEMS = {"rabbits": "rabbit", "squirrels": "squirrel", "whistled": "whistl", "juggled": "juggl",
         "louder": "loud"}
CONTEXT_WORDS = {"rabbits": "burrow carrots", "squirrels": "treetop acorns",
                 "louder": "trumpet parrot", "whistled": "sailor tune shanty",
                 "juggled": "clown torch pineapple"}


def count_found_forms(vectors):
    """(2,) the number of held-out forms whose nearest word has their stem, and of those that have a
    word of the stem's sentences (CONTEXT_WORDS) among the five nearest words of other stems.
    """
    stems = contexts = 0
    for form, stem in STEMS.items():
        near = [word for word, _ in vectors.most_similar(form, topn=12)]
        stems += near[0].startswith(stem)
        others = [word for word in near if not word.startswith(stem)]
        contexts += not set(others[:5]).isdisjoint(CONTEXT_WORDS[form].split())
    return np.array([stems, contexts])


def test_unseen_forms_are_near_their_stem_and_its_neighbours():
    """Seeds 5 to 24 find 99 of 100 stems, and 100 of 100 times a word of the stem's sentences.

    Baselines: the untrained tables find 84 of 100 stems, because similar spellings share rows, but
    only 5 times such a word.  Random vectors find less than 2% of the stems.
    """
    assert set(STEMS) == HELD_OUT == set(CONTEXT_WORDS)
    trained, untrained, by_chance, total = 0, 0, 0, 0
    for seed in range(5):
        vocab, corpus = index_sentences(easy(seed).sentences, min_count=1)
        assert HELD_OUT.isdisjoint(vocab.words)
        W = train(corpus, vocab, dim=32, ngrams=NGrams(3, 6, 20_000), sample=1e-3,
                  options=RunOptions(seed=seed)).W
        trained += count_found_forms(FastTextVectors(vocab.words, W, 3, 6))
        W = initial_rows(len(vocab) + 20_000, 32, seed)
        untrained += count_found_forms(FastTextVectors(vocab.words, W, 3, 6))
        total += len(STEMS)
        by_chance += sum(sum(word.startswith(stem) for word in vocab.words) / len(vocab)
                         for stem in STEMS.values())
    assert (trained >= 0.9 * total).all()
    assert by_chance < 0.02 * total                            # the expectation of random vectors
    assert untrained[0] < trained[0] and untrained[1] < 0.3 * total


def test_word2vec_has_no_vector_for_a_form_never_seen():
    """A FastText table without n-grams is a table of words, as in word2vec."""
    vocab, corpus = index_sentences(easy(0, sentences=50).sentences, min_count=1)
    W = train(corpus, vocab, dim=4, ngrams=NGrams(3, 0), sample=0).W
    vectors = FastTextVectors(vocab.words, W, 3, 0)
    for form in STEMS:
        with pytest.raises(KeyError, match=f"'{form}' is not among"):
            vectors[form]

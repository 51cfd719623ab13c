"""SGNS: the equation, the kernels, windows and pairs of a text, training and its arguments."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.random import stream
from scratch_embed.text.vocab import Corpus, Vocab, index_sentences
from scratch_embed.training.batches import chunks
from scratch_embed.training.session import RunOptions
from scratch_embed.words.negative_sampling import alias_table, noise_distribution
from scratch_embed.words.plan import Details, make_plan
from scratch_embed.words.word2vec import (
    draw_targets,
    draw_window,
    initial_weights,
    loss_and_grad,
    sgns_step,
    skipgram_chunk,
    subsample,
    train,
)
from tests.processes import in_plain_python
from tests.rounding import seeds


def example(seed, dtype=np.float64, V=20, D=7, M=6):
    """v (D,), U (V, D), M different rows (M,) of U and their labels y (M,), +1 or −1."""
    rng = np.random.default_rng(seed)
    v, U = rng.standard_normal(D).astype(dtype), rng.standard_normal((V, D)).astype(dtype)
    return v, U, rng.choice(V, M, replace=False), rng.choice([-1, 1], M).astype(dtype)


# ---- the equation ---------------------------------------------------------------------------

def test_one_pair_worked_by_hand():
    """u·v is log 3 for the observed word, −log 3 for the negative: both have σ(y s) = 3/4."""
    v, U = np.array([1.0, 0.0]), np.array([[np.log(3), 5.0], [-np.log(3), 7.0]])
    loss, dv, dU = loss_and_grad(v, U, np.array([0, 1]), np.array([1, -1]))
    assert loss == pytest.approx(2 * np.log(4 / 3))
    np.testing.assert_allclose(dU, [[-1 / 4, 0], [1 / 4, 0]])
    np.testing.assert_allclose(dv, [-np.log(3) / 2, (7 - 5) / 4])


def test_a_zero_vector_has_the_loss_log_2_for_each_target():
    loss, _, _ = loss_and_grad(np.zeros(3), np.ones((6, 3)), np.arange(6), np.ones(6))
    assert loss == pytest.approx(6 * np.log(2))               # six targets with σ = ½


@given(seeds, st.floats(-3, 3))
def test_the_gradient_is_the_derivative_of_the_loss(seed, exponent):
    """Central differences along a random direction of v and U together."""
    v, U, rows, y = example(seed)
    v = v * 10.0**exponent
    rng = np.random.default_rng(seed)
    a, B, h = rng.standard_normal(v.shape), rng.standard_normal(U.shape), 1e-5
    _, dv, dU = loss_and_grad(v, U, rows, y)
    analytic = dv @ a + (dU * B[rows]).sum()
    numeric = (loss_and_grad(v + h * a, U + h * B, rows, y)[0]
               - loss_and_grad(v - h * a, U - h * B, rows, y)[0]) / (2 * h)
    terms = np.abs(dv * a).sum() + np.abs(dU * B[rows]).sum()
    assert abs(analytic - numeric) <= 1e-6 * (terms + 10.0**exponent)


@given(seeds)
def test_the_loss_is_invariant_to_a_rotation_of_both_tables(seed):
    v, U, rows, y = example(seed)
    R, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((7, 7)))
    loss, dv, dU = loss_and_grad(v, U, rows, y)
    turned, dv_turned, dU_turned = loss_and_grad(v @ R, U @ R, rows, y)
    assert turned == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(dv_turned, dv @ R, atol=1e-12)
    np.testing.assert_allclose(dU_turned, dU @ R, atol=1e-12)


@given(seeds)
def test_negating_the_vector_and_the_labels_does_not_change_the_loss(seed):
    v, U, rows, y = example(seed)
    loss, dv, dU = loss_and_grad(v, U, rows, y)
    mirrored, dv_mirrored, dU_mirrored = loss_and_grad(-v, U, rows, -y)
    assert mirrored == loss
    np.testing.assert_array_equal(dv_mirrored, -dv)
    np.testing.assert_array_equal(dU_mirrored, dU)


# ---- the kernel -----------------------------------------------------------------------------

def step(v, U, rows, y, lr=0.1):
    """One SGD step of the kernel.  -> L, v and U after the step"""
    U, dv, scores = U.copy(), np.empty_like(v), np.empty(len(rows), np.float32)
    loss = sgns_step(v, U, np.asarray(rows), np.asarray(y, np.float32), len(rows), np.float32(lr),
                     scores, dv)
    return loss, v + dv, U


@given(seeds, st.integers(1, 20), st.sampled_from([1, 3, 16, 33]))
def test_the_kernel_takes_the_sgd_step_of_the_equation(seed, M, D):
    """Errors: a score s, γ(D) Σ|u_d v_d|; σ(s), 2⁻²¹ and a quarter of that; then sums."""
    v, U, rows, y = example(seed, np.float32, V=40, D=D, M=M)
    loss, dv, dU = loss_and_grad(v.astype(float), U.astype(float), rows, y)
    got, got_v, got_U = step(v, U, rows, y)
    want_U = U.astype(float)
    want_U[rows] -= 0.1 * dU

    u, big_v, big_U = 2**-24, np.abs(v).max(), np.abs(U).max()
    score = (D + 1) * u * np.abs(U[rows] * v).sum(1).max()
    pull = 0.1 * (score / 4 + 2**-20)                          # the error of lr · dL/ds
    assert abs(got - loss) <= M * (score + 2**-20)
    np.testing.assert_allclose(got_U, want_U, rtol=0, atol=pull * big_v + 4 * u * (big_U + big_v))
    np.testing.assert_allclose(got_v, v - 0.1 * dv, rtol=0,
                               atol=M * (pull + (M + 3) * u) * big_U + 4 * u * big_v)


def test_a_negative_drawn_twice_is_updated_twice_with_the_same_score():
    v, U, _, _ = example(1, np.float32)
    _, _, once = step(v, U, [0, 1], [1, -1])
    _, _, twice = step(v, U, [0, 1, 1], [1, -1, -1])
    np.testing.assert_allclose(twice[1] - U[1], 2 * (once[1] - U[1]), atol=2**-22)


def test_only_the_rows_of_the_targets_change():
    v, U, rows, y = example(2, np.float32)
    _, _, moved = step(v, U, rows, y)
    others = np.setdiff1d(np.arange(len(U)), rows)
    np.testing.assert_array_equal(moved[others], U[others])
    assert (moved[rows] != U[rows]).any(1).all()


def test_only_the_first_m_targets_are_used():
    v, U, rows, y = example(2, np.float32)
    few = sgns_step(v, U.copy(), rows, y, 2, np.float32(0.1), np.empty_like(y), np.empty_like(v))
    assert few == step(v, U, rows[:2], y[:2])[0]


@given(seeds)
def test_a_learning_rate_of_zero_changes_nothing(seed):
    v, U, rows, y = example(seed, np.float32)
    _, same_v, same_U = step(v, U, rows, y, lr=0)
    np.testing.assert_array_equal(same_v, v)
    np.testing.assert_array_equal(same_U, U)


def test_the_loss_is_finite_if_the_product_of_probabilities_underflows():
    v, U = np.full(1, 80, np.float32), np.ones((30, 1), np.float32)
    loss, _, _ = step(v, U, np.arange(30), np.full(30, -1), lr=0)    # each loss is 80
    assert loss == pytest.approx(30 * 80, rel=1e-5)


def test_nan_in_a_vector_reaches_the_loss():
    v, U, rows, y = example(3, np.float32)
    v[2] = np.nan
    assert np.isnan(step(v, U, rows, y)[0])


# ---- the targets ----------------------------------------------------------------------------

def targets(plan, word, seed=0):
    """-> rows and labels y that draw_targets gives for `word`"""
    rows, y = np.empty(plan.max_targets, np.int64), np.empty(plan.max_targets, np.float32)
    M, _ = draw_targets(plan, word, rows, y, stream(seed))
    return rows[:M].tolist(), y[:M].tolist()


def test_the_targets_of_negative_sampling_are_the_word_and_k_negatives():
    rows, y = targets(make_plan([5, 4, 3, 2, 1], negatives=7), word=2)
    assert rows[0] == 2 and y == [1] + [-1] * (len(rows) - 1)
    assert 2 not in rows[1:]                                   # the word itself is skipped


def test_a_negative_that_is_the_word_itself_is_skipped_and_not_drawn_again():
    """Two words of equal frequency: on average half of the K draws are the word itself."""
    plan = make_plan([1, 1], negatives=20)
    counts = [len(targets(plan, 0, seed)[0]) - 1 for seed in range(400)]
    assert abs(np.mean(counts) - 10) < 6 * np.sqrt(5 / 400)


def test_the_targets_of_hierarchical_softmax_are_the_turns_on_the_path():
    plan = make_plan([4, 2, 1, 1], negatives=0)
    tree = plan.tree
    for word in range(4):
        path = slice(tree.offsets[word], tree.offsets[word + 1])
        assert targets(plan, word) == (tree.nodes[path].tolist(), tree.turns[path].tolist())


# ---- from a text to pairs -------------------------------------------------------------------

def plan(V, window=1, keep=None):
    keep = np.ones(V, np.float32) if keep is None else np.asarray(keep, np.float32)
    return make_plan(np.ones(V), window, negatives=1)._replace(keep=keep)


@given(seeds, st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 4))
def test_a_chunk_takes_the_sgd_steps_of_the_equation_in_order(seed, lengths, window):
    """The random choices are the kernel's; windows and steps are computed in float64 NumPy."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    corpus = Corpus(rng.integers(0, 6, offsets[-1]).astype(np.int32), offsets)
    chosen = make_plan([6, 5, 4, 3, 2, 1], window, negatives=2, sample=0.1)
    W, U = (rng.standard_normal((6, 4)).astype(np.float32) / 2 for _ in range(2))
    want_W, want_U, state = W.astype(float), U.astype(float), stream(seed)
    want_loss = want_pairs = 0
    kept, rows, y = np.empty(9, np.int32), np.empty(3, np.int64), np.empty(3, np.float32)
    for s in range(len(lengths)):
        n, state = subsample(corpus, s, chosen.keep, np.uint64(state), kept)
        for i in range(n):
            first, last, state = draw_window(chosen, i, n, np.uint64(state))
            for j in [j for j in range(first, last) if j != i]:
                M, state = draw_targets(chosen, kept[i], rows, y, np.uint64(state))
                v = want_W[kept[j]].copy()
                loss, _, dU = loss_and_grad(v, want_U, rows[:M], y[:M])
                steps = -0.1 * (dU @ v) / (v @ v)              # (M,) −lr · dL/ds
                for row, step_s in zip(rows[:M], steps):       # a row may occur twice
                    want_W[kept[j]] += step_s * want_U[row]
                    want_U[row] += step_s * v
                want_loss += loss
                want_pairs += 1
    loss, pairs = skipgram_chunk(corpus, np.arange(len(lengths)), chosen, W, U, np.float32(0.1),
                                 stream(seed))
    assert pairs == want_pairs
    bound = (pairs + 1) * 2**-19            # per pair: 3 targets, 2⁻²¹ each, of numbers below 2
    assert abs(loss - want_loss) <= 4 * bound
    np.testing.assert_allclose(W, want_W, rtol=0, atol=bound)
    np.testing.assert_allclose(U, want_U, rtol=0, atol=bound)


def test_a_window_of_one_gives_every_pair_of_neighbours_in_both_orders():
    corpus = Corpus(np.array([0, 1, 2, 3, 4], np.int32), np.array([0, 3, 5]))
    W, U = initial_weights(5, 4, seed=0)
    _, pairs = skipgram_chunk(corpus, np.array([0, 1]), plan(5), W, U, np.float32(0), stream(0))
    assert pairs == 2 * (2 + 1)


def test_window_sizes_are_drawn_uniformly():
    """A window of size r gives 2 r pairs per position; the mean of r is (1 + window)/2."""
    n, window = 20_000, 5
    corpus = Corpus(np.zeros(n, np.int32), np.array([0, n]))
    W, U = initial_weights(1, 2, seed=0)
    arguments = corpus, np.array([0]), plan(1, window), W, U, np.float32(0), stream(0)
    _, pairs = skipgram_chunk(*arguments)
    sigma = np.sqrt((window**2 - 1) / 12 / n)
    assert abs(pairs / n / 2 - (1 + window) / 2) < 6 * sigma + window**2 / n


def test_a_fixed_window_uses_every_pair_within_the_window():
    n, window = 100, 5
    corpus = Corpus(np.zeros(n, np.int32), np.array([0, n]))
    W, U = initial_weights(1, 2, seed=0)
    fixed = plan(1, window)._replace(fixed_window=True)
    _, pairs = skipgram_chunk(corpus, np.array([0]), fixed, W, U, np.float32(0), stream(0))
    assert pairs == 2 * sum(n - d for d in range(1, window + 1))


def test_subsampling_keeps_words_with_their_probability_and_in_order():
    n, keep = 30_000, np.array([1.0, 0.3, 0.01], np.float32)
    corpus = Corpus(np.tile(np.arange(3, dtype=np.int32), n), np.array([0, 3 * n]))
    kept = np.empty(3 * n, np.int32)
    m, _ = subsample(corpus, 0, keep, stream(5), kept)
    counts = np.bincount(kept[:m], minlength=3)
    assert counts[0] == n
    assert (abs(counts - n * keep) <= 6 * np.sqrt(n * keep * (1 - keep))).all()
    assert (np.diff(np.flatnonzero(kept[:m] == 0)) <= 3).all()


def test_subsampling_comes_before_the_window_so_the_window_extends_over_dropped_words():
    corpus = Corpus(np.array([0, 1, 1, 1, 1, 2], np.int32), np.array([0, 6]))
    W, U = initial_weights(3, 4, seed=0)
    _, pairs = skipgram_chunk(corpus, np.array([0]), plan(3, keep=[1, 0, 1]), W, U, np.float32(0),
                           stream(0))
    assert pairs == 2                                          # 0 and 2 are neighbours now


def test_the_neighbours_vector_is_trained_against_the_middle_words_output():
    """As in word2vec.c: the word in the middle has its row in U, its neighbour has its row in W."""
    corpus = Corpus(np.array([0, 1], np.int32), np.array([0, 2]))
    W, U = initial_weights(3, 4, seed=0)
    only_2 = plan(3)._replace(noise=alias_table(np.array([0.0, 0.0, 1.0])))  # negatives: word 2
    before = W.copy()
    skipgram_chunk(corpus, np.array([0]), only_2, W, U, np.float32(0.5), stream(0))
    assert U[0] @ before[1] > 0 and U[1] @ before[0] > 0       # a positive pair
    assert U[2] @ (before[0] + before[1]) < 0
    np.testing.assert_array_equal(W[2], before[2])             # a negative has no update in W


# ---- training -------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def pets():
    """One animal per sentence: cat and lion never co-occur, but have the same neighbours.

    The same is true of dog and wolf.
    """
    rng = np.random.default_rng(0)
    worlds = [(["cat", "lion"], "purr paw mouse whiskers".split()),
              (["dog", "wolf"], "bark bone leash howl".split())]
    return index_sentences([[rng.choice(worlds[i % 2][0]), *rng.permutation(worlds[i % 2][1])]
                            for i in range(600)], min_count=1)


SMALL = dict(dim=8, window=3, epochs=3, sample=0, lr=0.05)


def test_words_with_the_same_neighbours_get_similar_vectors(pets):
    vocab, corpus = pets
    for seed in range(5):
        W = train(corpus, vocab, options=RunOptions(seed=seed), **{**SMALL, "epochs": 10}).W
        unit = W / np.linalg.norm(W, axis=1, keepdims=True)
        cos = dict(zip(vocab.words, unit @ unit[vocab.index["cat"]]))
        assert cos["lion"] > max(cos["dog"], cos["wolf"]) + 0.2


def test_one_worker_and_one_seed_give_the_same_bits_and_another_seed_does_not(pets):
    vocab, corpus = pets
    first, again, other = (train(corpus, vocab, options=RunOptions(seed=s), **SMALL)
                           for s in (1, 1, 2))
    assert first.W.tobytes() == again.W.tobytes() and first.U.tobytes() == again.U.tobytes()
    assert first.losses == again.losses
    assert first.W.tobytes() != other.W.tobytes()


def test_two_workers_reach_the_loss_of_one(pets):
    vocab, corpus = pets
    one, two = (train(corpus, vocab, options=RunOptions(w), **SMALL).losses[-1] for w in (1, 2))
    assert two == pytest.approx(one, rel=0.05)


def test_the_loss_is_the_mean_over_all_pairs_and_falls(pets):
    vocab, corpus = pets
    start = train(corpus, vocab, **{**SMALL, "lr": 0}).losses
    p = vocab.counts / vocab.counts.sum()
    itself = p @ noise_distribution(vocab.counts)              # skipped negatives: U = 0, so
    want = (1 + 5 * (1 - itself)) * np.log(2)                  # every other target costs log 2
    sigma = np.log(2) * np.sqrt(5 * itself * (1 - itself) / 6000)     # of 6,000 pairs or more
    assert start == pytest.approx([want] * 3, abs=6 * sigma)
    losses = train(corpus, vocab, **SMALL).losses
    assert losses[0] > losses[1] > losses[2]


def test_a_learning_rate_of_zero_keeps_the_initial_weights(pets):
    vocab, corpus = pets
    W, U = initial_weights(len(vocab), 8, seed=1)
    trained = train(corpus, vocab, **{**SMALL, "lr": 0})
    np.testing.assert_array_equal(trained.W, W)
    np.testing.assert_array_equal(trained.U, U)


def test_the_initial_weights_have_the_distribution_of_word2vec_c():
    W, U = initial_weights(2000, 50, seed=3)
    assert W.dtype == U.dtype == np.float32 and not U.any()
    assert abs(W).max() <= 0.5 / 50 and abs(W).max() > 0.49 / 50
    assert abs(W.mean()) < 6 * (1 / 50 / np.sqrt(12)) / np.sqrt(W.size)


def test_tables_larger_than_the_memory_are_rejected_with_their_size():
    vocab = Vocab(list(map(str, range(100_000))), np.ones(100_000, np.int64))
    corpus = Corpus(np.array([0, 1], np.int32), np.array([0, 2]))
    with pytest.raises(MemoryError, match=r"100000 words x 2147483647 dimensions .* 1600000\.0"):
        train(corpus, vocab, dim=2**31 - 1)


@pytest.mark.parametrize("min_lr_ratio, expected_lrs", [
    (1e-4, [1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]), (0.75, [1, 5 / 6, 0.75, 0.75, 0.75, 0.75])])
def test_each_chunk_has_its_learning_rate_and_its_random_numbers(pets, min_lr_ratio, expected_lrs):
    """With a window of 625 a chunk has 1,000 words: three chunks in each of two epochs.

    The learning rate falls with the words read; the random state is stream(seed, epoch, chunk).
    """
    vocab, corpus = pets
    calls = []

    def method(corpus, sentences, plan, W, U, lr, state):
        calls.append((sentences.tolist(), lr, state))
        return 1.0 + len(calls), 2
    trained = train(corpus, vocab, method, **{**SMALL, "window": 625, "epochs": 2, "lr": 1.0},
                    details=Details(min_lr_ratio=min_lr_ratio), options=RunOptions(seed=7))
    sentences, lrs, states = zip(*calls)
    np.testing.assert_allclose(lrs, expected_lrs, atol=2**-24)
    assert list(states) == [stream(7, epoch, number) for epoch in (0, 1) for number in (0, 1, 2)]
    assert list(sentences) == [chunk.sentences.tolist() for epoch in (0, 1)
                               for chunk in chunks(corpus.offsets, epoch, 7, 1000)]
    assert trained.losses == [(2 + 3 + 4) / 6, (5 + 6 + 7) / 6]       # a mean over the pairs


def test_a_larger_window_gives_smaller_chunks(pets):
    vocab, corpus = pets
    calls = []

    def method(*arguments):
        calls.append(0)
        return 1.0, 1
    train(corpus, vocab, method, **{**SMALL, "window": 6250, "epochs": 1})
    assert len(calls) == 30                                    # of 100 words each


def test_without_shuffle_sentences_are_read_in_text_order(pets):
    vocab, corpus = pets
    order = []

    def method(corpus, sentences, plan, W, U, lr, state):
        order.extend(sentences)
        return 1.0, 1
    train(corpus, vocab, method, **{**SMALL, "window": 625, "epochs": 1},
          details=Details(shuffle=False))
    assert order == list(range(600))


def test_the_initial_weights_depend_on_the_seed():
    assert (initial_weights(5, 4, 1)[0] != initial_weights(5, 4, 2)[0]).any()


def test_a_corpus_of_another_vocabulary_is_rejected(pets):
    vocab, corpus = pets
    for ids in ([0, len(vocab)], [-1, 0]):
        with pytest.raises(ValueError, match="not numbered with this vocabulary"):
            train(Corpus(np.array(ids, np.int32), np.array([0, 2])), vocab, **SMALL)
    with pytest.raises(ValueError, match="corpus: expected words, got none"):
        train(Corpus(np.zeros(0, np.int32), np.zeros(1, np.int64)), vocab, **SMALL)


@pytest.mark.parametrize("name, value", [
    ("dim", 0), ("window", 0), ("negatives", -1), ("epochs", 1.5), ("lr", -1),
    ("lr", float("nan")), ("sample", -1), ("power", -1), ("min_lr_ratio", -1), ("min_lr_ratio", 2)])
def test_invalid_settings_are_rejected_by_name(pets, name, value):
    vocab, corpus = pets
    wrong = {"details": Details(**{name: value})} if name in Details._fields else {name: value}
    with pytest.raises(ValueError, match=f"{name}={value}: expected"):
        train(corpus, vocab, **{**SMALL, **wrong})


def test_a_text_in_which_no_word_has_a_neighbour_is_rejected():
    vocab, corpus = index_sentences([["alone"], ["alone"]], min_count=1)
    with pytest.raises(ValueError, match="no pair of neighbours.*sample=0"):
        train(corpus, vocab, dim=2)


def small_training():
    vocab, corpus = index_sentences([list("abcab"), list("dedfe")] * 10, min_count=1)
    return train(corpus, vocab, dim=4, epochs=1, sample=0.1).W


def test_training_without_jit_gives_the_same_vectors_up_to_rounding():
    plain = in_plain_python(small_training, warnings="ignore")
    np.testing.assert_allclose(plain, small_training(), atol=1e-5)


@pytest.mark.parametrize("method", ["skipgram", None])
def test_a_method_that_is_not_a_function_is_rejected(method):
    vocab, corpus = index_sentences([["a", "b"]] * 5, min_count=1)
    with pytest.raises(ValueError, match="expected a function, such as skipgram_chunk"):
        train(corpus, vocab, method)


def test_swapping_vocabulary_and_corpus_is_rejected():
    vocab, corpus = index_sentences([["a", "b"]] * 5, min_count=1)
    with pytest.raises(ValueError, match="got Vocab and Corpus"):
        train(vocab, corpus)

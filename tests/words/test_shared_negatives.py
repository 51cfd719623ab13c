"""Shared negatives: the steps of the exact skip-gram, and which negatives are shared."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.random import stream
from scratch_embed.text.vocab import Corpus
from scratch_embed.words.negative_sampling import alias_table
from scratch_embed.words.plan import make_plan
from scratch_embed.words.shared_negatives import block_step, shared_chunk, without_repeats
from scratch_embed.words.word2vec import initial_weights, loss_and_grad, skipgram_chunk
from tests.rounding import seeds


def one_pass(chunk, ids, plan, seed=0, lr=0.3, V=6, D=5):
    """One pass over the sentence `ids`.  -> loss, pairs, W, U"""
    rng = np.random.default_rng(seed)
    W, U = (rng.standard_normal((V, D)).astype(np.float32) for _ in range(2))
    corpus = Corpus(np.array(ids, np.int32), np.array([0, len(ids)]))
    return *chunk(corpus, np.array([0]), plan, W, U, np.float32(lr), stream(seed)), W, U


@given(seeds, st.permutations(range(5)))
def test_both_forms_take_the_same_steps_if_all_negatives_are_one_word(seed, ids):
    """All negatives are word 5, which no sentence contains."""
    plan = make_plan([1] * 6, window=2, negatives=1, sample=0, fixed_window=True)
    plan = plan._replace(noise=alias_table(np.eye(6)[5]))
    exact, shared = (one_pass(chunk, ids, plan, seed) for chunk in (skipgram_chunk, shared_chunk))
    assert shared[1] == exact[1] == 14
    assert shared[0] == pytest.approx(exact[0], rel=1e-5)
    for got, want in zip(shared[2:], exact[2:]):
        np.testing.assert_allclose(got, want, rtol=0, atol=2**-18)   # 64 roundings of numbers < 8


def test_the_pairs_of_a_position_share_their_negatives():
    """With 4 neighbours the exact form draws up to 20 negatives per position, this form 5."""
    plan = make_plan([1] * 1000, window=4, negatives=5, sample=0, fixed_window=True)

    def changed_rows(chunk, ids):
        U, start = (one_pass(chunk, ids, plan, V=1000, lr=lr)[3] for lr in (0.3, 0))
        return (U != start).any(1).sum()
    assert changed_rows(shared_chunk, [0, 1]) <= 2 + 2 * 5
    ids = [0, 1, 2, 3, 4]
    assert changed_rows(shared_chunk, ids) <= 5 + 5 * 5 < changed_rows(skipgram_chunk, ids)


def test_a_negative_that_was_drawn_twice_is_used_once():
    """All five negatives are word 2: the step has the bits of the step with one negative."""
    plan = make_plan([1] * 3, window=1, negatives=5, sample=0, fixed_window=True)
    plan = plan._replace(noise=alias_table(np.eye(3)[2]))
    five = one_pass(shared_chunk, [0, 1], plan, V=3)
    one = one_pass(shared_chunk, [0, 1], plan._replace(negatives=1, max_targets=2), V=3)
    for got, want in zip(five, one):
        np.testing.assert_array_equal(got, want)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=8))
def test_repeated_negatives_are_dropped_and_the_order_is_kept(negatives):
    rows = np.array([9, *negatives])
    M = without_repeats(rows, len(rows))
    assert rows[:M].tolist() == [9, *dict.fromkeys(negatives)]


@given(seeds, st.integers(1, 8), st.integers(1, 33))
def test_the_kernel_takes_the_sgd_step_of_the_equation(seed, M, D):
    """float32 against float64: twice D + 3 roundings of numbers below 8."""
    rng = np.random.default_rng(seed)
    v, block = rng.uniform(-1, 1, D), rng.uniform(-1, 1, (M, D))
    v, block = v.astype(np.float32), block.astype(np.float32)
    y = rng.choice([-1, 1], M).astype(np.float32)
    loss, dv, dU = loss_and_grad(v.astype(float), block.astype(float), np.arange(M), y)
    stepped, moved = block.copy(), np.empty(D, np.float32)
    got = block_step(v, stepped, y, M, np.float32(0.5), np.empty(M, np.float32), moved)
    bound = 2 * (D + 3) * 8 * 2**-24 * M
    assert got == pytest.approx(loss, abs=bound * M)
    np.testing.assert_allclose(moved, -0.5 * dv, rtol=0, atol=bound)
    np.testing.assert_allclose(stepped, block - 0.5 * dU, rtol=0, atol=bound)


def test_a_learning_rate_of_zero_changes_nothing():
    plan = make_plan([3, 2, 1], sample=0)
    W, U = initial_weights(3, 4, seed=0)
    corpus = Corpus(np.array([0, 1, 2, 1], np.int32), np.array([0, 4]))
    before = W.copy(), U.copy()
    shared_chunk(corpus, np.array([0]), plan, W, U, np.float32(0), stream(0))
    np.testing.assert_array_equal(W, before[0])
    np.testing.assert_array_equal(U, before[1])

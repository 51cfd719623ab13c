"""CBOW: the gradient, the kernels against the equation, and its relation to skip-gram."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.random import stream
from scratch_embed.text.vocab import Corpus
from scratch_embed.words.cbow import cbow_chunk, cbow_loss_and_grad, corrected_cbow_chunk
from scratch_embed.words.plan import make_plan
from scratch_embed.words.word2vec import initial_weights, skipgram_chunk
from tests.rounding import seeds


def tables(seed, V=6, D=5):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((V, D)).astype(np.float32) for _ in range(2))


def stepped(chunk, W, U, sentence, lr):
    """One pass over a sentence with hierarchical softmax.  -> Σ L, positions, W, U"""
    corpus = Corpus(np.array(sentence, np.int32), np.array([0, len(sentence)]))
    plan = make_plan([6, 5, 4, 3, 2, 1], window=1, negatives=0, sample=0)
    W, U = W.copy(), U.copy()
    loss, positions = chunk(corpus, np.array([0]), plan, W, U, np.float32(lr), stream(0))
    return loss, positions, W, U


def equation(W, U, sentence, lr, corrected):
    """The same pass in float64 NumPy, position by position.  -> Σ L, W, U"""
    W, U, total = W.astype(float), U.astype(float), 0.0
    tree = make_plan([6, 5, 4, 3, 2, 1], negatives=0).tree
    for i, word in enumerate(sentence):
        near = [sentence[j] for j in (i - 1, i + 1) if 0 <= j < len(sentence)]
        path = slice(tree.offsets[word], tree.offsets[word + 1])
        loss, dcontext, dU = cbow_loss_and_grad(W[near], U, tree.nodes[path], tree.turns[path])
        U[tree.nodes[path]] -= lr * dU
        share = 1 if corrected else len(near)
        for c, dv in zip(near, dcontext):
            W[c] -= lr * share * dv
        total += loss
    return total, W, U


@given(seeds, st.sampled_from([(cbow_chunk, False), (corrected_cbow_chunk, True)]))
def test_the_kernel_takes_the_sgd_steps_of_the_equation(seed, form):
    """The tolerance 2⁻¹⁶ is at least 40 float32 roundings of numbers below 6."""
    chunk, corrected = form
    W, U = tables(seed)
    loss, positions, got_W, got_U = stepped(chunk, W, U, [1, 3, 5], lr=0.1)
    want, want_W, want_U = equation(W, U, [1, 3, 5], 0.1, corrected)
    assert positions == 3
    assert loss == pytest.approx(want, rel=2**-16)
    np.testing.assert_allclose(got_W, want_W, rtol=0, atol=2**-16)
    np.testing.assert_allclose(got_U, want_U, rtol=0, atol=2**-16)


@given(seeds)
def test_the_gradient_is_the_derivative_of_the_loss(seed):
    rng = np.random.default_rng(seed)
    context, U = rng.standard_normal((3, 5)), rng.standard_normal((6, 5))
    rows, y, h = np.array([0, 2, 4]), np.array([1, -1, -1]), 1e-5
    direction = rng.standard_normal((3, 5))
    _, dcontext, _ = cbow_loss_and_grad(context, U, rows, y)
    numeric = (cbow_loss_and_grad(context + h * direction, U, rows, y)[0]
               - cbow_loss_and_grad(context - h * direction, U, rows, y)[0]) / (2 * h)
    scale = np.abs(dcontext * direction).sum() + 1
    assert abs((dcontext * direction).sum() - numeric) <= 1e-6 * scale


def test_two_neighbours_worked_by_hand():
    """h = ((2, 0) + (0, 0))/2 = (1, 0); u·h = log 3, σ = 3/4, ∂L/∂h = −u/4; half for each row."""
    context, U = np.array([[2.0, 0], [0, 0]]), np.array([[np.log(3), 8.0]])
    loss, dcontext, dU = cbow_loss_and_grad(context, U, np.array([0]), np.array([1]))
    assert loss == pytest.approx(np.log(4 / 3))
    np.testing.assert_allclose(dcontext, [[-np.log(3) / 8, -1]] * 2)
    np.testing.assert_allclose(dU, [[-1 / 4, 0]])


def test_a_sentence_of_one_word_has_no_position():
    corpus = Corpus(np.array([0, 1], np.int32), np.array([0, 1, 2]))
    W, U = initial_weights(3, 4, seed=0)
    plan = make_plan([3, 2, 1], negatives=2, sample=0)
    assert cbow_chunk(corpus, np.array([0, 1]), plan, W, U, np.float32(1), stream(0)) == (0, 0)


def test_with_one_neighbour_both_forms_equal_skip_gram():
    corpus = Corpus(np.array([0, 1], np.int32), np.array([0, 2]))
    plan = make_plan([3, 2, 1], window=1, negatives=0, sample=0)
    results = []
    for chunk in (cbow_chunk, corrected_cbow_chunk, skipgram_chunk):
        W, U = initial_weights(3, 4, seed=0)
        U[:] = 0.25
        chunk(corpus, np.array([0]), plan, W, U, np.float32(0.5), stream(0))
        results.append((W, U))
    for W, U in results[1:]:
        np.testing.assert_array_equal(W, results[0][0])
        np.testing.assert_array_equal(U, results[0][1])

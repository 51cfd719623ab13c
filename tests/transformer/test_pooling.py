"""Poolings: worked by hand, independence of sentences, gradients, parity."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.transformer.pooling import (
    cls,
    concat_poolings,
    last_token,
    max_,
    mean,
    mean_sqrt_len,
    weighted_mean,
)
from tests.rounding import seeds

POOLINGS = [cls, last_token, mean, mean_sqrt_len, weighted_mean, max_]
all_poolings = pytest.mark.parametrize("pool", POOLINGS)
X = np.array([[1, -2], [3, 0], [5, -4], [2, 7]], float)
OFFSETS = np.array([0, 3, 4])                              # sentences of three tokens and of one
ROOT3 = 3 ** 0.5


def batch(seed, skip=0, D=5, dtype=np.float64):
    """x (T, D) and offsets of up to seven sentences of at least skip + 1 tokens."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(skip + 1, skip + 6, rng.integers(1, 8))
    return rng.standard_normal((lengths.sum(), D)).astype(dtype), np.cumsum([0, *lengths])


# ---- worked by hand ------------------------------------------------------------------------------

@pytest.mark.parametrize("pool, y", [
    (cls, [1, -2]), (last_token, [5, -4]), (mean, [3, -2]),
    (mean_sqrt_len, [9 / ROOT3, -6 / ROOT3]),
    (weighted_mean, [(1 + 6 + 15) / 6, (-2 + 0 - 12) / 6]), (max_, [5, 0])])
def test_worked_by_hand(pool, y):
    np.testing.assert_allclose(pool(X, OFFSETS)[0], [y, X[3]], rtol=1e-15)


@pytest.mark.parametrize("pool, dx", [
    (cls, [[6, 12], [0, 0], [0, 0]]), (last_token, [[0, 0], [0, 0], [6, 12]]),
    (mean, [[2, 4], [2, 4], [2, 4]]),
    (mean_sqrt_len, [[6 / ROOT3, 12 / ROOT3]] * 3),
    (weighted_mean, [[1, 2], [2, 4], [3, 6]]), (max_, [[0, 0], [0, 12], [6, 0]])])
def test_the_gradient_worked_by_hand(pool, dx):
    _, backward = pool(X, OFFSETS)
    np.testing.assert_allclose(backward(np.array([[6.0, 12], [5, 5]])), [*dx, [5, 5]], rtol=1e-15)


@pytest.mark.parametrize("pool, y", [
    (cls, [3, 0]), (last_token, [5, -4]), (mean, [4, -2]),
    (mean_sqrt_len, [8 / 2**0.5, -4 / 2**0.5]),
    (weighted_mean, [(6 + 15) / 5, (0 - 12) / 5]), (max_, [5, 0])])
def test_skipping_a_prompt_of_one_token_worked_by_hand(pool, y):
    np.testing.assert_allclose(pool(X[:3], OFFSETS[:2], skip=1)[0], [y], rtol=1e-15)


def test_on_a_tie_the_first_maximum_gets_the_gradient():
    _, backward = max_(np.ones((3, 1)), np.array([0, 3]))
    assert backward(np.array([[4.0]])).tolist() == [[4], [0], [0]]


def test_max_of_a_nan_is_nan():
    y, backward = max_(np.array([[1.0], [np.nan]]), np.array([0, 2]))
    assert np.isnan(y).all() and backward(y).shape == (2, 1)


# ---- what a sentence vector must not depend on ---------------------------------------------------

@all_poolings
@given(seed=seeds, skip=st.integers(0, 2))
def test_a_sentence_vector_does_not_depend_on_other_sentences_bit_for_bit(pool, seed, skip):
    x, offsets = batch(seed, skip, dtype=np.float32)
    y, _ = pool(x, offsets, skip)
    for n, (start, end) in enumerate(zip(offsets, offsets[1:])):
        alone, _ = pool(x[start:end], np.array([0, end - start]), skip)
        np.testing.assert_array_equal(alone[0], y[n])


@all_poolings
@given(seed=seeds)
def test_skipped_tokens_change_no_vector_and_get_no_gradient(pool, seed):
    x, offsets = batch(seed, 2)
    y, backward = pool(x, offsets, 2)
    prompt = np.isin(np.arange(len(x)), [offsets[:-1], offsets[:-1] + 1])
    changed = np.where(prompt[:, None], 1e9, x)
    np.testing.assert_array_equal(pool(changed, offsets, 2)[0], y)
    dx = backward(np.ones_like(y))
    assert not dx[prompt].any() and (pool is max_ or dx[~prompt].sum() > 0)


@pytest.mark.parametrize("pool", [mean, max_, mean_sqrt_len])
@given(seed=seeds)
def test_mean_and_max_do_not_depend_on_the_order_of_tokens(pool, seed):
    x, offsets = batch(seed)
    order = np.concatenate([np.random.default_rng(seed).permutation(np.arange(start, end))
                            for start, end in zip(offsets, offsets[1:])])
    np.testing.assert_allclose(pool(x[order], offsets)[0], pool(x, offsets)[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("pool", [cls, last_token, mean, weighted_mean, max_])
@given(seed=seeds, skip=st.integers(0, 2))
def test_the_pooled_vector_of_equal_tokens_is_that_token(pool, seed, skip):
    x, offsets = batch(seed, skip)
    same = np.repeat(x[offsets[:-1]], np.diff(offsets), axis=0)
    np.testing.assert_allclose(pool(same, offsets, skip)[0], x[offsets[:-1]], rtol=1e-14)


@all_poolings
def test_inputs_are_unchanged_and_the_type_is_kept(pool):
    x = X.astype(np.float32)
    before = x.copy()
    y, backward = pool(x, OFFSETS)
    dy = np.ones_like(y)
    assert y.dtype == backward(dy).dtype == np.float32
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(dy, 1)
    np.testing.assert_array_equal(backward(dy), backward(dy))


@all_poolings
def test_an_empty_batch_has_no_vectors(pool):
    y, backward = pool(np.empty((0, 3)), np.array([0]))
    assert y.shape == (0, 3) and backward(y).shape == (0, 3)


@all_poolings
@pytest.mark.parametrize("offsets, skip, message", [
    ([0, 2, 2, 4], 0, "sentence 1: expected at least 1 tokens, of which 0 are skipped, got 0$"),
    ([0, 3, 4], 1, "sentence 1: expected at least 2 tokens, of which 1 are skipped, got 1"),
    ([0, 3], 0, "offsets from 0 to 4, the number of tokens, got 0 to 3"),
    ([1, 4], 0, "offsets from 0 to 4, the number of tokens, got 1 to 4")])
def test_sentences_without_tokens_and_wrong_offsets_are_refused(pool, offsets, skip, message):
    with pytest.raises(ValueError, match=message):
        pool(X, np.array(offsets), skip)


# ---- gradient and float32 ------------------------------------------------------------------------

@pytest.mark.parametrize("pool", [*POOLINGS, concat_poolings(mean, cls, max_)])
@pytest.mark.parametrize("skip", [0, 2])
def test_backward_is_the_derivative(pool, skip):
    x, offsets = batch(1, skip)
    check_backward(lambda x: pool(x, offsets, skip), x)


@all_poolings
@given(seed=seeds)
def test_float32_is_float64_up_to_rounding(pool, seed):
    x, offsets = batch(seed, dtype=np.float32)
    (y, back), (y64, back64) = pool(x, offsets), pool(x.astype(np.float64), offsets)
    bound = 2.0**-24 * 10 * np.abs(x).max() * 5              # at most 5 tokens, each rounded twice
    np.testing.assert_allclose(y, y64, rtol=0, atol=bound)
    np.testing.assert_allclose(back(y), back64(y64), rtol=0, atol=5 * bound)


def test_concat_poolings_keeps_the_order_of_its_arguments():
    y, _ = concat_poolings(max_, cls)(X, OFFSETS)
    np.testing.assert_array_equal(y, [[5, 0, 1, -2], [2, 7, 2, 7]])


# ---- sentence-transformers -----------------------------------------------------------------------

POOLING_OF_MODE = {"cls": cls, "lasttoken": last_token, "mean": mean, "max": max_,
                   "mean_sqrt_len_tokens": mean_sqrt_len, "weightedmean": weighted_mean}


@pytest.mark.parametrize("skip", [0, 2])
@pytest.mark.parametrize("mode", [*POOLING_OF_MODE, ("max", "mean", "weightedmean")])
def test_equals_sentence_transformers_as_installed(mode, skip):
    torch = pytest.importorskip("torch")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    x, offsets = batch(7, skip)
    lengths = np.diff(offsets)
    mask = np.arange(lengths.max()) < lengths[:, None]
    padded = torch.full((*mask.shape, x.shape[1]), 3.0, dtype=torch.float64)     # not zeros
    rows = torch.tensor(x, requires_grad=True)
    padded = padded.masked_scatter(torch.tensor(mask)[..., None], rows)
    theirs = modules.Pooling(x.shape[1], mode, include_prompt=not skip)(
        {"token_embeddings": padded, "attention_mask": torch.tensor(mask).long(),
         "prompt_length": skip})["sentence_embedding"]
    pool = (concat_poolings(*(POOLING_OF_MODE[m] for m in mode)) if isinstance(mode, tuple)
            else POOLING_OF_MODE[mode])
    ours, backward = pool(x, offsets, skip)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=0, atol=1e-14)
    dy = np.random.default_rng(0).standard_normal(ours.shape)
    theirs.backward(torch.tensor(dy))
    np.testing.assert_allclose(backward(dy), rows.grad.numpy(), rtol=0, atol=1e-14)

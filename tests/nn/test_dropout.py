"""Dropout: values, gradients, and masks that depend on p, the key and the index alone."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, apply_dropout, factors, mask
from scratch_embed.nn.gradcheck import check_backward
from tests.rounding import dtypes, u32

keys = st.integers(0, 2**64 - 1)
probabilities = st.floats(0.001, 0.999)


def kept(dropout, *shape):
    """Whether each element of an array of this shape is kept.  (*shape) bool"""
    return apply_dropout(np.ones(shape), dropout)[0] != 0


def correlation(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


@dtypes
def test_kept_elements_are_scaled_and_the_others_are_zero(dtype):
    x = np.arange(1, 1001, dtype=dtype)
    y, _ = apply_dropout(x, Dropout(0.75, 1))
    assert set(np.unique(y / x)) == {0, 4} and y.dtype == dtype


@dtypes
@pytest.mark.parametrize("key", [0, 7])
def test_dropout_with_probability_0_returns_x_itself(dtype, key):
    x = np.ones((2, 3), dtype)
    y, backward = apply_dropout(x, Dropout(0, key))
    assert y is x and backward(x) is x and NO_DROPOUT.at(1, 2) is NO_DROPOUT


@given(keys, probabilities, st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_forward_backward_and_float64_have_the_same_mask(key, probability, shape):
    dropout, rng = Dropout(probability, key), np.random.default_rng(key)
    x, dy = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    (y, back), (y64, back64) = (apply_dropout(a, dropout) for a in (x, x.astype(float)))
    is_kept = kept(dropout, *shape)
    for got, exact, source in [(y, y64, x), (back(dy), back64(dy.astype(float)), dy),
                               (back(dy), back64(dy.astype(float)), dy)]:      # called twice
        np.testing.assert_array_equal(got != 0, is_kept)
        np.testing.assert_array_equal(exact != 0, is_kept)
        np.testing.assert_allclose(got, exact, rtol=2.01 * u32)     # 1/(1 − p), product
        np.testing.assert_allclose(exact, source.astype(float) * is_kept / (1 - probability),
                                   rtol=1e-15)


def test_backward_is_the_derivative():
    check_backward(lambda x: apply_dropout(x, Dropout(0.4, 3)),
                   np.random.default_rng(0).random((5, 9)))


@pytest.mark.parametrize("probability", [0.01, 0.1, 0.5, 0.9])
def test_dropout_does_not_change_the_mean(probability):
    """N elements are 0 or 1/(1 − p); their mean is 1 within 5 standard errors."""
    N = 200_000
    for key in range(5):
        dropout = Dropout(probability, key * 2**32 + 99)
        y, _ = apply_dropout(np.ones(N, np.float32), dropout)
        sigma = np.sqrt(probability / (1 - probability) / N)
        assert abs(y.mean(dtype=np.float64) - 1) < 5 * sigma
        np.testing.assert_allclose(y, factors((N,), dropout), rtol=2 * u32)


def test_masks_of_different_numbers_and_keys_are_independent():
    """|correlation| below 5/√N for every pair of masks, and for neighbours within a mask."""
    N, dropout = 50_000, Dropout(0.5, 42)
    masks = [kept(dropout.at(*numbers), N) for numbers in
             [(0,), (1,), (2,), (0, 0), (0, 1), (1, 0), (5, 0, 1), (5, 1, 0), (-1,)]]
    masks += [kept(dropout, N), kept(Dropout(0.5, 43), N), kept(Dropout(0.5, 44 << 32), N)]
    for i, one in enumerate(masks):
        assert abs(correlation(one[1:], one[:-1])) < 5 / N**0.5
        for other in masks[:i]:
            assert abs(correlation(one, other)) < 5 / N**0.5


@given(keys, st.lists(st.integers(-9, 9), min_size=1, max_size=3))
def test_the_same_numbers_give_the_same_mask(key, numbers):
    dropout = Dropout(0.3, key)
    one, other = dropout.at(*numbers), dropout.at(*numbers)
    assert one == other and one.probability == 0.3
    np.testing.assert_array_equal(kept(one, 50), kept(other, 50))


def test_every_bit_of_the_key_changes_the_mask():
    for bit in range(64):
        assert (kept(Dropout(0.5, 1 << bit), 100) != kept(Dropout(0.5, 0), 100)).any()


@dtypes
@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
def test_a_probability_below_0_or_not_below_1_is_an_error(p, dtype):
    with pytest.raises(ValueError, match=f"expected a probability .* below 1, got {p}"):
        apply_dropout(np.ones(3, dtype), Dropout(p))


def test_the_threshold_of_a_probability_next_to_0_or_1_fits_into_32_bits():
    assert mask(Dropout(1 - 2**-40)).threshold == 2**32 - 1
    assert mask(Dropout(2**-40)).threshold == 0
    assert kept(Dropout(2**-40, 5), 1000).all()


@dtypes
def test_inputs_are_not_changed_and_their_memory_layout_does_not_matter(dtype):
    x = np.random.default_rng(0).random((6, 4)).astype(dtype)
    before, dropout = x.copy(), Dropout(0.5, 8)
    for view in (x, np.asfortranarray(x), x.T, x[::2], x[:0]):
        y, backward = apply_dropout(view, dropout)
        np.testing.assert_array_equal(y, apply_dropout(view.copy(), dropout)[0])
        np.testing.assert_array_equal(backward(view), y)
    np.testing.assert_array_equal(x, before)

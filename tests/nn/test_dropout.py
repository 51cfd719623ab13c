"""Dropout: fair, its mask a function of its name alone, and nothing at all without a rate."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, apply_dropout, factors, mask
from scratch_embed.nn.gradcheck import check_backward
from tests.rounding import dtypes, u32

keys = st.integers(0, 2**64 - 1)
rates = st.floats(0.001, 0.999)


def kept(dropout, *shape):
    """Which entries are."""
    return apply_dropout(np.ones(shape), dropout)[0] != 0


def correlation(one, other):
    return np.corrcoef(one.ravel(), other.ravel())[0, 1]


@dtypes
def test_what_is_kept_is_scaled_and_what_is_not_is_zero(dtype):
    x = np.arange(1, 1001, dtype=dtype)
    y, _ = apply_dropout(x, Dropout(0.75, 1))
    assert set(np.unique(y / x)) == {0, 4} and y.dtype == dtype


@dtypes
@pytest.mark.parametrize("key", [0, 7])
def test_without_a_rate_it_is_x_itself(dtype, key):
    x = np.ones((2, 3), dtype)
    y, backward = apply_dropout(x, Dropout(0, key))
    assert y is x and backward(x) is x and NO_DROPOUT.at(1, 2) is NO_DROPOUT


@given(keys, rates, st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_the_mask_is_the_same_forward_and_backward_and_in_float64(key, rate, shape):
    dropout, rng = Dropout(rate, key), np.random.default_rng(key)
    x, dy = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    (y, back), (y64, back64) = (apply_dropout(a, dropout) for a in (x, x.astype(float)))
    mask = kept(dropout, *shape)
    for got, exact, source in [(y, y64, x), (back(dy), back64(dy.astype(float)), dy),
                               (back(dy), back64(dy.astype(float)), dy)]:
        np.testing.assert_array_equal(got != 0, mask)
        np.testing.assert_array_equal(exact != 0, mask)
        np.testing.assert_allclose(got, exact, rtol=2.01 * u32)     # 1/(1 − rate), and the product
        np.testing.assert_allclose(exact, source.astype(float) * mask / (1 - rate), rtol=1e-15)


def test_backward_is_the_derivative():
    check_backward(lambda x: apply_dropout(x, Dropout(0.4, 3)),
                   np.random.default_rng(0).random((5, 9)))


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5, 0.9])
def test_the_mean_is_kept(rate):
    """5 standard deviations of N entries that are 0 or 1/(1 − rate)."""
    N = 200_000
    for key in range(5):
        y, _ = apply_dropout(np.ones(N, np.float32), Dropout(rate, key * 2**32 + 99))
        sigma = np.sqrt(rate / (1 - rate) / N)
        assert abs(y.mean(dtype=np.float64) - 1) < 5 * sigma
        np.testing.assert_allclose(y, factors((N,), Dropout(rate, key * 2**32 + 99)), rtol=2 * u32)


def test_every_place_has_a_mask_of_its_own_and_they_do_not_know_of_each_other():
    """|correlation| below 5/√N for every pair, and for neighbours within one mask."""
    N, dropout = 50_000, Dropout(0.5, 42)
    masks = [kept(dropout.at(*place), N) for place in
             [(0,), (1,), (2,), (0, 0), (0, 1), (1, 0), (5, 0, 1), (5, 1, 0), (-1,)]]
    masks += [kept(dropout, N), kept(Dropout(0.5, 43), N), kept(Dropout(0.5, 44 << 32), N)]
    for i, one in enumerate(masks):
        assert abs(correlation(one[1:], one[:-1])) < 5 / N**0.5
        for other in masks[:i]:
            assert abs(correlation(one, other)) < 5 / N**0.5


@given(keys, st.lists(st.integers(-9, 9), min_size=1, max_size=3))
def test_the_same_place_has_the_same_mask_again(key, place):
    dropout = Dropout(0.3, key)
    assert dropout.at(*place) == dropout.at(*place) and dropout.at(*place).probability == 0.3
    np.testing.assert_array_equal(kept(dropout.at(*place), 50), kept(dropout.at(*place), 50))


def test_every_bit_of_a_key_counts():
    for bit in range(64):
        assert (kept(Dropout(0.5, 1 << bit), 100) != kept(Dropout(0.5, 0), 100)).any()


@dtypes
@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
def test_a_probability_outside_0_to_below_1_is_refused(p, dtype):
    with pytest.raises(ValueError, match=f"expected a probability .* below 1, got {p}"):
        apply_dropout(np.ones(3, dtype), Dropout(p))


def test_a_rate_next_to_one_or_to_zero_is_still_a_chance():
    assert mask(Dropout(1 - 2**-40)).threshold == 2**32 - 1
    assert mask(Dropout(2**-40)).threshold == 0
    assert kept(Dropout(2**-40, 5), 1000).all()


@dtypes
def test_inputs_are_left_and_any_layout_is_read_alike(dtype):
    x = np.random.default_rng(0).random((6, 4)).astype(dtype)
    before, dropout = x.copy(), Dropout(0.5, 8)
    for view in (x, np.asfortranarray(x), x.T, x[::2], x[:0]):
        y, backward = apply_dropout(view, dropout)
        np.testing.assert_array_equal(y, apply_dropout(view.copy(), dropout)[0])
        np.testing.assert_array_equal(backward(view), y)
    np.testing.assert_array_equal(x, before)

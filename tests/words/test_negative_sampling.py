"""The noise distribution, its alias table, and draws from it."""
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.random import stream
from scratch_embed.words.negative_sampling import (
    AliasTable,
    alias_table,
    draw_negative,
    noise_distribution,
)

counts = st.lists(st.integers(1, 10**9), min_size=1, max_size=40)


def table_probabilities(noise):
    """(V,) the exact probability with which the table draws each word."""
    V = len(noise.accept)
    p = noise.accept.astype(np.float64)
    np.add.at(p, noise.alias, 1 - noise.accept.astype(np.float64))
    return p / V


def test_three_quarters_power_worked_by_hand():
    np.testing.assert_allclose(noise_distribution([16, 1]), [8 / 9, 1 / 9])


@given(counts)
def test_the_table_has_the_probabilities_of_the_distribution(counts):
    """accept is float32: the error of each of V columns is at most 2⁻²⁴ of its 1/V."""
    p = noise_distribution(counts)
    noise = alias_table(p)
    assert noise.accept.dtype == np.float32 and noise.alias.dtype == np.int32
    np.testing.assert_allclose(table_probabilities(noise), p, rtol=0,
                               atol=2**-24 + 8 * len(p) * 2**-53)


@given(counts)
def test_the_order_of_the_words_does_not_matter(counts):
    p = noise_distribution(counts)
    reversed_p = table_probabilities(alias_table(p[::-1]))
    np.testing.assert_allclose(reversed_p[::-1], p, rtol=0, atol=2**-23)


def test_words_of_equal_probability_need_no_alias():
    noise = alias_table(np.full(8, 1 / 8))
    assert noise.accept.tolist() == [1] * 8


def test_draws_follow_the_distribution():
    """100,000 draws: every count is within 6 standard deviations of its expectation."""
    p = noise_distribution([1000, 100, 10, 1, 1])
    noise, n = alias_table(p), 100_000
    drawn = np.bincount([draw_negative(noise, stream(7, i)) for i in range(n)], minlength=len(p))
    assert (abs(drawn - n * p) < 6 * np.sqrt(n * p * (1 - p))).all()


def test_a_word_of_probability_0_is_never_drawn():
    noise = alias_table(np.array([0.5, 0.0, 0.5]))
    assert {int(draw_negative(noise, stream(1, i))) for i in range(5000)} == {0, 2}


def test_the_high_bits_select_the_column_and_the_low_bits_decide_acceptance():
    noise = AliasTable(np.array([0.0, 0.5], np.float32), np.array([1, 0], np.int32))
    second = 1 << 63                                          # selects column 1 of 2
    half = 1 << 23                                            # 0.5 as 24 bits
    assert draw_negative(noise, np.uint64(0)) == 1       # never accepts, not even the bits 0
    assert draw_negative(noise, np.uint64(second + half - 1)) == 1
    assert draw_negative(noise, np.uint64(second + half)) == 0

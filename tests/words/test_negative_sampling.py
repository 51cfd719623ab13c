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


def table_mass(noise):
    """The exact probability that the table gives each word."""
    V = len(noise.accept)
    mass = noise.accept.astype(np.float64)
    np.add.at(mass, noise.alias, 1 - noise.accept.astype(np.float64))
    return mass / V


def test_three_quarters_power_worked_by_hand():
    np.testing.assert_allclose(noise_distribution([16, 1]), [8 / 9, 1 / 9])


@given(counts)
def test_the_table_has_the_mass_of_the_distribution(counts):
    """Float32 acceptance: each of V columns errs by at most 2⁻²⁴ of its 1/V."""
    p = noise_distribution(counts)
    noise = alias_table(p)
    assert noise.accept.dtype == np.float32 and noise.alias.dtype == np.int32
    np.testing.assert_allclose(table_mass(noise), p, rtol=0, atol=2**-24 + 8 * len(p) * 2**-53)


@given(counts)
def test_the_order_of_the_words_is_not_seen(counts):
    p = noise_distribution(counts)
    np.testing.assert_allclose(table_mass(alias_table(p[::-1]))[::-1], p, rtol=0, atol=2**-23)


def test_equal_words_need_no_alias():
    noise = alias_table(np.full(8, 1 / 8))
    assert noise.accept.tolist() == [1] * 8


def test_draws_follow_the_distribution():
    """100,000 draws: every count within 6 standard deviations of what is expected."""
    p = noise_distribution([1000, 100, 10, 1, 1])
    noise, n = alias_table(p), 100_000
    drawn = np.bincount([draw_negative(noise, stream(7, i)) for i in range(n)], minlength=len(p))
    assert (abs(drawn - n * p) < 6 * np.sqrt(n * p * (1 - p))).all()


def test_a_word_of_no_mass_is_never_drawn():
    noise = alias_table(np.array([0.5, 0.0, 0.5]))
    assert {int(draw_negative(noise, stream(1, i))) for i in range(5000)} == {0, 2}


def test_a_draw_takes_its_column_from_the_high_bits_and_accepts_by_the_low_ones():
    noise = AliasTable(np.array([0.0, 0.5], np.float32), np.array([1, 0], np.int32))
    second = 1 << 63                                          # the upper half of the range
    half = 1 << 23                                            # 0.5 as 24 bits
    assert draw_negative(noise, np.uint64(0)) == 1       # accept 0 never accepts, not even 0
    assert draw_negative(noise, np.uint64(second + half - 1)) == 1
    assert draw_negative(noise, np.uint64(second + half)) == 0

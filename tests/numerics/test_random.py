import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.random import GAMMA, below, mix, stream, uniform32

words = st.integers(0, 2**64 - 1)


def test_the_first_numbers_of_the_published_generator():
    state, got = np.uint64(1234567), []
    with np.errstate(over="ignore"):
        for _ in range(5):
            state = state + GAMMA
            got.append(int(mix(state)))
    assert got == [6457827717110365317, 3203168211198807973, 9817491932198370423,
                   4593380528125082431, 16408922859458223821]


@given(words)
def test_uniform_is_below_one_and_a_multiple_of_two_to_minus_24(bits):
    u = uniform32(np.uint64(bits))
    assert 0 <= u < 1 and (u * 2**24) % 1 == 0


def test_uniform_reaches_both_ends():
    assert uniform32(np.uint64(0)) == 0
    assert uniform32(np.uint64(2**64 - 1)) == 1 - 2**-24


@given(words, st.integers(1, 2**31))
def test_below_is_below(bits, n):
    assert 0 <= below(np.uint64(bits), n) < n


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_below_gives_every_value_equally_often(n):
    """The high 32 bits run evenly through their range: each value gets its share, to one part."""
    high = np.arange(2**16, dtype=np.uint64) << np.uint64(48)
    counts = np.bincount([below(h, n) for h in high], minlength=n)
    assert abs(counts - 2**16 / n).max() <= 1


@given(words, words)
def test_below_and_uniform_look_at_different_bits(high, low):
    both = np.uint64((high >> 32 << 32) | (low & 0xFFFFFFFF))
    assert below(both, 1000) == below(np.uint64(high), 1000)
    assert uniform32(both) == uniform32(np.uint64(low))


def test_streams_of_other_seeds_epochs_and_chunks_are_other_streams():
    numbers = [(s, e, c) for s in range(10) for e in range(10) for c in range(10)]
    assert len({int(stream(*n)) for n in numbers}) == 1000
    assert len({int(stream(2**bit)) for bit in range(64)}) == 64     # every bit of a seed counts
    assert stream(1, 2, 3) == stream(1, 2, 3)
    assert stream(1, 2) != stream(1, 2, 0)
    assert stream(-1) == stream(2**64 - 1)                    # any whole number is a seed


def test_bits_are_balanced_and_one_flipped_input_bit_flips_half_of_them():
    """Each of 64 output bits over 4,096 draws: 6 standard deviations of a fair coin."""
    drawn = np.array([int(mix(np.uint64(i))) for i in range(4096)], np.uint64)
    bits = (drawn[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert abs(bits.mean(0) - 0.5).max() < 6 * 0.5 / 64
    flipped = np.array([int(mix(np.uint64(i ^ 1))) for i in range(4096)], np.uint64) ^ drawn
    bits = (flipped[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert abs(bits.mean(0) - 0.5).max() < 6 * 0.5 / 64

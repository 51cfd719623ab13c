"""SplitMix64 and hash32: published values, ranges, and the statistics of their bits."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.random import GAMMA, below, hash32, mix, stream, uniform32
from tests.processes import in_plain_python

uint64s = st.integers(0, 2**64 - 1)
uint32s = st.integers(0, 2**32 - 1)


def test_the_first_numbers_for_a_published_seed():
    state, got = np.uint64(1234567), []
    with np.errstate(over="ignore"):
        for _ in range(5):
            state = state + GAMMA
            got.append(int(mix(state)))
    assert got == [6457827717110365317, 3203168211198807973, 9817491932198370423,
                   4593380528125082431, 16408922859458223821]


@given(uint64s)
def test_uniform32_is_in_0_to_1_and_a_multiple_of_two_to_minus_24(bits):
    u = uniform32(np.uint64(bits))
    assert 0 <= u < 1 and (u * 2**24) % 1 == 0


def test_the_smallest_and_the_largest_value_of_uniform32():
    assert uniform32(np.uint64(0)) == 0
    assert uniform32(np.uint64(2**64 - 1)) == 1 - 2**-24


@given(uint64s, st.integers(1, 2**31))
def test_below_is_in_0_to_n_minus_1(bits, n):
    assert 0 <= below(np.uint64(bits), n) < n


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_below_gives_every_value_equally_often_up_to_one(n):
    """2¹⁶ equally spaced values of the high bits: the count of each result is 2¹⁶/n ± 1."""
    high = np.arange(2**16, dtype=np.uint64) << np.uint64(48)
    counts = np.bincount([below(h, n) for h in high], minlength=n)
    assert abs(counts - 2**16 / n).max() <= 1


@given(uint64s, uint64s)
def test_below_and_uniform32_use_different_bits(high, low):
    both = np.uint64((high >> 32 << 32) | (low & 0xFFFFFFFF))
    assert below(both, 1000) == below(np.uint64(high), 1000)
    assert uniform32(both) == uniform32(np.uint64(low))


def test_every_seed_epoch_and_chunk_has_its_own_stream():
    numbers = [(s, e, c) for s in range(10) for e in range(10) for c in range(10)]
    assert len({int(stream(*n)) for n in numbers}) == 1000
    assert len({int(stream(2**bit)) for bit in range(64)}) == 64   # a flipped bit of a seed matters
    assert stream(1, 2, 3) == stream(1, 2, 3)
    assert stream(1, 2) != stream(1, 2, 0)
    assert stream(-1) == stream(2**64 - 1)                    # negative seeds are allowed


def test_bits_of_mix_are_balanced_and_a_flipped_input_bit_flips_half_of_them():
    """Each of 64 output bits over 4,096 draws: its mean is ½ within 6 standard deviations."""
    drawn = np.array([int(mix(np.uint64(i))) for i in range(4096)], np.uint64)
    bits = (drawn[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert abs(bits.mean(0) - 0.5).max() < 6 * 0.5 / 64
    flipped = np.array([int(mix(np.uint64(i ^ 1))) for i in range(4096)], np.uint64) ^ drawn
    bits = (flipped[:, None] >> np.arange(64, dtype=np.uint64)) & np.uint64(1)
    assert abs(bits.mean(0) - 0.5).max() < 6 * 0.5 / 64


# ---- bits for each entry of an array ------------------------------------------------------------

@kernel
def hashes(n, key):
    """(n,) hash32 of the counters 0..n−1, in a loop that Numba can vectorise, as kernels do."""
    bits = np.empty(n, np.uint32)
    for i in range(n):
        bits[i] = hash32(np.uint32(i), key)
    return bits


def lowbias32(counter, key):
    """lowbias32 of counter XOR key, with Python's integers."""
    x, mask = counter ^ key, 2**32 - 1
    x = (x ^ x >> 16) * 0x7FEB352D & mask
    x = (x ^ x >> 15) * 0x846CA68B & mask
    return x ^ x >> 16


def inverse(bits, key):
    """The counter whose hash is `bits`: inverts each line of lowbias32, the last line first."""
    x, mask = bits, 2**32 - 1
    x = (x ^ x >> 16) * pow(0x846CA68B, -1, 2**32) & mask
    x = (x ^ x >> 15 ^ x >> 30) * pow(0x7FEB352D, -1, 2**32) & mask
    return x ^ x >> 16 ^ key


@given(uint32s, uint32s)
def test_hash32_equals_lowbias32_and_has_an_inverse(counter, key):
    """It has an inverse, so it is a bijection: different counters have different bits."""
    with np.errstate(over="ignore"):
        got = int(hash32(np.uint32(counter), np.uint32(key)))
    assert got == lowbias32(counter, key) and inverse(got, key) == counter


def test_vectorised_hashes_are_the_same_numbers_and_all_differ():
    key = np.uint32(0x9E3779B9)
    bits = hashes(2**16, key)
    assert bits[::999].tolist() == [lowbias32(i, int(key)) for i in range(0, 2**16, 999)]
    assert len(np.unique(bits)) == 2**16


def some_hashes():
    return np.array([hash32(np.uint32(i), np.uint32(77)) for i in range(0, 2**32, 2**28 + 1)])


def test_hashes_are_the_same_without_jit():
    want = [lowbias32(i, 77) for i in range(0, 2**32, 2**28 + 1)]
    assert in_plain_python(some_hashes, warnings="ignore").tolist() == want


@pytest.mark.parametrize("key", [0, 1, 2**31, 0xDEADBEEF])
def test_bits_of_hash32_are_balanced_and_a_flipped_input_bit_flips_half_of_them(key):
    """Each of 32 output bits over 2¹⁶ counters: its mean is ½ within 6 standard deviations."""
    n, positions = 2**16, np.arange(32, dtype=np.uint32)
    tolerance = 6 * 0.5 / n**0.5

    def means(bits):
        return ((bits[:, None] >> positions) & np.uint32(1)).mean(0)
    bits = hashes(n, np.uint32(key))
    assert abs(means(bits) - 0.5).max() < tolerance
    for flip in (0, 7, 15):                                   # a bit of the counter
        assert abs(means(bits ^ bits[np.arange(n) ^ (1 << flip)]) - 0.5).max() < tolerance
    for flip in (20, 31):                                     # a bit of the key
        changed = bits ^ hashes(n, np.uint32(key ^ (1 << flip)))
        assert abs(means(changed) - 0.5).max() < tolerance

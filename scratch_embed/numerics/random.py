"""SplitMix64: random numbers from a counter, for kernels.

Paper     Steele, Lea, Flood 2014, "Fast Splittable Pseudorandom Number Generators", fig. 16.
Equation  state ← state + γ,  output = mix(state),  γ = 2⁶⁴/φ made odd
Use       state += GAMMA; bits = mix(state); then uniform32(bits) or below(bits, n)

The state is only a counter; `mix` turns it into random bits.  So a draw does not wait for the
previous draw, and a stream of random numbers is given by one number, its initial state.
stream(seed, epoch, chunk) gives every task its own stream, which depends neither on the thread that
runs the task nor on the order of the tasks.
"""
import numpy as np

from scratch_embed.numerics.kernel import kernel

u64 = np.uint64                        # u64 + int64 is float64 in Numba, so constants are u64
u32 = np.uint32
GAMMA = u64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = u64(0xBF58476D1CE4E5B9), u64(0x94D049BB133111EB)
S27, S30, S31, S32, S40 = u64(27), u64(30), u64(31), u64(32), u64(40)
LOW_24 = u64(0xFFFFFF)
ALL_64 = 2**64 - 1
TWO_TO_MINUS_24 = np.float32(2.0 ** -24)
M32_1, M32_2, SH15, SH16 = u32(0x7FEB352D), u32(0x846CA68B), u32(15), u32(16)


@kernel
def mix(z):
    """64 random bits from a counter.  A bijection; an input bit affects about half the bits."""
    z = (z ^ (z >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return z ^ (z >> S31)


@kernel
def uniform32(bits):
    """A float32 in [0, 1), one of the 2²⁴ multiples of 2⁻²⁴, from the LOW 24 bits."""
    return np.float32(bits & LOW_24) * TWO_TO_MINUS_24


@kernel
def below(bits, n):
    """An integer in 0..n−1 from the HIGH 32 bits.

    1 ≤ n ≤ 2³¹.  The probability of a value differs from 1/n by a factor in 1 ± n/2³².
    """
    return np.int64(((bits >> S32) * u64(n)) >> S32)


def stream(seed: int, *numbers: int) -> np.uint64:
    """The initial state of a task's stream; another seed or number gives another stream."""
    state = 0
    with np.errstate(over="ignore"):           # outside a kernel, NumPy warns when u64 wraps around
        for number in (seed, *numbers):
            state = int(mix(u64(state ^ (int(number) & ALL_64)) + GAMMA))
    return u64(state)


# ---- bits for each entry of an array -------------------------------------------------------------

@kernel(inline=True)
def hash32(counter, key):
    """32 random bits for entry `counter` of the array with number `key` (both uint32).

    lowbias32 of Wellons 2018, "Prospecting for Hash Functions".  For a fixed key it is a bijection
    of counter.  Twice as many 32-bit as 64-bit numbers fit into a vector register.  The same
    arguments give the same bits, so the backward pass computes the dropout mask of the forward pass
    again instead of storing it.
    """
    x = u32(u32(counter) ^ key)
    x = u32(u32(x ^ (x >> SH16)) * M32_1)
    x = u32(u32(x ^ (x >> SH15)) * M32_2)
    return u32(x ^ (x >> SH16))

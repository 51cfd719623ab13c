"""SplitMix64: random numbers from a counter, for kernels.

Paper     Steele, Lea, Flood 2014, "Fast Splittable Pseudorandom Number Generators", fig. 16.
Equation  state ← state + γ,  output = mix(state),  γ = 2⁶⁴/φ made odd
Use       state += GAMMA; bits = mix(state); then uniform32(bits) or below(bits, n)

The state is only a counter; `mix` turns it into random bits.  So a draw does not wait for the one
before, and a stream is one number: stream(seed, epoch, chunk) gives every task its own stream,
which depends neither on the thread that runs it nor on the order of tasks.
"""
import numpy as np

from scratch_embed.numerics.kernel import kernel

u64 = np.uint64                        # Numba turns uint64 with int64 into float64: all are typed
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
    """64 random bits from a counter.  A bijection; each input bit affects about half the bits."""
    z = (z ^ (z >> S30)) * MIX_1
    z = (z ^ (z >> S27)) * MIX_2
    return z ^ (z >> S31)


@kernel
def uniform32(bits):
    """A float32 in [0, 1), one of the 2²⁴ multiples of 2⁻²⁴, from the LOW bits."""
    return np.float32(bits & LOW_24) * TWO_TO_MINUS_24


@kernel
def below(bits, n):
    """An integer in 0..n−1 from the HIGH 32 bits.

    n ≤ 2³¹; a value's probability has a relative error of at most n/2³².
    """
    return np.int64(((bits >> S32) * u64(n)) >> S32)


def stream(seed: int, *numbers: int) -> np.uint64:
    """The initial state for a task; another seed or number gives an independent stream."""
    state = 0
    with np.errstate(over="ignore"):           # plain NumPy scalars warn where kernels just wrap
        for number in (seed, *numbers):
            state = int(mix(u64(state ^ (int(number) & ALL_64)) + GAMMA))
    return u64(state)


# ---- bits for each entry of an array -------------------------------------------------------------

@kernel(inline=True)
def hash32(counter, key):
    """32 random bits for entry `counter` of the array named `key` (both uint32).  A bijection.

    Wellons 2018, "Prospecting for Hash Functions", lowbias32: it works on 32 bits, not 64, so
    twice as many fit into a vector register.  The same arguments give the same bits, so a dropout
    mask need not be stored from the forward pass to the backward pass.
    """
    x = u32(u32(counter) ^ key)
    x = u32(u32(x ^ (x >> SH16)) * M32_1)
    x = u32(u32(x ^ (x >> SH15)) * M32_2)
    return u32(x ^ (x >> SH16))

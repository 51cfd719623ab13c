"""Vector instructions in a kernel: each against NumPy."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config

from scratch_embed.numerics.kernel import kernel
from scratch_embed.numerics.vectors import (
    add_scaled16,
    load16,
    prefetch,
    store16,
    transpose16,
    zeros16,
)
from tests.rounding import seeds

pytestmark = pytest.mark.skipif(config.DISABLE_JIT, reason="a kernel in Python has no vectors")
places = st.integers(0, 5)


@kernel
def scaled_kernel(x, at, factor, y, to):
    """y[to:to + 16] ← 0 + factor · x[at:at + 16]."""
    prefetch(x, at)
    prefetch(x, 10 ** 9)                             # outside: ignored
    store16(y, to, add_scaled16(zeros16(), factor, load16(x, at)))


@kernel
def transpose_kernel(x, at, stride, y, to, width):
    transpose16(x, at, stride, y, to, width)


@settings(max_examples=20)
@given(seeds, places, places)
def test_16_numbers_are_loaded_scaled_and_stored(seed, at, to):
    x, y = np.random.default_rng(seed).standard_normal(21).astype(np.float32), np.zeros(21, "f4")
    scaled_kernel(x, at, np.float32(3), y, to)
    expected = np.zeros(21, np.float32)
    expected[to:to + 16] = np.float32(3) * x[at:at + 16]
    np.testing.assert_array_equal(y, expected)


@settings(max_examples=20)
@given(seeds, places, places, st.integers(16, 20), st.integers(16, 20))
def test_16_rows_become_16_columns(seed, at, to, stride, width):
    x = np.random.default_rng(seed).standard_normal((17, stride)).astype(np.float32)
    y = np.zeros((17, width), np.float32)
    transpose_kernel(x.ravel(), at, stride, y.ravel(), to, width)
    block = x.ravel()[at:][:16 * stride].reshape(16, stride)[:, :16]
    np.testing.assert_array_equal(y.ravel()[to:][:16 * width].reshape(16, width)[:, :16], block.T)
    assert np.count_nonzero(y) <= 256                # nothing else was written

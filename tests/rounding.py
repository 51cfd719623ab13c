"""Shared by tests: bounds on rounding errors, a strategy of seeds, both float types.

scratch_embed/testing/rounding.py explains the bounds.
"""
import numpy as np
import pytest
from hypothesis import strategies as st

from scratch_embed.testing.rounding import gamma, u32, u64, unit_roundoff

__all__ = ["dtypes", "gamma", "seeds", "u32", "u64", "unit_roundoff"]

seeds = st.integers(0, 2**32 - 1)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])

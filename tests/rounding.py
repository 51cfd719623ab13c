"""What tests share: bounds on rounding errors, random seeds, both types.

The bounds are those of scratch_embed/testing/rounding.py, which derives them.
"""
import numpy as np
import pytest
from hypothesis import strategies as st

from scratch_embed.testing.rounding import gamma, u32, u64, unit_roundoff

__all__ = ["dtypes", "gamma", "seeds", "u32", "u64", "unit_roundoff"]

seeds = st.integers(0, 2**32 - 1)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])

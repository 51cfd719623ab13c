"""Rows computed in blocks: each once, in its place, and never more than a block at a time."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.nn import layers
from scratch_embed.nn.activations import gelu
from scratch_embed.nn.blocks import infer_post_norm_layer, post_norm_layer, post_norm_tensors
from scratch_embed.nn.layers import in_row_blocks
from scratch_embed.nn.params import Normal, init_params


@given(T=st.integers(0, 20), rows=st.integers(1, 9), threads=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_every_row_is_computed_once_and_in_its_place(T, rows, threads):
    seen = []

    def scaled(block, factor):
        seen.append(len(block))
        return factor * block, None
    x = np.arange(2.0 * T).reshape(T, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layers, "ROWS", rows)
        patch.setattr(layers, "blas_threads", lambda: threads)
        np.testing.assert_array_equal(in_row_blocks(scaled, x, 2), 2 * x)
    assert sum(seen) == T and max(seen) <= rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_layer_without_backward_is_the_layer(dtype, monkeypatch):
    monkeypatch.setattr(layers, "ROWS", 3)
    p = init_params(post_norm_tensors("l.", 6, 2, 8, Normal(0.5)), 0, dtype)
    x, offsets = np.random.default_rng(0).standard_normal((8, 6)).astype(dtype), np.array([0, 5, 8])
    expected = post_norm_layer(x, p, "l.", offsets, 2, gelu, 1e-12)[0]
    found = infer_post_norm_layer(x, p, "l.", offsets, 2, gelu, 1e-12)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-13)

"""Each layer against torch or transformers: outputs, and gradients of all inputs and parameters."""
import runpy
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.nn.activations import quick_gelu, silu, swiglu
from scratch_embed.nn.attention import attention
from scratch_embed.nn.convolution import conv1d, patches
from scratch_embed.nn.layers import linear, prepend_row
from scratch_embed.nn.norms import layer_norm, rms_norm
from scratch_embed.nn.params import Params
from scratch_embed.nn.relative_bias import relative_bias
from scratch_embed.nn.rotary import rotary, rotation
from scratch_embed.numerics.safetensors import read_safetensors

GOLDEN = Path(__file__).parents[1] / "golden" / "nn.safetensors"
OFFSETS = np.array([0, 6, 9])
POSITIONS = np.array([0, 1, 2, 3, 4, 5, 0, 1, 2])


def distances(t):
    """(t, t): j − i."""
    return np.arange(t) - np.arange(t)[:, None]


# ---- our layers as f(inputs, p) -> y, backward; backward(dy, g) -> {input name: gradient} --------

def layer(f):
    """f for a layer with one input, x, and the tensors l.weight and perhaps l.bias."""
    def run(inputs, p):
        y, backward = f(inputs["x"], p, "l")
        return y, lambda dy, g: {"x": backward(dy, g)}
    return run


def function(f, *names):
    """f for a function without parameters whose arguments are the inputs with these names."""
    def run(inputs, p):
        y, backward = f(*(inputs[name] for name in names))

        def back(dy, g):
            grads = backward(dy)
            return dict(zip(names, grads if isinstance(grads, tuple) else (grads,)))
        return y, back
    return run


def mistral(q, k, v):
    """Rotary positions, then causal attention with a window, in 4 heads of q."""
    rope = rotation(POSITIONS, 6, theta=100.0, dtype=q.dtype.type)
    (q, back_q), (k, back_k) = rotary(q, rope), rotary(k, rope)
    y, back = attention(q, k, v, OFFSETS, 4, causal=True, window=2)   # sliding_window 3

    def backward(dy):
        dq, dk, dv = back(dy)
        return back_q(dq), back_k(dk), dv
    return y, backward


def mpnet_buckets(t):
    """Bucket numbers (t, t).  For each sign of j − i: distances 0 .. 7, then 8 wider buckets."""
    distance = np.maximum(abs(distances(t)), 1)
    wide = np.minimum(8 + (np.log(distance / 8) / np.log(16) * 8).astype(int), 15)
    return np.where(distance < 8, abs(distances(t)), wide) + 16 * (distances(t) > 0)


def swin_pairs():
    """Rows (4, 4) of the bias table for a window of 2 x 2: one for each difference of positions."""
    row, column = np.divmod(np.arange(4), 2)
    return 3 * (row[:, None] - row + 1) + column[:, None] - column + 1


def self_attention(offsets, attend, project, inputs, p):
    """attend(q, k, v, offsets, p) with q, k, v = linear(x); then a linear layer "o" if project."""
    x = inputs["x"]
    (q, back_q), (k, back_k), (v, back_v) = (linear(x, p, name) for name in "qkv")
    a, back_a = attend(q, k, v, offsets, p)
    y, back_o = linear(a, p, "o") if project else (a, lambda dy, g: dy)

    def backward(dy, g):
        dq, dk, dv = back_a(back_o(dy, g), g)
        return {"x": back_q(dq, g) + back_k(dk, g) + back_v(dv, g)}
    return y, backward


def with_bias(index, mask, q, k, v, offsets, p):
    """Two heads with relative_bias, plus a mask (W, t, t): each of W windows has its own."""
    B, back_bias = relative_bias(index, p, "table")
    B = B if mask is None else (B + mask[:, None]).astype(q.dtype)
    y, back = attention(q, k, v, offsets, 2, bias=B)

    def backward(dy, g):
        *grads, dB = back(dy)
        back_bias(dB if mask is None else dB.sum(0), g)
        return grads
    return y, backward


def with_extra_row(q, k, v, offsets, p):
    """Two heads, with a learned row bias_k and bias_v before each sequence of k and v."""
    k, key_offsets, back_k = prepend_row(k, offsets, p, "bias_k")
    v, _, back_v = prepend_row(v, offsets, p, "bias_v")
    y, back = attention(q, k, v, offsets, 2, key_offsets=key_offsets)

    def backward(dy, g):
        dq, dk, dv = back(dy)
        return dq, back_k(dk, g), back_v(dv, g)
    return y, backward


def patch_layer(size, stride, inputs, p):
    """patches, then linear."""
    rows, back_rows = patches(inputs["x"], size, stride)
    y, back = linear(rows, p, "l")
    return y, lambda dy, g: {"x": back_rows(back(dy, g))}


SWIN_MASK = np.zeros((2, 4, 4))
SWIN_MASK[1] = np.where(np.array([0, 1, 0, 1])[:, None] == [0, 1, 0, 1], 0, -100)
OURS = {
    "linear": layer(linear),
    "layer_norm": layer(partial(layer_norm, eps=1e-5)),
    "rms_norm": layer(partial(rms_norm, eps=1e-5)),
    "silu": function(silu, "x"),
    "quick_gelu": function(quick_gelu, "x"),
    "swiglu": function(swiglu, "gate", "up"),
    "mistral": function(mistral, *"qkv"),
    "two_sided": function(lambda q, k, v: attention(q, k, v, OFFSETS, 2, window=2), *"qkv"),
    "mpnet": partial(self_attention, OFFSETS, partial(with_bias, mpnet_buckets(6), None), True),
    "swin": partial(self_attention, np.arange(0, 17, 4),
                    partial(with_bias, swin_pairs(), SWIN_MASK), False),
    "extra_row": partial(self_attention, OFFSETS, with_extra_row, True),
    "conv1d": layer(partial(conv1d, padding=1)),
    "conv1d_stride": layer(partial(conv1d, stride=2, padding=1)),
    "patches": partial(patch_layer, 2, None),
    "patches_overlap": partial(patch_layer, 3, 2)}
INPUTS = {"x", "gate", "up", "q", "k", "v"}
NAMES = {"weight": "l.weight", "bias": "l.bias", "table": "table.weight"}     # theirs -> ours


def assert_equal(theirs, case, dtype):
    """Compare y and the gradients, to 1e-9 (float64) or 1e-5 (float32) times max(1, max |want|)."""
    arrays = {name.removeprefix(f"{case}."): x for name, x in theirs.items()
              if name.startswith(f"{case}.")}
    given = {name: x.astype(dtype) for name, x in arrays.items()
             if name not in ("y", "dy") and not name.startswith("d_")}
    tensors = {name: x for name, x in given.items() if name not in INPUTS}
    conv = case.startswith("conv")         # other weights are flattened to (out, in)
    p = Params({NAMES.get(name, name): x.shape if conv else (*x.shape[:1], *(
        (x[0].size,) if x.ndim > 1 else ())) for name, x in tensors.items()}, dtype)
    for name, x in tensors.items():
        p[NAMES.get(name, name)][...] = x.reshape(p[NAMES.get(name, name)].shape)
    y, backward = OURS[case](given, p)
    g = p.like()
    grads = backward(arrays["dy"].astype(dtype), g)
    grads |= {name: g[NAMES.get(name, name)].reshape(x.shape) for name, x in tensors.items()}
    assert {f"d_{name}" for name in grads} == {name for name in arrays if name.startswith("d_")}
    tol = 1e-5 if dtype == np.float32 else 1e-9
    for got, want in [(y, arrays["y"])] + [(dx, arrays[f"d_{x}"]) for x, dx in grads.items()]:
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=0, atol=tol * max(1, abs(want).max()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", OURS)
def test_equals_the_golden_outputs_and_gradients(case, dtype):
    assert_equal(read_safetensors(GOLDEN)[0], case, dtype)


@pytest.fixture(scope="module")
def installed():
    for package in ("torch", "transformers"):
        pytest.importorskip(package)
    return runpy.run_path(str(GOLDEN.with_name("make_nn.py")))["originals"]()


@pytest.mark.parametrize("case", OURS)
def test_equals_the_installed_torch_and_transformers(case, installed):
    assert_equal(installed, case, np.float64)

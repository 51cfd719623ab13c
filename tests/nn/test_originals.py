"""Each layer against torch's or transformers' own: outputs and gradients in all inputs."""
import runpy
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.nn.activations import quick_gelu, silu, swiglu
from scratch_embed.nn.attention import attention
from scratch_embed.nn.convolution import conv1d, patches
from scratch_embed.nn.layers import layer_norm, linear, prepend_row, rms_norm
from scratch_embed.nn.params import Params
from scratch_embed.nn.relative_bias import relative_bias
from scratch_embed.nn.rotary import rotary, rotation
from scratch_embed.numerics.safetensors import read_safetensors

GOLDEN = Path(__file__).parents[1] / "golden" / "nn.safetensors"
OFFSETS = np.array([0, 6, 9])
POSITIONS = np.array([0, 1, 2, 3, 4, 5, 0, 1, 2])


def distances(t):
    return np.arange(t) - np.arange(t)[:, None]


# ---- ours, in the originals' terms: x, p -> y, backward(dy, g) -> {input: gradient} --------------

def layer(f):
    """A layer of one input whose tensors are "l.weight" and perhaps "l.bias"."""
    def run(x, p):
        y, backward = f(x["x"], p, "l")
        return y, lambda dy, g: {"x": backward(dy, g)}
    return run


def function(f, *names):
    """A function without parameters."""
    def run(x, p):
        y, backward = f(*(x[name] for name in names))

        def back(dy, g):
            grads = backward(dy)
            return dict(zip(names, grads if isinstance(grads, tuple) else (grads,)))
        return y, back
    return run


def mistral(q, k, v):
    by = rotation(POSITIONS, 6, theta=100.0, dtype=q.dtype.type)
    (q, back_q), (k, back_k) = rotary(q, by), rotary(k, by)
    y, back = attention(q, k, v, OFFSETS, 4, causal=True, window=2)   # theirs, 3, counts itself

    def backward(dy):
        dq, dk, dv = back(dy)
        return back_q(dq), back_k(dk), dv
    return y, backward


def mpnet_buckets(t):
    """16 for each side: 8 of one distance each, then ever wider ones up to 128."""
    far = np.maximum(abs(distances(t)), 1)
    wide = np.minimum(8 + (np.log(far / 8) / np.log(16) * 8).astype(int), 15)
    return np.where(far < 8, abs(distances(t)), wide) + 16 * (distances(t) > 0)


def swin_pairs():
    """(difference of rows, difference of columns) in a window of 2 x 2, as one of 9 numbers."""
    row, column = np.divmod(np.arange(4), 2)
    return 3 * (row[:, None] - row + 1) + column[:, None] - column + 1


def self_attention(offsets, attend, out, x, p):
    """q, k and v of x, what attend makes of them, and perhaps a linear layer behind."""
    x = x["x"]
    (q, back_q), (k, back_k), (v, back_v) = (linear(x, p, name) for name in "qkv")
    a, back_a = attend(q, k, v, offsets, p)
    y, back_o = linear(a, p, "o") if out else (a, lambda dy, g: dy)

    def backward(dy, g):
        dq, dk, dv = back_a(back_o(dy, g), g)
        return {"x": back_q(dq, g) + back_k(dk, g) + back_v(dv, g)}
    return y, backward


def biased(index, mask, q, k, v, offsets, p):
    B, back_bias = relative_bias(index, p, "table")
    B = B if mask is None else (B + mask[:, None]).astype(q.dtype)
    y, back = attention(q, k, v, offsets, 2, bias=B)

    def backward(dy, g):
        *grads, dB = back(dy)
        back_bias(dB if mask is None else dB.sum(0), g)
        return grads
    return y, backward


def with_extra_rows(q, k, v, offsets, p):
    k, longer, back_k = prepend_row(k, offsets, p, "bias_k")
    v, _, back_v = prepend_row(v, offsets, p, "bias_v")
    y, back = attention(q, k, v, offsets, 2, key_offsets=longer)

    def backward(dy, g):
        dq, dk, dv = back(dy)
        return dq, back_k(dk, g), back_v(dv, g)
    return y, backward


def patch_layer(size, stride, x, p):
    rows, back_rows = patches(x["x"], size, stride)
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
    "mpnet": partial(self_attention, OFFSETS, partial(biased, mpnet_buckets(6), None), True),
    "swin": partial(self_attention, np.arange(0, 17, 4), partial(biased, swin_pairs(), SWIN_MASK),
                    False),
    "extra_row": partial(self_attention, OFFSETS, with_extra_rows, True),
    "conv1d": layer(partial(conv1d, padding=1)),
    "conv1d_stride": layer(partial(conv1d, stride=2, padding=1)),
    "patches": partial(patch_layer, 2, None),
    "patches_overlap": partial(patch_layer, 3, 2)}
INPUTS = {"x", "gate", "up", "q", "k", "v"}
NAMES = {"weight": "l.weight", "bias": "l.bias", "table": "table.weight"}     # theirs -> ours


def equal_to(theirs, case, dtype):
    """Outputs and gradients within 1e-9 in float64, 1e-5 in float32, of the largest number."""
    of_case = {name.removeprefix(f"{case}."): x for name, x in theirs.items()
               if name.startswith(f"{case}.")}
    given = {name: x.astype(dtype) for name, x in of_case.items()
             if name not in ("y", "dy") and not name.startswith("d_")}
    tensors = {name: x for name, x in given.items() if name not in INPUTS}
    conv = case.startswith("conv")
    p = Params({NAMES.get(name, name): x.shape if conv else (*x.shape[:1], *(
        (x[0].size,) if x.ndim > 1 else ())) for name, x in tensors.items()}, dtype)
    for name, x in tensors.items():
        p[NAMES.get(name, name)][...] = x.reshape(p[NAMES.get(name, name)].shape)
    y, backward = OURS[case](given, p)
    g = p.like()
    grads = backward(of_case["dy"].astype(dtype), g)
    grads |= {name: g[NAMES.get(name, name)].reshape(x.shape) for name, x in tensors.items()}
    assert {f"d_{name}" for name in grads} == {name for name in of_case if name.startswith("d_")}
    tol = 1e-5 if dtype == np.float32 else 1e-9
    for got, want in [(y, of_case["y"])] + [(dx, of_case[f"d_{x}"]) for x, dx in grads.items()]:
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=0, atol=tol * max(1, abs(want).max()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", OURS)
def test_the_originals_outputs_and_gradients(case, dtype):
    equal_to(read_safetensors(GOLDEN)[0], case, dtype)


@pytest.fixture(scope="module")
def installed():
    for peer in ("torch", "transformers"):
        pytest.importorskip(peer)
    return runpy.run_path(str(GOLDEN.with_name("make_nn.py")))["originals"]()


@pytest.mark.parametrize("case", OURS)
def test_the_originals_as_installed(case, installed):
    equal_to(installed, case, np.float64)

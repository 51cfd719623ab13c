"""Convolutions and patches: by hand, what an output depends on, gradients, float32."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.convolution import conv1d, patches
from scratch_embed.nn.gradcheck import check_backward, check_parameters
from scratch_embed.nn.layers import linear
from scratch_embed.nn.params import Params
from tests.rounding import dtypes, seeds, u32


def draw(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def conv_params(I, O, K, seed=0, dtype=np.float64, bias=True):
    """Random weights (O, I, K) and bias (O,): I input channels, O outputs, K frames per window."""
    p = Params({"c.weight": (O, I, K)} | ({"c.bias": (O,)} if bias else {}), dtype)
    p.flat[:] = draw(seed, p.flat.size)
    return p


@dtypes
@pytest.mark.parametrize("stride, y", [(1, [13, 124, 235, 341]), (2, [13, 235])])
def test_a_convolution_worked_by_hand(dtype, stride, y):
    """W = (100, 10, 1): each output is a number whose digits are three neighbours, plus b = 1."""
    p = Params({"c.weight": (1, 1, 3), "c.bias": (1,)}, dtype)
    p["c.weight"][...], p["c.bias"][...] = [[[100, 10, 1]]], 1
    x = np.array([[[1], [2], [3], [4]]], dtype)
    got, backward = conv1d(x, p, "c", stride, padding=1)
    assert got[0, :, 0].tolist() == y
    g = p.like()
    g.flat[:] = 1000                                           # backward adds to g
    dy = np.zeros((1, len(y), 1), dtype)
    dy[0, 1] = 1                                               # its window: frames 1 2 3, or 2 3 4
    dx = backward(dy, g)
    window = slice(0, 3) if stride == 1 else slice(1, 4)
    assert dx[0, window, 0].tolist() == [100, 10, 1] and dx.sum() == 111
    assert g["c.weight"][0, 0].tolist() == (x[0, window, 0] + 1000).tolist()
    assert g["c.bias"].tolist() == [1001]


@dtypes
def test_patches_worked_by_hand(dtype):
    """A 4 x 4 image of 2 channels: 0..15 and the same plus 100, as four patches of 2 x 2."""
    image = np.stack([np.arange(16).reshape(4, 4), 100 + np.arange(16).reshape(4, 4)]).astype(dtype)
    y, backward = patches(image[None], 2)
    assert y[0].tolist() == [[0, 1, 4, 5, 100, 101, 104, 105], [2, 3, 6, 7, 102, 103, 106, 107],
                             [8, 9, 12, 13, 108, 109, 112, 113],
                             [10, 11, 14, 15, 110, 111, 114, 115]]
    np.testing.assert_array_equal(backward(y)[0], image)       # no overlap: the inverse
    y, backward = patches(image[None, :1], 3, stride=1)
    assert y[0, :, 0].tolist() == [0, 1, 4, 5]
    assert backward(np.ones_like(y))[0, 0].tolist() == [          # patches that contain a pixel
        [1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]]


@dtypes
def test_incomplete_patches_are_ignored_and_too_small_inputs_are_errors(dtype):
    y, backward = patches(draw(0, 2, 3, 7, 5, dtype=dtype), 2)
    assert y.shape == (2, 6, 12) and not backward(y)[:, :, 6:].any()
    assert not backward(y)[:, :, :, 4:].any()
    with pytest.raises(ValueError, match="at least 6 x 6 pixels, got 7 x 5"):
        patches(draw(0, 2, 3, 7, 5), 6)
    for x in (draw(0, 1, 4, 3), draw(0, 1, 0, 2)):
        with pytest.raises(ValueError, match=r"expected x \(N, T, 2\) with T \+ 2·1 at least 3"):
            conv1d(x, conv_params(2, 4, 3), "c", padding=1)


# ---- gradients -----------------------------------------------------------------------------------

@pytest.mark.parametrize("K, stride, padding, T", [
    (3, 1, 1, 6), (3, 2, 1, 6), (3, 2, 1, 7), (1, 1, 0, 5), (4, 3, 2, 9), (2, 5, 0, 4)])
@pytest.mark.parametrize("bias", [True, False])
def test_conv1ds_backward_is_the_derivative(K, stride, padding, T, bias):
    check_parameters(lambda x, p: conv1d(x, p, "c", stride, padding), draw(1, 2, T, 3),
                     conv_params(3, 4, K, bias=bias))


@pytest.mark.parametrize("size, stride", [(2, None), (3, 1), (3, 2), (2, 3)])
def test_the_backward_of_patches_is_the_derivative(size, stride):
    check_backward(lambda x: patches(x, size, stride), draw(0, 2, 3, 7, 6))


def test_freezing_the_weights_does_not_change_the_gradient_of_the_input():
    p, x, dy = conv_params(3, 4, 3), draw(1, 2, 6, 3), draw(2, 2, 6, 4)
    _, backward = conv1d(x, p, "c", padding=1)
    g, no_grads = p.like(), Params({}, np.float64)
    np.testing.assert_array_equal(backward(dy, g), backward(dy, no_grads))
    assert g.flat.any()


# ---- what an output may depend on ----------------------------------------------------------------

@given(seeds, st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(5, 12))
def test_an_output_depends_on_the_frames_of_its_window_only(seed, K, stride, padding, T):
    p, x = conv_params(2, 3, K, seed), draw(seed, 1, T, 2)
    changed = seed % T
    other = x.copy()
    other[0, changed] += 1
    y, z = (conv1d(a, p, "c", stride, padding)[0] for a in (x, other))
    first = np.arange(y.shape[1]) * stride - padding
    np.testing.assert_array_equal((y != z)[0].any(1), (first <= changed) & (changed < first + K))


@given(seeds, st.integers(1, 3))
def test_a_convolution_with_k_of_1_is_a_linear_layer(seed, N):
    p, x = conv_params(4, 3, 1, seed), draw(seed, N, 5, 4)
    q = Params({"l.weight": (3, 4), "l.bias": (3,)}, np.float64)
    q["l.weight"][...], q["l.bias"][...] = p["c.weight"][..., 0], p["c.bias"]
    np.testing.assert_allclose(conv1d(x, p, "c")[0], linear(x, q, "l")[0], rtol=1e-13, atol=1e-13)


@given(seeds)
def test_a_shift_of_the_frames_shifts_the_output(seed):
    """A shift by the stride, 2, shifts the output by 1, except at the ends."""
    p, x = conv_params(2, 3, 3, seed), draw(seed, 1, 12, 2)
    y = conv1d(x, p, "c", 2, 1)[0]
    z = conv1d(np.roll(x, 2, 1), p, "c", 2, 1)[0]
    np.testing.assert_allclose(z[:, 2:], y[:, 1:-1], rtol=1e-13, atol=1e-13)


# ---- float32 -------------------------------------------------------------------------------------

@given(seeds, st.sampled_from([1, 2]), st.sampled_from([1, 8, 33]), st.integers(3, 30))
def test_a_convolution_in_float32_is_within_its_rounding_bound(seed, stride, I, T):
    """A sum of n terms has an error of γ(n) Σ |terms|: here a convolution of |x| with |W|."""
    p, x = conv_params(I, 4, 3, seed, np.float32), draw(seed, 2, T, I, dtype=np.float32)

    def run(p, x, dtype, transform=lambda a: a):
        q = p.copy(dtype)
        q.flat[:] = transform(q.flat)
        y, backward = conv1d(transform(x.astype(dtype)), q, "c", stride, 1)
        g = q.like()
        dy = transform(draw(seed + 1, *y.shape).astype(np.float32).astype(dtype))
        return y, backward(dy, g), g.flat
    y32, y64 = run(p, x, np.float32), run(p, x, np.float64)
    magnitudes = run(p, x, np.float64, abs)
    for got, want, terms, n in zip(y32, y64, magnitudes,
                                   (3 * I + 2, 3 * 4 + 4, 2 * T + 2)):
        assert got.dtype == np.float32 and (abs(got - want) <= 1.01 * n * u32 * terms).all()


@dtypes
def test_inputs_are_not_changed_and_their_memory_layout_does_not_matter(dtype):
    p, x, image = conv_params(3, 4, 3, 0, dtype), draw(1, 2, 6, 3, dtype=dtype), draw(2, 2, 3, 4, 6,
                                                                                    dtype=dtype)
    before = x.copy(), image.copy()
    np.testing.assert_array_equal(conv1d(np.asfortranarray(x), p, "c", 2, 1)[0],
                                  conv1d(x, p, "c", 2, 1)[0])
    np.testing.assert_array_equal(patches(np.asfortranarray(image), 2)[0], patches(image, 2)[0])
    for now, then in zip((x, image), before):
        np.testing.assert_array_equal(now, then)


def test_linear_takes_the_weight_of_a_convolution_over_patches():
    """W (O, C, P, P) over patches gives the same as its rows (O, C·P·P); so does its gradient."""
    images, p = draw(1, 2, 3, 4, 4), Params({"c.weight": (5, 3, 2, 2)}, np.float64)
    p.flat[:] = draw(2, p.flat.size)
    flat = Params({"c.weight": (5, 12)}, np.float64)
    flat.flat[:] = p.flat
    rows, _ = patches(images, 2)
    (y, back), (z, back_flat) = linear(rows, p, "c"), linear(rows, flat, "c")
    np.testing.assert_array_equal(y, z)
    g, g_flat = p.like(), flat.like()
    np.testing.assert_array_equal(back(y, g), back_flat(y, g_flat))
    np.testing.assert_array_equal(g.flat, g_flat.flat)

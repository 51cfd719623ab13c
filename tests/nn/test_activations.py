"""Activation functions: values, gradients, and float32 within its stated bounds."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.activations import gelu, gelu_tanh, quick_gelu, silu, swiglu, tanh
from scratch_embed.nn.gradcheck import check_backward

all_gelus_and_silu = pytest.mark.parametrize("f", [gelu, gelu_tanh, quick_gelu, silu])
float32s = st.floats(width=32, allow_nan=False, allow_infinity=False)
BOUND = 2.0**-20


def value_and_slope(f, x, dtype):
    """f(x) and its derivative f'(x)."""
    y, backward = f(np.asarray(x, dtype))
    return y, backward(np.ones_like(y))


# ---- values -------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype, atol", [(np.float64, 1e-15), (np.float32, BOUND)])
def test_gelu_worked_by_hand(dtype, atol):
    """Φ(0) = ½ and φ(0) = 1/√2π; Φ(1) = 0.8413447460685429, φ(1) = e^−½/√2π."""
    y, slope = value_and_slope(gelu, [0, 1, -1], dtype)
    Phi, phi = 0.8413447460685429, math.exp(-0.5) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(y, [0, Phi, Phi - 1], rtol=0, atol=atol)
    np.testing.assert_allclose(slope, [0.5, Phi + phi, 1 - Phi - phi], rtol=0, atol=atol)


@pytest.mark.parametrize("dtype, atol", [(np.float64, 1e-15), (np.float32, BOUND)])
def test_gelu_tanh_worked_by_hand(dtype, atol):
    y, slope = value_and_slope(gelu_tanh, [0, 1], dtype)
    t = math.tanh(math.sqrt(2 / math.pi) * 1.044715)
    np.testing.assert_allclose(y, [0, (1 + t) / 2], rtol=0, atol=atol)
    dt = (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715)
    np.testing.assert_allclose(slope, [0.5, (1 + t + dt) / 2], rtol=0, atol=atol)


def test_the_two_forms_of_gelu_differ_by_less_than_5e_4():
    x = np.linspace(-8, 8, 20_001)
    assert 4e-4 < abs(gelu(x)[0] - gelu_tanh(x)[0]).max() < 5e-4


@pytest.mark.parametrize("dtype, atol", [(np.float64, 1e-15), (np.float32, BOUND)])
@pytest.mark.parametrize("f, c", [(silu, 1), (quick_gelu, 1.702)])
def test_silu_and_quick_gelu_worked_by_hand(f, c, dtype, atol):
    """σ(log 3) = ¾, so at x = log 3/c: y = ¾ x and dy/dx = ¾ + log 3 · ¾ · ¼."""
    y, slope = value_and_slope(f, [0, math.log(3) / c], dtype)
    np.testing.assert_allclose(y, [0, 0.75 * math.log(3) / c], rtol=0, atol=atol)
    np.testing.assert_allclose(slope, [0.5, 0.75 + math.log(3) * 3 / 16], rtol=0, atol=2 * atol)


@pytest.mark.parametrize("dtype, atol", [(np.float64, 1e-15), (np.float32, 4 * BOUND)])
def test_swiglu_worked_by_hand(dtype, atol):
    """gate = log 3 and up = 2: y = 2 · ¾ log 3, dgate = 2 (¾ + log 3 · ¾ · ¼), dup = ¾ log 3."""
    log3 = math.log(3)
    y, backward = swiglu(np.array([log3, 0], dtype), np.array([2, 5], dtype))
    np.testing.assert_allclose(y, [1.5 * log3, 0], rtol=0, atol=atol)
    dgate, dup = backward(np.ones(2, dtype))
    np.testing.assert_allclose(dgate, [1.5 + log3 * 3 / 8, 2.5], rtol=0, atol=atol)
    np.testing.assert_allclose(dup, [0.75 * log3, 0], rtol=0, atol=atol)


def test_quick_gelu_differs_from_gelu_by_less_than_0_0204():
    x = np.linspace(-8, 8, 20_001)
    assert 0.0203 < abs(gelu(x)[0] - quick_gelu(x)[0]).max() < 0.0204


def test_tanh_worked_by_hand():
    y, slope = value_and_slope(tanh, [0, math.log(3)], np.float64)
    np.testing.assert_allclose(y, [0, 0.8], rtol=1e-15)             # (3 − ⅓)/(3 + ⅓)
    np.testing.assert_allclose(slope, [1, 0.36], rtol=1e-15)


@all_gelus_and_silu
@given(st.floats(-30, 30))
def test_f_of_x_minus_f_of_minus_x_is_x(f, x):
    """f(x) = x g(x) and g(x) + g(−x) = 1, so f(x) − f(−x) = x."""
    y, _ = f(np.array([x, -x]))
    assert y[0] - y[1] == pytest.approx(x, abs=1e-14)


# ---- gradients ----------------------------------------------------------------------------------

@pytest.mark.parametrize("f", [gelu, gelu_tanh, quick_gelu, silu, tanh])
def test_backward_is_the_derivative(f):
    check_backward(f, 2 * np.random.default_rng(0).standard_normal((30, 7)))


def test_swiglus_backward_is_the_derivative_in_both_inputs():
    check_backward(swiglu, *np.random.default_rng(0).standard_normal((2, 30, 7)))


# ---- float32 ------------------------------------------------------------------------------------

@all_gelus_and_silu
@given(st.lists(float32s, min_size=1, max_size=9), float32s)
def test_the_kernel_is_within_its_bound_for_any_x(f, x, dy):
    """Errors of at most 2⁻²⁰ (1 + |x|) in y and 2⁻¹⁹ |dy| in dx; dy f'(x) is rounded once more."""
    x, dy = np.array(x, np.float32), np.float32(math.copysign(min(abs(dy), 1e15), dy))
    (y, slope), (y64, slope64) = (value_and_slope(f, x, dtype)
                                  for dtype in (np.float32, np.float64))
    allowed = BOUND * (1 + abs(x.astype(float)))
    assert y.dtype == np.float32 and (abs(y - y64) <= allowed).all()
    assert (abs(slope - slope64) <= 2 * BOUND).all()
    _, backward = f(x)
    np.testing.assert_allclose(backward(np.full_like(x, dy)), dy * slope.astype(float), rtol=2**-22,
                               atol=2.0**-120)


@all_gelus_and_silu
def test_the_kernel_is_within_its_bound_on_a_grid(f):
    """At 20,001 equally spaced numbers from −12 to 12."""
    x = np.linspace(-12, 12, 20_001).astype(np.float32)
    (y, slope), (y64, slope64) = (value_and_slope(f, x, dtype)
                                  for dtype in (np.float32, np.float64))
    assert (abs(y - y64) <= BOUND * (1 + abs(x))).all()
    assert (abs(slope - slope64) <= 2 * BOUND).all()


@given(st.lists(st.tuples(float32s, st.floats(-9, 9, width=32), st.floats(-9, 9, width=32)),
                min_size=1, max_size=9))
def test_swiglus_kernel_is_within_its_bound(numbers):
    """The bounds of swiglu's docstring, plus one rounding error for each further product.

    |gate| is at most 2¹²⁰, so that no product of gate, up and dy overflows float32.
    """
    gate, up, dy = np.array(numbers, np.float32).T
    gate = np.clip(gate, -2.0**120, 2.0**120)
    (y, back), (y64, back64) = (swiglu(gate.astype(t), up.astype(t)) for t in (
        np.float32, np.float64))
    (dgate, dup), (dgate64, dup64) = back(dy), back64(dy.astype(float))
    gate, up, dy = (abs(x.astype(float)) for x in (gate, up, dy))
    assert y.dtype == dgate.dtype == dup.dtype == np.float32
    assert (abs(y - y64) <= 1.2 * BOUND * (1 + gate) * up + 2.0**-120).all()
    assert (abs(dgate - dgate64) <= 2.2 * BOUND * dy * up + 2.0**-120).all()
    assert (abs(dup - dup64) <= 1.2 * BOUND * (1 + gate) * dy + 2.0**-120).all()


@all_gelus_and_silu
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_for_large_inputs_f_of_x_is_x_or_0(f, dtype):
    y, slope = value_and_slope(f, [1e4, -1e4, 1e12, -1e12, 1e20, -1e20], dtype)
    np.testing.assert_allclose(y, np.array([1e4, 0, 1e12, 0, 1e20, 0], dtype), rtol=0, atol=1e-17)
    np.testing.assert_allclose(slope, [1, 0, 1, 0, 1, 0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("f", [gelu, gelu_tanh, quick_gelu, silu, tanh])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_stays_nan_and_the_shape_is_kept(f, dtype):
    y, slope = value_and_slope(f, [np.nan, 1], dtype)
    assert np.isnan(y[0]) and np.isnan(slope[0]) and np.isfinite(y[1])
    x = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    for view in (x, x.T, x[:, ::2], x[:0]):
        y, slope = value_and_slope(f, view, dtype)
        assert y.shape == slope.shape == view.shape and y.dtype == slope.dtype == dtype
        np.testing.assert_array_equal(y, f(view.copy())[0])
        np.testing.assert_array_equal(slope, value_and_slope(f, view.copy(), dtype)[1])


@pytest.mark.parametrize("approximate, f", [("none", gelu), ("tanh", gelu_tanh)])
def test_gelu_equals_torch(approximate, f):
    torch = pytest.importorskip("torch")
    x = torch.linspace(-9, 9, 501, dtype=torch.float64, requires_grad=True)
    theirs = torch.nn.functional.gelu(x, approximate=approximate)
    theirs.sum().backward()
    y, slope = value_and_slope(f, x.detach().numpy(), np.float64)
    np.testing.assert_allclose(y, theirs.detach().numpy(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(slope, x.grad.numpy(), rtol=0, atol=1e-14)


def test_swiglu_does_not_change_its_inputs_and_their_memory_layout_does_not_matter():
    for dtype in (np.float32, np.float64):
        gate, up, dy = inputs = np.random.default_rng(0).standard_normal((3, 4, 6)).astype(dtype)
        y, backward = swiglu(gate, up)
        z, back = swiglu(np.asfortranarray(gate), np.repeat(up, 2, 1)[:, ::2])
        for one, other in zip((y, *backward(dy)), (z, *back(np.asfortranarray(dy)))):
            np.testing.assert_array_equal(one, other)
            assert one.shape == (4, 6)
        np.testing.assert_array_equal(inputs, np.random.default_rng(0).standard_normal(
            (3, 4, 6)).astype(dtype))

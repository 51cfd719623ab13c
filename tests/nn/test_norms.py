"""RMSNorm, norms of each head, residual connections; missing biases and frozen tensors."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, apply_dropout
from scratch_embed.nn.gradcheck import check_backward, check_parameters
from scratch_embed.nn.layers import embedding, linear, prepend_row
from scratch_embed.nn.norms import add_norm, layer_norm, residual, rms_norm
from scratch_embed.nn.params import Params
from tests.rounding import dtypes, seeds, u32, u64

dims = st.sampled_from([1, 2, 3, 8, 17, 64, 129])


def draw(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def params(shapes, seed=0, dtype=np.float64):
    """Params with normally distributed numbers.  shapes: {name: shape}"""
    p = Params(shapes, dtype)
    p.flat[:] = draw(seed, p.flat.size)
    return p


# ---- RMSNorm -------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-15), (np.float32, 3e-7)])
def test_rms_norm_worked_by_hand(dtype, rtol):
    """x = (1, 1, 3, 5): mean x² = 9; with eps = 7, √(9 + 7) = 4 and x̂ = (1, 1, 3, 5)/4.

    dy = e₁ and w = 4: d = (4, 0, 0, 0), mean(d x̂) = ¼, dx = ¼ (d − ¼ x̂).
    """
    p = Params({"n.weight": (4,)}, dtype)
    p["n.weight"][...] = 4
    y, backward = rms_norm(np.array([[1, 1, 3, 5]], dtype), p, "n", eps=7)
    np.testing.assert_allclose(y, [[1, 1, 3, 5]], rtol=rtol)
    g = p.like()
    g.flat[:] = 100                                            # backward adds to g
    dx = backward(np.array([[1, 0, 0, 0]], dtype), g)
    np.testing.assert_allclose(dx, np.array([[63, -1, -3, -5]]) / 64, rtol=rtol)
    np.testing.assert_allclose(g.flat, [100.25, 100, 100, 100], rtol=rtol)


@pytest.mark.parametrize("eps", [1e-12, 1e-5, 0.5])
def test_rms_norms_backward_is_the_derivative(eps):
    check_parameters(lambda x, p: rms_norm(x, p, "n", eps), draw(1, 3, 5),
                     params({"n.weight": (5,)}))


def test_rms_norm_equals_layer_norm_only_for_rows_of_mean_zero():
    """A shift of x changes RMSNorm."""
    p = params({"n.weight": (6,)})
    x = draw(1, 4, 6)
    x -= x.mean(-1, keepdims=True)
    np.testing.assert_allclose(rms_norm(x, p, "n", 1e-5)[0], layer_norm(x, p, "n", 1e-5)[0],
                               rtol=1e-13)
    assert abs(rms_norm(x + 1, p, "n", 1e-5)[0] - rms_norm(x, p, "n", 1e-5)[0]).max() > 0.1


@given(seeds, st.floats(-3, 3), dims)
def test_rms_norm_ignores_scale_so_its_gradient_has_no_part_along_x(seed, exponent, D):
    """At eps = 0."""
    x, dy, p = draw(seed, 3, D), draw(seed + 1, 3, D), params({"n.weight": (D,)}, seed)
    y, backward = rms_norm(x, p, "n", 0.0)
    np.testing.assert_allclose(rms_norm(x * 10.0**exponent, p, "n", 0.0)[0], y,
                               rtol=4 * (D + 8) * u64)
    dx = backward(dy, p.like())
    terms = np.linalg.norm(x, axis=-1) * np.linalg.norm(dx, axis=-1) + abs(y * dy).sum(-1)
    assert (abs((dx * x).sum(-1)) <= 4 * (D + 8) * u64 * terms).all()


@given(seeds, dims, dims, st.floats(-12, 12))
def test_rms_norms_kernel_is_within_its_rounding_bound(seed, T, D, exponent):
    """The root has a relative error of γ(D + 4)/2 if no square overflows: all terms are ≥ 0."""
    x = (draw(seed, T, D) * 10.0**exponent).astype(np.float32)
    dy, p = draw(seed + 1, T, D, dtype=np.float32), params({"n.weight": (D,)}, seed, np.float32)
    results = []
    for dtype in (np.float32, np.float64):
        q, g = p.copy(dtype), p.copy(dtype).like()
        y, backward = rms_norm(x.astype(dtype), q, "n", 1e-30)
        results.append((y, backward(dy.astype(dtype), g), g.flat))
    (y, dx, dw), (y64, dx64, dw64) = results
    assert y.dtype == dx.dtype == np.float32
    xhat_bound = (D + 8) * u32                                 # bound on the relative error of x̂
    assert (abs(y - y64) <= xhat_bound * abs(y64) + 2.0**-140).all()
    rstd = 1 / np.sqrt((x.astype(float)**2).mean(-1, keepdims=True) + 1e-30)
    xhat, d = abs(x) * rstd, abs(p["n.weight"] * dy)
    bound = (3 * D + 24) * u32 * rstd * (d + xhat * (d * xhat).mean(-1, keepdims=True))
    assert (abs(dx - dx64) <= bound + 2.0**-140).all()
    assert (abs(dw - dw64) <= (xhat_bound + (T + 2) * u32) * (abs(dy) * xhat).sum(0)).all()


@dtypes
def test_rms_norm_of_zeros_is_zero_and_its_gradient_is_finite(dtype):
    p = params({"n.weight": (5,)}, 0, dtype)
    y, backward = rms_norm(np.zeros((2, 5), dtype), p, "n")
    assert not y.any() and np.isfinite(backward(np.ones((2, 5), dtype), p.like())).all()
    assert rms_norm(np.zeros((0, 5), dtype), p, "n")[0].shape == (0, 5)


# ---- one vector for each head --------------------------------------------------------------------

@dtypes
@pytest.mark.parametrize("norm", [layer_norm, rms_norm])
def test_the_norm_of_each_head_is_the_norm_of_its_columns(norm, dtype):
    """The norm of q reshaped to (T, H, d), as models with normalised queries and keys use it."""
    T, H, d = 4, 3, 8
    p = params({"n.weight": (d,), "n.bias": (d,)}, 0, dtype)
    q, dy = draw(1, T, H * d, dtype=dtype), draw(2, T, H, d, dtype=dtype)
    y, backward = norm(q.reshape(T, H, d), p, "n", 1e-6)
    g, total = p.like(), p.like()
    dx = backward(dy, g)
    assert y.shape == dx.shape == (T, H, d)
    for h in range(H):
        y_h, back_h = norm(q[:, h * d:(h + 1) * d].copy(), p, "n", 1e-6)
        np.testing.assert_array_equal(y[:, h], y_h)
        np.testing.assert_array_equal(dx[:, h], back_h(dy[:, h].copy(), total))
    np.testing.assert_allclose(g.flat, total.flat, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("f", [
    lambda x, p: layer_norm(x, p, "n", 1e-5), lambda x, p: rms_norm(x, p, "n", 1e-5),
    lambda x, p: linear(x, p, "l")])
def test_backward_is_the_derivative_for_inputs_of_three_axes(f):
    shapes = {"n.weight": (5,), "n.bias": (5,), "l.weight": (3, 5), "l.bias": (3,)}
    check_parameters(f, draw(1, 2, 4, 5), params(shapes))


# ---- residual connections ------------------------------------------------------------------------

@dtypes
def test_residual_worked_by_hand(dtype):
    x, r, dy = (np.array([[a, b]], dtype) for a, b in ((1, 2), (10, 20), (3, 4)))
    y, backward = residual(x, r)
    assert y.tolist() == [[11, 22]] and [d.tolist() for d in backward(dy)] == [[[3, 4]], [[3, 4]]]
    y, backward = residual(x, r, Dropout(0.5, 1))
    kept = apply_dropout(np.ones_like(r), Dropout(0.5, 1))[0]               # 0 or 2
    np.testing.assert_array_equal(y, x + kept * r)
    np.testing.assert_array_equal(backward(dy)[1], kept * dy)
    np.testing.assert_array_equal(backward(dy)[0], dy)


@pytest.mark.parametrize("dropout", [NO_DROPOUT, Dropout(0.3, 5)])
def test_residuals_backward_is_the_derivative_in_both_inputs(dropout):
    check_backward(lambda x, r: residual(x, r, dropout), *draw(0, 2, 4, 5))


@pytest.mark.parametrize("norm", [layer_norm, rms_norm])
def test_the_backward_of_a_pre_norm_sublayer_is_the_derivative(norm):
    """y = x + dropout(W norm(x) + b), so dx = dy + the gradient through the sublayer."""
    def sublayer(x, p):
        h, back_norm = norm(x, p, "n", 1e-5)
        r, back_linear = linear(h, p, "l")
        y, back_sum = residual(x, r, Dropout(0.2, 3))

        def backward(dy, g):
            dx, dr = back_sum(dy)
            return dx + back_norm(back_linear(dr, g), g)
        return y, backward
    p = params({"n.weight": (5,), "n.bias": (5,), "l.weight": (5, 5), "l.bias": (5,)})
    check_parameters(sublayer, draw(1, 3, 5), p)


@dtypes
@pytest.mark.parametrize("dropout", [NO_DROPOUT, Dropout(0.3, 5)])
def test_add_norm_is_the_norm_of_the_residual_sum(dtype, dropout):
    p = params({"n.weight": (8,), "n.bias": (8,)}, 0, dtype)
    x, r, dy = draw(1, 3, 4, 8, dtype=dtype)
    y, backward = add_norm(x, r, p, "n", 1e-5, dropout)
    total, back_sum = residual(x, r, dropout)
    z, back_norm = layer_norm(total, p, "n", 1e-5)
    for got, want in zip((y, *backward(dy, p.like())), (z, *back_sum(back_norm(dy, p.like())))):
        np.testing.assert_allclose(got, want, rtol=0, atol=64 * np.finfo(dtype).eps)


# ---- missing biases, frozen tensors --------------------------------------------------------------

def layer_backwards(x, p):
    """{name: backward(dy, g)} of every layer with parameters."""
    return {"l": linear(x, p, "l")[1], "n": layer_norm(x, p, "n")[1], "r": rms_norm(x, p, "r")[1],
            "e": embedding(np.array([2, 0, 2, 1]), p, "e")[1], "a": add_norm(x, x, p, "a")[1],
            "s": prepend_row(x, np.array([0, 1, 4]), p, "s.weight")[2]}


SHAPES = {"l.weight": (5, 5), "l.bias": (5,), "n.weight": (5,), "n.bias": (5,), "r.weight": (5,),
          "e.weight": (3, 5), "a.weight": (5,), "a.bias": (5,), "s.weight": (5,)}


@dtypes
def test_a_missing_bias_acts_as_a_bias_of_zeros(dtype):
    x, dy = draw(0, 2, 4, 5, dtype=dtype)
    no_bias = params({name: shape for name, shape in SHAPES.items() if "bias" not in name}, 1,
                     dtype)
    zeros = Params(SHAPES, dtype)
    for name in no_bias:
        zeros[name][...] = no_bias[name]
    for f in (linear, layer_norm, lambda x, p, _: add_norm(x, x, p, "a")):
        name = {linear: "l", layer_norm: "n"}.get(f, "a")
        g, g0 = no_bias.like(), zeros.like()
        (y, back), (y0, back0) = f(x, no_bias, name), f(x, zeros, name)
        np.testing.assert_array_equal(y, y0)
        np.testing.assert_array_equal(back(dy, g), back0(dy, g0))
        np.testing.assert_array_equal(g[name + ".weight"], g0[name + ".weight"])
        assert g[name + ".weight"].any()


def test_linear_without_bias_worked_by_hand():
    p = Params({"l.weight": (2, 3)}, np.float64)
    p["l.weight"][...] = [[1, 2, 3], [4, 5, 6]]
    y, backward = linear(np.array([[1.0, 0, -1]]), p, "l")
    assert y.tolist() == [[-2, -2]]
    g = p.like()
    assert backward(np.array([[1.0, 0]]), g).tolist() == [[1, 2, 3]]
    assert g["l.weight"].tolist() == [[1, 0, -1], [0, 0, 0]]


@dtypes
@pytest.mark.parametrize("frozen", SHAPES)
def test_a_frozen_tensor_gets_no_gradient_and_all_other_gradients_stay_the_same(frozen, dtype):
    x, dy, p = draw(0, 4, 5, dtype=dtype), draw(1, 6, 5, dtype=dtype), params(SHAPES, 2, dtype)
    grads = Params({name: shape for name, shape in SHAPES.items() if name != frozen}, dtype)
    all_grads = p.like()
    for name, backward in layer_backwards(x, p).items():
        d = dy if name == "s" else dy[:4]            # prepend_row adds 2 rows
        one, other = backward(d, grads), backward(d, all_grads)
        if name == "a":
            np.testing.assert_array_equal(one[1], other[1])
            one, other = one[0], other[0]
        assert (one is None) == (other is None) == (name == "e")         # ids have no gradient
        if one is not None:
            np.testing.assert_array_equal(one, other)
    for name in grads:
        np.testing.assert_array_equal(grads[name], all_grads[name])
        assert grads[name].any()

"""Linear, embedding, layer norm: worked by hand, gradients, and the rounding errors of float32.

γ(n) = n u / (1 − n u) bounds the relative error of n roundings.  Let M = max |x| of a row and
u = 2⁻²⁴.  The mean has an error of γ(D + 1) M, so x − mean an error of δ = (D + 3) u M.  The
standard deviation has an error of δ plus γ(D + 6) of itself.  So to first order x̂ has an error of
    δ/std (1 + |x̂|) + (D + 8) u |x̂|;
the tests allow twice this bound.
"""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.dropout import Dropout, apply_dropout
from scratch_embed.nn.gradcheck import check_parameters
from scratch_embed.nn.layers import embedding, linear
from scratch_embed.nn.norms import add_norm, layer_norm
from scratch_embed.nn.params import Params
from tests.rounding import gamma, seeds, u32, u64, unit_roundoff

dims = st.sampled_from([1, 2, 3, 8, 17, 64, 129])
exponents = st.floats(-12, 12)                       # float32 can hold squares and their sums
dropouts = st.sampled_from([Dropout(), Dropout(0.1, 3), Dropout(0.5, 4)])


def linear_params(I, O, seed=0, dtype=np.float64):
    """Random weights (O, I) and bias (O,)."""
    p = Params({"l.weight": (O, I), "l.bias": (O,)}, dtype)
    p.flat[:] = np.random.default_rng(seed).standard_normal(p.flat.size)
    return p


def norm_params(D, seed=0, dtype=np.float64):
    p = Params({"n.weight": (D,), "n.bias": (D,)}, dtype)
    p.flat[:] = np.random.default_rng(seed).standard_normal(p.flat.size)
    return p


def plain_norm(D, dtype=np.float64):
    """Params of a norm with w = 1 and b = 0, so that y = x̂."""
    p = Params({"n.weight": (D,), "n.bias": (D,)}, dtype)
    p["n.weight"][...] = 1
    return p


def draw(seed, *shape, exponent=0.0, dtype=np.float64):
    return (np.random.default_rng(seed).standard_normal(shape) * 10.0**exponent).astype(dtype)


def in_both_types(f, p):
    """Run f(p, dtype) -> y, backward(g) -> dx on the same numbers in float32 and in float64.

    -> [(y, dx, g) in float32, (y, dx, g) in float64]
    """
    results = []
    for dtype in (np.float32, np.float64):
        q = p.copy(dtype)
        g = q.like()
        y, backward = f(q, dtype)
        results.append((y, backward(g), g))
    return results


# ---- worked by hand -----------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_worked_by_hand(dtype):
    p = Params({"l.weight": (2, 3), "l.bias": (2,)}, dtype)
    p["l.weight"][...], p["l.bias"][...] = [[1, 2, 3], [4, 5, 6]], [10, 20]
    y, backward = linear(np.array([[1, 0, -1], [2, 1, 0]], dtype), p, "l")
    assert y.tolist() == [[8, 18], [14, 33]] and y.dtype == dtype
    g = p.like()
    g.flat[:] = 100                                            # backward adds to g
    dx = backward(np.array([[1, 0], [2, -1]], dtype), g)
    assert dx.tolist() == [[1, 2, 3], [-2, -1, 0]]
    assert g["l.weight"].tolist() == [[105, 102, 99], [98, 99, 100]]
    assert g["l.bias"].tolist() == [103, 99]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_embedding_worked_by_hand(dtype):
    p = Params({"e.weight": (3, 2)}, dtype)
    p["e.weight"][...] = [[1, 2], [3, 4], [5, 6]]
    y, backward = embedding(np.array([2, 0, 2]), p, "e")
    assert y.tolist() == [[5, 6], [1, 2], [5, 6]]
    g = p.like()
    g.flat[:] = 100
    backward(np.array([[1, 2], [3, 4], [5, 6]], dtype), g)
    assert g["e.weight"].tolist() == [[103, 104], [100, 100], [106, 108]]     # id 2 occurs twice


@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-15), (np.float32, 3e-7)])
def test_layer_norm_worked_by_hand(dtype, rtol):
    """x = (1, 3, 5, 7): mean 4, variance 5; with eps = 4, √(5 + 4) = 3 and x̂ = (−1, −⅓, ⅓, 1)."""
    p = Params({"n.weight": (4,), "n.bias": (4,)}, dtype)
    p["n.weight"][...], p["n.bias"][...] = 3, [0, 1, 2, 3]
    y, backward = layer_norm(np.array([[1, 3, 5, 7]], dtype), p, "n", eps=4)
    np.testing.assert_allclose(y, [[-3, 0, 3, 6]], rtol=rtol, atol=rtol)
    g = p.like()
    dx = backward(np.array([[1, 0, 0, 0]], dtype), g)
    np.testing.assert_allclose(dx, [[0.5, -1 / 3, -1 / 6, 0]], rtol=rtol, atol=rtol)
    np.testing.assert_allclose(g.flat, [-1, 0, 0, 0, 1, 0, 0, 0], rtol=rtol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_id_outside_the_table_is_an_error_but_an_empty_array_of_ids_is_not(dtype):
    p = Params({"e.weight": (3, 2)}, dtype)
    for ids, found in (([0, 3], r"0\.\.3"), ([-1, 2], r"-1\.\.2")):
        with pytest.raises(ValueError, match=rf"e: ids must be in 0\.\.2, got {found}"):
            embedding(np.array(ids), p, "e")
    y, backward = embedding(np.array([], int), p, "e")
    g = p.like()
    backward(y, g)
    assert y.shape == (0, 2) and y.dtype == dtype and not g.flat.any()


# ---- gradients ----------------------------------------------------------------------------------

def test_linears_backward_is_the_derivative():
    check_parameters(lambda x, p: linear(x, p, "l"), draw(1, 3, 5), linear_params(5, 4))


@pytest.mark.parametrize("eps", [1e-12, 1e-5, 0.5])
def test_layer_norms_backward_is_the_derivative(eps):
    check_parameters(lambda x, p: layer_norm(x, p, "n", eps), draw(1, 3, 5), norm_params(5))


def test_embeddings_backward_is_the_derivative():
    ids = np.array([3, 0, 3, 3, 1])

    def embedding_plus_x(x, p):                      # check_parameters needs an input x
        y, backward = embedding(ids, p, "e")

        def back(dy, g):
            backward(dy, g)
            return dy
        return y + x, back
    p = Params({"e.weight": (4, 3)}, np.float64)
    p.flat[:] = draw(0, 12)
    check_parameters(embedding_plus_x, draw(1, 5, 3), p)


@pytest.mark.parametrize("dropout", [Dropout(), Dropout(0.3, 5)])
def test_add_norms_backward_is_the_derivative(dropout):
    p = norm_params(5)

    def add_norm_of_stacked(x_and_r, p):
        y, backward = add_norm(x_and_r[:3], x_and_r[3:], p, "n", 1e-12, dropout)
        return y, lambda dy, g: np.concatenate(backward(dy, g))
    check_parameters(add_norm_of_stacked, draw(1, 6, 5), p)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_of_two_backward_passes_are_added(dtype):
    x, dy, ids = draw(0, 3, 5, dtype=dtype), draw(1, 3, 5, dtype=dtype), np.array([0, 1, 0])
    table = Params({"e.weight": (2, 5)}, dtype)
    for p, f in [(linear_params(5, 5, dtype=dtype), lambda p: linear(x, p, "l")),
                 (norm_params(5, dtype=dtype), lambda p: layer_norm(x, p, "n")),
                 (norm_params(5, dtype=dtype), lambda p: add_norm(x, x, p, "n")),
                 (table, lambda p: embedding(ids, p, "e"))]:
        once, twice = p.like(), p.like()
        f(p)[1](dy, once)
        backward = f(p)[1]
        for _ in range(2):                                     # backward may be called twice
            backward(dy, twice)
        np.testing.assert_allclose(twice.flat, 2 * once.flat, rtol=64 * np.finfo(dtype).eps)
        assert once.flat.any()


# ---- nearly constant rows -----------------------------------------------------------------------

@pytest.mark.parametrize("value", [10.1, 1e6, -3.3e-7, 1e30, 0])
@pytest.mark.parametrize("D", [1, 7, 768])
def test_a_constant_row_is_normalised_to_zero(value, D):
    """Its float32 mean has a rounding error, which must not be divided by √eps."""
    x = np.full((2, D), value, np.float32)
    y, _ = layer_norm(x, plain_norm(D, np.float32), "n", 1e-12)
    np.testing.assert_array_equal(y, 0)


@given(seeds, st.integers(2, 800), st.integers(-20, -3))
def test_a_nearly_constant_row_keeps_its_small_differences(seed, D, exponent):
    """x = 10.1 (1 + e), rounded to float32, with e of order 10^exponent."""
    e = np.random.default_rng(seed).standard_normal((1, D)) * 10.0**exponent
    x = np.float32(10.1 * (1 + e))
    y, _ = layer_norm(x, plain_norm(D, np.float32), "n", 1e-12)
    exact, _ = layer_norm(x.astype(np.float64), plain_norm(D), "n", 1e-12)
    np.testing.assert_allclose(y, exact, atol=1e-3)


# ---- what layer norm ignores --------------------------------------------------------------------

@given(seeds, st.floats(-3, 3), st.floats(-100, 100), st.sampled_from([2, 5, 33]))
def test_layer_norm_ignores_scale_and_shift(seed, exponent, shift, D):
    """At eps = 0, up to the rounding errors of both x̂ (module docstring, with u = 2⁻⁵³)."""
    x = draw(seed, 4, D)
    changed = x * 10.0**exponent + shift
    y, z = (layer_norm(a, plain_norm(D), "n", 0.0)[0] for a in (x, changed))
    max_over_std = max((abs(a).max(-1) / a.std(-1)).max() for a in (x, changed))
    bound = 4 * (D + 8) * u64 * (max_over_std + 1) * (1 + abs(y))
    assert (abs(y - z) <= bound).all()


@given(seeds, exponents, st.sampled_from([2, 5, 33]))
def test_layer_norms_rows_have_mean_zero_and_norm_root_d(seed, exponent, D):
    x = draw(seed, 4, D, exponent=exponent)
    xhat, _ = layer_norm(x, plain_norm(D), "n", 0.0)
    assert (abs(xhat.mean(-1)) <= 4 * (D + 8) * u64 * (1 + abs(x).max(-1) / x.std(-1))).all()
    np.testing.assert_allclose((xhat**2).mean(-1), 1, rtol=4 * D * u64)


@given(seeds, st.sampled_from([2, 5, 33]), st.sampled_from([np.float32, np.float64]))
def test_without_eps_layer_norms_gradient_has_no_part_along_ones_or_xhat(seed, D, dtype):
    """At eps = 0 neither a shift nor a scale of x changes y: Jᵀ1 = 0, Σ dx = Σ x̂ dx = 0."""
    x, dy = draw(seed, 4, D, dtype=dtype), draw(seed + 1, 4, D, dtype=dtype)
    p, u = plain_norm(D, dtype), unit_roundoff(dtype)
    xhat, backward = layer_norm(x, p, "n", 0.0)
    std, M = x.std(-1), abs(x).max(-1)
    bound = gamma(4 * D + 32, u) * (1 + M / std) * D / std
    assert (abs(backward(np.ones_like(x), p.like())).max(-1) <= bound).all()
    dx = backward(dy, p.like())
    assert (abs(dx.sum(-1)) <= bound * D * abs(dy).max(-1)).all()
    assert (abs((xhat * dx).sum(-1)) <= bound * D * abs(dy).max(-1)).all()


@given(seeds, st.floats(-6, 3), st.sampled_from([2, 5, 33]))
def test_with_eps_layer_norms_gradient_keeps_a_part_along_xhat(seed, exponent, D):
    """r = 1/√(var + eps): Σ dx = 0 for any eps, but Σ x̂ dx = r³ eps Σ dy x̂ is not.

    If eps > 0, multiplying x by a number above 1 makes x̂ longer, so y depends on the scale of x.
    """
    x, dy, eps, p = draw(seed, 4, D), draw(seed + 1, 4, D), 10.0**exponent, plain_norm(D)
    xhat, backward = layer_norm(x, p, "n", eps)
    dx, r = backward(dy, p.like()), (x.var(-1) + eps)**-0.5
    bound = gamma(4 * D + 32, u64) * (1 + abs(x).max(-1) * r) * D * r * abs(dy).max(-1) * D
    assert (abs(dx.sum(-1)) <= bound).all()
    assert (abs((xhat * dx).sum(-1) - r**3 * eps * (dy * xhat).sum(-1)) <= bound).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_rows_give_finite_results(dtype):
    """In float64 the computed mean of seven 0.1 is not exactly 0.1: x̂ is this error over √eps."""
    for value in (0, 0.1, 1e10, -3e18):
        x = np.full((2, 7), value, dtype)
        y, backward = layer_norm(x, plain_norm(7, dtype), "n")
        assert np.isfinite(backward(x, plain_norm(7, dtype))).all()
        assert (abs(y) <= 7**0.5 * (1 + 2.0**-20)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inputs_are_not_changed(dtype):
    x, r, dy = (draw(seed, 3, 5, dtype=dtype) for seed in range(3))
    before = [a.copy() for a in (x, r, dy)]
    for back in (layer_norm(x, norm_params(5, dtype=dtype), "n")[1],
                 linear(x, linear_params(5, 5, 0, dtype), "l")[1],
                 add_norm(x, r, norm_params(5, dtype=dtype), "n", 1e-12, Dropout(0.2, 1))[1]):
        back(dy, Params({"n.weight": (5,), "n.bias": (5,), "l.weight": (5, 5), "l.bias": (5,)},
                        dtype))
    for now, then in zip((x, r, dy), before):
        np.testing.assert_array_equal(now, then)


# ---- float32 against float64 --------------------------------------------------------------------

@given(seeds, dims, dims, dims, exponents)
def test_linear_in_float32_is_within_its_rounding_bound(seed, T, I, O, exponent):
    """A sum of n terms has an error of γ(n) Σ |terms|."""
    x = draw(seed, T, I, exponent=exponent, dtype=np.float32)
    dy = draw(seed + 1, T, O, dtype=np.float32)
    p = linear_params(I, O, seed, np.float32)
    (y, dx, g), (y64, dx64, g64) = in_both_types(
        lambda p, dtype: (lambda y, back: (y, lambda g: back(dy.astype(dtype), g)))(
            *linear(x.astype(dtype), p, "l")), p)
    W, b, ax, ady = abs(p["l.weight"]), abs(p["l.bias"]), abs(x), abs(dy)
    tiny = 2.0**-140
    assert (abs(y - y64) <= gamma(I + 1, u32) * (ax @ W.T + b).astype(float) * 1.001 + tiny).all()
    assert (abs(dx - dx64) <= gamma(O + 1, u32) * (ady @ W).astype(float) * 1.001 + tiny).all()
    assert (abs(g["l.weight"] - g64["l.weight"]) <= gamma(T + 1, u32) * 1.001 * (ady.T @ ax)
            + tiny).all()
    assert (abs(g["l.bias"] - g64["l.bias"]) <= gamma(T + 1, u32) * 1.001 * ady.sum(0)).all()


@given(seeds, dims, dims, st.integers(1, 9))
def test_embeddings_gradient_in_float32_is_within_its_rounding_bound(seed, T, D, V):
    ids, dy = np.random.default_rng(seed).integers(0, V, T), draw(seed, T, D, dtype=np.float32)
    p = Params({"e.weight": (V, D)}, np.float64)
    g, g64, terms = p.copy(np.float32), p.like(), p.like()
    for grads, d in [(g, dy), (g64, dy.astype(float)), (terms, abs(dy).astype(float))]:
        embedding(ids, p, "e")[1](d, grads)
    assert (abs(g.flat - g64.flat) <= gamma(T, u32) * terms.flat).all()


def norm_bounds(x, dy, p, error_of_x=0.0):
    """Twice the first-order bounds of y and dx, whether they are valid, and the bound of x̂.

    x, dy: (T, D) float64; error_of_x: (T, 1).  The module docstring derives the bounds; they are
    valid if δ < std/4.
    """
    D = x.shape[-1]
    w, b = p["n.weight"].astype(float), p["n.bias"].astype(float)
    std = np.sqrt(x.var(-1, keepdims=True) + 1e-12)
    xhat, delta = (x - x.mean(-1, keepdims=True)) / std, (D + 3) * u32 * abs(x).max(
        -1, keepdims=True) + error_of_x
    xhat_bound = delta / std * (1 + abs(xhat)) + (D + 8) * u32 * abs(xhat)
    y_bound = abs(w) * xhat_bound + 2 * u32 * (abs(w * xhat) + abs(b))
    d = abs(w * dy)
    mean, along = d.mean(-1, keepdims=True), (d * abs(xhat)).mean(-1, keepdims=True)
    relative = delta / std + (2 * D + 16) * u32
    dx_bound = (relative * (d + mean + abs(xhat) * along) + xhat_bound * along
                + abs(xhat) * (d * xhat_bound).mean(-1, keepdims=True)) / std
    return 2 * y_bound, 2 * dx_bound, (delta / std).max() < 0.25, xhat_bound


@given(seeds, dims, dims.filter(lambda D: D > 1), exponents, st.floats(-3, 2))
def test_layer_norms_kernel_is_within_its_rounding_bound(seed, T, D, exponent, mean_exponent):
    """The mean is up to 100 standard deviations; then x − mean has few correct digits."""
    x = (draw(seed, T, D) + 10.0**mean_exponent) * 10.0**exponent
    x, dy = x.astype(np.float32), draw(seed + 1, T, D, dtype=np.float32)
    p = norm_params(D, seed, np.float32)
    (y, dx, g), (y64, dx64, g64) = in_both_types(
        lambda p, dtype: (lambda y, back: (y, lambda g: back(dy.astype(dtype), g)))(
            *layer_norm(x.astype(dtype), p, "n")), p)
    y_bound, dx_bound, valid, xhat_bound = norm_bounds(x.astype(float), dy.astype(float), p)
    if valid:                                  # else x − mean has almost no correct digit
        assert (abs(y - y64) <= y_bound).all()
        assert (abs(dx - dx64) <= dx_bound + 2.0**-140).all()
        terms = abs(dy) * (2 * xhat_bound + gamma(T + 1, u32) * D**0.5)
        assert (abs(g["n.weight"] - g64["n.weight"]) <= terms.sum(0)).all()
    assert (abs(g["n.bias"] - g64["n.bias"]) <= gamma(T, u32) * abs(dy).sum(0)).all()
    assert np.isfinite(y).all() and np.isfinite(dx).all()


@given(seeds, dims, dims.filter(lambda D: D > 1), exponents, dropouts)
def test_add_norms_kernel_is_within_its_rounding_bound_and_has_the_same_mask(
        seed, T, D, exponent, dropout):
    """Before the norm, the sum has a relative error of u and the scaled r one of 2 u."""
    x, r = (draw(seed + i, T, D, exponent=exponent, dtype=np.float32) for i in (0, 1))
    dy, p = draw(seed + 2, T, D, dtype=np.float32), norm_params(D, seed, np.float32)

    def both(p, dtype):
        y, back = add_norm(x.astype(dtype), r.astype(dtype), p, "n", 1e-12, dropout)
        return y, lambda g: back(dy.astype(dtype), g)
    (y, (dx, dr), g), (y64, (dx64, dr64), g64) = in_both_types(both, p)
    kept = apply_dropout(np.ones_like(x), dropout)[0] != 0
    for grad_r, grad_x in ((dr, dx), (dr64, dx64)):
        np.testing.assert_array_equal(grad_r != 0, kept & (grad_x != 0))
    s = x.astype(float) + r.astype(float) * kept / (1 - dropout.probability)
    error_of_s = 3 * u32 * (abs(x) + abs(r) / (1 - dropout.probability)).max(-1, keepdims=True)
    y_bound, dx_bound, valid, _ = norm_bounds(s, dy.astype(float), p, error_of_s)
    if valid:
        assert (abs(y - y64) <= y_bound).all()
        assert (abs(dx - dx64) <= dx_bound + 2.0**-140).all()
        assert (abs(dr - dr64) <= 1.001 * dx_bound / (1 - dropout.probability) + 3 * u32 * abs(dr64)
                + 2.0**-140).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layer_norm_of_one_number_is_its_bias(dtype):
    p = norm_params(1, dtype=dtype)
    y, backward = layer_norm(np.array([[5.0]], dtype), p, "n")
    assert y[0, 0] == p["n.bias"][0]
    assert backward(np.array([[1.0]], dtype), p.like())[0, 0] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_rows_give_empty_results(dtype):
    empty = np.empty((0, 5), dtype)
    for f, p in [(linear, linear_params(5, 5, 0, dtype)), (layer_norm, norm_params(5, 0, dtype))]:
        y, backward = f(empty, p, next(iter(p))[0])
        g = p.like()
        assert y.shape == backward(y, g).shape == (0, 5) and not g.flat.any()

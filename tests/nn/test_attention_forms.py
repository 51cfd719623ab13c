"""Grouped-query attention, windows, biases, more or fewer keys than queries."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.attention import attention
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.nn.layers import prepend_row
from scratch_embed.nn.params import Params
from scratch_embed.nn.relative_bias import relative_bias
from tests.nn.attention_rounding import error_bounds
from tests.rounding import dtypes, seeds

causal_or_not = pytest.mark.parametrize("causal", [False, True])
OFFSETS = np.array([0, 2, 4, 9, 10])                 # sequences of 2, 2, 5 and 1 tokens
FOUR_TOKENS = np.array([0, 4])                       # a sequence of 4 tokens
dropouts = st.sampled_from([NO_DROPOUT, Dropout(0.1, 3), Dropout(0.6, 4)])


def draw(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def draw_qkv(seed, T, H, G, d, dtype=np.float64, U=None):
    """q (T, H·d), k and v (U, G·d): H heads of q and G heads of k and v, d numbers per head."""
    return (draw([seed, 0], T, H * d, dtype=dtype), draw([seed, 1], U or T, G * d, dtype=dtype),
            draw([seed, 2], U or T, G * d, dtype=dtype))


def distances(t):
    """j − i for query i and key j, (t, t)."""
    return np.arange(t) - np.arange(t)[:, None]


def assert_close(got, want, dtype):
    np.testing.assert_allclose(got, want, rtol=0, atol=64 * np.finfo(dtype).eps)


# ---- grouped-query attention ---------------------------------------------------------------------

@dtypes
def test_two_heads_that_share_keys_and_values_worked_by_hand(dtype):
    """d = 1, k = (1, 0), v = (8, 0).  Token 0 has P = (¾, ¼) in head 0, where q = log 3, and
    P = (½, ½) in head 1, where q = 0.  dv sums over the heads: ¾ · 1 + ½ · 2 and ¼ · 1 + ½ · 2.
    """
    q = np.array([[np.log(3), 0], [0, 0]], dtype)
    k, v = np.array([[1], [0]], dtype), np.array([[8], [0]], dtype)
    y, backward = attention(q, k, v, np.array([0, 2]), heads=2)
    assert_close(y, [[6, 4], [4, 4]], dtype)
    dq, dk, dv = backward(np.array([[1, 2], [0, 0]], dtype))
    assert_close(dv, [[7 / 4], [5 / 4]], dtype)
    assert_close(dq, [[3 / 2, 4], [0, 0]], dtype)    # dS = P (dP − Σ P dP): ¾ (8 − 6), ½ (16 − 8)
    assert_close(dk, [[3 / 2 * np.log(3)], [-3 / 2 * np.log(3)]], dtype)


@causal_or_not
@pytest.mark.parametrize("H, G", [(4, 2), (6, 1), (3, 3)])
def test_a_shared_head_equals_repeated_heads_and_sums_their_gradients(causal, H, G):
    q, k, v = draw_qkv(0, 10, H, G, 2)
    dy = draw(1, 10, H * 2)
    y, backward = attention(q, k, v, OFFSETS, H, causal, Dropout(0.3, 5))

    def repeat(x):
        return x.reshape(10, G, 2).repeat(H // G, 1).reshape(10, H * 2)
    z, back = attention(q, repeat(k), repeat(v), OFFSETS, H, causal, Dropout(0.3, 5))
    np.testing.assert_array_equal(y, z)
    dq, dk, dv = back(dy)
    for got, want in zip(backward(dy), (dq, *(
            x.reshape(10, G, H // G, 2).sum(2).reshape(10, G * 2) for x in (dk, dv)))):
        np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-14)


@causal_or_not
@pytest.mark.parametrize("window", [None, 0, 2])
@pytest.mark.parametrize("H, G", [(4, 2), (3, 1)])
def test_backward_is_the_derivative_with_shared_keys_and_windows(causal, window, H, G):
    check_backward(lambda q, k, v: attention(q, k, v, OFFSETS, H, causal, Dropout(0.3, 9),
                                             window=window), *draw_qkv(1, 10, H, G, 3))


@dtypes
def test_g_must_divide_h(dtype):
    q, k, v = draw_qkv(0, 10, 4, 3, 2, dtype)
    with pytest.raises(ValueError, match=r"G a divisor of H.*got \(10, 8\), \(10, 6\)"):
        attention(q, k, v, OFFSETS, 4)
    with pytest.raises(ValueError, match="G a divisor of H"):
        attention(q, k[:, :3], v[:, :3], OFFSETS, 4)
    with pytest.raises(ValueError, match="G a divisor of H"):
        attention(q, k[:, :0], v[:, :0], OFFSETS, 4)


# ---- windows -------------------------------------------------------------------------------------

@dtypes
@pytest.mark.parametrize("causal, window, y", [
    (True, 0, [0, 1, 2, 3]), (True, 1, [0, 0.5, 1.5, 2.5]), (True, 2, [0, 0.5, 1, 2]),
    (False, 0, [0, 1, 2, 3]), (False, 1, [0.5, 1, 2, 2.5]), (False, 2, [1, 1.5, 1.5, 2]),
    (False, 3, [1.5] * 4), (False, None, [1.5] * 4), (True, 9, [0, 0.5, 1, 1.5])])
def test_means_over_a_window_worked_by_hand(dtype, causal, window, y):
    """All scores are 0, so y is the mean of the values 0, 1, 2, 3 within the window."""
    v = np.arange(4.0)[:, None].astype(dtype)
    got, _ = attention(0 * v, 0 * v, v, FOUR_TOKENS, 1, causal, window=window)
    assert_close(got[:, 0], y, dtype)


@dtypes
@causal_or_not
@given(seed=seeds, t=st.integers(1, 20), window=st.integers(0, 9))
def test_no_bit_depends_on_a_token_outside_the_window(dtype, causal, seed, t, window):
    q, k, v = draw_qkv(seed, t, 2, 2, 3, dtype)
    changed_kv, offsets = np.stack([k, v]), np.array([0, t])
    changed = int(seed % t)
    changed_kv[:, changed] = draw(seed + 1, 2, 6, dtype=dtype)
    (y, back), (z, back_z) = (attention(q, *kv, offsets, 2, causal, window=window)
                              for kv in ((k, v), changed_kv))
    visible = (abs(distances(t)) <= window) & (distances(t) <= 0 if causal else True)
    np.testing.assert_array_equal((y != z).any(1), visible[:, changed])
    dy = np.zeros_like(y)
    dy[changed] = 1                                  # dv is not 0 only for the keys in its window
    _, _, dv = back(dy)
    np.testing.assert_array_equal(dv.any(1), visible[changed])


@causal_or_not
@given(seed=seeds, t=st.integers(1, 20), window=st.integers(0, 9))
def test_a_window_equals_a_bias_of_minus_infinity(causal, seed, t, window):
    q, k, v = draw_qkv(seed, t, 2, 1, 3)
    offsets, dy = np.array([0, t]), draw(seed + 1, t, 6)
    visible = (abs(distances(t)) <= window) & (distances(t) <= 0 if causal else True)
    B = np.broadcast_to(np.where(visible, 0.0, -np.inf), (2, t, t))
    (y, back), (z, back_z) = (attention(q, k, v, offsets, 2, **options) for options in (
        dict(causal=causal, window=window), dict(bias=B)))
    for got, want in zip((y, *back(dy)), (z, *back_z(dy))):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


def test_a_negative_window_is_an_error():
    with pytest.raises(ValueError, match="window: expected a whole number of at least 0, got -1"):
        attention(*draw_qkv(0, 10, 2, 2, 2), OFFSETS, 2, window=-1)


# ---- biases --------------------------------------------------------------------------------------

@dtypes
def test_a_bias_worked_by_hand(dtype):
    """q = k = 0, and the bias of query 0 and key 0 is log 3.  dB = P (dP − Σ P dP)."""
    v = np.array([[8, 0, 0, 0], [0, 8, 0, 0]], dtype)               # d = 4: dB is not divided by √d
    B = np.zeros((1, 2, 2), dtype)
    B[0, 0, 0] = np.log(3)
    y, backward = attention(0 * v, 0 * v, v, np.array([0, 2]), 1, bias=B)
    assert_close(y, [[6, 2, 0, 0], [4, 4, 0, 0]], dtype)
    dq, dk, dv, dB = backward(np.array([[1, 0, 0, 0], [0, 0, 0, 0]], dtype))
    assert_close(dB, [[[3 / 2, -3 / 2], [0, 0]]], dtype)
    assert_close(dv, [[3 / 4, 0, 0, 0], [1 / 4, 0, 0, 0]], dtype)
    assert not dq.any() and not dk.any()


@causal_or_not
@pytest.mark.parametrize("dropout", [NO_DROPOUT, Dropout(0.3, 9)])
def test_backward_is_the_derivative_in_the_bias_too(causal, dropout):
    """Biases (H, t, u) with t larger than any sequence; (W, H, t, u) with W = 3 and W = 1."""
    check_backward(lambda q, k, v, B: attention(q, k, v, OFFSETS, 4, causal, dropout, window=3,
                                                bias=B),
                   *draw_qkv(1, 10, 4, 2, 3), draw(2, 4, 6, 6))
    window_offsets = np.arange(0, 19, 3)             # 2 images of 3 windows, 3 tokens per window
    check_backward(lambda q, k, v, B: attention(q, k, v, window_offsets, 4, causal, dropout,
                                                bias=B),
                   *draw_qkv(1, 18, 4, 2, 3), draw(2, 3, 4, 3, 3))
    check_backward(lambda q, k, v, B: attention(q, k, v, OFFSETS, 4, causal, dropout, bias=B),
                   *draw_qkv(1, 10, 4, 2, 3), draw(2, 1, 4, 5, 5))


@dtypes
def test_each_window_of_an_image_uses_its_own_bias(dtype):
    q, k, v = draw_qkv(0, 18, 2, 2, 2, dtype)
    B, dy = draw(1, 3, 2, 3, 3, dtype=dtype), draw(2, 18, 4, dtype=dtype)
    y, backward = attention(q, k, v, np.arange(0, 19, 3), 2, bias=B)
    *_, dB = backward(dy)
    for w in range(3):
        rows = np.concatenate([np.arange(3 * w, 3 * w + 3), np.arange(3 * w + 9, 3 * w + 12)])
        z, back = attention(q[rows], k[rows], v[rows], np.array([0, 3, 6]), 2, bias=B[w])
        np.testing.assert_array_equal(y[rows], z)
        np.testing.assert_allclose(back(dy[rows])[3], dB[w], rtol=1e-6, atol=1e-6)


@dtypes
@pytest.mark.parametrize("shape", [(3, 9, 9), (2, 4, 5), (2, 5, 4), (2, 2, 5, 5), (9, 9),
                                   (1, 2, 9, 9, 9)])
def test_a_bias_that_does_not_fit_is_an_error(dtype, shape):
    with pytest.raises(ValueError, match=r"bias: expected \(H, t, u\) with H=2, t ≥ 5 and u ≥ 5"):
        attention(*draw_qkv(0, 10, 2, 2, 2, dtype), OFFSETS, 2, bias=np.zeros(shape, dtype))


def test_adding_a_number_to_a_row_of_the_bias_does_not_change_the_output():
    """Softmax ignores a shift of a row, so dB sums to 0 along each row."""
    q, k, v = draw_qkv(0, 10, 2, 2, 2)
    y, backward = attention(q, k, v, OFFSETS, 2, bias=draw(1, 2, 5, 5))
    z, _ = attention(q, k, v, OFFSETS, 2, bias=draw(1, 2, 5, 5) + draw(2, 2, 5, 1))
    np.testing.assert_allclose(y, z, rtol=1e-13, atol=1e-13)
    *_, dB = backward(draw(3, 10, 4))
    np.testing.assert_allclose(dB.sum(-1), 0, atol=1e-13)
    assert abs(dB).max() > 0.1


# ---- relative position bias ----------------------------------------------------------------------

@dtypes
def test_relative_bias_worked_by_hand(dtype):
    """Three tokens have five differences; the row of difference 0 is looked up three times."""
    p = Params({"b.weight": (5, 2)}, dtype)
    p["b.weight"][...] = np.arange(10).reshape(5, 2)
    B, backward = relative_bias(distances(3) + 2, p, "b")
    assert B[0].tolist() == [[4, 6, 8], [2, 4, 6], [0, 2, 4]] and (B[1] == B[0] + 1).all()
    g = p.like()
    backward(np.stack([np.ones((3, 3)), distances(3)]).astype(dtype), g)
    assert g["b.weight"].tolist() == [[1, -2], [2, -2], [3, 0], [2, 2], [1, 2]]


def test_the_gradient_reaches_the_table_of_relative_biases():
    q, k, v = draw_qkv(0, 10, 2, 2, 2)
    p = Params({"b.weight": (9, 2)}, np.float64)

    def attention_with_table(table):
        p["b.weight"][...] = table
        B, back_bias = relative_bias(distances(5) + 4, p, "b")
        y, back = attention(q, k, v, OFFSETS, 2, bias=B)

        def backward(dy):
            g = p.like()
            back_bias(back(dy)[3], g)
            return g["b.weight"]
        return y, backward
    check_backward(attention_with_table, draw(1, 9, 2))


# ---- more or fewer keys than queries, extra keys and values --------------------------------------

@dtypes
def test_an_extra_key_and_value_worked_by_hand(dtype):
    """All scores are 0, so y is the mean of the visible values.  prepend_row puts the value
    12 before those of each sequence.
    """
    p = Params({"k": (1,), "v": (1,)}, dtype)
    p["v"][...] = 12
    x, offsets = np.array([[0], [3], [6]], dtype), np.array([0, 1, 3])
    k, key_offsets, _ = prepend_row(0 * x, offsets, p, "k")
    v, _, back_v = prepend_row(x, offsets, p, "v")
    assert key_offsets.tolist() == [0, 2, 5] and v[:, 0].tolist() == [12, 0, 12, 3, 6]
    for causal, want in ((False, [6, 7, 7]), (True, [6, 7.5, 7])):
        y, backward = attention(0 * x, k, v, offsets, 1, causal, key_offsets=key_offsets)
        assert_close(y[:, 0], want, dtype)           # the extra key is visible to all queries
    g = p.like()
    _, _, dv = attention(0 * x, k, v, offsets, 1, key_offsets=key_offsets)[1](np.ones_like(x))
    assert_close(back_v(dv, g), [[1 / 2], [2 / 3], [2 / 3]], dtype)
    assert_close(g["v"], [1 / 2 + 2 / 3], dtype)


def test_backward_is_the_derivative_in_extra_keys_and_values():
    q, k, v = draw_qkv(0, 10, 4, 2, 3)

    def extended(q, k, v, row_k, row_v):
        p = Params({"k": (6,), "v": (6,)}, np.float64)
        p["k"][...], p["v"][...] = row_k, row_v
        K, key_offsets, back_k = prepend_row(k, OFFSETS, p, "k")
        V, _, back_v = prepend_row(v, OFFSETS, p, "v")
        y, back = attention(q, K, V, OFFSETS, 4, True, key_offsets=key_offsets)

        def backward(dy):
            g = p.like()
            dq, dK, dV = back(dy)
            return dq, back_k(dK, g), back_v(dV, g), g["k"], g["v"]
        return y, backward
    check_backward(extended, q, k, v, draw(1, 6), draw(2, 6))


@causal_or_not
@pytest.mark.parametrize("window", [None, 1])
def test_the_last_query_and_the_last_key_have_the_same_position(causal, window):
    """With cached keys, the last queries alone give the last rows of the whole output."""
    q, k, v = draw_qkv(0, 12, 2, 2, 2)
    y, _ = attention(q, k, v, np.array([0, 7, 12]), 2, causal, window=window)
    last = np.r_[4:7, 10:12]
    z, back = attention(q[last], k, v, np.array([0, 3, 5]), 2, causal, window=window,
                        key_offsets=np.array([0, 7, 12]))
    np.testing.assert_allclose(z, y[last], rtol=1e-14, atol=1e-14)
    assert [dx.shape for dx in back(z)] == [(5, 4), (12, 4), (12, 4)]


def test_causal_attention_needs_at_least_as_many_keys_as_queries():
    q, k, v = draw_qkv(0, 10, 2, 2, 2, U=9)
    key_offsets = np.array([0, 2, 4, 8, 9])
    assert attention(q, k, v, OFFSETS, 2, key_offsets=key_offsets)[0].shape == (10, 4)
    with pytest.raises(ValueError, match="at least as many keys .*got 4 keys and 5 queries"):
        attention(q, k, v, OFFSETS, 2, True, key_offsets=key_offsets)
    with pytest.raises(ValueError, match=r"k, v \(8, G·d\)"):
        attention(q, k, v, OFFSETS, 2, key_offsets=key_offsets[:-1])


# ---- float32 -------------------------------------------------------------------------------------

@causal_or_not
@given(seed=seeds, t=st.integers(1, 33), extra=st.integers(0, 3),
       heads=st.sampled_from([(1, 1), (4, 2), (3, 1)]), d=st.sampled_from([1, 5, 16]),
       window=st.sampled_from([None, 0, 3, 40]), biased=st.booleans(), dropout=dropouts)
def test_the_kernels_are_within_their_rounding_bounds(causal, seed, t, extra, heads, d, window,
                                                      biased, dropout):
    (H, G), u = heads, t + extra
    q, k, v = draw_qkv(seed, t, H, G, d, np.float32, U=u)
    dy, B = (draw([seed, i], *shape, dtype=np.float32) for i, shape in (
        (3, (t, H * d)), (4, (H, t, u))))
    offsets, key_offsets = np.array([0, t]), np.array([0, u])

    def run(dtype):
        y, backward = attention(*(x.astype(dtype) for x in (q, k, v)), offsets, H, causal, dropout,
                                window=window, bias=B.astype(dtype) if biased else None,
                                key_offsets=key_offsets)
        return y, *backward(dy.astype(dtype))
    distance = np.arange(u) - np.arange(t)[:, None] - extra      # the last key is at the last query
    visible = (abs(distance) <= (u if window is None else window)) & (
        distance <= 0 if causal else True)
    bounds = error_bounds(q, k, v, dy, H, visible, dropout, B=B if biased else 0.0)
    for got, want, bound in zip(run(np.float32), run(np.float64), bounds):
        assert got.dtype == np.float32 and (abs(got - want) <= bound).all()


@dtypes
def test_inputs_are_not_changed_and_a_backward_may_be_called_again(dtype):
    q, k, v = inputs = draw_qkv(0, 10, 4, 2, 2, dtype)
    B, dy = draw(1, 4, 5, 5, dtype=dtype), draw(2, 10, 8, dtype=dtype)
    before = [x.copy() for x in (*inputs, B, dy)]
    _, backward = attention(q, k, v, OFFSETS, 4, True, Dropout(0.3, 1), window=2, bias=B)
    for one, other in zip(backward(dy), backward(dy)):
        np.testing.assert_array_equal(one, other)
    for now, then in zip((*inputs, B, dy), before):
        np.testing.assert_array_equal(now, then)

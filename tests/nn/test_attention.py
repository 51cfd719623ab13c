"""Attention: values, gradients, which tokens an output depends on, rounding errors of float32."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.attention import (
    Group,
    attention,
    attention_weights,
    equal_length_groups,
)
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.gradcheck import check_backward
from tests.nn.attention_rounding import error_bounds
from tests.rounding import dtypes, seeds, u64

lengths = st.lists(st.integers(1, 9), min_size=1, max_size=5)
causal_or_not = pytest.mark.parametrize("causal", [False, True])
OFFSETS = np.array([0, 2, 4, 9, 10])                 # sequences of 2, 2, 5 and 1 tokens


def offsets_of(lengths):
    return np.cumsum([0, *lengths])


def visible(t, causal=False):
    """(t, t) bool: whether query i attends to key j."""
    return np.tri(t, dtype=bool) if causal else np.ones((t, t), bool)


def draw(seed, T, D, exponent=0.0, dtype=np.float64):
    """q, k, v of order 10**exponent, as an array (3, T, D)."""
    return (np.random.default_rng(seed).standard_normal((3, T, D)) * 10.0**exponent).astype(dtype)


# ---- worked by hand -----------------------------------------------------------------------------

@dtypes
def test_two_tokens_worked_by_hand(dtype):
    """d = 4.  Token 0 has scores (2 log 3, 0)/√4, so P = (¾, ¼); token 1 has P = (½, ½).

    dY = e₁ for token 0: dP = (8, 0), Σ P dP = 6, dS/√4 = ½ (¾·2, ¼·(−6)) = (¾, −¾).
    """
    log3 = np.log(3.0)
    q = np.array([[1, 0, 0, 0], [0, 0, 0, 0]], dtype)
    k = np.array([[2 * log3, 0, 0, 0], [0, 1, 0, 0]], dtype)
    v = np.array([[8, 0, 0, 4], [0, 8, 0, 4]], dtype)
    y, backward = attention(q, k, v, np.array([0, 2]), heads=1)
    rounding = 64 * np.finfo(dtype).eps
    np.testing.assert_allclose(y, [[6, 2, 0, 4], [4, 4, 0, 4]], rtol=0, atol=rounding)
    dq, dk, dv = backward(np.array([[1, 0, 0, 0], [0, 0, 0, 0]], dtype))
    np.testing.assert_allclose(dv, [[3 / 4, 0, 0, 0], [1 / 4, 0, 0, 0]], rtol=0, atol=rounding)
    np.testing.assert_allclose(dq, [[3 / 2 * log3, -3 / 4, 0, 0], [0] * 4], rtol=0, atol=rounding)
    np.testing.assert_allclose(dk, [[3 / 4, 0, 0, 0], [-3 / 4, 0, 0, 0]], rtol=0, atol=rounding)


@dtypes
@causal_or_not
def test_a_sequence_of_one_token_returns_its_value(dtype, causal):
    q, k, v = draw(0, 3, 4, dtype=dtype)
    y, backward = attention(q, k, v, np.arange(4), 2, causal)
    dq, dk, dv = backward(q)
    np.testing.assert_array_equal(y, v)
    np.testing.assert_array_equal(dv, q)
    assert not dq.any() and not dk.any()


def test_groups_of_equal_length_worked_by_hand():
    assert list(equal_length_groups(OFFSETS, OFFSETS)) == [
        Group(row=0, key_row=0, n=2, t=2, u=2), Group(4, 4, 1, 5, 5), Group(9, 9, 1, 1, 1)]
    keys = np.array([0, 2, 5, 10, 11])                   # sequence 1 has 3 keys
    assert list(equal_length_groups(OFFSETS, keys)) == [
        Group(0, 0, 1, 2, 2), Group(2, 2, 1, 2, 3), Group(4, 5, 1, 5, 5), Group(9, 10, 1, 1, 1)]
    assert list(equal_length_groups(np.array([0]), np.array([0]))) == []


@given(lengths)
def test_groups_cover_all_sequences_once_and_are_as_few_as_possible(lengths):
    offsets = offsets_of(lengths)
    groups = list(equal_length_groups(offsets, offsets))
    assert [g.row + g.t * i for g in groups for i in range(g.n)] == offsets[:-1].tolist()
    assert [g.t for g in groups for _ in range(g.n)] == lengths
    assert all(a.t != b.t for a, b in zip(groups, groups[1:]))


# ---- gradients ----------------------------------------------------------------------------------

@causal_or_not
@pytest.mark.parametrize("dropout", [NO_DROPOUT, Dropout(0.3, 9)])
@pytest.mark.parametrize("H", [1, 3])
def test_backward_is_the_derivative_in_all_three_inputs(causal, dropout, H):
    check_backward(lambda q, k, v: attention(q, k, v, OFFSETS, H, causal, dropout), *draw(1, 10, 6))


@given(seeds)
def test_the_gradients_of_the_keys_sum_to_zero(seed):
    """Adding one vector to all keys adds one number to all scores of a query, so P does not change.
    """
    q, k, v = draw(seed, 5, 6)
    _, backward = attention(q, k, v, np.array([0, 5]), 1)
    dy = draw(seed + 1, 5, 6)[0]
    _, dk, _ = backward(dy)
    assert abs(dk.sum(0)).max() <= 64 * u64 * abs(q).sum() * abs(dy).sum() * abs(v).max()


# ---- which tokens an output depends on ----------------------------------------------------------

@causal_or_not
@given(seeds, lengths)
def test_a_sequence_has_the_same_output_and_gradients_alone_and_in_a_batch(causal, seed, lengths):
    """Up to rounding.  The last three sequences have equal lengths, so they are one group."""
    lengths = lengths + lengths[-1:] * 2
    offsets = offsets_of(lengths)
    q, k, v = draw(seed, offsets[-1], 6)
    dy = draw(seed + 1, offsets[-1], 6)[0]
    y, backward = attention(q, k, v, offsets, 2, causal)
    grads = backward(dy)
    for start, end in zip(offsets, offsets[1:]):
        rows, t = slice(start, end), end - start
        alone, back = attention(q[rows], k[rows], v[rows], np.array([0, t]), 2, causal)
        bounds = error_bounds(q[rows], k[rows], v[rows], dy[rows], 2, visible(t, causal), u=u64)
        for one, other, bound in zip((y, *grads), (alone, *back(dy[rows])), bounds):
            assert (abs(one[rows] - other) <= 2 * bound).all()


@given(seeds, st.integers(1, 9))
def test_permuted_tokens_have_permuted_outputs(seed, t):
    q, k, v = draw(seed, t, 6)
    dy, offsets = draw(seed + 1, t, 6)[0], np.array([0, t])
    order = np.random.default_rng(seed).permutation(t)
    y, backward = attention(q, k, v, offsets, 2)
    permuted, back = attention(q[order], k[order], v[order], offsets, 2)
    bounds = error_bounds(q, k, v, dy, 2, visible(t), u=u64)
    for one, other, bound in zip((y, *backward(dy)), (permuted, *back(dy[order])), bounds):
        assert (abs(one[order] - other) <= 2 * bound[order]).all()


@dtypes
@given(seed=seeds, t=st.integers(2, 40), exponent=st.floats(-3, 3), data=st.data())
def test_no_bit_of_causal_attention_depends_on_later_tokens(dtype, seed, t, exponent, data):
    n = data.draw(st.integers(1, t - 1))                 # the first n tokens are not changed
    original, changed = draw(seed, t, 8, dtype=dtype), draw(seed + 1, t, 8, exponent, dtype)
    changed[:, :n] = original[:, :n]
    offsets = np.array([0, t])
    for dropout in (NO_DROPOUT, Dropout(0.3, 2)):
        y, _ = attention(*original, offsets, 2, True, dropout)
        z, _ = attention(*changed, offsets, 2, True, dropout)
        np.testing.assert_array_equal(y[:n], z[:n])
        assert (y[n:] != z[n:]).any()


@dtypes
def test_causal_gradients_do_not_reach_later_tokens(dtype):
    q, k, v = draw(0, 7, 4, dtype=dtype)
    _, backward = attention(q, k, v, np.array([0, 7]), 2, True)
    dy = np.zeros_like(q)
    dy[3] = 1
    dq, dk, dv = backward(dy)
    assert not dk[4:].any() and not dv[4:].any() and not np.delete(dq, 3, 0).any()
    assert dk[:4].any(1).all() and dv[:4].any(1).all()


@dtypes
def test_a_head_depends_on_its_columns_only_and_a_sequence_on_its_rows(dtype):
    q, k, v = draw(0, 10, 6, dtype=dtype)
    other = draw(1, 10, 6, dtype=dtype)
    new_columns = np.stack([q, k, v])
    new_columns[:, :, 2:4] = other[:, :, 2:4]
    y, z = (attention(*x, OFFSETS, 3)[0] for x in ((q, k, v), new_columns))
    np.testing.assert_array_equal(np.delete(y, [2, 3], 1), np.delete(z, [2, 3], 1))
    assert (y[:9, 2:4] != z[:9, 2:4]).all()
    new_rows = np.stack([q, k, v])
    new_rows[:, 4:9] = other[:, 4:9]
    z, _ = attention(*new_rows, OFFSETS, 3)
    np.testing.assert_array_equal(np.delete(y, range(4, 9), 0), np.delete(z, range(4, 9), 0))


# ---- float32 ------------------------------------------------------------------------------------

@causal_or_not
@given(seed=seeds, t=st.integers(1, 33), H=st.integers(1, 3), d=st.sampled_from([1, 2, 5, 16]),
       exponent=st.floats(-6, 0.7),
       dropout=st.sampled_from([NO_DROPOUT, Dropout(0.1, 3), Dropout(0.6, 4)]))
def test_the_kernels_are_within_their_rounding_bounds(causal, seed, t, H, d, exponent, dropout):
    """At exponent 0.7, scores can be so large that one key has nearly all of the weight."""
    q, k, v = draw(seed, t, H * d, exponent, np.float32)
    dy, offsets = draw(seed + 1, t, H * d, dtype=np.float32)[0], np.array([0, t])
    y, backward = attention(q, k, v, offsets, H, causal, dropout)
    exact, back = attention(*(x.astype(float) for x in (q, k, v)), offsets, H, causal, dropout)
    bounds = error_bounds(q, k, v, dy, H, visible(t, causal), dropout)
    for got, want, bound in zip((y, *backward(dy)), (exact, *back(dy.astype(float))), bounds):
        assert got.dtype == np.float32 and (abs(got - want) <= bound).all()


@dtypes
@pytest.mark.parametrize("scale", [1e3, 1e8, 1e15])
def test_large_scores_give_finite_results(dtype, scale):
    q, k, v = draw(0, 6, 4, dtype=dtype)
    y, backward = attention(q * dtype(scale), k * dtype(scale), v, np.array([0, 2, 6]), 2)
    assert np.isfinite(y).all() and abs(y).max() <= abs(v).max() * (1 + 1e-6)
    assert all(np.isfinite(dx).all() for dx in backward(v))


def test_float32_and_float64_drop_the_same_weights():
    S = np.random.default_rng(0).standard_normal((3, 2, 7, 7))
    dropout, dA = Dropout(0.4, 11), np.random.default_rng(1).standard_normal((3, 2, 7, 7))
    for sees in ((7, 7), (7, 0), (2, 2)):                # all keys, causal, a window
        A32, back32 = attention_weights(S.astype(np.float32), np.float32(0.5), sees, dropout)
        A64, back64 = attention_weights(S.copy(), 0.5, sees, dropout)
        np.testing.assert_array_equal(A32 != 0, A64 != 0)
        np.testing.assert_allclose(A32, A64, rtol=1e-5)
        np.testing.assert_allclose(back32(dA.astype(np.float32)), back64(dA.copy()), atol=1e-6)


@dtypes
@causal_or_not
@pytest.mark.parametrize("dropout", [NO_DROPOUT, Dropout(0.3, 6)])
def test_inputs_are_not_changed_and_their_memory_layout_does_not_matter(dtype, causal, dropout):
    q, k, v = plain = draw(0, 10, 6, dtype=dtype)
    dy = draw(1, 10, 6, dtype=dtype)[0]
    y, backward = attention(q, k, v, OFFSETS, 2, causal, dropout)
    grads = backward(dy)
    for one, other in zip(backward(dy), grads):                # a backward may be called again
        np.testing.assert_array_equal(one, other)
    strided = np.repeat(plain, 2, axis=2)[:, :, ::2]
    for views in ([np.asfortranarray(x) for x in plain], strided, [q, k, np.asfortranarray(v)]):
        z, back = attention(*views, OFFSETS, 2, causal, dropout)
        np.testing.assert_allclose(z, y, rtol=0, atol=64 * np.finfo(dtype).eps)
        for one, other in zip(back(np.asfortranarray(dy)), grads):
            np.testing.assert_allclose(one, other, rtol=0, atol=256 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(plain, draw(0, 10, 6, dtype=dtype))
    np.testing.assert_array_equal(dy, draw(1, 10, 6, dtype=dtype)[0])


@dtypes
def test_no_tokens_give_empty_results(dtype):
    empty = np.empty((0, 4), dtype)
    y, backward = attention(empty, empty, empty, np.array([0]), 2)
    assert y.shape == (0, 4) and all(dx.shape == (0, 4) for dx in backward(y))


@dtypes
@pytest.mark.parametrize("offsets, H", [([0, 9], 2), ([0, 11], 2), ([1, 10], 2), ([0, 10], 4)])
def test_offsets_or_heads_that_do_not_fit_are_errors(dtype, offsets, H):
    """Otherwise output rows outside all sequences would be uninitialised memory."""
    q, k, v = draw(0, 10, 6, dtype=dtype)
    with pytest.raises(ValueError, match=rf"q \({offsets[-1]}, H·d\) .* H={H} .* got \(10, 6\)"):
        attention(q, k, v, np.array(offsets), H)
    with pytest.raises(ValueError, match=r"and \(9, 6\)"):
        attention(q, k, v[:9], OFFSETS, 2)


@pytest.mark.parametrize("offsets", [[0, 4, 4, 10], [0, 6, 4, 10]])
def test_a_sequence_without_tokens_is_an_error_with_its_number(offsets):
    with pytest.raises(ValueError, match="sequence 1: expected at least 1 token, got (0|-2)"):
        attention(*draw(0, 10, 6), np.array(offsets), 2)


@dtypes
def test_a_dropout_probability_below_2_to_the_minus_33_drops_nothing(dtype):
    """It is rounded to 0, a multiple of 2⁻³²."""
    q, k, v = draw(0, 10, 6, dtype=dtype)
    y, backward = attention(q, k, v, OFFSETS, 2, dropout=Dropout(2**-40, 5))
    plain, back = attention(q, k, v, OFFSETS, 2)
    for got, want in zip((y, *backward(v)), (plain, *back(v))):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)


@causal_or_not
def test_equals_torch(causal):
    torch = pytest.importorskip("torch")
    q, k, v = draw(0, 10, 6)
    dy = draw(1, 10, 6)[0]
    y, backward = attention(q, k, v, OFFSETS, 3, causal)
    grads = backward(dy)
    for start, end in zip(OFFSETS, OFFSETS[1:]):
        rows, t = slice(start, end), end - start
        tensors = [torch.tensor(x[rows].reshape(t, 3, 2).swapaxes(0, 1), requires_grad=True)
                   for x in (q, k, v)]
        theirs = torch.nn.functional.scaled_dot_product_attention(*tensors, is_causal=causal)
        theirs = theirs.transpose(0, 1).reshape(t, 6)
        theirs.backward(torch.tensor(dy[rows]))
        np.testing.assert_allclose(y[rows], theirs.detach().numpy(), rtol=0, atol=1e-14)
        for dx, x in zip(grads, tensors):
            np.testing.assert_allclose(dx[rows], x.grad.transpose(0, 1).reshape(t, 6), rtol=0,
                                       atol=1e-14)

"""Rotary position embedding: worked by hand, relative positions, gradients, float32."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.nn.rotary import Rotation, rotary, rotation
from tests.rounding import dtypes, seeds, u32


def draw(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@dtypes
def test_two_heads_worked_by_hand(dtype):
    """theta = 16, d = 4: the angles are m and m/4, so 2π and π/2 at m = 2π, and 0 at m = 0.

    So at m = 2π, x_0 and x_2 of each head do not change, and (x_1, x_3) becomes (−x_3, x_1).
    """
    rope = rotation(np.array([0, 2 * np.pi]), 4, theta=16.0, dtype=dtype)
    x = np.array([[1, 2, 3, 4, 5, 6, 7, 8]] * 2, dtype)
    y, backward = rotary(x, rope)
    want = [[1, 2, 3, 4, 5, 6, 7, 8], [1, -4, 3, 2, 5, -8, 7, 6]]
    np.testing.assert_allclose(y, want, rtol=0, atol=64 * np.finfo(dtype).eps)
    np.testing.assert_allclose(backward(y), x, rtol=0, atol=128 * np.finfo(dtype).eps)


def test_cosines_and_sines_worked_by_hand():
    rope = rotation(np.array([0, 1, 3]), 4, theta=100.0, dtype=np.float64)
    np.testing.assert_allclose(rope.cos, np.cos([[0, 0], [1, 0.1], [3, 0.3]]), rtol=1e-15)
    np.testing.assert_allclose(rope.sin, np.sin([[0, 0], [1, 0.1], [3, 0.3]]), rtol=1e-15)


def test_backward_is_the_derivative():
    rope = rotation(np.array([0, 1, 2, 0, 1, 700]), 6, dtype=np.float64)
    check_backward(lambda x: rotary(x, rope), draw(0, 6, 18))


@dtypes
@given(seed=seeds, m=st.integers(0, 500), n=st.integers(0, 500), shift=st.integers(0, 500))
def test_a_score_depends_on_the_distance_only(dtype, seed, m, n, shift):
    """cos and sin have an error of u, a rotated number 4 u |x|, a score 16 u |q||k|."""
    q, k = draw(seed, 2, 1, 8, dtype=dtype)

    def score(m, n):
        (rq, _), (rk, _) = (rotary(x, rotation(np.array([position]), 8, dtype=dtype))
                            for x, position in ((q, m), (k, n)))
        return float((rq.astype(float) * rk).sum())
    norms = float(np.linalg.norm(q) * np.linalg.norm(k))
    assert abs(score(m, n) - score(m + shift, n + shift)) <= 32 * np.finfo(dtype).eps * norms + (
        1e-12 * norms)


@given(seeds, st.integers(0, 10**6))
def test_rotation_keeps_the_norm_and_its_backward_is_its_inverse(seed, m):
    x = draw(seed, 1, 10)
    y, backward = rotary(x, rotation(np.array([m]), 10, dtype=np.float64))
    assert np.linalg.norm(y) == pytest.approx(np.linalg.norm(x), rel=1e-14)
    np.testing.assert_allclose(backward(y), x, rtol=1e-13, atol=1e-13)


@given(seeds, st.integers(1, 9), st.integers(1, 3), st.sampled_from([2, 6, 64]))
def test_the_kernel_is_within_its_rounding_bound(seed, T, H, d):
    """Two products, a sum, and rounded cos and sin: an error of 4 u (|a| + |b|)."""
    x, dy = draw(seed, 2, T, H * d, dtype=np.float32)
    positions = np.random.default_rng(seed).integers(0, 5000, T)
    (y, back), (y64, back64) = (rotary(x.astype(dtype), rotation(positions, d, dtype=dtype))
                                for dtype in (np.float32, np.float64))
    for got, want, source in ((y, y64, x), (back(dy), back64(dy.astype(float)), dy)):
        halves = abs(source.reshape(T, H, 2, -1)).sum(2, keepdims=True)
        bound = 4 * u32 * halves.repeat(2, 2).reshape(T, -1)
        assert got.dtype == np.float32 and (abs(got - want) <= bound).all()


@dtypes
def test_inputs_are_not_changed_and_their_memory_layout_does_not_matter(dtype):
    x = draw(0, 6, 8, dtype=dtype)
    rope, before = rotation(np.arange(6), 4, dtype=dtype), x.copy()
    y, _ = rotary(x, rope)
    for view in (np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2]):
        np.testing.assert_array_equal(rotary(view, rope)[0], y)
    np.testing.assert_array_equal(x, before)
    empty, _ = rotary(x[:0], Rotation(rope.cos[:0], rope.sin[:0]))
    assert empty.shape == (0, 8)


@dtypes
def test_an_odd_dimension_and_other_shapes_are_errors(dtype):
    with pytest.raises(ValueError, match="even number of columns per head, got d=3"):
        rotation(np.arange(3), 3)
    rope = rotation(np.arange(3), 4, dtype=dtype)
    for shape in ((3, 6), (2, 8)):
        with pytest.raises(ValueError, match=r"expected x \(3, H·4\), got"):
            rotary(np.zeros(shape, dtype), rope)

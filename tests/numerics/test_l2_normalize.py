"""l2_normalize: worked by hand, from tiny to huge vectors, and its gradient."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.nn.gradcheck import check_backward
from scratch_embed.numerics.l2_normalize import l2_normalize
from tests.rounding import dtypes, seeds, u64


def draw(seed, *shape, exponent=0.0, dtype=np.float64):
    """Normally distributed numbers with standard deviation 10^exponent."""
    return (np.random.default_rng(seed).standard_normal(shape) * 10.0**exponent).astype(dtype)


def test_worked_by_hand():
    u, backward = l2_normalize(np.array([[3.0, 4], [0, 0]]))
    np.testing.assert_allclose(u, [[0.6, 0.8], [0, 0]], rtol=1e-15)
    np.testing.assert_allclose(backward(np.array([[5.0, 0], [1, 1]])),
                               [[0.64, -0.48], [1, 1]], rtol=1e-15)


def test_float32_stays_float32_other_types_become_float64_and_shapes_are_kept():
    assert l2_normalize([[3, 4]])[0].tolist() == [[0.6, 0.8]]                  # integers, a list
    for dtype, expected in ((np.float32, np.float32), (np.float16, np.float64), (int, np.float64)):
        assert l2_normalize(np.ones((2, 3, 4), dtype))[0].dtype == expected
    assert l2_normalize(np.ones((2, 3, 4)))[0].shape == (2, 3, 4)
    assert l2_normalize(np.ones((0, 4)))[0].shape == (0, 4)
    assert l2_normalize(np.ones((4, 0)))[0].shape == (4, 0)
    with pytest.raises(ValueError, match="expected vectors"):
        l2_normalize(np.float64(3.0))


@dtypes
@given(seed=seeds, D=st.sampled_from([1, 3, 130]), exponent=st.floats(-30, 30))
def test_the_norm_is_1_up_to_rounding(dtype, seed, D, exponent):
    """The bound is that of a sum of D squares, a root and a quotient, in the type of the array."""
    u, _ = l2_normalize(draw(seed, 4, D, exponent=exponent, dtype=dtype))
    bound = (D + 8) * np.finfo(dtype).eps
    assert (abs(np.linalg.norm(u.astype(float), axis=-1) - 1) <= bound).all()


@dtypes
def test_scaling_by_a_power_of_two_does_not_change_a_bit(dtype):
    """Although in float32 the square of 2⁻¹⁰⁰ is 0 and the square of 2¹⁰⁰ is inf."""
    x, du = draw(0, 3, 5, dtype=dtype), draw(1, 3, 5, dtype=dtype)
    u, backward = l2_normalize(x)
    for exponent in (-100, 100):
        v, back = l2_normalize(np.ldexp(x, exponent))
        np.testing.assert_array_equal(v, u)
        np.testing.assert_array_equal(back(du), np.ldexp(backward(du), -exponent))


@dtypes
def test_the_memory_layout_does_not_matter_and_the_input_is_not_changed(dtype):
    x = draw(0, 6, 8, dtype=dtype)
    before, (u, _) = x.copy(), l2_normalize(x)
    for view in (np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2]):
        np.testing.assert_array_equal(l2_normalize(view)[0], u)
    np.testing.assert_array_equal(x, before)


def test_rows_with_inf_or_nan_give_nan_and_other_rows_do_not():
    x = np.array([[np.inf, 1], [np.nan, 1], [3, 4], [0, 0]])
    u, _ = l2_normalize(x)
    assert np.isnan(u[0]).any() and np.isnan(u[1]).all()
    np.testing.assert_allclose(u[2:], [[0.6, 0.8], [0, 0]], rtol=1e-15)


def test_backward_is_the_derivative():
    check_backward(l2_normalize, draw(1, 3, 5))


@given(seeds, st.floats(-12, 12))
def test_the_gradient_is_orthogonal_to_the_vector(seed, exponent):
    x, du = draw(seed, 3, 5, exponent=exponent), draw(seed + 1, 3, 5)
    u, backward = l2_normalize(x)
    radial = abs((u * backward(du)).sum(-1)) * np.linalg.norm(x, axis=-1)
    assert (radial <= 17 * u64 * np.linalg.norm(du, axis=-1)).all()

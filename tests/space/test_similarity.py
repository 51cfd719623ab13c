"""Dot product, cosine, angle and distance are accurate at every scale, and have their invariances.

Where a name says so, the expected values are exact: a float is a fraction, so a dot product is a
fraction.  Roots are taken by integer arithmetic, with a relative error of at most 2⁻¹⁵⁰
(testing/exact.py).
"""
import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.similarity import (
    BLOCK,
    angle,
    angle_matrix,
    cosine,
    cosine_matrix,
    dot,
    dot_matrix,
    euclidean,
    euclidean_matrix,
    max_sim,
    textbook_cosine,
)
from scratch_embed.testing import check_similarity
from scratch_embed.testing.exact import exact_cosine, exact_distance, exact_dot, exact_root
from scratch_embed.testing.strategies import pairs
from tests.rounding import dtypes, gamma, seeds, u32, u64, unit_roundoff

all_measures = pytest.mark.parametrize("measure", [dot, cosine, euclidean, angle])
all_matrices = pytest.mark.parametrize("matrix, measure", [
    (dot_matrix, dot), (cosine_matrix, cosine), (euclidean_matrix, euclidean),
    (angle_matrix, angle)])


def gaussian(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# ---- values -----------------------------------------------------------------

def test_worked_by_hand():
    assert dot([1, 2, 3], [4, 5, 6]) == 32
    assert cosine([3, 0], [2, 2]) == pytest.approx(math.sqrt(0.5), rel=1e-15)
    assert euclidean([1, 1], [4, 5]) == 5
    assert angle([1, 0], [2, 2]) == pytest.approx(math.pi / 4, rel=1e-15)
    assert angle([1, 0], [0, 3]) == pytest.approx(math.pi / 2, rel=1e-15)
    assert angle([1, 2], [-2, -4]) == math.pi
    np.testing.assert_array_equal(l2_normalize([[3, 4], [0, 0]])[0], [[0.6, 0.8], [0, 0]])
    assert max_sim([[1, 0], [0, 1]], [[2, 1], [0, 5], [9, 0]]) == 9 + 5


@given(seeds)
def test_textbook_cosine_agrees_at_ordinary_scale_and_fails_at_1e_20_and_1e20(seed):
    a, b = gaussian(seed, 2, 100, dtype=np.float32)
    assert textbook_cosine(a, b) == pytest.approx(cosine(a, b), abs=1e-5)
    for scale in np.float32([1e-20, 1e20]):
        with np.errstate(all="ignore"):
            assert not np.isfinite(textbook_cosine(scale * a, scale * b))
        assert cosine(scale * a, scale * b) == pytest.approx(cosine(a, b), abs=4 * u32)


@pytest.mark.parametrize("a_scale", [1e-40, 1e-30, 1e-20, 1, 1e20, 1e30])
@pytest.mark.parametrize("b_scale", [1e-40, 1e-20, 1, 1e30])
def test_cosine_of_float32_is_accurate_where_squares_overflow_or_underflow(a_scale, b_scale):
    a, b = (a_scale * gaussian(1, 50, 100)).astype(np.float32), b_scale * gaussian(2, 50, 100)
    b = (b + a.astype(np.float64) * (b_scale / a_scale)).astype(np.float32)  # cosines about 0.7
    x, y = a.astype(np.float64), b.astype(np.float64)
    want = (x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))
    np.testing.assert_allclose(cosine(a, b), want, rtol=0, atol=2 * u32)
    np.testing.assert_allclose(np.diag(cosine_matrix(a, b)), want, rtol=0, atol=1e-6)


@pytest.mark.parametrize("f", [cosine, lambda a, b: cosine_matrix(a[None], b[None])[0, 0]])
def test_cosine_has_its_invariants_at_every_scale(f):
    check_similarity(f)


@dtypes
@given(st.data())
def test_cosine_equals_exact_arithmetic_up_to_rounding(dtype, data):
    """Sums run in float64, so the bound is that of float64, plus a rounding for float32 vectors."""
    a, b = data.draw(pairs(dtype))
    bound = 2 * gamma(len(a) + 2, u64) + (unit_roundoff(dtype) if dtype is np.float32 else 0)
    assert abs(Fraction(float(cosine(a, b))) - exact_cosine(a, b)) <= bound


@dtypes
@given(st.data())
def test_euclidean_equals_exact_arithmetic_up_to_rounding_at_every_scale(dtype, data):
    a, b = data.draw(pairs(dtype))
    with np.errstate(over="ignore"):
        ours = float(euclidean(a, b))
    want, info = exact_distance(a, b), np.finfo(dtype)
    relative = 3 * u32 if dtype is np.float32 else gamma(len(a) + 3, u64)
    if math.isinf(ours):
        assert want * Fraction(1 + relative) > float(info.max)
    else:
        tiny = Fraction(float(info.smallest_subnormal))
        assert abs(Fraction(ours) - want) <= Fraction(relative) * want + tiny


@dtypes
@given(st.data())
def test_dot_equals_exact_arithmetic_up_to_rounding(dtype, data):
    a, b = data.draw(pairs(dtype, -30, 30))
    want, terms = exact_dot(a, b), exact_dot(np.abs(a), np.abs(b))
    rounding = u32 * abs(want) if dtype is np.float32 else 0
    assert abs(Fraction(float(dot(a, b))) - want) <= 2 * gamma(len(a), u64) * terms + rounding


def test_float32_products_are_summed_in_float64():
    a = np.array([2**13, 1, 2**13], np.float32)
    assert dot(a, a * np.float32([1, 1, -1])) == 1               # 2²⁶ + 1 is not a float32


@dtypes
@given(st.data())
def test_l2_normalize_equals_exact_arithmetic_up_to_rounding_at_every_scale(dtype, data):
    """The bound is for a sum of D squares, a root and a quotient, computed in the input's type."""
    a, _ = data.draw(pairs(dtype))
    assume(a.any())
    norm, bound = exact_root(exact_dot(a, a)), gamma(len(a) + 3, unit_roundoff(dtype))
    for ours, x in zip(l2_normalize(a)[0], a):
        want = Fraction(float(x)) / norm
        assert abs(Fraction(float(ours)) - want) <= abs(want) * bound + Fraction(2) ** -148


@dtypes
@given(st.data())
def test_angle_equals_exact_arithmetic_up_to_rounding_at_every_scale(dtype, data):
    a, b = data.draw(pairs(dtype))
    cos = exact_cosine(a, b)
    far, near = exact_root(max(0, 2 - 2 * cos)), exact_root(max(0, 2 + 2 * cos))
    want = 2 * math.atan2(far, near)
    bound = 4 * gamma(len(a) + 2, u64) + (unit_roundoff(dtype) * want if dtype is np.float32 else 0)
    assert abs(angle(a, b) - want) <= bound


@given(st.integers(-1020, 30))
def test_the_smallest_angles_are_right_to_the_last_digits(k):
    h = 2.0**k
    assert angle([1.0, h], [1.0, 0.0]) == pytest.approx(math.atan(h), rel=gamma(8, u64), abs=0)
    assert angle([1.0, h], [-1.0, 0.0]) == pytest.approx(math.pi - math.atan(h), rel=gamma(8, u64))


def test_arccos_and_two_minus_two_cos_fail_for_small_angles_and_angle_does_not():
    a = l2_normalize(gaussian(0, 300, 100, dtype=np.float32))[0]
    perpendicular = gaussian(1, 300, 100)
    perpendicular -= (perpendicular * a).sum(1, keepdims=True) * a
    perpendicular, _ = l2_normalize(perpendicular)
    b, _ = l2_normalize((a + 1e-4 * perpendicular).astype(np.float32))    # about 1e-4 away
    x, y = a.astype(np.float64), b.astype(np.float64)
    want = np.sqrt(((x - y)**2).sum(1))
    dots = np.einsum("nd,nd->n", a, b)                           # all in float32
    naive = np.sqrt(np.maximum(2 - 2 * dots, 0))
    assert np.median(abs(naive - want) / want) > 0.5
    assert not np.arccos(cosine(a, b)).any()                     # 1 − θ²/2 rounds to 1
    assert abs(euclidean(a, b) - want).max() <= 3 * u32 * want.max()
    assert abs(np.diag(euclidean_matrix(a, b)) - want).max() <= 3 * u32 * want.max()
    np.testing.assert_allclose(angle(a, b), want, rtol=1e-6)     # θ²/24 is 4e-10
    np.testing.assert_allclose(np.diag(angle_matrix(a, b)), want, rtol=1e-6)


# ---- exact identities ---------------------------------------------------------

@all_measures
@dtypes
@given(st.data())
def test_exchanging_the_arguments_changes_no_bit(dtype, measure, data):
    a, b = data.draw(pairs(dtype, -60, 30, max_dim=40))
    np.testing.assert_array_equal(measure(a, b), measure(b, a))


@dtypes
@given(st.data())
def test_negating_a_vector_negates_its_normalised_form_and_dot_products(dtype, data):
    a, b = data.draw(pairs(dtype, max_dim=40))
    np.testing.assert_array_equal(l2_normalize(-a)[0], -l2_normalize(a)[0])
    u, v = l2_normalize(a)[0], l2_normalize(b)[0]
    assert dot(-u, v) == -dot(u, v)


@dtypes
@given(st.data())
def test_a_power_of_two_changes_no_bit_of_cosine_and_angle(dtype, data):
    a, b = data.draw(st.one_of(pairs(dtype), pairs(dtype, -30, 0)))
    span = np.finfo(dtype).maxexp
    k = data.draw(st.integers(-span - 20, span))
    with np.errstate(over="ignore"):
        scaled = np.ldexp(a, k)
    assume(np.array_equal(np.ldexp(scaled, -k), a))              # scaling lost no bit
    assert angle(scaled, b) == angle(a, b)
    np.testing.assert_array_equal(l2_normalize(scaled)[0], l2_normalize(a)[0])
    A, S, B = a[None], scaled[None], b[None]
    np.testing.assert_array_equal(cosine_matrix(S, B), cosine_matrix(A, B))
    np.testing.assert_array_equal(angle_matrix(B, S), angle_matrix(B, A))


@dtypes
@given(st.data())
def test_the_cosine_with_itself_is_exactly_one_and_with_its_negative_minus_one(dtype, data):
    a, _ = data.draw(pairs(dtype, max_dim=40))
    assume(a.any())
    assert cosine(a, a) == 1 and cosine(a, -a) == -1
    assert angle(a, a) == 0 and angle(a, -a) == dtype(math.pi)
    assert euclidean(a, a) == 0


@dtypes
def test_cosine_never_leaves_minus_one_to_one(dtype):
    a = gaussian(0, 20000, 7, dtype=dtype)
    for b in (3 * a, -7 * a):                                    # parallel up to rounding
        assert abs(cosine(a, b)).max() <= 1
        assert abs(cosine_matrix(a[:500], b[:500])).max() <= 1


@dtypes
@given(st.data())
def test_the_cosine_with_zero_is_zero(dtype, data):
    a, b = data.draw(pairs(dtype))
    zero = np.copysign(dtype(0), b)                              # some of them −0
    assert cosine(a, zero) == 0 == cosine(zero, zero)
    assert angle(a, zero) == dtype(math.pi / 2) == angle(zero, zero)
    assert not l2_normalize(zero)[0].any()
    np.testing.assert_array_equal(cosine_matrix(zero[None], a[None]), [[0]])


@dtypes
@given(st.data())
def test_distance_is_zero_only_between_equal_vectors(dtype, data):
    a, b = data.draw(pairs(dtype, -200, 100) if dtype is np.float64 else pairs(dtype, -148, 100))
    assert (euclidean(a, b) == 0) == np.array_equal(a, b)


@dtypes
@given(st.data(), st.integers(-60, 60))
def test_distance_scales_exactly_with_powers_of_two(dtype, data, k):
    a, b = data.draw(pairs(dtype, -30, 30))
    assert euclidean(np.ldexp(a, k), np.ldexp(b, k)) == np.ldexp(euclidean(a, b), k)


@all_measures
def test_the_memory_layout_changes_no_bit(measure):
    a, b = gaussian(0, 30, 17), gaussian(1, 30, 17)
    strided = np.zeros((30, 34))
    strided[:, ::2] = b
    np.testing.assert_array_equal(measure(np.asfortranarray(a), strided[:, ::2]), measure(a, b))


# ---- invariances up to rounding -------------------------------------------------

@given(seeds)
def test_a_rotation_changes_results_by_rounding_only(seed):
    R = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2    # exact
    a, b = gaussian(seed, 2, 4)
    # ‖aR − its rounding‖ <= 2γ(4) ‖a‖, likewise b
    norms = np.linalg.norm(a) + np.linalg.norm(b)
    assert abs(cosine(a @ R, b @ R) - cosine(a, b)) <= 12 * gamma(4 + 2, u64)
    assert abs(angle(a @ R, b @ R) - angle(a, b)) <= 16 * gamma(4 + 2, u64)
    assert abs(euclidean(a @ R, b @ R) - euclidean(a, b)) <= 4 * gamma(4 + 3, u64) * norms


@given(seeds)
def test_the_order_and_sign_of_the_dimensions_change_results_by_rounding_only(seed):
    a, b = gaussian(seed, 2, 12)
    rng = np.random.default_rng(seed)
    order, sign = rng.permutation(12), rng.choice([-1, 1], 12)
    assert abs(cosine((sign * a)[order], (sign * b)[order]) - cosine(a, b)) <= 4 * gamma(14, u64)
    assert euclidean(a[order], b[order]) == pytest.approx(euclidean(a, b), rel=2 * gamma(15, u64))


@given(seeds)
def test_the_squared_distance_of_unit_vectors_is_two_minus_two_cosines(seed):
    x, y = l2_normalize(gaussian(seed, 2, 9))[0]
    assert abs(euclidean(x, y)**2 - (2 - 2 * cosine(x, y))) <= 16 * gamma(9 + 3, u64)


@given(seeds, st.floats(0, 1))
def test_angle_and_cosine_agree(seed, mix):
    a, b = gaussian(seed, 2, 9)
    b = mix * a + (1 - mix) * b
    assert abs(math.cos(angle(a, b)) - cosine(a, b)) <= 8 * gamma(9 + 2, u64)
    assert abs(angle(a, b) + angle(a, -b) - math.pi) <= 8 * gamma(9 + 2, u64)
    assert 0 <= angle(a, b) <= math.pi


@given(seeds, st.floats(0, 1))
def test_the_triangle_inequality(seed, mix):
    a, b, c = gaussian(seed, 3, 5)
    b = mix * a + (1 - mix) * c + 1e-9 * b                       # nearly between a and c
    for distance, largest in ((euclidean, 20), (angle, math.pi)):
        assert distance(a, c) <= distance(a, b) + distance(b, c) + 12 * gamma(8, u64) * largest


@given(seeds)
def test_the_dot_product_never_exceeds_the_product_of_norms(seed):
    a, b = gaussian(seed, 2, 9)
    assert abs(dot(a, b)) <= euclidean(a, 0 * a) * euclidean(b, 0 * b) * (1 + 2 * gamma(12, u64))


# ---- shapes, types, nan -----------------------------------------------------------

@all_measures
@dtypes
def test_leading_axes_broadcast(measure, dtype):
    a, b = gaussian(0, 3, 1, 9, dtype=dtype), gaussian(1, 4, 9, dtype=dtype)
    ours = measure(a, b)
    assert ours.shape == (3, 4) and ours.dtype == dtype
    for i in range(3):
        for j in range(4):
            assert measure(a[i, 0], b[j]) == pytest.approx(ours[i, j],
                                                           abs=40 * unit_roundoff(dtype))


@all_matrices
@dtypes
@pytest.mark.parametrize("N, M, D", [(300, 70, 64), (70, 300, 64), (1, 1, 3), (0, 4, 3),
                                     (4, 0, 3), (3, 2, 0)])
def test_the_matrix_functions_equal_the_functions_of_pairs(matrix, measure, dtype, N, M, D):
    A, B = gaussian(0, N, D, dtype=dtype), gaussian(1, M, D, dtype=dtype)
    ours, want = matrix(A, B), measure(A[:, None], B)
    assert ours.shape == (N, M) and ours.dtype == dtype
    norms = 200 if matrix is dot_matrix else 1                   # ‖a‖ ‖b‖ is below 200 here
    tolerance = 2 * gamma(D + 2, unit_roundoff(dtype)) * norms
    if matrix in (euclidean_matrix, angle_matrix):
        tolerance = 100 * unit_roundoff(dtype)                   # no sum in float32
    np.testing.assert_allclose(ours, want, rtol=0, atol=tolerance)


def test_distances_of_a_table_larger_than_a_block():
    A, B = gaussian(0, 2, 600_000), gaussian(1, 2, 600_000)
    np.testing.assert_allclose(euclidean_matrix(A, B), euclidean(A[:, None], B), rtol=1e-12)


@pytest.mark.parametrize("N, M", [(3, 400_000), (400_000, 3)])
def test_memory_is_bounded_by_the_block_whichever_table_is_the_longer(N, M):
    A, B = np.ones((N, 8)), np.zeros((M, 8))
    tracemalloc.start()
    euclidean_matrix(A, B)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 4 * 8 * BLOCK + N * M * 8                     # all differences: 77 MB


@all_matrices
@pytest.mark.parametrize("scale", [1e-40, 1e30])
def test_the_matrix_functions_are_right_at_every_scale(matrix, measure, scale):
    A, B = (scale * gaussian(0, 5, 8)).astype(np.float32), gaussian(1, 6, 8, dtype=np.float32)
    if matrix is euclidean_matrix:
        B = (scale * B).astype(np.float32)
    want = measure(A[:, None], B)
    assert np.isfinite(want).all()
    tiny = 8 * np.finfo(np.float32).smallest_subnormal           # each sum of 8 may be rounded
    np.testing.assert_allclose(matrix(A, B), want, rtol=1e-5,
                               atol=1e-6 * abs(want).max() + tiny)


@all_measures
def test_nan_in_a_vector_gives_nan_even_with_a_zero_vector(measure):
    for other in ([1.0, 2.0], [0.0, 0.0]):
        assert np.isnan(measure([1.0, np.nan], other))
    assert np.isfinite(measure([[1.0, np.nan], [1.0, 2.0]], [1.0, 0.0])).tolist() == [False, True]


@pytest.mark.filterwarnings("error")
def test_a_vector_with_infinity_has_no_direction_and_infinite_distance():
    inf, one = [np.inf, 0.0], [1.0, 1.0]
    for other in (one, inf, [0.0, 0.0]):
        assert np.isnan(cosine(inf, other)) and np.isnan(angle(inf, other))
    assert np.isnan(l2_normalize(inf)[0]).any()
    assert np.isnan(cosine_matrix([inf, one], [one])).tolist() == [[True], [False]]
    assert euclidean(inf, one) == np.inf and np.isnan(euclidean(inf, inf))


@all_measures
def test_integers_become_float64_and_one_float64_makes_the_result_float64(measure):
    ints, floats = np.array([1, 2]), np.array([1, 2], np.float32)
    for pair in ((ints, ints), (ints, floats), (floats, ints)):
        assert measure(*pair).dtype == np.float64
    assert measure(floats, floats).dtype == np.float32
    assert l2_normalize(ints)[0].dtype == np.float64 and l2_normalize(floats)[0].dtype == np.float32
    with pytest.raises(TypeError):
        measure(ints + 1j, ints)


@all_measures
def test_different_dimensions_are_refused_and_both_shapes_named(measure):
    for a, b in [((2, 3), (4,)), ((2, 1), (2, 3)), ((), (3,))]:
        with pytest.raises(ValueError) as error:
            measure(np.ones(a), np.ones(b))
        assert str(a) in str(error.value) and str(b) in str(error.value)


@pytest.mark.parametrize("matrix", [dot_matrix, cosine_matrix, euclidean_matrix, angle_matrix])
def test_tables_of_wrong_shapes_are_refused_and_both_shapes_named(matrix):
    for a, b in [((2, 3), (2, 4)), ((3,), (2, 3)), ((1, 2, 3), (2, 3))]:
        with pytest.raises(ValueError, match="two tables") as error:
            matrix(np.ones(a), np.ones(b))
        assert str(a) in str(error.value) and str(b) in str(error.value)


def test_inputs_are_not_changed():
    a, b = gaussian(0, 3, 4), gaussian(1, 3, 4)
    before = a.copy(), b.copy()
    for f in (dot, cosine, euclidean, angle, dot_matrix, cosine_matrix, euclidean_matrix,
              angle_matrix, max_sim, lambda a, b: l2_normalize(a)[0]):
        f(a, b)
    np.testing.assert_array_equal((a, b), before)


# ---- max_sim ------------------------------------------------------------------------

@given(seeds)
def test_max_sim_is_no_less_than_any_alignment_and_equals_the_best(seed):
    Q, K = gaussian(seed, 3, 4), gaussian(seed + 1, 5, 4)
    rng = np.random.default_rng(seed)
    scores = Q @ K.T
    chosen = scores[np.arange(3), rng.integers(0, 5, 3)].sum()
    assert max_sim(Q, K) >= chosen - 8 * gamma(8, u64) * abs(scores).sum()
    assert max_sim(Q, K) == pytest.approx(sum(max(row) for row in scores.tolist()), rel=1e-12)
    assert max_sim(Q, K) == pytest.approx(max_sim(Q, K[rng.permutation(5)]), rel=1e-12)
    assert max_sim(Q, K) >= max_sim(Q, K[:4]) - 8 * gamma(8, u64) * abs(scores).sum()


def test_max_sim_without_keys_is_refused():
    assert max_sim(np.ones((0, 3)), np.ones((2, 3))) == 0
    with pytest.raises(ValueError, match="K: expected at least one row"):
        max_sim(np.ones((2, 3)), np.ones((0, 3)))

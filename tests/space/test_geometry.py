"""PCA, alignment, uniformity, isotropy: worked by hand, brute force over pairs, invariances."""
import itertools
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.geometry import (
    alignment,
    isotropy,
    mean_cosine,
    pca,
    project,
    uniformity,
)
from scratch_embed.space.similarity import cosine
from tests.rounding import seeds

shapes = st.tuples(st.integers(2, 12), st.integers(1, 6))


def gaussian(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def rotation(seed, D):
    return np.linalg.qr(gaussian(seed, D, D))[0]


def simplex(N):
    """N unit rows in which every two have cosine −1/(N − 1).  -> (N, N)"""
    return l2_normalize(np.eye(N) - 1 / N)[0]


# ---- PCA --------------------------------------------------------------------

def test_pca_worked_by_hand():
    X = np.array([[5, 1], [1, 1], [3, 2], [3, 0]])              # mean (3, 1); then (±2, 0), (0, ±1)
    found = pca(X, 2)
    np.testing.assert_allclose(found.mean, [3, 1])
    np.testing.assert_allclose(found.components, [[1, 0], [0, 1]], atol=1e-15)
    np.testing.assert_allclose(found.variances, [8 / 3, 2 / 3])
    np.testing.assert_allclose(project(X, found), [[2, 0], [-2, 0], [0, 1], [0, -1]], atol=1e-15)
    np.testing.assert_allclose(project([4, 1], found), [1, 0], atol=1e-15)


@given(seeds, shapes)
def test_components_are_orthonormal_and_coordinates_uncorrelated(seed, shape):
    X = gaussian(seed, *shape)
    found = pca(X, min(shape))
    np.testing.assert_allclose(found.components @ found.components.T, np.eye(min(shape)),
                               atol=1e-13)
    z = project(X, found)
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-13)
    np.testing.assert_allclose(z.T @ z / (len(X) - 1), np.diag(found.variances), atol=1e-12)
    assert (np.diff(found.variances) <= 0).all()
    assert found.variances.sum() == pytest.approx(X.var(0, ddof=1).sum())       # total variance
    np.testing.assert_allclose(z @ found.components + found.mean, X, atol=1e-12)


@given(seeds, st.integers(1, 4))
def test_pca_to_k_returns_the_first_k_components_of_the_full_pca(seed, k):
    X = gaussian(seed, 9, 5)
    few, full = pca(X, k), pca(X, 5)
    np.testing.assert_array_equal(few.components, full.components[:k])
    np.testing.assert_array_equal(few.variances, full.variances[:k])


@given(seeds)
def test_the_largest_entry_of_a_component_is_positive_also_for_the_negated_table(seed):
    X = gaussian(seed, 9, 4)
    found, negated = pca(X, 4), pca(-X, 4)
    largest = np.abs(found.components).argmax(1)
    assert (found.components[np.arange(4), largest] > 0).all()
    np.testing.assert_allclose(negated.components, found.components, atol=1e-9)


@given(seeds)
def test_a_shift_changes_only_the_mean_and_a_rotation_no_variance(seed):
    X, R = gaussian(seed, 9, 4), rotation(seed, 4)
    found, shifted, rotated = pca(X, 4), pca(X + 7, 4), pca(X @ R, 4)
    np.testing.assert_allclose(shifted.mean, found.mean + 7)
    np.testing.assert_allclose(shifted.variances, found.variances, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(rotated.variances, found.variances, rtol=1e-9, atol=1e-12)


@given(seeds)
def test_no_other_direction_has_more_variance_than_the_first(seed):
    X = gaussian(seed, 9, 4)
    along = (X - X.mean(0)) @ l2_normalize(gaussian(seed + 1, 4))[0]
    assert along @ along / 8 <= pca(X, 1).variances[0] * (1 + 1e-12)


def test_pca_equals_scikit_learns_up_to_signs():
    theirs = pytest.importorskip("sklearn.decomposition").PCA(3, svd_solver="full")
    X = gaussian(0, 50, 7)
    z = theirs.fit_transform(X)
    ours = pca(X, 3)
    np.testing.assert_allclose(ours.variances, theirs.explained_variance_, rtol=1e-12)
    sign = np.sign((ours.components * theirs.components_).sum(1))    # scikit-learn 1.5 changed them
    np.testing.assert_allclose(ours.components, sign[:, None] * theirs.components_, atol=1e-12)
    np.testing.assert_allclose(project(X, ours), sign * z, atol=1e-12)


@pytest.mark.parametrize("k", [0, 4])
def test_a_k_out_of_range_is_refused(k):
    with pytest.raises(ValueError, match=r"1 to 3.*\(5, 3\)"):
        pca(gaussian(0, 5, 3), k)


# ---- alignment and uniformity ---------------------------------------------------

def test_alignment_worked_by_hand():
    X, Y = np.eye(2), np.array([[1, 0], [0, -1]])                # distances 0 and 2
    assert alignment(X, Y) == 2 and alignment(X, Y, power=1) == 1
    assert alignment(X, X) == 0 and alignment(X, -X) == 4


@given(seeds)
def test_alignment_does_not_depend_on_rotation_or_the_order_of_pairs(seed):
    X, Y = l2_normalize(gaussian(seed, 2, 8, 5))[0]
    R, order = rotation(seed, 5), np.random.default_rng(seed).permutation(8)
    want = np.mean([2 - 2 * x @ y for x, y in zip(X, Y)])
    assert alignment(X, Y) == pytest.approx(want)
    assert alignment(X @ R, Y @ R) == pytest.approx(want)
    assert alignment(X[order], Y[order]) == pytest.approx(want)
    assert alignment(Y, X) == alignment(X, Y)


def test_alignment_does_not_broadcast():
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(1, 2\)"):
        alignment(np.ones((3, 2)), np.ones((1, 2)))


def test_uniformity_worked_by_hand():
    opposite = np.array([[1.0, 0], [-1, 0]])
    assert uniformity(opposite) == -8                            # −2 · 2²
    three = np.array([[1.0, 0], [-1, 0], [1, 0]])                # distances 2, 0 and 2
    assert uniformity(three, t=1) == pytest.approx(math.log((2 * math.exp(-4) + 1) / 3))
    assert uniformity(np.ones((5, 3))) == 0                      # collapsed
    assert uniformity(simplex(4)) == pytest.approx(-2 * (2 + 2 / 3))


@given(seeds, shapes, st.floats(0.1, 5), st.integers(1, 200))
def test_uniformity_is_the_log_of_a_mean_over_pairs_for_any_block(seed, shape, t, block):
    X = gaussian(seed, *shape)
    pairs = [math.exp(-t * ((x - y) @ (x - y))) for x, y in itertools.combinations(X, 2)]
    if min(pairs) > 0:
        assert uniformity(X, t, block) == pytest.approx(math.log(np.mean(pairs)), abs=1e-11)


@given(seeds)
def test_uniformity_of_unit_rows_is_in_minus_4t_to_0(seed):
    X = l2_normalize(gaussian(seed, 9, 3))[0]
    R, order = rotation(seed, 3), np.random.default_rng(seed).permutation(9)
    assert -8 <= uniformity(X) <= 0
    assert uniformity((X @ R)[order]) == pytest.approx(uniformity(X), abs=1e-12)
    assert uniformity(simplex(4)) <= uniformity(X[:4]) + 1e-12   # the minimum for 4 points


def test_uniformity_does_not_underflow():
    assert uniformity(np.array([[1.0, 0], [-1, 0]]), t=1e4) == -4e4          # exp(−4e4) is 0
    assert uniformity(simplex(3), t=1e4) == pytest.approx(-3e4)


def test_rounding_makes_no_squared_distance_negative():
    assert uniformity(np.repeat(l2_normalize(gaussian(0, 5, 30))[0], 2, axis=0), t=1e16) <= 0


def test_memory_of_uniformity_is_bounded_by_the_block():
    X, block = gaussian(0, 1500, 3), 1 << 14
    tracemalloc.start()
    uniformity(X, block=block)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= 8 * block * 8 + 3 * X.nbytes                  # all pairs at once: 18 MB


def test_distances_from_dot_products_are_accurate_enough_for_uniformity():
    centre, _ = l2_normalize(gaussian(0, 1, 50))
    X, _ = l2_normalize(centre + 1e-9 * gaussian(1, 40, 50))                 # nearly collapsed
    want = math.log(np.mean([math.exp(-2 * ((x - y) @ (x - y)))
                             for x, y in itertools.combinations(X, 2)]))
    n = (50 + 4) * 2.0**-53
    assert abs(uniformity(X) - want) <= 4 * 2 * n / (1 - n)


# ---- isotropy and mean cosine ---------------------------------------------------

def test_isotropy_worked_by_hand():
    X = np.array([[2.0, 0], [-2, 0], [0, 1], [0, -1]])           # XᵀX = diag(8, 2)
    wide, narrow = 2 + 2 * math.cosh(2), 2 + 2 * math.cosh(1)
    assert isotropy(X) == pytest.approx(narrow / wide)
    assert isotropy(np.array([[3.0, 0]])) == pytest.approx(math.exp(-6))     # e⁻³ against e³
    assert isotropy(np.zeros((4, 3))) == 1


@given(seeds)
def test_isotropy_is_a_ratio_and_does_not_depend_on_rotation_order_or_sign(seed):
    X = gaussian(seed, 12, 4) * [1, 2, 3, 4]
    R, order = rotation(seed, 4), np.random.default_rng(seed).permutation(12)
    assert 0 < isotropy(X) <= 1
    assert isotropy((X @ R)[order]) == pytest.approx(isotropy(X), rel=1e-8)
    assert isotropy(-X) == pytest.approx(isotropy(X), rel=1e-8)


def test_isotropy_does_not_overflow():
    assert isotropy(1e5 * np.array([[2.0, 0], [-2, 0], [0, 1], [0, -1]])) == 0
    assert isotropy(1000 * np.array([[1.0, 0], [-1, 0], [0, 1.001], [0, -1.001]])) == (
        pytest.approx(math.exp(-1), rel=1e-9))                   # (e¹⁰⁰⁰ + 2) / (e¹⁰⁰¹ + 2)


@given(seeds, shapes)
def test_mean_cosine_is_the_mean_over_pairs(seed, shape):
    X = gaussian(seed, *shape)
    X[0] *= seed % 2                                             # sometimes a row of zeros
    want = np.mean([cosine(x, y) for x, y in itertools.combinations(X, 2)])
    assert mean_cosine(X) == pytest.approx(want, abs=1e-13)
    assert mean_cosine(np.ldexp(X, -600)) == mean_cosine(X)


@pytest.mark.parametrize("N", [2, 3, 10])
def test_mean_cosine_is_lowest_for_the_simplex_and_one_for_one_direction(N):
    assert mean_cosine(simplex(N)) == pytest.approx(-1 / (N - 1))
    assert mean_cosine(np.arange(1, N + 1)[:, None] * [[1.0, 2.0]]) == pytest.approx(1)


@pytest.mark.parametrize("measure", [lambda X: pca(X, 1), uniformity, isotropy, mean_cosine,
                                     lambda X: alignment(X, X)])
def test_nan_too_few_rows_and_other_shapes_are_refused(measure):
    broken = np.ones((4, 2))
    broken[2, 1] = np.nan
    with pytest.raises(ValueError, match="1 rows.*row 2"):
        measure(broken)
    for X in (np.ones(3), np.ones((2, 2, 2)), np.ones((0, 2))):
        with pytest.raises(ValueError, match="table"):
            measure(X)

"""Prefixes have norm 1; no linear map to k dimensions has a smaller error than PCA to k."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.space.compress import prefix, principal
from scratch_embed.space.geometry import pca, project
from scratch_embed.space.neighbours import nearest
from scratch_embed.space.similarity import cosine_matrix
from tests.rounding import seeds


def table(seed, *shape):
    """Rows with a mean other than 0 and correlated dimensions of unequal variance."""
    rng = np.random.default_rng(seed)
    D = shape[-1]
    return rng.standard_normal(shape) @ rng.standard_normal((D, D)) + rng.standard_normal(D)


def test_a_prefix_worked_by_hand():
    x = np.array([[3.0, 4.0, 12.0], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(prefix(x, 2), [[0.6, 0.8], [0, 0]], rtol=1e-15)
    assert prefix(x.astype(np.float32), 2).dtype == np.float32


@given(seeds, st.integers(1, 8))
def test_products_of_prefixes_are_the_cosines_of_the_truncated_vectors(seed, dim):
    a, b = table(seed, 5, 8), table(seed + 1, 4, 8)
    want = cosine_matrix(a[:, :dim], b[:, :dim])
    assert abs(prefix(a, dim) @ prefix(b, dim).T - want).max() <= 4 * (dim + 2) * 2.0**-53


@given(seeds, st.integers(1, 7))
def test_a_prefix_of_a_prefix_is_the_shorter_prefix(seed, dim):
    x = table(seed, 5, 8)
    assert abs(prefix(prefix(x, 8), dim) - prefix(x, dim)).max() <= 4 * 10 * 2.0**-53


def test_a_prefix_of_higher_norm_outranks_a_nearer_one_unless_normalised():
    query, rows = np.array([[1.0, 0.0, 0.0]]), np.array([[0.6, 0.0, 0.8], [0.8, 0.6, 0.0]])
    assert nearest(query[:, :2], rows[:, :2], 1)[0].tolist() == [[1]]
    assert nearest(prefix(query, 2), prefix(rows, 2), 1)[0].tolist() == [[0]]   # its direction


@given(seeds, st.integers(1, 6))
def test_no_linear_map_loses_less_than_the_principal_components(seed, k):
    X = table(seed, 30, 6)
    found = pca(X, k)
    centred = X - found.mean
    error = ((centred - project(X, found) @ found.components)**2).sum()
    prefix_error = (centred[:, k:]**2).sum()
    other = np.linalg.qr(np.random.default_rng(seed).standard_normal((6, k)))[0]     # (6, k)
    other_error = ((centred - centred @ other @ other.T)**2).sum()
    assert error <= min(prefix_error, other_error) + 1e-12 * (centred**2).sum()
    dropped = pca(X, 6).variances[k:].sum() * 29
    assert error == pytest.approx(dropped, abs=1e-12 * (centred**2).sum())


@given(seeds)
def test_with_all_components_every_cosine_about_the_mean_is_kept(seed):
    X = table(seed, 30, 6)
    found = pca(X, 6)
    y = principal(X, found)
    assert abs(y @ y.T - cosine_matrix(X - found.mean, X - found.mean)).max() <= 1e-13


def test_principal_keeps_the_type_and_has_norm_1():
    X = table(0, 30, 6).astype(np.float32)
    y = principal(X, pca(X, 3))
    assert y.dtype == np.float32 and y.shape == (30, 3)
    np.testing.assert_allclose(y, l2_normalize(y)[0], rtol=0, atol=2.0**-23)
    assert principal(X[0], pca(X, 3)).shape == (3,)


@pytest.mark.parametrize("dim", [0, 7, -1])
def test_a_prefix_longer_than_the_vectors_or_empty_is_refused(dim):
    with pytest.raises(ValueError, match=rf"expected 1 to the dimension.*got {dim} for.*\(3, 6\)"):
        prefix(np.ones((3, 6)), dim)


def test_vectors_of_another_dimension_than_the_components_are_refused():
    with pytest.raises(ValueError, match=r"6 numbers.*got shape \(3, 5\)"):
        principal(np.ones((3, 5)), pca(table(0, 30, 6), 2))

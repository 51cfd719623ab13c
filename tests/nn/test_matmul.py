"""x Wᵀ by the kernel: worked by hand, equal to NumPy's product, and each row independent."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.nn import matmul
from scratch_embed.nn.matmul import BLOCK, FEW, MANY, matmul_kernel, matmul_transposed
from tests.rounding import gamma, seeds, u32

rows = st.integers(4, 20) | st.sampled_from([BLOCK - 1, BLOCK, BLOCK + 1, BLOCK + 4, 2 * BLOCK + 3])


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def by_kernel(x, W):
    """matmul_kernel on every processor; y is nan at first, so that no element is missed."""
    y = np.full((len(x), len(W)), np.nan, np.float32)
    matmul_kernel(x, W, y)
    return y


@pytest.mark.parametrize("product", [by_kernel, matmul_transposed])
def test_worked_by_hand(product):
    """Rows of W pick out one column of x, or add the columns."""
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    W = np.array([[1, 0], [0, 1], [1, 1], [-1, 0], [0, 2], [0, 0]], np.float32)
    assert product(x, W).tolist() == [[0, 1, 1, 0, 2, 0], [2, 3, 5, -2, 6, 0],
                                      [4, 5, 9, -4, 10, 0], [6, 7, 13, -6, 14, 0]]


@settings(max_examples=25)
@given(seeds, rows, st.integers(1, 70), st.integers(6, 20))
def test_the_kernel_equals_the_product_in_float64_up_to_rounding(seed, T, I, O):
    x, W = draw(seed, T, I), draw(seed + 1, O, I)
    error = abs(by_kernel(x, W) - x.astype(float) @ W.T)
    assert (error <= gamma(I + 1, u32) * (abs(x).astype(float) @ abs(W).T)).all()


@settings(max_examples=25)
@given(seeds, rows, st.integers(1, 70))
def test_no_bit_of_a_row_depends_on_the_other_rows_or_on_their_number(seed, T, I):
    x, W = draw(seed, T, I), draw(seed + 1, 9, I)
    y = by_kernel(x, W)
    np.testing.assert_array_equal(by_kernel(x[:4], W), y[:4])
    np.testing.assert_array_equal(by_kernel(np.ascontiguousarray(x[::-1]), W), y[::-1])


@settings(max_examples=25)
@given(seeds, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_all_sizes_and_memory_layouts_are_multiplied(seed, T, I, O):
    """Also those for which the kernel is not used: no rows, no columns, float64, strided arrays."""
    x, W = draw(seed, T, I), draw(seed + 1, O, I)
    expected = (x.astype(float) @ W.T).astype(np.float32)
    for a, b in ((x, W), (np.asfortranarray(x), W), (x, np.asfortranarray(W)),
                 (np.repeat(x, 2, 1)[:, ::2], W), (x.astype(float), W)):
        y = matmul_transposed(a, b)
        assert y.dtype == np.result_type(a, b)
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5)


def test_nan_and_inf_are_kept():
    x, W = draw(0, 5, 40), draw(1, 7, 40)
    x[1, 3], x[2, 5] = np.nan, np.inf
    y = by_kernel(x, W)
    assert np.isnan(y[1]).all() and (y[2] == np.sign(W[:, 5]) * np.inf).all()
    assert np.isfinite(np.delete(y, [1, 2], 0)).all()


def test_many_rows_are_left_to_blas_where_it_is_faster(monkeypatch):
    monkeypatch.setattr(matmul, "USE_KERNEL", True)
    for avx512 in (False, True):
        monkeypatch.setattr(matmul, "blas_has_avx512", lambda avx512=avx512: avx512)
        assert matmul.kernel_is_faster(FEW, 1) and matmul.kernel_is_faster(FEW, 2)
        assert matmul.kernel_is_faster(FEW + 1, 1) != avx512
        assert not matmul.kernel_is_faster(FEW + 1, 2)             # threads would cost more
        assert matmul.kernel_is_faster(2 * MANY, 2) != avx512
    monkeypatch.setattr(matmul, "USE_KERNEL", False)               # no AVX-512, or no compiler
    assert not matmul.kernel_is_faster(FEW, 1)


def test_several_threads_compute_the_same_bits(monkeypatch):
    x, W = draw(0, 2 * MANY + 1, 9), draw(1, 7, 9)
    monkeypatch.setattr(matmul, "kernel_is_faster", lambda rows, threads: True)
    found = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(matmul, "blas_threads", lambda threads=threads: threads)
        found.append(matmul_transposed(x, W))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])

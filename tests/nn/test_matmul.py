"""x Wᵀ + b by the kernel: worked by hand, equal to NumPy's product, and each row independent."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.nn import matmul
from scratch_embed.nn.matmul import PANEL, matmul_kernel, matmul_transposed
from tests.rounding import gamma, seeds, u32

rows, inputs, outputs = st.integers(8, 40), st.integers(16, 70), st.integers(PANEL, 3 * PANEL + 1)


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def by_kernel(x, W, b=None):
    """matmul_kernel on every processor; y is nan at first, so that no element is missed."""
    y = np.full((len(x), len(W)), np.nan, np.float32)
    matmul_kernel(x, W, np.zeros(len(W), np.float32) if b is None else b, y)
    return y


@pytest.mark.parametrize("product", [by_kernel, matmul_transposed])
def test_worked_by_hand(product):
    """W has one 1 in each row, at i = o mod 16: so y_to = x_t,(o mod 16) + b_o."""
    x = np.arange(128, dtype=np.float32).reshape(8, 16)
    W = np.tile(np.eye(16, dtype=np.float32), (2, 1))
    b = np.array([0.0] * 31 + [0.5], np.float32)
    y = product(x, W, b)
    assert y[0].tolist() == [*range(16), *range(15), 15.5]
    np.testing.assert_array_equal(y, np.hstack([x, x]) + b)


@settings(max_examples=25)
@given(seeds, rows, inputs, outputs)
def test_the_kernel_equals_the_product_in_float64_up_to_rounding(seed, T, I, O):
    x, W, b = draw(seed, T, I), draw(seed + 1, O, I), draw(seed + 2, O)
    error = abs(by_kernel(x, W, b) - (x.astype(float) @ W.T + b))
    assert (error <= gamma(I + 2, u32) * (abs(x).astype(float) @ abs(W).T + abs(b))).all()


@settings(max_examples=25)
@given(seeds, rows, inputs)
def test_no_bit_of_a_row_depends_on_the_other_rows_or_on_their_number(seed, T, I):
    x, W = draw(seed, T, I), draw(seed + 1, PANEL + 1, I)
    y = by_kernel(x, W)
    np.testing.assert_array_equal(by_kernel(x[:8], W), y[:8])
    np.testing.assert_array_equal(by_kernel(np.ascontiguousarray(x[::-1]), W), y[::-1])


@pytest.mark.skipif(not matmul.USE_KERNEL, reason="BLAS divides the work by the number of rows")
@settings(max_examples=25)
@given(seeds, st.integers(1, 30))
def test_a_row_has_the_same_bits_alone(seed, T):
    x, W = draw(seed, T, 20), draw(seed + 1, PANEL, 20)
    y = matmul_transposed(x, W)
    for t in range(T):
        np.testing.assert_array_equal(matmul_transposed(x[t:t + 1], W), y[t:t + 1])


@settings(max_examples=40)
@given(seeds, st.integers(0, 20), st.integers(0, 40), st.integers(0, 70), st.booleans())
def test_all_sizes_and_memory_layouts_are_multiplied(seed, T, I, O, biased):
    """Also those for which the kernel is not used: no rows, few columns, float64, strided W."""
    x, W, b = draw(seed, T, I), draw(seed + 1, O, I), draw(seed + 2, O) if biased else None
    expected = (x.astype(float) @ W.T + (b if biased else 0)).astype(np.float32)
    for x_, W_ in ((x, W), (np.asfortranarray(x), W), (x, np.asfortranarray(W)),
                   (np.repeat(x, 2, 1)[:, ::2], W), (x.astype(float), W)):
        y = matmul_transposed(x_, W_, b)
        assert y.dtype == np.result_type(x_, W_)
        np.testing.assert_allclose(y, expected, rtol=0, atol=2e-5)


def test_nan_and_inf_are_kept():
    x, W = draw(0, 9, 40), draw(1, PANEL, 40)
    x[1, 3], x[2, 5] = np.nan, np.inf
    y = by_kernel(x, W)
    assert np.isnan(y[1]).all() and (y[2] == np.sign(W[:, 5]) * np.inf).all()
    assert np.isfinite(np.delete(y, [1, 2], 0)).all()


def test_many_rows_are_left_to_blas_where_it_has_avx512(monkeypatch):
    monkeypatch.setattr(matmul, "USE_KERNEL", True)
    for avx512 in (False, True):
        monkeypatch.setattr(matmul, "blas_has_avx512", lambda avx512=avx512: avx512)
        assert matmul.kernel_is_faster(matmul.FEW)
        assert matmul.kernel_is_faster(matmul.FEW + 1) != avx512
    monkeypatch.setattr(matmul, "USE_KERNEL", False)               # no AVX-512, or no compiler
    assert not matmul.kernel_is_faster(matmul.FEW)


def test_several_threads_compute_the_same_bits(monkeypatch):
    x, W, found = draw(0, 41, 16), draw(1, PANEL, 16), []
    monkeypatch.setattr(matmul, "kernel_is_faster", lambda rows: True)
    monkeypatch.setattr(matmul, "WORTH_A_THREAD", 1)
    for threads in (1, 2, 3):
        monkeypatch.setattr(matmul, "blas_threads", lambda threads=threads: threads)
        found.append(matmul_transposed(x, W))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])

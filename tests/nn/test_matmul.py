"""a b + c by the kernel: worked by hand, equal to NumPy's product, and each row independent."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scratch_embed.nn import matmul as file
from scratch_embed.nn.matmul import PANEL, matmul, matmul_kernel
from tests.rounding import gamma, seeds, u32

rows, inputs, outputs = st.integers(8, 40), st.integers(16, 70), st.integers(PANEL, 3 * PANEL + 1)
booleans = st.booleans()


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def by_kernel(a, b, c=None):
    """matmul_kernel on every processor; y is nan at first, so that no element is missed."""
    y, transposed = np.full((len(a), b.shape[1]), np.nan, np.float32), not b.flags.c_contiguous
    matmul_kernel(a, (b.T if transposed else b).ravel(), transposed,
                  np.zeros(b.shape[1], np.float32) if c is None else c, y)
    return y


def column_by_column(x, yes):
    return np.asfortranarray(x) if yes else x


@pytest.mark.parametrize("product", [by_kernel, matmul])
@pytest.mark.parametrize("transposed", [False, True])
def test_worked_by_hand(product, transposed):
    """b is the identity twice: y is a beside a, plus c, which is ½ in the last column."""
    a = np.arange(128, dtype=np.float32).reshape(8, 16)
    b = column_by_column(np.hstack([np.eye(16, dtype=np.float32)] * 2), transposed)
    c = np.array([0.0] * 31 + [0.5], np.float32)
    y = product(a, b, c)
    assert y[0].tolist() == [*range(16), *range(15), 15.5]
    np.testing.assert_array_equal(y, np.hstack([a, a]) + c)


@settings(max_examples=25)
@given(seeds, rows, inputs, outputs, booleans, booleans)
def test_the_kernel_equals_the_product_in_float64_up_to_rounding(seed, T, I, O, a_by_columns,
                                                                 b_by_columns):
    a = column_by_column(draw(seed, T, I), a_by_columns)
    b, c = column_by_column(draw(seed + 1, I, O), b_by_columns), draw(seed + 2, O)
    error = abs(by_kernel(a, b, c) - (a.astype(float) @ b + c))
    assert (error <= gamma(I + 2, u32) * (abs(a).astype(float) @ abs(b) + abs(c))).all()


@settings(max_examples=25)
@given(seeds, rows, inputs, booleans)
def test_no_bit_of_a_row_depends_on_the_other_rows_or_on_their_number(seed, T, I, by_columns):
    a, b = draw(seed, T, I), column_by_column(draw(seed + 1, I, PANEL + 1), by_columns)
    y = by_kernel(a, b)
    np.testing.assert_array_equal(by_kernel(a[:8], b), y[:8])
    np.testing.assert_array_equal(by_kernel(np.ascontiguousarray(a[::-1]), b), y[::-1])


@pytest.mark.skipif(not file.USE_KERNEL, reason="BLAS divides the work by the number of rows")
@settings(max_examples=25)
@given(seeds, st.integers(1, 30))
def test_a_row_has_the_same_bits_alone(seed, T):
    a, b = draw(seed, T, 20), draw(seed + 1, 20, PANEL)
    y = matmul(a, b)
    for t in range(T):
        np.testing.assert_array_equal(matmul(a[t:t + 1], b), y[t:t + 1])


@settings(max_examples=40)
@given(seeds, st.integers(0, 20), st.integers(0, 40), st.integers(0, 70), booleans)
def test_all_sizes_and_memory_layouts_are_multiplied(seed, T, I, O, with_c):
    """Also those for which the kernel is not used: no rows, few columns, float64."""
    a, b, c = draw(seed, T, I), draw(seed + 1, I, O), draw(seed + 2, O) if with_c else None
    expected = (a.astype(float) @ b + (c if with_c else 0)).astype(np.float32)
    every_second = np.repeat(np.repeat(b, 2, 0), 2, 1)[::2, ::2]
    for a_, b_ in ((a, b), (np.asfortranarray(a), b), (a, np.asfortranarray(b)),
                   (np.repeat(a, 2, 1)[:, ::2], b), (a, every_second), (a.astype(float), b)):
        y = matmul(a_, b_, c)
        assert y.dtype == np.result_type(a_, b_)
        np.testing.assert_allclose(y, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("a, b, c", [((9, 20), (21, 40), 40), ((9, 40), (20, 40), 40),
                                     ((9, 20), (20, 40), 39), ((9, 20), (20, 40), 1)])
def test_shapes_that_do_not_fit_are_refused(a, b, c):
    """The kernel would read other memory."""
    with pytest.raises(ValueError, match="matmul: expected a .* and c .*, got"):
        matmul(draw(0, *a), draw(1, *b), draw(2, c))


def test_c_may_have_another_type_or_memory_layout():
    a, b, c = draw(0, 9, 20), draw(1, 20, PANEL), draw(2, 2 * PANEL)
    expected = matmul(a, b, c[::2].copy())
    np.testing.assert_array_equal(matmul(a, b, c[::2]), expected)
    np.testing.assert_array_equal(matmul(a, b, c[::2].astype(float)), expected)


def test_nan_and_inf_are_kept():
    a, b = draw(0, 9, 40), draw(1, 40, PANEL)
    a[1, 3], a[2, 5] = np.nan, np.inf
    y = by_kernel(a, b)
    assert np.isnan(y[1]).all() and (y[2] == np.sign(b[5]) * np.inf).all()
    assert np.isfinite(np.delete(y, [1, 2], 0)).all()


def test_many_rows_are_left_to_blas_where_it_has_avx512(monkeypatch):
    monkeypatch.setattr(file, "USE_KERNEL", True)
    for avx512 in (False, True):
        monkeypatch.setattr(file, "blas_has_avx512", lambda avx512=avx512: avx512)
        assert file.kernel_is_faster(file.FEW)
        assert file.kernel_is_faster(file.FEW + 1) != avx512
    monkeypatch.setattr(file, "USE_KERNEL", False)                 # no AVX-512, or no compiler
    assert not file.kernel_is_faster(file.FEW)


def test_several_threads_compute_the_same_bits(monkeypatch):
    a, b, found = draw(0, 41, 16), draw(1, 16, PANEL), []
    monkeypatch.setattr(file, "kernel_is_faster", lambda rows: True)
    monkeypatch.setattr(file, "WORTH_A_THREAD", 1)
    for threads in (1, 2, 3):
        monkeypatch.setattr(file, "blas_threads", lambda threads=threads: threads)
        found.append(matmul(a, b))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])

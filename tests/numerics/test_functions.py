"""exp32, sigmoid, softplus, softmax_row32 and erf64: error bounds, values and extreme arguments."""
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.numerics.functions import (
    EXP_LIMIT,
    erf64,
    exp32,
    largest32,
    sigmoid,
    softmax_row32,
    softplus,
)

ROOT = Path(__file__).parents[2]
exp32_arguments = st.floats(-float(EXP_LIMIT), float(EXP_LIMIT), width=32)


def largest_relative_error(kernel, exact, start, stop, n=20_000):
    """The largest relative error on a grid of n equally spaced numbers."""
    return max(abs(kernel(x) / exact(float(x)) - 1)
               for x in np.linspace(start, stop, n).astype(np.float32))


# ---- the error bounds in the module's docstring ------------------------------------------------

@given(exp32_arguments)
def test_the_error_of_exp32_is_within_its_bound(x):
    assert abs(exp32(np.float32(x)) / math.exp(x) - 1) <= 2**-23


def test_the_error_of_exp32_is_within_its_bound_on_a_grid():
    assert largest_relative_error(exp32, math.exp, -87, 87) <= 2**-23


def test_the_bound_holds_on_a_processor_without_fused_multiply_add():
    """Numba compiles for a generic processor, on which each product is rounded before the sum."""
    test = "tests/numerics/test_functions.py::test_the_error_of_exp32_is_within_its_bound_on_a_grid"
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", test], cwd=ROOT,
                          env={**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


# ---- values and extreme arguments ---------------------------------------------------------------

def test_known_values():
    assert exp32(np.float32(0)) == 1
    assert sigmoid(0.0) == 0.5
    assert softplus(0.0) == pytest.approx(math.log(2))
    assert erf64(np.array([0.5]))[0] == math.erf(0.5)


@pytest.mark.parametrize("softmax", [softmax_row32,
                                     getattr(softmax_row32, "py_func", softmax_row32)])
def test_the_softmax_of_a_row_worked_by_hand(softmax):
    """softmax(½ · 2 log (1, 3, 4)) = (1, 3, 4)/8.  Its error bound: tests/nn/test_softmax.py."""
    row = (2 * np.log([1, 3, 4])).astype(np.float32)
    softmax(row, np.float32(0.5))
    np.testing.assert_allclose(row, [1 / 8, 3 / 8, 4 / 8], rtol=16 * 2**-24)
    softmax(row[:1], np.float32(0.5))
    assert row[0] == 1


@pytest.mark.parametrize("largest", [largest32, getattr(largest32, "py_func", largest32)])
@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=40))
def test_the_largest_of_a_row_is_numpys(largest, numbers):
    """Also for ±0 and ±inf, and where all numbers are negative."""
    row = np.array(numbers, np.float32)
    assert largest(row) == row.max()


def test_nan_stays_nan():
    with np.errstate(invalid="raise"):                         # a cast of nan to an integer raises
        for function in (exp32, getattr(exp32, "py_func", exp32), sigmoid, softplus):
            assert math.isnan(function(np.float32("nan")))


@pytest.mark.parametrize("x", [np.inf, -np.inf, 1e30, -1e30])
def test_exp32_is_finite_and_not_0_for_extreme_arguments(x):
    assert 0 < exp32(np.float32(x)) < np.inf
    assert sigmoid(x) in (0, 1)


@given(st.floats(-700, -40))
def test_sigmoid_and_softplus_are_e_to_the_x_in_the_left_tail(x):
    """Although 1 + e^x rounds to 1, softplus(x) = log(1 + e^x) must not be 0."""
    for function in (sigmoid, softplus):
        assert float(function(x)) == pytest.approx(math.exp(x), rel=1e-12)


@given(st.floats(-700, 700))
def test_sigmoid_of_x_and_of_minus_x_sum_to_one(x):
    assert sigmoid(x) + sigmoid(-x) == pytest.approx(1, abs=4 * 2**-53)


@given(st.floats(-700, 700))
def test_softplus_of_minus_x_is_minus_log_sigmoid_of_x(x):
    assert softplus(-x) == pytest.approx(-math.log(sigmoid(x)), rel=1e-12, abs=1e-15)

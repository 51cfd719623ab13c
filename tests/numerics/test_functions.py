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
    erf32,
    erf64,
    exp32,
    sigmoid,
    sigmoid32,
    soften32,
    softplus,
    softplus32,
)

ROOT = Path(__file__).parents[2]
inside = st.floats(-float(EXP_LIMIT), float(EXP_LIMIT), width=32)
anything = st.floats(width=32, allow_nan=False)


def worst(kernel, exact, low, high, n=20_000):
    """The largest relative error over an even grid."""
    return max(abs(kernel(x) / exact(float(x)) - 1)
               for x in np.linspace(low, high, n).astype(np.float32))


# ---- error bounds, as the module states them --------------------------------------------------

@given(inside)
def test_exp_is_right_to_its_bound(x):
    assert abs(exp32(np.float32(x)) / math.exp(x) - 1) <= 2**-23


@given(inside)
def test_sigmoid_is_right_to_its_bound_in_both_tails(x):
    assert abs(sigmoid32(np.float32(x)) / float(sigmoid(x)) - 1) <= 2**-22


@given(inside)
def test_softplus_is_right_to_its_bound_in_both_tails(x):
    assert abs(softplus32(np.float32(x)) / float(softplus(x)) - 1) <= 2**-22


@given(anything)
def test_erf_is_right_to_its_bound_everywhere(x):
    assert abs(erf32(np.float32(x)) - math.erf(x)) <= 2**-20


def test_the_bounds_hold_on_a_grid():
    assert worst(exp32, math.exp, -87, 87) <= 2**-23
    assert worst(sigmoid32, lambda x: 1 / (1 + math.exp(-x)), -87, 87) <= 2**-22
    assert worst(softplus32, lambda x: float(softplus(x)), -87, 87) <= 2**-22


def test_the_bounds_hold_on_a_processor_without_fused_multiplication():
    """Numba compiles for any processor of this family; the sums are rounded more often there."""
    here = "tests/numerics/test_functions.py::test_the_bounds_hold_on_a_grid"
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", here], cwd=ROOT,
                          env={**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


# ---- values and ends ----------------------------------------------------------------------------

def test_values_known_by_heart():
    assert exp32(np.float32(0)) == 1
    assert sigmoid32(np.float32(0)) == sigmoid(0.0) == 0.5
    assert softplus(0.0) == pytest.approx(math.log(2))
    assert erf32(np.float32(0)) == pytest.approx(0, abs=2**-20)
    assert erf64(np.array([0.5]))[0] == math.erf(0.5)


@pytest.mark.parametrize("soften", [soften32, getattr(soften32, "py_func", soften32)])
def test_softening_a_row_worked_by_hand(soften):
    """Scores 2 log (1, 3, 4), halved: (1, 3, 4)/8.  tests/nn/test_softmax.py has its bound."""
    row = (2 * np.log([1, 3, 4])).astype(np.float32)
    soften(row, np.float32(0.5))
    np.testing.assert_allclose(row, [1 / 8, 3 / 8, 4 / 8], rtol=16 * 2**-24)
    soften(row[:1], np.float32(0.5))
    assert row[0] == 1


@pytest.mark.parametrize("function", [exp32, sigmoid32, softplus32, erf32])
def test_nan_stays_nan(function):
    assert math.isnan(function(np.float32("nan")))
    with np.errstate(invalid="raise"):                         # it is not cast to an integer
        assert math.isnan(getattr(function, "py_func", function)(np.float32("nan")))


@pytest.mark.parametrize("x", [np.inf, -np.inf, 1e30, -1e30])
def test_the_ends_are_finite_and_a_probability_is_never_zero(x):
    x = np.float32(x)
    assert 0 < exp32(x) < np.inf
    assert 0 < sigmoid32(x) <= 1
    assert abs(erf32(x)) <= 1
    assert sigmoid(np.float64(x)) in (0, 1)


@given(st.floats(-700, 700))
def test_the_two_answers_have_probabilities_that_sum_to_one(x):
    assert sigmoid(x) + sigmoid(-x) == pytest.approx(1, abs=4 * 2**-53)


@given(st.floats(-700, 700))
def test_softplus_is_minus_the_logarithm_of_the_opposite_sigmoid(x):
    assert softplus(-x) == pytest.approx(-math.log(sigmoid(x)), rel=1e-12, abs=1e-15)

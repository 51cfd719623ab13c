"""check_quantiser: faulty quantisers and this package's quantiser."""
from functools import partial

import numpy as np
import pytest

from scratch_embed.space import quantise as ours
from scratch_embed.testing import QUANTISER, check_quantiser
from tests.testing.broken_functions import assert_broken

LOW, HIGH = np.array([-1.0, 0.0, 100.0]), np.array([1.0, 0.01, 300.0])
STEP = (HIGH - LOW) / 255


def codes(X):
    return np.clip((X.astype(float) - LOW) / STEP, 0, 255).astype(np.uint8)


def middle(codes):
    """The middle of each code's step."""
    return LOW + (codes + 0.5) * STEP


def wraps(X):
    """Casts to a byte without clipping, so 256 becomes 0."""
    return np.floor(np.minimum(X.astype(float) - LOW, 1e6) / STEP).astype(np.int64).astype(np.uint8)


def own_range(X):
    """Codes in the range of X itself, not in LOW .. HIGH."""
    low, high = X.min(axis=0), X.max(axis=0)
    return np.clip((X - low) / np.where(high > low, high - low, 1) * 255, 0, 255).astype(np.uint8)


def negates_in_place(X):
    found = codes(X)
    X *= -1
    return found


@pytest.mark.parametrize("quantise, dequantise, names", [
    (codes, lambda c: LOW + c * STEP, "error outside"),                 # the lower end of a step
    (wraps, middle, "outside"),
    (lambda X: codes(X).astype(np.float32), middle, "whole_codes"),
    (negates_in_place, middle, "inputs_unchanged error"),
    (lambda X: codes(X) ^ 1, middle, "error monotone idempotent"),
    (codes, lambda c: middle(c) + STEP, "error idempotent outside")])
def test_the_broken_invariants_of_a_faulty_function_are_found(quantise, dequantise, names):
    assert_broken(names, check_quantiser, QUANTISER, quantise, dequantise, LOW, HIGH)


def test_a_range_computed_from_each_table_breaks_row_by_row():
    with pytest.raises(AssertionError, match="'row_by_row'"):
        check_quantiser(own_range, middle, LOW, HIGH, without=("error", "outside", "idempotent",
                                                               "monotone"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_our_quantiser_satisfies_all_invariants(dtype):
    low, high = np.append(LOW, 7), np.append(HIGH, 7)              # the last axis does not vary
    ranges = ours.calibrate(np.array([low, high], dtype))
    check_quantiser(partial(ours.quantise, ranges=ranges), partial(ours.dequantise, ranges=ranges),
                    low, high, dtype=dtype)


def test_a_correct_quantiser_passes():
    check_quantiser(codes, middle, LOW, HIGH)


def test_low_above_high_is_refused():
    with pytest.raises(ValueError, match="low ≤ high"):
        check_quantiser(codes, middle, HIGH, LOW)

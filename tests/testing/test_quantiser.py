"""check_quantiser: codes that are wrong in one way each, and ours."""
from functools import partial

import numpy as np
import pytest

from scratch_embed.space import quantise as ours
from scratch_embed.testing import QUANTISER, check_quantiser
from tests.testing.broken_functions import expect

LOW, HIGH = np.array([-1.0, 0.0, 100.0]), np.array([1.0, 0.01, 300.0])
STEP = (HIGH - LOW) / 255


def codes(X):
    return np.clip((X.astype(float) - LOW) / STEP, 0, 255).astype(np.uint8)


def middle(codes):
    return LOW + (codes + 0.5) * STEP


def wraps(X):
    """A cast without a clip: 256 becomes 0."""
    return np.floor(np.minimum(X.astype(float) - LOW, 1e6) / STEP).astype(np.int64).astype(np.uint8)


def own_range(X):
    low, high = X.min(axis=0), X.max(axis=0)
    return np.clip((X - low) / np.where(high > low, high - low, 1) * 255, 0, 255).astype(np.uint8)


def negates_in_place(X):
    found = codes(X)
    X *= -1
    return found


@pytest.mark.parametrize("quantise, dequantise, names", [
    (codes, lambda c: LOW + c * STEP, "error outside"),                 # truncates
    (wraps, middle, "outside"),
    (lambda X: codes(X).astype(np.float32), middle, "whole_codes"),
    (negates_in_place, middle, "inputs_unchanged error"),
    (lambda X: codes(X) ^ 1, middle, "error monotone idempotent"),
    (codes, lambda c: middle(c) + STEP, "error idempotent outside")])
def test_what_is_wrong_is_named(quantise, dequantise, names):
    expect(names, check_quantiser, QUANTISER, quantise, dequantise, LOW, HIGH)


def test_a_range_taken_from_each_table_is_found():
    with pytest.raises(AssertionError, match="'row_by_row'"):
        check_quantiser(own_range, middle, LOW, HIGH, without=("error", "outside", "idempotent",
                                                               "monotone"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ours_keeps_all(dtype):
    low, high = np.append(LOW, 7), np.append(HIGH, 7)              # the last axis does not vary
    ranges = ours.calibrate(np.array([low, high], dtype))
    check_quantiser(partial(ours.quantise, ranges=ranges), partial(ours.dequantise, ranges=ranges),
                    low, high, dtype=dtype)


def test_the_right_one_keeps_all():
    check_quantiser(codes, middle, LOW, HIGH)


def test_a_range_that_is_none_is_refused():
    with pytest.raises(ValueError, match="low ≤ high"):
        check_quantiser(codes, middle, HIGH, LOW)

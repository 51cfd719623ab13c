"""The checks of arguments: what they accept, and their messages."""
import numpy as np
import pytest

from scratch_embed.numerics.checks import (
    LARGEST,
    finite,
    require_function,
    require_number,
    require_whole,
)


@pytest.mark.parametrize("value", [1, 5, LARGEST, np.int32(7), np.uint8(1)])
def test_require_whole_returns_an_int(value):
    found = require_whole("dim", value, 1)
    assert found == value and type(found) is int


@pytest.mark.parametrize("value", [0, -1, LARGEST + 1, 1.0, "5", None, np.float32(2), np.nan])
def test_require_whole_rejects_other_values_by_name(value):
    with pytest.raises(ValueError, match=r"^dim=.*: expected a whole number, 1 to 2147483647$"):
        require_whole("dim", value, 1)


@pytest.mark.parametrize("value", [0, 0.0, 1e-300, 3, np.float32(0.5), np.int64(2)])
def test_require_number_returns_a_float(value):
    found = require_number("lr", value)
    assert found == value and type(found) is float


@pytest.mark.parametrize("value", [-1e-300, np.inf, -np.inf, np.nan, "1", None, 1j])
def test_require_number_rejects_other_values_by_name(value):
    with pytest.raises(ValueError, match=r"^lr=.*: expected a finite number, at least 0$"):
        require_number("lr", value)


def test_the_message_names_both_ends_of_the_range():
    assert require_number("dropout", 1.0, 0, 1) == 1
    with pytest.raises(ValueError, match=r"^dropout=1.5: expected a finite number, from 0 to 1$"):
        require_number("dropout", 1.5, 0, 1)


def test_require_function_rejects_the_name_of_a_function():
    assert require_function("method", len, "len") is len
    with pytest.raises(ValueError, match="^method='cbow': expected a function, such as cbow_c"):
        require_function("method", "cbow", "cbow_chunk")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_finite_finds_a_nan_or_infinity_at_any_position(value):
    table = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    assert finite(table, np.zeros((0, 3))) and finite()
    for position in np.ndindex(4, 3):
        changed = table.copy()
        changed[position] = value
        assert not finite(table, changed) and not finite(changed, table)

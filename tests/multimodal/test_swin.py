"""Windows of patches, their masks and biases, and merging: by hand, what they see, gradients."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.multimodal.swin import (
    BETWEEN_REGIONS,
    from_windows,
    layer_tensors,
    merge,
    merge_tensors,
    pair_index,
    swin_layer,
    to_windows,
    windows_of,
)
from scratch_embed.nn.activations import gelu
from scratch_embed.nn.gradcheck import check_parameters
from scratch_embed.nn.params import Normal, Params
from tests.rounding import seeds
from tests.transformer.causal_parity import random_params

SIZES = [(4, 4, 2, 0), (4, 4, 2, 1), (6, 6, 3, 1), (5, 5, 3, 1), (4, 6, 4, 2)]  # h, w, size, shift
sizes = pytest.mark.parametrize("sizes", SIZES)


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def layer(sizes, D=6, heads=3):
    """A layer with random parameters for a grid: f(x, p), p."""
    p = random_params(layer_tensors("", D, heads, 5, sizes[2], Normal(1)))
    windows = windows_of(*sizes)
    return lambda x, p: swin_layer(x, p, "", windows, heads, gelu, 1e-5), p


# ---- worked by hand ------------------------------------------------------------------------------

def test_the_windows_of_a_grid_of_4_x_4():
    assert windows_of(4, 4, 2, 0).order.reshape(4, 4).tolist() == [
        [0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    assert windows_of(4, 4, 2, 0).mask is None


def test_a_shift_rolls_the_grid_and_the_mask_separates_opposite_edges():
    """Rolled by 1, the last row is row 0 and the last column is column 0."""
    windows = windows_of(4, 4, 2, 1)
    assert windows.order.reshape(4, 4).tolist() == [
        [5, 6, 9, 10], [7, 4, 11, 8], [13, 14, 1, 2], [15, 12, 3, 0]]
    apart = windows.mask[:, 0] == BETWEEN_REGIONS                              # (W, t, t)
    assert not apart[0].any()                        # 5, 6, 9 and 10 are neighbours
    assert apart[1].tolist() == [[False, True] * 2, [True, False] * 2] * 2     # 7 and 11 | 4 and 8
    assert apart[2].tolist() == [[False, False, True, True]] * 2 + [[True, True, False, False]] * 2
    assert (apart[3] == ~np.eye(4, dtype=bool)).all()          # the four corners
    assert set(windows.mask.ravel()) == {0, BETWEEN_REGIONS}


def test_a_grid_that_is_no_multiple_of_the_window_is_padded_below_and_on_the_right():
    windows = windows_of(2, 3, 2, 0)
    assert windows.order.reshape(2, 4).tolist() == [[0, 1, 3, 4], [2, 6, 5, 6]]        # 6: padding
    x = 1 + np.arange(6.0).reshape(1, 6, 1)
    rows = to_windows(x, windows)
    assert rows[:, 0].tolist() == [1, 2, 4, 5, 3, 0, 6, 0]
    np.testing.assert_array_equal(from_windows(rows, windows), x)


def test_pairs_with_the_same_difference_share_a_row_of_the_bias_table():
    index = pair_index(3)
    row, column = np.divmod(np.arange(9), 3)
    differences = {}
    for i in range(9):
        for j in range(9):
            differences.setdefault((row[i] - row[j], column[i] - column[j]), set()).add(index[i, j])
    assert all(len(rows) == 1 for rows in differences.values())
    assert sorted(set().union(*differences.values())) == list(range(25))


def test_merging_puts_the_columns_of_a_square_one_after_the_other():
    """A matrix that keeps the first two numbers of the norm: at (0, 0), then at (1, 0) below."""
    p = Params({"norm.weight": (4,), "norm.bias": (4,), "linear.weight": (2, 4)}, np.float64)
    p["norm.weight"][...], p["linear.weight"][...] = 1, np.eye(2, 4)
    x = np.array([[[0], [2], [4], [6], [1], [3], [5], [7.0]]])                 # a grid of 2 x 4
    y, _ = merge(x, p, "", 2, 4)
    spread = np.sqrt(np.var([0, 1, 2, 3]) + 1e-5)
    np.testing.assert_allclose(y[0], [[-1.5 / spread, -0.5 / spread]] * 2, rtol=1e-12)


# ---- what a patch sees ---------------------------------------------------------------------------

def sees(sizes, changed):
    """The patches whose output changes if one patch changes.  -> (h·w,) bool"""
    f, p = layer(sizes)
    x = draw(0, 1, sizes[0] * sizes[1], 6)
    other = x.copy()
    other[0, changed, 0] += 1          # of one number: the norm removes a shift of all
    return ~np.isclose(f(x, p)[0], f(other, p)[0], rtol=0, atol=1e-12)[0].all(1)


def test_without_a_shift_a_patch_is_seen_in_its_own_window_only():
    assert np.flatnonzero(sees((4, 4, 2, 0), 5)).tolist() == [0, 1, 4, 5]


def test_with_a_shift_a_patch_is_seen_across_the_border_but_not_from_the_opposite_edge():
    assert np.flatnonzero(sees((4, 4, 2, 1), 5)).tolist() == [5, 6, 9, 10]
    assert np.flatnonzero(sees((4, 4, 2, 1), 0)).tolist() == [0]
    assert np.flatnonzero(sees((4, 4, 2, 1), 12)).tolist() == [12]
    assert np.flatnonzero(sees((4, 4, 2, 1), 7)).tolist() == [7, 11]


@given(seeds, st.sampled_from(SIZES))
def test_from_windows_undoes_to_windows_and_is_its_transpose(seed, sizes):
    windows = windows_of(*sizes)
    x = draw(seed, 2, sizes[0] * sizes[1], 3)
    rows = to_windows(x, windows)
    np.testing.assert_array_equal(from_windows(rows, windows), x)
    y = draw(seed + 1, *rows.shape)
    np.testing.assert_allclose((rows * y).sum(), (x * from_windows(y, windows)).sum(), rtol=1e-9)


@sizes
def test_an_image_does_not_depend_on_the_others_in_its_batch(sizes):
    f, p = layer(sizes)
    x = draw(1, 3, sizes[0] * sizes[1], 6)
    np.testing.assert_allclose(f(x, p)[0][1], f(x[1:2], p)[0][0], rtol=0, atol=1e-12)


# ---- gradients, errors ---------------------------------------------------------------------------

@sizes
def test_the_layers_backward_is_the_derivative(sizes):
    f, p = layer(sizes)
    check_parameters(f, draw(2, 2, sizes[0] * sizes[1], 6), p)


def test_merges_backward_is_the_derivative():
    p = random_params(merge_tensors("", 3, Normal(1)))
    check_parameters(lambda x, p: merge(x, p, "", 2, 4), draw(3, 2, 8, 3), p)


def test_heads_must_divide_the_dimension():
    with pytest.raises(ValueError, match="heads: expected a divisor of dim=6, got 4"):
        layer_tensors("", 6, 4, 8, 2, Normal(1))

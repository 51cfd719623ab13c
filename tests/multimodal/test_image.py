"""Resizing, cropping and colours: by hand, invariants, and equality with Pillow."""
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.multimodal.image import (
    bicubic,
    bilinear,
    centre_crop,
    filter_weights,
    resample_kernel,
    resample_numpy,
    resize,
    shortest_edge,
    to_rgb,
)
from tests.rounding import seeds

sides = st.integers(1, 24)
filters = st.sampled_from([bilinear, bicubic])


def draw(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


# ---- worked by hand ------------------------------------------------------------------------------

def test_half_the_size_by_a_triangle():
    """s = r = 2, the centre of output 0 is 1: inputs at ½, 1½, 2½ have weights ¾, ¾, ¼."""
    first, weights = filter_weights(4, 2, bilinear)
    assert first.tolist() == [0, 1]
    np.testing.assert_allclose(weights / 2**22, [[3 / 7, 3 / 7, 1 / 7], [1 / 7, 3 / 7, 3 / 7]],
                               atol=2**-22)
    assert resize(np.array([[0, 70, 210, 0]], np.uint8), 1, 2).shape == (1, 2)
    assert resize(np.array([[0, 70, 210, 0]], np.uint8), 1, 2, bilinear).tolist() == [[60, 100]]


def test_a_cubic_at_twice_the_size():
    """Output 4 has its centre at 2¼: a quarter left of the centre of input 2, 2½."""
    first, weights = filter_weights(6, 12, bicubic)
    distances = np.array([1.75, 0.75, -0.25, -1.25])               # of inputs 0, 1, 2, 3
    assert first[4] == 0
    np.testing.assert_allclose(weights[4, :4] / 2**22, bicubic(distances), atol=2**-22)


def test_the_cubic_is_1_at_0_and_0_at_other_whole_numbers():
    np.testing.assert_array_equal(bicubic(np.array([0.0, 1, -1, 2, 3])), [1, 0, 0, 0, 0])
    assert bicubic(np.array([1.5])) == -0.0625
    assert bilinear(np.array([0.25, -0.25, 1])).tolist() == [0.75, 0.75, 0]


@pytest.mark.parametrize("size, expected", [
    (3, [2, 3, 4]), (2, [2, 3]), (6, [0, 1, 2, 3, 4, 5]), (8, [0, 0, 1, 2, 3, 4, 5, 0])])
def test_the_centre_of_five_columns(size, expected):
    """An odd margin: one more column is cut off at the end, one more zero is at the start."""
    assert centre_crop(np.array([[1, 2, 3, 4, 5]], np.uint8), 1, size).tolist() == [expected]


def test_a_shortest_edge():
    assert shortest_edge(480, 640, 224) == (224, 298)
    assert shortest_edge(640, 480, 224) == (298, 224)
    assert shortest_edge(7, 7, 3) == (3, 3)


# ---- invariants ----------------------------------------------------------------------------------

@given(height=sides, width=sides, new_height=sides, new_width=sides, f=filters,
       grey=st.integers(0, 255))
def test_a_constant_image_stays_constant(height, width, new_height, new_width, f, grey):
    """Up to 0: the rounded weights of an output sum to 2²² within a few units."""
    image = np.full((height, width, 3), grey, np.uint8)
    np.testing.assert_array_equal(resize(image, new_height, new_width, f),
                                  np.full((new_height, new_width, 3), grey))


@given(seed=seeds, height=sides, width=sides, new_height=sides, new_width=sides, f=filters)
def test_flipping_commutes_with_resizing(seed, height, width, new_height, new_width, f):
    """Up to one grey level: halves are rounded up, also of a flipped image's weights."""
    image = draw(seed, height, width)
    flipped = resize(image[:, ::-1], new_height, new_width, f)[:, ::-1].astype(int)
    assert abs(flipped - resize(image, new_height, new_width, f)).max() <= 1


@given(seed=seeds, height=sides, width=sides, f=filters)
def test_the_same_size_changes_nothing(seed, height, width, f):
    image = draw(seed, height, width, 3)
    np.testing.assert_array_equal(resize(image, height, width, f), image)


@given(seed=seeds, height=sides, width=sides)
def test_channels_do_not_mix(seed, height, width):
    image = draw(seed, 9, 7, 3)
    whole = resize(image, height, width)
    for channel in range(3):
        np.testing.assert_array_equal(whole[..., channel],
                                      resize(image[..., channel], height, width))


def test_fine_stripes_become_grey():
    """Black and white columns, ten times smaller; without antialiasing they would stay stripes."""
    stripes = np.tile(np.array([0, 255], np.uint8), 200)[None].repeat(40, 0)
    assert abs(resize(stripes, 4, 40).astype(int) - 127.5).max() < 4


@given(seed=seeds, inputs=sides, B=st.integers(1, 4), outputs=sides, f=filters)
def test_the_kernel_equals_the_numpy_form(seed, inputs, B, outputs, f):
    x, y = draw(seed, inputs, B), np.empty((outputs, B), np.uint8)
    first, weights = filter_weights(inputs, outputs, f)
    resample_kernel(x, first, weights, y)
    np.testing.assert_array_equal(y, resample_numpy(x, first, weights))


# ---- Pillow --------------------------------------------------------------------------------------

@given(seed=seeds, height=sides, width=sides, new_height=sides, new_width=sides, f=filters,
       colour=st.booleans())
def test_resizing_equals_pillow(seed, height, width, new_height, new_width, f, colour):
    """Every pixel.  Before version 13 Pillow had another order of the axes: then one ratio only."""
    PIL = pytest.importorskip("PIL")
    from PIL import Image
    if int(PIL.__version__.split(".")[0]) < 13:
        new_height, new_width = shortest_edge(height, width, min(new_height, new_width))
    image = draw(seed, *((height, width, 3) if colour else (height, width)))
    theirs = Image.fromarray(image).resize((new_width, new_height), {bilinear: 2, bicubic: 3}[f])
    np.testing.assert_array_equal(resize(image, new_height, new_width, f), np.asarray(theirs))


@pytest.mark.parametrize("height, width, size", [(375, 500, 224), (1200, 300, 64), (3, 700, 50)])
def test_a_photograph_size_equals_pillow(height, width, size):
    pytest.importorskip("PIL")
    from PIL import Image
    image = draw(0, height, width, 3)
    new_height, new_width = shortest_edge(height, width, size)
    theirs = Image.fromarray(image).resize((new_width, new_height), Image.Resampling.BICUBIC)
    ours = resize(image, new_height, new_width).astype(int)
    assert abs(ours - np.asarray(theirs)).max() <= (1 if height < 2 * width else 20)


# ---- channels ------------------------------------------------------------------------------------

def test_grey_and_alpha():
    grey = np.array([[7, 200]], np.uint8)
    assert to_rgb(grey).tolist() == [[[7, 7, 7], [200, 200, 200]]]
    np.testing.assert_array_equal(to_rgb(grey[..., None]), to_rgb(grey))
    half = np.array([[[7, 255], [200, 0]]], np.uint8)              # opaque, transparent
    assert to_rgb(half).tolist() == [[[7, 7, 7], [255, 255, 255]]]
    rgba = np.array([[[0, 100, 200, 51]]], np.uint8)               # a fifth of it, on white
    assert to_rgb(rgba).tolist() == [[[204, 224, 244]]]


@given(seed=seeds)
def test_alpha_equals_pillows_composite_to_one_grey_level(seed):
    pytest.importorskip("PIL")
    from PIL import Image
    image = draw(seed, 5, 6, 4)
    white = Image.new("RGBA", (6, 5), (255, 255, 255, 255))
    theirs = Image.alpha_composite(white, Image.fromarray(image)).convert("RGB")
    assert abs(to_rgb(image).astype(int) - np.asarray(theirs)).max() <= 1


@pytest.mark.parametrize("image", [
    np.zeros((2, 2), np.float32), np.zeros((2, 2, 5), np.uint8), np.zeros(4, np.uint8),
    np.zeros((0, 3), np.uint8), np.zeros((1, 2, 2, 3), np.uint8), [[1]], None])
def test_what_is_not_an_image_is_refused(image):
    for f in (to_rgb, lambda image: resize(image, 2, 2)):
        with pytest.raises(ValueError, match="image: expected uint8 pixels"):
            f(image)


@pytest.mark.parametrize("image, remedy", [
    ([[1]], "got list; use np.asarray"),
    (np.zeros((2, 2), np.float32), "float32 (2, 2); scale it to 0..255"),
    (np.zeros((3, 9, 9), np.uint8), "uint8 (3, 9, 9); put the channels last")])
def test_the_message_says_what_to_do(image, remedy):
    with pytest.raises(ValueError, match=re.escape(remedy)):
        to_rgb(image)


def test_a_size_below_1_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 0 x 3"):
        resize(np.zeros((2, 2), np.uint8), 0, 3)

"""CLAP's audio tower: the square by hand, resizing as torch, constant statistics, gradients."""
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.multimodal.htsat import (
    Config,
    check,
    embed,
    encode,
    freeze_statistics,
    infer,
    normalise_bins,
    resize_matrix,
    tensors,
    to_square,
)
from scratch_embed.nn.gradcheck import check_backward, check_loss
from scratch_embed.nn.params import Params
from tests.rounding import dtypes, seeds
from tests.transformer.causal_parity import random_params

TINY = Config(mels=8, size=16, patch=4, stride=2, dim=4, depths=(2, 1), heads=(2, 1), window=2,
              ff_ratio=1.5)


def draw(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def params(dtype=np.float64, config=TINY):
    p = random_params(tensors(config), 0, dtype)
    p["audio.mel_norm.var"][...] = abs(p["audio.mel_norm.var"]) + 0.5
    return freeze_statistics(p)


# ---- worked by hand ------------------------------------------------------------------------------

def test_frames_are_folded_into_parts_which_are_stacked_low_bins_first():
    """Two bins, a square of 4: frames 0 .. 3 are rows 0 and 1, frames 4 .. 7 are rows 2 and 3."""
    config = Config(mels=2, size=4)
    mels = np.stack([np.arange(8.0), 10 + np.arange(8)], axis=1)[None]         # (1, 8, 2)
    square, _ = to_square(mels, config)
    assert square[0, 0].tolist() == [[0, 1, 2, 3], [10, 11, 12, 13], [4, 5, 6, 7],
                                     [14, 15, 16, 17]]


def test_bicubic_weights_halfway_between_two_inputs():
    """Keys's kernel at distances ½ and 3/2, a = −¾: 19/32 and −3/32; beyond the ends it repeats."""
    R = resize_matrix(5, 9)
    np.testing.assert_allclose(R[3], [-3 / 32, 19 / 32, 19 / 32, -3 / 32, 0], atol=1e-15)
    np.testing.assert_allclose(R[1], [16 / 32, 19 / 32, -3 / 32, 0, 0], atol=1e-15)
    np.testing.assert_allclose(R[::2], np.eye(5), atol=1e-15)              # the inputs themselves


@dtypes
def test_each_bin_is_normalised_with_constants(dtype):
    p = Params({f"n.{name}": (2,) for name in ("weight", "bias", "mean", "var")}, dtype)
    p["n.weight"][...], p["n.bias"][...] = [2, 3], [0.5, 0]
    p["n.mean"][...], p["n.var"][...] = [1, -1], [4, 1]
    y, _ = normalise_bins(np.array([[[5, -1], [1, 0]]], dtype), p, "n")
    np.testing.assert_allclose(y, [[[4.5, 0], [0.5, 3]]], rtol=1e-5)


def test_the_statistics_are_those_of_all_frames_of_all_sounds_and_frozen():
    mels = draw(0, 3, 5, 8)
    p = freeze_statistics(random_params(tensors(TINY)), mels)
    np.testing.assert_allclose(p["audio.mel_norm.mean"], mels.reshape(-1, 8).mean(0), rtol=1e-12)
    np.testing.assert_allclose(p["audio.mel_norm.var"], mels.reshape(-1, 8).var(0), rtol=1e-12)
    assert set(p.frozen) == {"audio.mel_norm.mean", "audio.mel_norm.var"}
    with pytest.raises(ValueError, match="read-only"):
        p["audio.mel_norm.mean"][0] = 0


# ---- what must hold ------------------------------------------------------------------------------

@given(st.integers(1, 40), st.integers(2, 60))
def test_resizing_keeps_constants_and_the_ends_and_has_no_direction(before, after):
    R = resize_matrix(before, after)
    np.testing.assert_allclose(R.sum(1), 1, atol=1e-12)
    ends = np.zeros((2, before))
    ends[0, 0] = ends[1, -1] = 1
    np.testing.assert_allclose(R[[0, -1]], ends, atol=1e-9)
    np.testing.assert_allclose(R[::-1, ::-1], R, atol=1e-9)


@given(seeds, st.integers(1, 32))
def test_a_sounds_vector_depends_on_itself_alone_and_infer_gives_the_same(seed, frames):
    p, mels = params(), draw(seed, 3, frames, 8)
    y = infer(mels, p, TINY)
    assert y.shape == (3, TINY.width)
    np.testing.assert_allclose(infer(mels[1:2], p, TINY)[0], y[1], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(encode(mels, p, TINY)[0], y)


def test_every_frame_and_every_bin_counts():
    p, mels = params(), draw(1, 1, 20, 8)
    y = infer(mels, p, TINY)
    for axis, places in ((1, 20), (2, 8)):
        for place in range(places):
            other = mels.copy()
            np.moveaxis(other, axis, 0)[place] += 0.1
            assert abs(infer(other, p, TINY) - y).max() > 1e-6


# ---- gradients, float32 --------------------------------------------------------------------------

@pytest.mark.parametrize("frames", [1, 20, 32])
def test_the_backward_of_the_square_is_the_derivative(frames):
    check_backward(lambda mels: to_square(mels, TINY), draw(0, 2, frames, 8))


@pytest.mark.parametrize("config", [TINY, TINY._replace(qkv_bias=False, patch=2, depths=(3,),
                                                        heads=(2,), window=3)])
def test_the_backward_of_the_tower_is_the_derivative(config):
    mels, push = draw(0, 2, 20, 8), draw(1, 2, config.width)

    def loss(p):
        y, backward = encode(mels, p, config)
        return (y * push).sum(), lambda g: backward(push, g)
    check_loss(loss, params(config=config))


def test_float32_is_near_float64():
    mels = draw(2, 3, 20, 8, dtype=np.float32)
    y = infer(mels.astype(np.float64), params(), TINY)
    single = infer(mels, params(np.float32), TINY)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, y, rtol=0, atol=1e-5)


# ---- wrong input ---------------------------------------------------------------------------------

@pytest.mark.parametrize("shape", [(1, 33, 8), (1, 0, 8), (1, 20, 7)])
def test_mels_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match="1 to 32 frames, 8 bins.*got " + re.escape(str(shape))):
        embed(np.zeros(shape), params(), TINY)


@pytest.mark.parametrize("changes, message", [
    ({"heads": (2,)}, "heads: expected one number for each of 2 stages"),
    ({"mels": 7}, "size: expected a multiple of mels=7, got 16"),
    ({"stride": 3, "patch": 3}, r"size: expected a multiple of stride · 2\^.* = 6"),
    ({"window": 5}, "window: expected at most the side of the last stage's grid, 4"),
    ({"patch": 3}, "patch: expected stride=2 or more by an even number, got 3"),
    ({"dim": 3}, "heads: expected a divisor of dim=3, got 2")])
def test_sizes_that_do_not_fit_each_other_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        tensors(TINY._replace(**changes))
    check(TINY)


# ---- torch ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("before, after", [(1, 7), (2, 5), (13, 16), (50, 64), (9, 9)])
def test_resizing_equals_torchs_interpolate(before, after):
    torch = pytest.importorskip("torch")
    x = draw(before, before, 3)
    theirs = torch.nn.functional.interpolate(torch.from_numpy(x)[None, None], (after, 3),
                                             mode="bicubic", align_corners=True)[0, 0]
    np.testing.assert_allclose(resize_matrix(before, after) @ x, theirs, rtol=0, atol=1e-12)

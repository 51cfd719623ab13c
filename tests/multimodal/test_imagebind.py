"""ImageBind: worked by hand, gradients, parity with the original's own code, and training.

With IMAGEBIND=CHECKOUT in the environment, the parity is also tested live: see
tests/golden/make_imagebind.py for what a checkout needs.
"""
import os
from pathlib import Path

import numpy as np
import pytest

from scratch_embed.losses.infonce import symmetric_infonce
from scratch_embed.multimodal import clip, vit
from scratch_embed.multimodal.imagebind import (
    SCALE,
    Sense,
    add_vectors,
    batch_loss,
    cut,
    encode,
    frozen,
    infer,
    sense_tensors,
    train,
    trunk,
)
from scratch_embed.multimodal.imagebind_files import from_original
from scratch_embed.nn.activations import gelu
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import init_params
from scratch_embed.nn.pre_norm import Trunk
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.safetensors import read_safetensors
from scratch_embed.text.packed import pack
from scratch_embed.training.session import RunOptions
from tests.golden import make_imagebind as golden

MAP = Sense((2, 7, 9), 4, 2, trunk(6, 2, 2), 10.0)                 # patches overlap, with a margin
SIGNAL = Sense((3, 13), 4, 4, trunk(4, 1, 2), 5.0)
BOTH = pytest.mark.parametrize("sense", [MAP, SIGNAL], ids=["map", "signal"])


def drawn(sense, N=3, E=5, dtype=np.float64, seed=0):
    """Inputs, and a tower with perturbed norms and biases."""
    rng = np.random.default_rng(seed)
    p = init_params(sense_tensors(sense, E, "s."), seed, dtype)
    p.flat += 0.3 * rng.standard_normal(len(p.flat))
    return rng.standard_normal((N, *sense.shape)).astype(dtype), p


# ---- patches -------------------------------------------------------------------------------------

def test_a_signal_is_cut_into_windows_channel_by_channel():
    x = np.arange(2 * 7.0).reshape(1, 2, 7)                        # channels 0 .. 6 and 7 .. 13
    sense = Sense((2, 7), 3, 3, trunk(4, 1, 1), 1.0)
    assert cut(x, sense).tolist() == [[[0, 1, 2, 7, 8, 9], [3, 4, 5, 10, 11, 12]]]
    assert sense.tokens == 3


def test_a_map_is_cut_into_overlapping_squares():
    x = np.arange(15.0).reshape(1, 1, 3, 5)
    sense = Sense((1, 3, 5), 2, 2, trunk(4, 1, 1), 1.0)
    assert cut(x, sense).tolist() == [[[0, 1, 5, 6], [2, 3, 7, 8]]]
    assert MAP.tokens == 2 * 3 + 1
    assert Sense((1, 128, 204), 16, 10, trunk(768, 12, 12), 20).tokens == 12 * 19 + 1


@BOTH
def test_inputs_of_another_shape_are_refused(sense):
    x, p = drawn(sense)
    for wrong in x[0], x[..., 1:], x[:0]:
        with pytest.raises(ValueError, match="input: expected"):
            encode(wrong, p, sense, "s.")
    with pytest.raises(ValueError, match="patch: expected 1 to"):
        sense_tensors(sense._replace(patch=20), 5, "s.")


# ---- forward and backward ------------------------------------------------------------------------

@BOTH
def test_gradients(sense):
    x, p = drawn(sense)
    images = np.random.default_rng(1).standard_normal((3, 5))

    def loss(p):
        value, backward = batch_loss(x, images, p, sense, "s.")
        return value, lambda g: backward([g])
    check_loss(loss, p)


def test_the_images_get_their_gradient_too():
    x, p = drawn(MAP)
    images = np.random.default_rng(1).standard_normal((3, 5))
    _, backward = batch_loss(x, images, p, MAP, "s.")
    dimages = backward([p.like()])
    _, expected, _ = symmetric_infonce(infer(x, p, MAP, "s."), images, 1 / MAP.scale)[1]()
    np.testing.assert_allclose(dimages, expected, rtol=1e-12)


@BOTH
def test_inference_is_the_forward_pass_and_no_input_changes_another(sense):
    x, p = drawn(sense, N=4)
    y = infer(x, p, sense, "s.")
    assert np.array_equal(y, encode(x, p, sense, "s.")[0])
    np.testing.assert_allclose(infer(x[1:2], p, sense, "s."), y[1:2], rtol=0, atol=1e-12)


def test_two_workers_compute_the_gradient_of_one():
    x, p = drawn(MAP, N=5)
    images = np.random.default_rng(1).standard_normal((5, 5))
    one, two = [p.like()], [p.like(), p.like()]
    losses = [batch_loss(x, images, p, MAP, "s.", len(grads)) for grads in (one, two)]
    for (_, backward), grads in zip(losses, (one, two)):
        backward(grads)
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-12)
    np.testing.assert_allclose(two[0].flat + two[1].flat, one[0].flat, rtol=0, atol=1e-12)


def test_vectors_are_added_by_direction_not_by_length():
    a, b = np.array([[10.0, 0.0]]), np.array([[0.0, 0.1]])
    np.testing.assert_allclose(add_vectors(a, b), [[0.5 ** 0.5] * 2], rtol=1e-12)


# ---- the original --------------------------------------------------------------------------------

SIZES = {sense: Trunk(golden.DIM[sense], golden.LAYERS[sense], golden.HEADS[sense],
                      4 * golden.DIM[sense], 1e-6, gelu, causal=sense == "text",
                      extra_key=sense in SCALE) for sense in golden.DIM}
CONFIG = clip.Config(vit.Config(9, 4, 3, SIZES["vision"]),
                     clip.TextConfig(golden.WORDS, golden.TOKENS, clip.OLD_END, SIZES["text"]),
                     golden.E)
SENSES = {name: Sense(golden.SHAPE[name], *golden.PATCH[name], SIZES[name], SCALE[name])
          for name in SCALE}


def part(arrays, prefix):
    return {name.removeprefix(prefix): x for name, x in arrays.items() if name.startswith(prefix)}


def assert_equal(arrays, dtype, atol):
    """Outputs and, in float64, all gradients are the original's."""
    p = from_original(part(arrays, "weight."), CONFIG, SENSES, dtype)
    g, inputs = p.like(), part(arrays, "in.")
    texts = pack([ids[:length] for ids, length in zip(inputs["text"], golden.LENGTHS)])
    scale = min(np.exp(float(p["log_scale"])), 100)
    found = {"vision": (*clip.encode_images(inputs["vision"].astype(dtype), p, CONFIG), 1.0),
             "text": (*clip.encode_texts(texts, p, CONFIG), scale),
             **{name: (*encode(inputs[name].astype(dtype), p, sense, name + "."), sense.scale)
                for name, sense in SENSES.items()}}
    for name, (y, backward, factor) in found.items():
        unit, back_unit = l2_normalize(y)
        assert unit.dtype == dtype
        np.testing.assert_allclose(factor * unit, arrays[f"out.{name}"], rtol=0, atol=atol * factor,
                                   err_msg=name)
        u = arrays[f"u.{name}"].astype(dtype)
        backward(back_unit(factor * u), g)
        if name == "text":
            g["log_scale"][...] += factor * np.sum(u * unit)
    if dtype == np.float64:
        theirs = part(arrays, "grad.")
        video = "modality_preprocessors.vision.rgbt_stem.proj.1.weight"
        theirs[video] = theirs[video].mean(axis=2)       # ours is the sum of both frames' weights
        expected = from_original(theirs, CONFIG, SENSES, dtype)
        for name in g:
            np.testing.assert_allclose(g[name], expected[name], rtol=0, atol=1e-9, err_msg=name)


GOLDEN = read_safetensors(Path(__file__).parents[1] / "golden" / "imagebind.safetensors")[0]


@pytest.mark.parametrize("dtype, atol", [(np.float32, 1e-5), (np.float64, 1e-9)])
def test_frozen_outputs_and_gradients_of_the_original(dtype, atol):
    assert_equal(GOLDEN, dtype, atol)


@pytest.mark.skipif("IMAGEBIND" not in os.environ, reason="needs IMAGEBIND=CHECKOUT")
@pytest.mark.parametrize("seed", [1, 2])
def test_live_outputs_and_gradients_of_the_original(seed):
    assert_equal(golden.make(os.environ["IMAGEBIND"], seed), np.float64, 1e-9)


def test_a_missing_tensor_and_one_of_another_size_are_named():
    weights = part(GOLDEN, "weight.")
    name = "modality_trunks.audio.blocks.1.attn.bias_k"
    with pytest.raises(ValueError, match=name):
        from_original({n: x for n, x in weights.items() if n != name}, CONFIG, SENSES)
    with pytest.raises(ValueError, match=rf"{name}: expected \(8,\), got \(1, 1, 9\)"):
        from_original(weights | {name: np.zeros((1, 1, 9))}, CONFIG, SENSES)


# ---- training ------------------------------------------------------------------------------------

def test_a_tower_learns_the_vectors_of_its_images():
    sense = SIGNAL._replace(trunk=trunk(16, 1, 2))
    x, p = drawn(sense, N=12, dtype=np.float32)
    images = np.random.default_rng(2).standard_normal((12, 5)).astype(np.float32)
    before = p.flat.copy()
    trained = train(x, frozen(images), p, sense, "s.", steps=60, batch_size=12,
                    optim=Optim(lr=1e-2))
    assert np.array_equal(p.flat, before)                          # the start is not changed
    assert np.mean(trained.losses[-10:]) < 0.5 * np.mean(trained.losses[:10])
    cosines = l2_normalize(infer(x, trained.p, sense, "s."))[0] @ l2_normalize(images)[0].T
    assert (cosines.argmax(axis=1) == np.arange(12)).mean() > 0.9
    again = train(x, frozen(images), p, sense, "s.", steps=60, batch_size=12,
                  optim=Optim(lr=1e-2))
    assert np.array_equal(again.p.flat, trained.p.flat)


@pytest.mark.parametrize("N, batch_size", [(1, 2), (4, 1)])
def test_one_pair_is_not_enough(N, batch_size):
    x, p = drawn(SIGNAL, N, dtype=np.float32)
    with pytest.raises(ValueError, match="at least 2"):
        train(x, frozen(x[:, 0, :5]), p, SIGNAL, "s.", 1, batch_size, options=RunOptions())

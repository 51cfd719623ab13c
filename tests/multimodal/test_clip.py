"""CLIP: pooling, losses, gradients, initial values and training, worked by hand or small."""
import math
import signal

import numpy as np
import pytest

from scratch_embed.multimodal import vit
from scratch_embed.multimodal.clip import (
    MOST_SCALE,
    Config,
    TextConfig,
    batch_loss,
    clip_loss,
    encode_texts,
    end_rows,
    infer_texts,
    siglip_loss,
    siglip_tensors,
    tensors,
    train,
)
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import Params, init_params
from scratch_embed.nn.pre_norm import Trunk
from scratch_embed.numerics.settings import saved_as
from scratch_embed.numerics.workers import parallel_map
from scratch_embed.text.packed import pack
from scratch_embed.training.checkpoint import Checkpoint
from scratch_embed.training.session import RunOptions

TRUNK = Trunk(dim=6, layers=1, heads=3, ff=5)
TINY = Config(vit.Config(4, 2, 3, TRUNK),
              TextConfig(11, 8, 10, TRUNK._replace(dim=4, heads=2, causal=True)), 3)
TEXTS = pack([[1, 10], [2, 3, 4, 10], [5, 10], [6, 7, 10, 9]])


def draw_params(declared=tensors, dtype=np.float64):
    p = init_params(declared(TINY), 1, dtype)
    p.flat += 0.3 * np.random.default_rng(2).standard_normal(p.flat.size)
    p["log_scale"][...] = 0.7
    return p


def draw_images(N=4, dtype=np.float64):
    return np.random.default_rng(3).standard_normal((N, 3, 4, 4)).astype(dtype)


# ---- pooling -------------------------------------------------------------------------------------

def test_the_first_end_of_text_token_is_pooled():
    batch = pack([[5, 9, 9], [9], [3, 4, 9, 12]])
    assert end_rows(batch, 9).tolist() == [1, 3, 6]


def test_an_end_id_of_2_means_the_first_token_with_the_largest_id():
    batch = pack([[5, 9, 2, 9], [2], [3, 12, 9]])
    assert end_rows(batch, 2).tolist() == [1, 4, 6]


def test_a_text_without_an_end_is_refused():
    with pytest.raises(ValueError, match="text 1: expected the end-of-text token 9 among its ids"):
        end_rows(pack([[9], [3, 4]]), 9)


def test_a_text_depends_on_nothing_after_its_end_nor_on_other_texts():
    p = draw_params()
    y = infer_texts(TEXTS, p, TINY)
    changed = infer_texts(pack([[1, 10], [2, 3, 4, 10], [8, 10], [6, 7, 10, 1, 1]]), p, TINY)
    np.testing.assert_allclose(changed[[0, 1, 3]], y[[0, 1, 3]], rtol=1e-12)
    assert (changed[2] != y[2]).all()


@pytest.mark.parametrize("texts", [pack([[11, 10]]), pack([[1] * 8 + [10]])])
def test_ids_and_lengths_beyond_the_tables_are_refused(texts):
    with pytest.raises(ValueError, match="which the model has rows for"):
        encode_texts(texts, draw_params(), TINY)


# ---- losses and gradients ------------------------------------------------------------------------

def params_with(**values):
    p = Params({name: () for name in values}, np.float64)
    for name, value in values.items():
        p[name][...] = value
    return p


def test_the_loss_worked_by_hand():
    """cos = 1 and 0, scale 2: each row is a softmax over (2, 0).

    s = 2 on the diagonal, so dL/dt = Σ s_ij ds_ij = 2 · (p − 1) with p = 1/(1 + e⁻²).
    """
    x, p = np.eye(2), params_with(log_scale=math.log(2))
    loss, backward = clip_loss(x, 5 * x, p)
    assert loss == pytest.approx(math.log(1 + math.exp(-2)))
    g = p.like()
    g["log_scale"][...] = 100                                  # backward adds to g
    backward(1.0, g)
    assert g["log_scale"] - 100 == pytest.approx(2 * (1 / (1 + math.exp(-2)) - 1))


def test_a_batch_of_one_pair_teaches_nothing():
    p = params_with(log_scale=1.0)
    loss, backward = clip_loss(np.array([[1.0, 2]]), np.array([[3.0, -1]]), p)
    g = p.like()
    dx, dy = backward(1.0, g)
    assert loss == 0 and not dx.any() and not dy.any() and not g["log_scale"].any()


def test_equal_vectors_cost_log_n():
    x = np.ones((8, 3))
    assert clip_loss(x, x, params_with(log_scale=2.0))[0] == pytest.approx(math.log(8))


@pytest.mark.parametrize("loss, declared", [(clip_loss, tensors), (siglip_loss, siglip_tensors)])
def test_the_gradient_of_a_batch_is_the_derivative(loss, declared):
    images = draw_images()

    def of_batch(p):
        value, backward = batch_loss(images, TEXTS, p, TINY, loss)
        return value, lambda g: backward([g])
    check_loss(of_batch, draw_params(declared))


def test_two_workers_compute_the_same_loss_and_gradient():
    images, p = draw_images(), draw_params()
    one, two = [p.like()], [p.like(), p.like()]
    loss, backward = batch_loss(images, TEXTS, p, TINY)
    backward(one)
    with parallel_map(2) as map:
        shared, backward = batch_loss(images, TEXTS, p, TINY, workers=2, map=map)
        backward(two)
    assert shared == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(two[0].flat + two[1].flat, one[0].flat, rtol=0, atol=1e-12)


# ---- initial values and decay --------------------------------------------------------------------

def test_initial_values_and_weight_decay_by_tensor():
    D, E, V = 96, 64, 500
    config = Config(vit.Config(16, 4, 3, Trunk(D, 2, 4, 4 * D)),
                    TextConfig(V, 40, 1, Trunk(D, 2, 4, 4 * D, causal=True)), E)
    p = init_params(tensors(config), 0, np.float64)
    for name, std in [("text.tokens.weight", 0.02), ("text.positions.weight", 0.01),
                      ("image.positions.weight", D ** -0.5), ("image.class", D ** -0.5),
                      ("image.patch.weight", (3 * 48) ** -0.5),            # U(±1/√48)
                      ("image.projection.weight", D ** -0.5),
                      ("text.projection.weight", D ** -0.5),
                      ("text.layers.1.attn.o.weight", (4 * D) ** -0.5)]:
        assert p[name].std() == pytest.approx(std, rel=0.2 if name == "image.class" else 0.06), name
    assert p["log_scale"] == pytest.approx(math.log(1 / 0.07))
    undecayed = {name for name, tensor in p.tensors.items() if not tensor.decay}
    assert undecayed == {name for name in p if p[name].ndim < 2}       # gains, biases, class, t
    assert "image.projection.bias" not in p and "text.projection.bias" not in p


# ---- training ------------------------------------------------------------------------------------

def fit(steps=40, **changes):
    p = init_params(tensors(TINY), 1)
    images = draw_images(dtype=np.float32)
    settings = dict(steps=steps, batch_size=4, optim=Optim(1e-2, 0.1, 0.0)) | changes
    return train(images, TEXTS, settings.pop("p", p), TINY, **settings)


def test_training_fits_four_pairs_and_leaves_its_start_unchanged():
    p = init_params(tensors(TINY), 1)
    before = p.flat.copy()
    trained = fit(p=p)
    assert trained.losses[0] > 1 and trained.losses[-1] < 0.2
    np.testing.assert_array_equal(p.flat, before)


def test_the_scale_never_exceeds_100():
    p = init_params(tensors(TINY), 1)
    p["log_scale"][...] = MOST_SCALE + 0.5
    trained = fit(p=p)
    assert max(trained.log_scales) == pytest.approx(MOST_SCALE)


def test_a_frozen_scale_stays():
    trained = fit(p=init_params(tensors(TINY), 1).freeze(["log_scale"]))
    assert {*trained.log_scales} == {np.float32(math.log(1 / 0.07))}


def test_siglip_trains_too():
    trained = fit(p=init_params(siglip_tensors(TINY), 1), loss=siglip_loss, steps=80)
    assert trained.losses[0] > 5 and trained.losses[-1] < 1


def interrupting_loss(call):
    """clip_loss, which raises SIGINT (Ctrl-C) in the given call; 0: never."""
    calls = []

    @saved_as("clip")
    def loss(x, y, p):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return clip_loss(x, y, p)
    return loss


def test_an_interrupted_run_resumes_to_the_same_bits(tmp_path):
    def run(call, checkpoint=None):
        return fit(steps=9, loss=interrupting_loss(call), options=RunOptions(1, 3, checkpoint))
    whole, path = run(0), tmp_path / "state"
    with pytest.raises(KeyboardInterrupt):
        run(5, Checkpoint(path))
    resumed = run(0, Checkpoint(path, resume=True))
    assert resumed.losses == whole.losses and resumed.log_scales == whole.log_scales
    assert resumed.p.flat.tobytes() == whole.p.flat.tobytes()


@pytest.mark.parametrize("changes", [{"batch_size": 1}, {"texts": pack([[1, 10]])}])
def test_pairs_that_do_not_match_are_refused(changes):
    texts = changes.pop("texts", TEXTS)
    with pytest.raises(ValueError, match="expected as many images as texts"):
        train(draw_images(dtype=np.float32), texts, init_params(tensors(TINY), 1), TINY,
              **changes)

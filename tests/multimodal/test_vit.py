"""The vision transformer: by hand, what it sees, its gradient, refusals, transformers' class."""
import numpy as np
import pytest

from scratch_embed.multimodal.vit import Config, embed, encode, infer, infer_tokens, tensors
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.params import Params, init_params
from scratch_embed.nn.pre_norm import Trunk
from tests.rounding import dtypes

TINY = Config(pixels=7, patch=3, channels=2, trunk=Trunk(dim=6, layers=1, heads=3, ff=5))


def draw_params(config=TINY, dtype=np.float64):
    p = init_params(tensors(config), 1, dtype)
    p.flat += 0.3 * np.random.default_rng(2).standard_normal(p.flat.size)
    return p


def draw_images(config=TINY, dtype=np.float64, N=2):
    shape = (N, config.channels, config.pixels, config.pixels)
    return np.random.default_rng(3).standard_normal(shape).astype(dtype)


def test_the_tokens_of_an_image_worked_by_hand():
    """Two patches of one row each: E = (1, 0) and (0, 1) read the first and the second pixel.

    With positions 0 and D = 2, the norm maps (a, b) to (1, −1) if a > b, else to (−1, 1).
    """
    config = Config(pixels=2, patch=1, channels=1, trunk=Trunk(2, 1, 1, 1, eps=1e-30))
    p = Params(tensors(config), np.float64)
    p["image.class"][...] = [3, 5]
    p["image.patch.weight"][...] = np.array([2, -1]).reshape(2, 1, 1, 1)
    p["image.norm_before.weight"][...] = 1
    x, _ = embed(np.array([[[[1.0, -1], [2, -2]]]]), p, config)
    np.testing.assert_allclose(x, [[-1, 1], [1, -1], [-1, 1], [1, -1], [-1, 1]])


def test_the_gradient_is_the_derivative():
    images, dy = draw_images(), np.random.default_rng(4).standard_normal((2, 6))

    def loss(p):
        y, backward = encode(images, p, TINY)
        return np.sum(y * dy), lambda g: backward(dy, g)
    check_loss(loss, draw_params())


@dtypes
def test_inference_gives_the_same_bits(dtype):
    p, images = draw_params(dtype=dtype), draw_images(dtype=dtype)
    y, _ = encode(images, p, TINY)
    np.testing.assert_array_equal(infer(images, p, TINY), y)
    assert infer_tokens(images, p, TINY).shape == (2, 5, 6) and y.dtype == dtype


def test_an_image_does_not_see_another_nor_the_margin_that_fills_no_patch():
    p, images = draw_params(), draw_images()
    y = infer(images, p, TINY)
    images[1] += 1
    images[0, :, 6] += 1                                  # 7 = 2 · 3 + 1
    images[0, :, :, 6] += 1
    changed = infer(images, p, TINY) != y
    assert changed.any(1).tolist() == [False, True]


def test_without_positions_shuffled_patches_give_the_same_vector():
    p, images = draw_params(), draw_images()
    shuffled = images.copy()
    shuffled[:, :, :3, :3], shuffled[:, :, 3:6, :3] = images[:, :, 3:6, :3], images[:, :, :3, :3]
    assert abs(infer(shuffled, p, TINY) - infer(images, p, TINY)).max() > 1e-3
    p["image.positions.weight"][...] = 0
    np.testing.assert_allclose(infer(shuffled, p, TINY), infer(images, p, TINY), rtol=1e-12)


def test_images_that_do_not_fit_are_refused():
    p, images = draw_params(), draw_images()
    for wrong in (images[:, :1], images[..., :6], images[0], images[:0],
                  images.astype(np.float32)):
        with pytest.raises(ValueError, match=r"images: expected \(N, 2, 7, 7\) of float64"):
            encode(wrong, p, TINY)
    with pytest.raises(ValueError, match="patch: expected 1 to 7 pixels"):
        tensors(TINY._replace(patch=8))


def test_it_equals_transformers_vision_model(tmp_path):
    """Pooled, projected, and every token, for a class that has the image tower alone."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from tests.golden.make_clip import draw_weights
    torch.manual_seed(0)
    model = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(
        hidden_size=9, intermediate_size=8, num_hidden_layers=2, num_attention_heads=3,
        image_size=13, patch_size=4, projection_dim=5, hidden_act="gelu")).eval()
    draw_weights(model, np.random.default_rng(0))
    model = model.double()
    from scratch_embed.multimodal.clip_folder import NAMES
    from scratch_embed.nn.activations import gelu
    config = Config(13, 4, 3, Trunk(9, 2, 3, 8, activation=gelu))
    p = Params(tensors(config), np.float64)
    theirs = dict(model.named_parameters())
    for name in p:
        p[name][...] = theirs[NAMES.original(name)].detach().numpy()
    images = draw_images(config)
    out = model(torch.tensor(images), output_hidden_states=True)
    y = infer(images, p, config)
    np.testing.assert_allclose(y @ theirs["visual_projection.weight"].detach().numpy().T,
                               out.image_embeds.detach().numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(infer_tokens(images, p, config),
                               out.last_hidden_state.detach().numpy(), rtol=0, atol=1e-11)

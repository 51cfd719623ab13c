"""Clip: encoding in parts, zero-shot by prompt ensembles, refusals."""
import numpy as np
import pytest

from scratch_embed.multimodal.clip_encoder import TOKENS
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.png import write_png
from tests.multimodal.test_clip_folder import CAPTIONS, draw_clip, draw_images


def test_the_order_and_the_number_of_inputs_do_not_matter():
    """Also for more inputs than are encoded together."""
    clip = draw_clip()
    times = 1 + TOKENS // len(clip.tokenize(CAPTIONS[:3]).ids)
    texts, images = clip.encode_texts(CAPTIONS[:3]), clip.encode_images(draw_images())
    backwards = clip.encode_texts(CAPTIONS[2::-1])[::-1]
    np.testing.assert_allclose(backwards, texts, rtol=0, atol=1e-5)
    many = clip.encode_texts(CAPTIONS[:3] * times)
    np.testing.assert_allclose(many, np.tile(texts, (times, 1)), rtol=0, atol=1e-5)
    times = 1 + TOKENS // (3 * clip.config.image.tokens)
    many = clip.encode_images([*draw_images()] * times)
    np.testing.assert_allclose(many, np.tile(images, (times, 1)), rtol=0, atol=1e-5)
    assert texts.dtype == images.dtype == np.float32


def test_no_inputs_give_no_vectors():
    clip = draw_clip()
    assert clip.encode_texts([]).shape == clip.encode_images([]).shape == (0, 4)


def test_a_classs_vector_is_the_normalised_mean_of_its_prompts_unit_vectors():
    clip, prompts = draw_clip(), {"red": CAPTIONS[:2], "two": CAPTIONS[2:3]}
    w = clip.class_vectors(prompts)
    units = clip.encode_texts(CAPTIONS[:3], normalize=True)
    mean = units[:2].mean(0)
    np.testing.assert_allclose(w, [mean / np.linalg.norm(mean), units[2]], rtol=0, atol=1e-6)


def test_zero_shot_is_the_softmax_of_scaled_cosines():
    clip, prompts = draw_clip(), {text: [text] for text in CAPTIONS[:3]}
    got = clip.zero_shot(draw_images(), prompts)
    s = clip.scale * clip.encode_images(draw_images(), normalize=True) @ clip.encode_texts(
        CAPTIONS[:3], normalize=True).T
    np.testing.assert_allclose(got, np.exp(s) / np.exp(s).sum(1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(got.sum(1), 1, rtol=1e-6)


def test_images_may_be_paths_of_png_files(tmp_path):
    image = draw_images()[0]
    write_png(tmp_path / "a.png", image)
    clip = draw_clip()
    np.testing.assert_array_equal(clip.encode_images([tmp_path / "a.png"]),
                                  clip.encode_images([image]))
    (tmp_path / "b.png").write_bytes(b"not a png")
    with pytest.raises(FormatError, match=r"b\.png"):
        clip.encode_images([tmp_path / "b.png"])


def test_long_texts_are_refused_or_truncated():
    clip, long = draw_clip(), "red " * 50
    with pytest.raises(ValueError, match="text 1: expected at most 12 tokens, got 52 in 'red red"):
        clip.encode_texts(["a", long])
    ids = clip.tokenize([long], truncate=True).ids
    assert len(ids) == 12 and ids[-1] == clip.config.text.end
    assert clip.encode_texts([long], truncate=True).shape == (1, 4)


def test_wrong_arguments_are_refused():
    clip = draw_clip()
    with pytest.raises(TypeError, match="expected a list of strings, got one string"):
        clip.encode_texts("a red circle")
    with pytest.raises(TypeError, match="texts: expected a list of strings, got None"):
        clip.encode_texts(None)
    with pytest.raises(TypeError, match="put it into a list"):
        clip.encode_images("cat.png")
    with pytest.raises(ValueError, match="image: expected uint8 pixels"):
        clip.encode_images([np.zeros((3, 3))])
    for wrong in ({}, ["red", "blue"]):
        with pytest.raises(ValueError, match="prompts: expected {class: list of texts} with at"):
            clip.class_vectors(wrong)
    for wrong in ({"red": "a red circle"}, {"red": []}):
        with pytest.raises(ValueError, match="prompts: expected a list with at least one text"):
            clip.class_vectors(wrong)

"""ImageBind's vectors of every sense, and its folder."""
import json

import numpy as np
import pytest

from scratch_embed.multimodal import clip, vit
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.image_processor import ImageProcessor, Square
from scratch_embed.multimodal.imagebind import Sense, infer, tensors, trunk
from scratch_embed.multimodal.imagebind_encoder import ImageBind, Spectrogram
from scratch_embed.multimodal.wav import write_wav
from scratch_embed.nn.params import init_params
from scratch_embed.nn.pre_norm import Trunk
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.png import write_png
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.text.bpe_training import train_clip_bpe

TEXTS = ["a red circle", "a blue square"]
RNG = np.random.default_rng(0)
SENSES = {"audio": Sense((1, 8, 6), 4, 2, trunk(4, 1, 2), 20.0, mean=-3.0, std=2.0),
          "depth": Sense((1, 5, 5), 2, 2, trunk(6, 1, 3), 5.0),
          "imu": Sense((2, 9), 3, 3, trunk(4, 2, 2), 5.0)}


def small():
    tokenizer = train_clip_bpe(TEXTS * 2, 520)
    layers = Trunk(dim=6, layers=1, heads=2, ff=8)
    config = clip.Config(vit.Config(8, 4, 3, layers), clip.TextConfig(
        len(tokenizer), 20, len(tokenizer) - 1, layers._replace(causal=True)), dim=5)
    model = Clip(config, init_params(clip.tensors(config), seed=1), tokenizer,
                 ImageProcessor(size=8, crop=Square(8, 8)))
    return ImageBind(model, SENSES, init_params(tensors(SENSES, 5), seed=2),
                     Spectrogram(rate=8000, n_fft=64, hop=32, mels=8, frames=6))


MODEL = small()
SOUNDS = [(0.1 * RNG.standard_normal(192).astype(np.float32), 8000) for _ in range(3)]
INPUTS = {"image": RNG.integers(0, 256, (3, 8, 8, 3), np.uint8), "text": TEXTS, "audio": SOUNDS,
          "depth": RNG.random((3, 1, 5, 5), np.float32),
          "imu": RNG.standard_normal((3, 2, 9)).astype(np.float32)}


@pytest.mark.parametrize("sense", INPUTS)
def test_every_sense_has_unit_vectors_in_one_space(sense):
    y = MODEL.encode(sense, INPUTS[sense])
    assert y.shape == (len(INPUTS[sense]), 5) and y.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), 1, rtol=1e-6)
    # batches of one may differ by rounding
    np.testing.assert_allclose(MODEL.encode(sense, INPUTS[sense][1:2]), y[1:2], rtol=0, atol=1e-6)


def test_many_inputs_are_encoded_in_parts():
    many = np.repeat(INPUTS["imu"], 200, axis=0)                   # 600, more than two parts
    expected = l2_normalize(infer(many, MODEL.p, SENSES["imu"], "imu."))[0]
    np.testing.assert_allclose(MODEL.encode("imu", many), expected, rtol=0, atol=1e-6)


def test_a_file_has_the_vector_of_its_contents(tmp_path):
    write_wav(tmp_path / "s.wav", *SOUNDS[0])
    of_file = MODEL.encode("audio", [tmp_path / "s.wav"])
    np.testing.assert_allclose(of_file, MODEL.encode("audio", SOUNDS[:1]), rtol=0, atol=1e-3)
    grey = RNG.integers(0, 256, (5, 5), np.uint8)
    write_png(tmp_path / "d.png", grey)
    assert np.array_equal(MODEL.encode("depth", [tmp_path / "d.png"]),
                          MODEL.encode("depth", grey[None, None].astype(np.float32) / 255))
    write_png(tmp_path / "rgb.png", np.zeros((5, 5, 3), np.uint8))
    with pytest.raises(ValueError, match="expected a grey image, got 3 channels"):
        MODEL.encode("depth", [tmp_path / "rgb.png"])


def test_a_spectrogram_by_hand():
    """A pure tone in the middle of a band has its energy there; silence has the least energy."""
    maps = Spectrogram(frames=6)([(np.sin(2 * np.pi * 1000 * np.arange(384) / 8000), 8000),
                                  (np.zeros(100), 8000)])
    assert maps.shape == (2, 1, 32, 6)
    assert (maps[1] == -4).all()
    centres = np.linspace(0, 15 + 27 * np.log(4) / np.log(6.4), 34)[1:-1]      # in mel
    assert maps[0, 0, :, 3].argmax() == np.abs(centres - 15).argmin()          # 15 mel: 1,000 Hz


def test_an_unknown_sense_is_refused():
    with pytest.raises(ValueError, match="sense: expected image, text, audio, depth, imu, got 's"):
        MODEL.encode("smell", [1])


# ---- the folder ----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("imagebind")
    MODEL.save(path)
    return path


def test_a_saved_model_computes_the_same_vectors(folder):
    loaded = ImageBind.load(folder)
    assert loaded.senses == SENSES and loaded.spectrogram == MODEL.spectrogram
    assert repr(loaded) == repr(MODEL) == "ImageBind(image, text, audio, depth, imu; 5 dimensions)"
    for sense, inputs in INPUTS.items():
        assert np.array_equal(loaded.encode(sense, inputs), MODEL.encode(sense, inputs))
    assert np.array_equal(Clip.load(folder).encode_texts(TEXTS), MODEL.clip.encode_texts(TEXTS))


@pytest.mark.parametrize("field, value, message", [
    ("shape", [1, 8], "imagebind.json"), ("shape", [0, 2], "senses, imu, field 'shape'"),
    ("heads", 3, "heads: expected a divisor"), ("scale", 0, "field 'scale'"),
    ("patch", 99, "patch: expected 1 to"), ("std", None, "field 'std'")])
def test_a_damaged_setting_is_named(folder, tmp_path, field, value, message):
    MODEL.save(tmp_path)
    settings = json.loads((tmp_path / "imagebind.json").read_text())
    settings["senses"]["imu"][field] = value
    (tmp_path / "imagebind.json").write_text(json.dumps(settings))
    with pytest.raises(FormatError, match=message):
        ImageBind.load(tmp_path)


def test_a_missing_tensor_and_a_nan_are_named(tmp_path):
    MODEL.save(tmp_path)
    path = tmp_path / "senses.safetensors"
    arrays = read_safetensors(path)[0]
    name = "imu.layers.1.attn.extra_k"
    write_safetensors(path, {other: x for other, x in arrays.items() if other != name})
    with pytest.raises(FormatError, match=rf"senses.safetensors: its tensors: .*{name}"):
        ImageBind.load(tmp_path)
    write_safetensors(path, arrays | {name: np.full(4, np.nan, np.float32)})
    with pytest.raises(FormatError, match="expected finite numbers"):
        ImageBind.load(tmp_path)


def test_weights_that_are_not_finite_or_not_declared_are_not_written(tmp_path):
    bad = ImageBind(MODEL.clip, SENSES, MODEL.p.copy())
    bad.p.flat[3] = np.inf
    with pytest.raises(ValueError, match="nan or inf"):
        bad.save(tmp_path)
    with pytest.raises(ValueError, match="not those of this config"):
        ImageBind(MODEL.clip, {"imu": SENSES["imu"]}, MODEL.p).save(tmp_path)

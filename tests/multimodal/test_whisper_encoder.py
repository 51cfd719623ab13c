"""WhisperEncoder: sounds to vectors, and folders that are written, read back and damaged."""
import json

import numpy as np
import pytest

from scratch_embed.multimodal.audio import WhisperAudio
from scratch_embed.multimodal.wav import write_wav
from scratch_embed.multimodal.whisper import new_params
from scratch_embed.multimodal.whisper_encoder import OTHERS, UNUSED, WhisperEncoder
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from tests.multimodal.test_whisper import AUDIO, SIZES, draw, random_params


@pytest.fixture
def model():
    return WhisperEncoder(SIZES, random_params(SIZES, np.float32), AUDIO)


# ---- sounds --------------------------------------------------------------------------------------

def test_vectors_are_means_of_frames_for_any_number_of_workers(model, tmp_path):
    sounds = [(draw(n, seed=n, dtype=np.float32), 8000) for n in (1, 700, 8000, 8000, 4321)] * 9
    write_wav(tmp_path / "x.wav", np.clip(draw(2, 999), -1, 1), 22_050)
    sounds.append(tmp_path / "x.wav")
    v = model.encode(sounds, layer=1)
    frames = model.features(sounds, layer=1)
    np.testing.assert_allclose(v, [x.mean(0) for x in frames], rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.encode(sounds, layer=1, workers=2), v, rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.encode([sounds[-1]], layer=1)[0], v[-1], rtol=0, atol=1e-5)
    assert model.encode([]).shape == (0, 12)


def test_a_long_sound_is_encoded_in_parts(model):
    x = draw(20_000, dtype=np.float32)
    whole, = model.features([(x, 8000)])
    parts = model.features([(x[at:at + 8000], 8000) for at in (0, 8000, 16_000)])
    assert len(whole) == 50 + 50 + 25
    np.testing.assert_allclose(whole, np.concatenate(parts), rtol=0, atol=1e-5)


def test_silence_has_a_vector(model):
    assert np.isfinite(model.encode([(np.zeros(300, np.float32), 8000)])).all()


def test_a_damaged_file_is_named(model, tmp_path):
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    with pytest.raises(FormatError, match="x.wav: the file: expected a WAV file"):
        model.encode([tmp_path / "x.wav"])
    with pytest.raises(ValueError, match="layer=3: expected a whole number, 0 to 2"):
        model.encode([(np.ones(9), 8000)], layer=3)


# ---- folders -------------------------------------------------------------------------------------

def test_a_saved_encoder_is_read_back(model, tmp_path):
    model.save(tmp_path)
    again = WhisperEncoder.load(tmp_path)
    assert again.config == model.config and again.audio == model.audio
    assert again.p.frozen == ("positions.weight",)
    assert all((again.p[name] == view).all() for name, view in model.p.items())


def change(path, **fields):
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize("fields, message", [
    ({"model_type": "clap"}, "field 'model_type': expected \"whisper\""),
    ({"d_model": 13}, "field 'encoder_attention_heads': expected a divisor of d_model, 13"),
    ({"d_model": 24}, r"expected floats of shape \(24,\), as config.json says, found F32 of"),
    ({"d_model": 3}, "field 'd_model': expected an even number"),
    ({"encoder_layers": 3, "num_hidden_layers": 3}, "found no layers.2"),
    ({"num_hidden_layers": 5}, "field 'num_hidden_layers': expected 2, found 5"),
    ({"activation_function": "relu"}, "field 'activation_function': expected one of"),
    ({"num_mel_bins": 9}, "expected floats of shape"),
    ({"max_source_positions": "50"}, "field 'max_source_positions'"),
    ({"window": 3}, "field 'window': .*unknown")])
def test_contradictions_of_config_and_weights_are_refused(model, fields, message, tmp_path):
    model.save(tmp_path)
    change(tmp_path / "config.json", **fields)
    with pytest.raises(FormatError, match=message):
        WhisperEncoder.load(tmp_path)


def test_spectrograms_that_do_not_fit_the_model_are_refused(model, tmp_path):
    model.save(tmp_path)
    change(tmp_path / "preprocessor_config.json", chunk_length=2, n_samples=16_000,
           nb_max_frames=200)
    with pytest.raises(FormatError, match="expected spectrograms of 8 mels and 100 frames, as the "
                                          "model has, got 8 and 200, from preprocessor_config"):
        WhisperEncoder.load(tmp_path)
    with pytest.raises(ValueError, match="audio: expected spectrograms of 8 mels and 100 frames"):
        WhisperEncoder.new(SIZES, AUDIO._replace(mels=9))


def test_without_settings_of_spectrograms_they_are_the_released_models(tmp_path):
    sizes = SIZES._replace(mels=80, positions=1500)
    WhisperEncoder(sizes, new_params(sizes, 1), WhisperAudio()).save(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    assert WhisperEncoder.load(tmp_path).audio == WhisperAudio()


def test_tensors_of_a_decoder_and_heads_are_ignored_and_others_refused(model, tmp_path):
    model.save(tmp_path)
    arrays, meta = read_safetensors(tmp_path / "model.safetensors")
    others = {prefix + "weight": np.ones(3, np.float32) for prefix in OTHERS}
    write_safetensors(tmp_path / "model.safetensors", arrays | others, meta)
    assert WhisperEncoder.load(tmp_path).config == SIZES
    write_safetensors(tmp_path / "model.safetensors",
                      arrays | {"encoder.conv3.weight": np.ones(3, np.float32)}, meta)
    with pytest.raises(FormatError, match="'encoder.conv3.weight'.*found an unknown one"):
        WhisperEncoder.load(tmp_path)


def test_fields_that_do_not_concern_the_encoder_are_ignored(model, tmp_path):
    model.save(tmp_path)
    change(tmp_path / "config.json", **dict.fromkeys(UNUSED, 1), suppress_tokens=[1], max_length=9)
    assert WhisperEncoder.load(tmp_path).config == SIZES


def test_what_config_json_has_no_field_for_is_not_saved(tmp_path):
    other = SIZES._replace(eps=1e-6)
    with pytest.raises(ValueError, match="eps=1e-06: config.json has no field for it"):
        WhisperEncoder(other, new_params(other, 1), AUDIO).save(tmp_path)
    assert not list(tmp_path.iterdir())

"""CLAP's folder: written and read again, read by transformers, read from it; damaged folders."""
import json

import numpy as np
import pytest

from scratch_embed.multimodal import clap, htsat
from scratch_embed.multimodal.audio import ClapAudio
from scratch_embed.multimodal.clap_encoder import Clap
from scratch_embed.multimodal.clap_folder import read_config
from scratch_embed.multimodal.clap_verdict import roberta_tokenizer
from scratch_embed.multimodal.wav import write_wav
from scratch_embed.nn.activations import gelu_tanh
from scratch_embed.nn.params import init_params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.transformer import roberta
from tests.transformer.causal_parity import assert_same, change_config, change_tensors

TEXTS = ["a small ring", "a large square, shaking", "é"]
AUDIO = ClapAudio(rate=1000, n_fft=64, hop=20, mels=8, seconds=1, low=20.0, high=500.0)


def model(seed=1, std=0.3):
    tokenizer = roberta_tokenizer(TEXTS, 270)
    config = clap.Config(
        htsat.Config(8, 24, 4, 2, 6, (2, 1), (3, 2), 3, 1.5, True, 1e-4, gelu_tanh),
        roberta.Config(len(tokenizer) + 2, 12, 1, 2, 9, 26), 5, 1.3)
    p = init_params(clap.tensors(config, std), seed)
    mels = 20 * np.random.default_rng(0).standard_normal((2, 9, 8)) - 40
    return Clap(config, htsat.freeze_statistics(p, mels), tokenizer, AUDIO)


def waves():
    """Three sounds at the model's rate: repeated and padded, of just its length, and cut."""
    rng = np.random.default_rng(1)
    return [rng.uniform(-1, 1, n).astype(np.float32) for n in (300, 1000, 1500)]


@pytest.fixture
def folder(tmp_path):
    model().save(tmp_path / "model")
    return tmp_path / "model"


# ---- our folders ---------------------------------------------------------------------------------

def test_a_folder_that_is_read_is_the_model_that_was_written(folder):
    ours, read = model(), Clap.load(folder)
    assert (read.config, read.audio) == (ours.config, ours.audio)
    assert_same(read.p, ours.p)
    assert read.p.frozen == ours.p.frozen
    for name in ours.p.frozen:
        np.testing.assert_array_equal(read.p[name], ours.p[name])
    sounds = [(wave, 1000) for wave in waves()]
    np.testing.assert_array_equal(read.encode_texts(TEXTS), ours.encode_texts(TEXTS))
    np.testing.assert_array_equal(read.encode_sounds(sounds), ours.encode_sounds(sounds))


def test_a_sound_is_its_file_at_any_rate_and_is_cut_where_the_seed_says(folder, tmp_path):
    clap_model, wave = Clap.load(folder), waves()
    write_wav(tmp_path / "a.wav", wave[0], 1000, bits=32)
    vectors = clap_model.encode_sounds([tmp_path / "a.wav", (wave[0], 1000), (wave[2], 1000)])
    assert vectors.dtype == np.float32 and vectors.shape == (3, 5)
    np.testing.assert_array_equal(vectors[0], vectors[1])
    alone = clap_model.encode_sounds([(wave[2], 1000)])[0]
    np.testing.assert_allclose(vectors[2], alone, rtol=0, atol=1e-5)   # cut at the same place
    assert abs(clap_model.encode_sounds([(wave[2], 1000)], seed=5)[0] - alone).max() > 1e-3
    slow = clap_model.encode_sounds([(np.repeat(wave[0], 2), 2000)])[0]        # resampled
    assert abs(slow - vectors[0]).max() < abs(vectors[2] - vectors[0]).max()
    unit = clap_model.encode_sounds([(wave[0], 1000)], normalize=True)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)


def test_silence_a_click_and_no_input_have_vectors_and_no_samples_are_refused(folder):
    clap_model = Clap.load(folder)
    quiet = clap_model.encode_sounds([(np.zeros(500), 1000), (np.ones(1), 1000)])
    assert np.isfinite(quiet).all()
    assert clap_model.encode_sounds([]).shape == clap_model.encode_texts([]).shape == (0, 5)
    for sound, message in ((np.zeros(0), "at least 1"), (np.array([np.nan]), "finite")):
        with pytest.raises(ValueError, match=message):
            clap_model.encode_sounds([(sound, 1000)])
    for wrong in ("a.wav", np.zeros(10), (np.zeros(10), 1000)):
        with pytest.raises(TypeError, match="put it into a list"):
            clap_model.encode_sounds(wrong)
    with pytest.raises(TypeError, match="put it into a list"):
        clap_model.encode_texts("a small ring")
    with pytest.raises(TypeError, match="texts: expected a list of strings, got None"):
        clap_model.encode_texts(None)


def test_a_text_that_is_too_long_is_refused_or_shortened(folder):
    clap_model, long = Clap.load(folder), "a small ring " * 20
    with pytest.raises(ValueError, match="text 1: expected at most 24 tokens"):
        clap_model.encode_texts(["a", long])
    assert clap_model.encode_texts([long], truncate=True).shape == (1, 5)


# ---- transformers --------------------------------------------------------------------------------

def original_vectors(folder, sounds):
    """transformers' unit vectors of TEXTS and of sounds at the model's rate."""
    import torch
    from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel
    theirs = ClapModel.from_pretrained(folder).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(TEXTS, padding=True, return_tensors="pt")
    mels = ClapFeatureExtractor.from_pretrained(folder)(
        sounds, sampling_rate=1000, return_tensors="pt")["input_features"].float()
    with torch.no_grad():
        out = theirs(**{name: tokens[name] for name in ("input_ids", "attention_mask")},
                     input_features=mels, is_longer=None)
    return out.text_embeds.numpy(), out.audio_embeds.numpy()


def test_transformers_reads_our_folder_and_gives_the_same_vectors(folder):
    pytest.importorskip("transformers")
    texts, sounds = original_vectors(folder, waves()[:2])
    ours = Clap.load(folder)
    np.testing.assert_allclose(ours.encode_texts(TEXTS, normalize=True), texts, atol=1e-5)
    np.testing.assert_allclose(ours.encode_sounds([(x, 1000) for x in waves()[:2]],
                                                  normalize=True), sounds, atol=1e-5)


def test_a_folder_of_transformers_is_read_and_gives_the_same_vectors(folder, tmp_path):
    pytest.importorskip("transformers")
    from transformers import AutoTokenizer, ClapFeatureExtractor, ClapModel
    for part in (ClapModel, AutoTokenizer, ClapFeatureExtractor):
        part.from_pretrained(folder).save_pretrained(tmp_path / "theirs")
    texts, sounds = original_vectors(folder, waves()[:2])
    read = Clap.load(tmp_path / "theirs")
    np.testing.assert_allclose(read.encode_texts(TEXTS, normalize=True), texts, atol=1e-5)
    np.testing.assert_allclose(read.encode_sounds([(x, 1000) for x in waves()[:2]],
                                                  normalize=True), sounds, atol=1e-5)
    assert read.config == model().config


# ---- damaged and unsupported folders -------------------------------------------------------------

def change(folder, part, **fields):
    """Set fields of text_config or audio_config; the value ... deletes a field."""
    config = json.loads((folder / "config.json").read_text())[part] | fields
    change_config(folder, **{part: {k: v for k, v in config.items() if v is not ...}})


@pytest.mark.parametrize("part, fields, message", [
    ("audio_config", {"enable_fusion": True}, "'enable_fusion': expected false: models with feature"
                                              " fusion are not supported"),
    ("audio_config", {"patch_stride": [2, 4]}, "'patch_stride': expected .* two that are equal"),
    ("audio_config", {"patch_embed_input_channels": 2}, "expected 1, found 2"),
    ("audio_config", {"num_attention_heads": [3]}, "'spec_size': expected sizes that fit"),
    ("audio_config", {"spec_size": 25}, "a multiple of mels=8"),
    ("audio_config", {"hidden_size": 6}, "'hidden_size': expected 12"),
    ("audio_config", {"depths": 2}, "'depths': expected a list of whole numbers"),
    ("audio_config", {"surprise": 1}, "this field is unknown"),
    ("audio_config", {"num_mel_bins": ...}, "'spec_size'"),                # the default is 64
    ("text_config", {"hidden_size": 13}, "'num_attention_heads': expected a divisor"),
    ("text_config", {"vocab_size": 100}, "'vocab_size': expected at least 265"),
    ("text_config", {"surprise": 1}, "this field is unknown")])
def test_options_that_are_not_supported_or_do_not_fit_are_named(folder, part, fields, message):
    change(folder, part, **fields)
    if fields == {"vocab_size": 100}:
        change_tensors(folder, lambda tensors: tensors | {
            "text_model.embeddings.word_embeddings.weight": np.zeros((100, 12), np.float32)})
    with pytest.raises(FormatError, match=message):
        Clap.load(folder)


@pytest.mark.parametrize("fields, message", [
    ({"model_type": "clip"}, '\'model_type\': expected "clap"'),
    ({"projection_hidden_act": "gelu"}, 'expected "relu"'),
    ({"projection_dim": 4}, "expected floats of shape"), ({"surprise": 1}, "unknown"),
    ({"audio_config": 3}, "'audio_config': expected an object")])
def test_fields_of_the_whole_that_are_not_supported_are_named(folder, fields, message):
    change_config(folder, **fields)
    with pytest.raises(FormatError, match=message):
        Clap.load(folder)


def test_a_feature_extractor_that_does_not_fit_the_model_is_named(folder):
    path = folder / "preprocessor_config.json"
    fields = json.loads(path.read_text())
    for changes, message in [({"feature_size": 9}, "'num_mel_bins': expected 9"),
                             ({"hop_length": 4}, "a square holds 251 frames|holds 251 frames"),
                             ({"truncation": "fusion"}, "'truncation': expected \"rand_trunc\"")]:
        path.write_text(json.dumps(fields | changes))
        with pytest.raises(FormatError, match=message):
            Clap.load(folder)


def test_a_missing_or_unknown_tensor_is_named(folder):
    tensors, _ = read_safetensors(folder / "model.safetensors")
    name = "audio_model.audio_encoder.batch_norm.running_var"
    change_tensors(folder, lambda tensors: {k: v for k, v in tensors.items() if k != name})
    with pytest.raises(FormatError, match=f"found no {name}"):
        Clap.load(folder)
    write_safetensors(folder / "model.safetensors", tensors | {"logit_scale": np.zeros(1)})
    with pytest.raises(FormatError, match="'logit_scale': expected a tensor of ClapModel"):
        Clap.load(folder)


def test_missing_fields_have_transformers_defaults(tmp_path):
    """A config.json of a model_type alone is CLAP's HTSAT-tiny and RoBERTa base."""
    (tmp_path / "config.json").write_text('{"model_type": "clap"}')
    config = read_config(tmp_path / "config.json")
    assert config.audio == htsat.Config() and config.dim == 512
    assert config.text == roberta.Config(50265, 768, 12, 12, 3072, 514, 1, 1e-12)
    np.testing.assert_allclose(config.first_scale, clap.FIRST_SCALE)

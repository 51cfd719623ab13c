"""Log-mel spectrograms of Whisper and CLAP equal transformers'; files of settings; odd sounds."""
import json

import numpy as np
import pytest

from scratch_embed.multimodal.audio import (
    FILE,
    PADDINGS,
    ClapAudio,
    WhisperAudio,
    fit,
    load_sound,
    log_mel_clap,
    log_mel_whisper,
    random_crop,
    read_clap_audio,
    read_whisper_audio,
    repeat,
    repeat_pad,
    write_clap_audio,
    write_whisper_audio,
)
from scratch_embed.multimodal.mel import htk_filters
from scratch_embed.multimodal.resample import resample
from scratch_embed.multimodal.wav import write_wav
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.safetensors import read_safetensors
from tests.golden import make_audio

GOLDEN, _ = read_safetensors("tests/golden/audio.safetensors")
SOUND = GOLDEN["sound"]
SECOND = WhisperAudio(seconds=1)
CLAP_SECOND = ClapAudio(seconds=1)


def rng():
    return np.random.default_rng(0)


# ---- the golden file, and transformers as installed ----------------------------------------------

@pytest.mark.parametrize("name, mels", [("whisper", 80), ("whisper128", 128)])
def test_whispers_golden_spectrogram(name, mels):
    got = log_mel_whisper(SOUND, SECOND._replace(mels=mels))
    assert got.dtype == np.float32 and got.shape == (100, mels)
    np.testing.assert_allclose(got[::make_audio.EVERY], GOLDEN[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("padding", PADDINGS)
def test_claps_golden_spectrogram(padding):
    got = log_mel_clap(SOUND, rng(), CLAP_SECOND._replace(pad=PADDINGS[padding]))
    assert got.dtype == np.float32 and got.shape == (101, 64)
    np.testing.assert_allclose(got[::make_audio.EVERY], GOLDEN["clap_" + padding], rtol=0,
                               atol=1e-5)


def test_filters_of_htk_are_those_of_models_with_feature_fusion():
    got = log_mel_clap(SOUND, rng(), CLAP_SECOND._replace(make_filters=htk_filters))
    np.testing.assert_allclose(got[::make_audio.EVERY], GOLDEN["clap_htk"], rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def transformers():
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    transformers.logging.set_verbosity_error()
    return transformers


@pytest.mark.parametrize("n", [1, 100, 16_000, 30_001, 480_000, 500_000])
def test_sounds_of_all_lengths_equal_transformers(transformers, n):
    """30 s, as in the released models.  The extractor's own path uses torch in float32."""
    x = make_audio.draw_sound(n, n)
    got = log_mel_whisper(x)
    np.testing.assert_allclose(got, make_audio.whisper(x), rtol=0, atol=1e-6)
    theirs = transformers.WhisperFeatureExtractor()(x, sampling_rate=16_000, return_tensors="np")
    np.testing.assert_allclose(got, theirs.input_features[0].T, rtol=0, atol=1e-4)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("n", [1, 7_777, 47_999, 48_000])
def test_claps_spectrogram_equals_transformers(transformers, padding, n):
    x = make_audio.draw_sound(n, n, 48_000)
    want = make_audio.clap(x, max_length_s=1, frequency_min=50, truncation="rand_trunc",
                           padding=padding)
    got = log_mel_clap(x, rng(), CLAP_SECOND._replace(pad=PADDINGS[padding]))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


def test_a_longer_sound_is_cut_at_a_random_place():
    """The crop is one of the 3 of its length, and every one is drawn."""
    x = np.arange(12.0)
    starts = {int(crop[0]) for seed in range(50)
              for crop in [random_crop(x, 10, np.random.default_rng(seed))]
              if (crop == np.arange(crop[0], crop[0] + 10)).all()}
    assert starts == {0, 1, 2}
    sound = make_audio.draw_sound(3, 50_000, 48_000)
    np.testing.assert_array_equal(
        log_mel_clap(sound, rng(), CLAP_SECOND),
        log_mel_clap(random_crop(sound, 48_000, rng()), rng(), CLAP_SECOND))


# ---- worked by hand ------------------------------------------------------------------------------

def test_silence_is_minus_one_and_a_half_everywhere():
    """log₁₀ 1e-10 = −10 is the maximum too: (−10 + 4) / 4."""
    assert (log_mel_whisper(np.zeros(500, np.float32), SECOND) == -1.5).all()
    assert (log_mel_clap(np.zeros(500), rng(), CLAP_SECOND) == -100).all()


def test_the_weakest_numbers_are_two_below_the_largest():
    y = log_mel_whisper(SOUND, SECOND)
    assert y.min() == pytest.approx(y.max() - 2)


def test_a_voice_twice_as_loud_adds_a_constant():
    """|X|² is 4 times as large: log₁₀ 4 / 4 in every band that is not the floor."""
    x = np.random.default_rng(1).standard_normal(16_000)
    np.testing.assert_allclose(log_mel_whisper(2 * x, SECOND) - log_mel_whisper(x, SECOND),
                               np.log10(4) / 4, atol=1e-6)


def test_paddings_worked_by_hand():
    x = np.array([1, 2, 3])
    assert repeat_pad(x, 8).tolist() == [1, 2, 3, 1, 2, 3, 0, 0]
    assert repeat(x, 8).tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert fit(x, 5).tolist() == [1, 2, 3, 0, 0] and fit(x, 2).tolist() == [1, 2]


# ---- sounds --------------------------------------------------------------------------------------

def test_a_file_at_another_rate_in_stereo_is_averaged_and_resampled(tmp_path):
    stereo = np.stack([SOUND, -0.5 * SOUND])
    write_wav(tmp_path / "x.wav", stereo, 44_100, bits=32)
    got = load_sound(tmp_path / "x.wav", 16_000)
    np.testing.assert_allclose(got, resample(0.25 * SOUND, 44_100, 16_000), atol=1e-6)
    assert got.dtype == np.float32 and (load_sound((SOUND, 16_000), 16_000) == SOUND).all()


@pytest.mark.parametrize("sound, message", [
    ((np.zeros((9000, 2)), 8000), r"got shape \(9000, 2\); transpose it"),
    ((np.zeros((3, 2)), 8000), r"got shape \(3, 2\); transpose it"),
    ((np.zeros(0), 8000), "sound: expected at least 1 sample, got none"),
    ((np.zeros((1, 2, 3)), 8000), r"got shape \(1, 2, 3\)"),
    ((np.array([1, 2]), 8000), "expected floats in -1..1, got int64; divide 16-bit integers"),
    ((np.array([np.inf]), 8000), "expected finite samples"),
    ((np.zeros(9), 0), "rate=0: expected a whole number, 1000 to 768000")])
def test_what_is_no_sound_is_refused(sound, message):
    with pytest.raises(ValueError, match=message):
        load_sound(sound, 16_000)


def test_an_empty_sound_is_refused_by_clap():
    with pytest.raises(ValueError, match="expected at least 1 sample, got 0"):
        log_mel_clap(np.zeros(0), rng())


# ---- preprocessor_config.json --------------------------------------------------------------------

WHISPER = WhisperAudio(8000, 256, 64, 32, 2)
CLAP = ClapAudio(16_000, 512, 160, 40, 2, 30.0, 7000.0, repeat)


def change(folder, **fields):
    values = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps({**values, **fields}))


def test_settings_are_written_and_read_back(tmp_path):
    write_whisper_audio(tmp_path, WHISPER)
    assert read_whisper_audio(tmp_path) == WHISPER
    write_clap_audio(tmp_path, CLAP)
    assert read_clap_audio(tmp_path) == CLAP


def test_transformers_reads_the_settings_and_gives_the_same_spectrograms(transformers, tmp_path):
    write_whisper_audio(tmp_path, WHISPER)
    theirs = transformers.WhisperFeatureExtractor.from_pretrained(tmp_path)
    np.testing.assert_allclose(
        log_mel_whisper(SOUND, WHISPER),
        theirs._np_extract_fbank_features([fit(SOUND, 16_000)], "cpu")[0].T, rtol=0, atol=1e-6)
    write_clap_audio(tmp_path, CLAP)
    theirs = transformers.ClapFeatureExtractor.from_pretrained(tmp_path)
    want = theirs(SOUND, sampling_rate=16_000)["input_features"][0][0]
    np.testing.assert_allclose(log_mel_clap(SOUND, rng(), CLAP), want, rtol=0, atol=1e-5)


def test_settings_of_transformers_are_read(transformers, tmp_path):
    transformers.WhisperFeatureExtractor(feature_size=128).save_pretrained(tmp_path)
    assert read_whisper_audio(tmp_path) == WhisperAudio(mels=128)
    transformers.ClapFeatureExtractor(truncation="rand_trunc").save_pretrained(tmp_path)
    assert read_clap_audio(tmp_path) == ClapAudio(low=0.0)


def test_newer_folders_have_the_settings_in_processor_config(tmp_path):
    write_whisper_audio(tmp_path, WHISPER)
    fields = json.loads((tmp_path / FILE).read_text())
    (tmp_path / FILE).unlink()
    (tmp_path / "processor_config.json").write_text(json.dumps(
        {"processor_class": "WhisperProcessor", "feature_extractor": fields}))
    assert read_whisper_audio(tmp_path) == WHISPER


@pytest.mark.parametrize("fields, message", [
    ({"dither": 0.1}, "field 'dither': expected one of 0.0, 0, found 0.1"),
    ({"padding_value": 1.0}, "field 'padding_value'"), ({"padding_side": "left"}, "'padding_side'"),
    ({"do_normalize": True}, "field 'do_normalize'"),
    ({"n_samples": 1}, "field 'n_samples': expected 16000, found 1"),
    ({"nb_max_frames": 1}, "field 'nb_max_frames': expected 250"),
    ({"hop_length": 0}, "field 'hop_length': expected a whole number of at least 1, found 0"),
    ({"hop_length": 16_001, "nb_max_frames": 0}, "at most the 16000 samples of a sound"),
    ({"sampling_rate": "8000"}, "field 'sampling_rate'"),
    ({"window": "hamming"}, "field 'window': .*this field is unknown"),
    ({"feature_extractor_type": "ClapFeatureExtractor"}, 'expected "WhisperFeatureExtractor"')])
def test_whispers_options_that_would_change_the_result_are_refused(fields, message, tmp_path):
    write_whisper_audio(tmp_path, WHISPER)
    change(tmp_path, **fields)
    with pytest.raises(FormatError, match=message):
        read_whisper_audio(tmp_path)


@pytest.mark.parametrize("fields, message", [
    ({"truncation": "fusion"}, 'field \'truncation\': expected "rand_trunc" .*found \'fusion\''),
    ({"padding": "loop"}, "field 'padding': expected one of \"repeatpad\""),
    ({"frequency_max": 10}, "field 'frequency_max': expected more than frequency_min, 30"),
    ({"nb_frequency_bins": 5}, "field 'nb_frequency_bins': expected 257"),
    ({"window": "hamming"}, "field 'window'")])
def test_claps_options_that_would_change_the_result_are_refused(fields, message, tmp_path):
    write_clap_audio(tmp_path, CLAP)
    change(tmp_path, **fields)
    with pytest.raises(FormatError, match=message):
        read_clap_audio(tmp_path)


def test_a_file_cannot_name_other_functions(tmp_path):
    with pytest.raises(ValueError, match="expected one of repeatpad, repeat, pad and slaney"):
        write_clap_audio(tmp_path, CLAP._replace(make_filters=htk_filters))


def test_a_folder_without_settings_is_refused(tmp_path):
    with pytest.raises(FormatError, match="preprocessor_config.json: the file: expected JSON"):
        read_whisper_audio(tmp_path)


def test_samples_without_their_rate_are_refused():
    with pytest.raises(TypeError, match="or a pair \\(samples, rate\\), got ndarray; say the rate"):
        load_sound(np.zeros(9), 8000)

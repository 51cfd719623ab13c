"""Speech: labels fit the sound, and a decoder reads every syllable and every speaker."""
import numpy as np
import pytest

from scratch_embed.worlds.speech import (
    HOP,
    PITCH,
    RATE,
    SILENCE,
    SYLLABLES,
    chance_frames,
    sound,
    speech,
)

N = 60
SPEECH = speech(N, seed=1)


def test_without_noise_the_sound_is_zero_in_silence_and_only_there():
    waves, syllables, _ = speech(20, seed=2, noise=0)
    at_centre = np.repeat(syllables, HOP, axis=1) == SILENCE
    # a frame's label is that of its first sample, so borders are uncertain by one frame
    inner = np.stack([np.roll(at_centre, shift, axis=1) for shift in (-HOP, 0, HOP)])
    assert np.abs(waves[inner.all(axis=0)]).max() == 0
    loud = np.abs(waves).reshape(20, -1, HOP).max(axis=2)          # the loudest sample of a frame
    voiced = ~inner.any(axis=0).reshape(20, -1, HOP).any(axis=2)
    assert voiced.sum() > 500 and loud[voiced].min() > 0.05


def test_a_decoder_reads_syllables_and_speakers():
    frame, padded, wide = 512, 2048, 256
    window = np.hanning(frame)
    padded_waves = np.pad(SPEECH.waves, ((0, 0), (wide, wide)))
    frames = np.lib.stride_tricks.sliding_window_view(padded_waves, frame, axis=1)[:, :-1:HOP]
    spectrum = np.abs(np.fft.rfft(frames * window, padded))                    # (N, 100, 1025)
    templates, kinds, voices = [], [], []
    for kind in range(len(SYLLABLES)):
        for voice, pitch in enumerate(PITCH):
            for change in np.linspace(0.92, 1.03, 9):              # a pitch varies and falls
                tone = sound(kind, pitch * change, 2000)[700:700 + frame]
                templates.append(np.abs(np.fft.rfft(tone * window, padded)))
                kinds.append(kind)
                voices.append(voice)
    templates = np.array(templates) / np.linalg.norm(templates, axis=1, keepdims=True)
    best = (spectrum @ templates.T).argmax(axis=2)
    voiced = SPEECH.syllables != SILENCE
    assert (np.array(kinds)[best][voiced] == SPEECH.syllables[voiced]).mean() > 0.995
    for row, frames, speaker in zip(np.array(voices)[best], voiced, SPEECH.speakers):
        assert np.bincount(row[frames]).argmax() == speaker
    loud = np.linalg.norm(spectrum, axis=2) > 22
    assert (loud == voiced).mean() > 0.94                          # all but borders


def test_syllables_and_speakers_are_balanced_and_independent():
    _, syllables, speakers = speech(400, seed=3)
    assert np.bincount(speakers, minlength=6).min() > 400 / 6 - 4 * (400 * 5 / 36) ** 0.5
    counts = np.zeros((6, SILENCE + 1))
    for speaker, row in zip(speakers, syllables):
        counts[speaker] += np.bincount(row, minlength=SILENCE + 1)
    rates = counts / counts.sum(axis=1, keepdims=True)
    assert np.abs(rates - rates.mean(axis=0)).max() < 0.03
    assert chance_frames(syllables) == pytest.approx(0.35, abs=0.02)


def test_a_seed_gives_the_same_speech():
    again = speech(N, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(SPEECH, again))
    assert not np.array_equal(SPEECH.waves, speech(N, seed=2).waves)


def test_a_voice_repeats_once_per_period_of_its_pitch():
    tone = sound(0, 160.0, 4000)                                   # a period of 100 samples
    middle = tone[1900:2100]
    lag = np.argmax([np.dot(middle, tone[1900 + k:2100 + k]) for k in range(60, 180)]) + 60
    # after t of T samples the pitch is 160 (1 − 0.05 t / T)
    assert lag == pytest.approx(RATE / (160 * (1 - 0.05 * 0.5)), abs=1)
    assert np.abs(tone).max() <= 1 and tone[0] == 0


@pytest.mark.parametrize("seconds, frames", [(1.0, 100), (0.5, 50), (0.015, 2)])
def test_a_frame_for_each_160_samples(seconds, frames):
    waves, syllables, _ = speech(2, seconds=seconds)
    assert waves.shape == (2, seconds * RATE) and syllables.shape == (2, frames)


@pytest.mark.parametrize("arguments", [{"n": 0}, {"n": 2, "seconds": 0}, {"n": 2, "noise": -1}])
def test_numbers_are_checked(arguments):
    with pytest.raises(ValueError, match="expected a"):
        speech(**arguments)

"""A toy world of speech: syllables, each one vowel, spoken by voices of different pitch.

Paper     Peterson & Barney 1952, "Control Methods Used in a Study of the Vowels", table II (the
          formants of men's vowels)
Equation  a voice of pitch f has the harmonics f, 2f, 3f ...; a vowel with formants F₁, F₂ gives
          harmonic h the amplitude Σₖ wₖ exp(−((h f − Fₖ) / B)²)
Shapes    waves (n, samples) float32 at RATE 16,000 Hz; syllables (n, frames) int64, one label for
          each HOP of 160 samples, 10 ms; speakers (n,) int64
Cost      about 2 ms for a second of speech: NumPy over the samples of a syllable, so no kernel
Read next multimodal/whisper.py (learns the syllables from the sound), worlds/scenes.py

    time       |---- 10 ms frames ---------------------------------------------->
    syllables  .  .  ee ee ee ee ee ee ee .  .  .  ah ah ah ah ah ah .  .  oo oo ...
    speaker    2, of 6: pitch 145 Hz

Known truth: the syllable of each frame, or SILENCE, and the speaker of each utterance.  Content and
speaker are independent, so a model that is trained to recognise syllables has no use for the
speaker: a probe of its layers shows whether they still have it.

Both can be read from the sound.  The spacing of the harmonics is the speaker's pitch; the envelope
over them is the syllable's.  Neighbouring frames overlap (a frame of Whisper is 400 samples, 25
ms), so a frame at the border of a syllable has parts of both; its label is what is spoken at its
centre, sample 160·t.

What could explain an accuracy?  Chance for speakers is 1/6.  For frames it is the share of the
most frequent label, silence: chance_frames().
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.worlds.scenes import generator

f32 = np.float32
RATE, HOP = 16_000, 160
# formants in Hz
SYLLABLES = {"ee": (270, 2290), "ih": (390, 1990), "eh": (530, 1840), "ae": (660, 1720),
             "ah": (730, 1090), "aw": (570, 840), "oo": (300, 870), "er": (490, 1350)}
SILENCE = len(SYLLABLES)                           # the label of frames without a syllable
PITCH = np.array([95, 118, 147, 183, 228, 284], f32)                          # of the speakers, Hz
WEIGHT, BANDWIDTH = (1.0, 0.6), 140                # of the first and the second formant; Hz
LASTS, PAUSE = (0.09, 0.18), (0.03, 0.08)          # seconds, drawn uniformly
FADE = 0.008                                       # seconds in which a syllable begins and ends
TABLE = 1024                                       # samples of one period of a voice


class Speech(NamedTuple):
    """n utterances of the same length, and their truth."""

    waves: np.ndarray              # (n, samples) float32, −1 to 1
    syllables: np.ndarray          # (n, frames), 0 .. 7, or SILENCE
    speakers: np.ndarray           # (n,), 0 .. 5


def speech(n: int, seed: int = 0, seconds: float = 1.0, noise: float = 0.01) -> Speech:
    """Draw n utterances: syllables of random length, with pauses, by one speaker each.

    seconds: the length of each; noise: the standard deviation of the noise.  Raises ValueError for
    numbers that are out of range.

    >>> waves, syllables, speakers = speech(3, seed=1)
    >>> waves.shape, syllables.shape, speakers.shape
    ((3, 16000), (3, 100), (3,))
    """
    require_whole("n", n, 1)
    require_number("seconds", seconds, 0.01, 3600)
    require_number("noise", noise, 0, 1)
    rng, samples = generator(seed, "speech"), int(seconds * RATE)
    speakers = rng.integers(len(PITCH), size=n)
    waves = f32(noise) * rng.standard_normal((n, samples), f32)
    labels = np.full((n, samples), SILENCE, np.int8)
    for wave, label, speaker in zip(waves, labels, speakers):
        _speak(wave, label, PITCH[speaker], rng)
    return Speech(np.clip(waves, -1, 1), labels[:, ::HOP].astype(np.int64), speakers)


def _speak(wave, label, pitch, rng):
    """Add one utterance to a wave, and its syllables to the label of each sample."""
    pitch = pitch * rng.uniform(0.97, 1.03)
    loudness, start = rng.uniform(0.3, 0.8), 0
    while True:
        start += int(RATE * rng.uniform(*PAUSE))
        end, kind = start + int(RATE * rng.uniform(*LASTS)), int(rng.integers(len(SYLLABLES)))
        if end > len(wave):
            return
        wave[start:end] += loudness * sound(kind, pitch, end - start, rng.uniform())
        label[start:end] = kind
        start = end


def sound(kind: int, pitch: float, samples: int, phase: float = 0.0) -> np.ndarray:
    """One syllable, which fades in and out; at most 1.  -> (samples,) float32

    pitch in Hz at the beginning; it falls by 5 %.  phase: 0 to 1, in periods.
    """
    h = np.arange(1, int(4000 / pitch) + 1)
    formants = list(SYLLABLES.values())[kind]
    spectrum = np.zeros(TABLE // 2 + 1)
    for weight, formant in zip(WEIGHT, formants):
        spectrum[h] += weight * np.exp(-((h * pitch - formant) / BANDWIDTH) ** 2)
    period = np.fft.irfft(spectrum, TABLE)                                     # one period
    period /= np.abs(period).max()
    t = np.arange(samples)
    place = phase + pitch / RATE * (t - 0.025 * t ** 2 / samples)              # in periods
    fade = np.clip(np.minimum(t, t[::-1]) / (FADE * RATE), 0, 1)
    return (fade * np.interp(place % 1 * TABLE, np.arange(TABLE + 1), np.append(period, period[0]))
            ).astype(f32)


def chance_frames(syllables: np.ndarray) -> float:
    """The accuracy of always answering the most frequent label.  syllables: (n, frames)."""
    return float(np.bincount(syllables.reshape(-1)).max() / syllables.size)

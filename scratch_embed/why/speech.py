"""What the layers of a small Whisper encoder know: the syllable of a frame, and who speaks.

Papers    Alain & Bengio 2016, "Understanding Intermediate Layers Using Linear Classifier Probes";
          Pasad, Chou & Livescu 2021, "Layer-wise Analysis of a Self-supervised Speech
          Representation Model"
Equation  score = accuracy of logistic regression on standardised vectors: of one frame (content),
          of the mean over an utterance (speaker)
Shapes    a score is two numbers, content and speaker, in %
Cost      a seed takes about 20 seconds on one core
Read next multimodal/whisper_training.py (training), worlds/speech.py, why/effects.py (intervals)

Training asks for syllables only, in noise.  What is expected:

    content   more than in the spectrogram, from the first layer on: a frame of 25 ms is noisy, and
              its neighbours show the same syllable.  A random encoder has less than the
              spectrogram, because random features mix what should be distinguished.
    speaker   less from layer to layer: for a syllable it does not matter who speaks; a random
              encoder keeps more of it.

Both are measured on utterances that training has not used, beside three baselines: chance, the
spectrogram, and the same encoder before training.  Trials on seed 1 came first: they set NOISE
(with little noise the spectrogram alone has 98.6 %), the steps and the number of layers, and the
expectations above were written after them; results are reported of other seeds, in
multimodal/README.md.  The expectation about the speaker turned out half wrong: see there.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.evaluate.probe import linear_probe
from scratch_embed.multimodal.audio import WhisperAudio
from scratch_embed.multimodal.whisper import STRIDE, Config, hidden_states
from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
from scratch_embed.multimodal.whisper_training import (
    Labelled,
    Trained,
    label_frames,
    spectrograms,
    train,
)
from scratch_embed.nn.optim import Optim
from scratch_embed.training.session import RunOptions
from scratch_embed.why.seeds import over_seeds
from scratch_embed.worlds.speech import PITCH, RATE, SYLLABLES, chance_frames, speech

CLASSES = len(SYLLABLES) + 1                   # and silence
NOISE = 0.3                                    # its standard deviation; a voice has at most 0.8
AUDIO = WhisperAudio(mels=40, seconds=1)
CONFIG = Config(mels=40, dim=64, layers=3, heads=4, ff=256, positions=50)
TRAINING, PROBING, TEST = 2000, 150, 150       # utterances
FRAMES, TEST_FRAMES = 1500, 3000               # to fit and to test a probe of content
SPECTROGRAM, RANDOM, TRAINED = "log-mel spectrogram", "random encoder", "trained encoder"


class Spoken(NamedTuple):
    """Utterances as training and probes need them."""

    data: Labelled
    speakers: np.ndarray                       # (N,)


def draw(n: int, seed: int, noise: float = NOISE) -> Spoken:
    """n utterances of one second."""
    waves, syllables, speakers = speech(n, seed, noise=noise)
    return Spoken(Labelled(spectrograms([(wave, RATE) for wave in waves], AUDIO),
                           label_frames(syllables)), speakers)


def train_encoder(seed: int, steps: int = 400, config: Config = CONFIG,
                  spoken: Spoken | None = None) -> tuple[WhisperEncoder, Trained]:
    """(the encoder before training, the result) on TRAINING utterances."""
    start = WhisperEncoder.new(config, AUDIO, seed)
    spoken = spoken or draw(TRAINING, seed)
    return start, train(spoken.data, start, CLASSES, steps, 32, Optim(lr=2e-3),
                        RunOptions(seed=seed))


def scores(x: np.ndarray, spoken: Spoken, seed: int) -> tuple[float, float]:
    """Content and speaker of vectors x (N, T', D), in %; the first PROBING utterances fit."""
    x = (x - x.mean((0, 1))) / (x.std((0, 1)) + 1e-6)
    rng, labels = np.random.default_rng([seed, 4]), spoken.data.labels
    fit, test = slice(0, PROBING), slice(PROBING, None)

    def frames(part, most):
        rows = x[part].reshape(-1, x.shape[-1])
        chosen = rng.permutation(len(rows))[:most]
        return rows[chosen], labels[part].ravel()[chosen]
    X, y = frames(fit, FRAMES)
    Q, truth = frames(test, TEST_FRAMES)
    content = np.mean(linear_probe(X, y, Q) == truth)
    means, who = x.mean(1), spoken.speakers
    speaker = np.mean(linear_probe(means[fit], who[fit], means[test]) == who[test])
    return 100 * float(content), 100 * float(speaker)


def layers(model: WhisperEncoder, spoken: Spoken, seed: int) -> list[tuple[float, float]]:
    """scores() of the layers 0 .. L of an encoder."""
    parts = [hidden_states(part, model.p, model.config)
             for part in np.array_split(spoken.data.spectrograms, 10)]
    return [scores(np.concatenate(states), spoken, seed) for states in zip(*parts)]


def measure(seed: int, steps: int = 400) -> dict[str, list[tuple[float, float]]]:
    """{SPECTROGRAM: [(content, speaker)], RANDOM, TRAINED: one pair a layer} of one seed."""
    start, trained = train_encoder(seed, steps)
    spoken = draw(PROBING + TEST, seed + 1000)
    return {SPECTROGRAM: [scores(spoken.data.spectrograms[:, ::STRIDE], spoken, seed)],
            RANDOM: layers(start, spoken, seed), TRAINED: layers(trained.model, spoken, seed)}


def chance(spoken: Spoken) -> tuple[float, float]:
    """The accuracy of the most frequent syllable or silence, and of guessing a speaker, in %."""
    return 100 * chance_frames(spoken.data.labels), 100 / len(PITCH)


def rows(found: dict[str, np.ndarray]) -> list[tuple[str, np.ndarray]]:
    """[(name of a row, (seeds, 2))] from over_seeds(measure).  found: {name: (seeds, layers, 2)}"""
    named: list[tuple[str, np.ndarray]] = []
    for name, values in found.items():
        for layer in range(values.shape[1]):
            place = f", layer {layer}" if values.shape[1] > 1 else ""
            named.append((name + place, values[:, layer]))
    return named


def mean_rows(seeds: Sequence[int], steps: int = 400) -> list[tuple[str, np.ndarray]]:
    """rows() of several seeds."""
    return rows(over_seeds(lambda seed: measure(seed, steps), seeds))

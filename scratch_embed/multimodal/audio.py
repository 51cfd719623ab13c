"""Sounds as Whisper and CLAP see them: log-mel spectrograms of a fixed length.

Papers    Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision",
          section 2.2 (Whisper); Wu et al. 2023, "Large-Scale Contrastive Language-Audio Pretraining
          with Feature Fusion and Keyword-to-Caption Augmentation", section 3 (LAION's CLAP)
Equation  E the energies of multimodal/mel.py, floor = 1e-10,
          Whisper   L = log₁₀ max(E, floor),  y = (max(L, max L − 8) + 4) / 4
          CLAP      y = 10 log₁₀ max(E, floor), in dB
Shapes    Whisper   x (n,) at 16 kHz, padded with zeros or cut to 30 s -> (3000, 80 or 128)
          CLAP      x (n,) at 48 kHz, repeated or cut to 10 s -> (1001, 64)
Bytes     preprocessor_config.json, as WhisperFeatureExtractor and ClapFeatureExtractor write it
Differs   transformers has time last for Whisper, (80, 3000).  Its extractor of Whisper computes in
          float32 where torch is installed, which differs by up to 6e-5; this one, and its NumPy
          path, in float64.  CLAP's random crop uses the generator that it is given.  Feature fusion
          (truncation "fusion") is refused by name: it needs four spectrograms a sound.
Read next multimodal/whisper.py, multimodal/clap.py

Why a logarithm?  A voice at twice the distance has a quarter of the energy, in every band: after
the logarithm, one constant is added to all numbers, and the differences between them, which say
what is heard, stay the same.

Why max L − 8?  The weakest bands of a recording are noise of the microphone: what is below 1e-8 of
the loudest energy is raised to that.  (… + 4) / 4 brings usual sounds to about −1 .. 1.5.
"""
import os
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scratch_embed.multimodal.mel import Filters, mel_energies, slaney_filters
from scratch_embed.multimodal.resample import resample
from scratch_embed.multimodal.wav import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS, read_wav, to_mono
from scratch_embed.numerics.checks import finite, require_whole
from scratch_embed.numerics.json_files import NULL, Fields, show, write_json
from scratch_embed.numerics.settings import saved_as

Sound = str | os.PathLike | tuple[np.ndarray, int]     # a WAV file, or samples and their rate
FLOOR = 1e-10                      # the least energy, so that silence has a logarithm
RANGE = 8                          # Whisper: log₁₀ of the loudest energy over the weakest kept
HIGHEST = 8000.0                   # Hz: where Whisper's last filter ends, at any rate
DECIBEL = 10.0
FILE = "preprocessor_config.json"
PROCESSOR_FILE = "processor_config.json"               # newer folders have the same fields in it


def load_sound(sound: Sound, rate: int) -> np.ndarray:
    """One sound as (n,) float32 at `rate`: channels averaged, resampled if its rate is another.

    sound: path of a WAV file, or (samples (n,) or (channels, n), rate)
    Raises FormatError for a damaged file; ValueError for a sound without samples, with nan or inf,
    of integers, or of another shape or rate than a sound can have.
    """
    if not isinstance(sound, (tuple, str, os.PathLike)):
        raise TypeError("sound: expected the path of a WAV file, or a pair (samples, rate), got "
                        f"{type(sound).__name__}; say the rate")
    name = "sound" if isinstance(sound, tuple) else os.fspath(sound)
    samples, old_rate = sound if isinstance(sound, tuple) else read_wav(sound)
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2):
        raise ValueError(f"{name}: expected samples (n,) or (channels, n), got shape "
                         f"{samples.shape}")
    if samples.size == 0:
        raise ValueError(f"{name}: expected at least 1 sample, got none; leave this sound out")
    if samples.ndim == 2 and len(samples) > min(samples.shape[1], MOST_CHANNELS):
        raise ValueError(f"{name}: expected samples (channels, n), at most {MOST_CHANNELS} "
                         f"channels and no more channels than samples, got shape {samples.shape}; "
                         "transpose it")
    if samples.dtype.kind != "f":
        raise ValueError(f"{name}: expected floats in -1..1, got {samples.dtype}; divide 16-bit "
                         "integers by 32768")
    if not finite(samples):
        raise ValueError(f"{name}: expected finite samples, got nan or inf")
    require_whole("rate", old_rate, LOWEST_RATE, HIGHEST_RATE)
    return resample(to_mono(samples).astype(np.float32), old_rate, rate)


# ---- Whisper -------------------------------------------------------------------------------------

class WhisperAudio(NamedTuple):
    """The settings of Whisper's spectrogram.  large-v3 has 128 mels, all other models 80."""

    rate: int = 16_000             # samples per second
    n_fft: int = 400               # samples in a window: 25 ms
    hop: int = 160                 # samples between windows: 10 ms
    mels: int = 80
    seconds: int = 30              # of a padded sound

    @property
    def samples(self) -> int:
        """The number of samples of a padded sound."""
        return self.seconds * self.rate

    @property
    def frames(self) -> int:
        """The number of rows of a spectrogram."""
        return self.samples // self.hop

    def filters(self) -> np.ndarray:
        """M (n_fft/2 + 1, mels); a filter above rate / 2 is all zeros."""
        return slaney_filters(self.n_fft, self.rate, self.mels, 0.0, HIGHEST)


def log_mel_whisper(x: np.ndarray, settings: WhisperAudio = WhisperAudio(),
                    M: np.ndarray | None = None) -> np.ndarray:
    """Whisper's log-mel spectrogram of one sound at settings.rate.  (n,) -> (frames, mels) float32

    M: settings.filters(), to compute it once for many sounds.  The original transforms one frame
    more and drops it.  Frames that see padding only are not transformed: their energy is 0.
    """
    _, n_fft, hop, mels, _ = settings
    M = settings.filters() if M is None else M
    x = fit(x[:settings.samples], min(settings.samples, len(x) + 2 * n_fft))
    energies = mel_energies(x, n_fft, hop, M)[:settings.frames]
    y = np.full((settings.frames, mels), np.log10(FLOOR))
    y[:len(energies)] = np.log10(np.maximum(energies, FLOOR))
    return ((np.maximum(y, y.max() - RANGE) + 4) / 4).astype(np.float32)


@saved_as("pad")
def fit(x: np.ndarray, n: int) -> np.ndarray:
    """Cut off what is beyond n samples, or append zeros.  (m,) -> (n,)"""
    return np.pad(x[:n], (0, max(0, n - len(x))))


def read_whisper_audio(folder: str | os.PathLike) -> WhisperAudio:
    """Read the settings of WhisperFeatureExtractor from a folder.

    Raises FormatError for an option that changes the result and is not supported here: dither,
    padding with other values than zeros or at the start, normalised samples.
    """
    fields = extractor_fields(folder, "WhisperFeatureExtractor")
    settings = WhisperAudio(*(fields.whole(name, default=default) for name, default in zip(
        ("sampling_rate", "n_fft", "hop_length", "feature_size", "chunk_length"), WhisperAudio())))
    only: dict[str, list] = {
        "padding_value": [0.0, 0], "padding_side": ["right"], "dither": [0.0, 0],
        "do_normalize": [False, None], "n_samples": [settings.samples],
        "nb_max_frames": [settings.frames]}
    # older files hold mel_filters; transformers, too, computes them from the sizes
    _require(fields, only, ("sampling_rate", "n_fft", "hop_length", "feature_size",
                            "chunk_length", "mel_filters"))
    for name, size in (("n_fft", settings.n_fft), ("hop_length", settings.hop)):
        if size > settings.samples:
            raise fields.fault(name, f"at most the {settings.samples} samples of a sound",
                               show(size))
    return settings


def write_whisper_audio(folder: str | os.PathLike, settings: WhisperAudio) -> None:
    """Write preprocessor_config.json, which WhisperFeatureExtractor.from_pretrained reads."""
    write_json(os.path.join(folder, FILE), {
        "feature_extractor_type": "WhisperFeatureExtractor", "sampling_rate": settings.rate,
        "n_fft": settings.n_fft, "hop_length": settings.hop, "feature_size": settings.mels,
        "chunk_length": settings.seconds, "n_samples": settings.samples,
        "nb_max_frames": settings.frames, **_SHARED, "dither": 0.0})


# ---- CLAP ----------------------------------------------------------------------------------------

@saved_as("repeatpad")
def repeat_pad(x: np.ndarray, n: int) -> np.ndarray:
    """Repeat a short sound as often as it fits whole into n samples, then append zeros."""
    return fit(np.tile(x, max(1, n // len(x))), n)


@saved_as("repeat")
def repeat(x: np.ndarray, n: int) -> np.ndarray:
    """Repeat a short sound and cut it off after n samples."""
    return np.tile(x, n // len(x) + 1)[:n]


PADDINGS: dict[str, Callable] = {"repeatpad": repeat_pad, "repeat": repeat, "pad": fit}


class ClapAudio(NamedTuple):
    """The settings of CLAP's spectrogram: those of laion/clap-htsat-unfused.

    The default of transformers for `low` is 0: a folder's file says which its model was trained on.
    """

    rate: int = 48_000             # samples per second
    n_fft: int = 1_024             # samples in a window: 21 ms
    hop: int = 480                 # samples between windows: 10 ms
    mels: int = 64
    seconds: int = 10              # of a padded sound
    low: float = 50.0              # Hz: where the first filter begins
    high: float = 14_000.0         # Hz: where the last filter ends
    pad: Callable = repeat_pad     # (x, n) -> n samples, for a shorter sound
    make_filters: Filters = slaney_filters     # the models with feature fusion have htk_filters

    @property
    def samples(self) -> int:
        """The number of samples of a padded sound."""
        return self.seconds * self.rate

    @property
    def frames(self) -> int:
        """The number of rows of a spectrogram."""
        return 1 + self.samples // self.hop

    def filters(self) -> np.ndarray:
        """M (n_fft/2 + 1, mels)."""
        return self.make_filters(self.n_fft, self.rate, self.mels, self.low, self.high)


def log_mel_clap(x: np.ndarray, rng: np.random.Generator, settings: ClapAudio = ClapAudio(),
                 M: np.ndarray | None = None) -> np.ndarray:
    """CLAP's log-mel spectrogram of one sound at settings.rate.  (n,) -> (frames, mels) float32, dB

    rng: draws where a longer sound is cut; not used for others.  M: settings.filters(), to compute
    it once for many sounds.  Raises ValueError for a sound without samples.
    """
    if len(x) == 0:
        raise ValueError("sound: expected at least 1 sample, got 0")
    n = settings.samples
    x = random_crop(x, n, rng) if len(x) > n else settings.pad(x, n) if len(x) < n else x
    M = settings.filters() if M is None else M
    energies = mel_energies(x, settings.n_fft, settings.hop, M)
    return (DECIBEL * np.log10(np.maximum(energies, FLOOR))).astype(np.float32)


def random_crop(x: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n consecutive samples of a sound that has at least n."""
    start = int(rng.integers(len(x) - n + 1))
    return x[start:start + n]


def read_clap_audio(folder: str | os.PathLike) -> ClapAudio:
    """Read the settings of ClapFeatureExtractor from a folder.

    Raises FormatError for feature fusion, and for an unknown option or padding.
    """
    fields = extractor_fields(folder, "ClapFeatureExtractor")
    if (found := fields.values.get("truncation", "fusion")) != "rand_trunc":     # the default
        raise fields.fault("truncation", '"rand_trunc" (for a model without feature fusion write '
                           'it, and "padding": "repeatpad", into the file)', show(found))
    default = ClapAudio(low=0.0)                       # transformers' default
    sizes = {ours: fields.whole(theirs, default=getattr(default, ours))
             for ours, theirs in _CLAP_SIZES.items()}
    low, high = (fields.number(name, value) for name, value in (
        ("frequency_min", default.low), ("frequency_max", default.high)))
    if not 0 <= low < high:
        raise fields.fault("frequency_max", f"more than frequency_min, {low:g}, which is at least "
                           "0", show(high))
    pad = PADDINGS[fields.one_of("padding", PADDINGS, "repeatpad")]
    settings = ClapAudio(**sizes, low=float(low), high=float(high), pad=pad)
    only = {"nb_max_samples": [settings.samples], "nb_frequency_bins": [settings.n_fft // 2 + 1]}
    _require(fields, only, (*_CLAP_SIZES.values(), "frequency_min", "frequency_max", "padding",
                            "truncation", *_CLAP_UNUSED))
    return settings


_CLAP_SIZES = {"rate": "sampling_rate", "n_fft": "fft_window_size", "hop": "hop_length",
               "mels": "feature_size", "seconds": "max_length_s"}
# ClapFeatureExtractor stores these and does not use them: it pads with zeros, at the end
_CLAP_UNUSED = ("top_db", "padding_value", "padding_side", "chunk_length_s", "n_fft",
                "nb_max_frames")


def write_clap_audio(folder: str | os.PathLike, settings: ClapAudio) -> None:
    """Write preprocessor_config.json, which ClapFeatureExtractor.from_pretrained reads.

    Raises ValueError for a function `pad` that has no name there, and for other filters.
    """
    names = [name for name, pad in PADDINGS.items() if pad is settings.pad]
    if not names or settings.make_filters is not slaney_filters:
        raise ValueError(f"pad, make_filters: expected one of {', '.join(PADDINGS)} and "
                         "slaney_filters, for which the file has names")
    write_json(os.path.join(folder, FILE), {
        "feature_extractor_type": "ClapFeatureExtractor",
        **{theirs: getattr(settings, ours) for ours, theirs in _CLAP_SIZES.items()},
        "frequency_min": settings.low, "frequency_max": settings.high, "padding": names[0],
        "truncation": "rand_trunc", "nb_max_samples": settings.samples,
        "nb_frequency_bins": settings.n_fft // 2 + 1, "top_db": None, **_SHARED})


# ---- preprocessor_config.json --------------------------------------------------------------------

_SHARED = {"padding_side": "right", "padding_value": 0.0, "return_attention_mask": False}


def extractor_fields(folder: str | os.PathLike, kind: str) -> Fields:
    """The fields of a feature extractor's file; newer folders have them in processor_config.json.

    Raises FormatError if no file is there, or it is of another class than `kind`.
    """
    path = os.path.join(folder, PROCESSOR_FILE)
    fields = (Fields.read(os.path.join(folder, FILE))
              if os.path.exists(os.path.join(folder, FILE)) or not os.path.exists(path) else
              Fields.read(path).inside("feature_extractor"))
    fields.one_of("feature_extractor_type", [kind])
    return fields


def _require(fields, only: Mapping[str, Sequence], known):
    """Raise FormatError for another value of a field of `only`, and for an unknown field."""
    for name, values in only.items():
        fields.one_of(name, values, values[0])
    fields.of("return_attention_mask", bool, NULL, default=None)       # says what is returned
    fields.no_others((*known, *only, "feature_extractor_type", "return_attention_mask",
                      "processor_class", "image_processor_type", "tokenizer_class"))

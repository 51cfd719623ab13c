"""How audio.safetensors was made: by transformers 5.24 (its NumPy path) and SciPy 1.17.

    python -m tests.golden.make_audio

    sound (n,)                  float32: two tones that rise, noise, and a pause
    whisper, whisper128 (t, m)  WhisperFeatureExtractor's NumPy path with chunk_length 1, 80 and 128
                                mels; time first
    clap_PADDING (t, 64)        ClapFeatureExtractor with max_length_s 1, truncation "rand_trunc",
                                frequency_min 50, of a sound shorter than 1 s
    clap_htk (t, 64)            the same with truncation "fusion", which has HTK's filters
                                (of all spectrograms every fifth frame)
    resampled_OLD_NEW           scipy.signal.resample_poly of the sound's first samples, in float64
"""
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
RATES = [(44_100, 16_000), (8_000, 16_000), (48_000, 16_000), (22_050, 48_000)]
PADDINGS = "repeatpad", "repeat", "pad"
EVERY = 5                          # frames of which one is stored
SHORT = 400                        # samples that are resampled


def draw_sound(seed=0, n=12_000, rate=16_000):
    """Two rising tones and noise; the last third is a pause with little noise.  (n,) float32"""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / rate
    loud = np.sin(2 * np.pi * (200 + 900 * t) * t) + 0.3 * np.sin(2 * np.pi * (2500 + 4000 * t) * t)
    x = np.where(t < t[-1] * 2 / 3, 0.3 * loud, 0) + 1e-3 * rng.standard_normal(n)
    return x.astype(np.float32)


def whisper(x, **options):
    """The spectrogram of WhisperFeatureExtractor's NumPy path, time first."""
    from transformers import WhisperFeatureExtractor
    extractor = WhisperFeatureExtractor(**options)
    n = extractor.n_samples
    padded = np.pad(x[:n], (0, max(0, n - len(x))))
    return extractor._np_extract_fbank_features(padded[None], "cpu")[0].T


def clap(x, **options):
    """The first spectrogram of ClapFeatureExtractor."""
    from transformers import ClapFeatureExtractor
    extractor = ClapFeatureExtractor(**options)
    return extractor(x, sampling_rate=extractor.sampling_rate)["input_features"][0][0]


def resample(x, rate, new_rate):
    from scipy.signal import resample_poly
    common = np.gcd(rate, new_rate)
    return resample_poly(x.astype(np.float64), new_rate // common, rate // common)


def make():
    x = draw_sound()
    arrays = {"sound": x, "whisper": whisper(x, chunk_length=1),
              "whisper128": whisper(x, chunk_length=1, feature_size=128)}
    shared = {"max_length_s": 1, "frequency_min": 50}
    for padding in PADDINGS:
        arrays["clap_" + padding] = clap(x, truncation="rand_trunc", padding=padding, **shared)
    arrays["clap_htk"] = clap(x, truncation="fusion", **shared)
    for name in [*arrays][1:]:
        arrays[name] = arrays[name][::EVERY]
    for rates in RATES:
        arrays["resampled_{}_{}".format(*rates)] = resample(x[:SHORT], *rates)
    return arrays


def main():
    from safetensors.numpy import save_file
    save_file({name: np.ascontiguousarray(x) for name, x in make().items()},
              HERE / "audio.safetensors")


if __name__ == "__main__":
    main()

"""Spectrograms: how much energy a sound has at each time in each band of frequencies.

Papers    Stevens, Volkmann & Newman 1937, "A Scale for the Measurement of the Psychological
          Magnitude Pitch" (mel); Davis & Mermelstein 1980, "Comparison of Parametric
          Representations for Monosyllabic Word Recognition" (triangular filters); Slaney 1998,
          "Auditory Toolbox"; Young et al., "The HTK Book", section 5.4
Equation  STFT      X_tf = Σ_n w_n x_{t·hop + n − n_fft/2} e^(−2πi f n / n_fft),
                    w_n = ½ − ½ cos(2π n / n_fft)   (Hann's window, periodic)
          mel       E_tm = Σ_f |X_tf|² M_fm,   M_fm a triangle over f, with its top at m's centre
          Slaney    mel(f) = 3 f / 200 below 1,000 Hz, 15 + 27 ln(f / 1000) / ln 6.4 above;
                    each triangle has area 1 (in Hz)
          HTK       mel(f) = 2595 log₁₀(1 + f / 700); each triangle has height 1
Shapes    x (n,) -> X (t, n_fft/2 + 1), t = 1 + ⌊n / hop⌋ for an even n_fft;
          E (t, mels);  M (n_fft/2 + 1, mels)
Types     computed in float64: rounding errors are relative to the loudest band, and in weak bands
          the logarithm of E would show them
Cost      a Fourier transform of n_fft numbers for each frame, by NumPy: no kernel
Differs   torch.stft, librosa and transformers have time last: (n_fft/2 + 1, t).  Here rows are
          times, as tokens are in nn/.
Read next multimodal/audio.py (what Whisper and CLAP make of it)

Why short windows?  The Fourier transform of a whole sound tells which frequencies occur, but not
when.  A window of 25 ms is short enough for a vowel and long enough for pitches of 40 Hz or more.
It falls to 0 at its ends: a window that stops abruptly adds frequencies that the sound does not
have.

Why mel?  Above some 1,000 Hz people hear ratios: 4,000 Hz and 6,000 Hz are as far apart as 2,000 Hz
and 3,000 Hz, 6 mel by Slaney's formula.  Below it they hear differences: 200 Hz and 300 Hz are 1.5
mel apart.  Bands of equal width in mel are narrow where speech has its vowels and wide where only
hiss differs, so 80 numbers do instead of 201.
"""
from collections.abc import Callable, Iterator

import numpy as np

from scratch_embed.numerics.settings import saved_as

BLOCK = 128                        # frames transformed together; they fit into the cache


def stft(x: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    """The Fourier transforms of overlapping windows, centred on samples 0, hop, 2 hop ...

    x (n,) -> (1 + ⌊n/hop⌋, ⌊n_fft/2⌋ + 1) complex128; n − 1 in place of n if n_fft is odd.
    Before its start and after its end the sound is mirrored.  Raises ValueError unless
    n > ⌊n_fft/2⌋, as torch does.
    """
    return np.concatenate(list(_transforms(x, n_fft, hop)))


def mel_energies(x: np.ndarray, n_fft: int, hop: int, M: np.ndarray) -> np.ndarray:
    """The energy E of each frame in each band.  x (n,), M (⌊n_fft/2⌋ + 1, mels) -> (t, mels)"""
    return np.concatenate([(X.real * X.real + X.imag * X.imag) @ M
                           for X in _transforms(x, n_fft, hop)])


def _transforms(x, n_fft, hop) -> Iterator[np.ndarray]:
    """Yield stft() in blocks of frames."""
    half = n_fft // 2
    if x.ndim != 1 or len(x) <= half:
        raise ValueError(f"sound: expected one channel of more than {half} samples, half of "
                         f"n_fft={n_fft}, got {x.shape}; pad it with zeros")
    padded = np.pad(x.astype(np.float64), half, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    window = hann(n_fft)
    for start in range(0, len(frames), BLOCK):
        yield np.fft.rfft(frames[start:start + BLOCK] * window)


def hann(n: int) -> np.ndarray:
    """Hann's window, periodic: w_0 = 0, and w_n would be 0 again.  -> (n,)"""
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)


# ---- filters -------------------------------------------------------------------------------------

LINEAR = 200 / 3                   # Hz per mel below BREAK, in Slaney's scale
BREAK = 1000.0                     # Hz
LOG_STEP = np.log(6.4) / 27        # 27 bands from 1,000 to 6,400 Hz
HTK_MELS, HTK_HERTZ = 2595.0, 700.0


def slaney_mel(f: np.ndarray) -> np.ndarray:
    """Frequencies in Hz as mel, by Slaney's formula: linear to 1,000 Hz, then logarithmic."""
    return np.where(f < BREAK, f / LINEAR,
                    BREAK / LINEAR + np.log(np.maximum(f, BREAK) / BREAK) / LOG_STEP)


def slaney_hertz(mel: np.ndarray) -> np.ndarray:
    """The inverse of slaney_mel."""
    return np.where(mel < BREAK / LINEAR, mel * LINEAR,
                    BREAK * np.exp(LOG_STEP * (mel - BREAK / LINEAR)))


def htk_mel(f: np.ndarray) -> np.ndarray:
    """Frequencies in Hz as mel, by the formula of HTK."""
    return HTK_MELS * np.log10(1 + f / HTK_HERTZ)


def htk_hertz(mel: np.ndarray) -> np.ndarray:
    """The inverse of htk_mel."""
    return HTK_HERTZ * (10 ** (mel / HTK_MELS) - 1)


@saved_as("slaney")
def slaney_filters(n_fft: int, rate: int, mels: int, low: float, high: float) -> np.ndarray:
    """Triangles of area 1, equally wide in Slaney's mel.  -> M (⌊n_fft/2⌋ + 1, mels)

    low, high: where the first begins and the last ends, in Hz
    """
    corners = _corners(slaney_mel, slaney_hertz, mels, low, high)
    return _triangles(n_fft, rate, corners) * (2 / (corners[2:] - corners[:-2]))


@saved_as("htk")
def htk_filters(n_fft: int, rate: int, mels: int, low: float, high: float) -> np.ndarray:
    """Triangles of height 1, equally wide in HTK's mel.  -> M (⌊n_fft/2⌋ + 1, mels)"""
    return _triangles(n_fft, rate, _corners(htk_mel, htk_hertz, mels, low, high))


Filters = Callable[[int, int, int, float, float], np.ndarray]      # (n_fft, rate, mels, low, high)


def _corners(to_mel: Callable, to_hertz: Callable, mels, low, high):
    """Where triangles begin, have their top, and end: m uses corners m, m+1, m+2.  (mels + 2,)"""
    if not 0 <= low < high:
        raise ValueError(f"low, high: expected 0 <= low < high in Hz, got {low:g} and {high:g}")
    first, last = to_mel(np.array([low, high], np.float64))
    return to_hertz(np.linspace(first, last, mels + 2))


def _triangles(n_fft, rate, corners):
    """min of the rising and the falling line, at least 0, at the frequencies of the transform."""
    f = np.linspace(0, rate // 2, n_fft // 2 + 1)[:, None]             # as in transformers
    widths = np.diff(corners)
    rising = (f - corners[:-2]) / widths[:-1]
    falling = (corners[2:] - f) / widths[1:]
    return np.maximum(0, np.minimum(rising, falling))                  # (bins, mels)

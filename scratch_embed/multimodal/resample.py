"""Change the number of samples per second of a sound, with a low-pass filter against aliases.

Paper     Crochiere & Rabiner 1983, "Multirate Digital Signal Processing", chapter 2 (polyphase
          filters); Kaiser 1974, "Nonrecursive Digital Filter Design Using the I0-sinh Window".
Equation  y_m = Σ_k h(m·down − k·up) x_k,   up/down = new rate / old rate in lowest terms
          h(t) = up · c · w(t) sinc(t/r) for |t| ≤ 10 r,   r = max(up, down), w Kaiser's window
          (β = 5), c such that Σ c w sinc = 1;  x zero outside its n samples
Shapes    x (..., n) -> y (..., ⌈n · up / down⌉)
Cost      about 20 · max(1, down/up) multiplications per output sample; a kernel in float32
Differs   nothing from scipy.signal.resample_poly with its defaults, except rounding.  librosa and
          the loaders of transformers use soxr's filter, which is longer: its band is wider, so the
          highest frequencies differ.
Read next multimodal/mel.py

Why a filter?  Samples at rate R show frequencies up to R/2; a higher frequency f gives the same
samples as R − f (an alias).  So frequencies above half of the lower of the two rates must be
removed.  In theory: write up − 1 zeros between samples of x (now up · old rate), filter, and take
every down-th sample.  Most products would be with zeros, and most outputs are discarded; the
equation above leaves out both.

Why sinc times a window?  sinc is the filter that keeps all frequencies below the limit and no
others, but it never ends.  Cutting it off makes ripples at the limit; a window that falls smoothly
makes them small, at the cost of a less steep limit.
"""
import math

import numpy as np

from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.kernel import kernel

KAISER_BETA = 5.0                  # ripples of about 0.002; SciPy's default
ZERO_CROSSINGS = 10                # of the sinc on each side


def resample(x: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """The sound x (..., n) at another rate.  -> (..., ⌈n · new_rate / rate⌉), of x's type

    Raises ValueError for samples that are not floats, and for rates that are not whole numbers.

    >>> resample(np.ones(4), 8000, 16000).shape
    (8,)
    """
    require_whole("rate", rate, 1)
    require_whole("new_rate", new_rate, 1)
    if x.dtype.kind != "f":
        raise ValueError(f"sound: expected floats, got {x.dtype}; divide 16-bit integers by 32768")
    common = math.gcd(rate, new_rate)
    up, down = new_rate // common, rate // common
    if up == down:
        return x.copy()
    h = low_pass(up, down)
    P, half = phases(h.astype(x.dtype), up), len(h) // 2
    rows = [filter_polyphase(row, P, down, half) if x.dtype != np.float32 else
            filter_kernel(np.ascontiguousarray(row), P, down, half)
            for row in x.reshape(-1, x.shape[-1])]
    return np.array(rows, x.dtype).reshape(*x.shape[:-1], -(-x.shape[-1] * up // down))


def low_pass(up: int, down: int) -> np.ndarray:
    """The filter h(t) for t = −10 r .. 10 r.  -> (20 r + 1,)"""
    r = max(up, down)
    t = np.arange(-ZERO_CROSSINGS * r, ZERO_CROSSINGS * r + 1)
    h = np.sinc(t / r) * np.kaiser(len(t), KAISER_BETA)
    return up * h / h.sum()


def phases(h: np.ndarray, up: int) -> np.ndarray:
    """The taps of each phase s, the oldest sample's first: h(s + (L−1)·up) .. h(s + up), h(s).

    h: (20 r + 1,) -> (up, L), 0 beyond the end of h.  Outputs whose m·down differ by a multiple of
    up use the same taps, because x is 0 between the samples that are up apart.
    """
    L = -(-len(h) // up)
    return np.pad(h, (0, L * up - len(h))).reshape(L, up)[::-1].T.copy()


def filter_polyphase(x: np.ndarray, P: np.ndarray, down: int, half: int) -> np.ndarray:
    """y_m = Σ_j P[s, j] x_{newest − L + 1 + j},  newest, s = divmod(m·down + half, up).

    x (n,), P (up, L) -> y (⌈n·up/down⌉,); half: the index of h(0)
    """
    up, L = P.shape
    y = np.zeros(-(-len(x) * up // down), x.dtype)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, L), L)
    for i in range(min(up, len(y))):                            # outputs i, i + up, i + 2 up ...
        newest, s = divmod(i * down + half, up)
        y[i::up] = windows[newest + 1::down][:len(y[i::up])] @ P[s]    # x_k is padded[k + L]
    return y


@kernel
def filter_kernel(x, P, down, half):
    """filter_polyphase of float32."""
    up, L = P.shape
    y = np.empty(-(-len(x) * up // down), np.float32)
    for m in range(len(y)):
        newest, s = divmod(m * down + half, up)
        oldest, total = newest - L + 1, np.float32(0)
        first, end = max(0, -oldest), min(L, len(x) - oldest)          # x is 0 outside
        taps, seen = P[s, first:end], x[oldest + first:oldest + end]
        for j in range(len(taps)):
            total += taps[j] * seen[j]
        y[m] = total
    return y

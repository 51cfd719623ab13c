"""Spectrograms: by hand, tones, and equality with torch."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratch_embed.multimodal.mel import (
    BLOCK,
    hann,
    htk_filters,
    htk_hertz,
    htk_mel,
    mel_energies,
    slaney_filters,
    slaney_hertz,
    slaney_mel,
    stft,
)
from tests.rounding import seeds


def test_hanns_window_worked_by_hand():
    np.testing.assert_allclose(hann(4), [0, 0.5, 1, 0.5], atol=1e-15)


def test_a_transform_worked_by_hand():
    """n_fft 4, hop 2, x = 1 2 3 4 5, mirrored to 3 2 1 2 3 4 5 4 3; frames begin at 0, 2, 4.

    The window leaves (2, 1, 2) / (1, 2, 1) of (2 1 2), (2 3 4) and (4 5 4), at positions 1, 2, 3:
    X_0 = ½a + b + ½c;  X_1 = −b + ½ i (c − a);  X_2 = b − ½a − ½c.
    """
    X = stft(np.arange(1.0, 6), 4, 2)
    np.testing.assert_allclose(X, [[3, -1, -1], [6, -3 + 1j, 0], [9, -5, 1]], atol=1e-14)


def test_a_pure_tone_has_its_energy_at_its_frequency():
    """A cosine of amplitude 1 at bin 5 of 32: |X_5| is half the sum of the window, 8."""
    x = np.cos(2 * np.pi * 5 / 32 * np.arange(320))
    inner = abs(stft(x, 32, 8))[3:-3]
    assert (inner.argmax(1) == 5).all() and inner[:, 5] == pytest.approx(8)
    assert inner[:, [0, 1, 2, 3, 7, 8]].max() < 1e-12      # Hann's window has three bins


@given(seed=seeds, n_fft=st.integers(2, 40), hop=st.integers(1, 30), more=st.integers(1, 90))
def test_the_number_of_frames_and_their_independence(seed, n_fft, hop, more):
    """A frame depends on its n_fft samples only; 1 + ⌊n / hop⌋ frames."""
    n = n_fft // 2 + more
    x = np.random.default_rng(seed).standard_normal(n)
    X = stft(x, n_fft, hop)
    assert X.shape == (1 + (n - n_fft % 2) // hop, n_fft // 2 + 1)
    changed = x.copy()
    changed[-1] += 1
    first_changed = (n - 1 - n_fft + n_fft // 2) // hop + 1            # or later frames
    np.testing.assert_array_equal(X[:first_changed], stft(changed, n_fft, hop)[:first_changed])


@pytest.mark.parametrize("n_fft, hop, n", [(64, 10, 1000), (400, 160, 16000), (7, 3, 20),
                                           (10, 1, BLOCK + 20)])
def test_torch_gives_the_same_transform(n_fft, hop, n):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).standard_normal(n)
    want = torch.stft(torch.tensor(x), n_fft, hop, return_complex=True,
                      window=torch.hann_window(n_fft, dtype=torch.float64)).numpy().T
    np.testing.assert_allclose(stft(x, n_fft, hop), want, atol=1e-12 * n_fft)


@pytest.mark.parametrize("x", [np.zeros(200), np.zeros((2, 900)), np.zeros(0)])
def test_a_sound_that_is_too_short_to_mirror_is_refused(x):
    with pytest.raises(ValueError, match="expected one channel of more than 200 samples, half of "
                                         "n_fft=400"):
        stft(x, 400, 160)


# ---- filters -------------------------------------------------------------------------------------

def test_the_two_scales_worked_by_hand():
    np.testing.assert_allclose(slaney_mel(np.array([0.0, 500, 1000, 6400])), [0, 7.5, 15, 42])
    np.testing.assert_allclose(htk_mel(np.array([0.0, 700, 6300])), [0, 2595 * np.log10(2), 2595])


@given(f=st.floats(0, 24_000))
def test_hertz_inverts_mel(f):
    f = np.array([f])
    np.testing.assert_allclose(slaney_hertz(slaney_mel(f)), f, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(htk_hertz(htk_mel(f)), f, rtol=1e-12, atol=1e-9)


def test_filters_worked_by_hand():
    """Bins of 100 Hz; corners 0, 200, 400, 600 Hz: linear in Slaney's scale below 1,000 Hz."""
    M = slaney_filters(16, 1600, 2, 0, 600)
    heights = M * 200                                  # area 1: a base of 400 Hz, height 1/200
    np.testing.assert_allclose(heights.T, [[0, .5, 1, .5, 0, 0, 0, 0, 0],
                                           [0, 0, 0, .5, 1, .5, 0, 0, 0]], atol=1e-12)


@pytest.mark.parametrize("filters", [slaney_filters, htk_filters])
def test_filters_overlap_so_that_every_frequency_between_tops_counts_once(filters):
    """Triangles of height 1 sum to 1 between the first and the last top.

    Slaney's have area 1, so their height is 2 over the width of their base.
    """
    M, height = filters(1024, 16_000, 20, 100, 6000), 1.0
    if filters is slaney_filters:
        corners = slaney_hertz(np.linspace(*slaney_mel(np.array([100, 6000])), 22))
        height = 2 / (corners[2:] - corners[:-2])
    tops = M.argmax(0)
    between = slice(tops[0] + 1, tops[-1])
    np.testing.assert_allclose((M / height).sum(1)[between], 1, atol=1e-12)


@pytest.mark.parametrize("filters, options", [
    (slaney_filters, {"norm": "slaney", "mel_scale": "slaney"}),
    (htk_filters, {"norm": None, "mel_scale": "htk"})])
@pytest.mark.parametrize("sizes", [(400, 16_000, 80, 0, 8000), (1024, 48_000, 64, 50, 14_000),
                                   (512, 22_050, 40, 20, 11_000)])
def test_transformers_gives_the_same_filters(filters, options, sizes):
    pytest.importorskip("torch")
    audio_utils = pytest.importorskip("transformers.audio_utils")
    n_fft, rate, mels, low, high = sizes
    want = audio_utils.mel_filter_bank(n_fft // 2 + 1, mels, low, high, rate, **options)
    np.testing.assert_allclose(filters(*sizes), want, atol=1e-14)


@pytest.mark.parametrize("ends", [(100, 100), (-1, 50), (50, 0)])
def test_ends_in_the_wrong_order_are_refused(ends):
    with pytest.raises(ValueError, match="expected 0 <= low < high in Hz"):
        slaney_filters(64, 8000, 4, *ends)


def test_energies_are_squares_times_filters():
    x = np.random.default_rng(1).standard_normal(3000)
    M = slaney_filters(64, 8000, 5, 0, 4000)
    np.testing.assert_allclose(mel_energies(x, 64, 16, M), abs(stft(x, 64, 16)) ** 2 @ M)

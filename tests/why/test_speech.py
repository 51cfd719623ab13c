"""What the layers of a Whisper encoder know: chance and scores by hand, the table's rows."""
import numpy as np
import pytest

from scratch_embed.multimodal.whisper_training import Labelled
from scratch_embed.why.speech import PROBING, TEST, Spoken, chance, rows, scores


def spoken(N=PROBING + TEST, frames=10):
    """Drawn labels of two syllables, and of six speakers."""
    rng = np.random.default_rng(0)
    return Spoken(Labelled(np.zeros((N, 2 * frames, 1), np.float32),
                           rng.integers(2, size=(N, frames))), rng.integers(6, size=N))


def test_chance_is_the_most_frequent_label_and_one_of_six_speakers():
    labels = np.array([[0, 0, 0, 1]])
    found = chance(Spoken(Labelled(np.zeros((1, 8, 1)), labels), np.zeros(1, int)))
    assert found == pytest.approx((75, 100 / 6))


def test_vectors_that_show_content_or_speaker_alone_score_100_on_it_and_chance_on_the_other():
    data = spoken()
    noise = 0.01 * np.random.default_rng(1).standard_normal((*data.data.labels.shape, 6))
    content, speaker = scores(np.eye(6)[data.data.labels] + noise, data, seed=1)
    assert content == 100 and speaker < 40
    content, speaker = scores(np.eye(6)[data.speakers][:, None] + noise, data, seed=1)
    assert content < 60 and speaker == 100


def test_a_row_for_each_layer():
    named = rows({"spectrogram": np.zeros((3, 1, 2)), "encoder": np.ones((3, 2, 2))})
    assert [name for name, _ in named] == ["spectrogram", "encoder, layer 0", "encoder, layer 1"]
    assert all(values.shape == (3, 2) for _, values in named)

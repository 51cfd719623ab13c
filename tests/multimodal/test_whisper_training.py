"""Training Whisper's encoder on frames: the loss by hand, gradients, bits, resuming, verdict."""
import json
import signal

import numpy as np
import pytest

from scratch_embed.multimodal.audio import WhisperAudio
from scratch_embed.multimodal.sound_files import (
    class_names,
    longest_seconds,
    read_labelled,
    read_sound_list,
)
from scratch_embed.multimodal.wav import write_wav
from scratch_embed.multimodal.whisper import Config, infer
from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
from scratch_embed.multimodal.whisper_training import (
    UNLABELLED,
    Labelled,
    classify,
    frame_loss,
    label_frames,
    spectrograms,
    train,
)
from scratch_embed.multimodal.whisper_verdict import of_frames
from scratch_embed.nn.activations import gelu
from scratch_embed.nn.gradcheck import check_loss
from scratch_embed.nn.optim import Optim
from scratch_embed.nn.params import Normal, init_params, join, linear_tensors
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.settings import saved_as
from scratch_embed.training.checkpoint import Checkpoint
from scratch_embed.training.session import RunOptions
from tests.multimodal.test_whisper import draw, random_params

AUDIO = WhisperAudio(rate=4000, n_fft=100, hop=100, mels=8, seconds=1)       # 40 frames
SIZES = Config(mels=8, dim=12, layers=1, heads=2, ff=16, positions=20)


def new(seed=1):
    return WhisperEncoder.new(SIZES, AUDIO, seed)


def tones(n, seed=0):
    """n sounds with a low tone, then a high one, and the tone of each frame of the encoder."""
    rng, t = np.random.default_rng(seed), np.arange(4000)
    change = rng.integers(500, 3500, n)
    frequency = np.where(t < change[:, None], 0.05, 0.2)
    waves = np.sin(2 * np.pi * frequency * t) + 0.3 * rng.standard_normal((n, 4000))
    labels = (200 * np.arange(20) >= change[:, None]).astype(np.int64)
    return Labelled(spectrograms([(wave, 4000) for wave in waves], AUDIO), labels)


# ---- the loss ------------------------------------------------------------------------------------

def float64_params(classes):
    head = init_params(linear_tensors("head", classes, 12, Normal(1.0)), 1, np.float64)
    return join(random_params(SIZES), head)


def test_the_loss_is_the_mean_over_labelled_frames_by_hand():
    p = float64_params(3)
    y, labels = draw(2, 6, 8), np.array([[0, UNLABELLED, 2], [UNLABELLED, UNLABELLED, 1]])
    loss, _ = frame_loss(Labelled(y, labels), p, SIZES)
    x = infer(y, p, SIZES)
    by_hand = 0
    for n, t in ((0, 0), (0, 2), (1, 2)):
        s = p["head.weight"] @ x[n, t] + p["head.bias"]
        by_hand += np.log(np.exp(s).sum()) - s[labels[n, t]]
    assert loss == pytest.approx(by_hand / 3, rel=1e-12)


def test_the_gradient_of_the_loss():
    y, labels = draw(2, 6, 8), np.array([[0, UNLABELLED, 2], [UNLABELLED, 1, 1]])
    check_loss(lambda p: frame_loss(Labelled(y, labels), p, SIZES), float64_params(3))


def test_a_frame_of_the_encoder_has_the_label_at_its_centre():
    """Frame t is centred on frame 2 t of the spectrogram: 4 frames are 2, and 5 are 3."""
    assert label_frames(np.array([[7, 7, 8, 9]])).tolist() == [[7, 8]]
    assert label_frames(np.array([[7, 7, 8, 9, 6]])).tolist() == [[7, 8, 6]]


# ---- training ------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def trained():
    return train(tones(60), new(), 2, 60, 20, Optim(lr=1e-2))


def test_an_encoder_learns_which_tone_a_frame_has(trained):
    data = tones(20, seed=1)
    right = classify(data.spectrograms, trained.model, trained.head) == data.labels
    assert right.mean() > 0.95 and trained.losses[-1] < 0.3 < trained.losses[0]


def test_what_training_does_not_change(trained):
    start = new()
    before = start.p.flat.copy()
    assert (train(tones(10), start, 2, 2, 5).model.p.flat != before).any()
    np.testing.assert_array_equal(start.p.flat, before)
    assert trained.model.p.frozen == ("positions.weight",)
    assert {*trained.head} == {"head.weight", "head.bias"}
    assert {*trained.model.p} == {*start.p}


def test_two_workers_compute_the_same_up_to_rounding():
    one, two = (train(tones(30), new(), 2, 3, 7, Optim(lr=1e-3), RunOptions(workers=w))
                for w in (1, 2))
    np.testing.assert_allclose(one.losses, two.losses, rtol=1e-5)


def interrupting_gelu(call):
    """GELU, which raises SIGINT (Ctrl-C) in the given call; 0: never."""
    calls = []

    @saved_as("gelu")
    def counted_gelu(x):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return gelu(x)
    return counted_gelu


def test_an_interrupted_run_resumes_to_the_same_bits(tmp_path):
    data, path = tones(30), tmp_path / "run.state"

    def run(call, checkpoint=None):
        config = SIZES._replace(activation=interrupting_gelu(call))
        return train(data, WhisperEncoder.new(config, AUDIO), 2, 6, 10, Optim(lr=1e-3),
                     RunOptions(checkpoint=checkpoint))
    whole = run(0)
    with pytest.raises(KeyboardInterrupt):
        run(3, Checkpoint(path))
    resumed = run(0, Checkpoint(path, resume=True))
    assert resumed.losses == whole.losses
    for ours, theirs in ((resumed.model.p, whole.model.p), (resumed.head, whole.head)):
        np.testing.assert_array_equal(ours.flat, theirs.flat)


@pytest.mark.parametrize("change, message", [
    (dict(labels=np.full((5, 20), 2)), "labels: expected -1 to 1, got 2 to 2"),
    (dict(labels=np.zeros((5, 19), int)), r"labels \(5, 20\), got \(5, 40, 8\) and \(5, 19\)"),
    (dict(labels=np.where(np.arange(5)[:, None] == 3, UNLABELLED, np.zeros((5, 20), int))),
     "got none in sound 3"),
    (dict(spectrograms=np.zeros((5, 40, 9), np.float32)), r"expected spectrograms \(N, T, 8\)"),
    (dict(spectrograms=np.zeros((0, 40, 8)), labels=np.zeros((0, 20), int)), "at least 1 sound")])
def test_data_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        train(tones(5)._replace(**change), new(), 2, 1)


def test_the_verdict_stands_beside_the_most_frequent_label(trained):
    data, start = tones(20, seed=2), new()
    head = init_params(linear_tensors("head", 2, 12, Normal(1.0)), 1)
    counts = np.bincount(tones(60).labels.ravel())
    found = of_frames(trained.model, trained.head, (start, head), data, counts)
    assert found.verdict.learned and found.verdict.examples == 400 and found.accuracy > 0.95
    assert found.most_frequent == (data.labels == counts.argmax()).mean()
    untrained = of_frames(start, head, (start, head), data, counts)
    assert not untrained.verdict.learned and untrained.accuracy < 0.9


# ---- lists of sounds -----------------------------------------------------------------------------

@pytest.fixture
def folder(tmp_path):
    """Three sounds of 0.5, 1 and 1.5 seconds."""
    for n in (1, 2, 3):
        write_wav(tmp_path / f"{n}.wav", np.full(2000 * n, 0.1), 4000)
    return tmp_path


def write(folder, text):
    (folder / "list").write_text(text)
    return folder / "list"


def test_a_list_with_tabs(folder):
    found = read_sound_list(write(folder, "1.wav\tyes\n\n3.wav\tno\n"))
    assert found.sounds == [str(folder / "1.wav"), str(folder / "3.wav")]
    assert class_names(found) == ["no", "yes"] and longest_seconds(found, 4000, 30) == 2
    data, cut = read_labelled(found, new(), ["no", "yes"])
    assert data.labels[0].tolist() == [1] * 10 + [UNLABELLED] * 10 and cut == 1
    assert (data.labels[1] == 0).all() and data.spectrograms.shape == (2, 40, 8)


def test_json_lines_with_a_label_for_every_step_of_the_spectrogram(folder):
    """Steps of 25 ms here; a frame of the encoder has the label of every second step."""
    lines = [{"sound": "1.wav", "who": 7, "what": ["a", "b"] * 5 + ["c"] * 10},
             {"sound": "2.wav", "who": 8, "what": "d"}]
    path = write(folder, "\n".join(map(json.dumps, lines)))
    assert class_names(read_sound_list(path, "who")) == ["7", "8"]
    data, _ = read_labelled(read_sound_list(path, "what"), new(), list("abcd"))
    assert data.labels[0].tolist() == [0] * 5 + [2] * 5 + [UNLABELLED] * 10
    assert (data.labels[1] == 3).all()


@pytest.mark.parametrize("text, message", [
    ("", "list: its lines: expected a sound in each, found none"),
    ("1.wav yes", "line 1: expected a WAV file, a tab and a label, found '1.wav yes'"),
    ('{"sound": "1.wav"}', "line 1, field 'label': expected a label, or a list of labels"),
    ('{"sound": "1.wav", "label": 1.5}', "line 1, field 'label'"),
    ('{"sound": "1.wav", "label": ["a", "b"]}', "line 1: expected 20 labels, one for every 25 ms "
                                                "of the sound, found 2"),
    ("1.wav\tmaybe", r"line 1: expected one of 2 labels, \['a', 'b'\], found 'maybe'")])
def test_a_wrong_list_is_refused_with_its_line(folder, text, message):
    with pytest.raises(FormatError, match=message):
        read_labelled(read_sound_list(write(folder, text)), new(), ["a", "b"])

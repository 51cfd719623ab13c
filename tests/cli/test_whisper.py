"""train whisper: on a list of sounds, on the toy speech, from another encoder; wrong arguments."""
import numpy as np
import pytest

from scratch_embed import load
from scratch_embed.cli import whisper
from scratch_embed.multimodal.audio import WhisperAudio
from scratch_embed.multimodal.wav import write_wav

TINY = ["--dim", "8", "--ff", "8", "--layers", "1", "--heads", "2", "--mels", "8", "--steps", "2"]


@pytest.fixture
def sounds(tmp_path):
    """A list of four sounds of half a second or more, with two labels."""
    rng, lines = np.random.default_rng(0), []
    for n in range(4):
        write_wav(tmp_path / f"{n}.wav", rng.uniform(-1, 1, (2, 4000 + 3000 * n)), 8000)
        lines.append(f"{n}.wav\t{'ab'[n % 2]}")
    (tmp_path / "sounds.tsv").write_text("\n".join(lines))
    return str(tmp_path / "sounds.tsv")


def test_an_encoder_is_trained_on_a_list_of_sounds(sounds, tmp_path, run):
    out = str(tmp_path / "whisper")
    code, stdout, err = run("train", "whisper", sounds, "-o", out, *TINY, "--held-out", sounds)
    assert (code, stdout) == (0, "") and "4 sounds, 2 labels" in err
    assert "of held-out sounds; the most frequent label, b, in" in err and "verdict: " in err
    model = load(out)
    assert model.audio == WhisperAudio(mels=8, seconds=2) and model.dim == 8
    code, _, err = run("train", "whisper", sounds, "-o", str(tmp_path / "again"), "--model", out,
                       "--steps", "1", "--seed", "3")
    assert code == 0 and load(tmp_path / "again").config == model.config
    code, _, err = run("train", "whisper", sounds, "-o", out, *TINY, "--seconds", "1")
    assert code == 0 and "2 longer than 1 s were cut" in err and load(out).audio.seconds == 1


def test_without_a_list_it_learns_the_toy_speech(tmp_path, run, monkeypatch):
    monkeypatch.setattr(whisper, "TOY", 12)
    monkeypatch.setattr(whisper, "TOY_HELD_OUT", 4)
    code, _, err = run("train", "whisper", "-o", str(tmp_path / "w"), *TINY)
    assert code == 0 and "the toy speech: 12 utterances of 1 s, 4 held out" in err
    assert "% of 200 frames of held-out sounds; the most frequent label, silence, in" in err


@pytest.mark.parametrize("options, code, message", [
    (["--dim", "9"], 2, "--dim: expected an even number of at least 4 that --heads 2 divides"),
    (["--held-out", "sounds.tsv"], 2, "--held-out: expected with a FILE of sounds"),
    (["--seconds", "31"], 2, "expected a whole number of at most 30"),
    (["--model", "x", "--dim", "8"], 2, "--model has sizes of its own: leave out --dim")])
def test_wrong_options(options, code, message, tmp_path, run):
    found, _, err = run("train", "whisper", "-o", str(tmp_path / "w"), *TINY[4:8], *options)
    assert found == code and message in err and err.count("\n") == 1


@pytest.mark.parametrize("line, message", [
    ("none.wav\ta", "line 1: 'none.wav': there is no such file; names are relative"),
    ("sounds.tsv\ta", "expected a WAV file"),
    ("0.wav\ta", "expected at least 2 different labels, found 1"), ("0.wav", "a tab and a label")])
def test_wrong_lists_are_one_line(sounds, line, message, tmp_path, run):
    (tmp_path / "list").write_text(line if "labels" in message else line + "\n0.wav\tb\n")
    code, _, err = run("train", "whisper", str(tmp_path / "list"), "-o", str(tmp_path / "w"), *TINY)
    assert code == 1 and message in err and err.count("\n") == 1

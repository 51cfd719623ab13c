"""The folders of `world`: Pillow and SciPy open their files and find the world's values."""
import json

import numpy as np
import pytest

from scratch_embed.multimodal.scene_files import write_scenes, write_speech
from scratch_embed.multimodal.wav import read_wav
from scratch_embed.numerics.png import read_png
from scratch_embed.worlds.scene_senses import audio, depth, image, imu, thermal
from scratch_embed.worlds.scenes import ATTRIBUTES, HELD_OUT, KNOWN, NAMES, caption, draw_scenes
from scratch_embed.worlds.speech import SILENCE, SYLLABLES, speech

N, SEED = 6, 4
SCENES = draw_scenes(N, SEED)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenes")
    write_scenes(path, N, SEED)
    return path


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_scene_has_its_files_captions_and_truth(folder):
    rows = lines(folder / "scenes.jsonl")
    assert [row["caption"] for row in rows] == caption(SCENES, SEED)
    assert [row["sound_caption"] for row in rows] == caption(SCENES, SEED,
                                                             attributes=KNOWN["audio"])
    for name in NAMES:
        assert [ATTRIBUTES[name].index(row[name]) for row in rows] == SCENES.of(name).tolist()
    for row, pixels, near, hot, wave in zip(
            rows, image(SCENES, SEED), depth(SCENES, SEED), thermal(SCENES, SEED),
            audio(SCENES, SEED)):
        assert np.array_equal(read_png(folder / row["image"]), pixels)
        for kind, x in ("depth", near), ("thermal", hot):
            grey = read_png(folder / row[kind])[..., 0]
            assert np.abs(grey / 255 - np.clip(x[0], 0, 1)).max() <= 0.5 / 255 + 1e-6
        samples, rate = read_wav(folder / row["sound"])[:2]
        assert rate == 8000 and np.abs(samples[0] - wave).max() <= 2 ** -15
    assert np.array_equal(np.load(folder / "imu.npy"), imu(SCENES, SEED))


def test_the_tables_of_captions_name_the_files(folder):
    rows = lines(folder / "scenes.jsonl")
    for table, file, text in (("captions.tsv", "image", "caption"),
                              ("sounds.tsv", "sound", "sound_caption")):
        header, *found = (folder / table).read_text().splitlines()
        assert header == "filepath\ttitle"
        assert found == [f"{row[file]}\t{row[text]}" for row in rows]


def test_the_text_has_every_word_of_every_caption(folder):
    known = set((folder / "text.txt").read_text().split())
    texts = caption(draw_scenes(3000, 9), 9, dropout=0.5, attributes=NAMES)
    assert not {word for text in texts for word in text.split()} - known - {"thing", "item",
                                                                            "object"}


def test_pillow_and_scipy_open_the_files(folder):
    Image, wavfile = pytest.importorskip("PIL.Image"), pytest.importorskip("scipy.io.wavfile")
    row = lines(folder / "scenes.jsonl")[3]
    opened = Image.open(folder / row["image"])
    assert opened.mode == "RGB" and np.array_equal(opened, image(SCENES, SEED)[3])
    assert Image.open(folder / row["thermal"]).mode == "L"
    rate, samples = wavfile.read(folder / row["sound"])
    assert rate == 8000 and samples.dtype == np.int16
    assert np.abs(samples / 2 ** 15 - audio(SCENES, SEED)[3]).max() <= 2 ** -15


def test_the_pairs_can_be_chosen(tmp_path):
    write_scenes(tmp_path, 5, pairs=HELD_OUT)
    for row in lines(tmp_path / "scenes.jsonl"):
        pair = tuple(ATTRIBUTES[name].index(row[name]) for name in ("shape", "colour"))
        assert pair in HELD_OUT


def test_speech_has_a_syllable_for_each_frame_and_a_speaker(tmp_path):
    wavfile = pytest.importorskip("scipy.io.wavfile")
    write_speech(tmp_path, 3, SEED)
    label, truth = [*SYLLABLES, "silence"], speech(3, SEED)
    for i, row in enumerate(lines(tmp_path / "speech.jsonl")):
        assert [label.index(name) for name in row["syllables"]] == truth.syllables[i].tolist()
        assert row["speaker"] == truth.speakers[i]
        rate, samples = wavfile.read(tmp_path / row["sound"])
        assert rate == 16_000
        assert np.abs(samples / 2 ** 15 - truth.waves[i]).max() <= 2 ** -15
    assert label[SILENCE] == "silence"

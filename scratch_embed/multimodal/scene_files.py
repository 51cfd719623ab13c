"""The toy scenes and the toy speech as folders of files that ordinary programs open.

Bytes     scenes   images/0000.png (RGB), depth/0000.png and thermal/0000.png (grey), all 16 x 16;
                   sounds/0000.wav (16 bits, 8 kHz); imu.npy float32 (n, 6, 64)
                   captions.tsv, sounds.tsv: a header, then a file and a caption per line, as
                   open_clip's --train-data has them (filepath, title)
                   scenes.jsonl: the files, captions and attributes of each scene, the truth
                   text.txt: captions that name every attribute by every word, for a tokenizer
          speech   sounds/0000.wav (16 bits, 16 kHz)
                   speech.jsonl: the file, the speaker and the syllable of each frame of 10 ms
Read next worlds/scenes.py, worlds/scene_senses.py, worlds/speech.py (the worlds)
"""
import json
import os
from collections.abc import Iterable

import numpy as np

from scratch_embed.multimodal.wav import write_wav
from scratch_embed.numerics.files import atomic_write
from scratch_embed.numerics.npy import write_npy
from scratch_embed.numerics.png import write_png
from scratch_embed.worlds import speech as spoken
from scratch_embed.worlds.scene_senses import RATE, audio, depth, image, imu, thermal
from scratch_embed.worlds.scenes import (
    ATTRIBUTES,
    KNOWN,
    NAMES,
    PAIRS,
    Pair,
    caption,
    draw_scenes,
)

SCENE_FILES = "scenes.jsonl", "captions.tsv", "sounds.tsv", "text.txt", "imu.npy"
SPEECH_FILES = ("speech.jsonl",)
HEADER = "filepath\ttitle"
TEXTS = 2000                       # captions of text.txt


def write_scenes(folder: str | os.PathLike, n: int, seed: int = 0, pairs: Iterable[Pair] = PAIRS
                 ) -> None:
    """Draw n scenes and write what each sense perceives of them; the folder is created if missing.

    pairs: the combinations of shape and colour that occur, see worlds/scenes.py
    """
    scenes = draw_scenes(n, seed, tuple(pairs))
    names = _file_names(n)
    grey = {"depth": depth(scenes, seed)[:, 0], "thermal": thermal(scenes, seed)[:, 0]}
    pixels = {"images": image(scenes, seed),
              **{kind: np.clip(np.rint(255 * x), 0, 255).astype(np.uint8)
                 for kind, x in grey.items()}}
    for kind, drawn in pixels.items():
        os.makedirs(os.path.join(folder, kind), exist_ok=True)
        for name, one in zip(names, drawn):
            write_png(os.path.join(folder, kind, f"{name}.png"), one)
    _write_sounds(folder, names, audio(scenes, seed), RATE)
    write_npy(os.path.join(folder, "imu.npy"), imu(scenes, seed))
    texts, heard = caption(scenes, seed), caption(scenes, seed, attributes=KNOWN["audio"])
    images = [f"images/{name}.png" for name in names]
    sounds = [f"sounds/{name}.wav" for name in names]
    _write_lines(folder, "captions.tsv", [HEADER, *map("\t".join, zip(images, texts))])
    _write_lines(folder, "sounds.tsv", [HEADER, *map("\t".join, zip(sounds, heard))])
    values = [[ATTRIBUTES[name][value] for name, value in zip(NAMES, row)]
              for row in scenes.labels.tolist()]
    _write_lines(folder, "scenes.jsonl", (
        json.dumps({"image": f"images/{name}.png", "depth": f"depth/{name}.png",
                    "thermal": f"thermal/{name}.png", "sound": f"sounds/{name}.wav",
                    "caption": text, "sound_caption": sound, **dict(zip(NAMES, row))})
        for name, text, sound, row in zip(names, texts, heard, values)))
    _write_lines(folder, "text.txt", caption(draw_scenes(TEXTS, seed), seed, 0, NAMES))


def write_speech(folder: str | os.PathLike, n: int, seed: int = 0) -> None:
    """Draw n utterances of a second and write them; the folder is created if missing."""
    waves, syllables, speakers = spoken.speech(n, seed)
    names = _file_names(n)
    _write_sounds(folder, names, waves, spoken.RATE)
    label = [*spoken.SYLLABLES, "silence"]
    _write_lines(folder, "speech.jsonl", (
        json.dumps({"sound": f"sounds/{name}.wav", "speaker": speaker,
                    "syllables": [label[i] for i in row]})
        for name, speaker, row in zip(names, speakers.tolist(), syllables.tolist())))


def _file_names(n):
    """0000, 0001, ...: n names of equal length."""
    return [f"{i:0{max(4, len(str(n - 1)))}d}" for i in range(n)]


def _write_sounds(folder, names, waves, rate):
    os.makedirs(os.path.join(folder, "sounds"), exist_ok=True)
    for name, wave in zip(names, waves):
        write_wav(os.path.join(folder, "sounds", f"{name}.wav"), wave, rate)


def _write_lines(folder, name, lines):
    with atomic_write(os.path.join(folder, name)) as file:
        file.writelines(f"{line}\n".encode() for line in lines)

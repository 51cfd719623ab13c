"""ImageBind: images, texts, sounds and other signals to vectors in one space; its folder.

Bytes     the files of CLIP's folder (multimodal/clip_folder.py), which CLIP's readers read, and
          imagebind.json        the sizes of each sense's tower, and how spectrograms are made
          senses.safetensors    the tensors of all towers, under our names (audio.class ...)
Shapes    encode: N inputs -> (N, E) float32
Differs   The original has no folder: its weights are one pickle (imagebind_files.py).
Read next multimodal/imagebind.py (the towers and their training), multimodal/clip_encoder.py
"""
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.multimodal.audio import FLOOR, Sound, fit, load_sound
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.imagebind import Sense, infer, tensors, trunk
from scratch_embed.multimodal.mel import mel_energies, slaney_filters
from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.folders import replaced_together
from scratch_embed.numerics.json_files import REQUIRED, Fields, show, write_json
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.numerics.png import read_png
from scratch_embed.numerics.safetensors import read_safetensors, write_safetensors
from scratch_embed.transformer.checkpoint import require_declared

SETTINGS, WEIGHTS = "imagebind.json", "senses.safetensors"
SOUND = "audio"                    # the sense whose inputs are sounds
BATCH = 128                        # inputs that are encoded at a time


class Spectrogram(NamedTuple):
    """How a sound becomes a map (1, mels, frames): the logarithms of its energies in mel bands."""

    rate: int = 8000               # samples per second
    n_fft: int = 256               # samples in a window
    hop: int = 64                  # samples between windows
    mels: int = 32
    frames: int = 32               # longer sounds are cut off, shorter ones end with silence
    least: float = 1e-4            # the least energy, which hides noise

    def __call__(self, sounds: Sequence[Sound]) -> np.ndarray:
        """The maps of N sounds: WAV files, or (samples, rate).  -> (N, 1, mels, frames) float32"""
        M = slaney_filters(self.n_fft, self.rate, self.mels, 0.0, self.rate / 2)
        maps = np.empty((len(sounds), 1, self.mels, self.frames), np.float32)
        for map, sound in zip(maps, sounds):
            x = fit(load_sound(sound, self.rate), self.frames * self.hop)
            energies = mel_energies(x, self.n_fft, self.hop, M)[:self.frames]
            map[0] = np.log10(np.maximum(energies, max(self.least, FLOOR))).T
        return maps


class ImageBind:
    """A CLIP model, and a tower for each further sense.

        ImageBind.load(folder)
        ImageBind(clip, senses, p, spectrogram)     p: of train() in multimodal/imagebind.py

    >>> from scratch_embed.multimodal.clip_verdict import Recipe, untrained
    >>> from scratch_embed.multimodal.imagebind import Sense, tensors, trunk
    >>> from scratch_embed.nn.params import init_params
    >>> clip = untrained(["a red circle", "a blue square"] * 2, seed=1, recipe=Recipe(dim=8))
    >>> senses = {"audio": Sense((1, 32, 32), patch=8, stride=6, trunk=trunk(8, 1, 2), scale=20.0)}
    >>> model = ImageBind(clip, senses, init_params(tensors(senses, E=8), seed=1))  # not trained
    >>> model
    ImageBind(image, text, audio; 8 dimensions)
    >>> sound = np.sin(np.arange(2000.0)), 8000                                # samples and rate
    >>> (model.encode("audio", [sound]) @ model.encode("text", ["a red circle"]).T).shape
    (1, 1)
    """

    def __init__(self, clip: Clip, senses: Mapping[str, Sense], p: Params,
                 spectrogram: Spectrogram = Spectrogram()) -> None:
        """The arguments are not copied, so each call uses the current parameters.

        p: the tensors of all senses; the inputs of the sense "audio" are sounds
        """
        self.clip, self.senses, self.p, self.spectrogram = clip, dict(senses), p, spectrogram

    def __repr__(self) -> str:
        return f"ImageBind(image, text, {', '.join(self.senses)}; {self.clip.dim} dimensions)"

    def encode(self, sense: str, inputs: Sequence[Any]) -> np.ndarray:
        """The vectors of N inputs of one sense, at norm 1.  -> (N, E) float32

        "image"   uint8 arrays or PNG files;  "text"   strings
        "audio"   WAV files, or (samples, rate)
        others    arrays of the shape of the sense, or, for maps with one channel, grey PNG files,
                  whose 0..255 becomes 0..1
        Raises ValueError for an unknown sense and for inputs that do not fit it.
        """
        if sense == "image":
            return self.clip.encode_images(inputs, normalize=True)
        if sense == "text":
            return self.clip.encode_texts(inputs, normalize=True)
        if sense not in self.senses:
            raise ValueError(f"sense: expected image, text, {', '.join(self.senses)}, got "
                             f"{sense!r}")
        y = np.empty((len(inputs), self.clip.dim), np.float32)
        for start in range(0, len(inputs), BATCH):
            x = self.arrays(sense, inputs[start:start + BATCH])
            y[start:start + BATCH] = infer(x, self.p, self.senses[sense], sense + ".")
        return l2_normalize(y)[0]

    def arrays(self, sense: str, inputs: Sequence[Any]) -> np.ndarray:
        """What the tower of a sense reads: N inputs -> (N, *sense.shape), of p's type."""
        maps = self.spectrogram(inputs) if sense == SOUND else np.stack([
            grey_map(x) if isinstance(x, str | os.PathLike) else np.asarray(x) for x in inputs])
        return maps.astype(self.p.flat.dtype, copy=False)

    # ---- the folder ------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike) -> None:
        """Write a folder that load() reads; Clip.load reads it too.

        Raises ValueError for parameters that the senses do not declare, or that are nan or inf.
        """
        require_declared(folder, self.p, tensors(self.senses, self.clip.dim))
        if not np.isfinite(self.p.flat).all():
            raise ValueError(f"cannot write {folder}: the weights hold nan or inf")
        with replaced_together(folder, SETTINGS) as temporary:
            self.clip.save(temporary)
            write_safetensors(os.path.join(temporary, WEIGHTS), dict(self.p))
            write_json(os.path.join(temporary, SETTINGS), {
                "senses": {name: _fields(sense) for name, sense in self.senses.items()},
                "spectrogram": self.spectrogram._asdict()})

    @classmethod
    def load(cls, folder: str | os.PathLike, dtype: type = np.float32) -> "ImageBind":
        """Read a folder that save() wrote.

        Raises FormatError that names the file and the field.
        """
        clip = Clip.load(folder, dtype)
        fields = Fields.read(os.path.join(folder, SETTINGS))
        senses = {name: _sense(Fields(fields.path, values, f"senses, {name}"))
                  for name, values in fields.object("senses").items()}
        given = Fields(fields.path, fields.object("spectrogram"), "spectrogram")
        *whole, least = Spectrogram._fields
        sizes = {name: given.whole(name) for name in whole}
        spectrogram = Spectrogram(**sizes, least=given.positive(least))
        path = os.path.join(folder, WEIGHTS)
        try:
            p = Params(tensors(senses, clip.dim), dtype)
        except ValueError as error:                # sizes that do not fit each other
            raise FormatError(fields.path, "senses", str(error)) from None
        arrays, _ = read_safetensors(path)
        shapes = {name: array.shape for name, array in arrays.items()}
        if shapes != p.shapes:
            differing = sorted(set(shapes.items()) ^ set(p.shapes.items()))
            raise FormatError(path, "its tensors", f"expected those of {SETTINGS}; these differ: "
                              f"{show(differing)}")
        for name, array in arrays.items():
            p[name][...] = array
        if not np.isfinite(p.flat).all():
            raise FormatError(path, "its tensors", "expected finite numbers, found nan or inf")
        return cls(clip, senses, p, spectrogram)


def grey_map(path):
    """A grey PNG file as a map.  -> (1, H, W) float32, 0 to 1"""
    pixels = read_png(path)
    if pixels.shape[2] != 1:
        raise ValueError(f"{path}: expected a grey image, got {pixels.shape[2]} channels")
    return pixels.transpose(2, 0, 1).astype(np.float32) / 255


def _fields(sense):
    """The JSON object of one sense."""
    shape, patch, stride, (dim, layers, heads, *_), scale, mean, std = sense
    return {"shape": list(shape), "patch": patch, "stride": stride, "dim": dim, "layers": layers,
            "heads": heads, "scale": scale, "mean": mean, "std": std}


def _sense(fields):
    """The Sense of a JSON object."""
    shape = fields.get("shape", REQUIRED, "2 or 3 whole numbers above 0", lambda x: isinstance(
        x, list) and len(x) in (2, 3) and all(type(n) is int and n > 0 for n in x))
    patch, stride, dim, layers, heads = (fields.whole(name) for name in (
        "patch", "stride", "dim", "layers", "heads"))
    return Sense(tuple(shape), patch, stride, trunk(dim, layers, heads),
                 float(fields.positive("scale")), float(fields.number("mean")),
                 float(fields.positive("std")))

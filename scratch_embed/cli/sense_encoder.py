"""SenseEncoder: texts, or files of images or sounds -> vectors, in one way for all models.

Shapes    encode: N texts or paths -> (N, D) float32
Differs   A text that is too long is truncated and counted, as by SentenceEncoder; the models' own
          encode_texts refuse it.
Read next multimodal/clip_encoder.py, multimodal/imagebind_encoder.py (the models),
          cli/media_files.py (the files)

A model of several senses has a function for each: encode_images, encode_texts, encode_sounds.  What
indexes files, or searches for them, only needs vectors: with of(sense) it gets the encoder of one
sense, in the form of SentenceEncoder.encode.
"""
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from tqdm import tqdm

from scratch_embed.multimodal.clap_encoder import Clap
from scratch_embed.multimodal.clip_encoder import Clip
from scratch_embed.multimodal.imagebind_encoder import SETTINGS, WEIGHTS, ImageBind
from scratch_embed.multimodal.whisper_encoder import WhisperEncoder
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import read_json
from scratch_embed.sentences.interface import (
    finish,
    require_encode_arguments,
    require_text,
    round_to,
    similarity,
    similarity_pairwise,
)

Model = Clip | Clap | ImageBind | WhisperEncoder
LOADS = {"clip": Clip.load, "clap": Clap.load, "whisper": WhisperEncoder.load}  # by model_type
# files of such folders besides those of a text encoder
FILES = "preprocessor_config.json", "processor_config.json", SETTINGS, WEIGHTS
BATCH = 64                         # texts or files that are read at a time
UNITS = {"text": "text", "audio": "sound"}                       # others: image


def is_sense_folder(path: str | os.PathLike) -> bool:
    """Whether a folder has a model of images or sounds: CLIP, CLAP, ImageBind or Whisper."""
    config = os.path.join(path, "config.json")
    if not os.path.isfile(config):
        return False
    try:
        return read_json(config).get("model_type") in LOADS
    except FormatError:
        return False


def load_senses(folder: str | os.PathLike) -> Model:
    """Load the model of a folder for which is_sense_folder() holds."""
    if os.path.exists(os.path.join(folder, SETTINGS)):
        return ImageBind.load(folder)
    return LOADS[read_json(os.path.join(folder, "config.json"))["model_type"]](folder)


def senses_of(model: Model) -> dict[str, Callable[[Sequence[Any]], np.ndarray]]:
    """{sense: the function that encodes N inputs of it}."""
    if isinstance(model, ImageBind):
        return {"image": partial(model.encode, "image"),
                "text": partial(model.clip.encode_texts, truncate=True, normalize=True),
                **{sense: partial(model.encode, sense) for sense in model.senses}}
    if isinstance(model, Clip):
        return {"image": model.encode_images, "text": partial(model.encode_texts, truncate=True)}
    if isinstance(model, Clap):
        return {"audio": model.encode_sounds, "text": partial(model.encode_texts, truncate=True)}
    return {"audio": model.encode}


class SenseEncoder:
    """The vectors of one sense of a model: encode(inputs) -> (N, D).

        SenseEncoder.load(folder)                   of texts
        SenseEncoder(model, "image")                of PNG files
        encoder.of("audio")                         of WAV files, by the same model

    >>> from scratch_embed.multimodal.audio import WhisperAudio
    >>> from scratch_embed.multimodal.whisper import Config
    >>> whisper = WhisperEncoder.new(Config(mels=8, dim=16, positions=50),
    ...                              WhisperAudio(mels=8, seconds=1))
    >>> SenseEncoder(whisper, "audio").encode([]).shape
    (0, 16)
    >>> SenseEncoder(whisper, "text").encode(["a bell"])
    Traceback (most recent call last):
    ...
    ValueError: the model encodes audio, and no text
    """

    def __init__(self, model: Model, sense: str = "text") -> None:
        """sense: "text", "image", "audio", or another of an ImageBind."""
        self.model, self.sense = model, sense
        self.prompts: dict[str, str] = {}
        self.truncated = 0                         # texts, until a caller sets it to 0

    @classmethod
    def load(cls, folder: str | os.PathLike, sense: str = "text") -> "SenseEncoder":
        """Load a folder of CLIP, CLAP, ImageBind or Whisper.  FormatError if it is damaged."""
        return cls(load_senses(folder), sense)

    def __repr__(self) -> str:
        return f"SenseEncoder({self.model!r}, {self.sense!r})"

    @property
    def dim(self) -> int:
        """D, the dimension of a vector."""
        return self.model.clip.dim if isinstance(self.model, ImageBind) else self.model.dim

    @property
    def senses(self) -> tuple[str, ...]:
        """The senses of the model."""
        return tuple(senses_of(self.model))

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text."""
        text = (self.model.clip if isinstance(self.model, ImageBind) else self.model).config.text
        return text.max_length if isinstance(self.model, Clap) else text.positions

    def of(self, sense: str) -> "SenseEncoder":
        """The encoder of another sense of the same model."""
        return SenseEncoder(self.model, sense)

    def encode(self, inputs: str | Sequence[str], prompt_name: str | None = None,
               prompt: str | None = None, batch_size: int = BATCH,
               show_progress_bar: bool | None = None, precision: str = "float32",
               normalize_embeddings: bool = False, truncate_dim: int | None = None) -> np.ndarray:
        """The vectors of texts or files, in their order: N -> (N, d), a single str -> (d,).

        inputs   texts; or paths of PNG files (image, depth, thermal) or of WAV files (audio)
        prompt   put before each text
        others   as of SentenceEncoder.encode
        Raises   ValueError for a sense that the model does not have, and for invalid arguments;
                 FormatError for a damaged file
        """
        require_encode_arguments(self.dim, batch_size, precision, truncate_dim)
        encode = senses_of(self.model).get(self.sense)
        if prompt_name is not None:
            raise ValueError(f"prompt_name={prompt_name!r}: the model has no prompts")
        if prompt and self.sense != "text":
            raise ValueError(f"prompt: expected with texts; {self.sense} files have none before "
                             "them")
        single = isinstance(inputs, str)
        inputs = [inputs] if single else list(inputs)
        if encode is None and inputs:
            raise ValueError(f"the model encodes {' and '.join(senses_of(self.model))}, and no "
                             f"{self.sense}")
        if self.sense == "text":
            inputs = self._texts(inputs, prompt or "")
        out = np.empty((len(inputs), truncate_dim or self.dim), np.float32)
        parts = tqdm(total=len(inputs), unit=UNITS.get(self.sense, "image"),
                     disable=None if show_progress_bar else True)
        with parts as bar:
            for start in range(0, len(inputs), batch_size):
                some = inputs[start:start + batch_size]
                out[start:start + len(some)] = finish(encode(some), truncate_dim,
                                                      normalize_embeddings)
                bar.update(len(some))
        out = round_to(precision, out)
        return out[0] if single else out

    similarity = staticmethod(similarity)
    similarity_pairwise = staticmethod(similarity_pairwise)

    def _texts(self, texts, prompt):
        """The texts after the prompt; those that will be truncated are counted."""
        for number, text in enumerate(texts):
            require_text(number, text)
        texts = [prompt + text for text in texts]
        if texts:
            model = self.model.clip if isinstance(self.model, ImageBind) else self.model
            lengths = np.diff(model.tokenizer.encode_batch(texts).offsets)
            self.truncated += int((lengths > self.max_tokens).sum())
        return texts

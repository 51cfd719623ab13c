"""Clap: texts and sounds to vectors in one space, and folders of transformers' ClapModel.

Paper     Wu et al. 2023, "Large-scale Contrastive Language-Audio Pretraining with Feature Fusion
          and Keyword-to-Caption Augmentation", section 4.2 (retrieval and zero-shot classes).
Shapes    encode_texts, encode_sounds: N inputs -> (N, E) float32
Cost      that of a tower; a sound of ten seconds is 1,001 frames and 4,096 patches
Bytes     config.json and model.safetensors, preprocessor_config.json, the tokenizer's files
Differs   transformers' get_text_features and get_audio_features scale to norm 1; here
          normalize=True does.  A sound longer than the model's ten seconds is cut at random, as
          in the original, but with a seed: each sound is cut at the same place whatever the others
          are.  A sound of another rate is resampled; the original refuses it.
Read next multimodal/clap.py (the model and its training), multimodal/audio.py (sounds to log-mel)
"""
import os
from collections.abc import Sequence

import numpy as np

from scratch_embed.multimodal.audio import ClapAudio, Sound, load_sound, log_mel_clap
from scratch_embed.multimodal.caption_tokens import caption_tokens
from scratch_embed.multimodal.clap import Config, infer_sounds, infer_texts
from scratch_embed.multimodal.clap_folder import read_folder, write_folder
from scratch_embed.nn.params import Params
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.text.packed import Packed, take
from scratch_embed.text.tokenizer import Tokenizer
from scratch_embed.transformer.local_folder import require_local_folder

TEXTS, SOUNDS = 256, 16            # that are encoded at a time


class Clap:
    """A CLAP model with its tokenizer and the settings of its spectrograms.

        Clap.load(folder)                           a folder of transformers' ClapModel
        Clap(config, p, tokenizer, audio)           for example from multimodal/clap.py's train()

    >>> from scratch_embed.multimodal.clap_verdict import untrained
    >>> clap = untrained(["a small ring", "a large ring, shaking"], seed=1)      # not trained
    >>> clap
    Clap(1 s at 8,000 Hz, 266 tokens, 64 dimensions)
    >>> clap.encode_texts(["a small ring"]).shape
    (1, 64)
    >>> wave = np.sin(np.arange(8000) / 10)
    >>> clap.encode_sounds([(wave, 8000), (wave[:99], 44100)], normalize=True).shape
    (2, 64)
    """

    def __init__(self, config: Config, p: Params, tokenizer: Tokenizer, audio: ClapAudio) -> None:
        """The arguments are not copied, so each call uses the current parameters."""
        self.config, self.p, self.tokenizer, self.audio = config, p, tokenizer, audio

    def __repr__(self) -> str:
        return (f"Clap({self.audio.seconds} s at {self.audio.rate:,} Hz, "
                f"{self.config.text.vocab:,} tokens, {self.dim} dimensions)")

    @property
    def dim(self) -> int:
        """E, the dimension of the vectors of texts and sounds."""
        return self.config.dim

    @classmethod
    def load(cls, folder: str | os.PathLike, dtype: type = np.float32) -> "Clap":
        """Load a folder of transformers' ClapModel, with its feature extractor and tokenizer.

        Raises FormatError that names the file and the field that is missing, damaged, unknown, or
        contradicts another file; models with feature fusion are refused.
        """
        require_local_folder(folder)
        return cls(*read_folder(folder, dtype))

    def save(self, folder: str | os.PathLike) -> None:
        """Write a folder that load() and transformers read.

        Raises ValueError for parameters that the config does not declare, or that are not finite.
        """
        write_folder(folder, self.config, self.p, self.tokenizer, self.audio)

    def encode_texts(self, texts: Sequence[str], truncate: bool = False, normalize: bool = False
                     ) -> np.ndarray:
        """The vectors of N texts, in their order.  -> (N, E) float32

        truncate   shorten texts that have too many tokens; otherwise they are a ValueError
        normalize  scale the vectors to norm 1
        """
        batch = self.tokenize(texts, truncate)
        return self._in_parts(len(texts), TEXTS, normalize, lambda numbers: infer_texts(
            take(batch, numbers), self.p, self.config))

    def tokenize(self, texts: Sequence[str], truncate: bool = False) -> Packed:
        """The token ids of texts, from <s> to </s>."""
        return caption_tokens(texts, self.tokenizer, self.config.text.max_length, truncate)

    def encode_sounds(self, sounds: Sequence[Sound], seed: int = 0, normalize: bool = False
                      ) -> np.ndarray:
        """The vectors of N sounds, in their order.  -> (N, E) float32

        sounds     paths of WAV files, or (samples (n,) or (channels, n), rate)
        seed       where sounds that are too long are cut
        normalize  scale the vectors to norm 1
        Raises ValueError for samples that are not a sound, FormatError for a damaged file.
        """
        if isinstance(sounds, (str, os.PathLike, tuple, np.ndarray)):
            raise TypeError("sounds: expected a list of paths, or of pairs (samples, rate), got "
                            f"one {type(sounds).__name__}; put it into a list")
        M, dtype = self.audio.filters(), self.p.flat.dtype

        def encode(numbers):
            mels = [log_mel_clap(load_sound(sounds[n], self.audio.rate),
                                 np.random.default_rng(seed), self.audio, M) for n in numbers]
            return infer_sounds(np.stack(mels).astype(dtype, copy=False), self.p, self.config)
        return self._in_parts(len(sounds), SOUNDS, normalize, encode)

    def _in_parts(self, N, most, normalize, encode):
        """encode(numbers) -> vectors, for `most` inputs at a time.  -> (N, E) float32"""
        out = np.empty((N, self.dim), np.float32)
        for start in range(0, N, most):
            numbers = np.arange(start, min(start + most, N))
            out[numbers] = encode(numbers)
        return l2_normalize(out)[0] if normalize else out

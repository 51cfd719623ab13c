"""Clip: texts and images to vectors in one space, zero-shot classification, folders.

Paper     Radford et al. 2021, "Learning Transferable Visual Models From Natural Language
          Supervision", section 3.1 (zero-shot transfer) and 3.1.4 (prompts and ensembles).
Equation  class c:  w_c = unit(mean_k unit(text(prompt_ck)));
          P(c | image) = softmax_c(exp(t) cos(image, w_c))
Shapes    encode_texts, encode_images: N inputs -> (N, E) float32; zero_shot: -> (N, classes)
Cost      that of a tower, see nn/pre_norm.py; the vectors of the prompts are computed once a call
Differs   A text with more tokens than there are positions is an error, as in OpenAI's code;
          truncate=True shortens it and keeps the end-of-text token.  transformers fails on it
          unless its tokenizer is told to truncate.
Read next multimodal/clip.py (the model and its training), multimodal/clip_folder.py (the files)

Why prompts?  Captions are sentences: the single word "crane" is rare among them and has two
meanings; "a photo of a crane, a type of bird" is like a caption.  Why several?  Their mean keeps
what the wordings have in common.  It is a mean of vectors, not of probabilities, so each class
still costs one product.
"""
import os
from collections.abc import Mapping, Sequence

import numpy as np

from scratch_embed.multimodal.caption_tokens import caption_tokens
from scratch_embed.multimodal.clip import Config, infer_images, infer_texts
from scratch_embed.multimodal.clip_folder import read_folder, write_folder
from scratch_embed.multimodal.image_processor import ImageProcessor
from scratch_embed.nn.params import Params
from scratch_embed.nn.softmax import softmax
from scratch_embed.numerics.l2_normalize import l2_normalize
from scratch_embed.text.packed import Packed, take, token_batches
from scratch_embed.text.tokenizer import Tokenizer
from scratch_embed.transformer.local_folder import require_local_folder

TOKENS = 2048                      # about as many tokens are encoded at a time


class Clip:
    """A CLIP model with its tokenizer and its image processor.

        Clip.load(folder)                           a folder of transformers' CLIPModel
        Clip(config, p, tokenizer, processor)       for example from multimodal/clip.py's train()

    >>> from scratch_embed.multimodal.clip import Config, TextConfig, tensors
    >>> from scratch_embed.multimodal.image_processor import Square
    >>> from scratch_embed.multimodal.vit import Config as ViT
    >>> from scratch_embed.nn.params import init_params
    >>> from scratch_embed.nn.pre_norm import Trunk
    >>> from scratch_embed.text.bpe_training import train_clip_bpe
    >>> tokenizer = train_clip_bpe(["a red circle", "a blue square"] * 2, vocab_size=520)
    >>> small = Trunk(dim=8, layers=1, heads=2, ff=16)
    >>> config = Config(ViT(8, 4, 3, small), TextConfig(len(tokenizer), 12, end=519,
    ...                 trunk=small._replace(causal=True)), dim=6)
    >>> clip = Clip(config, init_params(tensors(config), seed=1), tokenizer,          # not trained
    ...             ImageProcessor(size=8, crop=Square(8, 8)))
    >>> clip
    Clip(8 x 8 pixels, 520 tokens, 6 dimensions)
    >>> clip.encode_texts(["a red circle"]).shape
    (1, 6)
    >>> image = np.zeros((20, 16, 3), np.uint8)
    >>> clip.zero_shot([image], {"red": ["a red circle"], "blue": ["a blue square"]}).shape
    (1, 2)
    """

    def __init__(self, config: Config, p: Params, tokenizer: Tokenizer, processor: ImageProcessor
                 ) -> None:
        """The arguments are not copied, so each call uses the current parameters."""
        self.config, self.p, self.tokenizer, self.processor = config, p, tokenizer, processor

    def __repr__(self) -> str:
        pixels = self.config.image.pixels
        return (f"Clip({pixels} x {pixels} pixels, {self.config.text.vocab:,} tokens, "
                f"{self.dim} dimensions)")

    @property
    def dim(self) -> int:
        """E, the dimension of the vectors of texts and images."""
        return self.config.dim

    @property
    def scale(self) -> float:
        """exp(t) = 1/τ, by which cosines are multiplied before a softmax."""
        return float(np.exp(self.p["log_scale"]))

    @classmethod
    def load(cls, folder: str | os.PathLike, dtype: type = np.float32) -> "Clip":
        """Load a folder of transformers' CLIPModel, with its processor and its tokenizer.

        Raises FormatError that names the file and the field that is missing, damaged, unknown, or
        contradicts another file.
        """
        require_local_folder(folder)
        return cls(*read_folder(folder, dtype))

    def save(self, folder: str | os.PathLike) -> None:
        """Write a folder that load() and transformers read.

        Raises ValueError for parameters that the config does not declare, or that are not finite.
        """
        write_folder(folder, self.config, self.p, self.tokenizer, self.processor)

    def encode_texts(self, texts: Sequence[str], truncate: bool = False, normalize: bool = False
                     ) -> np.ndarray:
        """The vectors of N texts, in their order.  -> (N, E) float32

        truncate   shorten texts that have too many tokens; otherwise they are a ValueError
        normalize  scale the vectors to norm 1
        """
        batch = self.tokenize(texts, truncate)
        parts = token_batches(np.diff(batch.offsets), TOKENS)
        return self._joined([infer_texts(take(batch, part), self.p, self.config)
                             for part in parts], normalize)

    def tokenize(self, texts: Sequence[str], truncate: bool = False) -> Packed:
        """The token ids of texts, from the start to the end token."""
        return caption_tokens(texts, self.tokenizer, self.config.text.positions, truncate)

    def encode_images(self, images: np.ndarray | Sequence[np.ndarray | str | os.PathLike],
                      normalize: bool = False) -> np.ndarray:
        """The vectors of N images, in their order.  -> (N, E) float32

        images: uint8 arrays (H, W) or (H, W, C) of any sizes, or paths of PNG files.
        Raises ValueError for an array that is not an image, FormatError for a damaged file.
        """
        if isinstance(images, str | os.PathLike):
            raise TypeError(f"images: expected a list of arrays or paths, got {images!r}; put it "
                            "into a list")
        n = max(1, TOKENS // self.config.image.tokens)
        return self._joined([self._vectors(images[start:start + n])
                             for start in range(0, len(images), n)], normalize)

    def _vectors(self, images):
        """The vectors of a few images, encoded together.  -> (n, E)"""
        pixels = self.processor(images).astype(self.p.flat.dtype, copy=False)
        return infer_images(pixels, self.p, self.config)

    def _joined(self, parts, normalize):
        """The parts' vectors, one below the other.  -> (N, E) float32"""
        out = np.concatenate([np.empty((0, self.dim)), *parts], dtype=np.float32)
        return l2_normalize(out)[0] if normalize else out

    # ---- zero-shot -------------------------------------------------------------------------------

    def class_vectors(self, prompts: Mapping[str, Sequence[str]]) -> np.ndarray:
        """One unit vector per class, from its prompts.  {class: prompts} -> (classes, E)"""
        if not isinstance(prompts, Mapping) or not prompts:
            raise ValueError(f"prompts: expected {{class: list of texts}} with at least one class, "
                             f"got {prompts!r:.60}")
        for name, texts in prompts.items():
            if isinstance(texts, str) or not len(texts):
                raise ValueError(f"prompts: expected a list with at least one text for each class, "
                                 f"got {texts!r} for {name!r}")
        texts = [text for of_class in prompts.values() for text in of_class]
        starts = np.cumsum([0, *map(len, prompts.values())])[:-1]
        sums = np.add.reduceat(self.encode_texts(texts, normalize=True), starts, axis=0)
        return l2_normalize(sums)[0]                     # the mean has the direction of the sum

    def zero_shot(self, images: Sequence[np.ndarray | str | os.PathLike],
                  prompts: Mapping[str, Sequence[str]]) -> np.ndarray:
        """The probability of each class for each image.  -> (N, classes) float32

        prompts: {class: its prompts}, for example {"cat": ["a photo of a cat", "a cat"], ...}
        """
        cosines = self.encode_images(images, normalize=True) @ self.class_vectors(prompts).T
        return softmax(np.float32(self.scale) * cosines)[0]

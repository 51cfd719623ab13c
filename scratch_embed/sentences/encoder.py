"""Sentence encoder: turns texts into vectors with a tokenizer, a transformer and a pooling.

Paper     Reimers & Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
          section 3.
Equation  y = recipe(transformer([CLS] prompt text [SEP])), see sentences/recipe.py;  then
          optionally truncated, normalised and quantised, see sentences/interface.py
Shapes    vectors: packed ids (T,) -> (N, E).  encode: N texts -> (N, d), d = E or truncate_dim
Cost      the transformer's: 24 D² + 4 t D floating-point operations per token and layer, if
          F = 4 D and a text has t tokens.  Memory: the result, and that of the batches, see
          sentences/length_batches.py
Differs   from sentence-transformers: by default the size of a batch is a number of tokens, not of
          texts, and nothing is padded.  If a model ends in Normalize, truncated vectors have norm
          1 too; in sentence-transformers they are parts of unit vectors.  A prompt that fills
          max_seq_length is an error, because all texts would have the same vector.
Read next transformer/bert.py, sentences/recipe.py; sentences/sbert.py (how to train one)
"""
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from scratch_embed.numerics.memory import require_memory
from scratch_embed.sentences.folder import (
    encoder_folder,
    read_sentence_folder,
    write_sentence_folder,
)
from scratch_embed.sentences.interface import (
    MEASURES,
    choose_prompt,
    finish,
    require_encode_arguments,
    require_parts,
    require_text,
    require_texts,
    round_to,
)
from scratch_embed.sentences.length_batches import compute_in_batches
from scratch_embed.sentences.recipe import Recipe, check_recipe, sentence_vectors
from scratch_embed.text.packed import Packed
from scratch_embed.transformer.families import read_tokenizer, save_tokenizer
from scratch_embed.transformer.local_folder import require_local_folder
from scratch_embed.transformer.model import Transformer


class Tokenizer(Protocol):
    """A tokenizer, texts -> token ids: WordPiece, or any object with these two methods."""

    def encode(self, text: str) -> Any:
        """Tokenize a text and add the special tokens; `.ids` of the result is (T,)."""

    def encode_batch(self, texts: list[str], max_length: int) -> Packed:
        """Tokenize N texts and add the special tokens; at most max_length tokens per text.

        If there is also encode_with_lengths(texts, max_length=...) -> (Packed, lengths without
        max_length), as in WordPiece, then truncated texts are counted.
        """


class SentenceEncoder:
    """Sentence vectors from a transformer: encode(texts) -> (N, d).

        SentenceEncoder.load(folder)                a folder of sentence-transformers, or one with
                                                    a transformer alone: the mean of its tokens
        SentenceEncoder(tokenizer, model)           the mean of the tokens, scaled to norm 1
        SentenceEncoder(tokenizer, model, Recipe((cls,), prompts={"query": "query: "}))

    >>> from scratch_embed.nn.params import init_params
    >>> from scratch_embed.text.wordpiece import SPECIAL, WordPiece
    >>> from scratch_embed.transformer.bert import Bert, Config, tensors
    >>> config = Config(vocab=8, dim=4, layers=2, heads=2, ff=8)
    >>> model = Bert(config, init_params(tensors(config), seed=1))            # not trained
    >>> encoder = SentenceEncoder(WordPiece([*SPECIAL, "a", "red", "cat"]), model)
    >>> encoder
    SentenceEncoder(Bert(2 layers x 4, 8 tokens), mean, normalized)
    >>> encoder.encode(["a red cat", "a cat"]).shape
    (2, 4)
    """

    def __init__(self, tokenizer: Tokenizer, model: Transformer = None,  # type: ignore[assignment]
                 recipe: Recipe | None = None) -> None:
        """tokenizer, model: not copied, so each call uses the model's current parameters.

        recipe: pooling, maximum length, prompts and so on.  Default: the mean of the tokens,
        scaled to norm 1, and the model's maximum length.
        Raises ValueError for a recipe that does not fit the model, TypeError for a folder.
        """
        require_parts("SentenceEncoder", tokenizer, model)
        self.tokenizer, self.model = tokenizer, model
        self.recipe = Recipe(max_seq_length=model.max_length) if recipe is None else recipe
        check_recipe(self.recipe, model.dim, model.max_length)
        self.dim = self.recipe.dim(model.dim)
        self.truncated = 0                 # the texts that encode() has truncated so far

    def __repr__(self) -> str:
        poolings = [pooling.__name__ for pooling in self.recipe.poolings]
        dense = [f"Dense to {len(p['linear.weight'])}" for p, _ in self.recipe.dense]
        parts = [repr(self.model), *poolings, *dense, *["normalized"] * self.recipe.normalize]
        return f"SentenceEncoder({', '.join(parts)})"

    @classmethod
    def load(cls, folder: str | os.PathLike, dtype: type = np.float32) -> "SentenceEncoder":
        """Load a folder of sentence-transformers: the model, the tokenizer and the recipe.

        A folder without modules.json, such as a BERT's, gets the mean of its tokens' vectors.
        Raises FormatError that names the file and the field that is missing, damaged or unknown.
        """
        require_local_folder(folder)
        model, recipe = read_sentence_folder(folder, dtype)
        return cls(read_tokenizer(encoder_folder(folder), model), model, recipe)

    def save(self, folder: str | os.PathLike) -> None:
        """Write a folder that load() and sentence-transformers read.

        The files of an older model are replaced when all new files are written.
        Raises ValueError for parameters that the config does not declare, such as SimCSE's head.
        """
        with tempfile.TemporaryDirectory() as temporary:
            save_tokenizer(temporary, self.model, self.tokenizer, self.recipe.max_seq_length)
            files = {path.name: path.read_bytes() for path in Path(temporary).iterdir()}
        write_sentence_folder(folder, self.model, self.recipe, files)

    def vectors(self, batch: Packed, skip: int = 0) -> np.ndarray:
        """The vectors of N token sequences by the recipe -> (N, E), in the model's type.

        skip: the number of tokens up to the end of the prompt, [CLS] included; they are not pooled
        unless recipe.include_prompt.
        """
        y, _ = sentence_vectors(self.model.infer(batch), batch.offsets, self.recipe, skip)
        return y

    def encode(self, inputs: str | Iterable[str], prompt_name: str | None = None,
               prompt: str | None = None, batch_size: int | None = None,
               show_progress_bar: bool | None = None, precision: str = "float32",
               normalize_embeddings: bool = False, truncate_dim: int | None = None) -> np.ndarray:
        """The vectors of texts, in their order: n texts -> (n, d) float32, a single str -> (d,).

        prompt_name           a key of `recipe.prompts`; its text is put before every input
        prompt                the prompt itself, instead of its name; "": no prompt, not even
                              the default prompt
        batch_size            the most texts per batch; by default a batch has about 512 tokens
        show_progress_bar     on stderr, if that is a terminal
        precision             "float32", or codes: "int8", "uint8", "binary", "ubinary"
        normalize_embeddings  scale to norm 1, after truncation; zero stays zero
        truncate_dim          d, the number of dimensions to keep; by default all
        Texts of more than recipe.max_seq_length tokens are truncated; the attribute `truncated`
        counts them.
        Raises                ValueError for an invalid argument, and for a text without tokens;
                              TypeError for an input that is not a str
        """
        require_encode_arguments(self.dim, 1 if batch_size is None else batch_size, precision,
                                 truncate_dim)
        prompt = choose_prompt(self.recipe.prompts, prompt_name, prompt,
                               self.recipe.default_prompt_name)
        skip = self.prompt_tokens(prompt)
        require_texts(inputs)
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        for number, text in enumerate(texts):
            require_text(number, text)
        n, d = len(texts), truncate_dim or self.dim
        require_memory(4 * n * d, f"vectors of {n} texts x {d} dimensions")
        out, normalize = np.empty((n, d), np.float32), normalize_embeddings or self.recipe.normalize

        def encode_batch(indices, batch):
            out[indices] = finish(self.vectors(batch, skip), truncate_dim, normalize)
        compute_in_batches(encode_batch, texts,
                           lambda part: self.tokenize([prompt + text for text in part]),
                           batch_size, show_progress_bar)
        out = round_to(precision, out)
        return out[0] if isinstance(inputs, str) else out

    def similarity(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The similarity of each vector of a with each of b, by recipe.similarity_fn_name.

        a: (N, d) or (d,), b: (M, d) or (d,) -> (N, M).  Distances are negated.
        """
        return MEASURES[self.recipe.similarity_fn_name][0](np.atleast_2d(a), np.atleast_2d(b))

    def similarity_pairwise(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The similarity of each vector of a with its partner in b.  (N, d), (N, d) -> (N,)."""
        return MEASURES[self.recipe.similarity_fn_name][1](a, b)

    def prompt_tokens(self, prompt: str) -> int:
        """The number of tokens up to the end of the prompt, [CLS] included; 0 without a prompt."""
        if not prompt:
            return 0
        prompt, most = self._cased(prompt), self.recipe.max_seq_length
        ids, special = self.tokenizer.encode(prompt).ids, self.tokenizer.encode("").ids
        if len(ids) >= most:
            raise ValueError(f"prompt: expected fewer than max_seq_length={most} tokens, so that a "
                             f"text fits after it, got {len(ids)} in {prompt!r:.40}")
        return len(ids) - (len(special) > 0 and ids[-1] == special[-1])        # without [SEP]

    def tokenize(self, texts: list[str]) -> Packed:
        """The token ids of texts, lower-cased if recipe.lower_case; at most max_seq_length each."""
        texts, most = [self._cased(text) for text in texts], self.recipe.max_seq_length
        if not hasattr(self.tokenizer, "encode_with_lengths"):
            return self.tokenizer.encode_batch(texts, max_length=most)
        batch, lengths = self.tokenizer.encode_with_lengths(texts, max_length=most)
        self.truncated += int((lengths > most).sum())
        return batch

    def _cased(self, text):
        return text.lower() if self.recipe.lower_case else text

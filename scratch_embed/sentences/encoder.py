"""From texts to vectors: tokenizer, transformer, pooling; many texts at a time.

Paper     Reimers & Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
          section 3.
Equation  y = recipe(encoder([CLS] prompt text [SEP])), see sentences/recipe.py;  then cut, scaled
          to length 1 and rounded, as asked, see sentences/interface.py
Shapes    encode: N texts -> (N, d).  vectors: packed ids (T,) -> (N, E)
Cost      the transformer's: 24 D² + 4 t D for a token and layer.  Memory: the result, the ids of
          BLOCK texts, and a layer's activations of the batches under way.
Differs   from sentence-transformers: a batch is so many tokens, not so many texts, and nothing is
          padded.  A model that ends in Normalize gives unit vectors also when they are cut; there
          they are what is left of unit vectors.  A prompt that fills the whole length is an
          error, for all texts would be the same.
Read next transformer/bert.py, sentences/recipe.py; sentences/simcse.py (training one)

Why sorted.  Texts of one length are one batched product in attention; and with the longest first,
the batches that end last are the shortest, and no thread waits long for another.

Why threads of our own.  BLAS would cut up each product and wait for its slowest part, dozens of
times a layer, while all that is not a product has one thread; and where another program has the
second core, every one of these waits is for the scheduler.  Here each thread has a batch, and BLAS
one thread for it; a single batch runs in the caller's own.
"""
import os
import tempfile
from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from scratch_embed.numerics.blas import blas_threads, one_blas_thread
from scratch_embed.numerics.memory import require_memory
from scratch_embed.numerics.workers import imap_unordered
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
    require_text,
    round_to,
)
from scratch_embed.sentences.recipe import Recipe, check_recipe, sentence_vectors
from scratch_embed.text.packed import Packed, by_length, split_by_tokens, take
from scratch_embed.transformer.families import Model, read_tokenizer, save_tokenizer

BLOCK = 4096                       # texts whose ids are in memory, and sorted, at a time
TOKENS = 512                       # in a batch, about
ALONE = 128                        # tokens that are not worth a second thread
MOST_WORKERS = 8                   # threads that one interpreter keeps busy


class Tokenizer(Protocol):
    """What makes numbers of texts: WordPiece, or whatever has these two."""

    def encode(self, text: str) -> Any:
        """A text in its frame; `.ids` is (T,)."""

    def encode_batch(self, texts: list[str], max_length: int) -> Packed:
        """N texts in their frames, each cut to max_length tokens."""


class SentenceEncoder:
    """Sentence vectors from a transformer: encode(texts) -> (N, d).

        SentenceEncoder.load(folder)                a folder that sentence-transformers wrote
        SentenceEncoder(tokenizer, model)           the mean of the tokens, scaled to length 1
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

    def __init__(self, tokenizer: Tokenizer, model: Model, recipe: Recipe | None = None) -> None:
        """model: its parameters, float32 to be fast, are used as they are at each call.

        recipe: what is made of the tokens' vectors, how long a text may be, and prompts; by default
        their mean, scaled to length 1, of as many as the model has positions.
        Raises ValueError for a recipe that does not fit.
        """
        self.tokenizer, self.model = tokenizer, model
        self.recipe = Recipe(max_seq_length=model.max_length) if recipe is None else recipe
        check_recipe(self.recipe, model.dim, model.max_length)
        self.dim = self.recipe.dim(model.dim)

    def __repr__(self) -> str:
        poolings = [pooling.__name__ for pooling in self.recipe.poolings]
        dense = [f"Dense to {len(p['linear.bias'])}" for p, _ in self.recipe.dense]
        parts = [repr(self.model), *poolings, *dense, *["normalized"] * self.recipe.normalize]
        return f"SentenceEncoder({', '.join(parts)})"

    @classmethod
    def load(cls, folder: str | os.PathLike, dtype: type = np.float32) -> "SentenceEncoder":
        """The encoder in a folder of sentence-transformers: a model, its tokenizer, its modules.

        Raises FormatError that names the file and the field that is missing, damaged or unknown.
        """
        model, recipe = read_sentence_folder(folder, dtype)
        return cls(read_tokenizer(encoder_folder(folder), model), model, recipe)

    def save(self, folder: str | os.PathLike) -> None:
        """Write a folder that load() and sentence-transformers read; an old one is replaced whole.

        Raises ValueError for parameters that are not the config's, such as a head for training.
        """
        with tempfile.TemporaryDirectory() as room:
            save_tokenizer(room, self.model, self.tokenizer, self.recipe.max_seq_length)
            files = {path.name: path.read_bytes() for path in Path(room).iterdir()}
        write_sentence_folder(folder, self.model, self.recipe, files)

    def vectors(self, batch: Packed, skip: int = 0) -> np.ndarray:
        """The vectors of N sequences, as the recipe makes them, in the model's type.  -> (N, E)

        skip: tokens that are the prompt's and before it, pooled if recipe.include_prompt.
        """
        y, _ = sentence_vectors(self.model.infer(batch), batch.offsets, self.recipe, skip)
        return y

    def encode(self, inputs: str | Iterable[str], prompt_name: str | None = None,
               prompt: str | None = None, batch_size: int | None = None,
               show_progress_bar: bool | None = None, precision: str = "float32",
               normalize_embeddings: bool = False, truncate_dim: int | None = None) -> np.ndarray:
        """The vectors of texts, in their order: n texts -> (n, d) float32, a single str -> (d,).

        prompt_name           a key of `recipe.prompts`; its text goes before every input
        prompt                that text itself; "" for none where there is a default
        batch_size            texts in a batch, at most; by default what makes TOKENS tokens
        show_progress_bar     on stderr, where that is a terminal
        precision             "float32", or codes: "int8", "uint8", "binary", "ubinary"
        normalize_embeddings  scale to length 1, after truncation; zero stays zero
        truncate_dim          d, the first dimensions to keep; all of them by default
        Raises                ValueError for a name or a number that is not valid, and a text
                              without a token; TypeError for an input that is no str
        """
        require_encode_arguments(self.dim, 1 if batch_size is None else batch_size, precision,
                                 truncate_dim)
        before = choose_prompt(self.recipe.prompts, prompt_name, prompt,
                               self.recipe.default_prompt_name)
        skip = self._tokens_of(before)
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        for number, text in enumerate(texts):
            require_text(number, text)
        n, d = len(texts), truncate_dim or self.dim
        require_memory(4 * n * d, f"vectors of {n} texts x {d} dimensions")
        out, normalize = np.empty((n, d), np.float32), normalize_embeddings or self.recipe.normalize

        def step(job):
            which, batch = job
            out[which] = finish(self.vectors(batch, skip), truncate_dim, normalize)
            return len(which)
        workers = min(blas_threads() or 1, MOST_WORKERS)     # 1 in another's one_blas_thread()
        jobs = self._batches(texts, before, batch_size, workers)
        first = list(islice(jobs, 2))
        workers = workers if len(first) == 2 else 1          # for one job, not a pool of threads
        with (tqdm(total=n, unit="text", disable=None if show_progress_bar else True) as bar,
              one_blas_thread()):
            for done in imap_unordered(step, chain(first, jobs), workers):
                bar.update(done)
        out = round_to(precision, out)
        return out[0] if isinstance(inputs, str) else out

    def similarity(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """How alike each of a is to each of b, as recipe.similarity_fn_name says.  -> (N, M)

        a: (N, d) or (d,), b: (M, d) or (d,).  A distance counts as minus itself.
        """
        return MEASURES[self.recipe.similarity_fn_name][0](np.atleast_2d(a), np.atleast_2d(b))

    def similarity_pairwise(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """How alike each of a is to its partner in b.  (N, d), (N, d) -> (N,)."""
        return MEASURES[self.recipe.similarity_fn_name][1](a, b)

    def _tokens_of(self, prompt):
        """How many tokens of every input are the prompt's, and those before it."""
        if not prompt:
            return 0
        prompt, most = self._cased(prompt), self.recipe.max_seq_length
        ids, frame = self.tokenizer.encode(prompt).ids, self.tokenizer.encode("").ids
        if len(ids) >= most:
            raise ValueError(f"the prompt {prompt!r:.40} leaves no room for a text: it takes "
                             f"{len(ids)} tokens of max_seq_length={most}")
        return len(ids) - (len(frame) > 0 and ids[-1] == frame[-1])            # [SEP]

    def _batches(self, texts, before, batch_size, workers):
        """(numbers of texts, their ids packed), the longest of each block first."""
        for start in range(0, len(texts), BLOCK):
            block = self.tokenizer.encode_batch(
                [self._cased(before + text) for text in texts[start:start + BLOCK]],
                max_length=self.recipe.max_seq_length)
            order = by_length(block)[::-1]
            lengths = np.diff(block.offsets)[order]
            if lengths[-1] == 0:
                raise ValueError(f"input {start + order[-1]}: {texts[start + order[-1]]!r:.40} "
                                 "has no token")
            offsets = np.concatenate([[0], np.cumsum(lengths)])
            parts = 1 if offsets[-1] <= ALONE else workers * -(-offsets[-1] // (workers * TOKENS))
            for part in split_by_tokens(offsets, int(parts)):
                for i in range(0, len(part), batch_size or len(part)):
                    which = order[part[i:i + (batch_size or len(part))]]
                    yield start + which, take(block, which)

    def _cased(self, text):
        return text.lower() if self.recipe.lower_case else text

"""From texts to vectors: tokenizer, transformer, pooling; many texts at a time.

Paper     Reimers & Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
          section 3.
Equation  y = pool(encoder([CLS] prompt text [SEP]));  then cut, scaled to length 1 and rounded,
          as asked (sentences/interface.py)
Shapes    encode: N texts -> (N, d).  pooled: packed ids (T,) -> (N, D)
Cost      the transformer's: 24 D² + 4 t D for a token and layer.  Memory: the result, the ids of
          BLOCK texts, and a layer's activations of the batches under way.
Differs   from sentence-transformers: a batch is so many tokens, not so many texts, and nothing is
          padded.  A model that ends in Normalize gives unit vectors also when they are cut; there
          they are what is left of unit vectors.  Unknown arguments, and prompts that fill
          max_length, are errors.
Read next transformer/encoder.py, transformer/pooling.py; sentences/simcse.py (training one)

Why sorted.  Texts of one length are one batched product in attention; and with the longest first,
the batches that end last are the shortest, and no thread waits long for another.

Why threads of our own.  BLAS would cut up each product and wait for its slowest part, dozens of
times a layer, while all that is not a product has one thread.  Here each thread has a batch, and
BLAS one thread for it.  Only a call that is a single batch is left to BLAS's own threads.
"""
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from itertools import chain, islice
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from scratch_embed.nn.params import Params
from scratch_embed.numerics.blas import blas_threads, one_blas_thread
from scratch_embed.numerics.memory import require_memory
from scratch_embed.numerics.workers import run
from scratch_embed.sentences.interface import (
    check_output,
    choose_prompt,
    finish,
    require_text,
    require_whole,
    round_to,
    similarity,
    similarity_pairwise,
)
from scratch_embed.text.packed import Packed, by_length, shares, take
from scratch_embed.transformer.encoder import Config, infer
from scratch_embed.transformer.pooling import mean

BLOCK = 4096                       # texts whose ids are in memory, and sorted, at a time
TOKENS = 1024                      # in a batch, about: what one core works at from its own cache
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

        SentenceEncoder(tokenizer, config, p)                              the mean of the tokens
        SentenceEncoder(tokenizer, config, p, cls, normalize=True,
                        prompts={"query": "query: ", "passage": "passage: "})
    """

    def __init__(self, tokenizer: Tokenizer, config: Config, p: Params, pooling: Callable = mean,
                 normalize: bool = False, max_length: int | None = None,
                 prompts: Mapping[str, str] | None = None, default_prompt_name: str | None = None,
                 include_prompt: bool = True) -> None:
        """p: the model's parameters, used as they are at each call; float32 is fast.

        pooling         one of transformer/pooling.py
        normalize       scale every vector to length 1
        max_length      in tokens, [CLS] and [SEP] among them; what is beyond is cut off.  By
                        default as many as the model has positions
        prompts         {name: text that goes before an input}; default_prompt_name: the one that
                        goes before those that ask for no other
        include_prompt  whether the prompt's tokens, and [CLS] before them, are pooled too
        """
        self.tokenizer, self.config, self.p, self.pooling = tokenizer, config, p, pooling
        self.normalize, self.include_prompt = normalize, include_prompt
        self.max_length = config.positions if max_length is None else max_length
        require_whole("max_length", self.max_length, config.positions)
        self.prompts, self.default_prompt_name = dict(prompts or {}), default_prompt_name
        choose_prompt(self.prompts, default_prompt_name, None)
        one_token = np.zeros((1, config.dim))
        self.dim = pooling(one_token, np.array([0, 1]), 0)[0].shape[1]

    def pooled(self, batch: Packed, skip: int = 0) -> np.ndarray:
        """The vectors of N sequences, as the pooling leaves them, in p's own type.  -> (N, D)

        skip: leave out the first `skip` tokens of each.
        """
        y, _ = self.pooling(infer(batch, self.p, self.config), batch.off, skip)
        return y

    def encode(self, inputs: str | Iterable[str], prompt_name: str | None = None,
               prompt: str | None = None, batch_size: int | None = None,
               show_progress_bar: bool | None = None, precision: str = "float32",
               normalize_embeddings: bool = False, truncate_dim: int | None = None) -> np.ndarray:
        """The vectors of texts, in their order: n texts -> (n, d) float32, a single str -> (d,).

        prompt_name           a key of `prompts`; its text goes before every input
        prompt                that text itself; "" for none where there is a default
        batch_size            texts in a batch, at most; by default what makes TOKENS tokens
        show_progress_bar     on stderr, where that is a terminal
        precision             "float32", or codes: "int8", "uint8", "binary", "ubinary"
        normalize_embeddings  scale to length 1, after truncation; zero stays zero
        truncate_dim          d, the first dimensions to keep; all of them by default
        Raises                ValueError for a name or a number that is not valid, and a text
                              without a token; TypeError for an input that is no str
        """
        check_output(self.dim, 1 if batch_size is None else batch_size, precision, truncate_dim)
        before = choose_prompt(self.prompts, prompt_name, prompt, self.default_prompt_name)
        skip = self._tokens_of(before)
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        for number, text in enumerate(texts):
            require_text(number, text)
        n, d = len(texts), truncate_dim or self.dim
        require_memory(4 * n * d, f"vectors of {n} texts x {d} dimensions")
        out = np.empty((n, d), np.float32)

        def step(job):
            which, batch = job
            x = self.pooled(batch, 0 if self.include_prompt else skip)
            out[which] = finish(x, truncate_dim, self.normalize or normalize_embeddings)
            return len(which)
        workers = min(blas_threads() or 1, MOST_WORKERS)
        jobs = self._batches(texts, before, batch_size, workers)
        first = list(islice(jobs, 2))
        workers = workers if len(first) == 2 else 1
        with (tqdm(total=n, unit="text", disable=None if show_progress_bar else True) as bar,
              one_blas_thread() if workers > 1 else nullcontext()):
            for done in run(step, chain(first, jobs), workers):
                bar.update(done)
        out = round_to(precision, out)
        return out[0] if isinstance(inputs, str) else out

    def _tokens_of(self, prompt):
        """How many tokens of every input are the prompt's, and those before it."""
        if not prompt:
            return 0
        ids, frame = self.tokenizer.encode(prompt).ids, self.tokenizer.encode("").ids
        if len(ids) >= self.max_length:
            raise ValueError(f"the prompt {prompt!r:.40} leaves no room for a text: with it are "
                             f"{len(ids)} tokens, and max_length={self.max_length}")
        return len(ids) - (len(frame) > 0 and ids[-1] == frame[-1])            # [SEP]

    def _batches(self, texts, before, batch_size, workers):
        """(numbers of texts, their ids packed), the longest of each block first."""
        for start in range(0, len(texts), BLOCK):
            block = self.tokenizer.encode_batch([before + text for text in
                                                 texts[start:start + BLOCK]],
                                                max_length=self.max_length)
            order = by_length(block)[::-1]
            lengths = np.diff(block.off)[order]
            if lengths[-1] == 0:
                raise ValueError(f"input {start + order[-1]}: {texts[start + order[-1]]!r:.40} "
                                 "has no token")
            off = np.concatenate([[0], np.cumsum(lengths)])
            parts = 1 if off[-1] <= ALONE else workers * -(-off[-1] // (workers * TOKENS))
            for part in shares(off, int(parts)):
                for i in range(0, len(part), batch_size or len(part)):
                    which = order[part[i:i + (batch_size or len(part))]]
                    yield start + which, take(block, which)

    similarity = staticmethod(similarity)
    similarity_pairwise = staticmethod(similarity_pairwise)

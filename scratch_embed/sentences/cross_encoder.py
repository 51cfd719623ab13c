"""Cross-encoder: reads two texts together and scores the pair.

Paper     Nogueira & Cho 2019, "Passage Re-ranking with BERT"; Devlin et al. 2019, section 4.1.
Equation  s(a, b) = activation(A tanh(P x_[CLS] + d) + a₀),
          x = transformer([CLS] a [SEP] b [SEP]),  token types 0 up to the first [SEP], then 1
Shapes    N pairs -> scores (N,), or (N, O) for O > 1 labels
Cost      one pass of the transformer for every pair; a bi-encoder needs one for every text
Differs   from sentence-transformers: nothing is padded, and batches have a number of tokens.
          Pairs of equal score keep the order of the documents in rank().
Read next sentences/cross_encoder_training.py, sentences/cross_encoder_folder.py, retrieve/rerank.py

Why is it better than two vectors?  Every token of the query attends to every token of the document,
in every layer: "the dog bit the man" and "the man bit the dog" are compared word by word, role by
role.  A bi-encoder must put all that any query may ask into one vector, before it knows the query.
Why not for the whole search?  A query against a million documents takes a million passes.  So a
fast search finds candidates, and the cross-encoder reranks them (retrieve/rerank.py).
"""
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from scratch_embed.nn.softmax import softmax
from scratch_embed.numerics.blas import blas_threads, one_blas_thread
from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.functions import sigmoid
from scratch_embed.numerics.workers import imap_unordered
from scratch_embed.sentences.encoder import BLOCK, MOST_WORKERS, ONE_BATCH, TOKENS, Tokenizer
from scratch_embed.sentences.interface import choose_prompt, require_text
from scratch_embed.text.packed import Packed, by_length, split_by_tokens, take
from scratch_embed.transformer.classification import (
    CLASSIFIER,
    infer_scores,
    with_new_classifier,
)
from scratch_embed.transformer.families import Model

Pair = tuple[str, str]


def identity(s: np.ndarray) -> np.ndarray:
    """s."""
    return s


class Settings(NamedTuple):
    """The settings of a cross-encoder apart from its transformer."""

    activation: Callable = sigmoid                 # of the scores: sigmoid, or identity
    max_seq_length: int = 512                      # tokens of a pair, [CLS] and [SEP] included
    lower_case: bool = False                       # lower-case texts before tokenization
    labels: tuple[str, ...] = ("LABEL_0",)         # O names
    prompts: Mapping[str, str] = {}                # put before the first text of a pair
    default_prompt_name: str | None = None


class CrossEncoder:
    """Scores of pairs of texts: predict(pairs) -> (N,), rank(query, documents) -> a list.

        CrossEncoder.load(folder)                       of sentence-transformers, or of
                                                        transformers' BertForSequenceClassification
        CrossEncoder.warm_start(encoder, seed=1)        a bi-encoder's or a BERT's transformer, and
                                                        a new head, to be trained
    """

    def __init__(self, tokenizer: Tokenizer, model: Model, settings: Settings | None = None
                 ) -> None:
        """tokenizer, model: not copied, so each call uses the model's current parameters.

        model: with pooler and classifier, see transformer/classification.py
        settings: default: the activation sigmoid for one label, identity for several
        """
        labels = len(model.p[f"{CLASSIFIER}.bias"])
        self.tokenizer, self.model, self.truncated = tokenizer, model, 0
        self.settings = settings or default_settings(labels, model.max_length)

    def __repr__(self) -> str:
        labels = len(self.settings.labels)
        return f"CrossEncoder({self.model!r}, {labels} label{'s' * (labels > 1)})"

    @classmethod
    def warm_start(cls, encoder: Any, labels: int = 1, seed: int = 1) -> "CrossEncoder":
        """A cross-encoder of an encoder's transformer, copied, and a new head, not trained.

        encoder: an object with `tokenizer` and `model`, such as a SentenceEncoder
        """
        model = with_new_classifier(encoder.model, labels, seed)
        return cls(encoder.tokenizer, model)

    def predict(self, pairs: Pair | Iterable[Pair], prompt_name: str | None = None,
                prompt: str | None = None, batch_size: int | None = None,
                show_progress_bar: bool | None = None, activation_fn: Callable | None = None,
                apply_softmax: bool = False) -> np.ndarray:
        """The scores of pairs (a, b), in their order -> (N,) or (N, O) float32; of one pair, its.

        batch_size         the most pairs per batch; by default a batch has about TOKENS tokens
        show_progress_bar  on stderr, if that is a terminal
        activation_fn      (N, O) -> (N, O), in place of settings.activation
        apply_softmax      with O > 1 labels: probabilities, which sum to 1
        """
        pairs = list(pairs)
        single = len(pairs) == 2 and all(isinstance(text, str) for text in pairs)
        pairs = check_pairs([tuple(pairs)] if single else pairs)
        prompt = choose_prompt(self.settings.prompts, prompt_name, prompt,
                               self.settings.default_prompt_name)
        if batch_size is not None:
            require_whole("batch_size", batch_size, 1)
        O = len(self.settings.labels)
        out = np.empty((len(pairs), O), np.float32)

        def score_batch(job):
            indices, batch = job
            out[indices] = infer_scores(batch, self.model)
            return len(indices)
        workers = min(blas_threads() or 1, MOST_WORKERS)     # 1 inside one_blas_thread()
        with (tqdm(total=len(pairs), unit="pair", disable=None if show_progress_bar else True
                   ) as bar, one_blas_thread()):
            for done in imap_unordered(score_batch, self._batches(pairs, prompt, batch_size,
                                                                  workers), workers):
                bar.update(done)
        s = (activation_fn or self.settings.activation)(out)
        s = softmax(s)[0] if apply_softmax and O > 1 else s
        s = s[:, 0] if O == 1 else s
        return s[0] if single else s

    def rank(self, query: str, documents: Sequence[str], top_k: int | None = None,
             return_documents: bool = False, **options: Any) -> list[dict]:
        """The documents, the best first: [{"corpus_id": 1, "score": 0.9, "text": ...}, ...]

        top_k: how many, default all; return_documents: with their texts
        """
        scores = self.predict([(query, document) for document in documents], **options)
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [{"corpus_id": int(n), "score": float(scores[n]),
                 **({"text": documents[n]} if return_documents else {})} for n in order]

    def tokenize(self, pairs: Sequence[Pair], prompt: str = "") -> Packed:
        """The token ids of pairs; at most max_seq_length each, see text/wordpiece.py."""
        a, b = ([self._cased(text) for text in side] for side in zip(*pairs)) if pairs else ([], [])
        most = self.settings.max_seq_length
        batch, lengths = self.tokenizer.encode_with_lengths(
            [prompt + text for text in a], b, max_length=most)
        self.truncated += int((lengths > most).sum())
        return batch

    def _batches(self, pairs: list[Pair], prompt: str, batch_size: int | None, workers: int
                 ) -> Iterator[tuple[np.ndarray, Packed]]:
        """Yield (indices of pairs, their packed ids), in each block the longest pairs first."""
        for start in range(0, len(pairs), BLOCK):
            block = self.tokenize(pairs[start:start + BLOCK], prompt)
            order = by_length(block)[::-1]
            offsets = np.concatenate([[0], np.cumsum(np.diff(block.offsets)[order])])
            parts = workers * -(-offsets[-1] // (workers * TOKENS))
            parts = 1 if offsets[-1] <= ONE_BATCH else parts
            for part in split_by_tokens(offsets, int(parts)):
                for i in range(0, len(part), batch_size or len(part)):
                    indices = order[part[i:i + (batch_size or len(part))]]
                    yield start + indices, take(block, indices)

    def _cased(self, text):
        return text.lower() if self.settings.lower_case else text


def default_settings(labels: int, max_length: int) -> Settings:
    """sentence-transformers' defaults: sigmoid for one label, identity for several."""
    return Settings(sigmoid if labels == 1 else identity, max_length,
                    labels=tuple(f"LABEL_{n}" for n in range(labels)))


def check_pairs(pairs: Iterable) -> list[Pair]:
    """The pairs as tuples.  Raises TypeError for one that is not two texts."""
    checked = []
    for number, pair in enumerate(pairs):
        if isinstance(pair, str) or len(pair) != 2:
            raise TypeError(f"pair {number}: expected two texts, (a, b), got {pair!r:.60}")
        for text in pair:
            require_text(number, text)
        checked.append(tuple(pair))
    return checked

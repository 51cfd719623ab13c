"""Cross-encoder: reads two texts together and scores the pair.

Paper     Nogueira & Cho 2019, "Passage Re-ranking with BERT"; Devlin et al. 2019, section 4.1.
Equation  s(a, b) = activation(A tanh(P x_[CLS] + d) + a₀),
          x = transformer([CLS] a [SEP] b [SEP]),  token types 0 up to the first [SEP], then 1;
          this is BERT's head, for others see transformer/classification.py
Shapes    N pairs -> scores (N,), or (N, O) for O > 1 labels
Cost      one pass of the transformer for every pair; a bi-encoder needs one for every text
Differs   from sentence-transformers: nothing is padded, and by default the size of a batch is a
          number of tokens.  Of rank()'s documents, those of equal score keep their order, as there
Read next sentences/cross_encoder_training.py, transformer/classification.py, retrieve/rerank.py

Why is it better than two vectors?  Every token of the query attends to every token of the document,
in every layer: "the dog bit the man" and "the man bit the dog" are compared word by word, role by
role.  A bi-encoder must put all that any query may ask into one vector, before it knows the query.
Why not for the whole search?  A query against a million documents takes a million passes.  So a
fast search finds candidates, and the cross-encoder reranks them (retrieve/rerank.py).
"""
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scratch_embed.nn.softmax import softmax
from scratch_embed.numerics.checks import require_whole
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.wording import counted
from scratch_embed.sentences.cross_encoder_folder import (
    read_cross_encoder_folder,
    write_cross_encoder_folder,
)
from scratch_embed.sentences.cross_encoder_settings import (
    Settings,
    check_settings,
    default_settings,
)
from scratch_embed.sentences.encoder import SentenceEncoder
from scratch_embed.sentences.interface import choose_prompt, require_parts, require_text
from scratch_embed.sentences.length_batches import compute_in_batches
from scratch_embed.text.packed import Packed
from scratch_embed.transformer.classification import infer_scores, labels_of, with_new_classifier
from scratch_embed.transformer.families import (
    has_types,
    read_tokenizer,
    save_tokenizer,
)
from scratch_embed.transformer.local_folder import require_local_folder
from scratch_embed.transformer.model import Transformer

Pair = tuple[str, str]


class CrossEncoder:
    """Scores of pairs of texts: predict(pairs) -> (N,); rank(query, documents) -> a list.

        CrossEncoder.load(folder)                    of sentence-transformers, or of a class of
                                                     transformers: XLMRobertaForSequence-
                                                     Classification ..., HEADS of
                                                     transformer/classification.py
        CrossEncoder.warm_start(encoder)             the transformer of a bi-encoder or of a BERT,
                                                     and a new head: a start for training
        CrossEncoder(tokenizer, model, settings)     settings: see cross_encoder_settings.py

    >>> from scratch_embed.nn.params import init_params
    >>> from scratch_embed.sentences.encoder import SentenceEncoder
    >>> from scratch_embed.text.wordpiece import SPECIAL, WordPiece
    >>> from scratch_embed.transformer.bert import Bert, Config, tensors
    >>> config = Config(vocab=8, dim=4, layers=2, heads=2, ff=8)
    >>> bert = Bert(config, init_params(tensors(config), seed=1))            # not trained
    >>> encoder = SentenceEncoder(WordPiece([*SPECIAL, "a", "red", "cat"]), bert)
    >>> cross_encoder = CrossEncoder.warm_start(encoder)
    >>> cross_encoder
    CrossEncoder(Bert(2 layers x 4, 8 tokens), 1 label, sigmoid)
    >>> cross_encoder.predict([("a cat", "a red cat"), ("a cat", "a cat")]).shape
    (2,)
    >>> [row["corpus_id"] for row in cross_encoder.rank("a cat", ["a red cat", "cat"], top_k=2)]
    [0, 1]
    """

    def __init__(self, tokenizer: Any, model: Transformer = None,  # type: ignore[assignment]
                 settings: Settings | None = None) -> None:
        """tokenizer, model: not copied, so each call uses the model's current parameters.

        tokenizer a WordPiece, or an object with its encode_with_lengths(texts, pairs, max_length)
        model     with a classifier, see transformer/classification.py
        settings  default: sigmoid for one label, identity for several; the model's maximum length
        Raises    ValueError for a model without a classifier, or settings that do not fit it;
                  TypeError for a folder
        """
        require_parts("CrossEncoder", tokenizer, model)
        labels = labels_of(model)
        self.tokenizer, self.model = tokenizer, model
        self.settings = settings or default_settings([f"LABEL_{n}" for n in range(labels)],
                                                     model.max_length)
        check_settings(self.settings, labels, model.max_length)
        self.truncated = 0                 # the pairs that predict() has truncated so far

    def __repr__(self) -> str:
        activation, labels = self.settings.activation.__name__, len(self.settings.labels)
        return f"CrossEncoder({self.model!r}, {counted(labels, 'label')}, {activation})"

    @classmethod
    def warm_start(cls, encoder: SentenceEncoder, labels: Sequence[str] = ("LABEL_0",),
                   seed: int = 1) -> "CrossEncoder":
        """A cross-encoder of a copy of an encoder's transformer, and of a new head, not trained.

        encoder: a bi-encoder, or SentenceEncoder.load() of a BERT; labels: O names
        """
        settings = default_settings(labels, encoder.model.max_length)
        return cls(encoder.tokenizer, with_new_classifier(encoder.model, len(labels), seed),
                   settings._replace(lower_case=encoder.recipe.lower_case))

    @classmethod
    def load(cls, folder: str | os.PathLike, dtype: type = np.float32) -> "CrossEncoder":
        """Load a folder of sentence-transformers' CrossEncoder or of transformers' classes.

        Raises FormatError that names the file and the field that is missing, damaged or unknown.
        """
        require_local_folder(folder)
        model, settings = read_cross_encoder_folder(folder, dtype)
        tokenizer = read_tokenizer(folder, model)
        most = max(part.type for part in tokenizer.template.pair)
        if has_types(model) and most >= model.config.types:
            raise FormatError(folder, "its tokenizer", "expected types of tokens of a pair below "
                              f"{model.config.types}, the type_vocab_size of config.json, found "
                              f"{most}")
        return cls(tokenizer, model, settings)

    def save(self, folder: str | os.PathLike) -> None:
        """Write a folder that load() and sentence-transformers read.

        Its releases before 6 find the model and the activation in config.json.
        """
        with tempfile.TemporaryDirectory() as temporary:
            save_tokenizer(temporary, self.model, self.tokenizer, self.settings.max_seq_length)
            files = {path.name: path.read_bytes() for path in Path(temporary).iterdir()}
        write_cross_encoder_folder(folder, self.model, self.settings, files)

    def predict(self, pairs: Pair | Iterable[Pair], prompt_name: str | None = None,
                prompt: str | None = None, batch_size: int | None = None,
                show_progress_bar: bool | None = None, activation_fn: Callable | None = None,
                apply_softmax: bool = False) -> np.ndarray:
        """The scores of pairs (a, b), in their order: n pairs -> (n,) float32, one pair -> ().

        With O > 1 labels: (n, O), one pair -> (O,).
        prompt_name        a key of settings.prompts; its text is put before every a
        prompt             the prompt itself, instead of its name; "": no prompt, not even
                           the default prompt
        batch_size         the most pairs per batch; by default a batch has about 512 tokens
        show_progress_bar  on stderr, if that is a terminal
        activation_fn      scores (n, O) -> (n, O), in place of settings.activation
        apply_softmax      with O > 1 labels: make the scores probabilities, which sum to 1
        Pairs of more than settings.max_seq_length tokens are truncated; the attribute `truncated`
        counts them.
        Raises             ValueError for an invalid argument, TypeError for what is not a pair
        """
        if isinstance(pairs, str):
            raise TypeError(f"pairs: expected a list of pairs, got the text {pairs!r:.60}; use "
                            "predict([(a, b)])")
        prompt = choose_prompt(self.settings.prompts, prompt_name, prompt,
                               self.settings.default_prompt_name)
        require_whole("batch_size", 1 if batch_size is None else batch_size, 1)
        pairs = list(pairs)
        single = bool(pairs) and isinstance(pairs[0], str)
        pairs = check_pairs([pairs] if single else pairs)
        scores = np.empty((len(pairs), len(self.settings.labels)), np.float32)

        def score_batch(indices, batch):
            scores[indices] = infer_scores(batch, self.model)
        compute_in_batches(score_batch, pairs, lambda part: self.tokenize(part, prompt),
                           batch_size, show_progress_bar, unit="pair")
        scores = (activation_fn or self.settings.activation)(scores)
        if scores.shape[1] == 1:
            scores = scores[:, 0]
        elif apply_softmax:
            scores, _ = softmax(scores)
        return scores[0] if single else scores

    def rank(self, query: str, documents: Sequence[str], top_k: int | None = None,
             return_documents: bool = False, prompt_name: str | None = None,
             prompt: str | None = None, batch_size: int | None = None,
             show_progress_bar: bool | None = None, activation_fn: Callable | None = None
             ) -> list[dict[str, Any]]:
        """The documents by their score, the best first: [{"corpus_id": 1, "score": 0.9}, ...]

        Documents of equal score keep their order.
        top_k             how many are returned; by default all
        return_documents  with the text of each: {"corpus_id", "score", "text"}
        The other arguments are those of predict().  Raises ValueError for several labels.
        """
        if len(self.settings.labels) > 1:
            raise ValueError(f"rank(): expected a model with one label, whose score it sorts by, "
                             f"got {len(self.settings.labels)}; predict() returns all scores")
        if isinstance(documents, str):
            raise TypeError("documents: expected a list of texts, got one text; put it into a list")
        if top_k is not None:
            require_whole("top_k", top_k, 1)
        scores = self.predict([(query, document) for document in documents], prompt_name, prompt,
                              batch_size, show_progress_bar, activation_fn)
        best = np.argsort(-scores, kind="stable")[:top_k].tolist()
        text = {n: {"text": documents[n]} if return_documents else {} for n in best}
        return [{"corpus_id": n, "score": float(scores[n]), **text[n]} for n in best]

    def tokenize(self, pairs: Sequence[Pair], prompt: str = "") -> Packed:
        """The token ids of pairs, lower-cased if settings.lower_case; prompt: before each a.

        A pair of more than max_seq_length tokens is truncated, see text/wordpiece.py.
        """
        most, lower_case = self.settings.max_seq_length, self.settings.lower_case
        a, b = ([text.lower() if lower_case else text for text in side] for side in
                ([prompt + a for a, _ in pairs], [b for _, b in pairs]))
        batch, lengths = self.tokenizer.encode_with_lengths(a, b, max_length=most)
        self.truncated += int((lengths > most).sum())
        return batch


def check_pairs(pairs: Iterable) -> list[Pair]:
    """The pairs as tuples.  Raises TypeError for one that is not two texts."""
    checked = []
    for number, pair in enumerate(pairs):
        if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise TypeError(f"pair {number}: expected two texts, (a, b), got {pair!r:.60}")
        for text in pair:
            require_text(number, text)
        checked.append((pair[0], pair[1]))
    return checked

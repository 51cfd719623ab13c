"""The families of models that can be loaded, and the interface that all models share.

Each family in FAMILIES has its own file in this package.  gpt2.py and mistral.py are not in
FAMILIES, because the package has no tokenizers for them.  Code that uses a model (sentences/)
relies only on the methods of Model, not on the family.
"""
import os
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

from scratch_embed.nn.contract import ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import Fields
from scratch_embed.text import tokenizer_files
from scratch_embed.text.packed import Packed
from scratch_embed.transformer.bert import Bert, read_config


class Model(Protocol):
    """A transformer that turns packed token ids into token vectors."""

    @property
    def config(self) -> Any:
        """A NamedTuple; .vocab is the number of token ids."""

    @property
    def p(self) -> Params:
        """The parameters."""

    @property
    def dim(self) -> int:
        """D, the dimension of a token's vector."""

    @property
    def max_length(self) -> int:
        """The maximum number of tokens in a sequence."""

    def encode(self, batch: Packed, dropout: Dropout = NO_DROPOUT
               ) -> tuple[np.ndarray, ParamOnlyBackward]:
        """Contextual token vectors.  -> x (T, D), backward(dx, g)."""

    def infer(self, batch: Packed) -> np.ndarray:
        """Contextual token vectors, without backward.  -> x (T, D)"""

    def with_params(self, p: Params) -> "Model":
        """The same model with other parameters."""

    def without_heads(self) -> "Model":
        """The same model without the heads that only pre-training uses."""

    def encoder_tensors(self) -> list[str]:
        """The names of the parameters that encode() uses."""

    def save(self, folder: str | os.PathLike) -> None:
        """Write config.json and model.safetensors."""


class Family(NamedTuple):
    """How models of one model_type and their tokenizers are read and written.

    name            for messages
    model           a class with load(folder, dtype) -> Model
    read_config     path of a config.json -> Config, which has `dim` and `max_length`
    read_tokenizer  folder -> tokenizer
    save_tokenizer  (folder, tokenizer, max_length): writes the tokenizer's files
    """

    name: str
    model: Any
    read_config: Callable
    read_tokenizer: Callable
    save_tokenizer: Callable


FAMILIES = {"bert": Family("BERT", Bert, read_config, tokenizer_files.load,
                           tokenizer_files.save)}


def family_of(folder: str | os.PathLike) -> Family:
    """The family that model_type in a folder's config.json names; BERT if the field is missing.

    Raises FormatError for a family that is not in FAMILIES.
    """
    fields = Fields.read(os.path.join(folder, "config.json"))
    return FAMILIES[fields.one_of("model_type", FAMILIES, "bert")]


def read_model(folder: str | os.PathLike, dtype: type = np.float32) -> tuple[Model, Any]:
    """Load the model of a folder, and its tokenizer.

    Raises FormatError with the file and the field that is missing, damaged or unknown.
    """
    model = family_of(folder).model.load(folder, dtype)
    return model, read_tokenizer(folder, model)


def read_tokenizer(folder: str | os.PathLike, model: Model) -> Any:
    """Load the tokenizer of a model's folder.

    Raises FormatError if the tokenizer has more tokens, or types of tokens, than the model has
    embeddings.
    """
    tokenizer = family_of(folder).read_tokenizer(folder)
    most = max(part.type for part in tokenizer.template.single)
    if most >= model.config.types:
        raise FormatError(folder, "its tokenizer", f"expected types of tokens below "
                          f"{model.config.types}, the type_vocab_size of config.json, found {most}")
    if len(tokenizer) > model.config.vocab:
        raise FormatError(folder, "its tokenizer", f"expected at most {model.config.vocab} tokens, "
                          f"the vocab_size of config.json, found {len(tokenizer)}")
    return tokenizer


def save_tokenizer(folder: str | os.PathLike, model: Model, tokenizer: Any,
                   max_length: int | None = None) -> None:
    """Write the files of a tokenizer in the format of the model's family."""
    family = next(family for family in FAMILIES.values() if isinstance(model, family.model))
    family.save_tokenizer(folder, tokenizer, max_length)

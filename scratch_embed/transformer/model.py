"""What all families of models have in common: a config, parameters, and how a folder stores them.

A family's file (bert.py, gpt2.py ...) defines its tensors, its forward and backward pass, its names
in checkpoints and its config.json as functions and tables.  Its class, a subclass of Transformer
with an Architecture, joins them to an object with methods.  Transformer, and CausalModel for models
that predict the next token, are the only statement of what code that uses a model may call.

Bytes     config.json and model.safetensors, see transformer/checkpoint.py
Read next transformer/bert.py (a family), transformer/families.py (which families there are)
"""
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, TypeVar

import numpy as np

from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.params import Params
from scratch_embed.text.packed import Packed
from scratch_embed.transformer.checkpoint import (
    Renames,
    open_weights,
    read_tensors,
    write_model,
)

AnyModel = TypeVar("AnyModel", bound="Transformer")


def no_head(config: Any) -> dict:
    """head_tensors of a family whose models have no head with tensors of its own."""
    return {}


class Architecture(NamedTuple):
    """The functions and tables of a family's file.

    original        the name of the encoder's class in transformers: "BertModel"
    names           our names and the original's
    tensors         config -> the tensors of the encoder
    encode          (batch, p, config, dropout) -> token vectors x (T, D), backward(dx, g)
    infer           (batch, p, config) -> x, without backward
    read_config     path of a config.json -> Config, which has vocab, dim, layers and max_length
    config_fields   config -> the fields of config.json, without `architectures`
    original_class  (config, p) -> the class in transformers that has the heads of p; tensors of any
                    class but `original` are stored with the prefix of `names`
    head_tensors    config -> the tensors of all optional heads; "mlm.bias" belongs to the head mlm
    pretraining     the heads that only pre-training uses
    """

    original: str
    names: Renames
    tensors: Callable
    encode: Callable
    infer: Callable
    read_config: Callable
    config_fields: Callable
    original_class: Callable
    head_tensors: Callable = no_head
    pretraining: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Transformer:
    """A model: its config and its parameters.  Each call uses their current values."""

    architecture: ClassVar[Architecture]

    config: Any
    p: Params

    def __repr__(self) -> str:
        return (f"{type(self).__name__}({self.config.layers} layers x {self.dim}, "
                f"{self.config.vocab} tokens)")

    @property
    def dim(self) -> int:
        """D, the dimension of a token's vector."""
        return self.config.dim

    @property
    def max_length(self) -> int:
        """The maximum number of tokens in a sequence."""
        return self.config.max_length

    def encode(self, batch: Packed, dropout: Dropout = NO_DROPOUT
               ) -> tuple[np.ndarray, ParamOnlyBackward]:
        """Contextual token vectors.  -> x (T, D), backward(dx, g)."""
        return self.architecture.encode(batch, self.p, self.config, dropout)

    def infer(self, batch: Packed) -> np.ndarray:
        """Contextual token vectors, without backward.  -> x (T, D)"""
        return self.architecture.infer(batch, self.p, self.config)

    def with_params(self: AnyModel, p: Params) -> AnyModel:
        """The same model with other parameters."""
        return type(self)(self.config, p)

    def without_heads(self: AnyModel) -> AnyModel:
        """A copy of the model without the heads that only pre-training uses."""
        return self.with_params(self.p.only(
            name for name in self.p if _head(name) not in self.architecture.pretraining))

    def encoder_tensors(self) -> list[str]:
        """The names of the parameters that encode() uses: no head, not even a pooler.

        A layer's tensors of LoRA are among them (transformer/lora.py).
        """
        layers = {_layer(name) for name in self.architecture.tensors(self.config)}
        return [name for name in self.p if _layer(name) in layers]

    @classmethod
    def load(cls: type[AnyModel], folder: str | os.PathLike, dtype: type = np.float32) -> AnyModel:
        """Load the encoder of a folder, and the heads that its file contains.

        An adapter beside them is not added; load_model() of model_folder.py adds it.
        Raises FormatError if a file is missing or damaged, or the tensors contradict config.json.
        """
        family = cls.architecture
        config = family.read_config(os.path.join(folder, "config.json"))
        weights = open_weights(folder, config.layers)
        declared = family.tensors(config) | family.head_tensors(config)
        return cls(config, read_tensors(weights, declared, family.names,
                                        f"{family.original} of {config.layers} layers and its "
                                        "heads", dtype))

    def save(self, folder: str | os.PathLike) -> None:
        """Write config.json and model.safetensors, in the type of p.

        The tensors are named as in the class of transformers that has the model's heads.
        Raises ValueError for parameters that the config does not declare.
        """
        family, config, p = self.architecture, self.config, self.p
        heads = {_head(name) for name in p}
        need = family.tensors(config) | {
            name: tensor for name, tensor in family.head_tensors(config).items()
            if _head(name) in heads}
        kind = family.original_class(config, p)
        write_model(folder, p, need, family.names,
                    {"architectures": [kind], **family.config_fields(config)},
                    prefixed=kind != family.original)


class CausalModel(Transformer):
    """A model whose token vectors depend on no later token, and that predicts the next token."""

    def lm_head(self, x: np.ndarray) -> tuple[np.ndarray, ParamBackward]:
        """The next tokens' logits.  x: (M, D) -> logits (M, V), backward(dlogits, g) -> dx."""
        raise NotImplementedError


def _layer(name):
    """A tensor's name without its last part: "layers.0.attn.q.weight" -> "layers.0.attn.q"."""
    return name.rpartition(".")[0]


def _head(name):
    """The first part of a tensor's name: "mlm.bias" -> "mlm"."""
    return name.partition(".")[0]

"""Read the model of a folder: weights, the LoRA adapter beside them if there is one, the tokenizer.

Bytes     config.json, model.safetensors                    see transformer/model.py
          adapter_config.json, adapter_model.safetensors    optional, see adapter_folder.py
          the tokenizer's files                             see text/tokenizer_files.py
Equation  W' = W + s B A for each target of the adapter, see transformer/lora.py
Differs   An adapter beside a model is merged into it, so that the vectors are those of transformers
          (5.24), whose from_pretrained() adds it too.  For an adapter alone transformers also looks
          for the model that base_model_name_or_path names; here the two must be in one folder.
          A family's own load(), such as Bert.load(), reads the weights without an adapter.
Read next transformer/families.py, transformer/adapter_folder.py
"""
import os
from typing import Any

import numpy as np

from scratch_embed.transformer.adapter_folder import CONFIG, read_adapter
from scratch_embed.transformer.families import family_of, read_tokenizer
from scratch_embed.transformer.lora import lora_layers, update
from scratch_embed.transformer.model import Transformer


def load_model(folder: str | os.PathLike, dtype: type = np.float32) -> Transformer:
    """Load the model of a folder.  Its LoRA, if it has one, is added to the weights.

    Raises FormatError with the file and the field that is missing, damaged or unknown.
    """
    model = family_of(folder).model.load(folder, dtype)
    if has_adapter(folder):
        terms = read_adapter(folder, model).p
        for layer in lora_layers(terms):
            model.p[layer + ".weight"][...] += update(terms, layer)        # W' in the equation
    return model


def has_adapter(folder: str | os.PathLike) -> bool:
    """Whether a folder has an adapter_config.json."""
    return os.path.lexists(os.path.join(folder, CONFIG))


def require_no_adapter(folder: str | os.PathLike) -> None:
    """Raise ValueError for a folder with an adapter: it would be added to weights written there."""
    if has_adapter(folder):
        raise ValueError(f"cannot write {folder}: expected no adapter there, found {CONFIG}, which "
                         "would be added to the new weights too; save to another folder")


def read_model(folder: str | os.PathLike, dtype: type = np.float32) -> tuple[Transformer, Any]:
    """Load the model of a folder, and its tokenizer.

    Raises FormatError with the file and the field that is missing, damaged or unknown.
    """
    model = load_model(folder, dtype)
    return model, read_tokenizer(folder, model)

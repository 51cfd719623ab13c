"""The modules of a sentence-transformers folder: modules.json, Pooling, Dense, Normalize.

Bytes     modules.json                              the modules in order, and their folders
          1_Pooling/config.json                     flags, or pooling_mode: see sentences/folder.py
          2_Dense/config.json, model.safetensors    a linear layer and an activation
          3_Normalize/config.json                   nothing that could differ
Differs   Unknown fields, and options that would change the result, are errors
Read next sentences/folder.py (the folder), sentences/recipe.py (what a folder's modules become)
"""
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from scratch_embed.nn.activations import tanh
from scratch_embed.nn.params import ZEROS, Params, linear_tensors
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.json_files import Fields, read_json, show
from scratch_embed.numerics.safetensors import read_header, read_safetensors
from scratch_embed.sentences.recipe import Dense, Recipe
from scratch_embed.transformer.checkpoint import FLOATS, weights_file
from scratch_embed.transformer.pooling import (
    cls,
    last_token,
    max_,
    mean,
    mean_sqrt_len,
    weighted_mean,
)

# {flag of the old layout: (name in the new layout, function)}, in the order of concatenation
POOLINGS: dict[str, tuple[str, Callable]] = {
    "pooling_mode_cls_token": ("cls", cls), "pooling_mode_max_tokens": ("max", max_),
    "pooling_mode_mean_tokens": ("mean", mean),
    "pooling_mode_mean_sqrt_len_tokens": ("mean_sqrt_len_tokens", mean_sqrt_len),
    "pooling_mode_weightedmean_tokens": ("weightedmean", weighted_mean),
    "pooling_mode_lasttoken": ("lasttoken", last_token)}
BY_NAME = dict(POOLINGS.values())
ACTIVATIONS = {"torch.nn.modules.activation.Tanh": tanh, "torch.nn.modules.linear.Identity": None}
MODULES = ("Transformer", "Pooling", "Dense", "Normalize", "StaticEmbedding")
VECTOR = "sentence_embedding"      # name of the input and output of Dense and Normalize


def read_modules(folder: str | os.PathLike) -> list[tuple[str, str]]:
    """Read modules.json -> [(kind, folder)], kinds of MODULES in any order."""
    path, found = os.path.join(folder, "modules.json"), []
    for number, entry in enumerate(read_json(path, list)):
        fields = Fields(path, entry, f"module {number}")
        fields.no_others(("idx", "name", "path", "type"))
        package, _, kind = fields.text("type").rpartition(".")
        if package.split(".")[0] != "sentence_transformers" or kind not in MODULES:
            raise fields.fault("type", f"{', '.join(MODULES)} of sentence_transformers",
                               show(entry["type"]))
        subfolder = fields.text("path")
        if (os.path.isabs(subfolder) or "\0" in subfolder
                or ".." in subfolder.replace("\\", "/").split("/")):
            raise fields.fault("path", "a path below this folder", show(subfolder))
        found.append((kind, os.path.join(folder, subfolder)))
    return found


def encoder_modules(folder: str | os.PathLike) -> list[tuple[str, str]]:
    """The modules of an encoder: Transformer, Pooling, Dense ..., or StaticEmbedding; Normalize."""
    found = read_modules(folder)
    kinds = [kind for kind, _ in found]
    normalize = kinds[-1:] == ["Normalize"]
    if kinds[:1] != ["StaticEmbedding"] and kinds != [
            "Transformer", "Pooling", *["Dense"] * (len(kinds) - 2 - normalize),
            *["Normalize"] * normalize]:
        path = os.path.join(folder, "modules.json")
        raise FormatError(path, "its list", "expected Transformer, Pooling, any number of Dense, "
                          "and optionally Normalize, in this order; found "
                          f"{', '.join(kinds) or 'nothing'}")
    return found


def read_pooling(path: str | os.PathLike, D: int) -> tuple[tuple[Callable, ...], bool]:
    """Read a Pooling's config -> the functions, whether the prompt's tokens are pooled."""
    fields = Fields.read(path)
    width = "embedding_dimension" if "embedding_dimension" in fields else "word_embedding_dimension"
    fields.no_others((width, "pooling_mode", *POOLINGS, "include_prompt"))
    if fields.whole(width) != D:
        raise fields.fault(width, f"{D}, the hidden_size of config.json", show(fields.whole(width)))
    if "pooling_mode" in fields:
        names = fields.values["pooling_mode"]
        names = [names] if isinstance(names, str) else names
        if not isinstance(names, list) or not names or not all(
                isinstance(name, str) and name in BY_NAME for name in names):
            raise fields.fault("pooling_mode", f"one or several of {', '.join(BY_NAME)}",
                               show(names))
    else:
        required = ("pooling_mode_cls_token", "pooling_mode_mean_tokens",
                    "pooling_mode_max_tokens")
        for flag in required:
            fields.flag(flag)
        names = [name for flag, (name, _) in POOLINGS.items() if fields.flag(flag, False)]
        if not names:
            raise FormatError(path, "its flags", f"expected one of {', '.join(POOLINGS)} to be "
                                                 "true, found none")
    return tuple(BY_NAME[name] for name in names), fields.flag("include_prompt", True)


def read_dense(folder: str | os.PathLike, width: int, dtype: type = np.float32) -> Dense:
    """Read the Dense of a folder; width: the dimension of its input."""
    fields = Fields.read(os.path.join(folder, "config.json"))
    fields.no_others(("in_features", "out_features", "bias", "activation_function",
                      "module_input_name", "module_output_name", "use_residual"))
    if fields.whole("in_features") != width:
        raise fields.fault("in_features", f"{width}, the dimension of its input",
                           show(fields.whole("in_features")))
    declared = linear_tensors("linear", fields.whole("out_features"), width, ZEROS,
                              bias=fields.flag("bias"))
    activation = ACTIVATIONS[fields.one_of("activation_function", ACTIVATIONS)]
    fields.one_of("use_residual", [False], False)
    fields.one_of("module_input_name", [VECTOR], VECTOR)
    fields.one_of("module_output_name", [VECTOR, None], VECTOR)
    tensors = read_floats(weights_file(folder), {name: tensor.shape for name, tensor in
                                                 declared.items()}, dtype)
    p = Params(declared, dtype)                    # after the header was checked: its size is real
    for name, tensor in tensors.items():
        p[name][...] = tensor
    return Dense(p, activation)


def read_floats(path: str | os.PathLike, shapes: Mapping[str, tuple], dtype: type
                ) -> dict[str, np.ndarray]:
    """Read all tensors of a safetensors file, in this dtype.

    Raises FormatError unless the file has exactly these tensors, of floats of these shapes, and
    finite numbers.
    """
    entries, _ = read_header(path)
    found = {name: entry.shape for name, entry in entries.items() if entry.dtype in FLOATS}
    if found != shapes or len(entries) != len(found):
        raise FormatError(path, "the header", f"expected floats {show(shapes)}, as config.json "
                          f"says, found {show({n: e[:2] for n, e in entries.items()})}")
    with np.errstate(over="ignore"):
        tensors = {name: tensor.astype(dtype, copy=False)
                   for name, tensor in read_safetensors(path)[0].items()}
    for name, tensor in tensors.items():
        if not np.isfinite(tensor).all():
            raise FormatError(path, f"tensor {show(name)}", "expected finite numbers, found nan or "
                              f"inf, or one beyond {np.dtype(dtype)}")
    return tensors


def check_normalize(path: str | os.PathLike) -> None:
    """Check the config of Normalize: absent in the old layout, default values in the new one."""
    if os.path.exists(path):
        fields = Fields.read(path)
        fields.no_others(("module_input_name", "module_output_name"))
        fields.one_of("module_input_name", [VECTOR], VECTOR)
        fields.one_of("module_output_name", [VECTOR, None], VECTOR)


def pooling_fields(recipe: Recipe, D: int) -> dict[str, Any]:
    """Fields of a Pooling's config: flags if they can express the recipe, else pooling_mode."""
    chosen = [name for name, pool in BY_NAME.items() if pool in recipe.poolings]
    names = [name for pool in recipe.poolings for name in chosen if BY_NAME[name] is pool]
    if names == chosen:
        flags = {flag: name in names for flag, (name, _) in POOLINGS.items()}
        return {"word_embedding_dimension": D, **flags, "include_prompt": recipe.include_prompt}
    return {"embedding_dimension": D, "pooling_mode": names,
            "include_prompt": recipe.include_prompt}

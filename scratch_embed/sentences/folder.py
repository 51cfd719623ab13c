"""Read and write the folder format of sentence-transformers.

Bytes     config.json, model.safetensors            the model, see transformer/families.py
          modules.json                              the modules in order, and their folders
          1_Pooling/config.json                     the poolings
          2_Dense/config.json, model.safetensors    a linear layer and an activation; optional
          3_Normalize/                              if vectors are scaled to norm 1; optional
          sentence_bert_config.json                 the maximum number of tokens of a text
          config_sentence_transformers.json         prompts and the similarity function
          vocab.txt, tokenizer_config.json ...      the tokenizer, see text/tokenizer_files.py
          A folder without modules.json is a transformer alone: the mean of its token vectors
Differs   Two layouts are read.  The old one is that of releases up to 5.  In the new one,
          pooling_mode is a name or a list of names, and the maximum length is in
          tokenizer_config.json.  The old layout is written, because all releases read it; but the
          old flags cannot express repeated poolings and some orders, and then pooling_mode is
          written.  Unknown fields, and options that would change the result, are errors;
          sentence-transformers ignores many such fields.  A maximum length above the model's
          number of positions is reduced to it; sentence-transformers fails later, on a long text.
          Of a transformer alone whose class is ...ForCausalLM (Mistral, Llama) release 6 takes the
          last token's vector; here, as in earlier releases, every family gets the mean.
Read next sentences/modules.py, sentences/recipe.py (the contents of a folder),
          sentences/encoder.py (texts -> vectors)
"""
import contextlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.folders import replaced_together
from scratch_embed.numerics.json_files import Fields, is_text, write_json
from scratch_embed.numerics.safetensors import write_safetensors
from scratch_embed.sentences.modules import (
    ACTIVATIONS,
    check_normalize,
    encoder_modules,
    pooling_fields,
    read_dense,
    read_pooling,
)
from scratch_embed.sentences.recipe import SIMILARITIES, Recipe, check_recipe
from scratch_embed.text.tokenizer_files import FILES as TOKENIZER_FILES
from scratch_embed.transformer.adapter_folder import ADAPTER, CONFIG
from scratch_embed.transformer.checkpoint import WEIGHTS, WEIGHTS_INDEX, open_weights
from scratch_embed.transformer.classification import has_classifier
from scratch_embed.transformer.families import family_of
from scratch_embed.transformer.model import Transformer
from scratch_embed.transformer.model_folder import load_model, require_no_adapter
from scratch_embed.transformer.pooling import cls, mean

# all files that may be read
FILES = (WEIGHTS, WEIGHTS_INDEX, "modules.json", "config.json", "sentence_bert_config.json",
         "config_sentence_transformers.json", CONFIG, ADAPTER, *TOKENIZER_FILES)
M3_HEADS = {"sparse": "sparse_linear", "multi": "colbert_linear"}      # see bge_m3_folder.py
IGNORED = {                        # fields that do not change the vectors, each with the reason
    "modules.json": {"idx": "the modules are in the order of the list",
                     "name": "modules have no names here"},
    "sentence_bert_config.json": {"unpad_inputs": "nothing is padded"},
    "config_sentence_transformers.json": {"__version__": "says which programs wrote the folder"}}
TOKEN_VECTORS: dict[str, Any] = {  # the only values of sentence_bert_config.json for an encoder
    "transformer_task": "feature-extraction", "module_output_name": "token_embeddings",
    "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}}


# ---- reading ----------------------------------------------------------------------------------

def read_sentence_folder(folder: str | os.PathLike, dtype: type = np.float32
                         ) -> tuple[Transformer, Recipe]:
    """Read the model and the recipe of a folder, without the tokenizer.

    A folder without modules.json gets the mean of its tokens, not normalised; with the heads of
    BGE-M3, as FlagEmbedding's training writes it, the vector of [CLS], normalised.
    Raises FormatError that names the file and the field that is missing, damaged, unknown, or
    inconsistent with the others.
    """
    if has_classifier(folder):
        raise FormatError(os.path.join(folder, "config.json"), "field 'architectures'", "expected "
                          "a model that encodes texts, found a cross-encoder, which scores pairs; "
                          "CrossEncoder.load and `scratch-embed rerank` read it")
    if not has_modules(folder):
        family = family_of(folder)
        length, lower_case = read_length(folder, family.model.architecture.read_config(
            os.path.join(folder, "config.json")).max_length)
        is_m3 = any(os.path.exists(os.path.join(folder, name + end))
                    for name in M3_HEADS.values() for end in (".safetensors", ".pt"))
        return load_model(folder, dtype), Recipe(
            (cls if is_m3 else mean,), normalize=is_m3, max_seq_length=length,
            lower_case=lower_case)
    modules = encoder_modules(folder)
    if modules[0][0] == "StaticEmbedding":
        raise FormatError(os.path.join(folder, "modules.json"), "its list", "expected Transformer "
                          "first, found StaticEmbedding: se.load reads it as a StaticEncoder")
    (_, base), (_, pooling), *rest = modules
    family = family_of(base)
    config = family.model.architecture.read_config(os.path.join(base, "config.json"))
    poolings, include_prompt = read_pooling(os.path.join(pooling, "config.json"), config.dim)
    length, lower_case = read_length(base, config.max_length)
    prompts, default, similarity = read_prompts(folder)
    width, dense = config.dim * len(poolings), []
    for kind, path in rest:
        if kind == "Dense":
            dense.append(read_dense(path, width, dtype))
            width = len(dense[-1].p["linear.weight"])
        else:
            check_normalize(os.path.join(path, "config.json"))
    model = load_model(base, dtype)             # last, because it takes longest
    return model, Recipe(poolings, include_prompt, tuple(dense), modules[-1][0] == "Normalize",
                         length, lower_case, prompts, default, similarity)


def encoder_folder(folder: str | os.PathLike) -> str:
    """The folder with the files of the first module and the tokenizer: `folder` or a subfolder."""
    return encoder_modules(folder)[0][1] if has_modules(folder) else os.fspath(folder)


def has_modules(folder: str | os.PathLike) -> bool:
    """Whether the folder has a modules.json: a transformer alone has none.

    Raises FormatError if other files say that it had one: its poolings would not be known.
    """
    path = os.path.join(folder, "modules.json")
    for name in ("config_sentence_transformers.json", "1_Pooling"):
        if not os.path.lexists(path) and os.path.exists(os.path.join(folder, name)):
            raise FormatError(path, "the file", f"expected JSON, since {name} is there, found no "
                              "such file")
    return os.path.lexists(path)


def model_files(folder: str | os.PathLike) -> list[str]:
    """The paths, below the folder, of the files from which the encoder is read, sorted.

    Others, such as a README.md or what a killed process left, are not among them.
    """
    folders = {os.fspath(folder), encoder_folder(folder)}
    if has_modules(folder):
        folders |= {path for _, path in encoder_modules(folder)}
    files = {os.path.join(at, name) for at in folders for name in FILES}
    for at in folders:
        if os.path.exists(os.path.join(at, WEIGHTS_INDEX)):
            files |= set(open_weights(at).files.values())
    names = [os.path.relpath(path, folder) for path in files if os.path.exists(path)]
    return sorted(names, key=lambda name: name.split(os.sep))


def read_length(base: str | os.PathLike, positions: int,
                only: Mapping[str, Any] = TOKEN_VECTORS) -> tuple[int, bool]:
    """Read the maximum number of tokens, and whether texts are lower-cased first -> both.

    only: the accepted values of the fields that say what the transformer returns
    """
    path, length, lower_case = os.path.join(base, "sentence_bert_config.json"), None, False
    if os.path.exists(path):
        fields = Fields.read(path)
        length = _whole_or_null(fields, "max_seq_length")
        lower_case = fields.flag("do_lower_case", False)
        required = dict(only)                          # any other value would change the result
        required |= dict.fromkeys(("model_args", "tokenizer_args", "config_args", "model_kwargs",
                                   "processor_kwargs", "config_kwargs", "processing_kwargs"), {})
        required |= dict.fromkeys(("query_length", "document_length", "query_expansion"))
        for name, value in required.items():
            fields.one_of(name, [value], value)
        fields.no_others(("max_seq_length", "do_lower_case", "unpad_inputs", *required))
    path = os.path.join(base, "tokenizer_config.json")
    if length is None and os.path.exists(path):
        length = _whole_or_null(Fields.read(path), "model_max_length")
    return min(length or positions, positions), lower_case


def _whole_or_null(fields, name):
    return fields.get(name, None, "a whole number of at least 1, or null",
                      lambda v: v is None or type(v) is int and v >= 1)


def read_prompts(folder: str | os.PathLike) -> tuple[dict[str, str], str | None, str]:
    """Read the prompts, the name of the default one, and the similarity function."""
    path = os.path.join(folder, "config_sentence_transformers.json")
    if not os.path.exists(path):
        return {}, None, "cosine"
    fields = Fields.read(path)
    fields.no_others(("__version__", "model_type", "prompts", "default_prompt_name",
                      "similarity_fn_name"))
    fields.one_of("model_type", ["SentenceTransformer"], None)
    return *prompts_of(fields), fields.one_of("similarity_fn_name", [*SIMILARITIES, None],
                                              None) or "cosine"


def prompts_of(fields: Fields) -> tuple[dict[str, str], str | None]:
    """The prompts, and the name of the default one, of config_sentence_transformers.json."""
    prompts = fields.get("prompts", {}, "an object of strings",
                         lambda v: isinstance(v, dict) and all(map(is_text, v.values())))
    return prompts, fields.one_of("default_prompt_name", [None, *prompts], None)


# ---- writing ----------------------------------------------------------------------------------

def write_sentence_folder(folder: str | os.PathLike, model: Transformer, recipe: Recipe,
                          files: Mapping[str, bytes] | None = None) -> None:
    """Write a folder that sentence-transformers can load.  files: {name: bytes} of the tokenizer.

    An old config.json is removed first and the new one moved last (numerics/folders.py), so a
    folder that is only partly written cannot be loaded.  Raises ValueError for a recipe that does
    not fit the model, and for a folder with an adapter, which would be added to the new weights.
    """
    require_no_adapter(folder)
    for head in M3_HEADS.values():                     # of an older model, if they are not new
        name = f"{head}.safetensors"
        if name not in (files or {}):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))
    with replaced_together(folder, "config.json") as temporary:
        model.save(temporary)
        write_modules(temporary, model, recipe)
        for name, data in (files or {}).items():
            with open(os.path.join(temporary, name), "wb") as file:
                file.write(data)


def write_modules(folder: str | os.PathLike, model: Transformer, recipe: Recipe) -> None:
    """Write all files except those of the model and its tokenizer."""
    check_recipe(recipe, model.dim, model.max_length)
    kinds = ["Transformer", "Pooling", *["Dense"] * len(recipe.dense),
             *["Normalize"] * recipe.normalize]
    paths = ["", *(f"{number}_{kind}" for number, kind in enumerate(kinds) if number)]
    os.makedirs(os.path.join(folder, paths[1]), exist_ok=True)
    write_json(os.path.join(folder, paths[1], "config.json"),
               pooling_fields(recipe, model.dim))
    for path, (p, activation) in zip(paths[2:], recipe.dense):
        os.makedirs(os.path.join(folder, path), exist_ok=True)
        names = {function: name for name, function in ACTIVATIONS.items()}
        O, I = p["linear.weight"].shape
        write_safetensors(os.path.join(folder, path, "model.safetensors"), p, {"format": "pt"})
        write_json(os.path.join(folder, path, "config.json"), {
            "in_features": I, "out_features": O, "bias": "linear.bias" in p,
            "activation_function": names[activation]})
    write_json(os.path.join(folder, "sentence_bert_config.json"), {
        "max_seq_length": recipe.max_seq_length, "do_lower_case": recipe.lower_case})
    write_json(os.path.join(folder, "config_sentence_transformers.json"), {
        "prompts": dict(recipe.prompts), "default_prompt_name": recipe.default_prompt_name,
        "similarity_fn_name": recipe.similarity_fn_name})
    write_json(os.path.join(folder, "modules.json"), [
        {"idx": number, "name": str(number), "path": path,
         "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(zip(kinds, paths))])

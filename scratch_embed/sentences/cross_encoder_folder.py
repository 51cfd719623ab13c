"""Read and write the folder of a cross-encoder, as sentence-transformers and transformers do.

Bytes     config.json, model.safetensors            the model, and the names of its labels
          modules.json                              one module, Transformer; from release 6 on
          sentence_bert_config.json                 what it returns: scores
          config_sentence_transformers.json         the activation and the prompts
          vocab.txt, tokenizer_config.json ...      the tokenizer, and the maximum length
          Without modules.json it is a folder of transformers or of an older release; config.json
          then says the activation: sentence_transformers.activation_fn, or before release 4
          sbert_ce_default_activation_function
Differs   The activations are Sigmoid and Identity; sentence-transformers imports any class of torch
          that a folder names, and replaces other names by the default, with a warning: here they
          are errors.  Unknown fields, and options that would change the result, are errors too.
          A folder is written with the fields of old and new releases.
Read next sentences/cross_encoder.py, sentences/folder.py (the folder of an encoder)
"""
import json
import os
from collections.abc import Callable, Mapping

import numpy as np

from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.folders import replaced_together
from scratch_embed.numerics.functions import sigmoid
from scratch_embed.numerics.json_files import Fields, is_text, show, write_json
from scratch_embed.sentences.cross_encoder_settings import Settings, default_settings, identity
from scratch_embed.sentences.folder import (
    has_modules,
    prompts_of,
    read_length,
)
from scratch_embed.sentences.modules import read_modules
from scratch_embed.transformer.adapter_folder import CONFIG
from scratch_embed.transformer.classification import (
    HEADS,
    has_classifier,
    read_classifier,
    write_classifier,
)
from scratch_embed.transformer.families import family_of
from scratch_embed.transformer.model import Transformer
from scratch_embed.transformer.model_folder import has_adapter, require_no_adapter

SIGMOID, IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"
ACTIVATIONS: dict[str, Callable] = {SIGMOID: sigmoid, "torch.nn.Sigmoid": sigmoid,
                                    IDENTITY: identity, "torch.nn.Identity": identity}
OLD_ACTIVATION = "sbert_ce_default_activation_function"       # a field of config.json
SCORES = {"transformer_task": "sequence-classification", "module_output_name": "scores",
          "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}}}
IGNORED = {                        # fields that do not change the scores, each with the reason
    "modules.json": {"idx": "there is one module", "name": "modules have no names here"},
    "sentence_bert_config.json": {"unpad_inputs": "nothing is padded"},
    "config_sentence_transformers.json": {
        "__version__": "says which programs wrote the folder",
        "keep_in_fp32_modules": "nothing is computed with fewer bits"},
    "config.json": {"label2id": "id2label says it",
                    "problem_type": "is used in training; here the loss is an argument of it",
                    "sentence_transformers.version": "says which program wrote the folder"}}


# ---- reading ----------------------------------------------------------------------------------

def read_cross_encoder_folder(folder: str | os.PathLike, dtype: type = np.float32
                              ) -> tuple[Transformer, Settings]:
    """Read the model and the settings of a folder, without the tokenizer.

    Raises FormatError that names the file and the field that is missing, damaged or unknown, and
    for the folder of another kind of model.
    """
    if has_adapter(folder):
        raise FormatError(os.path.join(folder, CONFIG), "the file", "expected a cross-encoder "
                          "without an adapter, found one; merge it into the weights with peft's "
                          "merge_and_unload()")
    path = os.path.join(folder, "config.json")
    family, fields = family_of(folder).model, Fields.read(path)
    config = family.architecture.read_config(path)
    _check_class(fields, family.architecture.config_fields(config)["model_type"], folder)
    labels, positions = _labels(fields), config.max_length
    settings = default_settings(labels, positions)
    settings = settings._replace(activation=_old_activation(fields) or settings.activation)
    if has_modules(folder):
        base = _transformer(folder)
        Fields.read(os.path.join(base, "sentence_bert_config.json")).one_of(
            "transformer_task", [SCORES["transformer_task"]])
        settings = _with_own_config(folder, settings)
    length, lower_case = read_length(folder, positions, SCORES)
    return read_classifier(folder, len(labels), dtype), settings._replace(
        max_seq_length=length, lower_case=lower_case)


def _check_class(fields, model_type, folder):
    """Raise FormatError unless the class is that of the model_type in HEADS."""
    classes = [HEADS[model_type].original] if model_type in HEADS else [
        head.original for head in HEADS.values()]
    expected = " or ".join(json.dumps([name]) for name in classes)
    if not has_classifier(folder):
        expected += "; `scratch-embed train cross-encoder` makes a cross-encoder of another model"
    found = fields.values.get("architectures")
    if model_type not in HEADS or found != classes:
        raise fields.fault("architectures", expected, json.dumps(found)[:60])


def _transformer(folder):
    """The folder of the only module of modules.json, the Transformer; it must be `folder`."""
    modules = read_modules(folder)
    found = [(kind, os.path.normpath(path)) for kind, path in modules]
    if found != [("Transformer", os.path.normpath(folder))]:
        raise FormatError(os.path.join(folder, "modules.json"), "its list", "expected one "
                          f"Transformer, in this folder, found {show(modules)}")
    return os.fspath(folder)


def _labels(fields):
    """The names of the labels: id2label, or as many as num_labels says; transformers' default is 2.
    """
    number = fields.whole("num_labels", default=None)
    names = fields.get("id2label", None, 'an object with names of "0", "1" ..., or null',
                       lambda v: v is None or isinstance(v, dict) and len(v) > 0
                       and v.keys() == {str(n) for n in range(len(v))}
                       and all(map(is_text, v.values())))
    if names is None:
        return tuple(f"LABEL_{n}" for n in range(number or 2))
    if number not in (None, len(names)):
        raise fields.fault("num_labels", f"{len(names)}, the number of names in id2label",
                           show(number))
    return tuple(names[str(n)] for n in range(len(names)))


def _old_activation(fields):
    """The activation that config.json names, or None."""
    old = _activation(fields, OLD_ACTIVATION)
    if fields.values.get("sentence_transformers") is None:
        return old
    inside = fields.inside("sentence_transformers")
    inside.no_others(("activation_fn", "version"))
    return _activation(inside, "activation_fn") if "activation_fn" in inside else old


def _activation(fields, name):
    """The function that a field names, or None if it is missing or null."""
    return ACTIVATIONS.get(fields.one_of(name, [*ACTIVATIONS, None], None))


def _with_own_config(folder, settings):
    """The settings with those of config_sentence_transformers.json."""
    fields = Fields.read(os.path.join(folder, "config_sentence_transformers.json"))
    fields.no_others(("__version__", "model_type", "prompts", "default_prompt_name",
                      "activation_fn", "keep_in_fp32_modules"))
    fields.one_of("model_type", ["CrossEncoder"])
    prompts, default = prompts_of(fields)
    return settings._replace(prompts=prompts, default_prompt_name=default, activation=_activation(
        fields, "activation_fn") or settings.activation)


# ---- writing ----------------------------------------------------------------------------------

def write_cross_encoder_folder(folder: str | os.PathLike, model: Transformer, settings: Settings,
                               files: Mapping[str, bytes]) -> None:
    """Write a folder that transformers and sentence-transformers load.

    files: {name: bytes} of the tokenizer, with the maximum length.
    Raises ValueError for an activation that has no name in ACTIVATIONS, and for a folder with an
    adapter.
    """
    names = [name for name, f in ACTIVATIONS.items() if f is settings.activation]
    if not names:
        raise ValueError(f"activation: expected sigmoid or identity, got {settings.activation}")
    labels = {str(n): label for n, label in enumerate(settings.labels)}
    require_no_adapter(folder)
    with replaced_together(folder, "config.json") as temporary:
        write_classifier(temporary, model, {
            "id2label": labels, "label2id": {label: int(n) for n, label in labels.items()},
            "sentence_transformers": {"activation_fn": names[0]}, OLD_ACTIVATION: names[0]})
        write_json(os.path.join(temporary, "modules.json"), [{
            "idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}])
        write_json(os.path.join(temporary, "sentence_bert_config.json"), {
            **SCORES, "do_lower_case": settings.lower_case})
        write_json(os.path.join(temporary, "config_sentence_transformers.json"), {
            "model_type": "CrossEncoder", "activation_fn": names[0],
            "prompts": dict(settings.prompts), "default_prompt_name": settings.default_prompt_name})
        for name, data in files.items():
            with open(os.path.join(temporary, name), "wb") as file:
                file.write(data)

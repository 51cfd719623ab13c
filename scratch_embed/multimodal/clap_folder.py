"""CLAP's folder: config.json and model.safetensors, as transformers' ClapModel has them.

Bytes     config.json             text_config, audio_config, projection_dim ...; a field that is
                                  missing has transformers' default
          model.safetensors       see NAMES
          preprocessor_config.json  the settings of the spectrograms, see multimodal/audio.py
          tokenizer.json ...      RoBERTa's tokenizer, see text/tokenizer_files.py
Differs   transformers replaces projection_dim in text_config and audio_config by the one outside;
          here they are not read.  Options that change what is computed, and are not supported, are
          refused: feature fusion (enable_fusion), patches that are not squares, several channels.
Read next multimodal/clap.py, transformer/checkpoint.py

Feature fusion.  The models whose names end in "-fused" read a long sound as four spectrograms, one
of the whole sound and three of parts of it, and merge them in a layer of their own.  The others,
"-unfused", read one part.
"""
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from scratch_embed.multimodal import clap, htsat
from scratch_embed.multimodal.audio import ClapAudio, read_clap_audio, write_clap_audio
from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.folders import replaced_together
from scratch_embed.numerics.json_files import Fields, show, write_json
from scratch_embed.text import tokenizer_files
from scratch_embed.text.tokenizer import Tokenizer
from scratch_embed.transformer import roberta
from scratch_embed.transformer.checkpoint import (
    Renames,
    open_weights,
    read_tensors,
    require_declared,
    write_tensors,
)
from scratch_embed.transformer.config_fields import ACTIVATIONS, activation_name, check_fields

AUDIO, BLOCK = "audio_model.audio_encoder.", "layers.*.blocks.*."
NAMES = Renames({                  # {ours: the original's}, see transformer/checkpoint.py
    **{ours: "text_model." + theirs for ours, theirs in roberta.NAMES.names.items()
       if not ours.startswith("mlm.")},
    **{"audio." + ours: AUDIO + theirs for ours, theirs in {
        "mel_norm": "batch_norm",
        "mel_norm.mean": "batch_norm.running_mean",
        "mel_norm.var": "batch_norm.running_var",
        "patches": "patch_embed.proj",
        "patches_norm": "patch_embed.norm",
        "stages.*.merge.norm": "layers.*.downsample.norm",
        "stages.*.merge.linear": "layers.*.downsample.reduction",
        "norm": "norm"}.items()},
    **{"audio.stages.*.layers.*." + ours: AUDIO + BLOCK + theirs for ours, theirs in {
        "attn_norm": "layernorm_before",
        "attn.q": "attention.self.query",
        "attn.k": "attention.self.key",
        "attn.v": "attention.self.value",
        "attn.relative.weight": "attention.self.relative_position_bias_table",
        "attn.o": "attention.output.dense",
        "mlp_norm": "layernorm_after",
        "mlp.up": "intermediate.dense",
        "mlp.down": "output.dense"}.items()},
    "audio_projection.up": "audio_projection.linear1",
    "audio_projection.down": "audio_projection.linear2",
    "text_projection.up": "text_projection.linear1",
    "text_projection.down": "text_projection.linear2",
    "log_scale.audio": "logit_scale_a",
    "log_scale.text": "logit_scale_t"},
    ignored=("text_model.embeddings.position_ids", "text_model.embeddings.token_type_ids",
             AUDIO + BLOCK + "attention.self.relative_position_index",
             AUDIO + "batch_norm.num_batches_tracked"))

# transformers' defaults of the sizes, for fields that a file does not have
TEXT_SIZES = {"vocab_size": 50265, "hidden_size": 768, "num_hidden_layers": 12,
              "num_attention_heads": 12, "intermediate_size": 3072,
              "max_position_embeddings": 514, "type_vocab_size": 1}
AUDIO_SIZES = {"mels": ("num_mel_bins", 64), "size": ("spec_size", 256),
               "window": ("window_size", 8), "dim": ("patch_embeds_hidden_size", 96)}
STAGES = {"depths": ("depths", (2, 2, 6, 2)), "heads": ("num_attention_heads", (4, 8, 16, 32))}
# for each option that would change what is computed, the only value supported here
ONLY = {"patch_embed_input_channels": 1, "flatten_patch_embeds": True,
        "enable_patch_layer_norm": True}
NOT_READ = ("projection_dim", "projection_hidden_act", "initializer_factor")
AUDIO_NOT_READ = (*NOT_READ, "fusion_type", "aff_block_r", "num_classes", "num_hidden_layers",
                  "drop_path_rate")


# ---- reading -------------------------------------------------------------------------------------

def read_folder(folder: str | os.PathLike, dtype: type = np.float32
                ) -> tuple[clap.Config, Params, Tokenizer, ClapAudio]:
    """Read all files of a folder, and check that they fit each other.

    Raises FormatError that names the file and the field.
    """
    config, p = read_model(folder, dtype)
    tokenizer, audio = tokenizer_files.load(folder), read_clap_audio(folder)
    path = os.path.join(folder, "config.json")
    if len(tokenizer) > config.text.vocab:
        raise FormatError(path, "text_config, field 'vocab_size'", f"expected at least "
                          f"{len(tokenizer)}, the tokens of the tokenizer, found "
                          f"{config.text.vocab}")
    if not len(tokenizer.encode("").ids):
        raise FormatError(folder, "its tokenizer", "expected one that puts <s> before a text, "
                          "whose vector is the text's, found one that adds no token")
    if audio.mels != config.audio.mels:
        raise FormatError(path, "audio_config, field 'num_mel_bins'", f"expected {audio.mels}, the "
                          f"feature_size of the feature extractor, found {config.audio.mels}")
    if audio.frames > config.audio.frames:
        raise FormatError(path, "audio_config, field 'spec_size'", "expected one whose square "
                          f"holds {audio.frames} frames, those of the feature extractor, found "
                          f"{config.audio.size}, for {config.audio.frames} frames")
    return config, p, tokenizer, audio


def read_model(folder: str | os.PathLike, dtype: type = np.float32) -> tuple[clap.Config, Params]:
    """Read the config and the parameters of a folder; the statistics of the mel bins are frozen.

    Raises FormatError if a file is missing or damaged, or has an option that is not supported.
    """
    config = read_config(os.path.join(folder, "config.json"))
    weights = open_weights(folder, config.text.layers + sum(config.audio.depths))
    p = read_tensors(weights, clap.tensors(config), NAMES, "ClapModel", dtype)
    return config, htsat.freeze_statistics(p)


def read_config(path: str | os.PathLike) -> clap.Config:
    """Read a Config from a config.json.

    Raises FormatError with the field, the expected values and the value found.
    """
    fields = Fields.read(path)
    fields.one_of("model_type", ["clap"])
    fields.one_of("projection_hidden_act", ["relu"], "relu")
    check_fields(fields, ("model_type", "text_config", "audio_config", "projection_dim",
                          "projection_hidden_act", "logit_scale_init_value", "hidden_size",
                          "num_hidden_layers", "initializer_factor"))
    return clap.Config(read_audio_config(fields.inside("audio_config", {})),
                       read_text_config(fields.inside("text_config", {})),
                       fields.whole("projection_dim", default=512),
                       math.log(fields.positive("logit_scale_init_value", 1 / 0.07)))


def read_text_config(fields: Fields) -> roberta.Config:
    """The text tower's Config: RoBERTa's fields, and those that the tower does not use."""
    fields.one_of("model_type", ["clap_text_model"], "clap_text_model")
    values = {name: value for name, value in fields.values.items() if name not in NOT_READ}
    return roberta.parse_config(Fields(fields.path, TEXT_SIZES | values, fields.place))


def read_audio_config(fields: Fields) -> htsat.Config:
    """The audio tower's Config.  Raises FormatError for sizes that do not fit, and for fusion."""
    fields.one_of("model_type", ["clap_audio_model"], "clap_audio_model")
    if fields.flag("enable_fusion", False):
        raise fields.fault("enable_fusion", "false: models with feature fusion are not supported; "
                           "use one without, such as laion/clap-htsat-unfused", "true")
    for name, value in ONLY.items():
        fields.one_of(name, [value], value)
    sizes = {ours: fields.whole(theirs, default=size)
             for ours, (theirs, size) in AUDIO_SIZES.items()}
    stages: dict[str, Any] = {
        ours: tuple(fields.get(theirs, numbers, "a list of whole numbers of at least 1",
                               _are_whole)) for ours, (theirs, numbers) in STAGES.items()}
    config = htsat.Config(
        **sizes, **stages, patch=_side(fields, "patch_size"), stride=_side(fields, "patch_stride"),
        ff_ratio=float(fields.positive("mlp_ratio", 4.0)), qkv_bias=fields.flag("qkv_bias", True),
        eps=float(fields.positive("layer_norm_eps", 1e-5)),
        activation=ACTIVATIONS[fields.one_of("hidden_act", ACTIVATIONS, "gelu")])
    check_fields(fields, (*(name for name, _ in (*AUDIO_SIZES.values(), *STAGES.values())), *ONLY,
                          *AUDIO_NOT_READ, "model_type", "enable_fusion", "patch_size",
                          "patch_stride", "mlp_ratio", "qkv_bias", "layer_norm_eps", "hidden_act",
                          "hidden_size"))
    try:
        htsat.check(config)
    except ValueError as error:
        raise fields.fault("spec_size", "sizes that fit each other", str(error)) from None
    if fields.whole("hidden_size", default=768) != config.width:
        raise fields.fault("hidden_size", f"{config.width}, patch_embeds_hidden_size · "
                           "2^(stages − 1)", show(fields.values.get("hidden_size", 768)))
    return config


def _are_whole(values):
    """Whether values is a list (or the default's tuple) of whole numbers of at least 1."""
    return isinstance(values, (list, tuple)) and len(values) > 0 and all(
        type(n) is int and 1 <= n <= 4096 for n in values)


def _side(fields, name):
    """The side of a square: a whole number, or a list of two that are equal; by default 4."""
    value = fields.get(name, 4, "a whole number of at least 1, or a list of two that are equal",
                       lambda v: _are_whole([v]) or _are_whole(v) and len(v) == 2 and v[0] == v[1])
    return value if type(value) is int else value[0]


# ---- writing -------------------------------------------------------------------------------------

def write_folder(folder: str | os.PathLike, config: clap.Config, p: Params, tokenizer: Tokenizer,
                 audio: ClapAudio) -> None:
    """Write all files of a folder; the files of an older model are replaced together.

    Raises ValueError for parameters that the config does not declare, or that are nan or inf.
    """
    require_declared(folder, p, clap.tensors(config))
    with replaced_together(folder, "config.json") as temporary:
        write_tensors(temporary, p, NAMES)
        tokenizer_files.save(temporary, tokenizer, config.text.max_length)
        write_clap_audio(temporary, audio)
        write_json(os.path.join(temporary, "config.json"), {
            "architectures": ["ClapModel"], **config_fields(config), "dtype": str(p.flat.dtype)})


def config_fields(config: clap.Config) -> Mapping:
    """The fields of config.json except `architectures`.

    Raises ValueError for an activation that config.json has no name for.
    """
    audio, text = config.audio, config.text
    text_fields = roberta.config_fields(text) | {"model_type": "clap_text_model"}
    if text.vocab <= 2:                              # transformers' defaults would have no row here
        text_fields |= {"bos_token_id": None, "eos_token_id": None}
    return {"model_type": "clap", "projection_dim": config.dim, "projection_hidden_act": "relu",
            "logit_scale_init_value": math.exp(config.first_scale), "text_config": text_fields,
            "audio_config": {
                "model_type": "clap_audio_model", "enable_fusion": False,
                **{theirs: getattr(audio, ours) for ours, (theirs, _) in AUDIO_SIZES.items()},
                **{theirs: [*getattr(audio, ours)] for ours, (theirs, _) in STAGES.items()},
                **ONLY, "patch_size": audio.patch, "patch_stride": [audio.stride, audio.stride],
                "mlp_ratio": audio.ff_ratio, "qkv_bias": audio.qkv_bias,
                "layer_norm_eps": audio.eps, "hidden_act": activation_name(audio.activation),
                "hidden_size": audio.width}}

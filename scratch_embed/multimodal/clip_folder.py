"""The folder of a CLIP model, as transformers' CLIPModel stores it: read and written.

Bytes     config.json               text_config, vision_config, projection_dim; a missing field has
                                    the value of transformers' class, which is that of ViT-B/32
          model.safetensors         the tensors of both towers, see NAMES
          preprocessor_config.json  see multimodal/image_processor.py
          tokenizer.json ...        see text/tokenizer_files.py
Differs   from transformers, where a tensor that is missing is drawn at random, and projection_dim
          inside text_config and vision_config is allowed to differ from the one that is used, at
          the root; here too, since transformers writes such files.  Contradictions between the
          files are errors that name both: the tokenizer's end-of-text token and eos_token_id, the
          processor's size and image_size.
Read next multimodal/clip.py (the model), transformer/checkpoint.py (tensors)
"""
import os
from typing import Any

import numpy as np

from scratch_embed.multimodal import vit
from scratch_embed.multimodal.clip import OLD_END, Config, TextConfig, tensors
from scratch_embed.multimodal.image_processor import NAME as PREPROCESSOR
from scratch_embed.multimodal.image_processor import ImageProcessor
from scratch_embed.nn.params import Params
from scratch_embed.nn.pre_norm import Trunk
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.folders import replaced_together
from scratch_embed.numerics.json_files import NULL, Fields, show, write_json
from scratch_embed.text import tokenizer_files
from scratch_embed.text.tokenizer import Tokenizer
from scratch_embed.transformer.checkpoint import (
    Renames,
    open_weights,
    read_tensors,
    require_declared,
    write_tensors,
)
from scratch_embed.transformer.config_fields import (
    ACTIVATIONS,
    activation_name,
    check_fields,
    read_sizes,
)

LAYER = {"attn_norm": "layer_norm1", "mlp_norm": "layer_norm2", "attn.q": "self_attn.q_proj",
         "attn.k": "self_attn.k_proj", "attn.v": "self_attn.v_proj", "attn.o": "self_attn.out_proj",
         "mlp.up": "mlp.fc1", "mlp.down": "mlp.fc2"}
NAMES = Renames({                  # {ours: the original's}, see transformer/checkpoint.py
    "image.class": "vision_model.embeddings.class_embedding",
    "image.patch": "vision_model.embeddings.patch_embedding",
    "image.positions": "vision_model.embeddings.position_embedding",
    "image.norm_before": "vision_model.pre_layrnorm",                          # sic
    **{f"image.layers.*.{ours}": f"vision_model.encoder.layers.*.{theirs}"
       for ours, theirs in LAYER.items()},
    "image.norm": "vision_model.post_layernorm",
    "image.projection": "visual_projection",
    "text.tokens": "text_model.embeddings.token_embedding",
    "text.positions": "text_model.embeddings.position_embedding",
    **{f"text.layers.*.{ours}": f"text_model.encoder.layers.*.{theirs}"
       for ours, theirs in LAYER.items()},
    "text.norm": "text_model.final_layer_norm",
    "text.projection": "text_projection",
    "log_scale": "logit_scale"},
    ignored=("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids"))

# {field: its value if it is missing}, from transformers' CLIPTextConfig and CLIPVisionConfig
SIZES = {"dim": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads",
         "ff": "intermediate_size"}
TEXT = {"hidden_size": 512, "num_hidden_layers": 12, "num_attention_heads": 8,
        "intermediate_size": 2048, "vocab_size": 49408, "max_position_embeddings": 77,
        "eos_token_id": 49407}
VISION = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
          "intermediate_size": 3072, "image_size": 224, "patch_size": 32, "num_channels": 3}
BOTH = ("hidden_act", "layer_norm_eps", "model_type", "projection_dim", "initializer_factor",
        "dropout")                 # the last three are not used by CLIPModel
ROOT = ("model_type", "projection_dim", "logit_scale_init_value", "initializer_factor",
        "text_config", "vision_config", "text_config_dict", "vision_config_dict")


# ---- config.json ---------------------------------------------------------------------------------

def read_config(path: str | os.PathLike) -> Config:
    """Read a Config from a config.json.

    Raises FormatError with the field, the expected values and the value found.
    """
    fields = Fields.read(path)
    fields.one_of("model_type", ["clip"], "clip")
    check_fields(fields, ROOT)
    text = _text(_tower(fields, "text_config", TEXT))
    image = _image(_tower(fields, "vision_config", VISION))
    return Config(image, text, fields.whole("projection_dim", default=512),
                  float(fields.number("logit_scale_init_value", 2.6592)))


def _tower(fields, name, defaults):
    """The fields of one tower's object, with defaults for those that are missing.

    Older files repeat it as text_config_dict, which transformers then uses: it must agree.
    """
    given = fields.of(name, dict, NULL, default=None) or {}
    other = fields.of(name + "_dict", dict, NULL, default=None)
    if other is not None:
        for field in (*defaults, "hidden_act", "layer_norm_eps"):
            if other.get(field, defaults.get(field)) != given.get(field, defaults.get(field)):
                raise fields.fault(f"{name}_dict", f"the {field} of {name}, "
                                   f"{show(given.get(field))}", show(other.get(field)))
    tower = Fields(fields.path, {**defaults, **given}, name)
    check_fields(tower, (*defaults, *BOTH))
    return tower


def _trunk(tower, causal):
    """The Trunk of a tower's fields."""
    sizes = read_sizes(tower, SIZES)
    return Trunk(**sizes, eps=float(tower.positive("layer_norm_eps", 1e-5)),
                 activation=ACTIVATIONS[tower.one_of("hidden_act", ACTIVATIONS, "quick_gelu")],
                 causal=causal)


def _text(tower):
    tower.one_of("model_type", ["clip_text_model"], "clip_text_model")
    vocab = tower.whole("vocab_size")
    end = tower.whole("eos_token_id", 0)
    if end >= vocab and end != OLD_END:
        raise tower.fault("eos_token_id", f"an id below vocab_size, {vocab}", show(end))
    return TextConfig(vocab, tower.whole("max_position_embeddings"), end, _trunk(tower, True))


def _image(tower):
    tower.one_of("model_type", ["clip_vision_model"], "clip_vision_model")
    pixels, patch = tower.whole("image_size"), tower.whole("patch_size")
    if patch > pixels:
        raise tower.fault("patch_size", f"at most image_size, {pixels}", show(patch))
    return vit.Config(pixels, patch, tower.whole("num_channels"), _trunk(tower, False))


def config_fields(config: Config) -> dict[str, Any]:
    """The fields of config.json.  ValueError for an activation that has no name there."""
    image, text, dim, first = config
    return {"architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": dim,
            "logit_scale_init_value": first,
            "text_config": {
                "model_type": "clip_text_model", **_trunk_fields(text.trunk),
                "vocab_size": text.vocab, "max_position_embeddings": text.positions,
                "eos_token_id": text.end, "bos_token_id": None, "pad_token_id": None,
                "projection_dim": dim},
            "vision_config": {
                "model_type": "clip_vision_model", **_trunk_fields(image.trunk),
                "image_size": image.pixels, "patch_size": image.patch,
                "num_channels": image.channels, "projection_dim": dim}}


def _trunk_fields(trunk):
    return {theirs: getattr(trunk, ours) for ours, theirs in SIZES.items()} | {
        "hidden_act": activation_name(trunk.activation), "layer_norm_eps": trunk.eps}


# ---- the weights ---------------------------------------------------------------------------------

def read_model(folder: str | os.PathLike, dtype: type = np.float32) -> tuple[Config, Params]:
    """Read config.json and model.safetensors.

    Raises FormatError for a missing or damaged file, or tensors that contradict config.json.
    """
    config = read_config(os.path.join(folder, "config.json"))
    layers = config.image.trunk.layers + config.text.trunk.layers
    weights = open_weights(folder, layers)
    return config, read_tensors(weights, tensors(config), NAMES, "CLIPModel", dtype)


# ---- the whole folder ----------------------------------------------------------------------------

def read_folder(folder: str | os.PathLike, dtype: type = np.float32
                ) -> tuple[Config, Params, Tokenizer, ImageProcessor]:
    """Read all files of a folder, and check that they fit each other.

    Raises FormatError that names the file and the field.
    """
    config, p = read_model(folder, dtype)
    tokenizer, processor = tokenizer_files.load(folder), ImageProcessor.load(folder)
    check_tokenizer(tokenizer, config.text, os.path.join(folder, "config.json"))
    check_processor(processor, config.image, os.path.join(folder, PREPROCESSOR))
    return config, p, tokenizer, processor


def check_tokenizer(tokenizer: Tokenizer, text: TextConfig, path: str | os.PathLike) -> None:
    """Raise FormatError for a tokenizer whose ids or whose last token the text tower does not have.

    path: of config.json, for the message
    """
    if len(tokenizer) > text.vocab:
        raise FormatError(path, "text_config, field 'vocab_size'", f"expected at least "
                          f"{len(tokenizer)}, the tokens of the tokenizer, found {text.vocab}")
    ids = tokenizer.encode("").ids
    if not len(ids) or text.end not in (OLD_END, ids[-1]):
        found = f"the tokenizer ends a text with {ids[-1]}" if len(ids) else "it adds no token"
        raise FormatError(path, "text_config, field 'eos_token_id'", "expected the token that the "
                          f"tokenizer puts after a text, found {text.end}, but {found}")
    if len(ids) > text.positions:
        raise FormatError(path, "text_config, field 'max_position_embeddings'", "expected at least "
                          f"{len(ids)}, the special tokens of a text, found {text.positions}")


def check_processor(processor: ImageProcessor, image: vit.Config, path: str | os.PathLike) -> None:
    """Raise FormatError for a processor whose output is not the image tower's input.

    path: of preprocessor_config.json, for the message
    """
    last = processor.crop if processor.crop is not None else processor.size
    field = "crop_size" if processor.crop is not None else "size"
    if last not in (None, image.pixels, (image.pixels, image.pixels)):
        raise FormatError(path, f"field {field!r}", f"expected {image.pixels} x {image.pixels}, "
                          f"the image_size of config.json, found {show(last)}")
    if image.channels != 3:
        raise FormatError(path, "its images", f"expected 3 channels, found a model of "
                          f"{image.channels}, as config.json says (num_channels)")


def write_folder(folder: str | os.PathLike, config: Config, p: Params, tokenizer: Tokenizer,
                 processor: ImageProcessor) -> None:
    """Write all files of a folder; the files of an older model are replaced together.

    Raises ValueError for parameters that the config does not declare, or that are nan or inf.
    """
    require_declared(folder, p, tensors(config))
    with replaced_together(folder, "config.json") as temporary:
        write_tensors(temporary, p, NAMES)
        tokenizer_files.save(temporary, tokenizer, config.text.positions)
        processor.save(temporary)
        write_json(os.path.join(temporary, "config.json"),
                   {**config_fields(config), "dtype": str(p.flat.dtype)})

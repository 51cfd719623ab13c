"""A BERT on disk: the folder that transformers writes and reads.

Bytes     config.json        the shape, see FIELDS, and "model_type": "bert"
          model.safetensors  the tensors, under the names of transformer/encoder.py and bert.py,
                             "bert." before the encoder's and the pooler's where there is a head
Shapes    weights (out, in), so nothing is turned
Cost      each tensor is read once and copied once into Params; meanwhile, the file's memory beside
          the model's.
Differs   from transformers, which starts a missing tensor at random and drops one that it does not
          know, with a warning: here either is an error, and so is an option that would change what
          the model computes.  A decoder that is not tied to the embeddings is refused, with
          "tie_word_embeddings" true or not.  Dropout rates are the training's, and not kept.
Read next numerics/safetensors.py (the file), sentences/folder.py (what a sentence encoder has
          besides)

What older files have, and is read: "bert." or not; LayerNorm.gamma and .beta for .weight and .bias
(TensorFlow's names); the tied decoder, once more, if it is the same; position_ids, a buffer of
0, 1, 2 ...; tensors in half precision.  What is not read is pytorch_model.bin: a pickle runs
whatever code it holds.
"""
import math
import os
import re
from collections.abc import Callable

import numpy as np

from scratch_embed.nn.activations import gelu, gelu_tanh
from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.folders import replaced_together
from scratch_embed.numerics.json_files import Fields, show, write_json
from scratch_embed.numerics.memory import require_memory
from scratch_embed.numerics.safetensors import read_header, read_safetensors, write_safetensors
from scratch_embed.transformer.bert import head_shapes
from scratch_embed.transformer.encoder import Config, shapes

FIELDS = {"vocab": "vocab_size", "dim": "hidden_size", "layers": "num_hidden_layers",
          "heads": "num_attention_heads", "ff": "intermediate_size",
          "positions": "max_position_embeddings", "types": "type_vocab_size"}
ACTIVATIONS: dict[str, Callable] = {"gelu": gelu, "gelu_new": gelu_tanh,
                                    "gelu_pytorch_tanh": gelu_tanh}
# what else may stand there and would change what is computed: the only value that is ours
ONLY = {"model_type": "bert", "position_embedding_type": "absolute", "is_decoder": False,
        "add_cross_attention": False, "pruned_heads": {}}
HEADS = ("pooler.", "cls.predictions.", "cls.seq_relationship.")      # each is there or is not
TABLE, BIAS = "embeddings.word_embeddings.weight", "cls.predictions.bias"
COPIES = {"cls.predictions.decoder.weight": TABLE, "cls.predictions.decoder.bias": BIAS}
BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
FLOATS = ("F64", "F32", "F16", "BF16")
CONVERT = ("it can run code when it is read, so it is not; if you trust it, convert it with torch "
           'and safetensors, in that folder: python -c "import torch, safetensors.torch as s; '
           "s.save_file({k: v.clone().contiguous() for k, v in torch.load('pytorch_model.bin', "
           "weights_only=True).items()}, 'model.safetensors', {'format': 'pt'})\"")


# ---- config.json ------------------------------------------------------------------------------

def read_config(path: str | os.PathLike) -> Config:
    """The Config that a config.json spells.

    Raises FormatError that names the field, what may stand there and what does.
    """
    fields = Fields.read(path)
    for name, value in ONLY.items():
        fields.one_of(name, [value], value)
    sizes = {ours: fields.whole(theirs) for ours, theirs in FIELDS.items()}
    if sizes["dim"] % sizes["heads"]:
        raise fields.fault("num_attention_heads", f"a divisor of hidden_size, {sizes['dim']}",
                           show(sizes["heads"]))
    activation = ACTIVATIONS[fields.one_of("hidden_act", ACTIVATIONS, "gelu")]
    return Config(**sizes, eps=float(fields.positive("layer_norm_eps", 1e-12)),
                  activation=activation)


def config_fields(config: Config) -> dict:
    """The object of config.json, without the heads.  Raises ValueError for another activation."""
    names = [name for name, activation in ACTIVATIONS.items() if activation is config.activation]
    if not names:
        raise ValueError(f"cannot write the activation {config.activation}: the file has names for "
                         "gelu and gelu_tanh of nn/activations.py")
    sizes = {theirs: getattr(config, ours) for ours, theirs in FIELDS.items()}
    return {"model_type": "bert", **sizes, "hidden_act": names[0], "layer_norm_eps": config.eps,
            "position_embedding_type": "absolute", "tie_word_embeddings": True}


# ---- reading ----------------------------------------------------------------------------------

def read_bert(folder: str | os.PathLike, dtype: type = np.float32) -> tuple[Config, Params]:
    """The model of a folder: the encoder, and those heads that are in the file.

    Raises FormatError where a file is missing, damaged, or does not fit the other.
    """
    config = read_config(os.path.join(folder, "config.json"))
    path = weights_file(folder)
    theirs = _named(path, config)
    known, ours = shapes(config) | head_shapes(config), set(theirs.values())
    known = {name: shape for name, shape in known.items() if name in ours}
    numbers = sum(math.prod(shape) for shape in known.values())
    require_memory(os.path.getsize(path) + numbers * np.dtype(dtype).itemsize, f"reading {folder}")
    tensors, _ = read_safetensors(path, list(theirs))
    p = Params(known, dtype)
    copies = {}
    for name, target in theirs.items():
        tensor = tensors.pop(name)                           # freed once it is copied
        if target in COPIES:
            copies[name] = tensor.astype(dtype)
            continue
        with np.errstate(over="ignore"):
            p[target][...] = tensor
        if not np.isfinite(p[target]).all():
            raise FormatError(path, f"tensor {show(name)}", "expected finite numbers, found nan, "
                              f"inf or one beyond {np.dtype(dtype)}")
    for name, tensor in copies.items():
        of = COPIES[theirs[name]]
        if not np.array_equal(tensor, p[of]):
            raise FormatError(path, f"tensor {show(name)}", f"expected the numbers of {of}, to "
                              "which it is tied here, found others")
    return config, p


def weights_file(folder: str | os.PathLike) -> str:
    """The path of model.safetensors.  Raises FormatError, and says what is there in its place."""
    path = os.path.join(folder, "model.safetensors")
    if os.path.exists(path):
        return path
    found = "no such file"
    if os.path.exists(path + ".index.json"):
        found = ("the model in several files; save it in one, with transformers' "
                 "save_pretrained(folder, max_shard_size=\"100GB\")")
    elif os.path.exists(os.path.join(folder, "pytorch_model.bin")):
        found = f"pytorch_model.bin, a pickle: {CONVERT}"
    raise FormatError(path, "the file", f"expected the weights, found {found}")


def own_name(name: str) -> str:
    """What we call a tensor of a file: without "bert.", .weight for .gamma, .bias for .beta."""
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name.removeprefix("bert."))
    return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)


def _named(path, config):
    """{name in the file: our name}, where all that is needed is there and nothing is unknown."""
    entries, _ = read_header(path)
    if config.layers > len(entries):               # before shapes() counts to a billion
        raise FormatError(path, "the header", f"expected the tensors of {config.layers} layers, "
                          f"found {len(entries)} tensors in all")
    expected = shapes(config) | head_shapes(config)
    expected |= {copy: expected[of] for copy, of in COPIES.items()}
    found = {}                                     # {our name: name in the file}
    for name, entry in entries.items():
        ours, place = own_name(name), f"tensor {show(name)}"
        if ours in BUFFERS:
            continue
        if ours not in expected:
            raise FormatError(path, place, f"expected BertModel of {config.layers} layers "
                              "and its pre-training heads; this is unknown there")
        if ours in found:
            raise FormatError(path, place, f"expected one tensor for {ours}, found "
                                           f"{show(found[ours])} too")
        if entry.shape != expected[ours] or entry.dtype not in FLOATS:
            raise FormatError(path, place, f"expected floats of shape {expected[ours]}, as "
                              f"config.json says, found {entry.dtype} of shape {entry.shape}")
        found[ours] = name
    for copy, of in COPIES.items():                # of two that are tied, a file may hold either
        if copy in found and of not in found:
            found[of] = found.pop(copy)
    absent = [head for head in HEADS if not any(name.startswith(head) for name in found)]
    missing = [name for name in expected if name not in found and name not in COPIES
               and not name.startswith(tuple(absent))]
    if missing:
        raise FormatError(path, "the header", f"expected {len(missing)} more of the tensors that "
                          f"config.json asks for, found no {', '.join(missing[:4])}"
                          + (" ..." if len(missing) > 4 else ""))
    return {name: ours for ours, name in found.items()}


# ---- writing ----------------------------------------------------------------------------------

def write_bert(folder: str | os.PathLike, config: Config, p: Params) -> None:
    """Write config.json and model.safetensors, in float32 or in whatever p is.

    The names are those of the class in transformers that has these heads.  config.json goes first
    and comes last (numerics/folders.py): no folder holds the weights of one model and the shape of
    another, whatever interrupts this.
    """
    kind = architecture(p)
    heads = tuple(head for head in HEADS if any(name.startswith(head) for name in p))
    need = shapes(config) | {name: shape for name, shape in head_shapes(config).items()
                             if name.startswith(heads)}
    if need != dict(p.shapes):
        odd = sorted(set(need.items()) ^ set(p.shapes.items()))
        raise ValueError(f"cannot write {folder}: the parameters are not those of this config; "
                         f"these differ: {show(odd)}")
    if not np.isfinite(p.flat).all():
        raise ValueError(f"cannot write {folder}: the weights hold nan or inf")
    fields = {"architectures": [kind], **config_fields(config), "dtype": str(p.flat.dtype)}
    tensors = {name if kind == "BertModel" or name.startswith("cls.") else "bert." + name: view
               for name, view in p.items()}
    with replaced_together(folder, "config.json") as room:
        write_safetensors(os.path.join(room, "model.safetensors"), tensors, {"format": "pt"})
        write_json(os.path.join(room, "config.json"), fields)


def architecture(p: Params) -> str:
    """The class of transformers that has the heads of p.

    Raises ValueError for part of a head, or for heads that no class has together.
    """
    has = tuple(any(name.startswith(head) for name in p) for head in HEADS)
    classes = {(True, True, True): "BertForPreTraining", (False, True, False): "BertForMaskedLM",
               (True, False, True): "BertForNextSentencePrediction",
               (True, False, False): "BertModel", (False, False, False): "BertModel",
               (True, True, False): "BertForMaskedLM"}
    if has not in classes:
        raise ValueError("the head of next sentence, cls.seq_relationship, needs the pooler")
    return classes[has]

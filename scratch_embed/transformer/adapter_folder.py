"""Read and write LoRA's matrices in the folder format of peft: an adapter, without the model.

Bytes     adapter_config.json          r, lora_alpha, target_modules ..., see ONLY and READ
          adapter_model.safetensors    for each target base_model.model.TARGET.lora_A.weight (r, I)
                                       and .lora_B.weight (O, r); TARGET: the name in transformers
Shapes    GPT-2's c_attn is three of our matrices, q above k above v.  Its A belongs to all three;
          its B is their three B, one above the other
Cost      each matrix is read once, and copied once into Params
Differs   from peft, which ignores tensors of layers that are not targets, and starts missing ones
          at random: here both are errors.  After reading, q, k and v of GPT-2 each have a copy of
          A, which can be trained apart; if they differ, they are written as one A of three times
          the rank.  Options that change the result are read or refused: lora_dropout changes it in
          training only, and an adapter that has one is read, but not to be trained.
          adapter_model.bin is a pickle, and is not read.
Read next transformer/lora.py, transformer/checkpoint.py (the names and shapes of tensors)
"""
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.nn.params import Params
from scratch_embed.numerics.errors import FormatError
from scratch_embed.numerics.folders import replaced_together
from scratch_embed.numerics.json_files import REQUIRED, Fields, is_text, show, write_json
from scratch_embed.numerics.safetensors import read_header, read_safetensors, write_safetensors
from scratch_embed.transformer.checkpoint import FLOATS, TORCH_TO_SAFETENSORS
from scratch_embed.transformer.lora import linear_layers, lora_layers, lora_tensors, with_terms
from scratch_embed.transformer.model import Transformer

CONFIG, ADAPTER, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
PREFIX = "base_model.model."               # of all names in the file
MERGE = "; merge such an adapter into the model with peft's merge_and_unload()"
# the accepted values of options that would change the result
ONLY: dict[str, list[Any]] = {
    "peft_type": ["LORA"], "bias": ["none"], "modules_to_save": [None, []], "use_dora": [False],
    "lora_bias": [False], "init_lora_weights": [True, False, "gaussian", "eva"],
    "layer_replication": [None, []], "trainable_token_indices": [None, [], {}],
    "target_parameters": [None, []], "alora_invocation_tokens": [None, []],
    "use_qalora": [False], "use_bdlora": [None, False], "arrow_config": [None],
    "kasa_config": [None], "velora_config": [None], "monteclora_config": [None],
    "megatron_config": [None, {}]}
READ = ("r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "target_modules",
        "exclude_modules", "layers_to_transform", "layers_pattern", "lora_dropout")
IGNORED = {
    **dict.fromkeys(("task_type", "auto_mapping", "base_model_name_or_path", "revision",
                     "peft_version"), "says where the adapter came from"),
    **dict.fromkeys(("inference_mode", "eva_config", "loftq_config",
                     "corda_config", "lora_ga_config", "runtime_config"), "is used in training"),
    **dict.fromkeys(("megatron_core", "qalora_group_size", "ensure_weight_tying"),
                    "belongs to an option that is refused"),
    "fan_in_fan_out": "the family's file says which matrices are (in, out)"}


class Adapter(NamedTuple):
    """The fields of adapter_config.json that are read."""

    rank: int
    alpha: float
    rslora: bool                           # s = α/√r instead of α/r
    ranks: Mapping[str, int]               # {pattern of targets: their rank, instead of `rank`}
    alphas: Mapping[str, float]
    targets: str | list[str]               # a regular expression, or the ends of names
    excluded: str | list[str]
    layers: list[int] | None               # only these
    layers_pattern: list[str]              # what is before a layer's number: ["layers"]
    dropout: float                         # of the inputs of A, in training

    def is_target(self, name: str) -> bool:
        """Whether a module of transformers, such as layers.0.self_attn.q_proj, is a target."""
        if _matches(self.excluded, name) or not _matches(self.targets, name):
            return False
        if self.layers is None or isinstance(self.targets, str):
            return True
        before = "|".join(self.layers_pattern)
        found = re.match(rf"(?:^|.*?\.)(?:{before})\.(\d+)\." if before else
                         r".*?\.[^.]*\.(\d+)\.", name)
        return found is not None and int(found[1]) in self.layers

    def rank_of(self, name: str) -> int:
        """r of a target."""
        return _of_pattern(self.ranks, name, self.rank)

    def scale_of(self, name: str) -> float:
        """s of a target: α/r or α/√r."""
        r = self.rank_of(name)
        return _of_pattern(self.alphas, name, self.alpha) / (r ** 0.5 if self.rslora else r)


def _matches(targets, name):
    """Whether a name fits a regular expression, or ends with one of the names of a list."""
    if isinstance(targets, str):
        return bool(targets) and re.fullmatch(targets, name) is not None
    return any(f".{name}".endswith(f".{target}") for target in targets)


def _of_pattern(patterns, name, default):
    """The value of the first pattern that fits the end of the name, as in peft."""
    return next((value for pattern, value in patterns.items()
                 if re.match(rf"(.*\.)?({pattern})$", name)), default)


# ---- reading -------------------------------------------------------------------------------------

def read_adapter(folder: str | os.PathLike, model: Transformer, is_trainable: bool = False
                 ) -> Transformer:
    """The model with the LoRA of a folder.  merged() adds it to W.

    is_trainable    A and B are trainable; by default, as in peft, they are frozen.  The model's own
                    parameters are always frozen
    Raises FormatError for a file that is missing or damaged, an option that is not supported, or
    tensors that contradict the options or the model.
    """
    config = os.path.join(folder, CONFIG)
    adapter, path = read_config(config), adapter_file(folder)
    if is_trainable and adapter.dropout:
        raise FormatError(config, "field 'lora_dropout'", "expected 0 to train the adapter, since "
                          "the inputs of A are not dropped here, found "
                          f"{show(adapter.dropout)}; set it to 0 to train without")
    layers = original_layers(model)
    found = _match_names(path, adapter, model.architecture.names.prefix, layers)
    data, _ = read_safetensors(path)
    declared, values = {}, {}
    for theirs, (module, a, b) in found.items():
        A, B, s, start = data[a], data[b], adapter.scale_of(module), 0
        rows = [len(model.p[ours + ".weight"]) for ours in layers[theirs]]
        I = model.p[layers[theirs][0] + ".weight"].shape[1]
        r = adapter.rank_of(module)
        _check(path, {a: A, b: B}, [(r, I), (sum(rows), r)])
        for ours, O in zip(layers[theirs], rows):
            declared |= lora_tensors(ours, (O, I), r, s)
            values |= {ours + ".lora_a": A, ours + ".lora_b": B[start:start + O],
                       ours + ".lora_scale": s}
            start += O
    terms = Params(declared, model.p.flat.dtype)
    for name, value in values.items():
        terms[name][...] = value
    adapted = with_terms(model, terms)
    return adapted if is_trainable else adapted.with_params(adapted.p.trainable(()))


def read_config(path: str | os.PathLike) -> Adapter:
    """Read adapter_config.json.  Raises FormatError for an option that is not supported."""
    fields = Fields.read(path)
    for name, values in ONLY.items():
        try:
            fields.one_of(name, values, values[0])
        except FormatError as error:
            raise FormatError(*error.parts[:2], error.parts[2] + MERGE) from None
    fields.no_others((*ONLY, *READ, *IGNORED))
    ranks, alphas = (Fields(path, fields.values.get(name) or {}, name)
                     for name in ("rank_pattern", "alpha_pattern"))
    layers = fields.get("layers_to_transform", None, "a layer's number, a list of them, or null",
                        lambda v: v is None or type(v) is int or isinstance(v, list)
                        and all(type(n) is int for n in v))
    return Adapter(fields.whole("r"), fields.positive("lora_alpha"),
                   fields.flag("use_rslora", False),
                   {_regex(ranks, key): ranks.whole(key) for key in ranks.values},
                   {_regex(alphas, key): alphas.positive(key) for key in alphas.values},
                   _names(fields, "target_modules"), _names(fields, "exclude_modules", []),
                   [layers] if type(layers) is int else layers or None,
                   _names(fields, "layers_pattern", [], always_list=True),
                   fields.number("lora_dropout", 0.0))


def _names(fields, field, default=REQUIRED, always_list=False):
    """A list of names, or a string: "all-linear", or else a regular expression."""
    optional = default is not REQUIRED
    value = fields.get(field, default, "names, or a regular expression" + ", or null" * optional,
                       lambda v: v is None and optional or is_text(v) and v != ""
                       or isinstance(v, list) and all(map(is_text, v)))
    if value is None:
        return default
    if isinstance(value, list):
        return value
    if value == "all-linear":
        return ".*"                                # of the layers that the model's family knows
    _regex(fields, field, value)
    return [value] if always_list else value


def _regex(fields, field, pattern=None):
    """The pattern, by default the field's own name; FormatError if it is not valid."""
    try:
        re.compile(pattern or field)
    except re.error as error:
        raise fields.fault(field, "a regular expression", str(error)) from None
    return pattern or field


def adapter_file(folder: str | os.PathLike) -> str:
    """The path of adapter_model.safetensors.  FormatError if there is none, or only a pickle."""
    path = os.path.join(folder, ADAPTER)
    if not os.path.isfile(path):
        found = "no such file"
        if os.path.exists(os.path.join(folder, PICKLE)):
            found = (f"{PICKLE}, a pickle: reading it can run code, so it is not read; if you "
                     "trust it, convert it with torch and safetensors, in that folder: "
                     + TORCH_TO_SAFETENSORS.replace("FROM", PICKLE).replace("TO", ADAPTER))
        raise FormatError(path, "the file", f"expected LoRA's matrices, found {found}")
    return path


def original_layers(model: Transformer) -> dict[str, list[str]]:
    """{a linear layer's name in transformers: our layers of which it consists}, heads included."""
    layers: dict[str, list[str]] = {}
    for ours in linear_layers(model.p):
        theirs = model.architecture.names.original(ours + ".weight").removesuffix(".weight")
        layers.setdefault(theirs, []).append(ours)
    return layers


def _match_names(path, adapter, prefix, layers):
    """{a linear layer's name in transformers: (its name in the adapter, of its A, of its B)}."""
    entries, _ = read_header(path)
    found = {}
    for name, entry in entries.items():
        part = re.fullmatch(re.escape(PREFIX) + r"(.+)\.lora_([AB])\.weight", name)
        module, letter = (part[1], part[2]) if part else ("", "")
        theirs = module.removeprefix(prefix)
        if theirs not in layers or entry.dtype not in FLOATS:
            raise FormatError(path, f"tensor {show(name)}", "expected floats for A or B of a "
                              f"linear layer, such as {PREFIX}{next(iter(layers))}.lora_A.weight, "
                              "found another")
        if not adapter.is_target(module):
            raise FormatError(path, f"tensor {show(name)}", "expected matrices of the targets of "
                              f"{CONFIG}, found one of a layer that is not a target")
        found.setdefault(theirs, {"module": module})[letter] = name
    has_prefix = any(names["module"].startswith(prefix) for names in found.values())
    for theirs in layers:
        names = found.get(theirs, {"module": prefix * has_prefix + theirs})
        in_encoder = layers[theirs][0].startswith("layers.")
        if missing := {"A", "B"} - names.keys():
            if theirs in found or in_encoder and adapter.is_target(names["module"]):
                raise FormatError(path, "the header", f"expected A and B of {theirs}, a target of "
                                  f"{CONFIG}, found no {' and no '.join(sorted(missing))}")
    return {theirs: (names["module"], names["A"], names["B"]) for theirs, names in found.items()}


def _check(path, tensors, shapes):
    """Raise FormatError unless the tensors have these shapes and finite numbers."""
    for (name, tensor), shape in zip(tensors.items(), shapes):
        if tensor.shape != shape:
            raise FormatError(path, f"tensor {show(name)}", f"expected the shape {shape}, as "
                              f"{CONFIG} and the model say, found {tensor.shape}")
        if not np.isfinite(tensor.astype(np.float64)).all():
            raise FormatError(path, f"tensor {show(name)}", "expected finite numbers, found nan or "
                              "inf")


# ---- writing -------------------------------------------------------------------------------------

def save_adapter(model: Transformer, folder: str | os.PathLike) -> None:
    """Write the LoRA of a model as a folder that read_adapter() and peft read.

    The names are those in the encoder's class, such as MistralModel, which AutoModel loads.
    Raises ValueError for a model without LoRA, and for matrices that hold nan or inf.
    """
    if not lora_layers(model.p):
        raise ValueError("model: expected one with LoRA, got one without: with_lora() adds it")
    arrays, ranks, alphas = {}, {}, {}
    for theirs, layers in original_layers(model).items():
        if with_term := [ours for ours in layers if ours + ".lora_a" in model.p]:
            A, B, scale = joined(model.p, layers, with_term)
            arrays[f"{PREFIX}{theirs}.lora_A.weight"] = A
            arrays[f"{PREFIX}{theirs}.lora_B.weight"] = B
            ranks[theirs], alphas[theirs] = len(A), float(f"{scale * len(A):.7g}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError(f"cannot write {folder}: LoRA's matrices hold nan or inf")
    r, alpha = max(ranks.values()), max(alphas.values())
    with replaced_together(folder, CONFIG) as temporary:
        write_safetensors(os.path.join(temporary, ADAPTER), arrays, {"format": "pt"})
        write_json(os.path.join(temporary, CONFIG), {
            "peft_type": "LORA", "task_type": "FEATURE_EXTRACTION", "inference_mode": True,
            "base_model_name_or_path": None, "r": r, "lora_alpha": alpha, "lora_dropout": 0.0,
            "bias": "none", "use_rslora": False,
            "fan_in_fan_out": bool(model.architecture.names.transposed),
            "target_modules": [*ranks],
            "rank_pattern": {name: n for name, n in ranks.items() if n != r},
            "alpha_pattern": {name: x for name, x in alphas.items() if x != alpha}})


def joined(p: Params, layers: list[str], with_term: list[str]) -> tuple[np.ndarray, np.ndarray,
                                                                       float]:
    """A, B and s of an original matrix that consists of `layers`, of which some have a term.

    If all have the same A and s, it is theirs, and their B are put one above the other.  Else the
    rank is the sum of theirs, and B has a block for each: B A = blocks above each other.
    """
    As = [p[ours + ".lora_a"] for ours in with_term]
    scales = [float(p[ours + ".lora_scale"]) for ours in with_term]
    Bs = {ours: p[ours + ".lora_b"] * (scale / scales[0])
          for ours, scale in zip(with_term, scales)}
    if with_term == layers and all(np.array_equal(A, As[0]) for A in As):
        return As[0], np.concatenate([*Bs.values()]), scales[0]
    rows, start = [], 0
    A = np.concatenate(As)
    for ours in layers:
        block = np.zeros((len(p[ours + ".weight"]), len(A)), A.dtype)
        if ours in Bs:
            block[:, start:start + Bs[ours].shape[1]] = Bs[ours]
            start += Bs[ours].shape[1]
        rows.append(block)
    return A, np.concatenate(rows), scales[0]

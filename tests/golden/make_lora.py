"""How lora_*.safetensors were made: by peft 0.21, transformers 5.24 and torch 2.13.

    python -m tests.golden.make_lora

The weights of the models are drawn as make_gpt2.py describes, A and B so that the low-rank terms
are of order 1: with peft's own first values, B = 0, they would be zero.

There is one file for each case, with config.json and adapter_config.json in the metadata:
    weight.NAME    float32                 of the model; NAME: the name in transformers
    adapter.NAME   float32                 A and B; NAME: the name in peft's adapter file
    grad.NAME      float64                 their gradients of `loss`, by torch in float64
    ids (T,), off (N+1,)                   the batch; off: its offsets
    hidden, hidden64 (T, D)                token vectors, in float32 and in float64
    push (T, D), loss                      the loss is Σ push · hidden
"""
import json
import tempfile
import warnings
from pathlib import Path

import numpy as np

from tests.golden import make_gpt2, make_mistral
from tests.golden.make_gpt2 import draw_batch, draw_weights, run, run_float32

HERE = Path(__file__).parent
SIZES = {
    "mistral": {"vocab_size": 19, "hidden_size": 12, "num_hidden_layers": 2,
                "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 6,
                "intermediate_size": 10, "max_position_embeddings": 16, "sliding_window": 3,
                "rms_norm_eps": 1e-5, "rope_theta": 100.0},
    "gpt2": {"vocab_size": 19, "n_embd": 12, "n_layer": 1, "n_head": 3, "n_inner": 10,
             "n_positions": 9},
    "bert": {"vocab_size": 19, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
             "intermediate_size": 10, "max_position_embeddings": 9, "type_vocab_size": 1}}
CASES = {                      # family, options of LoraConfig
    "mistral": ("mistral", {"r": 2, "lora_alpha": 3, "target_modules": "all-linear",
                            "rank_pattern": {"v_proj": 3}, "alpha_pattern": {"1.mlp.up_proj": 7}}),
    "gpt2": ("gpt2", {"r": 2, "lora_alpha": 4, "target_modules": r".*\.(c_attn|c_fc)",
                      "fan_in_fan_out": True, "use_rslora": True}),
    "bert": ("bert", {"r": 1, "lora_alpha": 2, "target_modules": ["query", "output.dense"],
                      "layers_to_transform": [1]})}
LENGTHS = [5, 1, 9, 3]


def original(family):
    """A new transformers model in evaluation mode, and its config.json."""
    if family == "mistral":
        return make_mistral.original("MistralModel", SIZES[family], "sdpa")
    if family == "gpt2":
        return make_gpt2.original("GPT2Model", SIZES[family])
    import transformers
    model = transformers.BertModel(transformers.BertConfig(**SIZES[family]),
                                   add_pooling_layer=False)
    return model.eval(), model.config.to_dict()


def with_adapter(model, options):
    """peft's model around a model of transformers, which gets A and B."""
    import peft
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")            # peft corrects fan_in_fan_out and says so
        return peft.get_peft_model(model, peft.LoraConfig(**options))


def adapter_config(wrapped):
    """The fields of adapter_config.json, as peft writes them."""
    with tempfile.TemporaryDirectory() as folder:
        wrapped.save_pretrained(folder)
        fields = json.loads((Path(folder) / "adapter_config.json").read_text())
    if isinstance(fields["target_modules"], list):         # a set in peft, in any order
        fields["target_modules"].sort()
    return fields


def draw_adapter(wrapped, rng):
    """New values of A and B, of order 1/√inputs and 1/√r, exact in float32."""
    import torch
    with torch.no_grad():
        for name, weight in wrapped.named_parameters():
            if "lora_" in name:
                x = rng.standard_normal(weight.shape) * weight.shape[1] ** -0.5
                weight.copy_(torch.tensor(x.astype(np.float32)))


def in_file(name):
    """The name of a parameter in peft's adapter file."""
    return name.replace(".default.", ".")


def make(family, options, lengths, seed):
    """The arrays of one golden file, {name: array}, config.json and adapter_config.json."""
    import peft
    rng = np.random.default_rng(seed)
    model, fields = original(family)
    draw_weights(model, rng, inputs_axis=0 if family == "gpt2" else 1)
    batch = draw_batch(SIZES[family]["vocab_size"], lengths, rng)
    weights = {"weight." + name: weight.detach().numpy().copy()
               for name, weight in model.named_parameters()}
    same, _ = original(family)
    same.load_state_dict(model.state_dict())
    wrapped = with_adapter(model, options)
    draw_adapter(wrapped, rng)
    adapter = peft.get_peft_model_state_dict(wrapped)
    out = run_float32(model, batch)
    if family == "mistral":
        same = make_mistral.in_float64(same, SIZES[family]["rope_theta"])
    exact = with_adapter(same, options)
    peft.set_peft_model_state_dict(exact, adapter)
    same.double()
    found = run(same, batch, rng)
    grads = {f"grad.{in_file('base_model.model.' + name.removeprefix('grad.'))}": x
             for name, x in found.items() if name.startswith("grad.") and "lora_" in name}
    rest = {name: x for name, x in found.items() if not name.startswith("grad.")}
    return (batch | weights | {"adapter." + name: x.numpy() for name, x in adapter.items()} | out
            | rest | grads, fields, adapter_config(wrapped))


def main():
    from safetensors.numpy import save_file
    for seed, (name, (family, options)) in enumerate(CASES.items()):
        case, config, adapter = make(family, options, LENGTHS, seed)
        save_file({key: np.asarray(x, order="C") for key, x in case.items()},
                  HERE / f"lora_{name}.safetensors",
                  {"config": json.dumps(config), "adapter_config": json.dumps(adapter)})


if __name__ == "__main__":
    main()

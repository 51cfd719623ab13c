"""How nn.safetensors was made: by torch 2.13.0 and transformers 5.24.0, in float64.

    python tests/golden/make_nn.py

For each layer the file contains random inputs, the output y, a random dy, and the gradients of
Σ y · dy with respect to all inputs.  Names: "case.x" for an input x, "case.d_x" for its gradient,
"case.y" and "case.dy".
"""
from pathlib import Path

import numpy as np

OFFSETS = np.array([0, 6, 9])                        # two sequences, of six and of three tokens
SHAPES = {                                           # {case: {input: its shape}}
    "linear": dict(x=(4, 5), weight=(3, 5)),
    "layer_norm": dict(x=(4, 5), weight=(5,)),
    "rms_norm": dict(x=(4, 5), weight=(5,)),
    "silu": dict(x=(4, 5)),
    "quick_gelu": dict(x=(4, 5)),
    "swiglu": dict(gate=(4, 5), up=(4, 5)),
    "mistral": dict(q=(9, 24), k=(9, 12), v=(9, 12)),        # 4 and 2 heads of 6 columns
    "two_sided": dict(q=(9, 6), k=(9, 6), v=(9, 6)),
    "mpnet": dict(x=(9, 6), table=(32, 2), **{f"{name}.{part}": (6, 6)[:2 - (part == "bias")]
                                              for name in "qkvo" for part in ("weight", "bias")}),
    "swin": dict(x=(16, 6), table=(9, 2), **{f"{name}.{part}": (6, 6)[:2 - (part == "bias")]
                                             for name in "qkv" for part in ("weight", "bias")}),
    "extra_row": dict(x=(9, 6), bias_k=(6,), bias_v=(6,), **{
        f"{name}.{part}": (6, 6)[:2 - (part == "bias")]
        for name in "qkvo" for part in ("weight", "bias")}),
    "conv1d": dict(x=(2, 7, 3), weight=(4, 3, 3), bias=(4,)),
    "conv1d_stride": dict(x=(2, 7, 3), weight=(4, 3, 3), bias=(4,)),
    "patches": dict(x=(2, 3, 4, 6), weight=(5, 3, 2, 2), bias=(5,)),
    "patches_overlap": dict(x=(2, 3, 7, 6), weight=(5, 3, 3, 3), bias=(5,)),
}


def draw():
    """Random inputs: {case: {input: array}}."""
    rng = np.random.default_rng(20250117)
    cases = {case: {name: rng.standard_normal(shape) for name, shape in shapes.items()}
             for case, shapes in SHAPES.items()}
    for name in ("mpnet", "swin"):
        cases[name]["table"] *= 2
    return cases


def swin_mask():
    """The mask (2, 4, 4) of two windows; the second contains two separate parts of the image."""
    part = np.array([[0, 0, 0, 0], [0, 1, 0, 1]])
    return np.where(part[:, :, None] == part[:, None], 0.0, -100.0)


def layers():
    """{case: function of named tensors -> y}, by torch and transformers as installed."""
    import torch
    import torch.nn.functional as F
    from transformers.activations import QuickGELUActivation
    from transformers.masking_utils import (
        sliding_window_bidirectional_mask_function,
        sliding_window_causal_mask_function,
    )
    from transformers.models.clap.modeling_clap import ClapAudioConfig, ClapAudioSelfAttention
    from transformers.models.mistral.modeling_mistral import apply_rotary_pos_emb
    from transformers.models.mpnet.modeling_mpnet import (
        MPNetConfig,
        MPNetEncoder,
        MPNetSelfAttention,
    )

    def each_sequence(f, *tensors):
        return torch.cat([f(*(t[a:z] for t in tensors)) for a, z in zip(OFFSETS, OFFSETS[1:])])

    def heads(x, d):
        return x.reshape(1, len(x), -1, d).transpose(1, 2)

    def windowed(q, k, v, d, sees, rotate=False):
        at = torch.arange(len(q))
        mask = torch.stack([torch.stack([torch.as_tensor(sees(0, 0, i, j)) for j in at])
                            for i in at])
        q, k, v = (heads(x, d) for x in (q, k, v))
        if rotate:
            angles = torch.outer(at.double(), 100.0 ** (-torch.arange(0, d, 2).double() / d))
            angles = torch.cat([angles, angles], -1)[None]
            q, k = apply_rotary_pos_emb(q, k, angles.cos(), angles.sin())
        y = F.scaled_dot_product_attention(q, k, v, mask, enable_gqa=True)
        return y.transpose(1, 2).reshape(y.shape[2], -1)

    def call(module, state, x, **arguments):
        return torch.func.functional_call(module.double().eval(), state, (x,), arguments)[0]

    def mpnet(x, table, **state):
        config = MPNetConfig(hidden_size=6, num_attention_heads=2, num_hidden_layers=0)
        encoder = MPNetEncoder(config)

        def one(x):
            bucket = encoder.relative_position_bucket(torch.arange(len(x)) - torch.arange(
                len(x))[:, None])
            bias = table[bucket].permute(2, 0, 1)[None]
            return call(MPNetSelfAttention(config), state, x[None], position_bias=bias)[0]
        return each_sequence(one, x)

    def swin(x, table, **state):
        names = {"q": "query", "k": "key", "v": "value"}
        state = {f"{names[name[0]]}{name[1:]}": t for name, t in state.items()}
        attend = ClapAudioSelfAttention(ClapAudioConfig(), 6, 2, 2)
        return call(attend, state | {"relative_position_bias_table": table}, x.reshape(4, 4, 6),
                    attention_mask=torch.tensor(swin_mask())).reshape(16, 6)

    def extra_row(x, bias_k, bias_v, **s):
        state = {f"in_proj_{part}": torch.cat([s[f"{name}.{part}"] for name in "qkv"])
                 for part in ("weight", "bias")}
        state |= {f"out_proj.{part}": s[f"o.{part}"] for part in ("weight", "bias")}
        state |= {"bias_k": bias_k.reshape(1, 1, 6), "bias_v": bias_v.reshape(1, 1, 6)}
        attend = torch.nn.MultiheadAttention(6, 2, add_bias_kv=True, batch_first=True)
        return each_sequence(lambda x: torch.func.functional_call(
            attend.double().eval(), state, (x[None], x[None], x[None]), {"need_weights": False}
        )[0][0], x)

    def conv1d(x, weight, bias, stride):
        return F.conv1d(x.transpose(1, 2), weight, bias, stride, padding=1).transpose(1, 2)

    def conv2d(x, weight, bias, stride):
        return F.conv2d(x, weight, bias, stride).flatten(2).transpose(1, 2)

    return {
        "linear": lambda x, weight: F.linear(x, weight),
        "layer_norm": lambda x, weight: F.layer_norm(x, (5,), weight, eps=1e-5),
        "rms_norm": lambda x, weight: F.rms_norm(x, (5,), weight, eps=1e-5),
        "silu": lambda x: F.silu(x),
        "quick_gelu": lambda x: QuickGELUActivation()(x),
        "swiglu": lambda gate, up: F.silu(gate) * up,
        "mistral": lambda q, k, v: each_sequence(
            lambda *s: windowed(*s, 6, sliding_window_causal_mask_function(3), True), q, k, v),
        "two_sided": lambda q, k, v: each_sequence(
            lambda *s: windowed(*s, 3, sliding_window_bidirectional_mask_function(2)), q, k, v),
        "mpnet": mpnet, "swin": swin, "extra_row": extra_row,
        "conv1d": lambda x, weight, bias: conv1d(x, weight, bias, 1),
        "conv1d_stride": lambda x, weight, bias: conv1d(x, weight, bias, 2),
        "patches": lambda x, weight, bias: conv2d(x, weight, bias, 2),
        "patches_overlap": lambda x, weight, bias: conv2d(x, weight, bias, 2)}


def originals():
    """The contents of nn.safetensors: {name: array}."""
    import torch
    found, rng = {}, np.random.default_rng(1)
    for case, f in layers().items():
        inputs = {name: torch.tensor(x, requires_grad=True) for name, x in draw()[case].items()}
        y = f(**inputs)
        dy = rng.standard_normal(y.shape)
        y.backward(torch.tensor(dy))
        found |= {f"{case}.{name}": x.detach().numpy() for name, x in inputs.items()}
        found |= {f"{case}.d_{name}": x.grad.numpy() for name, x in inputs.items()}
        found |= {f"{case}.y": y.detach().numpy(), f"{case}.dy": dy}
    return {name: np.ascontiguousarray(x) for name, x in found.items()}


def main():
    from safetensors.numpy import save_file
    save_file(originals(), Path(__file__).with_name("nn.safetensors"))


if __name__ == "__main__":
    main()

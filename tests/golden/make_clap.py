"""How clap_{overlap,padded}.safetensors were made: by transformers 5.24 and torch 2.13.

    python -m tests.golden.make_clap

Weights are drawn here, of order 1, because with transformers' own (0.02) all activations are small
and a wrong bias or norm could not be found; so are the running mean and variance of the mel bins.
The shapes are unusual on purpose: three heads, windows of 3 x 3, patches that overlap, a grid that
is not a multiple of the window (the original pads it), an odd number of layers in a stage, one
stage alone, texts of unequal length.

transformers' softmax of the text tower is float32 even in a float64 model, so eager_attention below
replaces it; its arithmetic is otherwise the same.

There is one file for each case, with transformers' config.json in the metadata:
    weight.NAME   float32                NAME: the name in transformers, with the running statistics
    grad.NAME     float64                gradients of `loss`, in float64, batch norm in eval mode
    mels (N, T, F) float32; ids (U,), off (N+1,)                   the batch
    audio, text (N, E), and audio64, text64                        unit vectors
    tower64 (N, width)                   ClapAudioModel's pooled output
    per_audio, per_text (N, N), loss     the logits and the loss, float64
"""
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CASES = {                      # text_config, audio_config, projection_dim, frames, lengths of texts
    "clap_overlap": (
        {"vocab_size": 23, "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3,
         "intermediate_size": 10, "max_position_embeddings": 14, "pad_token_id": 1},
        {"window_size": 4, "num_mel_bins": 8, "spec_size": 32, "patch_size": 4,
         "patch_stride": [2, 2], "depths": [2, 3], "num_attention_heads": [3, 2],
         "patch_embeds_hidden_size": 6, "hidden_size": 12, "mlp_ratio": 1.5}, 7, 50, [4, 1, 12, 4]),
    "clap_padded": (
        {"vocab_size": 19, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
         "intermediate_size": 12, "max_position_embeddings": 9, "type_vocab_size": 2,
         "layer_norm_eps": 1e-5, "hidden_act": "gelu_new", "pad_token_id": 3},
        {"window_size": 3, "num_mel_bins": 20, "spec_size": 20, "patch_size": 4, "patch_stride": 4,
         "depths": [2], "num_attention_heads": [2], "patch_embeds_hidden_size": 8,
         "hidden_size": 8, "qkv_bias": False, "mlp_ratio": 2.0, "layer_norm_eps": 1e-3}, 9, 17,
        [5, 2, 3]),
}


def eager_attention(module, query, key, value, attention_mask, scaling, dropout=0.0, **others):
    """transformers' attention without its cast to float32."""
    scores = query @ key.transpose(2, 3) * scaling
    weights = (scores if attention_mask is None else scores + attention_mask).softmax(-1)
    return (weights @ value).transpose(1, 2).contiguous(), weights


def original(text, audio, dim):
    """A new ClapModel in evaluation mode, without dropout."""
    from transformers import ClapConfig, ClapModel
    from transformers.models.clap import modeling_clap
    modeling_clap.eager_attention_forward = eager_attention
    return ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=dim)).eval()


def state(model):
    """{name: tensor} of all parameters and of the running statistics."""
    return dict(model.named_parameters()) | {
        name: tensor for name, tensor in model.named_buffers() if "running_" in name}


def draw_weights(model, rng):
    """New weights of order 1, exact in float32."""
    import torch
    with torch.no_grad():
        for name, weight in state(model).items():
            x = rng.standard_normal(weight.shape)
            if "logit_scale" in name:
                x = 1 + 0.3 * x
            elif "running_var" in name:
                x = 0.5 + x * x
            elif name.endswith("bias") or "running_mean" in name:
                x = 0.3 * x
            elif x.ndim == 1:                              # a norm
                x = 1 + 0.3 * x
            elif "relative" not in name:
                x = 0.6 * x if "embeddings" in name else x * weight[0].numel() ** -0.5
            weight.copy_(torch.tensor(x.astype(np.float32)))


def run(model, mels, ids, off, padding):
    """The outputs of transformers in the type of the model, and its loss: {name: tensor}."""
    import torch
    lengths = np.diff(off)
    table = np.full((len(lengths), lengths.max()), padding)
    mask = np.arange(lengths.max()) < lengths[:, None]
    table[mask] = ids
    mels = torch.tensor(mels[:, None]).to(model.dtype)
    out = model(input_ids=torch.tensor(table), attention_mask=torch.tensor(mask.astype(np.int64)),
                input_features=mels, is_longer=None, return_loss=True)
    return {"audio": out.audio_embeds, "text": out.text_embeds, "per_audio": out.logits_per_audio,
            "per_text": out.logits_per_text, "loss": out.loss,
            "tower": model.audio_model(mels).pooler_output}


def make(text, audio, dim, frames, lengths, seed):
    """The arrays of one golden file, {name: array}, and its config.json."""
    import torch
    rng = np.random.default_rng(seed)
    model = original(text, audio, dim)
    draw_weights(model, rng)
    allowed = np.setdiff1d(np.arange(text["vocab_size"]), [text["pad_token_id"]])
    out = {"ids": rng.choice(allowed, sum(lengths)).astype(np.int32),
           "off": np.cumsum([0, *lengths]),
           "mels": rng.standard_normal((len(lengths), frames, audio["num_mel_bins"]), np.float32)}
    out |= {"weight." + name: x.detach().numpy().copy() for name, x in state(model).items()}
    batch = out["mels"], out["ids"], out["off"], text["pad_token_id"]
    with torch.no_grad():
        single = run(model, *batch)
    double = run(model.double(), *batch)
    double["loss"].backward()
    out |= {name: single[name] for name in ("audio", "text")}
    out |= {name + "64": double[name].detach() for name in ("audio", "text", "tower")}
    out |= {name: double[name].detach() for name in ("per_audio", "per_text", "loss")}
    out |= {"grad." + name: weight.grad for name, weight in model.named_parameters()}
    return {name: np.asarray(x) for name, x in out.items()}, model.config.to_dict()


def main():
    from safetensors.numpy import save_file
    for seed, (name, case) in enumerate(CASES.items(), start=1):
        arrays, fields = make(*case, seed)
        assert 0.3 < arrays["tower64"].std() < 3
        save_file({key: np.asarray(x, order="C") for key, x in arrays.items()},
                  HERE / f"{name}.safetensors", {"config": json.dumps(fields)})


if __name__ == "__main__":
    main()

"""How clip_*.safetensors were made: by transformers 5.24 and torch 2.13, with weights drawn here.

    python -m tests.golden.make_clip

The weights are drawn here, for the reasons given in make_bert.py.  The shapes are unusual on
purpose: three heads, one layer in a tower, a patch that leaves a margin of the image, a text of two
tokens and one as long as there are positions, tokens after the end-of-text token.

There is one file for each case, with transformers' config.json in the metadata:
    weight.NAME   float32                       NAME: the name in transformers
    grad.NAME     float64                       gradients of `loss`, by torch in float64
    images (N, C, S, S), ids (T,), off (N+1,)   the batch; off: its offsets
    image, text, image64, text64 (N, E)         the features, not normalised, in both types
    patches64 (N, n+1, D)                       the image tower's last hidden state
    logits (N, N)                               per image, float64
    loss                                        float64
"""
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CASES = {                      # text_config, vision_config, projection_dim, lengths
    "first": ({"vocab_size": 23, "hidden_size": 12, "intermediate_size": 20,
               "num_hidden_layers": 1, "num_attention_heads": 3, "max_position_embeddings": 9,
               "hidden_act": "gelu", "layer_norm_eps": 1e-4, "eos_token_id": 7},
              {"hidden_size": 18, "intermediate_size": 10, "num_hidden_layers": 2,
               "num_attention_heads": 3, "image_size": 11, "patch_size": 5,
               "hidden_act": "quick_gelu", "layer_norm_eps": 1e-3}, 7, [9, 2, 5, 5]),
    "largest": ({"vocab_size": 19, "hidden_size": 10, "intermediate_size": 12,
                 "num_hidden_layers": 2, "num_attention_heads": 5, "max_position_embeddings": 6,
                 "hidden_act": "quick_gelu", "eos_token_id": 2},
                {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 1,
                 "num_attention_heads": 2, "image_size": 6, "patch_size": 2,
                 "hidden_act": "gelu_new"}, 5, [3, 6, 3])}


def original(text, vision, dim):
    """A new CLIPModel in evaluation mode, and its config.json."""
    import transformers
    config = transformers.CLIPConfig(text_config=text | {"bos_token_id": 0, "pad_token_id": 1},
                                     vision_config=vision, projection_dim=dim)
    return transformers.CLIPModel(config).eval(), config.to_dict()


def draw_weights(model, rng):
    """New weights of order 1 for all parameters of a torch model, exact in float32."""
    import torch
    with torch.no_grad():
        for name, weight in model.named_parameters():
            x = rng.standard_normal(weight.shape)
            if name.endswith("bias"):
                x = 0.3 * x
            elif name == "logit_scale":
                x = np.array(0.7)
            elif "norm" in name or "layrnorm" in name:
                x = 1 + 0.3 * x
            elif weight.ndim > 1 and "_embedding" not in name.replace("patch_embedding", ""):
                x = x * np.prod(weight.shape[1:]) ** -0.5          # by its number of inputs
            weight.copy_(torch.tensor(x.astype(np.float32)))


def draw_batch(text, vision, lengths, rng):
    """Images, and texts with an end-of-text token: last, or followed by others."""
    V, end, S = text["vocab_size"], text["eos_token_id"], vision["image_size"]
    offsets = np.cumsum([0, *lengths])
    last = V - 1 if end == 2 else end
    ids = rng.choice([n for n in range(V) if n != last], offsets[-1]).astype(np.int32)
    ids[offsets[1:] - 1] = last
    ids[offsets[1] - 2] = last                 # the first of two end-of-text tokens is pooled
    images = rng.standard_normal((len(lengths), 3, S, S)).astype(np.float32)
    return {"images": images, "ids": ids, "off": offsets}


def padded(batch):
    """The texts as a table (N, longest), padded with id 1 after the end."""
    lengths = np.diff(batch["off"])
    table = np.ones((len(lengths), lengths.max()), np.int64)
    table[np.arange(lengths.max()) < lengths[:, None]] = batch["ids"]
    return table


def run(model, batch, dtype):
    """transformers' outputs, with their graph."""
    import torch
    return model(input_ids=torch.tensor(padded(batch)), return_loss=True,
                 pixel_values=torch.tensor(batch["images"].astype(dtype)))


def make(text, vision, dim, lengths, seed):
    """The arrays of one golden file, {name: array}, and its config.json."""
    rng = np.random.default_rng(seed)
    model, fields = original(text, vision, dim)
    draw_weights(model, rng)
    batch = draw_batch(text, vision, lengths, rng)
    out = batch | {"weight." + name: weight.detach().numpy().copy()
                   for name, weight in model.named_parameters()}
    theirs = run(model, batch, np.float32)
    out |= {"image": theirs.vision_model_output.pooler_output,
            "text": theirs.text_model_output.pooler_output}
    model = model.double()
    theirs = run(model, batch, np.float64)
    out |= {"image64": theirs.vision_model_output.pooler_output,
            "text64": theirs.text_model_output.pooler_output,
            "patches64": theirs.vision_model_output.last_hidden_state,
            "logits": theirs.logits_per_image, "loss": theirs.loss}
    theirs.loss.backward()
    out |= {"grad." + name: weight.grad for name, weight in model.named_parameters()}
    return {name: np.asarray(x.detach() if hasattr(x, "detach") else x)
            for name, x in out.items()}, fields


def main():
    from safetensors.numpy import save_file
    for seed, (name, case) in enumerate(CASES.items()):
        arrays, fields = make(*case, seed)
        assert 0.3 < arrays["image"].std() < 3 and 0.3 < arrays["text"].std() < 3
        save_file({key: np.asarray(x, order="C") for key, x in arrays.items()},
                  HERE / f"clip_{name}.safetensors", {"config": json.dumps(fields)})


if __name__ == "__main__":
    main()

"""How gpt2_*.safetensors were made: by transformers 5.24 and torch 2.13, with weights drawn here.

    python -m tests.golden.make_gpt2

The weights are drawn here, for the reasons given in make_bert.py.  The shapes are unusual on
purpose: three heads, a sequence of one token, a sequence as long as there are positions.

transformers computes a padded and masked batch.  The file contains the packed arrays, without the
padding.

There is one file for each case, with transformers' config.json in the metadata:
    weight.NAME   float32                  NAME: the name in transformers
    grad.NAME     float64                  gradients of `loss`, by torch in float64, without dropout
    ids (T,), off (N+1,)                   the batch; off: its offsets
    hidden, hidden64 (T, D)                the last norm's output, in float32 and in float64
    logits (M, V)                          of the rows that have a next token
    loss                                   float64; cross-entropy of the next tokens
    push (T, D)                            GPT2Model has no loss, so the loss is Σ push · hidden
"""
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CASES = {                      # class, config, lengths
    "model": ("GPT2Model", {
        "vocab_size": 37, "n_embd": 12, "n_layer": 1, "n_head": 3, "n_inner": 20, "n_positions": 9,
        "activation_function": "gelu", "layer_norm_epsilon": 1e-4}, [1, 3, 3, 9]),
    "lm": ("GPT2LMHeadModel", {
        "vocab_size": 41, "n_embd": 18, "n_layer": 2, "n_head": 3, "n_positions": 12},
        [5, 1, 7, 7, 12]),
}


# ---- for any causal model ------------------------------------------------------------------------

def draw_weights(model, rng, inputs_axis):
    """New weights of order 1 for all parameters of a torch model, exact in float32.

    inputs_axis: the axis of a matrix over which the product sums: 0 in Conv1D, 1 in Linear
    """
    import torch
    with torch.no_grad():
        for name, weight in model.named_parameters():
            x = rng.standard_normal(weight.shape)
            if name.endswith("bias"):
                x = 0.3 * x
            elif x.ndim == 1:                              # a norm
                x = 1 + 0.3 * x
            elif not name.endswith(("wte.weight", "wpe.weight", "embed_tokens.weight")):
                x = x * weight.shape[1 if "lm_head" in name else inputs_axis] ** -0.5
            weight.copy_(torch.tensor(x.astype(np.float32)))


def draw_batch(V, lengths, rng):
    """ids (T,), off (N+1,)."""
    offsets = np.cumsum([0, *lengths])
    return {"ids": rng.integers(0, V, offsets[-1]).astype(np.int32), "off": offsets}


def padded(batch):
    """The batch and its labels as padded tables (N, longest), and the mask: 1 if not padding."""
    import torch
    lengths = np.diff(batch["off"])
    mask = np.arange(lengths.max()) < lengths[:, None]

    def table(fill):
        out = np.full(mask.shape, fill)
        out[mask] = batch["ids"]
        return torch.tensor(out)
    return {"input_ids": table(0), "attention_mask": torch.tensor(mask.astype(np.int64))}, table(
        -100), torch.tensor(mask)


def run(model, batch, rng):
    """The outputs, loss and gradients of transformers in float64: {name: array}."""
    import torch
    inputs, labels, mask = padded(batch)
    hidden = model.base_model(**inputs).last_hidden_state
    out = {"hidden64": hidden[mask]}
    if model is model.base_model:
        out["push"] = rng.standard_normal(out["hidden64"].shape)
        out["loss"] = (torch.tensor(out["push"]) * out["hidden64"]).sum()
    else:
        has_next = mask[:, 1:]
        out["logits"] = model.lm_head(hidden)[:, :-1][has_next]
        out["loss"] = torch.nn.functional.cross_entropy(out["logits"], labels[:, 1:][has_next])
        theirs = model(**inputs, labels=labels).loss       # computed from float32 logits
        assert torch.allclose(theirs.double(), out["loss"], rtol=1e-6)
    model.zero_grad()
    out["loss"].backward()
    out |= {"grad." + name: weight.grad for name, weight in model.named_parameters()}
    return {name: np.asarray(x.detach() if hasattr(x, "detach") else x) for name, x in out.items()}


def run_float32(model, batch):
    """The last norm's output in float32, by the unchanged transformers model."""
    import torch
    inputs, _, mask = padded(batch)
    with torch.no_grad():
        return {"hidden": model.base_model(**inputs).last_hidden_state[mask].numpy()}


def save(name, case, config):
    """Write one golden file."""
    from safetensors.numpy import save_file
    assert 0.5 < case["hidden"].std() < 2
    save_file({key: np.asarray(x, order="C") for key, x in case.items()},
              HERE / f"{name}.safetensors", {"config": json.dumps(config)})


# ---- GPT-2 ---------------------------------------------------------------------------------------

def original(kind, config):
    """A new transformers model in evaluation mode, and its config.json."""
    import transformers
    V = config["vocab_size"]
    config = transformers.GPT2Config(**config, bos_token_id=V - 1, eos_token_id=V - 1)
    config._attn_implementation = "eager"
    model = getattr(transformers, kind)(config).eval()
    return model, config.to_dict()


def make(kind, config, lengths, seed):
    """The arrays of one golden file, {name: array}, and its config.json."""
    rng = np.random.default_rng(seed)
    model, fields = original(kind, config)
    draw_weights(model, rng, inputs_axis=0)
    batch = draw_batch(config["vocab_size"], lengths, rng)
    weights = {"weight." + name: weight.detach().numpy().copy()
               for name, weight in model.named_parameters()}
    return batch | weights | run_float32(model, batch) | run(model.double(), batch, rng), fields


def main():
    for seed, (name, (kind, config, lengths)) in enumerate(CASES.items()):
        save(f"gpt2_{name}", *make(kind, config, lengths, seed))


if __name__ == "__main__":
    main()

"""How {roberta,distilbert,mpnet}_*.safetensors were made: by transformers 5.24 and torch 2.13.

    python -m tests.golden.make_encoders

The weights are drawn here, for the reasons given in make_bert.py.  The shapes are unusual on
purpose: three heads, one layer, a sequence of one token, one as long as there are positions, and in
MPNet one that is long enough for distances that share a bucket.

transformers computes a padded and masked batch.  The file contains the packed arrays, without the
padding.  The padding id is in no sequence of the batch, because torch gives its rows no gradient;
it is inside the one text of padded_ids, of which only outputs are compared.

There is one file for each case, with transformers' config.json in the metadata:
    weight.NAME   float32                  NAME: the name in transformers
    grad.NAME     float64                  gradients of `loss`, by torch in float64, without dropout
    ids, types (T,), off (N+1,)            the batch; off: its offsets; types 0 if there are none
    hidden, hidden64 (T, D)                the last layer, in float32 and in float64
    pooled, pooled64 (N, D)                if the model has a pooler
    places, targets (M,), logits (M, V)    masked LM: rows of masked tokens, their ids, the logits
    loss                                   float64; masked LM: the mean cross-entropy
    push (T, D), push_pooled (N, D)        a model without a masked-LM head has no loss, so the loss
                                           is Σ push · hidden + Σ push_pooled · pooled
    padded_ids (t,), padded_hidden64       one text that contains the padding id, not masked
"""
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CASES = {                      # class, config, lengths
    "roberta_model": ("RobertaModel", {
        "vocab_size": 43, "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3,
        "intermediate_size": 20, "max_position_embeddings": 11, "type_vocab_size": 2,
        "layer_norm_eps": 1e-5}, [1, 3, 3, 9]),
    "roberta_xlm": ("XLMRobertaForMaskedLM", {
        "vocab_size": 47, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 24, "max_position_embeddings": 16, "type_vocab_size": 1,
        "hidden_act": "gelu_new", "layer_norm_eps": 1e-3, "pad_token_id": 3}, [5, 1, 12, 12, 2]),
    "distilbert_model": ("DistilBertModel", {
        "vocab_size": 41, "dim": 12, "n_layers": 1, "n_heads": 3, "hidden_dim": 20,
        "max_position_embeddings": 9}, [1, 3, 3, 9]),
    "distilbert_masked": ("DistilBertForMaskedLM", {
        "vocab_size": 53, "dim": 15, "n_layers": 2, "n_heads": 3, "hidden_dim": 24,
        "max_position_embeddings": 12, "activation": "gelu_new",
        "sinusoidal_pos_embds": True}, [5, 1, 7, 12, 2]),
    "mpnet_model": ("MPNetModel", {
        "vocab_size": 43, "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3,
        "intermediate_size": 20, "max_position_embeddings": 46, "layer_norm_eps": 1e-5},
        [1, 3, 3, 44]),
    "mpnet_masked": ("MPNetForMaskedLM", {
        "vocab_size": 47, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 24, "max_position_embeddings": 32, "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-3}, [5, 1, 12, 12, 20]),
}


def draw_weights(model, rng):
    """New weights of order 1 for all parameters of a torch model, exact in float32."""
    import torch
    with torch.no_grad():
        for name, weight in model.named_parameters():
            x = rng.standard_normal(weight.shape)
            if name.endswith("bias"):
                x = 0.3 * x
            elif x.ndim == 1:                              # a norm
                x = 1 + 0.3 * x
            elif "relative" not in name:                   # two or three embeddings are summed
                x = 0.6 * x if "embeddings" in name else x * weight.shape[1] ** -0.5
            weight.copy_(torch.tensor(x.astype(np.float32)))
            weight.requires_grad_()                        # the sinusoidal table, too


def draw_batch(config, lengths, rng):
    """ids, types (T,), off (N+1,); places, targets (M,), a fifth of the tokens; padded_ids."""
    offsets, padding = np.cumsum([0, *lengths]), config.pad_token_id
    allowed = np.setdiff1d(np.arange(config.vocab_size), [padding])
    types = np.concatenate([np.sort(rng.integers(0, getattr(config, "type_vocab_size", 1), t))
                            for t in lengths])
    places = np.sort(rng.choice(offsets[-1], max(1, offsets[-1] // 5), replace=False))
    return {"ids": rng.choice(allowed, offsets[-1]).astype(np.int32),
            "types": types.astype(np.int32), "off": offsets, "places": places,
            "targets": rng.choice(allowed, len(places)).astype(np.int32),
            "padded_ids": np.array([5, padding, 6, padding, padding, 7, 8], np.int32)}


def padded(batch, config):
    """The batch and its labels as padded tables (N, longest), and the mask: True for a token."""
    import torch
    lengths = np.diff(batch["off"])
    mask = np.arange(lengths.max()) < lengths[:, None]
    labels = np.full(len(batch["ids"]), -100)
    labels[batch["places"]] = batch["targets"]

    def table(values, fill):
        out = np.full(mask.shape, fill)
        out[mask] = values
        return torch.tensor(out)
    inputs = {"input_ids": table(batch["ids"], config.pad_token_id),
              "attention_mask": torch.tensor(mask.astype(np.int64))}
    if hasattr(config, "type_vocab_size"):
        inputs["token_type_ids"] = table(batch["types"], 0)
    return inputs, table(labels, -100), torch.tensor(mask)


def original(kind, config):
    """A new transformers model in evaluation mode."""
    import transformers
    cls = getattr(transformers, kind)
    config = cls.config_class(**config)
    config._attn_implementation = "eager"
    return cls(config).eval()


def run(model, batch, rng):
    """The outputs, loss and gradients of transformers in float64: {name: array}."""
    import torch
    inputs, labels, mask = padded(batch, model.config)
    result = model.base_model(**inputs)
    hidden, pooled = result.last_hidden_state, getattr(result, "pooler_output", None)
    out = {"hidden64": hidden[mask]}
    if model is model.base_model:
        out["push"] = rng.standard_normal(out["hidden64"].shape)
        out["loss"] = (torch.tensor(out["push"]) * out["hidden64"]).sum()
        if pooled is not None:
            out |= {"pooled64": pooled, "push_pooled": rng.standard_normal(pooled.shape)}
            out["loss"] = out["loss"] + (torch.tensor(out["push_pooled"]) * pooled).sum()
    else:
        theirs = model(**inputs, labels=labels)
        out |= {"logits": theirs.logits[mask][torch.tensor(batch["places"])], "loss": theirs.loss}
    model.zero_grad()
    out["loss"].backward()
    out |= {"grad." + name: weight.grad for name, weight in model.named_parameters()}
    text = torch.tensor(batch["padded_ids"][None]).long()
    out["padded_hidden64"] = model.base_model(
        text, attention_mask=torch.ones_like(text)).last_hidden_state[0]
    return {name: np.asarray(x.detach() if hasattr(x, "detach") else x) for name, x in out.items()}


def run_float32(model, batch):
    """The last layer, and the pooled vectors if there are any, in float32."""
    import torch
    inputs, _, mask = padded(batch, model.config)
    with torch.no_grad():
        result = model.base_model(**inputs)
    pooled = getattr(result, "pooler_output", None)
    return {"hidden": result.last_hidden_state[mask].numpy()} | (
        {} if pooled is None else {"pooled": pooled.numpy()})


def make(kind, config, lengths, seed):
    """The arrays of one golden file, {name: array}, and its config.json."""
    rng = np.random.default_rng(seed)
    model = original(kind, config)
    draw_weights(model, rng)
    batch = draw_batch(model.config, lengths, rng)
    weights = {"weight." + name: weight.detach().numpy().copy()
               for name, weight in model.named_parameters()}
    fields = model.config.to_dict()
    return batch | weights | run_float32(model, batch) | run(model.double(), batch, rng), fields


def main():
    from safetensors.numpy import save_file
    for seed, (name, (kind, config, lengths)) in enumerate(CASES.items()):
        case, fields = make(kind, config, lengths, seed)
        assert 0.5 < case["hidden"].std() < 2
        save_file({key: np.asarray(x, order="C") for key, x in case.items()},
                  HERE / f"{name}.safetensors", {"config": json.dumps(fields)})


if __name__ == "__main__":
    main()

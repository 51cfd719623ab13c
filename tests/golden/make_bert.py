"""How bert_*.safetensors were made: by transformers 5.24 and torch 2.13, with weights drawn here.

    python tests/golden/make_bert.py

The weights are drawn here.  With the library's initial weights, N(0, 0.02), attention is nearly
uniform, gelu nearly linear and all LayerNorms are equal, so a fault in any of them would not show.
Here activations are of order 1, and every bias and every LayerNorm is different.  The shapes are
unusual on purpose: three heads, one layer, a sentence of one token, a sentence as long as there are
positions.

transformers computes a padded and masked batch.  The file contains the packed arrays, without the
padding.  Id 0 is the padding and in no sentence, because torch gives its row no gradient.

There is one file for each case, with the config in the metadata:
    weight.NAME   float32                  NAME: the name in transformers, without "bert."
    grad.NAME     float64                  gradients of `loss`, by torch in float64, without dropout
    ids, types (T,), off (N+1,)            the batch; off: its offsets
    hidden, hidden64 (T, D)                the last layer, in float32 and in float64
    pooled, pooled64 (N, D)                if the model has a pooler
    places, targets (M,), logits (M, V)    masked LM: rows of masked tokens, their ids, the logits
    follows (N,), follows_logits (N, 2)    next-sentence labels and logits
    masked_lm, next_sentence, loss         float64; the loss is their sum
    push (T, D), push_pooled (N, D)        BertModel has no loss, so the loss is
                                           Σ push · hidden + Σ push_pooled · pooled
"""
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CASES = {                      # class, config, lengths
    "model": ("BertModel", {
        "vocab_size": 50, "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3,
        "intermediate_size": 20, "max_position_embeddings": 9, "type_vocab_size": 2,
        "hidden_act": "gelu", "layer_norm_eps": 1e-12}, [1, 3, 3, 9]),
    "masked": ("BertForMaskedLM", {
        "vocab_size": 61, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 24, "max_position_embeddings": 12, "type_vocab_size": 2,
        "hidden_act": "gelu_new", "layer_norm_eps": 1e-5}, [5, 1, 7, 7, 2]),
    "pretraining": ("BertForPreTraining", {
        "vocab_size": 53, "hidden_size": 18, "num_hidden_layers": 3, "num_attention_heads": 3,
        "intermediate_size": 14, "max_position_embeddings": 16, "type_vocab_size": 2,
        "hidden_act": "gelu", "layer_norm_eps": 1e-12}, [4, 11, 1, 6]),
    "tanh": ("BertForMaskedLM", {
        "vocab_size": 57, "hidden_size": 15, "num_hidden_layers": 1, "num_attention_heads": 1,
        "intermediate_size": 33, "max_position_embeddings": 10, "type_vocab_size": 3,
        "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-12}, [10, 1]),
}


def draw_weights(model, rng):
    """New weights of order 1 for all parameters of a torch model, exact in float32."""
    import torch
    with torch.no_grad():
        for name, weight in model.named_parameters():
            x = rng.standard_normal(weight.shape)
            if name.endswith("LayerNorm.weight"):
                x = 1 + 0.3 * x
            elif name.endswith("bias"):
                x = 0.3 * x
            elif "embeddings" in name:                     # three of them are summed
                x = 0.6 * x
            else:
                x = x * weight.shape[1] ** -0.5
            weight.copy_(torch.tensor(x.astype(np.float32)))


def draw_batch(config, lengths, rng):
    """ids, types (T,), off (N+1,); places, targets (M,), a fifth of the tokens; follows (N,)."""
    offsets = np.cumsum([0, *lengths])
    ids = rng.integers(1, config["vocab_size"], offsets[-1])
    types = np.concatenate([np.sort(rng.integers(0, config["type_vocab_size"], t))
                            for t in lengths])
    places = np.sort(rng.choice(offsets[-1], max(1, offsets[-1] // 5), replace=False))
    targets = rng.integers(1, config["vocab_size"], len(places))
    return {"ids": ids.astype(np.int32), "types": types.astype(np.int32), "off": offsets,
            "places": places, "targets": targets.astype(np.int32),
            "follows": rng.integers(0, 2, len(lengths))}


def padded(batch):
    """The batch and labels as padded tables (N, longest), and the mask: 1 if not padding."""
    import torch
    lengths = np.diff(batch["off"])
    mask = np.arange(lengths.max()) < lengths[:, None]
    labels = np.full(len(batch["ids"]), -100)
    labels[batch["places"]] = batch["targets"]

    def table(values, fill):
        out = np.full(mask.shape, fill)
        out[mask] = values
        return torch.tensor(out)
    return {"input_ids": table(batch["ids"], 0), "token_type_ids": table(batch["types"], 0),
            "attention_mask": torch.tensor(mask.astype(np.int64))}, table(labels, -100), mask


def own_name(name):
    """The name of a parameter in the golden file: without "bert."."""
    return name.removeprefix("bert.")


def original(kind, config):
    """A new transformers model in float64, without dropout."""
    import transformers
    model = getattr(transformers, kind)(transformers.BertConfig(
        **config, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        attn_implementation="eager"))
    return model.double().eval()


def run(model, kind, batch, rng):
    """The outputs, losses and gradients of transformers for the batch: {name: array}."""
    import torch
    inputs, labels, mask = padded(batch)
    out = {}
    if kind == "BertModel":
        result = model(**inputs)
        hidden, pooled = result.last_hidden_state[torch.tensor(mask)], result.pooler_output
        out["push"] = rng.standard_normal(hidden.shape)
        out["push_pooled"] = rng.standard_normal(pooled.shape)
        loss = ((torch.tensor(out["push"]) * hidden).sum()
                + (torch.tensor(out["push_pooled"]) * pooled).sum())
        out["pooled64"] = pooled
    else:
        result = model(**inputs, output_hidden_states=True)
        hidden = result.hidden_states[-1][torch.tensor(mask)]
        logits = result.logits if kind == "BertForMaskedLM" else result.prediction_logits
        logits = logits[torch.tensor(mask)][torch.tensor(batch["places"])]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(batch["targets"]).long())
        out |= {"logits": logits, "masked_lm": loss}
        theirs = {"labels": labels}
        if kind == "BertForPreTraining":
            follows = torch.tensor(batch["follows"])
            out["follows_logits"] = result.seq_relationship_logits
            out["next_sentence"] = torch.nn.functional.cross_entropy(out["follows_logits"], follows)
            out["pooled64"] = model.bert.pooler(result.hidden_states[-1])
            loss = loss + out["next_sentence"]
            theirs["next_sentence_label"] = follows
        assert torch.allclose(model(**inputs, **theirs).loss, loss, rtol=1e-14)
    out |= {"hidden64": hidden, "loss": loss}
    model.zero_grad()
    loss.backward()
    for name, weight in model.named_parameters():
        out["grad." + own_name(name)] = weight.grad
    return {name: np.asarray(x.detach() if hasattr(x, "detach") else x) for name, x in out.items()}


def run_float32(model, batch):
    """The last layer, and the pooled vectors if there are any, in float32."""
    import torch
    inputs, _, mask = padded(batch)
    body = getattr(model, "bert", model).float()
    with torch.no_grad():
        result = body(**inputs)
    out = {"hidden": result.last_hidden_state.numpy()[mask]}
    return out if body.pooler is None else out | {"pooled": result.pooler_output.numpy()}


def make(kind, config, lengths, seed):
    """The arrays of one golden file: {name: array}."""
    rng = np.random.default_rng(seed)
    model = original(kind, config)
    draw_weights(model, rng)
    batch = draw_batch(config, lengths, rng)
    weights = {"weight." + own_name(name): weight.detach().numpy().astype(np.float32)
               for name, weight in model.named_parameters()}
    case = batch | weights | run(model, kind, batch, rng)
    return case | run_float32(model, batch)


def main():
    from safetensors.numpy import save_file
    for seed, (name, (kind, config, lengths)) in enumerate(CASES.items()):
        case = make(kind, config, lengths, seed)
        assert 0.5 < case["hidden"].std() < 2
        save_file({key: np.asarray(x, order="C") for key, x in case.items()},
                  HERE / f"bert_{name}.safetensors",
                  {"config": json.dumps({"model": kind, **config})})


if __name__ == "__main__":
    main()

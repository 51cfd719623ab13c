"""How classifier_*.safetensors were made: by transformers 5.24 and torch 2.13.

    python -m tests.golden.make_classifiers

One file for each class, with transformers' config.json in the metadata:
    weight.NAME   float32        of order 1, see make_encoders.py; NAME: the name in transformers
    grad.NAME     float64        gradients of Σ push · logits64, by torch, without dropout
    ids (T,), off (N+1,)         the sequences and their offsets; each is computed alone
    logits, logits64 (N, O)      in float32 and in float64
    push (N, O)                  float64
"""
import json
from pathlib import Path

import numpy as np

from tests.golden.make_encoders import draw_weights

HERE = Path(__file__).parent
LENGTHS = [1, 3, 3, 8]
BERTS = {"vocab_size": 23, "hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3,
         "intermediate_size": 20, "max_position_embeddings": 11}
CASES = {                          # {name: (class, config)}
    "roberta": ("RobertaForSequenceClassification", {**BERTS, "type_vocab_size": 2,
                                                     "num_labels": 3}),
    "xlm-roberta": ("XLMRobertaForSequenceClassification", {**BERTS, "type_vocab_size": 1,
                                                            "num_labels": 1}),
    "camembert": ("CamembertForSequenceClassification", {**BERTS, "type_vocab_size": 1,
                                                         "num_labels": 2}),
    "distilbert": ("DistilBertForSequenceClassification", {
        "vocab_size": 23, "dim": 12, "n_layers": 1, "n_heads": 3, "hidden_dim": 20,
        "max_position_embeddings": 9, "num_labels": 2}),
    "mpnet": ("MPNetForSequenceClassification", {**BERTS, "num_labels": 1})}


def case(name, seed):
    """(the arrays of a class of CASES, its config.json as a string)."""
    import torch
    import transformers
    kind, config = CASES[name]
    rng = np.random.default_rng(seed)
    kind = getattr(transformers, kind)
    model = kind(kind.config_class(**config)).eval()
    draw_weights(model, rng)
    sequences = [rng.integers(2, 23, length) for length in LENGTHS]
    push = rng.standard_normal((len(LENGTHS), config["num_labels"]))

    def logits():
        return torch.cat([model(torch.tensor(ids[None])).logits for ids in sequences])
    arrays = {f"weight.{key}": x.detach().numpy().copy() for key, x in model.named_parameters()}
    arrays |= {"ids": np.concatenate(sequences), "off": np.cumsum([0, *LENGTHS]), "push": push,
               "logits": logits().detach().numpy()}
    model.double()
    s = logits()
    (s * torch.tensor(push)).sum().backward()
    arrays |= {"logits64": s.detach().numpy()}
    arrays |= {f"grad.{key}": x.grad.numpy() for key, x in model.named_parameters()}
    return arrays, json.dumps(model.config.to_diff_dict() | {"architectures": [CASES[name][0]]})


def main():
    from safetensors.numpy import save_file
    for seed, name in enumerate(CASES):
        arrays, config = case(name, seed)
        save_file(arrays, HERE / f"classifier_{name}.safetensors", {"config": config})


if __name__ == "__main__":
    main()

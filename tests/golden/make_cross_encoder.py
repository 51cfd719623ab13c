"""How cross_encoder_old/ and _new/ were made: by sentence-transformers 3.4.1 and 6.2.0.

    python tests/golden/make_cross_encoder.py

Run the script once with each release: before version 4 it writes cross_encoder_old/ (three labels,
sigmoid of each), from version 4 on cross_encoder_new/ (one label, sigmoid, prompts).  The card is
removed.  Weights are of order 1, the norms are not 1 and 0.  cross_encoder_old.json and
cross_encoder_new.json contain the scores of PAIRS, and what rank() returns.  From version 6 on it
also writes cross_encoder.safetensors: losses on PAIRS, and their gradients in all weights.
"""
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
         *"the a cat dog sat ran on mat ##s . , query : where is".split()]
TEXTS = ["The cat sat on the mat.", "a dog", "cats", "",
         "the the dog ran, the cat ran, dogs ran on"]
PAIRS = [(a, b) for a in TEXTS for b in TEXTS] + [("the cat", " ".join(["dog ran"] * 20))]
QUERY = "where is the cat?"
PROMPTS = {"query": "query : ", "where": "where is "}


def classifier(labels, rng):
    """Write a BertForSequenceClassification of order 1 and its tokenizer to ./bert."""
    import torch
    import transformers
    model = transformers.BertForSequenceClassification(transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=12, num_hidden_layers=2, num_attention_heads=3,
        intermediate_size=20, max_position_embeddings=24, num_labels=labels))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            x = rng.standard_normal(weight.shape)
            x = (1 + 0.3 * x if name.endswith("LayerNorm.weight") else 0.3 * x
                 if name.endswith("bias") else x * (1 if "embeddings" in name else 2 * 12 ** -0.5))
            weight.copy_(torch.tensor(x.astype(np.float32)))
    model.save_pretrained("bert")
    Path("bert/vocab.txt").write_text("\n".join(WORDS) + "\n")
    Path("bert/tokenizer_config.json").write_text(
        '{"tokenizer_class": "BertTokenizer", "do_lower_case": true, "model_max_length": 20}')


LABELS = np.arange(len(PAIRS)) % 5 / 4                  # 0, 0.25 ... 1


def gradients():
    """{loss/tensor: array} of the installed release on both folders, in float64, without dropout.

    The gradient of margin_mse is that of triples: text n, the next of PAIRS, the one after it.
    """
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder import losses
    weight = torch.tensor(3.0, dtype=torch.float64)
    first, second = zip(*PAIRS)
    one, three = (CrossEncoder(str(HERE / f"cross_encoder_{name}"), device="cpu").double().eval()
                  for name in ("new", "old"))
    labels, shifted = torch.tensor(LABELS), (*second[1:], second[0])
    exact = torch.tensor(LABELS)
    exact.view = lambda *shape: exact                   # with float32 labels torch computes the
    exact.float = lambda: exact                         # binary cross-entropy in float32
    cases = {
        "binary_cross_entropy": (losses.BinaryCrossEntropyLoss(one, pos_weight=weight),
                                 [first, second], exact),
        "mse": (losses.MSELoss(one), [first, second], labels),
        "margin_mse": (losses.MarginMSELoss(one), [first, second, shifted], labels),
        "cross_entropy": (losses.CrossEntropyLoss(three), [first, second],
                          (4 * labels).long() % 3)}
    results = {}
    for name, (loss, columns, targets) in cases.items():
        loss.model.zero_grad()
        value = loss(columns, targets)
        value.backward()
        results[f"{name}/loss"] = value.detach().numpy()
        results |= {f"{name}/{tensor.removeprefix('0.model.')}": p.grad.numpy().copy()
                    for tensor, p in loss.model.named_parameters()}
    return results


def main():
    import sentence_transformers
    import torch
    old = int(sentence_transformers.__version__.split(".")[0]) < 4
    name, options = ("old", {"default_activation_function": torch.nn.Sigmoid()}) if old else (
        "new", {"prompts": PROMPTS, "default_prompt_name": "where"})
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)                             # so that files contain no absolute path
        classifier(3 if old else 1, np.random.default_rng(12))
        model = sentence_transformers.CrossEncoder("bert", device="cpu", **options)
        if old:                                         # a newer transformers copies the config
            model.model.config.sbert_ce_default_activation_function = (
                model.config.sbert_ce_default_activation_function)
        (model.save if old else model.save_pretrained)("saved")
        Path("saved/README.md").unlink(missing_ok=True)
        out = HERE / f"cross_encoder_{name}"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree("saved", out)
    result = {"version": sentence_transformers.__version__, "pairs": PAIRS,
              "scores": model.predict(PAIRS).tolist()}
    if old:
        result["probabilities"] = model.predict(PAIRS, apply_softmax=True).tolist()
    else:
        result |= {"without prompt": model.predict(PAIRS, prompt="").tolist(),
                   "query": QUERY, "ranked": model.rank(QUERY, TEXTS, return_documents=True)}
    (HERE / f"cross_encoder_{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    if not old:
        from safetensors.numpy import save_file
        save_file(gradients(), HERE / "cross_encoder.safetensors")


if __name__ == "__main__":
    main()

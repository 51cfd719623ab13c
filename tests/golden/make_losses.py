"""How losses.safetensors was made: by sentence-transformers 6.2.0.

    python tests/golden/make_losses.py

The file contains vectors u, v, w of six texts each, labels of several kinds, and the losses of
sentence-transformers with their gradients, in float64.  The labels are exact in float32, because
its losses cast them.
"""
from pathlib import Path
from unittest.mock import Mock

import numpy as np

N, D, C, GUIDE = 6, 5, 3, 4
RNG = np.random.default_rng(20260814)
INPUTS = {
    **{name: RNG.standard_normal((N, D)) for name in ("u", "v", "w")},
    "scores": np.array([0.25, 1, 0.5, 0.75, 0.25, 0]), "binary": np.array([1, 0, 1, 1, 0, 0]),
    "classes": np.array([0, 2, 1, 1, 0, 2]), "teacher": RNG.integers(-8, 9, (N, 2)) / 4,
    "weight": RNG.standard_normal((C, 3 * D)), "bias": RNG.standard_normal(C),
    "guide": RNG.standard_normal((3, N, GUIDE))}
DIMS, WEIGHTS = [5, 3, 1], [1.0, 0.5, 0.25]


def originals():
    """The losses and gradients of the installed sentence-transformers: {name/quantity: array}."""
    import torch
    from sentence_transformers.sentence_transformer import losses
    model, guide = model_of_vectors("x"), model_of_vectors("guide")
    softmax = losses.SoftmaxLoss(model, D, C).double()
    for parameter, value in ((softmax.classifier.weight, "weight"),
                             (softmax.classifier.bias, "bias")):
        parameter.data = torch.tensor(INPUTS[value])
    guided = losses.GISTEmbedLoss(model, guide, 0.05, "absolute", 0.25,
                                  contrast_anchors=False, contrast_positives=False)
    cases = {
        "cosine_mse": (losses.CosineSimilarityLoss(model), 2, "scores"),
        "cosent": (losses.CoSENTLoss(model), 2, "scores"),
        "contrastive": (losses.ContrastiveLoss(model), 2, "binary"),
        "online_contrastive": (losses.OnlineContrastiveLoss(model), 2, "binary"),
        "softmax_pairs": (softmax, 2, "classes"),
        "margin_mse": (losses.MarginMSELoss(model), 3, "teacher"),
        "distillation": (losses.DistillKLDivLoss(model, temperature=2.0), 3, "teacher"),
        "matryoshka": (losses.MatryoshkaLoss(model, losses.CoSENTLoss(model), DIMS, WEIGHTS), 2,
                       "scores"),
        "matryoshka_margin_mse": (losses.MatryoshkaLoss(model, losses.MarginMSELoss(model), DIMS,
                                                        WEIGHTS), 3, "teacher"),
        "guide": (guided, 3, None)}
    results = {}
    for name, (loss, views, labels) in cases.items():
        x = [torch.tensor(INPUTS[view], requires_grad=True) for view in "uvw"[:views]]
        features = [{"x": a, "guide": torch.tensor(g)} for a, g in zip(x, INPUTS["guide"])]
        value = loss(features, None if labels is None else torch.tensor(INPUTS[labels]))
        value.backward()
        results[f"{name}/loss"] = value.detach().numpy()
        results |= {f"{name}/d{view}": a.grad.numpy() for view, a in zip("uvw", x)}
    results["softmax_pairs/dweight"] = softmax.classifier.weight.grad.numpy()
    results["softmax_pairs/dbias"] = softmax.classifier.bias.grad.numpy()
    return results


def model_of_vectors(key):
    """A model whose vectors are given as the input `key`, with what else the losses ask of one."""
    import torch
    from transformers import PreTrainedTokenizerBase

    class Vectors(torch.nn.Module):
        device, max_seq_length, tokenizer = "cpu", 9, Mock(spec=PreTrainedTokenizerBase)

        def forward(self, features):
            return {"sentence_embedding": features[key]}

        def get_embedding_dimension(self):
            return D
    Vectors.tokenizer.get_vocab.return_value = {}
    return Vectors()


def main():
    from safetensors.numpy import save_file
    save_file({**INPUTS, **originals()}, Path(__file__).with_name("losses.safetensors"))


if __name__ == "__main__":
    main()

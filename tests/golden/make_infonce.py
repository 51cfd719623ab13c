"""How infonce.safetensors was made: by sentence-transformers 6.2.0 and transformers 5.24.0.

    python tests/golden/make_infonce.py

The file contains two losses of these vectors and their gradients, in float64: the multiple
negatives ranking loss of five queries with their positives and three hard negatives, and CLIP's
loss of the five pairs.
"""
from pathlib import Path

import numpy as np

RNG = np.random.default_rng(20241207)
Q, K = RNG.standard_normal((5, 7)), RNG.standard_normal((8, 7))
SCALE, LOG_SCALE = 20.0, np.log(1 / 0.07)


def originals():
    """The losses and gradients of both installed libraries: {name: array}."""
    import torch
    from sentence_transformers.sentence_transformer import losses
    from transformers.models.clip.modeling_clip import image_text_contrastive_loss

    def tensors(*arrays):
        return [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in arrays]
    q, k = tensors(Q, K)
    loss = losses.MultipleNegativesRankingLoss(None, scale=SCALE).compute_loss_from_embeddings(
        [q, k[:5], k[5:]], None)
    loss.backward()
    a, b, log_scale = tensors(Q, K[:5], LOG_SCALE)
    cos = torch.nn.functional.normalize(a) @ torch.nn.functional.normalize(b).T
    clip = image_text_contrastive_loss(log_scale.exp() * cos)
    clip.backward()
    return {name: t.detach().numpy() for name, t in {
        "loss": loss, "dq": q.grad, "dk": k.grad, "clip": clip, "clip_dq": a.grad,
        "clip_dk": b.grad, "clip_dlog_scale": log_scale.grad}.items()}


def main():
    from safetensors.numpy import save_file
    save_file({"q": Q, "k": K, "log_scale": np.asarray(LOG_SCALE), **originals()},
              Path(__file__).with_name("infonce.safetensors"))


if __name__ == "__main__":
    main()

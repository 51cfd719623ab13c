"""How imagebind.safetensors was made: by ImageBind's own code and torch 2.13, weights drawn here.

    python -m tests.golden.make_imagebind CHECKOUT

CHECKOUT is a folder with the code of github.com/facebookresearch/ImageBind (commit 53680b0), whose
packages einops, ftfy, iopath and regex are needed.  Two names of timm are replaced: trunc_normal_,
by torch's, and DropPath, by the identity, which it is in evaluation mode.

The weights are drawn here, for the reasons given in make_bert.py.  ImageBindModel fixes the size of
images, the vocabulary and the length of motion signals; its preprocessors are built again, from its
own classes, with smaller ones.  The shapes are unusual on purpose: overlapping patches that leave
a margin, layers and heads that differ from sense to sense, a text that ends early.

    weight.NAME   float32                      NAME: the name in the original
    grad.NAME     float64                      gradients of Σ u · output over all senses
    in.SENSE      float32, text int64          a batch of 3
    u.SENSE, out.SENSE (3, E)                  float64; out includes the original's scale
"""
import sys
import types
from functools import partial
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
E, N = 6, 3
DIM = {"vision": 12, "text": 8, "audio": 8, "depth": 6, "thermal": 8, "imu": 6}
LAYERS = {"vision": 1, "text": 2, "audio": 2, "depth": 1, "thermal": 1, "imu": 2}
HEADS = {"vision": 3, "text": 2, "audio": 2, "depth": 3, "thermal": 1, "imu": 2}
SHAPE = {"vision": (3, 9, 9), "audio": (1, 12, 15), "depth": (1, 9, 11), "thermal": (1, 8, 8),
         "imu": (6, 27)}
PATCH = {"vision": (4, 4), "audio": (6, 4), "depth": (4, 4), "thermal": (4, 4), "imu": (8, 8)}
TOKENS, WORDS, LENGTHS = 9, 13, (5, 9, 2)


def import_original(checkout):
    """Import the model's modules of a checkout, but not its package, which imports torchaudio."""
    import torch
    package = types.ModuleType("imagebind")
    package.__path__ = [str(Path(checkout) / "imagebind")]
    layers = types.ModuleType("timm.layers")
    layers.trunc_normal_, layers.DropPath = torch.nn.init.trunc_normal_, torch.nn.Identity
    sys.modules |= {"imagebind": package, "timm": types.ModuleType("timm"), "timm.layers": layers}
    from imagebind.models import imagebind_model, multimodal_preprocessors
    return imagebind_model, multimodal_preprocessors


def original(checkout):
    """A small ImageBindModel in evaluation mode."""
    from torch import nn
    model, pre = import_original(checkout)
    sizes = {f"{sense}_{what}": table[sense] for sense in DIM
             for what, table in (("embed_dim", DIM), ("num_blocks", LAYERS), ("num_heads", HEADS))}
    imagebind = model.ImageBindModel(out_embed_dim=E, audio_kernel_size=PATCH["audio"][0],
                                     audio_stride=PATCH["audio"][1], audio_num_mel_bins=12,
                                     audio_target_len=15, **sizes)
    positions = partial(pre.SpatioTemporalPosEmbeddingHelper, learnable=True)

    def maps(sense, kind, **stems):
        return kind(img_size=list(SHAPE[sense]), num_cls_tokens=1, pos_embed_fn=positions, **stems)

    def conv(sense):
        size, stride = PATCH[sense]
        return pre.PatchEmbedGeneric([nn.Conv2d(1, DIM[sense], size, stride, bias=False)],
                                     norm_layer=nn.LayerNorm(DIM[sense]))
    video = pre.PatchEmbedGeneric([pre.PadIm2Video(pad_type="repeat", ntimes=2), nn.Conv3d(
        3, DIM["vision"], (2, 4, 4), (2, 4, 4), bias=False)])
    small = imagebind.modality_preprocessors
    small["vision"] = pre.RGBDTPreprocessor(
        img_size=[3, 2, *SHAPE["vision"][1:]], num_cls_tokens=1, pos_embed_fn=positions,
        rgbt_stem=video, depth_stem=None)
    small["text"] = pre.TextPreprocessor(context_length=TOKENS, vocab_size=WORDS,
                                         embed_dim=DIM["text"], causal_masking=True)
    small["depth"] = maps("depth", pre.RGBDTPreprocessor, rgbt_stem=None, depth_stem=conv("depth"))
    small["thermal"] = maps("thermal", pre.ThermalPreprocessor, thermal_stem=conv("thermal"))
    small["imu"] = pre.IMUPreprocessor(
        img_size=SHAPE["imu"], num_cls_tokens=1, kernel_size=8, embed_dim=DIM["imu"],
        pos_embed_fn=positions, imu_stem=pre.PatchEmbedGeneric(
            [nn.Linear(48, DIM["imu"], bias=False)], norm_layer=nn.LayerNorm(DIM["imu"])))
    return imagebind.eval()


def draw_weights(model, rng):
    """New weights of order 1 for all parameters of a torch model, exact in float32."""
    import torch
    with torch.no_grad():
        for name, weight in model.named_parameters():
            x = rng.standard_normal(weight.shape)
            if name.endswith(("bias", "bias_k", "bias_v")):
                x = x if name.endswith(("_k", "_v")) else 0.3 * x
            elif name.endswith("logit_scale"):
                x = np.array(1.3)
            elif weight.ndim == 1:                                 # norms
                x = 1 + 0.3 * x
            elif not name.endswith(("cls_token", "pos_embed", "token_embedding.weight")):
                x = x * np.prod(weight.shape[1:]) ** -0.5          # by its number of inputs
            weight.copy_(torch.tensor(x.astype(np.float32)))


def draw_batch(rng):
    """{sense: N inputs}; texts end with the largest id and are padded with 0."""
    batch = {sense: rng.standard_normal((N, *shape)).astype(np.float32)
             for sense, shape in SHAPE.items()}
    ids = np.zeros((N, TOKENS), np.int64)
    for row, length in zip(ids, LENGTHS):
        row[:length] = [*rng.integers(1, WORDS - 1, length - 1), WORDS - 1]
    return batch | {"text": ids}


def arrays_of(model, batch, rng):
    """The arrays of the file: outputs and gradients, computed in float64."""
    import torch
    model = model.double()
    for sense in ("audio", "depth", "thermal", "imu"):     # ln 20 ... was rounded to float32
        scaling = model.modality_postprocessors[sense][1]
        scaling.log_logit_scale = torch.tensor(np.log(scaling.logit_scale_init))
    out = model({sense: torch.tensor(x if x.dtype == np.int64 else x.astype(np.float64))
                 for sense, x in batch.items()})
    u = {sense: rng.standard_normal((N, E)) for sense in out}
    sum((out[sense] * torch.tensor(u[sense])).sum() for sense in out).backward()
    parameters = dict(model.named_parameters())
    return {**{f"weight.{name}": x.detach().float().numpy() for name, x in parameters.items()},
            **{f"grad.{name}": x.grad.numpy() for name, x in parameters.items()},
            **{f"in.{sense}": x for sense, x in batch.items()},
            **{f"u.{sense}": x for sense, x in u.items()},
            **{f"out.{sense}": x.detach().numpy() for sense, x in out.items()}}


def make(checkout, seed):
    """All arrays of a model whose weights are drawn with this seed."""
    import torch
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = original(checkout)
    draw_weights(model, rng)
    return arrays_of(model, draw_batch(rng), rng)


if __name__ == "__main__":
    from safetensors.numpy import save_file
    save_file(make(sys.argv[1], seed=0), HERE / "imagebind.safetensors")

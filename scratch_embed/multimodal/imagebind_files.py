"""ImageBind's tensors under the names of the original code, and their shapes there.

Bytes     {name: array} of the original's state_dict; imagebind_huge.pth is a pickle, which is not
          read: convert it with torch and safetensors (transformer/checkpoint.py has the command)
Differs   The original's q, k and v are one matrix, in_proj_weight, and so are their biases; class
          tokens, positions, bias_k and bias_v have axes of length 1 in front.  Its images are
          videos of two frames: a patch's weight is (D, 3, 2, P, P), and for a still image, which
          is repeated, the two halves add up to ours, (D, 3, P, P).
Read next multimodal/imagebind.py, multimodal/clip.py (the towers)
"""
from collections.abc import Mapping

import numpy as np

from scratch_embed.multimodal import clip
from scratch_embed.multimodal.imagebind import Sense, tensors
from scratch_embed.nn.params import Params
from scratch_embed.transformer.checkpoint import Renames, groups

BEFORE, TRUNK, HEAD = "modality_preprocessors", "modality_trunks", "modality_heads"
LAYER = {"attn_norm": "norm_1", "attn.o": "attn.out_proj", "attn.extra_k": "attn.bias_k",
         "attn.extra_v": "attn.bias_v", "mlp_norm": "norm_2", "mlp.up": "mlp.fc1",
         "mlp.down": "mlp.fc2",
         **{f"attn.{part}.{kind}": f"attn.in_proj_{kind}" for part in "qkv"
            for kind in ("weight", "bias")}}


def _tower(ours, theirs, stem, projection):
    """{our name: the original's} of the tower of one sense."""
    before, trunk, head = (f"{part}.{theirs}" for part in (BEFORE, TRUNK, HEAD))
    positions = "pos_embed" if theirs == "imu" else "pos_embedding_helper.pos_embed"
    return {f"{ours}.class": f"{before}.cls_token",
            f"{ours}.patch": f"{before}.{stem}.proj" + (".1" if theirs == "vision" else ""),
            f"{ours}.patch_norm": f"{before}.{stem}.norm_layer",
            f"{ours}.positions.weight": f"{before}.{positions}",
            f"{ours}.norm_before": f"{trunk}.pre_transformer_layer.0",
            **{f"{ours}.layers.*.{mine}": f"{trunk}.blocks.*.{other}"
               for mine, other in LAYER.items()},
            f"{ours}.norm": f"{head}.0", f"{ours}.projection": f"{head}.{projection}"}


NAMES = Renames({
    **_tower("image", "vision", "rgbt_stem", 2),
    "text.tokens": f"{BEFORE}.text.token_embedding",
    "text.positions.weight": f"{BEFORE}.text.pos_embed",
    **{f"text.layers.*.{mine}": f"{TRUNK}.text.blocks.*.{other}" for mine, other in LAYER.items()},
    "text.norm": f"{HEAD}.text.proj.0", "text.projection": f"{HEAD}.text.proj.1",
    "log_scale": "modality_postprocessors.text.1.log_logit_scale",
    **_tower("audio", "audio", "rgbt_stem", 2), **_tower("depth", "depth", "depth_stem", 2),
    **_tower("thermal", "thermal", "rgbt_stem", 2), **_tower("imu", "imu", "imu_stem", 3)})


def from_original(arrays: Mapping[str, np.ndarray], config: clip.Config,
                  senses: Mapping[str, Sense], dtype: type = np.float32) -> Params:
    """The parameters of CLIP's two towers and of the senses, from the original's tensors.

    Raises ValueError for a tensor that is missing or of another size.
    """
    declared = clip.tensors(config) | tensors(senses, config.dim)
    p = Params(declared, dtype)
    for theirs, (ours, shape) in groups(declared, NAMES).items():
        if theirs not in arrays:
            raise ValueError(f"tensors: expected {theirs} {shape}, got none of this name")
        array = arrays[theirs]
        if array.ndim == 5:                        # a patch of a video of two equal frames
            array = array.sum(axis=2, dtype=np.float64)
        if array.size != np.prod(shape):
            raise ValueError(f"{theirs}: expected {shape}, got {array.shape}")
        array = array.reshape(shape)
        for name, part in zip(ours, np.split(array, len(ours)) if len(ours) > 1 else [array]):
            p[name][...] = part
    return p

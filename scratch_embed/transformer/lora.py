"""LoRA: fine-tunes a model by low-rank additions to its matrices, while the matrices are frozen.

Paper     Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.
Equation  y = W x + s B A x,   s = α/r;   W is frozen, A and B are trained
          merged: W' = W + s B A, and y = W' x
Shapes    W (O, I), A (r, I), B (O, r), r much smaller than I and O;  x (T, I) -> y (T, O)
Cost      trained: r (I + O) numbers for each matrix, instead of I O.  Adam's moments and the
          gradients are as few, and no dW is computed: a step costs about two thirds of that of full
          fine-tuning.  A merged model costs what the original costs.
Differs   from peft in dropout: peft can drop entries of the x that A reads (lora_dropout), here the
          model's own dropout is the only one (so adapter_folder.py refuses to train such an
          adapter).  The embeddings have no low-rank term.
Read next nn/low_rank.py (the term and its gradient), transformer/adapter_folder.py (peft's files),
          sentences/e5_mistral.py (its use)

    model = with_lora(model, Lora(rank=4, alpha=8), seed=1)       # the same vectors as before
    ... train model.p, of which only A and B are trainable ...
    model = merged(model)                                         # the same vectors, no A and B

Why a low rank?  A model of 7 billion parameters needs 28 GB in float32, and training needs the same
again for the gradients, and twice that for Adam's moments.  The paper finds that what fine-tuning
adds to a matrix can be of very low rank: for GPT-3, r = 1 to 4 is as good as 64.  Pre-training
has learned the directions; fine-tuning chooses which of them to strengthen.

Why is B zero at first?  Then B A = 0, and training starts at the original model.  A is random: if
both were zero, dB = s dyᵀ (x Aᵀ) and dA = s (dy B)ᵀ x would be zero for ever.

Why α/r?  The sum over r terms grows with r.  Divided by r, the same learning rate fits any rank, at
least roughly: peft's use_rslora divides by √r instead, because the terms partly cancel.

Why merge?  B A is a matrix like W, so after training it is added once.  Adapters of other kinds,
small layers between the layers, cost time in each pass.
"""
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.params import ZEROS, Constant, Params, Tensor, Uniform, init_params, join
from scratch_embed.numerics.checks import require_number, require_whole
from scratch_embed.transformer.model import Transformer

ALL = ()                           # as `targets`: every linear layer in the model's layers
TABLES = ("embed.", "relative.")   # matrices whose rows are looked up (relative: MPNet's bias)


class Lora(NamedTuple):
    """The settings of LoRA.  The defaults are those of E5-Mistral."""

    rank: int = 16                 # r
    alpha: float = 32.0            # α
    targets: tuple[str, ...] = ALL     # linear layers by the ends of their names: "attn.q" is the
    #                                    query matrix of each layer; the paper has attn.q and attn.v

    @property
    def scale(self) -> float:
        """s = α/r."""
        return self.alpha / self.rank


# ---- parameters ----------------------------------------------------------------------------------

def linear_layers(p: Params) -> list[str]:
    """The names of the linear layers of a model, such as "layers.0.attn.q"; also those of heads."""
    return [name.removesuffix(".weight") for name, view in p.items()
            if name.endswith(".weight") and view.ndim == 2 and not name.startswith(TABLES)]


def find_targets(p: Params, targets: tuple[str, ...] = ALL) -> list[str]:
    """The linear layers whose names end with one of `targets`, without heads; if ALL, all.

    Raises ValueError for a target that no layer has.
    """
    names = [name for name in linear_layers(p) if name.startswith("layers.")]
    for target in targets:
        if not any(_ends_with(name, target) for name in names):
            kinds = dict.fromkeys(name.split(".", 2)[2] for name in names)
            raise ValueError(f"targets: expected some of {', '.join(kinds)}, got {target!r}")
    return [name for name in names
            if targets == ALL or any(_ends_with(name, target) for target in targets)]


def _ends_with(layer, target):
    """Whether the name "layers.0.attn.q" is `target` or ends with ".target"."""
    return f".{layer}".endswith(f".{target}")


def lora_tensors(layer: str, shape: tuple[int, int], rank: int, scale: float) -> dict[str, Tensor]:
    """The tensors of one layer's term: A, which is U(±1/√I) at first, B, zeros, and s.

    shape: (O, I), that of the layer's W
    The distribution of A is peft's, kaiming_uniform_ with a = √5.
    """
    O, I = shape
    return {f"{layer}.lora_a": Tensor((rank, I), Uniform(I ** -0.5), decay=True),
            f"{layer}.lora_b": Tensor((O, rank), ZEROS, decay=True),
            f"{layer}.lora_scale": Tensor((), Constant(scale))}


def with_lora(model: Transformer, lora: Lora = Lora(), seed: int = 1) -> Transformer:
    """The model with a low-rank term in each target, and with everything else frozen.

    The model must not have such terms: merge them first.  Its vectors are those of `model`, whose
    parameters are shared, not copied.
    Raises ValueError for a rank or alpha that is out of range, or a target that no layer has.
    """
    require_whole("rank", lora.rank, 1)
    if require_number("alpha", lora.alpha, 0) == 0:
        raise ValueError("alpha=0: expected a number above 0, because the terms are multiplied by "
                         "alpha / rank and would not learn")
    tensors = {}
    for layer in find_targets(model.p, lora.targets):
        tensors |= lora_tensors(layer, model.p[layer + ".weight"].shape, lora.rank, lora.scale)
    return with_terms(model, init_params(tensors, seed, model.p.flat.dtype))


def with_terms(model: Transformer, terms: Params) -> Transformer:
    """The model with these tensors, as lora_tensors() declares them; the others are frozen."""
    if layers := lora_layers(model.p):
        raise ValueError(f"model: expected one without LoRA, got one with it in {layers[0]}; "
                         "merge it first: merged(model)")
    scales = [name for name in terms if name.endswith(".lora_scale")]
    return model.with_params(join(model.p.trainable(()), terms.freeze(scales)))


def lora_layers(p: Params) -> list[str]:
    """The names of the layers that have a low-rank term."""
    return [name.removesuffix(".lora_a") for name in p if name.endswith(".lora_a")]


def merged(model: Transformer) -> Transformer:
    """A copy of the model in which s B A is added to W, without A and B; all of it is trainable."""
    old = model.p
    p = Params({name: tensor for name, tensor in old.tensors.items() if ".lora_" not in name},
               old.flat.dtype)
    for name, view in p.items():
        view[...] = old[name]
    for layer in lora_layers(old):
        p[layer + ".weight"][...] += update(old, layer)
    return model.with_params(p)


def update(p: Params, layer: str) -> np.ndarray:
    """s B A: what LoRA adds to the matrix of a layer.  -> (O, I)"""
    return p[layer + ".lora_scale"] * (p[layer + ".lora_b"] @ p[layer + ".lora_a"])

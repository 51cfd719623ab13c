"""The low-rank term of a linear layer with LoRA: s B A x, which is added to W x.

Paper     Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", eq. 3.
Equation  u = x Aᵀ,  y = s u Bᵀ
Shapes    x (T, I), A (r, I), B (O, r), s () -> u (T, r), y (T, O)
Cost      2 T r (I + O) operations, where W x costs 2 T I O; BLAS computes the products, so there is
          no kernel
Read next transformer/lora.py (what A and B are for), nn/layers.py (linear, which adds the term)

The gradient.  y = s u Bᵀ and u = x Aᵀ are two linear layers, so with du = s dy B
    dB = s dyᵀ u,   dA = duᵀ x,   dx = du A.
No product has the shape of W: each has r as one of its sides.
"""
import numpy as np

from scratch_embed.nn.contract import ParamBackward
from scratch_embed.nn.params import Params


def has_low_rank(p: Params, name: str) -> bool:
    """Whether p has a low-rank term for the linear layer `name`."""
    return name + ".lora_a" in p


def low_rank(x: np.ndarray, p: Params, name: str) -> tuple[np.ndarray, ParamBackward]:
    """y = s x Aᵀ Bᵀ.  x: (T, I) -> y: (T, O)

    >>> p = Params({"f.lora_a": (1, 2), "f.lora_b": (1, 1), "f.lora_scale": ()})
    >>> p["f.lora_a"][:], p["f.lora_b"][:], p["f.lora_scale"][...] = [[3, 4]], 5, 2
    >>> low_rank(np.array([[1.0, 1.0]]), p, "f")[0].tolist()
    [[70.0]]
    """
    A, B, s = p[name + ".lora_a"], p[name + ".lora_b"], p[name + ".lora_scale"]
    u = x @ A.T                                                                 # (T, r)

    def backward(dy, g):
        du = s * (dy @ B)
        if name + ".lora_a" in g:
            g[name + ".lora_a"] += du.T @ x
        if name + ".lora_b" in g:
            g[name + ".lora_b"] += s * (dy.T @ u)
        return du @ A
    return s * (u @ B.T), backward

"""A stack of pre-norm layers: the trunk of ViT, of CLIP's two towers and of ImageBind's senses.

Papers    Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture" (the order);
          Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", eqs. 2 and 3; Radford et al.
          2021, "Learning Transferable Visual Models From Natural Language Supervision" (CLIP).
Equation  h = x + Wₒ attention(W_q n, W_k n, W_v n),  n = LN(x);   y = h + W₂ f(W₁ LN(h)),
          biases omitted, f the activation: QuickGELU in CLIP
Shapes    x, h, y (T, D), the tokens of all sequences end to end, offsets (N+1,) their bounds
Cost      24 T D² + 4 Σ t² D operations per layer, for F = 4 D and sequences of t tokens; three
          times as many in training.  No kernel: nn/matmul.py or BLAS computes the products
Differs   The initial deviations are those of OpenAI's text tower, for every trunk: D^−½ for q, k
          and v; D^−½ (2L)^−½ for the last matrix of each sublayer; (2D)^−½ for the feed-forward
          layer's first; zero biases.  transformers exchanges the deviations of q, k, v and of
          the attention's output.  OpenAI's code leaves the image tower at torch's defaults.
Read next nn/norms.py (residual, and why pre-norm needs little warmup), multimodal/vit.py,
          multimodal/clip.py; nn/blocks.py (BERT's post-norm layer)

Why (2L)^−½?  The 2L sublayers add their outputs to one sum.  If each output is smaller by this
factor, the variance of the sum is that of one output, however deep the stack is.

Gradient.  Each backward undoes its forward line by line, from the last to the first; x and h, which
the residual connections use too, and n, which q, k and v use, get the sum.  The extra key and value
take part in every sequence's softmax, so their gradients are sums over all sequences.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.activations import quick_gelu
from scratch_embed.nn.attention import attention
from scratch_embed.nn.contract import ParamBackward
from scratch_embed.nn.layers import linear, prepend_row
from scratch_embed.nn.norms import layer_norm, residual
from scratch_embed.nn.params import Normal, Params, Tensor, linear_tensors, norm_tensors


class Trunk(NamedTuple):
    """The sizes of a stack of pre-norm layers, and what its layers compute.

    CLIP's ViT-B/32, in this order: 768, 12, 12, 3072; its text tower: 512, 12, 8, 2048.
    """

    dim: int                       # D
    layers: int                    # L
    heads: int                     # H, a divisor of D
    ff: int                        # F
    eps: float = 1e-5              # of layer norms
    activation: Callable = quick_gelu
    causal: bool = False           # whether a token attends to earlier tokens and itself only
    extra_key: bool = False        # whether every token attends to a learned key and value too


def trunk_tensors(name: str, trunk: Trunk) -> dict[str, Tensor]:
    """The tensors of a trunk.  name: their prefix, "image." for image.layers.0.attn.q.weight.

    Raises ValueError unless heads divides dim.
    """
    D, L, H, F = trunk[:4]
    if D % H:
        raise ValueError(f"heads: expected a divisor of dim={D}, got {H}")
    to_input = Normal(D ** -0.5)
    to_residual, to_hidden = Normal((D * 2 * L) ** -0.5), Normal((2 * D) ** -0.5)
    declared: dict[str, Tensor] = {}
    for n in range(L):
        at = f"{name}layers.{n}."
        declared |= norm_tensors(at + "attn_norm", D)
        for part in ("q", "k", "v"):
            declared |= linear_tensors(f"{at}attn.{part}", D, D, to_input)
        if trunk.extra_key:                              # as torch's MultiheadAttention draws them
            declared |= {f"{at}attn.extra_{part}": Tensor((D,), Normal(D ** -0.5))
                         for part in "kv"}
        declared |= linear_tensors(at + "attn.o", D, D, to_residual)
        declared |= norm_tensors(at + "mlp_norm", D)
        declared |= linear_tensors(at + "mlp.up", F, D, to_hidden)
        declared |= linear_tensors(at + "mlp.down", D, F, to_residual)
    return declared


def pre_norm_layer(x: np.ndarray, p: Params, name: str, offsets: np.ndarray, trunk: Trunk
                   ) -> tuple[np.ndarray, ParamBackward]:
    """One layer.  name: the prefix of its parameters, "image.layers.0."; x (T, D) -> y (T, D)."""
    n, back_n = layer_norm(x, p, name + "attn_norm", trunk.eps)
    q, back_q = linear(n, p, name + "attn.q")
    k, back_k = linear(n, p, name + "attn.k")
    v, back_v = linear(n, p, name + "attn.v")
    k, v, key_offsets, back_extra = add_extra_key(k, v, p, name, offsets, trunk)
    a, back_a = attention(q, k, v, offsets, trunk.heads, trunk.causal, key_offsets=key_offsets)
    o, back_o = linear(a, p, name + "attn.o")
    h, back_h = residual(x, o)

    m, back_m = layer_norm(h, p, name + "mlp_norm", trunk.eps)
    u, back_u = linear(m, p, name + "mlp.up")                                   # (T, F)
    f, back_f = trunk.activation(u)
    w, back_w = linear(f, p, name + "mlp.down")
    y, back_y = residual(h, w)

    def backward(dy, g):
        dh, dw = back_y(dy)
        dh = dh + back_m(back_u(back_f(back_w(dw, g)), g), g)
        dx, do = back_h(dh)
        dq, dk, dv = back_a(back_o(do, g))
        dk, dv = back_extra(dk, dv, g)
        return dx + back_n(back_q(dq, g) + back_k(dk, g) + back_v(dv, g), g)
    return y, backward


def add_extra_key(k: np.ndarray, v: np.ndarray, p: Params, name: str, offsets: np.ndarray,
                  trunk: Trunk) -> tuple[np.ndarray, np.ndarray, np.ndarray, Callable]:
    """Give every sequence one more key and value, which are learned, if trunk.extra_key is set.

    k, v: (T, D) -> k, v (T + N, D), their offsets (N+1,), backward(dk, dv, g) -> dk, dv (T, D).
    The sum over keys has no order, so it does not matter that the extra one is the first.
    """
    if not trunk.extra_key:
        return k, v, offsets, lambda dk, dv, g: (dk, dv)
    k, key_offsets, back_k = prepend_row(k, offsets, p, name + "attn.extra_k")
    v, _, back_v = prepend_row(v, offsets, p, name + "attn.extra_v")
    return k, v, key_offsets, lambda dk, dv, g: (back_k(dk, g), back_v(dv, g))


def run_trunk(x: np.ndarray, p: Params, name: str, offsets: np.ndarray, trunk: Trunk
              ) -> tuple[np.ndarray, ParamBackward]:
    """All layers, one after the other.  name: as in trunk_tensors; x (T, D) -> y (T, D)."""
    backs = []
    for n in range(trunk.layers):
        x, back = pre_norm_layer(x, p, f"{name}layers.{n}.", offsets, trunk)
        backs.append(back)

    def backward(dx, g):
        for back in reversed(backs):
            dx = back(dx, g)
        return dx
    return x, backward


def infer_trunk(x: np.ndarray, p: Params, name: str, offsets: np.ndarray, trunk: Trunk
                ) -> np.ndarray:
    """run_trunk() without backward; each layer's activations are freed before the next.  (T, D)"""
    for n in range(trunk.layers):
        x = pre_norm_layer(x, p, f"{name}layers.{n}.", offsets, trunk)[0]
    return x

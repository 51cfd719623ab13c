"""The Transformer encoder, as BERT has it: layer after layer of asking the others, then thinking.

Paper     Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
          Understanding"; Vaswani et al. 2017, "Attention Is All You Need", section 3.1.
Equation  x = LN(word[id] + position[i] + segment[type]);  in each of L layers, W x for W x + b,
          h = LN(x + Wₒ attention(W_q x, W_k x, W_v x)),   y = LN(h + W₂ gelu(W₁ h))
Shapes    ids (T,) all sequences end to end, off (N+1,) their bounds; x, h, y (T, D)
Cost      24 T D² + 4 Σ t² D a layer, with F = 4 D; three times that to learn.  BLAS owns both.
Differs   Sequences are packed, not padded; only attention asks where one begins.  Dropout stands
          where BERT has it: on the embeddings, on attention's weights, on what a half layer adds.
Read next transformer/pooling.py (a vector a sentence), transformer/bert.py (what it is trained on)

Norm after the sum ("post-norm") is 2017's order; from GPT-2 on it stands before each half.
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.activations import gelu
from scratch_embed.nn.attention import attention
from scratch_embed.nn.contract import Learning
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, dropout
from scratch_embed.nn.layers import add_norm, embedding, layer_norm, linear
from scratch_embed.nn.params import Params
from scratch_embed.text.packed import Packed, positions


class Config(NamedTuple):
    """What shape a model has."""

    vocab: int                     # V
    dim: int = 128                 # D
    layers: int = 2                # L
    heads: int = 2                 # H, a divisor of D
    ff: int = 512                  # F
    positions: int = 512           # the longest sequence
    types: int = 2
    eps: float = 1e-12             # of layer norms
    activation: Callable = gelu


def shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """{name: shape}, the names of BertModel.  Raises ValueError for heads that do not fit."""
    V, D, L, H, F, P, types = config[:7]
    if D % H:
        raise ValueError(f"dim={D}, heads={H}: expected a dim that the heads share evenly")
    at = {"embeddings.word_embeddings": (V, D), "embeddings.position_embeddings": (P, D),
          "embeddings.token_type_embeddings": (types, D), "embeddings.LayerNorm": (D,)}
    for layer in range(L):
        for part, shape in {
                "attention.self.query": (D, D), "attention.self.key": (D, D),
                "attention.self.value": (D, D), "attention.output.dense": (D, D),
                "attention.output.LayerNorm": (D,), "intermediate.dense": (F, D),
                "output.dense": (D, F), "output.LayerNorm": (D,)}.items():
            at[f"encoder.layer.{layer}.{part}"] = shape
    found = {}
    for name, shape in at.items():
        found[name + ".weight"] = shape
        if not name.endswith("embeddings"):          # a table of rows has no bias
            found[name + ".bias"] = shape[:1]
    return found


def embed(batch: Packed, p: Params, config: Config, drop: Dropout = NO_DROPOUT
          ) -> tuple[np.ndarray, Learning]:
    """A token as what it is, where it stands and which part it is in.  -> x (T, D)."""
    words, back_words = embedding(batch.ids, p, "embeddings.word_embeddings")
    places, back_places = embedding(positions(batch.off), p, "embeddings.position_embeddings")
    parts, back_parts = embedding(batch.types, p, "embeddings.token_type_embeddings")
    x, back_norm = layer_norm(words + places + parts, p, "embeddings.LayerNorm", config.eps)
    x, back_drop = dropout(x, drop)

    def backward(dx, g):
        dx = back_norm(back_drop(dx), g)
        for back in (back_words, back_places, back_parts):
            back(dx, g)
    return x, backward


def encoder_layer(x: np.ndarray, p: Params, name: str, off: np.ndarray, config: Config,
                  drop: Dropout = NO_DROPOUT) -> tuple[np.ndarray, Learning]:
    """One layer.  x, y: (T, D)."""
    q, back_q = linear(x, p, name + "attention.self.query")
    k, back_k = linear(x, p, name + "attention.self.key")
    v, back_v = linear(x, p, name + "attention.self.value")
    a, back_a = attention(q, k, v, off, config.heads, drop=drop.at(0))
    o, back_o = linear(a, p, name + "attention.output.dense")
    h, back_h = add_norm(x, o, p, name + "attention.output.LayerNorm", config.eps, drop.at(1))

    u, back_u = linear(h, p, name + "intermediate.dense")                       # (T, F)
    f, back_f = config.activation(u)
    w, back_w = linear(f, p, name + "output.dense")
    y, back_y = add_norm(h, w, p, name + "output.LayerNorm", config.eps, drop.at(2))

    def backward(dy, g):
        dh, dw = back_y(dy, g)
        dh += back_u(back_f(back_w(dw, g)), g)     # ours; dw, which may be the same, has been read
        dx, do = back_h(dh, g)
        dq, dk, dv = back_a(back_o(do, g))
        return dx + back_q(dq, g) + back_k(dk, g) + back_v(dv, g)
    return y, backward


def encode(batch: Packed, p: Params, config: Config, drop: Dropout = NO_DROPOUT
           ) -> tuple[np.ndarray, Learning]:
    """Token vectors in context.  -> x (T, D), backward(dx, g)."""
    x, back_embed = embed(batch, p, config, drop.at(config.layers))
    backs = []
    for layer in range(config.layers):
        x, back = encoder_layer(x, p, f"encoder.layer.{layer}.", batch.off, config, drop.at(layer))
        backs.append(back)

    def backward(dx, g):
        for back in reversed(backs):
            dx = back(dx, g)
        back_embed(dx, g)
    return x, backward


def infer(batch: Packed, p: Params, config: Config) -> np.ndarray:
    """The same, forgetting each layer's activations as soon as the next one has them.  -> (T, D)"""
    x, _ = embed(batch, p, config)
    for layer in range(config.layers):
        x, _ = encoder_layer(x, p, f"encoder.layer.{layer}.", batch.off, config)
    return x

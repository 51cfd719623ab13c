"""Mistral, Llama: causal transformers with RMSNorm, rotary positions, grouped queries, SwiGLU.

Paper     Jiang et al. 2023, "Mistral 7B", section 2; its parts: Zhang & Sennrich 2019 (RMSNorm), Su
          et al. 2021 (rotary), Ainslie et al. 2023 (grouped queries), Shazeer 2020 (SwiGLU), Child
          et al. 2019 (windows).  Touvron et al. 2023, "LLaMA": the same without the window.
Equation  x = token[id];  in each of L layers, without biases (Llama's are optional),
          h = x + Wₒ attention(R W_q n, R W_k n, W_v n),  n = RMSNorm(x), R the rotation by the
          token's position; token i attends to the w tokens i − w + 1 .. i;
          y = h + W_down (silu(W_gate m) ∘ W_up m),  m = RMSNorm(h);
          after the last layer, x = RMSNorm(x);
          head: logits = E x, E a separate matrix or the token embeddings
Shapes    ids (T,) all sequences end to end, offsets (N+1,) their bounds; x, h, y (T, D);
          q (T, H·d), k, v (T, G·d) for G key heads, d need not be D/H;  gate, up (T, F)
Cost      4 T D d (H + G) + 6 T D F + 4 Σ t² H d operations per layer, for sequences of t tokens;
          three times as many in training; nn/matmul.py or BLAS computes the products
Bytes     config.json, see FIELDS, and model.safetensors, see NAMES and transformer/checkpoint.py;
          Mistral.load and Llama.load read them
Differs   Sequences are packed, not padded.  A window saves work in sequences of more than LONG
          tokens (nn/attention.py).  Rotation angles are float64; in transformers they are
          float32 (nn/rotary.py).  Initial weights are normal with standard deviation 0.02, as in
          transformers; the paper does not give their distribution.  Dropout is
          applied to the attention weights only, as in transformers.  The model does not enforce
          max_length, because it has no table of positions.  Scaled RoPE (linear, yarn, llama3) is
          refused.
Read next transformer/gpt2.py (the parts of 2019), transformer/causal_lm.py (the loss)

Why each part?  RMSNorm: in the experiments of Zhang & Sennrich, layer norm without the mean and the
bias is as good.  Rotary: scores depend on positions only by their differences, and there are no
position embeddings to train.  Grouped queries: for each new token, generation reads k and v of all
earlier ones; G heads instead of H need G/H of that memory.  SwiGLU: a gate for each hidden unit,
see nn/activations.py.  Sliding window: a token mostly needs near tokens.  One layer reaches w − 1
tokens back, L layers L (w − 1): Mistral 7B with w = 4096 and L = 32 reaches 131,000, while
generation stores k and v of w tokens per layer.

Gradient.  Line by line from the last to the first, as in transformer/gpt2.py; n is used by q, k and
v, and m by gate and up, so each gets the sum.
"""
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from scratch_embed.nn.activations import swiglu
from scratch_embed.nn.attention import attention
from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.layers import embedding, in_row_blocks, linear
from scratch_embed.nn.norms import residual, rms_norm
from scratch_embed.nn.params import (
    Normal,
    Params,
    Tensor,
    embedding_tensors,
    linear_tensors,
    norm_tensors,
)
from scratch_embed.nn.rotary import Rotation, rotary, rotation
from scratch_embed.numerics.json_files import Fields, show
from scratch_embed.text.packed import Packed, positions
from scratch_embed.transformer.checkpoint import Renames, streams
from scratch_embed.transformer.config_fields import ROPE, check_fields, read_theta
from scratch_embed.transformer.model import Architecture, CausalModel

TABLE, HEAD = "embed.tokens.weight", "lm_head.weight"
NAMES = Renames({                  # {ours: the original's}, see transformer/checkpoint.py
    "embed.tokens": "embed_tokens",
    "layers.*.attn_norm": "layers.*.input_layernorm",
    "layers.*.attn.q": "layers.*.self_attn.q_proj",
    "layers.*.attn.k": "layers.*.self_attn.k_proj",
    "layers.*.attn.v": "layers.*.self_attn.v_proj",
    "layers.*.attn.o": "layers.*.self_attn.o_proj",
    "layers.*.mlp_norm": "layers.*.post_attention_layernorm",
    "layers.*.mlp.gate": "layers.*.mlp.gate_proj",
    "layers.*.mlp.up": "layers.*.mlp.up_proj",
    "layers.*.mlp.down": "layers.*.mlp.down_proj",
    "norm": "norm",
    "lm_head": "lm_head"},
    prefix="model.", bare=("lm_head.",),
    tied={HEAD: TABLE},                            # if the config ties them, we have no lm_head
    optional=("lm_head.",),                        # an encoder's file has none, tied or not
    ignored=("layers.*.self_attn.rotary_emb.inv_freq",))


class Config(NamedTuple):
    """The sizes of a model.  Mistral 7B, in this order: 32000, 4096, 32, 32, 8, 128, 14336,
    32768, 4096.
    """

    vocab: int                     # V
    dim: int = 128                 # D
    layers: int = 2                # L
    heads: int = 4                 # H, of queries
    kv_heads: int = 2              # G, of keys and values; a divisor of H
    head_dim: int = 32             # d, even
    ff: int = 352                  # F
    positions: int = 4096          # tokens in the longest sequence
    sliding_window: int | None = None      # w: a token attends to itself and w − 1 before it
    theta: float = 10_000.0        # of the rotary angles
    eps: float = 1e-6              # of RMSNorm
    tied: bool = False             # whether the head's matrix is the token embeddings
    attn_bias: bool = False        # whether q, k, v and o have biases; only in Llama
    mlp_bias: bool = False         # whether gate, up and down have biases; only in Llama

    @property
    def max_length(self) -> int:
        """The number of tokens in the longest sequence that the model was trained for."""
        return self.positions


# ---- parameters ----------------------------------------------------------------------------------

def tensors(config: Config, std: float = 0.02) -> dict[str, Tensor]:
    """The tensors without the head.  std: the standard deviation of the initial weights.

    Raises ValueError unless kv_heads divides heads and head_dim is even.
    """
    V, D, L, H, G, d, F = config[:7]
    if H % G or d % 2:
        raise ValueError("expected kv_heads that divide heads, and an even head_dim, got "
                         f"heads={H}, kv_heads={G}, head_dim={d}")
    init = Normal(std)
    declared = embedding_tensors("embed.tokens", V, D, init)
    for n in range(L):
        declared |= norm_tensors(f"layers.{n}.attn_norm", D, bias=False)
        for part, O, I in (("attn.q", H * d, D), ("attn.k", G * d, D), ("attn.v", G * d, D),
                           ("attn.o", D, H * d)):
            declared |= linear_tensors(f"layers.{n}.{part}", O, I, init, bias=config.attn_bias)
        declared |= norm_tensors(f"layers.{n}.mlp_norm", D, bias=False)
        for part, O, I in (("mlp.gate", F, D), ("mlp.up", F, D), ("mlp.down", D, F)):
            declared |= linear_tensors(f"layers.{n}.{part}", O, I, init, bias=config.mlp_bias)
    return streams(declared | norm_tensors("norm", D, bias=False), NAMES)


def head_tensors(config: Config, std: float = 0.02) -> dict[str, Tensor]:
    """The tensor of the next-token head; an empty dictionary if the head is tied."""
    return {} if config.tied else streams(
        linear_tensors("lm_head", config.vocab, config.dim, Normal(std), bias=False), NAMES)


# ---- forward and backward ------------------------------------------------------------------------

def decoder_layer(x: np.ndarray, p: Params, name: str, offsets: np.ndarray, rope: Rotation,
                  config: Config, dropout: Dropout = NO_DROPOUT
                  ) -> tuple[np.ndarray, ParamBackward]:
    """One layer.  name: "layers.0.", the prefix of its parameters; x (T, D) -> y (T, D)."""
    h, back_h = attention_sublayer(x, p, name, offsets, rope, config, dropout)
    y, back_y = feed_forward_sublayer(h, p, name, config)
    return y, lambda dy, g: back_h(back_y(dy, g), g)


def attention_sublayer(x, p, name, offsets, rope, config, dropout=NO_DROPOUT):
    """h = x + Wₒ attention(rope(W_q n), rope(W_k n), W_v n),  n = rms_norm(x)."""
    n, back_n = rms_norm(x, p, name + "attn_norm", config.eps)
    q, back_q = linear(n, p, name + "attn.q")                                   # (T, H·d)
    k, back_k = linear(n, p, name + "attn.k")                                   # (T, G·d)
    v, back_v = linear(n, p, name + "attn.v")
    q, rotate_q = rotary(q, rope)
    k, rotate_k = rotary(k, rope)
    # attention() counts the earlier tokens only, without the token itself
    window = None if config.sliding_window is None else config.sliding_window - 1
    a, back_a = attention(q, k, v, offsets, config.heads, causal=True, dropout=dropout,
                          window=window)
    o, back_o = linear(a, p, name + "attn.o")
    h, back_h = residual(x, o)

    def backward(dh, g):
        dx, do = back_h(dh)
        dq, dk, dv = back_a(back_o(do, g))
        dn = back_q(rotate_q(dq), g) + back_k(rotate_k(dk), g) + back_v(dv, g)
        return dx + back_n(dn, g)
    return h, backward


def feed_forward_sublayer(h, p, name, config):
    """y = h + W_down (silu(W_gate m) ∘ W_up m),  m = rms_norm(h), each token by itself."""
    m, back_m = rms_norm(h, p, name + "mlp_norm", config.eps)
    gate, back_gate = linear(m, p, name + "mlp.gate")                           # (T, F)
    up, back_up = linear(m, p, name + "mlp.up")
    f, back_f = swiglu(gate, up)
    w, back_w = linear(f, p, name + "mlp.down")
    y, back_y = residual(h, w)

    def backward(dy, g):
        dh, dw = back_y(dy)
        dgate, dup = back_f(back_w(dw, g))
        return dh + back_m(back_gate(dgate, g) + back_up(dup, g), g)
    return y, backward


def encode(batch: Packed, p: Params, config: Config, dropout: Dropout = NO_DROPOUT
           ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Token vectors that depend on no later token.  -> x (T, D), backward(dx, g)."""
    x, back_embed = embedding(batch.ids, p, "embed.tokens")
    rope, backs = rotations(batch, config, x.dtype.type), []
    for n in range(config.layers):
        x, back = decoder_layer(x, p, f"layers.{n}.", batch.offsets, rope, config, dropout.at(n))
        backs.append(back)
    x, back_norm = rms_norm(x, p, "norm", config.eps)

    def backward(dx, g):
        dx = back_norm(dx, g)
        for back in reversed(backs):
            dx = back(dx, g)
        back_embed(dx, g)
    return x, backward


def infer(batch: Packed, p: Params, config: Config) -> np.ndarray:
    """encode() without backward; each layer's activations are freed before the next.  -> (T, D)"""
    x = embedding(batch.ids, p, "embed.tokens")[0]
    rope = rotations(batch, config, x.dtype.type)
    for n in range(config.layers):
        h = attention_sublayer(x, p, f"layers.{n}.", batch.offsets, rope, config)[0]
        x = in_row_blocks(feed_forward_sublayer, h, p, f"layers.{n}.", config)
    return rms_norm(x, p, "norm", config.eps)[0]


def rotations(batch: Packed, config: Config, dtype: type) -> Rotation:
    """The rotation of every token by its position in its sequence, the same in all layers."""
    return rotation(positions(batch.offsets), config.head_dim, config.theta, dtype)


def lm_head(x: np.ndarray, p: Params, config: Config) -> tuple[np.ndarray, ParamBackward]:
    """The logits of the next token.  x: (M, D) -> logits (M, V).

    Raises ValueError for a model without a head: not tied, and no head in p.
    """
    if not has_head(config, p):
        raise ValueError("the model has no next-token head (lm_head): it can encode texts, but not "
                         "continue them")
    return linear(x, p, "embed.tokens" if config.tied else "lm_head")


# ---- config.json ---------------------------------------------------------------------------------

FIELDS = {"vocab": "vocab_size", "dim": "hidden_size", "layers": "num_hidden_layers",
          "heads": "num_attention_heads", "kv_heads": "num_key_value_heads",
          "head_dim": "head_dim", "ff": "intermediate_size",
          "positions": "max_position_embeddings"}
MISTRALS = {"sliding_window": "sliding_window"}        # the fields that only Mistrals have
LLAMAS = {"attn_bias": "attention_bias", "mlp_bias": "mlp_bias"}               # only Llamas
# for each option that would change what is computed, the only value supported here
ONLY = {"hidden_act": "silu"}


def read_config(path: str | os.PathLike) -> Config:
    """Read a Mistral's Config from a config.json of transformers 4 or 5.

    Raises FormatError with the field, the expected values and the value found.
    """
    fields = checked_fields(path, "mistral", MISTRALS)
    return read_shared(fields)._replace(sliding_window=whole_or(
        fields, "sliding_window", None if "sliding_window" in fields else 4096))


def read_llama_config(path: str | os.PathLike) -> Config:
    """Read a Llama's Config, in the same way."""
    fields = checked_fields(path, "llama", LLAMAS)
    return read_shared(fields)._replace(**{ours: fields.flag(theirs, False)
                                           for ours, theirs in LLAMAS.items()})


def checked_fields(path: str | os.PathLike, model_type: str, own: Mapping[str, str]) -> Fields:
    """The fields of a config.json.  Raises FormatError for one that is not supported."""
    fields = Fields.read(path)
    for name, value in {"model_type": model_type, **ONLY}.items():
        fields.one_of(name, [value], value)
    check_fields(fields, (*FIELDS.values(), *own.values(), *ONLY, *ROPE, "model_type",
                          "rms_norm_eps", "tie_word_embeddings"))
    return fields


def read_shared(fields: Fields) -> Config:
    """The Config of the fields that Mistral and Llama have in common."""
    sizes = {ours: fields.whole(FIELDS[ours])
             for ours in ("vocab", "dim", "layers", "heads", "ff", "positions")}
    D, H = sizes["dim"], sizes["heads"]
    G, d = whole_or(fields, "num_key_value_heads", H), whole_or(fields, "head_dim", D // H)
    if H % G:
        raise fields.fault("num_key_value_heads", f"a divisor of num_attention_heads, {H}", show(G))
    if d < 2 or d % 2:
        raise fields.fault("head_dim", "an even number, by default hidden_size // "
                           "num_attention_heads", show(d))
    return Config(**sizes, kv_heads=G, head_dim=d, theta=read_theta(fields),
                  eps=float(fields.positive("rms_norm_eps", 1e-6)),
                  tied=fields.flag("tie_word_embeddings", False))


def whole_or(fields: Fields, name: str, default: int | None) -> Any:
    """A whole number of at least 1; the default if the field is missing or null."""
    return default if fields.values.get(name) is None else fields.whole(name)


def fields_of(config: Config, model_type: str, own: Mapping[str, str], none: Mapping[str, str]
              ) -> dict:
    """The fields of config.json, for transformers 4 and 5.

    own, none: the fields that only this model_type has, and those that only the other one has
    Raises ValueError for a config that this model_type cannot express.
    """
    for ours in none:
        if getattr(config, ours):
            raise ValueError(f"{ours}: a {model_type} has none, got {getattr(config, ours)}")
    sizes = {theirs: getattr(config, ours) for ours, theirs in {**FIELDS, **own}.items()}
    return {"model_type": model_type, **sizes, "hidden_act": "silu", "rms_norm_eps": config.eps,
            "rope_theta": config.theta,
            "rope_parameters": {"rope_type": "default", "rope_theta": config.theta},
            "tie_word_embeddings": config.tied}


# ---- the models ----------------------------------------------------------------------------------

class Mistral(CausalModel):
    """A Mistral model: its config and its parameters.  Each call uses their current values.

    without_heads() removes the next-token head's own matrix; a tied head remains.
    """

    architecture = Architecture(
        "MistralModel", NAMES, tensors, encode, infer, read_config,
        lambda config: fields_of(config, "mistral", MISTRALS, LLAMAS),
        lambda config, p: "MistralForCausalLM" if has_head(config, p) else "MistralModel",
        head_tensors, pretraining=("lm_head",))

    def lm_head(self, x: np.ndarray) -> tuple[np.ndarray, ParamBackward]:
        """The logits of the next token.  x: (M, D) -> logits (M, V)."""
        return lm_head(x, self.p, self.config)


class Llama(Mistral):
    """A Llama model: a Mistral without a window, whose linear layers may have biases."""

    architecture = Mistral.architecture._replace(
        original="LlamaModel", read_config=read_llama_config,
        config_fields=lambda config: fields_of(config, "llama", LLAMAS, MISTRALS),
        original_class=lambda config, p: ("LlamaForCausalLM" if has_head(config, p) else
                                          "LlamaModel"))


def has_head(config: Config, p: Params) -> bool:
    """Whether a model can predict next tokens: with its own matrix, or with its embeddings."""
    return config.tied or HEAD in p

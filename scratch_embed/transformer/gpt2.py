"""GPT-2: a stack of causal self-attention and feed-forward layers that predicts the next token.

Papers    Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3;
          Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training".
Equation  x = token[id] + position[i];  in each of L layers, biases omitted,
          h = x + Wₒ attention(W_q n, W_k n, W_v n),  n = LN(x);   y = h + W₂ gelu(W₁ LN(h));
          after the last layer, x = LN(x);  head: logits = E x, E the token embeddings (tied)
Shapes    ids (T,) all sequences end to end, offsets (N+1,) their bounds; x, h, y (T, D)
Cost      24 T D² + 4 Σ t² D operations per layer, for F = 4 D and sequences of t tokens; three
          times as many in training; nn/matmul.py or BLAS computes the products
Bytes     config.json, see FIELDS, and model.safetensors, see NAMES and transformer/checkpoint.py;
          Gpt2.load reads them
Differs   Sequences are packed, not padded.  q, k and v are three products; the original computes
          them as one, c_attn, with the same weights.  Initial weights are normal with standard
          deviation 0.02, as in transformers; OpenAI's code uses 0.01 for positions.  Dropout is
          where the original has it: on the embeddings, the attention weights and the output of each
          sublayer.  Gpt2.load refuses a config.json with an option that would change what the model
          computes, and an untied head.
Read next transformer/causal_lm.py (the loss), transformer/bert.py (both directions, post-norm),
          transformer/mistral.py (what later models changed)

Why causal?  A vector that depends only on its own and earlier tokens can predict the next token, so
every token of a text but the first is a training target; BERT predicts 15 % of the tokens.  The
price: a vector has no information about later tokens, and only the last vector depends on the whole
text.

Why pre-norm?  x and y are connected by a plain sum, dx = dy + ..., so the gradient reaches the
embeddings through any number of layers, and training needs little warmup.  But the sum grows with
the 2L sublayers.  So the last matrix of each sublayer, Wₒ or W₂, starts smaller by 1/√(2L), which
at first keeps the variance of the sum near that of one term; and a final norm scales x before E.

Gradient.  Each backward undoes its forward line by line, from the last to the first.  A value that
is used several times gets the sum: x and h, which the residual connections use too; n, used by q, k
and v; and E, used as the embeddings and as the head.
"""
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.activations import gelu_tanh
from scratch_embed.nn.attention import attention
from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, apply_dropout
from scratch_embed.nn.layers import embedding, in_row_blocks, linear
from scratch_embed.nn.norms import layer_norm, residual
from scratch_embed.nn.params import (
    Normal,
    Params,
    Tensor,
    embedding_tensors,
    linear_tensors,
    norm_tensors,
)
from scratch_embed.numerics.json_files import Fields
from scratch_embed.text.packed import Packed, positions
from scratch_embed.transformer.checkpoint import Renames, streams
from scratch_embed.transformer.config_fields import (
    ACTIVATIONS,
    activation_name,
    check_fields,
    read_sizes,
)
from scratch_embed.transformer.model import Architecture, CausalModel

NAMES = Renames({                  # {ours: the original's}, see transformer/checkpoint.py
    "embed.tokens": "wte",
    "embed.positions": "wpe",
    "layers.*.attn_norm": "h.*.ln_1",
    "layers.*.attn.q": "h.*.attn.c_attn",          # three in one: q above k above v
    "layers.*.attn.k": "h.*.attn.c_attn",
    "layers.*.attn.v": "h.*.attn.c_attn",
    "layers.*.attn.o": "h.*.attn.c_proj",
    "layers.*.mlp_norm": "h.*.ln_2",
    "layers.*.mlp.up": "h.*.mlp.c_fc",
    "layers.*.mlp.down": "h.*.mlp.c_proj",
    "norm": "ln_f"},
    prefix="transformer.",
    # "Conv1D", a convolution of width 1, is a linear layer whose matrix is (in, out)
    transposed=("h.*.attn.c_attn", "h.*.attn.c_proj", "h.*.mlp.c_fc", "h.*.mlp.c_proj"),
    tied={"lm_head.weight": "embed.tokens.weight"},
    ignored=("h.*.attn.bias", "h.*.attn.masked_bias"))     # the causal mask, as older files have it


class Config(NamedTuple):
    """The sizes of a model, and its activation.

    GPT-2 small, in this order: 50257, 768, 12, 12, 3072, 1024.
    """

    vocab: int                     # V
    dim: int = 128                 # D
    layers: int = 2                # L
    heads: int = 2                 # H, a divisor of D
    ff: int = 512                  # F
    positions: int = 1024          # tokens in the longest sequence
    eps: float = 1e-5              # of layer norms
    activation: Callable = gelu_tanh

    @property
    def max_length(self) -> int:
        """The maximum number of tokens in a sequence."""
        return self.positions


# ---- parameters ----------------------------------------------------------------------------------

def tensors(config: Config, std: float = 0.02) -> dict[str, Tensor]:
    """All tensors.  std: the initial standard deviation; attn.o and mlp.down have std/√(2L).

    Raises ValueError unless heads divides dim.
    """
    V, D, L, H, F, P = config[:6]
    if D % H:
        raise ValueError(f"heads: expected a divisor of dim={D}, got {H}")
    init, init_residual = Normal(std), Normal(std / (2 * L) ** 0.5)
    declared = {**embedding_tensors("embed.tokens", V, D, init),
                **embedding_tensors("embed.positions", P, D, init)}
    for n in range(L):
        declared |= norm_tensors(f"layers.{n}.attn_norm", D)
        for part in ("q", "k", "v"):
            declared |= linear_tensors(f"layers.{n}.attn.{part}", D, D, init)
        declared |= linear_tensors(f"layers.{n}.attn.o", D, D, init_residual)
        declared |= norm_tensors(f"layers.{n}.mlp_norm", D)
        declared |= linear_tensors(f"layers.{n}.mlp.up", F, D, init)
        declared |= linear_tensors(f"layers.{n}.mlp.down", D, F, init_residual)
    return streams(declared | norm_tensors("norm", D), NAMES)


# ---- forward and backward ------------------------------------------------------------------------

def embed(batch: Packed, p: Params, dropout: Dropout = NO_DROPOUT
          ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """The sum of token and position embeddings.  -> x (T, D), backward(dx, g)."""
    of_token, back_token = embedding(batch.ids, p, "embed.tokens")
    of_position, back_position = embedding(positions(batch.offsets), p, "embed.positions")
    x, back_drop = apply_dropout(of_token + of_position, dropout)

    def backward(dx, g):
        dx = back_drop(dx)
        back_token(dx, g)
        back_position(dx, g)
    return x, backward


def decoder_layer(x: np.ndarray, p: Params, name: str, offsets: np.ndarray, config: Config,
                  dropout: Dropout = NO_DROPOUT, causal: bool = True
                  ) -> tuple[np.ndarray, ParamBackward]:
    """One layer.  name: the prefix of its parameters, "layers.0."; x (T, D) -> y (T, D).

    causal: False removes the mask, so that every token attends to all (why/gpt2.py)
    """
    h, back_h = attention_sublayer(x, p, name, offsets, config, dropout, causal)
    y, back_y = feed_forward_sublayer(h, p, name, config, dropout.at(2))
    return y, lambda dy, g: back_h(back_y(dy, g), g)


def attention_sublayer(x, p, name, offsets, config, dropout=NO_DROPOUT, causal=True):
    """h = x + Wₒ attention(W_q n, W_k n, W_v n),  n = LN(x)."""
    n, back_n = layer_norm(x, p, name + "attn_norm", config.eps)
    q, back_q = linear(n, p, name + "attn.q")
    k, back_k = linear(n, p, name + "attn.k")
    v, back_v = linear(n, p, name + "attn.v")
    a, back_a = attention(q, k, v, offsets, config.heads, causal=causal, dropout=dropout.at(0))
    o, back_o = linear(a, p, name + "attn.o")
    h, back_h = residual(x, o, dropout.at(1))

    def backward(dh, g):
        dx, do = back_h(dh)
        dq, dk, dv = back_a(back_o(do, g))
        return dx + back_n(back_q(dq, g) + back_k(dk, g) + back_v(dv, g), g)
    return h, backward


def feed_forward_sublayer(h, p, name, config, dropout=NO_DROPOUT):
    """y = h + W₂ f(W₁ LN(h)), f the activation, each token by itself."""
    m, back_m = layer_norm(h, p, name + "mlp_norm", config.eps)
    u, back_u = linear(m, p, name + "mlp.up")                                   # (T, F)
    f, back_f = config.activation(u)
    w, back_w = linear(f, p, name + "mlp.down")
    y, back_y = residual(h, w, dropout)

    def backward(dy, g):
        dh, dw = back_y(dy)
        return dh + back_m(back_u(back_f(back_w(dw, g)), g), g)
    return y, backward


def encode(batch: Packed, p: Params, config: Config, dropout: Dropout = NO_DROPOUT,
           layer: Callable = decoder_layer) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Token vectors that depend on no later token.  -> x (T, D), backward(dx, g).

    layer: the function of one layer, another one in an ablation
    """
    x, back_embed = embed(batch, p, dropout.at(config.layers))
    backs = []
    for n in range(config.layers):
        x, back = layer(x, p, f"layers.{n}.", batch.offsets, config, dropout.at(n))
        backs.append(back)
    x, back_norm = layer_norm(x, p, "norm", config.eps)

    def backward(dx, g):
        dx = back_norm(dx, g)
        for back in reversed(backs):
            dx = back(dx, g)
        back_embed(dx, g)
    return x, backward


def infer(batch: Packed, p: Params, config: Config) -> np.ndarray:
    """encode() without backward; each layer's activations are freed before the next.  -> (T, D)"""
    x = embed(batch, p)[0]
    for n in range(config.layers):
        h = attention_sublayer(x, p, f"layers.{n}.", batch.offsets, config)[0]
        x = in_row_blocks(feed_forward_sublayer, h, p, f"layers.{n}.", config)
    return layer_norm(x, p, "norm", config.eps)[0]


def lm_head(x: np.ndarray, p: Params) -> tuple[np.ndarray, ParamBackward]:
    """The logits of the next token.  x: (M, D) -> logits (M, V)."""
    return linear(x, p, "embed.tokens")        # tied: the embeddings get a second gradient


# ---- config.json ---------------------------------------------------------------------------------

FIELDS = {"vocab": "vocab_size", "dim": "n_embd", "layers": "n_layer", "heads": "n_head",
          "positions": "n_positions"}
# for each option that would change what is computed, the only value supported here
ONLY = {"model_type": "gpt2", "scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False,
        "tie_word_embeddings": True}


def read_config(path: str | os.PathLike) -> Config:
    """Read a Config from a config.json.

    Raises FormatError with the field, the expected values and the value found.
    """
    fields = Fields.read(path)
    for name, value in ONLY.items():
        fields.one_of(name, [value], value)
    check_fields(fields, (*FIELDS.values(), *ONLY, "n_ctx", "n_inner",
                          "activation_function", "layer_norm_epsilon"))
    sizes = read_sizes(fields, FIELDS)
    fields.get("n_ctx", None, f"{sizes['positions']}, the n_positions, or null",
               lambda v: v in (None, sizes["positions"]))          # an older name of it
    is_default = fields.values.get("n_inner") is None              # missing or null
    activation = ACTIVATIONS[fields.one_of("activation_function", ACTIVATIONS, "gelu_new")]
    return Config(**sizes, ff=4 * sizes["dim"] if is_default else fields.whole("n_inner"),
                  eps=float(fields.positive("layer_norm_epsilon", 1e-5)), activation=activation)


def config_fields(config: Config) -> dict:
    """The fields of config.json except `architectures`, which save() adds.

    Raises ValueError for an activation that config.json has no name for.
    """
    sizes = {theirs: getattr(config, ours) for ours, theirs in FIELDS.items()}
    if config.vocab <= 50256:          # transformers' default, 50256, would have no row here
        sizes |= {"bos_token_id": None, "eos_token_id": None}
    return {"model_type": "gpt2", **sizes, "n_inner": config.ff,
            "activation_function": activation_name(config.activation),
            "layer_norm_epsilon": config.eps, "scale_attn_weights": True,
            "tie_word_embeddings": True}


# ---- the model -----------------------------------------------------------------------------------

class Gpt2(CausalModel):
    """A GPT-2 model: its config and its parameters.  Each call uses their current values.

    The next-token head is tied to the token embeddings, so every model has it.
    """

    architecture = Architecture("GPT2Model", NAMES, tensors, encode, infer, read_config,
                                config_fields, lambda config, p: "GPT2LMHeadModel")

    def lm_head(self, x: np.ndarray) -> tuple[np.ndarray, ParamBackward]:
        """The logits of the next token.  x: (M, D) -> logits (M, V)."""
        return lm_head(x, self.p)

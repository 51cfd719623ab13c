"""BERT: self-attention and feed-forward layers; each token attends to all tokens of its sequence.

Paper     Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
          Understanding"; Vaswani et al. 2017, "Attention Is All You Need", section 3.1.
Equation  x = LN(word[id] + position[i] + segment[type]);  in each of L layers, biases omitted,
          h = LN(x + Wₒ attention(W_q x, W_k x, W_v x)),   y = LN(h + W₂ gelu(W₁ h))
          heads: mlm_head       E ŷ + b, ŷ = LN(gelu(W x + c)), E the word embeddings (tied)
                 next_sentence  A tanh(P x_[CLS] + d) + a
Shapes    ids (T,) all sequences end to end, offsets (N+1,) their bounds; x, h, y (T, D)
Cost      24 T D² + 4 Σ t² D operations per layer, for F = 4 D and sequences of t tokens; three
          times as many in training; BLAS computes the products
Bytes     config.json, see FIELDS, and model.safetensors, see NAMES and transformer/checkpoint.py
Differs   Sequences are packed, not padded; only attention and positions depend on where a sequence
          begins.  Dropout is where BERT has it: on the embeddings, the attention weights and the
          output of each sublayer.  Initial weights are normal with standard deviation 0.02;
          BERT's code truncates them at two standard deviations, transformers and this file do not.
          Bert.load refuses a config.json with an option that would change what the model computes,
          and a decoder that is not tied to the embeddings.  Dropout probabilities are arguments of
          training and are not saved.
Read next transformer/masked_lm.py (its pre-training), transformer/pooling.py (sentence vectors)

The norm follows each residual connection ("post-norm"), as in Vaswani et al.; GPT-2 and most later
language models normalise the input of each sublayer instead ("pre-norm", nn/layers.py).
"""
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.activations import gelu, gelu_tanh, tanh
from scratch_embed.nn.attention import attention
from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout, apply_dropout
from scratch_embed.nn.layers import add_norm, embedding, layer_norm, linear
from scratch_embed.nn.params import (
    Normal,
    Params,
    Tensor,
    embedding_tensors,
    linear_tensors,
    norm_tensors,
)
from scratch_embed.numerics.json_files import Fields, show
from scratch_embed.text.packed import Packed, positions
from scratch_embed.transformer.checkpoint import Renames, streams
from scratch_embed.transformer.config_fields import check_fields
from scratch_embed.transformer.model import Architecture, Transformer

TABLE, DECODER = "embed.tokens.weight", "mlm.decoder.weight"
NAMES = Renames({                  # {ours: the original's}, see transformer/checkpoint.py
    "embed.tokens": "embeddings.word_embeddings",
    "embed.positions": "embeddings.position_embeddings",
    "embed.types": "embeddings.token_type_embeddings",
    "embed.norm": "embeddings.LayerNorm",
    "layers.*.attn.q": "encoder.layer.*.attention.self.query",
    "layers.*.attn.k": "encoder.layer.*.attention.self.key",
    "layers.*.attn.v": "encoder.layer.*.attention.self.value",
    "layers.*.attn.o": "encoder.layer.*.attention.output.dense",
    "layers.*.attn_norm": "encoder.layer.*.attention.output.LayerNorm",
    "layers.*.mlp.up": "encoder.layer.*.intermediate.dense",
    "layers.*.mlp.down": "encoder.layer.*.output.dense",
    "layers.*.mlp_norm": "encoder.layer.*.output.LayerNorm",
    "mlm.dense": "cls.predictions.transform.dense",
    "mlm.norm": "cls.predictions.transform.LayerNorm",
    "mlm.bias": "cls.predictions.bias",
    "mlm.decoder": "cls.predictions.decoder",
    "pooler": "pooler.dense",
    "next_sentence": "cls.seq_relationship"},
    prefix="bert.", bare=("cls.",),
    older={"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"},
    tied={"cls.predictions.decoder.weight": TABLE, "cls.predictions.decoder.bias": "mlm.bias"},
    optional=("pooler.", "cls.predictions.", "cls.seq_relationship."),
    ignored=("embeddings.position_ids", "embeddings.token_type_ids"))
HEADS = ("pooler", "mlm", "next_sentence")         # each is optional


class Config(NamedTuple):
    """The sizes of a model, and its activation."""

    vocab: int                     # V
    dim: int = 128                 # D
    layers: int = 2                # L
    heads: int = 2                 # H, a divisor of D
    ff: int = 512                  # F
    positions: int = 512           # tokens in the longest sequence
    types: int = 2
    eps: float = 1e-12             # of layer norms
    activation: Callable = gelu

    @property
    def max_length(self) -> int:
        """The maximum number of tokens in a sequence."""
        return self.positions


# ---- parameters ----------------------------------------------------------------------------------

def tensors(config: Config, std: float = 0.02) -> dict[str, Tensor]:
    """The encoder's tensors.  std: the standard deviation of the initial weights.

    Raises ValueError unless heads divides dim.
    """
    V, D, L, H, F, P, types = config[:7]
    if D % H:
        raise ValueError(f"heads: expected a divisor of dim={D}, got {H}")
    init = Normal(std)
    declared = {**embedding_tensors("embed.tokens", V, D, init),
                **embedding_tensors("embed.positions", P, D, init),
                **embedding_tensors("embed.types", types, D, init), **norm_tensors("embed.norm", D)}
    for n in range(L):
        for part in ("q", "k", "v", "o"):
            declared |= linear_tensors(f"layers.{n}.attn.{part}", D, D, init)
        declared |= norm_tensors(f"layers.{n}.attn_norm", D)
        declared |= linear_tensors(f"layers.{n}.mlp.up", F, D, init)
        declared |= linear_tensors(f"layers.{n}.mlp.down", D, F, init)
        declared |= norm_tensors(f"layers.{n}.mlp_norm", D)
    return streams(declared, NAMES)


def head_tensors(config: Config, tied: bool = True, std: float = 0.02) -> dict[str, Tensor]:
    """The tensors of the masked-LM head, the pooler and the next-sentence head.

    tied=False: the masked-LM head has its own decoder matrix (V, D).
    """
    V, D, init = config.vocab, config.dim, Normal(std)
    decoder = {} if tied else embedding_tensors("mlm.decoder", V, D, init)
    return streams({
        **linear_tensors("mlm.dense", D, D, init), **norm_tensors("mlm.norm", D),
        "mlm.bias": Tensor((V,)), **decoder, **linear_tensors("pooler", D, D, init),
        **linear_tensors("next_sentence", 2, D, init)}, NAMES)


# ---- the encoder ---------------------------------------------------------------------------------

def embed(batch: Packed, p: Params, config: Config, dropout: Dropout = NO_DROPOUT
          ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Layer norm of the sum of token, position and segment embeddings.  -> x (T, D)."""
    of_token, back_token = embedding(batch.ids, p, "embed.tokens")
    of_position, back_position = embedding(positions(batch.offsets), p, "embed.positions")
    of_type, back_type = embedding(batch.types, p, "embed.types")
    x, back_norm = layer_norm(of_token + of_position + of_type, p, "embed.norm", config.eps)
    x, back_drop = apply_dropout(x, dropout)

    def backward(dx, g):
        dx = back_norm(back_drop(dx), g)
        for back in (back_token, back_position, back_type):
            back(dx, g)
    return x, backward


def encoder_layer(x: np.ndarray, p: Params, name: str, offsets: np.ndarray, config: Config,
                  dropout: Dropout = NO_DROPOUT) -> tuple[np.ndarray, ParamBackward]:
    """One layer.  name: the prefix of its parameters, "layers.0."; x (T, D) -> y (T, D)."""
    q, back_q = linear(x, p, name + "attn.q")
    k, back_k = linear(x, p, name + "attn.k")
    v, back_v = linear(x, p, name + "attn.v")
    a, back_a = attention(q, k, v, offsets, config.heads, dropout=dropout.at(0))
    o, back_o = linear(a, p, name + "attn.o")
    h, back_h = add_norm(x, o, p, name + "attn_norm", config.eps, dropout.at(1))

    u, back_u = linear(h, p, name + "mlp.up")                                   # (T, F)
    f, back_f = config.activation(u)
    w, back_w = linear(f, p, name + "mlp.down")
    y, back_y = add_norm(h, w, p, name + "mlp_norm", config.eps, dropout.at(2))

    def backward(dy, g):
        dh, dw = back_y(dy, g)
        dh = dh + back_u(back_f(back_w(dw, g)), g)
        dx, do = back_h(dh, g)
        dq, dk, dv = back_a(back_o(do, g))
        return dx + back_q(dq, g) + back_k(dk, g) + back_v(dv, g)
    return y, backward


def encode(batch: Packed, p: Params, config: Config, dropout: Dropout = NO_DROPOUT
           ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Contextual token vectors.  -> x (T, D), backward(dx, g)."""
    x, back_embed = embed(batch, p, config, dropout.at(config.layers))
    backs = []
    for n in range(config.layers):
        x, back = encoder_layer(x, p, f"layers.{n}.", batch.offsets, config, dropout.at(n))
        backs.append(back)

    def backward(dx, g):
        for back in reversed(backs):
            dx = back(dx, g)
        back_embed(dx, g)
    return x, backward


def infer(batch: Packed, p: Params, config: Config) -> np.ndarray:
    """encode() without backward; each layer's activations are freed before the next.  -> (T, D)"""
    x = embed(batch, p, config)[0]
    for n in range(config.layers):
        x = encoder_layer(x, p, f"layers.{n}.", batch.offsets, config)[0]
    return x


# ---- the heads -----------------------------------------------------------------------------------

def mlm_head(x: np.ndarray, p: Params, config: Config) -> tuple[np.ndarray, ParamBackward]:
    """The logits of the masked tokens.  x: (M, D) -> (M, V).  E: DECODER, if p has it."""
    E = DECODER if DECODER in p else TABLE
    u, back_u = linear(x, p, "mlm.dense")
    f, back_f = config.activation(u)
    y, back_y = layer_norm(f, p, "mlm.norm", config.eps)
    logits = y @ p[E].T
    logits += p["mlm.bias"]

    def backward(dlogits, g):
        if "mlm.bias" in g:
            g["mlm.bias"] += dlogits.sum(0)
        if E in g:
            g[E] += dlogits.T @ y                    # tied: a second gradient of the embeddings
        return back_u(back_f(back_y(dlogits @ p[E], g)), g)
    return logits, backward


def pooler(x: np.ndarray, p: Params) -> tuple[np.ndarray, ParamBackward]:
    """tanh(P x + d) of the [CLS] rows.  x, y: (N, D)."""
    u, back_u = linear(x, p, "pooler")
    y, back_y = tanh(u)
    return y, lambda dy, g: back_u(back_y(dy), g)


def next_sentence(x: np.ndarray, p: Params) -> tuple[np.ndarray, ParamBackward]:
    """The logits of "B follows A" and "it does not".  x: (N, D), the [CLS] rows -> (N, 2)."""
    pooled, back_pooled = pooler(x, p)
    logits, back_logits = linear(pooled, p, "next_sentence")
    return logits, lambda dlogits, g: back_pooled(back_logits(dlogits, g), g)


# ---- config.json ---------------------------------------------------------------------------------

FIELDS = {"vocab": "vocab_size", "dim": "hidden_size", "layers": "num_hidden_layers",
          "heads": "num_attention_heads", "ff": "intermediate_size",
          "positions": "max_position_embeddings", "types": "type_vocab_size"}
ACTIVATIONS: dict[str, Callable] = {"gelu": gelu, "gelu_new": gelu_tanh,
                                    "gelu_pytorch_tanh": gelu_tanh}
# for each option that would change what is computed, the only value supported here
ONLY = {"model_type": "bert", "position_embedding_type": "absolute", "is_decoder": False,
        "add_cross_attention": False, "pruned_heads": {}}


def read_config(path: str | os.PathLike) -> Config:
    """Read a Config from a config.json.

    Raises FormatError with the field, the expected values and the value found.
    """
    fields = Fields.read(path)
    for name, value in ONLY.items():
        fields.one_of(name, [value], value)
    check_fields(fields, (*FIELDS.values(), *ONLY, "hidden_act", "layer_norm_eps"))
    sizes = {ours: fields.whole(theirs) for ours, theirs in FIELDS.items()}
    if sizes["dim"] % sizes["heads"]:
        raise fields.fault("num_attention_heads", f"a divisor of hidden_size, {sizes['dim']}",
                           show(sizes["heads"]))
    activation = ACTIVATIONS[fields.one_of("hidden_act", ACTIVATIONS, "gelu")]
    return Config(**sizes, eps=float(fields.positive("layer_norm_eps", 1e-12)),
                  activation=activation)


def config_fields(config: Config) -> dict:
    """The fields of config.json except `architectures`, which save() adds.

    Raises ValueError for an activation that is not in ACTIVATIONS.
    """
    names = [name for name, activation in ACTIVATIONS.items() if activation is config.activation]
    if not names:
        raise ValueError("activation: config.json has names for gelu and gelu_tanh of "
                         f"nn/activations.py, got {config.activation}")
    sizes = {theirs: getattr(config, ours) for ours, theirs in FIELDS.items()}
    return {"model_type": "bert", **sizes, "hidden_act": names[0], "layer_norm_eps": config.eps,
            "position_embedding_type": "absolute", "tie_word_embeddings": True}


# ---- the model -----------------------------------------------------------------------------------

def original_class(config: Config, p: Params) -> str:
    """The transformers class that has the heads of p; BertForMaskedLM ignores a pooler.

    Raises ValueError for a next-sentence head without its pooler.
    """
    has = tuple(any(name.startswith(f"{head}.") for name in p) for head in HEADS)
    classes = {(True, True, True): "BertForPreTraining", (False, True, False): "BertForMaskedLM",
               (True, False, True): "BertForNextSentencePrediction",
               (True, False, False): "BertModel", (False, False, False): "BertModel",
               (True, True, False): "BertForMaskedLM"}
    if has not in classes:
        raise ValueError("p: expected a pooler with the next-sentence head, got the head without "
                         "a pooler")
    return classes[has]


class Bert(Transformer):
    """A BERT model: its config and its parameters.  Each call uses their current values."""

    architecture = Architecture("BertModel", NAMES, tensors, encode, infer, read_config,
                                config_fields, original_class, head_tensors,
                                pretraining=("mlm", "next_sentence"))

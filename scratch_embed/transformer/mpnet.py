"""MPNet: BERT's layers with a learned bias for each distance between two tokens.

Paper     Song et al. 2020, "MPNet: Masked and Permuted Pre-training for Language Understanding".
          The bias is T5's: Raffel et al. 2020, section 2.1 (nn/relative_bias.py).
Equation  x = LN(word[id] + position[i]),  i = 2, 3, ...;  L layers as in BERT (nn/blocks.py), with
          attention weights softmax(Q Kᵀ / √d + B),  B[h, i, j] = table[bucket(j − i), h], the same
          B in all layers;
          heads: mlm_head  E ŷ + b, ŷ = LN(gelu(W x + c)), E the word embeddings (tied)
                 pooler    tanh(P x_<s> + d)
Shapes    ids (T,) all sequences end to end, offsets (N+1,) their bounds; x (T, D); B (H, t, t) for
          the longest sequence of t tokens, of which a shorter one uses the upper left corner
Cost      as BERT: 24 T D² + 4 Σ t² D operations per layer, for F = 4 D and sequences of t tokens;
          and O(H t²) numbers of B, once
Bytes     config.json, see FIELDS, and model.safetensors, see NAMES and transformer/checkpoint.py
Differs   Sequences are packed, not padded.  A padding token inside a text: as in RoBERTa
          (transformer/roberta.py), except that its id is always 1, as in the original.  The
          original always uses 32 buckets, whatever relative_attention_num_buckets says, so any
          other number is refused.  Initial weights are normal with standard deviation 0.02.
          Mpnet.load refuses a config.json with an option that would change what the model computes,
          and a decoder that is not tied.  Only the encoder and its heads are here, not the
          pre-training by permutation.
Read next nn/relative_bias.py (the buckets), transformer/roberta.py (positions), transformer/bert.py

What does MPNet add?  BERT predicts several masked tokens of a text independently: for "[MASK]
[MASK]" it cannot say that "new" goes with "york".  XLNet predicts them one after the other, in a
random order, so that each prediction sees the earlier ones, but then it does not know how long the
text is.  MPNet predicts one after the other as well, and shows [MASK] at the positions of those
still to come, so every prediction sees the positions of the whole text.  This is a matter of
training: a trained MPNet encodes a text as BERT does, all tokens at once.

Why relative positions, when the embeddings have absolute ones?  A rule such as "the word before"
must be learned for each position if positions are absolute.  The bias says it once: it depends on
the difference j − i only, in each head as that head needs it, and it is added to the scores of
every layer, where absolute positions are added to the first layer's input only.
"""
import os
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from scratch_embed.nn.activations import gelu
from scratch_embed.nn.blocks import (
    infer_post_norm_layer,
    masked_lm_head,
    masked_lm_tensors,
    pooler,
    positions_after,
    post_norm_layer,
    post_norm_tensors,
    summed_embeddings,
)
from scratch_embed.nn.contract import ParamBackward, ParamBackwardEach, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.params import (
    Normal,
    Params,
    Tensor,
    embedding_tensors,
    linear_tensors,
    norm_tensors,
)
from scratch_embed.nn.relative_bias import distance_buckets, relative_bias
from scratch_embed.numerics.json_files import Fields
from scratch_embed.text.packed import Packed
from scratch_embed.transformer.checkpoint import Renames, streams
from scratch_embed.transformer.config_fields import (
    ACTIVATIONS,
    activation_name,
    check_fields,
    read_sizes,
)
from scratch_embed.transformer.model import Architecture, Transformer

NAMES = Renames({                  # {ours: the original's}, see transformer/checkpoint.py
    "embed.tokens": "embeddings.word_embeddings",
    "embed.positions": "embeddings.position_embeddings",
    "embed.norm": "embeddings.LayerNorm",
    "relative": "encoder.relative_attention_bias",
    "layers.*.attn.q": "encoder.layer.*.attention.attn.q",
    "layers.*.attn.k": "encoder.layer.*.attention.attn.k",
    "layers.*.attn.v": "encoder.layer.*.attention.attn.v",
    "layers.*.attn.o": "encoder.layer.*.attention.attn.o",
    "layers.*.attn_norm": "encoder.layer.*.attention.LayerNorm",
    "layers.*.mlp.up": "encoder.layer.*.intermediate.dense",
    "layers.*.mlp.down": "encoder.layer.*.output.dense",
    "layers.*.mlp_norm": "encoder.layer.*.output.LayerNorm",
    "mlm.dense": "lm_head.dense",
    "mlm.norm": "lm_head.layer_norm",
    "mlm.bias": "lm_head.bias",
    "pooler": "pooler.dense"},
    prefix="mpnet.", bare=("lm_head.",),
    tied={"lm_head.decoder.weight": "embed.tokens.weight", "lm_head.decoder.bias": "mlm.bias"},
    optional=("pooler.", "lm_head."),
    ignored=("embeddings.position_ids",))
PADDING, BUCKETS = 1, 32           # constants of the original


class Config(NamedTuple):
    """The sizes of a model, and its activation.

    MPNet base, in this order: 30527, 768, 12, 12, 3072, 514.
    """

    vocab: int                     # V
    dim: int = 128                 # D
    layers: int = 2                # L
    heads: int = 2                 # H, a divisor of D
    ff: int = 512                  # F
    positions: int = 514           # rows of the table, of which the first two are not used
    eps: float = 1e-5              # of layer norms
    activation: Callable = gelu

    @property
    def max_length(self) -> int:
        """The maximum number of tokens in a sequence."""
        return self.positions - PADDING - 1


# ---- parameters ----------------------------------------------------------------------------------

def tensors(config: Config, std: float = 0.02) -> dict[str, Tensor]:
    """The encoder's tensors.  std: the standard deviation of the initial weights.

    Raises ValueError unless heads divides dim.
    """
    V, D, L, H, F, P = config[:6]
    init = Normal(std)
    declared = {**embedding_tensors("embed.tokens", V, D, init),
                **embedding_tensors("embed.positions", P, D, init), **norm_tensors("embed.norm", D),
                **embedding_tensors("relative", BUCKETS, H, init)}
    for n in range(L):
        declared |= post_norm_tensors(f"layers.{n}.", D, H, F, init)
    return streams(declared, NAMES)


def head_tensors(config: Config, std: float = 0.02) -> dict[str, Tensor]:
    """The tensors of the masked-LM head and the pooler."""
    V, D, init = config.vocab, config.dim, Normal(std)
    return streams(masked_lm_tensors(V, D, init) | linear_tensors("pooler", D, D, init), NAMES)


# ---- forward and backward ------------------------------------------------------------------------

def embed(batch: Packed, p: Params, config: Config, dropout: Dropout = NO_DROPOUT
          ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Layer norm of the sum of token and position embeddings.  -> x (T, D)."""
    ids = {"embed.tokens": batch.ids,
           "embed.positions": positions_after(PADDING, batch.ids, batch.offsets)}
    return summed_embeddings(ids, p, "embed.norm", config.eps, dropout)


def bias(batch: Packed, p: Params) -> tuple[np.ndarray, ParamOnlyBackward]:
    """B of the longest sequence, of t tokens.  -> B (H, t, t), backward(dB, g)."""
    t = int(np.diff(batch.offsets).max(initial=0))
    return relative_bias(distance_buckets(t, BUCKETS), p, "relative")


def encoder_layer(x: np.ndarray, B: np.ndarray, p: Params, name: str, offsets: np.ndarray,
                  config: Config, dropout: Dropout = NO_DROPOUT
                  ) -> tuple[np.ndarray, ParamBackwardEach]:
    """One layer.  name: the prefix of its parameters, "layers.0."; backward(dy, g) -> dx, dB.

    x, y (T, D), B (H, t, t)
    """
    return post_norm_layer(x, p, name, offsets, config.heads, config.activation, config.eps,
                           (dropout.at(0), dropout.at(1), dropout.at(2)), B)


def encode(batch: Packed, p: Params, config: Config, dropout: Dropout = NO_DROPOUT
           ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Contextual token vectors; batch.types is ignored.  -> x (T, D), backward(dx, g)."""
    x, back_embed = embed(batch, p, config, dropout.at(config.layers))
    B, back_bias = bias(batch, p)
    backs = []
    for n in range(config.layers):
        x, back = encoder_layer(x, B, p, f"layers.{n}.", batch.offsets, config, dropout.at(n))
        backs.append(back)

    def backward(dx, g):
        dB = np.zeros_like(B)                            # all layers add to it
        for back in reversed(backs):
            dx, dB_of_layer = back(dx, g)
            dB += dB_of_layer
        back_bias(dB, g)
        back_embed(dx, g)
    return x, backward


def infer(batch: Packed, p: Params, config: Config) -> np.ndarray:
    """encode() without backward; each layer's activations are freed before the next.  -> (T, D)"""
    x, B = embed(batch, p, config)[0], bias(batch, p)[0]
    for n in range(config.layers):
        x = infer_post_norm_layer(x, p, f"layers.{n}.", batch.offsets, config.heads,
                                  config.activation, config.eps, B)
    return x


def mlm_head(x: np.ndarray, p: Params, config: Config) -> tuple[np.ndarray, ParamBackward]:
    """The logits of masked tokens; always with gelu, as in the original.  x: (M, D) -> (M, V)."""
    return masked_lm_head(x, p, gelu, config.eps)


# ---- config.json ---------------------------------------------------------------------------------

FIELDS = {"vocab": "vocab_size", "dim": "hidden_size", "layers": "num_hidden_layers",
          "heads": "num_attention_heads", "ff": "intermediate_size",
          "positions": "max_position_embeddings"}
# for each option that would change what is computed, the only value supported here
ONLY = {"model_type": "mpnet", "relative_attention_num_buckets": BUCKETS}


def read_config(path: str | os.PathLike) -> Config:
    """Read a Config from a config.json.

    Raises FormatError with the field, the expected values and the value found.
    """
    fields = Fields.read(path)
    for name, value in ONLY.items():
        fields.one_of(name, [value], value)
    check_fields(fields, (*FIELDS.values(), *ONLY, "hidden_act", "layer_norm_eps"))
    sizes = read_sizes(fields, FIELDS)
    if sizes["positions"] < PADDING + 2:
        raise fields.fault("max_position_embeddings", f"at least {PADDING + 2}",
                           str(sizes["positions"]))
    return Config(**sizes, eps=float(fields.positive("layer_norm_eps", 1e-12)),
                  activation=ACTIVATIONS[fields.one_of("hidden_act", ACTIVATIONS, "gelu")])


def config_fields(config: Config) -> dict:
    """The fields of config.json except `architectures`, which save() adds.

    Raises ValueError for an activation that config.json has no name for.
    """
    sizes = {theirs: getattr(config, ours) for ours, theirs in FIELDS.items()}
    return {"model_type": "mpnet", **sizes, "hidden_act": activation_name(config.activation),
            "layer_norm_eps": config.eps, "relative_attention_num_buckets": BUCKETS,
            "tie_word_embeddings": True}


# ---- the model -----------------------------------------------------------------------------------

def original_class(config: Config, p: Params) -> str:
    """The transformers class that has the heads of p; MPNetForMaskedLM ignores a pooler."""
    return "MPNetForMaskedLM" if "mlm.bias" in p else "MPNetModel"


class Mpnet(Transformer):
    """An MPNet model: its config and its parameters.  Each call uses their current values."""

    architecture = Architecture("MPNetModel", NAMES, tensors, encode, infer, read_config,
                                config_fields, original_class, head_tensors,
                                pretraining=("mlm",))

    def mlm_head(self, x: np.ndarray) -> tuple[np.ndarray, ParamBackward]:
        """The logits of masked tokens.  x: (M, D) -> (M, V)."""
        return mlm_head(x, self.p, self.config)

    def pooler(self, x: np.ndarray) -> tuple[np.ndarray, ParamBackward]:
        """tanh(P x + d) of the rows of the first tokens, <s>.  x, y: (N, D)."""
        return pooler(x, self.p)

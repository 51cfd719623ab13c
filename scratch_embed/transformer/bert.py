"""BERT: self-attention and feed-forward layers; each token attends to all tokens of its sequence.

Paper     Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers for Language
          Understanding"; Vaswani et al. 2017, "Attention Is All You Need", section 3.1.
Equation  x = LN(word[id] + position[i] + segment[type]);  in each of L layers, biases omitted,
          h = LN(x + Wₒ attention(W_q x, W_k x, W_v x)),   y = LN(h + W₂ gelu(W₁ h))
          heads: mlm_head       E ŷ + b, ŷ = LN(gelu(W x + c)), E the word embeddings (tied)
                 next_sentence  A tanh(P x_[CLS] + d) + a
Shapes    ids (T,) all sequences end to end, offsets (N+1,) their bounds; x, h, y (T, D)
Cost      24 T D² + 4 Σ t² D operations per layer, for F = 4 D and sequences of t tokens; three
          times as many in training; nn/matmul.py or BLAS computes the products
Bytes     config.json, see FIELDS, and model.safetensors, see NAMES and transformer/checkpoint.py
Differs   Sequences are packed, not padded; only attention and positions depend on where a sequence
          begins.  Dropout is where BERT has it: on the embeddings, the attention weights and the
          output of each sublayer.  Initial weights are normal with standard deviation 0.02;
          BERT's code truncates them at two standard deviations, transformers and this file do not.
          Bert.load refuses a config.json with an option that would change what the model computes,
          and a decoder that is not tied to the embeddings.  Dropout probabilities are arguments of
          training and are not saved.
Read next nn/blocks.py (the layer), transformer/masked_lm.py (its pre-training),
          transformer/pooling.py (sentence vectors)

The norm follows each residual connection ("post-norm"), as in Vaswani et al.; GPT-2 and most later
language models normalise the input of each sublayer instead ("pre-norm", nn/norms.py).

The layer and the masked-LM head, forward and backward, are in nn/blocks.py, because RoBERTa,
DistilBERT and MPNet are made of the same blocks.

Why both directions?  A word's meaning depends on the words before and after it.  A model that
predicts the next token must not see it, so its vectors depend on earlier tokens only.  BERT
predicts masked tokens instead (transformer/masked_lm.py), so every token may attend to all others.

Why segments and [CLS]?  Two texts are one sequence, [CLS] A [SEP] B [SEP].  segment[type] says to
which of the two a token belongs.  [CLS] stands for no word: its last vector is that of the whole
pair, which the next-sentence head and classifiers read.

Gradient.  Each backward undoes its forward line by line, from the last to the first.  E is used
twice, as the embeddings and in mlm_head, and gets the sum of both gradients.
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
    post_norm_layer,
    post_norm_tensors,
    summed_embeddings,
)
from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.layers import linear
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
    init = Normal(std)
    declared = {**embedding_tensors("embed.tokens", V, D, init),
                **embedding_tensors("embed.positions", P, D, init),
                **embedding_tensors("embed.types", types, D, init), **norm_tensors("embed.norm", D)}
    for n in range(L):
        declared |= post_norm_tensors(f"layers.{n}.", D, H, F, init)
    return streams(declared, NAMES)


def head_tensors(config: Config, tied: bool = True, std: float = 0.02) -> dict[str, Tensor]:
    """The tensors of the masked-LM head, the pooler and the next-sentence head.

    tied=False: the masked-LM head has its own decoder matrix (V, D).
    """
    V, D, init = config.vocab, config.dim, Normal(std)
    decoder = {} if tied else embedding_tensors("mlm.decoder", V, D, init)
    return streams({
        **masked_lm_tensors(V, D, init), **decoder, **linear_tensors("pooler", D, D, init),
        **linear_tensors("next_sentence", 2, D, init)}, NAMES)


# ---- the encoder ---------------------------------------------------------------------------------

def embed(batch: Packed, p: Params, config: Config, dropout: Dropout = NO_DROPOUT
          ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Layer norm of the sum of token, position and segment embeddings.  -> x (T, D)."""
    ids = {"embed.tokens": batch.ids, "embed.positions": positions(batch.offsets),
           "embed.types": batch.types}
    return summed_embeddings(ids, p, "embed.norm", config.eps, dropout)


def encoder_layer(x: np.ndarray, p: Params, name: str, offsets: np.ndarray, config: Config,
                  dropout: Dropout = NO_DROPOUT) -> tuple[np.ndarray, ParamBackward]:
    """One layer.  name: the prefix of its parameters, "layers.0."; x (T, D) -> y (T, D)."""
    return post_norm_layer(x, p, name, offsets, config.heads, config.activation, config.eps,
                           (dropout.at(0), dropout.at(1), dropout.at(2)))


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
        x = infer_post_norm_layer(x, p, f"layers.{n}.", batch.offsets, config.heads,
                                  config.activation, config.eps)
    return x


# ---- the heads -----------------------------------------------------------------------------------

def mlm_head(x: np.ndarray, p: Params, config: Config) -> tuple[np.ndarray, ParamBackward]:
    """The logits of the masked tokens.  x: (M, D) -> (M, V).  E: DECODER, if p has it."""
    return masked_lm_head(x, p, config.activation, config.eps, DECODER if DECODER in p else TABLE)


def next_sentence(x: np.ndarray, p: Params) -> tuple[np.ndarray, ParamBackward]:
    """The logits of "B follows A" and "it does not".  x: (N, D), the [CLS] rows -> (N, 2)."""
    pooled, back_pooled = pooler(x, p)
    logits, back_logits = linear(pooled, p, "next_sentence")
    return logits, lambda dlogits, g: back_pooled(back_logits(dlogits, g), g)


# ---- config.json ---------------------------------------------------------------------------------

FIELDS = {"vocab": "vocab_size", "dim": "hidden_size", "layers": "num_hidden_layers",
          "heads": "num_attention_heads", "ff": "intermediate_size",
          "positions": "max_position_embeddings", "types": "type_vocab_size"}
# for each option that would change what is computed, the only value supported here
ONLY = {"model_type": "bert", "position_embedding_type": "absolute"}


def read_config(path: str | os.PathLike) -> Config:
    """Read a Config from a config.json.

    Raises FormatError with the field, the expected values and the value found.
    """
    fields = Fields.read(path)
    for name, value in ONLY.items():
        fields.one_of(name, [value], value)
    check_fields(fields, (*FIELDS.values(), *ONLY, "hidden_act", "layer_norm_eps"))
    return Config(**read_sizes(fields, FIELDS),
                  eps=float(fields.positive("layer_norm_eps", 1e-12)),
                  activation=ACTIVATIONS[fields.one_of("hidden_act", ACTIVATIONS, "gelu")])


def config_fields(config: Config) -> dict:
    """The fields of config.json except `architectures`, which save() adds.

    Raises ValueError for an activation that config.json has no name for.
    """
    sizes = {theirs: getattr(config, ours) for ours, theirs in FIELDS.items()}
    return {"model_type": "bert", **sizes, "hidden_act": activation_name(config.activation),
            "layer_norm_eps": config.eps, "position_embedding_type": "absolute",
            "tie_word_embeddings": True}


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

    def mlm_head(self, x: np.ndarray) -> tuple[np.ndarray, ParamBackward]:
        """The logits of masked tokens.  x: (M, D) -> (M, V)."""
        return mlm_head(x, self.p, self.config)

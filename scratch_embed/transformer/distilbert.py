"""DistilBERT: half of BERT's layers, trained to give the probabilities of a trained BERT.

Papers    Sanh et al. 2019, "DistilBERT, a distilled version of BERT: smaller, faster, cheaper and
          lighter"; Hinton, Vinyals & Dean 2015, "Distilling the Knowledge in a Neural Network".
Equation  x = LN(word[id] + position[i]);  L layers as in BERT (nn/blocks.py);
          head: mlm_head  E ŷ + b, ŷ = LN(gelu(W x + c)), E the word embeddings (tied)
Shapes    ids (T,) all sequences end to end, offsets (N+1,) their bounds; x (T, D)
Cost      as BERT: 24 T D² + 4 Σ t² D operations per layer, for F = 4 D and sequences of t tokens;
          with 6 layers in place of 12, half of BERT's
Bytes     config.json, see FIELDS, and model.safetensors, see NAMES and transformer/checkpoint.py
Differs   Sequences are packed, not padded.  Dropout is where the original has it: unlike BERT's, a
          layer does not drop attention's output.  Initial weights are normal with standard
          deviation 0.02.  sinusoidal_pos_embds says how the table of positions was first filled;
          the file stores the table, so the field changes nothing here or in the original.
          Distilbert.load refuses a config.json with an option that would change what the model
          computes, and a decoder that is not tied.
Read next transformer/bert.py (the teacher), losses/distillation.py (the loss)

What is missing from BERT?  Segments: batch.types is ignored, so the two texts of a pair differ only
by the [SEP] between them.  The pooler, because there is no next-sentence loss.  And every second
layer: the others are copied from the teacher, as the student's first weights.

What does distillation do?  A masked-LM target is one token.  The teacher says more: for "the
capital of France is [MASK]" it may give "Paris" 0.8 and "Lyon" 0.05, and "the" almost nothing.  The
student is trained to give these probabilities, softened by a temperature, beside the usual loss,
and a third term turns its hidden vectors towards the teacher's.  In the paper the student keeps
97 % of BERT's GLUE score and needs about 60 % of its time.  This file has the network; its training
is not repeated here.
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
    post_norm_layer,
    post_norm_tensors,
    summed_embeddings,
)
from scratch_embed.nn.contract import ParamBackward, ParamOnlyBackward
from scratch_embed.nn.dropout import NO_DROPOUT, Dropout
from scratch_embed.nn.params import Normal, Params, Tensor, embedding_tensors, norm_tensors
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

NAMES = Renames({                  # {ours: the original's}, see transformer/checkpoint.py
    "embed.tokens": "embeddings.word_embeddings",
    "embed.positions": "embeddings.position_embeddings",
    "embed.norm": "embeddings.LayerNorm",
    "layers.*.attn.q": "transformer.layer.*.attention.q_lin",
    "layers.*.attn.k": "transformer.layer.*.attention.k_lin",
    "layers.*.attn.v": "transformer.layer.*.attention.v_lin",
    "layers.*.attn.o": "transformer.layer.*.attention.out_lin",
    "layers.*.attn_norm": "transformer.layer.*.sa_layer_norm",
    "layers.*.mlp.up": "transformer.layer.*.ffn.lin1",
    "layers.*.mlp.down": "transformer.layer.*.ffn.lin2",
    "layers.*.mlp_norm": "transformer.layer.*.output_layer_norm",
    "mlm.dense": "vocab_transform",
    "mlm.norm": "vocab_layer_norm",
    "mlm.bias": "vocab_projector.bias"},
    prefix="distilbert.", bare=("vocab_",),
    tied={"vocab_projector.weight": "embed.tokens.weight"},
    optional=("vocab_",),
    ignored=("embeddings.position_ids",))
EPS = 1e-12                        # of layer norms: the original has no field for it


class Config(NamedTuple):
    """The sizes of a model, and its activation.

    DistilBERT base, in this order: 30522, 768, 6, 12, 3072, 512.
    """

    vocab: int                     # V
    dim: int = 128                 # D
    layers: int = 2                # L
    heads: int = 2                 # H, a divisor of D
    ff: int = 512                  # F
    positions: int = 512           # tokens in the longest sequence
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
    V, D, L, H, F, P = config[:6]
    init = Normal(std)
    declared = {**embedding_tensors("embed.tokens", V, D, init),
                **embedding_tensors("embed.positions", P, D, init), **norm_tensors("embed.norm", D)}
    for n in range(L):
        declared |= post_norm_tensors(f"layers.{n}.", D, H, F, init)
    return streams(declared, NAMES)


def head_tensors(config: Config, std: float = 0.02) -> dict[str, Tensor]:
    """The tensors of the masked-LM head."""
    return streams(masked_lm_tensors(config.vocab, config.dim, Normal(std)), NAMES)


# ---- forward and backward ------------------------------------------------------------------------

def embed(batch: Packed, p: Params, config: Config, dropout: Dropout = NO_DROPOUT
          ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Layer norm of the sum of token and position embeddings.  -> x (T, D)."""
    ids = {"embed.tokens": batch.ids, "embed.positions": positions(batch.offsets)}
    return summed_embeddings(ids, p, "embed.norm", EPS, dropout)


def encoder_layer(x: np.ndarray, p: Params, name: str, offsets: np.ndarray, config: Config,
                  dropout: Dropout = NO_DROPOUT) -> tuple[np.ndarray, ParamBackward]:
    """One layer.  name: the prefix of its parameters, "layers.0."; x (T, D) -> y (T, D)."""
    return post_norm_layer(x, p, name, offsets, config.heads, config.activation, EPS,
                           (dropout.at(0), NO_DROPOUT, dropout.at(2)))


def encode(batch: Packed, p: Params, config: Config, dropout: Dropout = NO_DROPOUT
           ) -> tuple[np.ndarray, ParamOnlyBackward]:
    """Contextual token vectors; batch.types is ignored.  -> x (T, D), backward(dx, g)."""
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
                                  config.activation, EPS)
    return x


def mlm_head(x: np.ndarray, p: Params, config: Config) -> tuple[np.ndarray, ParamBackward]:
    """The logits of masked tokens.  x: (M, D) -> (M, V)."""
    return masked_lm_head(x, p, config.activation, EPS)


# ---- config.json ---------------------------------------------------------------------------------

FIELDS = {"vocab": "vocab_size", "dim": "dim", "layers": "n_layers", "heads": "n_heads",
          "ff": "hidden_dim", "positions": "max_position_embeddings"}
# for each option that would change what is computed, the only value supported here
ONLY = {"model_type": "distilbert"}
IGNORED = {
    "sinusoidal_pos_embds": "says how the stored table of positions was first filled",
    **dict.fromkeys(("dropout", "qa_dropout", "seq_classif_dropout"), "is used in training"),
    "tie_weights_": "a stored decoder must equal the embeddings, whatever this says"}


def read_config(path: str | os.PathLike) -> Config:
    """Read a Config from a config.json.

    Raises FormatError with the field, the expected values and the value found.
    """
    fields = Fields.read(path)
    for name, value in ONLY.items():
        fields.one_of(name, [value], value)
    check_fields(fields, (*FIELDS.values(), *ONLY, *IGNORED, "activation"))
    return Config(**read_sizes(fields, FIELDS),
                  activation=ACTIVATIONS[fields.one_of("activation", ACTIVATIONS, "gelu")])


def config_fields(config: Config) -> dict:
    """The fields of config.json except `architectures`, which save() adds.

    Raises ValueError for an activation that config.json has no name for.
    """
    sizes = {theirs: getattr(config, ours) for ours, theirs in FIELDS.items()}
    return {"model_type": "distilbert", **sizes, "activation": activation_name(config.activation),
            "sinusoidal_pos_embds": False, "tie_word_embeddings": True}


# ---- the model -----------------------------------------------------------------------------------

def original_class(config: Config, p: Params) -> str:
    """The transformers class that has the heads of p."""
    return "DistilBertForMaskedLM" if "mlm.bias" in p else "DistilBertModel"


class Distilbert(Transformer):
    """A DistilBERT model: its config and its parameters.  Each call uses their current values."""

    architecture = Architecture("DistilBertModel", NAMES, tensors, encode, infer, read_config,
                                config_fields, original_class, head_tensors,
                                pretraining=("mlm",))

    def mlm_head(self, x: np.ndarray) -> tuple[np.ndarray, ParamBackward]:
        """The logits of masked tokens.  x: (M, D) -> (M, V)."""
        return mlm_head(x, self.p, self.config)
